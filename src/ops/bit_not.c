/* bit_not: bitwise complement. */
#include "ops/op.h"

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    (void)is_unsigned;
    return ~x[0];
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_INT, .int_ref = int_ref, .cost = 1};

TERN_OP(bit_not) = {
    .name = "bit_not",
    .doc = "y = ~x, bit by bit",
    .onnx = "BitwiseNot",
    .onnx_since = 18,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
};
