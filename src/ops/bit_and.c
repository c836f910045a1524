/* bit_and: bitwise and. */
#include "ops/op.h"

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    (void)is_unsigned;
    return x[0] & x[1];
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_INT, .int_ref = int_ref, .cost = 1};

TERN_OP(bit_and) = {
    .name = "bit_and",
    .doc = "y = a & b, bit by bit",
    .onnx = "BitwiseAnd",
    .onnx_since = 18,
    .trait = TERN__POINTWISE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
};
