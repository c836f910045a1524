/* The generated table of embedded kernel sources, sorted by name. */
#ifndef TERN_PROGRAM_EMBEDDED_H
#define TERN_PROGRAM_EMBEDDED_H

#include <stddef.h>

struct tern__embedded {
    const char *name; /* relative to kernels/, e.g. "lib/io.clh" */
    const char *text; /* NUL-terminated */
    size_t len;
};
extern const struct tern__embedded tern__embedded[];
extern const int tern__n_embedded;

#endif
