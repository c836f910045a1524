/* reduce_max: largest element over axes. */
#include <math.h>

#include "ops/reduction.h"

static double step(double acc, double x)
{
    return acc > x || isnan(acc) ? acc : x;
}

/* The value that every other replaces. */
static int64_t int_init(tern_dtype t)
{
    return tern__is_unsigned(t) ? 0 : INT64_MIN;
}

static int64_t int_step(int64_t acc, int64_t x, bool is_unsigned)
{
    bool keep = is_unsigned ? (uint64_t)acc > (uint64_t)x : acc > x;
    return keep ? acc : x;
}

static const tern__fold fold = {.init = -INFINITY, .step = step, .int_init = int_init, .int_step = int_step};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_reduce(n, in, out, &fold);
}

static const tern__reduction reduction = {.index = false};

TERN_OP(reduce_max) = {
    .name = "reduce_max",
    .doc = "y = largest element of x over axes (none given: all); NaN wins",
    .onnx = "ReduceMax",
    .onnx_since = 1,
    .trait = TERN__REDUCTION,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = tern__reduce_attrs,
    .n_attrs = TERN_COUNT(tern__reduce_attrs),
    .reduction = &reduction,
    .infer = tern__infer_reduce_some,
    .ref = ref,
    .grad = tern__grad_best, /* as PyTorch's amax and amin: ties share */
};
