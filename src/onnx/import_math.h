/* What the importers of arithmetic, reductions, losses and signals share. */
#ifndef TERN_ONNX_IMPORT_MATH_H
#define TERN_ONNX_IMPORT_MATH_H

#include "onnx/import.h"

/* The first `least` inputs are given, and there are at most `most` (-1: any number). */
tern_status tern__onnx_need(const tern__onnx_node *n, int least, int most);
/* Input i, which must have one element, as a rank-0 value of this dtype. */
tern_status tern__onnx_scalar_in(tern__onnx_node *n, int i, tern_dtype t, tern_value *out);
/* The one number in input i; def where it is missing. */
tern_status tern__onnx_read_int(tern__onnx_node *n, int i, int64_t def, int64_t *out);
tern_status tern__onnx_read_float(tern__onnx_node *n, int i, double def, double *out);
/* A dtype attribute in ONNX's numbering; def where the node does not give it. TERN_E_UNSUPPORTED names a type that Tern lacks. */
tern_status tern__onnx_attr_dtype(tern__onnx_node *n, const char *name, tern_dtype def, tern_dtype *out);
/* A floating-point type that holds the integers of t (64-bit ones up to 2^53); t itself if it is floating point. */
tern_dtype tern__onnx_float_for(tern_dtype t);

#endif
