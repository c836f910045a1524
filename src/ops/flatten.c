/* flatten: a matrix of the axes before and those from an axis on. */
#include "ops/common.h"

static const tern__attr_decl attrs[] = {{.name = "axis", .type = TERN_ATTR_INT, .def = 1}};

/* Unlike other axes, this one may be the rank: then everything goes to the rows. */
static tern_status split_axis(const tern__node *n, int rank, int *axis)
{
    const int64_t a = tern__attr_int(n, 0);
    if (a == rank) {
        *axis = rank;
        return TERN_OK;
    }
    return tern__axis(n, a, rank, axis);
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    const tern_shape *s = &in[0].shape;
    int axis;
    TERN_TRY(split_axis(n, s->rank, &axis));
    const tern_shape flat = {.rank = 2, .dim = {tern__extent(s, 0, axis), tern__extent(s, axis, s->rank)}};
    out[0] = tern__plain(in[0].dtype, &flat);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_shape *s = tern__shape_of(g, in[0]);
    int axis;
    TERN_TRY(split_axis(n, s->rank, &axis));
    const tern_shape flat = {.rank = 2, .dim = {tern__extent(s, 0, axis), tern__extent(s, axis, s->rank)}};
    out[0] = tern__reshape(g, in[0], &flat);
    return TERN_OK;
}

TERN_OP(flatten) = {
    .name = "flatten",
    .doc = "y = x as a matrix: the axes before axis make the rows, the others the columns",
    .onnx = "Flatten",
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
