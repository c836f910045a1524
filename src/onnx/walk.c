/* Walking bodies: scopes of names, subgraphs, functions, and calling each node's handler. */
#include "onnx/retrain.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

enum {
    MAX_DEPTH = 64,          /* bodies inside bodies */
    FOLD_ELEMS = 16384,      /* larger results are left to the compiler's own folding */
    MAX_DENSE_BYTES = 256 << 20, /* of all sparse tensors of a trace */
};

/* --- Names ------------------------------------------------------------------------------------------------------- */

/* Where name is, or the free place where it would be. The table is never full. */
static tern__onnx_name *place(const tern__onnx_scope *s, const char *name)
{
    uint32_t i = tern__hash_text(name) & (uint32_t)(s->cap_names - 1);
    while (s->names[i].name && strcmp(s->names[i].name, name) != 0)
        i = (i + 1) & (uint32_t)(s->cap_names - 1);
    return &s->names[i];
}

static tern_status widen(tern__onnx_scope *s)
{
    tern__onnx_scope wide = {.cap_names = s->cap_names ? s->cap_names * 2 : 32};
    if (wide.cap_names <= 0 || !(wide.names = tern__alloc_array((size_t)wide.cap_names, sizeof *wide.names)))
        return tern__fail(TERN_E_NOMEM, "onnx: %d names", s->n_names);
    for (int i = 0; i < s->cap_names; i++)
        if (s->names[i].name)
            *place(&wide, s->names[i].name) = s->names[i];
    tern__free(s->names);
    s->names = wide.names;
    s->cap_names = wide.cap_names;
    return TERN_OK;
}

tern_status tern__onnx_bind(tern__onnx_scope *s, const char *name, tern__onnx_value *x)
{
    if (2 * (s->n_names + 1) > s->cap_names)
        TERN_TRY(widen(s));
    tern__onnx_name *at = place(s, name);
    s->n_names += at->name == NULL;
    *at = (tern__onnx_name){name, x};
    return TERN_OK;
}

tern__onnx_value *tern__onnx_lookup(const tern__onnx_scope *s, const char *name)
{
    if (!name || !*name)
        return NULL;
    for (; s; s = s->outer) {
        tern__onnx_name *at = s->cap_names ? place(s, name) : NULL;
        if (at && at->name)
            return at->value;
    }
    return NULL;
}

void tern__onnx_scope_finish(tern__onnx_scope *s)
{
    tern__free(s->names);
    tern__free(s->pins);
    tern__free(s->pin_counts);
    s->names = NULL;
    s->pins = NULL;
    s->pin_counts = NULL;
    s->n_names = s->cap_names = s->n_pins = 0;
}

tern_status tern__onnx_pin(tern__onnx_scope *s, tern__onnx_value **values, int n)
{
    tern__onnx_value ***pins = tern__realloc_array(s->pins, (size_t)s->n_pins + 1, sizeof *pins);
    if (pins)
        s->pins = pins;
    int *counts = tern__realloc_array(s->pin_counts, (size_t)s->n_pins + 1, sizeof *counts);
    if (counts)
        s->pin_counts = counts;
    if (!pins || !counts)
        return tern__fail(TERN_E_NOMEM, "onnx: values held by a loop");
    s->pins[s->n_pins] = values;
    s->pin_counts[s->n_pins++] = n;
    return TERN_OK;
}

void tern__onnx_unpin(tern__onnx_scope *s)
{
    s->n_pins--;
}

/* --- One node ---------------------------------------------------------------------------------------------------- */

/* "Conv \"conv1\"" in a buffer of 160. */
static const char *node_text(const Onnx__NodeProto *p, char text[160])
{
    const char *name = p->name && *p->name ? p->name : p->n_output && p->output[0] ? p->output[0] : "";
    snprintf(text, 160, "%.60s \"%.90s\"", p->op_type ? p->op_type : "?", name);
    return text;
}

static tern_status find_inputs(tern__onnx_node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const char *name = n->proto->input[i];
        n->in[i] = tern__onnx_lookup(n->scope, name);
        if (name && *name && !n->in[i])
            return tern__fail(TERN_E_CORRUPT, "its input \"%s\" is made by no node before it", name);
        if (n->in[i] && n->in[i]->kind == TERN__ONNX_NOTHING)
            n->in[i] = NULL; /* an empty optional is like an input left off */
    }
    return TERN_OK;
}

/* An attribute that no handler asked for is one whose meaning would be lost. */
static tern_status check_attributes(const tern__onnx_node *n)
{
    for (size_t i = 0; i < n->proto->n_attribute; i++)
        if (i >= 64 || !(n->looked_at & UINT64_C(1) << i))
            return tern__fail(TERN_E_UNSUPPORTED, "its attribute \"%s\" is not one that Tern knows for opset %d", n->proto->attribute[i]->name, n->opset);
    return TERN_OK;
}

/* Results of known inputs become known, while they are small: shape arithmetic then costs no graph at all. */
static tern_status fold(tern__onnx_node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && (n->in[i]->kind != TERN__ONNX_TENSOR || !n->in[i]->data || n->in[i]->variable))
            return TERN_OK;
    for (int i = 0; i < n->n_out; i++) {
        tern__onnx_value *x = n->out[i];
        if (!x || x->kind != TERN__ONNX_TENSOR || x->data || x->slot >= 0 || x->part != n->t->part || tern__elems(&x->type.shape) > FOLD_ELEMS)
            continue;
        TERN_TRY(tern__onnx_evaluate(n->t, x->v, &x->data));
        /* Whoever uses it gets a constant: what made it is not computed again for each that comes after. But passes look for dequantised values. */
        if (x->data && strcmp(n->proto->op_type, "DequantizeLinear"))
            x->v = TERN_NONE;
    }
    return TERN_OK;
}

static tern_status call_function(tern__onnx_node *n, const Onnx__FunctionProto *f);

static tern_status handle(tern__onnx_node *n)
{
    const char *domain = tern__onnx_domain(n->proto->domain);
    const Onnx__FunctionProto *f = tern__onnx_function(n->t->m, domain, n->proto->op_type);
    if (f)
        return call_function(n, f);
    tern__onnx_handler fn = tern__onnx_find_handler(domain, n->proto->op_type, n->opset);
    if (!fn)
        return tern__fail(TERN_E_UNSUPPORTED, "Tern has no operator %.100s%s%.100s for opset %d", domain, *domain ? "." : "", n->proto->op_type, n->opset);
    tern_status st;
    do {
        n->g = n->t->g;
        n->looked_at = 0;
        st = find_inputs(n);
        if (st == TERN_OK)
            st = fn(n);
    } while (st == TERN__ONNX_AGAIN);
    if (st == TERN_OK)
        st = tern_graph_check(n->t->g);
    if (st == TERN_OK)
        st = check_attributes(n);
    return st == TERN_OK ? fold(n) : st;
}

/* Loops that never end, end here. */
static tern_status count_walked(tern__onnx_trace *t)
{
    if (++t->walked <= TERN__ONNX_MAX_WALKED)
        return TERN_OK;
    return tern__fail(TERN_E_UNSUPPORTED, "more than %d nodes with all loops unrolled", TERN__ONNX_MAX_WALKED);
}

/* A name means one thing in a body. */
static tern_status bind_new(tern__onnx_scope *s, const char *name, tern__onnx_value *x)
{
    if (s->cap_names && place(s, name)->name)
        return tern__fail(TERN_E_CORRUPT, "its output \"%s\" has the name of another value", name);
    return tern__onnx_bind(s, name, x);
}

static tern_status walk_node(tern__onnx_trace *t, tern__onnx_scope *s, const Onnx__NodeProto *p)
{
    TERN_TRY(count_walked(t));
    if (p->n_input > INT16_MAX || p->n_output > INT16_MAX || !p->op_type)
        return tern__fail(TERN_E_CORRUPT, "a node with %zu inputs, %zu outputs%s", p->n_input, p->n_output, p->op_type ? "" : " and no operator");
    tern__onnx_node n = {.t = t, .proto = p, .scope = s, .opset = tern__onnx_opset(s->opsets, s->n_opsets, p->domain)};
    n.n_in = (int)p->n_input;
    n.n_out = (int)p->n_output;
    n.in = tern__alloc_array(p->n_input + p->n_output, sizeof(tern__onnx_value *));
    if (!n.in)
        return tern__fail(TERN_E_NOMEM, "onnx: a node");
    n.out = n.in + n.n_in;
    tern_status st = TERN_OK;
    for (int i = 0; i < n.n_out && st == TERN_OK; i++)
        if (p->output[i] && *p->output[i] && !(n.out[i] = tern__onnx_new(t)))
            st = tern__fail(TERN_E_NOMEM, "onnx: a value");
    if (st == TERN_OK)
        st = handle(&n);
    for (int i = 0; i < n.n_out && st == TERN_OK; i++)
        if (n.out[i])
            st = bind_new(s, p->output[i], n.out[i]);
    tern__free(n.in);
    char text[160];
    /* Bodies deep inside each other name the inner nodes only: the reason comes last, and must not be cut off. */
    return st == TERN_OK || strlen(tern_last_error()) > 300 ? st : tern__fail_in(st, "%s", node_text(p, text));
}

/* --- Bodies ------------------------------------------------------------------------------------------------------ */

tern_status tern__onnx_walk(tern__onnx_trace *t, tern__onnx_scope *s)
{
    if (t->depth >= MAX_DEPTH)
        return tern__fail(TERN_E_UNSUPPORTED, "more than %d bodies inside each other", MAX_DEPTH);
    TERN_TRY(count_walked(t));
    s->below = t->top;
    t->top = s;
    t->depth++;
    tern_status st = TERN_OK;
    for (s->at = 0; s->at < s->n_nodes && st == TERN_OK; s->at++)
        st = walk_node(t, s, s->nodes[s->at]);
    t->depth--;
    t->top = s->below;
    return st;
}

/* Which of two would be meant? */
static tern_status bind_once(tern__onnx_scope *s, const char *name, tern__onnx_value *x)
{
    if (s->cap_names && place(s, name)->name)
        return tern__fail(TERN_E_CORRUPT, "two initialisers have the name \"%.200s\"", name);
    return tern__onnx_bind(s, name, x);
}

static tern_status bind_weight(tern__onnx_trace *t, tern__onnx_scope *s, const Onnx__TensorProto *p)
{
    tern__type type;
    tern__blob *data;
    const tern__onnx_override *o = tern__onnx_override_of(t, p);
    if (o) {
        type = o->type;
        data = o->data;
    } else {
        TERN_TRY(tern__onnx_weight_of(t->m, p, &type, &data));
    }
    tern__onnx_value *x = tern__onnx_new(t);
    if (!x)
        return tern__fail(TERN_E_NOMEM, "onnx: a value");
    tern__onnx_become_data(x, &type, data);
    return bind_once(s, p->name ? p->name : "", x);
}

/* A few bytes of a file make a sparse tensor of any size, in each round of a loop again. Bounds the sum; what cannot be counted is refused when it is read. */
static tern_status count_dense(tern__onnx_trace *t, const Onnx__SparseTensorProto *p)
{
    tern_dtype dtype;
    tern_shape s = {.rank = (int)TERN_MIN(p->n_dims, (size_t)TERN_MAX_RANK)};
    int64_t elems;
    size_t bytes;
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = p->dims[i];
    if (!p->values || tern__onnx_dtype(p->values->data_type, &dtype) != TERN_OK || !tern__shape_elems(&s, &elems) ||
        !tern__mul_size((size_t)elems, tern_dtype_size(dtype), &bytes))
        return TERN_OK;
    t->dense_bytes += TERN_MIN(bytes, (size_t)MAX_DENSE_BYTES + 1);
    return t->dense_bytes <= MAX_DENSE_BYTES ? TERN_OK
                                             : tern__fail(TERN_E_UNSUPPORTED, "sparse tensors of more than %d bytes when dense", MAX_DENSE_BYTES);
}

/* Made dense, each time: they are rare, and small in files that have them. */
static tern_status bind_sparse(tern__onnx_trace *t, tern__onnx_scope *s, const Onnx__SparseTensorProto *p)
{
    tern__type type;
    tern__blob *data;
    TERN_TRY(count_dense(t, p));
    TERN_TRY(tern__onnx_sparse_tensor(t->m->file, p, &type, &data));
    tern__onnx_value *x = tern__onnx_new(t);
    if (x)
        tern__onnx_become_data(x, &type, data);
    tern__blob_release(data);
    return x ? bind_once(s, p->values->name ? p->values->name : "", x) : tern__fail(TERN_E_NOMEM, "onnx: a value");
}

static tern_status bind_weights(tern__onnx_trace *t, tern__onnx_scope *s, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_initializer; i++) {
        tern_status st = bind_weight(t, s, g->initializer[i]);
        if (st != TERN_OK)
            return tern__fail_in(st, "initializer \"%s\"", g->initializer[i]->name ? g->initializer[i]->name : "");
    }
    for (size_t i = 0; i < g->n_sparse_initializer; i++)
        TERN_TRY(bind_sparse(t, s, g->sparse_initializer[i]));
    return TERN_OK;
}

/* Names of a graph's outputs as a list. */
static char *const *result_names(tern__onnx_trace *t, const Onnx__GraphProto *g)
{
    char **names = tern__onnx_trace_scratch(t, g->n_output, sizeof *names);
    for (size_t i = 0; names && i < g->n_output; i++)
        names[i] = g->output[i]->name;
    return names;
}

static tern_status begin_graph(tern__onnx_trace *t, tern__onnx_scope *s, const Onnx__GraphProto *g)
{
    s->nodes = g->node;
    s->n_nodes = g->n_node;
    s->results = result_names(t, g);
    s->n_results = g->n_output;
    return s->results ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: a graph's outputs");
}

static tern_status collect(const tern__onnx_scope *s, tern__onnx_value **out, int n_out)
{
    for (int i = 0; i < n_out; i++) {
        out[i] = tern__onnx_lookup(s, s->results[i]);
        if (!out[i])
            return tern__fail(TERN_E_CORRUPT, "the output \"%s\" is made by no node", s->results[i] ? s->results[i] : "");
    }
    return TERN_OK;
}

tern_status tern__onnx_walk_graph(tern__onnx_trace *t, tern__onnx_scope *outer, const Onnx__GraphProto *g, tern__onnx_value *const *in, int n_in,
                                  tern__onnx_value **out, int n_out)
{
    if (g->n_input != (size_t)n_in || g->n_output != (size_t)n_out)
        return tern__fail(TERN_E_CORRUPT, "a body \"%s\" with %zu inputs and %zu outputs, where %d and %d are needed", g->name ? g->name : "", g->n_input,
                          g->n_output, n_in, n_out);
    tern__onnx_scope s = {.outer = outer, .call = outer->call, .opsets = outer->opsets, .n_opsets = outer->n_opsets};
    tern_status st = begin_graph(t, &s, g);
    if (st == TERN_OK)
        st = bind_weights(t, &s, g);
    for (int i = 0; i < n_in && st == TERN_OK; i++)
        st = tern__onnx_bind(&s, g->input[i]->name ? g->input[i]->name : "", in[i]);
    if (st == TERN_OK)
        st = tern__onnx_walk(t, &s);
    if (st == TERN_OK)
        st = collect(&s, out, n_out);
    tern__onnx_scope_finish(&s);
    return st;
}

static tern_status call_function(tern__onnx_node *n, const Onnx__FunctionProto *f)
{
    if ((size_t)n->n_in > f->n_input || (size_t)n->n_out > f->n_output)
        return tern__fail(TERN_E_CORRUPT, "%d inputs and %d outputs for a function of %zu and %zu", n->n_in, n->n_out, f->n_input, f->n_output);
    tern__onnx_scope s = {.call = n, .opsets = f->opset_import, .n_opsets = f->n_opset_import, .nodes = f->node, .n_nodes = f->n_node,
                          .results = f->output, .n_results = f->n_output};
    tern_status st = find_inputs(n);
    for (size_t i = 0; i < f->n_input && st == TERN_OK; i++) {
        tern__onnx_value *x = i < (size_t)n->n_in && n->in[i] ? n->in[i] : tern__onnx_new(n->t);
        st = x ? tern__onnx_bind(&s, f->input[i], x) : tern__fail(TERN_E_NOMEM, "onnx: a value");
    }
    if (st == TERN_OK)
        st = tern__onnx_walk(n->t, &s);
    for (int i = 0; i < n->n_out && st == TERN_OK; i++) {
        tern__onnx_value *x = tern__onnx_lookup(&s, f->output[i]);
        if (!x)
            st = tern__fail(TERN_E_CORRUPT, "the function makes no \"%s\"", f->output[i]);
        else if (n->out[i])
            tern__onnx_share(n->out[i], x);
    }
    tern__onnx_scope_finish(&s);
    return st;
}

tern_status tern__onnx_walk_model(tern__onnx_trace *t, tern__onnx_value *const *in, tern__onnx_value **out)
{
    const Onnx__GraphProto *g = t->m->proto->graph;
    tern__onnx_scope s = {.opsets = t->m->proto->opset_import, .n_opsets = t->m->proto->n_opset_import};
    tern_status st = begin_graph(t, &s, g);
    if (st == TERN_OK)
        st = bind_weights(t, &s, g);
    if (st == TERN_OK)
        tern__onnx_mark_variables(t, &s, g);
    for (int i = 0; i < t->m->n_inputs && st == TERN_OK; i++)
        st = tern__onnx_bind(&s, t->m->inputs[i]->name, in[i]);
    if (st == TERN_OK)
        st = tern__onnx_walk(t, &s);
    if (st == TERN_OK)
        st = collect(&s, out, (int)g->n_output);
    tern__onnx_scope_finish(&s);
    return st;
}
