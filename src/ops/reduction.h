/* What the reductions share: attributes, shape rule with a check of dtypes, gradients' pieces. */
#ifndef TERN_OPS_REDUCTION_H
#define TERN_OPS_REDUCTION_H

#include "ops/common.h"

enum { TERN__REDUCE_AXES, TERN__REDUCE_KEEPDIMS };
extern const tern__attr_decl tern__reduce_attrs[2];

/* Shape rules: any number, only floating point, and those that need at least one element along the axes. */
tern_status tern__infer_reduce_num(const tern__node *n, const tern__type *in, tern__type *out);
tern_status tern__infer_reduce_float(const tern__node *n, const tern__type *in, tern__type *out);
tern_status tern__infer_reduce_some(const tern__node *n, const tern__type *in, tern__type *out);
/* argmax, argmin: one axis or all. */
tern_status tern__infer_reduce_index(const tern__node *n, const tern__type *in, tern__type *out);

/* Reference by a fold over the axes of the node. */
tern_status tern__ref_reduce(const tern__node *n, const tern__array *in, const tern__array *out, const tern__fold *f);
/* Index of the first element of each slice that none beats. better(b, a): b, which comes later, replaces a. */
tern_status tern__ref_arg(const tern__node *n, const tern__array *in, const tern__array *out, bool largest);

/* In a gradient: the mask of reduced axes of in[0]; and a value of the output's shape (dy, y) with its axes put back. */
unsigned tern__grad_mask(const tern_graph *g, const tern__node *n);
tern_value tern__grad_keep(tern_graph *g, const tern__node *n, tern_value v);
/* Gradient of max and min: shared equally between the elements that are the best. */
tern_status tern__grad_best(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx);

#endif
