/* Printing bodies as OpenCL C, scalar or in vectors. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "codegen/body.h"
#include "codegen/marks.h"
#include "compile/lower.h"
#include "program/program.h"

const char *tern__reg_type(tern_dtype t)
{
    static const char *const names[TERN_DTYPE_COUNT] = {
        [TERN_F32] = "float", [TERN_F16] = "float", [TERN_BF16] = "float", [TERN_F64] = "double",
        [TERN_I8] = "char",   [TERN_I16] = "short", [TERN_I32] = "int",    [TERN_I64] = "long",
        [TERN_U8] = "uchar",  [TERN_U16] = "ushort", [TERN_U32] = "uint",  [TERN_U64] = "ulong", [TERN_BOOL] = "int",
    };
    return names[t];
}

const char *tern__mem_type(tern_dtype t)
{
    switch (t) {
    case TERN_F16:
        return "half";
    case TERN_BF16:
        return "ushort";
    case TERN_BOOL:
        return "uchar";
    default:
        return tern__reg_type(t);
    }
}

/* The dtype whose registers t uses. */
static tern_dtype in_register(tern_dtype t)
{
    return t == TERN_F16 || t == TERN_BF16 ? TERN_F32 : t;
}

static bool is_float(tern_dtype t)
{
    return tern__dtype_is(t, TERN__T_FLOAT);
}

void tern__print_type(tern__str *out, tern_dtype t, int width)
{
    tern__str_add(out, tern__reg_type(t));
    if (width > 1)
        tern__str_addf(out, "%d", width);
}

/* The terms without the constant. marked: factors may become parameters. */
static void print_terms(const tern__body *b, tern__str *out, const tern__aff *a, bool marked)
{
    for (int i = 0; i < a->n; i++) {
        int64_t k = a->term[i].coef;
        if (i)
            tern__str_add(out, k < 0 ? " - " : " + ");
        else if (k < 0)
            tern__str_add(out, "0u - ");
        tern__str_add(out, b->var[a->term[i].var].name);
        if (k != 1 && k != -1)
            tern__str_addf(out, marked ? " * " TERN__MARK_SIZE "%lld" TERN__MARK_END : " * %lldu", (long long)(k < 0 ? -k : k));
    }
}

void tern__print_aff(const tern__body *b, tern__str *out, const tern__aff *a)
{
    if (a->n == 0) {
        tern__str_addf(out, "%uu", (unsigned)a->c);
        return;
    }
    tern__str_add(out, "(");
    print_terms(b, out, a, false);
    if (a->c)
        tern__str_addf(out, " %c %lldu", a->c < 0 ? '-' : '+', (long long)(a->c < 0 ? -a->c : a->c));
    tern__str_add(out, ")");
}

/* Launches that differ in nothing else share a kernel. */
void tern__print_address(const tern__body *b, tern__str *out, const tern__aff *a)
{
    if (a->n == 0) {
        tern__str_addf(out, TERN__MARK_ALONE "%lld" TERN__MARK_END, (long long)a->c);
        return;
    }
    tern__str_add(out, "(");
    print_terms(b, out, a, true);
    tern__str_addf(out, TERN__MARK_ADDED "%lld" TERN__MARK_END ")", (long long)a->c);
}

/* The nearest number of an integer type. */
static double saturate(tern_dtype t, double x)
{
    bool is_unsigned = t >= TERN_U8 && t <= TERN_U64;
    int bits = 8 * (int)tern_dtype_size(t);
    double hi = ldexp(1.0, is_unsigned ? bits : bits - 1), lo = is_unsigned ? 0 : -hi;
    double top = bits == 64 ? nextafter(hi, 0) : hi - 1;
    return isnan(x) ? 0 : x < lo ? lo : x > top ? top : x;
}

static void print_number(tern__str *out, tern_dtype t, double x)
{
    if (tern__dtype_is(t, TERN__T_INT))
        x = saturate(t, x);
    switch (in_register(t)) {
    case TERN_F32:
        tern__str_add_f32(out, x);
        return;
    case TERN_F64:
        if (isfinite(x))
            tern__str_addf(out, "%.17g%s", x, x == floor(x) && fabs(x) < 1e16 ? ".0" : "");
        else
            tern__str_add(out, isnan(x) ? "(double)NAN" : x < 0 ? "-(double)INFINITY" : "(double)INFINITY");
        return;
    case TERN_BOOL:
        tern__str_add(out, x != 0 ? "1" : "0");
        return;
    case TERN_U64:
        tern__str_addf(out, "(ulong)%lluul", (unsigned long long)x);
        return;
    case TERN_I64:
        if (x <= -9223372036854775808.0)
            tern__str_add(out, "LONG_MIN");
        else
            tern__str_addf(out, "(long)(%lldl)", (long long)x);
        return;
    default:
        tern__str_addf(out, "(%s)(%lld)", tern__reg_type(t), (long long)x);
    }
}

/* A constant, which may become a parameter where kernels differ in its value alone. */
static void print_constant(tern__str *out, tern_dtype t, double x)
{
    const float f = (float)x;
    uint32_t bits;
    if (t == TERN_I32) {
        tern__str_addf(out, "(int)(" TERN__MARK_INT "%lld" TERN__MARK_END ")", (long long)saturate(t, x));
        return;
    }
    if (in_register(t) != TERN_F32 || tern__dtype_is(t, TERN__T_INT) || !isfinite(f)) {
        print_number(out, t, x);
        return;
    }
    memcpy(&bits, &f, sizeof bits);
    tern__str_addf(out, TERN__MARK_FLOAT "%" PRIu32 TERN__MARK_END, bits);
}

void tern__body_operand(const tern__body *b, tern__str *out, int reg, int width)
{
    const tern__ins *i = &b->ins[reg];
    bool spread = width > 1 && !i->lane;
    if (spread) {
        tern__str_add(out, "(");
        tern__print_type(out, i->dtype, width);
        tern__str_add(out, i->dtype == TERN_BOOL ? ")(-(" : ")(");
    }
    if (i->op == TERN__INS_CONST)
        print_constant(out, i->dtype, i->x);
    else if (i->op == TERN__INS_PRESET)
        tern__str_add(out, i->text);
    else
        tern__str_addf(out, "r%d_%d", b->tag, reg);
    if (spread)
        tern__str_add(out, i->dtype == TERN_BOOL ? "))" : ")");
}

/* --- Functions --- */

bool tern__need(tern__needs *needs, const tern__op *op, tern_dtype t, int width)
{
    t = in_register(t);
    for (int i = 0; i < needs->n; i++)
        if (needs->f[i].op == op && needs->f[i].t == t && needs->f[i].width == width)
            return true;
    if (needs->n == TERN_COUNT(needs->f))
        return false;
    needs->f[needs->n].op = op;
    needs->f[needs->n].t = t;
    needs->f[needs->n++].width = width;
    return true;
}

void tern__print_function(tern__str *out, const tern__op *op, tern_dtype t, int width)
{
    tern__str_addf(out, "%s_%sx%d", op->name, tern_dtype_name(in_register(t)), width);
}

static void define_width(tern__str *out, const char *macro, const char *type, int width)
{
    tern__str_addf(out, "#define %s %s", macro, type);
    if (width > 1)
        tern__str_addf(out, "%d", width);
    tern__str_add(out, "\n");
}

static const char *const macro_names[] = {"T", "E", "B", "M", "FN", "FN_INIT", "FN_STEP", "FN_FINISH", "CVT_B", "CVT_M", "K",
                                          "IS_FLOAT", "IS_UNSIGNED", "IS_BOOL"};

/* The names that a function's source is written in: see kernels/lib/types.clh. */
static void define_types(tern__str *out, const tern__op *op, tern_dtype t, int width)
{
    static const char *const mask[TERN_DTYPE_COUNT] = {
        [TERN_F32] = "int", [TERN_F64] = "long", [TERN_I8] = "char", [TERN_I16] = "short", [TERN_I32] = "int",   [TERN_I64] = "long",
        [TERN_U8] = "char", [TERN_U16] = "short", [TERN_U32] = "int", [TERN_U64] = "long",  [TERN_BOOL] = "int",
    };
    char suffix[12] = "";
    if (width > 1)
        snprintf(suffix, sizeof suffix, "%d", width);
    define_width(out, "T", tern__reg_type(t), width);
    define_width(out, "E", tern__reg_type(t), 1);
    define_width(out, "B", "int", width);
    define_width(out, "M", width > 1 ? mask[t] : "int", width);
    tern__str_addf(out, "#define CVT_B(x) convert_int%s(x)\n", suffix);
    tern__str_addf(out, "#define CVT_M(x) convert_%s%s(x)\n", width > 1 ? mask[t] : "int", suffix);
    tern__str_add(out, t == TERN_F64 ? "#define K(x) x\n" : "#define K(x) x##f\n");
    tern__str_addf(out, "#define IS_FLOAT %d\n#define IS_UNSIGNED %d\n#define IS_BOOL %d\n", is_float(t), t >= TERN_U8 && t <= TERN_U64,
                   t == TERN_BOOL);
    for (int i = 0; i < 4; i++) {
        static const char *const part[] = {"", "_INIT", "_STEP", "_FINISH"};
        static const char *const tail[] = {"", "_init", "_step", "_finish"};
        if ((i == 0) == (op->trait == TERN__REDUCTION))
            continue;
        tern__str_addf(out, "#define FN%s ", part[i]);
        tern__print_function(out, op, t, width);
        tern__str_addf(out, "%s\n", tail[i]);
    }
}

tern_status tern__print_needs(const tern__needs *needs, tern__str *out)
{
    if (needs->random > 1)
        tern__str_addf(out, "#define PHILOX_WIDTH %d\n", needs->random);
    if (needs->random)
        TERN_TRY(tern__source_append(out, "lib/philox.clh"));
    if (needs->transposes)
        TERN_TRY(tern__source_append(out, "lib/transpose.clh"));
    if (needs->prefetches)
        TERN_TRY(tern__source_append(out, "lib/prefetch.clh"));
    for (int i = 0; i < TERN_COUNT(macro_names) && needs->n; i++)
        tern__str_addf(out, "#undef %s\n", macro_names[i]);
    for (int i = 0; i < needs->n; i++) {
        const tern__op *op = needs->f[i].op;
        char name[128];
        snprintf(name, sizeof name, "%s/%s.cl", op->trait == TERN__REDUCTION ? "reduce" : "pointwise", op->name);
        define_types(out, op, needs->f[i].t, needs->f[i].width);
        TERN_TRY(tern__source_append(out, name));
        for (int k = 0; k < TERN_COUNT(macro_names); k++)
            tern__str_addf(out, "#undef %s\n", macro_names[k]);
    }
    return out->failed ? tern__fail(TERN_E_NOMEM, "codegen: no memory for the kernels' text") : TERN_OK;
}

/* --- Instructions --- */

static const char lane_digit[] = "0123456789abcdef";

static void print_var(const tern__body *b, tern__str *out, int v, int indent)
{
    const tern__var *x = &b->var[v];
    tern__str_addf(out, "%*sconst uint %s = ", indent, "", x->name);
    switch (x->kind) {
    case TERN__VAR_DIV:
        tern__print_aff(b, out, &x->from);
        tern__str_addf(out, " / %lldu;\n", (long long)x->k);
        break;
    case TERN__VAR_MOD: /* not %: see tern__fz_decompose */
        tern__print_aff(b, out, &x->from);
        tern__str_add(out, " - ");
        tern__print_aff(b, out, &x->from);
        tern__str_addf(out, " / %lldu * %lldu;\n", (long long)x->k, (long long)x->k);
        break;
    case TERN__VAR_CLAMP:
    case TERN__VAR_REFLECT:
        tern__str_add(out, x->kind == TERN__VAR_CLAMP ? "(uint)clamp((int)" : "reflect_index((int)");
        tern__print_aff(b, out, &x->from);
        tern__str_addf(out, x->kind == TERN__VAR_CLAMP ? ", 0, %lld);\n" : ", %lld);\n", x->kind == TERN__VAR_CLAMP ? (long long)x->k - 1 : (long long)x->k);
        break;
    case TERN__VAR_REG: {
        tern__str r = {0};
        tern__body_operand(b, &r, x->reg, 1);
        tern__str_addf(out, "(uint)clamp((long)%s + ((long)%s < 0 ? %lldl : 0l), 0l, %lldl);\n", tern__str_text(&r), tern__str_text(&r),
                       (long long)x->extent, (long long)x->extent - 1);
        out->failed |= r.failed;
        tern__str_finish(&r);
        break;
    }
    case TERN__VAR_AXIS:
        break;
    }
}

static void print_call(const tern__body *b, tern__str *out, tern__needs *needs, const tern__ins *s, int width)
{
    const tern__op *op = s->node->op;
    int typed = s->n_args > 1 && op->pointwise->first_bool ? 1 : 0;
    tern_dtype t = b->ins[s->args[typed]].dtype;
    if (!tern__need(needs, op, t, width))
        out->failed = true;
    tern__print_function(out, op, t, width);
    tern__str_add(out, "(");
    for (int i = 0; i < s->n_args; i++) {
        tern__str_add(out, i ? ", " : "");
        tern__body_operand(b, out, s->args[i], width);
    }
    for (int i = 0; i < op->n_attrs; i++) {
        if (op->attrs[i].type == TERN_ATTR_FLOAT || op->attrs[i].type == TERN_ATTR_INT) {
            tern__str_add(out, ", ");
            print_number(out, t, op->attrs[i].type == TERN_ATTR_FLOAT ? tern__attr_float(s->node, i) : (double)tern__attr_int(s->node, i));
        }
    }
    tern__str_add(out, ")");
}

/* A float to 8 or 16 bits by way of int, stopped at the limits first; NaN gives 0. Drivers make worse of convert_TYPE_sat. */
static void print_saturated(tern__str *out, const char *ty, const char *x, tern_dtype to, int width)
{
    const bool is_unsigned = to == TERN_U8 || to == TERN_U16;
    const int bits = (int)tern_dtype_size(to) * 8, lo = is_unsigned ? 0 : -(1 << (bits - 1)), hi = lo + (1 << bits) - 1;
    tern__str f = {0}, i = {0};
    tern__print_type(&f, TERN_F32, width);
    tern__print_type(&i, TERN_I32, width);
    const char *ft = tern__str_text(&f);
    tern__str_addf(out, "convert_%s(convert_%s(", ty, tern__str_text(&i));
    if (is_unsigned) /* false for NaN */
        tern__str_addf(out, "%s > (%s)(0.0f) ? (%s < (%s)(%d.0f) ? %s : (%s)(%d.0f)) : (%s)(0.0f)", x, ft, x, ft, hi, x, ft, hi, ft);
    else
        tern__str_addf(out, "%s >= (%s)(%d.0f) ? (%s < (%s)(%d.0f) ? %s : (%s)(%d.0f)) : (%s < (%s)(%d.0f) ? (%s)(%d.0f) : (%s)(0.0f))", x, ft, lo, x, ft,
                       hi, x, ft, hi, x, ft, lo, ft, lo, ft);
    tern__str_add(out, "))");
    out->failed |= f.failed || i.failed;
    tern__str_finish(&f);
    tern__str_finish(&i);
}

static bool calls(const tern__ins *s, const char *op)
{
    return s->op == TERN__INS_CALL && !strcmp(s->node->op->name, op);
}

/* Is r the sum of a rounded f32 and a whole number of a byte's size, or the rounded alone? Then what was rounded, and the number. */
static int rounded(const tern__body *b, int r, int *z)
{
    const tern__ins *s = &b->ins[r];
    *z = 0;
    if (calls(s, "add"))
        for (int i = 0; i < 2; i++) {
            const tern__ins *number = &b->ins[s->args[i]];
            if (number->op == TERN__INS_CONST && number->x == floor(number->x) && fabs(number->x) < 256) {
                *z = (int)number->x;
                s = &b->ins[s->args[1 - i]];
                break;
            }
        }
    return calls(s, "round") && in_register(b->ins[s->args[0]].dtype) == TERN_F32 ? s->args[0] : -1;
}

/* Quantising to bytes has a form of its own, which takes half the instructions. */
static bool print_quantised(const tern__body *b, tern__str *out, const tern__ins *s, int width)
{
    int z;
    if (s->dtype != TERN_U8 && s->dtype != TERN_I8)
        return false;
    const int x = rounded(b, s->args[0], &z);
    if (x < 0 || b->ins[x].lane != s->lane)
        return false;
    tern__str_addf(out, "quantised_%s_%d(", tern_dtype_name(s->dtype), width);
    tern__body_operand(b, out, x, width);
    tern__str_addf(out, ", " TERN__MARK_INT "%d" TERN__MARK_END ")", z);
    return true;
}

/* So has what a byte that was just made stands for: it need not become a byte on the way. */
static bool print_requantised(const tern__body *b, tern__str *out, const tern__ins *s, int width)
{
    double taken = 0;
    int z;
    const tern__ins *q = &b->ins[s->args[0]];
    if (s->dtype != TERN_F32)
        return false;
    if (calls(q, "sub") && b->ins[q->args[1]].op == TERN__INS_CONST) {
        taken = b->ins[q->args[1]].x;
        q = &b->ins[q->args[0]];
    }
    if (q->op == TERN__INS_CONVERT && q->dtype == TERN_I32)
        q = &b->ins[q->args[0]];
    if (q->op != TERN__INS_CONVERT || (q->dtype != TERN_U8 && q->dtype != TERN_I8))
        return false;
    const int x = rounded(b, q->args[0], &z);
    if (x < 0 || (double)z != taken || b->ins[x].lane != s->lane)
        return false;
    tern__str_addf(out, "requantised_%s_%d(", tern_dtype_name(q->dtype), width);
    tern__body_operand(b, out, x, width);
    tern__str_addf(out, ", " TERN__MARK_INT "%d" TERN__MARK_END ")", z);
    return true;
}

static void print_convert(const tern__body *b, tern__str *out, const tern__ins *s, int width)
{
    tern_dtype from = b->ins[s->args[0]].dtype, to = s->dtype;
    tern__str x = {0}, ty = {0};
    if (print_quantised(b, out, s, width) || print_requantised(b, out, s, width))
        return;
    tern__body_operand(b, &x, s->args[0], width);
    tern__print_type(&ty, to, width);
    if (to == TERN_BOOL) {
        /* A plain 0 is an int, which does not compare with a vector of a narrower type. */
        tern__str from_ty = {0};
        tern__print_type(&from_ty, from, width);
        tern__str_addf(out, "convert_%s(%s != (%s)0)", tern__str_text(&ty), tern__str_text(&x), tern__str_text(&from_ty));
        out->failed |= from_ty.failed;
        tern__str_finish(&from_ty);
    } else if (from == TERN_BOOL) {
        tern__str_addf(out, "convert_%s(%s & 1)", tern__str_text(&ty), tern__str_text(&x));
    } else if (to == TERN_F16 || to == TERN_BF16) {
        bool same = in_register(from) == TERN_F32;
        tern__str_addf(out, "round_%s_%d(%s%s(%s))", tern_dtype_name(to), width, same ? "" : "convert_", same ? "" : tern__str_text(&ty),
                       tern__str_text(&x));
    } else if (in_register(from) == TERN_F32 && tern__dtype_is(to, TERN__T_INT) && tern_dtype_size(to) < 4) {
        print_saturated(out, tern__str_text(&ty), tern__str_text(&x), to, width);
    } else {
        /* Out of range, a plain conversion from floating point gives whatever the device likes. */
        bool saturate = tern__dtype_is(from, TERN__T_FLOAT) && tern__dtype_is(to, TERN__T_INT);
        tern__str_addf(out, "convert_%s%s(%s)", tern__str_text(&ty), saturate ? "_sat" : "", tern__str_text(&x));
    }
    out->failed |= x.failed || ty.failed;
    tern__str_finish(&x);
    tern__str_finish(&ty);
}

static void print_load(const tern__body *b, tern__str *out, const tern__ins *s, int width)
{
    const char *t = tern_dtype_name(s->dtype);
    int64_t k = width > 1 ? tern__aff_coef(&s->index, b->lane) : 0;
    if (width == 1 || k == 1) {
        tern__str_addf(out, "LD_%s_%d(h%d, ", t, width, s->param);
        tern__print_address(b, out, &s->index);
        tern__str_add(out, ")");
        return;
    }
    tern__str_add(out, "(");
    tern__print_type(out, s->dtype, width);
    tern__str_add(out, ")(");
    for (int j = 0; j < width; j++) {
        tern__str_addf(out, "%s%sLD_%s_1(h%d, ", j ? ", " : "", s->dtype == TERN_BOOL ? "-" : "", t, s->param);
        tern__print_address(b, out, &s->index);
        tern__str_addf(out, " + %lldu)", (long long)(j * k));
    }
    tern__str_add(out, ")");
}

static void print_store(const tern__body *b, tern__str *out, const tern__ins *s, int width, int indent)
{
    const char *t = tern_dtype_name(s->dtype);
    tern__str x = {0};
    tern__body_operand(b, &x, s->args[0], width);
    int64_t k = width > 1 ? tern__aff_coef(&s->index, b->lane) : 1;
    if (width == 1 || k == 1) {
        tern__str_addf(out, "%*sST_%s_%d(h%d, ", indent, "", t, width, s->param);
        tern__print_address(b, out, &s->index);
        tern__str_addf(out, ", %s);\n", tern__str_text(&x));
    } else {
        tern__str_addf(out, "%*s{\n%*s    const ", indent, "", indent, "");
        tern__print_type(out, s->dtype, width);
        tern__str_addf(out, " w = %s;\n", tern__str_text(&x));
        for (int j = 0; j < width; j++) {
            tern__str_addf(out, "%*s    ST_%s_1(h%d, ", indent, "", t, s->param);
            tern__print_address(b, out, &s->index);
            tern__str_addf(out, " + %lldu, w.s%c);\n", (long long)(j * k), lane_digit[j]);
        }
        tern__str_addf(out, "%*s}\n", indent, "");
    }
    out->failed |= x.failed;
    tern__str_finish(&x);
}

static void index_vector(const tern__body *b, tern__str *out, const tern__aff *index, int width)
{
    int64_t k = width > 1 ? tern__aff_coef(index, b->lane) : 0;
    if (width > 1)
        tern__str_addf(out, "(uint%d)", width);
    tern__print_aff(b, out, index);
    if (width == 1)
        return;
    tern__str_addf(out, " + (uint%d)(", width);
    for (int j = 0; j < width; j++)
        tern__str_addf(out, "%s%lldu", j ? ", " : "", (long long)(j * k));
    tern__str_add(out, ")");
}

static void print_index(const tern__body *b, tern__str *out, const tern__ins *s, int width)
{
    tern__str_add(out, "convert_");
    tern__print_type(out, s->dtype, width);
    tern__str_add(out, "(");
    index_vector(b, out, &s->index, width);
    tern__str_add(out, ")");
}

/* offset + scale * a random number: attributes "seed", then low and high or mean and scale. */
static void print_random(const tern__body *b, tern__str *out, tern__needs *needs, const tern__ins *s, int width)
{
    needs->random = TERN_MAX(needs->random, width);
    const tern__node *n = s->node;
    bool normal = strstr(n->op->name, "normal") != NULL;
    int64_t seed = 0;
    double p[2] = {0, 1};
    int np = 0;
    for (int i = 0; i < n->op->n_attrs; i++) {
        if (!strcmp(n->op->attrs[i].name, "seed"))
            seed = tern__attr_int(n, i);
        else if (n->op->attrs[i].type == TERN_ATTR_FLOAT && np < 2)
            p[np++] = tern__attr_float(n, i);
    }
    tern__str_add(out, "convert_");
    tern__print_type(out, s->dtype, width);
    tern__str_addf(out, width > 1 ? "(philox_%s_%d" : "(philox_%s", normal ? "normal" : "uniform", width);
    tern__str_addf(out, "(0x%llxul, (ulong)(", (unsigned long long)seed);
    tern__body_operand(b, out, s->args[0], 1);
    tern__str_add(out, "), ");
    index_vector(b, out, &s->index, width);
    tern__str_add(out, ") * ");
    print_number(out, TERN_F32, normal ? p[1] : p[1] - p[0]);
    tern__str_add(out, " + ");
    print_number(out, TERN_F32, p[0]);
    tern__str_add(out, ")");
}

static void print_range(const tern__body *b, tern__str *out, const tern__ins *s, int width)
{
    tern__str_add(out, "(");
    tern__print_aff(b, out, &s->index);
    tern__str_addf(out, " - %uu) < %lldu ? ", (unsigned)s->lo, (long long)(s->hi - s->lo));
    tern__body_operand(b, out, s->args[0], width);
    tern__str_add(out, " : ");
    tern__body_operand(b, out, s->args[1], width);
}

static void print_ins(const tern__body *b, tern__str *out, tern__needs *needs, int r, int width, int indent)
{
    const tern__ins *s = &b->ins[r];
    int w = s->lane ? width : 1;
    if (s->op == TERN__INS_STORE) {
        print_store(b, out, s, width, indent);
        return;
    }
    tern__str_addf(out, "%*sconst ", indent, "");
    tern__print_type(out, s->dtype, w);
    tern__str_addf(out, " r%d_%d = ", b->tag, r);
    switch (s->op) {
    case TERN__INS_LOAD:
        print_load(b, out, s, w);
        break;
    case TERN__INS_CALL:
        print_call(b, out, needs, s, w);
        break;
    case TERN__INS_CONVERT:
        print_convert(b, out, s, w);
        break;
    case TERN__INS_INDEX:
        print_index(b, out, s, w);
        break;
    case TERN__INS_RANGE:
        print_range(b, out, s, w);
        break;
    case TERN__INS_SELECT:
        tern__body_operand(b, out, s->args[0], 1);
        tern__str_add(out, " ? ");
        tern__body_operand(b, out, s->args[1], w);
        tern__str_add(out, " : ");
        tern__body_operand(b, out, s->args[2], w);
        break;
    case TERN__INS_INBOUND:
        tern__str_add(out, "(long)");
        tern__body_operand(b, out, s->args[0], 1);
        tern__str_addf(out, " >= -%lldl && (long)", (long long)s->hi);
        tern__body_operand(b, out, s->args[0], 1);
        tern__str_addf(out, " < %lldl", (long long)s->hi);
        break;
    case TERN__INS_RANDOM:
        print_random(b, out, needs, s, w);
        break;
    default:
        break;
    }
    tern__str_add(out, ";\n");
}

struct printer {
    const tern__body *b;
    tern__str *out;
    tern__needs *needs;
    int width, indent;
    tern__printed *done;
};

static void ensure_ins(struct printer *p, int r);

static void ensure_aff(struct printer *p, const tern__aff *a)
{
    for (int i = 0; i < a->n; i++) {
        int v = a->term[i].var;
        const tern__var *x = &p->b->var[v];
        if (x->kind == TERN__VAR_AXIS || p->done->var[v])
            continue;
        if (x->kind == TERN__VAR_REG)
            ensure_ins(p, x->reg);
        else
            ensure_aff(p, &x->from);
        p->done->var[v] = true;
        print_var(p->b, p->out, v, p->indent);
    }
}

static void ensure_ins(struct printer *p, int r)
{
    const tern__ins *s = &p->b->ins[r];
    if (p->done->ins[r] || s->op == TERN__INS_CONST || s->op == TERN__INS_PRESET)
        return;
    p->done->ins[r] = true;
    for (int i = 0; i < s->n_args; i++)
        ensure_ins(p, s->args[i]);
    ensure_aff(p, &s->index);
    print_ins(p->b, p->out, p->needs, r, p->width, p->indent);
}

void tern__body_print(const tern__body *b, tern__str *out, tern__needs *needs, int width, unsigned allowed, tern__printed *done, int indent)
{
    struct printer p = {b, out, needs, width, indent, done};
    /* Stores come last: a result may lie where an operand did. */
    for (int stores = 0; stores < 2; stores++)
        for (int r = 0; r < b->n_ins; r++)
            if ((b->ins[r].op == TERN__INS_STORE) == stores && !(b->ins[r].deps & ~allowed))
                ensure_ins(&p, r);
}

bool tern__body_print_ahead(const tern__body *b, tern__str *out, tern__needs *needs, int width, int indent)
{
    tern__printed done = {0};
    struct printer p = {b, out, needs, width, indent, &done};
    bool any = false;
    for (int r = 0; r < b->n_ins; r++) {
        const tern__ins *s = &b->ins[r];
        if (s->op != TERN__INS_LOAD || b->lane < 0 || tern__aff_coef(&s->index, b->lane) != 1 || !(s->deps & ~(1u << b->lane)))
            continue;
        ensure_aff(&p, &s->index);
        tern__str_addf(out, "%*sPREFETCH(h%d + ", indent, "", s->param);
        tern__print_address(b, out, &s->index);
        tern__str_add(out, ");\n");
        any = needs->prefetches = true;
    }
    return any;
}
