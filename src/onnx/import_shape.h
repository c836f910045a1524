/* What the importers of shape operators and of index operators share: results of no elements, and reshaping that is not afraid of them. */
#ifndef TERN_ONNX_IMPORT_SHAPE_H
#define TERN_ONNX_IMPORT_SHAPE_H

#include "onnx/import_math.h"
#include "ops/common.h"

/* Output i is v; one without elements becomes a constant, which no kernel need make. Returns the graph's state. */
tern_status tern__onnx_put(tern__onnx_node *n, int i, tern_value v);
/* v under another shape of as many elements; extents of 0 mean 0. */
tern_value tern__onnx_reshaped(tern__onnx_node *n, tern_value v, const tern_shape *s);
/* Bit mask of distinct axes. */
tern_status tern__onnx_axes_of(const tern__onnx_node *n, const int64_t *axes, int count, int rank, unsigned *mask);
/* Elements start, start + step, ... before end along one axis. */
tern_value tern__onnx_cut_axis(tern_graph *g, tern_value v, int axis, int64_t start, int64_t end, int64_t step);
/* 0, 1, ... along an axis of a tensor of this rank, whose other extents are 1. */
tern_value tern__onnx_iota(tern_graph *g, int rank, int axis, int64_t extent);
/* The list in input i, or in the attribute where the version has one. *count -1: neither is given. */
tern_status tern__onnx_list(tern__onnx_node *n, const char *attr, int input, const int64_t **v, int *count);

/* Handlers of the shape table that have files of their own. */
tern_status tern__onnx_pad(tern__onnx_node *n);                 /* import_pad.c */
tern_status tern__onnx_center_crop_pad(tern__onnx_node *n);
tern_status tern__onnx_depth_to_space(tern__onnx_node *n);      /* import_blocks.c */
tern_status tern__onnx_space_to_depth(tern__onnx_node *n);
tern_status tern__onnx_col2im(tern__onnx_node *n);

#endif
