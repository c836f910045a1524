/* conv and, at stride 1, conv_grad_input on CPU devices by Winograd's algorithm: 3x3 taps in tiles of 4x4 or 2x2 results
 * (kernels/conv_winograd_cpu.cl). One launch transforms the inputs of some tiles, the next makes their results; big images take several pairs,
 * so that what passes from one to the other stays in the cache. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/impl_cpu.h"

enum {
    MAX_STRIPS = 12,             /* pairs of launches: a kernel's name has a letter for each launch of its group */
    MAX_PRODUCTS = 160 << 10,    /* bytes of a work-item's products: most of them stay in the second cache */
    MAX_PRODUCTS_SLICED = 320 << 10, /* ... where every item transforms weights, which more products to an item make up for */
    SLICE_VECTORS = 2,           /* vectors of channels whose weights are transformed at a time: 150 kB of them for 32 output channels */
    MAX_SLICE = 8,               /* ... and at most: a work-item's memory ends somewhere */
    MIN_STRIP = 1 << 20,         /* bytes of transformed inputs that any cache may hold */
    MAX_CHUNK = 64,              /* ... and at most */
    GROUPS_PER_UNIT = 4,         /* work-groups for each compute unit, at least, where they can be had */
    TILES_PER_ITEM = 8,          /* tiles that one item of the first launch transforms */
};

/* Facts of the cost model: cycles of one core beside a fused multiply-add of vectors a cycle, measured with PoCL on an AVX-512 CPU. */
static const double launch_cycles = 20000;    /* a launch and the wait for its last item */
static const double bytes_per_cycle = 6;      /* what a core's share of the memory delivers; half of the time it does so beside products */
static const double gather_cycles = 3;        /* a number read from plain memory into a vector */

/* One convolution in tiles of m x m: x [n, c, h, w] to y [n, o, oh, ow]. */
struct winograd {
    tern_value x, w, y;
    bool flip;                   /* gradient by the input: weights transposed, taps backwards */
    int64_t n, c, o, h, iw, oh, ow, pt, pl;
    int m, width, block, store, tp, nv, rt, chunk; /* chunk: tiles that an item of the first launch transforms */
    int64_t ty, tx, strip, rows; /* tiles of an image, of a pair of launches, register tiles of the latter */
    int n_strips;
    int64_t cb, ob;              /* input channels in vectors, output channels in blocks of nv vectors */
    int64_t slice;               /* input channels, in vectors, whose weights an item transforms at a time; cb: all are, when the session is made */
};

enum { TP, NV, RT, STRIPS, CHUNK, SLICE };

static int64_t points(const struct winograd *d)
{
    return (int64_t)(d->m + 2) * (d->m + 2);
}

static int64_t tiles(const struct winograd *d)
{
    return d->n * d->ty * d->tx;
}

static bool read_geometry(const tern__lower *l, const tern__node *n, tern__spatial *s)
{
    return tern__conv_geometry(n, (const tern__type[]){*tern__lower_type(l, n->in[0]), *tern__lower_type(l, n->in[1])}, s) == TERN_OK;
}

/* Cycles of one point and channel over a strip. */
static double product_cost(const struct winograd *d, int64_t tp, int nv)
{
    double work = TERN_MAX((double)tp * nv, TERN_MAX(nv + (double)tp / 2, 4.0));
    return (double)tern__div_up(d->strip, tp) * (double)tern__div_up(tern__div_up(d->o, d->width), nv) * (work + 2);
}

/* Do items transform weights? */
static bool sliced(const struct winograd *d)
{
    return d->slice < d->cb;
}

/* Tiles that leave registers for nv vectors of weights. What a slice takes beyond that makes PoCL's compiler move accumulators about, so they leave
 * more. */
static int64_t most_tiles(const struct winograd *d, int nv)
{
    const int64_t registers = tern__cpu_accumulators(d->width) - (sliced(d) ? TERN_MAX(nv - 2, 0) : 0);
    return TERN_MIN(TERN_MIN(registers / nv, 14), d->strip);
}

static void choose_tile(const tern__lower *l, struct winograd *d)
{
    static const int vectors[] = {2, 4, 1, 3};
    double best = 0;
    for (int i = 0; i < 4; i++) {
        const int64_t tp = tern__div_up(d->strip, tern__div_up(d->strip, most_tiles(d, vectors[i])));
        double c = product_cost(d, tp, vectors[i]);
        if (best == 0 || c < best) {
            best = c;
            d->tp = (int)tp;
            d->nv = vectors[i];
        }
    }
    d->nv = (int)tern__lower_param(l, NV, d->nv, 1, 4);
    d->tp = (int)tern__lower_param(l, TP, d->tp, 1, most_tiles(d, d->nv));
    d->ob = tern__div_up(d->o, (int64_t)d->nv * d->width);
    d->rows = tern__div_up(d->strip, d->tp);
}

static size_t cache_share(const tern_device_info *info)
{
    return (size_t)TERN_MAX(info->cache_bytes / 8, (uint64_t)MIN_STRIP);
}

static double weights_bytes(const struct winograd *d)
{
    return (double)points(d) * (double)(d->cb * tern__div_up(d->o, d->width)) * (double)d->width * d->width * sizeof(float);
}

/* Cycles of transforming weights on the way, each as often as there are items that share a block of output channels. */
static double slice_cycles(const struct winograd *d)
{
    const double times = d->n_strips * (double)tern__div_up(d->rows, d->rt);
    return (d->m == 4 ? 140 : 80) * (double)(d->c * d->ob * d->nv) * times;
}

/* The tile and the number of them to an item, for weights transformed at first or on the way. */
static void choose_items(const tern__lower *l, struct winograd *d, const tern_device_info *info, int64_t slice)
{
    d->slice = slice;
    choose_tile(l, d);
    const int64_t wanted = (int64_t)info->compute_units * GROUPS_PER_UNIT;
    const int64_t fits = (sliced(d) ? MAX_PRODUCTS_SLICED : MAX_PRODUCTS) / (points(d) * d->tp * d->nv * d->width * (int64_t)sizeof(float));
    d->rt = (int)TERN_MAX(TERN_MIN(fits, d->rows * d->ob / wanted), 1);
    d->rt = (int)tern__div_up(d->rows, tern__div_up(d->rows, d->rt)); /* items alike */
    d->rt = (int)tern__lower_param(l, RT, d->rt, 1, TERN_MIN(d->rows, TERN_MAX(4 * fits, 1)));
}

static void choose_sizes(const tern__lower *l, struct winograd *d, const tern_device_info *info)
{
    const int64_t all = tiles(d);
    const double bytes = (double)points(d) * (double)all * (double)(d->cb * d->width) * sizeof(float);
    const double strips = bytes / (double)cache_share(info);
    d->n_strips = (int)TERN_MIN(strips < MAX_STRIPS ? (int64_t)strips + 1 : MAX_STRIPS, all);
    d->n_strips = (int)tern__lower_param(l, STRIPS, d->n_strips, 1, TERN_MIN((int64_t)MAX_STRIPS, all));
    d->strip = tern__div_up(all, d->n_strips);
    d->n_strips = (int)tern__div_up(all, d->strip);
    d->chunk = (int)tern__lower_param(l, CHUNK, TILES_PER_ITEM, 1, MAX_CHUNK);
    /* Transformed weights are 4 times as many as plain ones (m = 4). Where no cache keeps them, making them may cost less than reading them. */
    const int64_t slice = d->c % d->width ? d->cb : TERN_MIN(SLICE_VECTORS, d->cb);
    choose_items(l, d, info, slice);
    const bool pays = weights_bytes(d) > (double)cache_share(info) && slice_cycles(d) < weights_bytes(d) * (1 - 9 / (double)points(d)) / bytes_per_cycle;
    int64_t chosen = d->c % d->width ? d->cb : tern__lower_param(l, SLICE, pays ? slice : d->cb, 1, d->cb);
    if (chosen < d->cb)
        chosen = TERN_MIN(chosen, MAX_SLICE);
    if (chosen != slice)
        choose_items(l, d, info, chosen);
}

static void read_node(const tern__lower *l, const tern__node *n, bool backward, int m, const tern__spatial *s, struct winograd *d)
{
    *d = (struct winograd){.x = n->in[0], .w = n->in[1], .y = n->out[0], .flip = backward, .n = s->batch, .m = m};
    d->c = backward ? s->c_out : s->c_in;
    d->o = backward ? s->c_in : s->c_out;
    const int64_t *in = backward ? s->out : s->in, *out = backward ? s->in : s->out;
    d->h = in[1], d->iw = in[2], d->oh = out[1], d->ow = out[2];
    d->pt = backward ? 2 - s->pad[1] : s->pad[1];
    d->pl = backward ? 2 - s->pad[2] : s->pad[2];
    d->ty = tern__div_up(d->oh, m);
    d->tx = tern__div_up(d->ow, m);
    d->width = tern__cpu_width(tern__lower_device(l));
    const tern__layout *layout = &tern__lower_type(l, d->x)->layout;
    d->block = layout->kind == TERN__BLOCKED ? layout->block : 1;
    d->store = tern__cpu_store_width(l, d->y);
    d->cb = tern__div_up(d->c, d->width);
    choose_sizes(l, d, tern__lower_device(l));
}

static bool accept(const tern__lower *l, const tern__node *n, bool backward, int m, tern__str *why)
{
    tern__spatial s;
    struct winograd d;
    if (!tern__cpu_accept(l, n, false, why))
        return false;
    if (!read_geometry(l, n, &s)) {
        tern__str_add(why, "the operands' shapes do not fit");
        return false;
    }
    if (s.n_dims != 2 || s.kernel[1] != 3 || s.kernel[2] != 3 || s.group != 1) {
        tern__str_add(why, "other than 3x3 taps over all channels");
        return false;
    }
    for (int i = 1; i < 3; i++)
        if (s.stride[i] != 1 || s.dilation[i] != 1) {
            tern__str_addf(why, "stride %" PRId64 ", dilation %" PRId64, s.stride[i], s.dilation[i]);
            return false;
        }
    read_node(l, n, backward, m, &s, &d);
    const double most = TERN_MAX((double)d.strip * (double)d.cb, (double)d.ob * d.nv * (double)d.cb) * (double)points(&d) * d.width;
    if (most > INT32_MAX / 2 || (double)d.ob * d.nv * (double)d.cb * d.width * d.width * (double)points(&d) > INT32_MAX / 2) {
        tern__str_addf(why, "%.3g transformed numbers", most);
        return false;
    }
    return true;
}

/* Cycles of one core, as tern__conv_cpu_cycles counts them. */
static double cycles(const struct winograd *d)
{
    const double vectors = (double)d->n_strips * (double)d->strip * (double)d->cb, results = (double)tiles(d) * (double)tern__div_up(d->o, d->width);
    double gather = d->c % d->width ? gather_cycles * (double)points(d) * d->width : 0;
    double products = product_cost(d, d->tp, d->nv) * d->n_strips * (double)points(d) * (double)(d->cb * d->width);
    double weights = weights_bytes(d);
    double to = d->m == 4 ? 220 : 70, back = d->m == 4 ? 260 : 90;
    if (sliced(d)) {
        products += slice_cycles(d);
        weights *= 9 / (double)points(d);
    }
    return products + weights / bytes_per_cycle / 2 + vectors * (to + gather) + results * back + 2 * launch_cycles * d->n_strips;
}

static double direct_cycles(const tern__lower *l, const tern__node *n, const struct winograd *d)
{
    return TERN_MAX(tern__conv_cpu_cycles(l, n, d->flip), 9.0 * (double)(d->c * d->o) * sizeof(float) / bytes_per_cycle) + launch_cycles;
}

/* Is it faster than the direct kernel and the other size of tiles? Weights that change between runs would have to be transformed in each. */
static bool pays(const tern__lower *l, const tern__node *n, bool backward, int m, tern__str *why)
{
    tern__spatial s;
    struct winograd d, other;
    if (tern__value_at(tern__lower_graph(l), n->in[1])->kind != TERN__VALUE_CONST) {
        tern__str_add(why, "weights that are no constants");
        return false;
    }
    if (!read_geometry(l, n, &s))
        return false;
    read_node(l, n, backward, m, &s, &d);
    read_node(l, n, backward, 6 - m, &s, &other);
    const double mine = cycles(&d), least = TERN_MIN(direct_cycles(l, n, &d), cycles(&other));
    if (mine > least)
        tern__str_addf(why, "%.3g cycles where there is a way of %.3g", mine, least);
    return mine <= least;
}

static tern_status pack(tern__lower *l, const struct winograd *d, int *slot)
{
    char key[48];
    int64_t nr = d->nv * d->width;
    if (sliced(d))
        return tern__cpu_pack_conv(l,
                                   &(tern__conv_weights){.w = d->w, .flip = d->flip, .groups = 1, .o = d->o, .c = d->c, .taps = 9, .nr = nr, .block = 1,
                                                         .all_taps = 9, .some = tern__all_taps(9)},
                                   slot);
    snprintf(key, sizeof key, "winograd %d %d %d%s", d->m, (int)nr, d->width, d->flip ? " flipped" : "");
    tern__kern *k = tern__lower_pack(l, d->w, key, tern__cpu_bytes(d->ob, points(d), d->cb * d->width, nr), "pack_winograd_weight.cl", slot);
    if (*slot < 0)
        return TERN_E_NOMEM;
    if (!k)
        return TERN_OK;
    tern__cpu_define(k, "M", d->m);
    tern__cpu_define(k, "W", d->width);
    tern__kern_size(k, "NR", nr);
    tern__kern_size(k, "O", d->o);
    tern__kern_size(k, "C", d->c);
    tern__kern_size(k, "CP", d->cb * d->width);
    tern__cpu_define(k, "FLIP", d->flip);
    tern__kern_value(k, d->w);
    tern__kern_slot(k, *slot, true);
    tern__cpu_range(k, d->ob, d->cb * d->width, 1);
    return TERN_OK;
}

static int64_t point_stride(const struct winograd *d)
{
    return (d->cb * d->strip + 1) * d->width; /* a line more than there are numbers: points fall into different sets of the cache */
}

/* pt and pl of a gradient may be negative, which no parameter is: the kernel has them in its text. */
static void define_sizes(tern__kern *k, const struct winograd *d, int stage)
{
    const struct { const char *name; int64_t x; } both[] = {{"STAGE", stage}, {"M", d->m}, {"W", d->width}};
    const struct { const char *name; int64_t x; } first[] = {{"IB", d->block}, {"PT", d->pt}, {"PL", d->pl}, {"CHUNK", d->chunk}};
    const struct { const char *name; int64_t x; } second[] = {{"TP", d->tp}, {"NV", d->nv}, {"RT", d->rt}, {"SV", d->store},
        {"TAIL", d->o % d->store != 0}, {"SLICE", sliced(d) ? d->slice : 0}};
    const struct { const char *name; int64_t x; } sizes[] = {{"CB", d->cb}, {"TY", d->ty}, {"TX", d->tx}, {"TS", d->strip}, {"PS", point_stride(d)}};
    const struct { const char *name; int64_t x; } first_sizes[] = {{"C", d->c}, {"H", d->h}, {"IW", d->iw}};
    const struct { const char *name; int64_t x; } second_sizes[] = {{"O", d->o}, {"OH", d->oh}, {"OW", d->ow}};
    for (size_t i = 0; i < TERN_COUNT(both); i++)
        tern__cpu_define(k, both[i].name, both[i].x);
    for (size_t i = 0; i < TERN_COUNT(first) && stage == 1; i++)
        tern__cpu_define(k, first[i].name, first[i].x);
    for (size_t i = 0; i < TERN_COUNT(second) && stage == 2; i++)
        tern__cpu_define(k, second[i].name, second[i].x);
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__kern_size(k, sizes[i].name, sizes[i].x);
    for (size_t i = 0; i < 3; i++)
        tern__kern_size(k, stage == 1 ? first_sizes[i].name : second_sizes[i].name, stage == 1 ? first_sizes[i].x : second_sizes[i].x);
}

static tern_status lower_inputs(tern__lower *l, const struct winograd *d, int slot, int64_t first)
{
    tern__kern *k = tern__lower_kernel(l, "conv_winograd_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_sizes(k, d, 1);
    tern__kern_value(k, d->x);
    tern__kern_slot(k, slot, true);
    tern__kern_i32(k, (int32_t)first);
    tern__kern_part(k, d->n_strips);
    tern__cpu_range(k, tern__div_up(d->strip, d->chunk), d->cb, 1);
    return TERN_OK;
}

static tern_status lower_results(tern__lower *l, const struct winograd *d, int slot, int weights, int64_t first, int64_t own)
{
    tern__kern *k = tern__lower_kernel(l, "conv_winograd_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    const int64_t blocks = tern__div_up(d->rows, d->rt);
    /* Neighbouring items share the weights where those are too many to stay in the cache, else the inputs. */
    const double bytes = weights_bytes(d) * (sliced(d) ? 9 / (double)points(d) : 1);
    const bool tiles_first = bytes > (double)cache_share(tern__lower_device(l));
    define_sizes(k, d, 2);
    tern__kern_size(k, "TILES_FIRST", tiles_first);
    tern__kern_slot(k, slot, false);
    tern__kern_slot(k, weights, false);
    tern__kern_i32(k, (int32_t)first);
    tern__kern_i32(k, (int32_t)own);
    tern__kern_part(k, d->n_strips);
    tern__hook_axis axes[5] = {{.dims = 1}, {.dims = 1, .multiple_of = d->store}, {.dims = 1}, {.dims = 1}, {0}};
    tern__kern_store(k, "STORE", d->y, axes, 1, 1u | (unsigned)d->store);
    tern__cpu_range(k, tiles_first ? blocks : d->ob, tiles_first ? d->ob : blocks, 1);
    return TERN_OK;
}

static tern_status lower(tern__lower *l, const tern__node *n, bool backward, int m)
{
    tern__spatial s;
    struct winograd d;
    int weights = -1;
    if (!read_geometry(l, n, &s))
        return TERN_E_SHAPE;
    read_node(l, n, backward, m, &s, &d);
    TERN_TRY(pack(l, &d, &weights));
    const int slot = tern__lower_temp(l, tern__cpu_bytes(points(&d), point_stride(&d), 1, 1));
    if (slot < 0)
        return TERN_E_NOMEM;
    for (int i = 0; i < d.n_strips; i++) {
        /* The last strip moves back to have as many tiles as the others. */
        const int64_t own = i * d.strip, first = TERN_MIN(own, tiles(&d) - d.strip);
        TERN_TRY(lower_inputs(l, &d, slot, first));
        TERN_TRY(lower_results(l, &d, slot, weights, first, own));
    }
    return TERN_OK;
}

static void read_params(const tern__lower *l, const tern__node *n, bool backward, int m, int32_t *value)
{
    tern__spatial s;
    struct winograd d;
    if (!read_geometry(l, n, &s))
        return;
    read_node(l, n, backward, m, &s, &d);
    value[TP] = d.tp;
    value[NV] = d.nv;
    value[RT] = d.rt;
    value[STRIPS] = d.n_strips;
    value[CHUNK] = d.chunk;
    value[SLICE] = (int32_t)d.slice;
}

static const int16_t strips[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0};
#define PARAMS                                                                                                                                   \
    .n = 6, .param = {[TP] = {"tp", "Winograd tiles of a register tile", tern__to_14},                                                           \
                      [NV] = {"nv", "vectors of output channels of a register tile", tern__to_4},                                                \
                      [RT] = {"rt", "register tiles of a work-item", tern__to_64},                                                               \
                      [STRIPS] = {"strips", "pairs of launches that share the tiles out", strips},                                               \
                      [CHUNK] = {"chunk", "tiles whose inputs a work-item transforms", tern__to_64},                                             \
                      [SLICE] = {"slice", "vectors of channels whose weights a work-item transforms at a time; all: once, at first", tern__to_64}}
static const char *const sources[] = {"conv_winograd_cpu.cl", "pack_winograd_weight.cl", "pack_conv_weight.cl", NULL};

/* Descriptors of both directions for tiles of M x M. */
#define WINOGRAD(M)                                                                                                                              \
    static bool accept_forward##M(const tern__lower *l, const tern__node *n, tern__str *why) { return accept(l, n, false, M, why); }             \
    static bool accept_backward##M(const tern__lower *l, const tern__node *n, tern__str *why) { return accept(l, n, true, M, why); }             \
    static bool pays_forward##M(const tern__lower *l, const tern__node *n, tern__str *why) { return pays(l, n, false, M, why); }                 \
    static bool pays_backward##M(const tern__lower *l, const tern__node *n, tern__str *why) { return pays(l, n, true, M, why); }                 \
    static tern_status lower_forward##M(tern__lower *l, const tern__node *n) { return lower(l, n, false, M); }                                   \
    static tern_status lower_backward##M(tern__lower *l, const tern__node *n) { return lower(l, n, true, M); }                                   \
    static void read_forward##M(const tern__lower *l, const tern__node *n, int32_t *value) { read_params(l, n, false, M, value); }               \
    static void read_backward##M(const tern__lower *l, const tern__node *n, int32_t *value) { read_params(l, n, true, M, value); }               \
    static const tern__space forward##M = {PARAMS, .read = read_forward##M}, backward##M = {PARAMS, .read = read_backward##M};                   \
    const tern__impl tern__impl_conv_winograd##M = {                                                                                             \
        .name = "cpu_winograd" #M, .accept = accept_forward##M, .lower = lower_forward##M, .blocked = tern__conv_cpu_blocked,                    \
        .pays = pays_forward##M, .approximate = true, .space = &forward##M, .sources = sources};                                                 \
    const tern__impl tern__impl_conv_grad_input_winograd##M = {                                                                                  \
        .name = "cpu_winograd" #M, .accept = accept_backward##M, .lower = lower_backward##M, .blocked = tern__conv_cpu_blocked,                  \
        .pays = pays_backward##M, .approximate = true, .space = &backward##M, .sources = sources};
WINOGRAD(4)
WINOGRAD(2)
