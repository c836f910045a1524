/* Forming groups: which nodes become one kernel. Greedy along the graph's order, each merge tried against codegen itself,
 * kept when it is possible and leaves the groups without a cycle. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/compile.h"

enum {
    MAX_GROUP_NODES = 64,
    MAX_LEAVES = 12, /* buffers that one element may come from */
    MAX_WIDENING = 5, /* ops from a byte to the number it stands for */
    MAX_STEPS = 4,     /* ops between a concat and what reads it in windows */
    LEAST_COPY = 1024, /* elements of a concat worth a kernel of its own */
};

static bool is_light(const tern__node *n)
{
    return n->op->trait == TERN__MOVEMENT || n->op->trait == TERN__SOURCE;
}

static bool is_byte(tern_dtype t)
{
    return t == TERN_U8 || t == TERN_I8;
}

/* What a byte stands for: a cast of it, then cheap steps with constants. Whoever reads that computes it again, since a byte is less to read.
 * Readers of a byte that no node makes have nothing in common but the cast, whose group they join. */
static bool widens(const tern_graph *g, const tern__node *n, int steps)
{
    if (n->op->trait != TERN__POINTWISE || steps == 0 || n->op->pointwise->cost > 1 || is_byte(tern__dtype_of(g, n->out[0])))
        return false;
    tern_value from = TERN_NONE;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] != TERN_NONE && tern__value_at(g, n->in[i])->kind == TERN__VALUE_CONST && tern__elems(tern__shape_of(g, n->in[i])) == 1)
            continue;
        if (from != TERN_NONE)
            return false;
        from = n->in[i];
    }
    if (from == TERN_NONE || !tern__shape_equal(tern__shape_of(g, from), tern__shape_of(g, n->out[0])))
        return false;
    const tern__node *before = tern__producer(g, from);
    const bool cast = is_byte(tern__dtype_of(g, from)) && !strcmp(n->op->name, "cast");
    return (cast && (before || tern__value_at(g, from)->kind == TERN__VALUE_CONST)) || (before && widens(g, before, steps - 1));
}

static const tern__node *node_at(const tern__compile *c, int i)
{
    return c->g->nodes[i];
}

static int node_of(const tern__compile *c, tern_value v)
{
    const tern__value *x = tern__value_at(c->g, v);
    return x->kind == TERN__VALUE_NODE ? x->node : -1;
}

/* Same bytes in the same order, both plain: the result needs no memory of its own. */
static bool reshapes_in_place(const tern__compile *c, const tern__node *n)
{
    return n->op->reshapes && tern__type_of(c->g, n->in[0])->layout.kind == TERN__PLAIN && tern__type_of(c->g, n->out[0])->layout.kind == TERN__PLAIN;
}

tern_value tern__alias_of(const tern__compile *c, tern_value v)
{
    for (int n = node_of(c, v); n >= 0 && c->group_of[n] < 0 && reshapes_in_place(c, node_at(c, n)); n = node_of(c, v))
        v = node_at(c, n)->in[0];
    return v;
}

/* --- Uses --- */

static tern_status list_uses(tern__compile *c)
{
    const tern_graph *g = c->g;
    int total = 0, nv = g->n_values;
    for (int i = 0; i < g->n_nodes; i++)
        total += g->nodes[i]->n_in;
    c->first_use = tern__alloc_array((size_t)nv + 1, sizeof *c->first_use);
    c->next_use = tern__alloc_array((size_t)total + 1, sizeof *c->next_use);
    c->use_node = tern__alloc_array((size_t)total + 1, sizeof *c->use_node);
    c->is_output = tern__alloc_array((size_t)nv + 1, sizeof *c->is_output);
    c->direct = tern__alloc_array((size_t)nv + 1, sizeof *c->direct);
    c->group_of = tern__alloc_array((size_t)g->n_nodes + 1, sizeof *c->group_of);
    c->impl_of = tern__alloc_array((size_t)g->n_nodes + 1, sizeof *c->impl_of);
    c->choice_of = tern__alloc_array((size_t)g->n_nodes + 1, sizeof *c->choice_of);
    c->groups = tern__alloc_array((size_t)g->n_nodes + 1, sizeof *c->groups);
    if (!c->first_use || !c->next_use || !c->use_node || !c->is_output || !c->direct || !c->group_of || !c->impl_of || !c->choice_of || !c->groups)
        return tern__fail(TERN_E_NOMEM, "compile: tables for %d nodes", g->n_nodes);
    for (int v = 0; v < nv; v++)
        c->first_use[v] = -1;
    for (int i = g->n_nodes - 1; i >= 0; i--)
        for (int k = 0; k < g->nodes[i]->n_in; k++) {
            tern_value v = g->nodes[i]->in[k];
            if (v == TERN_NONE)
                continue;
            c->use_node[c->n_uses] = i;
            c->next_use[c->n_uses] = c->first_use[v];
            c->first_use[v] = c->n_uses++;
        }
    for (int i = 0; i < g->n_outputs; i++)
        c->is_output[g->outputs[i].value] = true;
    for (int i = 0; i < g->n_assigns; i++)
        c->is_output[g->assigns[i].value] = true;
    return TERN_OK;
}

/* --- What must lie in memory --- */

/* Trees of concats: an element looks at every leaf, and a kernel takes only so many buffers. Where the leaves are too many, the concat below
 * the root goes to memory. */
static tern_status settle_wide_nodes(tern__compile *c)
{
    const tern_graph *g = c->g;
    int *leaves = tern__alloc_array((size_t)g->n_values + 1, sizeof *leaves);
    if (!leaves)
        return tern__fail(TERN_E_NOMEM, "compile: %d values", g->n_values);
    for (int v = 0; v < g->n_values; v++)
        leaves[v] = 1;
    for (int i = 0; i < g->n_nodes; i++) {
        const tern__node *n = node_at(c, i);
        if (n->op->trait != TERN__MOVEMENT || c->impl_of[i])
            continue;
        int sum = 0;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != TERN_NONE && tern__op_reads(n->op, k))
                sum += leaves[n->in[k]];
        for (int k = 0; k < n->n_in && sum > MAX_LEAVES; k++) {
            if (n->in[k] == TERN_NONE || leaves[n->in[k]] == 1)
                continue;
            c->direct[n->in[k]] = true;
            sum -= leaves[n->in[k]] - 1;
            leaves[n->in[k]] = 1;
        }
        for (int k = 0; k < n->n_out; k++)
            leaves[n->out[k]] = TERN_MAX(sum, 1);
    }
    tern__free(leaves);
    return TERN_OK;
}

/* Is v, or what steps are computed from it one after the other, read by a template or folded? */
static bool is_read_in_windows(const tern__compile *c, tern_value v, int steps)
{
    bool is = false;
    for (int u = c->first_use[v]; u >= 0 && !is; u = c->next_use[u]) {
        const tern__node *n = node_at(c, c->use_node[u]);
        is = c->impl_of[c->use_node[u]] || n->op->trait == TERN__REDUCTION ||
             (steps > 0 && n->op->trait == TERN__POINTWISE && is_read_in_windows(c, n->out[0], steps - 1));
    }
    return is;
}

/* What is read element by element through a concat is read without vectors. So on CPUs one that is read more than once, folded or by a template goes to
 * memory, by whole vectors; small ones are not worth a kernel. */
static bool goes_to_memory(const tern__compile *c, int i)
{
    const tern__node *n = node_at(c, i);
    if (c->family != TERN__FAMILY_CPU || strcmp(n->op->name, "concat") || n->n_in < 2 || tern__elems(tern__shape_of(c->g, n->out[0])) < LEAST_COPY)
        return false;
    const int first = c->first_use[n->out[0]];
    return (first >= 0 && c->next_use[first] >= 0) || is_read_in_windows(c, n->out[0], MAX_STEPS);
}

/* Backwards, so that what a reshape needs is known before its operand is looked at. */
static void settle_light_nodes(tern__compile *c, bool fuse)
{
    const tern_graph *g = c->g;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const tern__node *n = node_at(c, i);
        c->group_of[i] = i;
        if (c->impl_of[i]) {
            for (int k = 0; k < n->n_in; k++)
                if (n->in[k] != TERN_NONE && !(c->impl_of[i]->prologue >> k & 1))
                    c->direct[n->in[k]] = true;
            continue;
        }
        if ((!is_light(n) && !widens(g, n, MAX_WIDENING)) || (fuse && goes_to_memory(c, i)))
            continue;
        bool needed = !fuse, leaves = false;
        for (int k = 0; k < n->n_out; k++) {
            needed |= c->direct[n->out[k]] || c->is_output[n->out[k]];
            leaves |= c->is_output[n->out[k]];
        }
        if (needed && !leaves && reshapes_in_place(c, n)) {
            c->direct[n->in[0]] = true;
            needed = false;
        }
        if (!needed)
            c->group_of[i] = -1;
    }
}

/* --- Groups --- */

static void group_destroy(tern__group *gr)
{
    if (!gr)
        return;
    for (int i = 0; i < gr->n_kerns; i++)
        tern__kern_destroy(gr->kerns[i]);
    tern__free(gr->kerns);
    tern__free(gr->lower);
    tern__free(gr->nodes);
    tern__free(gr->outs);
    tern__str_finish(&gr->ops);
    tern__str_finish(&gr->name);
    tern__str_finish(&gr->choice);
    tern__str_finish(&gr->problem);
    tern__free(gr);
}

static tern__group *group_create(int node, bool anchor)
{
    tern__group *gr = tern__alloc(sizeof *gr);
    if (!gr || !TERN_GROW(gr->nodes, 0, gr->cap_nodes)) {
        group_destroy(gr);
        tern__fail(TERN_E_NOMEM, "compile: a group");
        return NULL;
    }
    gr->nodes[gr->n_nodes++] = node;
    gr->anchor = anchor ? node : -1;
    return gr;
}

/* Is v, made in group gr, read by something that is not computed in gr? Readers that are inlined stand for their own readers. */
static bool used_outside(const tern__compile *c, tern_value v, int gr)
{
    if (c->is_output[v] || c->direct[v])
        return true;
    for (int u = c->first_use[v]; u >= 0; u = c->next_use[u]) {
        int n = c->use_node[u];
        if (c->group_of[n] == gr)
            continue;
        if (c->group_of[n] >= 0)
            return true;
        for (int k = 0; k < node_at(c, n)->n_out; k++)
            if (used_outside(c, node_at(c, n)->out[k], gr))
                return true;
    }
    return false;
}

tern_status tern__group_outputs(const tern__compile *c, tern__group *gr)
{
    int n = 0, index = c->group_of[gr->nodes[0]];
    for (int i = 0; i < gr->n_nodes; i++)
        n += node_at(c, gr->nodes[i])->n_out;
    tern_value *outs = tern__alloc_array((size_t)n + 1, sizeof *outs);
    if (!outs)
        return tern__fail(TERN_E_NOMEM, "compile: %d outputs", n);
    tern__free(gr->outs);
    gr->outs = outs;
    gr->n_outs = 0;
    for (int i = 0; i < gr->n_nodes; i++) {
        const tern__node *nd = node_at(c, gr->nodes[i]);
        for (int k = 0; k < nd->n_out; k++)
            if (used_outside(c, nd->out[k], index))
                outs[gr->n_outs++] = nd->out[k];
    }
    return TERN_OK;
}

/* Would groups a and b as one be on a cycle? True if some path leaves them, passes another group and comes back. Merging goes through the nodes in
 * order, so those behind the last of a and b are still on their own, and no path comes back from there. */
static bool makes_cycle(const tern__compile *c, int a, int b, char *seen, int *stack)
{
    const tern__group *ga = c->groups[a], *gb = c->groups[b];
    const int last = TERN_MAX(ga->nodes[ga->n_nodes - 1], gb->nodes[gb->n_nodes - 1]);
    memset(seen, 0, (size_t)last + 1);
    int top = 0;
    /* States: bit 0 reached without, bit 1 with a foreign group in between. Nodes are visited in either state once. */
    for (int which = 0; which < 2; which++) {
        const tern__group *gr = which ? gb : ga;
        for (int i = 0; i < gr->n_nodes; i++)
            stack[top++] = gr->nodes[i] * 2;
    }
    while (top) {
        int at = stack[--top], n = at / 2, foreign = at & 1;
        const tern__node *nd = node_at(c, n);
        for (int k = 0; k < nd->n_out; k++)
            for (int u = c->first_use[nd->out[k]]; u >= 0; u = c->next_use[u]) {
                int m = c->use_node[u], g = c->group_of[m];
                if (m > last)
                    continue;
                if (g == a || g == b) {
                    if (foreign)
                        return true;
                    continue;
                }
                int f = foreign | (g >= 0);
                if (seen[m] & (1 << f))
                    continue;
                seen[m] |= (char)(1 << f);
                stack[top++] = m * 2 + f;
                /* The other members of a foreign group run with it. */
                if (g >= 0)
                    for (int i = 0; i < c->groups[g]->n_nodes; i++) {
                        int o = c->groups[g]->nodes[i];
                        if (o <= last && !(seen[o] & 2)) {
                            seen[o] |= 2;
                            stack[top++] = o * 2 + 1;
                        }
                    }
            }
    }
    return false;
}

static int by_index(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static bool has_reduction(const tern__compile *c, const tern__group *gr)
{
    for (int i = 0; i < gr->n_nodes; i++)
        if (node_at(c, gr->nodes[i])->op->trait == TERN__REDUCTION)
            return true;
    return false;
}

static bool has_concat(const tern__compile *c, const tern__group *gr)
{
    for (int i = 0; i < gr->n_nodes && c->family == TERN__FAMILY_CPU; i++)
        if (!strcmp(node_at(c, gr->nodes[i])->op->name, "concat"))
            return true;
    return false;
}

/* Does the anchor read as a whole buffer what its own group makes? Its kernel would read memory that nothing has written yet. */
static bool reads_own_result(const tern__compile *c, const tern__group *gr)
{
    if (gr->anchor < 0 || !gr->impl)
        return false;
    const tern__node *n = node_at(c, gr->anchor);
    for (int k = 0; k < n->n_in; k++) {
        if (n->in[k] == TERN_NONE || gr->impl->prologue >> k & 1)
            continue;
        int p = node_of(c, tern__alias_of(c, n->in[k]));
        if (p >= 0 && c->group_of[p] == c->group_of[gr->anchor])
            return true;
    }
    return false;
}

/* The union of two groups under a's index, if codegen can make one kernel of it. *merged tells. */
static tern_status try_merge(tern__compile *c, int a, int b, char *seen, int *stack, bool *merged)
{
    *merged = false;
    tern__group *ga = c->groups[a], *gb = c->groups[b];
    if ((ga->impl && ga->impl->alone) || (gb->impl && gb->impl->alone))
        return TERN_OK;
    if ((ga->anchor >= 0 && gb->anchor >= 0) || ga->n_nodes + gb->n_nodes > MAX_GROUP_NODES)
        return TERN_OK;
    if ((ga->anchor >= 0 && has_reduction(c, gb)) || (gb->anchor >= 0 && has_reduction(c, ga)))
        return TERN_OK;
    if ((has_concat(c, ga) && (gb->anchor >= 0 || has_reduction(c, gb))) || (has_concat(c, gb) && (ga->anchor >= 0 || has_reduction(c, ga))))
        return TERN_OK; /* see goes_to_memory */
    if (makes_cycle(c, a, b, seen, stack))
        return TERN_OK;
    tern__group *u = group_create(ga->nodes[0], false);
    if (!u)
        return TERN_E_NOMEM;
    u->anchor = ga->anchor >= 0 ? ga->anchor : gb->anchor;
    u->impl = ga->impl ? ga->impl : gb->impl;
    u->n_nodes = 0;
    for (int i = 0; i < ga->n_nodes + gb->n_nodes; i++) {
        if (!TERN_GROW(u->nodes, u->n_nodes, u->cap_nodes)) {
            group_destroy(u);
            return tern__fail(TERN_E_NOMEM, "compile: a group of %d nodes", ga->n_nodes + gb->n_nodes);
        }
        u->nodes[u->n_nodes++] = i < ga->n_nodes ? ga->nodes[i] : gb->nodes[i - ga->n_nodes];
    }
    qsort(u->nodes, (size_t)u->n_nodes, sizeof *u->nodes, by_index);
    for (int i = 0; i < gb->n_nodes; i++)
        c->group_of[gb->nodes[i]] = a;
    c->groups[a] = u;
    tern_status st = tern__group_outputs(c, u);
    bool possible = false;
    if (st == TERN_OK && !reads_own_result(c, u))
        st = tern__lower_possible(c, u, &possible);
    if (possible) {
        c->groups[b] = NULL;
        group_destroy(ga);
        group_destroy(gb);
        *merged = true;
        return TERN_OK;
    }
    for (int i = 0; i < gb->n_nodes; i++)
        c->group_of[gb->nodes[i]] = b;
    c->groups[a] = ga;
    group_destroy(u);
    return st;
}

static int64_t operand_bytes(const tern__compile *c, tern_value v)
{
    return (int64_t)tern__type_bytes(tern__type_of(c->g, v));
}

/* The node that makes v, or the byte that v is computed from where it is read; -1: none. */
static int maker_of(const tern__compile *c, tern_value v)
{
    int p = node_of(c, v);
    while (p >= 0 && c->group_of[p] < 0 && node_at(c, p)->op->trait == TERN__POINTWISE) {
        const tern__node *n = node_at(c, p);
        int k = 0;
        while (tern__value_at(c->g, n->in[k])->kind == TERN__VALUE_CONST)
            k++;
        p = node_of(c, n->in[k]);
    }
    return p;
}

/* Tries to join node i with the makers of its operands, the biggest operand first: it has the most bytes to save. */
static tern_status merge_operands(tern__compile *c, int i, char *seen, int *stack)
{
    const tern__node *n = node_at(c, i);
    bool tried[64] = {0};
    int operands = TERN_MIN(n->n_in, 64);
    for (;;) {
        int best = -1;
        for (int k = 0; k < operands; k++) {
            if (tried[k] || n->in[k] == TERN_NONE || (c->impl_of[i] && !(c->impl_of[i]->prologue >> k & 1)))
                continue;
            if (best < 0 || operand_bytes(c, n->in[k]) > operand_bytes(c, n->in[best]))
                best = k;
        }
        if (best < 0)
            return TERN_OK;
        tried[best] = true;
        int p = maker_of(c, n->in[best]);
        if (p < 0 || c->group_of[p] < 0 || c->group_of[p] == c->group_of[i])
            continue;
        if (c->impl_of[i] && (c->groups[c->group_of[p]]->anchor >= 0 || used_outside(c, n->in[best], c->group_of[i])))
            continue; /* a prologue is recomputed at each load: only for what nobody else wants */
        bool merged;
        TERN_TRY(try_merge(c, c->group_of[p], c->group_of[i], seen, stack, &merged));
    }
}

/* --- Order --- */

/* Does v's computation inside the group come from var through inlined nodes? */
static bool comes_from(const tern__compile *c, tern_value v, tern_value var)
{
    if (v == var)
        return true;
    int n = node_of(c, v);
    if (n < 0 || c->group_of[n] >= 0)
        return false;
    for (int k = 0; k < node_at(c, n)->n_in; k++)
        if (node_at(c, n)->in[k] != TERN_NONE && comes_from(c, node_at(c, n)->in[k], var))
            return true;
    return false;
}

static bool reads_variable(const tern__compile *c, const tern__group *gr, tern_value var)
{
    for (int i = 0; i < gr->n_nodes; i++) {
        const tern__node *n = node_at(c, gr->nodes[i]);
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != TERN_NONE && comes_from(c, n->in[k], var))
                return true;
    }
    return false;
}

/* Group `after` runs after group `first`; a soft edge is only a wish. Several between the same two do no harm. */
typedef struct edge {
    int first, after;
    bool soft;
} edge;

typedef struct order {
    const tern__compile *c;
    int *slot;               /* per index into c->groups: its number among those that are left */
    tern__group **flat;      /* those that are left */
    int n;
    edge *edges;
    int n_edges, cap_edges;
    int *begin, *by_first;   /* edges of group i as first: by_first[begin[i]] .. by_first[begin[i + 1]] */
    int *hard, *all;         /* per group: edges that it waits for */
    char *done;
} order;

static tern_status add_edge(order *o, int first, int after, bool soft)
{
    if (!TERN_GROW(o->edges, o->n_edges, o->cap_edges))
        return tern__fail(TERN_E_NOMEM, "compile: order of %d groups", o->n);
    o->edges[o->n_edges++] = (edge){first, after, soft};
    return TERN_OK;
}

/* Edges from the groups that make v to group gr, through what is inlined on the way. */
static tern_status add_producers(order *o, tern_value v, int gr)
{
    const tern__compile *c = o->c;
    int p = node_of(c, v);
    if (p < 0 || c->group_of[p] == gr)
        return TERN_OK;
    if (c->group_of[p] >= 0)
        return add_edge(o, o->slot[c->group_of[p]], o->slot[gr], false);
    for (int k = 0; k < node_at(c, p)->n_in; k++)
        if (node_at(c, p)->in[k] != TERN_NONE)
            TERN_TRY(add_producers(o, node_at(c, p)->in[k], gr));
    return TERN_OK;
}

static bool waits_for(const order *o, int after, int first)
{
    for (int i = 0; i < o->n_edges; i++)
        if (o->edges[i].after == after && o->edges[i].first == first)
            return true;
    return false;
}

/* A variable's new value comes after all who read the old one, unless that would go round in a circle (then it is copied at the end). */
static tern_status add_wishes(order *o)
{
    const tern__compile *c = o->c;
    for (int a = 0; a < c->g->n_assigns; a++) {
        int p = node_of(c, c->g->assigns[a].value);
        if (p < 0 || c->group_of[p] < 0)
            continue;
        int writer = o->slot[c->group_of[p]];
        for (int i = 0; i < o->n; i++)
            if (i != writer && reads_variable(c, o->flat[i], c->g->assigns[a].variable) && !waits_for(o, i, writer))
                TERN_TRY(add_edge(o, i, writer, true));
    }
    return TERN_OK;
}

static tern_status list_edges(order *o, int total)
{
    const tern__compile *c = o->c;
    for (int i = 0; i < total; i++) {
        for (int k = 0; c->groups[i] && k < c->groups[i]->n_nodes; k++) {
            const tern__node *nd = node_at(c, c->groups[i]->nodes[k]);
            for (int j = 0; j < nd->n_in; j++)
                if (nd->in[j] != TERN_NONE)
                    TERN_TRY(add_producers(o, nd->in[j], i));
        }
    }
    TERN_TRY(add_wishes(o));
    o->by_first = tern__alloc_array((size_t)o->n_edges + 1, sizeof *o->by_first);
    if (!o->by_first)
        return tern__fail(TERN_E_NOMEM, "compile: order of %d groups", o->n);
    for (int i = 0; i < o->n_edges; i++) {
        const edge *e = &o->edges[i];
        o->begin[e->first + 1]++;
        o->all[e->after]++;
        o->hard[e->after] += !e->soft;
    }
    for (int i = 0; i < o->n; i++)
        o->begin[i + 1] += o->begin[i];
    for (int i = o->n_edges - 1; i >= 0; i--) /* ends where each list began; begin[first] counts down from the end of the list */
        o->by_first[--o->begin[o->edges[i].first + 1]] = i;
    memmove(o->begin, o->begin + 1, sizeof *o->begin * (size_t)o->n);
    o->begin[o->n] = o->n_edges;
    return TERN_OK;
}

/* Of the groups that wait for nothing the one that comes first in the graph; wishes are dropped where nothing else is left. -1: none. */
static int next_group(const order *o)
{
    int best = -1;
    for (int soft = 0; soft < 2 && best < 0; soft++)
        for (int i = 0; i < o->n; i++) {
            if (o->done[i] || (soft ? o->hard[i] : o->all[i]))
                continue;
            if (best < 0 || o->flat[i]->nodes[o->flat[i]->n_nodes - 1] < o->flat[best]->nodes[o->flat[best]->n_nodes - 1])
                best = i;
        }
    return best;
}

/* Fills groups, first to last. */
static tern_status sort_groups(order *o, tern__group **sorted)
{
    for (int at = 0; at < o->n; at++) {
        int best = next_group(o);
        if (best < 0)
            return tern__fail(TERN_E_INVALID, "compile: %d groups wait for each other", o->n - at);
        o->done[best] = 1;
        sorted[at] = o->flat[best];
        for (int k = o->begin[best]; k < o->begin[best + 1]; k++) {
            const edge *e = &o->edges[o->by_first[k]];
            o->all[e->after]--;
            o->hard[e->after] -= !e->soft;
        }
    }
    return TERN_OK;
}

static void order_finish(order *o)
{
    tern__free(o->slot);
    tern__free(o->flat);
    tern__free(o->edges);
    tern__free(o->begin);
    tern__free(o->by_first);
    tern__free(o->hard);
    tern__free(o->all);
    tern__free(o->done);
}

/* Sorts the groups so that each runs after what it needs, otherwise in the graph's order. */
static tern_status order_groups(tern__compile *c, int total)
{
    order o = {.c = c};
    const size_t room = (size_t)total + 2;
    o.slot = tern__alloc_array(room, sizeof *o.slot);
    o.flat = tern__alloc_array(room, sizeof *o.flat);
    o.begin = tern__alloc_array(room, sizeof *o.begin);
    o.hard = tern__alloc_array(room, sizeof *o.hard);
    o.all = tern__alloc_array(room, sizeof *o.all);
    o.done = tern__alloc_array(room, sizeof *o.done);
    tern__group **sorted = tern__alloc_array(room, sizeof *sorted);
    tern_status st = o.slot && o.flat && o.begin && o.hard && o.all && o.done && sorted ? TERN_OK
                                                                                        : tern__fail(TERN_E_NOMEM, "compile: order of %d groups", total);
    for (int i = 0; i < total && st == TERN_OK; i++)
        if (c->groups[i]) {
            o.slot[i] = o.n;
            o.flat[o.n++] = c->groups[i];
        }
    if (st == TERN_OK)
        st = list_edges(&o, total);
    if (st == TERN_OK)
        st = sort_groups(&o, sorted);
    for (int i = 0; i < total && st == TERN_OK; i++)
        c->groups[i] = i < o.n ? sorted[i] : NULL;
    for (int i = 0; i < o.n && st == TERN_OK; i++)
        for (int k = 0; k < sorted[i]->n_nodes; k++)
            c->group_of[sorted[i]->nodes[k]] = i;
    if (st == TERN_OK)
        c->n_groups = o.n;
    tern__free(sorted);
    order_finish(&o);
    return st;
}

/* --- The pass --- */

static tern_status merge_all(tern__compile *c)
{
    int n = c->g->n_nodes;
    char *seen = tern__alloc((size_t)n + 1);
    int *stack = tern__alloc_array((size_t)n * 4 + 8, sizeof *stack);
    tern_status st = seen && stack ? TERN_OK : tern__fail(TERN_E_NOMEM, "compile: fusion of %d nodes", n);
    for (int i = 0; i < n && st == TERN_OK; i++)
        if (c->group_of[i] >= 0 && (!is_light(node_at(c, i)) || node_at(c, i)->op->reshapes)) /* a template can store reshaped */
            st = merge_operands(c, i, seen, stack);
    tern__free(seen);
    tern__free(stack);
    return st;
}

tern_status tern__fuse(tern__compile *c, bool fuse)
{
    TERN_TRY(list_uses(c));
    c->only_user = tern__only_users(c->g);
    if (!c->only_user)
        return tern__fail(TERN_E_NOMEM, "compile: users of %d values", c->g->n_values);
    int n = c->g->n_nodes;
    c->n_groups = n; /* so that a failure frees whatever stands there */
    for (int i = 0; i < n; i++) {
        TERN_TRY(tern__choose_impl(c, node_at(c, i), &c->choice_of[i]));
        c->impl_of[i] = c->choice_of[i].impl;
    }
    TERN_TRY(settle_wide_nodes(c));
    settle_light_nodes(c, fuse);
    for (int i = 0; i < n; i++) {
        if (c->group_of[i] < 0)
            continue;
        c->groups[i] = group_create(i, c->impl_of[i] != NULL);
        if (!c->groups[i])
            return TERN_E_NOMEM;
        c->groups[i]->impl = c->impl_of[i];
    }
    if (fuse)
        TERN_TRY(merge_all(c));
    TERN_TRY(order_groups(c, n));
    for (int i = 0; i < c->n_groups; i++)
        TERN_TRY(tern__group_outputs(c, c->groups[i]));
    return TERN_OK;
}

void tern__compile_finish(tern__compile *c)
{
    for (int i = 0; i < c->n_groups && c->groups; i++)
        group_destroy(c->groups[i]);
    for (int i = 0; i < c->n_chains; i++)
        tern__chain_destroy(c->chains[i]);
    tern__free(c->chains);
    tern__free(c->groups);
    tern__free(c->group_of);
    tern__free(c->impl_of);
    tern__free(c->choice_of);
    tern__free(c->only_user);
    tern__free(c->direct);
    tern__free(c->first_use);
    tern__free(c->next_use);
    tern__free(c->use_node);
    tern__free(c->is_output);
    tern__free(c->slots);
    tern_graph_destroy(c->g);
    memset(c, 0, sizeof *c);
}
