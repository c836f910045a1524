/* Building bodies: from a value at some coordinates to loads, calls and stores. */
#include "codegen/body.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

void tern__body_init(tern__body *b, const tern_graph *g, tern__params *params, bool (*inside)(const void *, tern_value), const void *user)
{
    b->n_vars = b->n_ins = 0; /* the rest of the arrays is written before it is read */
    b->failed = false;
    b->reason[0] = 0;
    b->g = g;
    b->params = params;
    b->inside = inside;
    b->user = user;
    b->lane = -1;
    b->tag = 0;
}

void tern__body_fail(tern__body *b, const char *fmt, ...)
{
    if (b->failed)
        return;
    b->failed = true;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(b->reason, sizeof b->reason, fmt, ap);
    va_end(ap);
}

int tern__params_add(tern__params *ps, tern_value v, bool writes)
{
    for (int i = 0; i < ps->n; i++)
        if (ps->p[i].v == v) {
            ps->p[i].writes |= writes;
            ps->p[i].reads |= !writes;
            return i;
        }
    if (ps->n == TERN_COUNT(ps->p))
        return -1;
    ps->p[ps->n].v = v;
    ps->p[ps->n].writes = writes;
    ps->p[ps->n].reads = !writes;
    return ps->n++;
}

/* --- Variables --- */

static int new_var(tern__body *b, tern__var_kind kind, int64_t extent)
{
    if (b->n_vars == TERN__MAX_VARS) {
        tern__body_fail(b, "more than %d index variables", TERN__MAX_VARS);
        return -1;
    }
    tern__var *v = &b->var[b->n_vars];
    *v = (tern__var){.kind = kind, .extent = extent, .multiple_of = 1, .reg = -1};
    snprintf(v->name, sizeof v->name, "i%d_%d", b->tag, b->n_vars);
    return b->n_vars++;
}

tern__aff tern__body_axis(tern__body *b, const char *name, int64_t extent, int64_t multiple_of, int *var)
{
    int i = new_var(b, TERN__VAR_AXIS, extent);
    if (var)
        *var = i;
    if (i < 0)
        return tern__aff_const(0);
    snprintf(b->var[i].name, sizeof b->var[i].name, "%s", name);
    b->var[i].multiple_of = multiple_of > 1 ? multiple_of : 1;
    b->var[i].deps = 1u << i; /* axes come first, so their numbers are small */
    return extent == 1 ? tern__aff_const(0) : tern__aff_var(i);
}

static unsigned aff_deps(const tern__body *b, const tern__aff *a)
{
    unsigned deps = 0;
    for (int i = 0; i < a->n; i++)
        deps |= b->var[a->term[i].var].deps;
    return deps;
}

/* Is the expression the same for all lanes of a vector of this width? */
static bool aff_uniform(const tern__body *b, const tern__aff *a, int width)
{
    for (int i = 0; i < a->n; i++) {
        if (a->term[i].var == b->lane)
            return false;
        int64_t p = b->var[a->term[i].var].period;
        if (p != 0 && p % width != 0)
            return false;
    }
    return true;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a < 0 ? -a : a;
}

/* Largest width over whose aligned vectors a / k does not change from lane to lane; 0 when the lane is not in a. */
static int64_t division_period(const tern__body *b, const tern__aff *a, int64_t k)
{
    bool lane_in = false;
    for (int i = 0; i < a->n; i++)
        lane_in |= a->term[i].var == b->lane || b->var[a->term[i].var].period != 0;
    if (!lane_in)
        return 0;
    if (b->lane < 0 || tern__aff_coef(a, b->lane) != 1)
        return 1;
    int64_t p = gcd(gcd(k, b->var[b->lane].multiple_of), a->c);
    for (int i = 0; i < a->n; i++) {
        const tern__var *v = &b->var[a->term[i].var];
        if (a->term[i].var == b->lane)
            continue;
        if (v->period != 0)
            p = gcd(p, v->period);
        p = gcd(p, a->term[i].coef * v->multiple_of);
    }
    return p > 0 ? p : 1;
}

static tern__aff derived(tern__body *b, tern__var_kind kind, tern__aff a, int64_t k, int64_t extent, int64_t period)
{
    for (int i = 0; i < b->n_vars; i++)
        if (b->var[i].kind == kind && b->var[i].k == k && tern__aff_equal(&b->var[i].from, &a))
            return tern__aff_var(i);
    int i = new_var(b, kind, extent);
    if (i < 0)
        return tern__aff_const(0);
    b->var[i].from = a;
    b->var[i].k = k;
    b->var[i].deps = aff_deps(b, &a);
    b->var[i].period = period;
    return tern__aff_var(i);
}

static int64_t aff_max(const tern__body *b, const tern__aff *a)
{
    int64_t m = a->c;
    for (int i = 0; i < a->n; i++)
        if (a->term[i].coef > 0)
            m += a->term[i].coef * (b->var[a->term[i].var].extent - 1);
    return m;
}

void tern__body_divmod(tern__body *b, tern__aff a, int64_t k, tern__aff *q, tern__aff *r)
{
    if (k == 1) {
        *q = a;
        *r = tern__aff_const(0);
        return;
    }
    /* Terms that are whole multiples of k leave the division; what stays is below k, or needs a real division. */
    tern__aff whole = tern__aff_const(a.c >= 0 ? a.c / k : 0), rest = tern__aff_const(a.c >= 0 ? a.c % k : a.c);
    for (int i = 0; i < a.n; i++) {
        tern__aff t = {.n = 1};
        t.term[0] = a.term[i];
        if (a.term[i].coef % k == 0) {
            t.term[0].coef /= k;
            whole = tern__aff_add(whole, t);
        } else {
            rest = tern__aff_add(rest, t);
        }
    }
    bool positive = rest.c >= 0;
    for (int i = 0; i < rest.n; i++)
        positive &= rest.term[i].coef > 0;
    if (positive && aff_max(b, &rest) < k) {
        *q = whole;
        *r = rest;
        return;
    }
    if (!positive) {
        whole = tern__aff_const(0);
        rest = a;
    }
    int64_t extent = aff_max(b, &rest) / k + 1;
    tern__aff d = derived(b, TERN__VAR_DIV, rest, k, extent, division_period(b, &rest, k));
    *q = tern__aff_add(whole, d);
    /* Written as rest - k * d the remainder keeps its stride along the lane where the quotient is uniform. */
    int64_t period = d.n ? b->var[d.term[0].var].period : 0;
    if (period == 0 || period > 1)
        *r = tern__aff_axpy(rest, -k, d);
    else
        *r = derived(b, TERN__VAR_MOD, rest, k, k, 1);
}

/* a as k * whole + rest with 0 <= rest < k, for the largest k of a vector's size that divides `multiple` too; 0 if there is none or nothing varies in rest. So
 * what is asked of a in steps of k, of the channels in a block, is the same for all of a vector's lanes. */
static int64_t split_evenly(const tern__body *b, const tern__aff *a, int64_t multiple, tern__aff *whole, tern__aff *rest)
{
    for (int64_t k = 16; k >= 4; k /= 2) {
        const int64_t c = (a->c % k + k) % k;
        bool even = multiple % k == 0;
        *rest = tern__aff_const(c);
        *whole = tern__aff_const((a->c - c) / k);
        for (int i = 0; i < a->n && even; i++) {
            tern__aff t = {.n = 1};
            t.term[0] = a->term[i];
            const bool divides = t.term[0].coef % k == 0;
            even = divides || t.term[0].coef > 0;
            t.term[0].coef /= divides ? k : 1;
            *(divides ? whole : rest) = tern__aff_add(divides ? *whole : *rest, t);
        }
        if (even && rest->n && aff_max(b, rest) < k)
            return k;
    }
    return 0;
}

/* An expression that may leave [0, extent), brought back; unchanged where it never does. */
static tern__aff bounded(tern__body *b, tern__var_kind kind, tern__aff a, int64_t extent)
{
    bool inside = a.c >= 0 && aff_max(b, &a) < extent;
    for (int i = 0; i < a.n; i++)
        inside &= a.term[i].coef > 0;
    return inside ? a : derived(b, kind, a, extent, extent, aff_uniform(b, &a, 16) ? 0 : 1);
}

tern__aff tern__body_clamp(tern__body *b, tern__aff a, int64_t extent)
{
    tern__aff whole, rest;
    const int64_t k = split_evenly(b, &a, extent, &whole, &rest);
    return k ? tern__aff_axpy(rest, k, bounded(b, TERN__VAR_CLAMP, whole, extent / k)) : bounded(b, TERN__VAR_CLAMP, a, extent);
}

tern__aff tern__body_reflect(tern__body *b, tern__aff a, int64_t extent)
{
    return bounded(b, TERN__VAR_REFLECT, a, extent);
}

tern__aff tern__body_index_from(tern__body *b, int reg, int64_t extent)
{
    int i = new_var(b, TERN__VAR_REG, extent);
    if (i < 0 || reg < 0)
        return tern__aff_const(0);
    b->var[i].reg = reg;
    b->var[i].deps = b->ins[reg].deps;
    b->var[i].period = b->ins[reg].lane ? 1 : 0;
    return tern__aff_var(i);
}

/* --- Instructions --- */

static int new_ins(tern__body *b, tern__ins_op op, tern_dtype t)
{
    if (b->failed)
        return -1;
    if (b->n_ins == TERN__MAX_INS) {
        tern__body_fail(b, "more than %d instructions", TERN__MAX_INS);
        return -1;
    }
    b->ins[b->n_ins] = (tern__ins){.op = op, .dtype = t, .value = TERN_NONE, .param = -1};
    return b->n_ins++;
}

static void use_arg(tern__body *b, int ins, int arg)
{
    if (ins < 0 || arg < 0)
        return;
    tern__ins *i = &b->ins[ins];
    i->args[i->n_args++] = arg;
    i->deps |= b->ins[arg].deps;
    i->lane |= b->ins[arg].lane;
}

static void use_index(tern__body *b, int ins, tern__aff a)
{
    if (ins < 0)
        return;
    if (a.overflow)
        tern__body_fail(b, "an index of more than %d terms", TERN__AFF_TERMS);
    b->ins[ins].index = a;
    b->ins[ins].deps |= aff_deps(b, &a);
    b->ins[ins].lane |= !aff_uniform(b, &a, 16);
}

int tern__body_const(tern__body *b, tern_dtype t, double x)
{
    for (int i = 0; i < b->n_ins; i++)
        if (b->ins[i].op == TERN__INS_CONST && b->ins[i].dtype == t && memcmp(&b->ins[i].x, &x, sizeof x) == 0)
            return i;
    int r = new_ins(b, TERN__INS_CONST, t);
    if (r >= 0)
        b->ins[r].x = x;
    return r;
}

int tern__body_range(tern__body *b, tern__aff index, int64_t lo, int64_t hi, int yes, int no)
{
    if (yes < 0 || no < 0)
        return -1;
    int r = new_ins(b, TERN__INS_RANGE, b->ins[yes].dtype);
    use_arg(b, r, yes);
    use_arg(b, r, no);
    tern__aff whole, rest;
    const int64_t k = (lo | hi) % 4 == 0 ? split_evenly(b, &index, gcd(lo, hi), &whole, &rest) : 0;
    use_index(b, r, k ? whole : index);
    if (r >= 0) {
        b->ins[r].lo = k ? lo / k : lo;
        b->ins[r].hi = k ? hi / k : hi;
    }
    return r;
}

int tern__body_index_value(tern__body *b, tern__aff index)
{
    int r = new_ins(b, TERN__INS_INDEX, TERN_I64);
    use_index(b, r, index);
    return r;
}

int tern__body_inbound(tern__body *b, int reg, int64_t extent)
{
    int r = new_ins(b, TERN__INS_INBOUND, TERN_BOOL);
    use_arg(b, r, reg);
    if (r >= 0)
        b->ins[r].hi = extent;
    return r;
}

int tern__body_select(tern__body *b, int cond, int yes, int no)
{
    if (cond < 0 || yes < 0 || no < 0)
        return -1;
    int r = new_ins(b, TERN__INS_SELECT, b->ins[yes].dtype);
    use_arg(b, r, cond);
    use_arg(b, r, yes);
    use_arg(b, r, no);
    return r;
}

/* f16 and bf16 live in float registers: between them and f32 there is nothing to convert but the rounding. */
int tern__body_convert(tern__body *b, int reg, tern_dtype to)
{
    if (reg < 0 || b->ins[reg].dtype == to)
        return reg;
    int r = new_ins(b, TERN__INS_CONVERT, to);
    use_arg(b, r, reg);
    return r;
}

int tern__body_preset(tern__body *b, tern_value v, const tern__aff *coord, const char *text, bool lane, unsigned deps)
{
    int r = new_ins(b, TERN__INS_PRESET, tern__dtype_of(b->g, v));
    if (r < 0)
        return r;
    tern__ins *i = &b->ins[r];
    i->value = v;
    i->lane = lane;
    i->deps = deps;
    snprintf(i->text, sizeof i->text, "%s", text);
    i->rank = tern__shape_of(b->g, v)->rank;
    i->anywhere = coord == NULL;
    if (coord)
        memcpy(i->coord, coord, sizeof *coord * (size_t)i->rank);
    return r;
}

static int find_value(const tern__body *b, tern_value v, const tern__aff *coord)
{
    for (int r = 0; r < b->n_ins; r++) {
        const tern__ins *i = &b->ins[r];
        if (i->value != v || i->op == TERN__INS_STORE)
            continue;
        bool same = true;
        for (int d = 0; d < i->rank && same && !i->anywhere; d++)
            same = tern__aff_equal(&i->coord[d], &coord[d]);
        if (same)
            return r;
    }
    return -1;
}

/* c * k * (x / k) + c * (x % k) is c * x: a coordinate that was taken apart, and what it counts lies in one row after all. */
static tern__aff rejoin(const tern__body *b, tern__aff a)
{
    for (int i = 0; i < a.n; i++) {
        const tern__var *m = &b->var[a.term[i].var];
        for (int j = 0; m->kind == TERN__VAR_MOD && j < a.n; j++) {
            const tern__var *d = &b->var[a.term[j].var];
            const int64_t c = a.term[i].coef;
            if (d->kind != TERN__VAR_DIV || d->k != m->k || a.term[j].coef != c * m->k || !tern__aff_equal(&d->from, &m->from))
                continue;
            const int quotient = a.term[j].var, remainder = a.term[i].var;
            a = tern__aff_axpy(tern__aff_without(tern__aff_without(a, quotient), remainder), c, m->from);
            i = -1; /* what came together may do so again */
            break;
        }
    }
    return a;
}

tern__aff tern__body_linear(const tern_shape *s, const tern__aff *coord)
{
    tern__aff a = tern__aff_const(0);
    int64_t stride = 1;
    for (int d = s->rank - 1; d >= 0; d--) {
        a = tern__aff_axpy(a, stride, coord[d]);
        stride *= s->dim[d];
    }
    return a;
}

tern__aff tern__body_address(tern__body *b, tern_value v, const tern__aff *coord)
{
    const tern__type *t = tern__type_of(b->g, v);
    if (t->layout.kind == TERN__PLAIN)
        return rejoin(b, tern__body_linear(&t->shape, coord));
    /* [N, C, S...] as [N, C/k, S..., k] */
    int64_t k = t->layout.block;
    tern__aff block, within;
    tern__body_divmod(b, coord[1], k, &block, &within);
    tern_shape s = {.rank = t->shape.rank + 1};
    tern__aff c[TERN_MAX_RANK + 1];
    tern__aff a = within;
    int64_t stride = k;
    c[0] = coord[0], c[1] = block;
    s.dim[0] = t->shape.dim[0], s.dim[1] = t->shape.dim[1] / k;
    for (int d = 2; d < t->shape.rank; d++)
        c[d] = coord[d], s.dim[d] = t->shape.dim[d];
    for (int d = t->shape.rank - 1; d >= 0; d--) {
        a = tern__aff_axpy(a, stride, c[d]);
        stride *= s.dim[d];
    }
    return rejoin(b, a);
}

static void check_reach(tern__body *b, const tern__type *t)
{
    if (tern__elems(&t->shape) > UINT32_MAX)
        tern__body_fail(b, "%lld elements are more than a 32-bit index reaches", (long long)tern__elems(&t->shape));
}

static int load(tern__body *b, tern_value v, const tern__aff *coord)
{
    const tern__type *t = tern__type_of(b->g, v);
    check_reach(b, t);
    int p = tern__params_add(b->params, v, false);
    if (p < 0)
        tern__body_fail(b, "more than %d buffers in one kernel", TERN_COUNT(b->params->p));
    tern__aff a = tern__body_address(b, v, coord);
    int r = new_ins(b, TERN__INS_LOAD, t->dtype);
    use_index(b, r, a);
    if (r >= 0)
        b->ins[r].param = p;
    return r;
}

void tern__body_store_at(tern__body *b, tern_value v, tern__aff at, int reg)
{
    check_reach(b, tern__type_of(b->g, v));
    int p = tern__params_add(b->params, v, true);
    if (p < 0)
        tern__body_fail(b, "more than %d buffers in one kernel", TERN_COUNT(b->params->p));
    int r = new_ins(b, TERN__INS_STORE, tern__dtype_of(b->g, v));
    use_arg(b, r, reg);
    use_index(b, r, at);
    if (r >= 0) {
        b->ins[r].param = p;
        b->ins[r].value = v;
    }
}

void tern__body_store(tern__body *b, tern_value v, const tern__aff *coord, int reg)
{
    tern__body_store_at(b, v, tern__body_address(b, v, coord), reg);
}

/* --- Values --- */

static int pointwise(tern__body *b, const tern__node *n, const tern__aff *coord, const tern_shape *out)
{
    int args[4] = {-1, -1, -1, -1};
    if (n->n_in > 4) {
        tern__body_fail(b, "%s has %d operands", n->op->name, n->n_in);
        return -1;
    }
    for (int i = 0; i < n->n_in; i++) {
        const tern_shape *s = tern__shape_of(b->g, n->in[i]);
        tern__aff c[TERN_MAX_RANK];
        for (int d = 0; d < s->rank; d++)
            c[d] = s->dim[d] == 1 ? tern__aff_const(0) : coord[d + out->rank - s->rank];
        args[i] = tern__body_value(b, n->in[i], c);
        if (args[i] < 0)
            return -1;
    }
    if (!strcmp(n->op->name, "identity"))
        return args[0];
    tern_dtype t = tern__dtype_of(b->g, n->out[0]);
    if (!strcmp(n->op->name, "cast"))
        return tern__body_convert(b, args[0], t);
    int r = new_ins(b, TERN__INS_CALL, t);
    for (int i = 0; i < n->n_in; i++)
        use_arg(b, r, args[i]);
    if (r >= 0)
        b->ins[r].node = n;
    return r;
}

static int source(tern__body *b, const tern__node *n, const tern__aff *coord)
{
    const tern__type *t = tern__type_of(b->g, n->out[0]);
    if (!strcmp(n->op->name, "iota")) {
        int axis = (int)tern__attr_int(n, 1);
        if (axis < 0)
            axis += t->shape.rank;
        int r = new_ins(b, TERN__INS_INDEX, t->dtype);
        use_index(b, r, t->shape.rank ? coord[axis] : tern__aff_const(0));
        return r;
    }
    check_reach(b, t);
    int step = n->n_in && n->in[0] != TERN_NONE ? tern__body_value(b, n->in[0], NULL) : tern__body_const(b, TERN_I32, 0);
    int r = new_ins(b, TERN__INS_RANDOM, t->dtype);
    use_arg(b, r, step);
    use_index(b, r, tern__body_linear(&t->shape, coord));
    if (r >= 0)
        b->ins[r].node = n;
    return r;
}

static int compute(tern__body *b, tern_value v, const tern__node *n, const tern__aff *coord)
{
    switch (n->op->trait) {
    case TERN__POINTWISE:
        return pointwise(b, n, coord, tern__shape_of(b->g, v));
    case TERN__SOURCE:
        return source(b, n, coord);
    default:
        break;
    }
    if (!n->op->move) {
        tern__body_fail(b, "%s is not an index map", n->op->name);
        return -1;
    }
    tern__emit_move m = {.body = b, .output = tern__value_at(b->g, v)->out_index, .coord = coord, .reg = -1};
    if (n->op->move(&m, n) != TERN_OK)
        tern__body_fail(b, "%s: no index map", n->op->name);
    return m.reg;
}

int tern__body_value(tern__body *b, tern_value v, const tern__aff *coord)
{
    if (b->failed)
        return -1;
    int r = find_value(b, v, coord);
    if (r >= 0)
        return r;
    double x;
    const tern__type *t = tern__type_of(b->g, v);
    if (tern__elems(&t->shape) <= 65536 && tern__const_scalar(b->g, v, &x))
        return tern__body_const(b, t->dtype, x);
    const tern__node *n = tern__producer(b->g, v);
    if (n && b->inside(b->user, v))
        r = compute(b, v, n, coord);
    else
        r = load(b, v, coord);
    /* Remember it under the value it is, unless it stands for another one already (identity, a reshape of a load). */
    if (r >= 0 && b->ins[r].value == TERN_NONE && b->ins[r].op != TERN__INS_CONST) {
        b->ins[r].value = v;
        b->ins[r].rank = t->shape.rank;
        if (t->shape.rank)
            memcpy(b->ins[r].coord, coord, sizeof *coord * (size_t)t->shape.rank);
    }
    return r;
}

/* --- Axes --- */

/* May axis a (outer) and c (inner, extent e) be one axis for this expression? */
static bool merges(const tern__aff *x, int a, int c, int64_t e)
{
    return tern__aff_coef(x, a) == e * tern__aff_coef(x, c);
}

static bool merges_in(const tern__body *b, int a, int c)
{
    int64_t e = b->var[c].extent;
    for (int i = 0; i < b->n_ins; i++)
        if (!merges(&b->ins[i].index, a, c, e))
            return false;
    for (int i = 0; i < b->n_vars; i++)
        if (b->var[i].kind != TERN__VAR_AXIS && !merges(&b->var[i].from, a, c, e))
            return false;
    return true;
}

static unsigned moved(unsigned deps, int outer, int inner)
{
    return deps & 1u << outer ? (deps & ~(1u << outer)) | 1u << inner : deps;
}

/* The inner axis takes over: the outer one's terms vanish. */
static void merge(tern__body *b, int outer, int inner)
{
    for (int k = 0; k < b->n_ins; k++) {
        b->ins[k].index = tern__aff_without(b->ins[k].index, outer);
        b->ins[k].deps = moved(b->ins[k].deps, outer, inner);
    }
    for (int k = 0; k < b->n_vars; k++) {
        if (b->var[k].kind == TERN__VAR_AXIS)
            continue;
        b->var[k].from = tern__aff_without(b->var[k].from, outer);
        b->var[k].deps = moved(b->var[k].deps, outer, inner);
    }
    b->var[inner].extent *= b->var[outer].extent;
    b->var[outer].extent = 1;
}

int tern__body_collapse(tern__body *const *bodies, int n_bodies, int *axes, int *kind, int n)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (bodies[0]->var[axes[i]].extent != 1) {
            kind[kept] = kind[i];
            axes[kept++] = axes[i];
        }
    n = kept;
    for (int i = n - 1; i > 0; i--) {
        bool can = kind[i - 1] == kind[i];
        for (int k = 0; k < n_bodies && can; k++)
            can = merges_in(bodies[k], axes[i - 1], axes[i]);
        if (!can)
            continue;
        for (int k = 0; k < n_bodies; k++)
            merge(bodies[k], axes[i - 1], axes[i]);
        axes[i - 1] = axes[i];
        memmove(&axes[i], &axes[i + 1], sizeof *axes * (size_t)(n - 1 - i));
        memmove(&kind[i], &kind[i + 1], sizeof *kind * (size_t)(n - 1 - i));
        n--;
    }
    return n;
}

static void mark_used(const tern__aff *a, bool *used)
{
    for (int i = 0; i < a->n; i++)
        used[a->term[i].var] = true;
}

/* Variables that some index needs: those of coordinates that were rejoined are left over. */
static void find_used(const tern__body *b, bool used[TERN__MAX_VARS])
{
    memset(used, 0, TERN__MAX_VARS * sizeof *used);
    for (int i = 0; i < b->n_ins; i++)
        mark_used(&b->ins[i].index, used);
    for (int i = b->n_vars - 1; i >= 0; i--) /* each is computed from earlier ones */
        if (used[i] && b->var[i].kind != TERN__VAR_AXIS)
            mark_used(&b->var[i].from, used);
}

bool tern__body_vectorizable(const tern__body *b, int width)
{
    bool used[TERN__MAX_VARS];
    if (b->failed || b->lane < 0)
        return false;
    find_used(b, used);
    for (int i = 0; i < b->n_vars; i++) {
        int64_t p = b->var[i].period;
        if (used[i] && b->var[i].kind != TERN__VAR_AXIS && p != 0 && p % width != 0)
            return false;
    }
    for (int i = 0; i < b->n_ins; i++) {
        const tern__ins *s = &b->ins[i];
        if (!s->lane)
            continue;
        if (s->op == TERN__INS_RANGE && tern__aff_coef(&s->index, b->lane) != 0)
            return false;
        if (s->op == TERN__INS_RANDOM && (b->ins[s->args[0]].lane || tern_dtype_size(s->dtype) > 4))
            return false;
        if (s->op == TERN__INS_INBOUND || (s->op == TERN__INS_SELECT && b->ins[s->args[0]].lane))
            return false;
        if (s->op == TERN__INS_STORE && tern__aff_coef(&s->index, b->lane) == 0)
            return false;
    }
    return true;
}
