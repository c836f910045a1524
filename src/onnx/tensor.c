/* The elements of ONNX tensors, whatever way they are written, as Tern's bytes. */
#include "onnx/file_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "onnx/wire.h"

enum {
    BORROW_BYTES = 4096,    /* smaller ones are copied: that is cheaper than to keep count */
    STEP_BYTES = 4 << 20,   /* what is copied out of a mapping leaves memory in such steps */
};
static const int64_t MAX_DENSE_BYTES = INT64_C(1) << 30; /* of a sparse tensor, whose file says nothing about its size */

/* --- Element types ----------------------------------------------------------------------------------------------- */

/* By ONNX's number. field: where elements are written that are not raw; lowest, highest: of int32_data and uint64_data. */
static const struct {
    const char *name;
    int dtype; /* -1: Tern has no such type */
    uint32_t field;
    int64_t lowest, highest;
} types[] = {
    {"undefined", -1, 0, 0, 0},
    {"float", TERN_F32, TERN__WIRE_FLOATS, 0, 0},
    {"uint8", TERN_U8, TERN__WIRE_INT32S, 0, UINT8_MAX},
    {"int8", TERN_I8, TERN__WIRE_INT32S, INT8_MIN, INT8_MAX},
    {"uint16", TERN_U16, TERN__WIRE_INT32S, 0, UINT16_MAX},
    {"int16", TERN_I16, TERN__WIRE_INT32S, INT16_MIN, INT16_MAX},
    {"int32", TERN_I32, TERN__WIRE_INT32S, INT32_MIN, INT32_MAX},
    {"int64", TERN_I64, TERN__WIRE_INT64S, INT64_MIN, INT64_MAX},
    {"string", -1, TERN__WIRE_STRINGS, 0, 0},
    {"bool", TERN_BOOL, TERN__WIRE_INT32S, 0, 1},
    {"float16", TERN_F16, TERN__WIRE_INT32S, INT16_MIN, UINT16_MAX},
    {"double", TERN_F64, TERN__WIRE_DOUBLES, 0, 0},
    {"uint32", TERN_U32, TERN__WIRE_UINT64S, 0, UINT32_MAX},
    {"uint64", TERN_U64, TERN__WIRE_UINT64S, INT64_MIN, INT64_MAX},
    {"complex64", -1, TERN__WIRE_FLOATS, 0, 0},
    {"complex128", -1, TERN__WIRE_DOUBLES, 0, 0},
    {"bfloat16", TERN_BF16, TERN__WIRE_INT32S, INT16_MIN, UINT16_MAX},
    {"float8e4m3fn", -1, TERN__WIRE_INT32S, 0, 0},
    {"float8e4m3fnuz", -1, TERN__WIRE_INT32S, 0, 0},
    {"float8e5m2", -1, TERN__WIRE_INT32S, 0, 0},
    {"float8e5m2fnuz", -1, TERN__WIRE_INT32S, 0, 0},
    {"uint4", -1, TERN__WIRE_INT32S, 0, 0},
    {"int4", -1, TERN__WIRE_INT32S, 0, 0},
    {"float4e2m1", -1, TERN__WIRE_INT32S, 0, 0},
    {"float8e8m0", -1, TERN__WIRE_INT32S, 0, 0},
    {"uint2", -1, TERN__WIRE_INT32S, 0, 0},
    {"int2", -1, TERN__WIRE_INT32S, 0, 0},
};

tern_status tern__onnx_dtype(int32_t onnx, tern_dtype *out)
{
    if (onnx < 0 || onnx >= TERN_COUNT(types))
        return tern__fail(TERN_E_UNSUPPORTED, "element type %" PRId32 ", which no ONNX version known here has", onnx);
    if (types[onnx].dtype < 0)
        return onnx == 0 ? tern__fail(TERN_E_CORRUPT, "its element type is not given")
                         : tern__fail(TERN_E_UNSUPPORTED, "Tern has no element type %s", types[onnx].name);
    *out = (tern_dtype)types[onnx].dtype;
    return TERN_OK;
}

int32_t tern__onnx_dtype_number(tern_dtype t)
{
    for (int i = 0; i < TERN_COUNT(types); i++)
        if (types[i].dtype == (int)t)
            return i;
    return 0;
}

/* --- A place of elements ----------------------------------------------------------------------------------------- */

/* Bytes that hold a tensor's elements, and the mapping that they lie in, if any. */
typedef struct place {
    const uint8_t *data;
    size_t size;
    tern__onnx_mapping *mapping;
} place;

static void forget(const place *p, const uint8_t *from, const uint8_t *to)
{
    if (p->mapping)
        tern__file_map_forget(&p->mapping->map, from, (size_t)(to - from));
}

/* Copies in steps, so that memory never holds much of it twice. */
static void copy_out(const place *p, const uint8_t *from, uint8_t *to, size_t size)
{
    for (size_t at = 0; at < size; at += STEP_BYTES) {
        size_t n = TERN_MIN(size - at, (size_t)STEP_BYTES);
        memcpy(to + at, from + at, n);
        forget(p, from + at, from + at + n);
    }
}

/* Tern's bool is 0 or 1. */
static bool plain_bools(const uint8_t *p, size_t n)
{
    uint8_t all = 0;
    for (size_t i = 0; i < n; i++)
        all |= p[i];
    return all <= 1;
}

/* Lends a mapping's bytes to blobs. */
static void rest_in_mapping(void *mapping, const void *data, size_t size) { tern__file_map_forget(&((tern__onnx_mapping *)mapping)->map, data, size); }

static const tern__blob_owner lender = {tern__onnx_mapping_release, rest_in_mapping};

/* Elements as they are in memory. In most files they lie at odd addresses: they are copied when somebody wants to read them so, and most are only packed. */
static tern_status take_raw(const place *p, const tern__type *type, tern__blob **out)
{
    size_t bytes = tern__type_bytes(type);
    bool as_is = type->dtype != TERN_BOOL || plain_bools(p->data, bytes);
    if (p->mapping && as_is && bytes >= BORROW_BYTES) {
        *out = tern__blob_borrow(p->data, bytes, tern_dtype_size(type->dtype), &lender, p->mapping);
        if (*out)
            tern__onnx_mapping_retain(p->mapping);
    } else {
        *out = tern__blob_create(NULL, bytes);
        if (*out)
            copy_out(p, p->data, (*out)->data, bytes);
        for (size_t i = 0; *out && !as_is && i < bytes; i++)
            (*out)->data[i] = (*out)->data[i] != 0;
    }
    return *out ? TERN_OK : tern__fail(TERN_E_NOMEM, "no memory for its %zu bytes", bytes);
}

/* --- Typed fields ------------------------------------------------------------------------------------------------ */

/* What the fields of a tensor message hold: elements of each field, counted before anything is allocated. */
typedef struct survey {
    place raw;
    bool has_raw;
    size_t counts[12]; /* by field number */
} survey;

static int width_of(uint32_t field) { return field == TERN__WIRE_FLOATS ? 4 : field == TERN__WIRE_DOUBLES ? 8 : 0; }

/* Varints end with a byte below 128. */
static size_t count_varints(const uint8_t *p, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += p[i] < 0x80;
    return count;
}

static tern_status look_at(const tern__wire_field *f, survey *s, const place *p)
{
    if (f->id == TERN__WIRE_RAW) {
        if (f->type != TERN__WIRE_BYTES)
            return tern__fail(TERN_E_CORRUPT, "its raw_data is not bytes");
        s->raw = (place){.data = f->data, .size = f->size, .mapping = p->mapping};
        s->has_raw = f->size > 0;
        return TERN_OK;
    }
    int width = width_of(f->id);
    int single = width == 4 ? TERN__WIRE_FIXED32 : width == 8 ? TERN__WIRE_FIXED64 : TERN__WIRE_VARINT;
    if (f->type == single && f->id != TERN__WIRE_STRINGS)
        s->counts[f->id]++;
    else if (f->type != TERN__WIRE_BYTES)
        return tern__fail(TERN_E_CORRUPT, "its field %u has elements of the wrong kind", f->id);
    else if (f->id == TERN__WIRE_STRINGS)
        s->counts[f->id]++;
    else if (width && f->size % (size_t)width)
        return tern__fail(TERN_E_CORRUPT, "its field %u has %zu bytes, not a multiple of %d", f->id, f->size, width);
    else
        s->counts[f->id] += width ? f->size / (size_t)width : count_varints(f->data, f->size);
    return TERN_OK;
}

static tern_status look(const place *p, survey *s)
{
    *s = (survey){0};
    tern__wire w = {.at = p->data, .end = p->data + p->size};
    for (tern__wire_field f; tern__wire_next(&w, &f);)
        if (tern__wire_is_elements(f.id))
            TERN_TRY(look_at(&f, s, p));
    return w.wrong ? tern__fail(TERN_E_CORRUPT, "%s", w.wrong) : TERN_OK;
}

/* Where the next element goes. */
typedef struct sink {
    uint8_t *at;
    size_t done, size;
    int32_t onnx;
} sink;

static tern_status store(sink *s, uint64_t v)
{
    uint32_t field = types[s->onnx].field;
    int64_t x = field == TERN__WIRE_INT32S ? (int64_t)(int32_t)(uint32_t)v : (int64_t)v;
    if (s->onnx == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
        x = x != 0;
    if (!width_of(field) && (x < types[s->onnx].lowest || x > types[s->onnx].highest))
        return tern__fail(TERN_E_CORRUPT, "its element %zu is %" PRId64 ", which is no %s", s->done, x, types[s->onnx].name);
    memcpy(s->at, &x, s->size); /* the low bytes come first on every machine that OpenCL drivers run on */
    s->at += s->size;
    s->done++;
    return TERN_OK;
}

static tern_status store_varints(sink *s, const place *p, const tern__wire_field *f)
{
    tern__wire w = {.at = f->data, .end = f->data + f->size};
    const uint8_t *kept = w.at;
    while (w.at < w.end) {
        uint64_t v;
        if (!tern__wire_varint(&w, &v))
            return tern__fail(TERN_E_CORRUPT, "its element %zu: %s", s->done, w.wrong);
        TERN_TRY(store(s, v));
        if (w.at - kept >= STEP_BYTES) {
            forget(p, kept, w.at);
            kept = w.at;
        }
    }
    return TERN_OK;
}

/* Room was made for exactly the elements that were counted. */
static tern_status take_typed(const place *p, int32_t onnx, const tern__type *type, tern__blob **out)
{
    uint32_t field = types[onnx].field;
    tern__blob *b = tern__blob_create(NULL, tern__type_bytes(type));
    if (!b)
        return tern__fail(TERN_E_NOMEM, "no memory for its %zu bytes", tern__type_bytes(type));
    tern__wire w = {.at = p->data, .end = p->data + p->size};
    sink s = {.at = b->data, .size = tern_dtype_size(type->dtype), .onnx = onnx};
    tern_status st = TERN_OK;
    for (tern__wire_field f; st == TERN_OK && tern__wire_next(&w, &f);) {
        if (f.id != field)
            continue;
        if (f.type != TERN__WIRE_BYTES) {
            st = store(&s, f.number);
        } else if (width_of(field)) {
            copy_out(p, f.data, s.at, f.size);
            s.at += f.size;
            s.done += f.size / s.size;
        } else {
            st = store_varints(&s, p, &f);
        }
    }
    if (st != TERN_OK) {
        tern__blob_release(b);
        return st;
    }
    *out = b;
    return TERN_OK;
}

static tern_status take_elements(const place *p, int32_t onnx, const tern__type *type, tern__blob **out)
{
    survey s;
    TERN_TRY(look(p, &s));
    uint32_t field = types[onnx].field;
    size_t typed = 0, n = (size_t)tern__elems(&type->shape), bytes = tern__type_bytes(type);
    for (int i = 0; i < TERN_COUNT(s.counts); i++)
        typed += s.counts[i];
    if (typed != s.counts[field])
        return tern__fail(TERN_E_CORRUPT, "it is of type %s and has elements in fields of other types", types[onnx].name);
    if (s.has_raw && typed)
        return tern__fail(TERN_E_CORRUPT, "it has %zu raw bytes and %zu elements besides", s.raw.size, typed);
    if (s.has_raw)
        return s.raw.size == bytes ? take_raw(&s.raw, type, out)
                                   : tern__fail(TERN_E_CORRUPT, "it has %zu raw bytes, where its shape needs %zu", s.raw.size, bytes);
    if (typed != n)
        return tern__fail(TERN_E_CORRUPT, "it has %zu elements, where its shape needs %zu", typed, n);
    return take_typed(p, onnx, type, out);
}

/* --- External data ----------------------------------------------------------------------------------------------- */

static const char *external_value(const Onnx__TensorProto *t, const char *key)
{
    for (size_t i = 0; i < t->n_external_data; i++)
        if (t->external_data[i]->key && t->external_data[i]->value && strcmp(t->external_data[i]->key, key) == 0)
            return t->external_data[i]->value;
    return NULL;
}

static tern_status external_number(const Onnx__TensorProto *t, const char *key, uint64_t absent, uint64_t *out)
{
    const char *s = external_value(t, key);
    uint64_t x = 0;
    *out = absent;
    if (!s)
        return TERN_OK;
    for (const char *c = s; *c; c++) {
        if (*c < '0' || *c > '9' || x > (UINT64_MAX - (uint64_t)(*c - '0')) / 10)
            return tern__fail(TERN_E_CORRUPT, "the %s of its external data is \"%.40s\"", key, s);
        x = 10 * x + (uint64_t)(*c - '0');
    }
    *out = x;
    return *s ? TERN_OK : tern__fail(TERN_E_CORRUPT, "the %s of its external data is empty", key);
}

static tern_status take_external(tern__onnx_file *f, const Onnx__TensorProto *t, const tern__type *type, tern__blob **out)
{
    const char *location = external_value(t, "location");
    uint64_t offset, length, bytes = tern__type_bytes(type);
    if (!location)
        return tern__fail(TERN_E_CORRUPT, "its data is said to be external, but not where");
    TERN_TRY(external_number(t, "offset", 0, &offset));
    TERN_TRY(external_number(t, "length", bytes, &length));
    if (length != bytes)
        return tern__fail(TERN_E_CORRUPT, "it has %" PRIu64 " bytes of external data, where its shape needs %" PRIu64, length, bytes);
    if (!f)
        return tern__fail(TERN_E_UNSUPPORTED, "external data \"%.200s\" of a tensor that is in no file", location);
    place p = {.size = (size_t)bytes};
    TERN_TRY(tern__onnx_file_external(f, location, &p.mapping));
    size_t size = p.mapping->map.size;
    if (bytes > size || offset > size - bytes)
        return tern__fail(TERN_E_CORRUPT, "its %" PRIu64 " bytes at %" PRIu64 " go beyond the end of \"%.200s\", which has %zu", bytes, offset, location, size);
    p.data = p.mapping->map.data + offset;
    return take_raw(&p, type, out);
}

/* --- Tensors ----------------------------------------------------------------------------------------------------- */

static tern_status read_shape(const int64_t *dims, size_t n, tern__type *type)
{
    if (n > TERN_MAX_RANK)
        return tern__fail(TERN_E_UNSUPPORTED, "it has %zu dimensions; Tern has at most %d", n, TERN_MAX_RANK);
    type->shape.rank = (int)n;
    size_t bytes;
    int64_t elems;
    for (size_t i = 0; i < n; i++) {
        type->shape.dim[i] = dims[i];
        if (dims[i] < 0)
            return tern__fail(TERN_E_CORRUPT, "its dimension %zu is %" PRId64, i, dims[i]);
    }
    if (!tern__shape_elems(&type->shape, &elems) || !tern__mul_size((size_t)elems, tern_dtype_size(type->dtype), &bytes) || bytes > PTRDIFF_MAX)
        return tern__fail(TERN_E_CORRUPT, "its elements cannot be counted");
    return TERN_OK;
}

static tern_status take_from_file(const tern__onnx_file *f, const Onnx__TensorProto *t, const tern__type *type, tern__blob **out)
{
    uint64_t offset = 0, size = 0;
    if (t->has_raw_data && t->raw_data.len == TERN__WIRE_PLACE)
        tern__wire_place_read(t->raw_data.data, &offset, &size);
    if (size == 0 || size > f->size || offset > f->size - size)
        return tern__fail(TERN_E_INVALID, "it is not a tensor of this file");
    place p = {.data = f->data + offset, .size = (size_t)size, .mapping = f->mapping};
    return take_elements(&p, t->data_type, type, out);
}

/* Written out once more, so that there is one way to read. */
static tern_status take_from_message(const Onnx__TensorProto *t, const tern__type *type, tern__blob **out)
{
    place p = {.size = protobuf_c_message_get_packed_size(&t->base)};
    uint8_t *bytes = tern__alloc(p.size);
    if (!bytes)
        return tern__fail(TERN_E_NOMEM, "no memory for its %zu bytes", p.size);
    protobuf_c_message_pack(&t->base, bytes);
    p.data = bytes;
    tern_status st = take_elements(&p, t->data_type, type, out);
    tern__free(bytes);
    return st;
}

static tern_status take(tern__onnx_file *f, const Onnx__TensorProto *t, tern__type *type, tern__blob **out)
{
    *type = (tern__type){0};
    TERN_TRY(tern__onnx_dtype(t->has_data_type ? t->data_type : 0, &type->dtype));
    TERN_TRY(read_shape(t->dims, t->n_dims, type));
    if (t->segment)
        return tern__fail(TERN_E_UNSUPPORTED, "it is one segment of a tensor");
    if (t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return take_external(f, t, type, out);
    return f ? take_from_file(f, t, type, out) : take_from_message(t, type, out);
}

tern_status tern__onnx_tensor(tern__onnx_file *f, const Onnx__TensorProto *t, tern__type *type, tern__blob **out)
{
    tern_status st = take(f, t, type, out);
    return st == TERN_OK ? st : tern__fail_in(st, "tensor \"%.100s\"", t->name ? t->name : "");
}

/* --- Sparse tensors ---------------------------------------------------------------------------------------------- */

/* The place of element i in the dense tensor; indices is [nnz] of such places or [nnz, rank] of coordinates. */
static bool dense_place(const int64_t *indices, bool linear, size_t i, const tern_shape *s, int64_t elems, int64_t *out)
{
    if (linear) {
        *out = indices[i];
        return *out >= 0 && *out < elems;
    }
    *out = 0;
    for (int k = 0; k < s->rank; k++) {
        int64_t x = indices[i * (size_t)s->rank + (size_t)k];
        if (x < 0 || x >= s->dim[k])
            return false;
        *out = *out * s->dim[k] + x;
    }
    return true;
}

static tern_status scatter(const tern__type *values_type, const tern__blob *values, const tern__type *indices_type, const tern__blob *indices,
                           const tern__type *type, tern__blob **out)
{
    size_t size = tern_dtype_size(type->dtype), n = (size_t)tern__elems(&values_type->shape);
    const tern_shape *s = &indices_type->shape;
    bool linear = s->rank == 1;
    if (values_type->shape.rank != 1 || indices_type->dtype != TERN_I64 || (!linear && (s->rank != 2 || s->dim[1] != type->shape.rank)) ||
        s->dim[0] != (int64_t)n)
        return tern__fail(TERN_E_CORRUPT, "its values and indices do not fit together");
    if ((int64_t)tern__type_bytes(type) > MAX_DENSE_BYTES)
        return tern__fail(TERN_E_UNSUPPORTED, "it has %zu bytes when dense, more than %" PRId64, tern__type_bytes(type), MAX_DENSE_BYTES);
    tern__blob *b = tern__blob_create(NULL, tern__type_bytes(type));
    if (!b)
        return tern__fail(TERN_E_NOMEM, "no memory for its %zu bytes", tern__type_bytes(type));
    for (size_t i = 0; i < n; i++) {
        int64_t at;
        if (!dense_place((const int64_t *)(const void *)indices->data, linear, i, &type->shape, tern__elems(&type->shape), &at)) {
            tern__blob_release(b);
            return tern__fail(TERN_E_CORRUPT, "its index %zu is out of range", i);
        }
        memcpy(b->data + (size_t)at * size, values->data + i * size, size);
    }
    *out = b;
    return TERN_OK;
}

tern_status tern__onnx_sparse_tensor(tern__onnx_file *f, const Onnx__SparseTensorProto *t, tern__type *type, tern__blob **out)
{
    tern__type values_type, indices_type;
    tern__blob *values = NULL, *indices = NULL;
    if (!t->values || !t->indices)
        return tern__fail(TERN_E_CORRUPT, "a sparse tensor without %s", t->values ? "indices" : "values");
    tern_status st = tern__onnx_tensor(f, t->values, &values_type, &values);
    if (st == TERN_OK)
        st = tern__onnx_tensor(f, t->indices, &indices_type, &indices);
    if (st == TERN_OK) {
        *type = (tern__type){.dtype = values_type.dtype};
        st = read_shape(t->dims, t->n_dims, type);
        if (st == TERN_OK)
            st = scatter(&values_type, values, &indices_type, indices, type, out);
    }
    tern__blob_release(values);
    tern__blob_release(indices);
    return st == TERN_OK ? st : tern__fail_in(st, "sparse tensor \"%.100s\"", t->values->name ? t->values->name : "");
}
