/* prelu: rectifier with a learned slope. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] < 0 ? x[1] * x[0] : x[0];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value x = n->in[0], zero = tern__like(g, dy[0], 0), positive = tern__compare(g, "greater_equal", x, 0);
    dx[0] = tern__where(g, positive, dy[0], tern__mul(g, dy[0], n->in[1]));
    dx[1] = tern__where(g, positive, zero, tern__mul(g, dy[0], x));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 2};

TERN_OP(prelu) = {
    .name = "prelu",
    .doc = "y = x for x >= 0, slope * x below; slope broadcasts",
    .onnx = "PRelu",
    .onnx_since = 7,
    .trait = TERN__POINTWISE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
