/* sgd: the plain gradient step. */
#include "base/status.h"
#include "ops/update.h"

/* p, grad [any shape], lr [] f32 -> p */
static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    return tern__infer_update(n, in, 2, out);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const double decay = tern__attr_float(n, 0), lr = tern__array_get(&in[2], 0);
    for (int64_t i = 0; i < tern__elems(&in[0].type.shape); i++) {
        double p = tern__array_get(&in[0], i);
        tern__array_set(&out[0], i, p - lr * (tern__array_get(&in[1], i) + decay * p));
    }
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_value step = tern__decayed(g, in[0], in[1], tern__attr_float(n, 0));
    out[0] = tern__sub(g, in[0], tern__mul(g, tern__number_for(g, in[0], in[2]), step));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {{.name = "weight_decay", .type = TERN_ATTR_FLOAT}};

TERN_OP(sgd) = {
    .name = "sgd",
    .doc = "p - lr (g + weight_decay p)",
    .trait = TERN__COMPOSITE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
};
