/* isinf: test for infinity. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    return isinf(x[0]) && a[x[0] > 0] != 0;
}

static const tern__attr_decl attrs[] = {
    {.name = "detect_negative", .type = TERN_ATTR_INT, .def = 1},
    {.name = "detect_positive", .type = TERN_ATTR_INT, .def = 1},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .result_bool = true, .ref = ref, .cost = 1};

TERN_OP(isinf) = {
    .name = "isinf",
    .doc = "y = x is infinite; detect_negative and detect_positive 0 leave one side out",
    .onnx = "IsInf",
    .onnx_since = 10,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
};
