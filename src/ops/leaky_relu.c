/* leaky_relu: leaky rectifier. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    return x[0] < 0 ? a[0] * x[0] : x[0];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    double alpha = tern__attr_float(n, 0);
    /* The result has the input's sign if alpha is positive; then the input need not be kept. */
    tern_value sign = alpha > 0 ? n->out[0] : n->in[0];
    dx[0] = tern__where(g, tern__compare(g, "greater", sign, 0), dy[0], tern__mul_scalar(g, dy[0], alpha));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "alpha", .type = TERN_ATTR_FLOAT, .def = 0.01},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 2};

TERN_OP(leaky_relu) = {
    .name = "leaky_relu",
    .doc = "y = x for x >= 0, alpha x below",
    .onnx = "LeakyRelu",
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
