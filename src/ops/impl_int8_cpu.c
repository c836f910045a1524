/* conv_integer and matmul_integer on CPU devices: register tiles (kernels/conv_int8_cpu.cl) with the processor's dot product of bytes, or without. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/impl_cpu.h"
#include "program/probe.h"

enum { TP, NV }; /* what can be tuned */

enum {
    MAX_PATCH = 1 << 18, /* bytes of a work-item's copy of the input at a border */
    PACK_CHUNK = 2048,   /* pixels that one item packs */
};

/* One direct convolution over rows of pixels: x [n, c, h, w] to y [n, o, oh, ow]. */
struct direct {
    tern_value x, w, x_zero, w_zero, y;
    bool is_signed, matrix;
    bool flat;             /* the hook takes one coordinate for all of a channel's pixels */
    int64_t n, c, o, h, iw, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl;
    int64_t w_row, w_step; /* from one output channel's weights to the next, from one input channel to the next */
    int64_t a_row, a_step; /* matrix: the same for x */
    int dims;              /* spatial dimensions of the tensors */
    int width, store, tp, nv;
    int64_t block, cp;     /* channels in a block, channels in whole blocks */
    bool pack_x;
};

static bool is_point(const tern__spatial *s)
{
    for (int i = 0; i < 3; i++)
        if (s->kernel[i] != 1 || s->stride[i] != 1 || s->pad[i] != 0 || s->pad_end[i] != 0)
            return false;
    return true;
}

/* Cycles of four products over a row, roughly: a dot product per vector and cycle, or the loads, and some for the loop. */
static double cost(const struct direct *d, int64_t tp, int nv)
{
    double work = TERN_MAX((double)tp * nv, TERN_MAX(nv + (double)tp / 2, 4.0));
    return (double)tern__div_up(d->ow, tp) * (double)tern__div_up(tern__div_up(d->o, d->width), nv) * (work + 2);
}

static void choose_tile(const tern__lower *l, struct direct *d)
{
    static const int vectors[] = {2, 4, 1, 3};
    double best = 0;
    for (int i = 0; i < 4; i++) {
        /* Weights and the input that all lanes take have registers beside them. */
        int64_t most = TERN_MIN((int64_t)((tern__cpu_accumulators(d->width) + 3 - vectors[i]) / vectors[i]), 14);
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

static void read_common(const tern__lower *l, const tern__node *n, struct direct *d)
{
    d->x = n->in[0], d->w = n->in[1], d->x_zero = n->in[2], d->w_zero = n->in[3], d->y = n->out[0];
    d->is_signed = tern__lower_type(l, d->x)->dtype == TERN_I8;
    d->width = tern__cpu_width(tern__lower_device(l));
    d->store = tern__cpu_store_width(l, d->y);
    choose_tile(l, d);
}

static void read_conv(const tern__lower *l, const tern__node *n, const tern__spatial *s, struct direct *d)
{
    *d = (struct direct){.n = s->batch, .c = s->c_in, .o = s->c_out, .dims = s->n_dims, .flat = s->n_dims == 1};
    d->h = s->in[1], d->iw = s->in[2], d->oh = s->out[1], d->ow = s->out[2];
    d->kh = s->kernel[1], d->kw = s->kernel[2], d->sh = s->stride[1], d->sw = s->stride[2];
    d->dh = s->dilation[1], d->dw = s->dilation[2], d->pt = s->pad[1], d->pl = s->pad[2];
    d->w_step = d->kh * d->kw;
    d->w_row = d->c * d->w_step;
    if (is_point(s)) { /* every pixel by itself: one long row */
        d->flat = true;
        d->h = d->oh = 1;
        d->iw = d->ow = s->in[0] * s->in[1] * s->in[2];
    }
    const tern__layout *layout = &tern__lower_type(l, n->in[0])->layout;
    d->pack_x = layout->kind != TERN__BLOCKED;
    d->block = !d->pack_x ? layout->block : d->c % 16 == 0 ? 16 : d->c % 8 == 0 ? 8 : 4;
    d->cp = tern__div_up(d->c, d->block) * d->block;
    read_common(l, n, d);
}

/* Rows of a are pixels, columns of b output channels, and all of k is one block. */
static void read_matmul(const tern__lower *l, const tern__node *n, struct direct *d)
{
    const bool ta = tern__attr_int(n, 0) != 0, tb = tern__attr_int(n, 1) != 0;
    const tern_shape *a = &tern__lower_type(l, n->in[0])->shape, *b = &tern__lower_type(l, n->in[1])->shape;
    *d = (struct direct){.matrix = true, .flat = true, .n = 1, .c = a->dim[!ta], .o = b->dim[!tb], .dims = 1};
    d->iw = d->ow = a->dim[ta];
    d->h = d->oh = d->kh = d->kw = d->sh = d->sw = d->dh = d->dw = 1;
    d->w_row = tb ? d->c : 1;
    d->w_step = tb ? 1 : d->o;
    d->a_row = ta ? 1 : d->c;
    d->a_step = ta ? d->iw : 1;
    d->cp = d->block = tern__div_up(d->c, 4) * 4;
    d->pack_x = ta || d->cp != d->c;
    read_common(l, n, d);
}

/* --- What is taken --- */

static const void *constant(const tern__lower *l, tern_value v)
{
    const tern__value *x = tern__value_at(tern__lower_graph(l), v);
    return x->kind == TERN__VALUE_CONST ? x->data->data : NULL;
}

static int64_t element(const void *data, tern_dtype t, int64_t i)
{
    return t == TERN_I8 ? ((const int8_t *)data)[i] : ((const uint8_t *)data)[i];
}

/* Are all weights, less their zero points, in i8's range? They are if they are i8 with zero points of 0; of others it must be known. */
static bool weights_fit(const tern__lower *l, const struct direct *d)
{
    const tern_dtype t = tern__lower_type(l, d->w)->dtype;
    const void *zero = constant(l, d->w_zero), *w = constant(l, d->w);
    const int64_t n_zero = tern__elems(&tern__lower_type(l, d->w_zero)->shape), taps = d->kh * d->kw;
    bool none = t == TERN_I8 && zero;
    for (int64_t i = 0; i < n_zero && none; i++)
        none = element(zero, t, i) == 0;
    if (none || !zero || !w)
        return none;
    for (int64_t o = 0; o < d->o; o++) {
        const int64_t z = element(zero, t, n_zero == 1 ? 0 : o);
        for (int64_t c = 0; c < d->c; c++)
            for (int64_t k = 0; k < taps; k++) {
                const int64_t x = element(w, t, o * d->w_row + c * d->w_step + k) - z;
                if (x < INT8_MIN || x > INT8_MAX)
                    return false;
            }
    }
    return true;
}

static bool accept_direct(const tern__lower *l, const struct direct *d, bool dot, tern__str *why)
{
    if (dot && !tern__device_dot8(tern__lower_open_device(l))) {
        tern__str_add(why, "the device has no dot product of bytes");
        return false;
    }
    if (!weights_fit(l, d)) {
        tern__str_add(why, "weights less their zero points may not fit in i8");
        return false;
    }
    return true;
}

static tern_status geometry(const tern__lower *l, const tern__node *n, tern__spatial *s)
{
    return tern__conv_geometry(n, (const tern__type[]){*tern__lower_type(l, n->in[0]), *tern__lower_type(l, n->in[1])}, s);
}

static int64_t span(const struct direct *d)
{
    return (d->tp - 1) * d->sw + (d->kw - 1) * d->dw + 1;
}

static bool accept_conv(const tern__lower *l, const tern__node *n, bool dot, tern__str *why)
{
    tern__spatial s;
    struct direct d;
    if (!tern__cpu_accept_integers(l, n, why))
        return false;
    if (geometry(l, n, &s) != TERN_OK) {
        tern__str_add(why, "the operands' shapes do not fit");
        return false;
    }
    if (s.group != 1) {
        tern__str_addf(why, "group %" PRId64, s.group);
        return false;
    }
    if (s.n_dims > 2 && !is_point(&s)) {
        tern__str_add(why, "three spatial dimensions");
        return false;
    }
    read_conv(l, n, &s, &d);
    if (d.kh > MAX_PATCH || d.kw > MAX_PATCH || d.kh * span(&d) > MAX_PATCH / d.block) {
        tern__str_addf(why, "a tile reads %" PRId64 " x %" PRId64 " inputs of a channel", d.kh, span(&d));
        return false;
    }
    return accept_direct(l, &d, dot, why);
}

static bool accept_matmul(const tern__lower *l, const tern__node *n, bool dot, tern__str *why)
{
    struct direct d;
    if (!tern__cpu_accept_integers(l, n, why))
        return false;
    read_matmul(l, n, &d);
    return accept_direct(l, &d, dot, why);
}

/* --- Kernels --- */

static size_t product(const int64_t *x, int n)
{
    size_t all = 1;
    for (int i = 0; i < n; i++)
        if (x[i] < 0 || __builtin_mul_overflow(all, (size_t)x[i], &all))
            return SIZE_MAX;
    return all;
}

static tern_status pack_weight(tern__lower *l, const struct direct *d, int *slot)
{
    char key[48];
    const int64_t nr = (int64_t)d->nv * d->width, taps = d->kh * d->kw, panels = tern__div_up(d->o, nr);
    snprintf(key, sizeof key, "int8 %d %d %d %d", (int)nr, (int)d->block, (int)d->w_zero, (int)d->w_row);
    const size_t size = product((const int64_t[]){panels, nr, d->cp * taps + (int64_t)sizeof(int32_t)}, 3);
    tern__kern *k = tern__lower_pack(l, d->w, key, size, "pack_int8_weight.cl", slot);
    if (*slot < 0)
        return TERN_E_NOMEM;
    if (!k)
        return TERN_OK;
    const struct { const char *name; int64_t x; } sizes[] = {
        {"NR", nr}, {"IB", d->block}, {"O", d->o}, {"C", d->c}, {"CP", d->cp}, {"TAPS", taps}, {"S_O", d->w_row}, {"S_C", d->w_step},
        {"ZERO_STEP", tern__elems(&tern__lower_type(l, d->w_zero)->shape) > 1}};
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__kern_size(k, sizes[i].name, sizes[i].x);
    tern__cpu_define(k, "SIGNED", tern__lower_type(l, d->w)->dtype == TERN_I8);
    tern__kern_value(k, d->w);
    tern__kern_value(k, d->w_zero);
    tern__kern_slot(k, *slot, true);
    tern__cpu_range(k, panels, 1, 1);
    return TERN_OK;
}

static tern_status pack_image(tern__lower *l, const struct direct *d, int *slot)
{
    char key[48];
    const int64_t pixels = d->h * d->iw;
    snprintf(key, sizeof key, "int8 image %d %d", (int)d->block, (int)d->a_row);
    tern__kern *k = tern__lower_pack(l, d->x, key, product((const int64_t[]){d->n, d->cp, pixels}, 3), "pack_int8_image.cl", slot);
    if (*slot < 0)
        return TERN_E_NOMEM;
    if (!k)
        return TERN_OK;
    const struct { const char *name; int64_t x; } sizes[] = {
        {"IB", d->block}, {"C", d->c}, {"PIXELS", pixels}, {"S_N", d->c * pixels}, {"S_C", d->matrix ? d->a_step : pixels},
        {"S_P", d->matrix ? d->a_row : 1}, {"CHUNK", PACK_CHUNK}};
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__kern_size(k, sizes[i].name, sizes[i].x);
    tern__kern_value(k, d->x);
    tern__kern_slot(k, *slot, true);
    tern__cpu_range(k, tern__div_up(pixels, PACK_CHUNK), d->cp / d->block, d->n);
    return TERN_OK;
}

/* Do some tiles reach out of x, and do some not? */
static void define_borders(tern__kern *k, const struct direct *d)
{
    const int64_t tiles = tern__div_up(d->ow, d->tp);
    const bool left = d->pl > 0, right = (d->ow - d->tp) * d->sw - d->pl + span(d) > d->iw;
    const bool above = d->pt > 0, below = (d->oh - 1) * d->sh - d->pt + (d->kh - 1) * d->dh >= d->h;
    const bool columns = tiles > 2 || (tiles == 2 && !(left && right)) || !(left || right);
    const bool rows = d->oh > 2 || (d->oh == 2 && !(above && below)) || !(above || below);
    tern__cpu_define(k, "REACHES_OUT", left || right || above || below);
    tern__cpu_define(k, "LIES_INSIDE", columns && rows);
}

static void define_sizes(tern__kern *k, const struct direct *d, bool dot)
{
    const struct { const char *name; int64_t x; } all[] = {
        {"DOT", dot}, {"SIGNED", d->is_signed}, {"W", d->width}, {"TP", d->tp}, {"NV", d->nv}, {"KH", d->kh}, {"KW", d->kw}, {"SH", d->sh},
        {"SW", d->sw}, {"DH", d->dh}, {"DW", d->dw}, {"PT", d->pt}, {"PL", d->pl}, {"FLAT", d->flat}, {"MATRIX", d->matrix},
        {"SV", d->store}, {"TAIL", d->o % d->store != 0}};
    for (size_t i = 0; i < TERN_COUNT(all); i++)
        tern__cpu_define(k, all[i].name, all[i].x);
    const struct { const char *name; int64_t x; } sizes[] = {{"C", d->cp}, {"H", d->h}, {"IW", d->iw}, {"O", d->o}, {"OH", d->oh}, {"OW", d->ow}};
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__kern_size(k, sizes[i].name, sizes[i].x);
    if (d->matrix)
        tern__kern_size(k, "IB", d->block);
    else
        tern__cpu_define(k, "IB", d->block);
    define_borders(k, d);
}

static tern_status lower(tern__lower *l, const struct direct *d, bool dot)
{
    int weight = -1, image = -1;
    TERN_TRY(pack_weight(l, d, &weight));
    if (d->pack_x)
        TERN_TRY(pack_image(l, d, &image));
    tern__kern *k = tern__lower_kernel(l, "conv_int8_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_sizes(k, d, dot);
    if (d->pack_x)
        tern__kern_slot(k, image, false);
    else
        tern__kern_value(k, d->x);
    tern__kern_slot(k, weight, false);
    tern__kern_value(k, d->x_zero);
    tern__hook_axis conv[5] = {{.dims = 1}, {.dims = 1, .multiple_of = d->store}, {.dims = d->flat ? d->dims : 1}, {.dims = d->flat ? 0 : 1}, {0}};
    tern__hook_axis matrix[3] = {{.dims = 1}, {.dims = 1, .multiple_of = d->store}, {0}};
    tern__kern_store(k, "STORE", d->y, d->matrix ? matrix : conv, 1, 1u | (unsigned)d->width | (unsigned)d->store);
    tern__cpu_range(k, tern__div_up(d->ow, d->tp) * d->oh, tern__div_up(d->o, (int64_t)d->nv * d->width), d->n);
    return TERN_OK;
}

static tern_status lower_conv(tern__lower *l, const tern__node *n, bool dot)
{
    tern__spatial s;
    struct direct d;
    TERN_TRY(geometry(l, n, &s));
    read_conv(l, n, &s, &d);
    return lower(l, &d, dot);
}

static tern_status lower_matmul(tern__lower *l, const tern__node *n, bool dot)
{
    struct direct d;
    read_matmul(l, n, &d);
    return lower(l, &d, dot);
}

static bool accept_conv_dot(const tern__lower *l, const tern__node *n, tern__str *why)
{
    return accept_conv(l, n, true, why);
}

static bool accept_conv_plain(const tern__lower *l, const tern__node *n, tern__str *why)
{
    return accept_conv(l, n, false, why);
}

static bool accept_matmul_dot(const tern__lower *l, const tern__node *n, tern__str *why)
{
    return accept_matmul(l, n, true, why);
}

static bool accept_matmul_plain(const tern__lower *l, const tern__node *n, tern__str *why)
{
    return accept_matmul(l, n, false, why);
}

static tern_status lower_conv_dot(tern__lower *l, const tern__node *n)
{
    return lower_conv(l, n, true);
}

static tern_status lower_conv_plain(tern__lower *l, const tern__node *n)
{
    return lower_conv(l, n, false);
}

static tern_status lower_matmul_dot(tern__lower *l, const tern__node *n)
{
    return lower_matmul(l, n, true);
}

static tern_status lower_matmul_plain(tern__lower *l, const tern__node *n)
{
    return lower_matmul(l, n, false);
}

/* --- What can be tuned --- */

static void read_params_conv(const tern__lower *l, const tern__node *n, int32_t *value)
{
    tern__spatial s;
    struct direct d;
    if (geometry(l, n, &s) != TERN_OK)
        return;
    read_conv(l, n, &s, &d);
    value[TP] = d.tp;
    value[NV] = d.nv;
}

static void read_params_matmul(const tern__lower *l, const tern__node *n, int32_t *value)
{
    struct direct d;
    read_matmul(l, n, &d);
    value[TP] = d.tp;
    value[NV] = d.nv;
}

#define PARAMS .n = 2, .param = {[TP] = {"tp", "pixels of a register tile", tern__to_14}, [NV] = {"nv", "vectors of output channels of a tile", tern__to_4}}
static const tern__space conv_space = {PARAMS, .read = read_params_conv}, matmul_space = {PARAMS, .read = read_params_matmul};
static const char *const sources[] = {"conv_int8_cpu.cl", "pack_int8_weight.cl", "pack_int8_image.cl", NULL};

const tern__impl tern__impl_conv_dot8_cpu = {.name = "cpu_dot", .accept = accept_conv_dot, .lower = lower_conv_dot, .blocked = tern__conv_cpu_blocked,
                                             .space = &conv_space, .sources = sources};
const tern__impl tern__impl_conv_int8_cpu = {.name = "cpu_tile", .accept = accept_conv_plain, .lower = lower_conv_plain, .blocked = tern__conv_cpu_blocked,
                                             .space = &conv_space, .sources = sources};
const tern__impl tern__impl_matmul_dot8_cpu = {.name = "cpu_dot", .accept = accept_matmul_dot, .lower = lower_matmul_dot, .space = &matmul_space,
                                               .sources = sources};
const tern__impl tern__impl_matmul_int8_cpu = {.name = "cpu_tile", .accept = accept_matmul_plain, .lower = lower_matmul_plain, .space = &matmul_space,
                                               .sources = sources};
