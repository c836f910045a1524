/* isnan: test for NaN. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return isnan(x[0]);
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .result_bool = true, .ref = ref, .cost = 1};

TERN_OP(isnan) = {
    .name = "isnan",
    .doc = "y = x is not a number",
    .onnx = "IsNaN",
    .onnx_since = 9,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
};
