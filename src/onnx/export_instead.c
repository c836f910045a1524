/* What stands in a model for ops that ONNX lacks: other ops that give the same numbers. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "onnx/export.h"
#include "ops/common.h"
#include "ops/conv_ref.h"
#include "ops/movement.h"
#include "ops/pool.h"
#include "ops/scatter.h"

/* --- Element by element --- In f32 at least, where several steps would round several times. */

typedef tern_value function(tern_graph *g, tern_value x, const tern__node *n);

static tern_status widely(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out, function *f)
{
    out[0] = tern__cast(g, f(g, tern__widen(g, in[0]), n), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

tern_status tern__instead_square(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    out[0] = tern__mul(g, in[0], in[0]);
    return TERN_OK;
}

static tern_value rsqrt(tern_graph *g, tern_value x, const tern__node *n)
{
    (void)n;
    return tern__unary(g, "reciprocal", tern__unary(g, "sqrt", x));
}

tern_status tern__instead_rsqrt(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, rsqrt);
}

static tern_value two_to(tern_graph *g, tern_value x, const tern__node *n)
{
    (void)n;
    return tern_graph_op2(g, "pow", tern__like(g, x, 2), x, NULL);
}

tern_status tern__instead_exp2(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, two_to);
}

static tern_value binary_log(tern_graph *g, tern_value x, const tern__node *n)
{
    (void)n;
    return tern__mul_scalar(g, tern__unary(g, "log", x), 1.44269504088896340736);
}

tern_status tern__instead_log2(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, binary_log);
}

/* Near 0 ln(1 + x) = 2 artanh(x / (2 + x)) = 2 (u + u^3/3 + u^5/5 ...), which keeps the digits that 1 + x drops. */
static tern_value log_1p(tern_graph *g, tern_value x, const tern__node *n)
{
    enum { LAST = 17 }; /* |u| < 1/9: the next term is below the digits of f64 */
    (void)n;
    tern_value u = tern__div(g, x, tern__add_scalar(g, x, 2)), uu = tern__mul(g, u, u), sum = tern__like(g, x, 2.0 / LAST);
    for (int k = LAST - 2; k > 0; k -= 2)
        sum = tern__add_scalar(g, tern__mul(g, sum, uu), 2.0 / k);
    tern_value far = tern__unary(g, "log", tern__add_scalar(g, x, 1));
    return tern__where(g, tern__compare(g, "less", tern__unary(g, "abs", x), 0.2), tern__mul(g, u, sum), far);
}

tern_status tern__instead_log1p(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, log_1p);
}

/* e^x - 1 = tanh(x/2) (e^x + 1), which loses nothing near 0. */
static tern_value exp_m1(tern_graph *g, tern_value x, const tern__node *n)
{
    (void)n;
    return tern__mul(g, tern__unary(g, "tanh", tern__mul_scalar(g, x, 0.5)), tern__add_scalar(g, tern__unary(g, "exp", x), 1));
}

tern_status tern__instead_expm1(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, exp_m1);
}

/* The angle from arctan(y / x), a half turn further where x is negative; two infinities stand for two ones. -0 counts as 0. */
tern_status tern__instead_atan2(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const double pi = 3.14159265358979323846;
    (void)n;
    tern_value y = tern__widen(g, in[0]), x = tern__widen(g, in[1]);
    tern_value both = tern_graph_op2(g, "logical_and", tern__unary(g, "isinf", y), tern__unary(g, "isinf", x), NULL);
    y = tern__where(g, both, tern__unary(g, "sign", y), y);
    x = tern__where(g, both, tern__unary(g, "sign", x), x);
    tern_value half_turn = tern__where(g, tern__compare(g, "less", y, 0), tern__like(g, y, -pi), tern__like(g, y, pi));
    tern_value left = tern__where(g, tern__compare(g, "less", x, 0), half_turn, tern__like(g, y, 0));
    tern_value origin = tern_graph_op2(g, "logical_and", tern__compare(g, "equal", y, 0), tern__compare(g, "equal", x, 0), NULL);
    tern_value angle = tern__unary(g, "atan", tern__div(g, y, tern__where(g, origin, tern__like(g, x, 1), x)));
    out[0] = tern__cast(g, tern__add(g, angle, left), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

/* relu6 and hard_tanh, and clip of integers to bounds beyond their type, which do nothing. */
tern_status tern__instead_clip(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const bool six = strcmp(n->op->name, "relu6") == 0, clip = strcmp(n->op->name, "clip") == 0;
    double lo = six ? 0 : tern__attr_float(n, 0), hi = six ? 6 : tern__attr_float(n, 1);
    if (clip) {
        double least, most;
        tern__export_limits(tern__dtype_of(g, in[0]), &least, &most);
        if (lo > most || hi < least || isnan(lo) || isnan(hi))
            return TERN_OK;
        lo = lo < least ? -INFINITY : lo;
        hi = hi > most ? INFINITY : hi;
    }
    out[0] = tern_graph_op1(g, "clip", in[0], TERN_ATTRS(TERN_FLOAT("min", lo), TERN_FLOAT("max", hi)));
    return TERN_OK;
}

void tern__export_limits(tern_dtype t, double *least, double *most)
{
    const int bits = 8 * (int)tern_dtype_size(t);
    const bool is_signed = !tern__is_unsigned(t);
    *least = is_signed ? -ldexp(1, bits - 1) : 0;
    *most = bits == 64 ? nextafter(ldexp(1, bits - is_signed), 0) : ldexp(1, bits - is_signed) - 1;
}

bool tern__export_cast_limits(tern_dtype to, double *lo, double *hi)
{
    const bool narrow = tern_dtype_size(to) <= 2;
    if (!tern__dtype_is(to, TERN__T_INT) || (!narrow && !tern__is_unsigned(to)))
        return false;
    tern__export_limits(to, lo, hi);
    *hi = narrow ? *hi : INFINITY;
    return true;
}

tern_status tern__instead_cast(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_dtype to;
    double lo, hi;
    TERN_TRY(tern__attr_dtype(n, 0, TERN__T_ANY, &to));
    if (!tern__export_cast_limits(to, &lo, &hi))
        return TERN_OK;
    tern_value x = tern_graph_op1(g, "clip", tern__widen(g, in[0]), TERN_ATTRS(TERN_FLOAT("min", lo), TERN_FLOAT("max", hi)));
    out[0] = tern__cast(g, x, to);
    return TERN_OK;
}

tern_status tern__instead_not_equal(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    out[0] = tern__unary(g, "logical_not", tern_graph_op2(g, "equal", in[0], in[1], NULL));
    return TERN_OK;
}

static tern_value gelu(tern_graph *g, tern_value x, const tern__node *n)
{
    tern_value inner;
    if (tern__attr_int(n, 0)) {
        tern_value cube = tern__mul(g, tern__mul(g, x, x), x);
        inner = tern__mul_scalar(g, tern__add(g, x, tern__mul_scalar(g, cube, 0.044715)), 0.79788456080286535588);
        inner = tern__unary(g, "tanh", inner);
    } else {
        inner = tern__unary(g, "erf", tern__div(g, x, tern__like(g, x, 1.41421356237309504880)));
    }
    return tern__mul_scalar(g, tern__mul(g, x, tern__add_scalar(g, inner, 1)), 0.5);
}

tern_status tern__instead_gelu(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, gelu);
}

static tern_value silu(tern_graph *g, tern_value x, const tern__node *n)
{
    (void)n;
    return tern__mul(g, x, tern__unary(g, "sigmoid", x));
}

tern_status tern__instead_silu(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, silu);
}

static tern_value mish(tern_graph *g, tern_value x, const tern__node *n)
{
    (void)n;
    return tern__mul(g, x, tern__unary(g, "tanh", tern__unary(g, "softplus", x)));
}

tern_status tern__instead_mish(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, mish);
}

static tern_value celu(tern_graph *g, tern_value x, const tern__node *n)
{
    const double alpha = tern__attr_float(n, 0);
    tern_value below = tern__mul_scalar(g, exp_m1(g, tern__mul_scalar(g, x, 1 / alpha), n), alpha);
    return tern__where(g, tern__compare(g, "less", x, 0), below, x);
}

tern_status tern__instead_celu(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return widely(g, n, in, out, celu);
}

tern_status tern__instead_neg(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    out[0] = tern__sub(g, tern__like(g, in[0], 0), in[0]);
    return TERN_OK;
}

tern_status tern__instead_relu(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    out[0] = tern_graph_op2(g, "max", in[0], tern__like(g, in[0], 0), NULL);
    return TERN_OK;
}

/* ONNX has no powers of u64: those of i64 have the same bits. */
tern_status tern__instead_pow(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    if (tern__dtype_of(g, in[0]) == TERN_U64)
        out[0] = tern__cast(g, tern_graph_op2(g, "pow", tern__cast(g, in[0], TERN_I64), tern__cast(g, in[1], TERN_I64), NULL), TERN_U64);
    return TERN_OK;
}

/* Signed numbers shift as unsigned ones; to the right a negative one as its complement, -1 - x, so that the sign fills. */
tern_status tern__instead_shift(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    static const tern_dtype without_sign[TERN_DTYPE_COUNT] = {[TERN_I8] = TERN_U8, [TERN_I16] = TERN_U16, [TERN_I32] = TERN_U32, [TERN_I64] = TERN_U64};
    const tern_dtype t = tern__dtype_of(g, in[0]), u = without_sign[t];
    if (!u)
        return TERN_OK;
    tern_value by = tern__cast(g, in[1], u);
    if (strcmp(n->op->name, "shift_left") == 0) {
        out[0] = tern__cast(g, tern_graph_op2(g, "shift_left", tern__cast(g, in[0], u), by, NULL), t);
        return TERN_OK;
    }
    tern_value negative = tern__compare(g, "less", in[0], 0), rest = tern__like(g, in[0], -1);
    tern_value bits = tern__where(g, negative, tern__sub(g, rest, in[0]), in[0]);
    tern_value y = tern__cast(g, tern_graph_op2(g, "shift_right", tern__cast(g, bits, u), by, NULL), t);
    out[0] = tern__where(g, negative, tern__sub(g, rest, y), y);
    return TERN_OK;
}

/* Among all elements: along a flat list. */
tern_status tern__instead_arg(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_shape flat = {.rank = 1, .dim = {tern__elems(tern__shape_of(g, in[0]))}};
    const int64_t axis = 0;
    const tern_shape made = *tern__shape_of(g, in[0]);
    tern_shape s = {.rank = tern__attr_int(n, 1) ? made.rank : 0};
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = 1;
    tern_value y = tern_graph_op1(g, n->op->name, tern__reshape(g, in[0], &flat), TERN_ATTRS(TERN_INTS("axes", &axis, 1), TERN_INT("keepdims", 0)));
    out[0] = tern__reshape(g, y, &s);
    return TERN_OK;
}

/* --- Products and convolutions --- */

static tern_value turned(tern_graph *g, tern_value v, bool turn)
{
    int perm[TERN_MAX_RANK];
    const int rank = tern__shape_of(g, v)->rank;
    for (int i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return turn && rank > 1 ? tern__transpose(g, v, perm) : v;
}

/* Gemm transposes matrices itself; in batches they are transposed first. */
tern_status tern__instead_matmul(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const bool matrices = tern__shape_of(g, in[0])->rank == 2 && tern__shape_of(g, in[1])->rank == 2;
    if (matrices && tern__dtype_is(tern__dtype_of(g, in[0]), TERN__T_FLOAT))
        out[0] = tern_graph_op2(g, "gemm", in[0], in[1], TERN_ATTRS(TERN_INT("trans_a", tern__attr_int(n, 0)), TERN_INT("trans_b", tern__attr_int(n, 1))));
    else
        out[0] = tern_graph_op2(g, "matmul", turned(g, in[0], tern__attr_int(n, 0)), turned(g, in[1], tern__attr_int(n, 1)), NULL);
    return TERN_OK;
}

/* [from, from + (count - 1) step] along the spatial axes. */
static tern_value spatial_slice(tern_graph *g, tern_value v, int dims, const int64_t *from, const int64_t *count, const int64_t *step)
{
    int64_t ends[3], axes[3];
    for (int d = 0; d < dims; d++) {
        ends[d] = from[d] + (count[d] - 1) * step[d] + 1;
        axes[d] = 2 + d;
    }
    return tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", from, dims), TERN_INTS("ends", ends, dims), TERN_INTS("axes", axes, dims),
                                                    TERN_INTS("steps", step, dims)));
}

static tern_value spatial_pad(tern_graph *g, tern_value v, int dims, const int64_t *before, const int64_t *after)
{
    int64_t pads[2 * TERN_MAX_RANK] = {0};
    for (int d = 0; d < dims; d++) {
        pads[2 + d] = before[d];
        pads[dims + 4 + d] = after[d];
    }
    return tern_graph_op1(g, "pad", v, TERN_ATTRS(TERN_INTS("pads", pads, 2 * (dims + 2))));
}

/* A convolution of integers: for each tap of the kernel a product of matrices, which ONNX has for integers too. */
tern_status tern__instead_conv(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    enum { MOST_TAPS = 1024 };
    tern__spatial sp;
    TERN_TRY(tern__conv_geometry(n, (const tern__type[]){*tern__type_of(g, in[0]), *tern__type_of(g, in[1])}, &sp));
    const int dims = sp.n_dims, first = 3 - dims;
    const int64_t taps = sp.kernel[0] * sp.kernel[1] * sp.kernel[2], plane = sp.out[0] * sp.out[1] * sp.out[2], one[3] = {1, 1, 1};
    if (taps > MOST_TAPS || tern__elems(tern__shape_of(g, n->in[0])) == 0)
        return TERN_OK;
    const tern_shape columns = {.rank = 4, .dim = {sp.batch, sp.group, sp.c_in / sp.group, plane}};
    const tern_shape rows = {.rank = 3, .dim = {sp.group, sp.c_out / sp.group, sp.c_in / sp.group}};
    tern_value x = spatial_pad(g, in[0], dims, sp.pad + first, sp.pad_end + first), y = TERN_NONE;
    for (int64_t k = 0; k < taps; k++) {
        const int64_t tap[3] = {k / sp.kernel[2] / sp.kernel[1], k / sp.kernel[2] % sp.kernel[1], k % sp.kernel[2]};
        const int64_t from[3] = {tap[0] * sp.dilation[0], tap[1] * sp.dilation[1], tap[2] * sp.dilation[2]};
        tern_value a = tern__reshape(g, spatial_slice(g, in[1], dims, tap + first, one, one), &rows);
        tern_value b = tern__reshape(g, spatial_slice(g, x, dims, from + first, sp.out + first, sp.stride + first), &columns);
        tern_value part = tern_graph_op2(g, "matmul", a, b, NULL);
        y = y == TERN_NONE ? part : tern__add(g, y, part);
    }
    const tern_shape s = tern__spatial_shape(&sp, sp.c_out, sp.out);
    y = tern__reshape(g, y, &s);
    out[0] = tern__has_input(n, 2) ? tern__add(g, y, tern__per_channel(g, in[2], s.rank)) : y;
    return TERN_OK;
}

/* An operand of 8-bit integers as i32 less its zero point, which has one number or one for each position of an axis. */
static tern_value centred(tern_graph *g, tern_value x, tern_value zero, int axis)
{
    tern_shape s = {.rank = tern__shape_of(g, x)->rank};
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = i == axis ? tern__elems(tern__shape_of(g, zero)) : 1;
    return tern__sub(g, tern__cast(g, x, TERN_I32), tern__cast(g, tern__reshape(g, zero, &s), TERN_I32));
}

/* Operators for 8-bit integers exist, but which types and zero points they take differs from runtime to runtime: products of i32 do not. */
tern_status tern__instead_conv_integer(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    out[0] = tern__conv_like(g, n, centred(g, in[0], in[2], 1), centred(g, in[1], in[3], 0));
    return TERN_OK;
}

tern_status tern__instead_matmul_integer(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const bool trans_b = tern__attr_int(n, 1) != 0;
    out[0] = tern_graph_op2(g, "matmul", centred(g, in[0], in[2], 0), centred(g, in[1], in[3], trans_b ? 0 : 1),
                            TERN_ATTRS(TERN_INT("trans_a", tern__attr_int(n, 0)), TERN_INT("trans_b", trans_b)));
    return TERN_OK;
}

/* The gradient of a convolution's input is the transposed convolution. */
tern_status tern__instead_conv_grad_input(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern__spatial sp;
    TERN_TRY(tern__conv_geometry(n, (const tern__type[]){*tern__type_of(g, in[0]), *tern__type_of(g, in[1])}, &sp));
    const int dims = sp.n_dims, first = 3 - dims;
    int64_t extra[3], pads[6];
    for (int i = 0; i < dims; i++) {
        const int d = first + i;
        pads[i] = sp.pad[d];
        pads[dims + i] = sp.pad_end[d];
        extra[i] = sp.in[d] - ((sp.out[d] - 1) * sp.stride[d] - sp.pad[d] - sp.pad_end[d] + (sp.kernel[d] - 1) * sp.dilation[d] + 1);
    }
    out[0] = tern_graph_op2(g, "conv_transpose", in[0], in[1],
                            TERN_ATTRS(TERN_INTS("strides", sp.stride + first, dims), TERN_INTS("dilations", sp.dilation + first, dims),
                                       TERN_INTS("pads", pads, 2 * dims), TERN_INT("group", sp.group), TERN_INTS("output_padding", extra, dims)));
    return TERN_OK;
}

static tern_value first_two_exchanged(tern_graph *g, tern_value v)
{
    int perm[TERN_MAX_RANK] = {1, 0};
    const int rank = tern__shape_of(g, v)->rank;
    for (int i = 2; i < rank; i++)
        perm[i] = i;
    return tern__transpose(g, v, perm);
}

static tern_value channels(tern_graph *g, tern_value v, int64_t from, int64_t count)
{
    const int64_t axis = 1, end = from + count;
    return tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", &from, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &axis, 1)));
}

/* The gradient of a convolution's weight is a convolution over the batch in which strides and dilations change places; one for each group. */
tern_status tern__instead_conv_grad_weight(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern__spatial sp;
    TERN_TRY(tern__conv_geometry(n, (const tern__type[]){*tern__type_of(g, in[0]), *tern__type_of(g, in[1])}, &sp));
    const int dims = sp.n_dims, first = 3 - dims;
    const int64_t c = sp.c_in / sp.group, m = sp.c_out / sp.group, zero[3] = {0}, one[3] = {1, 1, 1};
    int64_t pads[6];
    for (int i = 0; i < dims; i++) {
        pads[i] = sp.pad[first + i];
        pads[dims + i] = sp.pad_end[first + i];
    }
    tern_value *parts = tern__alloc_array((size_t)sp.group, sizeof *parts);
    if (!parts)
        return tern__fail(TERN_E_NOMEM, "%s: %lld groups", n->op->name, (long long)sp.group);
    for (int64_t k = 0; k < sp.group; k++) {
        tern_value x = first_two_exchanged(g, channels(g, in[0], k * c, c)), dy = first_two_exchanged(g, channels(g, in[1], k * m, m));
        tern_value w = tern_graph_op2(g, "conv", x, dy, TERN_ATTRS(TERN_INTS("strides", sp.dilation + first, dims),
                                                                  TERN_INTS("dilations", sp.stride + first, dims), TERN_INTS("pads", pads, 2 * dims)));
        parts[k] = first_two_exchanged(g, spatial_slice(g, w, dims, zero, sp.kernel + first, one));
    }
    out[0] = tern_graph_add(g, "concat", parts, (int)sp.group, TERN_ATTRS(TERN_INT("axis", 0)));
    tern__free(parts);
    return TERN_OK;
}

/* --- Pools --- */

/* over / (what the window's sum is divided by) of each window as a constant that broadcasts over [N, C, spatial...]. */
static tern_value window_numbers(tern_graph *g, const tern__node *n, const tern__spatial *sp, tern_dtype t, double over)
{
    const tern_shape s = tern__spatial_shape(&(tern__spatial){.n_dims = sp->n_dims, .batch = 1}, 1, sp->out);
    const tern__type type = {.dtype = t, .shape = s};
    tern__blob *b = tern__blob_create(NULL, tern__type_bytes(&type));
    if (!b)
        return tern__graph_fail(g, TERN_E_NOMEM, "%s: a number for each window", n->op->name);
    const tern__array a = {.type = type, .data = b->data};
    const int64_t *o = sp->out;
    for (int64_t i = 0; i < tern__elems(&s); i++)
        tern__array_set(&a, i, over / (double)tern__average_count(n, sp, (const int64_t[]){i / o[2] / o[1], i / o[2] % o[1], i % o[2]}));
    tern_value v = tern__graph_blob(g, &type, b);
    tern__blob_release(b);
    return v;
}

/* What the windows read before and after x, a last one that hangs over the end included. */
static void reach(const tern__spatial *sp, int64_t before[3], int64_t after[3])
{
    for (int d = 0; d < 3; d++) {
        const int64_t end = (sp->out[d] - 1) * sp->stride[d] + (sp->kernel[d] - 1) * sp->dilation[d] + 1;
        before[d] = sp->pad[d];
        after[d] = TERN_MAX(sp->pad_end[d], end - sp->pad[d] - sp->in[d]);
    }
}

/* Mean over all of each window of x among zeroes, times what the window's mean is divided by instead. */
tern_status tern__instead_average_pool(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern__spatial sp;
    int64_t before[3], after[3];
    TERN_TRY(tern__pool_geometry(n, (const tern__type[]){*tern__type_of(g, in[0])}, &sp));
    const int dims = sp.n_dims, first = 3 - dims;
    reach(&sp, before, after);
    tern_value x = tern__widen(g, in[0]);
    tern_value y = tern_graph_op1(g, "average_pool", spatial_pad(g, x, dims, before + first, after + first),
                                  TERN_ATTRS(TERN_INTS("kernel", sp.kernel + first, dims), TERN_INTS("strides", sp.stride + first, dims),
                                             TERN_INTS("dilations", sp.dilation + first, dims)));
    y = tern__mul(g, y, window_numbers(g, n, &sp, tern__dtype_of(g, x), (double)(sp.kernel[0] * sp.kernel[1] * sp.kernel[2])));
    out[0] = tern__cast(g, y, tern__dtype_of(g, in[0]));
    return TERN_OK;
}

/* A transposed convolution, channel by channel, of dy / divisor with ones. */
tern_status tern__instead_average_pool_grad(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern__spatial sp;
    int64_t before[3], after[3], pads[6], extents[TERN_MAX_RANK] = {0};
    TERN_TRY(tern__pool_geometry(n, (const tern__type[]){*tern__type_of(g, in[0])}, &sp));
    const int dims = sp.n_dims, first = 3 - dims;
    reach(&sp, before, after);
    tern_shape kernel = {.rank = dims + 2, .dim = {sp.c_in, 1}};
    for (int i = 0; i < dims; i++) {
        pads[i] = before[first + i];
        pads[dims + i] = after[first + i];
        extents[i] = sp.in[first + i];
        kernel.dim[2 + i] = sp.kernel[first + i];
    }
    tern_value dy = tern__widen(g, in[0]);
    dy = tern__mul(g, dy, window_numbers(g, n, &sp, tern__dtype_of(g, dy), 1));
    tern_value ones = tern__expand_to(g, tern__like(g, dy, 1), &kernel);
    tern_value dx = tern_graph_op2(g, "conv_grad_input", dy, ones,
                                   TERN_ATTRS(TERN_INTS("strides", sp.stride + first, dims), TERN_INTS("dilations", sp.dilation + first, dims),
                                              TERN_INTS("pads", pads, 2 * dims), TERN_INT("group", sp.c_in), TERN_INTS("input_shape", extents, dims)));
    out[0] = tern__cast(g, dx, tern__dtype_of(g, in[0]));
    return TERN_OK;
}

/* The index along one axis of a shape, times pace, as i64 that broadcasts. */
static tern_value counting(tern_graph *g, const tern_shape *s, int axis, int64_t pace)
{
    int64_t line[TERN_MAX_RANK];
    for (int i = 0; i < s->rank; i++)
        line[i] = i == axis ? s->dim[i] : 1;
    tern_value v = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", line, s->rank), TERN_INT("axis", axis), TERN_STRING("dtype", "i64")));
    return tern_graph_op2(g, "mul", v, tern__like(g, v, (double)pace), NULL);
}

/* Where window positions lie in x, as places in the flat x, and whether they do: what tells an element of the padding goes nowhere. */
static tern_value flat_places(tern_graph *g, const tern__spatial *sp, const tern_shape *y, tern_value position, tern_value *inside)
{
    const int first = 3 - sp->n_dims;
    tern_value rest = tern__cast(g, position, TERN_I64), flat = TERN_NONE;
    int64_t pace = 1;
    for (int d = 2; d >= first; d--) {
        const double kernel = (double)sp->kernel[d];
        tern_value tap = tern_graph_op2(g, "mod", rest, tern__like(g, rest, kernel), NULL);
        rest = tern__div(g, rest, tern__like(g, rest, kernel));
        tern_value at = tern__add(g, counting(g, y, 2 + d - first, sp->stride[d]), tern__mul(g, tap, tern__like(g, tap, (double)sp->dilation[d])));
        at = tern__sub(g, at, tern__like(g, at, (double)sp->pad[d]));
        tern_value in = tern_graph_op2(g, "logical_and", tern__compare(g, "greater_equal", at, 0), tern__compare(g, "less", at, (double)sp->in[d]), NULL);
        *inside = flat == TERN_NONE ? in : tern_graph_op2(g, "logical_and", *inside, in, NULL);
        at = tern__mul(g, at, tern__like(g, at, (double)pace));
        flat = flat == TERN_NONE ? at : tern__add(g, flat, at);
        pace *= sp->in[d];
    }
    return tern__add(g, flat, tern__add(g, counting(g, y, 1, pace), counting(g, y, 0, pace * sp->c_in)));
}

/* Each dy is added to the element of a flat dx that its window's position tells. */
tern_status tern__instead_max_pool_grad(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern__spatial sp;
    TERN_TRY(tern__pool_geometry(n, (const tern__type[]){*tern__type_of(g, in[0])}, &sp));
    const tern_shape y = *tern__shape_of(g, in[1]), x = tern__spatial_shape(&sp, sp.c_in, sp.in);
    const tern_shape all = {.rank = 1, .dim = {tern__elems(&x)}}, given = {.rank = 1, .dim = {tern__elems(&y)}};
    tern_value inside = TERN_NONE, flat = flat_places(g, &sp, &y, in[0], &inside);
    flat = tern__where(g, inside, flat, tern__like(g, flat, 0));
    tern_value dy = tern__where(g, inside, in[1], tern__like(g, in[1], 0));
    const tern_value parts[3] = {tern__expand_to(g, tern__like(g, in[1], 0), &all), tern__reshape(g, flat, &given), tern__reshape(g, dy, &given)};
    out[0] = tern__reshape(g, tern_graph_add(g, "scatter_elements", parts, 3, TERN_ATTRS(TERN_STRING("reduction", "add"))), &x);
    return TERN_OK;
}

/* --- Movement --- */

/* Along each axis that changes, elements are picked by a list. */
tern_status tern__instead_pad(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern__pad_map m;
    const tern_shape s = *tern__shape_of(g, in[0]);
    TERN_TRY(tern__pad_map_of(n, &s, &m));
    tern_value v = in[0];
    for (int axis = 0; axis < s.rank; axis++) {
        const int64_t extent = m.before[axis] + s.dim[axis] + m.after[axis];
        if (m.before[axis] == 0 && m.after[axis] == 0)
            continue;
        if (extent > INT32_MAX)
            return tern__fail(TERN_E_UNSUPPORTED, "pad: a list of %lld places is too long for a model", (long long)extent);
        int64_t *at = tern__alloc_array((size_t)extent, sizeof *at);
        if (!at)
            return tern__fail(TERN_E_NOMEM, "pad: a list of %lld places", (long long)extent);
        for (int64_t i = 0; i < extent; i++)
            at[i] = tern__pad_source(&m, axis, s.dim[axis], i);
        v = tern_graph_op2(g, "gather", v, tern__graph_ints(g, at, (int)extent), TERN_ATTRS(TERN_INT("axis", axis)));
        tern__free(at);
    }
    out[0] = v == in[0] ? tern__unary(g, "identity", v) : v;
    return TERN_OK;
}

/* scatter_slices and scatter_add element by element: data as [before][along][after], every index once for all elements of its slices. */
tern_status tern__instead_scatter(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const char *reduction = strcmp(n->op->name, "scatter_add") == 0 ? "add" : tern__attr_string(n, TERN__SCATTER_REDUCTION);
    const tern_shape s = *tern__shape_of(g, in[0]);
    const int64_t count = tern__elems(tern__shape_of(g, in[1]));
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCATTER_AXIS), s.rank, &axis));
    const tern_shape folded = {.rank = 3, .dim = {tern__extent(&s, 0, axis), s.dim[axis], tern__extent(&s, axis + 1, s.rank)}};
    const tern_shape slices = {.rank = 3, .dim = {folded.dim[0], count, folded.dim[2]}}, line = {.rank = 3, .dim = {1, count, 1}};
    const tern_value parts[3] = {tern__reshape(g, in[0], &folded), tern__expand_to(g, tern__reshape(g, tern__cast(g, in[1], TERN_I64), &line), &slices),
                                 tern__reshape(g, in[2], &slices)};
    out[0] = tern__reshape(g, tern_graph_add(g, "scatter_elements", parts, 3, TERN_ATTRS(TERN_INT("axis", 1), TERN_STRING("reduction", reduction))), &s);
    return TERN_OK;
}
