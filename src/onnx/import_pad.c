/* Importing what puts elements around a tensor, or takes them away there: Pad, CenterCropPad. */
#include "onnx/import_shape.h"

#include <inttypes.h>
#include <string.h>

/* Pads for all axes, beginnings first, from a list for the axes in input 3 (none: all). */
static tern_status read_pads(tern__onnx_node *n, int64_t pads[2 * TERN_MAX_RANK])
{
    const int64_t *list, *axes;
    int count, n_axes;
    char text[TERN__SHAPE_TEXT];
    const int rank = tern__onnx_rank(n, 0);
    TERN_TRY(tern__onnx_list(n, n->opset < 2 ? "paddings" : "pads", 1, &list, &count));
    TERN_TRY(tern__onnx_read_ints(n, 3, &axes, &n_axes));
    const bool all = !tern__onnx_has(n, 3);
    const int on = all ? rank : n_axes;
    if (count != 2 * on)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%d pads for %d axes; %d are needed, all beginnings, then all ends", count, on, 2 * on);
    memset(pads, 0, sizeof *pads * 2 * TERN_MAX_RANK);
    unsigned seen;
    TERN_TRY(tern__onnx_axes_of(n, axes, all ? 0 : n_axes, rank, &seen));
    for (int i = 0; i < on; i++) {
        const int axis = all ? i : (int)(axes[i] < 0 ? axes[i] + rank : axes[i]);
        pads[axis] = list[i];
        pads[rank + axis] = list[on + i];
        const int64_t extent = tern__onnx_shape(n, 0)->dim[axis], most = INT64_MAX / 8;
        if (list[i] < -most || list[i] > most || list[on + i] < -most || list[on + i] > most || extent + list[i] + list[on + i] < 0)
            return tern__onnx_fail(n, TERN_E_SHAPE, "pads %s do not fit axis %d of %" PRId64 " elements", tern__ints_text(list, count, text), axis, extent);
    }
    return TERN_OK;
}

static tern_value padded(tern__onnx_node *n, tern_value v, const int64_t *pads, const char *mode, double value)
{
    return tern_graph_op1(n->g, "pad", v, TERN_ATTRS(TERN_INTS("pads", pads, 2 * tern__shape_of(n->g, v)->rank), TERN_STRING("mode", mode),
                                                      TERN_FLOAT("value", value)));
}

/* The constant to pad with: a number where it is known and a double holds it exactly, else a value. */
static tern_status pad_value(tern__onnx_node *n, double *x, tern_value *v)
{
    const double *numbers;
    const int64_t *whole;
    int count;
    *x = tern__onnx_attr_float(n, "value", 0);
    *v = TERN_NONE;
    if (!tern__onnx_has(n, 2))
        return TERN_OK;
    const tern__type *t = tern__onnx_type(n, 2);
    if (tern__elems(&t->shape) != 1 || t->dtype != tern__onnx_type(n, 0)->dtype)
        return tern__onnx_fail(n, TERN_E_SHAPE, "the constant to pad with must be one %s", tern_dtype_name(tern__onnx_type(n, 0)->dtype));
    bool exact = tern__onnx_known(n, 2);
    if (exact) {
        TERN_TRY(tern__onnx_read_floats(n, 2, &numbers, &count));
        TERN_TRY(tern__onnx_read_ints(n, 2, &whole, &count));
        *x = numbers[0];
        exact = tern__dtype_is(t->dtype, TERN__T_FLOAT | TERN__T_BOOL) || (whole[0] > -(INT64_C(1) << 53) && whole[0] < INT64_C(1) << 53);
    }
    if (!exact)
        TERN_TRY(tern__onnx_scalar_in(n, 2, t->dtype, v));
    return TERN_OK;
}

tern_status tern__onnx_pad(tern__onnx_node *n)
{
    int64_t pads[2 * TERN_MAX_RANK];
    double x;
    tern_value value;
    TERN_TRY(tern__onnx_need(n, 1, 4));
    const char *mode = tern__onnx_attr_string(n, "mode", "constant");
    TERN_TRY(read_pads(n, pads));
    TERN_TRY(pad_value(n, &x, &value));
    const tern__type t = *tern__onnx_type(n, 0);
    const bool constant = strcmp(mode, "constant") == 0;
    tern_value v = tern__onnx_in(n, 0);
    tern_shape to = t.shape;
    for (int d = 0; d < to.rank; d++)
        to.dim[d] += pads[d] + pads[to.rank + d];
    if (constant && tern__elems(&t.shape) == 0) /* nothing but the constant */
        return tern__onnx_put(n, 0, tern__expand_to(n->g, value == TERN_NONE ? tern_graph_scalar(n->g, t.dtype, x) : value, &to));
    v = padded(n, v, pads, mode, constant ? x : 0);
    if (constant && value != TERN_NONE)
        v = tern__where(n->g, padded(n, tern__expand_to(n->g, tern_graph_scalar(n->g, TERN_BOOL, 1), &t.shape), pads, mode, 0), v, value);
    return tern__onnx_put(n, 0, v);
}

tern_status tern__onnx_center_crop_pad(tern__onnx_node *n)
{
    const int64_t *want, *axes;
    int count, n_axes;
    unsigned mask;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    TERN_TRY(tern__onnx_read_ints(n, 1, &want, &count));
    const tern_shape s = *tern__onnx_shape(n, 0);
    axes = tern__onnx_attr_ints(n, "axes", &n_axes);
    const bool all = !tern__onnx_attr_given(n, "axes");
    TERN_TRY(tern__onnx_axes_of(n, axes, all ? 0 : n_axes, s.rank, &mask));
    if (count != (all ? s.rank : n_axes))
        return tern__onnx_fail(n, TERN_E_SHAPE, "%d extents for %d axes", count, all ? s.rank : n_axes);
    int64_t pads[2 * TERN_MAX_RANK] = {0};
    tern_shape to = s;
    for (int i = 0; i < count; i++) {
        const int axis = all ? i : (int)(axes[i] < 0 ? axes[i] + s.rank : axes[i]);
        if (want[i] < 0 || want[i] > INT64_MAX / 8)
            return tern__onnx_fail(n, TERN_E_SHAPE, "extent %" PRId64 " for axis %d", want[i], axis);
        const int64_t more = want[i] - s.dim[axis], before = more < 0 ? -(-more / 2) : more / 2;
        pads[axis] = before;
        pads[s.rank + axis] = more - before;
        to.dim[axis] = want[i];
    }
    if (tern__elems(&s) == 0)
        return tern__onnx_put(n, 0, tern__expand_to(n->g, tern_graph_scalar(n->g, tern__onnx_type(n, 0)->dtype, 0), &to));
    return tern__onnx_put(n, 0, padded(n, tern__onnx_in(n, 0), pads, "constant", 0));
}
