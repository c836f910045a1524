/* Building a session: passes, groups, one program, and the plans that launch its kernels. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/session_impl.h"
#include "compile/share.h"
#include "compile/tuned.h"
#include "passes/pass.h"
#include "program/program.h"

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- Graph --- */

int64_t tern__bytes_unfused(const tern_graph *g)
{
    int64_t bytes = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const tern__node *n = g->nodes[i];
        if (n->op->reshapes)
            continue;
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != TERN_NONE && tern__op_reads(n->op, k))
                bytes += (int64_t)tern__type_bytes(tern__type_of(g, n->in[k]));
        for (int k = 0; k < n->n_out; k++)
            bytes += (int64_t)tern__type_bytes(tern__type_of(g, n->out[k]));
    }
    return bytes;
}

static int64_t bytes_lower(const tern_graph *g)
{
    int64_t bytes = 0;
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i].kind != TERN__VALUE_NODE)
            bytes += (int64_t)tern__type_bytes(&g->values[i].type);
    for (int i = 0; i < g->n_outputs; i++)
        bytes += (int64_t)tern__type_bytes(tern__type_of(g, g->outputs[i].value));
    for (int i = 0; i < g->n_assigns; i++)
        bytes += (int64_t)tern__type_bytes(tern__type_of(g, g->assigns[i].value));
    return bytes;
}

/* Replaces *g by what a step makes of it. */
static tern_status become(tern_graph **g, tern_status st, tern_graph **next)
{
    if (st != TERN_OK)
        return st;
    tern_graph_destroy(*g);
    *g = *next;
    *next = NULL;
    return TERN_OK;
}

static tern_status prepare_graph(tern_session *s, const tern_graph *g, const tern_session_params *p, tern_graph **out)
{
    TERN_TRY(tern__passes_check(p->disable));
    tern_graph *now = NULL, *next = NULL;
    TERN_TRY(tern_graph_clone(g, &now));
    tern_status st = TERN_OK;
    if (p->freeze && p->store)
        st = tern_store_into_graph(p->store, now);
    if (st == TERN_OK && p->input_shapes)
        st = become(&now, tern__graph_bind_shapes(now, p->input_shapes, &next), &next);
    if (st == TERN_OK && p->freeze)
        st = become(&now, tern__graph_freeze(now, &next), &next);
    if (st == TERN_OK) {
        s->info.bytes_unfused = tern__bytes_unfused(now);
        /* Who asks for an implementation gets it in the element type that the graph has. */
        const unsigned wide = s->device->family == TERN__FAMILY_CPU && !p->force_impl ? TERN__PASSES_WIDE : 0, exact = p->exact ? TERN__PASSES_EXACT : 0;
        st = become(&now, tern__passes_run(now, p->disable, wide | exact, &next), &next);
    }
    if (st == TERN_OK) {
        s->info.bytes_lower = bytes_lower(now);
        s->info.n_nodes = now->n_nodes;
    }
    if (st == TERN_OK && !tern__pass_disabled(p->disable, "layout"))
        st = become(&now, tern__layout_pass(&s->c, now, &next), &next);
    if (st != TERN_OK) {
        tern_graph_destroy(now);
        return st;
    }
    *out = now;
    return TERN_OK;
}

/* --- Program --- */

static tern_status assemble(tern_session *s, bool chain)
{
    tern__compile *c = &s->c;
    for (int i = 0; i < c->n_groups; i++)
        TERN_TRY(tern__lower_group(c, c->groups[i]));
    TERN_TRY(tern__share_kernels(c));
    TERN_TRY(tern__chain_kernels(c, chain));
    TERN_TRY(tern__source_append(&s->source, "lib/io.clh"));
    TERN_TRY(tern__print_needs(&c->needs, &s->source));
    for (int i = 0; i < c->n_groups; i++)
        for (int k = 0; k < c->groups[i]->n_kerns; k++) {
            const tern__kern *kn = c->groups[i]->kerns[k];
            if (kn->as_kernel)
                TERN_TRY(tern__kern_text(kn, c->g, false, &s->source));
            if (kn->as_item)
                TERN_TRY(tern__kern_text(kn, c->g, true, &s->source));
        }
    for (int i = 0; i < c->n_chains; i++)
        TERN_TRY(tern__chain_text(c->chains[i], &s->source));
    return s->source.failed ? tern__fail(TERN_E_NOMEM, "session: no memory for the kernels' text") : TERN_OK;
}

/* Calls need none. */
static bool has_kernels(const tern__compile *c)
{
    for (int i = 0; i < c->n_groups; i++)
        for (int k = 0; k < c->groups[i]->n_kerns; k++)
            if (!c->groups[i]->kerns[k]->call)
                return true;
    return false;
}

/* --- Slots --- */

static tern_value root(const tern_session *s, tern_value v)
{
    return tern__alias_of(&s->c, v);
}

size_t tern__value_bytes(const tern_session *s, tern_value v)
{
    return TERN_MAX(tern__type_bytes(tern__type_of(s->c.g, v)), (size_t)4);
}

static bool is_node(const tern_session *s, tern_value v)
{
    return tern__value_at(s->c.g, v)->kind == TERN__VALUE_NODE;
}

/* The first graph output that is v itself, made by a kernel; -1 none. */
static int output_of(const tern_session *s, tern_value v)
{
    for (int i = 0; i < s->c.g->n_outputs; i++)
        if (s->c.g->outputs[i].value == v && is_node(s, v))
            return i;
    return -1;
}

static tern_status value_slot(tern_session *s, tern__plan *plan, int *slots, tern_value v, int *slot)
{
    v = root(s, v);
    if (slots[v] < 0) {
        bool bound = !is_node(s, v) || output_of(s, v) >= 0;
        TERN_TRY(tern__plan_add_slot(plan, bound ? TERN__SLOT_BOUND : TERN__SLOT_ARENA, tern__value_bytes(s, v), &slots[v]));
    }
    *slot = slots[v];
    return TERN_OK;
}

static tern_status temp_slot(tern_session *s, bool prepare, int t, int *slot)
{
    const tern__slot_info *info = &s->c.slots[t];
    int *at = prepare ? &s->temp_prepare[t] : &s->temp_slot[t];
    if (*at < 0) {
        tern__slot_kind kind = !info->prepare ? TERN__SLOT_ARENA : prepare ? TERN__SLOT_OWNED : TERN__SLOT_BOUND;
        TERN_TRY(tern__plan_add_slot(prepare ? s->prepare : s->plan, kind, info->size, at));
    }
    *slot = *at;
    return TERN_OK;
}

static tern_status add_call(tern_session *s, const tern__kern *k, int group)
{
    tern__plan *plan = k->prepare ? s->prepare : s->plan;
    int *slots = tern__alloc_array((size_t)k->n_args + 1, sizeof *slots);
    bool *writes = tern__alloc_array((size_t)k->n_args + 1, sizeof *writes);
    tern_status st = slots && writes ? TERN_OK : tern__fail(TERN_E_NOMEM, "session: a call");
    for (int i = 0; i < k->n_args && st == TERN_OK; i++) {
        const tern__kern_arg *a = &k->args[i];
        writes[i] = a->writes;
        if (a->kind == TERN__KARG_VALUE)
            st = value_slot(s, plan, k->prepare ? s->prepare_slot_of : s->slot_of, a->v, &slots[i]);
        else
            st = temp_slot(s, k->prepare, a->slot, &slots[i]);
    }
    if (st == TERN_OK)
        st = tern__plan_add_call(plan, k->call, k->call_data, k->call_size, slots, writes, k->n_args, group);
    tern__free(slots);
    tern__free(writes);
    return st;
}

/* The slot of an argument that is memory. */
static tern_status arg_slot(tern_session *s, bool prepare, const tern__kern_arg *a, int *slot)
{
    if (a->kind == TERN__KARG_SLOT)
        return temp_slot(s, prepare, a->slot, slot);
    return value_slot(s, prepare ? s->prepare : s->plan, prepare ? s->prepare_slot_of : s->slot_of, a->v, slot);
}

static tern_status plan_arg(tern_session *s, bool prepare, const tern__kern_arg *from, tern__plan_arg *to)
{
    *to = (tern__plan_arg){.writes = from->writes, .size = from->size};
    memcpy(to->scalar, from->scalar, sizeof to->scalar);
    to->kind = from->kind == TERN__KARG_SCALAR ? TERN__PLAN_SCALAR : from->kind == TERN__KARG_LOCAL ? TERN__PLAN_LOCAL : TERN__PLAN_SLOT;
    return to->kind == TERN__PLAN_SLOT ? arg_slot(s, prepare, from, &to->slot) : TERN_OK;
}

static tern_status add_launch(tern_session *s, const tern__kern *k, int group)
{
    const size_t room = (size_t)tern__kern_max_args(k) + 1;
    tern__plan_arg *args = tern__alloc_array(room, sizeof *args);
    tern__kern_arg *from = tern__alloc_array(room, sizeof *from);
    tern_status st = args && from ? TERN_OK : tern__fail(TERN_E_NOMEM, "session: a launch");
    const int n = st == TERN_OK ? tern__kern_args(k, from) : 0;
    for (int i = 0; i < n && st == TERN_OK; i++)
        st = plan_arg(s, k->prepare, &from[i], &args[i]);
    if (st == TERN_OK) {
        tern__plan_launch l = {.kernel = (k->shared_with ? k->shared_with : k)->name, .program = 0, .group = group, .dims = k->dims, .args = args, .n_args = n};
        memcpy(l.global, k->global, sizeof l.global);
        memcpy(l.local, k->local, sizeof l.local);
        st = tern__plan_add_launch(k->prepare ? s->prepare : s->plan, &l);
    }
    tern__free(args);
    tern__free(from);
    return st;
}

/* The chain's table for the plan: its numbers, and the slots whose places in the arena are not known yet. */
static tern_status chain_table(tern_session *s, const tern__chain *ch, tern__plan_word *to)
{
    const int n = tern__chain_words(ch);
    tern__chain_word *words = tern__alloc_array((size_t)n + 1, sizeof *words);
    tern_status st = words ? tern__chain_table(&s->c, ch, words) : tern__fail(TERN_E_NOMEM, "session: a chain of %d kernels", ch->n_steps);
    for (int i = 0; i < n && st == TERN_OK; i++) {
        to[i] = (tern__plan_word){.number = words[i].number, .slot = -1};
        if (words[i].is_offset)
            st = arg_slot(s, false, &words[i].of, &to[i].slot);
    }
    tern__free(words);
    return st;
}

/* The launch that stands for the chain's steps, which are recorded. */
static tern_status add_chain(tern_session *s, const tern__chain *ch)
{
    const int n_words = tern__chain_words(ch), n_args = 2 + ch->n_buffers + ch->arena;
    tern__plan_arg *args = tern__alloc_array((size_t)n_args, sizeof *args);
    tern__plan_word *words = tern__alloc_array((size_t)n_words + 1, sizeof *words);
    tern_status st = args && words ? chain_table(s, ch, words) : tern__fail(TERN_E_NOMEM, "session: a chain of %d kernels", ch->n_steps);
    const size_t bytes[2] = {tern__chain_progress_bytes(ch), (size_t)n_words * sizeof(uint32_t)};
    for (int i = 0; i < 2 && st == TERN_OK; i++) {
        args[i] = (tern__plan_arg){.kind = TERN__PLAN_SLOT, .writes = i == 0};
        st = tern__plan_add_slot(s->plan, TERN__SLOT_OWNED, bytes[i], &args[i].slot);
    }
    for (int i = 0; i < ch->n_buffers && st == TERN_OK; i++)
        st = plan_arg(s, false, &ch->buffers[i], &args[i + 2]);
    if (st == TERN_OK && ch->arena)
        args[n_args - 1] = (tern__plan_arg){.kind = TERN__PLAN_ARENA, .writes = true};
    if (st == TERN_OK) {
        const tern__plan_launch l = {.kernel = ch->name, .dims = 1, .global = {ch->workers, 1, 1}, .local = {1, 1, 1}, .args = args, .n_args = n_args};
        st = tern__plan_chain(s->plan, ch->n_steps, &l, words, n_words, TERN__CHAIN_UNIT);
    }
    tern__free(args);
    tern__free(words);
    return st;
}

/* --- Sharing memory --- */

/* When each value is last read, counting kernels of the run in order. */
static void last_reads(const tern_session *s, int *last)
{
    for (int v = 0; v < s->c.g->n_values; v++)
        last[v] = -1;
    int at = 0;
    for (int i = 0; i < s->c.n_groups; i++)
        for (int k = 0; k < s->c.groups[i]->n_kerns; k++, at++) {
            const tern__kern *kn = s->c.groups[i]->kerns[k];
            for (int p = 0; p < kn->params.n; p++)
                if (kn->params.p[p].reads && (kn->template_name || kn->uses[p]))
                    last[root(s, kn->params.p[p].v)] = at;
            for (int a = 0; a < kn->n_args; a++)
                if (kn->args[a].kind == TERN__KARG_VALUE && !kn->args[a].writes)
                    last[root(s, kn->args[a].v)] = at;
        }
    for (int i = 0; i < s->n_tail; i++)
        last[root(s, s->tail[i].from)] = at;
}

static bool is_fixed_arg(const tern_session *s, const tern__kern *k, tern_value v)
{
    for (int a = 0; a < k->n_args; a++)
        if (k->args[a].kind == TERN__KARG_VALUE && root(s, k->args[a].v) == v)
            return true;
    return false;
}

/* May parameter o of k lie where value v does? v is read by k at most through parameter p. */
static bool may_share(const tern_session *s, const tern__kern *k, int o, tern_value v)
{
    if (is_fixed_arg(s, k, v))
        return false;
    for (int p = 0; p < k->params.n; p++)
        if (k->params.p[p].reads && root(s, k->params.p[p].v) == v && (k->load_reads[p] || !(k->in_place[o] >> p & 1)))
            return false;
    return true;
}

/* The variable that takes value v's place without a copy, if order and indices allow. at: the kernel that writes v. */
static tern_value variable_home(const tern_session *s, const tern__kern *k, int o, int at, const int *last)
{
    tern_value v = k->params.p[o].v;
    for (int i = 0; i < s->c.g->n_assigns; i++) {
        tern_value var = s->c.g->assigns[i].variable;
        if (s->c.g->assigns[i].value == v && last[var] <= at && (last[var] < at || may_share(s, k, o, var)))
            return var;
    }
    return TERN_NONE;
}

/* An operand that dies here and whose memory the result may take. */
static tern_value dying_operand(const tern_session *s, const tern__kern *k, int o, int at, const int *last, const bool *taken)
{
    for (int p = 0; p < k->params.n; p++) {
        tern_value v = root(s, k->params.p[p].v);
        if ((k->in_place[o] >> p & 1) && !taken[v] && is_node(s, v) && output_of(s, v) < 0 && s->slot_of[v] >= 0 && last[v] == at && may_share(s, k, o, v) &&
            tern__value_bytes(s, v) >= tern__value_bytes(s, k->params.p[o].v))
            return v;
    }
    return TERN_NONE;
}

static tern_status share_results(tern_session *s, const tern__kern *k, int at, const int *last, bool *taken, bool *assigned)
{
    for (int o = 0; o < k->params.n; o++) {
        tern_value v = k->params.p[o].v;
        if (!k->params.p[o].writes || k->params.p[o].reads || s->slot_of[v] >= 0 || output_of(s, v) >= 0)
            continue;
        tern_value home = variable_home(s, k, o, at, last);
        if (home != TERN_NONE && !taken[home]) {
            for (int i = 0; i < s->c.g->n_assigns; i++)
                if (s->c.g->assigns[i].variable == home)
                    assigned[i] = true;
        } else {
            home = dying_operand(s, k, o, at, last, taken);
        }
        if (home == TERN_NONE)
            continue;
        taken[home] = true;
        int of, slot;
        TERN_TRY(value_slot(s, s->plan, s->slot_of, home, &of));
        TERN_TRY(tern__plan_add_slot(s->plan, TERN__SLOT_ARENA, tern__value_bytes(s, v), &slot));
        TERN_TRY(tern__plan_alias_slot(s->plan, slot, of));
        s->slot_of[v] = slot;
    }
    return TERN_OK;
}

/* --- Plans --- */

/* Outputs that no kernel writes for themselves. Sources of copies must outlive the run's last kernel. */
static tern_status find_output_copies(tern_session *s)
{
    const tern_graph *g = s->c.g;
    s->tail = tern__alloc_array((size_t)(g->n_outputs + g->n_assigns) + 1, sizeof *s->tail);
    if (!s->tail)
        return tern__fail(TERN_E_NOMEM, "session: %d results", g->n_outputs);
    for (int i = 0; i < g->n_outputs; i++) {
        s->output_in_plan[i] = output_of(s, g->outputs[i].value) == i;
        if (!s->output_in_plan[i])
            s->tail[s->n_tail++] = (tern__tail_copy){.from = g->outputs[i].value, .output = i, .assign = -1};
    }
    return TERN_OK;
}

static tern_status add_assign_copies(tern_session *s, const bool *assigned)
{
    const tern_graph *g = s->c.g;
    for (int i = 0; i < g->n_assigns; i++) {
        if (assigned[i])
            continue;
        tern_value from = g->assigns[i].value;
        tern__tail_copy *t = &s->tail[s->n_tail++];
        *t = (tern__tail_copy){.from = from, .output = -1, .assign = i};
        if (tern__value_at(g, root(s, from))->kind == TERN__VALUE_VARIABLE)
            TERN_TRY(tern__buffer_create(s->device, tern__value_bytes(s, from), &t->stage));
    }
    for (int i = 0; i < s->n_tail; i++) {
        int slot;
        TERN_TRY(value_slot(s, s->plan, s->slot_of, s->tail[i].from, &slot));
        tern__plan_keep_slot(s->plan, slot);
    }
    return TERN_OK;
}

static tern_status record(tern_session *s)
{
    const tern_graph *g = s->c.g;
    int *last = tern__alloc_array((size_t)g->n_values + 1, sizeof *last);
    bool *taken = tern__alloc_array((size_t)g->n_values + 1, sizeof *taken);
    bool *assigned = tern__alloc_array((size_t)g->n_assigns + 1, sizeof *assigned);
    tern_status st = last && taken && assigned ? find_output_copies(s) : tern__fail(TERN_E_NOMEM, "session: %d values", g->n_values);
    if (st == TERN_OK)
        last_reads(s, last);
    /* What an output copies from, and a variable's new value, must last to the end of the run. */
    for (int i = 0; i < s->n_tail && st == TERN_OK; i++)
        taken[root(s, s->tail[i].from)] = true;
    for (int i = 0; i < g->n_assigns && st == TERN_OK; i++)
        if (is_node(s, g->assigns[i].value))
            taken[root(s, g->assigns[i].value)] = true;
    int at = 0;
    for (int i = 0; i < s->c.n_groups && st == TERN_OK; i++)
        for (int k = 0; k < s->c.groups[i]->n_kerns && st == TERN_OK; k++, at++) {
            const tern__kern *kn = s->c.groups[i]->kerns[k];
            if (!kn->prepare)
                st = share_results(s, kn, at, last, taken, assigned);
            if (st == TERN_OK && !kn->empty)
                st = kn->call ? add_call(s, kn, i) : add_launch(s, kn, i);
            if (st == TERN_OK && kn->chain && kn == kn->chain->steps[kn->chain->n_steps - 1])
                st = add_chain(s, kn->chain);
        }
    if (st == TERN_OK)
        st = add_assign_copies(s, assigned);
    tern__free(last);
    tern__free(taken);
    tern__free(assigned);
    return st;
}

static tern_status constant_buffer(tern_session *s, tern_value v, tern__buffer **out)
{
    if (!s->const_buffer[v]) {
        const tern__value *x = tern__value_at(s->c.g, v);
        size_t bytes = tern__type_bytes(&x->type);
        TERN_TRY(tern__buffer_create(s->device, TERN_MAX(bytes, (size_t)4), &s->const_buffer[v]));
        if (bytes)
            TERN_TRY(tern__buffer_write(s->const_buffer[v], 0, x->data->data, bytes));
        tern__blob_rest(x->data);
        s->info.constant_bytes += (int64_t)bytes;
    }
    *out = s->const_buffer[v];
    return TERN_OK;
}

/* Memory for constants and variables, but for what tern__prepare() brings and takes away. */
static tern_status bind_values(tern_session *s, tern__plan *plan, const int *slots)
{
    const tern_graph *g = s->c.g;
    for (tern_value v = 0; v < g->n_values; v++) {
        const tern__value *x = tern__value_at(g, v);
        tern__buffer *b = NULL;
        if (slots[v] < 0 || x->kind == TERN__VALUE_NODE || x->kind == TERN__VALUE_INPUT || tern__is_passing(s, v))
            continue;
        if (x->kind == TERN__VALUE_CONST)
            TERN_TRY(constant_buffer(s, v, &b));
        else
            TERN_TRY(tern__store_variable(s->store, g, v, &b));
        TERN_TRY(tern__plan_bind(plan, slots[v], b));
    }
    return TERN_OK;
}

static tern_status bind_ends(tern_session *s)
{
    const tern_graph *g = s->c.g;
    for (int i = 0; i < g->n_inputs; i++) {
        tern_value v = g->inputs[i];
        TERN_TRY(tern__buffer_create(s->device, tern__value_bytes(s, v), &s->input_buffer[i]));
        if (s->slot_of[v] >= 0)
            TERN_TRY(tern__plan_bind(s->plan, s->slot_of[v], s->input_buffer[i]));
    }
    for (int i = 0; i < g->n_outputs; i++) {
        tern_value v = g->outputs[i].value;
        TERN_TRY(tern__buffer_create(s->device, tern__value_bytes(s, v), &s->output_buffer[i]));
        if (s->output_in_plan[i] && s->slot_of[v] >= 0)
            TERN_TRY(tern__plan_bind(s->plan, s->slot_of[v], s->output_buffer[i]));
    }
    for (int i = 0; i < g->n_assigns; i++) {
        /* Sessions that only write a variable know it as well. */
        tern__buffer *b;
        TERN_TRY(tern__store_variable(s->store, g, g->assigns[i].variable, &b));
    }
    return TERN_OK;
}

static tern_status bind_packed(tern_session *s)
{
    for (int t = 0; t < s->c.n_slots; t++)
        if (s->c.slots[t].prepare && s->temp_slot[t] >= 0 && s->temp_prepare[t] >= 0) {
            TERN_TRY(tern__plan_bind(s->plan, s->temp_slot[t], tern__plan_slot_buffer(s->prepare, s->temp_prepare[t])));
            s->info.constant_bytes += (int64_t)s->c.slots[t].size;
        }
    return TERN_OK;
}

static int *minus_ones(int n)
{
    int *a = tern__alloc_array((size_t)n + 1, sizeof *a);
    for (int i = 0; a && i <= n; i++)
        a[i] = -1;
    return a;
}

static tern_status make_tables(tern_session *s)
{
    const tern_graph *g = s->c.g;
    s->slot_of = minus_ones(g->n_values);
    s->prepare_slot_of = minus_ones(g->n_values);
    s->temp_slot = minus_ones(s->c.n_slots);
    s->temp_prepare = minus_ones(s->c.n_slots);
    s->const_buffer = tern__alloc_array((size_t)g->n_values + 1, sizeof *s->const_buffer);
    s->input_buffer = tern__alloc_array((size_t)g->n_inputs + 1, sizeof *s->input_buffer);
    s->output_buffer = tern__alloc_array((size_t)g->n_outputs + 1, sizeof *s->output_buffer);
    s->output_in_plan = tern__alloc_array((size_t)g->n_outputs + 1, sizeof *s->output_in_plan);
    bool ok = s->slot_of && s->prepare_slot_of && s->temp_slot && s->temp_prepare && s->const_buffer && s->input_buffer && s->output_buffer &&
              s->output_in_plan;
    return ok ? TERN_OK : tern__fail(TERN_E_NOMEM, "session: tables for %d values", g->n_values);
}

static tern_status make_plans(tern_session *s)
{
    TERN_TRY(make_tables(s));
    TERN_TRY(tern__plan_create(s->device, &s->plan));
    TERN_TRY(tern__plan_create(s->device, &s->prepare));
    TERN_TRY(record(s));
    TERN_TRY(tern__plan_finish(s->plan, &s->program, s->program ? 1 : 0));
    TERN_TRY(tern__plan_finish(s->prepare, &s->program, s->program ? 1 : 0));
    TERN_TRY(bind_values(s, s->plan, s->slot_of));
    TERN_TRY(bind_values(s, s->prepare, s->prepare_slot_of));
    TERN_TRY(bind_ends(s));
    TERN_TRY(bind_packed(s));
    return tern__prepare(s);
}

static void fill_info(tern_session *s)
{
    tern_plan_info *i = &s->info;
    i->n_groups = s->c.n_groups;
    for (int k = 0; k < s->c.n_groups; k++) {
        const tern__group *gr = s->c.groups[k];
        i->bytes_fused += gr->bytes_fused;
        i->bytes_bound += gr->bytes_bound;
        i->flops += gr->flops;
        i->n_tuned += gr->anchor >= 0 && s->c.choice_of[gr->anchor].origin >= TERN__BY_STORE;
        for (int j = 0; j < gr->n_kerns; j++)
            i->n_kernels += !gr->kerns[j]->prepare;
    }
    i->tuned_note = s->c.tuned && s->c.tuned->note[0] ? s->c.tuned->note : NULL;
    i->n_launches = tern__plan_n_launches(s->plan);
    for (int k = 0; k < s->c.n_chains; k++)
        i->n_launches -= s->c.chains[k]->n_steps - 1;
    i->arena_bytes = (int64_t)tern__plan_arena_bytes(s->plan);
    i->arena_lower_bytes = (int64_t)tern__plan_arena_lower_bytes(s->plan);
    for (int k = 0; k < s->c.g->n_variables; k++)
        i->variable_bytes += (int64_t)tern__type_bytes(tern__type_of(s->c.g, s->c.g->variables[k]));
    for (int k = 0; k < s->n_tail; k++)
        i->bytes_fused += 2 * (int64_t)tern__type_bytes(tern__type_of(s->c.g, s->tail[k].from));
}

/* Who asks for implementations, or for plain layouts, gets nothing that was measured otherwise. */
static bool uses_tuned(const tern_session_params *p)
{
    const char *env = getenv("TERN_TUNED");
    return !p->no_tuned && !p->force_impl && !tern__pass_disabled(p->disable, "layout") && !(env && !strcmp(env, "0"));
}

tern_status tern__session_build(tern_session *s, const tern_graph *g, const tern_session_params *p)
{
    double start = now_s();
    tern__compile *c = &s->c;
    c->device = s->device;
    c->family = s->device->family;
    c->force_impl = p->force_impl;
    c->exact = p->exact;
    if (uses_tuned(p))
        TERN_TRY(tern__tuned_of(s->device, &c->tuned));
    TERN_TRY(prepare_graph(s, g, p, &c->g));
    TERN_TRY(tern__fuse(c, !tern__pass_disabled(p->disable, "fuse")));
    TERN_TRY(assemble(s, !tern__pass_disabled(p->disable, "chain")));
    double build = now_s();
    if (has_kernels(c)) {
        TERN_TRY(tern__program_build(s->device, tern__str_text(&s->source), s->source.len, "-cl-std=CL1.2", &s->cached, &s->program));
        s->info.n_programs = 1;
        s->info.n_programs_cached = s->cached;
    }
    s->info.build_s = now_s() - build;
    TERN_TRY(make_plans(s));
    tern__alloc_trim(); /* compilers inside drivers, folded weights, texts */
    fill_info(s);
    s->info.compile_s = now_s() - start;
    return TERN_OK;
}
