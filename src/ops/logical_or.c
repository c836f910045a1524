/* logical_or: a or b. */
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return x[0] != 0 || x[1] != 0;
}

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    (void)is_unsigned;
    return x[0] != 0 || x[1] != 0;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_BOOL, .result_bool = true, .ref = ref, .int_ref = int_ref, .cost = 1};

TERN_OP(logical_or) = {
    .name = "logical_or",
    .doc = "y = a or b",
    .onnx = "Or",
    .onnx_since = 7,
    .trait = TERN__POINTWISE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
};
