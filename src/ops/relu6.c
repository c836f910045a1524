/* relu6: rectifier capped at 6. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] < 0 ? 0 : x[0] > 6 ? 6 : x[0];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value inside =
        tern_graph_op2(g, "logical_and", tern__compare(g, "greater", n->out[0], 0), tern__compare(g, "less", n->out[0], 6), NULL);
    dx[0] = tern__where(g, inside, dy[0], tern__like(g, dy[0], 0));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 2};

TERN_OP(relu6) = {
    .name = "relu6",
    .doc = "y = min(max(x, 0), 6); NaN stays NaN",
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
