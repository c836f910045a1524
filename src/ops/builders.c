/* Short forms that gradients and expansions are written with; each leaves out work that would change nothing. */
#include "ops/op.h"

#include "base/status.h"
#include "ops/common.h"

/* False, with an error latched, where there is no such value. */
static bool usable(tern_graph *g, tern_value v)
{
    if (g->error != TERN_OK)
        return false;
    if (v >= 0 && v < g->n_values)
        return true;
    tern__graph_fail(g, TERN_E_INVALID, "a value is missing in the middle of an expression");
    return false;
}

tern_value tern__add(tern_graph *g, tern_value a, tern_value b)
{
    return tern_graph_op2(g, "add", a, b, NULL);
}

tern_value tern__sub(tern_graph *g, tern_value a, tern_value b)
{
    return tern_graph_op2(g, "sub", a, b, NULL);
}

tern_value tern__mul(tern_graph *g, tern_value a, tern_value b)
{
    return tern_graph_op2(g, "mul", a, b, NULL);
}

tern_value tern__div(tern_graph *g, tern_value a, tern_value b)
{
    return tern_graph_op2(g, "div", a, b, NULL);
}

tern_value tern__neg(tern_graph *g, tern_value a)
{
    return tern_graph_op1(g, "neg", a, NULL);
}

tern_value tern__like(tern_graph *g, tern_value like, double x)
{
    return usable(g, like) ? tern_graph_scalar(g, tern__dtype_of(g, like), x) : TERN_NONE;
}

tern_value tern__mul_scalar(tern_graph *g, tern_value a, double x)
{
    return x == 1 ? a : tern__mul(g, a, tern__like(g, a, x));
}

tern_value tern__add_scalar(tern_graph *g, tern_value a, double x)
{
    return x == 0 ? a : tern__add(g, a, tern__like(g, a, x));
}

tern_value tern__where(tern_graph *g, tern_value c, tern_value a, tern_value b)
{
    return tern_graph_op3(g, "where", c, a, b, NULL);
}

tern_value tern__compare(tern_graph *g, const char *op, tern_value a, double x)
{
    return tern_graph_op2(g, op, a, tern__like(g, a, x), NULL);
}

tern_value tern__unary(tern_graph *g, const char *op, tern_value a)
{
    return tern_graph_op1(g, op, a, NULL);
}

/* A reduction over the axes in mask; none at all leaves a as it is. */
static tern_value reduce(tern_graph *g, const char *op, tern_value a, unsigned mask, bool keepdims)
{
    int64_t axes[TERN_MAX_RANK];
    int n = 0;
    for (int i = 0; i < TERN_MAX_RANK; i++)
        if (mask >> i & 1)
            axes[n++] = i;
    return n ? tern_graph_op1(g, op, a, TERN_ATTRS(TERN_INTS("axes", axes, n), TERN_INT("keepdims", keepdims))) : a;
}

tern_value tern__sum_axes(tern_graph *g, tern_value a, unsigned mask, bool keepdims)
{
    return reduce(g, "sum", a, mask, keepdims);
}

tern_value tern__mean_axes(tern_graph *g, tern_value a, unsigned mask, bool keepdims)
{
    return reduce(g, "mean", a, mask, keepdims);
}

tern_value tern__max_axes(tern_graph *g, tern_value a, unsigned mask, bool keepdims)
{
    return reduce(g, "reduce_max", a, mask, keepdims);
}

tern_value tern__reshape(tern_graph *g, tern_value a, const tern_shape *s)
{
    if (!usable(g, a) || tern__shape_equal(tern__shape_of(g, a), s))
        return a;
    if (tern__elems(s) == 0 && tern__elems(tern__shape_of(g, a)) == 0) /* in reshape's attribute an extent of 0 means another thing */
        return tern__expand_to(g, tern__like(g, a, 0), s);
    return tern_graph_op1(g, "reshape", a, TERN_ATTRS(TERN_INTS("shape", s->dim, s->rank)));
}

tern_value tern__transpose(tern_graph *g, tern_value a, const int *perm)
{
    if (!usable(g, a))
        return TERN_NONE;
    int64_t list[TERN_MAX_RANK];
    bool moves = false;
    int rank = tern__shape_of(g, a)->rank;
    for (int i = 0; i < rank; i++) {
        list[i] = perm[i];
        moves |= perm[i] != i;
    }
    return moves ? tern_graph_op1(g, "transpose", a, TERN_ATTRS(TERN_INTS("perm", list, rank))) : a;
}

tern_value tern__expand_to(tern_graph *g, tern_value a, const tern_shape *s)
{
    if (!usable(g, a) || tern__shape_equal(tern__shape_of(g, a), s))
        return a;
    return tern_graph_op1(g, "expand", a, TERN_ATTRS(TERN_INTS("shape", s->dim, s->rank)));
}

tern_value tern__cast(tern_graph *g, tern_value a, tern_dtype t)
{
    if (!usable(g, a) || tern__dtype_of(g, a) == t)
        return a;
    return tern_graph_op1(g, "cast", a, TERN_ATTRS(TERN_STRING("to", tern_dtype_name(t))));
}

tern_value tern__unbroadcast(tern_graph *g, tern_value a, const tern_shape *s)
{
    if (!usable(g, a))
        return TERN_NONE;
    const tern_shape *from = tern__shape_of(g, a);
    const int extra = TERN_MAX(from->rank - s->rank, 0);
    unsigned lead = (1u << extra) - 1, mask = lead;
    for (int i = extra; i < from->rank; i++)
        if (s->dim[i - extra] == 1 && from->dim[i] != 1)
            mask |= 1u << i;
    if (mask == lead)
        return tern__sum_axes(g, a, mask, false);
    return tern__squeeze(g, tern__sum_axes(g, a, mask, true), lead);
}
