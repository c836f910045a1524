/* one_hot: a new axis that is 1 where the index says and 0 elsewhere. */
#include <inttypes.h>

#include "ops/gather.h"

enum { DEPTH, AXIS, DTYPE };
static const tern__attr_decl attrs[] = {
    {.name = "depth", .type = TERN_ATTR_INT, .required = true},
    {.name = "axis", .type = TERN_ATTR_INT, .def = -1},
    {.name = "dtype", .type = TERN_ATTR_STRING, .def_s = "f32"},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    int axis;
    tern_dtype t;
    const int64_t depth = tern__attr_int(n, DEPTH);
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_INT));
    TERN_TRY(tern__need_rank(n, in, 0, 0, TERN_MAX_RANK - 1));
    TERN_TRY(tern__attr_dtype(n, DTYPE, TERN__T_ANY, &t));
    if (depth < 1)
        return tern__fail(TERN_E_INVALID, "one_hot: depth %" PRId64 " must be at least 1", depth);
    const int rank = in[0].shape.rank + 1;
    TERN_TRY(tern__axis(n, tern__attr_int(n, AXIS), rank, &axis));
    tern_shape s = {.rank = rank};
    for (int i = 0, k = 0; i < rank; i++)
        s.dim[i] = i == axis ? depth : in[0].shape.dim[k++];
    out[0] = tern__plain(t, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &out[0].type.shape;
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, AXIS), s->rank, &axis));
    const int64_t outer = tern__extent(s, 0, axis), depth = s->dim[axis], inner = tern__extent(s, axis + 1, s->rank);
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            const int64_t hot = tern__gather_at(&in[0], o * inner + i, depth);
            for (int64_t k = 0; k < depth; k++)
                tern__array_set(&out[0], (o * depth + k) * inner + i, k == hot);
        }
    }
    return TERN_OK;
}

/* Compared in 32 bits, or in 64 where the index or the depth may need them, so that no index wraps into range. */
static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_dtype t = tern__dtype_of(g, in[0]);
    const int64_t depth = tern__attr_int(n, DEPTH);
    const int rank = tern__shape_of(g, in[0])->rank + 1;
    const bool wide = tern_dtype_size(t) == 8 || t == TERN_U32 || depth > INT32_MAX;
    int axis;
    tern_dtype to;
    int64_t shape[TERN_MAX_RANK];
    TERN_TRY(tern__axis(n, tern__attr_int(n, AXIS), rank, &axis));
    TERN_TRY(tern__attr_dtype(n, DTYPE, TERN__T_ANY, &to));
    for (int i = 0; i < rank; i++)
        shape[i] = i == axis ? depth : 1;
    tern_value index = tern__unsqueeze(g, tern__cast(g, in[0], wide ? TERN_I64 : TERN_I32), 1u << axis);
    if (!tern__is_unsigned(t))
        index = tern__where(g, tern__compare(g, "less", index, 0), tern__add_scalar(g, index, (double)depth), index);
    tern_value k = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", shape, rank), TERN_INT("axis", axis),
                                                                  TERN_STRING("dtype", wide ? "i64" : "i32")));
    out[0] = tern__cast(g, tern_graph_op2(g, "equal", index, k, NULL), to);
    return TERN_OK;
}

TERN_OP(one_hot) = {
    .name = "one_hot",
    .doc = "y = 1 where the position along the new axis is the index, else 0; a negative index counts from the end, one out of range gives only 0",
    .onnx = "OneHot",
    .onnx_since = 9,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
};
