/* thresholded_relu: rectifier with a threshold of its own. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    return x[0] > a[0] ? x[0] : 0;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value passes = tern__compare(g, "greater", n->in[0], tern__attr_float(n, 0));
    dx[0] = tern__where(g, passes, dy[0], tern__like(g, dy[0], 0));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "alpha", .type = TERN_ATTR_FLOAT, .def = 1},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 2};

TERN_OP(thresholded_relu) = {
    .name = "thresholded_relu",
    .doc = "y = x for x > alpha, else 0",
    .onnx = "ThresholdedRelu",
    .onnx_since = 10,
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
