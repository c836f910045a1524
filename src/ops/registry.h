/* The generated table of ops. */
#ifndef TERN_OPS_REGISTRY_H
#define TERN_OPS_REGISTRY_H

#include "ops/op.h"

extern const tern__op *const tern__op_table[]; /* alphabetical, ends with NULL */
extern const char *const tern__op_name_table[]; /* the same ops' names: an op's identifier is its name */
extern const int tern__n_ops;

#endif
