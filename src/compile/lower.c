/* From groups to kernels: the builders that implementations call, and the codegen path for groups without an anchor. */
#include "compile/lower.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/compile.h"
#include "compile/share.h"
#include "compile/tuned.h"
#include "program/program.h"

/* --- Facts --- */

tern__family tern__lower_family(const tern__lower *l)
{
    return l->c->family;
}

const tern_device_info *tern__lower_device(const tern__lower *l)
{
    return &l->c->device->info;
}

tern_device *tern__lower_open_device(const tern__lower *l)
{
    return l->c->device;
}

const tern_graph *tern__lower_graph(const tern__lower *l)
{
    return l->c->g;
}

const tern__type *tern__lower_type(const tern__lower *l, tern_value v)
{
    return tern__type_of(l->c->g, v);
}

bool tern__lower_is_constant(const tern__lower *l, tern_value v)
{
    return tern__value_at(l->c->g, tern__alias_of(l->c, v))->kind == TERN__VALUE_CONST;
}

bool tern__group_inside(const void *lower, tern_value v)
{
    const tern__lower *l = lower;
    const tern__value *x = tern__value_at(l->c->g, v);
    if (x->kind != TERN__VALUE_NODE)
        return false;
    int gr = l->c->group_of[x->node];
    return gr < 0 || gr == l->c->group_of[l->group->nodes[0]];
}

int64_t tern__lower_param(const tern__lower *l, int i, int64_t otherwise, int64_t least, int64_t most)
{
    const int64_t x = l->choice && l->choice->value[i] ? l->choice->value[i] : otherwise;
    return TERN_MAX(TERN_MIN(x, most), least);
}

/* --- Kernels --- */

static void kern_name(tern__kern *k)
{
    const tern__group *gr = k->l->group;
    int id = k->l->c->group_of[gr->nodes[0]];
    char part[8] = "";
    if (gr->n_kerns > 0)
        snprintf(part, sizeof part, "%c", 'a' + (gr->n_kerns < 26 ? gr->n_kerns : 25));
    snprintf(k->name, sizeof k->name, "g%d%s_%s", id, part,
             k->l->c->g->nodes[gr->anchor >= 0 ? gr->anchor : gr->nodes[gr->n_nodes - 1]]->op->name);
}

static tern__kern *new_kern(tern__lower *l, const char *template_name)
{
    tern__group *gr = l->group;
    tern__kern *k = tern__alloc(sizeof *k);
    if (!k || !TERN_GROW(gr->kerns, gr->n_kerns, gr->cap_kerns)) {
        tern__free(k);
        gr->no_memory = true; /* callers may go on: builders take NULL */
        tern__fail(TERN_E_NOMEM, "compile: a kernel");
        return NULL;
    }
    k->l = l;
    k->template_name = template_name;
    k->dims = 1;
    for (int i = 0; i < 3; i++)
        k->global[i] = k->local[i] = 1;
    kern_name(k);
    gr->kerns[gr->n_kerns++] = k;
    return k;
}

void tern__kern_destroy(tern__kern *k)
{
    if (!k)
        return;
    tern__str_finish(&k->defines);
    tern__str_finish(&k->undefs);
    tern__str_finish(&k->hooks);
    tern__str_finish(&k->code);
    tern__free(k->args);
    tern__free(k->call_data);
    tern__free(k->offset_of);
    tern__free(k);
}

tern__kern *tern__lower_kernel(tern__lower *l, const char *template_name)
{
    return new_kern(l, template_name);
}

void tern__kern_define(tern__kern *k, const char *name, const char *fmt, ...)
{
    if (!k)
        return;
    tern__str_addf(&k->defines, "#define %s ", name);
    va_list ap;
    va_start(ap, fmt);
    tern__str_addv(&k->defines, fmt, ap);
    va_end(ap);
    tern__str_add(&k->defines, "\n");
    tern__str_addf(&k->undefs, "#undef %s\n", name);
}

void tern__kern_size(tern__kern *k, const char *name, int64_t x)
{
    tern__kern_define(k, name, "((int)(" TERN__MARK_SIZE "%" PRId64 TERN__MARK_END "))", x);
}

static tern__kern_arg *new_arg(tern__kern *k)
{
    if (!k || k->failed)
        return NULL;
    if (!TERN_GROW(k->args, k->n_args, k->cap_args)) {
        tern__fail(TERN_E_NOMEM, "compile: a kernel's arguments");
        k->failed = k->no_memory = true;
        return NULL;
    }
    k->args[k->n_args] = (tern__kern_arg){.v = TERN_NONE, .slot = -1};
    return &k->args[k->n_args++];
}

void tern__kern_value(tern__kern *k, tern_value v)
{
    tern__kern_arg *a = new_arg(k);
    if (!a)
        return;
    a->kind = TERN__KARG_VALUE;
    a->v = v;
}

void tern__kern_result(tern__kern *k, tern_value v)
{
    tern__kern_arg *a = new_arg(k);
    if (!a)
        return;
    a->kind = TERN__KARG_VALUE;
    a->v = v;
    a->writes = true;
}

void tern__kern_call(tern__kern *k, tern__plan_call fn, const void *data, size_t size)
{
    if (!k || k->failed)
        return;
    k->call_data = tern__memdup(data, size);
    if (!k->call_data) {
        tern__fail(TERN_E_NOMEM, "compile: %zu bytes of a call", size);
        k->failed = k->no_memory = true;
        return;
    }
    k->call = fn;
    k->call_size = size;
}

void tern__kern_slot(tern__kern *k, int slot, bool writes)
{
    tern__kern_arg *a = new_arg(k);
    if (!a)
        return;
    a->kind = TERN__KARG_SLOT;
    a->slot = slot;
    a->writes = writes;
}

static void scalar(tern__kern *k, const void *data, size_t size)
{
    tern__kern_arg *a = new_arg(k);
    if (!a)
        return;
    a->kind = TERN__KARG_SCALAR;
    a->size = size;
    memcpy(a->scalar, data, size);
}

void tern__kern_i32(tern__kern *k, int32_t x)
{
    scalar(k, &x, sizeof x);
}

void tern__kern_f32(tern__kern *k, float x)
{
    scalar(k, &x, sizeof x);
    if (k)
        k->unchained = true; /* a chain hands on whole numbers */
}

void tern__kern_local(tern__kern *k, size_t size_bytes)
{
    tern__kern_arg *a = new_arg(k);
    if (!a)
        return;
    a->kind = TERN__KARG_LOCAL;
    a->size = size_bytes;
}

void tern__kern_range(tern__kern *k, int dims, const size_t global[3], const size_t local[3])
{
    if (!k)
        return;
    const size_t most = TERN_MAX(k->l->c->device->info.max_work_group, 1u);
    k->dims = dims;
    for (int i = 0; i < 3; i++) {
        k->local[i] = i < dims && local[i] ? local[i] : 1;
        if (dims == 1)
            k->local[i] = TERN_MIN(k->local[i], most);
        k->global[i] = i < dims ? (global[i] + k->local[i] - 1) / k->local[i] * k->local[i] : 1;
        k->empty |= k->global[i] == 0;
    }
}

/* --- Memory --- */

static int new_slot(tern__lower *l, size_t size)
{
    tern__compile *c = l->c;
    if (!TERN_GROW(c->slots, c->n_slots, c->cap_slots)) {
        l->group->no_memory = true;
        tern__fail(TERN_E_NOMEM, "compile: a workspace of %zu bytes", size);
        return -1;
    }
    c->slots[c->n_slots] = (tern__slot_info){.size = TERN_MAX(size, (size_t)4), .of = TERN_NONE};
    return c->n_slots++;
}

int tern__lower_temp(tern__lower *l, size_t size_bytes)
{
    return new_slot(l, size_bytes);
}

tern__kern *tern__lower_pack(tern__lower *l, tern_value v, const char *key, size_t size_bytes, const char *template_name, int *slot)
{
    tern__compile *c = l->c;
    v = tern__alias_of(c, v);
    for (int i = 0; i < c->n_slots; i++)
        if (c->slots[i].packed && c->slots[i].of == v && !strcmp(c->slots[i].key, key)) {
            *slot = i;
            return NULL;
        }
    *slot = new_slot(l, size_bytes);
    if (*slot < 0)
        return NULL;
    tern__slot_info *s = &c->slots[*slot];
    s->packed = true;
    s->of = v;
    s->prepare = tern__lower_is_constant(l, v);
    snprintf(s->key, sizeof s->key, "%s", key);
    tern__kern *k = new_kern(l, template_name);
    if (!k)
        return NULL;
    k->prepare = s->prepare;
    /* Constants are packed from where a file has them. */
    tern__kern_define(k, "ANY_ADDRESS", "%d", k->prepare);
    return k;
}

int tern__kern_max_args(const tern__kern *k)
{
    return k->n_args + k->params.n + k->n_offsets;
}

int tern__kern_args(const tern__kern *k, tern__kern_arg *out)
{
    int n = 0;
    /* Fused kernels take their parameters first, templates their fixed arguments. */
    for (int turn = 0; turn < 2; turn++) {
        const bool params = (turn == 0) == (k->template_name == NULL);
        for (int i = 0; params && i < k->params.n; i++)
            if (k->template_name || k->uses[i])
                out[n++] = (tern__kern_arg){.kind = TERN__KARG_VALUE, .v = k->params.p[i].v, .slot = -1, .writes = k->params.p[i].writes};
        for (int i = 0; !params && i < k->n_args; i++)
            out[n++] = k->args[i];
    }
    for (int i = 0; i < k->n_offsets; i++) {
        out[n] = (tern__kern_arg){.kind = TERN__KARG_SCALAR, .v = TERN_NONE, .slot = -1, .size = sizeof k->offsets[i]};
        memcpy(out[n++].scalar, &k->offsets[i], sizeof k->offsets[i]);
    }
    return n;
}

/* --- Text --- */

/* Defines, hooks and template, with what the parameter lists end with. */
static tern_status template_text(const tern__kern *k, const tern_graph *g, bool item, tern__str *out)
{
    int mark = 0;
    tern__str_add(out, k->n_offsets || item ? "#define SIZE_PARAMS " : "#define SIZE_PARAMS");
    tern__kern_render(k, TERN__MARK_PARAMS, item, &mark, out);
    tern__str_add(out, "\n#define HOOK_PARAMS ");
    tern__print_params(out, g, &k->params, NULL);
    tern__kern_render(k, TERN__MARK_PARAMS, item, &mark, out);
    tern__str_add(out, "\n#define HOOK_ARGS ");
    for (int i = 0; i < k->params.n; i++)
        tern__str_addf(out, "%sh%d", i ? ", " : "", i);
    for (int i = 0; i < k->n_offsets; i++)
        tern__str_addf(out, ", ho%d", i);
    tern__str_add(out, item ? ", tern_at, tern_of\n" : "\n");
    tern__kern_render(k, tern__str_text(&k->defines), item, &mark, out);
    tern__kern_render(k, tern__str_text(&k->hooks), item, &mark, out);
    TERN_TRY(tern__source_append(out, k->template_name));
    tern__str_add(out, tern__str_text(&k->undefs));
    tern__str_add(out, "#undef SIZE_PARAMS\n#undef HOOK_PARAMS\n#undef HOOK_ARGS\n");
    return TERN_OK;
}

tern_status tern__kern_text(const tern__kern *k, const tern_graph *g, bool item, tern__str *out)
{
    int mark = 0;
    if (item)
        TERN_TRY(tern__source_append(out, "lib/item_begin.clh"));
    tern__str_addf(out, "#line 1 \"%s\"\n#define KERNEL %s%s\n", k->name, item ? "item_" : "", k->name);
    if (k->template_name)
        TERN_TRY(template_text(k, g, item, out));
    else
        tern__kern_render(k, tern__str_text(&k->code), item, &mark, out);
    tern__str_add(out, "#undef KERNEL\n");
    if (item)
        TERN_TRY(tern__source_append(out, "lib/item_end.clh"));
    bool failed = out->failed || k->defines.failed || k->hooks.failed || k->undefs.failed || k->code.failed;
    return failed ? tern__fail(TERN_E_NOMEM, "compile: no memory for a kernel's text") : TERN_OK;
}

/* --- Groups without an anchor --- */

static void describe(const tern__compile *c, tern__lower *l, tern__fused *f)
{
    const tern_device_info *d = &c->device->info;
    *f = (tern__fused){
        .g = c->g,
        .inside = tern__group_inside,
        .user = l,
        .family = c->family,
        .compute_units = (int)TERN_MAX(d->compute_units, 1u),
        .vector_width = (int)TERN_MAX(d->native_vector_f32, 1u),
        .max_work_group = (int)TERN_MIN(TERN_MAX(d->max_work_group, 1u), 1024u),
    };
}

static tern_status wrap_fused(tern__lower *l, tern__fused_code *code)
{
    int partial = -1;
    if (code->partial_bytes) {
        partial = tern__lower_temp(l, code->partial_bytes);
        if (partial < 0)
            return TERN_E_NOMEM;
    }
    for (int i = 0; i < code->n_kernels; i++) {
        tern__fused_kernel *fk = &code->kernel[i];
        tern__kern *k = new_kern(l, NULL);
        if (!k)
            return TERN_E_NOMEM;
        k->params = code->params;
        memcpy(k->uses, fk->uses, sizeof k->uses);
        if (code->n_kernels == 1)
            memcpy(k->in_place, code->in_place, sizeof k->in_place);
        k->code = fk->text;
        fk->text = (tern__str){0};
        tern__kern_range(k, fk->dims, fk->global, fk->local);
        if (fk->partial)
            tern__kern_slot(k, partial, i == 0);
        if (k->failed)
            return TERN_E_NOMEM;
    }
    return TERN_OK;
}

/* A concat alone as a kernel for each of its inputs: nothing has to be looked for, so all of it has vectors. */
static bool is_lone_concat(const tern__lower *l)
{
    const tern__group *gr = l->group;
    const tern__node *n = l->c->g->nodes[gr->nodes[0]];
    return l->c->family == TERN__FAMILY_CPU && gr->n_nodes == 1 && n->n_in > 1 && !strcmp(n->op->name, "concat") &&
           tern__elems(tern__shape_of(l->c->g, n->out[0])) > 0;
}

static tern_status lower_pieces(tern__lower *l)
{
    tern__compile *c = l->c;
    tern__fused f;
    describe(c, l, &f);
    f.concat = c->g->nodes[l->group->nodes[0]];
    f.outs = f.concat->out;
    f.n_outs = 1;
    tern_status st = TERN_OK;
    for (f.piece = 0; f.piece < f.concat->n_in && st == TERN_OK; f.piece++) {
        const size_t bytes = tern__type_bytes(tern__type_of(c->g, f.concat->in[f.piece]));
        if (!bytes)
            continue;
        tern__fused_code code;
        st = tern__fused_generate(&f, &c->needs, &code);
        if (st == TERN_OK)
            st = wrap_fused(l, &code);
        if (st == TERN_OK)
            l->group->kerns[l->group->n_kerns - 1]->written = bytes;
        tern__fused_code_finish(&code);
    }
    return st;
}

/* One kernel for each shape among the results (a split has several); with reductions all are one kernel's. */
static tern_status lower_fused(tern__lower *l, bool dry)
{
    tern__compile *c = l->c;
    tern__group *gr = l->group;
    tern__fused f;
    if (!dry && is_lone_concat(l))
        return lower_pieces(l);
    describe(c, l, &f);
    tern_value *reds = tern__alloc_array((size_t)gr->n_nodes + 1, sizeof *reds), *outs = tern__alloc_array((size_t)gr->n_outs + 1, sizeof *outs);
    bool *taken = tern__alloc_array((size_t)gr->n_outs + 1, sizeof *taken);
    tern_status st = reds && outs && taken ? TERN_OK : tern__fail(TERN_E_NOMEM, "compile: a group of %d nodes", gr->n_nodes);
    for (int i = 0; i < gr->n_nodes && st == TERN_OK; i++)
        if (c->g->nodes[gr->nodes[i]]->op->trait == TERN__REDUCTION)
            reds[f.n_reductions++] = c->g->nodes[gr->nodes[i]]->out[0];
    f.reductions = reds;
    f.outs = outs;
    for (int first = 0; first < gr->n_outs && st == TERN_OK; first++) {
        if (taken[first])
            continue;
        f.n_outs = 0;
        for (int i = first; i < gr->n_outs; i++)
            if (!taken[i] && (f.n_reductions || dry || tern__same_space(tern__type_of(c->g, gr->outs[first]), tern__type_of(c->g, gr->outs[i])))) {
                taken[i] = true;
                outs[f.n_outs++] = gr->outs[i];
            }
        tern__fused_code code;
        st = tern__fused_generate(&f, dry ? NULL : &c->needs, &code);
        if (st == TERN_OK && !dry)
            st = wrap_fused(l, &code);
        tern__fused_code_finish(&code);
    }
    tern__free(reds);
    tern__free(outs);
    tern__free(taken);
    return st;
}

static tern_status lower_anchor(tern__lower *l)
{
    tern__group *gr = l->group;
    TERN_TRY(gr->impl->lower(l, l->c->g->nodes[gr->anchor]));
    bool failed = false;
    for (int i = 0; i < gr->n_kerns; i++) {
        const tern__kern *k = gr->kerns[i];
        gr->no_memory |= k->no_memory || k->defines.failed || k->undefs.failed || k->hooks.failed;
        failed |= k->failed;
    }
    if (gr->no_memory)
        return tern__fail(TERN_E_NOMEM, "compile: no memory for the kernels of %s", l->c->g->nodes[gr->anchor]->op->name);
    return failed ? TERN_E_UNSUPPORTED : TERN_OK; /* its sentence is recorded */
}

static const tern__choice *anchor_choice(const tern__compile *c, const tern__group *gr)
{
    return gr->anchor >= 0 ? &c->choice_of[gr->anchor] : NULL;
}

tern_status tern__lower_possible(tern__compile *c, tern__group *gr, bool *possible)
{
    tern__lower l = {c, gr, anchor_choice(c, gr)};
    int needs = c->needs.n, slots = c->n_slots;
    tern_status st = gr->anchor < 0 ? lower_fused(&l, true) : lower_anchor(&l);
    *possible = st == TERN_OK;
    for (int i = 0; i < gr->n_kerns; i++)
        tern__kern_destroy(gr->kerns[i]);
    gr->n_kerns = 0;
    c->needs.n = needs;
    c->n_slots = slots;
    return st == TERN_E_NOMEM ? st : TERN_OK;
}

void tern__kern_part(tern__kern *k, int n)
{
    if (k)
        k->parts = n;
}

/* --- Account --- */

/* Between the launches of one group, what fills no more than half of the device's last cache is taken to stay there: workspaces are no memory traffic, and a
 * packed operand is one the first time it is read. */
static bool stays_in_cache(const tern__compile *c, const tern__slot_info *s)
{
    return s->size <= c->device->info.cache_bytes / 2;
}

/* What a kernel's i-th parameter or argument reads or writes. */
typedef struct touch {
    tern_value v;        /* of the graph; TERN_NONE: a workspace, or nothing */
    int reads, writes;
    size_t bytes;        /* as it lies in memory */
    const tern__slot_info *slot;
} touch;

static touch touch_of(const tern__compile *c, const tern__kern *k, int i)
{
    touch t = {.v = TERN_NONE};
    if (i < k->params.n) {
        if (k->template_name || k->uses[i])
            t = (touch){.v = k->params.p[i].v, .reads = k->params.p[i].reads, .writes = k->params.p[i].writes};
    } else {
        const tern__kern_arg *a = &k->args[i - k->params.n];
        if (a->kind == TERN__KARG_VALUE)
            t = (touch){.v = a->v, .reads = !a->writes, .writes = a->writes};
        else if (a->kind == TERN__KARG_SLOT && (c->slots[a->slot].packed || !stays_in_cache(c, &c->slots[a->slot])))
            t = (touch){.v = c->slots[a->slot].of, .reads = !a->writes, .writes = a->writes, .bytes = c->slots[a->slot].size, .slot = &c->slots[a->slot]};
    }
    if (t.v != TERN_NONE && !t.slot)
        t.bytes = t.writes && k->written ? k->written : tern__type_bytes(tern__type_of(c->g, t.v)) / (size_t)TERN_MAX(k->parts, 1);
    return t;
}

/* Has another kernel of the group, or an earlier argument of this one, touched v, so that it is inside, or counted? A packed form stands for its value. */
static bool is_counted(const tern__compile *c, const tern__group *gr, int kern, int at, const touch *t)
{
    for (int i = 0; i <= kern; i++) {
        const tern__kern *k = gr->kerns[i];
        for (int p = 0; !k->prepare && p < (i == kern ? at : k->params.n + k->n_args); p++) {
            const touch u = touch_of(c, k, p);
            if (u.v != TERN_NONE && tern__alias_of(c, u.v) == tern__alias_of(c, t->v))
                return true;
        }
    }
    return false;
}

void tern__group_account(const tern__compile *c, tern__group *gr)
{
    gr->bytes_fused = gr->bytes_bound = gr->flops = 0;
    for (int i = 0; i < gr->n_kerns; i++) {
        const tern__kern *k = gr->kerns[i];
        for (int p = 0; !k->prepare && p < k->params.n + k->n_args; p++) {
            const touch t = touch_of(c, k, p);
            const bool counted = t.v != TERN_NONE && is_counted(c, gr, i, p, &t);
            if (!(counted && t.slot && stays_in_cache(c, t.slot)))
                gr->bytes_fused += (int64_t)t.bytes * (t.reads + t.writes);
            if (t.v != TERN_NONE && !counted)
                gr->bytes_bound += (int64_t)tern__type_bytes(tern__type_of(c->g, t.v)) * (t.reads && t.writes ? 2 : 1);
        }
    }
}

static int64_t node_flops(const tern__compile *c, const tern__node *n)
{
    tern__type in[64], out[64];
    if (n->n_in > TERN_COUNT(in) || n->n_out > TERN_COUNT(out))
        return 0;
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == TERN_NONE)
            in[i] = (tern__type){.dtype = TERN_DTYPE_COUNT};
        else
            in[i] = *tern__type_of(c->g, n->in[i]);
    }
    for (int i = 0; i < n->n_out; i++)
        out[i] = *tern__type_of(c->g, n->out[i]);
    if (n->op->flops)
        return n->op->flops(n, in, out);
    if (n->op->trait == TERN__MOVEMENT || n->n_out == 0)
        return 0;
    return tern__elems(n->op->trait == TERN__REDUCTION ? &in[0].shape : &out[0].shape) * (n->op->pointwise ? TERN_MAX(n->op->pointwise->cost, 1) : 1);
}

/* What was chosen, and what a measurement of it would be kept under. */
static void describe_choice(const tern__compile *c, tern__group *gr)
{
    if (gr->anchor < 0 || !tern__is_tunable(c->g->nodes[gr->anchor]->op))
        return;
    tern__choice_print(&gr->choice, &c->choice_of[gr->anchor]);
    tern__problem_print(&gr->problem, c->g, c->g->nodes[gr->anchor], c->only_user, c->exact);
}

tern_status tern__lower_group(tern__compile *c, tern__group *gr)
{
    tern__lower *l = tern__alloc(sizeof *l);
    if (!l)
        return tern__fail(TERN_E_NOMEM, "compile: a group");
    *l = (tern__lower){c, gr, anchor_choice(c, gr)};
    gr->lower = l;
    if (gr->anchor >= 0)
        TERN_TRY(lower_anchor(l));
    else
        TERN_TRY(lower_fused(l, false));
    tern__group_account(c, gr);
    for (int i = 0; i < gr->n_nodes; i++) {
        const tern__node *n = c->g->nodes[gr->nodes[i]];
        tern__str_addf(&gr->ops, "%s%s", i ? "+" : "", n->op->name);
        gr->flops += node_flops(c, n);
        for (int k = 0; k < n->n_in; k++)
            if (n->in[k] != TERN_NONE)
                gr->bytes_unfused += (int64_t)tern__type_bytes(tern__type_of(c->g, n->in[k]));
        for (int k = 0; k < n->n_out; k++)
            gr->bytes_unfused += (int64_t)tern__type_bytes(tern__type_of(c->g, n->out[k]));
    }
    describe_choice(c, gr);
    if (gr->n_kerns)
        tern__str_add(&gr->name, gr->kerns[gr->n_kerns - 1]->name);
    return gr->ops.failed || gr->name.failed || gr->choice.failed || gr->problem.failed ? tern__fail(TERN_E_NOMEM, "compile: a group's name") : TERN_OK;
}
