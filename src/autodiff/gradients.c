/* Reverse-mode differentiation: walks the nodes from the loss back and adds the nodes that compute the gradients. */
#include "autodiff/autodiff.h"

#include "base/alloc.h"
#include "base/status.h"
#include "ops/common.h"

#include <string.h>

/* Per value of the graph, growing with it. */
typedef struct facts {
    bool flows;       /* floating point, and depends on a value that a gradient is wanted for */
    tern_value grad;  /* the sum of what has arrived so far */
} facts;

typedef struct walk {
    tern_graph *g;
    facts *at;
    int n, cap;
} walk;

void tern__mark_ancestors(const tern_graph *g, tern_value v, bool *marks)
{
    marks[v] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const tern__node *n = g->nodes[i];
        bool wanted = false;
        for (int k = 0; k < n->n_out; k++)
            wanted |= marks[n->out[k]];
        for (int k = 0; wanted && k < n->n_in; k++)
            if (n->in[k] != TERN_NONE)
                marks[n->in[k]] = true;
    }
}

/* Gives every value added since the last call its facts. */
static tern_status follow_growth(walk *w)
{
    for (; w->n < w->g->n_values; w->n++) {
        if (!TERN_GROW(w->at, w->n, w->cap))
            return tern__fail(TERN_E_NOMEM, "gradients: no memory for %d values", w->g->n_values);
        w->at[w->n] = (facts){.grad = TERN_NONE};
    }
    return TERN_OK;
}

/* Spreads "a gradient flows here" over the nodes [first, last). */
static void mark_flow(walk *w, int first, int last)
{
    for (int i = first; i < last; i++) {
        const tern__node *n = w->g->nodes[i];
        bool flows = false;
        for (int k = 0; k < n->n_in; k++)
            flows |= n->in[k] != TERN_NONE && w->at[n->in[k]].flows;
        for (int k = 0; flows && k < n->n_out; k++)
            w->at[n->out[k]].flows = tern__dtype_is(tern__dtype_of(w->g, n->out[k]), TERN__T_FLOAT);
    }
}

/* Adds a contribution to v's gradient, brought to v's shape. */
static tern_status arrive(walk *w, tern_value v, tern_value dx, const char *op)
{
    tern_graph *g = w->g;
    if (dx == TERN_NONE || !w->at[v].flows)
        return tern_graph_check(g);
    dx = tern__unbroadcast(g, dx, tern__shape_of(g, v));
    TERN_TRY(tern_graph_check(g));
    if (tern__dtype_of(g, dx) != tern__dtype_of(g, v))
        return tern__fail(TERN_E_DTYPE, "gradients: %s gives a gradient of %s to a value of %s", op, tern_dtype_name(tern__dtype_of(g, dx)),
                          tern_dtype_name(tern__dtype_of(g, v)));
    if (!tern__shape_equal(tern__shape_of(g, dx), tern__shape_of(g, v)))
        dx = tern__expand_as(g, dx, v);
    if (w->at[v].grad != TERN_NONE)
        dx = tern__add(g, w->at[v].grad, dx);
    TERN_TRY(tern_graph_check(g));
    w->at[v].grad = dx;
    return follow_growth(w);
}

static tern_status walk_back(walk *w, int first, int last);

/* An op without a gradient of its own has that of its expansion, which is added beside it; the passes find that the two
 * compute the same and keep one. */
static tern_status through_expansion(walk *w, const tern__node *n, const tern_value *dy, tern_value *out)
{
    tern_graph *g = w->g;
    const int first = g->n_nodes;
    for (int k = 0; k < n->n_out; k++)
        out[k] = TERN_NONE;
    TERN_TRY((n->op->apart ? n->op->apart : n->op->expand)(g, n, n->in, out));
    TERN_TRY(tern_graph_check(g));
    if (out[0] == TERN_NONE)
        return tern__fail(TERN_E_UNSUPPORTED, "gradients: the loss depends on %s, which has no gradient", n->op->name);
    const int last = g->n_nodes;
    TERN_TRY(follow_growth(w));
    mark_flow(w, first, last);
    for (int k = 0; k < n->n_out; k++)
        if (out[k] != TERN_NONE)
            TERN_TRY(arrive(w, out[k], dy[k], n->op->name));
    return walk_back(w, first, last);
}

static tern_status through_op(walk *w, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    for (int k = 0; k < n->n_in; k++)
        dx[k] = TERN_NONE;
    TERN_TRY(n->op->grad(w->g, n, dy, dx));
    TERN_TRY(tern_graph_check(w->g));
    TERN_TRY(follow_growth(w));
    for (int k = 0; k < n->n_in; k++)
        if (n->in[k] != TERN_NONE)
            TERN_TRY(arrive(w, n->in[k], dx[k], n->op->name));
    return TERN_OK;
}

static tern_status through_node(walk *w, const tern__node *n)
{
    bool arrived = false;
    for (int k = 0; k < n->n_out; k++)
        arrived |= w->at[n->out[k]].grad != TERN_NONE;
    if (!arrived)
        return TERN_OK;
    if (!n->op->grad && !n->op->expand)
        return tern__fail(TERN_E_UNSUPPORTED, "gradients: the loss depends on %s, which has no gradient", n->op->name);
    tern_value *dy = tern__alloc_array((size_t)n->n_out, sizeof *dy);
    tern_value *other = tern__alloc_array((size_t)TERN_MAX(n->n_in, n->n_out), sizeof *other);
    tern_status st = dy && other ? TERN_OK : tern__fail(TERN_E_NOMEM, "gradients: no memory for %s", n->op->name);
    for (int k = 0; st == TERN_OK && k < n->n_out; k++)
        dy[k] = w->at[n->out[k]].grad;
    if (st == TERN_OK)
        st = n->op->grad ? through_op(w, n, dy, other) : through_expansion(w, n, dy, other);
    tern__free(dy);
    tern__free(other);
    return st;
}

/* From the last of the nodes [first, last) to the first; what reaches values made before them stays there for the caller's walk. */
static tern_status walk_back(walk *w, int first, int last)
{
    for (int i = last - 1; i >= first; i--)
        TERN_TRY(through_node(w, w->g->nodes[i]));
    return TERN_OK;
}

static tern_status check_request(const tern_graph *g, tern_value loss, const tern_value *wrt, int n, const tern_value *grads)
{
    if (!g || n < 0 || (n > 0 && (!wrt || !grads)))
        return tern__fail(TERN_E_INVALID, "gradients: no graph, no list of values or no place for the results");
    TERN_TRY(tern_graph_check(g));
    if (loss < 0 || loss >= g->n_values)
        return tern__fail(TERN_E_INVALID, "gradients: the loss is value %d, the graph has values 0 to %d", (int)loss, g->n_values - 1);
    if (tern__elems(tern__shape_of(g, loss)) != 1 || !tern__dtype_is(tern__dtype_of(g, loss), TERN__T_FLOAT)) {
        tern__str s = {0};
        tern__type_print(&s, tern__type_of(g, loss));
        tern__fail(TERN_E_SHAPE, "gradients: the loss is %s, it must be one floating-point number", tern__str_text(&s));
        tern__str_finish(&s);
        return TERN_E_SHAPE;
    }
    for (int i = 0; i < n; i++) {
        if (wrt[i] < 0 || wrt[i] >= g->n_values)
            return tern__fail(TERN_E_INVALID, "gradients: value %d is wanted, the graph has values 0 to %d", (int)wrt[i], g->n_values - 1);
        if (!tern__dtype_is(tern__dtype_of(g, wrt[i]), TERN__T_FLOAT))
            return tern__fail(TERN_E_DTYPE, "gradients: value %d is %s and has no gradient", (int)wrt[i],
                              tern_dtype_name(tern__dtype_of(g, wrt[i])));
    }
    return TERN_OK;
}

static tern_status differentiate(walk *w, tern_value loss, const tern_value *wrt, int n)
{
    tern_graph *g = w->g;
    const int last = g->n_nodes;
    TERN_TRY(follow_growth(w));
    for (int i = 0; i < n; i++)
        w->at[wrt[i]].flows = true;
    mark_flow(w, 0, last);
    tern_value one = tern__like(g, loss, 1);
    one = tern__expand_to(g, one, tern__shape_of(g, loss));
    TERN_TRY(tern_graph_check(g));
    TERN_TRY(follow_growth(w));
    TERN_TRY(arrive(w, loss, one, "the loss"));
    return walk_back(w, 0, last);
}

static tern_status no_dependence(const tern_graph *g, tern_value v)
{
    const char *name = g->values[v].name;
    return tern__fail(TERN_E_INVALID, "gradients: no gradient of the loss reaches value %d%s%s%s", (int)v, name ? " (\"" : "", name ? name : "",
                      name ? "\")" : "");
}

tern_status tern_graph_gradients(tern_graph *g, tern_value loss, const tern_value *wrt, int n, tern_value *grads)
{
    TERN_TRY(check_request(g, loss, wrt, n, grads));
    walk w = {.g = g};
    tern_status st = differentiate(&w, loss, wrt, n);
    for (int i = 0; st == TERN_OK && i < n; i++)
        if (w.at[wrt[i]].grad == TERN_NONE)
            st = no_dependence(g, wrt[i]);
    for (int i = 0; st == TERN_OK && i < n; i++)
        grads[i] = w.at[wrt[i]].grad;
    tern__free(w.at);
    return st;
}
