/* hard_swish: piecewise quadratic swish (Howard et al. 2019). */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    double h = x[0] + 3;
    return x[0] * (h < 0 ? 0 : h > 6 ? 6 : h) / 6;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* 0 below -3, 1 above 3, x/3 + 1/2 between. */
    tern_value x = n->in[0];
    tern_value middle = tern__mul(g, dy[0], tern__add_scalar(g, tern__mul_scalar(g, x, 1.0 / 3), 0.5));
    tern_value upper = tern__where(g, tern__compare(g, "greater_equal", x, 3), dy[0], middle);
    dx[0] = tern__where(g, tern__compare(g, "less_equal", x, -3), tern__like(g, dy[0], 0), upper);
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 5};

TERN_OP(hard_swish) = {
    .name = "hard_swish",
    .doc = "y = x min(max(x/6 + 1/2, 0), 1)",
    .onnx = "HardSwish",
    .onnx_since = 14,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
