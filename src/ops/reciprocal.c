/* reciprocal: reciprocal. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return 1 / x[0];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern__neg(g, tern__mul(g, dy[0], tern__mul(g, n->out[0], n->out[0])));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 4};

TERN_OP(reciprocal) = {
    .name = "reciprocal",
    .doc = "y = 1 / x",
    .onnx = "Reciprocal",
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
