/* relu: rectifier. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] < 0 ? 0 : x[0];
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    return !is_unsigned && x[0] < 0 ? 0 : x[0];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* y > 0 exactly where x > 0: the input need not be kept. */
    dx[0] = tern__where(g, tern__compare(g, "greater", n->out[0], 0), dy[0], tern__like(g, dy[0], 0));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .ref = ref, .int_ref = int_ref, .cost = 1};

TERN_OP(relu) = {
    .name = "relu",
    .doc = "y = max(x, 0); NaN stays NaN",
    .onnx = "Relu",
    .onnx_since = 6,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
