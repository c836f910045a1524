/* rms_norm: scaling of each sample by the root of its mean square (Zhang and Sennrich 2019). */
#include "ops/norm.h"

static const tern__attr_decl attrs[] = {
    {.name = "axis", .type = TERN_ATTR_INT, .def = -1},
    {.name = "eps", .type = TERN_ATTR_FLOAT, .def = 1e-5},
};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_last_norm(n, in, out, false);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    return tern__grad_last_norm(g, n, dy, dx, false);
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return tern__expand_last_norm(g, n, in, out, false);
}

TERN_OP(rms_norm) = {
    .name = "rms_norm",
    .doc = "y = x / sqrt(mean of x^2 + eps) * gamma, the mean over the axes from axis on, in f32 at least (Zhang and Sennrich 2019)",
    .onnx = "RMSNormalization",
    .onnx_since = 23,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = tern__infer_last_norm,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
