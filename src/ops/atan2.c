/* atan2: angle of a point. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return atan2(x[0], x[1]);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value a = n->in[0], b = n->in[1];
    tern_value r = tern__div(g, dy[0], tern__add(g, tern__unary(g, "square", a), tern__unary(g, "square", b)));
    dx[0] = tern__mul(g, r, b);
    dx[1] = tern__neg(g, tern__mul(g, r, a));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 30};

TERN_OP(atan2) = {
    .name = "atan2",
    .doc = "y = the angle of the point (x = b, y = a), in (-pi, pi]",
    .trait = TERN__POINTWISE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
