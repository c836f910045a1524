/* cse: of nodes that compute the same from the same values one remains; equal constants become one. */
#include "passes/pass.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/status.h"
#include "ops/op.h"

#include <string.h>

/* What has been made in the new graph, by a hash of what it is. */
typedef struct entry {
    uint64_t key;
    tern_value value; /* a constant, or the first output of a node; in the new graph */
    int next;         /* the entry before it in the same chain, plus one */
} entry;

typedef struct seen {
    entry *items;
    int n, cap;
    int *chains;      /* by the key's low bits: the last entry plus one, 0: none */
    int n_chains;     /* a power of two */
} seen;

static int *chain_of(const seen *s, uint64_t key)
{
    return &s->chains[key & (uint64_t)(s->n_chains - 1)];
}

static bool remember(seen *s, uint64_t key, tern_value v)
{
    if (!TERN_GROW(s->items, s->n, s->cap))
        return false;
    int *chain = chain_of(s, key);
    s->items[s->n] = (entry){.key = key, .value = v, .next = *chain};
    *chain = ++s->n;
    return true;
}

static bool commutes(const tern__op *op)
{
    static const char *const names[] = {"add", "mul", "max", "min", "equal", "not_equal", "logical_and", "logical_or", "logical_xor",
                                        "bit_and", "bit_or", "bit_xor"};
    for (int i = 0; i < TERN_COUNT(names); i++)
        if (strcmp(op->name, names[i]) == 0)
            return true;
    return false;
}

/* Numbers compare by their bits: 0.0 and -0.0 are two attributes. */
static bool same_attrs(const tern__node *a, const tern__node *b)
{
    for (int i = 0; i < a->op->n_attrs; i++) {
        const tern__attr_value *x = &a->attrs[i], *y = &b->attrs[i];
        if (x->i != y->i || memcmp(&x->f, &y->f, sizeof x->f) != 0 || x->n_ints != y->n_ints || (x->s == NULL) != (y->s == NULL))
            return false;
        if ((x->s && strcmp(x->s, y->s) != 0) || (x->n_ints && memcmp(x->ints, y->ints, (size_t)x->n_ints * sizeof *x->ints) != 0))
            return false;
    }
    return true;
}

/* in: a's inputs in the new graph, to which b belongs. */
static bool same_node(const tern__node *a, const tern_value *in, const tern__node *b)
{
    if (a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out || !same_attrs(a, b))
        return false;
    if (memcmp(in, b->in, (size_t)a->n_in * sizeof *in) == 0)
        return true;
    return a->n_in == 2 && commutes(a->op) && in[0] == b->in[1] && in[1] == b->in[0];
}

static uint64_t node_key(const tern__node *n, const tern_value *in)
{
    tern__digest d = tern__hash(n->op->name, strlen(n->op->name));
    if (n->n_in == 2 && commutes(n->op))
        return tern__hash_more(d, (const tern_value[]){TERN_MIN(in[0], in[1]), TERN_MAX(in[0], in[1])}, 2 * sizeof *in).lo;
    return tern__hash_more(d, in, (size_t)n->n_in * sizeof *in).lo;
}

/* The new graph's constant for an old one. Only small ones are compared: equal weights are rare, and their bytes many. */
static tern_status map_constant(tern__rewrite *rw, tern_value old)
{
    enum { LARGEST = 4096 };
    const tern__value *x = tern__value_at(rw->from, old);
    seen *s = rw->user;
    if (x->data->size > LARGEST)
        return TERN_OK;
    uint64_t key = tern__hash(x->data->data, x->data->size).lo;
    for (int i = *chain_of(s, key) - 1; i >= 0; i = s->items[i].next - 1) {
        const tern__value *y = tern__value_at(rw->to, s->items[i].value);
        if (s->items[i].key != key || y->kind != TERN__VALUE_CONST || y->type.dtype != x->type.dtype || y->data->size != x->data->size ||
            !tern__shape_equal(&y->type.shape, &x->type.shape) || memcmp(y->data->data, x->data->data, x->data->size) != 0)
            continue;
        rw->map[old] = s->items[i].value;
        return TERN_OK;
    }
    tern_value v = tern__rewrite_value(rw, old);
    TERN_TRY(tern_graph_check(rw->to));
    return remember(s, key, v) ? TERN_OK : tern__fail(TERN_E_NOMEM, "cse: no memory");
}

static tern_status map_inputs(tern__rewrite *rw, const tern__node *n, tern_value *in)
{
    for (int i = 0; i < n->n_in; i++) {
        tern_value old = n->in[i];
        if (old != TERN_NONE && rw->map[old] == TERN_NONE && tern__value_at(rw->from, old)->kind == TERN__VALUE_CONST)
            TERN_TRY(map_constant(rw, old));
        in[i] = tern__rewrite_value(rw, old);
    }
    return tern_graph_check(rw->to);
}

static tern_status merge_or_copy(tern__rewrite *rw, const tern__node *n, tern_value *in)
{
    seen *s = rw->user;
    TERN_TRY(map_inputs(rw, n, in));
    const uint64_t key = node_key(n, in);
    for (int i = *chain_of(s, key) - 1; i >= 0; i = s->items[i].next - 1) {
        const tern__node *other = s->items[i].key == key ? tern__producer(rw->to, s->items[i].value) : NULL;
        if (!other || !same_node(n, in, other))
            continue;
        for (int k = 0; k < n->n_out; k++)
            rw->map[n->out[k]] = other->out[k];
        return TERN_OK;
    }
    TERN_TRY(tern__rewrite_copy(rw, n));
    return remember(s, key, rw->map[n->out[0]]) ? TERN_OK : tern__fail(TERN_E_NOMEM, "cse: no memory");
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    tern_value *in = tern__alloc_array((size_t)n->n_in, sizeof *in);
    tern_status st = in ? merge_or_copy(rw, n, in) : tern__fail(TERN_E_NOMEM, "cse: no memory for %s", n->op->name);
    tern__free(in);
    return st;
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    seen s = {.n_chains = 16};
    while (s.n_chains < in->n_nodes && s.n_chains < 1 << 20)
        s.n_chains *= 2;
    s.chains = tern__alloc_array((size_t)s.n_chains, sizeof *s.chains);
    tern_status st = s.chains ? tern__graph_rewrite(in, &s, visit, out) : tern__fail(TERN_E_NOMEM, "cse: %d chains", s.n_chains);
    tern__free(s.chains);
    tern__free(s.items);
    return st;
}

const tern__pass tern__pass_cse = {.name = "cse", .doc = "computes equal subexpressions once", .run = run};
