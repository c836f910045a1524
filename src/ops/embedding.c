/* embedding: rows of a table picked by indices. */
#include "ops/common.h"

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT];
    TERN_TRY(tern__need_rank(n, in, 0, 1, TERN_MAX_RANK));
    TERN_TRY(tern__need_kind(n, in, 1, TERN__T_INT));
    tern_shape s = in[1].shape;
    if (s.rank + in[0].shape.rank - 1 > TERN_MAX_RANK)
        return tern__fail(TERN_E_SHAPE, "embedding: rows of %s for indices of rank %d are over the limit of %d axes",
                          tern__shape_text(&in[0].shape, a), s.rank, TERN_MAX_RANK);
    for (int i = 1; i < in[0].shape.rank; i++)
        s.dim[s.rank++] = in[0].shape.dim[i];
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    out[0] = tern_graph_op2(g, "gather", in[0], in[1], NULL);
    return TERN_OK;
}

TERN_OP(embedding) = {
    .name = "embedding",
    .doc = "y[i..] = table[indices[i..]]; indices as in gather",
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = infer,
    .expand = expand,
};
