/* batch_norm: normalisation of each channel by the batch's statistics, for training (Ioffe and Szegedy 2015). */
#include "ops/norm.h"

enum { EPS };
static const tern__attr_decl attrs[] = {{.name = "eps", .type = TERN_ATTR_FLOAT, .def = 1e-5}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char text[TERN__SHAPE_TEXT];
    TERN_TRY(tern__need_floats(n, in));
    TERN_TRY(tern__need_eps(n, EPS));
    TERN_TRY(tern__need_rank(n, in, 0, 2, TERN_MAX_RANK));
    const tern_shape *s = &in[0].shape;
    for (int i = 1; i < 3; i++)
        TERN_TRY(tern__need_vector(n, in, i, s->dim[1], "channel"));
    if (tern__extent_of(s, tern__all_but(s->rank, 1)) == 0)
        return tern__fail(TERN_E_SHAPE, "batch_norm: %s has no elements to take statistics of", tern__shape_text(s, text));
    const tern_shape channels = {.rank = 1, .dim = {s->dim[1]}};
    out[0] = tern__plain(in[0].dtype, s);
    out[1] = out[2] = tern__plain(in[0].dtype, &channels);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[0].type.shape;
    const tern__norm_ref r = {.mask = tern__all_but(s->rank, 1), .affine = 1u << 1, .eps = tern__attr_float(n, EPS), .centred = true,
                              .gamma = &in[1], .beta = &in[2], .mean = &out[1], .var = &out[2]};
    return tern__ref_norm(&r, &in[0], s, &out[0]);
}

static tern__norm start(tern_graph *g, const tern__node *n, const tern_value *in)
{
    const int rank = tern__shape_of(g, in[0])->rank;
    tern__norm b = {.mask = tern__all_but(rank, 1), .eps = tern__attr_float(n, EPS), .centred = true, .x = tern__widen(g, in[0])};
    b.gamma = tern__per_channel(g, tern__widen(g, in[1]), rank);
    tern__norm_stats(g, &b);
    return b;
}

/* Where the statistics themselves are differentiated: d mean / dx = 1/n, d var / dx = 2 (x - mean) / n. */
static tern_value through_stats(tern_graph *g, const tern__norm *b, tern_value dx, tern_value dmean, tern_value dvar)
{
    const int rank = tern__shape_of(g, b->x)->rank;
    tern_value count = tern__count(g, b->x, b->mask, tern__dtype_of(g, b->x));
    if (dmean != TERN_NONE)
        dx = tern__add(g, dx, tern__div(g, tern__per_channel(g, tern__widen(g, dmean), rank), count));
    if (dvar != TERN_NONE) {
        tern_value d = tern__mul_scalar(g, tern__div(g, tern__per_channel(g, tern__widen(g, dvar), rank), count), 2);
        dx = tern__add(g, dx, tern__mul(g, b->xc, d));
    }
    return dx;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const tern__norm b = start(g, n, n->in);
    const tern_dtype t = tern__dtype_of(g, n->in[0]);
    tern_value d = tern__widen(g, dy[0] != TERN_NONE ? dy[0] : tern__zeros_like(g, n->out[0]));
    TERN_TRY(tern_graph_check(g));
    dx[0] = tern__cast(g, through_stats(g, &b, tern__norm_grad(g, &b, d), dy[1], dy[2]), t);
    dx[1] = tern__norm_param_grad(g, tern__mul(g, d, b.xhat), b.mask, t);
    dx[2] = tern__norm_param_grad(g, d, b.mask, t);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern__norm b = start(g, n, in);
    const tern_dtype t = tern__dtype_of(g, in[0]);
    tern_value beta = tern__per_channel(g, tern__widen(g, in[2]), tern__shape_of(g, in[0])->rank);
    out[0] = tern__cast(g, tern__norm_apply(g, &b, beta), t);
    out[1] = tern__cast(g, tern__squeeze(g, b.mean, b.mask), t);
    out[2] = tern__cast(g, tern__squeeze(g, b.var, b.mask), t);
    return TERN_OK;
}

TERN_OP(batch_norm) = {
    .name = "batch_norm",
    .doc = "y = (x - mean) / sqrt(var + eps) * gamma + beta, and mean and var: the batch's, over all axes but 1, the variance divided by the number "
           "of elements (Ioffe and Szegedy 2015); for training",
    .onnx = "BatchNormalization",
    .onnx_since = 15,
    .trait = TERN__COMPOSITE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 3,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
