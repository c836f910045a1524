/* pow: power. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return pow(x[0], x[1]);
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    if (!is_unsigned && x[1] < 0) {
        int64_t odd = x[1] & 1 ? x[0] : 1;
        return x[0] == 1 || x[0] == -1 ? odd : 0;
    }
    uint64_t y = 1, base = (uint64_t)x[0];
    for (uint64_t e = (uint64_t)x[1]; e; e >>= 1, base *= base)
        if (e & 1)
            y *= base;
    return (int64_t)y;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* Where b is 0 the slope is 0 even at a = 0; d/db at a = 0 is taken as 0. */
    tern_value a = n->in[0], b = n->in[1], zero = tern__like(g, dy[0], 0);
    tern_value slope = tern__mul(g, b, tern_graph_op2(g, "pow", a, tern__add_scalar(g, b, -1), NULL));
    dx[0] = tern__where(g, tern__compare(g, "equal", b, 0), zero, tern__mul(g, dy[0], slope));
    tern_value log_a = tern__unary(g, "log", a);
    dx[1] = tern__where(g, tern__compare(g, "greater", a, 0), tern__mul(g, dy[0], tern__mul(g, n->out[0], log_a)), zero);
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .ref = ref, .int_ref = int_ref, .cost = 30};

TERN_OP(pow) = {
    .name = "pow",
    .doc = "y = a^b; integers wrap, and a negative integer power is 1/a^|b| truncated (0 for a = 0)",
    .onnx = "Pow",
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
