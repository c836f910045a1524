/* Recording launches over slots, placing their memory once, and running them without allocation or waiting. */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/impl.h"
#include "exec/plan_impl.h"
#include "program/program.h"

tern_status tern__plan_create(tern_device *d, tern__plan **out)
{
    tern__plan *p = tern__alloc(sizeof *p);
    if (!p)
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for %zu bytes", sizeof *p);
    p->device = tern__device_retain(d);
    *out = p;
    return TERN_OK;
}

/* Launches first, then chains. */
static plan_launch *launch_at(const tern__plan *p, int i)
{
    return i < p->n_launches ? &p->launches[i] : &p->chains[i - p->n_launches];
}

void tern__plan_destroy(tern__plan *p)
{
    if (!p)
        return;
    tern__plan_profile_finish(p);
    for (int i = 0; i < p->n_launches + p->n_chains; i++) {
        plan_launch *l = launch_at(p, i);
        tern__kernel_release(l->kernel);
        tern__free(l->kernel_name);
        tern__free(l->data);
        tern__free(l->words);
        tern__free(l->slots);
    }
    for (int i = 0; i < p->n_slots; i++)
        tern__buffer_release(p->slots[i].buffer);
    for (int i = 0; i < p->n_chunks; i++)
        tern__buffer_release(p->chunks[i]);
    tern__free(p->slots);
    tern__free(p->launches);
    tern__free(p->chains);
    tern__free(p->args);
    tern__free(p->uses);
    tern__free(p->chunks);
    tern__device_release(p->device);
    tern__free(p);
}

static tern_status check_slot(const tern__plan *p, int slot)
{
    if (slot < 0 || slot >= p->n_slots)
        return tern__fail(TERN_E_INVALID, "plan: slot %d of %d", slot, p->n_slots);
    return TERN_OK;
}

static tern_status check_recording(const tern__plan *p)
{
    return p->finished ? tern__fail(TERN_E_INVALID, "plan: already finished, nothing can be added") : TERN_OK;
}

tern_status tern__plan_add_slot(tern__plan *p, tern__slot_kind kind, size_t size, int *slot)
{
    TERN_TRY(check_recording(p));
    if (!TERN_GROW(p->slots, p->n_slots, p->cap_slots))
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for slot %d", p->n_slots);
    p->slots[p->n_slots] = (plan_slot){ .kind = kind, .size = size, .alias_of = -1, .first = 1, .last = 0 };
    *slot = p->n_slots++;
    return TERN_OK;
}

int tern__plan_root(const tern__plan *p, int slot)
{
    while (p->slots[slot].alias_of >= 0)
        slot = p->slots[slot].alias_of;
    return slot;
}

tern_status tern__plan_alias_slot(tern__plan *p, int slot, int of)
{
    TERN_TRY(check_recording(p));
    TERN_TRY(check_slot(p, slot));
    TERN_TRY(check_slot(p, of));
    int root = tern__plan_root(p, of);
    if (root == slot)
        return tern__fail(TERN_E_INVALID, "plan: slot %d cannot share the memory of slot %d, which shares its own", slot, of);
    if (p->slots[slot].alias_of >= 0)
        return tern__fail(TERN_E_INVALID, "plan: slot %d shares the memory of slot %d already", slot, p->slots[slot].alias_of);
    if (p->slots[slot].size > p->slots[root].size)
        return tern__fail(TERN_E_INVALID, "plan: slot %d of %zu bytes does not fit the %zu of slot %d", slot, p->slots[slot].size,
                          p->slots[root].size, root);
    p->slots[slot].alias_of = of;
    return TERN_OK;
}

void tern__plan_keep_slot(tern__plan *p, int slot)
{
    if (slot >= 0 && slot < p->n_slots)
        p->slots[slot].keep = true;
}

static tern_status check_launch(const tern__plan *p, const tern__plan_launch *l)
{
    if (!l->kernel || l->n_args < 0 || l->dims < 1 || l->dims > 3)
        return tern__fail(TERN_E_INVALID, "plan: launch %d has no kernel, %d arguments or %d dimensions", p->n_launches, l->n_args, l->dims);
    for (int i = 0; i < l->n_args; i++) {
        if (l->args[i].kind == TERN__PLAN_SLOT && (l->args[i].slot < 0 || l->args[i].slot >= p->n_slots))
            return tern__fail(TERN_E_INVALID, "plan: kernel %s takes slot %d of %d", l->kernel, l->args[i].slot, p->n_slots);
        if (l->args[i].kind == TERN__PLAN_SCALAR && (l->args[i].size == 0 || l->args[i].size > sizeof l->args[i].scalar))
            return tern__fail(TERN_E_INVALID, "plan: kernel %s takes a scalar of %zu bytes", l->kernel, l->args[i].size);
    }
    return TERN_OK;
}

/* A copy of l with its arguments in the plan, for the caller to put in its place. */
static tern_status copy_launch(tern__plan *p, const tern__plan_launch *l, plan_launch *to)
{
    bool room = true;
    for (int i = 0; room && i < l->n_args; i++) {
        room = TERN_GROW(p->args, p->n_args + i, p->cap_args);
        if (room)
            p->args[p->n_args + i] = l->args[i];
    }
    char *name = room ? tern__strdup(l->kernel) : NULL;
    if (!name)
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for launch %d", p->n_launches);
    *to = (plan_launch){ .kernel_name = name, .program = l->program, .group = l->group, .dims = l->dims, .args_at = p->n_args, .n_args = l->n_args };
    memcpy(to->global, l->global, sizeof to->global);
    memcpy(to->local, l->local, sizeof to->local);
    p->n_args += l->n_args;
    return TERN_OK;
}

tern_status tern__plan_add_launch(tern__plan *p, const tern__plan_launch *l)
{
    TERN_TRY(check_recording(p));
    TERN_TRY(check_launch(p, l));
    if (!TERN_GROW(p->launches, p->n_launches, p->cap_launches))
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for launch %d", p->n_launches);
    TERN_TRY(copy_launch(p, l, &p->launches[p->n_launches]));
    p->n_launches++;
    return TERN_OK;
}

static tern_status check_chain(const tern__plan *p, int n, const tern__plan_launch *l)
{
    TERN_TRY(check_launch(p, l));
    if (n < 1 || n > p->n_launches || p->device->profile)
        return tern__fail(TERN_E_INVALID, "plan: a chain %s of %d launches, %d are recorded%s", l->kernel, n, p->n_launches,
                          p->device->profile ? " and profiled" : "");
    for (int i = p->n_launches - n; i < p->n_launches; i++)
        if (p->launches[i].fn || p->launches[i].chained)
            return tern__fail(TERN_E_INVALID, "plan: launch %d cannot be in chain %s, it is %s", i, l->kernel, p->launches[i].fn ? "a call" : "in another");
    for (int i = 0; i < 2; i++)
        if (l->n_args < 2 || l->args[i].kind != TERN__PLAN_SLOT || p->slots[l->args[i].slot].kind != TERN__SLOT_OWNED)
            return tern__fail(TERN_E_INVALID, "plan: chain %s keeps no counters or steps", l->kernel);
    return TERN_OK;
}

tern_status tern__plan_chain(tern__plan *p, int n, const tern__plan_launch *l, const tern__plan_word *words, int n_words, size_t unit)
{
    TERN_TRY(check_recording(p));
    TERN_TRY(check_chain(p, n, l));
    for (int i = 0; i < n_words; i++)
        if (words[i].slot >= 0)
            TERN_TRY(check_slot(p, words[i].slot));
    tern__plan_word *copy = tern__memdup(words, (size_t)n_words * sizeof *words);
    if (!copy || !TERN_GROW(p->chains, p->n_chains, p->cap_chains)) {
        tern__free(copy);
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for a chain of %d launches", n);
    }
    plan_launch *to = &p->chains[p->n_chains];
    tern_status st = copy_launch(p, l, to);
    if (st != TERN_OK) {
        tern__free(copy);
        return st;
    }
    to->words = copy;
    to->n_words = n_words;
    to->unit = unit;
    for (int i = p->n_launches - n; i < p->n_launches; i++)
        p->launches[i].chained = -1;
    p->launches[p->n_launches - n].chained = n;
    p->launches[p->n_launches - n].chain = p->n_chains++;
    return TERN_OK;
}

tern_status tern__plan_add_call(tern__plan *p, tern__plan_call fn, const void *data, size_t data_size, const int *slots, const bool *writes, int n,
                                int group)
{
    TERN_TRY(check_recording(p));
    if (!fn || n < 0)
        return tern__fail(TERN_E_INVALID, "plan: call %d has no function or %d slots", p->n_launches, n);
    for (int i = 0; i < n; i++)
        TERN_TRY(check_slot(p, slots[i]));
    plan_launch l = { .fn = fn, .group = group, .args_at = p->n_args, .n_args = n };
    l.data = tern__alloc(TERN_MAX(data_size, 1));
    l.slots = tern__alloc_array((size_t)n + 1, sizeof *l.slots);
    bool room = l.data && l.slots && TERN_GROW(p->launches, p->n_launches, p->cap_launches);
    for (int i = 0; room && i < n; i++) {
        room = TERN_GROW(p->args, p->n_args + i, p->cap_args);
        if (room)
            p->args[p->n_args + i] = (tern__plan_arg){ .kind = TERN__PLAN_SLOT, .slot = slots[i], .writes = writes[i] };
    }
    if (!room) {
        tern__free(l.data);
        tern__free(l.slots);
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for call %d", p->n_launches);
    }
    if (data_size)
        memcpy(l.data, data, data_size);
    p->launches[p->n_launches++] = l;
    p->n_args += n;
    return TERN_OK;
}

int tern__plan_n_launches(const tern__plan *p)
{
    return p->n_launches;
}

/* --- Finishing --- */

static void find_lifetimes(tern__plan *p)
{
    for (int l = 0; l < p->n_launches; l++) {
        const tern__plan_arg *args = &p->args[p->launches[l].args_at];
        for (int a = 0; a < p->launches[l].n_args; a++) {
            if (args[a].kind != TERN__PLAN_SLOT)
                continue;
            plan_slot *s = &p->slots[tern__plan_root(p, args[a].slot)];
            if (s->first > s->last)
                s->first = l;
            s->last = l;
        }
    }
    for (int i = 0; i < p->n_slots; i++) {
        if (!p->slots[i].keep)
            continue;
        plan_slot *s = &p->slots[tern__plan_root(p, i)];
        s->first = s->first > s->last ? 0 : s->first;
        s->last = p->n_launches;
    }
}

static bool in_arena(const plan_slot *s)
{
    return s->kind == TERN__SLOT_ARENA && s->alias_of < 0 && s->first <= s->last;
}

static tern_status create_chunks(tern__plan *p, const tern__mem_block *blocks, int n, size_t align, int n_chunks)
{
    p->chunks = tern__alloc_array((size_t)n_chunks, sizeof *p->chunks);
    if (!p->chunks)
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for an arena of %d pieces", n_chunks);
    p->n_chunks = n_chunks;
    for (int c = 0; c < n_chunks; c++) {
        size_t top = 0;
        for (int i = 0; i < n; i++)
            if (blocks[i].chunk == c)
                top = TERN_MAX(top, blocks[i].offset + (blocks[i].size + align - 1) / align * align);
        TERN_TRY(tern__buffer_create(p->device, TERN_MAX(top, align), &p->chunks[c]));
    }
    return TERN_OK;
}

static tern_status slice_arena(tern__plan *p, tern__mem_block *blocks, const int *owner, int n)
{
    size_t align = TERN_MAX((size_t)p->device->info.base_align_bytes, 256);
    int n_chunks;
    TERN_TRY(tern__mem_plan(blocks, n, align, p->device->info.max_alloc_bytes, &p->arena_bytes, &p->arena_lower_bytes, &n_chunks));
    if (p->arena_bytes > p->device->info.global_mem_bytes)
        return tern__fail(TERN_E_DEVICE_MEMORY, "plan: intermediates need %s at once, \"%s\" has %s", tern__size_words(p->arena_bytes).s,
                          p->device->info.name, tern__size_words(p->device->info.global_mem_bytes).s);
    TERN_TRY(create_chunks(p, blocks, n, align, n_chunks));
    for (int i = 0; i < n; i++) {
        plan_slot *s = &p->slots[owner[i]];
        TERN_TRY(tern__buffer_slice(p->chunks[blocks[i].chunk], blocks[i].offset, s->size, &s->buffer));
    }
    return TERN_OK;
}

static tern_status place_arena(tern__plan *p)
{
    int n = 0;
    tern__mem_block *blocks = tern__alloc_array((size_t)p->n_slots, sizeof *blocks);
    int *owner = tern__alloc_array((size_t)p->n_slots, sizeof *owner);
    tern_status st = TERN_OK;
    if (!blocks || !owner)
        st = tern__fail(TERN_E_NOMEM, "plan: no host memory to place %d slots", p->n_slots);
    for (int i = 0; st == TERN_OK && i < p->n_slots; i++) {
        const plan_slot *s = &p->slots[i];
        if (!in_arena(s))
            continue;
        owner[n] = i;
        blocks[n++] = (tern__mem_block){ .size = s->size, .first = s->first, .last = s->last };
    }
    if (st == TERN_OK && n > 0)
        st = slice_arena(p, blocks, owner, n);
    tern__free(blocks);
    tern__free(owner);
    return st;
}

static tern_status create_owned(tern__plan *p)
{
    for (int i = 0; i < p->n_slots; i++) {
        plan_slot *s = &p->slots[i];
        if (s->kind == TERN__SLOT_OWNED && s->alias_of < 0)
            TERN_TRY(tern__buffer_create(p->device, s->size, &s->buffer));
    }
    return TERN_OK;
}

/* An alias shares its root's buffer object; bound roots hand theirs on when they are bound. */
static void share_buffers(tern__plan *p)
{
    for (int i = 0; i < p->n_slots; i++) {
        tern__buffer *b = p->slots[tern__plan_root(p, i)].buffer;
        if (p->slots[i].alias_of >= 0 && b)
            p->slots[i].buffer = tern__buffer_retain(b);
    }
}

static tern_status create_kernels(tern__plan *p, tern__program *const *programs, int n_programs)
{
    for (int i = 0; i < p->n_launches + p->n_chains; i++) {
        plan_launch *l = launch_at(p, i);
        if (l->fn || l->chained)
            continue;
        if (l->program < 0 || l->program >= n_programs)
            return tern__fail(TERN_E_INVALID, "plan: kernel %s is in program %d of %d", l->kernel_name, l->program, n_programs);
        TERN_TRY(tern__kernel_create(programs[l->program], l->kernel_name, &l->kernel));
        int n = tern__kernel_n_args(l->kernel);
        if (n >= 0 && n != l->n_args)
            return tern__fail(TERN_E_INVALID, "plan: kernel %s takes %d arguments, the launch gives %d", l->kernel_name, n, l->n_args);
    }
    return TERN_OK;
}

static tern_status set_arg(tern__plan *p, const plan_launch *l, int a)
{
    const tern__plan_arg *from = &p->args[l->args_at + a];
    if (l->fn) {
        l->slots[a] = p->slots[from->slot].buffer;
        return TERN_OK;
    }
    tern__arg arg = { .size = from->size };
    if (from->kind == TERN__PLAN_SLOT) {
        arg.kind = TERN__ARG_BUFFER;
        arg.buffer = p->slots[from->slot].buffer;
    } else if (from->kind == TERN__PLAN_ARENA) {
        arg.kind = TERN__ARG_BUFFER;
        arg.buffer = p->n_chunks ? p->chunks[0] : p->slots[p->args[l->args_at].slot].buffer; /* nobody reaches into none */
    } else if (from->kind == TERN__PLAN_SCALAR) {
        arg.kind = TERN__ARG_SCALAR;
        memcpy(arg.scalar, from->scalar, sizeof arg.scalar);
    } else {
        arg.kind = TERN__ARG_LOCAL;
    }
    return tern__kernel_set_arg(l->kernel, a, &arg);
}

/* Sets what never changes, and lists by root where bound memory goes. */
static tern_status set_constant_args(tern__plan *p)
{
    for (int i = 0; i < p->n_launches + p->n_chains; i++) {
        const plan_launch *l = launch_at(p, i);
        for (int a = 0; a < l->n_args && !l->chained; a++) {
            const tern__plan_arg *arg = &p->args[l->args_at + a];
            int root = arg->kind == TERN__PLAN_SLOT ? tern__plan_root(p, arg->slot) : -1;
            if (root >= 0 && p->slots[root].kind == TERN__SLOT_BOUND)
                p->slots[root].n_uses++;
            else
                TERN_TRY(set_arg(p, l, a));
        }
    }
    return TERN_OK;
}

static tern_status list_uses(tern__plan *p)
{
    int n = 0;
    for (int i = 0; i < p->n_slots; i++) {
        p->slots[i].uses_at = n;
        n += p->slots[i].n_uses;
        p->n_unbound += p->slots[i].n_uses > 0;
        p->slots[i].n_uses = 0;
    }
    p->uses = tern__alloc_array((size_t)n, sizeof *p->uses);
    if (!p->uses)
        return tern__fail(TERN_E_NOMEM, "plan: no host memory to list %d bound arguments", n);
    p->n_uses = n;
    for (int i = 0; i < p->n_launches + p->n_chains; i++)
        for (int a = 0; a < launch_at(p, i)->n_args && !launch_at(p, i)->chained; a++) {
            const tern__plan_arg *arg = &p->args[launch_at(p, i)->args_at + a];
            plan_slot *root = arg->kind == TERN__PLAN_SLOT ? &p->slots[tern__plan_root(p, arg->slot)] : NULL;
            if (root && root->kind == TERN__SLOT_BOUND)
                p->uses[root->uses_at + root->n_uses++] = (plan_use){ i, a };
        }
    return TERN_OK;
}

/* What a chain reads. Slices of the arena begin where their buffers say. */
static tern_status write_words(tern__plan *p, const plan_launch *l, tern__buffer *to)
{
    uint32_t *words = tern__alloc_array((size_t)l->n_words + 1, sizeof *words);
    if (!words)
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for %d words of chain %s", l->n_words, l->kernel_name);
    tern_status st = TERN_OK;
    for (int i = 0; i < l->n_words && st == TERN_OK; i++) {
        const tern__buffer *b = l->words[i].slot >= 0 ? p->slots[l->words[i].slot].buffer : NULL;
        words[i] = b ? (uint32_t)(b->offset / l->unit) : l->words[i].number;
        if (l->words[i].slot >= 0 && (p->n_chunks != 1 || !b || b->parent != p->chunks[0] || b->offset % l->unit))
            st = tern__fail(TERN_E_INVALID, "plan: slot %d is no part of one arena that chain %s could reach", l->words[i].slot, l->kernel_name);
    }
    if (st == TERN_OK)
        st = tern__buffer_write(to, 0, words, (size_t)l->n_words * sizeof *words);
    tern__free(words);
    return st;
}

static tern_status fill_chains(tern__plan *p)
{
    for (int i = 0; i < p->n_chains; i++) {
        const tern__plan_arg *args = &p->args[p->chains[i].args_at];
        TERN_TRY(tern__buffer_zero(p->slots[args[0].slot].buffer));
        TERN_TRY(write_words(p, &p->chains[i], p->slots[args[1].slot].buffer));
    }
    return TERN_OK;
}

tern_status tern__plan_finish(tern__plan *p, tern__program *const *programs, int n_programs)
{
    TERN_TRY(check_recording(p));
    p->finished = true; /* a failed finish cannot be tried again either: the plan is half built */
    find_lifetimes(p);
    TERN_TRY(place_arena(p));
    TERN_TRY(create_owned(p));
    share_buffers(p);
    TERN_TRY(create_kernels(p, programs, n_programs));
    TERN_TRY(set_constant_args(p));
    TERN_TRY(list_uses(p));
    TERN_TRY(fill_chains(p));
    return tern__plan_profile_init(p);
}

/* --- Running --- */

static tern_status check_bind(const tern__plan *p, int slot, const tern__buffer *b)
{
    TERN_TRY(check_slot(p, slot));
    const plan_slot *s = &p->slots[slot];
    if (!p->finished || s->kind != TERN__SLOT_BOUND || s->alias_of >= 0)
        return tern__fail(TERN_E_INVALID, "plan: slot %d is not one that takes memory from outside", slot);
    if (tern__buffer_device(b) != p->device)
        return tern__fail(TERN_E_INVALID, "plan: slot %d is given a buffer of another device", slot);
    if (tern__buffer_size(b) < s->size)
        return tern__fail(TERN_E_INVALID, "plan: slot %d needs %zu bytes, the buffer has %zu", slot, s->size, tern__buffer_size(b));
    return TERN_OK;
}

static void set_buffer(plan_slot *s, tern__buffer *b)
{
    tern__buffer *old = s->buffer;
    s->buffer = tern__buffer_retain(b);
    tern__buffer_release(old);
}

tern_status tern__plan_bind(tern__plan *p, int slot, tern__buffer *b)
{
    if (slot >= 0 && slot < p->n_slots && p->slots[slot].buffer == b && b)
        return TERN_OK;
    TERN_TRY(check_bind(p, slot, b));
    plan_slot *s = &p->slots[slot];
    if (!s->buffer && s->n_uses > 0)
        p->n_unbound--;
    set_buffer(s, b);
    for (int i = 0; i < p->n_slots; i++)
        if (p->slots[i].alias_of >= 0 && tern__plan_root(p, i) == slot)
            set_buffer(&p->slots[i], b);
    for (int i = 0; i < s->n_uses; i++) {
        plan_use u = p->uses[s->uses_at + i];
        tern_status st = set_arg(p, launch_at(p, u.launch), u.arg);
        if (st != TERN_OK) {
            tern__buffer_release(s->buffer); /* so that the next bind sets every argument again */
            s->buffer = NULL;
            p->n_unbound++;
            return st;
        }
    }
    return TERN_OK;
}

void tern__plan_unbind(tern__plan *p, int slot)
{
    assert(slot >= 0 && slot < p->n_slots && p->slots[slot].kind == TERN__SLOT_BOUND && p->slots[slot].alias_of < 0);
    plan_slot *s = &p->slots[slot];
    p->n_unbound += s->buffer && s->n_uses > 0;
    for (int i = 0; i < p->n_slots && s->buffer; i++)
        if (i != slot && tern__plan_root(p, i) == slot) {
            tern__buffer_release(p->slots[i].buffer);
            p->slots[i].buffer = NULL;
        }
    tern__buffer_release(s->buffer);
    s->buffer = NULL;
}

void tern__plan_slot_span(const tern__plan *p, int slot, int *first, int *last)
{
    const plan_slot *s = &p->slots[tern__plan_root(p, slot)];
    *first = s->first;
    *last = s->last;
}

tern__buffer *tern__plan_slot_buffer(const tern__plan *p, int slot)
{
    return slot >= 0 && slot < p->n_slots ? p->slots[slot].buffer : NULL;
}

static tern_status fail_unbound(const tern__plan *p)
{
    for (int i = 0; i < p->n_slots; i++)
        if (p->slots[i].n_uses > 0 && !p->slots[i].buffer)
            return tern__fail(TERN_E_INVALID, "plan: slot %d of %zu bytes has nothing bound to it", i, p->slots[i].size);
    return tern__fail(TERN_E_INVALID, "plan: not finished");
}

/* events: two places for marks around the call, or NULL. */
static tern_status run_call(tern__plan *p, const plan_launch *l, void **events)
{
    if (events)
        TERN_TRY(p->device->ops->mark(p->device, &events[0]));
    TERN_TRY(l->fn(p->device, l->slots, l->data));
    return events ? p->device->ops->mark(p->device, &events[1]) : TERN_OK;
}

/* events: two places, of which a kernel takes the first, or NULL. */
static tern_status run_launch(tern__plan *p, int i, void **events)
{
    const plan_launch *l = &p->launches[i];
    if (l->chained)
        l = &p->chains[l->chain];
    return l->fn ? run_call(p, l, events) : tern__kernel_launch(l->kernel, l->dims, l->global, l->local, events);
}

tern_status tern__plan_run(tern__plan *p)
{
    if (!p->finished || p->n_unbound > 0)
        return fail_unbound(p);
    void **events = tern__plan_next_events(p);
    for (int i = 0; i < p->n_launches; i += TERN_MAX(p->launches[i].chained, 1))
        TERN_TRY(run_launch(p, i, events ? &events[2 * i] : NULL));
    return p->device->ops->flush(p->device);
}

tern_status tern__plan_run_one(tern__plan *p, int i)
{
    assert(p->finished && i >= 0 && i < p->n_launches && !p->launches[i].chained);
    const plan_launch *l = &p->launches[i];
    for (int a = 0; a < l->n_args; a++) {
        const tern__plan_arg *arg = &p->args[l->args_at + a];
        if (arg->kind == TERN__PLAN_SLOT && !p->slots[arg->slot].buffer)
            return tern__fail(TERN_E_INVALID, "plan: launch %d takes slot %d of %zu bytes, which has nothing bound to it", i, arg->slot, p->slots[arg->slot].size);
    }
    return run_launch(p, i, NULL);
}

size_t tern__plan_arena_bytes(const tern__plan *p)
{
    return p->arena_bytes;
}

size_t tern__plan_arena_lower_bytes(const tern__plan *p)
{
    return p->arena_lower_bytes;
}
