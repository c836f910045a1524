/* Protocol-buffer bytes as they lie in a file: fields one after the other, and messages without their tensors' elements. */
#ifndef TERN_ONNX_WIRE_H
#define TERN_ONNX_WIRE_H

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>
#include <tern/base.h>

/* Bytes being read, and the first thing that was wrong with them. */
typedef struct tern__wire {
    const uint8_t *at, *end;
    const char *wrong; /* NULL: nothing so far */
} tern__wire;

enum { TERN__WIRE_VARINT = 0, TERN__WIRE_FIXED64 = 1, TERN__WIRE_BYTES = 2, TERN__WIRE_FIXED32 = 5 };

typedef struct tern__wire_field {
    uint32_t id;
    int type;
    uint64_t number;     /* VARINT, FIXED32, FIXED64 */
    const uint8_t *data; /* BYTES */
    size_t size;
    const uint8_t *start; /* with its tag; it ends where the wire is then at */
} tern__wire_field;

/* The next field; false at the end and where something is wrong. */
bool tern__wire_next(tern__wire *w, tern__wire_field *f);
bool tern__wire_varint(tern__wire *w, uint64_t *v);
uint64_t tern__wire_fixed(const uint8_t *p, int bytes);

/* Fields of a TensorProto that hold elements. */
enum { TERN__WIRE_FLOATS = 4, TERN__WIRE_INT32S = 5, TERN__WIRE_STRINGS = 6, TERN__WIRE_INT64S = 7, TERN__WIRE_RAW = 9, TERN__WIRE_DOUBLES = 10,
       TERN__WIRE_UINT64S = 11 };
bool tern__wire_is_elements(uint32_t id);

/* The message that field id of a message holds; NULL if it is none. */
const ProtobufCMessageDescriptor *tern__wire_message(const ProtobufCMessageDescriptor *d, uint32_t id);

/* More than this is refused. */
enum {
    TERN__ONNX_MAX_PORTS = 4096,      /* inputs or outputs of a graph; weights that are listed as inputs do not count */
    TERN__ONNX_MAX_DOMAINS = 100,     /* every node looks its own up in a list */
    TERN__ONNX_MAX_FUNCTIONS = 100000,
};

/* A tensor's place in the original bytes, as its raw_data in the reduced message. */
enum { TERN__WIRE_PLACE = 16 };
void tern__wire_place_read(const uint8_t place[TERN__WIRE_PLACE], uint64_t *offset, uint64_t *size);

/* Copies a message without elements of tensors, documentation and fields that its descriptor lacks: the raw_data of each tensor says instead where in
 * data the whole tensor lies. Names that a message lacks are there as empty text. Refuses what a hostile file would make large or deep. *memory is
 * about what unpacking takes. *out is the caller's. TERN_E_CORRUPT, TERN_E_UNSUPPORTED, TERN_E_NOMEM. */
tern_status tern__wire_reduce(const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *root, uint8_t **out, size_t *out_size, size_t *memory);

#endif
