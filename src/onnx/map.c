/* From an ONNX operator to its handler: tables first, then ops that carry the operator's name. */
#include <assert.h>
#include <string.h>
#include <threads.h>

#include "base/hash.h"
#include "onnx/import.h"
#include "onnx/model.h"

static const tern__onnx_map *const tables[] = {
    tern__onnx_map_math, tern__onnx_map_reduce, tern__onnx_map_shape, tern__onnx_map_index, tern__onnx_map_nn,      tern__onnx_map_image,
    tern__onnx_map_rnn,  tern__onnx_map_quant,  tern__onnx_map_loss,  tern__onnx_map_signal, tern__onnx_map_control,
};

/* --- Finding by name --------------------------------------------------------------------------------------------- */

/* What an operator may be: an entry of a table, or an op that carries its ONNX name. */
typedef struct meaning {
    const char *domain, *name;
    const tern__onnx_map *map;
    const tern__op *op;
} meaning;

enum { SLOTS = 2048 }; /* several times as many as there are meanings; those of one name lie in a row, others between them */
static meaning slots[SLOTS];
static once_flag slots_once = ONCE_FLAG_INIT;

static uint32_t slot_of(const char *name) { return tern__hash_text(name) % SLOTS; }

static void add_meaning(const meaning *x, int n)
{
    assert(n < SLOTS / 2);
    (void)n;
    uint32_t i = slot_of(x->name);
    while (slots[i].name)
        i = (i + 1) % SLOTS;
    slots[i] = *x;
}

static void fill_slots(void)
{
    int n_ops, n = 0;
    const tern__op *const *ops = tern__op_all(&n_ops);
    for (int i = 0; i < TERN_COUNT(tables); i++)
        for (const tern__onnx_map *m = tables[i]; m->name; m++)
            add_meaning(&(meaning){.domain = m->domain, .name = m->name, .map = m}, n++);
    for (int i = 0; i < n_ops; i++)
        if (ops[i]->onnx)
            add_meaning(&(meaning){.domain = "", .name = ops[i]->onnx, .op = ops[i]}, n++);
}

/* The op that carries this ONNX name and is meant from this opset on. */
static const tern__op *direct_op(const char *name, int opset)
{
    call_once(&slots_once, fill_slots);
    for (uint32_t i = slot_of(name); slots[i].name; i = (i + 1) % SLOTS)
        if (slots[i].op && strcmp(slots[i].name, name) == 0 && slots[i].op->onnx_since <= opset)
            return slots[i].op;
    return NULL;
}

static tern_status direct(tern__onnx_node *n)
{
    const tern__op *op = direct_op(n->proto->op_type, n->opset);
    return tern__onnx_direct(n, op->name);
}

tern__onnx_handler tern__onnx_find_handler(const char *domain, const char *name, int opset)
{
    const tern__onnx_map *best = NULL;
    bool known = false;
    if (!name)
        return NULL;
    call_once(&slots_once, fill_slots);
    for (uint32_t i = slot_of(name); slots[i].name; i = (i + 1) % SLOTS) {
        const tern__onnx_map *m = slots[i].map;
        if (!m || strcmp(m->name, name) != 0 || strcmp(m->domain, domain) != 0)
            continue;
        known = true;
        if (m->since <= opset && (!best || m->since > best->since))
            best = m;
    }
    if (best)
        return best->handle;
    return !known && !*domain && direct_op(name, opset) ? direct : NULL;
}

/* The node's attribute as the op declares it; false if the node does not give it. */
static bool attribute(tern__onnx_node *n, const tern__attr_decl *d, tern_attr *a)
{
    *a = (tern_attr){.name = d->name, .type = d->type};
    if (!tern__onnx_attr_given(n, d->name))
        return false;
    switch (d->type) {
    case TERN_ATTR_INT: a->i = tern__onnx_attr_int(n, d->name, 0); break;
    case TERN_ATTR_FLOAT: a->f = tern__onnx_attr_float(n, d->name, 0); break;
    case TERN_ATTR_STRING: a->s = tern__onnx_attr_string(n, d->name, ""); break;
    case TERN_ATTR_INTS: a->ints = tern__onnx_attr_ints(n, d->name, &a->n_ints); break;
    case TERN_ATTR_NONE: break;
    }
    return true;
}

tern_status tern__onnx_direct(tern__onnx_node *n, const char *name)
{
    const tern__op *op = tern__op_find(name);
    if (!op || op->n_attrs > 31)
        return tern__onnx_fail(n, TERN_E_NOT_FOUND, "no op is called \"%s\"", name);
    tern_attr attrs[32];
    int n_attrs = 0;
    for (int i = 0; i < op->n_attrs; i++)
        n_attrs += attribute(n, &op->attrs[i], &attrs[n_attrs]);
    attrs[n_attrs] = (tern_attr){0};
    tern_value *in = tern__onnx_scratch(n, (size_t)n->n_in + (size_t)n->n_out + 8, sizeof *in);
    if (!in)
        return TERN_E_NOMEM;
    for (int i = 0; i < n->n_in; i++)
        in[i] = tern__onnx_in(n, i);
    tern_value *out = in + n->n_in;
    const int n_out = op->n_out < 0 ? n->n_out : op->n_out;
    if (n_out > n->n_out + 8 || n->n_out > n_out)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "%d outputs, where %s has %d", n->n_out, op->name, n_out);
    tern_graph_add_n(n->g, name, in, n->n_in, attrs, out, n_out);
    for (int i = 0; i < n->n_out; i++)
        tern__onnx_set(n, i, out[i]);
    return tern_graph_check(n->g);
}
