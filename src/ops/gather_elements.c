/* gather_elements: single elements picked by an index of their own along an axis. */
#include "codegen/body.h"
#include "ops/gather.h"

static const tern__attr_decl attrs[] = {{.name = "axis", .type = TERN_ATTR_INT}};

bool tern__elements_fit(const tern_shape *data, const tern_shape *indices, int axis)
{
    bool fit = data->rank == indices->rank;
    for (int d = 0; d < data->rank && fit; d++)
        fit = d == axis || indices->dim[d] <= data->dim[d];
    return fit;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    int axis;
    TERN_TRY(tern__need_kind(n, in, 1, TERN__T_INT));
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), in[0].shape.rank, &axis));
    if (!tern__elements_fit(&in[0].shape, &in[1].shape, axis))
        return tern__fail(TERN_E_SHAPE, "gather_elements: indices %s reach beyond data %s off axis %d", tern__shape_text(&in[1].shape, a),
                          tern__shape_text(&in[0].shape, b), axis);
    out[0] = tern__plain(in[0].dtype, &in[1].shape);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[1].type.shape, *data = &in[0].type.shape;
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), data->rank, &axis));
    int64_t at[TERN_MAX_RANK] = {0}, from[TERN_MAX_RANK], i = 0;
    if (tern__elems(s) == 0)
        return TERN_OK;
    do {
        const int64_t k = tern__gather_at(&in[1], i, data->dim[axis]);
        for (int d = 0; d < s->rank; d++)
            from[d] = d == axis ? k : at[d];
        if (k >= 0)
            tern__array_copy(&out[0], i, &in[0], tern__linear(data, from));
        else
            tern__array_set_int(&out[0], i, 0);
        i++;
    } while (tern__next_index(s, at));
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern_graph_op3(g, "scatter_elements", tern__zeros_like(g, n->in[0]), n->in[1], dy[0],
                           TERN_ATTRS(TERN_INT("axis", tern__attr_int(n, 0)), TERN_STRING("reduction", "add")));
    return TERN_OK;
}

static tern_status move(tern__emit_move *m, const tern__node *n)
{
    tern__body *b = m->body;
    const tern_shape *data = tern__shape_of(b->g, n->in[0]);
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), data->rank, &axis));
    const int64_t extent = data->dim[axis];
    const int index = tern__body_value(b, n->in[1], m->coord);
    if (extent == 0 || index < 0) {
        m->reg = index < 0 ? -1 : tern__body_const(b, tern__dtype_of(b->g, n->in[0]), 0);
        return TERN_OK;
    }
    tern__aff from[TERN_MAX_RANK];
    for (int d = 0; d < data->rank; d++)
        from[d] = m->coord[d];
    m->reg = tern__gather_value(b, n->in[0], from, axis, index);
    return TERN_OK;
}

TERN_OP(gather_elements) = {
    .name = "gather_elements",
    .doc = "y[.., i, ..] = data[.., indices[.., i, ..], ..] along axis; a negative index counts from the end, one out of range gives 0: a "
           "device cannot report it",
    .onnx = "GatherElements",
    .onnx_since = 11,
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
