/* What losses of a prediction against a target of the same shape share. */
#ifndef TERN_OPS_LOSS_H
#define TERN_OPS_LOSS_H

#include "ops/common.h"

/* Slot 0 of every such loss. */
enum { TERN__LOSS_REDUCTION };
#define TERN__LOSS_ATTRS {.name = "reduction", .type = TERN_ATTR_STRING, .def_s = "mean"}

/* A scalar, or with reduction "none" the shape of both inputs. */
tern_status tern__infer_loss(const tern__node *n, const tern__type *in, tern__type *out);
/* Applies each to every pair, then the reduction. */
tern_status tern__ref_loss(const tern__node *n, const tern__array *in, const tern__array *out,
                           double (*each)(double prediction, double target, double param), double param);
/* The reduction of per-element losses (wide), back in dtype t. */
tern_value tern__reduce_loss(tern_graph *g, const tern__node *n, tern_value each, tern_dtype t);

#endif
