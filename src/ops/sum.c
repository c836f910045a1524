/* sum: sum over axes. */
#include "ops/reduction.h"

static double step(double acc, double x)
{
    return acc + x;
}

static int64_t int_step(int64_t acc, int64_t x, bool is_unsigned)
{
    (void)is_unsigned;
    return (int64_t)((uint64_t)acc + (uint64_t)x);
}

static const tern__fold fold = {.init = 0, .step = step, .int_step = int_step};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_reduce(n, in, out, &fold);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern__expand_as(g, tern__grad_keep(g, n, dy[0]), n->in[0]);
    return TERN_OK;
}

static const tern__reduction reduction = {.index = false};

TERN_OP(sum) = {
    .name = "sum",
    .doc = "y = sum of x over axes (none given: all); integers wrap",
    .onnx = "ReduceSum",
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
