/* l1_loss: absolute error. */
#include <math.h>

#include "ops/loss.h"

static const tern__attr_decl attrs[] = {TERN__LOSS_ATTRS};

static double each(double prediction, double target, double param)
{
    (void)param;
    return fabs(prediction - target);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_loss(n, in, out, each, 0);
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_value d = tern__sub(g, tern__widen(g, in[0]), tern__widen(g, in[1]));
    tern_value each_loss = tern__unary(g, "abs", d);
    out[0] = tern__reduce_loss(g, n, each_loss, tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(l1_loss) = {
    .name = "l1_loss",
    .doc = "y = mean (or sum, or neither, by reduction) of |prediction - target|",
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
