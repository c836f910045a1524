/* identity: identity. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0];
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    (void)is_unsigned;
    return x[0];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)n;
    (void)g;
    dx[0] = dy[0];
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_ANY, .ref = ref, .int_ref = int_ref, .cost = 0};

TERN_OP(identity) = {
    .name = "identity",
    .doc = "y = x",
    .onnx = "Identity",
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
