/* What softmax, log_softmax and the cross-entropy share. */
#ifndef TERN_OPS_SOFTMAX_H
#define TERN_OPS_SOFTMAX_H

#include "ops/common.h"

extern const tern__attr_decl tern__softmax_attrs[1]; /* axis */

tern_status tern__infer_softmax(const tern__node *n, const tern__type *in, tern__type *out);
/* The axis as a mask over x's rank. */
unsigned tern__softmax_mask(const tern_graph *g, const tern__node *n, tern_value x);
tern_status tern__ref_softmax(const tern__node *n, const tern__array *in, const tern__array *out, bool is_log);
/* log(sum of exp) of len elements, step apart, without overflow. */
double tern__ref_logsumexp(const tern__array *a, int64_t first, int64_t step, int64_t len);

#endif
