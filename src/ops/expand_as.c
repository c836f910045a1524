/* expand_as: broadcasting to the shape of another tensor, whatever that is when the graph is compiled. */
#include "ops/common.h"

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern_shape s;
    (void)n;
    if (!tern__broadcast(&in[0].shape, &in[1].shape, &s) || !tern__shape_equal(&s, &in[1].shape))
        return tern__fail(TERN_E_SHAPE, "expand_as: %s does not broadcast to %s", tern__shape_text(&in[0].shape, a),
                          tern__shape_text(&in[1].shape, b));
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    const tern_shape s = *tern__shape_of(g, in[1]);
    out[0] = tern__shape_equal(&s, tern__shape_of(g, in[0])) ? in[0] : tern__expand_to(g, in[0], &s);
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)g;
    (void)n;
    dx[0] = dy[0]; /* summed down where it is used */
    return TERN_OK;
}

TERN_OP(expand_as) = {
    .name = "expand_as",
    .doc = "y = x broadcast to the shape of like",
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = infer,
    .grad = grad,
    .expand = expand,
    .shape_only = 2,
};
