/* neg: negation. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return -x[0];
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    (void)is_unsigned;
    return (int64_t)(0 - (uint64_t)x[0]);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)n;
    dx[0] = tern__neg(g, dy[0]);
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .ref = ref, .int_ref = int_ref, .cost = 1};

TERN_OP(neg) = {
    .name = "neg",
    .doc = "y = -x; integers wrap",
    .onnx = "Neg",
    .onnx_since = 6,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
