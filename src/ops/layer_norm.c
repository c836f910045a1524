/* layer_norm: normalisation of each sample over its last axes (Ba et al. 2016). */
#include "ops/norm.h"

enum { AXIS, EPS };
static const tern__attr_decl attrs[] = {
    {.name = "axis", .type = TERN_ATTR_INT, .def = -1},
    {.name = "eps", .type = TERN_ATTR_FLOAT, .def = 1e-5},
};

/* gamma and beta have the extents of x from axis on. */
static tern_status check_param(const tern__node *n, const tern__type *in, int i, int axis)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern_shape want = {.rank = in[0].shape.rank - axis};
    for (int k = 0; k < want.rank; k++)
        want.dim[k] = in[0].shape.dim[axis + k];
    if (i >= n->n_in || in[i].dtype == TERN_DTYPE_COUNT || tern__shape_equal(&in[i].shape, &want))
        return TERN_OK;
    return tern__fail(TERN_E_SHAPE, "%s: input %d is %s but must be %s", n->op->name, i, tern__shape_text(&in[i].shape, a), tern__shape_text(&want, b));
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    int axis;
    TERN_TRY(tern__need_floats(n, in));
    TERN_TRY(tern__need_eps(n, EPS));
    TERN_TRY(tern__axis(n, tern__attr_int(n, AXIS), in[0].shape.rank, &axis));
    for (int i = 1; i < n->n_in; i++)
        TERN_TRY(check_param(n, in, i, axis));
    return tern__infer_same(n, in, out);
}

/* The axes from `axis` on. */
static unsigned last_axes(const tern__node *n, int rank)
{
    int axis = 0;
    (void)tern__axis(n, tern__attr_int(n, AXIS), rank, &axis); /* the shape rule has accepted it */
    return ((1u << rank) - 1u) & ~((1u << axis) - 1u);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[0].type.shape;
    const unsigned mask = last_axes(n, s->rank);
    const tern__norm_ref r = {.mask = mask, .affine = mask, .eps = tern__attr_float(n, EPS), .centred = true,
                              .gamma = tern__has_input(n, 1) ? &in[1] : NULL, .beta = tern__has_input(n, 2) ? &in[2] : NULL};
    return tern__ref_norm(&r, &in[0], s, &out[0]);
}

static tern__norm start(tern_graph *g, const tern__node *n, const tern_value *in)
{
    tern__norm b = {.eps = tern__attr_float(n, EPS), .centred = true, .x = tern__widen(g, in[0]), .gamma = tern__norm_input(g, n, in, 1)};
    b.mask = last_axes(n, tern__shape_of(g, in[0])->rank);
    tern__norm_stats(g, &b);
    return b;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const tern__norm b = start(g, n, n->in);
    const tern_dtype t = tern__dtype_of(g, n->in[0]);
    const unsigned others = ((1u << tern__shape_of(g, n->in[0])->rank) - 1u) & ~b.mask;
    tern_value d = tern__widen(g, dy[0]);
    dx[0] = tern__cast(g, tern__norm_grad(g, &b, d), t);
    if (tern__has_input(n, 1))
        dx[1] = tern__norm_param_grad(g, tern__mul(g, d, b.xhat), others, t);
    if (tern__has_input(n, 2))
        dx[2] = tern__norm_param_grad(g, d, others, t);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern__norm b = start(g, n, in);
    out[0] = tern__cast(g, tern__norm_apply(g, &b, tern__norm_input(g, n, in, 2)), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(layer_norm) = {
    .name = "layer_norm",
    .doc = "y = (x - mean) / sqrt(var + eps) * gamma + beta, mean and variance over the axes from axis on, in f32 at least (Ba et al. 2016)",
    .onnx = "LayerNormalization",
    .onnx_since = 17,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
