/* attention on devices of many light items: tiles of scores in local memory (kernels/attention_simt.cl). */
#include "ops/impl_attention.h"

enum {
    SLICE = 16, /* of heads' elements, or of keys, in local memory */
    SIDE = 16,  /* items of a group along queries and keys, at most */
    MOST = 4,   /* rows, keys and columns of an item, at most */
    PARTS = 32, /* of the keys, at most */
};

enum { RQ, RK, RV, SPLIT }; /* what can be tuned */

struct tiling {
    int items_q, items_k, rq, rk, rv;
    int64_t row_tiles, column_tiles, part, parts; /* keys of a part */
};

static int per_item(int64_t extent, int items)
{
    return extent > 2 * items ? MOST : extent > items ? 2 : 1;
}

/* What the kernel declares. */
static size_t local_bytes(const struct tiling *t)
{
    const size_t bq = (size_t)(t->items_q * t->rq), bk = (size_t)(t->items_k * t->rk), bv = (size_t)(t->items_k * t->rv);
    const size_t slices = TERN_MAX(SLICE * (bq + bk + 8), SLICE * (bv + 4));
    return (slices + bk * (bq + 4) + bq * (size_t)(t->items_k + 1) + 3 * bq) * sizeof(float) + 64;
}

/* A square of items, long where there are few queries; tiles as large as local memory and a share for each compute unit allow. */
static void choose_tiling(const tern__lower *l, const tern__attention *a, struct tiling *t)
{
    const tern_device_info *info = tern__lower_device(l);
    const int64_t rows = a->group * a->sq, pairs = a->batch * a->kv_heads;
    int side = 1;
    while (side < SIDE && 4 * side * side <= (int)TERN_MIN(info->max_work_group, (size_t)(SIDE * SIDE)))
        side *= 2;
    t->items_q = t->items_k = side;
    while (t->items_q > 1 && rows <= t->items_q / 2 && t->items_k < 4 * side) {
        t->items_q /= 2;
        t->items_k *= 2;
    }
    t->rq = per_item(rows, t->items_q);
    t->rk = per_item(a->sk, t->items_k);
    t->rv = per_item(a->dv, t->items_k);
    while (t->rq > 1 && tern__div_up(rows, (int64_t)t->items_q * t->rq) * pairs < 2 * (int64_t)info->compute_units)
        t->rq /= 2;
    t->rq = (int)tern__lower_param(l, RQ, t->rq, 1, 2 * MOST);
    t->rk = (int)tern__lower_param(l, RK, t->rk, 1, 2 * MOST);
    t->rv = (int)tern__lower_param(l, RV, t->rv, 1, 2 * MOST);
    while (local_bytes(t) > info->local_mem_bytes && t->rq * t->rk * t->rv > 1) {
        int *largest = t->rk >= t->rq ? &t->rk : &t->rq;
        *(*largest > 1 ? largest : &t->rv) /= 2;
    }
    t->row_tiles = tern__div_up(rows, (int64_t)t->items_q * t->rq);
    t->column_tiles = tern__div_up(a->dv, (int64_t)t->items_k * t->rv);
    /* Few queries and heads do not fill the device: then the keys are shared out too. */
    const int64_t groups = t->row_tiles * t->column_tiles * pairs, block = (int64_t)t->items_k * t->rk, blocks = tern__div_up(a->sk, block);
    int64_t wanted = TERN_MIN(TERN_MIN(2 * (int64_t)info->compute_units / TERN_MAX(groups, 1), (blocks + 1) / 2), PARTS);
    wanted = tern__lower_param(l, SPLIT, TERN_MAX(wanted, 1), 1, TERN_MIN(blocks, PARTS));
    t->part = tern__div_up(blocks, wanted) * block;
    t->parts = tern__div_up(a->sk, t->part);
}

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    tern__attention a;
    struct tiling t;
    if (!tern__any_accept(l, n, why))
        return false;
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    if (local_bytes(&t) > tern__lower_device(l)->local_mem_bytes) {
        tern__str_addf(why, "%zu bytes of local memory", local_bytes(&t));
        return false;
    }
    return true;
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    tern__attention a;
    struct tiling t;
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    const int partial = t.parts > 1 ? tern__lower_temp(l, tern__attention_partial_bytes(&a, t.parts)) : 0;
    tern__kern *k = tern__lower_kernel(l, "attention_simt.cl");
    if (!k || partial < 0)
        return TERN_E_NOMEM;
    const int depth = a.d % 4 ? 1 : 4, value = a.dv % 4 || t.rv * t.items_k % 4 ? 1 : 4;
    const struct { const char *name; int64_t x; } sizes[] = {{"ITEMS_Q", t.items_q}, {"ITEMS_K", t.items_k}, {"RQ", t.rq}, {"RK", t.rk}, {"RV", t.rv},
        {"SLICE", SLICE}, {"KV_HEADS", a.kv_heads}, {"DEPTH_WIDTH", depth}, {"VALUE_WIDTH", value}, {"SPLITS", t.parts}};
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__cpu_define(k, sizes[i].name, sizes[i].x);
    tern__kern_size(k, "KPART", t.part);
    tern__attention_define(k, &a);
    tern__attention_load(k, "LOAD_Q", n->in[0], depth, 1u | (unsigned)depth);
    tern__attention_load(k, "LOAD_K", n->in[1], depth, 1u | (unsigned)depth);
    tern__attention_load(k, "LOAD_V", n->in[2], value, 1u | (unsigned)value);
    tern__attention_mask(k, l, n, 3, 1, 1u);
    if (t.parts > 1)
        tern__kern_slot(k, partial, true);
    else
        tern__attention_store(k, l, &a, n, 1, 1u);
    const size_t items = (size_t)(t.items_q * t.items_k);
    const size_t groups = (size_t)(t.row_tiles * t.column_tiles * a.kv_heads * a.batch * t.parts);
    tern__kern_range(k, 1, (size_t[3]){groups * items, 1, 1}, (size_t[3]){items, 1, 1});
    return t.parts > 1 ? tern__attention_combine(l, &a, n, t.parts, partial) : TERN_OK;
}

static void read_params(const tern__lower *l, const tern__node *n, int32_t *value)
{
    tern__attention a;
    struct tiling t;
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    value[RQ] = t.rq;
    value[RK] = t.rk;
    value[RV] = t.rv;
    value[SPLIT] = (int32_t)t.parts;
}

static const int16_t powers[] = {1, 2, 4, 8, 0};
static const tern__space space = {
    .n = 4,
    .param = {[RQ] = {"rq", "queries of an item", powers},
              [RK] = {"rk", "keys of an item", powers},
              [RV] = {"rv", "columns of an item", powers},
              [SPLIT] = {"parts", "parts of the keys", tern__to_64}},
    .read = read_params,
};
static const char *const sources[] = {"attention_simt.cl", "attention_combine.cl", NULL};

const tern__impl tern__impl_attention_simt = {.name = "simt_online", .accept = accept, .lower = lower, .prologue = 0xf, .space = &space, .sources = sources};
