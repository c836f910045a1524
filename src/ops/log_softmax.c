/* log_softmax: logarithm of softmax. */
#include "ops/softmax.h"

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    return tern__ref_softmax(n, in, out, true);
}

/* dx = dy - exp(y) sum of dy: needs only the output. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const unsigned mask = tern__softmax_mask(g, n, n->in[0]);
    tern_value y = tern__widen(g, n->out[0]), d = tern__widen(g, dy[0]);
    tern_value s = tern__sum_axes(g, d, mask, true);
    dx[0] = tern__cast(g, tern__sub(g, d, tern__mul(g, tern__unary(g, "exp", y), s)), tern__dtype_of(g, n->in[0]));
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const unsigned mask = tern__softmax_mask(g, n, in[0]);
    tern_value x = tern__widen(g, in[0]);
    tern_value c = tern__sub(g, x, tern__max_axes(g, x, mask, true));
    tern_value s = tern__sum_axes(g, tern__unary(g, "exp", c), mask, true);
    out[0] = tern__cast(g, tern__sub(g, c, tern__unary(g, "log", s)), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(log_softmax) = {
    .name = "log_softmax",
    .doc = "y = x - max - log(sum of exp(x - max)) along axis",
    .onnx = "LogSoftmax",
    .onnx_since = 13,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = tern__softmax_attrs,
    .n_attrs = TERN_COUNT(tern__softmax_attrs),
    .infer = tern__infer_softmax,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
