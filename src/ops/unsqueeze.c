/* unsqueeze: axes of extent 1 put in. */
#include "ops/common.h"

static const tern__attr_decl attrs[] = {{.name = "axes", .type = TERN_ATTR_INTS, .required = true}};

static tern_status unsqueezed(const tern__node *n, const tern_shape *in, tern_shape *s)
{
    int count;
    unsigned mask;
    tern__attr_ints(n, 0, &count);
    const int rank = in->rank + count;
    if (rank > TERN_MAX_RANK)
        return tern__fail(TERN_E_SHAPE, "unsqueeze: %d axes more than rank %d are over the limit of %d", count, in->rank, TERN_MAX_RANK);
    TERN_TRY(tern__attr_axes(n, 0, rank, &mask));
    *s = (tern_shape){.rank = rank};
    for (int i = 0, k = 0; i < rank; i++)
        s->dim[i] = mask >> i & 1 ? 1 : in->dim[k++];
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern_shape s;
    TERN_TRY(unsqueezed(n, &in[0].shape, &s));
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_shape s;
    TERN_TRY(unsqueezed(n, tern__shape_of(g, in[0]), &s));
    out[0] = tern__reshape(g, in[0], &s);
    return TERN_OK;
}

TERN_OP(unsqueeze) = {
    .name = "unsqueeze",
    .doc = "y = x with axes of extent 1 put in, so that they are axes of y",
    .onnx = "Unsqueeze",
    .onnx_since = 1,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .grad = tern__grad_reshape,
    .expand = expand,
    .reshapes = true,
};
