/* where: choice by a condition. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] != 0 ? x[1] : x[2];
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    (void)is_unsigned;
    return x[0] ? x[1] : x[2];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value zero = tern__like(g, dy[0], 0);
    dx[1] = tern__where(g, n->in[0], dy[0], zero);
    dx[2] = tern__where(g, n->in[0], zero, dy[0]);
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_ANY, .first_bool = true, .ref = ref, .int_ref = int_ref, .cost = 1};

TERN_OP(where) = {
    .name = "where",
    .doc = "y = a where the condition holds, else b",
    .onnx = "Where",
    .onnx_since = 9,
    .trait = TERN__POINTWISE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
