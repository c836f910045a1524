/* conv_grad_weight on CPU devices: taps x channels x output-channel vectors in registers (kernels/conv_grad_weight_cpu.cl). */
#include <inttypes.h>
#include <stdio.h>

#include "ops/impl_cpu.h"

enum { NV, ICT, CHUNKS }; /* what can be tuned */

enum { POSITIONS = 256 }; /* positions of a channel block that one item packs */

struct weight_grad {
    tern__spatial s;
    int width, block, nv, ict, kht;
    int64_t images, chunks;
    bool pack_dy;
};

static tern_status geometry(const tern__lower *l, const tern__node *n, tern__spatial *s)
{
    return tern__conv_geometry(n, (const tern__type[]){*tern__lower_type(l, n->in[0]), *tern__lower_type(l, n->in[1])}, s);
}

/* The largest tile of taps x input channels that leaves its vectors in registers; false if even one row of taps does not. */
static bool choose_tile(const tern__lower *l, struct weight_grad *g)
{
    int64_t most = tern__cpu_accumulators(g->width), kh = g->s.kernel[1], kw = g->s.kernel[2];
    g->nv = g->s.c_out > g->width && kw * 2 <= most ? 2 : 1;
    g->nv = (int)tern__lower_param(l, NV, g->nv, 1, TERN_MAX(TERN_MIN(most / kw, 2), 1));
    g->ict = g->kht = 1;
    if (kw * g->nv > most)
        return false;
    while (g->ict < g->block && kw * g->ict * 2 * g->nv <= most)
        g->ict *= 2;
    g->ict = (int)tern__lower_param(l, ICT, g->ict, 1, g->ict);
    while (g->block % g->ict)
        g->ict--;
    if (g->block == 1 && kh * kw * g->nv <= most)
        g->kht = (int)kh;
    return true;
}

/* Images are shared out by sizes alone, so that sums do not change from run to run. */
static void choose_chunks(const tern__lower *l, struct weight_grad *g, const tern_device_info *d)
{
    int64_t items = tern__div_up(g->s.c_out, (int64_t)g->nv * g->width) * (g->s.c_in / g->block);
    int64_t chunks = TERN_MIN(tern__div_up(8 * (int64_t)TERN_MAX(d->compute_units, 1u), items), g->s.batch);
    chunks = tern__lower_param(l, CHUNKS, chunks, 1, g->s.batch);
    g->images = tern__div_up(g->s.batch, chunks);
    g->chunks = tern__div_up(g->s.batch, g->images);
}

static bool read_node(const tern__lower *l, const tern__node *n, struct weight_grad *g)
{
    const tern__layout *x = &tern__lower_type(l, n->in[0])->layout, *dy = &tern__lower_type(l, n->in[1])->layout;
    g->width = tern__cpu_width(tern__lower_device(l));
    g->block = x->kind == TERN__BLOCKED ? x->block : 1;
    g->pack_dy = dy->kind != TERN__BLOCKED;
    if (dy->kind == TERN__BLOCKED && dy->block != g->width)
        return false;
    if (!choose_tile(l, g))
        return false;
    choose_chunks(l, g, tern__lower_device(l));
    return true;
}

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    struct weight_grad g;
    if (!tern__cpu_accept(l, n, false, why))
        return false;
    if (geometry(l, n, &g.s) != TERN_OK) {
        tern__str_add(why, "the operands' shapes do not fit");
        return false;
    }
    if (g.s.group != 1) {
        tern__str_addf(why, "group %" PRId64, g.s.group);
        return false;
    }
    if (g.s.n_dims > 2) {
        tern__str_add(why, "three spatial dimensions");
        return false;
    }
    if (!read_node(l, n, &g)) {
        tern__str_addf(why, "%" PRId64 " taps in a row do not fit the registers", g.s.kernel[2]);
        return false;
    }
    return true;
}

static tern_status pack_dy(tern__lower *l, const struct weight_grad *g, tern_value dy, int *slot)
{
    char key[48];
    int64_t positions = g->s.out[1] * g->s.out[2], blocks = tern__div_up(g->s.c_out, g->width);
    snprintf(key, sizeof key, "blocked %d", g->width);
    tern__kern *k = tern__lower_pack(l, dy, key, tern__cpu_bytes(g->s.batch, blocks, positions, g->width), "pack_blocked.cl", slot);
    if (*slot < 0)
        return TERN_E_NOMEM;
    if (!k)
        return TERN_OK;
    tern__cpu_define(k, "B", g->width);
    tern__cpu_define(k, "C", g->s.c_out);
    tern__cpu_define(k, "S", positions);
    tern__cpu_define(k, "SCHUNK", POSITIONS);
    tern__cpu_define(k, "SRC", 0);
    tern__kern_value(k, dy);
    tern__kern_slot(k, *slot, true);
    tern__cpu_range(k, tern__div_up(positions, POSITIONS), blocks, g->s.batch);
    return TERN_OK;
}

static void define_sizes(tern__kern *k, const struct weight_grad *g)
{
    const tern__spatial *s = &g->s;
    const struct { const char *name; int64_t x; } all[] = {
        {"W", g->width}, {"NV", g->nv}, {"IB", g->block}, {"ICT", g->ict}, {"KHT", g->kht}, {"N", s->batch}, {"C", s->c_in}, {"H", s->in[1]},
        {"IW", s->in[2]}, {"O", s->c_out}, {"OH", s->out[1]}, {"OW", s->out[2]}, {"KH", s->kernel[1]}, {"KW", s->kernel[2]},
        {"SH", s->stride[1]}, {"SW", s->stride[2]}, {"DH", s->dilation[1]}, {"DW", s->dilation[2]}, {"PT", s->pad[1]}, {"PL", s->pad[2]},
        {"IMAGES", g->images}};
    for (size_t i = 0; i < TERN_COUNT(all); i++)
        tern__cpu_define(k, all[i].name, all[i].x);
}

static tern_status combine(tern__lower *l, const struct weight_grad *g, tern_value dw, int partial)
{
    tern__kern *k = tern__lower_kernel(l, "conv_grad_weight_combine_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    const int64_t row = g->s.c_in * g->s.kernel[1] * g->s.kernel[2];
    tern__cpu_define(k, "W", g->width);
    tern__cpu_define(k, "NR", g->nv * g->width);
    tern__cpu_define(k, "O", g->s.c_out);
    tern__cpu_define(k, "CT", row);
    tern__cpu_define(k, "CHUNKS", g->chunks);
    tern__kern_slot(k, partial, false);
    const tern__hook_axis axes[3] = {{.dims = 1}, {.dims = 1 + g->s.n_dims, .multiple_of = g->width}, {0}};
    tern__kern_store(k, "STORE", dw, axes, 1, 1u | (unsigned)g->width);
    tern__cpu_range(k, tern__div_up(g->s.c_out, g->width), tern__div_up(row, g->width), 1);
    return TERN_OK;
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    struct weight_grad g;
    int packed = -1;
    TERN_TRY(geometry(l, n, &g.s));
    read_node(l, n, &g);
    if (g.pack_dy)
        TERN_TRY(pack_dy(l, &g, n->in[1], &packed));
    const int64_t nr = g.nv * g.width, panels = tern__div_up(g.s.c_out, nr);
    int partial = tern__lower_temp(l, tern__cpu_bytes(g.chunks * panels, g.s.c_in, g.s.kernel[1] * g.s.kernel[2], nr));
    if (partial < 0)
        return TERN_E_NOMEM;
    tern__kern *k = tern__lower_kernel(l, "conv_grad_weight_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_sizes(k, &g);
    tern__kern_value(k, n->in[0]);
    if (g.pack_dy)
        tern__kern_slot(k, packed, false);
    else
        tern__kern_value(k, n->in[1]);
    tern__kern_slot(k, partial, true);
    tern__cpu_range(k, panels, g.s.c_in / g.block, g.chunks);
    return combine(l, &g, n->out[0], partial);
}

/* The input and the gradient where their channels fill whole vectors. */
static unsigned blocked(const tern__layout_query *q, const tern__node *n)
{
    int width = tern__cpu_width(q->device);
    unsigned mask = 0;
    for (int i = 0; i < 2; i++)
        if (tern__shape_of(q->graph, n->in[i])->dim[1] % width == 0)
            mask |= 1u << i;
    return mask;
}

static void read_params(const tern__lower *l, const tern__node *n, int32_t *value)
{
    struct weight_grad g;
    if (geometry(l, n, &g.s) != TERN_OK || !read_node(l, n, &g))
        return;
    value[NV] = g.nv;
    value[ICT] = g.ict;
    value[CHUNKS] = (int32_t)g.chunks;
}

/* Of three vectors in the last panel the kernel could read only one or all. */
static const int16_t to_2[] = {1, 2, 0}, powers[] = {1, 2, 4, 8, 16, 0};
static const tern__space space = {
    .n = 3,
    .param = {[NV] = {"nv", "vectors of output channels of a register tile", to_2},
              [ICT] = {"ict", "input channels of a tile", powers},
              [CHUNKS] = {"chunks", "parts of the images, each with sums of its own", tern__to_64}},
    .read = read_params,
};
static const char *const sources[] = {"conv_grad_weight_cpu.cl", "conv_grad_weight_combine_cpu.cl", "pack_blocked.cl", NULL};

const tern__impl tern__impl_conv_grad_weight_cpu = {.name = "cpu_tile", .accept = accept, .lower = lower, .blocked = blocked,
                                                   .space = &space, .sources = sources};
