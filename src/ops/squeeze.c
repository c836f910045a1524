/* squeeze: axes of extent 1 left out. */
#include "ops/common.h"

static const tern__attr_decl attrs[] = {{.name = "axes", .type = TERN_ATTR_INTS}};

static tern_status squeezed(const tern__node *n, const tern_shape *in, tern_shape *s)
{
    char text[TERN__SHAPE_TEXT];
    int count;
    unsigned mask;
    tern__attr_ints(n, 0, &count);
    TERN_TRY(tern__attr_axes(n, 0, in->rank, &mask));
    *s = (tern_shape){.rank = 0};
    for (int i = 0; i < in->rank; i++) {
        bool drop = count ? mask >> i & 1 : in->dim[i] == 1;
        if (drop && in->dim[i] != 1)
            return tern__fail(TERN_E_SHAPE, "squeeze: axis %d of %s is not 1", i, tern__shape_text(in, text));
        if (!drop)
            s->dim[s->rank++] = in->dim[i];
    }
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern_shape s;
    TERN_TRY(squeezed(n, &in[0].shape, &s));
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_shape s;
    TERN_TRY(squeezed(n, tern__shape_of(g, in[0]), &s));
    out[0] = tern__reshape(g, in[0], &s);
    return TERN_OK;
}

TERN_OP(squeeze) = {
    .name = "squeeze",
    .doc = "y = x without axes, each of extent 1 (none given: all of extent 1)",
    .onnx = "Squeeze",
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
