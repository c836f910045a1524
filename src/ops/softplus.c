/* softplus: smooth rectifier. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return (x[0] > 0 ? x[0] : 0) + log1p(exp(-fabs(x[0])));
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* y' = sigmoid(x) = 1 - e^-y */
    dx[0] = tern__neg(g, tern__mul(g, dy[0], tern__unary(g, "expm1", tern__neg(g, n->out[0]))));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 45};

TERN_OP(softplus) = {
    .name = "softplus",
    .doc = "y = ln(1 + e^x)",
    .onnx = "Softplus",
    .onnx_since = 1,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
