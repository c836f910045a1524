/* Graph in, graph out: the walk that every pass shares, binding of free extents, and freezing of variables. */
#include "graph/node.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

/* Marks the nodes that the results depend on. needed[g->n_nodes] */
static void mark_needed(const tern_graph *g, bool *needed)
{
    for (int i = 0; i < g->n_outputs; i++)
        if (g->values[g->outputs[i].value].kind == TERN__VALUE_NODE)
            needed[g->values[g->outputs[i].value].node] = true;
    for (int i = 0; i < g->n_assigns; i++)
        if (g->values[g->assigns[i].value].kind == TERN__VALUE_NODE)
            needed[g->values[g->assigns[i].value].node] = true;
    for (int i = g->n_nodes - 1; i >= 0; i--)
        for (int k = 0; needed[i] && k < g->nodes[i]->n_in; k++) {
            tern_value v = g->nodes[i]->in[k];
            if (v != TERN_NONE && g->values[v].kind == TERN__VALUE_NODE)
                needed[g->values[v].node] = true;
        }
}

/* Adds an input or a variable of the old graph to the new one. */
static tern_value copy_named(tern_graph *to, const tern__value *x)
{
    if (x->kind == TERN__VALUE_INPUT)
        return tern_graph_input(to, x->name, x->type.dtype, &x->type.shape, x->free_axes);
    return tern__graph_variable(to, x->name, &x->type, x->data, x->trainable);
}

tern_value tern__rewrite_value(tern__rewrite *rw, tern_value old)
{
    if (old == TERN_NONE)
        return TERN_NONE;
    const tern__value *x = &rw->from->values[old];
    if (rw->map[old] == TERN_NONE && x->kind == TERN__VALUE_CONST)
        rw->map[old] = tern__graph_blob(rw->to, &x->type, x->data);
    if (rw->map[old] == TERN_NONE)
        tern__graph_fail(rw->to, TERN_E_INVALID, "rewrite: value %d is used before it is made", (int)old);
    return rw->map[old];
}

tern_status tern__rewrite_copy(tern__rewrite *rw, const tern__node *n)
{
    tern_value *in = tern__alloc_array((size_t)n->n_in, sizeof *in), *out = tern__alloc_array((size_t)n->n_out, sizeof *out);
    if (in && out) {
        for (int i = 0; i < n->n_in; i++)
            in[i] = tern__rewrite_value(rw, n->in[i]);
        tern__graph_add_like(rw->to, n, in, out);
        for (int i = 0; i < n->n_out; i++) {
            rw->map[n->out[i]] = out[i];
            if (out[i] != TERN_NONE)
                rw->to->values[out[i]].type.layout = rw->from->values[n->out[i]].type.layout;
        }
    } else {
        tern__graph_fail(rw->to, TERN_E_NOMEM, "rewrite: no memory for a node of %d inputs", n->n_in);
    }
    tern__free(in);
    tern__free(out);
    return tern_graph_check(rw->to);
}

static tern_status rewrite_nodes(tern__rewrite *rw, tern_status (*fn)(tern__rewrite *rw, const tern__node *n))
{
    const tern_graph *g = rw->from;
    bool *needed = tern__alloc_array((size_t)g->n_nodes, sizeof *needed);
    if (!needed)
        return tern__fail(TERN_E_NOMEM, "rewrite: %d marks", g->n_nodes);
    mark_needed(g, needed);
    tern_status st = TERN_OK;
    for (int i = 0; st == TERN_OK && i < g->n_nodes; i++)
        if (needed[i]) {
            st = fn(rw, g->nodes[i]);
            if (st == TERN_OK)
                st = tern_graph_check(rw->to);
        }
    tern__free(needed);
    return st;
}

static tern_status carry_results(tern__rewrite *rw)
{
    const tern_graph *g = rw->from;
    for (int i = 0; i < g->n_outputs; i++)
        tern_graph_output(rw->to, g->outputs[i].name, tern__rewrite_value(rw, g->outputs[i].value));
    for (int i = 0; i < g->n_assigns; i++)
        tern_graph_assign(rw->to, tern__rewrite_value(rw, g->assigns[i].variable), tern__rewrite_value(rw, g->assigns[i].value));
    return tern_graph_check(rw->to);
}

/* named: makes the new value of each input and variable. */
static tern_status rewrite_with(const tern_graph *from, void *user, tern_value (*named)(tern__rewrite *rw, tern_value old),
                                tern_status (*fn)(tern__rewrite *rw, const tern__node *n), tern_graph **out)
{
    TERN_TRY(tern_graph_check(from));
    tern__rewrite rw = {.from = from, .user = user};
    TERN_TRY(tern_graph_create(&rw.to));
    rw.map = tern__alloc_array((size_t)from->n_values, sizeof *rw.map);
    tern_status st = rw.map ? TERN_OK : tern__fail(TERN_E_NOMEM, "rewrite: a map of %d values", from->n_values);
    if (st == TERN_OK) {
        for (int i = 0; i < from->n_values; i++)
            rw.map[i] = TERN_NONE;
        for (int i = 0; i < from->n_inputs; i++)
            rw.map[from->inputs[i]] = named(&rw, from->inputs[i]);
        for (int i = 0; i < from->n_variables; i++)
            rw.map[from->variables[i]] = named(&rw, from->variables[i]);
        st = tern_graph_check(rw.to);
    }
    if (st == TERN_OK)
        st = rewrite_nodes(&rw, fn);
    if (st == TERN_OK)
        st = carry_results(&rw);
    tern__free(rw.map);
    if (st != TERN_OK) {
        tern_graph_destroy(rw.to);
        return st;
    }
    *out = rw.to;
    return TERN_OK;
}

static tern_value named_same(tern__rewrite *rw, tern_value old)
{
    return copy_named(rw->to, &rw->from->values[old]);
}

tern_status tern__graph_rewrite(const tern_graph *from, void *user, tern_status (*fn)(tern__rewrite *rw, const tern__node *n),
                                tern_graph **out)
{
    return rewrite_with(from, user, named_same, fn, out);
}

static tern_value named_bound(tern__rewrite *rw, tern_value old)
{
    const tern__value *x = &rw->from->values[old];
    if (x->kind != TERN__VALUE_INPUT)
        return copy_named(rw->to, x);
    int i = 0;
    while (rw->from->inputs[i] != old)
        i++;
    const tern_shape *want = (const tern_shape *)rw->user + i, *built = &x->type.shape;
    if (want->rank != built->rank)
        return tern__graph_fail(rw->to, TERN_E_SHAPE, "input \"%s\": rank %d given, it has rank %d", x->name, want->rank, built->rank);
    for (int k = 0; k < want->rank; k++)
        if (want->dim[k] != built->dim[k] && !(x->free_axes >> k & 1))
            return tern__graph_fail(rw->to, TERN_E_SHAPE, "input \"%s\": axis %d is %lld, %lld was given, and the axis is not free", x->name,
                                    k, (long long)built->dim[k], (long long)want->dim[k]);
    return tern_graph_input(rw->to, x->name, x->type.dtype, want, x->free_axes);
}

tern_status tern__graph_bind_shapes(const tern_graph *g, const tern_shape *shapes, tern_graph **out)
{
    return rewrite_with(g, (void *)(uintptr_t)shapes, named_bound, tern__rewrite_copy, out);
}

static tern_value named_frozen(tern__rewrite *rw, tern_value old)
{
    const tern__value *x = &rw->from->values[old];
    return x->kind == TERN__VALUE_INPUT ? copy_named(rw->to, x) : tern__graph_blob(rw->to, &x->type, x->data);
}

tern_status tern__graph_freeze(const tern_graph *g, tern_graph **out)
{
    if (g->n_assigns > 0)
        return tern__fail(TERN_E_INVALID, "freeze: variable \"%s\" is assigned, so it cannot become a constant",
                          g->values[g->assigns[0].variable].name);
    return rewrite_with(g, NULL, named_frozen, tern__rewrite_copy, out);
}
