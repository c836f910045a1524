/* group_norm: normalisation of groups of channels of each sample (Wu and He 2018). */
#include <inttypes.h>

#include "ops/norm.h"

enum { GROUPS, EPS };
static const tern__attr_decl attrs[] = {
    {.name = "groups", .type = TERN_ATTR_INT, .required = true},
    {.name = "eps", .type = TERN_ATTR_FLOAT, .def = 1e-5},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    const int64_t groups = tern__attr_int(n, GROUPS);
    TERN_TRY(tern__need_floats(n, in));
    TERN_TRY(tern__need_eps(n, EPS));
    TERN_TRY(tern__need_rank(n, in, 0, 2, TERN_MAX_RANK));
    if (groups < 1 || in[0].shape.dim[1] % groups)
        return tern__fail(TERN_E_SHAPE, "group_norm: %" PRId64 " channels do not make %" PRId64 " groups", in[0].shape.dim[1], groups);
    for (int i = 1; i < n->n_in; i++)
        TERN_TRY(tern__need_vector(n, in, i, in[0].shape.dim[1], "channel"));
    return tern__infer_same(n, in, out);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[0].type.shape;
    const int64_t groups = tern__attr_int(n, GROUPS);
    /* Seen as [N, G, C/G, S]: statistics over the last two, gamma and beta along the middle two. */
    const tern_shape as = {.rank = 4, .dim = {s->dim[0], groups, s->dim[1] / groups, tern__extent(s, 2, s->rank)}};
    const tern__norm_ref r = {.mask = 0xc, .affine = 0x6, .eps = tern__attr_float(n, EPS), .centred = true,
                              .gamma = tern__has_input(n, 1) ? &in[1] : NULL, .beta = tern__has_input(n, 2) ? &in[2] : NULL};
    return tern__ref_norm(&r, &in[0], &as, &out[0]);
}

/* A per-channel vector [C] as [1, G, C/G, 1]. */
static tern_value grouped(tern_graph *g, const tern__node *n, tern_value v)
{
    const int64_t shape[4] = {1, tern__attr_int(n, GROUPS), -1, 1};
    return v == TERN_NONE ? v : tern_graph_op1(g, "reshape", v, TERN_ATTRS(TERN_INTS("shape", shape, 4)));
}

static tern_value as_groups(tern_graph *g, const tern__node *n, tern_value v)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const tern_shape *s = tern__shape_of(g, v);
    const int64_t groups = tern__attr_int(n, GROUPS);
    const tern_shape as = {.rank = 4, .dim = {s->dim[0], groups, s->dim[1] / groups, tern__extent(s, 2, s->rank)}};
    return tern__reshape(g, v, &as);
}

static tern__norm start(tern_graph *g, const tern__node *n, const tern_value *in)
{
    tern__norm b = {.mask = 0xc, .eps = tern__attr_float(n, EPS), .centred = true};
    b.x = as_groups(g, n, tern__widen(g, in[0]));
    b.gamma = grouped(g, n, tern__norm_input(g, n, in, 1));
    tern__norm_stats(g, &b);
    return b;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern__norm b = start(g, n, in);
    tern_value y = tern__norm_apply(g, &b, grouped(g, n, tern__norm_input(g, n, in, 2)));
    out[0] = tern__cast(g, tern__reshape_as(g, y, in[0]), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(group_norm) = {
    .name = "group_norm",
    .doc = "y = (x - mean) / sqrt(var + eps) * gamma + beta, mean and variance of each sample over groups of neighbouring channels; gamma and beta "
           "for each channel (Wu and He 2018)",
    .onnx = "GroupNormalization",
    .onnx_since = 21,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
};
