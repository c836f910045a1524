/* matmul on CPU devices: register tiles over packed panels (kernels/gemm_cpu.cl). */
#include <stdio.h>

#include "ops/impl_cpu.h"

enum {
    PACK_CHUNK = 128,      /* steps of k that one item packs */
    MIN_PART = 128,        /* steps of k worth a part of their own */
    PANELS_BYTES = 1 << 20 /* panels of B that stay in the second cache */
};

/* C[b, m, n] = sum over k of A[b, m, k] B[b, k, n]; element (b, r, k) of A at b*batch + r*row + k*step, of B likewise with its columns as rows. */
struct operand {
    tern_value v;
    int64_t rows, row, step, batch;
    int64_t matrices;
};
struct gemm {
    int64_t m, n, k, batch;
    bool batched;          /* the result keeps a batch axis */
    struct operand a, b;
    int width, mr, nv;
    int64_t tiles, panels; /* along m and n */
    int splits;
    int64_t part;
    int64_t group;         /* panels whose tiles neighbouring items make */
};

enum { MR, NV, SPLITS, GROUP };

/* The batch of an operand: as many matrices as the result has, or one for all. */
static bool read_operand(struct operand *o, tern_value v, const tern_shape *s, bool rows_last, int64_t batch)
{
    o->v = v;
    o->matrices = 1;
    for (int i = 0; i < s->rank - 2; i++)
        o->matrices *= s->dim[i];
    int64_t outer = s->dim[s->rank - 2], inner = s->dim[s->rank - 1];
    o->rows = rows_last ? inner : outer;
    o->row = rows_last ? 1 : inner;
    o->step = rows_last ? inner : 1;
    o->batch = o->matrices > 1 ? outer * inner : 0;
    return o->matrices == 1 || o->matrices == batch;
}

/* False if the operands' batches broadcast in a way that one stride cannot say. */
static bool read_gemm(const tern__lower *l, const tern__node *n, struct gemm *g)
{
    const bool trans_a = tern__attr_int(n, 0) != 0, trans_b = tern__attr_int(n, 1) != 0;
    const tern_shape *a = &tern__lower_type(l, n->in[0])->shape, *b = &tern__lower_type(l, n->in[1])->shape;
    const tern_shape *c = &tern__lower_type(l, n->out[0])->shape;
    *g = (struct gemm){.batch = 1, .batched = c->rank > 2};
    for (int i = 0; i < c->rank - 2; i++)
        g->batch *= c->dim[i];
    bool ok = read_operand(&g->a, n->in[0], a, trans_a, g->batch);
    ok &= read_operand(&g->b, n->in[1], b, !trans_b, g->batch);
    g->m = c->dim[c->rank - 2];
    g->n = c->dim[c->rank - 1];
    g->k = a->dim[a->rank - (trans_a ? 2 : 1)];
    /* One B for a whole batch of A: one product with more rows. */
    if (g->batched && !trans_a && g->b.matrices == 1 && g->a.matrices == g->batch) {
        g->m *= g->batch;
        g->a.rows = g->m;
        g->a.matrices = g->batch = 1;
        g->a.batch = 0;
        g->batched = false;
    }
    return ok;
}

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    struct gemm g;
    for (int i = 0; i < 2; i++)
        if (tern__lower_type(l, n->in[i])->shape.rank < 2) {
            tern__str_addf(why, "operand %d is a vector", i);
            return false;
        }
    if (!tern__cpu_accept(l, n, true, why))
        return false;
    if (!read_gemm(l, n, &g)) {
        tern__str_add(why, "batches that broadcast against each other");
        return false;
    }
    return true;
}

/* Cycles of one k over the whole result, roughly: a fused multiply-add per vector and cycle, or two loads, and some for the loop. */
static double cost(const struct gemm *g, int mr, int nv)
{
    double work = TERN_MAX((double)mr * nv, TERN_MAX(nv + mr / 2.0, 4.0));
    return (double)tern__div_up(g->m, mr) * (double)tern__div_up(tern__div_up(g->n, g->width), nv) * (work + 3);
}

static void choose_tile(const tern__lower *l, struct gemm *g)
{
    static const int vectors[] = {2, 1, 4};
    double best = 0;
    for (int i = 0; i < 3; i++) {
        int most = (int)TERN_MIN((int64_t)(tern__cpu_accumulators(g->width) / vectors[i]), g->m);
        for (int mr = TERN_MIN(most, 14); mr > 0; mr--) {
            double c = cost(g, mr, vectors[i]);
            if (best == 0 || c < best) {
                best = c;
                g->mr = mr;
                g->nv = vectors[i];
            }
        }
    }
    g->nv = (int)tern__lower_param(l, NV, g->nv, 1, 4);
    g->mr = (int)tern__lower_param(l, MR, g->mr, 1, TERN_MIN(TERN_MIN((int64_t)(tern__cpu_accumulators(g->width) / g->nv), 14), g->m));
    g->tiles = tern__div_up(g->m, g->mr);
    g->panels = tern__div_up(g->n, (int64_t)g->nv * g->width);
}

/* Too few tiles for the cores: k is cut too, by sizes alone, so that sums do not change from run to run. */
static void choose_splits(const tern__lower *l, struct gemm *g, const tern_device_info *d)
{
    int64_t tiles = g->tiles * g->panels * g->batch, wanted = 4 * (int64_t)TERN_MAX(d->compute_units, 1u);
    int64_t splits = TERN_MAX(TERN_MIN(tern__div_up(wanted, tiles), g->k / MIN_PART), 1);
    splits = tern__lower_param(l, SPLITS, splits, 1, TERN_MAX(g->k / 16, 1));
    g->part = tern__div_up(tern__div_up(g->k, splits), 16) * 16;
    if (splits == 1)
        g->part = g->k;
    g->splits = (int)tern__div_up(g->k, g->part);
}

/* Panels of p rows of an operand; *slot is -1 if there is no memory. */
static void pack(tern__lower *l, const struct gemm *g, const struct operand *o, int p, int *slot)
{
    char key[48];
    int64_t panels = tern__div_up(o->rows, p);
    snprintf(key, sizeof key, "%d %lldx%lld by %lld,%lld", p, (long long)o->rows, (long long)g->k, (long long)o->row, (long long)o->step);
    tern__kern *k = tern__lower_pack(l, o->v, key, tern__cpu_bytes(o->matrices, panels, g->k, p), "pack_panels.cl", slot);
    if (!k)
        return;
    tern__cpu_define(k, "P", p);
    tern__kern_size(k, "ROWS", o->rows);
    tern__kern_size(k, "K", g->k);
    tern__kern_size(k, "S_ROW", o->row);
    tern__kern_size(k, "S_STEP", o->step);
    tern__kern_size(k, "S_BATCH", o->batch);
    tern__cpu_define(k, "ROW_STEPS", o->row == 1);
    tern__cpu_define(k, "K_STEPS", o->step == 1 && o->row != 1);
    tern__cpu_define(k, "KCHUNK", PACK_CHUNK);
    tern__cpu_define(k, "SRC", tern__cpu_source(tern__lower_type(l, o->v)->dtype));
    tern__kern_value(k, o->v);
    tern__kern_slot(k, *slot, true);
    tern__cpu_range(k, panels, tern__div_up(g->k, PACK_CHUNK), o->matrices);
}

/* Lines a multiple of 2 KiB apart share a few places of the first cache and push each other out. */
static bool collides(int64_t stride)
{
    return stride % 512 == 0;
}

static bool must_pack_a(const tern__lower *l, const struct gemm *g)
{
    if (tern__lower_type(l, g->a.v)->dtype != TERN_F32 || tern__lower_is_constant(l, g->a.v))
        return true;
    return g->panels >= 4 && g->tiles > 1 && collides(g->a.step == 1 ? g->a.row : g->a.step);
}

static bool must_pack_b(const tern__lower *l, const struct gemm *g)
{
    if (tern__lower_type(l, g->b.v)->dtype != TERN_F32 || tern__lower_is_constant(l, g->b.v))
        return true;
    return g->b.row != 1 || g->n % (g->nv * g->width) != 0 || (g->tiles > 2 && collides(g->b.step));
}

static void define_a(tern__kern *k, const struct gemm *g, bool packed)
{
    tern__cpu_define(k, "A_PACKED", packed);
    tern__cpu_define(k, "A_ROW", packed ? 1 : g->a.row);
    tern__cpu_define(k, "A_STEP", packed ? g->mr : g->a.step);
    tern__cpu_define(k, "A_BATCH", !packed || g->a.matrices == 1 ? g->a.batch : g->tiles * g->mr * g->k);
}

static void define_b(tern__kern *k, const struct gemm *g, bool packed)
{
    int64_t nr = g->nv * g->width;
    tern__cpu_define(k, "B_PANEL", packed ? g->k * nr : nr);
    tern__cpu_define(k, "B_STEP", packed ? nr : g->b.step);
    tern__cpu_define(k, "B_BATCH", !packed || g->b.matrices == 1 ? g->b.batch : g->panels * g->k * nr);
}

static void define_result(tern__kern *k, const struct gemm *g)
{
    tern__cpu_define(k, "W", g->width);
    tern__cpu_define(k, "M", g->m);
    tern__cpu_define(k, "N", g->n);
    tern__cpu_define(k, "SPLITS", g->splits);
    tern__cpu_define(k, "BATCHED", g->batched);
}

/* The hook's coordinates: batch if there is one, row, column. Rows may stand for several dimensions. */
static void store(tern__kern *k, const tern__lower *l, const struct gemm *g, tern_value c)
{
    int rank = tern__lower_type(l, c)->shape.rank;
    tern__hook_axis axes[4] = {{.dims = g->batched ? rank - 2 : rank - 1}, {.dims = 1}, {.dims = 1}, {0}};
    int lane = g->batched ? 2 : 1;
    axes[lane] = (tern__hook_axis){.dims = 1, .multiple_of = g->width};
    axes[lane + 1].dims = 0;
    tern__kern_store(k, "STORE", c, axes, lane, 1u | (unsigned)g->width);
}

static tern_status combine(tern__lower *l, const struct gemm *g, tern_value c, int partial)
{
    tern__kern *k = tern__lower_kernel(l, "gemm_combine_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_result(k, g);
    tern__cpu_define(k, "LDP", g->panels * g->nv * g->width);
    tern__kern_slot(k, partial, false);
    store(k, l, g, c);
    tern__cpu_range(k, g->m, g->batch, 1);
    return TERN_OK;
}

static void read_node(const tern__lower *l, const tern__node *n, struct gemm *g)
{
    const tern_device_info *d = tern__lower_device(l);
    read_gemm(l, n, g);
    g->width = tern__cpu_width(d);
    choose_tile(l, g);
    choose_splits(l, g, d);
    g->group = TERN_MAX(TERN_MIN(TERN_MIN(PANELS_BYTES / (g->k * g->nv * g->width * 4), g->panels), 4), 1);
    g->group = tern__lower_param(l, GROUP, g->group, 1, g->panels);
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    struct gemm g;
    int slot_a = -1, slot_b = -1, partial = -1;
    read_node(l, n, &g);
    const int nr = g.nv * g.width;
    const bool pack_a = must_pack_a(l, &g), pack_b = must_pack_b(l, &g);
    if (pack_a)
        pack(l, &g, &g.a, g.mr, &slot_a);
    if (pack_b)
        pack(l, &g, &g.b, nr, &slot_b);
    if (g.splits > 1)
        partial = tern__lower_temp(l, tern__cpu_bytes(g.splits * g.batch, g.m, g.panels, nr));
    if ((pack_a && slot_a < 0) || (pack_b && slot_b < 0) || (g.splits > 1 && partial < 0))
        return TERN_E_NOMEM;
    tern__kern *k = tern__lower_kernel(l, "gemm_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_result(k, &g);
    tern__cpu_define(k, "MR", g.mr);
    tern__cpu_define(k, "NV", g.nv);
    tern__cpu_define(k, "K", g.k);
    define_a(k, &g, pack_a);
    define_b(k, &g, pack_b);
    tern__cpu_define(k, "PGROUP", g.group);
    tern__cpu_define(k, "KPART", g.part);
    if (pack_a)
        tern__kern_slot(k, slot_a, false);
    else
        tern__kern_value(k, g.a.v);
    if (pack_b)
        tern__kern_slot(k, slot_b, false);
    else
        tern__kern_value(k, g.b.v);
    if (partial >= 0)
        tern__kern_slot(k, partial, true);
    else
        store(k, l, &g, n->out[0]);
    tern__cpu_range(k, g.tiles * g.group, tern__div_up(g.panels, g.group), g.batch * g.splits);
    return partial >= 0 ? combine(l, &g, n->out[0], partial) : TERN_OK;
}

static void read_params(const tern__lower *l, const tern__node *n, int32_t *value)
{
    struct gemm g;
    read_node(l, n, &g);
    value[MR] = g.mr;
    value[NV] = g.nv;
    value[SPLITS] = g.splits;
    value[GROUP] = (int32_t)g.group;
}

static const int16_t splits[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 0}, groups[] = {1, 2, 3, 4, 6, 8, 12, 16, 0};
static const tern__space space = {
    .n = 4, .read = read_params,
    .param = {[MR] = {"mr", "rows of a register tile", tern__to_14},
              [NV] = {"nv", "vectors of columns of a tile", tern__to_4},
              [SPLITS] = {"splits", "parts that k is cut into", splits},
              [GROUP] = {"group", "panels of columns that stay in the cache while their tiles are made", groups}}};
static const char *const sources[] = {"gemm_cpu.cl", "gemm_combine_cpu.cl", "pack_panels.cl", NULL};

const tern__impl tern__impl_matmul_cpu = {.name = "cpu_tile", .accept = accept, .lower = lower, .space = &space, .sources = sources};
