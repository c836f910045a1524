/* shift_right: right shift. */
#include "ops/op.h"

static int64_t int_ref(const int64_t *x, const double *a, bool is_unsigned)
{
    (void)a;
    uint64_t by = (uint64_t)x[1];
    if (is_unsigned)
        return by >= 64 ? 0 : (int64_t)((uint64_t)x[0] >> by);
    return x[0] >> (by >= 64 ? 63 : by);
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_INT, .int_ref = int_ref, .cost = 1};

TERN_OP(shift_right) = {
    .name = "shift_right",
    .doc = "y = a >> b, filled with the sign of a; only the fill where b is negative or not below the type's bits",
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
