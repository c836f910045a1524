/* The cases by which every op is judged: pointwise ops by their declaration, the others by a table. */
#include "certify/case.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/philox.h"

/* A line of the table.
 * in: one word per input, [TYPE][RANGE]:EXTENTS, where TYPE is an element type (none: the one under test), RANGE is <N (whole numbers
 *   0 to N-1), + (0.1 to 2), ~ (-1 to 1), # (whole numbers, also of floats), ! (never zero), and EXTENTS are separated by commas (none: a scalar); - is a missing input.
 * attrs: NAME=VALUE words, integer lists with commas, T for the name of the element type under test.
 * The first line of an op is its smallest case. */
typedef struct line {
    const char *op, *in, *attrs;
    int n_out; /* for ops with as many outputs as asked for; 0: the op's own number */
} line;

static const line lines[] = {
#include "certify/table.h"
};

static bool is_float(tern_dtype t) { return tern__dtype_is(t, TERN__T_FLOAT); }
static bool is_unsigned(tern_dtype t) { return t >= TERN_U8 && t <= TERN_U64; }

static tern__fill usual_fill(tern_dtype t)
{
    if (is_float(t))
        return (tern__fill){.lo = -2, .hi = 2};
    if (t == TERN_BOOL)
        return (tern__fill){.lo = 0, .hi = 1};
    return is_unsigned(t) ? (tern__fill){.lo = 0, .hi = 9} : (tern__fill){.lo = -9, .hi = 9};
}

/* --- Reading the table --- */

static tern_status bad_line(const line *l, const char *at) { return tern__fail(TERN_E_INVALID, "certify: %s: cannot read \"%s\"", l->op, at); }

/* Extents after the colon. */
static const char *read_extents(const char *s, tern_shape *shape)
{
    *shape = (tern_shape){0};
    while (isdigit((unsigned char)*s) && shape->rank < TERN_MAX_RANK) {
        char *end;
        shape->dim[shape->rank++] = strtoll(s, &end, 10);
        s = *end == ',' ? end + 1 : end;
    }
    return s;
}

static tern_status read_input(const line *l, const char **at, tern__case *c)
{
    const char *s = *at;
    int i = c->n_in++;
    if (*s == '-' && (s[1] == ' ' || !s[1])) {
        c->in[i].dtype = TERN_DTYPE_COUNT;
        *at = s + 1;
        return TERN_OK;
    }
    char type[8];
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789");
    tern_dtype t = c->dtype;
    if (n >= sizeof type)
        return bad_line(l, s);
    snprintf(type, sizeof type, "%.*s", (int)n, s);
    if (n && tern_dtype_parse(type, &t) != TERN_OK)
        return bad_line(l, s);
    s += n;
    tern__fill f = usual_fill(t);
    for (; *s && *s != ':'; s++) {
        char *end;
        if (*s == '<') {
            f = (tern__fill){.lo = 0, .hi = (double)strtoll(s + 1, &end, 10) - 1};
            s = end - 1;
        } else if (*s == '+') {
            f.lo = is_float(t) ? 0.1 : 1;
        } else if (*s == '~') {
            f.lo = is_unsigned(t) ? 0 : -1;
            f.hi = 1;
        } else if (*s == '#') {
            f.whole = true;
        } else if (*s == '!') {
            f.no_zero = true;
        } else {
            return bad_line(l, s);
        }
    }
    if (*s != ':')
        return bad_line(l, *at);
    c->in[i].dtype = t;
    c->fill[i] = f;
    s = read_extents(s + 1, &c->in[i].shape);
    *at = s;
    return *s == ' ' || !*s ? TERN_OK : bad_line(l, *at);
}

static const tern__attr_decl *find_attr(const tern__op *op, const char *name, size_t n)
{
    for (int i = 0; i < op->n_attrs; i++)
        if (strlen(op->attrs[i].name) == n && !memcmp(op->attrs[i].name, name, n))
            return &op->attrs[i];
    return NULL;
}

/* A string value: cases borrow it, so it comes from this list. */
static const char *known_word(const char *s, size_t n)
{
    static const char *const words[] = {"constant", "edge", "reflect", "sum", "mean", "none", "f32", "f16", "f64", "i32", "i64", "u8", "bool",
                                        "tanh", "add", "set", "same", "valid", "max", "min", "mul", "wrap"};
    for (int i = 0; i < TERN_COUNT(words); i++)
        if (strlen(words[i]) == n && !memcmp(words[i], s, n))
            return words[i];
    return NULL;
}

static tern_status read_attr(const line *l, const char **at, tern__case *c)
{
    const char *s = *at, *value = strchr(s, '=');
    const tern__attr_decl *d = value ? find_attr(c->op, s, (size_t)(value - s)) : NULL;
    if (!d || c->n_attrs == TERN__CASE_ATTRS)
        return bad_line(l, s);
    size_t n = strcspn(++value, " ");
    tern_attr *a = &c->attr[c->n_attrs];
    *a = (tern_attr){.name = d->name, .type = d->type};
    switch (d->type) {
    case TERN_ATTR_INT: a->i = strtoll(value, NULL, 10); break;
    case TERN_ATTR_FLOAT: a->f = strtod(value, NULL); break;
    case TERN_ATTR_STRING:
        a->s = n == 1 && *value == 'T' ? tern_dtype_name(c->dtype) : known_word(value, n);
        if (!a->s)
            return bad_line(l, s);
        break;
    case TERN_ATTR_INTS:
        c->first_int[c->n_attrs] = c->n_ints;
        for (const char *v = value; v < value + n && c->n_ints < TERN__CASE_INTS; v += *v == ',') {
            char *end;
            c->ints[c->n_ints++] = strtoll(v, &end, 10);
            a->n_ints++;
            if (end == v)
                return bad_line(l, s);
            v = end;
        }
        break;
    case TERN_ATTR_NONE: return bad_line(l, s);
    }
    c->n_attrs++;
    *at = value + n;
    return TERN_OK;
}

static const char *skip_spaces(const char *s) { return s + strspn(s, " "); }

static tern_status read_line(const line *l, const tern__op *op, tern_dtype dtype, tern__case *c)
{
    *c = (tern__case){.op = op, .dtype = dtype, .n_out = l->n_out ? l->n_out : op->n_out};
    for (const char *s = skip_spaces(l->in); *s; s = skip_spaces(s)) {
        if (c->n_in == TERN__CASE_INPUTS)
            return bad_line(l, s);
        TERN_TRY(read_input(l, &s, c));
    }
    for (const char *s = skip_spaces(l->attrs); *s; s = skip_spaces(s))
        TERN_TRY(read_attr(l, &s, c));
    return TERN_OK;
}

/* --- Pointwise ops: from their declaration --- */

static void pointwise_case(const tern__op *op, tern_dtype dtype, int pattern, tern__case *c)
{
    /* 1: one element; then odd sizes around vector widths; then a broadcast among operands. */
    static const tern_shape whole[] = {{1, {17}}, {1, {1}}, {2, {15, 33}}, {1, {127}}, {3, {2, 3, 16}}};
    *c = (tern__case){.op = op, .dtype = dtype, .n_out = 1, .n_in = op->max_in < 0 ? op->min_in + 1 : op->max_in};
    for (int i = 0; i < c->n_in; i++) {
        c->in[i] = (tern__type){.dtype = op->pointwise->first_bool && i == 0 ? TERN_BOOL : dtype, .shape = whole[pattern]};
        c->fill[i] = usual_fill(c->in[i].dtype);
        c->fill[i].specials = true;
        c->fill[i].no_zero = i > 0 && !is_float(dtype); /* whole numbers are not divided by zero */
        if (i > 0 && !is_float(dtype))
            c->fill[i].lo = fmax(c->fill[i].lo, strstr(op->name, "shift") ? 0 : -9);
        if (pattern == 4 && i == 1)
            c->in[i].shape = (tern_shape){2, {3, 1}};
        if (pattern == 4 && i == 2)
            c->in[i].shape = (tern_shape){0};
    }
}

/* FLOAT attributes other than their defaults, in an order that suits limits. */
static void set_floats(tern__case *c)
{
    for (int i = 0; i < c->op->n_attrs && c->n_attrs < TERN__CASE_ATTRS; i++)
        if (c->op->attrs[i].type == TERN_ATTR_FLOAT)
            c->attr[c->n_attrs++] = (tern_attr){.name = c->op->attrs[i].name, .type = TERN_ATTR_FLOAT, .f = 0.25 * (i + 1)};
}

static bool has_floats(const tern__op *op)
{
    for (int i = 0; i < op->n_attrs; i++)
        if (op->attrs[i].type == TERN_ATTR_FLOAT)
            return true;
    return false;
}

/* --- Collecting --- */

typedef struct collector {
    tern__case *cases;
    int n, cap;
} collector;

static void describe(tern__case *c)
{
    tern__str s = {0};
    for (int i = 0; i < c->n_in; i++) {
        tern__str_add(&s, i ? " " : "");
        if (c->in[i].dtype == TERN_DTYPE_COUNT)
            tern__str_add(&s, "-");
        else
            tern__type_print(&s, &c->in[i]);
    }
    for (int i = 0; i < c->n_attrs; i++) {
        const tern_attr *a = &c->attr[i];
        tern__str_addf(&s, " %s=", a->name);
        if (a->type == TERN_ATTR_INT)
            tern__str_addf(&s, "%" PRId64, a->i);
        else if (a->type == TERN_ATTR_FLOAT)
            tern__str_addf(&s, "%g", a->f);
        else if (a->type == TERN_ATTR_STRING)
            tern__str_add(&s, a->s);
        for (int k = 0; k < a->n_ints; k++)
            tern__str_addf(&s, "%s%" PRId64, k ? "," : "", c->ints[c->first_int[i] + k]);
    }
    snprintf(c->text, sizeof c->text, "%s", tern__str_text(&s));
    tern__str_finish(&s);
}

void tern__case_add(const tern__case *c, tern_graph *g, const tern_value *in, tern_value *outs)
{
    tern_attr attrs[TERN__CASE_ATTRS + 1];
    for (int i = 0; i < c->n_attrs; i++) {
        attrs[i] = c->attr[i];
        if (attrs[i].type == TERN_ATTR_INTS)
            attrs[i].ints = c->ints + c->first_int[i];
    }
    attrs[c->n_attrs] = (tern_attr){0};
    tern_graph_add_n(g, c->op->name, in, c->n_in, attrs, outs, c->n_out);
}

/* Whether the op's shape rule takes the case. A refusal for another reason than the element type is the table's mistake. */
static tern_status try_case(const tern__case *c, bool *taken)
{
    tern_graph *g = NULL;
    TERN_TRY(tern_graph_create(&g));
    tern_value in[TERN__CASE_INPUTS], out[TERN__CASE_OUTPUTS];
    for (int i = 0; i < c->n_in; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        in[i] = c->in[i].dtype == TERN_DTYPE_COUNT ? TERN_NONE : tern_graph_input(g, name, c->in[i].dtype, &c->in[i].shape, 0);
    }
    tern__case_add(c, g, in, out);
    tern_status st = tern_graph_check(g);
    tern_graph_destroy(g);
    *taken = st == TERN_OK;
    return st == TERN_E_DTYPE ? TERN_OK : st;
}

/* Keeps the case if the op takes it. */
static tern_status keep(collector *k, tern__case *c)
{
    bool taken = false;
    tern_status st = try_case(c, &taken);
    describe(c);
    if (st != TERN_OK)
        return tern__fail_in(st, "certify: case %s of %s", c->text, c->op->name);
    if (!taken)
        return TERN_OK;
    if (k->n == k->cap && !TERN_GROW(k->cases, k->n, k->cap))
        return tern__fail(TERN_E_NOMEM, "certify: %d cases", k->n);
    k->cases[k->n++] = *c;
    return TERN_OK;
}

static tern_status keep_pointwise(collector *k, const tern__op *op, tern_dtype dtype, bool quick)
{
    tern__case c;
    for (int pattern = 0; pattern < (quick ? 1 : op->max_in == 1 ? 4 : 5); pattern++) {
        pointwise_case(op, dtype, pattern, &c);
        TERN_TRY(keep(k, &c));
    }
    if (has_floats(op)) {
        pointwise_case(op, dtype, 0, &c);
        set_floats(&c);
        TERN_TRY(keep(k, &c));
    }
    return TERN_OK;
}

/* cast: to every element type there is. */
static tern_status keep_casts(collector *k, const tern__op *op, tern_dtype dtype, bool quick)
{
    for (int to = 0; to < TERN_DTYPE_COUNT; to++) {
        tern__case c;
        pointwise_case(op, dtype, quick ? 0 : 2, &c);
        c.attr[c.n_attrs++] = (tern_attr){.name = "to", .type = TERN_ATTR_STRING, .s = tern_dtype_name((tern_dtype)to)};
        TERN_TRY(keep(k, &c));
    }
    return TERN_OK;
}

/* Lines whose op is the name or, for a family of ops, a list that holds it: "sum|mean|prod". */
static bool names_op(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; *s; s += strcspn(s, "|"), s += *s == '|')
        if (strcspn(s, "|") == n && !memcmp(s, name, n))
            return true;
    return false;
}

static tern_status keep_named(collector *k, const tern__op *op, const char *name, tern_dtype dtype, bool quick, int *found)
{
    for (int i = 0; i < TERN_COUNT(lines); i++) {
        if (!names_op(lines[i].op, name) || (quick && *found))
            continue;
        tern__case c;
        TERN_TRY(read_line(&lines[i], op, dtype, &c));
        TERN_TRY(keep(k, &c));
        ++*found;
    }
    return TERN_OK;
}

/* A reduction that no line names has the cases of sum: reductions all take the same inputs. */
static tern_status keep_lines(collector *k, const tern__op *op, tern_dtype dtype, bool quick)
{
    int found = 0;
    TERN_TRY(keep_named(k, op, op->name, dtype, quick, &found));
    if (!found && op->trait == TERN__REDUCTION)
        TERN_TRY(keep_named(k, op, "sum", dtype, quick, &found));
    return found ? TERN_OK : tern__fail(TERN_E_NOT_FOUND, "certify: no case for the op %s; add one to src/certify/table.h", op->name);
}

tern_status tern__cases(const tern__op *op, tern_dtype dtype, bool quick, tern__case **cases, int *n)
{
    collector k = {0};
    tern_status st;
    if (!strcmp(op->name, "cast"))
        st = keep_casts(&k, op, dtype, quick);
    else if (op->trait == TERN__POINTWISE && op->pointwise)
        st = keep_pointwise(&k, op, dtype, quick);
    else
        st = keep_lines(&k, op, dtype, quick);
    if (st != TERN_OK) {
        tern__free(k.cases);
        return st;
    }
    *cases = k.cases;
    *n = k.n;
    return TERN_OK;
}

/* --- Contents and tolerance --- */

void tern__case_fill(const tern__case *c, int i, const tern__array *a)
{
    static const double special[] = {0, 1, -1, 0.5, -0.5, 3, -3, 30, -30, 1e-3};
    const tern__fill *f = &c->fill[i];
    int64_t n = tern__elems(&a->type.shape);
    for (int64_t k = 0; k < n; k++) {
        double u = tern__philox_uniform(0x7465726e + (uint64_t)i, (uint64_t)c->dtype, (uint64_t)k);
        if (is_float(a->type.dtype)) {
            double x = f->lo + u * (f->hi - f->lo);
            if (f->specials && n > 8 && k < TERN_COUNT(special))
                x = special[(k + 3 * i) % TERN_COUNT(special)];
            tern__array_set(a, k, f->whole ? round(x) : x);
        } else {
            int64_t x = (int64_t)f->lo + (int64_t)(u * (f->hi - f->lo + 1));
            tern__array_set_int(a, k, f->no_zero && x == 0 ? 1 : x);
        }
    }
}

static double tolerance_of(tern_dtype t, bool simple)
{
    switch (t) {
    case TERN_F32: return simple ? 1e-5 : 1e-4;
    case TERN_F16: return simple ? 2e-3 : 1e-2;
    case TERN_BF16: return simple ? 1.6e-2 : 8e-2;
    case TERN_F64: return simple ? 1e-12 : 1e-10;
    default: return 0;
    }
}

double tern__case_tolerance(const tern__case *c, tern_dtype out)
{
    /* Pointwise results differ by the rounding of one value and the driver's functions; sums also by their order; composites in
     * 16-bit types by roundings between their parts, which fusion leaves out. */
    bool simple = c->op->trait == TERN__POINTWISE || c->op->trait == TERN__MOVEMENT;
    double allowed = tolerance_of(out, simple);
    for (int i = 0; i < c->n_in && is_float(out); i++)
        allowed = fmax(allowed, tolerance_of(c->in[i].dtype, simple));
    /* Random numbers are computed in f32 for every type. */
    return c->op->trait == TERN__SOURCE && allowed > 0 ? fmax(allowed, tolerance_of(TERN_F32, simple)) : allowed;
}
