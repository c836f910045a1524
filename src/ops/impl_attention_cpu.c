/* attention on CPU devices: scores of a few queries and keys at a time in an item's own memory (kernels/attention_cpu.cl), over packed keys and values. */
#include "ops/impl_attention.h"

enum {
    VECTORS = 2,           /* of a register tile's row */
    MAX_TILES = 4,         /* register tiles of an item, and as many as are worth trying */
    MOST_TILES = 8,
    STEP_KEYS = 64,        /* keys of a step, about */
    PRIVATE_BYTES = 96 << 10, /* of queries, scores and results of an item: in the second cache at worst */
    MAX_DEPTH = 4096,      /* elements of a head: more would make an item's memory too large */
    GROUPS_PER_UNIT = 4,
};

enum { MR, RT, KB }; /* what can be tuned */

struct tiling {
    int width, mr, rt, kb, nr;
    int64_t blocks, value_panels;
};

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    tern__attention a;
    if (tern__lower_family(l) != TERN__FAMILY_CPU) {
        tern__str_add(why, "made for CPU devices");
        return false;
    }
    if (!tern__any_accept(l, n, why))
        return false;
    tern__attention_of(l, n, &a);
    if (a.d > MAX_DEPTH || a.dv > MAX_DEPTH) {
        tern__str_addf(why, "heads of %lld and %lld elements", (long long)a.d, (long long)a.dv);
        return false;
    }
    return true;
}

static size_t private_bytes(const tern__attention *a, const struct tiling *t)
{
    return (size_t)(t->mr * t->rt) * (size_t)(a->d + t->kb * t->nr + t->value_panels * t->nr) * sizeof(float);
}

/* As many rows to an item as fit in the cache, but items for all cores; the rows shared out evenly. */
static void choose_tiling(const tern__lower *l, const tern__attention *a, struct tiling *t)
{
    const tern_device_info *info = tern__lower_device(l);
    const int64_t rows = a->group * a->sq, pairs = a->batch * a->kv_heads;
    t->width = tern__cpu_width(info);
    t->nr = VECTORS * t->width;
    t->kb = (int)TERN_MIN(TERN_MAX(STEP_KEYS / t->nr, 1), tern__div_up(a->sk, t->nr));
    t->kb = (int)tern__lower_param(l, KB, t->kb, 1, TERN_MIN(tern__div_up(a->sk, t->nr), 8));
    t->value_panels = tern__div_up(a->dv, t->nr);
    const int most = TERN_MIN(tern__cpu_accumulators(t->width) / VECTORS, 14);
    t->mr = (int)tern__lower_param(l, MR, tern__div_up(rows, tern__div_up(rows, most)), 1, TERN_MIN(most, rows));
    t->rt = 1;
    while (t->rt < MAX_TILES && (int64_t)t->mr * t->rt < rows) {
        t->rt++;
        if (private_bytes(a, t) > PRIVATE_BYTES || tern__div_up(rows, (int64_t)t->mr * t->rt) * pairs < GROUPS_PER_UNIT * (int64_t)info->compute_units) {
            t->rt--;
            break;
        }
    }
    t->rt = (int)tern__lower_param(l, RT, t->rt, 1, TERN_MIN(MOST_TILES, tern__div_up(rows, t->mr)));
    while (t->rt > 1 && private_bytes(a, t) > 2 * PRIVATE_BYTES)
        t->rt--;
    while (t->mr > 1 && private_bytes(a, t) > 2 * PRIVATE_BYTES)
        t->mr /= 2;
    t->blocks = tern__div_up(rows, (int64_t)t->mr * t->rt);
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    tern__attention a;
    struct tiling t;
    int keys = -1, values = -1;
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    TERN_TRY(tern__attention_pack(l, &a, n->in[1], a.d, true, t.width, t.nr, &keys));
    TERN_TRY(tern__attention_pack(l, &a, n->in[2], a.dv, false, t.width, t.nr, &values));
    tern__kern *k = tern__lower_kernel(l, "attention_cpu.cl");
    if (!k)
        return TERN_E_NOMEM;
    const unsigned widths = 1u | (unsigned)t.width;
    tern__cpu_define(k, "W", t.width);
    tern__cpu_define(k, "NV", VECTORS);
    tern__cpu_define(k, "MR", t.mr);
    tern__cpu_define(k, "RT", t.rt);
    tern__cpu_define(k, "KB", t.kb);
    tern__attention_define(k, &a);
    tern__kern_slot(k, keys, false);
    tern__kern_slot(k, values, false);
    tern__attention_load(k, "LOAD_Q", n->in[0], t.width, widths);
    tern__attention_mask(k, l, n, 3, t.width, widths);
    tern__attention_store(k, l, &a, n, t.width, widths);
    tern__cpu_range(k, t.blocks, a.kv_heads, a.batch);
    return TERN_OK;
}

static void read_params(const tern__lower *l, const tern__node *n, int32_t *value)
{
    tern__attention a;
    struct tiling t;
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    value[MR] = t.mr;
    value[RT] = t.rt;
    value[KB] = t.kb;
}

static const int16_t to_8[] = {1, 2, 3, 4, 5, 6, 7, 8, 0};
static const tern__space space = {
    .n = 3,
    .param = {[MR] = {"mr", "queries of a register tile", tern__to_14},
              [RT] = {"rt", "register tiles of an item", to_8},
              [KB] = {"kb", "panels of keys in a step", to_8}},
    .read = read_params,
};
static const char *const sources[] = {"attention_cpu.cl", "attention_pack_cpu.cl", NULL};

const tern__impl tern__impl_attention_cpu = {.name = "cpu_online", .accept = accept, .lower = lower, .prologue = 0xf, .space = &space, .sources = sources};
