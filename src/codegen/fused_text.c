/* Text that both families' fused kernels are made of. */
#include <stdio.h>

#include "base/status.h"
#include "codegen/fused_impl.h"
#include "codegen/marks.h"
#include "compile/lower.h"

/* Innermost axis first. Remainders are written as differences: some compilers turn x / n beside x % n into instructions that
 * OpenCL simulators do not know. */
void tern__fz_decompose(const tern__fz *z, tern__str *s, const char *from, const int *axes, int n, int indent)
{
    char now[32];
    snprintf(now, sizeof now, "%s", from);
    for (int i = n - 1; i >= 0; i--) {
        const char *name = tern__fz_name(z, axes[i]);
        long long e = tern__fz_extent(z, axes[i]);
        if (i == 0) {
            tern__str_addf(s, "%*sconst uint %s = %s;\n", indent, "", name, now);
            return;
        }
        char next[32];
        snprintf(next, sizeof next, "%.12s_%d", from, i);
        tern__str_addf(s, "%*sconst uint %s = %s / %lldu;\n%*sconst uint %s = %s - %s * %lldu;\n", indent, "", next, now, e, indent, "", name, now, next, e);
        snprintf(now, sizeof now, "%s", next);
    }
}

void tern__fz_uses(const tern__fz *z, tern__body *const *bodies, int n, unsigned char *uses)
{
    (void)z;
    for (int k = 0; k < n; k++)
        for (int i = 0; i < bodies[k]->n_ins; i++)
            if (bodies[k]->ins[i].param >= 0)
                uses[bodies[k]->ins[i].param] = 1;
}

void tern__fz_open(const tern__fz *z, tern__str *s, const tern__fused_kernel *k, const char *attributes)
{
    tern__str_addf(s, "kernel %svoid KERNEL(", attributes);
    tern__print_params(s, z->f->g, &z->params, k->uses);
    bool any = false;
    for (int i = 0; i < z->params.n; i++)
        any |= k->uses[i];
    if (k->partial)
        tern__str_addf(s, "%sglobal %s *part", any ? ", " : "", tern__reg_type(z->red[0].acc));
    tern__str_add(s, TERN__MARK_PARAMS ")\n{\n");
}

void tern__fz_call(const tern__fz *z, tern__str *s, const tern__red *r, int width, const char *part)
{
    if (!tern__need(z->needs, r->op, r->acc, width))
        s->failed = true;
    tern__print_function(s, r->op, r->acc, width);
    tern__str_addf(s, "_%s", part);
}

void tern__fz_declare(const tern__fz *z, tern__str *s, int loop, int width, const char *p, int indent)
{
    for (int i = 0; i < z->n_reds; i++) {
        const tern__red *r = &z->red[i];
        if (r->loop != loop)
            continue;
        tern__str_addf(s, "%*s", indent, "");
        tern__print_type(s, r->acc, width);
        if (r->op->reduction->index) {
            tern__str_addf(s, " %s%d = 0;\n%*slong %s%dk = -1;\n", p, i, indent, "", p, i);
            continue;
        }
        tern__str_addf(s, " %s%d = ", p, i);
        tern__fz_call(z, s, r, width, "init");
        tern__str_add(s, "();\n");
    }
}

/* "r7" as the accumulator's type. */
static void element(const tern__fz *z, tern__str *s, const tern__red *r, int width)
{
    const tern__body *b = z->loop[r->loop];
    tern_dtype t = b->ins[r->reg].dtype;
    bool same = tern__reg_type(t) == tern__reg_type(r->acc);
    if (!same) {
        tern__str_add(s, "convert_");
        tern__print_type(s, r->acc, width);
        tern__str_add(s, "(");
    }
    tern__body_operand(b, s, r->reg, width);
    tern__str_add(s, same ? "" : t == TERN_BOOL ? " & 1)" : ")");
}

/* The first best wins; a NaN wins over everything, as the reference has it. */
static void index_step(const tern__fz *z, tern__str *s, const tern__red *r, int i, const char *p, int indent)
{
    const tern__body *b = z->loop[r->loop];
    tern__str x = {0}, at = {0};
    tern__body_operand(b, &x, r->reg, 1);
    tern__body_operand(b, &at, r->index_reg, 1);
    const char *v = tern__str_text(&x);
    tern__str_addf(s, "%*sif (%s%dk < 0 || %s %c %s%d || (%s != %s && %s%d == %s%d)) {\n", indent, "", p, i, v,
                   r->op->name[3] == 'm' && r->op->name[4] == 'i' ? '<' : '>', p, i, v, v, p, i, p, i);
    tern__str_addf(s, "%*s    %s%d = %s;\n%*s    %s%dk = %s;\n%*s}\n", indent, "", p, i, v, indent, "", p, i, tern__str_text(&at), indent, "");
    s->failed |= x.failed || at.failed;
    tern__str_finish(&x);
    tern__str_finish(&at);
}

void tern__fz_step(const tern__fz *z, tern__str *s, int loop, int width, const char *p, int indent)
{
    for (int i = 0; i < z->n_reds; i++) {
        const tern__red *r = &z->red[i];
        if (r->loop != loop)
            continue;
        if (r->op->reduction->index) {
            index_step(z, s, r, i, p, indent);
            continue;
        }
        tern__str_addf(s, "%*s%s%d = ", indent, "", p, i);
        tern__fz_call(z, s, r, width, "step");
        tern__str_addf(s, "(%s%d, ", p, i);
        element(z, s, r, width);
        tern__str_add(s, ");\n");
    }
}

void tern__fz_finish(const tern__fz *z, tern__str *s, const tern__red *r, int width, const char *p, int indent)
{
    int i = (int)(r - z->red);
    tern_dtype t = tern__dtype_of(z->f->g, r->value);
    tern__str_addf(s, "%*sconst ", indent, "");
    tern__print_type(s, t, width);
    if (r->op->reduction->index) {
        tern__str_addf(s, " %s = %s%dk;\n", r->name, p, i);
        return;
    }
    tern__str_addf(s, " %s = ", r->name);
    bool same = tern__reg_type(t) == tern__reg_type(r->acc);
    if (!same) {
        tern__str_add(s, "convert_");
        tern__print_type(s, t, width);
        tern__str_add(s, "(");
    }
    tern__fz_call(z, s, r, width, "finish");
    tern__str_addf(s, "(%s%d, (%s)%lld)%s;\n", p, i, tern__reg_type(r->acc), (long long)z->n_folded, same ? "" : ")");
}
