/* Handlers of Conv and ConvTranspose. */
#include <inttypes.h>
#include <string.h>

#include "onnx/import_nn.h"
#include "ops/common.h"

#define WINDOW_ATTRS(w)                                                                                                                    \
    TERN_INTS("strides", (w)->stride, (w)->dims), TERN_INTS("dilations", (w)->dilation, (w)->dims), TERN_INTS("pads", (w)->pads, 2 * (w)->dims)

/* x [N, C, spatial...] and a weight of the same rank, both floating point. */
static tern_status need_operands(const tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need_rank(n, 0, 3, TERN_MAX_RANK));
    TERN_TRY(tern__onnx_need_rank(n, 1, tern__onnx_rank(n, 0), tern__onnx_rank(n, 0)));
    TERN_TRY(tern__onnx_need_float(n, 0));
    return tern__onnx_need_float(n, 1);
}

static tern_status conv(tern__onnx_node *n, tern_value *y)
{
    tern__onnx_window w;
    TERN_TRY(need_operands(n));
    TERN_TRY(tern__onnx_window_of(n, tern__onnx_shape(n, 0), tern__onnx_shape(n, 1)->dim + 2, &w));
    const tern_value in[3] = {tern__onnx_in(n, 0), tern__onnx_in(n, 1), tern__onnx_in(n, 2)};
    *y = tern_graph_add(n->g, "conv", in, 3, TERN_ATTRS(WINDOW_ATTRS(&w), TERN_INT("group", tern__onnx_attr_int(n, "group", 1))));
    return tern_graph_check(n->g);
}

tern_status tern__onnx_conv(tern__onnx_node *n)
{
    tern_value y;
    TERN_TRY(conv(n, &y));
    return tern__onnx_done(n, 0, y);
}

/* com.microsoft: y = activation(conv(x, w, b) + z). */
tern_status tern__onnx_fused_conv(tern__onnx_node *n)
{
    tern_value y;
    TERN_TRY(conv(n, &y));
    if (tern__onnx_has(n, 3))
        y = tern__add(n->g, y, tern__onnx_in(n, 3));
    TERN_TRY(tern__onnx_fused_activation(n, &y));
    return tern__onnx_done(n, 0, y);
}

/* --- ConvTranspose --- */

/* output_shape may name the spatial extents alone, or all. */
static tern_status read_output_shape(tern__onnx_node *n, int dims, const int64_t **out)
{
    char text[TERN__SHAPE_TEXT];
    int count;
    const int64_t *v = tern__onnx_attr_ints(n, "output_shape", &count);
    if (count && count != dims && count != dims + 2)
        return tern__onnx_fail(n, TERN_E_INVALID, "output_shape %s for %d spatial axes", tern__ints_text(v, count, text), dims);
    *out = count ? v + (count - dims) : NULL;
    for (int i = 0; *out && i < dims; i++)
        if ((*out)[i] < 1 || (*out)[i] > INT32_MAX)
            return tern__onnx_fail(n, TERN_E_INVALID, "output_shape %s", tern__ints_text(v, count, text));
    return TERN_OK;
}

/* Pads that make the wanted extents out of x's; where even none are too few the end goes on, a negative pad. */
static tern_status fit_output(tern__onnx_node *n, const tern_shape *x, tern__onnx_window *w)
{
    const char *mode = tern__onnx_attr_string(n, "auto_pad", "NOTSET");
    const bool same = strncmp(mode, "SAME_", 5) == 0, upper = strcmp(mode, "SAME_UPPER") == 0;
    const int64_t *want = NULL;
    TERN_TRY(read_output_shape(n, w->dims, &want));
    for (int i = 0; (want || same) && i < w->dims; i++) {
        const int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1, full = w->stride[i] * (x->dim[2 + i] - 1) + w->extra[i] + span;
        const int64_t total = full - (want ? want[i] : x->dim[2 + i] * w->stride[i]);
        w->pads[i] = total < 0 ? 0 : upper ? total / 2 : total - total / 2;
        w->pads[w->dims + i] = total - w->pads[i];
    }
    return TERN_OK;
}

/* The op takes paddings that are not negative and less output_padding than the stride. */
static bool is_plain(const tern__onnx_window *w)
{
    for (int i = 0; i < w->dims; i++)
        if (w->pads[i] < 0 || w->pads[w->dims + i] < 0 || w->extra[i] >= w->stride[i])
            return false;
    return true;
}

/* The whole result without padding, then cut or widened: what the transposed convolution gives beyond its reach is the bias alone. */
static tern_value cut_out(tern__onnx_node *n, tern_value whole, const tern__onnx_window *w)
{
    int64_t pads[2 * TERN_MAX_RANK] = {0};
    const int rank = w->dims + 2;
    for (int i = 0; i < w->dims; i++) {
        pads[2 + i] = -w->pads[i];
        pads[rank + 2 + i] = w->extra[i] - w->pads[w->dims + i];
    }
    return tern_graph_op1(n->g, "pad", whole, TERN_ATTRS(TERN_INTS("pads", pads, 2 * rank)));
}

tern_status tern__onnx_conv_transpose(tern__onnx_node *n)
{
    tern__onnx_window w;
    TERN_TRY(need_operands(n));
    const tern_shape *x = tern__onnx_shape(n, 0);
    TERN_TRY(tern__onnx_window_of(n, x, tern__onnx_shape(n, 1)->dim + 2, &w));
    TERN_TRY(tern__onnx_per_axis(n, "output_padding", w.dims, 0, 0, w.extra));
    TERN_TRY(fit_output(n, x, &w));
    const int64_t group = tern__onnx_attr_int(n, "group", 1);
    tern_value y, bias = tern__onnx_in(n, 2);
    if (is_plain(&w)) {
        const tern_value in[3] = {tern__onnx_in(n, 0), tern__onnx_in(n, 1), bias};
        y = tern_graph_add(n->g, "conv_transpose", in, 3,
                           TERN_ATTRS(WINDOW_ATTRS(&w), TERN_INT("group", group), TERN_INTS("output_padding", w.extra, w.dims)));
        return tern__onnx_done(n, 0, y);
    }
    y = tern_graph_op2(n->g, "conv_transpose", tern__onnx_in(n, 0), tern__onnx_in(n, 1),
                       TERN_ATTRS(TERN_INTS("strides", w.stride, w.dims), TERN_INTS("dilations", w.dilation, w.dims), TERN_INT("group", group)));
    y = cut_out(n, y, &w);
    if (bias != TERN_NONE)
        y = tern__add(n->g, y, tern__per_channel(n->g, bias, x->rank));
    return tern__onnx_done(n, 0, y);
}
