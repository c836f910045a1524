/* instance_norm: normalisation of each channel of each sample (Ulyanov et al. 2016). */
#include "ops/norm.h"

enum { EPS };
static const tern__attr_decl attrs[] = {{.name = "eps", .type = TERN_ATTR_FLOAT, .def = 1e-5}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    TERN_TRY(tern__need_floats(n, in));
    TERN_TRY(tern__need_eps(n, EPS));
    TERN_TRY(tern__need_rank(n, in, 0, 3, TERN_MAX_RANK));
    for (int i = 1; i < n->n_in; i++)
        TERN_TRY(tern__need_vector(n, in, i, in[0].shape.dim[1], "channel"));
    return tern__infer_same(n, in, out);
}

static unsigned spatial_axes(int rank)
{
    return ((1u << rank) - 1u) & ~3u;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[0].type.shape;
    const tern__norm_ref r = {.mask = spatial_axes(s->rank), .affine = 1u << 1, .eps = tern__attr_float(n, EPS), .centred = true,
                              .gamma = tern__has_input(n, 1) ? &in[1] : NULL, .beta = tern__has_input(n, 2) ? &in[2] : NULL};
    return tern__ref_norm(&r, &in[0], s, &out[0]);
}

static tern_value param(tern_graph *g, const tern__node *n, const tern_value *in, int i)
{
    tern_value v = tern__norm_input(g, n, in, i);
    return v == TERN_NONE ? v : tern__per_channel(g, v, tern__shape_of(g, in[0])->rank);
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern__norm b = {.eps = tern__attr_float(n, EPS), .centred = true, .x = tern__widen(g, in[0]), .gamma = param(g, n, in, 1)};
    b.mask = spatial_axes(tern__shape_of(g, in[0])->rank);
    tern__norm_stats(g, &b);
    out[0] = tern__cast(g, tern__norm_apply(g, &b, param(g, n, in, 2)), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(instance_norm) = {
    .name = "instance_norm",
    .doc = "y = (x - mean) / sqrt(var + eps) * gamma + beta, mean and variance of each channel of each sample (Ulyanov et al. 2016)",
    .onnx = "InstanceNormalization",
    .onnx_since = 6,
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
