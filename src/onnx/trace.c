/* Values of a trace: what they stand for, bringing them into the graph, knowing their elements, and cutting the graph. */
#include "onnx/retrain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

tern_status tern__onnx_trace_begin(tern__onnx_trace *t, tern_onnx *m, const tern__onnx_runner *r)
{
    *t = (tern__onnx_trace){.m = m, .runner = r};
    return tern_graph_create(&t->g);
}

void tern__onnx_trace_finish(tern__onnx_trace *t)
{
    tern_graph_destroy(t->g);
    for (int i = 0; i < t->n_values; i++) {
        tern__blob_release(t->values[i]->data);
        tern__free(t->values[i]);
    }
    tern__free(t->values);
    for (int i = 0; i < t->n_blocks; i++)
        tern__free(t->blocks[i]);
    tern__free(t->blocks);
    tern__free(t->inputs);
    tern__free(t->input_values);
    tern__free(t->notes);
    tern__onnx_overrides_finish(t);
    *t = (tern__onnx_trace){0};
}

void *tern__onnx_trace_scratch(tern__onnx_trace *t, size_t count, size_t size)
{
    if (t->n_blocks == t->cap_blocks && !TERN_GROW(t->blocks, t->n_blocks, t->cap_blocks))
        return NULL;
    void *p = tern__alloc_array(count, size);
    if (p)
        t->blocks[t->n_blocks++] = p;
    return p;
}

tern__onnx_value *tern__onnx_new(tern__onnx_trace *t)
{
    if (t->n_values == t->cap_values && !TERN_GROW(t->values, t->n_values, t->cap_values))
        return NULL;
    tern__onnx_value *x = tern__alloc(sizeof *x);
    if (!x)
        return NULL;
    *x = (tern__onnx_value){.v = TERN_NONE, .part = -1, .slot = -1, .mark = -1};
    t->values[t->n_values++] = x;
    return x;
}

void tern__onnx_become(tern__onnx_trace *t, tern__onnx_value *x, tern_value v)
{
    x->kind = TERN__ONNX_TENSOR;
    x->type = *tern__type_of(t->g, v);
    x->v = v;
    x->part = t->part;
    x->slot = -1;
    if (v >= 0 && tern__value_at(t->g, v)->kind == TERN__VALUE_CONST)
        x->data = tern__blob_retain(tern__value_at(t->g, v)->data);
}

void tern__onnx_become_data(tern__onnx_value *x, const tern__type *type, tern__blob *data)
{
    x->kind = TERN__ONNX_TENSOR;
    x->type = *type;
    x->data = tern__blob_retain(data);
}

void tern__onnx_share(tern__onnx_value *a, const tern__onnx_value *b)
{
    if (a == b)
        return;
    tern__blob_release(a->data);
    *a = *b;
    if (a->data)
        tern__blob_retain(a->data);
}

/* --- Into the graph ---------------------------------------------------------------------------------------------- */

/* The slot as an input of the current graph. */
static tern_value slot_input(tern__onnx_trace *t, const tern__onnx_value *x)
{
    for (int i = 0; i < t->n_inputs; i++)
        if (t->inputs[i].slot == x->slot)
            return t->input_values[i];
    if ((t->n_inputs == t->cap_inputs && !TERN_GROW(t->inputs, t->n_inputs, t->cap_inputs)) ||
        (t->n_inputs == t->cap_input_values && !TERN_GROW(t->input_values, t->n_inputs, t->cap_input_values)))
        return tern__graph_fail(t->g, TERN_E_NOMEM, "onnx: %d inputs of a part", t->n_inputs);
    char name[24];
    snprintf(name, sizeof name, "in%d", t->n_inputs); /* not the slot's number: parts that are alike shall look alike */
    tern_value v = tern_graph_input(t->g, name, x->type.dtype, &x->type.shape, 0);
    t->inputs[t->n_inputs] = (tern__onnx_ref){.slot = x->slot, .type = x->type};
    t->input_values[t->n_inputs++] = v;
    return v;
}

tern_value tern__onnx_use(tern__onnx_trace *t, tern__onnx_value *x)
{
    if (x->kind != TERN__ONNX_TENSOR)
        return tern__graph_fail(t->g, TERN_E_UNSUPPORTED, "%s where a tensor is needed", x->kind ? "a sequence" : "nothing (an empty optional)");
    if (x->part == t->part && x->v >= 0)
        return x->v;
    if (x->variable && x->data)
        x->v = tern__graph_variable(t->g, x->variable, &x->type, x->data, x->trainable);
    else if (x->data)
        x->v = tern__graph_blob(t->g, &x->type, x->data);
    else if (x->slot >= 0)
        x->v = slot_input(t, x);
    else
        return tern__graph_fail(t->g, TERN_E_UNSUPPORTED, "a value that no node has made yet");
    x->part = t->part;
    return x->v;
}

/* --- Elements ---------------------------------------------------------------------------------------------------- */

/* Ops whose result is no function of their inputs in ONNX's sense: folding would draw once for all runs. */
static bool draws(const tern__node *n)
{
    return strncmp(n->op->name, "random", 6) == 0 || strcmp(n->op->name, "dropout") == 0;
}

/* Constants alone decide what the node gives. */
static bool is_steady(const tern__onnx_trace *t, const tern__node *n)
{
    for (int k = 0; k < n->n_in; k++) {
        const tern__value *x = n->in[k] < 0 ? NULL : tern__value_at(t->g, n->in[k]);
        if (x && x->kind != TERN__VALUE_CONST && (x->kind != TERN__VALUE_NODE || !t->notes[x->node].steady))
            return false;
    }
    return !draws(n);
}

/* Notes on the nodes that came since the last time: each is looked at once. */
static tern_status take_notes(tern__onnx_trace *t)
{
    while (t->n_notes < t->g->n_nodes) {
        if (t->n_notes == t->cap_notes && !TERN_GROW(t->notes, t->n_notes, t->cap_notes))
            return tern__fail(TERN_E_NOMEM, "onnx: notes on %d nodes", t->n_notes);
        t->notes[t->n_notes] = (tern__onnx_note){.steady = is_steady(t, t->g->nodes[t->n_notes])};
        t->n_notes++;
    }
    return TERN_OK;
}

/* Nodes to be computed, in order, and their results. */
struct folding {
    tern__onnx_trace *t;
    int *nodes;
    int n, cap;
    tern__array **results;
};

static tern_status need(struct folding *f, int node)
{
    if (f->t->notes[node].place)
        return TERN_OK;
    if (f->n == f->cap && !TERN_GROW(f->nodes, f->n, f->cap))
        return tern__fail(TERN_E_NOMEM, "onnx: folding over %d nodes", f->n);
    f->nodes[f->n++] = node;
    f->t->notes[node].place = f->n;
    return TERN_OK;
}

static int ascending(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* What a node needs, and what that needs; deep chains do not recurse. */
static tern_status gather_needs(struct folding *f, int node)
{
    const tern_graph *g = f->t->g;
    TERN_TRY(need(f, node));
    for (int i = 0; i < f->n; i++) {
        const tern__node *n = g->nodes[f->nodes[i]];
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] >= 0 && tern__value_at(g, n->in[k])->kind == TERN__VALUE_NODE)
                TERN_TRY(need(f, tern__value_at(g, n->in[k])->node));
    }
    qsort(f->nodes, (size_t)f->n, sizeof *f->nodes, ascending);
    for (int i = 0; i < f->n; i++)
        f->t->notes[f->nodes[i]].place = i + 1;
    f->results = tern__alloc_array((size_t)f->n, sizeof *f->results);
    return f->results ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: folding over %d nodes", f->n);
}

static void folding_finish(struct folding *f)
{
    for (int i = 0; i < f->n; i++) {
        const int n_out = f->t->g->nodes[f->nodes[i]]->n_out;
        for (int k = 0; f->results && f->results[i] && k < n_out; k++)
            tern__free(f->results[i][k].data);
        if (f->results)
            tern__free(f->results[i]);
        f->t->notes[f->nodes[i]].place = 0;
    }
    tern__free(f->results);
    tern__free(f->nodes);
}

static tern__array result_of(const struct folding *f, tern_value v)
{
    const int node = tern__value_at(f->t->g, v)->node;
    const tern__node *n = f->t->g->nodes[node];
    int k = 0;
    while (n->out[k] != v)
        k++;
    return f->results[f->t->notes[node].place - 1][k];
}

static tern_status fold_node(struct folding *f, int at)
{
    const tern_graph *g = f->t->g;
    const tern__node *n = g->nodes[f->nodes[at]];
    tern__array *in = tern__alloc_array((size_t)n->n_in, sizeof *in), *out = tern__alloc_array((size_t)n->n_out, sizeof *out);
    f->results[at] = out;
    tern_status st = in && out ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: folding %s", n->op->name);
    for (int i = 0; i < n->n_in && st == TERN_OK; i++) {
        const tern__value *x = tern__value_at(g, n->in[i]);
        in[i] = n->in[i] < 0 ? (tern__array){.type = {.dtype = TERN_DTYPE_COUNT}}
                : x->kind == TERN__VALUE_CONST ? (tern__array){x->type, tern__blob_elems(x->data)} : result_of(f, n->in[i]);
        if (n->in[i] >= 0 && !in[i].data)
            st = tern__fail(TERN_E_NOMEM, "onnx: %zu bytes for folding %s", tern__type_bytes(&in[i].type), n->op->name);
    }
    for (int i = 0; i < n->n_out && st == TERN_OK; i++) {
        out[i].type = *tern__type_of(g, n->out[i]);
        out[i].data = tern__alloc(tern__type_bytes(&out[i].type));
        if (!out[i].data)
            st = tern__fail(TERN_E_NOMEM, "onnx: %zu bytes for folding %s", tern__type_bytes(&out[i].type), n->op->name);
    }
    if (st == TERN_OK)
        st = tern__op_run_ref(n, in, out);
    tern__free(in);
    return st;
}

tern_status tern__onnx_evaluate(tern__onnx_trace *t, tern_value v, tern__blob **out)
{
    *out = NULL;
    if (v < 0 || t->g->error != TERN_OK)
        return TERN_OK;
    const tern__value *x = tern__value_at(t->g, v);
    if (x->kind == TERN__VALUE_CONST) {
        *out = tern__blob_retain(x->data);
        return TERN_OK;
    }
    TERN_TRY(take_notes(t));
    if (x->kind != TERN__VALUE_NODE || !t->notes[x->node].steady)
        return TERN_OK;
    struct folding f = {.t = t};
    tern_status st = gather_needs(&f, x->node);
    for (int i = 0; i < f.n && st == TERN_OK; i++)
        st = fold_node(&f, i);
    if (st == TERN_OK) {
        const tern__array a = result_of(&f, v);
        *out = tern__blob_create(a.data, tern__type_bytes(&a.type));
        st = *out ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: a folded constant");
    }
    folding_finish(&f);
    return st;
}

static tern_status read_slot(tern__onnx_trace *t, tern__onnx_value *x)
{
    const tern_tensor *tensor = NULL;
    TERN_TRY(t->runner->read(t->runner->user, x->slot, &tensor));
    x->data = tern__blob_create(tern_tensor_data(tensor), tern_tensor_size_bytes(tensor));
    return x->data ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: the elements of a tensor");
}

tern_status tern__onnx_know(tern__onnx_trace *t, tern__onnx_value *x)
{
    if (x->kind != TERN__ONNX_TENSOR)
        return tern__fail(TERN_E_UNSUPPORTED, "%s where a tensor is needed", x->kind ? "a sequence" : "nothing (an empty optional)");
    if (x->data)
        return TERN_OK;
    if (x->slot >= 0)
        return read_slot(t, x);
    if (x->part == t->part) {
        TERN_TRY(tern_graph_check(t->g));
        TERN_TRY(tern__onnx_evaluate(t, x->v, &x->data));
    }
    if (x->data)
        return TERN_OK;
    if (!t->runner)
        return tern__fail(TERN_E_DYNAMIC, "it needs the elements of a tensor that only a run knows, so the model has no single graph");
    TERN_TRY(tern__onnx_cut(t, &x, 1));
    return TERN__ONNX_AGAIN;
}

tern_status tern__onnx_outside(tern__onnx_trace *t, tern__onnx_value *x, tern__onnx_ref *ref)
{
    if (!x || x->kind == TERN__ONNX_NOTHING) {
        *ref = (tern__onnx_ref){.slot = -1, .type.dtype = TERN_DTYPE_COUNT};
        return TERN_OK;
    }
    if (x->kind == TERN__ONNX_TENSOR && !x->data && x->slot < 0) {
        TERN_TRY(tern__onnx_cut(t, &x, 1));
        return TERN__ONNX_AGAIN;
    }
    if (x->kind != TERN__ONNX_TENSOR)
        return tern__fail(TERN_E_UNSUPPORTED, "a sequence where a tensor is needed");
    *ref = (tern__onnx_ref){.slot = x->data ? -1 : x->slot, .data = x->data, .type = x->type};
    return TERN_OK;
}

/* --- The cut ----------------------------------------------------------------------------------------------------- */

struct alive {
    tern__onnx_trace *t;
    tern__onnx_value **list;
    int n, cap;
    tern_status st;
};

/* Of a value that is still needed: does it have to leave the graph that ends here? */
static void mark(struct alive *a, tern__onnx_value *x)
{
    if (!x || x->mark == a->t->part || a->st != TERN_OK)
        return;
    x->mark = a->t->part;
    for (int i = 0; i < x->n_items; i++)
        mark(a, x->items[i]);
    if (x->kind != TERN__ONNX_TENSOR || x->data || x->slot >= 0 || x->part != a->t->part || x->v < 0)
        return;
    if (a->n == a->cap && !TERN_GROW(a->list, a->n, a->cap)) {
        a->st = tern__fail(TERN_E_NOMEM, "onnx: %d values across a cut", a->n);
        return;
    }
    a->list[a->n++] = x;
}

struct marker {
    struct alive *a;
    const tern__onnx_scope *scope;
};

/* Names that subgraphs bind themselves may hide outer ones; taking these along too does no harm. */
static tern_status mark_names(void *user, const Onnx__NodeProto *p)
{
    struct marker *k = user;
    for (size_t i = 0; i < p->n_input; i++)
        mark(k->a, tern__onnx_lookup(k->scope, p->input[i]));
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__GraphProto *g = p->attribute[i]->g;
        for (size_t j = 0; g && j < g->n_output; j++)
            mark(k->a, tern__onnx_lookup(k->scope, g->output[j]->name));
        for (size_t s = 0; s < p->attribute[i]->n_graphs; s++)
            for (size_t j = 0; j < p->attribute[i]->graphs[s]->n_output; j++)
                mark(k->a, tern__onnx_lookup(k->scope, p->attribute[i]->graphs[s]->output[j]->name));
    }
    return TERN_OK;
}

static tern_status mark_all(struct alive *a, tern__onnx_value *const *extra, int n_extra)
{
    for (int i = 0; i < n_extra; i++)
        mark(a, extra[i]);
    for (const tern__onnx_scope *s = a->t->top; s; s = s->below) {
        struct marker k = {a, s};
        TERN_TRY(tern__onnx_each_node(s->nodes + s->at, s->n_nodes - s->at, 0, mark_names, &k));
        for (size_t i = 0; i < s->n_results; i++)
            mark(a, tern__onnx_lookup(s, s->results[i]));
        for (int i = 0; i < s->n_pins; i++)
            for (int j = 0; j < s->pin_counts[i]; j++)
                mark(a, s->pins[i][j]);
    }
    return a->st;
}

/* Hands over the graph with these values as its outputs, one output a graph value. */
static tern_status hand_over(tern__onnx_trace *t, const struct alive *a)
{
    tern_value *v = tern__alloc_array((size_t)a->n, sizeof *v);
    int *in = tern__alloc_array((size_t)t->n_inputs, sizeof *in), *out = tern__alloc_array((size_t)a->n, sizeof *out);
    int *which = tern__alloc_array((size_t)a->n, sizeof *which);
    tern_status st = v && in && out && which ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: a cut with %d values", a->n);
    int n = 0;
    for (int i = 0; st == TERN_OK && i < a->n; i++) {
        which[i] = 0;
        while (which[i] < n && v[which[i]] != a->list[i]->v)
            which[i]++;
        if (which[i] < n)
            continue;
        char name[24];
        snprintf(name, sizeof name, "out%d", n);
        tern_graph_output(t->g, name, v[n++] = a->list[i]->v);
    }
    if (st == TERN_OK)
        st = tern_graph_check(t->g);
    for (int i = 0; st == TERN_OK && i < t->n_inputs; i++)
        in[i] = t->inputs[i].slot;
    if (st == TERN_OK) {
        tern_graph *g = t->g;
        t->g = NULL;
        st = t->runner->run(t->runner->user, g, in, t->n_inputs, out, n);
    }
    for (int i = 0; st == TERN_OK && i < a->n; i++)
        a->list[i]->slot = out[which[i]];
    tern__free(v);
    tern__free(in);
    tern__free(out);
    tern__free(which);
    return st;
}

tern_status tern__onnx_cut(tern__onnx_trace *t, tern__onnx_value *const *extra, int n_extra)
{
    if (!t->runner)
        return tern__fail(TERN_E_DYNAMIC, "it depends on what only a run knows, so the model has no single graph");
    TERN_TRY(tern_graph_check(t->g));
    struct alive a = {.t = t};
    tern_status st = mark_all(&a, extra, n_extra);
    if (st == TERN_OK && a.n > 0)
        st = hand_over(t, &a);
    tern__free(a.list);
    if (st != TERN_OK)
        return st;
    tern_graph_destroy(t->g);
    t->g = NULL;
    t->n_inputs = 0;
    t->n_notes = 0;
    t->part++;
    return tern_graph_create(&t->g);
}
