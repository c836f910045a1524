/* conv, conv_integer and, at stride 1, conv_grad_input with a group for each channel, on CPU devices: vectors of channels
 * (kernels/conv_depthwise_cpu.cl) or, where input and result are plain, of pixels (kernels/conv_depthwise_lines_cpu.cl). */
#include <inttypes.h>
#include <stdio.h>

#include "ops/impl_cpu.h"

enum {
    ITEM_TAPS = 4096,    /* vectors times taps that are worth a work-item of their own */
    MAX_BYTE_TAPS = 256, /* products of bytes whose sum f32 is sure to hold: 256 * 255 * 255 < 2^24 */
    MAX_LINES = 1 << 13, /* floats of an item's copy of plain inputs, which the first cache holds */
    GROUPS_PER_UNIT = 4, /* work-groups for each compute unit, at least, where they can be had */
};

struct depthwise {
    tern_value x, w, y, zero;    /* zero: x's zero point, of conv_integer */
    bool flip;                   /* gradient by the input: taps backwards */
    bool flat;                   /* one spatial dimension */
    int64_t n, c, h, iw, oh, ow, kh, kw, sh, sw, dh, dw, pt, pl;
    int width, block, tp;        /* vectors are as long as the blocks are */
    int registers;               /* that accumulators and a row of inputs may take */
    int64_t cb, rows;
    bool lines;                  /* vectors of pixels */
};

enum { TP, ROWS };

static int64_t span(const struct depthwise *d, int64_t tp)
{
    return (tp - 1) * d->sw + (d->kw - 1) * d->dw + 1;
}

static bool is_integer(const tern__node *n)
{
    return n->n_in > 3; /* zero points */
}

/* Floats of an item's copy of what `rows` rows read. */
static double line_floats(const struct depthwise *d, int64_t rows)
{
    const double columns = (double)(tern__div_up(d->ow, d->width) * d->width + (d->kw - 1) * d->dw / d->sw);
    return (double)((rows - 1) * d->sh + (d->kh - 1) * d->dh + 1) * (double)d->sw * columns;
}

/* Rows of an item: enough of them to be worth one, and enough items for all units. */
static void choose_rows(const tern__lower *l, struct depthwise *d)
{
    const int64_t units = tern__lower_device(l)->compute_units;
    const int64_t vectors = d->lines ? tern__div_up(d->ow, d->width) : d->ow, columns = d->lines ? d->c : d->cb;
    int64_t most = d->oh;
    while (d->lines && most > 1 && line_floats(d, most) > MAX_LINES)
        most = tern__div_up(most, 2);
    d->rows = TERN_MAX(ITEM_TAPS / (vectors * d->kh * d->kw), 1);
    d->rows = TERN_MIN(d->rows, TERN_MAX(d->n * columns * d->oh / (units * GROUPS_PER_UNIT), 1));
    d->rows = tern__lower_param(l, ROWS, d->rows, 1, most);
}

static bool read_geometry(const tern__lower *l, const tern__node *n, tern__spatial *s)
{
    return tern__conv_geometry(n, (const tern__type[]){*tern__lower_type(l, n->in[0]), *tern__lower_type(l, n->in[1])}, s) == TERN_OK;
}

static int registers_of(const tern_device_info *info)
{
    return tern__cpu_accumulators(tern__cpu_width(info)) - 1;
}

static void read_node(const tern__lower *l, const tern__node *n, bool backward, const tern__spatial *s, struct depthwise *d)
{
    const tern_device_info *info = tern__lower_device(l);
    const int64_t *in = backward ? s->out : s->in, *out = backward ? s->in : s->out;
    *d = (struct depthwise){.x = n->in[0], .w = n->in[1], .y = n->out[0], .flip = backward, .flat = s->n_dims == 1, .n = s->batch, .c = s->c_in};
    d->zero = n->n_in > 2 ? n->in[2] : TERN_NONE;
    d->h = in[1], d->iw = in[2], d->oh = out[1], d->ow = out[2];
    d->kh = s->kernel[1], d->kw = s->kernel[2], d->sh = s->stride[1], d->sw = s->stride[2];
    d->dh = s->dilation[1], d->dw = s->dilation[2];
    d->pt = backward ? d->dh * (d->kh - 1) - s->pad[1] : s->pad[1];
    d->pl = backward ? d->dw * (d->kw - 1) - s->pad[2] : s->pad[2];
    const tern__layout *layout = &tern__lower_type(l, d->x)->layout;
    d->block = layout->kind == TERN__BLOCKED ? layout->block : 1;
    d->width = d->block > 1 ? d->block : tern__cpu_width(info);
    d->registers = registers_of(info);
    d->cb = tern__div_up(d->c, d->width);
    int64_t most = 1;
    while (most < 14 && most + 1 + span(d, most + 1) <= d->registers)
        most++;
    d->tp = (int)tern__lower_param(l, TP, tern__div_up(d->ow, tern__div_up(d->ow, most)), 1, TERN_MIN(most, d->ow));
    d->lines = d->block == 1 && !is_integer(n) && tern__lower_type(l, d->y)->layout.kind != TERN__BLOCKED && line_floats(d, 1) <= MAX_LINES;
    choose_rows(l, d);
}

/* The weights' zero point, one number for all that is known. */
static bool weight_zero(const tern__lower *l, const tern__node *n, double *zero)
{
    return tern__const_scalar(tern__lower_graph(l), n->in[3], zero);
}

static bool accept(const tern__lower *l, const tern__node *n, bool backward, tern__str *why)
{
    tern__spatial s;
    struct depthwise d;
    double zero;
    if (!(is_integer(n) ? tern__cpu_accept_integers(l, n, why) : tern__cpu_accept(l, n, false, why)))
        return false;
    if (is_integer(n) && !weight_zero(l, n, &zero)) {
        tern__str_add(why, "the weights' zero point is not one number that is known");
        return false;
    }
    if (!read_geometry(l, n, &s)) {
        tern__str_add(why, "the operands' shapes do not fit");
        return false;
    }
    if (s.group != s.c_in || s.group != s.c_out) {
        tern__str_addf(why, "%" PRId64 " groups of %" PRId64 " to %" PRId64 " channels", s.group, s.c_in, s.c_out);
        return false;
    }
    if (s.n_dims > 2) {
        tern__str_add(why, "three spatial dimensions");
        return false;
    }
    if (backward && (s.stride[1] != 1 || s.stride[2] != 1)) {
        tern__str_addf(why, "the gradient at strides %" PRId64 ", %" PRId64, s.stride[1], s.stride[2]);
        return false;
    }
    read_node(l, n, backward, &s, &d);
    if (is_integer(n) && d.kh * d.kw > MAX_BYTE_TAPS) {
        tern__str_addf(why, "%" PRId64 " taps", d.kh * d.kw);
        return false;
    }
    if (!d.lines && d.tp + span(&d, d.tp) > d.registers) {
        tern__str_addf(why, "a row of taps reads %" PRId64 " pixels", span(&d, 1));
        return false;
    }
    return true;
}

static tern_status pack(tern__lower *l, const struct depthwise *d, int *slot)
{
    char key[48];
    const int64_t taps = d->kh * d->kw;
    snprintf(key, sizeof key, "depthwise %d%s", d->width, d->flip ? " flipped" : "");
    tern__kern *k = tern__lower_pack(l, d->w, key, tern__cpu_bytes(d->cb, d->width, taps, 1), "pack_conv_weight.cl", slot);
    if (*slot < 0)
        return TERN_E_NOMEM;
    if (!k)
        return TERN_OK;
    tern__kern_size(k, "NR", d->width);
    tern__kern_size(k, "IB", 1);
    tern__kern_size(k, "O", d->c);
    tern__kern_size(k, "C", 1);
    tern__kern_size(k, "TAPS", taps);
    const tern__taps all = tern__all_taps(taps);
    tern__cpu_define_taps(k, taps, &all);
    tern__cpu_define(k, "FLIP", d->flip);
    const tern_dtype t = tern__lower_type(l, d->w)->dtype;
    tern__cpu_define(k, "SRC", t == TERN_I8 ? 3 : t == TERN_U8 ? 4 : 0);
    tern__kern_value(k, d->w);
    tern__kern_slot(k, *slot, true);
    tern__cpu_range(k, d->cb, 1, 1);
    return TERN_OK;
}

static void define_sizes(tern__kern *k, const struct depthwise *d)
{
    const struct { const char *name; int64_t x; } all[] = {
        {"W", d->width}, {"IB", d->block}, {"KH", d->kh}, {"KW", d->kw}, {"SH", d->sh}, {"SW", d->sw}, {"DH", d->dh}, {"DW", d->dw},
        {"PT", d->pt}, {"PL", d->pl}, {"TP", d->tp}, {"FLAT", d->flat}, {"WHOLE", d->ow % d->tp == 0 && d->c % d->width == 0},
        {"TAIL", d->c % d->width != 0}};
    const struct { const char *name; int64_t x; } sizes[] = {
        {"C", d->c}, {"CB", d->cb}, {"H", d->h}, {"IW", d->iw}, {"OH", d->oh}, {"OW", d->ow}, {"ROWS", d->rows}};
    for (size_t i = 0; i < TERN_COUNT(all); i++)
        tern__cpu_define(k, all[i].name, all[i].x);
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__kern_size(k, sizes[i].name, sizes[i].x);
}

static tern_status lower_lines(tern__lower *l, const struct depthwise *d, int weights)
{
    tern__kern *k = tern__lower_kernel(l, "conv_depthwise_lines_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    const struct { const char *name; int64_t x; } all[] = {
        {"W", d->width}, {"C", d->c}, {"H", d->h}, {"IW", d->iw}, {"OH", d->oh}, {"OW", d->ow}, {"KH", d->kh}, {"KW", d->kw}, {"SH", d->sh}, {"SW", d->sw},
        {"DH", d->dh}, {"DW", d->dw}, {"PT", d->pt}, {"PL", d->pl}, {"ROWS", d->rows}, {"FLAT", d->flat}};
    for (size_t i = 0; i < TERN_COUNT(all); i++)
        tern__cpu_define(k, all[i].name, all[i].x);
    tern__kern_value(k, d->x);
    tern__kern_slot(k, weights, false);
    const tern__hook_axis axes[5] = {{.dims = 1}, {.dims = 1}, {.dims = 1}, {.dims = d->flat ? 0 : 1}, {0}};
    tern__kern_store(k, "STORE", d->y, axes, d->flat ? 2 : 3, 1u | (unsigned)d->width);
    tern__cpu_range(k, tern__div_up(d->oh, d->rows), d->c, d->n);
    return TERN_OK;
}

static tern_status lower(tern__lower *l, const tern__node *n, bool backward)
{
    tern__spatial s;
    struct depthwise d;
    int slot = -1;
    if (!read_geometry(l, n, &s))
        return TERN_E_SHAPE;
    read_node(l, n, backward, &s, &d);
    TERN_TRY(pack(l, &d, &slot));
    if (d.lines)
        return lower_lines(l, &d, slot);
    tern__kern *k = tern__lower_kernel(l, "conv_depthwise_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_sizes(k, &d);
    double zero;
    const bool integer = is_integer(n) && weight_zero(l, n, &zero);
    if (integer) {
        tern__cpu_define(k, "BYTES", tern__lower_type(l, d.x)->dtype == TERN_I8 ? 2 : 1);
        tern__cpu_define(k, "W_ZERO", (int64_t)zero);
    }
    tern__kern_value(k, d.x);
    tern__kern_slot(k, slot, false);
    if (integer)
        tern__kern_value(k, d.zero);
    tern__hook_axis axes[5] = {{.dims = 1}, {.dims = 1, .multiple_of = d.width}, {.dims = 1}, {.dims = d.flat ? 0 : 1}, {0}};
    tern__kern_store(k, "STORE", d.y, axes, 1, 1u | (unsigned)d.width);
    tern__cpu_range(k, tern__div_up(d.oh, d.rows), d.cb, d.n);
    return TERN_OK;
}

/* Every channel is a group of its own: blocks may hold several. A row of taps that registers do not hold is left to vectors of pixels. */
static unsigned blocked(const tern__layout_query *q, const tern__node *n)
{
    tern__spatial s;
    const tern__type *x = &tern__value_at(q->graph, n->in[0])->type, *w = &tern__value_at(q->graph, n->in[1])->type;
    const bool fits = tern__conv_geometry(n, (const tern__type[]){*x, *w}, &s) == TERN_OK && (s.kernel[2] - 1) * s.dilation[2] + 2 <= registers_of(q->device);
    const bool pays = fits && tern__layout_block(q->device, x->shape.dim[1]) > 0;
    return pays | (unsigned)pays << n->n_in;
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
    struct depthwise d;
    if (!read_geometry(l, n, &s))
        return;
    read_node(l, n, backward, &s, &d);
    value[TP] = d.tp;
    value[ROWS] = (int32_t)d.rows;
}

static void read_params_forward(const tern__lower *l, const tern__node *n, int32_t *value)
{
    read_params(l, n, false, value);
}

static void read_params_backward(const tern__lower *l, const tern__node *n, int32_t *value)
{
    read_params(l, n, true, value);
}

#define PARAMS .n = 2, .param = {[TP] = {"tp", "pixels of a register tile", tern__to_14}, [ROWS] = {"rows", "rows of a work-item", tern__to_64}}
static const tern__space forward = {PARAMS, .read = read_params_forward}, backward = {PARAMS, .read = read_params_backward};
static const char *const sources[] = {"conv_depthwise_cpu.cl", "conv_depthwise_lines_cpu.cl", "pack_conv_weight.cl", NULL};

const tern__impl tern__impl_conv_depthwise_cpu = {.name = "cpu_depthwise", .accept = accept_forward, .lower = lower_forward, .blocked = blocked,
                                                  .space = &forward, .sources = sources};
const tern__impl tern__impl_conv_integer_depthwise_cpu = {.name = "cpu_depthwise", .accept = accept_forward, .lower = lower_forward,
                                                          .blocked = blocked};
const tern__impl tern__impl_conv_grad_input_depthwise_cpu = {.name = "cpu_depthwise", .accept = accept_backward, .lower = lower_backward,
                                                             .blocked = blocked, .space = &backward, .sources = sources};
