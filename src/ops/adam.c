/* adam: steps scaled by running moments of the gradient (Kingma and Ba 2015), weight decay decoupled (Loshchilov and Hutter 2019). */
#include <math.h>

#include "base/status.h"
#include "ops/update.h"

enum { BETA1, BETA2, EPS, DECAY };

/* p, grad, m, v [any shape], lr, step [] f32 -> p, m, v; step counts from 1. */
static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    for (int k = BETA1; k <= BETA2; k++)
        if (!(tern__attr_float(n, k) >= 0 && tern__attr_float(n, k) < 1))
            return tern__fail(TERN_E_INVALID, "adam: beta%d is %g, it must be at least 0 and below 1", k + 1, tern__attr_float(n, k));
    return tern__infer_update(n, in, 4, out);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const double b1 = tern__attr_float(n, BETA1), b2 = tern__attr_float(n, BETA2), eps = tern__attr_float(n, EPS);
    const double lr = tern__array_get(&in[4], 0), step = tern__array_get(&in[5], 0);
    const double c1 = 1 - pow(b1, step), c2 = 1 - pow(b2, step);
    for (int64_t i = 0; i < tern__elems(&in[0].type.shape); i++) {
        double p = tern__array_get(&in[0], i), d = tern__array_get(&in[1], i);
        double m = b1 * tern__array_get(&in[2], i) + (1 - b1) * d;
        double v = b2 * tern__array_get(&in[3], i) + (1 - b2) * d * d;
        tern__array_set(&out[0], i, p - lr * tern__attr_float(n, DECAY) * p - lr * (m / c1) / (sqrt(v / c2) + eps));
        tern__array_set(&out[1], i, m);
        tern__array_set(&out[2], i, v);
    }
    return TERN_OK;
}

/* 1 - beta^step. Written with expm1: in f32 the difference would lose four digits at the first step of beta 0.999. */
static tern_value bias_correction(tern_graph *g, tern_value step, double beta)
{
    if (beta == 0)
        return tern__like(g, step, 1);
    return tern__neg(g, tern__unary(g, "expm1", tern__mul_scalar(g, step, log(beta))));
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const double b1 = tern__attr_float(n, BETA1), b2 = tern__attr_float(n, BETA2), decay = tern__attr_float(n, DECAY);
    tern_value p = in[0], d = in[1], lr = in[4];
    tern_value m = tern__add(g, tern__mul_scalar(g, in[2], b1), tern__mul_scalar(g, d, 1 - b1));
    tern_value v = tern__add(g, tern__mul_scalar(g, in[3], b2), tern__mul(g, tern__mul_scalar(g, d, 1 - b2), d));
    /* Numbers of rank 0 are worked out once; per element remain a square root and a division. */
    tern_value rate = tern__number_for(g, p, tern__div(g, lr, bias_correction(g, in[5], b1)));
    tern_value root = tern__number_for(g, p, tern__unary(g, "rsqrt", bias_correction(g, in[5], b2)));
    tern_value size = tern__add_scalar(g, tern__mul(g, tern__unary(g, "sqrt", v), root), tern__attr_float(n, EPS));
    if (decay != 0)
        p = tern__mul(g, p, tern__number_for(g, p, tern__add_scalar(g, tern__mul_scalar(g, lr, -decay), 1)));
    out[0] = tern__sub(g, p, tern__div(g, tern__mul(g, rate, m), size));
    out[1] = m;
    out[2] = v;
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "beta1", .type = TERN_ATTR_FLOAT, .def = 0.9},
    {.name = "beta2", .type = TERN_ATTR_FLOAT, .def = 0.999},
    {.name = "eps", .type = TERN_ATTR_FLOAT, .def = 1e-8},
    {.name = "weight_decay", .type = TERN_ATTR_FLOAT},
};

TERN_OP(adam) = {
    .name = "adam",
    .doc = "m' = beta1 m + (1 - beta1) g; v' = beta2 v + (1 - beta2) g^2; "
           "p' = p (1 - lr weight_decay) - lr (m' / (1 - beta1^step)) / (sqrt(v' / (1 - beta2^step)) + eps)",
    .trait = TERN__COMPOSITE,
    .min_in = 6,
    .max_in = 6,
    .n_out = 3,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
};
