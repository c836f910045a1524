/* mean: arithmetic mean over axes. */
#include "ops/reduction.h"

static double step(double acc, double x)
{
    return acc + x;
}

static double finish(double acc, double n)
{
    return acc / n;
}

static const tern__fold fold = {.init = 0, .step = step, .finish = finish};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_reduce(n, in, out, &fold);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value count = tern__count(g, n->in[0], tern__grad_mask(g, n), tern__dtype_of(g, n->in[0]));
    dx[0] = tern__expand_as(g, tern__div(g, tern__grad_keep(g, n, dy[0]), count), n->in[0]);
    return TERN_OK;
}

static const tern__reduction reduction = {.index = false};

TERN_OP(mean) = {
    .name = "mean",
    .doc = "y = sum of x over axes (none given: all) / number of elements summed; NaN over no elements",
    .onnx = "ReduceMean",
    .onnx_since = 1,
    .trait = TERN__REDUCTION,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = tern__reduce_attrs,
    .n_attrs = TERN_COUNT(tern__reduce_attrs),
    .reduction = &reduction,
    .infer = tern__infer_reduce_float,
    .ref = ref,
    .grad = grad,
};
