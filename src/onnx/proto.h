/* ONNX files in memory: the model's message, and its tensors without a second copy. */
#ifndef TERN_ONNX_PROTO_H
#define TERN_ONNX_PROTO_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

typedef struct tern__onnx_file tern__onnx_file;

/* Maps a model file, cuts the large raw_data fields out of the wire bytes (they stay in the mapping) and unpacks the rest under a byte
 * limit. TERN_E_NOT_FOUND, TERN_E_IO, TERN_E_CORRUPT with what is wrong, TERN_E_NOMEM. */
tern_status tern__onnx_file_open(const char *path, tern__onnx_file **out);
void tern__onnx_file_close(tern__onnx_file *f); /* NULL is fine; blobs that borrow the mapping keep it alive */
const Onnx__ModelProto *tern__onnx_file_model(const tern__onnx_file *f);

/* A tensor's type and bytes, whatever the encoding: raw, typed fields, external data (a path inside the model's own folder), large raw data left
 * in the mapping. f NULL: a tensor that came without a file. The caller releases *out. Strings are TERN_E_UNSUPPORTED, bytes that do not
 * fit the shape TERN_E_CORRUPT. */
tern_status tern__onnx_tensor(tern__onnx_file *f, const Onnx__TensorProto *t, tern__type *type, tern__blob **out);

/* ONNX's element type as Tern's and back. TERN_E_UNSUPPORTED names the type ("string", "complex64", "float8e4m3fn"). */
tern_status tern__onnx_dtype(int32_t onnx, tern_dtype *out);
int32_t tern__onnx_dtype_number(tern_dtype t);

#endif
