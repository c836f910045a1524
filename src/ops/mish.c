/* mish: mish (Misra 2019). */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    double softplus = (x[0] > 0 ? x[0] : 0) + log1p(exp(-fabs(x[0])));
    return x[0] * tanh(softplus);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* y' = t + x s (1 - t^2), t = tanh(softplus(x)), s = sigmoid(x) */
    tern_value x = n->in[0], t = tern__unary(g, "tanh", tern__unary(g, "softplus", x));
    tern_value rest = tern__add_scalar(g, tern__neg(g, tern__unary(g, "square", t)), 1);
    tern_value slope = tern__mul(g, tern__mul(g, x, tern__unary(g, "sigmoid", x)), rest);
    dx[0] = tern__mul(g, dy[0], tern__add(g, t, slope));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 30};

TERN_OP(mish) = {
    .name = "mish",
    .doc = "y = x tanh(softplus(x))",
    .onnx = "Mish",
    .onnx_since = 18,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
