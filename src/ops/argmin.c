/* argmin: index of the smallest element. */
#include "ops/reduction.h"

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_arg(n, in, out, false);
}

static const tern__reduction reduction = {.index = true};

TERN_OP(argmin) = {
    .name = "argmin",
    .doc = "y = i64 index along the axis (none given: among all elements, row-major) of the first smallest element of x; NaN counts as smallest",
    .onnx = "ArgMin",
    .onnx_since = 1,
    .trait = TERN__REDUCTION,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = tern__reduce_attrs,
    .n_attrs = TERN_COUNT(tern__reduce_attrs),
    .reduction = &reduction,
    .infer = tern__infer_reduce_index,
    .ref = ref,
    .grad = tern__grad_nothing, /* Constant almost everywhere: nothing flows. */
};
