/* scatter_slices: slices along an axis replaced by updates, or combined with them. */
#include "ops/impls.h"
#include "ops/scatter.h"

static const tern__attr_decl attrs[] = {
    [TERN__SCATTER_AXIS] = {.name = "axis", .type = TERN_ATTR_INT},
    [TERN__SCATTER_REDUCTION] = {.name = "reduction", .type = TERN_ATTR_STRING, .def_s = "none"},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern__gather_map m;
    tern__scatter_kind kind;
    TERN_TRY(tern__scatter_kind_of(n, TERN__SCATTER_REDUCTION, &kind));
    TERN_TRY(tern__scatter_types(n, in, kind));
    TERN_TRY(tern__gather_map_of(n, &in[0].shape, &in[1].shape, &m));
    if (!tern__shape_equal(&m.slices, &in[2].shape))
        return tern__fail(TERN_E_SHAPE, "scatter_slices: updates %s where data and indices ask for %s", tern__shape_text(&in[2].shape, a),
                          tern__shape_text(&m.slices, b));
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__gather_map m;
    tern__scatter_kind kind;
    tern__scatter_sums sums;
    TERN_TRY(tern__scatter_kind_of(n, TERN__SCATTER_REDUCTION, &kind));
    TERN_TRY(tern__gather_map_of(n, &in[0].type.shape, &in[1].type.shape, &m));
    TERN_TRY(tern__scatter_begin(&sums, &in[0], kind));
    for (int64_t o = 0; o < m.outer; o++) {
        for (int64_t j = 0; j < m.n_indices; j++) {
            const int64_t k = tern__gather_at(&in[1], j, m.extent);
            for (int64_t i = 0; i < m.inner && k >= 0; i++)
                tern__scatter_update(&sums, (o * m.extent + k) * m.inner + i, &in[2], (o * m.n_indices + j) * m.inner + i);
        }
    }
    tern__scatter_end(&sums, &out[0]);
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    return tern__scatter_grad(g, n, "gather", dy, dx);
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return tern__scatter_expand_scalar(g, n, in, out);
}

static const tern__impl *const impls[] = {&tern__impl_scatter_lists, NULL};

TERN_OP(scatter_slices) = {
    .name = "scatter_slices",
    .doc = "y = data, with updates[.., i.., ..] put at y[.., indices[i..], ..] along axis: in place of what is there (reduction none: the last "
           "one stands), or by add, mul, min, max in the order of the indices; a negative index counts from the end, one out of range is left out",
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
