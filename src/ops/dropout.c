/* dropout: elements zeroed at random while training (Srivastava et al. 2014). */
#include "base/philox.h"
#include "ops/random.h"

enum { P, SEED };
static const tern__attr_decl attrs[] = {
    {.name = "p", .type = TERN_ATTR_FLOAT, .def = 0.5},
    {.name = "seed", .type = TERN_ATTR_INT},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    const double p = tern__attr_float(n, P);
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__need_step(n, in, 1));
    if (!(p >= 0 && p < 1))
        return tern__fail(TERN_E_INVALID, "dropout: p %g is not in [0, 1)", p);
    return tern__infer_same(n, in, out);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const double p = tern__attr_float(n, P);
    const uint64_t seed = (uint64_t)tern__attr_int(n, SEED), stream = (uint64_t)tern__array_get_int(&in[1], 0);
    const int64_t elems = tern__elems(&out[0].type.shape);
    for (int64_t i = 0; i < elems; i++) {
        const bool keep = tern__philox_uniform(seed, stream, (uint64_t)i) >= (float)p;
        tern__array_set(&out[0], i, keep ? tern__array_get(&in[0], i) / (1 - p) : 0);
    }
    return TERN_OK;
}

/* The same mask, drawn anew from the same counters, on dy. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern_graph_op2(g, "dropout", dy[0], n->in[1], TERN_ATTRS(TERN_FLOAT("p", tern__attr_float(n, P)), TERN_INT("seed", tern__attr_int(n, SEED))));
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const double p = tern__attr_float(n, P);
    const tern_shape s = *tern__shape_of(g, in[0]);
    tern_value u = tern_graph_op1(g, "random_uniform", in[1], TERN_ATTRS(TERN_INTS("shape", s.dim, s.rank), TERN_INT("seed", tern__attr_int(n, SEED))));
    tern_value keep = tern__compare(g, "greater_equal", u, p);
    out[0] = tern__where(g, keep, tern__mul_scalar(g, in[0], 1 / (1 - p)), tern__like(g, in[0], 0));
    return TERN_OK;
}

TERN_OP(dropout) = {
    .name = "dropout",
    .doc = "y = x / (1 - p) with probability 1 - p, else 0, by Philox with key seed and stream step (Srivastava et al. 2014); for training only",
    .onnx = "Dropout",
    .onnx_since = 12,
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
