/* Files for exported models: a message packed piece by piece, and weights in a file of their own where it would be too large. */
#include "onnx/export.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

/* Pieces are gathered here: most are a few bytes. */
typedef struct sink {
    ProtobufCBuffer base;
    tern__file_writer file;
    size_t used;
    uint8_t bytes[1 << 16];
} sink;

static void flush(sink *s)
{
    tern__file_writer_put(&s->file, s->bytes, s->used);
    s->used = 0;
}

static void append(ProtobufCBuffer *b, size_t size, const uint8_t *data)
{
    sink *s = (sink *)b;
    if (size > sizeof s->bytes - s->used)
        flush(s);
    if (size > sizeof s->bytes) {
        tern__file_writer_put(&s->file, data, size);
        return;
    }
    if (size)
        memcpy(s->bytes + s->used, data, size);
    s->used += size;
}

static tern_status write_model(const char *path, const Onnx__ModelProto *m)
{
    sink *s = tern__alloc(sizeof *s);
    if (!s)
        return tern__fail(TERN_E_NOMEM, "onnx: %zu bytes to write through", sizeof *s);
    s->base.append = append;
    tern_status st = tern__file_writer_open(&s->file, path, 0666);
    if (st == TERN_OK) {
        protobuf_c_message_pack_to_buffer(&m->base, &s->base);
        flush(s);
        st = tern__file_writer_close(&s->file);
    }
    tern__free(s);
    return st;
}

/* --- Weights beside the model --- */

/* Smaller tensors stay in the model; those in the file start where memory pages may. */
enum { SMALLEST_OUTSIDE = 1024, ALIGNMENT = 4096 };

/* What a tensor that lies outside says of itself. */
typedef struct place {
    Onnx__StringStringEntryProto entries[3], *list[3];
    char offset[24], length[24];
} place;

static void put_outside(Onnx__TensorProto *t, place *p, char *location, uint64_t offset)
{
    static const char *const keys[3] = {"location", "offset", "length"};
    snprintf(p->offset, sizeof p->offset, "%" PRIu64, offset);
    snprintf(p->length, sizeof p->length, "%zu", t->raw_data.len);
    char *const values[3] = {location, p->offset, p->length};
    for (int i = 0; i < 3; i++) {
        onnx__string_string_entry_proto__init(&p->entries[i]);
        p->entries[i].key = (char *)(uintptr_t)keys[i];
        p->entries[i].value = values[i];
        p->list[i] = &p->entries[i];
    }
    t->external_data = p->list;
    t->n_external_data = 3;
    t->has_data_location = 1;
    t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    t->has_raw_data = 0;
}

static tern_status write_weights(const char *path, Onnx__GraphProto *g, place *places, char *location)
{
    static const uint8_t zeroes[ALIGNMENT];
    tern__file_writer w;
    TERN_TRY(tern__file_writer_open(&w, path, 0666));
    uint64_t at = 0;
    for (size_t i = 0; i < g->n_initializer; i++) {
        Onnx__TensorProto *t = g->initializer[i];
        if (t->raw_data.len < SMALLEST_OUTSIDE)
            continue;
        const uint64_t gap = (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT;
        tern__file_writer_put(&w, zeroes, (size_t)gap);
        tern__file_writer_put(&w, t->raw_data.data, t->raw_data.len);
        put_outside(t, &places[i], location, at + gap);
        at += gap + t->raw_data.len;
    }
    return tern__file_writer_close(&w);
}

static tern_status write_parted(const char *path, Onnx__ModelProto *m)
{
    tern__str beside = {0};
    tern__str_addf(&beside, "%s.data", path);
    place *places = tern__alloc_array(m->graph->n_initializer, sizeof *places);
    tern_status st = places && !beside.failed ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: a list of %zu tensors", m->graph->n_initializer);
    if (st == TERN_OK) {
        char *slash = strrchr(beside.s, '/');
        st = write_weights(beside.s, m->graph, places, slash ? slash + 1 : beside.s);
    }
    if (st == TERN_OK && protobuf_c_message_get_packed_size(&m->base) > TERN__EXPORT_LIMIT)
        st = tern__fail(TERN_E_UNSUPPORTED, "the model without its weights is larger than a protobuf file can be");
    if (st == TERN_OK)
        st = write_model(path, m);
    if (st != TERN_OK && !beside.failed && places)
        (void)tern__file_remove(beside.s);
    tern__free(places);
    tern__str_finish(&beside);
    return st;
}

/* Counted by hand, since packed sizes wrap where it matters; each tensor has a name and dimensions besides. */
static bool fits(const Onnx__ModelProto *m, size_t limit)
{
    size_t total = 0;
    for (size_t i = 0; i < m->graph->n_initializer; i++)
        if (!tern__add_size(total, m->graph->initializer[i]->raw_data.len, &total) || total > limit)
            return false;
    return protobuf_c_message_get_packed_size(&m->base) <= limit;
}

tern_status tern__export_write(const char *path, Onnx__ModelProto *m, size_t limit)
{
    return fits(m, limit) ? write_model(path, m) : write_parted(path, m);
}
