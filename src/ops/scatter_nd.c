/* scatter_nd: slices replaced by updates, or combined with them, where tuples of indices say. */
#include "ops/nd.h"
#include "ops/scatter.h"

static const tern__attr_decl attrs[] = {{.name = "reduction", .type = TERN_ATTR_STRING, .def_s = "none"}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern__nd_map m;
    tern__scatter_kind kind;
    TERN_TRY(tern__scatter_kind_of(n, 0, &kind));
    TERN_TRY(tern__scatter_types(n, in, kind));
    TERN_TRY(tern__nd_map_of(n, 0, &in[0].shape, &in[1].shape, &m));
    if (!tern__shape_equal(&m.slices, &in[2].shape))
        return tern__fail(TERN_E_SHAPE, "scatter_nd: updates %s where data and indices ask for %s", tern__shape_text(&in[2].shape, a),
                          tern__shape_text(&m.slices, b));
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_shape data = *tern__shape_of(g, in[0]);
    tern__nd_map m;
    TERN_TRY(tern__nd_map_of(n, 0, &data, tern__shape_of(g, in[1]), &m));
    if (tern__elems(&data) == 0 || tern__elems(&m.slices) == 0) {
        out[0] = in[0];
        return TERN_OK;
    }
    tern_value places = tern__nd_places(g, &m, &data, in[1]);
    tern_value y = tern_graph_op3(g, "scatter_slices", tern__nd_rows(g, &m, in[0], m.places), places, tern__nd_rows(g, &m, in[2], m.count),
                                  TERN_ATTRS(TERN_STRING("reduction", tern__attr_string(n, 0))));
    out[0] = tern__reshape(g, y, &data);
    return TERN_OK;
}

TERN_OP(scatter_nd) = {
    .name = "scatter_nd",
    .doc = "y = data, with updates[i..] put at y[indices[i.., 0], indices[i.., 1], ...]: in place of what is there (reduction none: the last one "
           "stands), or by add, mul, min, max in order; negative indices count from the end, a tuple that is out of range is left out",
    .onnx = "ScatterND",
    .onnx_since = 11,
    .trait = TERN__COMPOSITE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .expand = expand,
};
