/* The life of a graph: creation, cloning, destruction, its values and the bytes they hold. */
#include "graph/node.h"

#include "base/alloc.h"
#include "base/status.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* These are declared as plain members so that the header stays free of C11 atomics for its C++ readers. */
#define BLOB_REFS(b) ((_Atomic int *)&(b)->refs)
#define BLOB_MOVED(b) ((_Atomic(uint8_t *) *)&(b)->moved)

const tern__value tern__no_value = {.kind = TERN__VALUE_NODE, .node = -1};

tern__blob *tern__blob_create(const void *data, size_t size)
{
    tern__blob *b = tern__alloc(sizeof *b);
    if (!b)
        return NULL;
    b->fits = true;
    b->data = tern__alloc(size);
    if (!b->data) {
        tern__free(b);
        return NULL;
    }
    if (data && size)
        memcpy(b->data, data, size);
    b->size = size;
    atomic_store(BLOB_REFS(b), 1);
    return b;
}

tern__blob *tern__blob_borrow(const void *data, size_t size, size_t elem_size, const tern__blob_owner *lender, void *owner)
{
    tern__blob *b = tern__alloc(sizeof *b);
    if (!b)
        return NULL;
    b->data = (uint8_t *)(uintptr_t)data; /* never written: blobs are immutable once shared */
    b->size = size;
    b->fits = elem_size == 0 || (uintptr_t)data % elem_size == 0;
    b->lender = lender;
    b->owner = owner;
    atomic_store(BLOB_REFS(b), 1);
    return b;
}

tern__blob *tern__blob_retain(tern__blob *b)
{
    if (b)
        atomic_fetch_add(BLOB_REFS(b), 1);
    return b;
}

void tern__blob_release(tern__blob *b)
{
    if (!b || atomic_fetch_sub(BLOB_REFS(b), 1) > 1)
        return;
    if (b->lender)
        b->lender->drop(b->owner);
    else
        tern__free(b->data);
    tern__free(b->moved);
    tern__free(b);
}

/* Of two threads that copy at once, one keeps its copy. */
uint8_t *tern__blob_elems(tern__blob *b)
{
    if (b->fits)
        return b->data;
    uint8_t *old = atomic_load(BLOB_MOVED(b));
    if (old)
        return old;
    uint8_t *copy = tern__memdup(b->data, b->size);
    tern__blob_rest(b);
    if (!copy || atomic_compare_exchange_strong(BLOB_MOVED(b), &old, copy))
        return copy;
    tern__free(copy);
    return old;
}

void tern__blob_rest(const tern__blob *b)
{
    if (b->lender && b->lender->rest)
        b->lender->rest(b->owner, b->data, b->size);
}

tern__node *tern__node_create(const tern__op *op, int n_in, int n_out)
{
    tern__node *n = tern__alloc(sizeof *n);
    if (!n)
        return NULL;
    n->op = op;
    n->n_in = n_in;
    n->n_out = n_out;
    n->in = tern__alloc_array((size_t)n_in, sizeof *n->in);
    n->out = tern__alloc_array((size_t)n_out, sizeof *n->out);
    n->attrs = tern__alloc_array((size_t)op->n_attrs, sizeof *n->attrs);
    if (!n->in || !n->out || !n->attrs) {
        tern__node_destroy(n);
        return NULL;
    }
    for (int i = 0; i < n_in; i++)
        n->in[i] = TERN_NONE;
    for (int i = 0; i < n_out; i++)
        n->out[i] = TERN_NONE;
    for (int i = 0; i < op->n_attrs; i++) {
        const tern__attr_decl *d = &op->attrs[i];
        n->attrs[i].f = d->def;
        if (d->type == TERN_ATTR_INT) /* a number's default may be infinite, which no integer is */
            n->attrs[i].i = (int64_t)d->def;
        if (d->type == TERN_ATTR_STRING && d->def_s && !(n->attrs[i].s = tern__strdup(d->def_s))) {
            tern__node_destroy(n);
            return NULL;
        }
    }
    return n;
}

void tern__node_destroy(tern__node *n)
{
    if (!n)
        return;
    for (int i = 0; n->attrs && i < n->op->n_attrs; i++) {
        tern__free(n->attrs[i].s);
        tern__free(n->attrs[i].ints);
    }
    tern__free(n->attrs);
    tern__free(n->in);
    tern__free(n->out);
    tern__free(n);
}

static bool copy_attr(tern__attr_value *dst, const tern__attr_value *src)
{
    tern__free(dst->s);
    *dst = (tern__attr_value){.set = src->set, .i = src->i, .f = src->f};
    if (src->s && !(dst->s = tern__strdup(src->s)))
        return false;
    if (src->ints) {
        dst->ints = tern__memdup(src->ints, (size_t)src->n_ints * sizeof *src->ints);
        if (!dst->ints)
            return false;
        dst->n_ints = src->n_ints;
    }
    return true;
}

bool tern__node_copy_attrs(tern__node *dst, const tern__node *src)
{
    for (int i = 0; i < src->op->n_attrs; i++)
        if (!copy_attr(&dst->attrs[i], &src->attrs[i]))
            return false;
    return true;
}

tern_status tern_graph_create(tern_graph **out)
{
    if (!out)
        return tern__fail(TERN_E_INVALID, "graph: no place for the result");
    tern_graph *g = tern__alloc(sizeof *g);
    if (!g)
        return tern__fail(TERN_E_NOMEM, "graph: %zu bytes", sizeof *g);
    *out = g;
    return TERN_OK;
}

void tern_graph_destroy(tern_graph *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->n_values; i++) {
        tern__free(g->values[i].name);
        tern__blob_release(g->values[i].data);
    }
    for (int i = 0; i < g->n_nodes; i++)
        tern__node_destroy(g->nodes[i]);
    for (int i = 0; i < g->n_outputs; i++)
        tern__free(g->outputs[i].name);
    tern__free(g->values);
    tern__free(g->nodes);
    tern__free(g->inputs);
    tern__free(g->variables);
    tern__free(g->outputs);
    tern__free(g->assigns);
    tern__free(g);
}

static bool clone_values(tern_graph *to, const tern_graph *from)
{
    to->values = tern__alloc_array((size_t)from->n_values, sizeof *to->values);
    if (!to->values)
        return false;
    to->cap_values = from->n_values;
    for (int i = 0; i < from->n_values; i++) {
        tern__value *v = &to->values[i];
        *v = from->values[i];
        v->data = tern__blob_retain(v->data);
        v->name = NULL;
        to->n_values = i + 1;
        if (from->values[i].name && !(v->name = tern__strdup(from->values[i].name)))
            return false;
    }
    return true;
}

static bool clone_nodes(tern_graph *to, const tern_graph *from)
{
    to->nodes = tern__alloc_array((size_t)from->n_nodes, sizeof(tern__node *));
    if (!to->nodes)
        return false;
    to->cap_nodes = from->n_nodes;
    for (int i = 0; i < from->n_nodes; i++) {
        const tern__node *n = from->nodes[i];
        tern__node *c = tern__node_create(n->op, n->n_in, n->n_out);
        if (!c)
            return false;
        to->nodes[to->n_nodes++] = c;
        if (!tern__node_copy_attrs(c, n))
            return false;
        memcpy(c->in, n->in, (size_t)n->n_in * sizeof *n->in);
        memcpy(c->out, n->out, (size_t)n->n_out * sizeof *n->out);
    }
    return true;
}

static bool clone_lists(tern_graph *to, const tern_graph *from)
{
    to->inputs = tern__memdup(from->inputs, (size_t)from->n_inputs * sizeof *from->inputs);
    to->variables = tern__memdup(from->variables, (size_t)from->n_variables * sizeof *from->variables);
    to->assigns = tern__memdup(from->assigns, (size_t)from->n_assigns * sizeof *from->assigns);
    to->outputs = tern__alloc_array((size_t)from->n_outputs, sizeof *to->outputs);
    if (!to->inputs || !to->variables || !to->assigns || !to->outputs)
        return false;
    to->n_inputs = to->cap_inputs = from->n_inputs;
    to->n_variables = to->cap_variables = from->n_variables;
    to->n_assigns = to->cap_assigns = from->n_assigns;
    to->cap_outputs = from->n_outputs;
    for (int i = 0; i < from->n_outputs; i++) {
        to->outputs[i].value = from->outputs[i].value;
        to->outputs[i].name = tern__strdup(from->outputs[i].name);
        to->n_outputs = i + 1;
        if (!to->outputs[i].name)
            return false;
    }
    return true;
}

tern_status tern_graph_clone(const tern_graph *g, tern_graph **out)
{
    if (!g || !out)
        return tern__fail(TERN_E_INVALID, "clone: no graph or no place for the result");
    tern_graph *c = NULL;
    TERN_TRY(tern_graph_create(&c));
    if (!clone_values(c, g) || !clone_nodes(c, g) || !clone_lists(c, g)) {
        tern_graph_destroy(c);
        return tern__fail(TERN_E_NOMEM, "clone: a graph of %d values and %d nodes", g->n_values, g->n_nodes);
    }
    c->error = g->error;
    memcpy(c->error_text, g->error_text, sizeof c->error_text);
    *out = c;
    return TERN_OK;
}

tern_value tern__graph_fail(tern_graph *g, tern_status st, const char *fmt, ...)
{
    if (!g || g->error != TERN_OK)
        return TERN_NONE;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->error_text, sizeof g->error_text, fmt, ap);
    va_end(ap);
    g->error = st;
    tern__fail(st, "%s", g->error_text);
    return TERN_NONE;
}

tern_status tern_graph_check(const tern_graph *g)
{
    if (!g)
        return tern__fail(TERN_E_INVALID, "check: no graph");
    return g->error == TERN_OK ? TERN_OK : tern__fail(g->error, "%s", g->error_text);
}

static bool type_fits(const tern__type *t)
{
    int64_t elems;
    size_t bytes;
    if (t->shape.rank < 0 || t->shape.rank > TERN_MAX_RANK)
        return false;
    for (int i = 0; i < t->shape.rank; i++)
        if (t->shape.dim[i] < 0)
            return false;
    return tern__shape_elems(&t->shape, &elems) && tern__mul_size((size_t)elems, tern_dtype_size(t->dtype), &bytes) &&
           bytes <= INT64_MAX;
}

tern_value tern__graph_push(tern_graph *g, tern__value_kind kind, const tern__type *t)
{
    if (!type_fits(t)) {
        tern__str s = {0};
        tern__type_print(&s, t);
        tern__graph_fail(g, TERN_E_SHAPE, "a value of type %s: its rank, an extent or its size in bytes is out of range", tern__str_text(&s));
        tern__str_finish(&s);
        return TERN_NONE;
    }
    if (!TERN_GROW(g->values, g->n_values, g->cap_values))
        return tern__graph_fail(g, TERN_E_NOMEM, "graph: no memory for value %d", g->n_values);
    g->values[g->n_values] = (tern__value){.kind = kind, .type = *t, .node = -1};
    return g->n_values++;
}

const tern__node *tern__producer(const tern_graph *g, tern_value v)
{
    return v >= 0 && g->values[v].kind == TERN__VALUE_NODE ? g->nodes[g->values[v].node] : NULL;
}

int64_t tern__elems(const tern_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= s->dim[i];
    return n;
}

size_t tern__type_bytes(const tern__type *t)
{
    return (size_t)tern__elems(&t->shape) * tern_dtype_size(t->dtype);
}

bool tern__shape_equal(const tern_shape *a, const tern_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

const void *tern__const_data(const tern_graph *g, tern_value v)
{
    if (v < 0 || g->values[v].kind != TERN__VALUE_CONST)
        return NULL;
    return g->values[v].data->data;
}

bool tern__const_scalar(const tern_graph *g, tern_value v, double *x)
{
    const void *data = tern__const_data(g, v);
    if (!data)
        return false;
    size_t size = tern_dtype_size(tern__dtype_of(g, v));
    int64_t n = tern__elems(tern__shape_of(g, v));
    for (int64_t i = 1; i < n; i++)
        if (memcmp(data, (const uint8_t *)data + (size_t)i * size, size) != 0)
            return false;
    if (n == 0)
        return false;
    uint64_t first = 0; /* the elements may lie at any address */
    memcpy(&first, data, size);
    const tern__array a = {.type = {.dtype = tern__dtype_of(g, v)}, .data = &first};
    const int64_t exact = size == 8 && !tern__dtype_is(a.type.dtype, TERN__T_FLOAT) ? tern__array_get_int(&a, 0) : 0;
    if (exact > INT64_C(1) << 53 || exact < -(INT64_C(1) << 53))
        return false; /* a double may not hold it */
    *x = tern__array_get(&a, 0);
    return true;
}

int64_t tern__attr_int(const tern__node *n, int slot)
{
    return n->attrs[slot].i;
}

double tern__attr_float(const tern__node *n, int slot)
{
    return n->attrs[slot].f;
}

const char *tern__attr_string(const tern__node *n, int slot)
{
    return n->attrs[slot].s;
}

const int64_t *tern__attr_ints(const tern__node *n, int slot, int *count)
{
    *count = n->attrs[slot].n_ints;
    return n->attrs[slot].ints;
}
