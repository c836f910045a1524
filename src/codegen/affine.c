/* Index arithmetic on sums of variables times constants. */
#include "codegen/affine.h"

tern__aff tern__aff_const(int64_t c)
{
    return (tern__aff){.c = c};
}

tern__aff tern__aff_var(int var)
{
    return (tern__aff){.n = 1, .term = {{var, 1}}};
}

static void put(tern__aff *a, int var, int64_t coef)
{
    if (coef == 0)
        return;
    if (a->n == TERN__AFF_TERMS) {
        a->overflow = true;
        return;
    }
    a->term[a->n].var = var;
    a->term[a->n++].coef = coef;
}

/* Merges two sorted lists of terms. */
tern__aff tern__aff_axpy(tern__aff a, int64_t k, tern__aff b)
{
    tern__aff r = {.c = a.c + k * b.c, .overflow = a.overflow || b.overflow};
    int i = 0, j = 0;
    while (i < a.n || j < b.n) {
        if (j == b.n || (i < a.n && a.term[i].var < b.term[j].var)) {
            put(&r, a.term[i].var, a.term[i].coef);
            i++;
        } else if (i == a.n || b.term[j].var < a.term[i].var) {
            put(&r, b.term[j].var, k * b.term[j].coef);
            j++;
        } else {
            put(&r, a.term[i].var, a.term[i].coef + k * b.term[j].coef);
            i++, j++;
        }
    }
    return r;
}

tern__aff tern__aff_add(tern__aff a, tern__aff b)
{
    return tern__aff_axpy(a, 1, b);
}

bool tern__aff_equal(const tern__aff *a, const tern__aff *b)
{
    if (a->n != b->n || a->c != b->c || a->overflow || b->overflow)
        return false;
    for (int i = 0; i < a->n; i++)
        if (a->term[i].var != b->term[i].var || a->term[i].coef != b->term[i].coef)
            return false;
    return true;
}

int64_t tern__aff_coef(const tern__aff *a, int var)
{
    for (int i = 0; i < a->n; i++)
        if (a->term[i].var == var)
            return a->term[i].coef;
    return 0;
}

tern__aff tern__aff_without(tern__aff a, int var)
{
    tern__aff r = {.c = a.c, .overflow = a.overflow};
    for (int i = 0; i < a.n; i++)
        if (a.term[i].var != var)
            put(&r, a.term[i].var, a.term[i].coef);
    return r;
}
