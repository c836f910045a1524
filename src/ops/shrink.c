/* shrink: soft and hard shrinkage around zero. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    if (x[0] > a[0])
        return x[0] - a[1];
    if (x[0] < -a[0])
        return x[0] + a[1];
    return x[0] != x[0] ? x[0] : 0;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    double lambd = tern__attr_float(n, 0);
    tern_value outside = tern__compare(g, "greater", tern__unary(g, "abs", n->in[0]), lambd);
    dx[0] = tern__where(g, outside, dy[0], tern__like(g, dy[0], 0));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "lambd", .type = TERN_ATTR_FLOAT, .def = 0.5},
    {.name = "bias", .type = TERN_ATTR_FLOAT, .def = 0},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 3};

TERN_OP(shrink) = {
    .name = "shrink",
    .doc = "y = x + bias for x < -lambd, x - bias for x > lambd, 0 between; NaN stays NaN",
    .onnx = "Shrink",
    .onnx_since = 9,
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
