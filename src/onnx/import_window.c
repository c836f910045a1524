/* Windows of convolutions and pools: strides, dilations, kernel extents and the several ways to say how much padding there is. */
#include <inttypes.h>
#include <string.h>

#include "onnx/import_nn.h"
#include "ops/common.h"

/* Larger numbers in attributes make no sense, and below it no product here overflows. */
#define WINDOW_MAX INT32_MAX

tern_status tern__onnx_need_rank(const tern__onnx_node *n, int i, int lo, int hi)
{
    char text[TERN__SHAPE_TEXT];
    if (!tern__onnx_has(n, i))
        return tern__onnx_fail(n, TERN_E_INVALID, "input %d is missing", i);
    const tern_shape *s = tern__onnx_shape(n, i);
    if (s->rank >= lo && s->rank <= hi)
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s, its rank must be %d to %d", i, tern__shape_text(s, text), lo, hi);
}

tern_status tern__onnx_need_float(const tern__onnx_node *n, int i)
{
    const tern_dtype t = tern__onnx_type(n, i)->dtype;
    if (tern__dtype_is(t, TERN__T_FLOAT))
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_DTYPE, "input %d is %s, it must be floating point", i, tern_dtype_name(t));
}

tern_status tern__onnx_done(tern__onnx_node *n, int i, tern_value v)
{
    tern__onnx_set(n, i, v);
    return tern_graph_check(n->g);
}

tern_status tern__onnx_per_axis(tern__onnx_node *n, const char *name, int dims, int64_t lo, int64_t def, int64_t *out)
{
    char text[TERN__SHAPE_TEXT];
    int count;
    const int64_t *v = tern__onnx_attr_ints(n, name, &count);
    if (count && count != dims)
        return tern__onnx_fail(n, TERN_E_INVALID, "%s %s has %d numbers for %d", name, tern__ints_text(v, count, text), count, dims);
    for (int i = 0; i < dims; i++) {
        out[i] = count ? v[i] : def;
        if (out[i] < lo || out[i] > WINDOW_MAX)
            return tern__onnx_fail(n, TERN_E_INVALID, "%s %s: each must be at least %" PRId64, name, tern__ints_text(v, count, text), lo);
    }
    return TERN_OK;
}

static tern_status read_kernel(tern__onnx_node *n, const int64_t *kernel, tern__onnx_window *w)
{
    const bool given = tern__onnx_attr_given(n, "kernel_shape");
    if (!given && !kernel)
        return tern__onnx_fail(n, TERN_E_INVALID, "kernel_shape is missing");
    TERN_TRY(tern__onnx_per_axis(n, "kernel_shape", w->dims, 1, 1, w->kernel));
    for (int i = 0; kernel && i < w->dims; i++) {
        if (kernel[i] < 1 || kernel[i] > WINDOW_MAX)
            return tern__onnx_fail(n, TERN_E_SHAPE, "the weight has extent %" PRId64 " along spatial axis %d", kernel[i], i);
        if (given && kernel[i] != w->kernel[i])
            return tern__onnx_fail(n, TERN_E_SHAPE, "kernel_shape says %" PRId64 " along spatial axis %d, the weight has %" PRId64, w->kernel[i], i,
                                   kernel[i]);
        w->kernel[i] = kernel[i];
    }
    return TERN_OK;
}

/* As many positions as strides fit into x, the padding that takes split evenly, the odd one at the end (upper) or at the beginning. */
static void same_pads(tern__onnx_window *w, const tern_shape *x, bool upper)
{
    for (int i = 0; i < w->dims; i++) {
        const int64_t in = x->dim[2 + i], count = in / w->stride[i] + (in % w->stride[i] != 0);
        const int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1, total = TERN_MAX((count - 1) * w->stride[i] + span - in, 0);
        w->pads[i] = upper ? total / 2 : total - total / 2;
        w->pads[w->dims + i] = total - w->pads[i];
    }
}

static tern_status read_pads(tern__onnx_node *n, const tern_shape *x, tern__onnx_window *w)
{
    const char *mode = tern__onnx_attr_string(n, "auto_pad", "NOTSET");
    TERN_TRY(tern__onnx_per_axis(n, "pads", 2 * w->dims, 0, 0, w->pads));
    if (strcmp(mode, "NOTSET") == 0 || strcmp(mode, "") == 0)
        return TERN_OK;
    memset(w->pads, 0, sizeof w->pads);
    if (strcmp(mode, "VALID") == 0)
        return TERN_OK;
    const bool upper = strcmp(mode, "SAME_UPPER") == 0;
    if (!upper && strcmp(mode, "SAME_LOWER") != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "auto_pad \"%s\"", mode);
    same_pads(w, x, upper);
    return TERN_OK;
}

tern_status tern__onnx_window_of(tern__onnx_node *n, const tern_shape *x, const int64_t *kernel, tern__onnx_window *w)
{
    char text[TERN__SHAPE_TEXT];
    *w = (tern__onnx_window){.dims = x->rank - 2};
    if (w->dims < 1 || w->dims > 3)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "windows over %s: one to three spatial axes are possible", tern__shape_text(x, text));
    for (int i = 2; i < x->rank; i++)
        if (x->dim[i] > WINDOW_MAX)
            return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "windows over %s: an extent is above 2^31", tern__shape_text(x, text));
    TERN_TRY(tern__onnx_per_axis(n, "strides", w->dims, 1, 1, w->stride));
    TERN_TRY(tern__onnx_per_axis(n, "dilations", w->dims, 1, 1, w->dilation));
    TERN_TRY(read_kernel(n, kernel, w));
    return read_pads(n, x, w);
}
