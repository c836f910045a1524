/* The hooks of template kernels: codegen's functions that finish an anchor's results or fetch its operands. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "codegen/marks.h"
#include "compile/compile.h"

/* Coordinates of v in terms of the hook's axes; vars are the first variables of the body. */
static void hook_coords(tern__body *b, const tern_shape *s, const tern__hook_axis *axes, int lane, tern__aff *coord, int *n_axes)
{
    int d = 0, n = 0;
    for (; axes[n].dims > 0; n++) {
        int64_t extent = 1;
        for (int i = 0; i < axes[n].dims && d + i < s->rank; i++)
            extent *= s->dim[d + i];
        char name[16];
        snprintf(name, sizeof name, "c%d", n);
        int var;
        tern__aff a = tern__body_axis(b, name, extent, n == lane ? TERN_MAX(axes[n].multiple_of, 1) : 1, &var);
        if (n == lane)
            b->lane = var;
        /* Several dimensions behind one coordinate: peel off the inner ones. */
        for (int i = axes[n].dims - 1; i > 0 && d + i < s->rank; i--)
            tern__body_divmod(b, a, s->dim[d + i], &a, &coord[d + i]);
        if (d < s->rank)
            coord[d] = a;
        d += axes[n].dims;
    }
    if (d != s->rank)
        tern__body_fail(b, "hook axes cover %d of %d dimensions", d, s->rank);
    *n_axes = n;
}

static void signature(tern__str *s, const char *type, const char *name, int width, const char *first, int n_axes)
{
    tern__str_addf(s, "static inline %s %s", type, name);
    if (width > 1)
        tern__str_addf(s, "%d", width);
    tern__str_addf(s, "(%s", first);
    for (int i = 0; i < n_axes; i++)
        tern__str_addf(s, "%sconst uint c%d", i || *first ? ", " : "", i);
    tern__str_add(s, ", HOOK_PARAMS)\n{\n");
}

/* NAME gets its own name in each kernel, since kernels share a program. */
static void rename_hook(tern__kern *k, const char *name, int width)
{
    char full[64];
    snprintf(full, sizeof full, width > 1 ? "%s%d" : "%s", name, width);
    tern__str_addf(&k->hooks, "#define %s " TERN__MARK_NAME "_%s\n", full, full);
    tern__str_addf(&k->undefs, "#undef %s\n", full);
}

static const char *lane_of(int j)
{
    static const char *const names[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "sa", "sb", "sc", "sd", "se", "sf"};
    return names[j];
}

static void print_coords(tern__str *s, int n_axes, int lane, int j)
{
    for (int i = 0; i < n_axes; i++) {
        tern__str_addf(s, ", c%d", i);
        if (i == lane && j)
            tern__str_addf(s, " + %du", j);
    }
}

static void note_reads(const tern__body *b, bool *reads)
{
    for (int i = 0; i < b->n_ins; i++)
        if (b->ins[i].op == TERN__INS_LOAD)
            reads[b->ins[i].param] = true;
}

static tern__body *hook_body(tern__kern *k)
{
    tern__body *b = tern__alloc(sizeof *b);
    if (!b) {
        tern__fail(TERN_E_NOMEM, "codegen: %zu bytes", sizeof *b);
        k->failed = k->no_memory = true;
        return NULL;
    }
    tern__body_init(b, k->l->c->g, &k->params, tern__group_inside, k->l);
    return b;
}

/* Is w output v of the anchor, or computed from it inside the group? marks: room for a flag per node of the graph. */
static bool comes_from(const tern__lower *l, tern_value w, tern_value v, char *marks)
{
    const tern_graph *g = l->c->g;
    const int anchor = tern__value_at(g, v)->node, last = tern__value_at(g, w)->node;
    if (w == v || last <= anchor)
        return w == v;
    for (int i = anchor + 1; i <= last; i++) {
        const tern__node *n = g->nodes[i];
        marks[i] = 0;
        for (int k = 0; k < n->n_in && tern__group_inside(l, n->out[0]); k++) {
            const tern_value x = n->in[k];
            if (x == TERN_NONE || tern__value_at(g, x)->kind != TERN__VALUE_NODE)
                continue;
            marks[i] |= x == v || (tern__value_at(g, x)->node > anchor && marks[tern__value_at(g, x)->node]);
        }
    }
    return marks[last];
}

/* Is result w of the group stored by the hook of the anchor's output v? The first output's hook takes what comes from none. Something that
 * comes from two is stored by both hooks, and either fails, since it has only one of the registers. */
static bool is_stored_with(const tern__lower *l, tern_value w, tern_value v, char *marks)
{
    const tern__node *n = tern__producer(l->c->g, v);
    if (n->n_out == 1 || comes_from(l, w, v, marks))
        return true;
    for (int i = 0; i < n->n_out; i++)
        if (comes_from(l, w, n->out[i], marks))
            return false;
    return v == n->out[0];
}

static char *new_marks(const tern__lower *l)
{
    char *marks = tern__alloc((size_t)l->c->g->n_nodes);
    if (!marks)
        tern__fail(TERN_E_NOMEM, "codegen: %d flags", l->c->g->n_nodes);
    return marks;
}

bool tern__lower_is_wanted(tern__lower *l, tern_value v)
{
    char *marks = new_marks(l);
    bool wanted = false;
    l->group->no_memory |= !marks;
    for (int i = 0; i < l->group->n_outs && marks && !wanted; i++)
        wanted = comes_from(l, l->group->outs[i], v, marks);
    tern__free(marks);
    return wanted;
}

/* Stores w at the element of v that coord names. A w that is a reshape, made in the group, of something with v's shape is written
 * where the element lies in row-major order. */
static void store_result(const tern__lower *l, tern__body *b, tern_value w, tern_value v, const tern__aff *coord)
{
    const tern_graph *g = l->c->g;
    tern_value from = w;
    for (const tern__node *n = tern__producer(g, from); n && n->op->reshapes && tern__group_inside(l, from); n = tern__producer(g, from))
        from = n->in[0];
    if (!tern__shape_equal(tern__shape_of(g, from), tern__shape_of(g, v)))
        tern__body_fail(b, "a result of another shape than the anchor's");
    else if (from == w)
        tern__body_store(b, w, coord, tern__body_value(b, w, coord));
    else if (tern__type_of(g, w)->layout.kind != TERN__PLAIN)
        tern__body_fail(b, "a reshape into blocked memory");
    else
        tern__body_store_at(b, w, tern__body_linear(tern__shape_of(g, v), coord), tern__body_value(b, from, coord));
}

/* The body that finishes v: stores of everything the group keeps that has v's shape. */
static tern__body *store_body(tern__kern *k, tern_value v, const tern__hook_axis *axes, int lane, int *n_axes)
{
    tern__body *b = hook_body(k);
    if (!b)
        return NULL;
    const tern_graph *g = k->l->c->g;
    tern__aff coord[TERN_MAX_RANK];
    hook_coords(b, tern__shape_of(g, v), axes, lane, coord, n_axes);
    tern__body_preset(b, v, coord, "acc", true, ~0u);
    tern__group *gr = k->l->group;
    char *marks = new_marks(k->l);
    if (!marks)
        k->failed = k->no_memory = true;
    for (int i = 0; i < gr->n_outs && marks; i++) {
        if (!is_stored_with(k->l, gr->outs[i], v, marks))
            continue;
        store_result(k->l, b, gr->outs[i], v, coord);
    }
    tern__free(marks);
    return b;
}

static void body_failed(tern__kern *k, const tern__body *b)
{
    tern__fail(TERN_E_UNSUPPORTED, "fusion: %s", b->reason);
    k->failed = true;
}

void tern__kern_store(tern__kern *k, const char *name, tern_value v, const tern__hook_axis *axes, int lane, unsigned widths)
{
    if (!k || k->failed)
        return;
    int n_axes = 0;
    tern__body *b = store_body(k, v, axes, lane, &n_axes);
    if (!b)
        return;
    tern_dtype t = tern__dtype_of(k->l->c->g, v);
    if (b->failed)
        body_failed(k, b);
    for (int width = 1; width <= 16 && !k->failed; width *= 2) {
        if (width > 1 && !(widths & (unsigned)width))
            continue;
        char first[32];
        snprintf(first, sizeof first, width > 1 ? "const %s%d acc" : "const %s acc", tern__reg_type(t), width);
        rename_hook(k, name, width);
        signature(&k->hooks, "void", name, width, first, n_axes);
        if (width == 1 || tern__body_vectorizable(b, width)) {
            tern__printed done = {0};
            tern__body_print(b, &k->hooks, &k->l->c->needs, width, ~0u, &done, 4);
        } else {
            for (int j = 0; j < width; j++) {
                tern__str_addf(&k->hooks, "    %s(acc.%s", name, lane_of(j));
                print_coords(&k->hooks, n_axes, lane, j);
                tern__str_add(&k->hooks, ", HOOK_ARGS);\n");
            }
        }
        tern__str_add(&k->hooks, "}\n");
    }
    if (!k->failed && !k->stores) {
        tern__body *one[1] = {b};
        tern__find_in_place(one, 1, &k->params, k->l->c->g, k->in_place);
    } else { /* what one hook overwrites the other may still want */
        memset(k->in_place, 0, sizeof k->in_place);
    }
    k->stores = true;
    tern__free(b);
}

bool tern__kern_store_ahead(tern__kern *k, const char *name, tern_value v, const tern__hook_axis *axes, int lane, int width)
{
    if (!k || k->failed)
        return false;
    int n_axes = 0;
    char full[32];
    tern__str asks = {0};
    tern__body *b = store_body(k, v, axes, lane, &n_axes);
    bool any = b && !b->failed && tern__body_vectorizable(b, width) && tern__body_print_ahead(b, &asks, &k->l->c->needs, width, 4);
    if (any) {
        snprintf(full, sizeof full, "%s%d_AHEAD", name, width);
        rename_hook(k, full, 1);
        signature(&k->hooks, "void", full, 1, "", n_axes);
        tern__str_addf(&k->hooks, "%s}\n", tern__str_text(&asks));
        k->hooks.failed |= asks.failed;
    }
    tern__str_finish(&asks);
    tern__free(b);
    return any;
}

void tern__kern_load(tern__kern *k, const char *name, tern_value v, const tern__hook_axis *axes, int lane, unsigned widths)
{
    if (!k || k->failed)
        return;
    tern__body *b = hook_body(k);
    if (!b)
        return;
    int n_axes = 0;
    tern__aff coord[TERN_MAX_RANK];
    const tern__type *t = tern__type_of(k->l->c->g, v);
    hook_coords(b, &t->shape, axes, lane, coord, &n_axes);
    int r = tern__body_value(b, v, coord);
    if (b->failed)
        body_failed(k, b);
    for (int width = 1; width <= 16 && !k->failed; width *= 2) {
        if (width > 1 && !(widths & (unsigned)width))
            continue;
        char type[32];
        snprintf(type, sizeof type, width > 1 ? "%s%d" : "%s", tern__reg_type(t->dtype), width);
        rename_hook(k, name, width);
        signature(&k->hooks, type, name, width, "", n_axes);
        if (width == 1 || tern__body_vectorizable(b, width)) {
            tern__printed done = {0};
            tern__body_print(b, &k->hooks, &k->l->c->needs, width, ~0u, &done, 4);
            tern__str_add(&k->hooks, "    return ");
            tern__body_operand(b, &k->hooks, r, width);
            tern__str_add(&k->hooks, ";\n}\n");
            continue;
        }
        tern__str_addf(&k->hooks, "    return (%s)(", type);
        for (int j = 0; j < width; j++) {
            tern__str_addf(&k->hooks, "%s%s(", j ? ", " : "", name);
            tern__str c = {0};
            print_coords(&c, n_axes, lane, j);
            tern__str_add(&k->hooks, tern__str_text(&c) + (c.len ? 2 : 0));
            k->hooks.failed |= c.failed;
            tern__str_finish(&c);
            tern__str_add(&k->hooks, ", HOOK_ARGS)");
        }
        tern__str_add(&k->hooks, ");\n}\n");
    }
    note_reads(b, k->load_reads);
    tern__free(b);
}
