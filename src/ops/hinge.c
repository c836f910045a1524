/* hinge: hinge loss of a margin classifier. */
#include <math.h>

#include "ops/loss.h"

static const tern__attr_decl attrs[] = {TERN__LOSS_ATTRS};

static double each(double prediction, double target, double param)
{
    (void)param;
    return fmax(0, 1 - prediction * target);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_loss(n, in, out, each, 0);
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_value margin = tern__mul(g, tern__widen(g, in[0]), tern__widen(g, in[1]));
    tern_value each_loss = tern__unary(g, "relu", tern__add_scalar(g, tern__neg(g, margin), 1));
    out[0] = tern__reduce_loss(g, n, each_loss, tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(hinge) = {
    .name = "hinge",
    .doc = "y = mean (or sum, or neither, by reduction) of max(0, 1 - prediction * target), target 1 or -1",
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = tern__infer_loss,
    .ref = ref,
    .expand = expand,
};
