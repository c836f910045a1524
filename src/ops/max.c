/* max: maximum of two. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] > x[1] || isnan(x[0]) ? x[0] : x[1];
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    bool first = is_unsigned ? (uint64_t)x[0] > (uint64_t)x[1] : x[0] > x[1];
    return first ? x[0] : x[1];
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* A tie belongs to the first operand. */
    tern_value first = tern_graph_op2(g, "greater_equal", n->in[0], n->in[1], NULL), zero = tern__like(g, dy[0], 0);
    dx[0] = tern__where(g, first, dy[0], zero);
    dx[1] = tern__where(g, first, zero, dy[0]);
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .ref = ref, .int_ref = int_ref, .cost = 1};

TERN_OP(max) = {
    .name = "max",
    .doc = "y = the larger of a and b; NaN wins",
    .onnx = "Max",
    .onnx_since = 8,
    .trait = TERN__POINTWISE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
