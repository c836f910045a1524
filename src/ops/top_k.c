/* top_k: the largest or smallest elements along an axis, and where they were. */
#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "ops/impls.h"
#include "ops/top_k.h"

static const tern__attr_decl attrs[] = {
    [TERN__TOP_K] = {.name = "k", .type = TERN_ATTR_INT, .required = true},
    [TERN__TOP_AXIS] = {.name = "axis", .type = TERN_ATTR_INT, .def = -1},
    [TERN__TOP_LARGEST] = {.name = "largest", .type = TERN_ATTR_INT, .def = 1},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    const int64_t k = tern__attr_int(n, TERN__TOP_K);
    int axis;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_NUM));
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__TOP_AXIS), in[0].shape.rank, &axis));
    if (k < 0 || k > in[0].shape.dim[axis])
        return tern__fail(TERN_E_SHAPE, "top_k: k is %" PRId64 ", but axis %d has %" PRId64 " elements", k, axis, in[0].shape.dim[axis]);
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    out[0].shape.dim[axis] = k;
    out[1] = tern__plain(TERN_I64, &out[0].shape);
    return TERN_OK;
}

/* Element i is greater than element j; a NaN is greater than every number. */
static bool greater(const tern__array *x, int64_t i, int64_t j)
{
    if (tern__dtype_is(x->type.dtype, TERN__T_FLOAT)) {
        const double a = tern__array_get(x, i), b = tern__array_get(x, j);
        return a > b || (isnan(a) && !isnan(b));
    }
    const int64_t a = tern__array_get_int(x, i), b = tern__array_get_int(x, j);
    return tern__is_unsigned(x->type.dtype) ? (uint64_t)a > (uint64_t)b : a > b;
}

/* Sorts the positions at[0..n) of a line, the best first, equal ones as they are; spare has room for as many. */
static void sort(const tern__array *x, int64_t first, int64_t stride, bool largest, int64_t *at, int64_t *spare, int64_t n)
{
    if (n < 2)
        return;
    const int64_t half = n / 2;
    sort(x, first, stride, largest, at, spare, half);
    sort(x, first, stride, largest, at + half, spare, n - half);
    for (int64_t i = 0, a = 0, b = half; i < n; i++) {
        bool second = a == half;
        if (a < half && b < n) {
            const int64_t p = first + at[a] * stride, q = first + at[b] * stride;
            second = largest ? greater(x, q, p) : greater(x, p, q);
        }
        spare[i] = second ? at[b++] : at[a++];
    }
    for (int64_t i = 0; i < n; i++)
        at[i] = spare[i];
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[0].type.shape;
    const int64_t k = tern__attr_int(n, TERN__TOP_K);
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__TOP_AXIS), s->rank, &axis));
    const int64_t outer = tern__extent(s, 0, axis), extent = s->dim[axis], inner = tern__extent(s, axis + 1, s->rank);
    int64_t *at = tern__alloc_array((size_t)extent * 2, sizeof *at);
    if (!at)
        return tern__fail(TERN_E_NOMEM, "top_k: %" PRId64 " positions", extent);
    for (int64_t line = 0; line < outer * inner; line++) {
        const int64_t o = line / inner, i = line % inner, first = o * extent * inner + i;
        for (int64_t j = 0; j < extent; j++)
            at[j] = j;
        sort(&in[0], first, inner, tern__attr_int(n, TERN__TOP_LARGEST) != 0, at, at + extent, extent);
        for (int64_t j = 0; j < k; j++) {
            tern__array_copy(&out[0], (o * k + j) * inner + i, &in[0], first + at[j] * inner);
            tern__array_set_int(&out[1], (o * k + j) * inner + i, at[j]);
        }
    }
    tern__free(at);
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    if (dy[0] != TERN_NONE)
        dx[0] = tern_graph_op3(g, "scatter_elements", tern__zeros_like(g, n->in[0]), n->out[1], dy[0],
                               TERN_ATTRS(TERN_INT("axis", tern__attr_int(n, TERN__TOP_AXIS)), TERN_STRING("reduction", "add")));
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_top_k_heaps, NULL};

TERN_OP(top_k) = {
    .name = "top_k",
    .doc = "values, indices = the k largest (largest 0: smallest) elements along axis, the best first, of equal ones the first in x; a NaN is "
           "greater than every number",
    .trait = TERN__OPAQUE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .impls = impls,
};
