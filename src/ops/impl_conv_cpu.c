/* conv and conv_grad_input on CPU devices: direct convolution in register tiles (kernels/conv_cpu.cl). */
#include <inttypes.h>
#include <stdio.h>

#include "ops/impl_cpu.h"

enum {
    MAX_PATCH = 1 << 16, /* floats of a work-item's copy of the input at a border */
    MAX_CLIPS = 4,       /* ways of cutting pixels off a tile that the kernel has code for */
    INPUT_AHEAD = 2,     /* blocks of channels that an input is asked for ahead where it comes from afar */
    LONG_C = 256,        /* input channels that are many times that */
    CORE_BYTES = 512 << 10, /* what a core's own cache keeps at least */
    MAX_PHASES = 12,     /* launches for one gradient: a kernel's name has a letter for each launch of its group, and each has weights of its own */
    MAX_DIRECT = 1024,   /* products to a result where its way out counts enough (3 % of ResNet-50) for code that takes twice as long to compile */
};

/* One direct convolution over rows of pixels: x [n, groups * c, d, h, w] to y [n, groups * o, od, oh, ow]. */
struct direct {
    tern_value x, w, y;
    bool flip;             /* gradient by the input: weights transposed, taps backwards */
    bool point;            /* every pixel by itself: all of a channel's are one row */
    int64_t groups, n, c, o, d, h, iw, od, oh, ow, kd, kh, kw, sd, sh, sw, dd, dh, dw, pf, pt, pl;
    int64_t apart[3], to[3]; /* results lie so many pixels apart, from these on */
    int64_t all_taps;      /* of the weights, */
    tern__taps some;       /* and those that take part, where they are flipped */
    int dims;              /* spatial dimensions of the tensors */
    int width, block, store, tp, nv;
    bool plain;            /* the result */
    int pixels;            /* that are stored at once where the result is plain; 0: channels are */
    int n_clips;           /* 0: the input is copied at borders */
    int64_t clip[MAX_CLIPS][2];
};

static bool is_point(const tern__spatial *s)
{
    for (int i = 0; i < 3; i++)
        if (s->kernel[i] != 1 || s->stride[i] != 1 || s->pad[i] != 0 || s->pad_end[i] != 0)
            return false;
    return true;
}

static void read_forward(const tern__spatial *s, const tern__node *n, struct direct *d)
{
    *d = (struct direct){.x = n->in[0], .w = n->in[1], .y = n->out[0], .n = s->batch, .groups = s->group, .c = s->c_in / s->group, .o = s->c_out / s->group,
                         .apart = {1, 1, 1}, .all_taps = s->kernel[0] * s->kernel[1] * s->kernel[2]};
    d->d = s->in[0], d->h = s->in[1], d->iw = s->in[2], d->od = s->out[0], d->oh = s->out[1], d->ow = s->out[2];
    d->kd = s->kernel[0], d->kh = s->kernel[1], d->kw = s->kernel[2], d->sd = s->stride[0], d->sh = s->stride[1], d->sw = s->stride[2];
    d->dd = s->dilation[0], d->dh = s->dilation[1], d->dw = s->dilation[2], d->pf = s->pad[0], d->pt = s->pad[1], d->pl = s->pad[2];
}

/* One dimension of a gradient at the pixels of a phase, every `stride`-th from `from` on. They take every stride-th tap, and neighbouring ones among them read
 * neighbouring pixels of dy. */
struct phase {
    int64_t taps, last; /* so many taps, and the last, which comes first */
    int64_t pad, extent;
};

static struct phase phase_of(const tern__spatial *s, int dim, int64_t from)
{
    const int64_t stride = s->stride[dim], first = (from + s->pad[dim]) % stride, taps = tern__div_up(s->kernel[dim] - first, stride);
    return (struct phase){.taps = taps, .last = first + stride * (taps - 1), .pad = s->dilation[dim] * (taps - 1) - (from + s->pad[dim] - first) / stride,
                          .extent = tern__div_up(s->in[dim] - from, stride)};
}

/* In one dimension, and in all: no more than there are pixels. */
static int64_t phases_in(const tern__spatial *s, int dim)
{
    return TERN_MIN(s->stride[dim], s->in[dim]);
}

static int n_phases(const tern__spatial *s, bool backward)
{
    int64_t n = 1;
    for (int i = 0; i < 3 && backward; i++)
        n = TERN_MIN(n * TERN_MIN(phases_in(s, i), (int64_t)MAX_PHASES + 1), (int64_t)MAX_PHASES + 1);
    return (int)n;
}

/* dx is dy under the same weights the other way round, with what the taps reach beyond the pads as the new pads; at strides its phases are, one by one. */
static void read_backward(const tern__spatial *s, const tern__node *n, int which, struct direct *d)
{
    const int64_t across = phases_in(s, 2), rows = phases_in(s, 1);
    const int64_t from[3] = {which / across / rows, which / across % rows, which % across};
    const struct phase z = phase_of(s, 0, from[0]), y = phase_of(s, 1, from[1]), x = phase_of(s, 2, from[2]);
    read_forward(s, n, d);
    d->flip = true;
    d->c = s->c_out / s->group, d->o = s->c_in / s->group;
    d->d = s->out[0], d->h = s->out[1], d->iw = s->out[2], d->od = z.extent, d->oh = y.extent, d->ow = x.extent;
    d->kd = z.taps, d->kh = y.taps, d->kw = x.taps, d->sd = d->sh = d->sw = 1;
    d->pf = z.pad, d->pt = y.pad, d->pl = x.pad;
    const int64_t row = s->kernel[2], plane = s->kernel[1] * row;
    d->some = (tern__taps){.first = z.last * plane + y.last * row + x.last, .plane = y.taps * x.taps, .row = x.taps, .plane_step = s->stride[0] * plane,
                           .row_step = s->stride[1] * row, .col_step = s->stride[2]};
    for (int i = 0; i < 3; i++) {
        d->apart[i] = s->stride[i];
        d->to[i] = from[i];
    }
}

/* Cycles of one tap and channel over a row, roughly: a fused multiply-add per vector and cycle, or the loads, and some for the loop. */
static double cost(const struct direct *d, int64_t tp, int nv)
{
    double work = TERN_MAX((double)tp * nv, TERN_MAX(nv + (double)tp / 2, 4.0));
    return (double)tern__div_up(d->ow, tp) * (double)tern__div_up(tern__div_up(d->o, d->width), nv) * (work + 2);
}

enum { TP, NV };

static void choose_tile(const tern__lower *l, struct direct *d)
{
    static const int vectors[] = {2, 4, 1, 3};
    double best = 0;
    for (int i = 0; i < 4; i++) {
        int64_t most = TERN_MIN((int64_t)(tern__cpu_accumulators(d->width) / vectors[i]), 14);
        int64_t tp = tern__div_up(d->ow, tern__div_up(d->ow, most));
        double c = cost(d, tp, vectors[i]);
        if (best == 0 || c < best) {
            best = c;
            d->tp = (int)tp;
            d->nv = vectors[i];
        }
    }
    d->nv = (int)tern__lower_param(l, NV, d->nv, 1, 4);
    d->tp = (int)tern__lower_param(l, TP, d->tp, 1, TERN_MIN(TERN_MIN((int64_t)(tern__cpu_accumulators(d->width) / d->nv), 14), d->ow));
}

/* Remembers that a tap leaves pixels [lo, hi) of some tile; false if that is one way too many. */
static bool add_clip(struct direct *d, int64_t lo, int64_t hi)
{
    if (lo >= hi || (lo == 0 && hi == d->tp))
        return true;
    for (int i = 0; i < d->n_clips; i++)
        if (d->clip[i][0] == lo && d->clip[i][1] == hi)
            return true;
    if (d->n_clips == MAX_CLIPS)
        return false;
    d->clip[d->n_clips][0] = lo;
    d->clip[d->n_clips++][1] = hi;
    return true;
}

/* Every way in which the borders of a row cut into tiles. The kernel says it in the same words. */
static void find_clips(struct direct *d)
{
    bool fits = d->block > 1;
    for (int64_t first = 0; first < d->ow && fits; first += d->tp) {
        const int64_t ix0 = TERN_MIN(first, d->ow - d->tp) * d->sw - d->pl;
        for (int64_t kw = 0; kw < d->kw && fits; kw++) {
            const int64_t ix = ix0 + kw * d->dw;
            const int64_t lo = ix < 0 ? TERN_MIN(tern__div_up(-ix, d->sw), d->tp) : 0;
            const int64_t hi = ix + (d->tp - 1) * d->sw < d->iw ? d->tp : d->iw > ix ? tern__div_up(d->iw - ix, d->sw) : 0;
            fits = add_clip(d, lo, hi);
        }
    }
    if (!fits)
        d->n_clips = 0;
}

static tern_status geometry(const tern__lower *l, const tern__node *n, tern__spatial *s)
{
    return tern__conv_geometry(n, (const tern__type[]){*tern__lower_type(l, n->in[0]), *tern__lower_type(l, n->in[1])}, s);
}

static void read_node(const tern__lower *l, const tern__node *n, bool backward, int phase, const tern__spatial *s, struct direct *d)
{
    if (backward)
        read_backward(s, n, phase, d);
    else
        read_forward(s, n, d);
    d->dims = s->n_dims;
    d->point = is_point(s);
    if (d->point) {
        d->d = d->od = d->h = d->oh = 1;
        d->iw = d->ow = s->in[0] * s->in[1] * s->in[2];
    }
    const tern__layout *layout = &tern__lower_type(l, d->x)->layout;
    d->block = layout->kind == TERN__BLOCKED ? layout->block : 1;
    d->width = tern__cpu_width(tern__lower_device(l));
    d->store = tern__cpu_store_width(l, d->y);
    choose_tile(l, d);
    d->plain = tern__lower_type(l, d->y)->layout.kind != TERN__BLOCKED;
    d->pixels = !d->plain || d->apart[2] > 1 || d->tp < 4 ? 0 : d->tp < 8 ? 4 : 8;
    find_clips(d);
}

double tern__conv_cpu_cycles(const tern__lower *l, const tern__node *n, bool backward)
{
    tern__spatial s;
    struct direct d;
    if (geometry(l, n, &s) != TERN_OK)
        return 0;
    read_node(l, n, backward, 0, &s, &d);
    return cost(&d, d.tp, d.nv) * (double)(d.n * d.od * d.oh) * (double)(d.groups * d.c * d.kd * d.kh * d.kw) * n_phases(&s, backward);
}

static int64_t patch_floats(const struct direct *d)
{
    return d->kh * ((d->tp - 1) * d->sw + (d->kw - 1) * d->dw + 1) * d->block;
}

/* Do the kernels that keep channels side by side take it? */
static bool is_depthwise(const tern__lower *l, const tern__node *n, bool backward)
{
    tern__str why = {0};
    const bool is = (backward ? &tern__impl_conv_grad_input_depthwise_cpu : &tern__impl_conv_depthwise_cpu)->accept(l, n, &why);
    tern__str_finish(&why);
    return is;
}

static bool accept(const tern__lower *l, const tern__node *n, bool backward, tern__str *why)
{
    tern__spatial s;
    struct direct d;
    if (!tern__cpu_accept(l, n, false, why))
        return false;
    if (geometry(l, n, &s) != TERN_OK) {
        tern__str_add(why, "the operands' shapes do not fit");
        return false;
    }
    if (s.group > 1 && s.group == s.c_in && s.group == s.c_out && is_depthwise(l, n, backward)) {
        tern__str_add(why, "a group for each channel");
        return false;
    }
    for (int i = 0; i < 3 && backward; i++)
        if (s.stride[i] > 1 && (s.dilation[i] > 1 || s.kernel[i] < s.stride[i])) {
            tern__str_addf(why, "the gradient of %" PRId64 " taps at stride %" PRId64 ", dilation %" PRId64, s.kernel[i], s.stride[i], s.dilation[i]);
            return false;
        }
    if (n_phases(&s, backward) > MAX_PHASES) {
        tern__str_addf(why, "the gradient at strides %" PRId64 ", %" PRId64 ", %" PRId64, s.stride[0], s.stride[1], s.stride[2]);
        return false;
    }
    read_node(l, n, backward, 0, &s, &d);
    if (d.c % d.block != 0 || (!d.plain && d.o % d.store != 0)) {
        tern__str_addf(why, "groups of %" PRId64 " to %" PRId64 " channels in blocks", d.c, d.o);
        return false;
    }
    if (d.n_clips == 0 && patch_floats(&d) > MAX_PATCH) {
        tern__str_addf(why, "a tile reads %" PRId64 " inputs of a channel", patch_floats(&d) / d.block);
        return false;
    }
    return true;
}

/* A 1x1 tile reads a few lines of each block of channels, far apart, which is no stream that a processor would follow: from memory, or, where an
 * image is more than a core's own cache keeps beside the weights, from the cache behind it. Few blocks are over before what was asked for comes. */
static bool comes_from_afar(const tern_device_info *info, const struct direct *d)
{
    const double image = (double)d->c * (double)(d->d * d->h * d->iw) * sizeof(float);
    if (d->kd * d->kh * d->kw != 1 || d->block != 16 || info->cache_bytes == 0)
        return false;
    return (double)d->n * image > (double)info->cache_bytes / 2 || (d->point && d->c >= LONG_C && image > CORE_BYTES);
}

/* What the kernel's code depends on beyond the tile. */
static void define_shape(tern__kern *k, const tern_device_info *info, const struct direct *d)
{
    const int64_t tiles = tern__div_up(d->ow, d->tp), span = (d->tp - 1) * d->sw + (d->kw - 1) * d->dw + 1;
    const bool left = d->pl > 0, right = (d->ow - d->tp) * d->sw - d->pl + span > d->iw;
    tern__cpu_define(k, "REACHES_OUT", left || right);
    tern__cpu_define(k, "LIES_INSIDE", tiles > 2 || (tiles == 2 && !(left && right)) || !(left || right));
    const bool whole = d->o % d->store == 0 && (d->store == d->width || 2 * d->store == d->width);
    tern__cpu_define(k, "DIRECT", whole && !d->pixels && !(d->plain && d->apart[2] > 1) && d->c * d->kd * d->kh * d->kw <= MAX_DIRECT);
    tern__cpu_define(k, "MOVES", d->ow % d->tp != 0);
    tern__cpu_define(k, "SV", d->store);
    tern__cpu_define(k, "TAIL", d->o % d->store != 0);
    tern__cpu_define(k, "PV", d->pixels);
    tern__cpu_define(k, "INPUT_AHEAD", comes_from_afar(info, d) ? INPUT_AHEAD : 0);
}

/* Of a pixel, in the hooks. */
static int coords(const struct direct *d)
{
    return d->point ? 1 : d->dims;
}

static void define_sizes(tern__kern *k, const tern_device_info *info, const struct direct *d)
{
    const struct { const char *name; int64_t x; } all[] = {
        {"W", d->width}, {"TP", d->tp}, {"NV", d->nv}, {"IB", d->block}, {"KD", d->kd}, {"KH", d->kh}, {"KW", d->kw}, {"SD", d->sd}, {"SH", d->sh},
        {"SW", d->sw}, {"DD", d->dd}, {"DH", d->dh}, {"DW", d->dw}, {"PF", d->pf}, {"PT", d->pt}, {"PL", d->pl}, {"COORDS", coords(d)},
        {"APART_Z", d->apart[0]}, {"APART_Y", d->apart[1]}, {"APART_X", d->apart[2]}};
    for (size_t i = 0; i < TERN_COUNT(all); i++)
        tern__cpu_define(k, all[i].name, all[i].x);
    const struct { const char *name; int64_t x; } sizes[] = {{"C", d->c}, {"D", d->d}, {"H", d->h}, {"IW", d->iw}, {"O", d->o}, {"OH", d->oh}, {"OW", d->ow},
                                                             {"G", d->groups}, {"TO_Z", d->to[0]},
                                                             {"TO_Y", d->to[1]}, {"TO_X", d->to[2]}};
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__kern_size(k, sizes[i].name, sizes[i].x);
    define_shape(k, info, d);
    tern__cpu_define(k, "CLIPS", d->n_clips);
    for (int i = 0; i < MAX_CLIPS; i++) {
        char name[24];
        snprintf(name, sizeof name, "CLIP%d_LO", i + 1);
        tern__cpu_define(k, name, d->clip[i][0]);
        snprintf(name, sizeof name, "CLIP%d_HI", i + 1);
        tern__cpu_define(k, name, d->clip[i][1]);
    }
}

static tern_status lower_one(tern__lower *l, const struct direct *d, int n_launches)
{
    int slot = -1;
    const tern__conv_weights weights = {.w = d->w, .flip = d->flip, .groups = d->groups, .o = d->o, .c = d->c, .taps = d->kd * d->kh * d->kw,
                                        .nr = (int64_t)d->nv * d->width, .block = d->block, .all_taps = d->all_taps, .some = d->some};
    TERN_TRY(tern__cpu_pack_conv(l, &weights, &slot));
    tern__kern *k = tern__lower_kernel(l, "conv_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_sizes(k, tern__lower_device(l), d);
    tern__kern_value(k, d->x);
    tern__kern_slot(k, slot, false);
    /* Groups of channels begin where the ones before end. */
    const int step = d->groups > 1 && d->o % d->store != 0 ? 1 : d->store;
    tern__hook_axis axes[6] = {{.dims = 1}, {.dims = 1, .multiple_of = step}};
    for (int i = 0; i < coords(d); i++)
        axes[2 + i].dims = d->point ? d->dims : 1;
    if (d->pixels)
        tern__kern_store(k, "STORE", d->y, axes, 1 + coords(d), 1u | (unsigned)d->pixels);
    else
        tern__kern_store(k, "STORE", d->y, axes, 1, 1u | (unsigned)d->width | (unsigned)d->store);
    const bool asks = !d->pixels && d->store == d->width && tern__kern_store_ahead(k, "STORE", d->y, axes, 1, d->width);
    tern__cpu_define(k, "ASKS", asks);
    tern__kern_part(k, n_launches);
    tern__cpu_range(k, tern__div_up(d->ow, d->tp) * d->oh * d->od, d->groups * tern__div_up(d->o, (int64_t)d->nv * d->width), d->n);
    return TERN_OK;
}

static tern_status lower(tern__lower *l, const tern__node *n, bool backward)
{
    tern__spatial s;
    struct direct d;
    TERN_TRY(geometry(l, n, &s));
    const int phases = n_phases(&s, backward);
    for (int i = 0; i < phases; i++) {
        read_node(l, n, backward, i, &s, &d);
        TERN_TRY(lower_one(l, &d, phases));
    }
    return TERN_OK;
}

/* Do blocks of the value's channels end where each of the groups does? */
static bool in_blocks(const tern__layout_query *q, tern_value v, int64_t groups)
{
    const int64_t channels = tern__shape_of(q->graph, v)->dim[1];
    const int block = tern__layout_block(q->device, channels);
    return block > 0 && channels / groups % block == 0;
}

unsigned tern__conv_cpu_blocked(const tern__layout_query *q, const tern__node *n)
{
    const int64_t groups = tern__attr_int(n, TERN__CONV_GROUP);
    const bool x = in_blocks(q, n->in[0], groups), y = in_blocks(q, n->out[0], groups);
    return (unsigned)x | (unsigned)y << n->n_in;
}

static bool accept_forward(const tern__lower *l, const tern__node *n, tern__str *why)
{
    return accept(l, n, false, why);
}

static bool accept_backward(const tern__lower *l, const tern__node *n, tern__str *why)
{
    return accept(l, n, true, why);
}

static tern_status lower_forward(tern__lower *l, const tern__node *n)
{
    return lower(l, n, false);
}

static tern_status lower_backward(tern__lower *l, const tern__node *n)
{
    return lower(l, n, true);
}

static void read_params(const tern__lower *l, const tern__node *n, bool backward, int32_t *value)
{
    tern__spatial s;
    struct direct d;
    if (geometry(l, n, &s) != TERN_OK)
        return;
    read_node(l, n, backward, 0, &s, &d);
    value[TP] = d.tp;
    value[NV] = d.nv;
}

static void read_params_forward(const tern__lower *l, const tern__node *n, int32_t *value)
{
    read_params(l, n, false, value);
}

static void read_params_backward(const tern__lower *l, const tern__node *n, int32_t *value)
{
    read_params(l, n, true, value);
}

#define PARAMS .n = 2, .param = {[TP] = {"tp", "pixels of a register tile", tern__to_14}, [NV] = {"nv", "vectors of output channels of a tile", tern__to_4}}
static const tern__space forward = {PARAMS, .read = read_params_forward}, backward = {PARAMS, .read = read_params_backward};
static const char *const sources[] = {"conv_cpu.cl", "pack_conv_weight.cl", NULL};

const tern__impl tern__impl_conv_cpu = {.name = "cpu_tile", .accept = accept_forward, .lower = lower_forward, .blocked = tern__conv_cpu_blocked,
                                        .space = &forward, .sources = sources};
const tern__impl tern__impl_conv_grad_input_cpu = {.name = "cpu_tile", .accept = accept_backward, .lower = lower_backward, .blocked = tern__conv_cpu_blocked,
                                                   .space = &backward, .sources = sources};
