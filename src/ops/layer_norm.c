/* layer_norm: normalisation of each sample over its last axes (Ba et al. 2016). */
#include "ops/norm.h"

static const tern__attr_decl attrs[] = {
    {.name = "axis", .type = TERN_ATTR_INT, .def = -1},
    {.name = "eps", .type = TERN_ATTR_FLOAT, .def = 1e-5},
};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_last_norm(n, in, out, true);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    return tern__grad_last_norm(g, n, dy, dx, true);
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return tern__expand_last_norm(g, n, in, out, true);
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
    .infer = tern__infer_last_norm,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
