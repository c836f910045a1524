/* A graph evaluated on the host by the ops' scalar references: slow, and what every plan is judged by. */
#include "graph/interpret.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

static tern_status make_array(tern__array *a, const tern__type *t, const void *data)
{
    a->type = *t;
    a->data = tern__alloc(tern__type_bytes(t));
    if (!a->data)
        return tern__fail(TERN_E_NOMEM, "interpret: %zu bytes for a value", tern__type_bytes(t));
    if (data)
        memcpy(a->data, data, tern__type_bytes(t));
    return TERN_OK;
}

tern_status tern__interp_init(tern__interp *it, const tern_graph *g)
{
    *it = (tern__interp){.g = g};
    TERN_TRY(tern_graph_check(g));
    it->values = tern__alloc_array((size_t)g->n_values, sizeof *it->values);
    if (!it->values)
        return tern__fail(TERN_E_NOMEM, "interpret: %d values", g->n_values);
    for (int i = 0; i < g->n_values; i++)
        TERN_TRY(make_array(&it->values[i], &g->values[i].type, g->values[i].data ? g->values[i].data->data : NULL));
    return TERN_OK;
}

void tern__interp_finish(tern__interp *it)
{
    for (int i = 0; it->values && i < it->g->n_values; i++)
        tern__free(it->values[i].data);
    tern__free(it->values);
    *it = (tern__interp){0};
}

static tern_status take_inputs(tern__interp *it, const tern__array *inputs)
{
    const tern_graph *g = it->g;
    for (int i = 0; i < g->n_inputs; i++) {
        tern__array *a = &it->values[g->inputs[i]];
        if (!inputs[i].data || inputs[i].type.dtype != a->type.dtype || !tern__shape_equal(&inputs[i].type.shape, &a->type.shape))
            return tern__fail(TERN_E_SHAPE, "interpret: input \"%s\" is of another type than the graph's", tern_graph_input_name(g, i));
        memcpy(a->data, inputs[i].data, tern__type_bytes(&a->type));
    }
    return TERN_OK;
}

static tern_status run_node(tern__interp *it, const tern__node *n)
{
    tern__array *args = tern__alloc_array((size_t)n->n_in + (size_t)n->n_out, sizeof *args);
    if (!args)
        return tern__fail(TERN_E_NOMEM, "interpret: %d arguments", n->n_in + n->n_out);
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == TERN_NONE)
            args[i].type.dtype = TERN_DTYPE_COUNT;
        else
            args[i] = it->values[n->in[i]];
    }
    for (int i = 0; i < n->n_out; i++) {
        args[n->n_in + i] = it->values[n->out[i]];
        /* A reference sees what the library's own buffers are: zeroed, whatever an earlier run left. */
        memset(args[n->n_in + i].data, 0, tern__type_bytes(&args[n->n_in + i].type));
    }
    tern_status st = tern__op_run_ref(n, args, args + n->n_in);
    tern__free(args);
    return st;
}

/* All assignments at once: a variable may be given another one's old value. */
static tern_status assign(tern__interp *it)
{
    const tern_graph *g = it->g;
    tern_status st = TERN_OK;
    tern__array *fresh = tern__alloc_array((size_t)g->n_assigns, sizeof *fresh);
    if (!fresh)
        return tern__fail(TERN_E_NOMEM, "interpret: %d assignments", g->n_assigns);
    for (int i = 0; st == TERN_OK && i < g->n_assigns; i++)
        st = make_array(&fresh[i], &it->values[g->assigns[i].value].type, it->values[g->assigns[i].value].data);
    for (int i = 0; i < g->n_assigns; i++) {
        if (st == TERN_OK)
            memcpy(it->values[g->assigns[i].variable].data, fresh[i].data, tern__type_bytes(&fresh[i].type));
        tern__free(fresh[i].data);
    }
    tern__free(fresh);
    return st;
}

tern_status tern__interp_run(tern__interp *it, const tern__array *inputs)
{
    TERN_TRY(take_inputs(it, inputs));
    for (int i = 0; i < it->g->n_nodes; i++)
        TERN_TRY(run_node(it, it->g->nodes[i]));
    return assign(it);
}

const tern__array *tern__interp_value(const tern__interp *it, tern_value v)
{
    return &it->values[v];
}

const tern__array *tern__interp_output(const tern__interp *it, int i)
{
    return &it->values[it->g->outputs[i].value];
}
