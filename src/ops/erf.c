/* erf: error function. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return erf(x[0]);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* 2/sqrt(pi) e^(-x^2) */
    tern_value bell = tern__unary(g, "exp", tern__neg(g, tern__unary(g, "square", n->in[0])));
    dx[0] = tern__mul(g, dy[0], tern__mul_scalar(g, bell, 1.12837916709551257390));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 20};

TERN_OP(erf) = {
    .name = "erf",
    .doc = "y = 2/sqrt(pi) * integral of e^(-t^2) from 0 to x",
    .onnx = "Erf",
    .onnx_since = 9,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
