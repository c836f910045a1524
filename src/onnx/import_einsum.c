/* Importing Einsum: diagonals, sums, products and matrix products, one operand after the other. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "onnx/import_index.h"
#include "onnx/import_shape.h"

/* Labels: a-z, A-Z, then the axes behind an ellipsis. */
enum { LETTERS = 52, LABELS = LETTERS + TERN_MAX_RANK, MOST_OPERANDS = 64 };

typedef struct term {
    tern_value v;
    int n;
    int label[TERN_MAX_RANK];
} term;

typedef struct equation {
    tern__onnx_node *n;
    tern_graph *g;
    const char *text;
    int dots;               /* axes behind the ellipsis */
    int64_t extent[LABELS]; /* -1: not seen */
    int seen[LABELS];       /* how often, in all operands */
    term out;
} equation;

static bool has(const term *t, int label)
{
    for (int i = 0; i < t->n; i++)
        if (t->label[i] == label)
            return true;
    return false;
}

static uint64_t labels_of(const term *t)
{
    uint64_t set = 0;
    for (int i = 0; i < t->n; i++)
        set |= UINT64_C(1) << t->label[i];
    return set;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static tern_status bad(const equation *e, const char *why)
{
    return tern__onnx_fail(e->n, TERN_E_INVALID, "the equation \"%.100s\": %s", e->text, why);
}

static bool ends_term(const char *s)
{
    return !*s || *s == ',' || (s[0] == '-' && s[1] == '>');
}

/* One term from *at on: labels in t, and how many of them are letters. dots: axes behind its ellipsis, which is told in *dotted. */
static tern_status read_term(const equation *e, const char **at, int dots, term *t, bool *dotted)
{
    t->n = 0;
    *dotted = false;
    for (const char *s = *at;; s++) {
        if (ends_term(s)) {
            *at = s;
            return TERN_OK;
        }
        if (*s == ' ')
            continue;
        const bool ellipsis = strncmp(s, "...", 3) == 0;
        if (!ellipsis && !isalpha((unsigned char)*s))
            return bad(e, "letters, \"...\", commas and one \"->\" are what it may have");
        if (ellipsis && *dotted)
            return bad(e, "two ellipses in one term");
        if (t->n + (ellipsis ? dots : 1) > TERN_MAX_RANK)
            return bad(e, "a term of too many axes");
        if (ellipsis) {
            *dotted = true;
            s += 2;
            for (int i = 0; i < dots; i++)
                t->label[t->n++] = LETTERS + e->dots - dots + i;
        } else {
            t->label[t->n++] = islower((unsigned char)*s) ? *s - 'a' : *s - 'A' + 26;
        }
    }
}

/* Operand i's term with its ellipsis filled to the operand's rank. The first time, with t NULL, only counts what is behind ellipses. */
static tern_status read_operand(equation *e, const char **at, int i, term *t)
{
    const tern_shape *s = tern__onnx_shape(e->n, i);
    const char *again = *at;
    term letters;
    bool dotted;
    TERN_TRY(read_term(e, &again, 0, &letters, &dotted));
    const int dots = s->rank - letters.n;
    if (dots < 0 || (dots > 0 && !dotted))
        return tern__onnx_fail(e->n, TERN_E_SHAPE, "the equation \"%.100s\": operand %d has rank %d", e->text, i, s->rank);
    if (!t) {
        e->dots = TERN_MAX(e->dots, dots);
        *at = again;
        return TERN_OK;
    }
    TERN_TRY(read_term(e, at, dots, t, &dotted));
    for (int d = 0; d < t->n; d++) {
        int64_t *extent = &e->extent[t->label[d]];
        e->seen[t->label[d]]++;
        if (*extent >= 0 && *extent != 1 && s->dim[d] != 1 && s->dim[d] != *extent)
            return tern__onnx_fail(e->n, TERN_E_SHAPE, "the equation \"%.100s\": %" PRId64 " and %" PRId64 " elements under one label", e->text, *extent, s->dim[d]);
        if (*extent < 0 || *extent == 1)
            *extent = s->dim[d];
    }
    return TERN_OK;
}

/* All operands' terms; *rest is what follows them. */
static tern_status read_operands(equation *e, term *terms, const char **rest)
{
    const char *at = e->text;
    for (int i = 0; i < e->n->n_in; i++) {
        TERN_TRY(read_operand(e, &at, i, terms ? &terms[i] : NULL));
        if (i + 1 < e->n->n_in && *at++ != ',')
            return bad(e, "it has fewer terms than there are operands");
    }
    if (*at == ',')
        return bad(e, "it has more terms than there are operands");
    *rest = at;
    return TERN_OK;
}

/* The result's term: given, or the ellipsis and then every letter that occurs once, capitals first. */
static tern_status read_result(equation *e, const char *at)
{
    bool dotted;
    e->out = (term){.v = TERN_NONE};
    if (*at) {
        at += 2;
        TERN_TRY(read_term(e, &at, e->dots, &e->out, &dotted));
        if (*at)
            return bad(e, "something follows the result");
    } else {
        for (int i = 0; i < e->dots; i++)
            e->out.label[e->out.n++] = LETTERS + i;
        for (int k = 0; k < LETTERS; k++) {
            const int label = (k + 26) % LETTERS;
            if (e->seen[label] != 1)
                continue;
            if (e->out.n == TERN_MAX_RANK)
                return bad(e, "a result of too many axes");
            e->out.label[e->out.n++] = label;
        }
    }
    for (int i = 0; i < e->out.n; i++) {
        if (e->extent[e->out.label[i]] < 0)
            return bad(e, "the result has a label that no operand has");
        for (int k = 0; k < i; k++)
            if (e->out.label[k] == e->out.label[i])
                return bad(e, "the result has a label twice");
    }
    return TERN_OK;
}

/* --- Computing ---------------------------------------------------------------------------------------------------- */

static int position(const term *t, int label)
{
    for (int i = 0; i < t->n; i++)
        if (t->label[i] == label)
            return i;
    return -1;
}

/* t with its axes in the order of these labels. */
static tern_value in_order(const equation *e, const term *t, const int *labels)
{
    int perm[TERN_MAX_RANK];
    for (int i = 0; i < t->n; i++)
        perm[i] = position(t, labels[i]);
    return tern__transpose(e->g, t->v, perm);
}

/* Axes i < k carry the same label: they become one, the diagonal. */
static void take_diagonal(const equation *e, term *t, int i, int k)
{
    int perm[TERN_MAX_RANK], n = 0;
    for (int d = 0; d < t->n; d++)
        if (d != i && d != k)
            perm[n++] = d;
    const int label = t->label[i];
    int rest[TERN_MAX_RANK];
    for (int d = 0; d < n; d++)
        rest[d] = t->label[perm[d]];
    perm[n] = i;
    perm[n + 1] = k;
    tern_value v = tern__transpose(e->g, t->v, perm);
    tern_shape s = *tern__shape_of(e->g, v);
    const int64_t side = e->extent[label];
    s.rank = n + 1;
    s.dim[n] = side * side;
    t->v = tern__onnx_cut_axis(e->g, tern__reshape(e->g, v, &s), n, 0, side * side, side + 1);
    memcpy(t->label, rest, sizeof *rest * (size_t)n);
    t->label[n] = label;
    t->n = n + 1;
}

/* An operand with every label once, at its full extent. */
static void prepare(const equation *e, term *t)
{
    tern_shape s = {.rank = t->n};
    for (int d = 0; d < t->n; d++)
        s.dim[d] = e->extent[t->label[d]];
    t->v = tern__expand_to(e->g, t->v, &s);
    for (int i = 0; i < t->n; i++)
        for (int k = i + 1; k < t->n; k++)
            if (t->label[i] == t->label[k]) {
                take_diagonal(e, t, i, k);
                i = -1; /* labels have moved */
                break;
            }
}

/* Sums the labels that nobody else wants. */
static void sum_out(const equation *e, term *t, uint64_t wanted)
{
    unsigned mask = 0;
    int n = 0;
    for (int d = 0; d < t->n; d++) {
        if (wanted >> t->label[d] & 1)
            t->label[n++] = t->label[d];
        else
            mask |= 1u << d;
    }
    t->v = tern__sum_axes(e->g, t->v, mask, false);
    t->n = n;
}

/* Labels of t that are in set (or not in it), after those that are in list already; returns how many are in the list then. */
static int pick(const term *t, uint64_t set, int *list, int n)
{
    for (int d = 0; d < t->n; d++)
        if (set >> t->label[d] & 1)
            list[n++] = t->label[d];
    return n;
}

static int64_t product(const equation *e, const int *labels, int n)
{
    int64_t p = 1;
    for (int i = 0; i < n; i++)
        p *= e->extent[labels[i]];
    return p;
}

/* Nothing is summed: a product of elements, the axes of b alone behind those of a alone. */
static void multiply(const equation *e, term *a, const term *b, const int *labels, int n)
{
    tern_shape sa = {.rank = n}, sb = {.rank = n};
    int la[TERN_MAX_RANK], lb[TERN_MAX_RANK], na = 0, nb = 0;
    for (int i = 0; i < n; i++) {
        const bool in_a = has(a, labels[i]), in_b = has(b, labels[i]);
        sa.dim[i] = in_a ? e->extent[labels[i]] : 1;
        sb.dim[i] = in_b ? e->extent[labels[i]] : 1;
        if (in_a)
            la[na++] = labels[i];
        if (in_b)
            lb[nb++] = labels[i];
    }
    a->v = tern__mul(e->g, tern__reshape(e->g, in_order(e, a, la), &sa), tern__reshape(e->g, in_order(e, b, lb), &sb));
}

/* a becomes the product of a and b with everything summed that is not wanted any more. */
static tern_status combine(const equation *e, term *a, term *b, uint64_t wanted)
{
    sum_out(e, a, wanted | labels_of(b));
    sum_out(e, b, wanted | labels_of(a));
    const uint64_t both = labels_of(a) & labels_of(b), summed = both & ~wanted, batch = both & wanted;
    int labels[2 * TERN_MAX_RANK], order[TERN_MAX_RANK], columns[TERN_MAX_RANK];
    const int n_batch = pick(a, batch, labels, 0), n_rows = pick(a, ~both, labels, n_batch), n = pick(b, ~both, labels, n_rows);
    if (n > TERN_MAX_RANK)
        return tern__onnx_fail(e->n, TERN_E_UNSUPPORTED, "the equation \"%.100s\" needs %d axes on its way; %d are possible", e->text, n, TERN_MAX_RANK);
    if (!summed) {
        multiply(e, a, b, labels, n);
    } else {
        int n_sums = pick(a, summed, columns, 0);
        const int64_t batches = product(e, labels, n_batch), rows = product(e, labels + n_batch, n_rows - n_batch);
        const int64_t cols = product(e, labels + n_rows, n - n_rows), sums = product(e, columns, n_sums);
        memcpy(order, labels, sizeof *labels * (size_t)n_rows);
        memcpy(order + n_rows, columns, sizeof *columns * (size_t)n_sums);
        tern_value x = tern__reshape(e->g, in_order(e, a, order), &(tern_shape){.rank = 3, .dim = {batches, rows, sums}});
        memcpy(order + n_batch, columns, sizeof *columns * (size_t)n_sums);
        memcpy(order + n_batch + n_sums, labels + n_rows, sizeof *labels * (size_t)(n - n_rows));
        tern_value y = tern__reshape(e->g, in_order(e, b, order), &(tern_shape){.rank = 3, .dim = {batches, sums, cols}});
        tern_shape s = {.rank = n};
        for (int i = 0; i < n; i++)
            s.dim[i] = e->extent[labels[i]];
        a->v = tern__reshape(e->g, tern_graph_op2(e->g, "matmul", x, y, NULL), &s);
    }
    a->n = n;
    memcpy(a->label, labels, sizeof *labels * (size_t)n);
    return tern_graph_check(e->g);
}

/* Some operand has no elements: the result has none either, or sums of nothing. */
static bool is_empty(const equation *e)
{
    for (int i = 0; i < LABELS; i++)
        if (e->extent[i] == 0)
            return true;
    return false;
}

static tern_status compute(equation *e, term *terms)
{
    tern_shape s = {.rank = e->out.n};
    for (int i = 0; i < e->out.n; i++)
        s.dim[i] = e->extent[e->out.label[i]];
    if (is_empty(e))
        return tern__onnx_put(e->n, 0, tern__expand_to(e->g, tern_graph_scalar(e->g, tern__onnx_type(e->n, 0)->dtype, 0), &s));
    for (int i = 0; i < e->n->n_in; i++) {
        terms[i].v = tern__onnx_in(e->n, i);
        prepare(e, &terms[i]);
        TERN_TRY(tern_graph_check(e->g));
    }
    for (int i = 1; i < e->n->n_in; i++) {
        uint64_t wanted = labels_of(&e->out);
        for (int k = i + 1; k < e->n->n_in; k++)
            wanted |= labels_of(&terms[k]);
        TERN_TRY(combine(e, &terms[0], &terms[i], wanted));
    }
    sum_out(e, &terms[0], labels_of(&e->out));
    return tern__onnx_put(e->n, 0, in_order(e, &terms[0], e->out.label));
}

tern_status tern__onnx_einsum(tern__onnx_node *n)
{
    equation e = {.n = n, .g = n->g};
    const char *rest;
    TERN_TRY(tern__onnx_need(n, 1, MOST_OPERANDS));
    e.text = tern__onnx_attr_string(n, "equation", "");
    for (int i = 0; i < LABELS; i++)
        e.extent[i] = -1;
    for (int i = 0; i < n->n_in; i++)
        if (!tern__onnx_has(n, i))
            return tern__onnx_fail(n, TERN_E_CORRUPT, "operand %d is missing", i);
    term *terms = tern__onnx_scratch(n, (size_t)n->n_in, sizeof *terms);
    if (!terms)
        return TERN_E_NOMEM;
    TERN_TRY(read_operands(&e, NULL, &rest));
    TERN_TRY(read_operands(&e, terms, &rest));
    TERN_TRY(read_result(&e, rest));
    return compute(&e, terms);
}
