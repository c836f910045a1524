/* Looking into a graph: counts, names, types, values by name, and who reads what. */
#include "graph/node.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

tern_status tern_graph_value_info(const tern_graph *g, tern_value v, tern_dtype *dtype, tern_shape *shape)
{
    if (!g || v < 0 || v >= g->n_values)
        return tern__fail(TERN_E_INVALID, "value %d: the graph has values 0 to %d", (int)v, g ? g->n_values - 1 : -1);
    if (dtype)
        *dtype = g->values[v].type.dtype;
    if (shape)
        *shape = g->values[v].type.shape;
    return TERN_OK;
}

int tern_graph_n_inputs(const tern_graph *g)
{
    return g ? g->n_inputs : 0;
}

int tern_graph_n_outputs(const tern_graph *g)
{
    return g ? g->n_outputs : 0;
}

int tern_graph_n_variables(const tern_graph *g)
{
    return g ? g->n_variables : 0;
}

const char *tern_graph_input_name(const tern_graph *g, int i)
{
    return g && i >= 0 && i < g->n_inputs ? g->values[g->inputs[i]].name : NULL;
}

const char *tern_graph_output_name(const tern_graph *g, int i)
{
    return g && i >= 0 && i < g->n_outputs ? g->outputs[i].name : NULL;
}

const char *tern_graph_variable_name(const tern_graph *g, int i)
{
    return g && i >= 0 && i < g->n_variables ? g->values[g->variables[i]].name : NULL;
}

tern_value tern_graph_input_value(const tern_graph *g, int i)
{
    return g && i >= 0 && i < g->n_inputs ? g->inputs[i] : TERN_NONE;
}

tern_value tern_graph_output_value(const tern_graph *g, int i)
{
    return g && i >= 0 && i < g->n_outputs ? g->outputs[i].value : TERN_NONE;
}

tern_value tern_graph_variable_value(const tern_graph *g, int i)
{
    return g && i >= 0 && i < g->n_variables ? g->variables[i] : TERN_NONE;
}

/* All names of a graph as one list: inputs, variables, outputs. */
static const char *nth_name(const void *user, int i)
{
    const tern_graph *g = user;
    if (i < g->n_inputs)
        return tern_graph_input_name(g, i);
    i -= g->n_inputs;
    return i < g->n_variables ? tern_graph_variable_name(g, i) : tern_graph_output_name(g, i - g->n_variables);
}

static tern_value nth_value(const tern_graph *g, int i)
{
    if (i < g->n_inputs)
        return g->inputs[i];
    i -= g->n_inputs;
    return i < g->n_variables ? g->variables[i] : g->outputs[i - g->n_variables].value;
}

tern_status tern_graph_find(const tern_graph *g, const char *name, tern_value *out)
{
    if (!g || !name || !out)
        return tern__fail(TERN_E_INVALID, "find: no graph, no name or no place for the result");
    int n = g->n_inputs + g->n_variables + g->n_outputs;
    for (int i = 0; i < n; i++)
        if (strcmp(nth_name(g, i), name) == 0) {
            *out = nth_value(g, i);
            return TERN_OK;
        }
    tern__str near = {0};
    tern__near_names(&near, name, nth_name, g, n);
    tern__fail(TERN_E_NOT_FOUND, "the graph has no input, variable or output \"%s\"%s", name, tern__str_text(&near));
    tern__str_finish(&near);
    return TERN_E_NOT_FOUND;
}

static int64_t node_macs(const tern_graph *g, const tern__node *n)
{
    tern__type in[8], out[8];
    if (!n->op->flops || (n->op->trait != TERN__CONTRACTION && n->op->trait != TERN__COMPOSITE) || n->n_in > TERN_COUNT(in) || n->n_out > TERN_COUNT(out))
        return 0;
    for (int i = 0; i < n->n_in; i++)
        in[i] = n->in[i] == TERN_NONE ? (tern__type){.dtype = TERN_DTYPE_COUNT} : g->values[n->in[i]].type;
    for (int i = 0; i < n->n_out; i++)
        out[i] = g->values[n->out[i]].type;
    return n->op->flops(n, in, out) / 2;
}

int64_t tern_graph_macs(const tern_graph *g)
{
    int64_t sum = 0;
    for (int i = 0; g && i < g->n_nodes; i++)
        sum += node_macs(g, g->nodes[i]);
    return sum;
}

int *tern__count_readers(const tern_graph *g)
{
    int *n = tern__alloc_array((size_t)g->n_values + 1, sizeof *n);
    for (int i = 0; n && i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k] != TERN_NONE)
                n[g->nodes[i]->in[k]]++;
    for (int i = 0; n && i < g->n_outputs; i++)
        n[g->outputs[i].value]++;
    for (int i = 0; n && i < g->n_assigns; i++)
        n[g->assigns[i].value]++;
    return n;
}

int *tern__only_users(const tern_graph *g)
{
    int *user = tern__alloc_array((size_t)g->n_values + 1, sizeof *user);
    for (int v = 0; user && v < g->n_values; v++)
        user[v] = -1;
    for (int i = 0; user && i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_in; k++) {
            const tern_value v = g->nodes[i]->in[k];
            if (v != TERN_NONE)
                user[v] = user[v] == -1 || user[v] == i ? i : -2;
        }
    return user;
}
