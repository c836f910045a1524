/* What gather_nd and scatter_nd share: tuples of indices as places in a list of slices. */
#include "ops/nd.h"

#include <inttypes.h>

tern_status tern__nd_map_of(const tern__node *n, int batch_dims, const tern_shape *data, const tern_shape *indices, tern__nd_map *m)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    const char *op = n->op->name;
    if (indices->rank < 1 || batch_dims < 0 || batch_dims >= indices->rank || batch_dims >= data->rank)
        return tern__fail(TERN_E_SHAPE, "%s: batch_dims %d with data %s and indices %s", op, batch_dims, tern__shape_text(data, a),
                          tern__shape_text(indices, b));
    const int64_t depth = indices->dim[indices->rank - 1];
    if (depth < 1 || depth > data->rank - batch_dims)
        return tern__fail(TERN_E_SHAPE, "%s: indices %s hold tuples of %" PRId64 " for data %s", op, tern__shape_text(indices, b), depth,
                          tern__shape_text(data, a));
    for (int d = 0; d < batch_dims; d++)
        if (data->dim[d] != indices->dim[d])
            return tern__fail(TERN_E_SHAPE, "%s: data %s and indices %s differ in batch axis %d", op, tern__shape_text(data, a),
                              tern__shape_text(indices, b), d);
    const int first = batch_dims + (int)depth, rank = indices->rank - 1 + data->rank - first;
    if (rank > TERN_MAX_RANK)
        return tern__fail(TERN_E_SHAPE, "%s: data %s and indices %s make rank %d, over the limit of %d", op, tern__shape_text(data, a),
                          tern__shape_text(indices, b), rank, TERN_MAX_RANK);
    *m = (tern__nd_map){
        .batch_dims = batch_dims,
        .depth = (int)depth,
        .batch = tern__extent(data, 0, batch_dims),
        .places = tern__extent(data, batch_dims, first),
        .inner = tern__extent(data, first, data->rank),
        .count = tern__extent(indices, batch_dims, indices->rank - 1),
        .slices = {.rank = rank},
    };
    int k = 0;
    for (int d = 0; d < indices->rank - 1; d++)
        m->slices.dim[k++] = indices->dim[d];
    for (int d = first; d < data->rank; d++)
        m->slices.dim[k++] = data->dim[d];
    return TERN_OK;
}

tern_value tern__nd_rows(tern_graph *g, const tern__nd_map *m, tern_value v, int64_t rows)
{
    return tern__reshape(g, v, &(tern_shape){.rank = 2, .dim = {rows, m->inner}});
}

tern_value tern__nd_places(tern_graph *g, const tern__nd_map *m, const tern_shape *data, tern_value indices)
{
    const tern_shape flat = {.rank = 3, .dim = {m->batch, m->count, m->depth}}, row = {.rank = 2, .dim = {m->batch, m->count}};
    const bool may_be_negative = !tern__is_unsigned(tern__dtype_of(g, indices));
    tern_value all = tern__cast(g, tern__reshape(g, indices, &flat), TERN_I64), place = TERN_NONE, bad = TERN_NONE;
    for (int64_t k = 0; k < m->depth; k++) {
        const int64_t end = k + 1, axis = 2, extent = data->dim[m->batch_dims + k];
        tern_value i = tern_graph_op1(g, "slice", all, TERN_ATTRS(TERN_INTS("starts", &k, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &axis, 1)));
        i = tern__reshape(g, i, &row);
        if (may_be_negative)
            i = tern__where(g, tern__compare(g, "less", i, 0), tern__add_scalar(g, i, (double)extent), i);
        tern_value outside = tern_graph_op2(g, "logical_or", tern__compare(g, "less", i, 0), tern__compare(g, "greater_equal", i, (double)extent), NULL);
        bad = k ? tern_graph_op2(g, "logical_or", bad, outside, NULL) : outside;
        place = k ? tern__add(g, tern__mul_scalar(g, place, (double)extent), i) : i;
    }
    if (m->batch > 1) {
        const int64_t shape[2] = {m->batch, 1};
        tern_value b = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", shape, 2), TERN_INT("axis", 0)));
        place = tern__add(g, place, tern__mul_scalar(g, b, (double)m->places));
    }
    place = tern__where(g, bad, tern_graph_scalar(g, TERN_I64, (double)(m->batch * m->places)), place);
    return tern__reshape(g, place, &(tern_shape){.rank = 1, .dim = {m->batch * m->count}});
}
