/* hard_tanh: piecewise linear tanh. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    double y = x[0] < a[0] ? a[0] : x[0];
    return y > a[1] ? a[1] : y;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value above = tern__compare(g, "greater", n->out[0], tern__attr_float(n, 0));
    tern_value below = tern__compare(g, "less", n->out[0], tern__attr_float(n, 1));
    dx[0] = tern__where(g, tern_graph_op2(g, "logical_and", above, below, NULL), dy[0], tern__like(g, dy[0], 0));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "min_val", .type = TERN_ATTR_FLOAT, .def = -1},
    {.name = "max_val", .type = TERN_ATTR_FLOAT, .def = 1},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 2};

TERN_OP(hard_tanh) = {
    .name = "hard_tanh",
    .doc = "y = min(max(x, min_val), max_val); NaN stays NaN",
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
