/* What the files that read ONNX bytes share: a mapping that blobs can hold on to, and an open file. */
#ifndef TERN_ONNX_FILE_IMPL_H
#define TERN_ONNX_FILE_IMPL_H

#include "base/file.h"
#include "onnx/proto.h"

/* A mapped file, counted: the open file and every blob over its bytes hold it. */
typedef struct tern__onnx_mapping {
    int refs; /* atomic */
    tern__file_map map;
} tern__onnx_mapping;
tern__onnx_mapping *tern__onnx_mapping_retain(tern__onnx_mapping *m);
void tern__onnx_mapping_release(void *m); /* NULL is fine */

/* Memory of unpacked messages: freed all at once, and never more than a limit. */
typedef struct tern__onnx_arena {
    struct tern__onnx_chunk *chunks; /* the first one is being filled */
    struct tern__onnx_large *large;  /* those with a block of their own */
    size_t used, limit;
    bool refused;                    /* something was not given */
} tern__onnx_arena;

typedef struct tern__onnx_external {
    char *location;
    tern__onnx_mapping *mapping;
} tern__onnx_external;

typedef struct tern__onnx_defaults {
    const Onnx__FunctionProto *fn;
    const Onnx__AttributeProto **attrs;
    size_t n;
} tern__onnx_defaults;

struct tern__onnx_file {
    char *path, *folder;
    tern__onnx_mapping *mapping; /* NULL: data is somebody else's, and is copied */
    const uint8_t *data;
    size_t size;
    tern__onnx_arena arena;
    ProtobufCMessage *root;
    tern__onnx_defaults *defaults;
    size_t n_defaults;
    tern__onnx_external *externals;
    int n_externals, cap_externals;
};

/* The file of external data by its location; borrowed. */
tern_status tern__onnx_file_external(tern__onnx_file *f, const char *location, tern__onnx_mapping **out);

#endif
