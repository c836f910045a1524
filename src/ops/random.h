/* What the random sources share. */
#ifndef TERN_OPS_RANDOM_H
#define TERN_OPS_RANDOM_H

#include "ops/common.h"

enum { TERN__RANDOM_SHAPE, TERN__RANDOM_DTYPE, TERN__RANDOM_SEED, TERN__RANDOM_FIRST, TERN__RANDOM_SECOND };
#define TERN__RANDOM_ATTRS                                              \
    {.name = "shape", .type = TERN_ATTR_INTS, .required = true},        \
    {.name = "dtype", .type = TERN_ATTR_STRING, .def_s = "f32"},        \
    {.name = "seed", .type = TERN_ATTR_INT}

tern_status tern__infer_random(const tern__node *n, const tern__type *in, tern__type *out);
/* y[i] = draw(seed, stream, i) * scale + shift in f32, as the kernels compute it. */
tern_status tern__ref_random(const tern__node *n, const tern__array *in, const tern__array *out, float (*draw)(uint64_t, uint64_t, uint64_t),
                             float scale, float shift);
/* Random numbers do not depend on the step smoothly: nothing flows. */
tern_status tern__grad_random(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx);
/* The step, if given, is a scalar of f32 or i64. */
tern_status tern__need_step(const tern__node *n, const tern__type *in, int i);

#endif
