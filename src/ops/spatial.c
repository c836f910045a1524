/* The geometry that convolutions and pooling share: extents, strides, dilations and pads in up to three spatial dimensions. */
#include "ops/spatial.h"

#include <inttypes.h>
#include <string.h>

/* Larger numbers in attributes make no sense, and below it no product here overflows. */
#define SPATIAL_MAX INT32_MAX

/* One number for each spatial dimension, or the default for all. */
static tern_status read_ints(const tern__node *n, int slot, int n_dims, int64_t lo, int64_t def, int64_t out[3])
{
    char text[TERN__SHAPE_TEXT];
    int count;
    const int64_t *v = tern__attr_ints(n, slot, &count);
    const char *name = n->op->attrs[slot].name;
    if (count && count != n_dims)
        return tern__fail(TERN_E_INVALID, "%s: %s %s for %d spatial dimensions", n->op->name, name, tern__ints_text(v, count, text), n_dims);
    for (int d = 0; d < 3; d++)
        out[d] = def;
    for (int i = 0; i < count; i++) {
        if (v[i] < lo || v[i] > SPATIAL_MAX)
            return tern__fail(TERN_E_INVALID, "%s: %s %s: each must be at least %" PRId64, n->op->name, name, tern__ints_text(v, count, text), lo);
        out[3 - n_dims + i] = v[i];
    }
    for (int d = 0; d < 3 - n_dims; d++)
        out[d] = 1;
    return TERN_OK;
}

static tern_status read_pads(const tern__node *n, tern__spatial *sp)
{
    char text[TERN__SHAPE_TEXT];
    int count;
    const int64_t *v = tern__attr_ints(n, TERN__SP_PADS, &count);
    if (count && count != 2 * sp->n_dims)
        return tern__fail(TERN_E_INVALID, "%s: pads %s: %d are needed, all beginnings, then all ends", n->op->name,
                          tern__ints_text(v, count, text), 2 * sp->n_dims);
    for (int i = 0; i < count; i++)
        if (v[i] < 0 || v[i] > SPATIAL_MAX)
            return tern__fail(TERN_E_INVALID, "%s: pads %s: none may be negative", n->op->name, tern__ints_text(v, count, text));
    for (int d = 0; d < 3; d++)
        sp->pad[d] = sp->pad_end[d] = 0;
    for (int i = 0; i < count / 2; i++) {
        sp->pad[3 - sp->n_dims + i] = v[i];
        sp->pad_end[3 - sp->n_dims + i] = v[sp->n_dims + i];
    }
    return TERN_OK;
}

/* Strides, dilations and pads. */
static tern_status read_window(const tern__node *n, int n_dims, tern__spatial *sp)
{
    sp->n_dims = n_dims;
    TERN_TRY(read_ints(n, TERN__SP_STRIDES, n_dims, 1, 1, sp->stride));
    TERN_TRY(read_ints(n, TERN__SP_DILATIONS, n_dims, 1, 1, sp->dilation));
    return read_pads(n, sp);
}

static void read_extents(const tern_shape *s, int64_t out[3])
{
    const int n_dims = s->rank - 2;
    for (int d = 0; d < 3; d++)
        out[d] = d < 3 - n_dims ? 1 : s->dim[2 + d - (3 - n_dims)];
}

tern_shape tern__spatial_shape(const tern__spatial *sp, int64_t channels, const int64_t extent[3])
{
    tern_shape s = {.rank = 2 + sp->n_dims, .dim = {sp->batch, channels}};
    for (int i = 0; i < sp->n_dims; i++)
        s.dim[2 + i] = extent[3 - sp->n_dims + i];
    return s;
}

/* Positions of the window along axis d; ceil: also one that hangs over the end, if it starts before it. */
static tern_status window_count(const tern__node *n, const tern__spatial *sp, int d, bool ceil, int64_t *out)
{
    const int64_t span = (sp->kernel[d] - 1) * sp->dilation[d] + 1;
    const int axis = d - (3 - sp->n_dims);
    if (sp->in[d] > INT64_MAX / 4)
        return tern__fail(TERN_E_SHAPE, "%s: extent %" PRId64 " of spatial axis %d is too large", n->op->name, sp->in[d], axis);
    const int64_t room = sp->in[d] + sp->pad[d] + sp->pad_end[d] - span;
    if (sp->in[d] < 1 || room < 0)
        return tern__fail(TERN_E_SHAPE, "%s: a window of %" PRId64 " does not fit in %" PRId64 " with %" PRId64 " + %" PRId64 " padding along spatial axis %d",
                          n->op->name, span, sp->in[d], sp->pad[d], sp->pad_end[d], axis);
    int64_t count = room / sp->stride[d] + 1;
    if (ceil && room % sp->stride[d] && count * sp->stride[d] < sp->in[d] + sp->pad[d])
        count++;
    *out = count;
    return TERN_OK;
}

static tern_status need_conv_rank(const tern__node *n, const tern__type *in, int i)
{
    char text[TERN__SHAPE_TEXT];
    const int rank = in[i].shape.rank;
    if (rank >= 3 && rank <= 5)
        return TERN_OK;
    return tern__fail(TERN_E_SHAPE, "%s: input %d is %s but must be [batch, channels] and one to three spatial dimensions", n->op->name, i,
                      tern__shape_text(&in[i].shape, text));
}

/* Group divides both channel counts, and the weight is [c_out, c_in / group, kernel...]. */
static tern_status check_weight(const tern__node *n, const tern_shape *w, int n_dims, int64_t c_of_input, bool input_is_out, tern__spatial *sp)
{
    char text[TERN__SHAPE_TEXT];
    const int64_t group = sp->group;
    if (w->rank != n_dims + 2)
        return tern__fail(TERN_E_SHAPE, "%s: weight %s has %d spatial dimensions, the input has %d", n->op->name, tern__shape_text(w, text),
                          w->rank - 2, n_dims);
    const int64_t want = input_is_out ? w->dim[0] : w->dim[1] <= INT64_MAX / group ? w->dim[1] * group : -1;
    if (c_of_input != want)
        return tern__fail(TERN_E_SHAPE, "%s: %" PRId64 " input channels, but the weight %s with group %" PRId64 " wants %" PRId64, n->op->name,
                          c_of_input, tern__shape_text(w, text), group, want);
    if (w->dim[0] % group)
        return tern__fail(TERN_E_SHAPE, "%s: %" PRId64 " channels of the weight %s do not make %" PRId64 " groups", n->op->name, w->dim[0],
                          tern__shape_text(w, text), group);
    sp->c_out = w->dim[0];
    if (__builtin_mul_overflow(w->dim[1], group, &sp->c_in))
        return tern__fail(TERN_E_SHAPE, "%s: %" PRId64 " channels in each of %" PRId64 " groups overflow", n->op->name, w->dim[1], group);
    return TERN_OK;
}

static tern_status check_kernel(const tern__node *n, const tern__spatial *sp)
{
    for (int d = 0; d < 3; d++)
        if (sp->kernel[d] < 1 || sp->kernel[d] > SPATIAL_MAX)
            return tern__fail(TERN_E_SHAPE, "%s: a kernel of extent %" PRId64 " along spatial axis %d", n->op->name, sp->kernel[d],
                              d - (3 - sp->n_dims));
    return TERN_OK;
}

static tern_status need_out(const tern__node *n, const tern__spatial *sp, const int64_t have[3])
{
    for (int d = 0; d < 3; d++)
        if (have[d] != sp->out[d])
            return tern__fail(TERN_E_SHAPE, "%s: the gradient has extent %" PRId64 " along spatial axis %d, where the convolution makes %" PRId64,
                              n->op->name, have[d], d - (3 - sp->n_dims), sp->out[d]);
    return TERN_OK;
}

static tern_status all_windows(const tern__node *n, tern__spatial *sp, bool ceil)
{
    for (int d = 0; d < 3; d++)
        TERN_TRY(window_count(n, sp, d, ceil, &sp->out[d]));
    return TERN_OK;
}

static tern_status conv_forward(const tern__node *n, const tern__type *in, tern__spatial *sp)
{
    TERN_TRY(check_weight(n, &in[1].shape, sp->n_dims, in[0].shape.dim[1], false, sp));
    read_extents(&in[0].shape, sp->in);
    read_extents(&in[1].shape, sp->kernel);
    TERN_TRY(check_kernel(n, sp));
    return all_windows(n, sp, false);
}

static tern_status conv_backward_input(const tern__node *n, const tern__type *in, tern__spatial *sp)
{
    int64_t have[3];
    TERN_TRY(check_weight(n, &in[1].shape, sp->n_dims, in[0].shape.dim[1], true, sp));
    read_extents(&in[0].shape, have);
    read_extents(&in[1].shape, sp->kernel);
    TERN_TRY(check_kernel(n, sp));
    TERN_TRY(read_ints(n, TERN__CONV_EXTRA, sp->n_dims, 1, 1, sp->in));
    TERN_TRY(all_windows(n, sp, false));
    return need_out(n, sp, have);
}

static tern_status conv_backward_weight(const tern__node *n, const tern__type *in, tern__spatial *sp)
{
    int64_t have[3];
    sp->c_in = in[0].shape.dim[1];
    sp->c_out = in[1].shape.dim[1];
    if (in[1].shape.rank != in[0].shape.rank || in[1].shape.dim[0] != in[0].shape.dim[0] || sp->c_in % sp->group || sp->c_out % sp->group) {
        char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
        return tern__fail(TERN_E_SHAPE, "%s: the gradient %s does not belong to %s with group %" PRId64, n->op->name,
                          tern__shape_text(&in[1].shape, a), tern__shape_text(&in[0].shape, b), sp->group);
    }
    read_extents(&in[0].shape, sp->in);
    read_extents(&in[1].shape, have);
    TERN_TRY(read_ints(n, TERN__CONV_EXTRA, sp->n_dims, 1, 1, sp->kernel));
    TERN_TRY(all_windows(n, sp, false));
    return need_out(n, sp, have);
}

/* y = (x - 1) * stride - pads + span + output_padding: the largest input of the convolution that makes x, and some more. */
static tern_status conv_transposed(const tern__node *n, const tern__type *in, tern__spatial *sp)
{
    int64_t extra[3];
    TERN_TRY(check_weight(n, &in[1].shape, sp->n_dims, in[0].shape.dim[1], true, sp));
    read_extents(&in[0].shape, sp->out);
    read_extents(&in[1].shape, sp->kernel);
    TERN_TRY(check_kernel(n, sp));
    TERN_TRY(read_ints(n, TERN__CONV_EXTRA, sp->n_dims, 0, 0, extra));
    for (int d = 0; d < 3; d++) {
        const int axis = d - (3 - sp->n_dims);
        if (axis < 0) {
            sp->in[d] = 1;
            continue;
        }
        if (extra[d] >= sp->stride[d])
            return tern__fail(TERN_E_INVALID, "conv_transpose: output_padding %" PRId64 " is not below the stride %" PRId64 " of spatial axis %d",
                              extra[d], sp->stride[d], axis);
        if (sp->out[d] < 1 || sp->out[d] > INT32_MAX)
            return tern__fail(TERN_E_SHAPE, "conv_transpose: extent %" PRId64 " along spatial axis %d", sp->out[d], axis);
        sp->in[d] = (sp->out[d] - 1) * sp->stride[d] - sp->pad[d] - sp->pad_end[d] + (sp->kernel[d] - 1) * sp->dilation[d] + 1 + extra[d];
        if (sp->in[d] < 1)
            return tern__fail(TERN_E_SHAPE, "conv_transpose: %" PRId64 " + %" PRId64 " padding leaves nothing along spatial axis %d", sp->pad[d],
                              sp->pad_end[d], axis);
    }
    return TERN_OK;
}

tern_status tern__conv_geometry(const tern__node *n, const tern__type *in, tern__spatial *sp)
{
    *sp = (tern__spatial){.batch = in[0].shape.dim[0]};
    TERN_TRY(need_conv_rank(n, in, 0));
    TERN_TRY(read_window(n, in[0].shape.rank - 2, sp));
    sp->group = tern__attr_int(n, TERN__CONV_GROUP);
    if (sp->group < 1)
        return tern__fail(TERN_E_INVALID, "%s: group %" PRId64 " must be at least 1", n->op->name, sp->group);
    const char *name = n->op->name;
    if (strcmp(name, "conv_grad_input") == 0)
        return conv_backward_input(n, in, sp);
    if (strcmp(name, "conv_grad_weight") == 0)
        return conv_backward_weight(n, in, sp);
    if (strcmp(name, "conv_transpose") == 0)
        return conv_transposed(n, in, sp);
    return conv_forward(n, in, sp);
}

tern_status tern__pool_geometry(const tern__node *n, const tern__type *in, tern__spatial *sp)
{
    int count;
    *sp = (tern__spatial){.batch = in[0].shape.dim[0], .c_in = in[0].shape.dim[1], .c_out = in[0].shape.dim[1], .group = 1};
    TERN_TRY(need_conv_rank(n, in, 0));
    TERN_TRY(read_window(n, in[0].shape.rank - 2, sp));
    tern__attr_ints(n, TERN__POOL_KERNEL, &count);
    if (count == 0)
        return tern__fail(TERN_E_INVALID, "%s: kernel is empty, but there are %d spatial dimensions", n->op->name, sp->n_dims);
    TERN_TRY(read_ints(n, TERN__POOL_KERNEL, sp->n_dims, 1, 1, sp->kernel));
    const bool of_max = strcmp(n->op->name, "max_pool_grad") == 0, backward = of_max || strcmp(n->op->name, "average_pool_grad") == 0;
    if (backward)
        TERN_TRY(read_ints(n, of_max ? TERN__MAX_INPUT_SHAPE : TERN__POOL_INPUT_SHAPE, sp->n_dims, 1, 1, sp->in));
    else
        read_extents(&in[0].shape, sp->in);
    for (int d = 0; d < 3; d++) {
        const int64_t span = (sp->kernel[d] - 1) * sp->dilation[d] + 1, pad = TERN_MAX(sp->pad[d], sp->pad_end[d]);
        if (pad >= span)
            return tern__fail(TERN_E_INVALID, "%s: padding %" PRId64 " must be less than the window of %" PRId64 " along spatial axis %d",
                              n->op->name, pad, span, d - (3 - sp->n_dims));
    }
    TERN_TRY(all_windows(n, sp, tern__attr_int(n, TERN__POOL_CEIL) != 0));
    if (backward) {
        int64_t have[3];
        read_extents(&in[0].shape, have);
        return need_out(n, sp, have);
    }
    return TERN_OK;
}

/* Positions along one axis, then the next inner one; the innermost calls fn. */
typedef struct walk {
    const tern__spatial *sp;
    tern__spatial_fn *fn;
    void *user;
} walk;

static void walk_taps(const walk *w, const int64_t o[3], int64_t out)
{
    const tern__spatial *sp = w->sp;
    for (int64_t a = 0; a < sp->kernel[0]; a++) {
        const int64_t x = tern__spatial_at(sp, 0, o[0], a);
        if (x < 0 || x >= sp->in[0])
            continue;
        for (int64_t b = 0; b < sp->kernel[1]; b++) {
            const int64_t y = tern__spatial_at(sp, 1, o[1], b);
            if (y < 0 || y >= sp->in[1])
                continue;
            for (int64_t c = 0; c < sp->kernel[2]; c++) {
                const int64_t z = tern__spatial_at(sp, 2, o[2], c);
                if (z >= 0 && z < sp->in[2])
                    w->fn(w->user, out, (a * sp->kernel[1] + b) * sp->kernel[2] + c, (x * sp->in[1] + y) * sp->in[2] + z);
            }
        }
    }
}

void tern__spatial_each(const tern__spatial *sp, tern__spatial_fn *fn, void *user)
{
    const walk w = {sp, fn, user};
    int64_t o[3], out = 0;
    for (o[0] = 0; o[0] < sp->out[0]; o[0]++)
        for (o[1] = 0; o[1] < sp->out[1]; o[1]++)
            for (o[2] = 0; o[2] < sp->out[2]; o[2]++)
                walk_taps(&w, o, out++);
}
