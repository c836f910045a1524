/* libFuzzer target: the bytes of ONNX files. They are read as a model and as test data, every tensor in them is decoded, external data included, and
 * nothing may come from outside the model's folder. Changes are made to the fields of messages, so that the lengths around them stay right. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_folder.h"
#include "fuzz_random.h"
#include "onnx_build.h"

#include "base/status.h"
#include "graph/graph.h"
#include "onnx-data.pb-c.h"
#include "onnx/proto.h"
#include "onnx/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_FIELDS = 256, MAX_DEPTH = 24 };

/* --- Reading ----------------------------------------------------------------------------------------------------- */

static bool leads_out(const char *path)
{
    return *path == '/' || strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0 || strstr(path, "/../");
}

/* Elements from a file are what lies within the folder. */
static void check_inside(const Onnx__TensorProto *t, const tern__blob *b)
{
    const char *location = NULL;
    for (size_t i = 0; i < t->n_external_data; i++)
        if (!location && strcmp(t->external_data[i]->key, "location") == 0)
            location = t->external_data[i]->value;
    if (!location || leads_out(location))
        abort();
    for (size_t i = 0; i < b->size; i++)
        if (b->data[i] != FUZZ_INSIDE)
            abort();
}

static void decode(tern__onnx_file *f, const Onnx__TensorProto *t)
{
    tern__type type;
    tern__blob *b = NULL;
    if (!t || tern__onnx_tensor(f, t, &type, &b) != TERN_OK)
        return;
    if (b->size != tern__type_bytes(&type))
        abort();
    if (type.dtype != TERN_BOOL && t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        check_inside(t, b);
    tern__blob_release(b);
}

static void decode_sparse(tern__onnx_file *f, const Onnx__SparseTensorProto *t)
{
    tern__type type;
    tern__blob *b = NULL;
    int64_t elems = 1;
    for (size_t i = 0; t && i < t->n_dims; i++)
        elems = t->dims[i] >= 0 && t->dims[i] <= 65536 && elems <= 65536 ? elems * t->dims[i] : INT64_MAX / 2;
    /* Dense ones of up to a gigabyte are allowed, and too slow for this. */
    if (!t || elems <= 65536 || elems == INT64_MAX / 2)
        if (t && tern__onnx_sparse_tensor(f, t, &type, &b) == TERN_OK)
            tern__blob_release(b);
}

static void decode_graph(tern__onnx_file *f, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        decode(f, g->initializer[i]);
    for (size_t i = 0; i < g->n_sparse_initializer; i++)
        decode_sparse(f, g->sparse_initializer[i]);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_attribute; k++) {
            const Onnx__AttributeProto *a = g->node[i]->attribute[k];
            decode(f, a->t);
            if (a->g)
                decode_graph(f, a->g);
        }
}

static void decode_model(tern__onnx_file *f)
{
    const Onnx__ModelProto *m = tern__onnx_file_model(f);
    decode_graph(f, m->graph);
    for (size_t i = 0; i < m->n_functions; i++) {
        size_t n = 0;
        const Onnx__AttributeProto *const *defaults = tern__onnx_function_defaults(f, m->functions[i], &n);
        for (size_t k = 0; k < n; k++)
            decode(f, defaults[k]->t);
    }
}

static bool read_as(const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *root)
{
    tern__onnx_file *f = NULL;
    if (tern__onnx_file_parse(data, size, fuzz_folder(), root, &f) != TERN_OK)
        return false;
    if (root == &onnx__model_proto__descriptor)
        decode_model(f);
    else if (root == &onnx__tensor_proto__descriptor)
        decode(f, (const void *)tern__onnx_file_message(f));
    tern__onnx_file_close(f);
    return true;
}

static const ProtobufCMessageDescriptor *const roots[] = {&onnx__model_proto__descriptor, &onnx__tensor_proto__descriptor, &onnx__sequence_proto__descriptor,
                                                          &onnx__optional_proto__descriptor};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        read_as(data, size, roots[i]);
    return 0;
}

/* --- Changing ---------------------------------------------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *inner(const ProtobufCMessageDescriptor *d, uint32_t id)
{
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, id);
    return f && f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
}

/* A field that the message may have, with something small in it. */
static void put_new(onnx_message *m, const ProtobufCMessageDescriptor *d)
{
    static const char *const texts[] = {"", "x", "location", "offset", "length", "a.bin", "sub/b.bin", "../out.bin", "soft.bin", "hard.bin", "dir/out.bin", "4096", "pipe",
                                        "18446744073709551615", "/etc/hostname", "Constant", "sub/../../out.bin", "none.bin"};
    const ProtobufCFieldDescriptor *f = &d->fields[fuzz_draw(d->n_fields)];
    switch (f->type) {
    case PROTOBUF_C_TYPE_FLOAT: onnx_put_float(m, f->id, (float)fuzz_number()); break;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES: onnx_put_text(m, f->id, texts[fuzz_draw(sizeof texts / sizeof texts[0])]); break;
    case PROTOBUF_C_TYPE_MESSAGE: onnx_put_bytes(m, f->id, "", 0); break;
    case PROTOBUF_C_TYPE_DOUBLE: onnx_number(m, (uint64_t)f->id << 3 | 1); onnx_raw(m, &(double){1.5}, 8); break;
    default: onnx_put_int(m, f->id, fuzz_number()); break;
    }
}

static void change(onnx_message *out, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t size, int depth);

static void change_field(onnx_message *out, const ProtobufCMessageDescriptor *d, const tern__wire_field *f, const uint8_t *end, int depth)
{
    const ProtobufCMessageDescriptor *in = inner(d, f->id);
    const size_t whole = (size_t)(end - f->start), kind = fuzz_draw(8);
    if (kind == 0)
        return;
    if (kind == 1) {
        onnx_raw(out, f->start, whole);
        onnx_raw(out, f->start, whole);
    } else if (f->type == TERN__WIRE_VARINT) {
        onnx_put_int(out, f->id, fuzz_draw(3) ? fuzz_number() : (int64_t)(f->number + (fuzz_draw(2) ? 1 : UINT64_MAX)));
    } else if (f->type == TERN__WIRE_BYTES && in && depth < MAX_DEPTH) {
        onnx_message m = {0};
        change(&m, in, f->data, f->size, depth + 1);
        onnx_put_message(out, f->id, &m);
    } else if (f->type == TERN__WIRE_BYTES) {
        const size_t room = f->size + 16;
        uint8_t *copy = calloc(1, room);
        memcpy(copy, f->data, f->size);
        onnx_put_bytes(out, f->id, copy, LLVMFuzzerMutate(copy, f->size, room));
        free(copy);
    } else {
        put_new(out, d);
    }
}

/* Most changes go on inside a message that is there. */
static void change(onnx_message *out, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t size, int depth)
{
    size_t n = 0;
    tern__wire w = {.at = data, .end = data + size};
    for (tern__wire_field f; n < MAX_FIELDS && tern__wire_next(&w, &f);)
        n++;
    const size_t at = fuzz_draw(n + 1 + n / 4);
    if (at >= n)
        put_new(out, d);
    w = (tern__wire){.at = data, .end = data + size};
    size_t i = 0;
    for (tern__wire_field f; tern__wire_next(&w, &f); i++)
        if (i == at)
            change_field(out, d, &f, w.at, depth);
        else
            onnx_raw(out, f.start, (size_t)(w.at - f.start));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    fuzz_seed(seed);
    if (fuzz_draw(5) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    size_t root = 0;
    while (root + 1 < sizeof roots / sizeof roots[0] && !read_as(data, size, roots[root]))
        root++;
    for (size_t n = 1 + fuzz_draw(3); n > 0; n--) {
        onnx_message m = {0};
        change(&m, roots[root], data, size, 0);
        if (m.len <= max_size) {
            size = m.len;
            if (size > 0)
                memcpy(data, m.data, size);
        }
        onnx_free(&m);
    }
    return size;
}
