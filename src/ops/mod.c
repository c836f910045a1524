/* mod: remainder. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return fmod(x[0], x[1]);
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    if (x[1] == 0 || (!is_unsigned && x[1] == -1))
        return 0;
    if (is_unsigned)
        return (int64_t)((uint64_t)x[0] % (uint64_t)x[1]);
    int64_t r = x[0] % x[1];
    return r != 0 && (r < 0) != (x[1] < 0) ? r + x[1] : r;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    /* y = a - q b with q = trunc(a / b), found again as the nearest integer to (a - y) / b. */
    tern_value q = tern__unary(g, "round", tern__div(g, tern__sub(g, n->in[0], n->out[0]), n->in[1]));
    dx[0] = dy[0];
    dx[1] = tern__neg(g, tern__mul(g, dy[0], q));
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .ref = ref, .int_ref = int_ref, .cost = 4};

TERN_OP(mod) = {
    .name = "mod",
    .doc = "y = a modulo b: integers take the sign of b as in Python and a mod 0 is 0; floating point takes the sign of a as C's fmod",
    .onnx = "Mod",
    .onnx_since = 10,
    .trait = TERN__POINTWISE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
