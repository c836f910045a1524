/* size: how many elements a tensor has along some axes when the graph is compiled. */
#include "ops/common.h"

enum { AXES, DTYPE };
static const tern__attr_decl attrs[] = {
    {.name = "axes", .type = TERN_ATTR_INTS},
    {.name = "dtype", .type = TERN_ATTR_STRING, .def_s = "i64"},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    unsigned mask;
    tern_dtype t;
    TERN_TRY(tern__reduce_mask(n, in[0].shape.rank, &mask));
    TERN_TRY(tern__attr_dtype(n, DTYPE, TERN__T_NUM, &t));
    out[0] = (tern__type){.dtype = t};
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    unsigned mask;
    tern_dtype t;
    const tern_shape *s = tern__shape_of(g, in[0]);
    TERN_TRY(tern__reduce_mask(n, s->rank, &mask));
    TERN_TRY(tern__attr_dtype(n, DTYPE, TERN__T_NUM, &t));
    out[0] = tern_graph_scalar(g, t, (double)tern__extent_of(s, mask));
    return TERN_OK;
}

TERN_OP(size) = {
    .name = "size",
    .doc = "y = number of elements of x along axes (none given: all), a scalar of type dtype",
    .onnx = "Size",
    .onnx_since = 1,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .grad = tern__grad_nothing, /* A count does not change with the elements: nothing flows. */
    .expand = expand,
    .shape_only = 1,
};
