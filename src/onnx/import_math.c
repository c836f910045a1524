/* Importing what works element by element: arithmetic, comparisons, logic and activations in every version's form, and the softmax family. */
#include "onnx/import_math.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/common.h"

/* --- Shared with the other importers ----------------------------------------------------------------------------- */

tern_status tern__onnx_need(const tern__onnx_node *n, int least, int most)
{
    for (int i = 0; i < least; i++)
        if (!tern__onnx_has(n, i))
            return tern__onnx_fail(n, TERN_E_CORRUPT, "input %d is missing, %d are needed", i, least);
    if (most >= 0 && n->n_in > most)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "%d inputs, at most %d are possible", n->n_in, most);
    return TERN_OK;
}

static tern_status need_one_element(const tern__onnx_node *n, int i)
{
    char text[TERN__SHAPE_TEXT];
    const tern_shape *s = tern__onnx_shape(n, i);
    if (tern__elems(s) == 1)
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s but must be one number", i, tern__shape_text(s, text));
}

tern_status tern__onnx_scalar_in(tern__onnx_node *n, int i, tern_dtype t, tern_value *out)
{
    TERN_TRY(need_one_element(n, i));
    *out = tern__cast(n->g, tern__reshape(n->g, tern__onnx_in(n, i), &(tern_shape){0}), t);
    return TERN_OK;
}

tern_status tern__onnx_read_int(tern__onnx_node *n, int i, int64_t def, int64_t *out)
{
    const int64_t *v;
    int count;
    *out = def;
    if (!tern__onnx_has(n, i))
        return TERN_OK;
    TERN_TRY(need_one_element(n, i));
    TERN_TRY(tern__onnx_read_ints(n, i, &v, &count));
    if (count == 1)
        *out = v[0];
    return TERN_OK;
}

tern_status tern__onnx_read_float(tern__onnx_node *n, int i, double def, double *out)
{
    const double *v;
    int count;
    *out = def;
    if (!tern__onnx_has(n, i))
        return TERN_OK;
    TERN_TRY(need_one_element(n, i));
    TERN_TRY(tern__onnx_read_floats(n, i, &v, &count));
    if (count == 1)
        *out = v[0];
    return TERN_OK;
}

tern_status tern__onnx_attr_dtype(tern__onnx_node *n, const char *name, tern_dtype def, tern_dtype *out)
{
    *out = def;
    if (!tern__onnx_attr_given(n, name))
        return TERN_OK;
    const int64_t number = tern__onnx_attr_int(n, name, 0);
    if (number < 0 || number > INT32_MAX)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "%s %" PRId64 " is no element type", name, number);
    return tern__onnx_dtype((int32_t)number, out);
}

tern_dtype tern__onnx_float_for(tern_dtype t)
{
    if (tern__dtype_is(t, TERN__T_FLOAT))
        return t;
    return tern_dtype_size(t) <= 2 ? TERN_F32 : TERN_F64;
}

/* --- One op each ------------------------------------------------------------------------------------------------- */

typedef struct twin {
    const char *onnx, *tern;
} twin;
static const twin twins[] = {
    {"Abs", "abs"}, {"Acos", "acos"}, {"Acosh", "acosh"}, {"Add", "add"}, {"And", "logical_and"}, {"Asin", "asin"}, {"Asinh", "asinh"},
    {"Atan", "atan"}, {"Atanh", "atanh"}, {"BitwiseAnd", "bit_and"}, {"BitwiseNot", "bit_not"}, {"BitwiseOr", "bit_or"},
    {"BitwiseXor", "bit_xor"}, {"Ceil", "ceil"}, {"Cos", "cos"}, {"Cosh", "cosh"}, {"Div", "div"}, {"Equal", "equal"}, {"Erf", "erf"},
    {"Exp", "exp"}, {"Floor", "floor"}, {"Greater", "greater"}, {"GreaterOrEqual", "greater_equal"}, {"HardSwish", "hard_swish"},
    {"IsNaN", "isnan"}, {"Less", "less"}, {"LessOrEqual", "less_equal"}, {"Log", "log"}, {"Max", "max"}, {"Min", "min"}, {"Mish", "mish"},
    {"Mul", "mul"}, {"Neg", "neg"}, {"Not", "logical_not"}, {"Or", "logical_or"}, {"Reciprocal", "reciprocal"}, {"Relu", "relu"},
    {"Round", "round"}, {"Sigmoid", "sigmoid"}, {"Sign", "sign"}, {"Sin", "sin"}, {"Sinh", "sinh"}, {"Softplus", "softplus"},
    {"Softsign", "softsign"}, {"Sqrt", "sqrt"}, {"Sub", "sub"}, {"Sum", "add"}, {"Mean", "add"}, {"Tan", "tan"}, {"Tanh", "tanh"}, {"Xor", "logical_xor"},
};

/* The Tern op of an operator that has a handler below. */
static const char *twin_of(const tern__onnx_node *n)
{
    for (size_t i = 0; i < TERN_COUNT(twins); i++)
        if (strcmp(twins[i].onnx, n->proto->op_type) == 0)
            return twins[i].tern;
    return n->proto->op_type;
}

/* Version 1 let operators list inputs that may be overwritten: a hint. */
static void ignore_hints(tern__onnx_node *n)
{
    if (n->opset < 6)
        tern__onnx_attr_ignore(n, "consumed_inputs");
}

static tern_status unary(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    ignore_hints(n);
    tern__onnx_set(n, 0, tern_graph_op1(n->g, twin_of(n), tern__onnx_in(n, 0), NULL));
    return TERN_OK;
}

/* For functions that some version defines on integers too: there and back by way of floating point. */
static tern_value by_float(tern__onnx_node *n, const char *op, const tern_attr *attrs)
{
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    tern_value x = tern__cast(n->g, tern__onnx_in(n, 0), tern__onnx_float_for(t));
    return tern__cast(n->g, tern_graph_op1(n->g, op, x, attrs), t);
}

static tern_status unary_by_float(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    tern__onnx_set(n, 0, by_float(n, twin_of(n), NULL));
    return TERN_OK;
}

/* Before opset 7 the second operand was either of the first one's shape or, with broadcast 1, laid along its axes from `axis` on (the last
 * ones if not given). From 7 on NumPy's rules hold. */
static tern_status second_operand(tern__onnx_node *n, tern_value *out)
{
    char a_text[TERN__SHAPE_TEXT], b_text[TERN__SHAPE_TEXT];
    tern_value b = tern__onnx_in(n, 1);
    *out = b;
    if (n->opset >= 7)
        return TERN_OK;
    const tern_shape sa = *tern__onnx_shape(n, 0), sb = *tern__onnx_shape(n, 1);
    const bool broadcast = tern__onnx_attr_int(n, "broadcast", 0) != 0;
    const int64_t axis_given = tern__onnx_attr_int(n, "axis", sa.rank - sb.rank);
    if (tern__shape_equal(&sa, &sb))
        return TERN_OK;
    if (broadcast && tern__elems(&sb) == 1) {
        *out = tern__reshape(n->g, b, &(tern_shape){0});
        return TERN_OK;
    }
    const int64_t axis = axis_given < 0 ? axis_given + sa.rank : axis_given;
    bool fits = broadcast && axis >= 0 && axis <= sa.rank - sb.rank;
    for (int i = 0; fits && i < sb.rank; i++)
        fits = sb.dim[i] == 1 || sb.dim[i] == sa.dim[axis + i];
    if (!fits)
        return tern__onnx_fail(n, TERN_E_SHAPE, "inputs %s and %s do not fit with broadcast %d and axis %" PRId64, tern__shape_text(&sa, a_text),
                               tern__shape_text(&sb, b_text), (int)broadcast, axis_given);
    const int end = (int)axis + sb.rank; /* axes from here on are the first operand's alone */
    *out = tern__unsqueeze(n->g, b, ((1u << (sa.rank - end)) - 1u) << sb.rank);
    return TERN_OK;
}

static tern_status binary(tern__onnx_node *n)
{
    tern_value b;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    ignore_hints(n);
    TERN_TRY(second_operand(n, &b));
    tern__onnx_set(n, 0, tern_graph_op2(n->g, twin_of(n), tern__onnx_in(n, 0), b, NULL));
    return TERN_OK;
}

/* Sum, Max, Min of any number of operands; Mean divides the sum, kept wide. */
static tern_status variadic(tern__onnx_node *n)
{
    const bool mean = strcmp(n->proto->op_type, "Mean") == 0;
    TERN_TRY(tern__onnx_need(n, TERN_MAX(n->n_in, 1), -1));
    ignore_hints(n);
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    tern_value y = TERN_NONE;
    for (int i = 0; i < n->n_in; i++) {
        tern_value x = tern__onnx_in(n, i);
        if (mean)
            x = tern__widen(n->g, x);
        y = i ? tern_graph_op2(n->g, twin_of(n), y, x, NULL) : x;
    }
    if (mean)
        y = tern__cast(n->g, tern__mul_scalar(n->g, y, 1.0 / n->n_in), t);
    tern__onnx_set(n, 0, y);
    return TERN_OK;
}

/* --- Operators with numbers as attributes ------------------------------------------------------------------------ */

typedef struct activation {
    const char *onnx, *tern, *attr[2];
    double def[2];
} activation;
/* ONNX's defaults are the nearest f32 of these numbers, which is what the scaled exponential's are. */
static const activation activations[] = {
    {"Celu", "celu", {"alpha"}, {1}},
    {"Elu", "elu", {"alpha"}, {1}},
    {"HardSigmoid", "hard_sigmoid", {"alpha", "beta"}, {0.2f, 0.5}},
    {"LeakyRelu", "leaky_relu", {"alpha"}, {0.01f}},
    {"Selu", "selu", {"alpha", "gamma"}, {1.67326319217681884765625, 1.05070102214813232421875}},
    {"Shrink", "shrink", {"lambd", "bias"}, {0.5, 0}},
    {"ThresholdedRelu", "thresholded_relu", {"alpha"}, {1}},
};

static tern_status parametric(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    ignore_hints(n);
    for (size_t i = 0; i < TERN_COUNT(activations); i++) {
        const activation *a = &activations[i];
        if (strcmp(a->onnx, n->proto->op_type) != 0)
            continue;
        tern_attr attrs[3] = {{0}};
        for (int k = 0; k < 2 && a->attr[k]; k++)
            attrs[k] = (tern_attr)TERN_FLOAT(a->attr[k], tern__onnx_attr_float(n, a->attr[k], a->def[k]));
        tern__onnx_set(n, 0, by_float(n, a->tern, attrs));
    }
    return TERN_OK;
}

static tern_status selu_1(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    ignore_hints(n);
    const double alpha = tern__onnx_attr_float(n, "alpha", 1.6732f), gamma = tern__onnx_attr_float(n, "gamma", 1.0507f);
    tern__onnx_set(n, 0, tern_graph_op1(n->g, "selu", tern__onnx_in(n, 0), TERN_ATTRS(TERN_FLOAT("alpha", alpha), TERN_FLOAT("gamma", gamma))));
    return TERN_OK;
}

static tern_status is_inf(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    const int64_t negative = tern__onnx_attr_int(n, "detect_negative", 1), positive = tern__onnx_attr_int(n, "detect_positive", 1);
    tern__onnx_set(n, 0, tern_graph_op1(n->g, "isinf", tern__onnx_in(n, 0),
                                        TERN_ATTRS(TERN_INT("detect_negative", negative), TERN_INT("detect_positive", positive))));
    return TERN_OK;
}

static tern_status gelu(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    const char *how = tern__onnx_attr_string(n, "approximate", "none");
    const bool by_tanh = strcmp(how, "tanh") == 0;
    if (!by_tanh && strcmp(how, "none") != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "approximate \"%.40s\" is neither none nor tanh", how);
    tern__onnx_set(n, 0, tern_graph_op1(n->g, "gelu", tern__onnx_in(n, 0), TERN_ATTRS(TERN_INT("approximate", by_tanh))));
    return TERN_OK;
}

static tern_status swish(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    const double alpha = tern__onnx_attr_float(n, "alpha", 1);
    tern_value x = tern__onnx_in(n, 0);
    if (alpha == 1) {
        tern__onnx_set(n, 0, tern__unary(n->g, "silu", x));
        return TERN_OK;
    }
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    tern_value w = tern__widen(n->g, x);
    tern_value gate = tern__unary(n->g, "sigmoid", tern__mul_scalar(n->g, w, alpha));
    tern__onnx_set(n, 0, tern__cast(n->g, tern__mul(n->g, w, gate), t));
    return TERN_OK;
}

/* --- Operators whose operands differ ----------------------------------------------------------------------------- */

/* The slope of PRelu as a value that broadcasts to x. Before opset 7 a vector belonged to the channels. */
static tern_status slope_of(tern__onnx_node *n, tern_value *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    const tern_shape sx = *tern__onnx_shape(n, 0), ss = *tern__onnx_shape(n, 1);
    tern_shape all;
    tern_value slope = tern__onnx_in(n, 1);
    if (tern__elems(&ss) == 1)
        slope = tern__reshape(n->g, slope, &(tern_shape){0});
    else if (n->opset < 7 && ss.rank == 1 && sx.rank >= 2 && ss.dim[0] == sx.dim[1])
        slope = tern__per_channel(n->g, slope, sx.rank);
    else if (!tern__broadcast(&sx, &ss, &all) || !tern__shape_equal(&all, &sx))
        return tern__onnx_fail(n, TERN_E_SHAPE, "slope %s does not broadcast to %s", tern__shape_text(&ss, a), tern__shape_text(&sx, b));
    *out = slope;
    return TERN_OK;
}

static tern_status prelu(tern__onnx_node *n)
{
    tern_value slope;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    ignore_hints(n);
    TERN_TRY(slope_of(n, &slope));
    tern_value x = tern__onnx_in(n, 0);
    if (tern__dtype_is(tern__onnx_type(n, 0)->dtype, TERN__T_FLOAT))
        tern__onnx_set(n, 0, tern_graph_op2(n->g, "prelu", x, slope, NULL));
    else
        tern__onnx_set(n, 0, tern__where(n->g, tern__compare(n->g, "less", x, 0), tern__mul(n->g, x, slope), x));
    return TERN_OK;
}

/* A limit of Clip: known ones become attributes of the op, others operands of max and min, and so do integers, exact in all 64 bits. */
static tern_status clip_by_input(tern__onnx_node *n, tern_value x, int i, const char *op, tern_value *out)
{
    *out = x;
    if (!tern__onnx_has(n, i))
        return TERN_OK;
    tern_value limit;
    TERN_TRY(tern__onnx_scalar_in(n, i, tern__onnx_type(n, 0)->dtype, &limit));
    *out = tern_graph_op2(n->g, op, x, limit, NULL);
    return TERN_OK;
}

static tern_status clip(tern__onnx_node *n)
{
    double lo = -INFINITY, hi = INFINITY;
    TERN_TRY(tern__onnx_need(n, 1, 3));
    const bool floats = tern__dtype_is(tern__onnx_type(n, 0)->dtype, TERN__T_FLOAT);
    const bool known = (!tern__onnx_has(n, 1) || tern__onnx_known(n, 1)) && (!tern__onnx_has(n, 2) || tern__onnx_known(n, 2));
    if (floats && known) {
        TERN_TRY(tern__onnx_read_float(n, 1, lo, &lo));
        TERN_TRY(tern__onnx_read_float(n, 2, hi, &hi));
    }
    tern_value y = tern__onnx_in(n, 0);
    if (floats && known && !isnan(lo) && !isnan(hi)) {
        tern__onnx_set(n, 0, tern_graph_op1(n->g, "clip", y, TERN_ATTRS(TERN_FLOAT("min", lo), TERN_FLOAT("max", hi))));
        return TERN_OK;
    }
    TERN_TRY(clip_by_input(n, y, 1, "max", &y));
    TERN_TRY(clip_by_input(n, y, 2, "min", &y));
    tern__onnx_set(n, 0, y);
    return TERN_OK;
}

/* Limits as attributes; without them version 6 stops at the largest f32, version 1 nowhere. */
static tern_status clip_1(tern__onnx_node *n)
{
    const double far = n->opset < 6 ? INFINITY : 3.4028234663852886e38;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    ignore_hints(n);
    const double lo = tern__onnx_attr_float(n, "min", -far), hi = tern__onnx_attr_float(n, "max", far);
    tern__onnx_set(n, 0, tern_graph_op1(n->g, "clip", tern__onnx_in(n, 0), TERN_ATTRS(TERN_FLOAT("min", lo), TERN_FLOAT("max", hi))));
    return TERN_OK;
}

static tern_value both(tern_graph *g, tern_value a, tern_value b)
{
    return tern_graph_op2(g, "logical_and", a, b, NULL);
}

static tern_value differ(tern_graph *g, tern_value a, tern_value b)
{
    return tern_graph_op2(g, "not_equal", a, b, NULL);
}

/* The op's remainder has the divisor's sign for integers and the dividend's for floating point; the other one of the two, where it is asked for,
 * differs by one divisor when it is not zero and the signs differ. */
static tern_status mod(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 2, 2));
    const bool truncating = tern__onnx_attr_int(n, "fmod", 0) != 0;
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    const bool floats = tern__dtype_is(t, TERN__T_FLOAT);
    tern_graph *g = n->g;
    tern_value a = tern__onnx_in(n, 0), b = tern__onnx_in(n, 1);
    tern_value r = tern_graph_op2(g, "mod", a, b, NULL);
    if (truncating != floats && !tern__is_unsigned(t)) {
        tern_value negative = tern__compare(g, "less", floats ? b : a, 0);
        tern_value wrong = both(g, tern__compare(g, "not_equal", r, 0), differ(g, tern__compare(g, "less", r, 0), negative));
        r = tern__where(g, wrong, floats ? tern__add(g, r, b) : tern__sub(g, r, b), r);
    }
    tern__onnx_set(n, 0, r);
    return TERN_OK;
}

static tern_status bit_shift(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 2, 2));
    const char *way = tern__onnx_attr_string(n, "direction", "");
    const bool left = strcmp(way, "LEFT") == 0;
    if (!left && strcmp(way, "RIGHT") != 0)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "direction \"%.40s\" is neither LEFT nor RIGHT", way);
    tern__onnx_set(n, 0, tern_graph_op2(n->g, left ? "shift_left" : "shift_right", tern__onnx_in(n, 0), tern__onnx_in(n, 1), NULL));
    return TERN_OK;
}

/* An integer to a power with a fraction is computed in f64 and truncated; a result within rounding of an integer is that integer. */
static tern_value int_pow_float(tern_graph *g, tern_value a, tern_value b, tern_dtype t)
{
    tern_value y = tern_graph_op2(g, "pow", tern__cast(g, a, TERN_F64), tern__cast(g, b, TERN_F64), NULL);
    tern_value nearest = tern__unary(g, "round", y);
    tern_value off = tern__unary(g, "abs", tern__sub(g, y, nearest));
    tern_value slack = tern__mul_scalar(g, tern__unary(g, "abs", y), 0x1p-46);
    tern_value near = tern_graph_op2(g, "less_equal", off, slack, NULL);
    return tern__cast(g, tern__where(g, near, nearest, y), t);
}

/* The result has the base's type, whatever the exponent's. */
static tern_status power(tern__onnx_node *n)
{
    tern_value b;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    TERN_TRY(second_operand(n, &b));
    const tern_dtype t = tern__onnx_type(n, 0)->dtype, e = tern__onnx_type(n, 1)->dtype;
    tern_value a = tern__onnx_in(n, 0);
    if (!tern__dtype_is(t, TERN__T_FLOAT) && tern__dtype_is(e, TERN__T_FLOAT))
        tern__onnx_set(n, 0, int_pow_float(n->g, a, b, t));
    else
        tern__onnx_set(n, 0, tern_graph_op2(n->g, "pow", a, tern__cast(n->g, b, t), NULL));
    return TERN_OK;
}

/* --- Softmax and its kin ----------------------------------------------------------------------------------------- */

/* 1 where the first largest element along the axis is, else 0. */
static tern_value hardmax(tern_graph *g, tern_value x, int axis)
{
    const tern_shape s = *tern__shape_of(g, x);
    const int64_t axes[1] = {axis};
    int64_t shape[TERN_MAX_RANK];
    for (int i = 0; i < s.rank; i++)
        shape[i] = i == axis ? s.dim[i] : 1;
    tern_value best = tern_graph_op1(g, "argmax", x, TERN_ATTRS(TERN_INTS("axes", axes, 1), TERN_INT("keepdims", 1)));
    tern_value k = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", shape, s.rank), TERN_INT("axis", axis), TERN_STRING("dtype", "i64")));
    return tern__cast(g, tern_graph_op2(g, "equal", best, k, NULL), tern__dtype_of(g, x));
}

static tern_value along(tern__onnx_node *n, tern_value x, int axis)
{
    if (strcmp(n->proto->op_type, "Hardmax") == 0)
        return hardmax(n->g, x, axis);
    return tern_graph_op1(n->g, strcmp(n->proto->op_type, "LogSoftmax") == 0 ? "log_softmax" : "softmax", x, TERN_ATTRS(TERN_INT("axis", axis)));
}

/* From opset 13 on the operators work along one axis; before, over all axes from the given one on, as if they were one. */
static tern_status softmax(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    const tern_shape s = *tern__onnx_shape(n, 0);
    int axis;
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", n->opset < 13 ? 1 : -1), s.rank, &axis));
    tern_value x = tern__onnx_in(n, 0);
    if (tern__elems(&s) == 0) {
        tern__onnx_set(n, 0, x);
        return TERN_OK;
    }
    if (n->opset >= 13 || axis == s.rank - 1) {
        tern__onnx_set(n, 0, along(n, x, axis));
        return TERN_OK;
    }
    const tern_shape flat = {.rank = 2, .dim = {tern__extent(&s, 0, axis), tern__extent(&s, axis, s.rank)}};
    tern__onnx_set(n, 0, tern__reshape(n->g, along(n, tern__reshape(n->g, x, &flat), 1), &s));
    return TERN_OK;
}

const tern__onnx_map tern__onnx_map_math[] = {
    {"", "Abs", 1, unary}, {"", "Acos", 7, unary}, {"", "Acosh", 9, unary}, {"", "Asin", 7, unary}, {"", "Asinh", 9, unary}, {"", "Atan", 7, unary},
    {"", "Atanh", 9, unary}, {"", "BitwiseNot", 18, unary}, {"", "Ceil", 1, unary}, {"", "Cos", 7, unary}, {"", "Cosh", 9, unary}, {"", "Exp", 1, unary},
    {"", "Floor", 1, unary}, {"", "HardSwish", 14, unary}, {"", "IsNaN", 9, unary}, {"", "Log", 1, unary}, {"", "Mish", 18, unary}, {"", "Neg", 1, unary},
    {"", "Not", 1, unary}, {"", "Reciprocal", 1, unary}, {"", "Relu", 1, unary}, {"", "Round", 11, unary}, {"", "Sigmoid", 1, unary},
    {"", "Sign", 9, unary}, {"", "Sin", 7, unary}, {"", "Sinh", 9, unary}, {"", "Softplus", 1, unary}, {"", "Softsign", 1, unary},
    {"", "Sqrt", 1, unary}, {"", "Tan", 7, unary}, {"", "Tanh", 1, unary}, {"", "Erf", 9, unary_by_float},
    {"", "Add", 1, binary}, {"", "And", 1, binary}, {"", "BitwiseAnd", 18, binary}, {"", "BitwiseOr", 18, binary}, {"", "BitwiseXor", 18, binary},
    {"", "Div", 1, binary}, {"", "Equal", 1, binary}, {"", "Greater", 1, binary}, {"", "GreaterOrEqual", 12, binary}, {"", "Less", 1, binary},
    {"", "LessOrEqual", 12, binary}, {"", "Mul", 1, binary}, {"", "Or", 1, binary}, {"", "Sub", 1, binary}, {"", "Xor", 1, binary},
    {"", "Max", 1, variadic}, {"", "Mean", 1, variadic}, {"", "Min", 1, variadic}, {"", "Sum", 1, variadic},
    {"", "Celu", 12, parametric}, {"", "Elu", 1, parametric}, {"", "HardSigmoid", 1, parametric}, {"", "LeakyRelu", 1, parametric},
    {"", "Selu", 1, selu_1}, {"", "Selu", 6, parametric}, {"", "Shrink", 9, parametric}, {"", "ThresholdedRelu", 1, parametric},
    {"", "IsInf", 10, is_inf}, {"", "Gelu", 20, gelu}, {"", "Swish", 24, swish}, {"", "PRelu", 1, prelu},
    {"", "Clip", 1, clip_1}, {"", "Clip", 11, clip}, {"", "Mod", 10, mod}, {"", "BitShift", 11, bit_shift}, {"", "Pow", 1, power},
    {"", "Softmax", 1, softmax}, {"", "LogSoftmax", 1, softmax}, {"", "Hardmax", 1, softmax},
    {0},
};
