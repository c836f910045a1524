/* less: less than. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] < x[1];
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    return is_unsigned ? (uint64_t)x[0] < (uint64_t)x[1] : x[0] < x[1];
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_NUM, .result_bool = true, .ref = ref, .int_ref = int_ref, .cost = 1};

TERN_OP(less) = {
    .name = "less",
    .doc = "y = a < b; false with NaN",
    .onnx = "Less",
    .onnx_since = 7,
    .trait = TERN__POINTWISE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
};
