/* A model as one graph. */
#include <string.h>

#include "base/alloc.h"
#include "onnx/retrain.h"

static tern_status extent_of(const tern_onnx_port *p, int axis, const tern_onnx_dim *dims, int64_t *out)
{
    *out = p->dim[axis] >= 0 ? p->dim[axis] : 1;
    for (; p->dim[axis] < 0 && p->dim_name[axis] && dims && dims->name; dims++)
        if (strcmp(dims->name, p->dim_name[axis]) == 0)
            *out = dims->extent;
    return *out >= 0 ? TERN_OK : tern__fail(TERN_E_SHAPE, "dimension \"%s\" of input \"%s\" cannot be negative", p->dim_name[axis], p->name);
}

/* What an input is known to be, as values that no run has to give. */
static tern_status known_input(tern__onnx_trace *t, const tern_onnx_value *v, const char *name, tern__onnx_value **out)
{
    tern__onnx_value *x = *out = tern__onnx_new(t);
    if (!x)
        return tern__fail(TERN_E_NOMEM, "onnx: an input");
    if (v->kind == TERN_ONNX_NOTHING)
        return TERN_OK;
    if (v->kind == TERN_ONNX_TENSOR) {
        if (!v->tensor || !tern_tensor_data(v->tensor))
            return tern__fail(TERN_E_INVALID, "input \"%s\" is no host tensor", name);
        const tern__type type = {.dtype = tern_tensor_dtype(v->tensor), .shape = *tern_tensor_shape(v->tensor)};
        tern__blob *data = tern__blob_create(tern_tensor_data(v->tensor), tern_tensor_size_bytes(v->tensor));
        if (!data)
            return tern__fail(TERN_E_NOMEM, "onnx: %zu bytes of an input", tern_tensor_size_bytes(v->tensor));
        tern__onnx_become_data(x, &type, data);
        tern__blob_release(data);
        return TERN_OK;
    }
    x->kind = TERN__ONNX_SEQUENCE;
    x->items = tern__onnx_trace_scratch(t, (size_t)v->n_items + 1, sizeof(tern__onnx_value *));
    if (!x->items)
        return tern__fail(TERN_E_NOMEM, "onnx: a sequence of %d", v->n_items);
    for (; x->n_items < v->n_items; x->n_items++)
        TERN_TRY(known_input(t, &v->items[x->n_items], name, &x->items[x->n_items]));
    if (v->n_items > 0)
        x->type = x->items[0]->type;
    return TERN_OK;
}

static tern_status graph_input(tern__onnx_trace *t, int i, const tern_onnx_graph_params *p, tern__onnx_value **out)
{
    tern_onnx_port port;
    TERN_TRY(tern_onnx_input(t->m, i, &port));
    if (p->known && p->known[i].kind != TERN_ONNX_NOTHING) {
        TERN_TRY(tern__onnx_check_input(t->m, i, &p->known[i]));
        return known_input(t, &p->known[i], port.name, out);
    }
    if (port.kind != TERN_ONNX_TENSOR || port.optional)
        return tern__fail(TERN_E_DYNAMIC, "input \"%s\" %s, so the model has no single graph", port.name, port.optional ? "may be left out" : "is no tensor");
    if (!port.typed)
        return tern__fail(TERN_E_UNSUPPORTED, "input \"%s\" has an element type that Tern lacks", port.name);
    if (port.rank < 0 && !p->input_shapes)
        return tern__fail(TERN_E_SHAPE, "the model does not say how many dimensions input \"%s\" has", port.name);
    tern_shape s = {.rank = port.rank};
    for (int k = 0; k < port.rank; k++)
        TERN_TRY(extent_of(&port, k, p->dims, &s.dim[k]));
    if (p->batch > 0 && s.rank > 0)
        s.dim[0] = p->batch;
    if (p->input_shapes)
        s = p->input_shapes[i];
    *out = tern__onnx_new(t);
    if (!*out)
        return tern__fail(TERN_E_NOMEM, "onnx: an input");
    tern__onnx_become(t, *out, tern_graph_input(t->g, port.name, port.dtype, &s, 0));
    return tern_graph_check(t->g);
}

static tern_status graph_outputs(tern__onnx_trace *t, tern__onnx_value **out)
{
    for (int i = 0; i < tern_onnx_n_outputs(t->m); i++) {
        if (out[i]->kind != TERN__ONNX_TENSOR)
            return tern__fail(TERN_E_DYNAMIC, "output \"%s\" is no tensor, so the model has no single graph", t->m->proto->graph->output[i]->name);
        tern_value v = tern__onnx_use(t, out[i]);
        tern_graph_output(t->g, t->m->proto->graph->output[i]->name, t->params->scores ? tern__onnx_scores(t->g, v) : v);
    }
    return tern_graph_check(t->g);
}

static tern_status trace_whole(tern__onnx_trace *t, const tern_onnx_graph_params *p)
{
    const int n_in = t->m->n_inputs, n_out = tern_onnx_n_outputs(t->m);
    tern__onnx_value **values = tern__onnx_trace_scratch(t, (size_t)n_in + (size_t)n_out + 1, sizeof *values);
    if (!values)
        return tern__fail(TERN_E_NOMEM, "onnx: the values of a trace");
    for (int i = 0; i < n_in; i++)
        TERN_TRY(graph_input(t, i, p, &values[i]));
    TERN_TRY(tern__onnx_walk_model(t, values, values + n_in));
    TERN_TRY(graph_outputs(t, values + n_in));
    return tern__onnx_check_freeze(t);
}

tern_status tern_onnx_graph(tern_onnx *m, const tern_onnx_graph_params *p, tern_graph **out)
{
    static const tern_onnx_graph_params none;
    if (!m || !out)
        return tern__fail(TERN_E_INVALID, "tern_onnx_graph: no %s", m ? "place for the result" : "model");
    p = p ? p : &none;
    tern__onnx_trace t;
    tern_status st = tern__onnx_trace_begin(&t, m, NULL);
    t.params = p;
    if (st == TERN_OK)
        st = tern__onnx_new_head(&t);
    if (st == TERN_OK)
        st = trace_whole(&t, p);
    if (st == TERN_OK) {
        *out = t.g;
        t.g = NULL;
    }
    tern__onnx_trace_finish(&t);
    return st;
}
