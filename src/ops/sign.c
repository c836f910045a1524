/* sign: sign. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] > 0 ? 1 : x[0] < 0 ? -1 : x[0];
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    if (is_unsigned)
        return x[0] != 0;
    return (x[0] > 0) - (x[0] < 0);
}

/* Flat wherever it is continuous: nothing flows back. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .ref = ref, .int_ref = int_ref, .cost = 1};

TERN_OP(sign) = {
    .name = "sign",
    .doc = "y = -1, 0 or 1 as x is negative, zero or positive; NaN stays NaN",
    .onnx = "Sign",
    .onnx_since = 9,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
