/* The layout pass: values that convolutions and pools work on get blocked channels, pointwise neighbours follow, and reorder nodes
 * stand where a plain and a blocked world meet. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/compile.h"

struct layouts {
    const tern_graph *g;
    tern_device *device;
    tern__compile like;   /* how implementations are chosen */
    int *parent;   /* union-find over values of one shape that share a layout */
    int *block;    /* per class: wanted block, 0 none */
    bool no_memory; /* an implementation could not be asked */
    /* While rewriting: what was made of old values in the other layout. */
    tern_value *twin;
};

static int find(struct layouts *l, int v)
{
    while (l->parent[v] != v)
        v = l->parent[v] = l->parent[l->parent[v]];
    return v;
}

static bool made_here(const tern_graph *g, tern_value v)
{
    return v != TERN_NONE && tern__value_at(g, v)->kind == TERN__VALUE_NODE;
}

/* Pointwise operands of the result's own shape travel with it. */
static void join_pointwise(struct layouts *l, const tern__node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (made_here(l->g, n->in[i]) && tern__shape_equal(tern__shape_of(l->g, n->in[i]), tern__shape_of(l->g, n->out[0])))
            l->parent[find(l, n->in[i])] = find(l, n->out[0]);
}

static int block_of(const struct layouts *l, tern_value v);

/* How many operands have their blocks moved as they are: all of a concat's, the first of a pad or slice. 0: the op takes channels out of their blocks. */
static int moved_operands(const struct layouts *l, const tern__node *n)
{
    static const char *const ops[] = {"concat", "pad", "slice"};
    bool moves = false;
    for (int i = 0; i < TERN_COUNT(ops); i++)
        moves |= !strcmp(n->op->name, ops[i]);
    const int block = moves ? block_of(l, n->out[0]) : 0, data = moves && !strcmp(n->op->name, "concat") ? n->n_in : 1;
    for (int i = 0; i < data && block; i++) {
        const tern_shape *s = tern__shape_of(l->g, n->in[i]);
        if (block_of(l, n->in[i]) != block || (data == 1 && s->dim[1] != tern__shape_of(l->g, n->out[0])->dim[1]))
            return 0;
    }
    return block ? data : 0;
}

static void join_moved(struct layouts *l, const tern__node *n)
{
    const int data = moved_operands(l, n);
    for (int i = 0; i < data; i++)
        if (made_here(l->g, n->in[i]))
            l->parent[find(l, n->in[i])] = find(l, n->out[0]);
}

/* The implementation that will run the node: none for codegen's. */
static const tern__impl *impl_of(struct layouts *l, const tern__node *n)
{
    tern__choice choice = {.impl = NULL};
    if (!n->op->impls)
        return NULL;
    /* What no implementation takes is reported when the groups are formed. */
    tern_status st = tern__choose_impl(&l->like, n, &choice);
    l->no_memory |= st == TERN_E_NOMEM;
    return st == TERN_OK ? choice.impl : NULL;
}

int tern__layout_block(const tern_device_info *d, int64_t channels)
{
    const int width = d->native_vector_f32 >= 16 ? 16 : d->native_vector_f32 >= 8 ? 8 : 4, least = TERN_MAX(width / 2, 4);
    int block = width;
    while (block >= least && channels % block != 0)
        block /= 2;
    return block >= least ? block : 0;
}

/* Of a value that may be blocked. */
static int block_of(const struct layouts *l, tern_value v)
{
    const tern_shape *s = tern__shape_of(l->g, v);
    return s->rank >= 3 ? tern__layout_block(&l->device->info, s->dim[1]) : 0;
}

static unsigned wanted(struct layouts *l, const tern__node *n)
{
    const tern__impl *impl = impl_of(l, n);
    if (!impl || !impl->blocked)
        return 0;
    tern__layout_query q = {.graph = l->g, .family = l->device->family, .device = &l->device->info};
    return impl->blocked(&q, n);
}

static tern_value operand(const tern__node *n, int i)
{
    return i < n->n_in ? n->in[i] : n->out[i - n->n_in];
}

static void choose(struct layouts *l)
{
    for (int i = 0; i < l->g->n_values; i++)
        l->parent[i] = i;
    for (int i = 0; i < l->g->n_nodes; i++)
        if (l->g->nodes[i]->op->trait == TERN__POINTWISE)
            join_pointwise(l, l->g->nodes[i]);
        else
            join_moved(l, l->g->nodes[i]);
    for (int i = 0; i < l->g->n_nodes; i++) {
        const tern__node *n = l->g->nodes[i];
        unsigned mask = wanted(l, n);
        for (int k = 0; k < n->n_in + n->n_out; k++) {
            tern_value v = operand(n, k);
            if (!(mask >> k & 1) || !made_here(l->g, v))
                continue;
            if (block_of(l, v))
                l->block[find(l, v)] = block_of(l, v);
        }
    }
}

/* The new value in the wanted layout. */
static tern_value in_layout(tern__rewrite *rw, tern_value old, int block)
{
    struct layouts *l = rw->user;
    tern_value v = tern__rewrite_value(rw, old);
    if (v == TERN_NONE)
        return v;
    const tern__type *t = tern__type_of(rw->to, v);
    int have = t->layout.kind == TERN__BLOCKED ? t->layout.block : 0;
    if (have == block)
        return v;
    if (l->twin[old] != TERN_NONE)
        return l->twin[old];
    tern_value r = tern_graph_op1(rw->to, "reorder", v, TERN_ATTRS(TERN_INT("block", block)));
    if (r != TERN_NONE && block)
        rw->to->values[r].type.layout = (tern__layout){TERN__BLOCKED, block};
    l->twin[old] = r;
    return r;
}

static tern_status rewrite(tern__rewrite *rw, const tern__node *n)
{
    struct layouts *l = rw->user;
    bool anchor = n->op->impls != NULL;
    unsigned mask = anchor ? wanted(l, n) : 0;
    tern_value *in = tern__alloc_array((size_t)n->n_in + 1, sizeof *in), *out = tern__alloc_array((size_t)n->n_out + 1, sizeof *out);
    tern_status st = in && out ? TERN_OK : tern__fail(TERN_E_NOMEM, "layout: %d operands", n->n_in + n->n_out);
    if (st == TERN_OK && l->no_memory)
        st = TERN_E_NOMEM; /* its sentence is recorded */
    for (int i = 0; i < n->n_in && st == TERN_OK; i++) {
        if (n->in[i] == TERN_NONE)
            in[i] = TERN_NONE;
        else if (mask >> i & 1)
            in[i] = in_layout(rw, n->in[i], block_of(l, n->in[i]));
        else if (anchor)
            in[i] = in_layout(rw, n->in[i], 0);
        else /* codegen reads any layout */
            in[i] = tern__rewrite_value(rw, n->in[i]);
    }
    if (st == TERN_OK)
        tern__graph_add_like(rw->to, n, in, out);
    for (int i = 0; i < n->n_out && st == TERN_OK; i++) {
        rw->map[n->out[i]] = out[i];
        int b = l->block[find(l, n->out[i])];
        /* A concat's pieces are stored in any layout: into blocks once, where each reader would gather channels at strides of a plane. */
        const bool stored = moved_operands(l, n) > 0 || !strcmp(n->op->name, "concat");
        const bool follows = n->op->trait == TERN__POINTWISE || stored || mask >> (n->n_in + i) & 1;
        if (b && follows && out[i] != TERN_NONE)
            rw->to->values[out[i]].type.layout = (tern__layout){TERN__BLOCKED, b};
    }
    tern__free(in);
    tern__free(out);
    return st;
}

/* Results leave in plain layout. */
static tern_status plain_outputs(struct layouts *l, tern_graph *g)
{
    (void)l;
    for (int i = 0; i < g->n_outputs + g->n_assigns; i++) {
        tern_value *v = i < g->n_outputs ? &g->outputs[i].value : &g->assigns[i - g->n_outputs].value;
        if (tern__type_of(g, *v)->layout.kind == TERN__PLAIN)
            continue;
        *v = tern_graph_op1(g, "reorder", *v, NULL);
    }
    return tern_graph_check(g);
}

tern_status tern__layout_pass(const tern__compile *c, const tern_graph *in, tern_graph **out)
{
    size_t n = (size_t)in->n_values + 1;
    struct layouts l = {.g = in, .device = c->device};
    l.like = (tern__compile){.device = c->device, .g = (tern_graph *)in, .family = c->family, .force_impl = c->force_impl, .exact = c->exact, .tuned = c->tuned};
    l.like.only_user = tern__only_users(in);
    l.parent = tern__alloc_array(n, sizeof *l.parent);
    l.block = tern__alloc_array(n, sizeof *l.block);
    l.twin = tern__alloc_array(n, sizeof *l.twin);
    tern_status st = l.parent && l.block && l.twin && l.like.only_user ? TERN_OK : tern__fail(TERN_E_NOMEM, "layout: %d values", in->n_values);
    if (st == TERN_OK) {
        for (size_t i = 0; i < n; i++)
            l.twin[i] = TERN_NONE;
        choose(&l);
        st = l.no_memory ? TERN_E_NOMEM : tern__graph_rewrite(in, &l, rewrite, out);
    }
    if (st == TERN_OK) {
        st = plain_outputs(&l, *out);
        if (st != TERN_OK) {
            tern_graph_destroy(*out);
            *out = NULL;
        }
    }
    tern__free(l.parent);
    tern__free(l.block);
    tern__free(l.twin);
    tern__free(l.like.only_user);
    return st;
}
