/* ONNX files in memory: the model's message, and its tensors without a second copy. */
#ifndef TERN_ONNX_PROTO_H
#define TERN_ONNX_PROTO_H

#include "graph/graph.h"
#include "onnx.pb-c.h"

typedef struct tern__onnx_file tern__onnx_file;

/* Maps a model file, leaves the elements of all tensors where they are and unpacks the rest under a byte limit. In the messages
 * - raw_data and the typed fields of a TensorProto mean nothing: tern__onnx_tensor knows where its elements are;
 * - name, op_type and domain of a node, and the names of attributes, values, tensors, graphs, functions and opsets are never NULL;
 * - a bytes field (a string attribute) is followed by a NUL; if it is empty its data is NULL;
 * - there is a graph; documentation strings below the model's own are left out.
 * TERN_E_NOT_FOUND, TERN_E_IO, TERN_E_CORRUPT with what is wrong, TERN_E_UNSUPPORTED for what is too deep or too much, TERN_E_NOMEM. */
tern_status tern__onnx_file_open(const char *path, tern__onnx_file **out);
void tern__onnx_file_close(tern__onnx_file *f); /* NULL is fine; blobs that borrow the mapping keep it alive */
const Onnx__ModelProto *tern__onnx_file_model(const tern__onnx_file *f);

/* A file that holds another message, by its descriptor, and bytes that somebody else keeps until the file is closed. folder: where external
 * data is looked for, NULL for nowhere. */
tern_status tern__onnx_file_open_as(const char *path, const ProtobufCMessageDescriptor *root, tern__onnx_file **out);
tern_status tern__onnx_file_parse(const uint8_t *data, size_t size, const char *folder, const ProtobufCMessageDescriptor *root, tern__onnx_file **out);
const ProtobufCMessage *tern__onnx_file_message(const tern__onnx_file *f);

/* Default values of a function's attributes (IR version 9 on; fn->attribute names those without). Borrowed; NULL and 0 if there are none. */
const Onnx__AttributeProto *const *tern__onnx_function_defaults(const tern__onnx_file *f, const Onnx__FunctionProto *fn, size_t *n);

/* A tensor's type and bytes, whatever the encoding: raw, typed fields, external data (a path inside the model's own folder). Large elements that
 * lie as they should stay in the mapping. f NULL: a tensor that came without a file, whose fields are then looked at. The caller releases *out.
 * Strings are TERN_E_UNSUPPORTED, bytes that do not fit the shape TERN_E_CORRUPT. */
tern_status tern__onnx_tensor(tern__onnx_file *f, const Onnx__TensorProto *t, tern__type *type, tern__blob **out);
/* The same, dense, for a sparse tensor; its name is that of its values. */
tern_status tern__onnx_sparse_tensor(tern__onnx_file *f, const Onnx__SparseTensorProto *t, tern__type *type, tern__blob **out);

/* ONNX's element type as Tern's and back. TERN_E_UNSUPPORTED names the type ("string", "complex64", "float8e4m3fn"). */
tern_status tern__onnx_dtype(int32_t onnx, tern_dtype *out);
int32_t tern__onnx_dtype_number(tern_dtype t);

#endif
