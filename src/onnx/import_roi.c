/* Handlers that pool regions of interest, and DeformConv, whose windows bend. */
#include <inttypes.h>
#include <string.h>

#include "onnx/import_image.h"
#include "ops/common.h"

/* --- Regions --- */

tern_status tern__onnx_roi_align(tern__onnx_node *n)
{
    const char *mode = tern__onnx_attr_string(n, "mode", "avg");
    const char *transform = tern__onnx_attr_string(n, "coordinate_transformation_mode", n->opset < 16 ? "output_half_pixel" : "half_pixel");
    const bool half = strcmp(transform, "half_pixel") == 0, max = strcmp(mode, "max") == 0;
    if ((!half && strcmp(transform, "output_half_pixel") != 0) || (!max && strcmp(mode, "avg") != 0))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "mode \"%s\", coordinate_transformation_mode \"%s\"", mode, transform);
    const tern_value in[3] = {tern__onnx_in(n, 0), tern__onnx_in(n, 1), tern__onnx_in(n, 2)};
    tern_value y = tern_graph_add(n->g, "roi_align", in, 3,
                                  TERN_ATTRS(TERN_INT("height", tern__onnx_attr_int(n, "output_height", 1)),
                                             TERN_INT("width", tern__onnx_attr_int(n, "output_width", 1)),
                                             TERN_INT("sampling_ratio", tern__onnx_attr_int(n, "sampling_ratio", 0)),
                                             TERN_FLOAT("scale", tern__onnx_attr_float(n, "spatial_scale", 1)), TERN_INT("half_pixel", half),
                                             TERN_INT("max", max)));
    return tern__onnx_done(n, 0, y);
}

tern_status tern__onnx_max_roi_pool(tern__onnx_node *n)
{
    int count;
    const int64_t *pooled = tern__onnx_attr_ints(n, "pooled_shape", &count);
    if (count != 2)
        return tern__onnx_fail(n, TERN_E_INVALID, "pooled_shape has %d numbers, height and width are needed", count);
    tern_value y = tern_graph_op2(n->g, "max_roi_pool", tern__onnx_in(n, 0), tern__onnx_in(n, 1),
                                  TERN_ATTRS(TERN_INT("height", pooled[0]), TERN_INT("width", pooled[1]),
                                             TERN_FLOAT("scale", tern__onnx_attr_float(n, "spatial_scale", 1))));
    return tern__onnx_done(n, 0, y);
}

/* --- DeformConv --- */

enum { X, WEIGHT, OFFSET, BIAS, MASK };

/* Shapes of a deformable convolution: x [batch, groups_of_offsets * per, spatial...], offsets [batch, groups_of_offsets * taps * dims, out...]. */
typedef struct deform {
    tern__onnx_window w;
    int64_t batch, channels, groups, offset_groups, taps, out_channels;
    int64_t out[3], points;
    tern_dtype t;
} deform;

static tern_status check_extents(tern__onnx_node *n, deform *d)
{
    char text[TERN__SHAPE_TEXT];
    const tern_shape *x = tern__onnx_shape(n, X), *offset = tern__onnx_shape(n, OFFSET);
    d->points = d->taps = 1;
    for (int i = 0; i < d->w.dims; i++) {
        const int64_t span = (d->w.kernel[i] - 1) * d->w.dilation[i] + 1, room = x->dim[2 + i] + d->w.pads[i] + d->w.pads[d->w.dims + i] - span;
        d->out[i] = offset->dim[2 + i];
        d->points *= d->out[i];
        if (x->dim[2 + i] < 1 || room < 0 || d->out[i] != room / d->w.stride[i] + 1)
            return tern__onnx_fail(n, TERN_E_SHAPE, "offsets %s do not fit the windows along spatial axis %d", tern__shape_text(offset, text), i);
        if (d->taps > INT32_MAX / d->w.kernel[i])
            return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "a window of more than 2^31 elements");
        d->taps *= d->w.kernel[i];
    }
    return TERN_OK;
}

static tern_status read_deform(tern__onnx_node *n, deform *d)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    TERN_TRY(tern__onnx_need_rank(n, X, 3, 5));
    const tern_shape *x = tern__onnx_shape(n, X), *weight = tern__onnx_shape(n, WEIGHT), *offset = tern__onnx_shape(n, OFFSET);
    for (int i = WEIGHT; i <= OFFSET; i++)
        TERN_TRY(tern__onnx_need_rank(n, i, x->rank, x->rank));
    for (int i = X; i <= MASK; i++)
        if (tern__onnx_has(n, i))
            TERN_TRY(tern__onnx_need_float(n, i));
    TERN_TRY(tern__onnx_window_of(n, x, weight->dim + 2, &d->w));
    d->batch = x->dim[0], d->channels = x->dim[1], d->out_channels = weight->dim[0];
    d->groups = tern__onnx_attr_int(n, "group", 1);
    d->offset_groups = tern__onnx_attr_int(n, "offset_group", 1);
    d->t = tern__onnx_type(n, X)->dtype == TERN_F64 ? TERN_F64 : TERN_F32;
    TERN_TRY(check_extents(n, d));
    const int64_t parts = d->offset_groups < 1 || d->offset_groups > INT32_MAX ? -1 : d->offset_groups * d->taps;
    if (d->groups < 1 || parts < 0 || d->channels % d->groups || d->out_channels % d->groups || weight->dim[1] != d->channels / d->groups ||
        d->channels % d->offset_groups || offset->dim[0] != d->batch || offset->dim[1] / d->w.dims != parts || offset->dim[1] % d->w.dims)
        return tern__onnx_fail(n, TERN_E_SHAPE,
                               "weight %s, offsets %s and %" PRId64 " channels in %" PRId64 " groups (%" PRId64 " of offsets) do not go together",
                               tern__shape_text(weight, a), tern__shape_text(offset, b), d->channels, d->groups, d->offset_groups);
    return TERN_OK;
}

/* Position along spatial axis `axis` of every tap of every window, without its offset: [1, taps, out...]. */
static tern_value regular(tern__onnx_node *n, const deform *d, int axis)
{
    const tern__onnx_window *w = &d->w;
    int64_t inner = 1;
    for (int i = axis + 1; i < w->dims; i++)
        inner *= w->kernel[i];
    double *tap = tern__onnx_scratch(n, (size_t)d->taps, sizeof *tap), *start = tern__onnx_scratch(n, (size_t)d->out[axis], sizeof *start);
    if (!tap || !start)
        return TERN_NONE;
    for (int64_t k = 0; k < d->taps; k++)
        tap[k] = (double)(k / inner % w->kernel[axis] * w->dilation[axis]);
    for (int64_t o = 0; o < d->out[axis]; o++)
        start[o] = (double)(o * w->stride[axis] - w->pads[axis]);
    tern_shape of_taps = {.rank = 2 + w->dims, .dim = {1, d->taps, 1, 1, 1}}, of_starts = {.rank = 2 + w->dims, .dim = {1, 1, 1, 1, 1}};
    of_starts.dim[2 + axis] = d->out[axis];
    return tern__add(n->g, tern__onnx_const(n, d->t, &of_taps, tap), tern__onnx_const(n, d->t, &of_starts, start));
}

/* Groups of offsets as samples of their own: [batch * offset_groups, taps, (dims,) out...]. */
static tern_shape by_tap(const deform *d, bool with_dims)
{
    tern_shape s = {.rank = 2, .dim = {d->batch * d->offset_groups, d->taps}};
    if (with_dims)
        s.dim[s.rank++] = d->w.dims;
    for (int i = 0; i < d->w.dims; i++)
        s.dim[s.rank++] = d->out[i];
    return s;
}

/* What the taps of every window read: [batch, groups, channels / groups * taps, points]. */
static tern_value columns(tern__onnx_node *n, const deform *d)
{
    tern_graph *g = n->g;
    const tern_shape offsets = by_tap(d, true), masks = by_tap(d, false);
    tern_shape x = *tern__onnx_shape(n, X);
    x.dim[0] = d->batch * d->offset_groups;
    x.dim[1] = d->channels / d->offset_groups;
    tern_value offset = tern__reshape(g, tern__cast(g, tern__onnx_in(n, OFFSET), d->t), &offsets), coord[3];
    for (int i = 0; i < d->w.dims; i++) {
        const int64_t from = i, to = i + 1, axis = 2;
        tern_value off = tern_graph_op1(g, "slice", offset, TERN_ATTRS(TERN_INTS("starts", &from, 1), TERN_INTS("ends", &to, 1), TERN_INTS("axes", &axis, 1)));
        coord[i] = tern__add(g, tern__squeeze(g, off, 1u << 2), regular(n, d, i));
    }
    const tern__onnx_sampler s = {.mode = TERN__SAMPLE_LINEAR, .outside = TERN__OUTSIDE_ZEROS};
    tern_value v = tern__onnx_sample(g, &s, tern__reshape(g, tern__cast(g, tern__onnx_in(n, X), d->t), &x), coord);
    if (tern__onnx_has(n, MASK))
        v = tern__mul(g, v, tern__unsqueeze(g, tern__reshape(g, tern__cast(g, tern__onnx_in(n, MASK), d->t), &masks), 1u << 1));
    const tern_shape rows = {.rank = 4, .dim = {d->batch, d->groups, d->channels / d->groups * d->taps, d->points}};
    return tern__reshape(g, v, &rows);
}

/* The windows' elements as columns, then one matrix product a group. */
tern_status tern__onnx_deform_conv(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    deform d = {0};
    TERN_TRY(read_deform(n, &d));
    const tern_shape weights = {.rank = 3, .dim = {d.groups, d.out_channels / d.groups, d.channels / d.groups * d.taps}};
    tern_shape result = *tern__onnx_shape(n, OFFSET);
    result.dim[1] = d.out_channels;
    tern_value y = tern_graph_op2(g, "matmul", tern__reshape(g, tern__cast(g, tern__onnx_in(n, WEIGHT), d.t), &weights), columns(n, &d), NULL);
    y = tern__reshape(g, y, &result);
    if (tern__onnx_has(n, BIAS))
        y = tern__add(g, y, tern__per_channel(g, tern__cast(g, tern__onnx_in(n, BIAS), d.t), result.rank));
    return tern__onnx_done(n, 0, tern__cast(g, y, tern__onnx_type(n, X)->dtype));
}
