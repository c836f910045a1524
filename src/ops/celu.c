/* celu: continuously differentiable exponential linear unit. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    return x[0] < 0 ? a[0] * expm1(x[0] / a[0]) : x[0];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* Below 0 the slope is e^(x/alpha) = y / alpha + 1, and y has the sign of x. */
    tern_value slope = tern__add_scalar(g, tern__mul_scalar(g, n->out[0], 1 / tern__attr_float(n, 0)), 1);
    dx[0] = tern__where(g, tern__compare(g, "greater", n->out[0], 0), dy[0], tern__mul(g, dy[0], slope));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "alpha", .type = TERN_ATTR_FLOAT, .def = 1},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 20};

TERN_OP(celu) = {
    .name = "celu",
    .doc = "y = max(x, 0) + min(0, alpha (e^(x/alpha) - 1))",
    .onnx = "Celu",
    .onnx_since = 12,
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
