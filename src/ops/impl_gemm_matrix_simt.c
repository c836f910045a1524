/* matmul of f16 matrices on devices of many light items by instructions for whole tiles (kernels/gemm_matrix_simt.cl). */
#include <inttypes.h>
#include <stdio.h>

#include "ops/impl_cpu.h"
#include "ops/impl_simt.h"
#include "program/probe.h"

enum {
    SIDE = 16,         /* of a tile */
    SUBGROUP = 32,     /* items that hold it */
    PAD = 8,           /* elements after each row of a slice */
    RESULT_ROW = 20,   /* floats of a row of a tile of results */
    USUAL_TILE_K = 32, /* depth of a slice in local memory */
    MIN_SPLIT_K = 256, /* the least worth a group of its own */
};

/* C[batch][m][n] = sum over k of A[batch][m][k] B[batch][k][n], both operands in memory as they are. */
struct product {
    int64_t batch, m, n, k;
    bool a_k_fast, b_n_fast;
    char a_batch[TERN__SIMT_TEXT], b_batch[TERN__SIMT_TEXT]; /* numbers of their matrices as expressions of batch */
    tern__simt_view c;
};

/* How the result is cut up. */
struct tiling {
    int subgroups_m, subgroups_n, per_m, per_n, tile_k;
    int64_t tiles; /* of all batches */
    int splits;
    int64_t split_k;
};

enum { SUBGROUPS_M, SUBGROUPS_N, PER_M, PER_N, TILE_K, SPLITS };

static void read_product(const tern__lower *l, const tern__node *n, struct product *p)
{
    const bool trans_a = tern__attr_int(n, 0) != 0, trans_b = tern__attr_int(n, 1) != 0;
    const tern_shape *a = &tern__lower_type(l, n->in[0])->shape, *b = &tern__lower_type(l, n->in[1])->shape;
    const tern_shape *c = &tern__lower_type(l, n->out[0])->shape;
    *p = (struct product){.a_k_fast = !trans_a, .b_n_fast = !trans_b};
    p->batch = tern__extent(c, 0, c->rank - 2);
    p->m = c->dim[c->rank - 2];
    p->n = c->dim[c->rank - 1];
    p->k = a->dim[a->rank - (trans_a ? 2 : 1)];
    tern__simt_batch_text(a, c, p->a_batch, sizeof p->a_batch);
    tern__simt_batch_text(b, c, p->b_batch, sizeof p->b_batch);
    tern__simt_matrix_view(&p->c, n->out[0], c, c, "m", "n");
}

/* --- Tiling --- */

static int tile_m(const struct tiling *t) { return SIDE * t->per_m * t->subgroups_m; }
static int tile_n(const struct tiling *t) { return SIDE * t->per_n * t->subgroups_n; }
static int items(const struct tiling *t) { return SUBGROUP * t->subgroups_m * t->subgroups_n; }

static size_t slice_bytes(int side, int tile_k, bool k_fast)
{
    return 2 * (size_t)(k_fast ? side * (tile_k + PAD) : tile_k * (side + PAD));
}

static size_t local_bytes(const struct product *p, const struct tiling *t)
{
    const size_t slices = slice_bytes(tile_m(t), t->tile_k, p->a_k_fast) + slice_bytes(tile_n(t), t->tile_k, !p->b_n_fast);
    return TERN_MAX(2 * slices, (size_t)(t->subgroups_m * t->subgroups_n * SIDE * RESULT_ROW) * sizeof(float));
}

static bool fits(const tern_device_info *d, const struct product *p, const struct tiling *t)
{
    return items(t) <= (int)TERN_MIN(d->max_work_group, 1024u) && local_bytes(p, t) <= d->local_mem_bytes;
}

static void count_tiles(const struct product *p, struct tiling *t)
{
    t->tiles = p->batch * tern__div_up(p->m, tile_m(t)) * tern__div_up(p->n, tile_n(t));
}

/* The largest tile that the device can hold and of which there are enough for its compute units; the smallest if there is none. What is then still too
 * few is split along k. */
static void choose_tiling(const tern__lower *l, const struct product *p, struct tiling *t)
{
    static const struct tiling shapes[] = {{4, 2, 2, 4, USUAL_TILE_K, 0, 1, 0}, {2, 2, 2, 2, USUAL_TILE_K, 0, 1, 0}, {1, 1, 2, 2, USUAL_TILE_K, 0, 1, 0}};
    const tern_device_info *d = tern__lower_device(l);
    const int64_t wanted = (int64_t)TERN_MAX(d->compute_units, 1u);
    for (int i = 0; i < TERN_COUNT(shapes); i++) {
        *t = shapes[i];
        count_tiles(p, t);
        if (fits(d, p, t) && t->tiles >= wanted)
            break;
    }
    const struct tiling usual = *t;
    t->subgroups_m = (int)tern__lower_param(l, SUBGROUPS_M, t->subgroups_m, 1, 8);
    t->subgroups_n = (int)tern__lower_param(l, SUBGROUPS_N, t->subgroups_n, 1, 8);
    t->per_m = (int)tern__lower_param(l, PER_M, t->per_m, 1, 4);
    t->per_n = (int)tern__lower_param(l, PER_N, t->per_n, 1, 4);
    t->tile_k = (int)tern__lower_param(l, TILE_K, t->tile_k, SIDE, 64);
    if (!fits(d, p, t) || t->tile_k % SIDE)
        *t = usual;
    count_tiles(p, t);
    t->splits = (int)TERN_MAX(TERN_MIN(wanted / t->tiles, p->k / MIN_SPLIT_K), 1);
    t->splits = (int)tern__lower_param(l, SPLITS, t->splits, 1, TERN_MAX(p->k / t->tile_k, 1));
    t->split_k = tern__div_up(tern__div_up(p->k, t->splits), t->tile_k) * t->tile_k;
    t->splits = (int)tern__div_up(p->k, t->split_k);
}

static void read_tiling(const tern__lower *l, const tern__node *n, int32_t *value)
{
    struct product p;
    struct tiling t;
    read_product(l, n, &p);
    choose_tiling(l, &p, &t);
    const int in_force[] = {[SUBGROUPS_M] = t.subgroups_m, [SUBGROUPS_N] = t.subgroups_n, [PER_M] = t.per_m,
                            [PER_N] = t.per_n,             [TILE_K] = t.tile_k,           [SPLITS] = t.splits};
    for (int i = 0; i < TERN_COUNT(in_force); i++)
        value[i] = in_force[i];
}

/* --- What is taken --- */

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    struct product p;
    struct tiling t;
    if (!tern__any_accept(l, n, why))
        return false;
    for (int i = 0; i < 3; i++) {
        const tern__type *type = tern__lower_type(l, i < 2 ? n->in[i] : n->out[0]);
        if (type->dtype != TERN_F16 || type->shape.rank < 2 || type->layout.kind != TERN__PLAIN) {
            tern__str_addf(why, "%s is %s of rank %d", i < 2 ? "an operand" : "the result", tern_dtype_name(type->dtype), type->shape.rank);
            return false;
        }
    }
    read_product(l, n, &p);
    if (p.batch * p.m * p.n * p.k == 0) {
        tern__str_add(why, "there is nothing to multiply");
        return false;
    }
    choose_tiling(l, &p, &t);
    if (!fits(tern__lower_device(l), &p, &t)) {
        tern__str_addf(why, "groups of %d items and %zu bytes of local memory", items(&t), local_bytes(&p, &t));
        return false;
    }
    return true;
}

/* Below a tile in some direction most of what the instructions do is lost. */
static bool pays(const tern__lower *l, const tern__node *n, tern__str *why)
{
    struct product p;
    read_product(l, n, &p);
    if (p.m < SIDE || p.n < SIDE || p.k < SIDE) {
        tern__str_addf(why, "%" PRId64 " x %" PRId64 " x %" PRId64 " is less than a tile", p.m, p.n, p.k);
        return false;
    }
    if (!tern__device_matrix(tern__lower_open_device(l))) {
        tern__str_add(why, "the device has no instructions for products of tiles");
        return false;
    }
    return true;
}

/* --- Kernels --- */

static void define(tern__kern *k, const struct product *p, const struct tiling *t, bool instructions)
{
    const int64_t a_fast = p->a_k_fast ? p->k : p->m, b_fast = p->b_n_fast ? p->n : p->k;
    const struct { const char *name; int64_t x; } numbers[] = {
        {"MATRIX_INSTRUCTIONS", instructions}, {"BATCH", p->batch}, {"SIZE_M", p->m}, {"SIZE_N", p->n}, {"SIZE_K", p->k},
        {"SUBGROUPS_M", t->subgroups_m}, {"SUBGROUPS_N", t->subgroups_n}, {"PER_M", t->per_m}, {"PER_N", t->per_n}, {"TILE_K", t->tile_k},
        {"A_K_FAST", p->a_k_fast}, {"B_N_FAST", p->b_n_fast}, {"A_WIDTH", a_fast % 8 ? 1 : 8}, {"B_WIDTH", b_fast % 8 ? 1 : 8},
        {"SPLITS", t->splits}, {"SPLIT_K", t->split_k}, {"STORE_WIDTH", t->splits > 1 ? 1 : p->c.width}};
    for (size_t i = 0; i < TERN_COUNT(numbers); i++)
        tern__cpu_define(k, numbers[i].name, numbers[i].x);
    tern__kern_define(k, "A_BATCH", "%s", p->a_batch);
    tern__kern_define(k, "B_BATCH", "%s", p->b_batch);
    tern__kern_define(k, "STORE_INDEX", "%s", p->c.index);
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    struct product p;
    struct tiling t;
    int partial = -1;
    read_product(l, n, &p);
    choose_tiling(l, &p, &t);
    if (t.splits > 1 && (partial = tern__lower_temp(l, tern__cpu_bytes(t.splits, p.batch, p.m, p.n))) < 0)
        return TERN_E_NOMEM;
    tern__kern *k = tern__lower_kernel(l, "gemm_matrix_simt.cl");
    if (!k)
        return TERN_E_NOMEM;
    define(k, &p, &t, tern__device_matrix(tern__lower_open_device(l)));
    if (partial >= 0)
        tern__kern_slot(k, partial, true);
    tern__kern_value(k, n->in[0]);
    tern__kern_value(k, n->in[1]);
    if (partial < 0)
        tern__kern_store(k, "store", p.c.v, p.c.axes, p.c.width == 4 ? p.c.lane : -1, p.c.width == 4 ? 1 | 4 : 1);
    tern__kern_range(k, 1, (size_t[3]){(size_t)(t.tiles * t.splits * items(&t)), 1, 1}, (size_t[3]){(size_t)items(&t), 1, 1});
    return partial < 0 ? TERN_OK : tern__simt_sum(l, &p.c, p.batch, p.m, p.n, t.splits, "float", partial);
}

/* --- What can be tuned --- */

static const int16_t subgroups[] = {1, 2, 4, 8, 0}, tiles[] = {1, 2, 3, 4, 0}, depths[] = {16, 32, 64, 0}, splits[] = {1, 2, 3, 4, 6, 8, 12, 16, 0};
static const tern__space space = {.n = 6,
                                  .param = {[SUBGROUPS_M] = {"subgroups_m", "subgroups of a group along the rows", subgroups},
                                            [SUBGROUPS_N] = {"subgroups_n", "subgroups of a group along the columns", subgroups},
                                            [PER_M] = {"per_m", "tiles of a subgroup along the rows", tiles},
                                            [PER_N] = {"per_n", "tiles of a subgroup along the columns", tiles},
                                            [TILE_K] = {"tile_k", "depth of a slice in local memory", depths},
                                            [SPLITS] = {"splits", "parts that k is cut into", splits}},
                                  .read = read_tiling};
static const char *const sources[] = {"gemm_matrix_simt.cl", "gemm_simt_sum.cl", NULL};

const tern__impl tern__impl_matmul_matrix_simt = {
    .name = "simt_matrix", .accept = accept, .lower = lower, .pays = pays, .approximate = true, .space = &space, .sources = sources};
