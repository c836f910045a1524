/* div: division. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] / x[1];
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    if (x[1] == 0)
        return 0;
    if (is_unsigned)
        return (int64_t)((uint64_t)x[0] / (uint64_t)x[1]);
    return x[1] == -1 ? (int64_t)(0 - (uint64_t)x[0]) : x[0] / x[1];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* db = -dy a / b^2, written with y = a / b so that a need not be kept. */
    dx[0] = tern__div(g, dy[0], n->in[1]);
    dx[1] = tern__neg(g, tern__mul(g, dx[0], n->out[0]));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .ref = ref, .int_ref = int_ref, .cost = 4};

TERN_OP(div) = {
    .name = "div",
    .doc = "y = a / b; integers truncate towards zero, a / 0 is 0 and the smallest integer / -1 wraps to itself",
    .onnx = "Div",
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
