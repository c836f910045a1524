/* prod: product over axes. */
#include "ops/reduction.h"

static double step(double acc, double x)
{
    return acc * x;
}

static int64_t int_step(int64_t acc, int64_t x, bool is_unsigned)
{
    (void)is_unsigned;
    return (int64_t)((uint64_t)acc * (uint64_t)x);
}

static const tern__fold fold = {.init = 1, .step = step, .int_step = int_step};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_reduce(n, in, out, &fold);
}

/* dy times the product of the others: without dividing by a zero, which is counted apart. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value x = n->in[0];
    const unsigned mask = tern__grad_mask(g, n);
    const tern_dtype t = tern__dtype_of(g, x);
    tern_value is_zero = tern__compare(g, "equal", x, 0), zero = tern__cast(g, is_zero, t);
    tern_value safe = tern__where(g, is_zero, tern__like(g, x, 1), x);
    int n_axes;
    const int64_t *axes = tern__attr_ints(n, TERN__REDUCE_AXES, &n_axes);
    tern_value all = tern_graph_op1(g, "prod", safe, TERN_ATTRS(TERN_INTS("axes", axes, n_axes)));
    tern_value others = tern__div(g, all, safe);
    tern_value zeros_among_others = tern__sub(g, tern__sum_axes(g, zero, mask, true), zero);
    tern_value rest = tern__where(g, tern__compare(g, "equal", zeros_among_others, 0), others, tern__like(g, x, 0));
    dx[0] = tern__mul(g, tern__grad_keep(g, n, dy[0]), rest);
    return TERN_OK;
}

static const tern__reduction reduction = {.index = false};

TERN_OP(prod) = {
    .name = "prod",
    .doc = "y = product of x over axes (none given: all); integers wrap",
    .onnx = "ReduceProd",
    .onnx_since = 1,
    .trait = TERN__REDUCTION,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = tern__reduce_attrs,
    .n_attrs = TERN_COUNT(tern__reduce_attrs),
    .reduction = &reduction,
    .infer = tern__infer_reduce_num,
    .ref = ref,
    .grad = grad,
};
