/* Problems as text: what a node computes, in words that name no graph, so that measurements of one are good for all that are like it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/philox.h"
#include "base/status.h"
#include "compile/tuned.h"
#include "ops/common.h"
#include "program/program.h"

enum { MAX_OPERANDS = 4, LONGEST_CHAIN = 8 };

bool tern__is_tunable(const tern__op *op)
{
    for (int i = 0; op->impls && op->impls[i]; i++)
        if (op->impls[i]->space)
            return true;
    return false;
}

/* --- Printing --- */

/* Attributes that say what would be so without them. */
static bool says_nothing(const char *name, const int64_t *v, int n)
{
    const int64_t nothing = strcmp(name, "pads") ? 1 : 0;
    if (strcmp(name, "pads") && strcmp(name, "strides") && strcmp(name, "dilations"))
        return false;
    for (int i = 0; i < n; i++)
        if (v[i] != nothing)
            return false;
    return true;
}

static void print_attrs(tern__str *s, const tern__node *n)
{
    for (int i = 0; i < n->op->n_attrs; i++) {
        const tern__attr_decl *d = &n->op->attrs[i];
        const tern__attr_value *a = &n->attrs[i];
        if (!a->set)
            continue;
        if (d->type == TERN_ATTR_INT && (double)a->i != d->def) {
            tern__str_addf(s, " %s=%" PRId64, d->name, a->i);
        } else if (d->type == TERN_ATTR_INTS && !says_nothing(d->name, a->ints, a->n_ints)) {
            for (int k = 0; k < a->n_ints; k++)
                tern__str_addf(s, k ? ",%s%" PRId64 : " %s=%" PRId64, k ? "" : d->name, a->ints[k]);
        }
    }
}

/* What the elementwise ops that follow read beside the result. */
static const char *follows(const tern_graph *g, const tern__node *n, const int *only_user)
{
    const char *found = "";
    tern_value v = n->out[0];
    for (int step = 0; step < LONGEST_CHAIN && only_user[v] >= 0; step++) {
        const tern__node *next = g->nodes[only_user[v]];
        if (next->op->trait != TERN__POINTWISE)
            break;
        found = " +pointwise";
        for (int k = 0; k < next->n_in; k++)
            if (next->in[k] != TERN_NONE && next->in[k] != v && tern__value_at(g, next->in[k])->kind != TERN__VALUE_CONST &&
                tern__shape_equal(tern__shape_of(g, next->in[k]), tern__shape_of(g, n->out[0])))
                return " +residual";
        v = next->out[0];
    }
    return found;
}

void tern__problem_print(tern__str *s, const tern_graph *g, const tern__node *n, const int *only_user, bool exact)
{
    tern__str_addf(s, "%s(", n->op->name);
    int last = n->n_in;
    while (last > 0 && n->in[last - 1] == TERN_NONE)
        last--;
    for (int i = 0; i < last; i++) {
        tern__type t = *tern__type_of(g, n->in[i]);
        t.layout = (tern__layout){.kind = TERN__PLAIN};
        tern__str_addf(s, "%s%s", i ? "," : "", tern__value_at(g, n->in[i])->kind == TERN__VALUE_CONST ? "const " : "");
        tern__type_print(s, &t);
    }
    tern__str_add(s, ")");
    print_attrs(s, n);
    tern__str_add(s, follows(g, n, only_user));
    tern__str_add(s, exact ? " exact" : "");
}

/* --- Reading --- */

struct reader {
    const char *at;
    bool bad;
};

static bool take(struct reader *r, const char *word)
{
    const size_t n = strlen(word);
    if (strncmp(r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

static int64_t take_number(struct reader *r)
{
    int64_t x = 0;
    const char *from = r->at + (*r->at == '-'), *s = from;
    for (; *s >= '0' && *s <= '9' && x < ((int64_t)1 << 40); s++)
        x = 10 * x + (*s - '0');
    r->bad |= s == from;
    x = *r->at == '-' ? -x : x;
    r->at = s;
    return x;
}

static int take_numbers(struct reader *r, int64_t *v, int most)
{
    int n = 0;
    do {
        r->bad |= n == most;
        if (!r->bad)
            v[n++] = take_number(r);
    } while (!r->bad && take(r, ","));
    return n;
}

static tern__type take_type(struct reader *r)
{
    tern__type t = {.dtype = TERN_DTYPE_COUNT};
    const size_t n = strcspn(r->at, "[");
    for (int d = 0; d < TERN_DTYPE_COUNT; d++)
        if (strlen(tern_dtype_name((tern_dtype)d)) == n && !strncmp(tern_dtype_name((tern_dtype)d), r->at, n))
            t.dtype = (tern_dtype)d;
    r->at += n;
    r->bad |= t.dtype == TERN_DTYPE_COUNT || !take(r, "[");
    if (!r->bad && *r->at != ']')
        t.shape.rank = take_numbers(r, t.shape.dim, TERN_MAX_RANK);
    r->bad |= !take(r, "]");
    for (int i = 0; i < t.shape.rank; i++)
        r->bad |= t.shape.dim[i] < 0;
    return t;
}

const tern__op *tern__problem_op(const char *problem)
{
    char name[48];
    const size_t n = strcspn(problem, "(");
    if (n >= sizeof name)
        return NULL;
    memcpy(name, problem, n);
    name[n] = '\0';
    const tern__op *op = tern__op_find(name);
    return op && tern__is_tunable(op) ? op : NULL;
}

double tern__problem_number(tern_dtype t, float u)
{
    const double x = 2 * (double)u - 1;
    if (t == TERN_BOOL)
        return x > 0;
    return tern__dtype_is(t, TERN__T_FLOAT) ? x : floor(tern__is_unsigned(t) ? 20 * (double)u : 20 * x);
}

/* Such numbers, the same for the same place. */
static tern_value constant(tern_graph *g, const tern__type *t, uint64_t seed)
{
    int64_t elems;
    size_t bytes;
    if (!tern__shape_elems(&t->shape, &elems) || !tern__mul_size((size_t)elems, tern_dtype_size(t->dtype), &bytes))
        return tern__graph_fail(g, TERN_E_INVALID, "problem: a constant whose bytes cannot be counted");
    tern__blob *b = tern__blob_create(NULL, bytes);
    if (!b)
        return tern__graph_fail(g, TERN_E_NOMEM, "problem: a constant of %zu bytes", bytes);
    const tern__array a = {.type = *t, .data = b->data};
    for (int64_t i = 0; i < elems; i++)
        tern__array_set(&a, i, tern__problem_number(t->dtype, tern__philox_uniform(seed, 11, (uint64_t)i)));
    tern_value v = tern__graph_blob(g, t, b);
    tern__blob_release(b);
    return v;
}

static int read_operands(struct reader *r, tern_graph *g, tern_value *in)
{
    int n = 0;
    do {
        char name[16];
        r->bad |= n == MAX_OPERANDS;
        const bool is_const = take(r, "const ");
        const tern__type t = take_type(r);
        if (r->bad)
            return 0;
        snprintf(name, sizeof name, "x%d", n);
        in[n] = is_const ? constant(g, &t, (uint64_t)n) : tern_graph_input(g, name, t.dtype, &t.shape, 0);
        n++;
    } while (take(r, ","));
    r->bad |= !take(r, ")");
    return n;
}

struct attrs {
    tern_attr at[9];
    int64_t ints[8][8];
    int n;
};

static void read_attrs(struct reader *r, const tern__op *op, struct attrs *a)
{
    while (!r->bad && r->at[0] == ' ' && r->at[1] != '+' && strcmp(r->at, " exact") != 0) {
        const size_t n = strcspn(++r->at, "=");
        const tern__attr_decl *d = NULL;
        for (int i = 0; i < op->n_attrs; i++)
            if (strlen(op->attrs[i].name) == n && !strncmp(op->attrs[i].name, r->at, n))
                d = &op->attrs[i];
        r->at += n;
        r->bad |= !d || a->n == 8 || !take(r, "=") || (d->type != TERN_ATTR_INT && d->type != TERN_ATTR_INTS);
        if (r->bad)
            return;
        a->at[a->n] = (tern_attr){.name = d->name, .type = d->type};
        if (d->type == TERN_ATTR_INT)
            a->at[a->n].i = take_number(r);
        else
            a->at[a->n].n_ints = take_numbers(r, a->ints[a->n], 8);
        a->at[a->n].ints = a->ints[a->n];
        a->n++;
    }
}

static tern_value read_follow(struct reader *r, tern_graph *g, tern_value y)
{
    if (take(r, " +pointwise"))
        return tern_graph_op1(g, "relu", y, NULL);
    if (!take(r, " +residual"))
        return y;
    return tern_graph_op1(g, "relu", tern_graph_op2(g, "add", y, tern_graph_input(g, "r", tern__dtype_of(g, y), tern__shape_of(g, y), 0), NULL), NULL);
}

static tern_status read_problem(const char *problem, tern_graph *g)
{
    struct reader r = {.at = problem};
    struct attrs a = {.n = 0};
    tern_value in[MAX_OPERANDS];
    const tern__op *op = tern__problem_op(problem);
    if (!op)
        return tern__fail(TERN_E_INVALID, "problem: \"%.80s\" begins with no op that can be tuned", problem);
    r.at += strlen(op->name);
    r.bad = !take(&r, "(");
    const int n = read_operands(&r, g, in);
    read_attrs(&r, op, &a);
    if (!r.bad) {
        tern_value y = tern_graph_add(g, op->name, in, n, a.at);
        y = read_follow(&r, g, y);
        tern_graph_output(g, "y", y);
        (void)take(&r, " exact");
    }
    if (r.bad || *r.at)
        return tern__fail(TERN_E_INVALID, "problem: \"%.40s\" of \"%.200s\" says nothing", r.at, problem);
    return tern_graph_check(g);
}

tern_status tern__problem_graph(const char *problem, tern_graph **out)
{
    tern_graph *g = NULL;
    TERN_TRY(tern_graph_create(&g));
    tern_status st = read_problem(problem, g);
    if (st == TERN_OK)
        *out = g;
    else
        tern_graph_destroy(g);
    return st;
}

/* --- Digest --- */

tern_status tern__problem_sources(const tern__op *op, char out[17])
{
    tern__str text = {0};
    tern_status st = TERN_OK;
    char hex[33];
    tern__str_add(&text, op->name);
    for (int i = 0; op->impls && op->impls[i]; i++)
        for (const char *const *name = op->impls[i]->sources; st == TERN_OK && name && *name; name++)
            st = tern__source_append(&text, *name); /* with what it includes */
    if (st == TERN_OK && text.failed)
        st = tern__fail(TERN_E_NOMEM, "problem: no host memory for the sources of %s", op->name);
    const tern__digest d = tern__hash(tern__str_text(&text), text.len);
    tern__str_finish(&text);
    TERN_TRY(st);
    tern__digest_hex(d, hex);
    memcpy(out, hex, 16);
    out[16] = '\0';
    return TERN_OK;
}
