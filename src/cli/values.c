/* Elements of any type as numbers, and the comparison of what a model gave with what it should have given. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

static double half_value(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double x = e == 31 ? (m ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h & 0x8000 ? -x : x;
}

static double bfloat_value(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

double cli_element(const tern_tensor *t, size_t i)
{
    const void *p = tern_tensor_data(t);
    switch (tern_tensor_dtype(t)) {
    case TERN_F32: return (double)((const float *)p)[i];
    case TERN_F16: return half_value(((const uint16_t *)p)[i]);
    case TERN_BF16: return bfloat_value(((const uint16_t *)p)[i]);
    case TERN_F64: return ((const double *)p)[i];
    case TERN_I8: return ((const int8_t *)p)[i];
    case TERN_I16: return ((const int16_t *)p)[i];
    case TERN_I32: return ((const int32_t *)p)[i];
    case TERN_I64: return (double)((const int64_t *)p)[i];
    case TERN_U8: case TERN_BOOL: return ((const uint8_t *)p)[i];
    case TERN_U16: return ((const uint16_t *)p)[i];
    case TERN_U32: return ((const uint32_t *)p)[i];
    case TERN_U64: return (double)((const uint64_t *)p)[i];
    case TERN_DTYPE_COUNT: break;
    }
    return NAN;
}

/* Nearest, ties to even; what is too large becomes infinite. */
static uint16_t half_bits(double x)
{
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    double a = fabs(x);
    if (isnan(a))
        return 0x7e00;
    if (a >= 65520)
        return sign | 0x7c00;
    int e = a < 0x1p-14 ? -14 : ilogb(a);
    uint32_t m = (uint32_t)nearbyint(ldexp(a, 10 - e)); /* 1024 and more has the implicit bit, which adds one to the exponent */
    return (uint16_t)(sign + ((uint32_t)(e + 14) << 10) + m);
}

static uint16_t bfloat_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return isnan(x) ? 0x7fc0 : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static int64_t whole(double x)
{
    return isnan(x) ? 0 : x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : (int64_t)nearbyint(x);
}

void cli_set_element(tern_tensor *t, size_t i, double x)
{
    void *p = tern_tensor_data(t);
    switch (tern_tensor_dtype(t)) {
    case TERN_F32: ((float *)p)[i] = (float)x; break;
    case TERN_F16: ((uint16_t *)p)[i] = half_bits(x); break;
    case TERN_BF16: ((uint16_t *)p)[i] = bfloat_bits((float)x); break;
    case TERN_F64: ((double *)p)[i] = x; break;
    case TERN_I8: ((int8_t *)p)[i] = (int8_t)whole(x); break;
    case TERN_I16: ((int16_t *)p)[i] = (int16_t)whole(x); break;
    case TERN_I32: ((int32_t *)p)[i] = (int32_t)whole(x); break;
    case TERN_I64: ((int64_t *)p)[i] = whole(x); break;
    case TERN_U8: ((uint8_t *)p)[i] = (uint8_t)whole(x); break;
    case TERN_U16: ((uint16_t *)p)[i] = (uint16_t)whole(x); break;
    case TERN_U32: ((uint32_t *)p)[i] = (uint32_t)whole(x); break;
    case TERN_U64: ((uint64_t *)p)[i] = (uint64_t)whole(x); break;
    case TERN_BOOL: ((uint8_t *)p)[i] = x != 0; break;
    case TERN_DTYPE_COUNT: break;
    }
}

static bool is_float(tern_dtype t)
{
    return t == TERN_F32 || t == TERN_F16 || t == TERN_BF16 || t == TERN_F64;
}

static bool differ(char *why, size_t size, const char *fmt, ...) TERN_PRINTF(3, 4);
static bool differ(char *why, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, size, fmt, ap);
    va_end(ap);
    return false;
}

static bool close_enough(double got, double wanted, double rtol, const cli_tolerance *tol)
{
    if (isnan(wanted) || isnan(got))
        return isnan(wanted) && isnan(got);
    if (isinf(wanted) || isinf(got))
        return wanted == got;
    return fabs(got - wanted) <= tol->atol + rtol * fabs(wanted);
}

/* Where shapes agree: the first element that differs and how many do. */
static bool elements_agree(const tern_tensor *got, const tern_tensor *wanted, const cli_tolerance *tol, char *why, size_t size)
{
    size_t n = tern_tensor_elems(got), wrong = 0, first = 0, width = tern_dtype_size(tern_tensor_dtype(got));
    const char *a = tern_tensor_data(got), *b = tern_tensor_data(wanted);
    bool real = is_float(tern_tensor_dtype(got));
    /* bfloat16 has 8 bits: a neighbour is up to 2^-7 away, and a number that falls between two may have been cut or rounded. */
    double rtol = tern_tensor_dtype(got) == TERN_BF16 && tol->rtol < 0x1p-7 ? 0x1p-7 : tol->rtol;
    for (size_t i = 0; i < n; i++) {
        if (!memcmp(a + i * width, b + i * width, width)) /* 64-bit integers do not all fit a double */
            continue;
        double x = cli_element(got, i), y = cli_element(wanted, i);
        if ((real && close_enough(x, y, rtol, tol)) || (tol->some_dropped && (x == 0 || y == 0)))
            continue;
        if (!wrong++)
            first = i;
    }
    if (!wrong)
        return true;
    return differ(why, size, "element %zu is %.9g, not %.9g; %zu of %zu differ", first, cli_element(got, first), cli_element(wanted, first), wrong, n);
}

static bool tensors_agree(const tern_tensor *got, const tern_tensor *wanted, const cli_tolerance *tol, char *why, size_t size)
{
    const tern_shape *s = tern_tensor_shape(got), *w = tern_tensor_shape(wanted);
    bool same = tern_tensor_dtype(got) == tern_tensor_dtype(wanted) && s->rank == w->rank;
    for (int i = 0; i < s->rank && same; i++)
        same = s->dim[i] == w->dim[i];
    if (!same) {
        char a[176], b[176];
        return differ(why, size, "it is %s, not %s", cli_type(tern_tensor_dtype(got), s, a), cli_type(tern_tensor_dtype(wanted), w, b));
    }
    return tol->type_only || elements_agree(got, wanted, tol, why, size);
}

bool cli_values_agree(const tern_onnx_value *got, const tern_onnx_value *wanted, const cli_tolerance *tol, char *why, size_t size)
{
    static const char *const kind[] = {"nothing", "a tensor", "a sequence"};
    if (got->kind != wanted->kind)
        return differ(why, size, "it is %s, not %s", kind[got->kind], kind[wanted->kind]);
    if (wanted->kind == TERN_ONNX_TENSOR)
        return tensors_agree(got->tensor, wanted->tensor, tol, why, size);
    if (wanted->kind == TERN_ONNX_NOTHING)
        return true;
    if (got->n_items != wanted->n_items)
        return differ(why, size, "it has %d items, not %d", got->n_items, wanted->n_items);
    for (int i = 0; i < got->n_items; i++) {
        char inner[512];
        if (!cli_values_agree(&got->items[i], &wanted->items[i], tol, inner, sizeof inner))
            return differ(why, size, "in item %d %s", i, inner);
    }
    return true;
}
