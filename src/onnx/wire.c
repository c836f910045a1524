/* Reading protocol-buffer bytes, and copying a message without the elements of its tensors. */
#include "onnx/wire.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "onnx-data.pb-c.h"
#include "onnx.pb-c.h"

enum {
    MAX_DEPTH = 128,     /* messages inside messages: subgraphs take three levels each */
    MAX_NODES = 250000,
    SMALL_FILE = 64 << 20, /* unpacked messages may always take this much */
    GROWTH = 8,          /* and beyond it so many times the bytes they are made of */
    LENGTH_BYTES = 5,    /* lengths are written with a fixed width, so that they can be filled in later */
    FIELD_COST = 16,     /* of unpacking: a pointer in an array, and rounding */
    MAX_COUNTED = 32,
};

/* --- Fields ------------------------------------------------------------------------------------------------------ */

bool tern__wire_varint(tern__wire *w, uint64_t *v)
{
    uint64_t x = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (w->at == w->end) {
            w->wrong = "a number is cut off";
            return false;
        }
        uint8_t b = *w->at++;
        if (shift < 64)
            x |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *v = x;
            return true;
        }
    }
    w->wrong = "a number has more than ten bytes";
    return false;
}

uint64_t tern__wire_fixed(const uint8_t *p, int bytes)
{
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static bool fixed(tern__wire *w, int bytes, uint64_t *v)
{
    if (w->end - w->at < bytes) {
        w->wrong = "a number is cut off";
        return false;
    }
    *v = tern__wire_fixed(w->at, bytes);
    w->at += bytes;
    return true;
}

static bool span(tern__wire *w, tern__wire_field *f)
{
    uint64_t size;
    if (!tern__wire_varint(w, &size))
        return false;
    if (size > (uint64_t)(w->end - w->at)) {
        w->wrong = "a field is longer than what holds it";
        return false;
    }
    f->data = w->at;
    f->size = (size_t)size;
    w->at += size;
    return true;
}

bool tern__wire_next(tern__wire *w, tern__wire_field *f)
{
    uint64_t tag;
    *f = (tern__wire_field){.start = w->at};
    if (w->wrong || w->at == w->end || !tern__wire_varint(w, &tag))
        return false;
    f->id = (uint32_t)(tag >> 3);
    f->type = (int)(tag & 7);
    if (f->id == 0 || tag > UINT32_MAX) {
        w->wrong = "a field's number is out of range";
        return false;
    }
    switch (f->type) {
    case TERN__WIRE_VARINT: return tern__wire_varint(w, &f->number);
    case TERN__WIRE_FIXED64: return fixed(w, 8, &f->number);
    case TERN__WIRE_FIXED32: return fixed(w, 4, &f->number);
    case TERN__WIRE_BYTES: return span(w, f);
    default: w->wrong = "a field is of a kind that ONNX does not use"; return false;
    }
}

bool tern__wire_is_elements(uint32_t id)
{
    return id == TERN__WIRE_FLOATS || id == TERN__WIRE_INT32S || id == TERN__WIRE_STRINGS || id == TERN__WIRE_INT64S || id == TERN__WIRE_RAW ||
           id == TERN__WIRE_DOUBLES || id == TERN__WIRE_UINT64S;
}

/* Default values of a function's attributes are newer than some descriptions of the format. */
const ProtobufCMessageDescriptor *tern__wire_message(const ProtobufCMessageDescriptor *d, uint32_t id)
{
    const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(d, id);
    if (!fd)
        return d == &onnx__function_proto__descriptor && id == 11 ? &onnx__attribute_proto__descriptor : NULL;
    return fd->type == PROTOBUF_C_TYPE_MESSAGE ? fd->descriptor : NULL;
}

void tern__wire_place_read(const uint8_t place[TERN__WIRE_PLACE], uint64_t *offset, uint64_t *size)
{
    *offset = tern__wire_fixed(place, 8);
    *size = tern__wire_fixed(place + 8, 8);
}

/* --- Reducing ---------------------------------------------------------------------------------------------------- */

/* What is done to the fields of a message beside copying them: bits are field numbers. */
typedef struct rule {
    const ProtobufCMessageDescriptor *message;
    uint64_t named;   /* text that the rest of the library may take to be there */
    uint64_t dropped; /* documentation, of which exporters write more than of anything else */
} rule;

#define BIT(id) (UINT64_C(1) << (id))
static const rule rules[] = {
    {&onnx__node_proto__descriptor, BIT(3) | BIT(4) | BIT(7), BIT(6)},
    {&onnx__attribute_proto__descriptor, BIT(1), BIT(13)},
    {&onnx__value_info_proto__descriptor, BIT(1), BIT(3)},
    {&onnx__tensor_proto__descriptor, BIT(8), BIT(12)},
    {&onnx__graph_proto__descriptor, BIT(2), BIT(10)},
    {&onnx__function_proto__descriptor, BIT(1) | BIT(10), BIT(8)},
    {&onnx__operator_set_id_proto__descriptor, BIT(1), 0},
    {&onnx__string_string_entry_proto__descriptor, BIT(1) | BIT(2), 0},
};

static const rule *rule_of(const ProtobufCMessageDescriptor *d)
{
    static const rule none = {0};
    for (int i = 0; i < TERN_COUNT(rules); i++)
        if (rules[i].message == d)
            return &rules[i];
    return &none;
}

/* Of what a file may have many, and nobody has: counted before anything is unpacked. */
static tern_status check_counts(const ProtobufCMessageDescriptor *d, const size_t n[MAX_COUNTED])
{
    if (d == &onnx__model_proto__descriptor && n[8] > TERN__ONNX_MAX_DOMAINS)
        return tern__fail(TERN_E_UNSUPPORTED, "it has %zu operator sets, more than %d", n[8], TERN__ONNX_MAX_DOMAINS);
    if (d == &onnx__model_proto__descriptor && n[25] > TERN__ONNX_MAX_FUNCTIONS)
        return tern__fail(TERN_E_UNSUPPORTED, "it has %zu functions, more than %d", n[25], TERN__ONNX_MAX_FUNCTIONS);
    const size_t weights = n[5] + n[15]; /* may be listed among the inputs */
    if (d == &onnx__graph_proto__descriptor && (n[12] > TERN__ONNX_MAX_PORTS || (n[11] > weights && n[11] - weights > TERN__ONNX_MAX_PORTS)))
        return tern__fail(TERN_E_UNSUPPORTED, "it has %zu inputs and %zu outputs, more than %d", n[11], n[12], TERN__ONNX_MAX_PORTS);
    return d == &onnx__node_proto__descriptor && n[4] == 0 ? tern__fail(TERN_E_CORRUPT, "it has a node without an operator") : TERN_OK;
}

/* Runs twice: without out it only counts. */
typedef struct reducer {
    const uint8_t *base;
    uint8_t *out;
    size_t len;
    size_t cost; /* of unpacking what was written */
    int nodes;
} reducer;

static void put(reducer *r, const void *data, size_t size)
{
    if (r->out)
        memcpy(r->out + r->len, data, size);
    r->len += size;
}

static void put_varint(reducer *r, uint64_t v, int width)
{
    uint8_t bytes[10];
    int n = 0;
    for (; v > 0x7f || n < width - 1; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    put(r, bytes, (size_t)n);
}

static void put_tag(reducer *r, uint32_t id) { put_varint(r, (uint64_t)id << 3 | TERN__WIRE_BYTES, 0); }

static void put_place(reducer *r, const uint8_t *data, size_t size)
{
    uint8_t place[TERN__WIRE_PLACE];
    uint64_t offset = (uint64_t)(data - r->base), bytes = size;
    for (int i = 0; i < 8; i++) {
        place[i] = (uint8_t)(offset >> (8 * i));
        place[8 + i] = (uint8_t)(bytes >> (8 * i));
    }
    put_tag(r, TERN__WIRE_RAW);
    put_varint(r, sizeof place, 0);
    put(r, place, sizeof place);
    r->cost += sizeof place + FIELD_COST;
}

static tern_status reduce(reducer *r, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t size, int depth);

static tern_status reduce_inner(reducer *r, const ProtobufCMessageDescriptor *d, const tern__wire_field *f, int depth)
{
    put_tag(r, f->id);
    size_t at = r->len;
    r->len += LENGTH_BYTES;
    TERN_TRY(reduce(r, d, f->data, f->size, depth + 1));
    size_t len = r->len - at - LENGTH_BYTES;
    if (len > UINT32_MAX)
        return tern__fail(TERN_E_UNSUPPORTED, "a message of %zu bytes beside its tensors", len);
    r->len = at;
    put_varint(r, len, LENGTH_BYTES);
    r->len += len;
    return TERN_OK;
}

/* A field that changes which function a call means, and that Tern does not follow. */
static tern_status check_overload(const ProtobufCMessageDescriptor *d, const tern__wire_field *f)
{
    bool overload = (d == &onnx__function_proto__descriptor && f->id == 13) || (d == &onnx__node_proto__descriptor && f->id == 8);
    return overload && f->size > 0 ? tern__fail(TERN_E_UNSUPPORTED, "it has overloaded functions (\"%.*s\")", (int)TERN_MIN(f->size, (size_t)64),
                                                (const char *)f->data) : TERN_OK;
}

static tern_status check_size(const reducer *r)
{
    if (r->nodes > MAX_NODES)
        return tern__fail(TERN_E_UNSUPPORTED, "it has more than %d nodes", MAX_NODES);
    size_t most = (size_t)SMALL_FILE + GROWTH * r->len;
    if (r->cost > most)
        return tern__fail(TERN_E_UNSUPPORTED, "its first %zu bytes beside tensors would take more than %zu in memory", r->len, most);
    return TERN_OK;
}

/* One field; w is behind it. */
static tern_status reduce_field(reducer *r, const ProtobufCMessageDescriptor *d, const tern__wire *w, const tern__wire_field *f, uint64_t *seen, int depth)
{
    const ProtobufCFieldDescriptor *fd = protobuf_c_message_descriptor_get_field(d, f->id);
    const ProtobufCMessageDescriptor *in = tern__wire_message(d, f->id);
    if (in && f->type != TERN__WIRE_BYTES)
        return tern__fail(TERN_E_CORRUPT, "byte %zu: field %u must be a message", (size_t)(f->start - r->base), f->id);
    /* Two halves of one message are to be merged, which nobody writes and unpackers get wrong. */
    if (in && fd && fd->label != PROTOBUF_C_LABEL_REPEATED && f->id < 64 && *seen & BIT(f->id))
        return tern__fail(TERN_E_CORRUPT, "byte %zu: field %u is there twice", (size_t)(f->start - r->base), f->id);
    if (f->id < 64)
        *seen |= BIT(f->id);
    if (in)
        return reduce_inner(r, in, f, depth);
    TERN_TRY(check_overload(d, f));
    if (!fd)
        return TERN_OK;
    put(r, f->start, (size_t)(w->at - f->start));
    /* Packed numbers of a byte each become up to eight. */
    r->cost += fd->type == PROTOBUF_C_TYPE_STRING || fd->type == PROTOBUF_C_TYPE_BYTES || f->type != TERN__WIRE_BYTES ? f->size : 8 * f->size;
    return TERN_OK;
}

static tern_status reduce(reducer *r, const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t size, int depth)
{
    if (depth > MAX_DEPTH)
        return tern__fail(TERN_E_UNSUPPORTED, "byte %zu: more than %d messages inside each other", (size_t)(data - r->base), MAX_DEPTH);
    bool tensor = d == &onnx__tensor_proto__descriptor;
    const rule *own = rule_of(d);
    r->nodes += d == &onnx__node_proto__descriptor;
    r->cost += d->sizeof_message + FIELD_COST;
    tern__wire w = {.at = data, .end = data + size};
    uint64_t seen = 0;
    size_t counts[MAX_COUNTED] = {0};
    for (tern__wire_field f; tern__wire_next(&w, &f);) {
        counts[f.id % MAX_COUNTED] += f.id < MAX_COUNTED;
        bool dropped = (tensor && tern__wire_is_elements(f.id)) || (f.id < 64 && own->dropped & BIT(f.id));
        if (!dropped)
            TERN_TRY(reduce_field(r, d, &w, &f, &seen, depth));
        r->cost += dropped ? 0 : FIELD_COST;
        TERN_TRY(check_size(r));
    }
    if (w.wrong)
        return tern__fail(TERN_E_CORRUPT, "byte %zu: %s", (size_t)(w.at - r->base), w.wrong);
    TERN_TRY(check_counts(d, counts));
    if (tensor)
        put_place(r, data, size);
    for (uint32_t id = 1; id < 64; id++)
        if (own->named & ~seen & BIT(id)) {
            put_tag(r, id);
            put_varint(r, 0, 0);
            r->cost += FIELD_COST;
        }
    return TERN_OK;
}

tern_status tern__wire_reduce(const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *root, uint8_t **out, size_t *out_size, size_t *memory)
{
    reducer r = {.base = data};
    TERN_TRY(reduce(&r, root, data, size, 0));
    size_t len = r.len;
    r = (reducer){.base = data, .out = tern__alloc(len)};
    if (!r.out)
        return tern__fail(TERN_E_NOMEM, "no memory for %zu bytes of messages", len);
    tern_status st = reduce(&r, root, data, size, 0);
    if (st != TERN_OK) {
        tern__free(r.out);
        return st;
    }
    *out = r.out;
    *out_size = r.len;
    *memory = r.cost;
    return TERN_OK;
}
