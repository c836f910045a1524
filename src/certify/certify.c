/* Runs the cases of every op on a device, by every implementation, and compares with the scalar references. */
#include "certify/certify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <tern/session.h>
#include "base/alloc.h"
#include "certify/case.h"
#include "compile/lower.h"

enum { BATCH_CASES = 48 }; /* building a program costs far more than a kernel in it, so cases share sessions */

typedef struct runner {
    tern_device *device;
    const tern_certify_params *params;
    unsigned dtypes;
    tern_certify_result result;
    /* How the batch is to be run. */
    const char *force;   /* session parameter force_impl; NULL: free choice */
    const char *disable; /* session parameter disable */
    const char *label;   /* what reports call it */
} runner;

/* Cases in one graph and one session. Arrays of inputs and expected outputs are [case][position]. */
typedef struct batch {
    const tern__case *cases;
    int n;
    tern_graph *g;
    tern_session *s;
    tern_value (*out)[TERN__CASE_OUTPUTS];
    tern__array (*in)[TERN__CASE_INPUTS], (*want)[TERN__CASE_OUTPUTS];
    tern_tensor **tin, **tout;
    int n_tin, n_tout;
} batch;

static void batch_finish(batch *b)
{
    tern_session_destroy(b->s);
    tern_graph_destroy(b->g);
    for (int i = 0; i < b->n_tin; i++)
        tern_tensor_destroy(b->tin[i]);
    for (int i = 0; i < b->n_tout; i++)
        tern_tensor_destroy(b->tout[i]);
    for (int c = 0; c < b->n; c++) {
        for (int i = 0; i < TERN__CASE_INPUTS && b->in; i++)
            tern__free(b->in[c][i].data);
        for (int i = 0; i < TERN__CASE_OUTPUTS && b->want; i++)
            tern__free(b->want[c][i].data);
    }
    tern__free(b->tin);
    tern__free(b->tout);
    tern__free(b->in);
    tern__free(b->want);
    tern__free(b->out);
}

static tern_status array_create(const tern__type *t, tern__array *a)
{
    *a = (tern__array){.type = *t, .data = tern__alloc(tern__type_bytes(t))};
    return a->data ? TERN_OK : tern__fail(TERN_E_NOMEM, "certify: an array of %zu bytes", tern__type_bytes(t));
}

/* One tensor over an array's memory, or an empty one of an output's type, at the end of a list. */
static tern_status add_tensor(const tern__array *a, tern_tensor **list, int *n)
{
    tern_status st = a->data ? tern_tensor_wrap(a->type.dtype, &a->type.shape, a->data, &list[*n]) : tern_tensor_create(a->type.dtype, &a->type.shape, &list[*n]);
    *n += st == TERN_OK;
    return st;
}

static tern_status batch_add(batch *b, int at)
{
    const tern__case *c = &b->cases[at];
    tern_value in[TERN__CASE_INPUTS];
    char name[32];
    for (int i = 0; i < c->n_in; i++) {
        in[i] = TERN_NONE;
        if (c->in[i].dtype == TERN_DTYPE_COUNT)
            continue;
        snprintf(name, sizeof name, "c%d.in%d", at, i);
        in[i] = tern_graph_input(b->g, name, c->in[i].dtype, &c->in[i].shape, 0);
        TERN_TRY(array_create(&c->in[i], &b->in[at][i]));
        tern__case_fill(c, i, &b->in[at][i]);
        TERN_TRY(add_tensor(&b->in[at][i], b->tin, &b->n_tin));
    }
    tern__case_add(c, b->g, in, b->out[at]);
    TERN_TRY(tern_graph_check(b->g));
    for (int i = 0; i < c->n_out; i++) {
        snprintf(name, sizeof name, "c%d.out%d", at, i);
        tern_graph_output(b->g, name, b->out[at][i]);
        tern__array result = {.type = *tern__type_of(b->g, b->out[at][i])};
        TERN_TRY(add_tensor(&result, b->tout, &b->n_tout));
    }
    return tern_graph_check(b->g);
}

static tern_status batch_build(runner *r, batch *b)
{
    size_t n = (size_t)b->n;
    b->in = tern__alloc_array(n, sizeof *b->in);
    b->want = tern__alloc_array(n, sizeof *b->want);
    b->out = tern__alloc_array(n, sizeof *b->out);
    b->tin = tern__alloc_array(n * TERN__CASE_INPUTS, sizeof(tern_tensor *));
    b->tout = tern__alloc_array(n * TERN__CASE_OUTPUTS, sizeof(tern_tensor *));
    if (!b->in || !b->want || !b->out || !b->tin || !b->tout)
        return tern__fail(TERN_E_NOMEM, "certify: a batch of %d cases", b->n);
    TERN_TRY(tern_graph_create(&b->g));
    for (int i = 0; i < b->n; i++)
        TERN_TRY(batch_add(b, i));
    tern_session_params p = {.force_impl = r->force, .disable = r->disable};
    return tern_session_create(r->device, b->g, &p, &b->s);
}

/* The reference's results of one case. */
static tern_status expect(batch *b, int at)
{
    const tern__node *node = tern__producer(b->g, b->out[at][0]);
    for (int i = 0; i < b->cases[at].n_out; i++)
        TERN_TRY(array_create(tern__type_of(b->g, b->out[at][i]), &b->want[at][i]));
    return tern__op_run_ref(node, b->in[at], b->want[at]);
}

static double error_of(const tern__array *x, const tern__array *want, int64_t i)
{
    if (!tern__dtype_is(want->type.dtype, TERN__T_FLOAT)) {
        int64_t p = tern__array_get_int(x, i), q = tern__array_get_int(want, i);
        return p == q ? 0 : fabs((double)p - (double)q) / (1 + fabs((double)q)) + 1e-300;
    }
    double p = tern__array_get(x, i), q = tern__array_get(want, i);
    if (p == q || (isnan(p) && isnan(q)))
        return 0;
    double e = fabs(p - q) / (1 + fabs(q));
    return isfinite(e) ? e : INFINITY;
}

static void report(runner *r, const tern__case *c, double error, double allowed, const char *reason)
{
    tern_certify_case seen = {
        .op = c->op->name, .dtype = tern_dtype_name(c->dtype), .impl = r->label, .shape = c->text,
        .passed = !*reason, .max_error = error, .allowed = allowed, .reason = reason,
    };
    r->result.n_passed += seen.passed;
    r->result.n_failed += !seen.passed;
    if (r->params->on_case)
        r->params->on_case(r->params->user, &seen);
}

/* Compares one case's outputs, which start at tensor first. */
static void judge(runner *r, batch *b, int at, int first)
{
    const tern__case *c = &b->cases[at];
    char reason[256] = "";
    double worst = 0, allowed = 0;
    if (expect(b, at) != TERN_OK) {
        snprintf(reason, sizeof reason, "its reference failed: %.200s", tern_last_error());
        report(r, c, NAN, 0, reason);
        return;
    }
    for (int k = 0; k < c->n_out; k++) {
        const tern__array *want = &b->want[at][k];
        tern__array got = {want->type, tern_tensor_data(b->tout[first + k])};
        double limit = tern__case_tolerance(c, want->type.dtype);
        allowed = fmax(allowed, limit);
        for (int64_t i = 0; i < tern__elems(&want->type.shape); i++) {
            double e = error_of(&got, want, i);
            worst = fmax(worst, e);
            if (e > limit && !*reason)
                snprintf(reason, sizeof reason, "output %d, element %lld: %.9g instead of %.9g", k, (long long)i, tern__array_get(&got, i), tern__array_get(want, i));
        }
    }
    report(r, c, worst, allowed, reason);
}

/* Runs cases together; where that fails, halves the batch until the case at fault stands alone. */
static void run_batch(runner *r, const tern__case *cases, int n)
{
    if (n <= 0)
        return;
    batch b = {.cases = cases, .n = n};
    tern_status st = batch_build(r, &b);
    if (st == TERN_OK)
        st = tern_session_run(b.s, b.tin, b.tout);
    if (st == TERN_OK) {
        for (int i = 0, first = 0; i < n; first += cases[i++].n_out)
            judge(r, &b, i, first);
    } else if (n == 1 && !(st == TERN_E_UNSUPPORTED && r->force)) { /* a forced implementation may refuse a case */
        report(r, cases, NAN, 0, tern_last_error());
    }
    batch_finish(&b);
    if (st != TERN_OK && n > 1) {
        run_batch(r, cases, n / 2);
        run_batch(r, cases + n / 2, n - n / 2);
    }
}

/* --- Which cases --- */

typedef struct list {
    tern__case *cases;
    int n, cap;
} list;

static tern_status list_add(list *l, const tern__case *c, int n)
{
    for (int i = 0; i < n; i++) {
        if (l->n == l->cap && !TERN_GROW(l->cases, l->n, l->cap))
            return tern__fail(TERN_E_NOMEM, "certify: %d cases", l->n);
        l->cases[l->n++] = c[i];
    }
    return TERN_OK;
}

static bool uses(const tern__case *c, tern_dtype t)
{
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i].dtype == t)
            return true;
    for (int i = 0; i < c->n_attrs; i++)
        if (c->attr[i].s && !strcmp(c->attr[i].s, tern_dtype_name(t)))
            return true;
    return c->dtype == t;
}

/* An op's cases in every type that it takes and the device has. */
static tern_status collect(const runner *r, const tern__op *op, list *l)
{
    tern_device_info info;
    tern_device_get_info(r->device, &info);
    for (int t = 0; t < TERN_DTYPE_COUNT; t++) {
        if (!(r->dtypes >> t & 1))
            continue;
        tern__case *c = NULL;
        int n = 0;
        TERN_TRY(tern__cases(op, (tern_dtype)t, r->params->quick, &c, &n));
        tern_status st = TERN_OK;
        for (int i = 0; i < n && st == TERN_OK; i++)
            if (info.fp64 || !uses(&c[i], TERN_F64))
                st = list_add(l, &c[i], 1);
        tern__free(c);
        TERN_TRY(st);
    }
    return TERN_OK;
}

static void flush(runner *r, list *l)
{
    r->force = NULL;
    r->disable = "all";
    r->label = "generic";
    for (int i = 0; i < l->n; i += BATCH_CASES)
        run_batch(r, l->cases + i, TERN_MIN(BATCH_CASES, l->n - i));
    l->n = 0;
}

/* An op with implementations of its own: each forced, with every optional pass off; then the compiler's own choice with all of them on, which
 * is where blocked layouts come in. */
static void run_implementations(runner *r, const tern__op *op, const list *l)
{
    char force[128];
    for (int i = 0; op->impls[i]; i++) {
        snprintf(force, sizeof force, "%s=%s", op->name, op->impls[i]->name);
        r->force = force;
        r->disable = "all";
        r->label = op->impls[i]->name;
        run_batch(r, l->cases, l->n);
    }
    r->force = NULL;
    r->disable = NULL;
    r->label = "optimised";
    run_batch(r, l->cases, l->n);
}

static tern_status run_op(runner *r, const tern__op *op, list *pending)
{
    if (!op->impls || !op->impls[0]) {
        TERN_TRY(collect(r, op, pending));
        if (pending->n >= BATCH_CASES)
            flush(r, pending);
        return TERN_OK;
    }
    flush(r, pending); /* so that reports come in the ops' order */
    list own = {0};
    tern_status st = collect(r, op, &own);
    if (st == TERN_OK)
        run_implementations(r, op, &own);
    tern__free(own.cases);
    return st;
}

tern_status tern__certify(tern_device *d, const tern_certify_params *params, unsigned dtypes, tern_certify_result *out)
{
    static const tern_certify_params all = {0};
    if (!d || !out)
        return tern__fail(TERN_E_INVALID, "certify: %s is NULL", d ? "out" : "the device");
    runner r = {.device = d, .params = params ? params : &all, .dtypes = dtypes};
    list pending = {0};
    int n;
    const tern__op *const *ops = tern__op_all(&n);
    tern_status st = TERN_OK;
    for (int i = 0; i < n && st == TERN_OK; i++)
        if (!r.params->op || strstr(ops[i]->name, r.params->op))
            st = run_op(&r, ops[i], &pending);
    if (st == TERN_OK)
        flush(&r, &pending);
    tern__free(pending.cases);
    if (st == TERN_OK)
        *out = r.result;
    return st;
}

tern_status tern_certify(tern_device *d, const tern_certify_params *params, tern_certify_result *out)
{
    return tern__certify(d, params, ~0u, out);
}
