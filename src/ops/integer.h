/* What ops on 8-bit integers share: their operands x, w and the zero points of both. */
#ifndef TERN_OPS_INTEGER_H
#define TERN_OPS_INTEGER_H

#include "ops/common.h"

/* TERN_E_DTYPE unless inputs 0 and 1 are u8 or i8 and inputs 2 and 3 of their types. */
tern_status tern__need_integers(const tern__node *n, const tern__type *in);
/* TERN_E_SHAPE unless input 2 is [1] and input 3 is [1] or [columns]. */
tern_status tern__need_zero_points(const tern__node *n, const tern__type *in, int64_t columns);

#endif
