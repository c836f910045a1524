/* silu: sigmoid linear unit, or swish. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] / (1 + exp(-x[0]));
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* y' = s + y (1 - s), s = sigmoid(x) */
    tern_value s = tern__unary(g, "sigmoid", n->in[0]);
    tern_value rest = tern__mul(g, n->out[0], tern__add_scalar(g, tern__neg(g, s), 1));
    dx[0] = tern__mul(g, dy[0], tern__add(g, s, rest));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 25};

TERN_OP(silu) = {
    .name = "silu",
    .doc = "y = x / (1 + e^-x)",
    .onnx = "Swish",
    .onnx_since = 24,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
