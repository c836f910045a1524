/* attention_grad on devices of many light items: a launch whose groups own queries and one whose groups own keys (kernels/attention_grad_simt.cl). */
#include "ops/impl_attention.h"

enum {
    SLICE = 16, /* of heads' elements, or of what a group walks along, in local memory */
    SIDE = 16,  /* items of a group in either direction, at most */
    MOST = 4,   /* owned and walked along of an item, at most; twice as many columns */
};

struct tiling {
    int items_o, items_w, ro, rw, rv;
    int64_t own_tiles, column_tiles;
};

static int per_item(int64_t extent, int items, int most)
{
    int n = 1;
    while (n < most && (int64_t)n * items < extent)
        n *= 2;
    return n;
}

/* What the kernel declares. */
static size_t local_bytes(const struct tiling *t)
{
    const size_t bo = (size_t)(t->items_o * t->ro), bw = (size_t)(t->items_w * t->rw), bv = (size_t)(t->items_w * t->rv);
    return (TERN_MAX(SLICE * (bo + bw + 8), SLICE * (bv + 4)) + bw * (bo + 4)) * sizeof(float) + 64;
}

/* A square of items; tiles as large as local memory and a share for each compute unit allow. */
static void choose_tiling(const tern__lower *l, const tern__attention *a, bool keys, struct tiling *t)
{
    const tern_device_info *info = tern__lower_device(l);
    const int64_t rows = a->group * a->sq, pairs = a->batch * a->kv_heads, own = keys ? a->sk : rows, walk = keys ? rows : a->sk;
    const int64_t columns = keys ? TERN_MAX(a->d, a->dv) : a->d;
    int side = 1;
    while (side < SIDE && 4 * side * side <= (int)TERN_MIN(info->max_work_group, (size_t)(SIDE * SIDE)))
        side *= 2;
    *t = (struct tiling){.items_o = side, .items_w = side, .ro = per_item(own, side, MOST), .rw = per_item(walk, side, MOST)};
    t->rv = per_item(columns, side, 2 * MOST);
    while (t->ro > 1 && tern__div_up(own, (int64_t)t->items_o * t->ro) * pairs < 2 * (int64_t)info->compute_units)
        t->ro /= 2;
    while (local_bytes(t) > info->local_mem_bytes && t->ro * t->rw * t->rv > 1) {
        int *largest = t->rw >= t->ro ? &t->rw : &t->ro;
        *(*largest > 1 ? largest : &t->rv) /= 2;
    }
    t->own_tiles = tern__div_up(own, (int64_t)t->items_o * t->ro);
    t->column_tiles = tern__div_up(columns, (int64_t)t->items_w * t->rv);
}

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    tern__attention a;
    if (!tern__any_accept(l, n, why))
        return false;
    tern__attention_of(l, n, &a);
    for (int keys = 0; keys < 2; keys++) {
        struct tiling t;
        choose_tiling(l, &a, keys, &t);
        if (local_bytes(&t) > tern__lower_device(l)->local_mem_bytes) {
            tern__str_addf(why, "%zu bytes of local memory", local_bytes(&t));
            return false;
        }
    }
    return true;
}

static void define_sizes(tern__kern *k, const tern__attention *a, const struct tiling *t, bool keys, int width)
{
    const struct { const char *name; int64_t x; } sizes[] = {{"KEYS", keys}, {"ITEMS_O", t->items_o}, {"ITEMS_W", t->items_w}, {"RO", t->ro}, {"RW", t->rw},
        {"RV", t->rv}, {"SLICE", SLICE}, {"KV_HEADS", a->kv_heads}, {"WIDTH", width}};
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__cpu_define(k, sizes[i].name, sizes[i].x);
    tern__attention_define(k, a);
}

/* One launch; nothing if nobody wants its results. */
static tern_status lower_half(tern__lower *l, const tern__node *n, const tern__attention *a, bool keys)
{
    struct tiling t;
    choose_tiling(l, a, keys, &t);
    tern__kern *k = tern__lower_kernel(l, "attention_grad_simt.cl");
    if (!k)
        return TERN_E_NOMEM;
    const int width = a->d % 4 || a->dv % 4 || t.rv * t.items_w % 4 ? 1 : 4;
    const unsigned widths = 1u | (unsigned)width;
    define_sizes(k, a, &t, keys, width);
    tern__attention_load(k, "LOAD_Q", n->in[0], width, widths);
    tern__attention_load(k, "LOAD_K", n->in[1], width, widths);
    tern__attention_load(k, "LOAD_V", n->in[2], width, widths);
    tern__attention_load(k, "LOAD_DY", n->in[TERN__ATT_GRAD_DY], width, widths);
    tern__attention_load_row(k, "LOAD_LSE", n->in[TERN__ATT_GRAD_LSE]);
    tern__attention_load_row(k, "LOAD_DELTA", n->in[TERN__ATT_GRAD_DELTA]);
    tern__attention_mask(k, l, n, TERN__ATT_GRAD_MASK, 1, 1u);
    static const char *const store[] = {"STORE_Q", "STORE_K", "STORE_V"}, *const want[] = {NULL, "WANT_K", "WANT_V"};
    for (int i = keys; i <= 2 * keys; i++) {
        const bool wanted = tern__lower_is_wanted(l, n->out[i]);
        if (wanted)
            tern__attention_store_heads(k, store[i], n->out[i], 1, 1u);
        if (want[i])
            tern__cpu_define(k, want[i], wanted);
    }
    const size_t items = (size_t)(t.items_o * t.items_w), groups = (size_t)(t.own_tiles * t.column_tiles * a->kv_heads * a->batch);
    tern__kern_range(k, 1, (size_t[3]){groups * items, 1, 1}, (size_t[3]){items, 1, 1});
    return TERN_OK;
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    tern__attention a;
    tern__attention_of(l, n, &a);
    if (tern__lower_is_wanted(l, n->out[0]))
        TERN_TRY(lower_half(l, n, &a, false));
    return tern__lower_is_wanted(l, n->out[1]) || tern__lower_is_wanted(l, n->out[2]) ? lower_half(l, n, &a, true) : TERN_OK;
}

const tern__impl tern__impl_attention_grad_simt = {.name = "simt_recompute", .accept = accept, .lower = lower, .prologue = 0x7f};
