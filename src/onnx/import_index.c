/* Importing what picks and places elements by index: gathering, scattering, sorting, running sums, and what has as many results as the data say. */
#include "onnx/import_index.h"

#include <inttypes.h>
#include <string.h>

#include "onnx/import_shape.h"

/* --- Gathering ---------------------------------------------------------------------------------------------------- */

static tern_status along_axis(tern__onnx_node *n, const char *op)
{
    TERN_TRY(tern__onnx_need(n, 2, 2));
    const int64_t axis = tern__onnx_attr_int(n, "axis", 0);
    return tern__onnx_put(n, 0, tern_graph_op2(n->g, op, tern__onnx_in(n, 0), tern__onnx_in(n, 1), TERN_ATTRS(TERN_INT("axis", axis))));
}

static tern_status gather(tern__onnx_node *n)
{
    return along_axis(n, "gather");
}

static tern_status gather_elements(tern__onnx_node *n)
{
    return along_axis(n, "gather_elements");
}

static tern_status gather_nd(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 2, 2));
    const int64_t batch = tern__onnx_attr_int(n, "batch_dims", 0);
    return tern__onnx_put(n, 0, tern_graph_op2(n->g, "gather_nd", tern__onnx_in(n, 0), tern__onnx_in(n, 1), TERN_ATTRS(TERN_INT("batch_dims", batch))));
}

/* --- Scattering --------------------------------------------------------------------------------------------------- */

static tern_status scatter_elements(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 3, 3));
    const int64_t axis = tern__onnx_attr_int(n, "axis", 0);
    const char *reduction = tern__onnx_attr_string(n, "reduction", "none");
    const tern_shape *data = tern__onnx_shape(n, 0), *indices = tern__onnx_shape(n, 1);
    if (tern__elems(data) == 0 || tern__elems(indices) == 0) /* nothing to write, or nowhere */
        return tern__onnx_put(n, 0, tern__onnx_in(n, 0));
    return tern__onnx_put(n, 0, tern_graph_op3(n->g, "scatter_elements", tern__onnx_in(n, 0), tern__onnx_in(n, 1), tern__onnx_in(n, 2),
                                               TERN_ATTRS(TERN_INT("axis", axis), TERN_STRING("reduction", reduction))));
}

static tern_status scatter_nd(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 3, 3));
    const char *reduction = tern__onnx_attr_string(n, "reduction", "none");
    return tern__onnx_put(n, 0, tern_graph_op3(n->g, "scatter_nd", tern__onnx_in(n, 0), tern__onnx_in(n, 1), tern__onnx_in(n, 2),
                                               TERN_ATTRS(TERN_STRING("reduction", reduction))));
}

/* The same shape but for one axis. */
static bool differ_only_along(const tern_shape *a, const tern_shape *b, int axis)
{
    bool same = a->rank == b->rank;
    for (int d = 0; d < a->rank && same; d++)
        same = d == axis || a->dim[d] == b->dim[d];
    return same;
}

/* Each sample's update goes into its cache from a place of its own on; seen from the cache, each place looks for its update. */
static tern_status tensor_scatter(tern__onnx_node *n)
{
    int axis;
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    TERN_TRY(tern__onnx_need(n, 2, 3));
    const tern_shape cache = *tern__onnx_shape(n, 0), update = *tern__onnx_shape(n, 1);
    const char *mode = tern__onnx_attr_string(n, "mode", "linear");
    const bool circular = strcmp(mode, "circular") == 0;
    if (!circular && strcmp(mode, "linear") != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "mode \"%.40s\"", mode);
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", -2), cache.rank, &axis));
    if (axis == 0 || !differ_only_along(&cache, &update, axis) || update.dim[axis] > cache.dim[axis])
        return tern__onnx_fail(n, TERN_E_SHAPE, "an update %s for the cache %s along axis %d", tern__shape_text(&update, a), tern__shape_text(&cache, b), axis);
    if (tern__elems(&update) == 0)
        return tern__onnx_put(n, 0, tern__onnx_in(n, 0));
    const int64_t length = update.dim[axis], extent = cache.dim[axis];
    tern_value at = tern__onnx_iota(n->g, cache.rank, axis, extent);
    if (tern__onnx_has(n, 2)) {
        tern_shape s = {.rank = cache.rank};
        for (int d = 0; d < s.rank; d++)
            s.dim[d] = d == 0 ? cache.dim[0] : 1;
        if (tern__elems(tern__onnx_shape(n, 2)) != cache.dim[0])
            return tern__onnx_fail(n, TERN_E_SHAPE, "write_indices %s for a batch of %" PRId64, tern__shape_text(tern__onnx_shape(n, 2), a), cache.dim[0]);
        at = tern__sub(n->g, at, tern__reshape(n->g, tern__cast(n->g, tern__onnx_in(n, 2), TERN_I64), &s));
    }
    if (circular)
        at = tern_graph_op2(n->g, "mod", at, tern_graph_scalar(n->g, TERN_I64, (double)extent), NULL); /* of integers: never negative */
    tern_value inside = tern_graph_op2(n->g, "logical_and", tern__compare(n->g, "greater_equal", at, 0), tern__compare(n->g, "less", at, (double)length), NULL);
    at = tern__expand_to(n->g, tern__where(n->g, inside, at, tern_graph_scalar(n->g, TERN_I64, 0)), &cache);
    tern_value found = tern_graph_op2(n->g, "gather_elements", tern__onnx_in(n, 1), at, TERN_ATTRS(TERN_INT("axis", axis)));
    return tern__onnx_put(n, 0, tern__where(n->g, inside, found, tern__onnx_in(n, 0)));
}

/* --- Order -------------------------------------------------------------------------------------------------------- */

static tern_status top_k_of(tern__onnx_node *n, int64_t k, bool largest)
{
    int axis;
    const tern__type t = *tern__onnx_type(n, 0);
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", -1), t.shape.rank, &axis));
    if (k < 0 || k > t.shape.dim[axis])
        return tern__onnx_fail(n, TERN_E_SHAPE, "k is %" PRId64 ", but axis %d has %" PRId64 " elements", k, axis, t.shape.dim[axis]);
    tern_value out[2];
    const tern_value x = tern__onnx_in(n, 0);
    tern_graph_add_n(n->g, "top_k", &x, 1, TERN_ATTRS(TERN_INT("k", k), TERN_INT("axis", axis), TERN_INT("largest", largest)), out, 2);
    TERN_TRY(tern__onnx_put(n, 0, out[0]));
    return tern__onnx_put(n, 1, out[1]);
}

static tern_status top_k_1(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    return top_k_of(n, tern__onnx_attr_int(n, "k", -1), true);
}

static tern_status top_k(tern__onnx_node *n)
{
    int64_t k;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    TERN_TRY(tern__onnx_read_int(n, 1, -1, &k));
    tern__onnx_attr_ignore(n, "sorted"); /* in order is one of the orders that may be had without */
    return top_k_of(n, k, tern__onnx_attr_int(n, "largest", 1) != 0);
}

static tern_status cumsum(tern__onnx_node *n)
{
    int64_t at;
    int axis;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    TERN_TRY(tern__onnx_read_int(n, 1, 0, &at));
    TERN_TRY(tern__onnx_axis(n, at, tern__onnx_rank(n, 0), &axis));
    const int64_t exclusive = tern__onnx_attr_int(n, "exclusive", 0), reverse = tern__onnx_attr_int(n, "reverse", 0);
    return tern__onnx_put(n, 0, tern_graph_op1(n->g, "cumsum", tern__onnx_in(n, 0), TERN_ATTRS(TERN_INT("axis", axis), TERN_INT("exclusive", exclusive),
                                                                                                TERN_INT("reverse", reverse))));
}

/* The first sequence_lens[b] steps of each b the other way round. */
static tern_status reverse_sequence(tern__onnx_node *n)
{
    int time, batch;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    const tern_shape s = *tern__onnx_shape(n, 0), *lengths = tern__onnx_shape(n, 1);
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "time_axis", 0), s.rank, &time));
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "batch_axis", 1), s.rank, &batch));
    if (time == batch || tern__elems(lengths) != s.dim[batch])
        return tern__onnx_fail(n, TERN_E_SHAPE, "time axis %d, batch axis %d, %" PRId64 " lengths for %" PRId64 " sequences", time, batch,
                               tern__elems(lengths), s.dim[batch]);
    if (tern__elems(&s) == 0)
        return tern__onnx_put(n, 0, tern__onnx_in(n, 0));
    tern_shape per_batch = {.rank = s.rank};
    for (int d = 0; d < s.rank; d++)
        per_batch.dim[d] = d == batch ? s.dim[d] : 1;
    tern_value step = tern__onnx_iota(n->g, s.rank, time, s.dim[time]);
    tern_value length = tern__reshape(n->g, tern__cast(n->g, tern__onnx_in(n, 1), TERN_I64), &per_batch);
    tern_value from = tern__where(n->g, tern_graph_op2(n->g, "less", step, length, NULL), tern__add_scalar(n->g, tern__sub(n->g, length, step), -1), step);
    return tern__onnx_put(n, 0, tern_graph_op2(n->g, "gather_elements", tern__onnx_in(n, 0), tern__expand_to(n->g, from, &s),
                                               TERN_ATTRS(TERN_INT("axis", time))));
}

static tern_status det(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    return tern__onnx_put(n, 0, tern_graph_op1(n->g, "det", tern__onnx_in(n, 0), NULL));
}

/* --- As many results as the data say -------------------------------------------------------------------------------- */

static tern_status non_zero(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    return tern__onnx_on_host(n, tern__onnx_host_nonzero, NULL);
}

static tern_status unique(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    return tern__onnx_on_host(n, tern__onnx_host_unique, (const char *const[]){"axis", "sorted", NULL});
}

static tern_status suppression(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 2, 5));
    return tern__onnx_on_host(n, tern__onnx_host_suppression, (const char *const[]){"center_point_box", NULL});
}

/* A condition that is known picks slices by constant indices, and the data may stay where they are. */
static tern_status compress(tern__onnx_node *n)
{
    const int64_t *condition;
    int count, axis = 0, kept = 0;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    if (!tern__onnx_known(n, 1))
        return tern__onnx_on_host(n, tern__onnx_host_compress, (const char *const[]){"axis", NULL});
    TERN_TRY(tern__onnx_read_ints(n, 1, &condition, &count));
    const tern_shape s = *tern__onnx_shape(n, 0), flat = {.rank = 1, .dim = {tern__elems(&s)}};
    const bool given = tern__onnx_attr_given(n, "axis");
    if (given)
        TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", 0), s.rank, &axis));
    const int64_t extent = given ? s.dim[axis] : flat.dim[0];
    int64_t *list = tern__onnx_scratch(n, (size_t)count, sizeof *list);
    if (!list)
        return TERN_E_NOMEM;
    for (int k = 0; k < count && k < extent; k++)
        if (condition[k])
            list[kept++] = k;
    tern_value indices = tern__onnx_const_ints(n, TERN_I64, &(tern_shape){.rank = 1, .dim = {kept}}, list);
    tern_value x = given ? tern__onnx_in(n, 0) : tern__onnx_reshaped(n, tern__onnx_in(n, 0), &flat);
    return tern__onnx_put(n, 0, tern_graph_op2(n->g, "gather", x, indices, TERN_ATTRS(TERN_INT("axis", axis))));
}

/* --- The table ---------------------------------------------------------------------------------------------------- */

const tern__onnx_map tern__onnx_map_index[] = {
    {"", "Compress", 9, compress},
    {"", "CumSum", 11, cumsum},
    {"", "Det", 11, det},
    {"", "Einsum", 12, tern__onnx_einsum},
    {"", "Gather", 1, gather},
    {"", "GatherElements", 11, gather_elements},
    {"", "GatherND", 11, gather_nd},
    {"", "NonMaxSuppression", 10, suppression},
    {"", "NonZero", 9, non_zero},
    {"", "ReverseSequence", 10, reverse_sequence},
    {"", "Scatter", 9, scatter_elements},
    {"", "ScatterElements", 11, scatter_elements},
    {"", "ScatterND", 11, scatter_nd},
    {"", "TensorScatter", 24, tensor_scatter},
    {"", "TfIdfVectorizer", 9, tern__onnx_tf_idf},
    {"", "TopK", 1, top_k_1},
    {"", "TopK", 10, top_k},
    {"", "Unique", 11, unique},
    {0},
};
