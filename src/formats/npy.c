/* NumPy's .npy files (NEP 1): versions 1.0 to 3.0 in, version 1.0 out. */
#include "formats/npy.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/half.h"
#include "base/status.h"
#include "base/str.h"

#include <string.h>

/* What the header says about the data behind it. */
typedef struct npy_header {
    tern_dtype dtype;
    bool big_endian, fortran;
    tern_shape shape;
} npy_header;

/* A place in the header's text, a Python dictionary literal. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static bool host_is_big(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 0;
}

/* --- The header's text --- */

static void skip_space(cursor *c)
{
    while (c->at < c->end && strchr(" \t\n\r", *c->at) && *c->at)
        c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    size_t n = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
        return false;
    c->at += n;
    return true;
}

/* A quoted string without escapes, into out. */
static bool take_string(cursor *c, char *out, size_t room)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return false;
    char quote = *c->at++;
    size_t n = 0;
    while (c->at < c->end && *c->at != quote) {
        if (n + 1 >= room || *c->at == '\\' || !*c->at)
            return false;
        out[n++] = *c->at++;
    }
    out[n] = 0;
    return take(c, quote);
}

static bool take_extent(cursor *c, int64_t *out)
{
    skip_space(c);
    int64_t x = 0;
    const char *start = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        int digit = *c->at - '0';
        if (x > (INT64_MAX - digit) / 10)
            return false;
        x = 10 * x + digit;
    }
    bool any = c->at > start;
    if (any && c->at < c->end && *c->at == 'L') /* a long of Python 2 */
        c->at++;
    *out = x;
    return any;
}

static tern_status parse_shape(cursor *c, tern_shape *shape)
{
    *shape = (tern_shape){0};
    if (!take(c, '('))
        return tern__fail(TERN_E_CORRUPT, "npy: the shape is not a tuple");
    while (!take(c, ')')) {
        int64_t extent;
        if (!take_extent(c, &extent))
            return tern__fail(TERN_E_CORRUPT, "npy: extent %d of the shape is not a number that fits", shape->rank);
        if (shape->rank == TERN_MAX_RANK)
            return tern__fail(TERN_E_UNSUPPORTED, "npy: more than %d dimensions", TERN_MAX_RANK);
        shape->dim[shape->rank++] = extent;
        if (!take(c, ',') && (c->at == c->end || *c->at != ')'))
            return tern__fail(TERN_E_CORRUPT, "npy: the shape has no end");
    }
    return TERN_OK;
}

static tern_status parse_descr(cursor *c, npy_header *h)
{
    static const struct { const char *code; tern_dtype dtype; } codes[] = {
        {"f4", TERN_F32}, {"f2", TERN_F16}, {"f8", TERN_F64}, {"i1", TERN_I8},  {"i2", TERN_I16}, {"i4", TERN_I32},
        {"i8", TERN_I64}, {"u1", TERN_U8},  {"u2", TERN_U16}, {"u4", TERN_U32}, {"u8", TERN_U64}, {"b1", TERN_BOOL},
    };
    char text[32];
    skip_space(c);
    if (c->at < c->end && *c->at == '[')
        return tern__fail(TERN_E_DTYPE, "npy: records of several fields are not read");
    if (!take_string(c, text, sizeof text))
        return tern__fail(TERN_E_CORRUPT, "npy: the element type is not a short string");
    const char *code = text;
    if (*code && strchr("<>|=", *code))
        code++;
    h->big_endian = text[0] == '>' || (text[0] != '<' && host_is_big());
    for (int i = 0; i < TERN_COUNT(codes); i++) {
        if (!strcmp(code, codes[i].code)) {
            h->dtype = codes[i].dtype;
            return TERN_OK;
        }
    }
    return tern__fail(TERN_E_DTYPE, "npy: element type '%s' is not one that Tern has", text);
}

static tern_status parse_entry(cursor *c, const char *key, npy_header *h, unsigned *seen)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    int which = 0;
    while (which < TERN_COUNT(keys) && strcmp(key, keys[which]))
        which++;
    if (which == TERN_COUNT(keys) || *seen & 1u << which)
        return tern__fail(TERN_E_CORRUPT, "npy: header key '%s' is %s", key, which == TERN_COUNT(keys) ? "unknown" : "given twice");
    *seen |= 1u << which;
    if (which == 0)
        return parse_descr(c, h);
    if (which == 2)
        return parse_shape(c, &h->shape);
    h->fortran = take_word(c, "True");
    if (!h->fortran && !take_word(c, "False"))
        return tern__fail(TERN_E_CORRUPT, "npy: fortran_order is neither True nor False");
    return TERN_OK;
}

static tern_status parse_dict(const char *text, size_t size, npy_header *h)
{
    cursor c = {text, text + size};
    unsigned seen = 0;
    if (!take(&c, '{'))
        return tern__fail(TERN_E_CORRUPT, "npy: the header is not a dictionary");
    while (!take(&c, '}')) {
        char key[32];
        if (!take_string(&c, key, sizeof key) || !take(&c, ':'))
            return tern__fail(TERN_E_CORRUPT, "npy: no key at byte %zu of the header", (size_t)(c.at - text));
        TERN_TRY(parse_entry(&c, key, h, &seen));
        if (!take(&c, ',') && (c.at == c.end || *c.at != '}'))
            return tern__fail(TERN_E_CORRUPT, "npy: no comma at byte %zu of the header", (size_t)(c.at - text));
    }
    skip_space(&c);
    if (seen != 7 || c.at != c.end)
        return tern__fail(TERN_E_CORRUPT, seen != 7 ? "npy: the header lacks descr, fortran_order or shape"
                                                     : "npy: something follows the header's dictionary");
    return TERN_OK;
}

/* Where the data starts, after the magic, the version and the header's length and text. */
static tern_status parse_header(const uint8_t *bytes, size_t size, npy_header *h, size_t *data_at)
{
    static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    if (size < 10 || memcmp(bytes, magic, sizeof magic) != 0)
        return tern__fail(TERN_E_CORRUPT, "npy: %s", size < 10 ? "too short for a header" : "the file does not start like one");
    int major = bytes[6], minor = bytes[7];
    if (major < 1 || major > 3 || minor != 0)
        return tern__fail(TERN_E_UNSUPPORTED, "npy: version %d.%d; 1.0 to 3.0 are read", major, minor);
    size_t at = major == 1 ? 10 : 12;
    if (size < at)
        return tern__fail(TERN_E_CORRUPT, "npy: too short for a header");
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (major > 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > size - at)
        return tern__fail(TERN_E_CORRUPT, "npy: a header of %zu bytes in a file of %zu", length, size);
    TERN_TRY(parse_dict((const char *)bytes + at, length, h));
    *data_at = at + length;
    return TERN_OK;
}

/* --- The data --- */

/* Reads the file's first-axis-fastest order into rows. */
static void copy_fortran(uint8_t *to, const uint8_t *from, const tern_shape *s, size_t elems, size_t width)
{
    int64_t coord[TERN_MAX_RANK] = {0};
    size_t stride[TERN_MAX_RANK], at = 0;
    for (int i = 0; i < s->rank; i++)
        stride[i] = i == 0 ? 1 : stride[i - 1] * (size_t)s->dim[i - 1];
    for (size_t k = 0; k < elems; k++) {
        memcpy(to + k * width, from + at * width, width);
        for (int i = s->rank - 1; i >= 0; i--) {
            at += stride[i];
            if (++coord[i] < s->dim[i])
                break;
            at -= stride[i] * (size_t)s->dim[i];
            coord[i] = 0;
        }
    }
}

static void swap_bytes(uint8_t *data, size_t elems, size_t width)
{
    for (size_t k = 0; k < elems; k++, data += width)
        for (size_t i = 0; i < width / 2; i++) {
            uint8_t b = data[i];
            data[i] = data[width - 1 - i];
            data[width - 1 - i] = b;
        }
}

tern_status tern__npy_parse(const uint8_t *bytes, size_t size, tern_tensor **out)
{
    npy_header h = {0};
    size_t at = 0, want = 0;
    int64_t elems;
    TERN_TRY(parse_header(bytes, size, &h, &at));
    size_t width = tern_dtype_size(h.dtype);
    if (!tern__shape_elems(&h.shape, &elems) || (uint64_t)elems > SIZE_MAX || !tern__mul_size((size_t)elems, width, &want))
        return tern__fail(TERN_E_CORRUPT, "npy: the shape's size overflows");
    if (want != size - at)
        return tern__fail(TERN_E_CORRUPT, "npy: %zu bytes of data where the shape and %s need %zu", size - at, tern_dtype_name(h.dtype), want);
    tern_tensor *t = NULL;
    TERN_TRY(tern_tensor_create(h.dtype, &h.shape, &t));
    uint8_t *data = tern_tensor_data(t);
    if (h.fortran && h.shape.rank > 1)
        copy_fortran(data, bytes + at, &h.shape, (size_t)elems, width);
    else if (want)
        memcpy(data, bytes + at, want);
    if (h.big_endian != host_is_big())
        swap_bytes(data, (size_t)elems, width);
    for (size_t i = 0; h.dtype == TERN_BOOL && i < want; i++)
        data[i] = data[i] != 0;
    *out = t;
    return TERN_OK;
}

tern_status tern_tensor_load_npy(const char *path, tern_tensor **out)
{
    if (!path || !out)
        return tern__fail(TERN_E_INVALID, "npy: a path and a place for the tensor are needed");
    uint8_t *bytes = NULL;
    size_t size = 0;
    TERN_TRY(tern__file_read(path, 0, &bytes, &size));
    tern_status st = tern__npy_parse(bytes, size, out);
    tern__free(bytes);
    return st == TERN_OK ? st : tern__fail_in(st, "%s", path);
}

static const char *descr_of(tern_dtype t)
{
    static const char *const kinds[TERN_DTYPE_COUNT] = {
        [TERN_F32] = "f4", [TERN_F16] = "f2", [TERN_BF16] = "f4", [TERN_F64] = "f8", [TERN_I8] = "i1",
        [TERN_I16] = "i2", [TERN_I32] = "i4", [TERN_I64] = "i8",  [TERN_U8] = "u1",  [TERN_U16] = "u2",
        [TERN_U32] = "u4", [TERN_U64] = "u8", [TERN_BOOL] = "b1",
    };
    return kinds[t];
}

/* Magic, version 1.0 and the dictionary, padded so that the data starts at a multiple of 64. */
static void write_header(tern__str *s, tern_dtype dtype, const tern_shape *shape)
{
    char order = tern_dtype_size(dtype) == 1 ? '|' : host_is_big() ? '>' : '<';
    tern__str_addf(s, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order, descr_of(dtype));
    for (int i = 0; i < shape->rank; i++)
        tern__str_addf(s, "%s%lld%s", i ? ", " : "", (long long)shape->dim[i], shape->rank == 1 ? "," : "");
    tern__str_add(s, "), }");
    while ((10 + s->len + 1) % 64 != 0 && !s->failed)
        tern__str_add(s, " ");
    tern__str_add(s, "\n");
}

/* bf16 has no name in NumPy: it goes out as f32, which holds every value. */
static void put_bf16(tern__file_writer *w, const uint16_t *data, size_t elems)
{
    float part[1024];
    for (size_t i = 0; i < elems; i += TERN_COUNT(part)) {
        size_t n = TERN_MIN(elems - i, (size_t)TERN_COUNT(part));
        for (size_t k = 0; k < n; k++)
            part[k] = tern__bf16_to_f32(data[i + k]);
        tern__file_writer_put(w, part, n * sizeof *part);
    }
}

tern_status tern_tensor_save_npy(const tern_tensor *t, const char *path)
{
    if (!t || !path || !tern_tensor_data(t))
        return tern__fail(TERN_E_INVALID, "npy: a host tensor and a path are needed");
    tern__str header = {0};
    write_header(&header, tern_tensor_dtype(t), tern_tensor_shape(t));
    if (header.failed) {
        tern__str_finish(&header);
        return tern__fail(TERN_E_NOMEM, "%s: no memory for the header", path);
    }
    tern__file_writer w;
    tern_status st = tern__file_writer_open(&w, path, 0644);
    if (st == TERN_OK) {
        const uint8_t start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)header.len, (uint8_t)(header.len >> 8)};
        tern__file_writer_put(&w, start, sizeof start);
        tern__file_writer_put(&w, header.s, header.len);
        if (tern_tensor_dtype(t) == TERN_BF16)
            put_bf16(&w, tern_tensor_data(t), tern_tensor_elems(t));
        else
            tern__file_writer_put(&w, tern_tensor_data(t), tern_tensor_size_bytes(t));
        st = tern__file_writer_close(&w);
    }
    tern__str_finish(&header);
    return st;
}
