/* reshape_as: reshape to the shape of another tensor, whatever that is when the graph is compiled. */
#include <inttypes.h>

#include "ops/common.h"

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    (void)n;
    if (tern__elems(&in[0].shape) != tern__elems(&in[1].shape))
        return tern__fail(TERN_E_SHAPE, "reshape_as: the elements of %s do not make %s", tern__shape_text(&in[0].shape, a),
                          tern__shape_text(&in[1].shape, b));
    out[0] = tern__plain(in[0].dtype, &in[1].shape);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    const tern_shape s = *tern__shape_of(g, in[1]);
    out[0] = tern__shape_equal(&s, tern__shape_of(g, in[0])) ? in[0] : tern__reshape(g, in[0], &s);
    return TERN_OK;
}

TERN_OP(reshape_as) = {
    .name = "reshape_as",
    .doc = "y = the elements of x in row-major order under the shape of like",
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = infer,
    .grad = tern__grad_reshape,
    .expand = expand,
    .shape_only = 2,
    .reshapes = true,
};
