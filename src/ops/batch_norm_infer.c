/* batch_norm_infer: normalisation of each channel by given statistics, for inference (Ioffe and Szegedy 2015). */
#include <math.h>

#include "ops/norm.h"

enum { EPS };
static const tern__attr_decl attrs[] = {{.name = "eps", .type = TERN_ATTR_FLOAT, .def = 1e-5}};
enum { X, GAMMA, BETA, MEAN, VAR };

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    TERN_TRY(tern__need_floats(n, in));
    TERN_TRY(tern__need_eps(n, EPS));
    TERN_TRY(tern__need_rank(n, in, X, 2, TERN_MAX_RANK));
    for (int i = GAMMA; i <= VAR; i++)
        TERN_TRY(tern__need_vector(n, in, i, in[X].shape.dim[1], "channel"));
    return tern__infer_same(n, in, out);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[X].type.shape;
    const int64_t inner = tern__extent(s, 2, s->rank), elems = tern__elems(s);
    const double eps = tern__attr_float(n, EPS);
    for (int64_t i = 0; i < elems; i++) {
        const int64_t c = i / inner % s->dim[1];
        const double scale = tern__array_get(&in[GAMMA], c) / sqrt(tern__array_get(&in[VAR], c) + eps);
        tern__array_set(&out[0], i, (tern__array_get(&in[X], i) - tern__array_get(&in[MEAN], c)) * scale + tern__array_get(&in[BETA], c));
    }
    return TERN_OK;
}

/* One factor and one addend for each channel: a convolution before it can take both into its weight and bias. */
static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_value v[5];
    for (int i = X; i <= VAR; i++)
        v[i] = tern__widen(g, in[i]);
    TERN_TRY(tern_graph_check(g));
    const int rank = tern__shape_of(g, in[X])->rank;
    tern_value scale = tern__mul(g, v[GAMMA], tern__unary(g, "rsqrt", tern__add_scalar(g, v[VAR], tern__attr_float(n, EPS))));
    tern_value shift = tern__sub(g, v[BETA], tern__mul(g, v[MEAN], scale));
    tern_value y = tern__mul(g, v[X], tern__per_channel(g, scale, rank));
    out[0] = tern__cast(g, tern__add(g, y, tern__per_channel(g, shift, rank)), tern__dtype_of(g, in[X]));
    return TERN_OK;
}

TERN_OP(batch_norm_infer) = {
    .name = "batch_norm_infer",
    .doc = "y = (x - mean) / sqrt(var + eps) * gamma + beta for each channel (axis 1), with mean and var given (Ioffe and Szegedy 2015)",
    .onnx = "BatchNormalization",
    .onnx_since = 9,
    .trait = TERN__COMPOSITE,
    .min_in = 5,
    .max_in = 5,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
};
