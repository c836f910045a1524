/* softsign: softsign. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] / (1 + fabs(x[0]));
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* y' = 1 / (1 + |x|)^2 = (1 - |y|)^2 */
    tern_value rest = tern__add_scalar(g, tern__neg(g, tern__unary(g, "abs", n->out[0])), 1);
    dx[0] = tern__mul(g, dy[0], tern__unary(g, "square", rest));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 5};

TERN_OP(softsign) = {
    .name = "softsign",
    .doc = "y = x / (1 + |x|)",
    .onnx = "Softsign",
    .onnx_since = 1,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
