/* reduce_l1: sum of absolute values over axes. */
#include <math.h>

#include "ops/reduction.h"

static double step(double acc, double x)
{
    return acc + fabs(x);
}

static const tern__fold fold = {.init = 0, .step = step};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_reduce(n, in, out, &fold);
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    unsigned mask;
    TERN_TRY(tern__reduce_mask(n, tern__shape_of(g, in[0])->rank, &mask));
    out[0] = tern__sum_axes(g, tern__unary(g, "abs", in[0]), mask, tern__attr_int(n, TERN__REDUCE_KEEPDIMS) != 0);
    return TERN_OK;
}

TERN_OP(reduce_l1) = {
    .name = "reduce_l1",
    .doc = "y = sum of |x| over axes (none given: all)",
    .onnx = "ReduceL1",
    .onnx_since = 1,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = tern__reduce_attrs,
    .n_attrs = TERN_COUNT(tern__reduce_attrs),
    .infer = tern__infer_reduce_float,
    .ref = ref,
    .expand = expand,
};
