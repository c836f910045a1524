/* logical_not: negation of a condition. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] == 0;
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    (void)is_unsigned;
    return x[0] == 0;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_BOOL, .result_bool = true, .ref = ref, .int_ref = int_ref, .cost = 1};

TERN_OP(logical_not) = {
    .name = "logical_not",
    .doc = "y = not x",
    .onnx = "Not",
    .onnx_since = 1,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
};
