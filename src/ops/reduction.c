/* What the reductions share: attributes, shape rule with a check of dtypes, gradients' pieces. */
#include "ops/reduction.h"

#include <math.h>

const tern__attr_decl tern__reduce_attrs[2] = {
    {.name = "axes", .type = TERN_ATTR_INTS},
    {.name = "keepdims", .type = TERN_ATTR_INT, .def = 1},
};

tern_status tern__infer_reduce_num(const tern__node *n, const tern__type *in, tern__type *out)
{
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_NUM));
    return tern__infer_reduction(n, in, out);
}

tern_status tern__infer_reduce_float(const tern__node *n, const tern__type *in, tern__type *out)
{
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    return tern__infer_reduction(n, in, out);
}

tern_status tern__infer_reduce_some(const tern__node *n, const tern__type *in, tern__type *out)
{
    unsigned mask;
    char text[TERN__SHAPE_TEXT];
    TERN_TRY(tern__infer_reduce_num(n, in, out));
    TERN_TRY(tern__reduce_mask(n, in[0].shape.rank, &mask));
    for (int i = 0; i < in[0].shape.rank; i++)
        if (mask >> i & 1 && in[0].shape.dim[i] == 0)
            return tern__fail(TERN_E_SHAPE, "%s: %s has no elements along axis %d to choose from", n->op->name,
                              tern__shape_text(&in[0].shape, text), i);
    return TERN_OK;
}

tern_status tern__infer_reduce_index(const tern__node *n, const tern__type *in, tern__type *out)
{
    int n_axes;
    tern__attr_ints(n, TERN__REDUCE_AXES, &n_axes);
    if (n_axes > 1)
        return tern__fail(TERN_E_INVALID, "%s: takes one axis or none (all elements), not %d", n->op->name, n_axes);
    TERN_TRY(tern__infer_reduce_some(n, in, out));
    out[0].dtype = TERN_I64;
    return TERN_OK;
}

tern_status tern__ref_reduce(const tern__node *n, const tern__array *in, const tern__array *out, const tern__fold *f)
{
    unsigned mask;
    TERN_TRY(tern__reduce_mask(n, in[0].type.shape.rank, &mask));
    return tern__ref_fold(&in[0], mask, f, &out[0]);
}

/* NaN beats every number, as in max and min. */
static bool beats(const tern__array *a, int64_t later, int64_t best, bool largest)
{
    if (tern__dtype_is(a->type.dtype, TERN__T_FLOAT)) {
        double x = tern__array_get(a, later), y = tern__array_get(a, best);
        return isnan(x) ? !isnan(y) : largest ? x > y : x < y;
    }
    int64_t x = tern__array_get_int(a, later), y = tern__array_get_int(a, best);
    if (tern__is_unsigned(a->type.dtype))
        return largest ? (uint64_t)x > (uint64_t)y : (uint64_t)x < (uint64_t)y;
    return largest ? x > y : x < y;
}

tern_status tern__ref_arg(const tern__node *n, const tern__array *in, const tern__array *out, bool largest)
{
    const tern_shape *s = &in[0].type.shape;
    int n_axes, axis;
    const int64_t *axes = tern__attr_ints(n, TERN__REDUCE_AXES, &n_axes);
    int64_t outer = 1, len = tern__elems(s), inner = 1;
    if (n_axes) {
        TERN_TRY(tern__axis(n, axes[0], s->rank, &axis));
        outer = tern__extent(s, 0, axis);
        len = s->dim[axis];
        inner = tern__extent(s, axis + 1, s->rank);
    }
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            int64_t best = 0;
            for (int64_t k = 1; k < len; k++)
                if (beats(&in[0], (o * len + k) * inner + i, (o * len + best) * inner + i, largest))
                    best = k;
            tern__array_set_int(&out[0], o * inner + i, best);
        }
    }
    return TERN_OK;
}

unsigned tern__grad_mask(const tern_graph *g, const tern__node *n)
{
    unsigned mask = 0;
    (void)tern__reduce_mask(n, tern__shape_of(g, n->in[0])->rank, &mask); /* the shape rule has accepted it */
    return mask;
}

tern_value tern__grad_keep(tern_graph *g, const tern__node *n, tern_value v)
{
    return tern__keep_axes(g, v, tern__grad_mask(g, n), tern__attr_int(n, TERN__REDUCE_KEEPDIMS) != 0);
}

tern_status tern__grad_best(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value x = n->in[0], y = tern__grad_keep(g, n, n->out[0]), d = tern__grad_keep(g, n, dy[0]);
    tern_value best = tern_graph_op2(g, "equal", x, y, NULL);
    if (tern_graph_check(g) != TERN_OK)
        return tern_graph_check(g);
    tern_value ties = tern__sum_axes(g, tern__cast(g, best, tern__dtype_of(g, x)), tern__grad_mask(g, n), true);
    dx[0] = tern__where(g, best, tern__div(g, d, ties), tern__like(g, x, 0));
    return TERN_OK;
}
