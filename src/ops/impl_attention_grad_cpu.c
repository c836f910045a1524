/* attention_grad on CPU devices: a part of the keys to an item, which goes through all queries (kernels/attention_grad_cpu.cl). */
#include "ops/impl_attention.h"

enum {
    VECTORS = 2,                /* of a register tile's row */
    MAX_TILES = 4,              /* register tiles of a block of rows */
    BLOCK_KEYS = 64,            /* keys of a block, about */
    PRIVATE_BYTES = 112 << 10,  /* of scores and of sums for keys: in the second cache at worst */
    MOST_BYTES = 512 << 10,     /* more than this is not taken */
    CHUNK = 32,                 /* rows that one item packs or adds up */
    GROUPS_PER_UNIT = 4,
};

struct tiling {
    int width, mr, mk, rt, kb, nr;
    int64_t dp, dvp, pitch, part, parts;
};

static size_t private_bytes(const struct tiling *t)
{
    const size_t keys = (size_t)(t->kb * t->nr);
    return keys * (2 * (size_t)(t->mr * t->rt) + (size_t)(t->dp + t->dvp)) * sizeof(float);
}

/* Blocks as large as the cache allows; the keys in as many parts as give all cores work, each with sums of its own for dq. */
static void choose_tiling(const tern__lower *l, const tern__attention *a, struct tiling *t)
{
    const tern_device_info *info = tern__lower_device(l);
    const int64_t rows = a->group * a->sq, pairs = a->batch * a->kv_heads;
    const int most = TERN_MIN(tern__cpu_accumulators(tern__cpu_width(info)) / VECTORS, 14);
    *t = (struct tiling){.width = tern__cpu_width(info), .mr = (int)tern__div_up(rows, tern__div_up(rows, most)), .rt = 1};
    t->nr = VECTORS * t->width;
    t->dp = tern__div_up(a->d, t->nr) * t->nr;
    t->dvp = tern__div_up(a->dv, t->nr) * t->nr;
    t->kb = (int)TERN_MIN(TERN_MAX(BLOCK_KEYS / t->nr, 1), tern__div_up(a->sk, t->nr));
    while (t->kb > 1 && private_bytes(t) > PRIVATE_BYTES)
        t->kb--;
    while (t->rt < MAX_TILES && (int64_t)t->mr * t->rt < rows && private_bytes(t) < PRIVATE_BYTES)
        t->rt++;
    for (t->mk = most; t->kb * t->nr % t->mk; t->mk--)
        continue;
    const int64_t block = (int64_t)t->kb * t->nr, blocks = tern__div_up(a->sk, block);
    const int64_t wanted = TERN_MIN(TERN_MAX(tern__div_up(GROUPS_PER_UNIT * (int64_t)TERN_MAX(info->compute_units, 1u), pairs), 1), blocks);
    t->part = tern__div_up(blocks, wanted) * block;
    t->parts = tern__div_up(a->sk, t->part);
    t->pitch = tern__div_up(rows, (int64_t)t->mr * t->rt) * t->mr * t->rt;
}

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    tern__attention a;
    struct tiling t;
    if (tern__lower_family(l) != TERN__FAMILY_CPU) {
        tern__str_add(why, "made for CPU devices");
        return false;
    }
    if (!tern__any_accept(l, n, why))
        return false;
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    if (private_bytes(&t) > MOST_BYTES) {
        tern__str_addf(why, "heads of %lld and %lld elements", (long long)a.d, (long long)a.dv);
        return false;
    }
    return true;
}

/* Rows of v, `group` heads of `length` behind one another, where there is room for `pitch`. */
static tern_status pack_rows(tern__lower *l, const tern__attention *a, const struct tiling *t, tern_value v, int64_t group, int64_t pitch, double scale,
                             int *slot)
{
    const tern_shape *s = &tern__lower_type(l, v)->shape;
    const int64_t dp = tern__div_up(s->dim[3], t->nr) * t->nr;
    *slot = tern__lower_temp(l, tern__cpu_bytes(a->batch * a->kv_heads, pitch, dp, 1));
    tern__kern *k = tern__lower_kernel(l, "attention_rows_cpu.cl");
    if (*slot < 0 || !k)
        return TERN_E_NOMEM;
    tern__cpu_define(k, "W", t->width);
    tern__cpu_define(k, "GROUP", group);
    tern__cpu_define(k, "D", s->dim[3]);
    tern__cpu_define(k, "DP", dp);
    tern__cpu_define(k, "CHUNK", CHUNK);
    tern__kern_size(k, "S", s->dim[2]);
    tern__kern_size(k, "PITCH", pitch);
    tern__attention_number(k, "SCALE", scale);
    tern__kern_slot(k, *slot, true);
    tern__attention_load(k, "LOAD", v, t->width, 1u | (unsigned)t->width);
    tern__cpu_range(k, tern__div_up(pitch, CHUNK), a->kv_heads, a->batch);
    return TERN_OK;
}

static tern_status combine(tern__lower *l, const tern__attention *a, const struct tiling *t, tern_value dq, int parts)
{
    tern__kern *k = tern__lower_kernel(l, "attention_grad_combine_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    tern__cpu_define(k, "W", t->width);
    tern__cpu_define(k, "GROUP", a->group);
    tern__cpu_define(k, "D", a->d);
    tern__cpu_define(k, "DP", t->dp);
    tern__cpu_define(k, "CHUNK", CHUNK);
    tern__kern_size(k, "SQ", a->sq);
    tern__kern_size(k, "PITCH", t->pitch);
    tern__kern_size(k, "PARTS", t->parts);
    tern__attention_number(k, "SCALE", a->scale);
    tern__kern_slot(k, parts, false);
    tern__attention_store_heads(k, "STORE", dq, t->width, 1u | (unsigned)t->width);
    tern__cpu_range(k, tern__div_up(a->group * a->sq, CHUNK), a->kv_heads, a->batch);
    return TERN_OK;
}

static void define_sizes(tern__kern *k, const tern__attention *a, const struct tiling *t)
{
    const struct { const char *name; int64_t x; } all[] = {{"W", t->width}, {"NV", VECTORS}, {"MR", t->mr}, {"MK", t->mk}, {"RT", t->rt}, {"KB", t->kb}};
    for (size_t i = 0; i < TERN_COUNT(all); i++)
        tern__cpu_define(k, all[i].name, all[i].x);
    tern__kern_size(k, "PART", t->part);
    tern__kern_size(k, "PITCH", t->pitch);
    tern__attention_define(k, a);
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    tern__attention a;
    struct tiling t;
    int slot[5];
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    TERN_TRY(tern__attention_pack(l, &a, n->in[1], a.d, true, t.width, t.nr, &slot[0]));
    TERN_TRY(tern__attention_pack(l, &a, n->in[2], a.dv, true, t.width, t.nr, &slot[1]));
    TERN_TRY(pack_rows(l, &a, &t, n->in[1], 1, a.sk, 1, &slot[2]));
    TERN_TRY(pack_rows(l, &a, &t, n->in[0], a.group, t.pitch, a.scale, &slot[3]));
    TERN_TRY(pack_rows(l, &a, &t, n->in[TERN__ATT_GRAD_DY], a.group, t.pitch, 1, &slot[4]));
    const int parts = tern__lower_temp(l, tern__cpu_bytes(t.parts, a.batch * a.kv_heads, t.pitch, t.dp));
    tern__kern *k = tern__lower_kernel(l, "attention_grad_cpu.cl");
    if (parts < 0 || !k)
        return TERN_E_NOMEM;
    const bool wanted[3] = {tern__lower_is_wanted(l, n->out[0]), tern__lower_is_wanted(l, n->out[1]), tern__lower_is_wanted(l, n->out[2])};
    define_sizes(k, &a, &t);
    tern__cpu_define(k, "WANT_Q", wanted[0]);
    tern__cpu_define(k, "WANT_K", wanted[1]);
    tern__cpu_define(k, "WANT_V", wanted[2]);
    for (size_t i = 0; i < TERN_COUNT(slot); i++)
        tern__kern_slot(k, slot[i], false);
    tern__kern_slot(k, parts, true);
    tern__attention_load_row(k, "LOAD_LSE", n->in[TERN__ATT_GRAD_LSE]);
    tern__attention_load_row(k, "LOAD_DELTA", n->in[TERN__ATT_GRAD_DELTA]);
    tern__attention_mask(k, l, n, TERN__ATT_GRAD_MASK, t.width, 1u | (unsigned)t.width);
    if (wanted[1])
        tern__attention_store_heads(k, "STORE_K", n->out[1], t.width, 1u | (unsigned)t.width);
    if (wanted[2])
        tern__attention_store_heads(k, "STORE_V", n->out[2], t.width, 1u | (unsigned)t.width);
    tern__cpu_range(k, t.parts, a.kv_heads, a.batch);
    return wanted[0] ? combine(l, &a, &t, n->out[0], parts) : TERN_OK;
}

const tern__impl tern__impl_attention_grad_cpu = {.name = "cpu_recompute", .accept = accept, .lower = lower, .prologue = 0x7f};
