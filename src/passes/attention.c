/* attention: a product, scaled and masked, its softmax and the product with that become one op, whose scores never lie in memory.
 *
 * Models say softmax(scale q k^T + mask) v in five to ten ops. The pass walks back from each product over what nothing else reads:
 *     matmul [cast | reshape]* softmax [add mask | where(cond, scores, number) | mul or div by a number | cast | reshape]* matmul
 * and looks for a transposition behind it that puts the heads beside each other again. Runs before expand, which would take the softmax apart. */
#include "passes/pass.h"

#include "base/alloc.h"
#include "base/status.h"
#include "ops/attention.h"
#include "ops/movement.h"

#include <math.h>
#include <string.h>

enum { MAX_MASKS = 4 };

/* From here down a number in place of a score is as good as added to it: f32 has no digit left for the score. */
static const double absorbing = -1e30;

/* What was found, in values of the old graph. */
typedef struct chain {
    const tern_graph *g;
    const int *uses;
    const tern__node *first, *last; /* the products */
    double scale;
    tern_shape space;               /* of the scores, where it has most dimensions */
    tern_value masks[MAX_MASKS];    /* added, or conditions of a where */
    const tern__node *wheres[MAX_MASKS]; /* NULL: added */
    int n_masks;
} chain;

static bool is_op(const tern__node *n, const char *op)
{
    return n && strcmp(n->op->name, op) == 0;
}

/* Reshapes that leave the last two dimensions alone. */
static bool keeps_matrices(const tern_graph *g, const tern__node *n)
{
    const tern_shape *a = tern__shape_of(g, n->in[0]), *b = tern__shape_of(g, n->out[0]);
    return a->rank >= 2 && b->rank >= 2 && a->dim[a->rank - 1] == b->dim[b->rank - 1] && a->dim[a->rank - 2] == b->dim[b->rank - 2];
}

static bool is_plain_float(tern_dtype t)
{
    return t == TERN_F32 || t == TERN_F16 || t == TERN_BF16;
}

/* Steps over what changes no number of v, towards its source. */
static tern_value peel(chain *c, tern_value v)
{
    for (;;) {
        const tern__node *n = tern__producer(c->g, v);
        const tern_shape *s = tern__shape_of(c->g, v);
        if (s->rank > c->space.rank && s->rank <= 4)
            c->space = *s;
        if (!n || c->uses[v] != 1)
            return v;
        const bool cast = is_op(n, "cast") && is_plain_float(tern__dtype_of(c->g, n->in[0])) && is_plain_float(tern__dtype_of(c->g, v));
        if (!cast && !is_op(n, "identity") && !(n->op->reshapes && keeps_matrices(c->g, n)))
            return v;
        v = n->in[0];
    }
}

static bool same_shape(const tern_graph *g, tern_value a, tern_value b)
{
    return tern__shape_equal(tern__shape_of(g, a), tern__shape_of(g, b));
}

/* Is v scores, perhaps masked, of a product? Which operand of an addition is the mask is not written on it. */
static bool leads_to_product(const chain *c, tern_value v)
{
    for (int depth = 0; depth < 16; depth++) {
        const tern__node *n = tern__producer(c->g, v);
        if (!n || c->uses[v] != 1)
            return false;
        if (is_op(n, "matmul"))
            return true;
        if (is_op(n, "where"))
            v = tern__producer(c->g, n->in[1]) && same_shape(c->g, n->in[1], n->out[0]) ? n->in[1] : n->in[2];
        else if (is_op(n, "mul") || is_op(n, "add"))
            v = tern__producer(c->g, n->in[0]) && same_shape(c->g, n->in[0], n->out[0]) ? n->in[0] : n->in[1];
        else if (is_op(n, "div") || is_op(n, "cast") || is_op(n, "identity") || n->op->reshapes)
            v = n->in[0];
        else
            return false;
    }
    return false;
}

/* A step over a mask; TERN_NONE: it is none. */
static tern_value over_mask(chain *c, const tern__node *n)
{
    const tern_graph *g = c->g;
    const tern_value out = n->out[0];
    double number;
    if (c->n_masks == MAX_MASKS || c->scale != 1)
        return TERN_NONE;
    for (int i = 0; i < 2 && is_op(n, "add"); i++) {
        const tern_value mask = n->in[1 - i];
        if (!same_shape(g, n->in[i], out) || !leads_to_product(c, n->in[i]) || tern__shape_of(g, mask)->rank > 4)
            continue;
        c->wheres[c->n_masks] = NULL;
        c->masks[c->n_masks++] = mask;
        return n->in[i];
    }
    if (!is_op(n, "where") || tern__shape_of(g, n->in[0])->rank > 4)
        return TERN_NONE;
    for (int i = 1; i <= 2; i++) {
        if (!same_shape(g, n->in[i], out) || !leads_to_product(c, n->in[i]) || !tern__number_of(g, n->in[3 - i], &number) || !(number <= 0))
            continue;
        c->wheres[c->n_masks] = n;
        c->masks[c->n_masks++] = n->in[0];
        return n->in[i];
    }
    return TERN_NONE;
}

/* A step over a multiplication by a number; TERN_NONE: it is none. */
static tern_value over_scale(chain *c, const tern__node *n)
{
    double x;
    for (int i = 0; i < 2 && is_op(n, "mul"); i++)
        if (tern__number_of(c->g, n->in[1 - i], &x) && same_shape(c->g, n->in[i], n->out[0])) {
            c->scale *= x;
            return n->in[i];
        }
    if (!is_op(n, "div") || !tern__number_of(c->g, n->in[1], &x) || x == 0 || !same_shape(c->g, n->in[0], n->out[0]))
        return TERN_NONE;
    c->scale /= x;
    return n->in[0];
}

static bool flag(const tern__node *n, int slot)
{
    return tern__attr_int(n, slot) != 0;
}

static int64_t batches(const tern_shape *s)
{
    return tern__extent(s, 0, s->rank - 2);
}

/* Do the operands lie as the op wants them, one matrix for each of the scores'? */
static bool fits(const chain *c)
{
    const tern_graph *g = c->g;
    const tern_shape *q = tern__shape_of(g, c->first->in[0]), *k = tern__shape_of(g, c->first->in[1]), *v = tern__shape_of(g, c->last->in[1]);
    const tern_dtype t = tern__dtype_of(g, c->first->in[0]);
    const int64_t n = batches(&c->space);
    if (q->rank < 2 || k->rank < 2 || v->rank < 2 || flag(c->first, 0) || flag(c->last, 0) || n == 0)
        return false;
    if (batches(q) != n || batches(k) != n || batches(v) != n || batches(tern__shape_of(g, c->last->out[0])) != n)
        return false;
    if (!is_plain_float(t) || tern__dtype_of(g, c->last->in[1]) != t || c->scale == 0 || !isfinite(c->scale))
        return false;
    for (int i = 0; i < c->n_masks; i++) {
        const tern_shape *m = tern__shape_of(g, c->masks[i]);
        if ((!c->wheres[i] && tern__dtype_of(g, c->masks[i]) != t) || (m->rank == 3 && c->space.rank == 4 && m->dim[0] != 1 && m->dim[0] != n))
            return false;
    }
    return tern__elems(q) > 0 && tern__elems(k) > 0 && tern__elems(v) > 0;
}

static bool find(chain *c)
{
    const tern_graph *g = c->g;
    tern_value v = peel(c, c->last->in[0]);
    const tern__node *n = tern__producer(g, v);
    if (!is_op(n, "softmax") || c->uses[v] != 1)
        return false;
    const int rank = tern__shape_of(g, v)->rank;
    const int64_t axis = tern__attr_int(n, 0);
    if (rank < 2 || (axis != -1 && axis != rank - 1))
        return false;
    for (v = n->in[0];;) {
        v = peel(c, v);
        n = tern__producer(g, v);
        if (!n || c->uses[v] != 1)
            return false;
        if (is_op(n, "matmul"))
            break;
        tern_value next = over_mask(c, n);
        if (next == TERN_NONE)
            next = over_scale(c, n);
        if (next == TERN_NONE)
            return false;
        v = next;
    }
    c->first = n;
    return fits(c);
}

/* --- What it becomes --- */

/* Operand of the new graph as [B, H, rows, columns]. */
static tern_value with_heads(tern_graph *g, const chain *c, tern_value v, bool transposed)
{
    const tern_shape s = *tern__shape_of(g, v);
    const bool apart = c->space.rank == 4;
    tern_shape as = {.rank = 4, .dim = {apart ? c->space.dim[0] : 1, apart ? c->space.dim[1] : batches(&c->space), s.dim[s.rank - 2], s.dim[s.rank - 1]}};
    static const int swap[] = {0, 1, 3, 2};
    v = tern__reshape(g, v, &as);
    return transposed ? tern__transpose(g, v, swap) : v;
}

/* A mask that was met where batch and heads were one dimension. */
static tern_value apart(tern_graph *g, const chain *c, tern_value m)
{
    const tern_shape s = *tern__shape_of(g, m);
    if (s.rank != 3 || c->space.rank != 4 || s.dim[0] == 1)
        return m;
    return tern__reshape(g, m, &(tern_shape){.rank = 4, .dim = {c->space.dim[0], c->space.dim[1], s.dim[1], s.dim[2]}});
}

/* What where puts in place of scores, and whether it does so where the condition holds. */
static double replacement(const chain *c, int i, bool *where_true)
{
    const tern__node *n = c->wheres[i];
    double x = 0;
    *where_true = tern__number_of(c->g, n->in[1], &x) && same_shape(c->g, n->in[2], n->out[0]) && leads_to_product(c, n->in[2]);
    if (!*where_true)
        (void)tern__number_of(c->g, n->in[2], &x);
    return x;
}

/* All masks as one: added, or a condition with what takes the place of scores. False if there is no such thing. */
static bool join_masks(tern__rewrite *rw, const chain *c, tern_value *mask, double *below)
{
    tern_graph *g = rw->to;
    const tern_dtype t = tern__dtype_of(c->g, c->first->in[0]);
    *mask = TERN_NONE;
    for (int i = 0; i < c->n_masks; i++) {
        bool inverted = false;
        const double x = c->wheres[i] ? replacement(c, i, &inverted) : 0;
        tern_value m = apart(g, c, tern__rewrite_value(rw, c->masks[i]));
        if (c->wheres[i] && c->n_masks == 1) {
            *mask = inverted ? tern__unary(g, "logical_not", m) : m;
            *below = x;
            return true;
        }
        if (c->wheres[i] && (x > absorbing || t != TERN_F32))
            return false;
        if (c->wheres[i])
            m = tern__where(g, m, tern_graph_scalar(g, t, inverted ? x : 0), tern_graph_scalar(g, t, inverted ? 0 : x));
        *mask = *mask == TERN_NONE ? m : tern__add(g, *mask, m);
    }
    return true;
}

static bool try_attention(tern__rewrite *rw, const tern__node *n)
{
    tern_graph *g = rw->to;
    chain c = {.g = rw->from, .uses = rw->user, .last = n, .scale = 1};
    double below = -INFINITY;
    tern_value mask;
    if (!is_op(n, "matmul") || !find(&c) || !join_masks(rw, &c, &mask, &below))
        return false;
    tern_value q = with_heads(g, &c, tern__rewrite_value(rw, c.first->in[0]), false);
    tern_value k = with_heads(g, &c, tern__rewrite_value(rw, c.first->in[1]), !flag(c.first, 1));
    tern_value v = with_heads(g, &c, tern__rewrite_value(rw, n->in[1]), flag(n, 1));
    const tern_value in[4] = {q, k, v, mask};
    tern_value y = tern_graph_add(g, "attention", in, 4, TERN_ATTRS(TERN_FLOAT("scale", c.scale), TERN_FLOAT("below", below), TERN_INT("strict", 1)));
    rw->map[n->out[0]] = tern__reshape(g, y, tern__shape_of(rw->from, n->out[0]));
    return true;
}

/* --- The heads side by side --- */

static bool same_shape_in(const tern_graph *g, tern_value a, const tern_graph *h, tern_value b)
{
    return tern__shape_equal(tern__shape_of(g, a), tern__shape_of(h, b));
}

/* The reshape n, of a transposition of the heads of an attention that nothing else reads: that attention can write its result so. */
static bool try_join(tern__rewrite *rw, const tern__node *n)
{
    tern_graph *g = rw->to;
    const int *uses = rw->user;
    int perm[TERN_MAX_RANK];
    const tern__node *t = n->op->reshapes ? tern__producer(rw->from, n->in[0]) : NULL;
    if (!is_op(t, "transpose") || uses[n->in[0]] != 1 || uses[t->in[0]] != 1)
        return false;
    const tern__node *made = tern__producer(g, rw->map[t->in[0]]);
    while (made && made->op->reshapes && keeps_matrices(g, made))
        made = tern__producer(g, made->in[0]);
    if (!is_op(made, "attention") || flag(made, TERN__ATT_JOINED) || !same_shape_in(g, made->out[0], rw->from, t->in[0]))
        return false;
    if (tern__transpose_perm(t, 4, perm) != TERN_OK || perm[0] != 0 || perm[1] != 2 || perm[2] != 1)
        return false;
    const double scale = tern__attr_float(made, TERN__ATT_SCALE), softcap = tern__attr_float(made, TERN__ATT_SOFTCAP);
    const double below = tern__attr_float(made, TERN__ATT_BELOW);
    const int64_t causal = tern__attr_int(made, TERN__ATT_CAUSAL), offset = tern__attr_int(made, TERN__ATT_OFFSET);
    const int64_t strict = tern__attr_int(made, TERN__ATT_STRICT);
    const tern_value in[4] = {made->in[0], made->in[1], made->in[2], made->in[3]};
    tern_value y = tern_graph_add(g, "attention", in, 4,
                                  TERN_ATTRS(TERN_FLOAT("scale", scale), TERN_FLOAT("below", below), TERN_FLOAT("softcap", softcap), TERN_INT("strict", strict),
                                             TERN_INT("causal", causal), TERN_INT("offset", offset), TERN_INT("joined", 1)));
    rw->map[n->out[0]] = tern__reshape(g, y, tern__shape_of(rw->from, n->out[0]));
    return true;
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    if (try_attention(rw, n) || try_join(rw, n))
        return tern_graph_check(rw->to);
    return tern__rewrite_copy(rw, n);
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    int *uses = tern__count_readers(in);
    if (!uses)
        return tern__fail(TERN_E_NOMEM, "attention: %d counters", in->n_values);
    tern_status st = tern__graph_rewrite(in, uses, visit, out);
    tern__free(uses);
    return st;
}

const tern__pass tern__pass_attention = {
    .name = "attention",
    .doc = "finds attention in products around a softmax, so that the scores need no memory",
    .run = run,
};
