/* reduce_l2: Euclidean norm over axes. */
#include <math.h>

#include "ops/reduction.h"

static double step(double acc, double x)
{
    return acc + x * x;
}

static double finish(double acc, double n)
{
    (void)n;
    return sqrt(acc);
}

static const tern__fold fold = {.init = 0, .step = step, .finish = finish};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_reduce(n, in, out, &fold);
}

/* dx = dy x / y, and 0 where the norm is 0. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value y = tern__grad_keep(g, n, n->out[0]), d = tern__grad_keep(g, n, dy[0]);
    tern_value scale = tern__where(g, tern__compare(g, "greater", y, 0), tern__div(g, d, y), tern__like(g, y, 0));
    dx[0] = tern__mul(g, n->in[0], scale);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    unsigned mask;
    TERN_TRY(tern__reduce_mask(n, tern__shape_of(g, in[0])->rank, &mask));
    tern_value x = tern__widen(g, in[0]);
    tern_value sum = tern__sum_axes(g, tern__mul(g, x, x), mask, tern__attr_int(n, TERN__REDUCE_KEEPDIMS) != 0);
    out[0] = tern__cast(g, tern__unary(g, "sqrt", sum), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(reduce_l2) = {
    .name = "reduce_l2",
    .doc = "y = sqrt(sum of x^2) over axes (none given: all)",
    .onnx = "ReduceL2",
    .onnx_since = 1,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = tern__reduce_attrs,
    .n_attrs = TERN_COUNT(tern__reduce_attrs),
    .infer = tern__infer_reduce_float,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
