/* Chains: kernels that follow each other on a CPU become one launch (kernels/chain_cpu.cl), whose workers go from step to step without going to sleep. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/compile.h"
#include "program/program.h"

enum {
    MAX_BUFFERS = 124, /* beside counters, steps and arena: kernels take 1024 bytes of arguments everywhere */
    MAX_ITEMS = 1 << 30,
    MIN_PLACES = 4,    /* of a range's first extent for each worker, for it to be what they share out */
    HEAD = 5,          /* words of a step before its arguments, as in chain_cpu.cl */
    LINE = 16,         /* words between counters */
};

void tern__chain_destroy(tern__chain *ch)
{
    if (!ch)
        return;
    tern__free(ch->steps);
    tern__free(ch->kinds);
    tern__free(ch->buffers);
    tern__free(ch);
}

static tern__kern *text_of(tern__kern *k)
{
    return k->shared_with ? k->shared_with : k;
}

/* Can the template be an item's function? Its kernels' parameters end in what chains add to, and it asks for nothing that only a work-group has. */
static bool template_fits(const char *name)
{
    static const char *const own[] = {"barrier(", "get_local_id", "get_local_size", "get_num_groups"};
    const char *text, *line;
    size_t len;
    if (tern__source_get(name, &text, &len) != TERN_OK)
        return false; /* whoever prints it says so */
    for (int i = 0; i < TERN_COUNT(own); i++)
        if (memmem(text, len, own[i], strlen(own[i])))
            return false;
    const char *end = text + len;
    while ((line = memmem(text, (size_t)(end - text), "kernel void ", 12))) {
        const char *close = memchr(line, '\n', (size_t)(end - line));
        text = close ? close : end;
        if (text - line < 8 || memcmp(text - 8, "_PARAMS)", 8) != 0)
            return false;
    }
    return true;
}

/* One item per work-group, and nothing that only a launch of its own has. */
static bool can_be_step(const tern__kern *k)
{
    if (k->call || k->prepare || k->unchained || (k->template_name && !template_fits(k->template_name)))
        return false;
    for (int i = 0; i < k->n_args; i++)
        if (k->args[i].kind == TERN__KARG_LOCAL)
            return false;
    size_t items = 1;
    for (int i = 0; i < 3; i++) {
        if (k->local[i] != 1 || k->global[i] > MAX_ITEMS || items * k->global[i] > MAX_ITEMS)
            return false;
        items *= k->global[i];
    }
    return true;
}

/* Is it sure that all intermediates become parts of one allocation, and that none lies where a variable does? */
static bool has_one_arena(const tern__compile *c)
{
    uint64_t bytes = 0;
    for (int v = 0; v < c->g->n_values; v++)
        if (c->g->values[v].kind == TERN__VALUE_NODE)
            bytes += tern__type_bytes(&c->g->values[v].type) + TERN__CHAIN_UNIT;
    for (int i = 0; i < c->n_slots; i++)
        bytes += c->slots[i].size + TERN__CHAIN_UNIT;
    return c->g->n_assigns == 0 && bytes <= c->device->info.max_alloc_bytes && bytes / TERN__CHAIN_UNIT < UINT32_MAX;
}

bool tern__chain_in_arena(const tern__compile *c, const tern__chain *ch, const tern__kern_arg *a)
{
    if (a->kind == TERN__KARG_SCALAR || !ch->arena)
        return false;
    if (a->kind == TERN__KARG_SLOT)
        return !c->slots[a->slot].prepare;
    const tern_value v = tern__alias_of(c, a->v);
    return tern__value_at(c->g, v)->kind == TERN__VALUE_NODE && !c->is_output[v];
}

/* The same memory, as far as names tell. */
static int find_buffer(const tern__compile *c, const tern__chain *ch, const tern__kern_arg *a)
{
    for (int i = 0; i < ch->n_buffers; i++) {
        const tern__kern_arg *b = &ch->buffers[i];
        if (b->kind != a->kind)
            continue;
        if (a->kind == TERN__KARG_SLOT ? b->slot == a->slot : tern__alias_of(c, b->v) == tern__alias_of(c, a->v))
            return i;
    }
    return -1;
}

/* Does the chain's kernel take it as a parameter of its own? */
static bool is_buffer(const tern__compile *c, const tern__chain *ch, const tern__kern_arg *a)
{
    return a->kind != TERN__KARG_SCALAR && !tern__chain_in_arena(c, ch, a);
}

static int find_kind(const tern__chain *ch, const tern__kern *text)
{
    for (int i = 0; i < ch->n_kinds; i++)
        if (ch->kinds[i] == text)
            return i;
    return -1;
}

static tern_status fail_memory(void)
{
    return tern__fail(TERN_E_NOMEM, "compile: a chain of kernels");
}

static tern_status add_buffer(const tern__compile *c, tern__chain *ch, const tern__kern_arg *a)
{
    const int at = find_buffer(c, ch, a);
    if (at < 0 && !TERN_GROW(ch->buffers, ch->n_buffers, ch->cap_buffers))
        return fail_memory();
    if (at < 0)
        ch->buffers[ch->n_buffers++] = *a;
    else
        ch->buffers[at].writes |= a->writes;
    return TERN_OK;
}

/* *added is false where the chain has no room left. */
static tern_status add_step(const tern__compile *c, tern__chain *ch, tern__kern *k, bool *added)
{
    tern__kern_arg *args = tern__alloc_array((size_t)tern__kern_max_args(k) + 1, sizeof *args);
    if (!args)
        return fail_memory();
    const int n = tern__kern_args(k, args);
    int more = 0;
    for (int i = 0; i < n; i++)
        more += is_buffer(c, ch, &args[i]) && find_buffer(c, ch, &args[i]) < 0;
    tern_status st = TERN_OK;
    *added = ch->n_buffers + more <= MAX_BUFFERS;
    for (int i = 0; i < n && *added && st == TERN_OK; i++)
        if (is_buffer(c, ch, &args[i]))
            st = add_buffer(c, ch, &args[i]);
    tern__free(args);
    if (st != TERN_OK || !*added)
        return st;
    if (find_kind(ch, text_of(k)) < 0) {
        if (!TERN_GROW(ch->kinds, ch->n_kinds, ch->cap_kinds))
            return fail_memory();
        ch->kinds[ch->n_kinds++] = text_of(k);
    }
    if (!TERN_GROW(ch->steps, ch->n_steps, ch->cap_steps))
        return fail_memory();
    ch->steps[ch->n_steps++] = k;
    ch->max_args = TERN_MAX(ch->max_args, n);
    return TERN_OK;
}

/* A chain of one step is none. */
static void drop_short(tern__compile *c)
{
    if (c->n_chains == 0 || c->chains[c->n_chains - 1]->n_steps > 1)
        return;
    tern__chain_destroy(c->chains[--c->n_chains]);
}

static tern_status open_chain(tern__compile *c, bool arena)
{
    drop_short(c);
    tern__chain *ch = TERN_GROW(c->chains, c->n_chains, c->cap_chains) ? tern__alloc(sizeof *ch) : NULL;
    if (!ch)
        return fail_memory();
    ch->arena = arena;
    snprintf(ch->name, sizeof ch->name, "chain%d", c->n_chains);
    c->chains[c->n_chains++] = ch;
    return TERN_OK;
}

/* Puts k at the end of the last chain, or of a new one. */
static tern_status put(tern__compile *c, tern__kern *k, bool arena, bool *open)
{
    bool added = false;
    if (*open)
        TERN_TRY(add_step(c, c->chains[c->n_chains - 1], k, &added));
    if (!added) {
        TERN_TRY(open_chain(c, arena));
        TERN_TRY(add_step(c, c->chains[c->n_chains - 1], k, &added));
    }
    *open = added;
    return TERN_OK;
}

/* Cycles that one core takes for the chain: two fused multiply-adds of vectors in each, and 16 bytes. */
static double cycles_of(const tern__compile *c, const tern__chain *ch)
{
    double cycles = 0;
    for (int i = 0; i < c->n_groups; i++) {
        const tern__group *gr = c->groups[i];
        int steps = 0, kerns = 0;
        for (int j = 0; j < gr->n_kerns; j++) {
            kerns += !gr->kerns[j]->prepare;
            steps += gr->kerns[j]->chain == ch;
        }
        if (steps)
            cycles += ((double)gr->flops / (4 * TERN_MAX(c->device->info.native_vector_f32, 1u)) + (double)gr->bytes_fused / 16) * steps / kerns;
    }
    return cycles;
}

/* As many workers as there are units, or as have something to do. */
static void choose_workers(const tern__compile *c, tern__chain *ch)
{
    const double busy = cycles_of(c, ch) / c->device->worker_cycles;
    ch->workers = busy < c->device->info.compute_units ? TERN_MAX((uint32_t)busy, 1u) : c->device->info.compute_units;
}

static tern_status form_chains(tern__compile *c)
{
    const bool arena = has_one_arena(c);
    bool open = false;
    for (int i = 0; i < c->n_groups; i++)
        for (int j = 0; j < c->groups[i]->n_kerns; j++) {
            tern__kern *k = c->groups[i]->kerns[j];
            if (k->prepare || k->empty)
                continue;
            if (can_be_step(k))
                TERN_TRY(put(c, k, arena, &open));
            else
                open = false;
        }
    drop_short(c);
    for (int i = 0; i < c->n_chains; i++)
        for (int j = 0; j < c->chains[i]->n_steps; j++)
            c->chains[i]->steps[j]->chain = c->chains[i];
    for (int i = 0; i < c->n_chains; i++)
        choose_workers(c, c->chains[i]);
    return TERN_OK;
}

tern_status tern__chain_kernels(tern__compile *c, bool enable)
{
    const tern_device_info *d = &c->device->info;
    /* One unit has nobody to wait for; a profile has a time for each launch. */
    if (enable && c->family == TERN__FAMILY_CPU && d->type == TERN_DEVICE_CPU && d->compute_units > 1 && !c->device->profile)
        TERN_TRY(form_chains(c));
    for (int i = 0; i < c->n_groups; i++)
        for (int j = 0; j < c->groups[i]->n_kerns; j++) {
            tern__kern *k = c->groups[i]->kerns[j];
            if (k->chain)
                text_of(k)->as_item = true;
            else if (!k->call)
                text_of(k)->as_kernel = true;
        }
    return TERN_OK;
}

/* Words of a step. */
static int stride_of(const tern__chain *ch)
{
    return HEAD + 2 * ch->max_args;
}

/* Calls of one kind: its arguments are the words of a step, numbers of buffers or whole numbers. */
static void print_case(const tern__kern *k, int kind, const tern__kern_arg *args, int n, tern__str *out)
{
    tern__str_addf(out, " case %d: EACH(item_%s(", kind, k->name);
    for (int i = 0; i < n; i++)
        tern__str_addf(out, args[i].kind == TERN__KARG_SCALAR ? "NUMBER(%d), " : "MEM(%d), ", i);
    tern__str_add(out, "PLACE))");
}

tern_status tern__chain_text(const tern__chain *ch, tern__str *out)
{
    tern__kern_arg *args = tern__alloc_array((size_t)ch->max_args + 1, sizeof *args);
    if (!args)
        return fail_memory();
    tern__str_addf(out, "#line 1 \"%s\"\n#define KERNEL %s\n#define STEPS %d\n#define STRIDE %d\n#define ARENA_UNIT %d\n#define BUFFER_PARAMS", ch->name,
                   ch->name, ch->n_steps, stride_of(ch), TERN__CHAIN_UNIT);
    for (int i = 0; i < ch->n_buffers + ch->arena; i++)
        tern__str_addf(out, "%s __global char *b%d", i ? "," : "", i);
    tern__str_add(out, "\n#define BUFFERS");
    for (int i = 0; i < ch->n_buffers + ch->arena; i++)
        tern__str_addf(out, "%s b%d", i ? "," : "", i);
    tern__str_add(out, "\n#define CASES");
    for (int i = 0; i < ch->n_kinds; i++)
        print_case(ch->kinds[i], i, args, tern__kern_args(ch->kinds[i], args), out);
    tern__str_add(out, "\n");
    tern__free(args);
    TERN_TRY(tern__source_append(out, "chain_cpu.cl"));
    tern__str_add(out, "#undef KERNEL\n#undef STEPS\n#undef STRIDE\n#undef ARENA_UNIT\n#undef BUFFER_PARAMS\n#undef BUFFERS\n"
                       "#undef CASES\n");
    return out->failed ? fail_memory() : TERN_OK;
}

tern_status tern__chain_table(const tern__compile *c, const tern__chain *ch, tern__chain_word *words)
{
    tern__kern_arg *args = tern__alloc_array((size_t)ch->max_args + 1, sizeof *args);
    if (!args)
        return fail_memory();
    for (int i = 0; i < ch->n_steps; i++) {
        tern__chain_word *step = words + i * stride_of(ch);
        step[0].number = (uint32_t)find_kind(ch, text_of(ch->steps[i]));
        for (int d = 0; d < 3; d++)
            step[1 + d].number = (uint32_t)ch->steps[i]->global[d];
        /* Pixels come first, channels next: a worker that keeps to its pixels finds what it made in its own cache. */
        step[4].number = ch->steps[i]->global[0] >= (size_t)MIN_PLACES * ch->workers;
        const int n_args = tern__kern_args(ch->steps[i], args);
        for (int a = 0; a < n_args; a++) {
            tern__chain_word *arg = &step[HEAD + 2 * a];
            if (args[a].kind == TERN__KARG_SCALAR)
                memcpy(&arg->number, args[a].scalar, sizeof arg->number);
            else
                arg->number = (uint32_t)(tern__chain_in_arena(c, ch, &args[a]) ? ch->n_buffers : find_buffer(c, ch, &args[a]));
            if (tern__chain_in_arena(c, ch, &args[a])) {
                arg[1].is_offset = true;
                arg[1].of = args[a];
            }
        }
    }
    tern__free(args);
    return TERN_OK;
}

int tern__chain_words(const tern__chain *ch)
{
    return ch->n_steps * stride_of(ch);
}

size_t tern__chain_progress_bytes(const tern__chain *ch)
{
    return ((size_t)ch->n_steps * (ch->workers + 1u) + 1) * LINE * sizeof(uint32_t);
}
