/* Forms of what works element by element and of reductions. */
#include <math.h>
#include <string.h>

#include "onnx/export.h"
#include "ops/common.h"
#include "ops/reduction.h"

#define F TERN__E_F
#define FD TERN__E_FD
#define D TERN__BIT(TERN_F64)
#define U64 TERN__BIT(TERN_U64)
#define U32 TERN__BIT(TERN_U32)
#define NUM TERN__E_NUM
#define INT TERN__E_INT
#define WORDS TERN__E_WORDS
#define BYTES TERN__E_BYTES
#define BOOL TERN__E_BOOL

/* --- Integer division --- Tern gives 0 where the divisor is 0; in ONNX that is nobody's business. */

static bool may_be_zero(const tern_graph *g, tern_value v)
{
    const tern__value *x = tern__value_at(g, v);
    if (x->kind != TERN__VALUE_CONST)
        return true;
    const tern__array a = {.type = x->type, .data = tern__blob_elems(x->data)};
    const int64_t n = tern__elems(&x->type.shape);
    if (!a.data)
        return true;
    for (int64_t i = 0; i < n; i++)
        if (tern__array_get_int(&a, i) == 0)
            return true;
    return false;
}

/* y = op(a, b + z) (1 - z), z = 1 where b is 0. */
static void emit_guarded(tern__export *e, const tern__node *n, const char *op)
{
    const tern_dtype t = tern__dtype_of(e->g, n->in[0]);
    const char *a = tern__export_name(e, n->in[0]), *b = tern__export_name(e, n->in[1]);
    const char *z = tern__export_cast(e, tern__export_2(e, "Equal", b, tern__export_number(e, t, 0)), t);
    const char *q = tern__export_2(e, op, a, tern__export_2(e, "Add", b, z));
    const char *in[2] = {q, tern__export_2(e, "Sub", tern__export_number(e, t, 1), z)}, *out[1] = {tern__export_output(e, n, 0)};
    tern__export_node(e, "Mul", in, 2, out, 1);
}

static bool guard(const tern__export *e, const tern__node *n)
{
    return !tern__dtype_is(tern__dtype_of(e->g, n->in[0]), TERN__T_FLOAT) && may_be_zero(e->g, n->in[1]);
}

static void emit_div(tern__export *e, const tern__node *n)
{
    if (guard(e, n))
        emit_guarded(e, n, "Div");
    else
        tern__export_plain(e, n, "Div", 2, NULL);
}

static void emit_mod(tern__export *e, const tern__node *n)
{
    if (guard(e, n)) {
        emit_guarded(e, n, "Mod");
        return;
    }
    tern__export_plain(e, n, "Mod", 2, NULL);
    tern__export_int(e, "fmod", tern__dtype_is(tern__dtype_of(e->g, n->in[0]), TERN__T_FLOAT));
}

/* --- Shifts --- Of unsigned numbers only. Amounts that are too large give 0 in Tern; in ONNX they are undefined. */

static int needs_unsigned(const tern_graph *g, const tern__node *n)
{
    return tern__is_unsigned(tern__dtype_of(g, n->in[0])) ? TERN__EXPORT_OPSET : 0;
}

static bool amounts_fit(const tern_graph *g, tern_value v, int64_t bits)
{
    const tern__value *x = tern__value_at(g, v);
    if (x->kind != TERN__VALUE_CONST)
        return false;
    const tern__array a = {.type = x->type, .data = tern__blob_elems(x->data)};
    const int64_t n = tern__elems(&x->type.shape);
    if (!a.data)
        return false;
    for (int64_t i = 0; i < n; i++)
        if (tern__array_get_int(&a, i) < 0 || tern__array_get_int(&a, i) >= bits)
            return false;
    return true;
}

static void emit_shift(tern__export *e, const tern__node *n)
{
    const char *way = strcmp(n->op->name, "shift_left") == 0 ? "LEFT" : "RIGHT";
    const tern_dtype t = tern__dtype_of(e->g, n->in[0]);
    const int64_t bits = 8 * (int64_t)tern_dtype_size(t);
    if (amounts_fit(e->g, n->in[1], bits)) {
        tern__export_plain(e, n, "BitShift", 2, NULL);
        tern__export_string(e, "direction", way);
        return;
    }
    const char *a = tern__export_name(e, n->in[0]), *b = tern__export_name(e, n->in[1]), *most = tern__export_number(e, t, (double)bits - 1);
    const char *shifted = tern__export_2(e, "BitShift", a, tern__export_2(e, "Min", b, most));
    tern__export_string(e, "direction", way);
    const char *fits = tern__export_cast(e, tern__export_2(e, "LessOrEqual", b, most), t);
    const char *out[1] = {tern__export_output(e, n, 0)};
    tern__export_node(e, "Mul", (const char *const[]){shifted, fits}, 2, out, 1);
}

/* --- Others --- */

static void emit_clip(tern__export *e, const tern__node *n)
{
    const tern_dtype t = tern__dtype_of(e->g, n->in[0]);
    const double lo = tern__attr_float(n, 0), hi = tern__attr_float(n, 1);
    const char *in[3] = {tern__export_name(e, n->in[0])}, *out[1] = {tern__export_output(e, n, 0)};
    if (!isinf(lo) || lo > 0)
        in[1] = tern__export_number(e, t, lo);
    if (!isinf(hi) || hi < 0)
        in[2] = tern__export_number(e, t, hi);
    tern__export_node(e, in[1] || in[2] ? "Clip" : "Identity", in, 3, out, 1);
}

/* Bounds of integers must be numbers of their type, or none. */
static int needs_clip(const tern_graph *g, const tern__node *n)
{
    const tern_dtype t = tern__dtype_of(g, n->in[0]);
    const double lo = tern__attr_float(n, 0), hi = tern__attr_float(n, 1);
    double least, most;
    if (tern__dtype_is(t, TERN__T_FLOAT))
        return TERN__EXPORT_OPSET;
    tern__export_limits(t, &least, &most);
    const bool fits = (lo == -INFINITY || (lo >= least && lo <= most)) && (hi == INFINITY || (hi >= least && hi <= most));
    return fits ? TERN__EXPORT_OPSET : 0;
}

/* Tern's casts to integers stop at the limits, which ONNX leaves open: a clip before does the same, where the limits are numbers that f32 has.
 * Numbers beyond the others are not converted by models that mean something. */
static int needs_cast(const tern_graph *g, const tern__node *n)
{
    const tern_dtype from = tern__dtype_of(g, n->in[0]), to = tern__dtype_of(g, n->out[0]);
    const tern__node *p = tern__producer(g, n->in[0]);
    double lo, hi;
    if (!tern__dtype_is(from, TERN__T_FLOAT) || !tern__export_cast_limits(to, &lo, &hi))
        return TERN__EXPORT_OPSET;
    return p && strcmp(p->op->name, "clip") == 0 && tern__attr_float(p, 0) >= lo && tern__attr_float(p, 1) <= hi ? TERN__EXPORT_OPSET : 0;
}

static void emit_cast(tern__export *e, const tern__node *n)
{
    tern__export_plain(e, n, "Cast", 1, NULL);
    tern__export_int(e, "to", tern__onnx_dtype_number(tern__dtype_of(e->g, n->out[0])));
}

/* ONNX has no Relu of most integers, and no negation of unsigned ones. */
static int needs_float(const tern_graph *g, const tern__node *n)
{
    return tern__dtype_is(tern__dtype_of(g, n->in[0]), TERN__T_FLOAT) ? TERN__EXPORT_OPSET : 0;
}

static int needs_signed(const tern_graph *g, const tern__node *n)
{
    return tern__is_unsigned(tern__dtype_of(g, n->in[0])) ? 0 : TERN__EXPORT_OPSET;
}

/* --- Reductions --- ReduceSum takes its axes as an input, the others from opset 18 on. */

static void emit_reduction(tern__export *e, const tern__node *n)
{
    int n_axes;
    const int64_t *axes = tern__attr_ints(n, TERN__REDUCE_AXES, &n_axes);
    const char *op = tern__export_find(n->op->name)->onnx;
    const bool by_input = n_axes && (e->opset >= 18 || strcmp(op, "ReduceSum") == 0);
    tern__export_plain(e, n, op, 1, by_input ? (const char *const[]){tern__export_list(e, axes, n_axes), NULL} : NULL);
    if (n_axes && !by_input)
        tern__export_ints(e, "axes", axes, n_axes);
    tern__export_int(e, "keepdims", tern__attr_int(n, TERN__REDUCE_KEEPDIMS) != 0);
}

static void emit_arg(tern__export *e, const tern__node *n)
{
    int n_axes;
    const int64_t *axes = tern__attr_ints(n, TERN__REDUCE_AXES, &n_axes);
    tern__export_plain(e, n, tern__export_find(n->op->name)->onnx, 1, NULL);
    tern__export_int(e, "axis", n_axes ? axes[0] : 0);
    tern__export_int(e, "keepdims", tern__attr_int(n, TERN__REDUCE_KEEPDIMS) != 0);
}

/* Among all elements: along the axis of a flat list. */
static int needs_arg(const tern_graph *g, const tern__node *n)
{
    int n_axes;
    tern__attr_ints(n, TERN__REDUCE_AXES, &n_axes);
    return n_axes == 1 || tern__shape_of(g, n->in[0])->rank == 1 ? TERN__EXPORT_OPSET : 0;
}

#define BITS(nm, on) {TERN__FORM(nm, on, INT, 0), .opset = 18}
#define SAME(nm, on, ty) {TERN__FORM(nm, on, ty, 0)}
#define REDUCE(nm, on, ty) {TERN__FORM(nm, on, ty, U64), .emit = emit_reduction}
const tern__export_form tern__export_forms[] = {
    SAME("abs", "Abs", NUM), SAME("add", "Add", NUM), SAME("sub", "Sub", NUM), SAME("mul", "Mul", NUM),
    {TERN__FORM("acos", "Acos", F, D)}, {TERN__FORM("acosh", "Acosh", F, D)}, {TERN__FORM("asin", "Asin", F, D)}, {TERN__FORM("asinh", "Asinh", F, D)},
    {TERN__FORM("atan", "Atan", F, D)}, {TERN__FORM("atanh", "Atanh", F, D)},
    SAME("ceil", "Ceil", FD), SAME("cos", "Cos", FD), {TERN__FORM("cosh", "Cosh", F, D)}, {TERN__FORM("erf", "Erf", F, D)}, SAME("exp", "Exp", FD),
    SAME("floor", "Floor", FD),
    {TERN__FORM("hard_swish", "HardSwish", F, D)}, SAME("isnan", "IsNaN", FD), SAME("log", "Log", FD), SAME("reciprocal", "Reciprocal", FD),
    SAME("round", "Round", FD), SAME("sigmoid", "Sigmoid", FD), SAME("sign", "Sign", NUM), SAME("sin", "Sin", FD), {TERN__FORM("sinh", "Sinh", F, D)},
    {TERN__FORM("softplus", "Softplus", F, D)},
    {TERN__FORM("softsign", "Softsign", F, D)}, SAME("sqrt", "Sqrt", FD), {TERN__FORM("tan", "Tan", F, D)}, SAME("tanh", "Tanh", FD),
    {TERN__FORM("neg", "Neg", NUM, 0), .needs = needs_signed, .instead = tern__instead_neg},
    {TERN__FORM("relu", "Relu", FD, 0), .needs = needs_float, .instead = tern__instead_relu},
    {TERN__FORM("celu", "Celu", TERN__BIT(TERN_F32), 0), .attrs = {"alpha"}, .instead = tern__instead_celu},
    {TERN__FORM("elu", "Elu", F, D), .attrs = {"alpha"}},
    {TERN__FORM("hard_sigmoid", "HardSigmoid", F, D), .attrs = {"alpha", "beta"}},
    {TERN__FORM("leaky_relu", "LeakyRelu", FD, 0), .attrs = {"alpha"}},
    {TERN__FORM("selu", "Selu", F, D), .attrs = {"alpha", "gamma"}},
    {TERN__FORM("shrink", "Shrink", FD, 0), .attrs = {"lambd", "bias"}},
    {TERN__FORM("thresholded_relu", "ThresholdedRelu", F, D), .attrs = {"alpha"}},
    {TERN__FORM("isinf", "IsInf", TERN__BIT(TERN_F32) | D, 0), .attrs = {"detect_negative", "detect_positive"}},
    {TERN__FORM("clip", "Clip", FD | BYTES | WORDS | U32 | U64, 0), .needs = needs_clip, .emit = emit_clip, .instead = tern__instead_clip},
    {TERN__FORM("cast", "Cast", TERN__E_ALL, 0), .needs = needs_cast, .emit = emit_cast, .instead = tern__instead_cast},
    {TERN__FORM("div", "Div", NUM, 0), .emit = emit_div},
    {TERN__FORM("mod", "Mod", NUM, 0), .emit = emit_mod},
    {TERN__FORM("pow", "Pow", FD | WORDS, 0), .instead = tern__instead_pow}, SAME("prelu", "PRelu", FD),
    SAME("max", "Max", FD | BYTES | WORDS | U32 | U64), SAME("min", "Min", FD | BYTES | WORDS | U32 | U64),
    SAME("equal", "Equal", NUM | BOOL), SAME("greater", "Greater", NUM), SAME("greater_equal", "GreaterOrEqual", NUM), SAME("less", "Less", NUM),
    SAME("less_equal", "LessOrEqual", NUM),
    SAME("logical_and", "And", BOOL), SAME("logical_or", "Or", BOOL), SAME("logical_xor", "Xor", BOOL), SAME("logical_not", "Not", BOOL),
    {TERN__FORM("where", "Where", FD | BYTES | WORDS | U32, U64)},
    BITS("bit_and", "BitwiseAnd"), BITS("bit_or", "BitwiseOr"), BITS("bit_xor", "BitwiseXor"), BITS("bit_not", "BitwiseNot"),
    {TERN__FORM("shift_left", "BitShift", TERN__BIT(TERN_U8) | U32 | U64, 0), .needs = needs_unsigned, .emit = emit_shift, .instead = tern__instead_shift},
    {TERN__FORM("shift_right", "BitShift", TERN__BIT(TERN_U8) | U32 | U64, 0), .needs = needs_unsigned, .emit = emit_shift, .instead = tern__instead_shift},
    {TERN__FORM("softmax", "Softmax", FD, 0), .attrs = {"axis"}}, {TERN__FORM("log_softmax", "LogSoftmax", FD, 0), .attrs = {"axis"}},
    REDUCE("sum", "ReduceSum", FD | WORDS), REDUCE("mean", "ReduceMean", FD | WORDS), REDUCE("prod", "ReduceProd", FD | WORDS),
    REDUCE("reduce_max", "ReduceMax", FD | BYTES | WORDS), REDUCE("reduce_min", "ReduceMin", FD | BYTES | WORDS),
    REDUCE("reduce_l1", "ReduceL1", FD | WORDS), REDUCE("reduce_l2", "ReduceL2", FD | WORDS), REDUCE("logsumexp", "ReduceLogSumExp", FD | WORDS),
    {TERN__FORM("argmax", "ArgMax", FD | BYTES | WORDS, U64), .needs = needs_arg, .emit = emit_arg, .instead = tern__instead_arg},
    {TERN__FORM("argmin", "ArgMin", FD | BYTES | WORDS, U64), .needs = needs_arg, .emit = emit_arg, .instead = tern__instead_arg},
    {.op = "square", .instead = tern__instead_square}, {.op = "rsqrt", .instead = tern__instead_rsqrt}, {.op = "exp2", .instead = tern__instead_exp2},
    {.op = "log2", .instead = tern__instead_log2}, {.op = "log1p", .instead = tern__instead_log1p}, {.op = "expm1", .instead = tern__instead_expm1},
    {.op = "atan2", .instead = tern__instead_atan2}, {.op = "hard_tanh", .instead = tern__instead_clip}, {.op = "relu6", .instead = tern__instead_clip},
    {.op = "not_equal", .instead = tern__instead_not_equal}, {.op = "gelu", .instead = tern__instead_gelu}, {.op = "silu", .instead = tern__instead_silu},
    {.op = "mish", .instead = tern__instead_mish},
    {0},
};
