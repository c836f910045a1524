/* cumsum: sums of all elements up to each one along an axis. */
#include "ops/impls.h"
#include "ops/scan.h"

static const tern__attr_decl attrs[] = {
    [TERN__SCAN_AXIS] = {.name = "axis", .type = TERN_ATTR_INT},
    [TERN__SCAN_EXCLUSIVE] = {.name = "exclusive", .type = TERN_ATTR_INT},
    [TERN__SCAN_REVERSE] = {.name = "reverse", .type = TERN_ATTR_INT},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    int axis;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_NUM));
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCAN_AXIS), in[0].shape.rank, &axis));
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    return TERN_OK;
}

/* One line: extent elements, stride apart. */
static void line(const tern__node *n, const tern__array *x, int64_t first, int64_t extent, int64_t stride, const tern__array *y)
{
    const bool is_float = tern__dtype_is(x->type.dtype, TERN__T_FLOAT), exclusive = tern__attr_int(n, TERN__SCAN_EXCLUSIVE) != 0;
    double sum = 0;
    uint64_t int_sum = 0;
    for (int64_t k = 0; k < extent; k++) {
        const int64_t at = first + (tern__attr_int(n, TERN__SCAN_REVERSE) ? extent - 1 - k : k) * stride;
        const double before = sum;
        const uint64_t int_before = int_sum;
        if (is_float) {
            sum += tern__array_get(x, at);
            tern__array_set(y, at, exclusive ? before : sum);
        } else {
            int_sum += (uint64_t)tern__array_get_int(x, at);
            tern__array_set_int(y, at, (int64_t)(exclusive ? int_before : int_sum));
        }
    }
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &in[0].type.shape;
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCAN_AXIS), s->rank, &axis));
    const int64_t outer = tern__extent(s, 0, axis), inner = tern__extent(s, axis + 1, s->rank);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++)
            line(n, &in[0], o * s->dim[axis] * inner + i, s->dim[axis], inner, &out[0]);
    return TERN_OK;
}

/* An element is part of the sums that come after it. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern_graph_op1(g, "cumsum", dy[0], TERN_ATTRS(TERN_INT("axis", tern__attr_int(n, TERN__SCAN_AXIS)),
                                                          TERN_INT("exclusive", tern__attr_int(n, TERN__SCAN_EXCLUSIVE)),
                                                          TERN_INT("reverse", !tern__attr_int(n, TERN__SCAN_REVERSE))));
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_scan_lines, NULL};

TERN_OP(cumsum) = {
    .name = "cumsum",
    .doc = "y = the sum of the elements up to each one along axis; exclusive: without the element itself; reverse: from the other end",
    .trait = TERN__OPAQUE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .impls = impls,
};
