/* The message of a model that is exported: memory, names, nodes with attributes, constants. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/str.h"
#include "formats/json.h"
#include "onnx/export.h"

tern_status tern__export_fail(tern__export *e, tern_status st, const char *fmt, ...)
{
    if (e->st != TERN_OK)
        return e->st;
    va_list ap;
    tern__str text = {0};
    va_start(ap, fmt);
    tern__str_addv(&text, fmt, ap);
    va_end(ap);
    e->st = tern__fail(st, "%s", tern__str_text(&text));
    tern__str_finish(&text);
    return e->st;
}

/* --- Memory --- */

/* Pieces are cut from blocks; a large piece is a block of its own. */
typedef struct tern__export_block {
    struct tern__export_block *next;
    size_t used, size;
    max_align_t bytes[];
} tern__export_block;
enum { BLOCK = 1 << 15 };

void *tern__export_keep(tern__export *e, size_t count, size_t size)
{
    size_t bytes = 0;
    if (e->st != TERN_OK)
        return NULL;
    if (!tern__mul_size(TERN_MAX(count, (size_t)1), TERN_MAX(size, (size_t)1), &bytes) || bytes > SIZE_MAX / 2) {
        tern__export_fail(e, TERN_E_NOMEM, "onnx: %zu times %zu bytes", count, size);
        return NULL;
    }
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    tern__export_block *b = e->blocks;
    if (!b || b->size - b->used < bytes) {
        const size_t room = TERN_MAX(bytes, (size_t)BLOCK);
        b = tern__alloc(sizeof *b + room);
        if (!b) {
            tern__export_fail(e, TERN_E_NOMEM, "onnx: %zu bytes for a model", room);
            return NULL;
        }
        b->size = room;
        b->next = e->blocks;
        e->blocks = b;
    }
    void *p = (uint8_t *)b->bytes + b->used;
    b->used += bytes;
    return p;
}

static char *keep_text(tern__export *e, const char *s)
{
    const size_t size = strlen(s) + 1;
    char *copy = tern__export_keep(e, size, 1);
    if (copy)
        memcpy(copy, s, size);
    return copy;
}

/* --- Names --- */

static int slot_of(const tern__export *e, const char *name)
{
    const uint64_t mask = (uint64_t)e->cap_taken - 1;
    uint64_t at = tern__hash(name, strlen(name)).lo & mask;
    while (e->taken[at] && strcmp(e->taken[at], name) != 0)
        at = (at + 1) & mask;
    return (int)at;
}

static bool make_room(tern__export *e)
{
    if (2 * (e->n_taken + 1) <= e->cap_taken)
        return true;
    tern__export bigger = {.cap_taken = e->cap_taken ? 2 * e->cap_taken : 256};
    bigger.taken = tern__alloc_array((size_t)bigger.cap_taken, sizeof *bigger.taken);
    if (!bigger.taken) {
        tern__export_fail(e, TERN_E_NOMEM, "onnx: a table of %d names", bigger.cap_taken);
        return false;
    }
    for (int i = 0; i < e->cap_taken; i++)
        if (e->taken[i])
            bigger.taken[slot_of(&bigger, e->taken[i])] = e->taken[i];
    tern__free(e->taken);
    e->taken = bigger.taken;
    e->cap_taken = bigger.cap_taken;
    return true;
}

static bool is_utf8(const char *s)
{
    int n = 0;
    for (; *s; s += n)
        if ((n = tern__utf8_length((const unsigned char *)s)) == 0)
            return false;
    return true;
}

const char *tern__export_take(tern__export *e, const char *wanted)
{
    tern__str s = {0};
    if (e->st != TERN_OK || !make_room(e))
        return NULL;
    if (!is_utf8(wanted)) {
        tern__export_fail(e, TERN_E_INVALID, "the name \"%.80s\" is not UTF-8", wanted);
        return NULL;
    }
    wanted = wanted[0] ? wanted : "value"; /* an empty name means in ONNX that there is nothing */
    tern__str_add(&s, wanted);
    while (!s.failed && e->taken[slot_of(e, tern__str_text(&s))]) {
        tern__str_clear(&s);
        tern__str_addf(&s, "%s_%d", wanted, e->serial++);
    }
    const char *kept = s.failed ? NULL : keep_text(e, tern__str_text(&s));
    if (s.failed)
        tern__export_fail(e, TERN_E_NOMEM, "onnx: no memory for a name");
    tern__str_finish(&s);
    if (kept) {
        e->taken[slot_of(e, kept)] = kept;
        e->n_taken++;
    }
    return kept;
}

const char *tern__export_fresh(tern__export *e, const char *base)
{
    char name[96];
    snprintf(name, sizeof name, "%.60s_%d", base, e->serial++);
    return tern__export_take(e, name);
}

/* --- Constants --- */

static Onnx__TensorProto *add_tensor(tern__export *e, const char *name, tern_dtype dtype, int rank, const int64_t *dims, const void *data, size_t size)
{
    Onnx__TensorProto *t = tern__export_keep(e, 1, sizeof *t);
    int64_t *extents = tern__export_keep(e, (size_t)rank, sizeof *extents);
    if (!t || !extents || !name)
        return NULL;
    onnx__tensor_proto__init(t);
    t->name = (char *)(uintptr_t)name;
    t->n_dims = (size_t)rank;
    t->dims = extents;
    memcpy(extents, dims, (size_t)rank * sizeof *dims);
    t->has_data_type = 1;
    t->data_type = tern__onnx_dtype_number(dtype);
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)data};
    if (!TERN_GROW(e->tensors, e->n_tensors, e->cap_tensors)) {
        tern__export_fail(e, TERN_E_NOMEM, "onnx: no memory for tensor %d", e->n_tensors);
        return NULL;
    }
    e->tensors[e->n_tensors++] = t;
    return t;
}

const char *tern__export_list(tern__export *e, const int64_t *v, int n)
{
    const char *name = tern__export_fresh(e, "list");
    int64_t *copy = tern__export_keep(e, (size_t)n, sizeof *copy);
    if (!name || !copy)
        return NULL;
    memcpy(copy, v, (size_t)n * sizeof *v);
    return add_tensor(e, name, TERN_I64, 1, &(int64_t){n}, copy, (size_t)n * sizeof *copy) ? name : NULL;
}

const char *tern__export_number(tern__export *e, tern_dtype t, double x)
{
    const char *name = tern__export_fresh(e, "number");
    tern__array a = {.type.dtype = t, .data = tern__export_keep(e, 1, sizeof(int64_t))};
    if (!name || !a.data)
        return NULL;
    tern__array_set(&a, 0, x);
    return add_tensor(e, name, t, 0, (const int64_t[]){0}, a.data, tern_dtype_size(t)) ? name : NULL;
}

/* A constant or variable becomes an initializer when it is first asked for; variables have their names from the start. */
const char *tern__export_name(tern__export *e, tern_value v)
{
    if (v == TERN_NONE || e->st != TERN_OK)
        return NULL;
    const tern__value *x = tern__value_at(e->g, v);
    if (!x->data || e->said[v])
        return e->names[v];
    if (!e->names[v])
        e->names[v] = tern__export_fresh(e, "const");
    if (e->names[v])
        add_tensor(e, e->names[v], x->type.dtype, x->type.shape.rank, x->type.shape.dim, x->data->data, x->data->size);
    e->said[v] = true;
    return e->names[v];
}

/* --- Nodes --- */

const char *tern__export_node(tern__export *e, const char *op, const char *const *in, int n_in, const char **out, int n_out)
{
    Onnx__NodeProto *p = tern__export_keep(e, 1, sizeof *p);
    char **names = tern__export_keep(e, (size_t)n_in + (size_t)n_out, sizeof *names);
    for (int i = 0; i < n_out; i++)
        if (!out[i])
            out[i] = tern__export_fresh(e, op);
    e->node = NULL;
    if (!p || !names || e->st != TERN_OK)
        return NULL;
    onnx__node_proto__init(p);
    while (n_in > 0 && !in[n_in - 1])
        n_in--;
    for (int i = 0; i < n_in; i++)
        names[i] = in[i] ? (char *)(uintptr_t)in[i] : "";
    for (int i = 0; i < n_out; i++)
        names[n_in + i] = (char *)(uintptr_t)out[i];
    p->op_type = (char *)(uintptr_t)op;
    p->name = names[n_in];
    p->input = names;
    p->n_input = (size_t)n_in;
    p->output = names + n_in;
    p->n_output = (size_t)n_out;
    if (!TERN_GROW(e->nodes, e->n_nodes, e->cap_nodes)) {
        tern__export_fail(e, TERN_E_NOMEM, "onnx: no memory for node %d", e->n_nodes);
        return NULL;
    }
    e->node = e->nodes[e->n_nodes++] = p;
    return out[0];
}

const char *tern__export_1(tern__export *e, const char *op, const char *a)
{
    const char *out[1] = {NULL};
    return tern__export_node(e, op, &a, 1, out, 1);
}

const char *tern__export_2(tern__export *e, const char *op, const char *a, const char *b)
{
    const char *out[1] = {NULL};
    return tern__export_node(e, op, (const char *const[]){a, b}, 2, out, 1);
}

const char *tern__export_cast(tern__export *e, const char *a, tern_dtype t)
{
    const char *y = tern__export_1(e, "Cast", a);
    tern__export_int(e, "to", tern__onnx_dtype_number(t));
    return y;
}

const char *tern__export_output(tern__export *e, const tern__node *n, int i)
{
    if (!e->names[n->out[i]])
        e->names[n->out[i]] = tern__export_fresh(e, n->op->name);
    return e->names[n->out[i]];
}

void tern__export_plain(tern__export *e, const tern__node *n, const char *op, int n_in, const char *const *more)
{
    int n_more = 0;
    while (more && more[n_more])
        n_more++;
    const char **in = tern__export_keep(e, (size_t)n_in + (size_t)n_more, sizeof *in), **out = tern__export_keep(e, (size_t)n->n_out, sizeof *out);
    if (!in || !out)
        return;
    for (int i = 0; i < n_in; i++)
        in[i] = tern__export_name(e, n->in[i]);
    for (int i = 0; i < n_more; i++)
        in[n_in + i] = more[i];
    for (int i = 0; i < n->n_out; i++)
        out[i] = tern__export_output(e, n, i);
    tern__export_node(e, op, in, n_in + n_more, out, n->n_out);
}

/* --- Attributes --- */

static Onnx__AttributeProto *add_attr(tern__export *e, const char *name, Onnx__AttributeProto__AttributeType type)
{
    enum { MOST = 12 };
    Onnx__NodeProto *n = e->node;
    Onnx__AttributeProto *a = tern__export_keep(e, 1, sizeof *a);
    if (!n || !a)
        return NULL;
    if (!n->attribute && !(n->attribute = tern__export_keep(e, MOST, sizeof(Onnx__AttributeProto *))))
        return NULL;
    if (n->n_attribute == MOST) {
        tern__export_fail(e, TERN_E_INVALID, "onnx: a %s with more than %d attributes", n->op_type, MOST);
        return NULL;
    }
    onnx__attribute_proto__init(a);
    a->name = (char *)(uintptr_t)name;
    a->has_type = 1;
    a->type = type;
    n->attribute[n->n_attribute++] = a;
    return a;
}

void tern__export_int(tern__export *e, const char *name, int64_t v)
{
    Onnx__AttributeProto *a = add_attr(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!a)
        return;
    a->has_i = 1;
    a->i = v;
}

void tern__export_float(tern__export *e, const char *name, double v)
{
    Onnx__AttributeProto *a = add_attr(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!a)
        return;
    a->has_f = 1;
    a->f = (float)v;
}

void tern__export_string(tern__export *e, const char *name, const char *v)
{
    Onnx__AttributeProto *a = add_attr(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    char *copy = a ? keep_text(e, v) : NULL;
    if (!copy)
        return;
    a->has_s = 1;
    a->s = (ProtobufCBinaryData){.len = strlen(copy), .data = (uint8_t *)copy};
}

void tern__export_ints(tern__export *e, const char *name, const int64_t *v, int n)
{
    Onnx__AttributeProto *a = add_attr(e, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    int64_t *copy = a ? tern__export_keep(e, (size_t)n, sizeof *copy) : NULL;
    if (!copy)
        return;
    memcpy(copy, v, (size_t)n * sizeof *v);
    a->ints = copy;
    a->n_ints = (size_t)n;
}

void tern__export_finish(tern__export *e)
{
    while (e->blocks) {
        tern__export_block *next = e->blocks->next;
        tern__free(e->blocks);
        e->blocks = next;
    }
    tern__free(e->nodes);
    tern__free(e->tensors);
    tern__free(e->taken);
    *e = (tern__export){0};
}
