/* gather: slices of a tensor picked by indices along an axis. */
#include <string.h>

#include "codegen/body.h"
#include "ops/gather.h"

static const tern__attr_decl attrs[] = {{.name = "axis", .type = TERN_ATTR_INT}};

tern_status tern__gather_map_of(const tern__node *n, const tern_shape *data, const tern_shape *indices, tern__gather_map *m)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), data->rank, &m->axis));
    const int rank = data->rank - 1 + indices->rank;
    if (rank > TERN_MAX_RANK)
        return tern__fail(TERN_E_SHAPE, "%s: data %s and indices %s make rank %d, over the limit of %d", n->op->name, tern__shape_text(data, a),
                          tern__shape_text(indices, b), rank, TERN_MAX_RANK);
    m->outer = tern__extent(data, 0, m->axis);
    m->extent = data->dim[m->axis];
    m->inner = tern__extent(data, m->axis + 1, data->rank);
    m->n_indices = tern__elems(indices);
    m->slices = (tern_shape){.rank = rank};
    int k = 0;
    for (int i = 0; i < m->axis; i++)
        m->slices.dim[k++] = data->dim[i];
    for (int i = 0; i < indices->rank; i++)
        m->slices.dim[k++] = indices->dim[i];
    for (int i = m->axis + 1; i < data->rank; i++)
        m->slices.dim[k++] = data->dim[i];
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__gather_map m;
    TERN_TRY(tern__need_kind(n, in, 1, TERN__T_INT));
    TERN_TRY(tern__gather_map_of(n, &in[0].shape, &in[1].shape, &m));
    out[0] = tern__plain(in[0].dtype, &m.slices);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__gather_map m;
    TERN_TRY(tern__gather_map_of(n, &in[0].type.shape, &in[1].type.shape, &m));
    const size_t size = tern_dtype_size(out[0].type.dtype), run = (size_t)m.inner * size;
    for (int64_t o = 0; o < m.outer; o++) {
        for (int64_t i = 0; i < m.n_indices; i++) {
            const int64_t k = tern__gather_at(&in[1], i, m.extent);
            char *to = (char *)out[0].data + (size_t)(o * m.n_indices + i) * run;
            if (k < 0)
                memset(to, 0, run);
            else
                memcpy(to, (const char *)in[0].data + (size_t)(o * m.extent + k) * run, run);
        }
    }
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern_graph_op3(g, "scatter_add", tern__zeros_like(g, n->in[0]), n->in[1], dy[0], TERN_ATTRS(TERN_INT("axis", tern__attr_int(n, 0))));
    return TERN_OK;
}

int tern__gather_value(tern__body *b, tern_value data, tern__aff *from, int axis, int index)
{
    const int64_t extent = tern__shape_of(b->g, data)->dim[axis];
    const tern_dtype t = tern__dtype_of(b->g, data);
    if (b->failed || index < 0)
        return -1;
    if (b->ins[index].op == TERN__INS_CONST) {
        const double x = b->ins[index].x, k = x < 0 ? x + (double)extent : x;
        if (!(k >= 0 && k < (double)extent))
            return tern__body_const(b, t, 0);
        from[axis] = tern__aff_const((int64_t)k);
        return tern__body_value(b, data, from);
    }
    from[axis] = tern__body_index_from(b, index, extent);
    const int inside = tern__body_inbound(b, index, extent), found = tern__body_value(b, data, from);
    return tern__body_select(b, inside, found, tern__body_const(b, t, 0));
}

static tern_status move(tern__emit_move *m, const tern__node *n)
{
    tern__body *b = m->body;
    const tern_shape *data = tern__shape_of(b->g, n->in[0]), *indices = tern__shape_of(b->g, n->in[1]);
    tern__gather_map map;
    TERN_TRY(tern__gather_map_of(n, data, indices, &map));
    int index = tern__body_value(b, n->in[1], m->coord + map.axis);
    if (map.extent == 0 || index < 0) {
        m->reg = index < 0 ? -1 : tern__body_const(b, tern__dtype_of(b->g, n->in[0]), 0);
        return TERN_OK;
    }
    tern__aff from[TERN_MAX_RANK];
    for (int i = 0; i < data->rank; i++)
        from[i] = i < map.axis ? m->coord[i] : i == map.axis ? tern__aff_const(0) : m->coord[i + indices->rank - 1];
    m->reg = tern__gather_value(b, n->in[0], from, map.axis, index);
    return TERN_OK;
}

TERN_OP(gather) = {
    .name = "gather",
    .doc = "y[.., i.., ..] = data[.., indices[i..], ..] along axis; a negative index counts from the end, one out of range gives 0: a device "
           "cannot report it",
    .onnx = "Gather",
    .onnx_since = 1,
    .trait = TERN__MOVEMENT,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .move = move,
};
