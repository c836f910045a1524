/* Quantised operators: to and from integers with a scale and a zero point, and the exact integer products between. */
#include <inttypes.h>
#include <string.h>

#include "onnx/import_quant.h"
#include "ops/common.h"

/* --- Shared --- */

tern_status tern__onnx_one_number(tern__onnx_node *n, int i, tern_value *out)
{
    char text[TERN__SHAPE_TEXT];
    if (!tern__onnx_has(n, i))
        return tern__onnx_fail(n, TERN_E_INVALID, "input %d is missing", i);
    if (tern__elems(tern__onnx_shape(n, i)) != 1)
        return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s but must be one number", i, tern__shape_text(tern__onnx_shape(n, i), text));
    *out = tern__reshape(n->g, tern__onnx_in(n, i), &(tern_shape){0});
    return tern_graph_check(n->g);
}

tern_status tern__onnx_need_8bit(const tern__onnx_node *n, int i)
{
    if (!tern__onnx_has(n, i))
        return tern__onnx_fail(n, TERN_E_INVALID, "input %d is missing", i);
    const tern_dtype t = tern__onnx_type(n, i)->dtype;
    if (t == TERN_U8 || t == TERN_I8)
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_DTYPE, "input %d is %s, it must be u8 or i8", i, tern_dtype_name(t));
}

tern_status tern__onnx_need_zero_point(const tern__onnx_node *n, int x, int zero)
{
    if (!tern__onnx_has(n, zero) || tern__onnx_type(n, zero)->dtype == tern__onnx_type(n, x)->dtype)
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_DTYPE, "the zero point of input %d is %s, the input %s", x, tern_dtype_name(tern__onnx_type(n, zero)->dtype),
                           tern_dtype_name(tern__onnx_type(n, x)->dtype));
}

tern_value tern__onnx_centred(tern_graph *g, tern_value x, tern_value zero)
{
    x = tern__cast(g, x, TERN_I32);
    return zero == TERN_NONE ? x : tern__sub(g, x, tern__cast(g, zero, TERN_I32));
}

tern_value tern__onnx_dequantize(tern_graph *g, tern_value x, tern_value scale, tern_value zero)
{
    return tern__mul(g, tern__cast(g, tern__onnx_centred(g, x, zero), TERN_F32), tern__cast(g, scale, TERN_F32));
}

tern_value tern__onnx_saturated(tern_graph *g, tern_value x, tern_value zero, tern_dtype t)
{
    tern_value y = tern__unary(g, "round", x);
    if (zero != TERN_NONE)
        y = tern__add(g, y, tern__cast(g, zero, TERN_F32));
    return tern__cast(g, y, t); /* saturates */
}

tern_value tern__onnx_quantize(tern_graph *g, tern_value x, tern_value scale, tern_value zero, tern_dtype t)
{
    return tern__onnx_saturated(g, tern__div(g, x, scale), zero, t);
}

static tern_status optional_number(tern__onnx_node *n, int i, tern_value *out)
{
    *out = TERN_NONE;
    return tern__onnx_has(n, i) ? tern__onnx_one_number(n, i, out) : TERN_OK;
}

static tern_status scale_number(tern__onnx_node *n, int i, tern_value *out)
{
    TERN_TRY(tern__onnx_one_number(n, i, out));
    TERN_TRY(tern__onnx_need_float(n, i));
    *out = tern__cast(n->g, *out, TERN_F32);
    return tern_graph_check(n->g);
}

tern_status tern__onnx_dequantized(tern__onnx_node *n, tern__onnx_quantized q, tern_value *out)
{
    tern_value scale, zero;
    TERN_TRY(tern__onnx_need_8bit(n, q.x));
    TERN_TRY(tern__onnx_need_zero_point(n, q.x, q.zero));
    TERN_TRY(scale_number(n, q.scale, &scale));
    TERN_TRY(optional_number(n, q.zero, &zero));
    *out = tern__onnx_dequantize(n->g, tern__onnx_in(n, q.x), scale, zero);
    return tern_graph_check(n->g);
}

tern_status tern__onnx_set_quantized(tern__onnx_node *n, tern_value v, int scale, int zero, tern_dtype t)
{
    tern_value s, z;
    TERN_TRY(scale_number(n, scale, &s));
    TERN_TRY(optional_number(n, zero, &z));
    if (z != TERN_NONE) {
        TERN_TRY(tern__onnx_need_8bit(n, zero));
        t = tern__onnx_type(n, zero)->dtype;
    }
    return tern__onnx_done(n, 0, tern__onnx_quantize(n->g, v, s, z, t));
}

/* --- QuantizeLinear, DequantizeLinear --- */

/* How scales and zero points lie along x: one for all, one for each position of an axis, or one for each block along it. */
typedef struct grain {
    tern_shape x;
    int axis;
    int64_t block;          /* 0: no blocks */
} grain;

static tern_status read_grain(tern__onnx_node *n, grain *q)
{
    *q = (grain){.x = *tern__onnx_shape(n, 0)};
    int64_t axis = tern__onnx_attr_int(n, "axis", 1);
    q->block = tern__onnx_attr_int(n, "block_size", 0);
    if (q->block < 0)
        return tern__onnx_fail(n, TERN_E_INVALID, "block_size %" PRId64 " is negative", q->block);
    const bool one = tern__elems(tern__onnx_shape(n, 1)) == 1 && !q->block;
    if (q->x.rank == 1 && axis == 1)
        axis = 0; /* the default, of a vector */
    if (one || q->x.rank == 0)
        return TERN_OK;
    TERN_TRY(tern__onnx_axis(n, axis, q->x.rank, &q->axis));
    if (q->block > q->x.dim[q->axis])
        q->block = TERN_MAX(q->x.dim[q->axis], 1);
    return TERN_OK;
}

/* Each element of v along the axis block times, cut to x's extent. */
static tern_value repeat_blocks(tern_graph *g, tern_value v, const grain *q)
{
    const tern_shape s = *tern__shape_of(g, v);
    tern_shape wide = s, flat = s;
    wide.rank = flat.rank + 1;
    for (int i = s.rank; i > q->axis + 1; i--)
        wide.dim[i] = s.dim[i - 1];
    wide.dim[q->axis + 1] = q->block;
    flat.dim[q->axis] *= q->block;
    v = tern__reshape(g, tern__expand_to(g, tern__unsqueeze(g, v, 1u << (q->axis + 1)), &wide), &flat);
    const int64_t start = 0, end = q->x.dim[q->axis], on = q->axis;
    return tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", &start, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &on, 1)));
}

static tern_status fail_grain(tern__onnx_node *n, int i, const grain *q)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s, which does not go with %s along axis %d in blocks of %" PRId64, i,
                           tern__shape_text(tern__onnx_shape(n, i), a), tern__shape_text(&q->x, b), q->axis, q->block);
}

/* Input i, a scale or zero point, in a shape that broadcasts to x. */
static tern_status spread(tern__onnx_node *n, int i, const grain *q, tern_value *out)
{
    const tern_shape s = *tern__onnx_shape(n, i);
    *out = tern__onnx_in(n, i);
    if (q->block) {
        bool fits = s.rank == q->x.rank && s.rank < TERN_MAX_RANK;
        for (int d = 0; fits && d < s.rank; d++)
            fits = s.dim[d] == (d == q->axis ? q->x.dim[d] / q->block + (q->x.dim[d] % q->block != 0) : q->x.dim[d]);
        if (!fits)
            return fail_grain(n, i, q);
        *out = repeat_blocks(n->g, *out, q);
    } else if (tern__elems(&s) == 1) {
        *out = tern__reshape(n->g, *out, &(tern_shape){0});
    } else {
        if (s.rank != 1 || q->x.rank == 0 || s.dim[0] != q->x.dim[q->axis])
            return fail_grain(n, i, q);
        *out = tern__unsqueeze(n->g, *out, tern__all_but(q->x.rank, q->axis));
    }
    return tern_graph_check(n->g);
}

/* The type that an attribute names by its ONNX number; t stays where it is not given or 0. */
static tern_status type_attr(tern__onnx_node *n, const char *name, tern_dtype *t)
{
    const int64_t number = tern__onnx_attr_int(n, name, 0);
    if (number == 0)
        return TERN_OK;
    if (number < 0 || number > INT32_MAX)
        return tern__onnx_fail(n, TERN_E_INVALID, "%s %" PRId64 " is no element type", name, number);
    tern_status st = tern__onnx_dtype((int32_t)number, t);
    return st == TERN_OK ? st : tern__onnx_fail(n, TERN_E_UNSUPPORTED, "%s %" PRId64, name, number);
}

static bool is_quantized_type(tern_dtype t)
{
    return t == TERN_U8 || t == TERN_I8 || t == TERN_U16 || t == TERN_I16;
}

/* x / scale as f32, the division done in type t. */
static tern_value divided(tern_graph *g, tern_value x, tern_value scale, tern_dtype t)
{
    x = tern__cast(g, tern__cast(g, x, t), TERN_F32);
    scale = tern__cast(g, tern__cast(g, scale, t), TERN_F32);
    return tern__cast(g, tern__cast(g, tern__div(g, x, scale), t), TERN_F32);
}

static tern_status quantize_linear(tern__onnx_node *n)
{
    tern_dtype to = TERN_U8, precision;
    grain q;
    for (int i = 0; i < 2; i++)
        if (!tern__onnx_has(n, i))
            return tern__onnx_fail(n, TERN_E_INVALID, "input %d is missing", i);
    TERN_TRY(read_grain(n, &q));
    tern__onnx_attr_ignore(n, "saturate"); /* of 8-bit floats only */
    TERN_TRY(type_attr(n, "output_dtype", &to));
    if (tern__onnx_has(n, 2))
        to = tern__onnx_type(n, 2)->dtype;
    precision = tern__onnx_type(n, 1)->dtype;
    TERN_TRY(type_attr(n, "precision", &precision));
    if (!tern__dtype_is(precision, TERN__T_FLOAT) || precision == TERN_F64)
        precision = TERN_F32;
    if (!is_quantized_type(to))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "quantising to %s", tern_dtype_name(to));
    tern_value scale, zero = TERN_NONE;
    TERN_TRY(spread(n, 1, &q, &scale));
    if (tern__onnx_has(n, 2))
        TERN_TRY(spread(n, 2, &q, &zero));
    return tern__onnx_done(n, 0, tern__onnx_saturated(n->g, divided(n->g, tern__onnx_in(n, 0), scale, precision), zero, to));
}

static tern_status dequantize_linear(tern__onnx_node *n)
{
    grain q;
    for (int i = 0; i < 2; i++)
        if (!tern__onnx_has(n, i))
            return tern__onnx_fail(n, TERN_E_INVALID, "input %d is missing", i);
    TERN_TRY(read_grain(n, &q));
    tern_dtype from = tern__onnx_type(n, 0)->dtype, to = tern__onnx_type(n, 1)->dtype;
    if (!is_quantized_type(from) && from != TERN_I32)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "dequantising %s", tern_dtype_name(from));
    TERN_TRY(tern__onnx_need_float(n, 1));
    TERN_TRY(tern__onnx_need_zero_point(n, 0, 2));
    TERN_TRY(type_attr(n, "output_dtype", &to));
    if (!tern__dtype_is(to, TERN__T_FLOAT))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "dequantising to %s", tern_dtype_name(to));
    tern_value scale, zero = TERN_NONE;
    TERN_TRY(spread(n, 1, &q, &scale));
    if (tern__onnx_has(n, 2))
        TERN_TRY(spread(n, 2, &q, &zero));
    return tern__onnx_done(n, 0, tern__cast(n->g, tern__onnx_dequantize(n->g, tern__onnx_in(n, 0), scale, zero), to));
}

void tern__onnx_quantize_dynamically(tern_graph *g, tern_value x, tern_value *y, tern_value *scale, tern_value *zero)
{
    *y = *scale = *zero = TERN_NONE;
    if (tern_graph_check(g) != TERN_OK)
        return;
    const unsigned all = (1u << tern__shape_of(g, x)->rank) - 1;
    tern_value hi = tern_graph_op2(g, "max", tern__max_axes(g, x, all, false), tern__like(g, x, 0), NULL);
    tern_value lo = tern__neg(g, tern_graph_op2(g, "max", tern__max_axes(g, tern__neg(g, x), all, false), tern__like(g, x, 0), NULL));
    tern_value range = tern__sub(g, hi, lo);
    *scale = tern__where(g, tern__compare(g, "equal", range, 0), tern__like(g, range, 1), tern__div(g, range, tern__like(g, range, 255)));
    tern_value z = tern__div(g, tern__neg(g, lo), *scale);
    *zero = tern__onnx_saturated(g, z, TERN_NONE, TERN_U8);
    *y = tern__onnx_quantize(g, x, *scale, *zero, TERN_U8);
}

static tern_status dynamic_quantize_linear(tern__onnx_node *n)
{
    if (!tern__onnx_has(n, 0) || tern__onnx_type(n, 0)->dtype != TERN_F32)
        return tern__onnx_fail(n, TERN_E_DTYPE, "x is %s, it must be f32", tern_dtype_name(tern__onnx_type(n, 0)->dtype));
    if (tern__elems(tern__onnx_shape(n, 0)) == 0)
        return tern__onnx_fail(n, TERN_E_SHAPE, "x is empty and has no range");
    tern_value out[3];
    tern__onnx_quantize_dynamically(n->g, tern__onnx_in(n, 0), &out[0], &out[1], &out[2]);
    for (int i = 0; i < 3; i++)
        tern__onnx_set(n, i, out[i]);
    return tern_graph_check(n->g);
}

/* --- Products --- */

/* A scale or zero point of one operand of a product: one number, or by row (of a) or column (of b), as a vector or with the operand's rank. */
static tern_status along_matrix(tern__onnx_node *n, int operand, int i, bool by_column, tern_value *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    const tern_shape x = *tern__onnx_shape(n, operand), s = *tern__onnx_shape(n, i);
    const int keep = by_column ? x.rank - 1 : x.rank - 2;
    *out = tern__onnx_in(n, i);
    if (tern__elems(&s) == 1) {
        *out = tern__reshape(n->g, *out, &(tern_shape){0});
        return tern_graph_check(n->g);
    }
    bool fits = x.rank >= 2 && ((s.rank == 1 && s.dim[0] == x.dim[keep]) || s.rank == x.rank);
    for (int d = 0; fits && s.rank > 1 && d < s.rank; d++)
        fits = s.dim[d] == x.dim[d] || s.dim[d] == 1;
    if (fits && s.rank > 1)
        fits = s.dim[by_column ? x.rank - 2 : x.rank - 1] == 1;
    if (!fits)
        return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s, which is neither one number nor one for each %s of %s", i, tern__shape_text(&s, a),
                               by_column ? "column" : "row", tern__shape_text(&x, b));
    if (s.rank == 1 && !by_column)
        *out = tern__unsqueeze(n->g, *out, 1u << 1);
    return tern_graph_check(n->g);
}

tern_status tern__onnx_product_i32(tern__onnx_node *n, int a, int a_zero, int b, int b_zero, tern_value *out)
{
    const int operand[2] = {a, b}, at[2] = {a_zero, b_zero};
    tern_value v[2];
    for (int i = 0; i < 2; i++) {
        tern_value zero = TERN_NONE;
        TERN_TRY(tern__onnx_need_8bit(n, operand[i]));
        TERN_TRY(tern__onnx_need_zero_point(n, operand[i], at[i]));
        if (tern__onnx_has(n, at[i]))
            TERN_TRY(along_matrix(n, operand[i], at[i], i == 1, &zero));
        v[i] = tern__onnx_centred(n->g, tern__onnx_in(n, operand[i]), zero);
    }
    *out = tern_graph_op2(n->g, "matmul", v[0], v[1], NULL);
    return tern_graph_check(n->g);
}

tern_status tern__onnx_row_scale(tern__onnx_node *n, int a, int scale, bool by_column, tern_value *out)
{
    if (!tern__onnx_has(n, scale))
        return tern__onnx_fail(n, TERN_E_INVALID, "input %d is missing", scale);
    TERN_TRY(tern__onnx_need_float(n, scale));
    TERN_TRY(along_matrix(n, a, scale, by_column, out));
    *out = tern__cast(n->g, *out, TERN_F32);
    return tern_graph_check(n->g);
}

static tern_status matmul_integer(tern__onnx_node *n)
{
    tern_value y;
    TERN_TRY(tern__onnx_product_i32(n, 0, 2, 1, 3, &y));
    return tern__onnx_done(n, 0, y);
}

/* Sets output 0 from an i32 sum whose unit is `unit` times one of the result's; its type is that of the zero point. */
static tern_status requantize(tern__onnx_node *n, tern_value sum, tern_value unit, int y_scale, int y_zero)
{
    tern_graph *g = n->g;
    tern_value scale, zero;
    TERN_TRY(scale_number(n, y_scale, &scale));
    TERN_TRY(tern__onnx_one_number(n, y_zero, &zero));
    TERN_TRY(tern__onnx_need_8bit(n, y_zero));
    tern_value x = tern__mul(g, tern__cast(g, sum, TERN_F32), tern__div(g, unit, scale));
    return tern__onnx_done(n, 0, tern__onnx_saturated(g, x, zero, tern__onnx_type(n, y_zero)->dtype));
}

static tern_status qlinear_matmul(tern__onnx_node *n)
{
    tern_value y, a_scale, b_scale;
    TERN_TRY(tern__onnx_product_i32(n, 0, 2, 3, 5, &y));
    TERN_TRY(tern__onnx_row_scale(n, 0, 1, false, &a_scale));
    TERN_TRY(tern__onnx_row_scale(n, 3, 4, true, &b_scale));
    return requantize(n, y, tern__mul(n->g, a_scale, b_scale), 6, 7);
}

/* --- Convolutions --- */

/* Input i, one number or one for each of w's output channels, as [M, 1, 1...]. */
static tern_status by_channel(tern__onnx_node *n, int i, int w, tern_value *out)
{
    char text[TERN__SHAPE_TEXT];
    const tern_shape s = *tern__onnx_shape(n, i), *ws = tern__onnx_shape(n, w);
    *out = tern__onnx_in(n, i);
    if (tern__elems(&s) == 1)
        *out = tern__reshape(n->g, *out, &(tern_shape){0});
    else if (s.rank == 1 && s.dim[0] == ws->dim[0])
        *out = tern__unsqueeze(n->g, *out, tern__all_but(ws->rank, 0));
    else
        return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s but must be one number or one for each of %" PRId64 " channels", i,
                               tern__shape_text(&s, text), ws->dim[0]);
    return tern_graph_check(n->g);
}

/* [M, 1, 1...] to [1, M, 1...]: from the weight's axes to the result's. */
static tern_value to_channels(tern_graph *g, tern_value v, int rank)
{
    if (tern_graph_check(g) != TERN_OK || tern__shape_of(g, v)->rank == 0)
        return v;
    tern_shape s = {.rank = rank};
    for (int i = 0; i < rank; i++)
        s.dim[i] = i == 1 ? tern__shape_of(g, v)->dim[0] : 1;
    return tern__reshape(g, v, &s);
}

/* The exact i32 convolution of x and w less their zero points; padding holds the zero point. */
static tern_status conv_i32(tern__onnx_node *n, int x, int x_zero, int w, int w_zero, tern_value *out)
{
    tern__onnx_window win;
    tern_value xz = TERN_NONE, wz = TERN_NONE;
    TERN_TRY(tern__onnx_need_rank(n, x, 3, 5));
    TERN_TRY(tern__onnx_need_rank(n, w, tern__onnx_rank(n, x), tern__onnx_rank(n, x)));
    TERN_TRY(tern__onnx_need_8bit(n, x));
    TERN_TRY(tern__onnx_need_8bit(n, w));
    TERN_TRY(tern__onnx_need_zero_point(n, x, x_zero));
    TERN_TRY(tern__onnx_need_zero_point(n, w, w_zero));
    TERN_TRY(tern__onnx_window_of(n, tern__onnx_shape(n, x), tern__onnx_shape(n, w)->dim + 2, &win));
    const int64_t group = tern__onnx_attr_int(n, "group", 1);
    TERN_TRY(optional_number(n, x_zero, &xz));
    if (tern__onnx_has(n, w_zero))
        TERN_TRY(by_channel(n, w_zero, w, &wz));
    *out = tern_graph_op2(n->g, "conv", tern__onnx_centred(n->g, tern__onnx_in(n, x), xz), tern__onnx_centred(n->g, tern__onnx_in(n, w), wz),
                          TERN_ATTRS(TERN_INTS("strides", win.stride, win.dims), TERN_INTS("dilations", win.dilation, win.dims),
                                     TERN_INTS("pads", win.pads, 2 * win.dims), TERN_INT("group", group)));
    return tern_graph_check(n->g);
}

static tern_status conv_integer(tern__onnx_node *n)
{
    tern_value y;
    TERN_TRY(conv_i32(n, 0, 2, 1, 3, &y));
    return tern__onnx_done(n, 0, y);
}

static tern_status qlinear_conv(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    tern_value y, x_scale, w_scale;
    if (tern__onnx_attr_int(n, "channels_last", 0) != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "channels_last");
    TERN_TRY(conv_i32(n, 0, 2, 3, 5, &y));
    TERN_TRY(scale_number(n, 1, &x_scale));
    TERN_TRY(tern__onnx_need_float(n, 4));
    TERN_TRY(by_channel(n, 4, 3, &w_scale));
    w_scale = to_channels(g, tern__cast(g, w_scale, TERN_F32), tern__onnx_rank(n, 0));
    if (tern__onnx_has(n, 8)) {
        const tern__type *b = tern__onnx_type(n, 8);
        if (b->dtype != TERN_I32 || b->shape.rank != 1 || b->shape.dim[0] != tern__onnx_shape(n, 3)->dim[0])
            return tern__onnx_fail(n, TERN_E_SHAPE, "the bias must be i32, one for each output channel");
        y = tern__add(g, y, tern__per_channel(g, tern__onnx_in(n, 8), tern__onnx_rank(n, 0)));
    }
    return requantize(n, y, tern__mul(g, x_scale, w_scale), 6, 7);
}

#define MS "com.microsoft"
const tern__onnx_map tern__onnx_map_quant[] = {
    {"", "QuantizeLinear", 10, quantize_linear},
    {"", "DequantizeLinear", 10, dequantize_linear},
    {"", "DynamicQuantizeLinear", 11, dynamic_quantize_linear},
    {"", "MatMulInteger", 10, matmul_integer},
    {"", "QLinearMatMul", 10, qlinear_matmul},
    {"", "ConvInteger", 10, conv_integer},
    {"", "QLinearConv", 10, qlinear_conv},
    {MS, "QuantizeLinear", 1, quantize_linear},
    {MS, "DequantizeLinear", 1, dequantize_linear},
    {MS, "QLinearConv", 1, qlinear_conv},
    {MS, "QLinearAdd", 1, tern__onnx_qlinear_binary},
    {MS, "QLinearMul", 1, tern__onnx_qlinear_binary},
    {MS, "QLinearSigmoid", 1, tern__onnx_qlinear_unary},
    {MS, "QLinearLeakyRelu", 1, tern__onnx_qlinear_unary},
    {MS, "QLinearSoftmax", 1, tern__onnx_qlinear_softmax},
    {MS, "QLinearConcat", 1, tern__onnx_qlinear_concat},
    {MS, "QLinearAveragePool", 1, tern__onnx_qlinear_average_pool},
    {MS, "QLinearGlobalAveragePool", 1, tern__onnx_qlinear_global_average_pool},
    {MS, "QLinearReduceMean", 1, tern__onnx_qlinear_reduce_mean},
    {MS, "QLinearWhere", 1, tern__onnx_qlinear_where},
    {MS, "QGemm", 1, tern__onnx_qgemm},
    {MS, "DynamicQuantizeMatMul", 1, tern__onnx_dynamic_quantize_matmul},
    {MS, "MatMulIntegerToFloat", 1, tern__onnx_matmul_integer_to_float},
    {MS, "MulInteger", 1, tern__onnx_mul_integer},
    {0},
};
