/* Writing a graph as an ONNX model. */
#include <stdio.h>
#include <string.h>
#include <tern/onnx.h>

#include "base/alloc.h"
#include "onnx/export.h"
#include "tern_config.h"

/* --- The nodes --- */

static void emit_attr(tern__export *e, const tern__node *n, int slot, const char *name)
{
    const tern__attr_value *a = &n->attrs[slot];
    switch (n->op->attrs[slot].type) {
    case TERN_ATTR_INT:
        tern__export_int(e, name, a->i);
        break;
    case TERN_ATTR_FLOAT:
        tern__export_float(e, name, a->f);
        break;
    case TERN_ATTR_STRING:
        tern__export_string(e, name, a->s);
        break;
    default:
        if (a->n_ints)
            tern__export_ints(e, name, a->ints, a->n_ints);
    }
}

static void emit_node(tern__export *e, const tern__node *n)
{
    const tern__export_form *f = tern__export_find(n->op->name);
    if (f->emit) {
        f->emit(e, n);
        return;
    }
    tern__export_plain(e, n, f->onnx, n->n_in, NULL);
    for (int i = 0; i < n->op->n_attrs && i < (int)TERN_COUNT(f->attrs) && f->attrs[i]; i++)
        if (f->attrs[i][0])
            emit_attr(e, n, i, f->attrs[i]);
}

/* A graph's own names come before all others. A value that leaves under several names, or is no node's, leaves through an Identity. */
static void name_values(tern__export *e, const char **outputs)
{
    const tern_graph *g = e->g;
    for (int i = 0; i < g->n_inputs; i++)
        e->names[g->inputs[i]] = tern__export_take(e, g->values[g->inputs[i]].name);
    for (int i = 0; i < g->n_variables; i++)
        e->names[g->variables[i]] = tern__export_take(e, g->values[g->variables[i]].name);
    for (int i = 0; i < g->n_outputs; i++) {
        const tern_value v = g->outputs[i].value;
        const char *own = e->names[v];
        const bool same = own && g->values[v].kind != TERN__VALUE_NODE && strcmp(own, g->outputs[i].name) == 0;
        outputs[i] = same ? own : tern__export_take(e, g->outputs[i].name);
        if (!own && g->values[v].kind == TERN__VALUE_NODE)
            e->names[v] = outputs[i];
    }
}

static void emit_outputs(tern__export *e, const char **outputs)
{
    for (int i = 0; i < e->g->n_outputs; i++) {
        const char *from = tern__export_name(e, e->g->outputs[i].value);
        if (from != outputs[i])
            tern__export_node(e, "Identity", &from, 1, &outputs[i], 1);
    }
}

/* e: zeroed; holds the lowered graph's nodes and tensors afterwards. lowered lives as long. */
static tern_status build(tern__export *e, const tern_graph *g, tern_graph **lowered, const char ***outputs)
{
    TERN_TRY(tern__export_lower(g, lowered, &e->opset));
    e->g = *lowered;
    e->names = tern__export_keep(e, (size_t)e->g->n_values, sizeof *e->names);
    e->said = tern__export_keep(e, (size_t)e->g->n_values, sizeof *e->said);
    *outputs = tern__export_keep(e, (size_t)e->g->n_outputs, sizeof **outputs);
    if (e->st != TERN_OK)
        return e->st;
    name_values(e, *outputs);
    for (int i = 0; e->st == TERN_OK && i < e->g->n_nodes; i++)
        emit_node(e, e->g->nodes[i]);
    emit_outputs(e, *outputs);
    return e->st;
}

/* --- Free extents --- A model can leave them open if it comes out the same for others. */

typedef struct model {
    tern__export e;
    tern_graph *lowered;
    const char **outputs;
} model;

static void model_finish(model *m)
{
    tern__export_finish(&m->e);
    tern_graph_destroy(m->lowered);
    *m = (model){0};
}

static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    const size_t size = protobuf_c_message_get_packed_size(a);
    if (size != protobuf_c_message_get_packed_size(b))
        return false;
    uint8_t *text = tern__alloc_array(size, 2);
    bool same = text != NULL; /* without memory the extents stay fixed */
    if (same) {
        protobuf_c_message_pack(a, text);
        protobuf_c_message_pack(b, text + size);
        same = memcmp(text, text + size, size) == 0;
    }
    tern__free(text);
    return same;
}

static bool same_tensor(const Onnx__TensorProto *a, const Onnx__TensorProto *b)
{
    return a->data_type == b->data_type && a->n_dims == b->n_dims && memcmp(a->dims, b->dims, a->n_dims * sizeof *a->dims) == 0 &&
           strcmp(a->name, b->name) == 0 && a->raw_data.len == b->raw_data.len &&
           (a->raw_data.data == b->raw_data.data || memcmp(a->raw_data.data, b->raw_data.data, a->raw_data.len) == 0);
}

static bool same_model(const tern__export *a, const tern__export *b)
{
    bool same = a->opset == b->opset && a->n_nodes == b->n_nodes && a->n_tensors == b->n_tensors;
    for (int i = 0; same && i < a->n_nodes; i++)
        same = same_message(&a->nodes[i]->base, &b->nodes[i]->base);
    for (int i = 0; same && i < a->n_tensors; i++)
        same = same_tensor(a->tensors[i], b->tensors[i]);
    return same;
}

/* The graph with all free extents one larger. */
static tern_status bind_others(const tern_graph *g, tern_graph **out)
{
    tern_shape *shapes = tern__alloc_array((size_t)g->n_inputs, sizeof *shapes);
    if (!shapes)
        return tern__fail(TERN_E_NOMEM, "onnx: %d shapes", g->n_inputs);
    for (int i = 0; i < g->n_inputs; i++) {
        const tern__value *x = &g->values[g->inputs[i]];
        shapes[i] = x->type.shape;
        for (int k = 0; k < shapes[i].rank; k++)
            shapes[i].dim[k] += x->free_axes >> k & 1;
    }
    tern_status st = tern__graph_bind_shapes(g, shapes, out);
    tern__free(shapes);
    return st;
}

/* Fills *other if the graph has free extents and says the same for others as m does. */
static tern_status probe(const tern_graph *g, const model *m, model *other)
{
    bool free_axes = false;
    tern_graph *bound = NULL;
    for (int i = 0; i < g->n_inputs; i++)
        free_axes |= g->values[g->inputs[i]].free_axes != 0;
    if (!free_axes)
        return TERN_OK;
    tern_status st = bind_others(g, &bound);
    if (st == TERN_OK)
        st = build(&other->e, bound, &other->lowered, &other->outputs);
    tern_graph_destroy(bound);
    if (st != TERN_OK || !same_model(&m->e, &other->e))
        model_finish(other);
    return st == TERN_E_NOMEM ? st : TERN_OK;
}

/* --- The message --- */

/* Extent k of a port, open: called after the axis of the first input that has it; the outermost axis of the first such input is the batch. */
static const char *extent_name(tern__export *e, const tern_graph *other, const char *port, int k, int64_t a, int64_t b)
{
    const tern_graph *g = e->g;
    bool found = false, first = true, batch = false;
    char name[128] = "batch";
    for (int i = 0; !found && i < g->n_inputs; i++) {
        const tern_shape *s = tern__shape_of(g, g->inputs[i]), *o = tern__shape_of(other, other->inputs[i]);
        for (int axis = 0; !found && axis < s->rank; axis++) {
            if (!(g->values[g->inputs[i]].free_axes >> axis & 1))
                continue;
            found = s->dim[axis] == a && o->dim[axis] == b;
            batch = found && first && axis == 0;
            first = false;
            port = found ? e->names[g->inputs[i]] : port;
            k = found ? axis : k;
        }
    }
    if (!batch)
        snprintf(name, sizeof name, "%.100s_%d", port, k);
    char *kept = tern__export_keep(e, sizeof name, 1);
    if (kept)
        memcpy(kept, name, sizeof name);
    return kept;
}

/* w: the same value in the model with other extents. */
static Onnx__ValueInfoProto *port(model *m, const model *other, const char *name, tern_value v, tern_value w)
{
    tern__export *e = &m->e;
    const tern__type *t = tern__type_of(e->g, v);
    struct {
        Onnx__ValueInfoProto info;
        Onnx__TypeProto type;
        Onnx__TypeProto__Tensor tensor;
        Onnx__TensorShapeProto shape;
        Onnx__TensorShapeProto__Dimension dims[TERN_MAX_RANK], *list[TERN_MAX_RANK];
    } *p = tern__export_keep(e, 1, sizeof *p);
    if (!p)
        return NULL;
    onnx__value_info_proto__init(&p->info);
    onnx__type_proto__init(&p->type);
    onnx__type_proto__tensor__init(&p->tensor);
    onnx__tensor_shape_proto__init(&p->shape);
    p->info.name = (char *)(uintptr_t)name;
    p->info.type = &p->type;
    p->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    p->type.tensor_type = &p->tensor;
    p->tensor.has_elem_type = 1;
    p->tensor.elem_type = tern__onnx_dtype_number(t->dtype);
    p->tensor.shape = &p->shape;
    p->shape.dim = p->list;
    p->shape.n_dim = (size_t)t->shape.rank;
    for (int k = 0; k < t->shape.rank; k++) {
        const int64_t a = t->shape.dim[k], b = other->lowered ? tern__shape_of(other->lowered, w)->dim[k] : a;
        onnx__tensor_shape_proto__dimension__init(&p->dims[k]);
        p->list[k] = &p->dims[k];
        p->dims[k].value_case = a == b ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (a == b)
            p->dims[k].dim_value = a;
        else
            p->dims[k].dim_param = (char *)(uintptr_t)extent_name(e, other->lowered, name, k, a, b);
    }
    return &p->info;
}

static void fill_graph(model *m, const model *other, Onnx__GraphProto *graph)
{
    tern__export *e = &m->e;
    const tern_graph *g = e->g, *o = other->lowered ? other->lowered : g;
    onnx__graph_proto__init(graph);
    graph->name = "graph";
    graph->node = e->nodes;
    graph->n_node = (size_t)e->n_nodes;
    graph->initializer = e->tensors;
    graph->n_initializer = (size_t)e->n_tensors;
    graph->input = tern__export_keep(e, (size_t)g->n_inputs, sizeof(Onnx__ValueInfoProto *));
    graph->output = tern__export_keep(e, (size_t)g->n_outputs, sizeof(Onnx__ValueInfoProto *));
    for (int i = 0; graph->input && i < g->n_inputs; i++)
        graph->input[graph->n_input++] = port(m, other, e->names[g->inputs[i]], g->inputs[i], o->inputs[i]);
    for (int i = 0; graph->output && i < g->n_outputs; i++)
        graph->output[graph->n_output++] = port(m, other, m->outputs[i], g->outputs[i].value, o->outputs[i].value);
}

static tern_status write(model *m, const model *other, const char *path, size_t limit)
{
    Onnx__ModelProto message;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[1] = {&opset};
    fill_graph(m, other, &graph);
    if (m->e.st != TERN_OK)
        return m->e.st;
    onnx__operator_set_id_proto__init(&opset);
    opset.domain = "";
    opset.has_version = 1;
    opset.version = m->e.opset;
    onnx__model_proto__init(&message);
    message.has_ir_version = 1;
    message.ir_version = m->e.opset > 18 ? 9 : 8;
    message.opset_import = opsets;
    message.n_opset_import = 1;
    message.producer_name = "tern";
    message.producer_version = TERN_VERSION;
    message.graph = &graph;
    return tern__export_write(path, &message, limit);
}

tern_status tern__export_save(const tern_graph *g, const char *path, size_t limit)
{
    model m = {0}, other = {0};
    tern_status st = build(&m.e, g, &m.lowered, &m.outputs);
    if (st == TERN_OK)
        st = probe(g, &m, &other);
    if (st == TERN_OK)
        st = write(&m, &other, path, limit);
    model_finish(&m);
    model_finish(&other);
    return st;
}

tern_status tern_onnx_save(const tern_graph *g, const char *path)
{
    if (!g || !path)
        return tern__fail(TERN_E_INVALID, "onnx: a graph and a path are needed");
    TERN_TRY(tern_graph_check(g));
    if (g->n_assigns > 0)
        return tern__fail(TERN_E_INVALID, "onnx: the graph changes its variable \"%s\" in every run; save the inference graph, without the training step",
                          g->values[g->assigns[0].variable].name);
    if (g->n_outputs == 0)
        return tern__fail(TERN_E_INVALID, "onnx: the graph has no outputs");
    tern_status st = tern__export_save(g, path, TERN__EXPORT_LIMIT);
    return st == TERN_OK ? st : tern__fail_in(st, "saving as ONNX");
}
