/* gather_nd: slices of a tensor picked by tuples of indices. */
#include "ops/nd.h"

static const tern__attr_decl attrs[] = {{.name = "batch_dims", .type = TERN_ATTR_INT}};

static tern_status map_of(const tern__node *n, const tern_shape *data, const tern_shape *indices, tern__nd_map *m)
{
    const int64_t b = tern__attr_int(n, 0);
    return tern__nd_map_of(n, b < 0 || b > TERN_MAX_RANK ? TERN_MAX_RANK : (int)b, data, indices, m);
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__nd_map m;
    TERN_TRY(tern__need_kind(n, in, 1, TERN__T_INT));
    TERN_TRY(map_of(n, &in[0].shape, &in[1].shape, &m));
    out[0] = tern__plain(in[0].dtype, &m.slices);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_shape data = *tern__shape_of(g, in[0]);
    tern__nd_map m;
    TERN_TRY(map_of(n, &data, tern__shape_of(g, in[1]), &m));
    if (tern__elems(&data) == 0 || tern__elems(&m.slices) == 0) {
        out[0] = tern__expand_to(g, tern__like(g, in[0], 0), &m.slices);
        return TERN_OK;
    }
    tern_value places = tern__nd_places(g, &m, &data, in[1]);
    out[0] = tern__reshape(g, tern_graph_op2(g, "gather", tern__nd_rows(g, &m, in[0], m.batch * m.places), places, NULL), &m.slices);
    return TERN_OK;
}

TERN_OP(gather_nd) = {
    .name = "gather_nd",
    .doc = "y[b.., i..] = data[b.., indices[b.., i.., 0], indices[b.., i.., 1], ...] with batch_dims axes b; negative indices count from the end, a "
           "tuple that is out of range gives 0",
    .onnx = "GatherND",
    .onnx_since = 11,
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .expand = expand,
};
