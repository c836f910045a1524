/* Lists of whole numbers as attributes, written where they are used. */
#ifndef TERN_TESTS_ATTR_HELP_H
#define TERN_TESTS_ATTR_HELP_H

#include <stdint.h>

#include <tern/graph.h>

#define INTS(...) ((const int64_t[]){__VA_ARGS__})
#define LIST(nm, ...) TERN_INTS(nm, INTS(__VA_ARGS__), (int)(sizeof INTS(__VA_ARGS__) / sizeof(int64_t)))
#define WITH(...) (const tern_attr[]){__VA_ARGS__, {0}} /* also where an initialiser has to be constant */

#endif
