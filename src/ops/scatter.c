/* What scatter_slices and scatter_elements share: how updates combine with what they fall on, the reference's sums, and the gradient. */
#include "ops/scatter.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"

tern_status tern__scatter_kind_of(const tern__node *n, int slot, tern__scatter_kind *out)
{
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    const char *name = tern__attr_string(n, slot);
    for (int i = 0; i < TERN_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (tern__scatter_kind)i;
            return TERN_OK;
        }
    }
    return tern__fail(TERN_E_INVALID, "%s: reduction \"%s\" is none of none, add, mul, min, max", n->op->name, name);
}

tern_status tern__scatter_types(const tern__node *n, const tern__type *in, tern__scatter_kind kind)
{
    TERN_TRY(tern__need_kind(n, in, 0, kind == TERN__SCATTER_NONE ? TERN__T_ANY : TERN__T_NUM));
    TERN_TRY(tern__need_kind(n, in, 1, TERN__T_INT));
    return tern__need_same(n, in, 0, 2);
}

/* --- Reference --- */

tern_status tern__scatter_begin(tern__scatter_sums *s, const tern__array *data, tern__scatter_kind kind)
{
    *s = (tern__scatter_sums){
        .kind = kind,
        .is_float = tern__dtype_is(data->type.dtype, TERN__T_FLOAT),
        .is_unsigned = tern__is_unsigned(data->type.dtype),
        .n = tern__elems(&data->type.shape),
    };
    s->at = tern__alloc_array((size_t)s->n, sizeof *s->at);
    if (!s->at)
        return tern__fail(TERN_E_NOMEM, "scatter: %" PRId64 " sums", s->n);
    for (int64_t i = 0; i < s->n; i++) {
        if (s->is_float)
            s->at[i].f = tern__array_get(data, i);
        else
            s->at[i].i = tern__array_get_int(data, i);
    }
    return TERN_OK;
}

/* A NaN beats every number, as in max and min. */
static double combine(tern__scatter_kind kind, double a, double x)
{
    switch (kind) {
    case TERN__SCATTER_ADD: return a + x;
    case TERN__SCATTER_MUL: return a * x;
    case TERN__SCATTER_MIN: return a < x || isnan(a) ? a : x;
    case TERN__SCATTER_MAX: return a > x || isnan(a) ? a : x;
    default: return x;
    }
}

static int64_t combine_ints(tern__scatter_kind kind, int64_t a, int64_t x, bool is_unsigned)
{
    const bool less = is_unsigned ? (uint64_t)a < (uint64_t)x : a < x;
    switch (kind) {
    case TERN__SCATTER_ADD: return (int64_t)((uint64_t)a + (uint64_t)x);
    case TERN__SCATTER_MUL: return (int64_t)((uint64_t)a * (uint64_t)x);
    case TERN__SCATTER_MIN: return less ? a : x;
    case TERN__SCATTER_MAX: return less ? x : a;
    default: return x;
    }
}

void tern__scatter_update(tern__scatter_sums *s, int64_t i, const tern__array *updates, int64_t j)
{
    if (s->is_float)
        s->at[i].f = combine(s->kind, s->at[i].f, tern__array_get(updates, j));
    else
        s->at[i].i = combine_ints(s->kind, s->at[i].i, tern__array_get_int(updates, j), s->is_unsigned);
}

void tern__scatter_end(tern__scatter_sums *s, const tern__array *out)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (s->is_float)
            tern__array_set(out, i, s->at[i].f);
        else
            tern__array_set_int(out, i, s->at[i].i);
    }
    tern__free(s->at);
}

/* --- Gradient --- */

/* The node, and how to go to its result and back. */
typedef struct site {
    tern_graph *g;
    const tern__node *n;
    const char *gather;
    int64_t axis;
} site;

static tern_value scatter(const site *s, tern_value data, tern_value updates, const char *reduction)
{
    return tern_graph_op3(s->g, s->n->op->name, data, s->n->in[1], updates,
                          TERN_ATTRS(TERN_INT("axis", s->axis), TERN_STRING("reduction", reduction)));
}

static tern_value gather(const site *s, tern_value v)
{
    return tern_graph_op2(s->g, s->gather, v, s->n->in[1], TERN_ATTRS(TERN_INT("axis", s->axis)));
}


/* Of several updates to one element only the last stands: each writes its position, and who finds it there has won. */
static void grad_none(const site *s, tern_value dy, tern_value *dx)
{
    tern_graph *g = s->g;
    const tern_shape shape = *tern__shape_of(g, s->n->in[2]);
    const int64_t count = tern__elems(&shape);
    tern_value positions = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", &count, 1)));
    positions = tern__reshape(g, positions, &shape);
    tern_value nobody = tern__expand_to(g, tern_graph_scalar(g, TERN_I64, -1), tern__shape_of(g, s->n->in[0]));
    tern_value winner = scatter(s, nobody, positions, "none");
    dx[0] = tern__where(g, tern__compare(g, "less", winner, 0), dy, tern__like(g, dy, 0));
    dx[2] = tern__where(g, tern_graph_op2(g, "equal", gather(s, winner), positions, NULL), gather(s, dy), tern__like(g, dy, 0));
}

/* Those that are as large (as small) as the result share what comes back. */
static void grad_best(const site *s, tern_value dy, tern_value *dx)
{
    tern_graph *g = s->g;
    const tern_dtype t = tern__dtype_of(g, dy);
    tern_value y = s->n->out[0], zero = tern__like(g, dy, 0);
    tern_value data_is = tern_graph_op2(g, "equal", s->n->in[0], y, NULL), update_is = tern_graph_op2(g, "equal", s->n->in[2], gather(s, y), NULL);
    tern_value share = tern__div(g, dy, scatter(s, tern__cast(g, data_is, t), tern__cast(g, update_is, t), "add"));
    dx[0] = tern__where(g, data_is, share, zero);
    dx[2] = tern__where(g, update_is, gather(s, share), zero);
}

/* d/dx of a product is the product of the others: of all over x, or, where x is the only 0, of those that are not 0. */
static tern_value others(tern_graph *g, tern_value x, tern_value product, tern_value zeros)
{
    tern_value is_zero = tern__compare(g, "equal", x, 0), none = tern__like(g, x, 0);
    tern_value alone = tern__where(g, tern__compare(g, "equal", zeros, 1), product, none);
    tern_value divided = tern__div(g, product, tern__where(g, is_zero, tern__like(g, x, 1), x));
    return tern__where(g, is_zero, alone, tern__where(g, tern__compare(g, "equal", zeros, 0), divided, none));
}

static void grad_mul(const site *s, tern_value dy, tern_value *dx)
{
    tern_graph *g = s->g;
    const tern_dtype t = tern__dtype_of(g, dy);
    tern_value data = s->n->in[0], updates = s->n->in[2], one = tern__like(g, dy, 1);
    tern_value data_zero = tern__compare(g, "equal", data, 0), update_zero = tern__compare(g, "equal", updates, 0);
    tern_value zeros = scatter(s, tern__cast(g, data_zero, t), tern__cast(g, update_zero, t), "add");
    tern_value product = scatter(s, tern__where(g, data_zero, one, data), tern__where(g, update_zero, one, updates), "mul");
    dx[0] = tern__mul(g, dy, others(g, data, product, zeros));
    dx[2] = tern__mul(g, gather(s, dy), others(g, updates, gather(s, product), gather(s, zeros)));
}

tern_status tern__scatter_grad(tern_graph *g, const tern__node *n, const char *gather_op, const tern_value *dy, tern_value *dx)
{
    const site s = {.g = g, .n = n, .gather = gather_op, .axis = tern__attr_int(n, TERN__SCATTER_AXIS)};
    tern__scatter_kind kind;
    TERN_TRY(tern__scatter_kind_of(n, TERN__SCATTER_REDUCTION, &kind));
    switch (kind) {
    case TERN__SCATTER_ADD:
        dx[0] = dy[0];
        dx[2] = gather(&s, dy[0]);
        break;
    case TERN__SCATTER_MUL:
        grad_mul(&s, dy[0], dx);
        break;
    case TERN__SCATTER_NONE:
        grad_none(&s, dy[0], dx);
        break;
    default:
        grad_best(&s, dy[0], dx);
    }
    return tern_graph_check(g);
}

tern_status tern__scatter_expand_scalar(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    if (tern__shape_of(g, in[1])->rank > 0)
        return TERN_OK;
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCATTER_AXIS), tern__shape_of(g, in[0])->rank, &axis));
    const tern_value with[3] = {in[0], tern__unsqueeze(g, in[1], 1), tern__unsqueeze(g, in[2], 1u << axis)};
    TERN_TRY(tern_graph_check(g));
    tern__graph_add_like(g, n, with, out);
    return TERN_OK;
}
