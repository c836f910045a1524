/* Opening ONNX files: mapping, unpacking what is not a tensor's elements, and files of external data. */
#include "onnx/file_impl.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "onnx/wire.h"

enum {
    CHUNK_BYTES = 64 << 10,
    LARGE_BYTES = 1 << 10,    /* given and taken back one by one: what the unpacker uses on its way is of this size */
    SLACK_BYTES = 16 << 20,   /* allowed beyond what reducing the message has counted */
    MAX_EXTERNALS = 4096,
};

/* The count is declared as a plain int for the same reason as a blob's. */
#define MAPPING_REFS(m) ((_Atomic int *)&(m)->refs)

/* --- Mappings ---------------------------------------------------------------------------------------------------- */

static tern__onnx_mapping *mapping_create(void)
{
    tern__onnx_mapping *m = tern__alloc(sizeof *m);
    if (m)
        atomic_store(MAPPING_REFS(m), 1);
    return m;
}

tern__onnx_mapping *tern__onnx_mapping_retain(tern__onnx_mapping *m)
{
    atomic_fetch_add(MAPPING_REFS(m), 1);
    return m;
}

void tern__onnx_mapping_release(void *p)
{
    tern__onnx_mapping *m = p;
    if (!m || atomic_fetch_sub(MAPPING_REFS(m), 1) > 1)
        return;
    tern__file_map_close(&m->map);
    tern__free(m);
}

tern_status tern__onnx_file_external(tern__onnx_file *f, const char *location, tern__onnx_mapping **out)
{
    for (int i = 0; i < f->n_externals; i++)
        if (strcmp(f->externals[i].location, location) == 0) {
            *out = f->externals[i].mapping;
            return TERN_OK;
        }
    if (!f->folder)
        return tern__fail(TERN_E_UNSUPPORTED, "external data \"%.200s\" of a model that is in no folder", location);
    if (f->n_externals >= MAX_EXTERNALS)
        return tern__fail(TERN_E_UNSUPPORTED, "more than %d files of external data", MAX_EXTERNALS);
    if (!TERN_GROW(f->externals, f->n_externals, f->cap_externals))
        return tern__fail(TERN_E_NOMEM, "no memory for a list of files");
    tern__onnx_external x = {.location = tern__strdup(location), .mapping = mapping_create()};
    tern_status st = x.location && x.mapping ? tern__file_map_beneath(f->folder, location, &x.mapping->map)
                                             : tern__fail(TERN_E_NOMEM, "no memory for the name of a file");
    if (st != TERN_OK) {
        tern__free(x.location);
        tern__free(x.mapping);
        return tern__fail_in(st, "external data");
    }
    f->externals[f->n_externals++] = x;
    *out = x.mapping;
    return TERN_OK;
}

/* --- Memory of messages ------------------------------------------------------------------------------------------ */

typedef struct tern__onnx_chunk {
    struct tern__onnx_chunk *next;
    size_t used;
    _Alignas(8) uint8_t data[];
} tern__onnx_chunk;

typedef struct tern__onnx_large {
    struct tern__onnx_large *next, *prev;
} tern__onnx_large;

/* Stands before every piece. Pieces are aligned to eight bytes: messages hold nothing that needs more, and most pieces are short names. */
typedef struct head {
    _Alignas(8) size_t size;
} head;

static void *piece_of_chunk(tern__onnx_arena *a, size_t size)
{
    tern__onnx_chunk *c = a->chunks;
    if (!c || CHUNK_BYTES - c->used < size) {
        c = tern__alloc(sizeof *c + CHUNK_BYTES);
        if (!c)
            return NULL;
        c->next = a->chunks;
        a->chunks = c;
    }
    void *p = c->data + c->used;
    c->used += size;
    return p;
}

static void *large_piece(tern__onnx_arena *a, size_t size)
{
    tern__onnx_large *x = tern__alloc(sizeof *x + size);
    if (!x)
        return NULL;
    x->next = a->large;
    if (a->large)
        a->large->prev = x;
    a->large = x;
    return x + 1;
}

/* One byte more than asked for, so that a NUL follows; all of it zero. */
static void *arena_alloc(void *user, size_t size)
{
    tern__onnx_arena *a = user;
    if (size > SIZE_MAX / 2 || a->used + size > a->limit) {
        a->refused = true;
        return NULL;
    }
    size = (sizeof(head) + size + 1 + 7) / 8 * 8;
    head *h = size < LARGE_BYTES ? piece_of_chunk(a, size) : large_piece(a, size);
    if (!h) {
        a->refused = true;
        return NULL;
    }
    h->size = size;
    a->used += size;
    return h + 1;
}

static void arena_free(void *user, void *p)
{
    tern__onnx_arena *a = user;
    head *h = p ? (head *)p - 1 : NULL;
    if (!h || h->size < LARGE_BYTES)
        return;
    a->used -= h->size;
    tern__onnx_large *x = (tern__onnx_large *)(void *)h - 1;
    if (x->prev)
        x->prev->next = x->next;
    else
        a->large = x->next;
    if (x->next)
        x->next->prev = x->prev;
    tern__free(x);
}

static void arena_finish(tern__onnx_arena *a)
{
    for (tern__onnx_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        tern__free(c);
    }
    for (tern__onnx_large *x = a->large, *next; x; x = next) {
        next = x->next;
        tern__free(x);
    }
    *a = (tern__onnx_arena){0};
}

/* --- Messages ---------------------------------------------------------------------------------------------------- */

static tern_status unpack(tern__onnx_file *f, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t size, ProtobufCMessage **out)
{
    ProtobufCAllocator from = {.alloc = arena_alloc, .free = arena_free, .allocator_data = &f->arena};
    *out = protobuf_c_message_unpack(d, &from, size, data);
    if (*out)
        return TERN_OK;
    return f->arena.refused ? tern__fail(TERN_E_NOMEM, "no memory for its messages, which take more than %zu bytes", f->arena.used)
                            : tern__fail(TERN_E_CORRUPT, "its bytes are not what an ONNX file holds: a field has the wrong kind");
}

/* Fields that the installed description of the format does not have are kept apart by the unpacker. */
static tern_status unpack_defaults(tern__onnx_file *f, const Onnx__FunctionProto *fn, tern__onnx_defaults *d)
{
    enum { ATTRIBUTE_PROTO = 11 };
    const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(&onnx__function_proto__descriptor, ATTRIBUTE_PROTO);
    *d = (tern__onnx_defaults){.fn = fn};
    if (known) {
        memcpy(&d->n, (const uint8_t *)fn + known->quantifier_offset, sizeof d->n);
        memcpy(&d->attrs, (const uint8_t *)fn + known->offset, sizeof d->attrs);
        return TERN_OK;
    }
    if (fn->base.n_unknown_fields == 0)
        return TERN_OK;
    d->attrs = arena_alloc(&f->arena, fn->base.n_unknown_fields * sizeof *d->attrs);
    if (!d->attrs)
        return tern__fail(TERN_E_NOMEM, "no memory for a function's attributes");
    for (unsigned i = 0; i < fn->base.n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *u = &fn->base.unknown_fields[i];
        tern__wire w = {.at = u->data, .end = u->data + u->len};
        uint64_t size;
        ProtobufCMessage *m;
        if (u->tag != ATTRIBUTE_PROTO || !tern__wire_varint(&w, &size))
            continue;
        TERN_TRY(unpack(f, &onnx__attribute_proto__descriptor, w.at, (size_t)(w.end - w.at), &m));
        d->attrs[d->n++] = (const Onnx__AttributeProto *)m;
    }
    return TERN_OK;
}

static int by_function(const void *a, const void *b)
{
    const tern__onnx_defaults *x = a, *y = b;
    return ((uintptr_t)x->fn > (uintptr_t)y->fn) - ((uintptr_t)x->fn < (uintptr_t)y->fn);
}

static tern_status read_functions(tern__onnx_file *f)
{
    const Onnx__ModelProto *m = tern__onnx_file_model(f);
    if (!m->graph)
        return tern__fail(TERN_E_CORRUPT, "there is no graph in its %zu bytes", f->size);
    f->defaults = tern__alloc_array(m->n_functions, sizeof *f->defaults);
    if (!f->defaults)
        return tern__fail(TERN_E_NOMEM, "no memory for %zu functions", m->n_functions);
    for (f->n_defaults = 0; f->n_defaults < m->n_functions; f->n_defaults++)
        TERN_TRY(unpack_defaults(f, m->functions[f->n_defaults], &f->defaults[f->n_defaults]));
    qsort(f->defaults, f->n_defaults, sizeof *f->defaults, by_function);
    return TERN_OK;
}

const Onnx__AttributeProto *const *tern__onnx_function_defaults(const tern__onnx_file *f, const Onnx__FunctionProto *fn, size_t *n)
{
    const tern__onnx_defaults key = {.fn = fn}, *d = f->n_defaults ? bsearch(&key, f->defaults, f->n_defaults, sizeof key, by_function) : NULL;
    *n = d ? d->n : 0;
    return d ? d->attrs : NULL;
}

static tern_status read_messages(tern__onnx_file *f, const ProtobufCMessageDescriptor *root)
{
    uint8_t *reduced = NULL;
    size_t size = 0, memory = 0;
    TERN_TRY(tern__wire_reduce(f->data, f->size, root, &reduced, &size, &memory));
    f->arena.limit = 4 * memory + SLACK_BYTES; /* pieces are rounded up, and the unpacker takes notes */
    tern_status st = unpack(f, root, reduced, size, &f->root);
    tern__free(reduced);
    return st == TERN_OK && root == &onnx__model_proto__descriptor ? read_functions(f) : st;
}

/* --- Files ------------------------------------------------------------------------------------------------------- */

/* Where a path's file lies. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? tern__strdup(path) : tern__strdup(".");
    if (folder && slash)
        folder[slash == path ? 1 : slash - path] = 0;
    return folder;
}

static tern_status open_mapped(tern__onnx_file *f, const char *path, const ProtobufCMessageDescriptor *root)
{
    f->path = tern__strdup(path);
    f->folder = folder_of(path);
    f->mapping = mapping_create();
    if (!f->path || !f->folder || !f->mapping)
        return tern__fail(TERN_E_NOMEM, "no memory for the name of a file");
    TERN_TRY(tern__file_map_open(path, &f->mapping->map));
    f->data = f->mapping->map.data;
    f->size = f->mapping->map.size;
    tern_status st = read_messages(f, root);
    return st == TERN_OK ? st : tern__fail_in(st, "%s", path);
}

tern_status tern__onnx_file_open_as(const char *path, const ProtobufCMessageDescriptor *root, tern__onnx_file **out)
{
    tern__onnx_file *f = tern__alloc(sizeof *f);
    tern_status st = f ? open_mapped(f, path, root) : tern__fail(TERN_E_NOMEM, "no memory for a file");
    if (st != TERN_OK) {
        tern__onnx_file_close(f);
        return st;
    }
    *out = f;
    return TERN_OK;
}

tern_status tern__onnx_file_open(const char *path, tern__onnx_file **out) { return tern__onnx_file_open_as(path, &onnx__model_proto__descriptor, out); }

tern_status tern__onnx_file_parse(const uint8_t *data, size_t size, const char *folder, const ProtobufCMessageDescriptor *root, tern__onnx_file **out)
{
    tern__onnx_file *f = tern__alloc(sizeof *f);
    if (!f)
        return tern__fail(TERN_E_NOMEM, "no memory for a file");
    f->data = data;
    f->size = size;
    f->folder = folder ? tern__strdup(folder) : NULL;
    tern_status st = folder && !f->folder ? tern__fail(TERN_E_NOMEM, "no memory for the name of a folder") : read_messages(f, root);
    if (st != TERN_OK) {
        tern__onnx_file_close(f);
        return st;
    }
    *out = f;
    return TERN_OK;
}

void tern__onnx_file_close(tern__onnx_file *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->n_externals; i++) {
        tern__free(f->externals[i].location);
        tern__onnx_mapping_release(f->externals[i].mapping);
    }
    tern__free(f->externals);
    tern__free(f->defaults);
    arena_finish(&f->arena);
    tern__onnx_mapping_release(f->mapping);
    tern__free(f->path);
    tern__free(f->folder);
    tern__free(f);
}

const ProtobufCMessage *tern__onnx_file_message(const tern__onnx_file *f) { return f->root; }
const Onnx__ModelProto *tern__onnx_file_model(const tern__onnx_file *f) { return (const Onnx__ModelProto *)f->root; }
