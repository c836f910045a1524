/* momentum: the gradient step with a velocity (Polyak 1964), optionally looking ahead (Nesterov 1983, as in Sutskever et al. 2013). */
#include "base/status.h"
#include "ops/update.h"

/* p, grad, m [any shape], lr [] f32 -> p, m */
static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    return tern__infer_update(n, in, 3, out);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const double mu = tern__attr_float(n, 0), decay = tern__attr_float(n, 2), lr = tern__array_get(&in[3], 0);
    for (int64_t i = 0; i < tern__elems(&in[0].type.shape); i++) {
        double p = tern__array_get(&in[0], i), d = tern__array_get(&in[1], i) + decay * p;
        double m = mu * tern__array_get(&in[2], i) + d;
        tern__array_set(&out[0], i, p - lr * (tern__attr_int(n, 1) ? d + mu * m : m));
        tern__array_set(&out[1], i, m);
    }
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const double mu = tern__attr_float(n, 0);
    tern_value d = tern__decayed(g, in[0], in[1], tern__attr_float(n, 2));
    tern_value m = tern__add(g, tern__mul_scalar(g, in[2], mu), d);
    tern_value step = tern__attr_int(n, 1) ? tern__add(g, d, tern__mul_scalar(g, m, mu)) : m;
    out[0] = tern__sub(g, in[0], tern__mul(g, tern__number_for(g, in[0], in[3]), step));
    out[1] = m;
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "momentum", .type = TERN_ATTR_FLOAT, .def = 0.9},
    {.name = "nesterov", .type = TERN_ATTR_INT},
    {.name = "weight_decay", .type = TERN_ATTR_FLOAT},
};

TERN_OP(momentum) = {
    .name = "momentum",
    .doc = "m' = momentum m + g + weight_decay p; p' = p - lr m', with nesterov p - lr (g + weight_decay p + momentum m')",
    .trait = TERN__COMPOSITE,
    .min_in = 4,
    .max_in = 4,
    .n_out = 2,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
};
