/* scatter_elements: single elements replaced by updates, or combined with them, at places along an axis. */
#include <inttypes.h>

#include "ops/impls.h"
#include "ops/scatter.h"

static const tern__attr_decl attrs[] = {
    [TERN__SCATTER_AXIS] = {.name = "axis", .type = TERN_ATTR_INT},
    [TERN__SCATTER_REDUCTION] = {.name = "reduction", .type = TERN_ATTR_STRING, .def_s = "none"},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern__scatter_kind kind;
    int axis;
    TERN_TRY(tern__scatter_kind_of(n, TERN__SCATTER_REDUCTION, &kind));
    TERN_TRY(tern__scatter_types(n, in, kind));
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCATTER_AXIS), in[0].shape.rank, &axis));
    TERN_TRY(tern__need_equal_shapes(n, in, 1, 2));
    if (!tern__elements_fit(&in[0].shape, &in[1].shape, axis))
        return tern__fail(TERN_E_SHAPE, "scatter_elements: indices %s reach beyond data %s off axis %d", tern__shape_text(&in[1].shape, a),
                          tern__shape_text(&in[0].shape, b), axis);
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[1].type.shape, *data = &in[0].type.shape;
    tern__scatter_kind kind;
    tern__scatter_sums sums;
    int axis;
    TERN_TRY(tern__scatter_kind_of(n, TERN__SCATTER_REDUCTION, &kind));
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCATTER_AXIS), data->rank, &axis));
    TERN_TRY(tern__scatter_begin(&sums, &in[0], kind));
    int64_t at[TERN_MAX_RANK] = {0}, to[TERN_MAX_RANK], j = 0;
    if (tern__elems(s) > 0) {
        do {
            const int64_t k = tern__gather_at(&in[1], j, data->dim[axis]);
            for (int d = 0; d < s->rank; d++)
                to[d] = d == axis ? k : at[d];
            if (k >= 0)
                tern__scatter_update(&sums, tern__linear(data, to), &in[2], j);
            j++;
        } while (tern__next_index(s, at));
    }
    tern__scatter_end(&sums, &out[0]);
    return TERN_OK;
}

/* Indices that leave rows of data alone are filled up with ones that are out of range, so that the kernels see a row for a row. */
static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_shape data = *tern__shape_of(g, in[0]), s = *tern__shape_of(g, in[1]);
    int64_t pads[2 * TERN_MAX_RANK] = {0};
    int axis;
    bool fills = false;
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCATTER_AXIS), data.rank, &axis));
    for (int d = 0; d < data.rank; d++) {
        if (d == axis || s.dim[d] == data.dim[d])
            continue;
        pads[data.rank + d] = data.dim[d] - s.dim[d];
        fills = true;
    }
    if (!fills)
        return TERN_OK;
    tern_value indices = tern_graph_op1(g, "pad", tern__cast(g, in[1], TERN_I64),
                                        TERN_ATTRS(TERN_INTS("pads", pads, 2 * data.rank), TERN_FLOAT("value", (double)data.dim[axis])));
    tern_value updates = tern_graph_op1(g, "pad", in[2], TERN_ATTRS(TERN_INTS("pads", pads, 2 * data.rank)));
    out[0] = tern_graph_op3(g, "scatter_elements", in[0], indices, updates,
                            TERN_ATTRS(TERN_INT("axis", axis), TERN_STRING("reduction", tern__attr_string(n, TERN__SCATTER_REDUCTION))));
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    return tern__scatter_grad(g, n, "gather_elements", dy, dx);
}

static const tern__impl *const impls[] = {&tern__impl_scatter_lists, NULL};

TERN_OP(scatter_elements) = {
    .name = "scatter_elements",
    .doc = "y = data, with updates[.., i, ..] put at y[.., indices[.., i, ..], ..] along axis: in place of what is there (reduction none: the last "
           "one stands), or by add, mul, min, max in order; a negative index counts from the end, one out of range is left out",
    .onnx = "ScatterElements",
    .onnx_since = 16,
    .trait = TERN__OPAQUE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
    .impls = impls,
};
