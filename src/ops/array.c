/* Elements of host arrays as numbers whatever their dtype, and the arithmetic of indices. */
#include "ops/op.h"

#include "base/half.h"

#include <math.h>

double tern__array_get(const tern__array *a, int64_t i)
{
    switch (a->type.dtype) {
    case TERN_F32:
        return ((const float *)a->data)[i];
    case TERN_F16:
        return tern__f16_to_f32(((const uint16_t *)a->data)[i]);
    case TERN_BF16:
        return tern__bf16_to_f32(((const uint16_t *)a->data)[i]);
    case TERN_F64:
        return ((const double *)a->data)[i];
    case TERN_U64:
        return (double)((const uint64_t *)a->data)[i];
    default:
        return (double)tern__array_get_int(a, i);
    }
}

/* C leaves the conversion of a number that does not fit undefined; here it is the nearest end, and 0 for NaN. */
static int64_t to_int(double x)
{
    if (isnan(x))
        return 0;
    if (x >= 0x1p63)
        return x >= 0x1p64 ? -1 : (int64_t)(uint64_t)x;
    return x <= -0x1p63 ? INT64_MIN : (int64_t)x;
}

int64_t tern__array_get_int(const tern__array *a, int64_t i)
{
    switch (a->type.dtype) {
    case TERN_I8:
        return ((const int8_t *)a->data)[i];
    case TERN_I16:
        return ((const int16_t *)a->data)[i];
    case TERN_I32:
        return ((const int32_t *)a->data)[i];
    case TERN_I64:
        return ((const int64_t *)a->data)[i];
    case TERN_U8:
    case TERN_BOOL:
        return ((const uint8_t *)a->data)[i];
    case TERN_U16:
        return ((const uint16_t *)a->data)[i];
    case TERN_U32:
        return ((const uint32_t *)a->data)[i];
    case TERN_U64:
        return (int64_t)((const uint64_t *)a->data)[i];
    default:
        return to_int(tern__array_get(a, i));
    }
}

/* Rounding twice (double to float to 16 bits) can err by one bit; rounding the float to odd first cannot. */
static float to_odd(double x)
{
    float f = (float)x;
    if ((double)f == x || isnan(x) || isinf(f))
        return f;
    union { float f; uint32_t u; } bits = {.f = f};
    if (bits.u & 1)
        return f;
    return fabs((double)f) < fabs(x) ? (bits.u |= 1, bits.f) : (bits.u -= 1, bits.f);
}

void tern__array_set(const tern__array *a, int64_t i, double x)
{
    switch (a->type.dtype) {
    case TERN_F32:
        ((float *)a->data)[i] = (float)x;
        break;
    case TERN_F16:
        ((uint16_t *)a->data)[i] = tern__f32_to_f16(to_odd(x));
        break;
    case TERN_BF16:
        ((uint16_t *)a->data)[i] = tern__f32_to_bf16(to_odd(x));
        break;
    case TERN_F64:
        ((double *)a->data)[i] = x;
        break;
    case TERN_BOOL:
        ((uint8_t *)a->data)[i] = x != 0;
        break;
    default:
        tern__array_set_int(a, i, to_int(x));
    }
}

void tern__array_set_int(const tern__array *a, int64_t i, int64_t x)
{
    switch (a->type.dtype) {
    case TERN_I8:
    case TERN_U8:
        ((uint8_t *)a->data)[i] = (uint8_t)x;
        break;
    case TERN_I16:
    case TERN_U16:
        ((uint16_t *)a->data)[i] = (uint16_t)x;
        break;
    case TERN_I32:
    case TERN_U32:
        ((uint32_t *)a->data)[i] = (uint32_t)x;
        break;
    case TERN_I64:
    case TERN_U64:
        ((uint64_t *)a->data)[i] = (uint64_t)x;
        break;
    case TERN_BOOL:
        ((uint8_t *)a->data)[i] = x != 0;
        break;
    default:
        tern__array_set(a, i, (double)x);
    }
}

void tern__strides(const tern_shape *s, int64_t stride[TERN_MAX_RANK])
{
    int64_t step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= s->dim[i];
    }
}

bool tern__next_index(const tern_shape *s, int64_t coord[TERN_MAX_RANK])
{
    for (int i = s->rank - 1; i >= 0; i--) {
        if (++coord[i] < s->dim[i])
            return true;
        coord[i] = 0;
    }
    return false;
}

int64_t tern__linear(const tern_shape *s, const int64_t *coord)
{
    int64_t at = 0;
    for (int i = 0; i < s->rank; i++)
        at = at * s->dim[i] + coord[i];
    return at;
}

int64_t tern__broadcast_linear(const tern_shape *in, const tern_shape *out, const int64_t *coord)
{
    int64_t at = 0;
    for (int i = 0; i < in->rank; i++)
        at = at * in->dim[i] + (in->dim[i] == 1 ? 0 : coord[out->rank - in->rank + i]);
    return at;
}
