/* global_max_pool: largest element of each channel. */
#include "ops/common.h"

static unsigned spatial_axes(int rank)
{
    return ((1u << rank) - 1u) & ~3u;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char text[TERN__SHAPE_TEXT];
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_NUM));
    TERN_TRY(tern__need_rank(n, in, 0, 3, TERN_MAX_RANK));
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    for (int i = 2; i < in[0].shape.rank; i++) {
        if (in[0].shape.dim[i] == 0)
            return tern__fail(TERN_E_SHAPE, "%s: %s has no elements along axis %d", n->op->name, tern__shape_text(&in[0].shape, text), i);
        out[0].shape.dim[i] = 1;
    }
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    out[0] = tern__max_axes(g, in[0], spatial_axes(tern__shape_of(g, in[0])->rank), true);
    return TERN_OK;
}

TERN_OP(global_max_pool) = {
    .name = "global_max_pool",
    .doc = "y[n, c, 1..] = largest element of x[n, c] over all spatial axes",
    .onnx = "GlobalMaxPool",
    .onnx_since = 1,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = infer,
    .expand = expand,
};
