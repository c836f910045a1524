/* The com.microsoft domain's operators on quantised tensors. */
#include <inttypes.h>
#include <string.h>

#include "onnx/import_quant.h"
#include "ops/common.h"

static tern_dtype type_of(const tern__onnx_node *n, int i)
{
    return tern__onnx_type(n, i)->dtype;
}

/* Adds up or multiplies what A and B stand for. Unlike elsewhere the zero point is added before rounding, which tells in ties. */
tern_status tern__onnx_qlinear_binary(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    tern_value a, b, scale, zero;
    const bool adds = !strcmp(n->proto->op_type, "QLinearAdd");
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){0, 1, 2}, &a));
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){3, 4, 5}, &b));
    TERN_TRY(tern__onnx_one_number(n, 6, &scale));
    tern_value x = tern__div(g, adds ? tern__add(g, a, b) : tern__mul(g, a, b), tern__cast(g, scale, TERN_F32));
    tern_dtype t = type_of(n, 0);
    if (tern__onnx_has(n, 7)) {
        TERN_TRY(tern__onnx_need_8bit(n, 7));
        TERN_TRY(tern__onnx_one_number(n, 7, &zero));
        x = tern__add(g, x, tern__cast(g, zero, TERN_F32));
        t = type_of(n, 7);
    }
    return tern__onnx_done(n, 0, tern__onnx_saturated(g, x, TERN_NONE, t));
}

tern_status tern__onnx_qlinear_unary(tern__onnx_node *n)
{
    tern_value x;
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){0, 1, 2}, &x));
    if (!strcmp(n->proto->op_type, "QLinearSigmoid"))
        x = tern__unary(n->g, "sigmoid", x);
    else
        x = tern_graph_op1(n->g, "leaky_relu", x, TERN_ATTRS(TERN_FLOAT("alpha", tern__onnx_attr_float(n, "alpha", 0.01))));
    return tern__onnx_set_quantized(n, x, 3, 4, type_of(n, 0));
}

/* Before opset 13 of the default domain a softmax runs over all axes from `axis` on. */
tern_status tern__onnx_qlinear_softmax(tern__onnx_node *n)
{
    const int64_t opset = tern__onnx_attr_int(n, "opset", 13);
    int axis;
    tern_value x;
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){0, 1, 2}, &x));
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", opset < 13 ? 1 : -1), tern__onnx_rank(n, 0), &axis));
    const tern_shape s = *tern__onnx_shape(n, 0);
    const tern_shape rows = {.rank = 2, .dim = {tern__extent(&s, 0, axis), tern__extent(&s, axis, s.rank)}};
    if (opset < 13)
        x = tern__reshape(n->g, x, &rows);
    x = tern_graph_op1(n->g, "softmax", x, TERN_ATTRS(TERN_INT("axis", opset < 13 ? 1 : axis)));
    return tern__onnx_set_quantized(n, tern__reshape(n->g, x, &s), 3, 4, type_of(n, 0));
}

tern_status tern__onnx_qlinear_concat(tern__onnx_node *n)
{
    const int count = (n->n_in - 2) / 3;
    if (n->n_in < 5 || (n->n_in - 2) % 3)
        return tern__onnx_fail(n, TERN_E_INVALID, "%d inputs are not two and three for each tensor", n->n_in);
    int axis;
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", 0), tern__onnx_rank(n, 2), &axis));
    tern_value *v = tern__onnx_scratch(n, (size_t)count, sizeof *v);
    TERN_TRY(tern_graph_check(n->g));
    for (int i = 0; i < count; i++)
        TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){2 + 3 * i, 3 + 3 * i, 4 + 3 * i}, &v[i]));
    return tern__onnx_set_quantized(n, tern_graph_add(n->g, "concat", v, count, TERN_ATTRS(TERN_INT("axis", axis))), 0, 1, type_of(n, 2));
}

/* [N, spatial..., C] to [N, C, spatial...], or back. */
static tern_value move_channels(tern_graph *g, tern_value v, int rank, bool forward)
{
    int perm[TERN_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : forward ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1);
    return tern__transpose(g, v, perm);
}

tern_status tern__onnx_qlinear_average_pool(tern__onnx_node *n)
{
    tern__onnx_window w;
    tern_value x;
    const bool last = tern__onnx_attr_int(n, "channels_last", 0) != 0;
    TERN_TRY(tern__onnx_need_rank(n, 0, 3, 5));
    const int rank = tern__onnx_rank(n, 0);
    tern_shape s = *tern__onnx_shape(n, 0);
    for (int i = 1; last && i < rank; i++)
        s.dim[i] = tern__onnx_shape(n, 0)->dim[i == 1 ? rank - 1 : i - 1];
    TERN_TRY(tern__onnx_window_of(n, &s, NULL, &w));
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){0, 1, 2}, &x));
    if (last)
        x = move_channels(n->g, x, rank, true);
    x = tern_graph_op1(n->g, "average_pool", x,
                       TERN_ATTRS(TERN_INTS("strides", w.stride, w.dims), TERN_INTS("dilations", w.dilation, w.dims),
                                  TERN_INTS("pads", w.pads, 2 * w.dims), TERN_INTS("kernel", w.kernel, w.dims),
                                  TERN_INT("ceil_mode", tern__onnx_attr_int(n, "ceil_mode", 0) != 0),
                                  TERN_INT("count_include_pad", tern__onnx_attr_int(n, "count_include_pad", 0) != 0)));
    if (last)
        x = move_channels(n->g, x, rank, false);
    return tern__onnx_set_quantized(n, x, 3, 4, type_of(n, 0));
}

tern_status tern__onnx_qlinear_global_average_pool(tern__onnx_node *n)
{
    tern_value x;
    TERN_TRY(tern__onnx_need_rank(n, 0, 2, TERN_MAX_RANK));
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){0, 1, 2}, &x));
    const int rank = tern__onnx_rank(n, 0), channel = tern__onnx_attr_int(n, "channels_last", 0) != 0 ? rank - 1 : 1;
    const unsigned all = (1u << rank) - 1;
    return tern__onnx_set_quantized(n, tern__mean_axes(n->g, x, all & ~(1u | 1u << channel), true), 3, 4, type_of(n, 0));
}

tern_status tern__onnx_qlinear_reduce_mean(tern__onnx_node *n)
{
    tern_value x;
    int count;
    const int64_t *axes = tern__onnx_attr_ints(n, "axes", &count);
    unsigned mask = 0;
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){0, 1, 2}, &x));
    const int rank = tern__onnx_rank(n, 0);
    for (int i = 0; i < count; i++) {
        int axis;
        TERN_TRY(tern__onnx_axis(n, axes[i], rank, &axis));
        mask |= 1u << axis;
    }
    x = tern__mean_axes(n->g, x, count ? mask : (1u << rank) - 1, tern__onnx_attr_int(n, "keepdims", 1) != 0);
    return tern__onnx_set_quantized(n, x, 3, 4, type_of(n, 0));
}

tern_status tern__onnx_qlinear_where(tern__onnx_node *n)
{
    tern_value x, y;
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){1, 2, 3}, &x));
    TERN_TRY(tern__onnx_dequantized(n, (tern__onnx_quantized){4, 5, 6}, &y));
    return tern__onnx_set_quantized(n, tern__where(n->g, tern__onnx_in(n, 0), x, y), 7, 8, type_of(n, 1));
}

/* --- Products --- */

/* One number, or a vector with one for each of `count` columns. */
static tern_status by_column(tern__onnx_node *n, int i, int64_t count, tern_value *out)
{
    char text[TERN__SHAPE_TEXT];
    if (!tern__onnx_has(n, i))
        return tern__onnx_fail(n, TERN_E_INVALID, "input %d is missing", i);
    const tern_shape *s = tern__onnx_shape(n, i);
    if (tern__elems(s) != 1 && (s->rank != 1 || s->dim[0] != count))
        return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s but must be one number or one for each of %" PRId64 " columns", i,
                               tern__shape_text(s, text), count);
    *out = tern__elems(s) == 1 ? tern__reshape(n->g, tern__onnx_in(n, i), &(tern_shape){0}) : tern__onnx_in(n, i);
    return tern_graph_check(n->g);
}

/* The bias of a product, i32, in the unit of the sums. */
static tern_status add_gemm_bias(tern__onnx_node *n, int64_t columns, tern_value *y)
{
    char text[TERN__SHAPE_TEXT];
    if (!tern__onnx_has(n, 6))
        return TERN_OK;
    const tern__type *c = tern__onnx_type(n, 6);
    const tern_shape y_shape = *tern__shape_of(n->g, *y);
    tern_shape both;
    if (c->dtype != TERN_I32 || !tern__broadcast(&c->shape, &y_shape, &both) || !tern__shape_equal(&both, &y_shape))
        return tern__onnx_fail(n, TERN_E_SHAPE, "C is %s %s, it must be i32 and broadcast to %" PRId64 " columns", tern_dtype_name(c->dtype),
                               tern__shape_text(&c->shape, text), columns);
    *y = tern__add(n->g, *y, tern__onnx_in(n, 6));
    return tern_graph_check(n->g);
}

/* alpha * a_scale * b_scale * ((A - za)(B - zb) + C), quantised where a result scale is given. */
tern_status tern__onnx_qgemm(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    tern_value za, zb, sa, sb;
    TERN_TRY(tern__onnx_need_rank(n, 0, 2, 2));
    TERN_TRY(tern__onnx_need_rank(n, 3, 2, 2));
    TERN_TRY(tern__onnx_need_8bit(n, 0));
    TERN_TRY(tern__onnx_need_8bit(n, 3));
    TERN_TRY(tern__onnx_need_zero_point(n, 0, 2));
    TERN_TRY(tern__onnx_need_zero_point(n, 3, 5));
    const int64_t ta = tern__onnx_attr_int(n, "transA", 0) != 0, tb = tern__onnx_attr_int(n, "transB", 0) != 0;
    const double alpha = tern__onnx_attr_float(n, "alpha", 1);
    const int64_t columns = tern__onnx_shape(n, 3)->dim[tb ? 0 : 1];
    TERN_TRY(tern__onnx_one_number(n, 2, &za));
    TERN_TRY(by_column(n, 5, columns, &zb));
    TERN_TRY(tern__onnx_one_number(n, 1, &sa));
    TERN_TRY(by_column(n, 4, columns, &sb));
    if (tb && tern__shape_of(g, zb)->rank)
        zb = tern__unsqueeze(g, zb, 1u << 1);
    tern_value y = tern_graph_op2(g, "matmul", tern__onnx_centred(g, tern__onnx_in(n, 0), za), tern__onnx_centred(g, tern__onnx_in(n, 3), zb),
                                  TERN_ATTRS(TERN_INT("trans_a", ta), TERN_INT("trans_b", tb)));
    TERN_TRY(tern_graph_check(g));
    TERN_TRY(add_gemm_bias(n, columns, &y));
    tern_value unit = tern__mul_scalar(g, tern__mul(g, tern__cast(g, sa, TERN_F32), tern__cast(g, sb, TERN_F32)), alpha);
    tern_value sum = tern__cast(g, y, TERN_F32), ys, yz = TERN_NONE;
    if (!tern__onnx_has(n, 7))
        return tern__onnx_done(n, 0, tern__mul(g, sum, unit));
    TERN_TRY(tern__onnx_one_number(n, 7, &ys));
    if (tern__onnx_has(n, 8)) {
        TERN_TRY(tern__onnx_one_number(n, 8, &yz));
        TERN_TRY(tern__onnx_need_8bit(n, 8));
    }
    const tern_dtype t = yz != TERN_NONE ? type_of(n, 8) : type_of(n, 0);
    return tern__onnx_done(n, 0, tern__onnx_saturated(g, tern__mul(g, sum, tern__div(g, unit, tern__cast(g, ys, TERN_F32))), yz, t));
}

tern_status tern__onnx_matmul_integer_to_float(tern__onnx_node *n)
{
    tern_value y, sa, sb;
    TERN_TRY(tern__onnx_product_i32(n, 0, 4, 1, 5, &y));
    TERN_TRY(tern__onnx_row_scale(n, 0, 2, false, &sa));
    TERN_TRY(tern__onnx_row_scale(n, 1, 3, true, &sb));
    const tern_dtype t = type_of(n, 2);
    y = tern__cast(n->g, tern__mul(n->g, tern__cast(n->g, y, TERN_F32), tern__mul(n->g, sa, sb)), t);
    if (tern__onnx_has(n, 6))
        y = tern__add(n->g, y, tern__onnx_in(n, 6));
    return tern__onnx_done(n, 0, y);
}

/* A is quantised on the way, by its own range. */
tern_status tern__onnx_dynamic_quantize_matmul(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    tern_value q, sa, za, sb, zb = TERN_NONE;
    if (!tern__onnx_has(n, 0) || type_of(n, 0) != TERN_F32 || tern__elems(tern__onnx_shape(n, 0)) == 0)
        return tern__onnx_fail(n, TERN_E_DTYPE, "A must be f32 and not empty");
    TERN_TRY(tern__onnx_need_8bit(n, 1));
    TERN_TRY(tern__onnx_need_rank(n, 1, 2, TERN_MAX_RANK));
    TERN_TRY(tern__onnx_need_zero_point(n, 1, 3));
    const int64_t columns = tern__onnx_shape(n, 1)->dim[tern__onnx_rank(n, 1) - 1];
    TERN_TRY(by_column(n, 2, columns, &sb));
    if (tern__onnx_has(n, 3))
        TERN_TRY(by_column(n, 3, columns, &zb));
    tern__onnx_quantize_dynamically(g, tern__onnx_in(n, 0), &q, &sa, &za);
    tern_value y = tern_graph_op2(g, "matmul", tern__onnx_centred(g, q, za), tern__onnx_centred(g, tern__onnx_in(n, 1), zb), NULL);
    y = tern__mul(g, tern__cast(g, y, TERN_F32), tern__mul(g, sa, tern__cast(g, sb, TERN_F32)));
    if (tern__onnx_has(n, 4))
        y = tern__add(g, y, tern__onnx_in(n, 4));
    return tern__onnx_done(n, 0, y);
}

tern_status tern__onnx_mul_integer(tern__onnx_node *n)
{
    tern_value v[2];
    for (int i = 0; i < 2; i++) {
        tern_value zero = TERN_NONE;
        TERN_TRY(tern__onnx_need_8bit(n, 2 * i));
        TERN_TRY(tern__onnx_need_zero_point(n, 2 * i, 2 * i + 1));
        if (tern__onnx_has(n, 2 * i + 1))
            TERN_TRY(tern__onnx_one_number(n, 2 * i + 1, &zero));
        v[i] = tern__onnx_centred(n->g, tern__onnx_in(n, 2 * i), zero);
    }
    return tern__onnx_done(n, 0, tern__mul(n->g, v[0], v[1]));
}
