/* clip: limits. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    double y = x[0] < a[0] ? a[0] : x[0];
    return y > a[1] ? a[1] : y;
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    double v = is_unsigned ? (double)(uint64_t)x[0] : (double)x[0];
    /* A bound is passed only where it lies inside the type, so the conversion is exact but for the cut fraction. */
    if (v > a[1] && v >= a[0])
        return (int64_t)a[1];
    if (v < a[0])
        return (int64_t)(a[0] > a[1] ? a[1] : a[0]);
    return x[0];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value above = tern__compare(g, "greater_equal", n->in[0], tern__attr_float(n, 0));
    tern_value below = tern__compare(g, "less_equal", n->in[0], tern__attr_float(n, 1));
    dx[0] = tern__where(g, tern_graph_op2(g, "logical_and", above, below, NULL), dy[0], tern__like(g, dy[0], 0));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "min", .type = TERN_ATTR_FLOAT, .def = -INFINITY},
    {.name = "max", .type = TERN_ATTR_FLOAT, .def = INFINITY},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .ref = ref, .int_ref = int_ref, .cost = 2};

TERN_OP(clip) = {
    .name = "clip",
    .doc = "y = min(max(x, min), max), bounds of an integer x truncated to its type; NaN stays NaN",
    .onnx = "Clip",
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
