/* The registry of ops, and running the scalar reference of any of them. */
#include "ops/op.h"

#include "base/alloc.h"
#include "graph/interpret.h"
#include "ops/registry.h"

#include <string.h>

const tern__op *tern__op_find(const char *name)
{
    int lo = 0, hi = tern__n_ops;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2, order = strcmp(name, tern__op_table[mid]->name);
        if (order == 0)
            return tern__op_table[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const tern__op *const *tern__op_all(int *n)
{
    *n = tern__n_ops;
    return tern__op_table;
}

const char *const *tern_op_names(int *n)
{
    if (n)
        *n = tern__n_ops;
    return tern__op_name_table;
}

/* A graph that holds only the expansion of n: inputs "0", "1"..., outputs in order. */
static tern_status expansion(const tern__node *n, const tern__array *in, tern_graph **out)
{
    tern_graph *g = NULL;
    TERN_TRY(tern_graph_create(&g));
    tern_value *vin = tern__alloc_array((size_t)n->n_in, sizeof *vin), *vout = tern__alloc_array((size_t)n->n_out, sizeof *vout);
    tern_status st = vin && vout ? TERN_OK : tern__fail(TERN_E_NOMEM, "%s: no memory for its expansion", n->op->name);
    tern__str name = {0};
    for (int i = 0; st == TERN_OK && i < n->n_in; i++) {
        tern__str_clear(&name);
        tern__str_addf(&name, "%d", i);
        if (name.failed)
            st = tern__fail(TERN_E_NOMEM, "%s: no memory for a name", n->op->name);
        else
            vin[i] = in[i].data ? tern_graph_input(g, tern__str_text(&name), in[i].type.dtype, &in[i].type.shape, 0) : TERN_NONE;
    }
    if (st == TERN_OK)
        st = tern_graph_check(g);
    for (int i = 0; vout && i < n->n_out; i++)
        vout[i] = TERN_NONE;
    if (st == TERN_OK)
        st = n->op->expand(g, n, vin, vout);
    for (int i = 0; st == TERN_OK && i < n->n_out; i++) {
        tern__str_clear(&name);
        tern__str_addf(&name, "out%d", i);
        if (name.failed)
            st = tern__fail(TERN_E_NOMEM, "%s: no memory for a name", n->op->name);
        else
            tern_graph_output(g, tern__str_text(&name), vout[i]);
    }
    if (st == TERN_OK)
        st = tern_graph_check(g);
    tern__str_finish(&name);
    tern__free(vin);
    tern__free(vout);
    if (st == TERN_OK)
        *out = g;
    else
        tern_graph_destroy(g);
    return st;
}

static tern_status run_expansion(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern_graph *g = NULL;
    TERN_TRY(expansion(n, in, &g));
    tern__array *given = tern__alloc_array((size_t)g->n_inputs, sizeof *given);
    tern__interp it = {0};
    tern_status st = given ? tern__interp_init(&it, g) : tern__fail(TERN_E_NOMEM, "%s: %d inputs", n->op->name, g->n_inputs);
    for (int i = 0, k = 0; st == TERN_OK && i < n->n_in; i++)
        if (in[i].data)
            given[k++] = in[i];
    if (st == TERN_OK)
        st = tern__interp_run(&it, given);
    for (int i = 0; st == TERN_OK && i < n->n_out; i++) {
        const tern__array *a = tern__interp_output(&it, i);
        if (a->type.dtype != out[i].type.dtype || !tern__shape_equal(&a->type.shape, &out[i].type.shape))
            st = tern__fail(TERN_E_INVALID, "%s: output %d of its expansion has another type than its shape rule says", n->op->name, i);
        else
            memcpy(out[i].data, a->data, tern__type_bytes(&a->type));
    }
    tern__interp_finish(&it);
    tern__free(given);
    tern_graph_destroy(g);
    return st;
}

tern_status tern__op_run_ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    if (n->op->ref)
        return n->op->ref(n, in, out);
    if (n->op->expand)
        return run_expansion(n, in, out);
    return tern__fail(TERN_E_UNSUPPORTED, "%s: it has neither a reference nor an expansion", n->op->name);
}
