/* The rules every graph obeys, checked after each pass of a debug build and on every loaded model. */
#include "graph/node.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

static tern_status check_layout(const tern_graph *g, tern_value v)
{
    const tern__type *t = tern__type_of(g, v);
    if (t->layout.kind == TERN__PLAIN)
        return TERN_OK;
    if (t->layout.block < 1 || t->shape.rank < 2 || t->shape.dim[1] % t->layout.block)
        return tern__fail(TERN_E_INVALID, "verify: value %d of rank %d is blocked by %d, which does not divide its channels", (int)v,
                          t->shape.rank, t->layout.block);
    return TERN_OK;
}

static tern_status check_value(const tern_graph *g, tern_value v)
{
    const tern__value *x = &g->values[v];
    TERN_TRY(check_layout(g, v));
    if (x->kind == TERN__VALUE_NODE) {
        bool ok = x->node >= 0 && x->node < g->n_nodes && x->out_index >= 0 && x->out_index < g->nodes[x->node]->n_out &&
                  g->nodes[x->node]->out[x->out_index] == v;
        return ok ? TERN_OK : tern__fail(TERN_E_INVALID, "verify: value %d says node %d makes it, and that is not so", (int)v, x->node);
    }
    bool has_data = x->kind == TERN__VALUE_CONST || x->kind == TERN__VALUE_VARIABLE;
    if (has_data && (!x->data || x->data->size != tern__type_bytes(&x->type)))
        return tern__fail(TERN_E_INVALID, "verify: value %d has %zu bytes of data, its type %zu", (int)v, x->data ? x->data->size : 0,
                          tern__type_bytes(&x->type));
    bool has_name = x->kind != TERN__VALUE_CONST;
    if (has_name != (x->name != NULL))
        return tern__fail(TERN_E_INVALID, "verify: value %d %s a name", (int)v, has_name ? "lacks" : "must not have");
    return TERN_OK;
}

static tern_status check_types(const tern_graph *g, int i)
{
    const tern__node *n = g->nodes[i];
    tern__type *types = tern__alloc_array((size_t)n->n_out, sizeof *types);
    if (!types)
        return tern__fail(TERN_E_NOMEM, "verify: %d types", n->n_out);
    tern_status st = tern__node_infer(g, n, types);
    for (int k = 0; st == TERN_OK && k < n->n_out; k++) {
        const tern__type *t = tern__type_of(g, n->out[k]);
        if (t->dtype == types[k].dtype && tern__shape_equal(&t->shape, &types[k].shape))
            continue;
        tern__str a = {0}, b = {0};
        tern__type_print(&a, t);
        tern__type_print(&b, &types[k]);
        st = tern__fail(TERN_E_INVALID, "verify: node %d (%s), output %d is %s, the shape rule says %s", i, n->op->name, k,
                        tern__str_text(&a), tern__str_text(&b));
        tern__str_finish(&a);
        tern__str_finish(&b);
    }
    tern__free(types);
    return st;
}

static tern_status check_node(const tern_graph *g, int i)
{
    const tern__node *n = g->nodes[i];
    const tern__op *op = n->op;
    if (n->n_in < op->min_in || (op->max_in >= 0 && n->n_in != op->max_in) || n->n_out < 1 || (op->n_out >= 0 && n->n_out != op->n_out))
        return tern__fail(TERN_E_INVALID, "verify: node %d (%s) has %d inputs and %d outputs", i, op->name, n->n_in, n->n_out);
    for (int k = 0; k < n->n_in; k++) {
        tern_value v = n->in[k];
        if (v == TERN_NONE && k >= op->min_in && op->max_in >= 0)
            continue;
        if (v < 0 || v >= g->n_values)
            return tern__fail(TERN_E_INVALID, "verify: node %d (%s), input %d is value %d of %d", i, op->name, k, (int)v, g->n_values);
        if (g->values[v].kind == TERN__VALUE_NODE && g->values[v].node >= i)
            return tern__fail(TERN_E_INVALID, "verify: node %d (%s) reads value %d, which node %d makes later", i, op->name, (int)v,
                              g->values[v].node);
    }
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] < 0 || n->out[k] >= g->n_values || g->values[n->out[k]].node != i)
            return tern__fail(TERN_E_INVALID, "verify: node %d (%s), output %d is not its own", i, op->name, k);
    for (int k = 0; k < op->n_attrs; k++)
        if (op->attrs[k].required && !n->attrs[k].set)
            return tern__fail(TERN_E_INVALID, "verify: node %d (%s) lacks attribute \"%s\"", i, op->name, op->attrs[k].name);
    return check_types(g, i);
}

static tern_status check_names(const tern_graph *g, const tern_value *list, int n, tern__value_kind kind)
{
    for (int i = 0; i < n; i++) {
        if (list[i] < 0 || list[i] >= g->n_values || g->values[list[i]].kind != kind)
            return tern__fail(TERN_E_INVALID, "verify: value %d is listed as what it is not", (int)list[i]);
        for (int k = 0; k < i; k++)
            if (strcmp(g->values[list[i]].name, g->values[list[k]].name) == 0)
                return tern__fail(TERN_E_INVALID, "verify: two values are called \"%s\"", g->values[list[i]].name);
    }
    return TERN_OK;
}

static tern_status check_results(const tern_graph *g)
{
    for (int i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i].value < 0 || g->outputs[i].value >= g->n_values)
            return tern__fail(TERN_E_INVALID, "verify: output \"%s\" is value %d of %d", g->outputs[i].name, (int)g->outputs[i].value,
                              g->n_values);
        for (int k = 0; k < i; k++)
            if (strcmp(g->outputs[i].name, g->outputs[k].name) == 0)
                return tern__fail(TERN_E_INVALID, "verify: two outputs are called \"%s\"", g->outputs[i].name);
    }
    for (int i = 0; i < g->n_assigns; i++) {
        tern_value var = g->assigns[i].variable, v = g->assigns[i].value;
        if (var < 0 || var >= g->n_values || v < 0 || v >= g->n_values || g->values[var].kind != TERN__VALUE_VARIABLE ||
            tern__dtype_of(g, var) != tern__dtype_of(g, v) || !tern__shape_equal(tern__shape_of(g, var), tern__shape_of(g, v)))
            return tern__fail(TERN_E_INVALID, "verify: assignment %d gives value %d to value %d", i, (int)v, (int)var);
    }
    return TERN_OK;
}

tern_status tern__graph_verify(const tern_graph *g)
{
    TERN_TRY(tern_graph_check(g));
    TERN_TRY(check_names(g, g->inputs, g->n_inputs, TERN__VALUE_INPUT));
    TERN_TRY(check_names(g, g->variables, g->n_variables, TERN__VALUE_VARIABLE));
    for (tern_value v = 0; v < g->n_values; v++)
        TERN_TRY(check_value(g, v));
    for (int i = 0; i < g->n_nodes; i++)
        TERN_TRY(check_node(g, i));
    return check_results(g);
}
