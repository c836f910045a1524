/* huber: squared near zero, absolute farther out (Huber 1964). */
#include <math.h>

#include "ops/loss.h"

enum { DELTA = 1 };
static const tern__attr_decl attrs[] = {TERN__LOSS_ATTRS, {.name = "delta", .type = TERN_ATTR_FLOAT, .def = 1}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    const double delta = tern__attr_float(n, DELTA);
    if (!(delta > 0))
        return tern__fail(TERN_E_INVALID, "huber: delta %g must be above 0", delta);
    return tern__infer_loss(n, in, out);
}

static double each(double prediction, double target, double param)
{
    const double d = fabs(prediction - target);
    return d <= param ? 0.5 * d * d : param * (d - 0.5 * param);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_loss(n, in, out, each, tern__attr_float(n, DELTA));
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const double delta = tern__attr_float(n, DELTA);
    /* With c = min(|d|, delta) both branches are c (|d| - c / 2). */
    tern_value d = tern__sub(g, tern__widen(g, in[0]), tern__widen(g, in[1]));
    tern_value a = tern__unary(g, "abs", d), c = tern_graph_op2(g, "min", a, tern__like(g, a, delta), NULL);
    tern_value each_loss = tern__mul(g, c, tern__sub(g, a, tern__mul_scalar(g, c, 0.5)));
    out[0] = tern__reduce_loss(g, n, each_loss, tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(huber) = {
    .name = "huber",
    .doc = "y = mean (or sum, or neither, by reduction) of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), d = prediction - target",
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
};
