/* ONNX's test data: tensors, sequences and optionals from files of their own, and tensors into such files. */
#include <tern/onnx.h>

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "onnx-data.pb-c.h"
#include "onnx/proto.h"
#include "onnx/wire.h"

/* What elem_type says a sequence or an optional holds. */
enum { HOLDS_NOTHING, HOLDS_TENSOR, HOLDS_SPARSE, HOLDS_SEQUENCE, HOLDS_MAP, HOLDS_OPTIONAL };

void tern_onnx_value_clear(tern_onnx_value *v)
{
    if (!v)
        return;
    for (int i = 0; i < v->n_items; i++)
        tern_onnx_value_clear(&v->items[i]);
    tern__free(v->items);
    tern_tensor_destroy(v->tensor);
    *v = (tern_onnx_value){.kind = TERN_ONNX_NOTHING};
}

/* A tensor of its own, since the file is closed afterwards. Releases the blob. */
static tern_status become_tensor(const tern__type *type, tern__blob *data, tern_onnx_value *out)
{
    tern_status st = tern_tensor_create(type->dtype, &type->shape, &out->tensor);
    if (st == TERN_OK) {
        out->kind = TERN_ONNX_TENSOR;
        if (data->size)
            memcpy(tern_tensor_data(out->tensor), data->data, data->size);
    }
    tern__blob_release(data);
    return st;
}

static tern_status from_tensor(tern__onnx_file *f, const Onnx__TensorProto *t, tern_onnx_value *out)
{
    tern__type type;
    tern__blob *data;
    TERN_TRY(tern__onnx_tensor(f, t, &type, &data));
    return become_tensor(&type, data, out);
}

static tern_status from_sparse(tern__onnx_file *f, const Onnx__SparseTensorProto *t, tern_onnx_value *out)
{
    tern__type type;
    tern__blob *data;
    TERN_TRY(tern__onnx_sparse_tensor(f, t, &type, &data));
    return become_tensor(&type, data, out);
}

static tern_status from_optional(tern__onnx_file *f, const Onnx__OptionalProto *p, tern_onnx_value *out);
static tern_status from_sequence(tern__onnx_file *f, const Onnx__SequenceProto *p, tern_onnx_value *out);

static tern_status from_item(tern__onnx_file *f, const Onnx__SequenceProto *p, size_t i, tern_onnx_value *out)
{
    switch (p->elem_type) {
    case HOLDS_TENSOR: return from_tensor(f, p->tensor_values[i], out);
    case HOLDS_SPARSE: return from_sparse(f, p->sparse_tensor_values[i], out);
    case HOLDS_SEQUENCE: return from_sequence(f, p->sequence_values[i], out);
    default: return from_optional(f, p->optional_values[i], out);
    }
}

/* The depth of the message was bounded when it was read. out is cleared by the caller when something fails. */
static tern_status from_sequence(tern__onnx_file *f, const Onnx__SequenceProto *p, tern_onnx_value *out)
{
    const size_t counts[] = {[HOLDS_TENSOR] = p->n_tensor_values, [HOLDS_SPARSE] = p->n_sparse_tensor_values, [HOLDS_SEQUENCE] = p->n_sequence_values,
                             [HOLDS_OPTIONAL] = p->n_optional_values};
    size_t all = 0;
    for (int i = 0; i < TERN_COUNT(counts); i++)
        all += counts[i];
    if (p->elem_type == HOLDS_MAP)
        return tern__fail(TERN_E_UNSUPPORTED, "a sequence of maps");
    if (p->elem_type < 0 || p->elem_type >= TERN_COUNT(counts) || counts[p->elem_type] != all || all > INT32_MAX)
        return tern__fail(TERN_E_CORRUPT, "a sequence of element kind %d with %zu items", (int)p->elem_type, all);
    out->kind = TERN_ONNX_SEQUENCE;
    out->items = tern__alloc_array(all, sizeof *out->items);
    if (!out->items)
        return tern__fail(TERN_E_NOMEM, "no memory for a sequence of %zu", all);
    for (; out->n_items < (int)all; out->n_items++) {
        tern_status st = from_item(f, p, (size_t)out->n_items, &out->items[out->n_items]);
        if (st != TERN_OK) {
            out->n_items++; /* what it got as far as is cleared too */
            return st;
        }
    }
    return TERN_OK;
}

static tern_status from_optional(tern__onnx_file *f, const Onnx__OptionalProto *p, tern_onnx_value *out)
{
    if (p->elem_type == HOLDS_MAP)
        return tern__fail(TERN_E_UNSUPPORTED, "an optional map");
    if (p->tensor_value)
        return from_tensor(f, p->tensor_value, out);
    if (p->sparse_tensor_value)
        return from_sparse(f, p->sparse_tensor_value, out);
    if (p->sequence_value)
        return from_sequence(f, p->sequence_value, out);
    return p->optional_value ? from_optional(f, p->optional_value, out) : TERN_OK;
}

static tern_status from_file(tern__onnx_file *f, tern_onnx_kind kind, bool optional, tern_onnx_value *out)
{
    const void *p = tern__onnx_file_message(f);
    if (optional)
        return from_optional(f, p, out);
    return kind == TERN_ONNX_SEQUENCE ? from_sequence(f, p, out) : from_tensor(f, p, out);
}

tern_status tern_onnx_value_load(const char *path, tern_onnx_kind kind, bool optional, tern_onnx_value *out)
{
    if (!path || !out || (!optional && kind != TERN_ONNX_TENSOR && kind != TERN_ONNX_SEQUENCE))
        return tern__fail(TERN_E_INVALID, "onnx: a path, a tensor or a sequence, and a place for it are needed");
    *out = (tern_onnx_value){.kind = TERN_ONNX_NOTHING};
    tern__onnx_file *f;
    TERN_TRY(tern__onnx_file_open_as(path, optional ? &onnx__optional_proto__descriptor
                                           : kind == TERN_ONNX_SEQUENCE ? &onnx__sequence_proto__descriptor : &onnx__tensor_proto__descriptor, &f));
    tern_status st = from_file(f, kind, optional, out);
    tern__onnx_file_close(f);
    if (st == TERN_OK)
        return TERN_OK;
    tern_onnx_value_clear(out);
    return tern__fail_in(st, "%s", path);
}

/* --- Writing ----------------------------------------------------------------------------------------------------- */

static void add_varint(tern__str *s, uint64_t v)
{
    for (; v > 0x7f; v >>= 7)
        tern__str_addn(s, &(char){(char)(v | 0x80)}, 1);
    tern__str_addn(s, &(char){(char)v}, 1);
}

static void add_field(tern__str *s, uint32_t id, int type, uint64_t v)
{
    add_varint(s, (uint64_t)id << 3 | (unsigned)type);
    add_varint(s, v);
}

/* Everything but the elements, which are raw_data at the end. */
static void add_head(tern__str *s, const tern_tensor *t, const char *name)
{
    const tern_shape *shape = tern_tensor_shape(t);
    for (int i = 0; i < shape->rank; i++)
        add_field(s, 1, TERN__WIRE_VARINT, (uint64_t)shape->dim[i]);
    add_field(s, 2, TERN__WIRE_VARINT, (uint64_t)tern__onnx_dtype_number(tern_tensor_dtype(t)));
    if (name) {
        add_field(s, 8, TERN__WIRE_BYTES, strlen(name));
        tern__str_add(s, name);
    }
    add_field(s, TERN__WIRE_RAW, TERN__WIRE_BYTES, tern_tensor_size_bytes(t));
}

tern_status tern_onnx_tensor_save(const tern_tensor *t, const char *name, const char *path)
{
    if (!t || !path || !tern_tensor_data(t))
        return tern__fail(TERN_E_INVALID, "onnx: a path and a tensor on the host are needed");
    tern__str s = {0};
    tern__file_writer w;
    add_head(&s, t, name);
    tern_status st = s.failed ? tern__fail(TERN_E_NOMEM, "%s: no memory to write it", path) : tern__file_writer_open(&w, path, 0666);
    if (st == TERN_OK) {
        tern__file_writer_put(&w, s.s, s.len);
        tern__file_writer_put(&w, tern_tensor_data(t), tern_tensor_size_bytes(t));
        st = tern__file_writer_close(&w);
    }
    tern__str_finish(&s);
    return st;
}
