/* shift_left: left shift. */
#include "ops/op.h"

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    /* More than the type's own bits leave only zeroes once the result wraps. */
    (void)is_unsigned;
    return (uint64_t)x[1] >= 64 ? 0 : (int64_t)((uint64_t)x[0] << x[1]);
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_INT, .int_ref = int_ref, .cost = 1};

TERN_OP(shift_left) = {
    .name = "shift_left",
    .doc = "y = a << b; 0 where b is negative or not below the type's bits",
    .onnx = "BitShift",
    .onnx_since = 11,
    .trait = TERN__POINTWISE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
};
