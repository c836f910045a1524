/* hard_sigmoid: piecewise linear sigmoid. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    double y = a[0] * x[0] + a[1];
    return y < 0 ? 0 : y > 1 ? 1 : y;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value y = n->out[0];
    tern_value inside = tern_graph_op2(g, "logical_and", tern__compare(g, "greater", y, 0), tern__compare(g, "less", y, 1), NULL);
    dx[0] = tern__where(g, inside, tern__mul_scalar(g, dy[0], tern__attr_float(n, 0)), tern__like(g, dy[0], 0));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "alpha", .type = TERN_ATTR_FLOAT, .def = 0.2},
    {.name = "beta", .type = TERN_ATTR_FLOAT, .def = 0.5},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 4};

TERN_OP(hard_sigmoid) = {
    .name = "hard_sigmoid",
    .doc = "y = min(max(alpha x + beta, 0), 1); NaN stays NaN",
    .onnx = "HardSigmoid",
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
