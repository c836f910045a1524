/* rsqrt: reciprocal square root. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return 1 / sqrt(x[0]);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value y = n->out[0];
    dx[0] = tern__mul(g, tern__mul_scalar(g, dy[0], -0.5), tern__mul(g, y, tern__mul(g, y, y)));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 4};

TERN_OP(rsqrt) = {
    .name = "rsqrt",
    .doc = "y = 1 / sqrt(x)",
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
