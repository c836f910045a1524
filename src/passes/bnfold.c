/* bnfold: a scale or shift by constants behind a convolution or matmul with constant weights goes into weights and bias.
 *
 * After expanding, a frozen batch normalisation is mul and add by constants of shape [1, C, 1, ...]. y = conv(x, W) + b followed by
 * * s is conv(x, W s) + b s; shifts that follow one another become one. The new weights are left as ops on constants: fold computes them. */
#include "passes/pass.h"

#include "base/alloc.h"
#include "base/status.h"
#include "ops/op.h"

#include <string.h>

/* A contraction with constant weights and nothing else that reads it, perhaps with a constant shift behind it; in the new graph. */
typedef struct target {
    const tern__node *contraction;
    tern_value shift; /* TERN_NONE: none */
    int channels;     /* the axis of the result that runs over the output channels */
    int weight_axis;  /* the same in the weights */
    tern_shape shape; /* of the result */
} target;

/* The value of the new graph serves one reader: it stands for one old value with one reader, or is of this pass's own making. */
static bool single(const tern__rewrite *rw, tern_value v)
{
    int stands_for = 0, readers = 0;
    for (int i = 0; i < rw->from->n_values; i++)
        if (rw->map[i] == v) {
            stands_for++;
            readers += ((const int *)rw->user)[i];
        }
    return stands_for == 0 || (stands_for == 1 && readers <= 1);
}

/* A constant, or computed from constants, as this pass leaves it for fold. */
static bool is_constant(const tern_graph *g, tern_value v)
{
    const tern__node *n = tern__producer(g, v);
    if (!n)
        return tern__value_at(g, v)->kind == TERN__VALUE_CONST;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] != TERN_NONE && !is_constant(g, n->in[i]))
            return false;
    return n->op->trait == TERN__POINTWISE || n->op->trait == TERN__MOVEMENT;
}

/* Attribute of matmul by name, so that the order of its declaration is its own business. */
static int64_t flag(const tern__node *n, const char *name)
{
    for (int i = 0; i < n->op->n_attrs; i++)
        if (strcmp(n->op->attrs[i].name, name) == 0)
            return tern__attr_int(n, i);
    return 0;
}

static bool contraction_at(const tern__rewrite *rw, tern_value v, target *t)
{
    const tern_graph *g = rw->to;
    const tern__node *n = tern__producer(g, v);
    if (!n || !single(rw, v))
        return false;
    const bool conv = strcmp(n->op->name, "conv") == 0, matmul = strcmp(n->op->name, "matmul") == 0;
    if ((!conv && !matmul) || !is_constant(g, n->in[1]) || (n->n_in > 2 && n->in[2] != TERN_NONE))
        return false;
    const tern_shape *weights = tern__shape_of(g, n->in[1]);
    if (matmul && (weights->rank != 2 || tern__shape_of(g, v)->rank < 2))
        return false;
    t->contraction = n;
    t->shape = *tern__shape_of(g, v);
    t->channels = conv ? 1 : t->shape.rank - 1;
    t->weight_axis = conv || flag(n, "trans_b") ? 0 : 1;
    return true;
}

/* v is a contraction, or one plus a constant. */
static bool find_target(const tern__rewrite *rw, tern_value v, target *t)
{
    *t = (target){.shift = TERN_NONE};
    if (contraction_at(rw, v, t))
        return true;
    const tern__node *n = tern__producer(rw->to, v);
    if (!n || strcmp(n->op->name, "add") != 0 || !single(rw, v))
        return false;
    for (int i = 0; i < 2; i++)
        if (is_constant(rw->to, n->in[1 - i]) && contraction_at(rw, n->in[i], t)) {
            t->shift = n->in[1 - i];
            return tern__shape_equal(tern__shape_of(rw->to, v), &t->shape);
        }
    return false;
}

/* The constant, lined up with the result, varies along the channels at most. */
static bool per_channel(const tern_graph *g, tern_value c, const target *t)
{
    if (!is_constant(g, c))
        return false;
    const tern_shape *s = tern__shape_of(g, c);
    if (s->rank > t->shape.rank)
        return false;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] != 1 && (i + t->shape.rank - s->rank != t->channels || s->dim[i] != t->shape.dim[t->channels]))
            return false;
    return true;
}

/* W * s, the scale lined up with the weights' output channels. */
static tern_value scale_weights(tern_graph *g, const target *t, tern_value scale)
{
    const tern_value w = t->contraction->in[1];
    tern_shape s = {.rank = tern__shape_of(g, w)->rank};
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = 1;
    s.dim[t->weight_axis] = tern__elems(tern__shape_of(g, scale));
    return tern__mul(g, w, tern__reshape(g, scale, &s));
}

static tern_value scaled(tern_graph *g, const target *t, tern_value scale)
{
    tern_value in[3] = {t->contraction->in[0], scale_weights(g, t, scale), TERN_NONE}, y;
    tern__graph_add_like(g, t->contraction, in, &y);
    return t->shift == TERN_NONE ? y : tern__add(g, y, tern__mul(g, t->shift, scale));
}

static tern_value shifted(tern_graph *g, const target *t, tern_value shift)
{
    return tern__add(g, t->contraction->out[0], tern__add(g, t->shift, shift));
}

/* What the pointwise node op(x, c) over a contraction x becomes; TERN_NONE where nothing fits. */
static tern_value folded(tern__rewrite *rw, const char *op, tern_value x, tern_value c)
{
    tern_graph *g = rw->to;
    target t;
    if (!tern__dtype_is(tern__dtype_of(g, x), TERN__T_FLOAT) || !find_target(rw, x, &t) || !per_channel(g, c, &t))
        return TERN_NONE;
    if (strcmp(op, "mul") == 0)
        return scaled(g, &t, c);
    if (strcmp(op, "div") == 0)
        return scaled(g, &t, tern__unary(g, "reciprocal", c));
    if (strcmp(op, "sub") == 0)
        return t.shift != TERN_NONE ? shifted(g, &t, tern__neg(g, c)) : tern__add(g, x, tern__neg(g, c));
    return t.shift != TERN_NONE ? shifted(g, &t, c) : TERN_NONE;
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    const char *op = n->op->name;
    const bool commutes = strcmp(op, "add") == 0 || strcmp(op, "mul") == 0;
    if (!commutes && strcmp(op, "sub") != 0 && strcmp(op, "div") != 0)
        return tern__rewrite_copy(rw, n);
    tern_value a = tern__rewrite_value(rw, n->in[0]), b = tern__rewrite_value(rw, n->in[1]);
    TERN_TRY(tern_graph_check(rw->to));
    tern_value v = folded(rw, op, a, b);
    if (v == TERN_NONE && commutes && tern_graph_check(rw->to) == TERN_OK)
        v = folded(rw, op, b, a);
    TERN_TRY(tern_graph_check(rw->to));
    if (v == TERN_NONE)
        return tern__rewrite_copy(rw, n);
    rw->map[n->out[0]] = v;
    return TERN_OK;
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    int *uses = tern__count_readers(in);
    if (!uses)
        return tern__fail(TERN_E_NOMEM, "bnfold: %d counters", in->n_values);
    tern_status st = tern__graph_rewrite(in, uses, visit, out);
    tern__free(uses);
    return st;
}

const tern__pass tern__pass_bnfold = {
    .name = "bnfold",
    .doc = "folds scales and shifts by constants, such as a frozen batch normalisation, into the weights and bias before them",
    .run = run,
};
