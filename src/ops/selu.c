/* selu: scaled exponential linear unit. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    return a[1] * (x[0] < 0 ? a[0] * expm1(x[0]) : x[0]);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    double alpha = tern__attr_float(n, 0), gamma = tern__attr_float(n, 1);
    /* Below 0 the slope is gamma alpha e^x = y + gamma alpha. */
    tern_value sign = alpha > 0 && gamma > 0 ? n->out[0] : n->in[0];
    tern_value below = tern__mul(g, dy[0], tern__add_scalar(g, n->out[0], alpha * gamma));
    dx[0] = tern__where(g, tern__compare(g, "greater", sign, 0), tern__mul_scalar(g, dy[0], gamma), below);
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "alpha", .type = TERN_ATTR_FLOAT, .def = 1.67326324235437728482},
    {.name = "gamma", .type = TERN_ATTR_FLOAT, .def = 1.05070098735548049342},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 20};

TERN_OP(selu) = {
    .name = "selu",
    .doc = "y = gamma x for x >= 0, gamma alpha (e^x - 1) below",
    .onnx = "Selu",
    .onnx_since = 6,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
