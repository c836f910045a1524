/* attention of few queries on CPU devices: keys and values are read once, as they lie, by as many items as keep all cores busy
 * (kernels/attention_few_cpu.cl). */
#include "ops/impl_attention.h"

enum {
    MOST_ROWS = 64,      /* queries of heads that share a head of k and v: more than this is not taken */
    PAYS_ROWS = 32,      /* up to here it is faster than what packs its operands */
    MOST_DEPTH = 1024,   /* elements of a head: more would make an item's memory too large */
    STEP_KEYS = 64,      /* keys of a step: a multiple of every vector and tile */
    PARTS = 64,          /* of the keys, at most */
    GROUPS_PER_UNIT = 4,
};

enum { SPLIT }; /* what can be tuned */

struct tiling {
    int width, rt, kt, nv;
    int64_t part, parts; /* keys of a part */
};

/* Tiles whose accumulators fill half of the registers; parts for all cores. */
static void choose_tiling(const tern__lower *l, const tern__attention *a, struct tiling *t)
{
    const tern_device_info *info = tern__lower_device(l);
    const int64_t pairs = a->batch * a->kv_heads, steps = tern__div_up(a->sk, STEP_KEYS);
    t->width = tern__cpu_width(info);
    t->rt = (int)TERN_MIN(a->group * a->sq, 4);
    t->kt = 1;
    while (t->kt < 8 && t->rt * t->kt * 2 <= (t->width == 16 ? 16 : 8))
        t->kt *= 2;
    t->nv = t->kt;
    int64_t wanted = TERN_MIN(TERN_MIN(tern__div_up(GROUPS_PER_UNIT * (int64_t)TERN_MAX(info->compute_units, 1u), pairs), steps), PARTS);
    wanted = tern__lower_param(l, SPLIT, wanted, 1, TERN_MIN(steps, PARTS));
    t->part = tern__div_up(steps, wanted) * STEP_KEYS;
    t->parts = tern__div_up(a->sk, t->part);
}

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
    if (a.group * a.sq > MOST_ROWS || a.d > MOST_DEPTH || a.dv > MOST_DEPTH) {
        tern__str_addf(why, "%lld queries to a head, of %lld and %lld elements", (long long)(a.group * a.sq), (long long)a.d, (long long)a.dv);
        return false;
    }
    return true;
}

static bool pays(const tern__lower *l, const tern__node *n, tern__str *why)
{
    tern__attention a;
    tern__attention_of(l, n, &a);
    if (a.group * a.sq <= PAYS_ROWS)
        return true;
    tern__str_addf(why, "%lld queries to a head are enough for tiles", (long long)(a.group * a.sq));
    return false;
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    tern__attention a;
    struct tiling t;
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    const int partial = tern__lower_temp(l, tern__attention_partial_bytes(&a, t.parts));
    tern__kern *k = tern__lower_kernel(l, "attention_few_cpu.cl");
    if (partial < 0 || !k)
        return TERN_E_NOMEM;
    const unsigned widths = 1u | (unsigned)t.width;
    const struct { const char *name; int64_t x; } sizes[] = {{"W", t.width}, {"RT", t.rt}, {"KT", t.kt}, {"NV", t.nv}, {"BK", STEP_KEYS},
        {"ROWS", a.group * a.sq}};
    for (size_t i = 0; i < TERN_COUNT(sizes); i++)
        tern__cpu_define(k, sizes[i].name, sizes[i].x);
    tern__kern_size(k, "KPART", t.part);
    tern__attention_define(k, &a);
    tern__kern_slot(k, partial, true);
    tern__attention_load(k, "LOAD_Q", n->in[0], 1, 1u);
    tern__attention_load(k, "LOAD_K", n->in[1], t.width, widths);
    tern__attention_load(k, "LOAD_V", n->in[2], t.width, widths);
    tern__attention_mask(k, l, n, 3, t.width, widths);
    tern__cpu_range(k, t.parts, a.kv_heads, a.batch);
    return tern__attention_combine(l, &a, n, t.parts, partial);
}

static void read_params(const tern__lower *l, const tern__node *n, int32_t *value)
{
    tern__attention a;
    struct tiling t;
    tern__attention_of(l, n, &a);
    choose_tiling(l, &a, &t);
    value[SPLIT] = (int32_t)t.parts;
}

static const tern__space space = {.n = 1, .param = {[SPLIT] = {"parts", "parts of the keys", tern__to_64}}, .read = read_params};
static const char *const sources[] = {"attention_few_cpu.cl", "attention_combine.cl", NULL};

const tern__impl tern__impl_attention_few_cpu = {.name = "cpu_few", .accept = accept, .lower = lower, .pays = pays, .prologue = 0xf, .space = &space,
                                                 .sources = sources};
