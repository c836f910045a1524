/* What the optimisers' update ops share. */
#ifndef TERN_OPS_UPDATE_H
#define TERN_OPS_UPDATE_H

#include "ops/op.h"

/* Inputs: n_same arrays of one floating-point type (the parameter, its gradient, its moments), then rank-0 f32 numbers. Outputs
 * are of the parameter's type. */
tern_status tern__infer_update(const tern__node *n, const tern__type *in, int n_same, tern__type *out);
/* A rank-0 number in p's dtype, so that it broadcasts over p. */
tern_value tern__number_for(tern_graph *g, tern_value p, tern_value number);
/* dp = g + weight_decay * p; g itself without decay. */
tern_value tern__decayed(tern_graph *g, tern_value p, tern_value grad, double weight_decay);

#endif
