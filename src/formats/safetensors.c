/* Reading and writing safetensors: 8 bytes of header length, a JSON header, the tensors' bytes. */
#include "formats/safetensors.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8, HEADER_LIMIT = 100000000 }; /* the limit of the format's own reader */

static const char *const codes[TERN_DTYPE_COUNT] = {
    [TERN_F32] = "F32", [TERN_F16] = "F16", [TERN_BF16] = "BF16", [TERN_F64] = "F64", [TERN_I8] = "I8",
    [TERN_I16] = "I16", [TERN_I32] = "I32", [TERN_I64] = "I64",   [TERN_U8] = "U8",   [TERN_U16] = "U16",
    [TERN_U32] = "U32", [TERN_U64] = "U64", [TERN_BOOL] = "BOOL",
};

/* --- Reading --- */

static tern_status parse_dtype(const tern__json *v, tern_dtype *out)
{
    const char *code = tern__json_string(v);
    if (!code)
        return tern__fail(TERN_E_CORRUPT, "its dtype is not a string");
    for (int t = 0; t < TERN_DTYPE_COUNT; t++) {
        if (!strcmp(code, codes[t])) {
            *out = (tern_dtype)t;
            return TERN_OK;
        }
    }
    return tern__fail(TERN_E_UNSUPPORTED, "its dtype \"%.20s\" is not one that Tern has", code);
}

/* Extents and offsets agree and lie within the data. */
static tern_status parse_range(const tern__json *v, const uint8_t *data, size_t data_size, tern__st_tensor *t)
{
    bool pair = tern__json_is(v, TERN__JSON_LIST) && v->n == 2 && v[1].kind == TERN__JSON_INT && v[2].kind == TERN__JSON_INT;
    if (!pair)
        return tern__fail(TERN_E_CORRUPT, "its data_offsets are not two numbers");
    int64_t begin = v[1].as.i, end = v[2].as.i;
    if (begin < 0 || end < begin || (uint64_t)end > data_size)
        return tern__fail(TERN_E_CORRUPT, "its data_offsets [%lld, %lld] are not within the %zu bytes of data", (long long)begin,
                          (long long)end, data_size);
    int64_t elems;
    size_t want;
    if (!tern__shape_elems(&t->shape, &elems) || (uint64_t)elems > SIZE_MAX || !tern__mul_size((size_t)elems, tern_dtype_size(t->dtype), &want))
        return tern__fail(TERN_E_CORRUPT, "its shape's size overflows");
    t->size = (size_t)(end - begin);
    t->data = data + begin;
    if (t->size != want)
        return tern__fail(TERN_E_CORRUPT, "it has %zu bytes where its shape and %s need %zu", t->size, tern_dtype_name(t->dtype), want);
    return TERN_OK;
}

static tern_status parse_tensor(const char *name, const tern__json *v, const uint8_t *data, size_t data_size, tern__st_tensor *t)
{
    t->name = name;
    if (!tern__json_is(v, TERN__JSON_OBJECT) || v->n != 3)
        return tern__fail(TERN_E_CORRUPT, "it is not described by dtype, shape and data_offsets");
    TERN_TRY(parse_dtype(tern__json_get(v, "dtype"), &t->dtype));
    TERN_TRY(tern__json_shape(tern__json_get(v, "shape"), &t->shape));
    TERN_TRY(parse_range(tern__json_get(v, "data_offsets"), data, data_size, t));
    for (size_t i = 0; t->dtype == TERN_BOOL && i < t->size; i++)
        if (t->data[i] > 1)
            return tern__fail(TERN_E_CORRUPT, "element %zu of type bool is %d", i, t->data[i]);
    return TERN_OK;
}

/* Empty tensors come before the one that starts where they do. */
static int by_place(const void *a, const void *b)
{
    const tern__st_tensor *x = a, *y = b;
    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static tern_status check_cover(const tern__safetensors *st, const uint8_t *data, size_t data_size)
{
    const uint8_t *at = data;
    for (int i = 0; i < st->n; i++) {
        const tern__st_tensor *t = &st->tensors[i];
        if (t->data != at)
            return tern__fail(TERN_E_CORRUPT, "safetensors: tensor \"%.80s\" %s the one before it", t->name,
                              t->data < at ? "overlaps" : "leaves a gap after");
        at += t->size;
    }
    if (at != data + data_size)
        return tern__fail(TERN_E_CORRUPT, "safetensors: %zu bytes belong to no tensor", (size_t)(data + data_size - at));
    return TERN_OK;
}

static tern_status check_meta(const tern__json *meta)
{
    if (meta && meta->kind != TERN__JSON_OBJECT)
        return tern__fail(TERN_E_CORRUPT, "safetensors: __metadata__ is not an object");
    for (const tern__json *v = tern__json_first(meta); v; v = tern__json_next(meta, v))
        if (v->kind != TERN__JSON_STRING)
            return tern__fail(TERN_E_CORRUPT, "safetensors: __metadata__ \"%.80s\" is not a string", v->key);
    return TERN_OK;
}

static tern_status parse_root(tern__safetensors *st, const uint8_t *data, size_t data_size)
{
    const tern__json *root = st->header.values;
    TERN_TRY(check_meta(tern__json_get(root, "__metadata__")));
    st->tensors = tern__alloc_array((size_t)root->n, sizeof *st->tensors);
    if (!st->tensors)
        return tern__fail(TERN_E_NOMEM, "safetensors: no memory for %d tensors", root->n);
    for (const tern__json *v = tern__json_first(root); v; v = tern__json_next(root, v)) {
        if (!strcmp(v->key, "__metadata__"))
            continue;
        tern_status s = parse_tensor(v->key, v, data, data_size, &st->tensors[st->n]);
        if (s != TERN_OK)
            return tern__fail_in(s, "safetensors: tensor \"%.80s\"", v->key);
        st->n++;
    }
    qsort(st->tensors, (size_t)st->n, sizeof *st->tensors, by_place);
    return check_cover(st, data, data_size);
}

tern_status tern__safetensors_parse(const uint8_t *bytes, size_t size, tern__safetensors *out)
{
    if (size < PREFIX)
        return tern__fail(TERN_E_CORRUPT, "safetensors: %zu bytes are too few", size);
    uint64_t length = 0;
    for (int i = 0; i < PREFIX; i++)
        length |= (uint64_t)bytes[i] << (8 * i);
    if (length > size - PREFIX)
        return tern__fail(TERN_E_CORRUPT, "safetensors: a header of %llu bytes in a file of %zu", (unsigned long long)length, size);
    if (length > HEADER_LIMIT)
        return tern__fail(TERN_E_UNSUPPORTED, "safetensors: a header of %llu bytes; at most %d are read", (unsigned long long)length, HEADER_LIMIT);
    tern__safetensors st = {0};
    tern_status s = tern__json_parse((const char *)bytes + PREFIX, (size_t)length, &st.header);
    if (s != TERN_OK)
        return tern__fail_in(s, "safetensors: header");
    s = parse_root(&st, bytes + PREFIX + length, size - PREFIX - (size_t)length);
    if (s != TERN_OK) {
        tern__safetensors_finish(&st);
        return s;
    }
    *out = st;
    return TERN_OK;
}

void tern__safetensors_finish(tern__safetensors *st)
{
    tern__free(st->tensors);
    tern__json_finish(&st->header);
    *st = (tern__safetensors){0};
}

const tern__st_tensor *tern__safetensors_find(const tern__safetensors *st, const char *name)
{
    for (int i = 0; i < st->n; i++)
        if (!strcmp(st->tensors[i].name, name))
            return &st->tensors[i];
    return NULL;
}

const char *tern__safetensors_meta(const tern__safetensors *st, const char *key)
{
    return tern__json_string(tern__json_get(tern__json_get(st->header.values, "__metadata__"), key));
}

/* --- Writing --- */

/* Calls for each tensor in the order of the data: element size 8, 4, 2, 1, and as given among equals. */
#define EACH_BY_WIDTH(i, tensors, n)                                                  \
    for (size_t width_ = 8; width_ > 0; width_ /= 2)                                  \
        for (int i = 0; i < (n); i++)                                                 \
            if (tern_dtype_size((tensors)[i].dtype) == width_)

static tern_status add_meta(tern__str *h, const tern__st_meta *meta, int n_meta)
{
    tern__str_add(h, "\"__metadata__\":{");
    for (int i = 0; i < n_meta; i++) {
        if (i)
            tern__str_add(h, ",");
        bool ok = tern__json_add_string(h, meta[i].key);
        tern__str_add(h, ":");
        if (!ok || !tern__json_add_string(h, meta[i].value))
            return tern__fail(TERN_E_INVALID, "safetensors: the metadata \"%s\" is not UTF-8", meta[i].key);
    }
    tern__str_add(h, "}");
    return TERN_OK;
}

static tern_status build_header(tern__str *h, const tern__st_tensor *tensors, int n, const tern__st_meta *meta, int n_meta)
{
    size_t at = 0;
    tern__str_add(h, "{");
    TERN_TRY(add_meta(h, meta, n_meta));
    EACH_BY_WIDTH(i, tensors, n) {
        const tern__st_tensor *t = &tensors[i];
        tern__str_add(h, ",");
        if (!strcmp(t->name, "__metadata__") || !tern__json_add_string(h, t->name))
            return tern__fail(TERN_E_INVALID, "safetensors: a tensor cannot be called \"%.80s\": the name is %s", t->name,
                              t->name[0] == '_' ? "the format's own" : "not UTF-8");
        tern__str_addf(h, ":{\"dtype\":\"%s\",\"shape\":", codes[t->dtype]);
        tern__json_add_ints(h, t->shape.dim, t->shape.rank);
        tern__str_addf(h, ",\"data_offsets\":[%zu,%zu]}", at, at + t->size);
        at += t->size;
    }
    tern__str_add(h, "}");
    while (h->len % 8 && !h->failed) /* the data starts aligned */
        tern__str_add(h, " ");
    if (h->failed)
        return tern__fail(TERN_E_NOMEM, "safetensors: no memory for the header");
    return h->len <= HEADER_LIMIT ? TERN_OK : tern__fail(TERN_E_UNSUPPORTED, "safetensors: a header of %zu bytes is over the limit", h->len);
}

tern_status tern__safetensors_write(const char *path, const tern__st_tensor *tensors, int n, const tern__st_meta *meta, int n_meta)
{
    tern__str h = {0};
    tern__file_writer w;
    tern_status st = build_header(&h, tensors, n, meta, n_meta);
    if (st == TERN_OK)
        st = tern__file_writer_open(&w, path, 0644);
    if (st == TERN_OK) {
        uint8_t prefix[PREFIX];
        for (int i = 0; i < PREFIX; i++)
            prefix[i] = (uint8_t)((uint64_t)h.len >> (8 * i));
        tern__file_writer_put(&w, prefix, sizeof prefix);
        tern__file_writer_put(&w, h.s, h.len);
        EACH_BY_WIDTH(i, tensors, n)
            tern__file_writer_put(&w, tensors[i].data, tensors[i].size);
        st = tern__file_writer_close(&w);
    }
    tern__str_finish(&h);
    return st;
}
