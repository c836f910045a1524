/* Handlers of the index table that have files of their own. */
#ifndef TERN_ONNX_IMPORT_INDEX_H
#define TERN_ONNX_IMPORT_INDEX_H

#include "onnx/import.h"

tern_status tern__onnx_einsum(tern__onnx_node *n);              /* import_einsum.c */
tern_status tern__onnx_tf_idf(tern__onnx_node *n);              /* import_ngram.c */
tern_status tern__onnx_host_nonzero(tern__onnx_host *h);        /* host_index.c */
tern_status tern__onnx_host_compress(tern__onnx_host *h);
tern_status tern__onnx_host_unique(tern__onnx_host *h);
tern_status tern__onnx_host_suppression(tern__onnx_host *h);

#endif
