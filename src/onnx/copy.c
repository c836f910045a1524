/* A model written again with its own nodes, byte for byte but for weights that lay in other files: those come inside. */
#include <string.h>

#include "base/alloc.h"
#include "onnx/export.h"
#include "onnx/file_impl.h"
#include "onnx/model.h"
#include "onnx/wire.h"

enum { EXTERNAL_DATA = 13, DATA_LOCATION = 14 };

/* What becomes of a message of the file; in the order in which they begin. */
typedef struct piece {
    size_t size;      /* as it will be */
    bool changed;     /* it is, or holds, a tensor of another file */
    tern__blob *data; /* that tensor's elements */
    int next;         /* piece after those inside it */
} piece;

typedef struct copy {
    const tern__onnx_file *file;
    piece *pieces;
    int n_pieces, cap_pieces, at;
    tern__file_writer out;
} copy;

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v > 0x7f; v >>= 7)
        n++;
    return n;
}

static void put_varint(tern__file_writer *w, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;
    for (; v > 0x7f; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    tern__file_writer_put(w, bytes, n);
}

static bool says_where(const tern__wire_field *f)
{
    return f->id == EXTERNAL_DATA || f->id == DATA_LOCATION || f->id == TERN__WIRE_RAW;
}

/* --- What there is to write ---------------------------------------------------------------------------------------- */

static bool is_external(const uint8_t *data, size_t size)
{
    bool outside = false;
    tern__wire w = {.at = data, .end = data + size};
    for (tern__wire_field f; tern__wire_next(&w, &f);)
        if (f.id == DATA_LOCATION)
            outside = f.number == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    return outside;
}

static tern_status measure_tensor(copy *c, const uint8_t *data, size_t size, piece *p)
{
    tern__onnx_file *alone = NULL;
    tern__type type;
    TERN_TRY(tern__onnx_file_parse(data, size, c->file->folder, &onnx__tensor_proto__descriptor, &alone));
    tern_status st = tern__onnx_tensor(alone, (const Onnx__TensorProto *)tern__onnx_file_message(alone), &type, &p->data);
    tern__onnx_file_close(alone);
    if (st != TERN_OK)
        return st;
    tern__wire w = {.at = data, .end = data + size};
    for (tern__wire_field f; tern__wire_next(&w, &f);)
        p->size += says_where(&f) ? 0 : (size_t)(w.at - f.start);
    p->size += 1 + varint_size(p->data->size) + p->data->size;
    p->changed = true;
    return TERN_OK;
}

static tern_status measure(copy *c, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t size)
{
    if (!TERN_GROW(c->pieces, c->n_pieces, c->cap_pieces))
        return tern__fail(TERN_E_NOMEM, "onnx: a list of %d messages", c->n_pieces);
    const int own = c->n_pieces++;
    piece p = {0};
    tern_status st = TERN_OK;
    if (d == &onnx__tensor_proto__descriptor && is_external(data, size)) {
        st = measure_tensor(c, data, size, &p);
    } else {
        tern__wire w = {.at = data, .end = data + size};
        for (tern__wire_field f; st == TERN_OK && tern__wire_next(&w, &f);) {
            const ProtobufCMessageDescriptor *in = tern__wire_message(d, f.id);
            const int inner = c->n_pieces;
            if (in)
                st = measure(c, in, f.data, f.size);
            const bool grown = in && st == TERN_OK && c->pieces[inner].changed;
            p.changed |= grown;
            p.size += grown ? varint_size((uint64_t)f.id << 3) + varint_size(c->pieces[inner].size) + c->pieces[inner].size : (size_t)(w.at - f.start);
        }
    }
    if (st == TERN_OK && p.changed && p.size > TERN__EXPORT_LIMIT)
        st = tern__fail(TERN_E_UNSUPPORTED, "the model with its weights inside takes more than the %zu bytes of a protobuf file", TERN__EXPORT_LIMIT);
    p.next = c->n_pieces;
    c->pieces[own] = p; /* the data is freed with the list, failed or not */
    return st;
}

/* --- Writing ------------------------------------------------------------------------------------------------------- */

static void put_message(copy *c, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t size)
{
    const piece *p = &c->pieces[c->at++];
    if (!p->changed) {
        tern__file_writer_put(&c->out, data, size);
        c->at = p->next;
        return;
    }
    tern__wire w = {.at = data, .end = data + size};
    for (tern__wire_field f; tern__wire_next(&w, &f);) {
        const ProtobufCMessageDescriptor *in = p->data ? NULL : tern__wire_message(d, f.id);
        if (in && c->pieces[c->at].changed) {
            put_varint(&c->out, (uint64_t)f.id << 3 | TERN__WIRE_BYTES);
            put_varint(&c->out, c->pieces[c->at].size);
            put_message(c, in, f.data, f.size);
        } else if (!p->data || !says_where(&f)) {
            tern__file_writer_put(&c->out, f.start, (size_t)(w.at - f.start));
            c->at = in ? c->pieces[c->at].next : c->at;
        }
    }
    if (p->data) {
        put_varint(&c->out, TERN__WIRE_RAW << 3 | TERN__WIRE_BYTES);
        put_varint(&c->out, p->data->size);
        tern__file_writer_put(&c->out, p->data->data, p->data->size);
    }
}

static tern_status write_copy(copy *c, const char *path)
{
    const tern__onnx_file *f = c->file;
    TERN_TRY(measure(c, &onnx__model_proto__descriptor, f->data, f->size));
    TERN_TRY(tern__file_writer_open(&c->out, path, 0666));
    put_message(c, &onnx__model_proto__descriptor, f->data, f->size);
    return tern__file_writer_close(&c->out);
}

tern_status tern_onnx_copy(const tern_onnx *m, const char *path)
{
    if (!m || !path)
        return tern__fail(TERN_E_INVALID, "tern_onnx_copy: no %s", m ? "path" : "model");
    copy c = {.file = m->file};
    tern_status st = write_copy(&c, path);
    for (int i = 0; i < c.n_pieces; i++)
        tern__blob_release(c.pieces[i].data);
    tern__free(c.pieces);
    return st == TERN_OK ? st : tern__fail_in(st, "%s", path);
}
