/* scatter_add: slices added to those that indices name, the gradient of gather. */
#include "ops/impls.h"
#include "ops/scatter.h"

static const tern__attr_decl attrs[] = {{.name = "axis", .type = TERN_ATTR_INT}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern__gather_map m;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_NUM));
    TERN_TRY(tern__need_kind(n, in, 1, TERN__T_INT));
    TERN_TRY(tern__need_same(n, in, 0, 2));
    TERN_TRY(tern__gather_map_of(n, &in[0].shape, &in[1].shape, &m));
    if (!tern__shape_equal(&m.slices, &in[2].shape))
        return tern__fail(TERN_E_SHAPE, "scatter_add: updates %s where data and indices ask for %s", tern__shape_text(&in[2].shape, a),
                          tern__shape_text(&m.slices, b));
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    return TERN_OK;
}

/* One element: data plus every update whose index names it, in the order of the indices. */
static void sum_element(const tern__gather_map *m, const tern__array *in, int64_t o, int64_t k, int64_t i, const tern__array *out)
{
    const int64_t at = (o * m->extent + k) * m->inner + i;
    const bool is_float = tern__dtype_is(out->type.dtype, TERN__T_FLOAT);
    double acc = is_float ? tern__array_get(&in[0], at) : 0;
    uint64_t int_acc = is_float ? 0 : (uint64_t)tern__array_get_int(&in[0], at);
    for (int64_t j = 0; j < m->n_indices; j++) {
        if (tern__gather_at(&in[1], j, m->extent) != k)
            continue;
        const int64_t from = (o * m->n_indices + j) * m->inner + i;
        if (is_float)
            acc += tern__array_get(&in[2], from);
        else
            int_acc += (uint64_t)tern__array_get_int(&in[2], from);
    }
    if (is_float)
        tern__array_set(out, at, acc);
    else
        tern__array_set_int(out, at, (int64_t)int_acc);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__gather_map m;
    TERN_TRY(tern__gather_map_of(n, &in[0].type.shape, &in[1].type.shape, &m));
    for (int64_t o = 0; o < m.outer; o++)
        for (int64_t k = 0; k < m.extent; k++)
            for (int64_t i = 0; i < m.inner; i++)
                sum_element(&m, in, o, k, i, &out[0]);
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = dy[0];
    dx[2] = tern_graph_op2(g, "gather", dy[0], n->in[1], TERN_ATTRS(TERN_INT("axis", tern__attr_int(n, 0))));
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    return tern__scatter_expand_scalar(g, n, in, out);
}

static const tern__impl *const impls[] = {&tern__impl_scatter_add_items, &tern__impl_scatter_lists, NULL};

TERN_OP(scatter_add) = {
    .name = "scatter_add",
    .doc = "y = data, with updates[.., i.., ..] added to y[.., indices[i..], ..] along axis, in the order of the indices; a negative index counts "
           "from the end, one out of range is left out",
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
