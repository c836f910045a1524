/* simplify: algebra that needs no arithmetic: x + 0, double transposes, reshapes of reshapes, casts to the same type. */
#include "passes/pass.h"

#include "base/alloc.h"
#include "base/status.h"
#include "ops/movement.h"
#include "ops/op.h"
#include "ops/pool.h"

#include <math.h>
#include <string.h>

/* A node about to be made in g: the old node (op, attributes) over the new graph's inputs. Rules answer with a value of exactly this
 * type, or TERN_NONE to keep the node. No rule changes a result's bits, the sign of a zero and the order of a sum apart. */
typedef struct site {
    tern_graph *g;
    const tern__node *n;
    const tern_value *in;
    tern__type type; /* of the first output */
} site;

bool tern__made_by(const tern_graph *g, tern_value v, const char *op)
{
    const tern__node *n = tern__producer(g, v);
    return n && strcmp(n->op->name, op) == 0;
}

bool tern__number_of(const tern_graph *g, tern_value v, double *x)
{
    while (tern__made_by(g, v, "expand") || tern__made_by(g, v, "reshape") || tern__made_by(g, v, "transpose") || tern__made_by(g, v, "slice"))
        v = tern__producer(g, v)->in[0];
    return tern__const_scalar(g, v, x);
}

static bool is_number(const site *s, int i, double want)
{
    double x;
    return tern__number_of(s->g, s->in[i], &x) && x == want;
}

static bool is_float(const site *s)
{
    return tern__dtype_is(s->type.dtype, TERN__T_FLOAT);
}

/* Operand i, broadcast as the node would have. */
static tern_value operand(const site *s, int i)
{
    return tern__expand_to(s->g, s->in[i], &s->type.shape);
}

static tern_value add(const site *s)
{
    if (is_number(s, 1, 0))
        return operand(s, 0);
    return is_number(s, 0, 0) ? operand(s, 1) : TERN_NONE;
}

static tern_value mul(const site *s)
{
    for (int i = 0; i < 2; i++) {
        if (is_number(s, i, 1))
            return operand(s, 1 - i);
        if (!is_float(s) && is_number(s, i, 0)) /* a float's NaN times 0 is not 0 */
            return operand(s, i);
    }
    return TERN_NONE;
}

static tern_value sub(const site *s)
{
    double x;
    if (is_number(s, 1, 0))
        return operand(s, 0);
    if (is_float(s) && tern__number_of(s->g, s->in[1], &x))
        return operand(&(site){.g = s->g, .in = (tern_value[]){tern__add_scalar(s->g, s->in[0], -x)}, .type = s->type}, 0);
    return TERN_NONE;
}

/* 1/x is exact and far from the ends of even the smallest float's range. */
static bool invertible(double x)
{
    int exponent;
    return fabs(frexp(x, &exponent)) == 0.5 && exponent > -12 && exponent < 12;
}

static tern_value divide(const site *s)
{
    double x;
    if (is_number(s, 1, 1))
        return operand(s, 0);
    if (is_float(s) && tern__number_of(s->g, s->in[1], &x) && invertible(x))
        return operand(&(site){.g = s->g, .in = (tern_value[]){tern__mul_scalar(s->g, s->in[0], 1 / x)}, .type = s->type}, 0);
    return TERN_NONE;
}

static tern_value power(const site *s)
{
    if (is_number(s, 1, 1))
        return operand(s, 0);
    if (!is_number(s, 1, 2))
        return TERN_NONE;
    tern_value x = operand(s, 0);
    return tern__mul(s->g, x, x);
}

static tern_value negate(const site *s)
{
    return tern__made_by(s->g, s->in[0], "neg") ? tern__producer(s->g, s->in[0])->in[0] : TERN_NONE;
}

static bool same_ints(const tern__node *a, const tern__node *b, int slot)
{
    int m, n;
    const int64_t *x = tern__attr_ints(a, slot, &m), *y = tern__attr_ints(b, slot, &n);
    return m == n && (m == 0 || memcmp(x, y, (size_t)m * sizeof *x) == 0);
}

/* The max_pool whose gradient v is, through that pooling's own windows; NULL if it is no such thing. */
static const tern__node *pooling_behind(const tern_graph *g, tern_value v)
{
    const tern__node *d = tern__made_by(g, v, "max_pool_grad") ? tern__producer(g, v) : NULL;
    const tern__node *p = d && tern__made_by(g, d->in[0], "max_pool") ? tern__producer(g, d->in[0]) : NULL;
    if (!p || d->in[0] != p->out[1] || !tern__shape_equal(tern__shape_of(g, v), tern__shape_of(g, p->in[0])))
        return NULL;
    for (int slot = TERN__SP_STRIDES; slot <= TERN__POOL_KERNEL; slot++)
        if (!same_ints(d, p, slot))
            return NULL;
    return tern__attr_int(d, TERN__POOL_CEIL) == tern__attr_int(p, TERN__POOL_CEIL) ? p : NULL;
}

/* where(x > 0, max_pool_grad(index, dy), 0) with y, index = max_pool(x): only a window's largest element gets its dy, and y is that
 * element, so dy is masked by y > 0 before it is spread. */
static tern_value mask_pooled(const site *s)
{
    tern_graph *g = s->g;
    double zero;
    const tern__node *p = pooling_behind(g, s->in[1]);
    if (!p || !tern__made_by(g, s->in[0], "greater") || !is_number(s, 2, 0) || !tern__shape_equal(tern__shape_of(g, s->in[1]), &s->type.shape))
        return TERN_NONE;
    const tern__node *mask = tern__producer(g, s->in[0]), *d = tern__producer(g, s->in[1]);
    if (mask->in[0] != p->in[0] || !tern__number_of(g, mask->in[1], &zero) || zero != 0)
        return TERN_NONE;
    tern_value in[2] = {d->in[0]}, out = TERN_NONE;
    in[1] = tern__where(g, tern__compare(g, "greater", p->out[0], 0), d->in[1], tern__like(g, d->in[1], 0));
    if (tern_graph_check(g) == TERN_OK)
        tern__graph_add_like(g, d, in, &out);
    return out;
}

static tern_value where(const site *s)
{
    tern_value masked = mask_pooled(s);
    if (masked != TERN_NONE || tern_graph_check(s->g) != TERN_OK)
        return masked;
    double c;
    if (tern__number_of(s->g, s->in[0], &c))
        return operand(s, c != 0 ? 1 : 2);
    return s->in[1] == s->in[2] ? operand(s, 1) : TERN_NONE;
}

/* identity; and any op of one input for which nothing else is left than to hand it on. */
static tern_value pass_on(const site *s)
{
    return s->in[0];
}

static tern_value cast(const site *s)
{
    return tern__dtype_of(s->g, s->in[0]) == s->type.dtype ? s->in[0] : TERN_NONE;
}

static bool keeps_shape(const site *s)
{
    return tern__shape_equal(tern__shape_of(s->g, s->in[0]), &s->type.shape);
}

/* The input under the node's shape, taken from where a chain of reshapes began. */
static tern_value reshaped(const site *s)
{
    tern_value v = s->in[0];
    const tern__node *p;
    while ((p = tern__producer(s->g, v)) && p->op->reshapes)
        v = p->in[0];
    if (tern__elems(&s->type.shape) == 0) /* an extent of 0 in reshape's attribute means another thing */
        return TERN_NONE;
    return tern__reshape(s->g, v, &s->type.shape);
}

static tern_value expand(const site *s)
{
    if (keeps_shape(s))
        return s->in[0];
    return tern__made_by(s->g, s->in[0], "expand") ? tern__expand_to(s->g, tern__producer(s->g, s->in[0])->in[0], &s->type.shape) : TERN_NONE;
}

/* A transpose that leaves the order of all axes longer than 1 moves nothing. */
static bool moves_nothing(const tern_shape *in, const int *perm)
{
    int last = -1;
    for (int i = 0; i < in->rank; i++) {
        if (in->dim[perm[i]] == 1)
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

static tern_value transpose(const site *s)
{
    const int rank = s->type.shape.rank;
    int outer[TERN_MAX_RANK], inner[TERN_MAX_RANK], both[TERN_MAX_RANK];
    if (tern__transpose_perm(s->n, rank, outer) != TERN_OK)
        return TERN_NONE;
    if (moves_nothing(tern__shape_of(s->g, s->in[0]), outer))
        return reshaped(s);
    if (!tern__made_by(s->g, s->in[0], "transpose"))
        return TERN_NONE;
    const tern__node *p = tern__producer(s->g, s->in[0]);
    if (tern__transpose_perm(p, rank, inner) != TERN_OK)
        return TERN_NONE;
    for (int i = 0; i < rank; i++)
        both[i] = inner[outer[i]];
    return tern__transpose(s->g, p->in[0], both);
}

static tern_value slice(const site *s)
{
    tern__slice_map m;
    if (!keeps_shape(s) || tern__slice_map_of(s->n, tern__shape_of(s->g, s->in[0]), &m) != TERN_OK)
        return TERN_NONE;
    for (int i = 0; i < s->type.shape.rank; i++)
        if (m.begin[i] != 0 || (m.step[i] != 1 && s->type.shape.dim[i] > 1))
            return TERN_NONE;
    return s->in[0];
}

static tern_value pad(const site *s)
{
    tern__pad_map m;
    if (!keeps_shape(s) || tern__pad_map_of(s->n, tern__shape_of(s->g, s->in[0]), &m) != TERN_OK)
        return TERN_NONE;
    for (int i = 0; i < s->type.shape.rank; i++)
        if (m.before[i] || m.after[i])
            return TERN_NONE;
    return s->in[0];
}

static tern_value concat(const site *s)
{
    return s->n->n_in == 1 ? s->in[0] : TERN_NONE;
}

/* Folding axes of one element each. */
static tern_value reduce(const site *s)
{
    if (tern__elems(tern__shape_of(s->g, s->in[0])) != tern__elems(&s->type.shape) || tern__elems(&s->type.shape) == 0)
        return TERN_NONE;
    return reshaped(s);
}

/* No element lies in two windows, and each window has one. */
static bool windows_part(const tern_graph *g, const tern__node *pooling)
{
    tern__spatial sp;
    if (tern__pool_geometry(pooling, tern__type_of(g, pooling->in[0]), &sp) != TERN_OK)
        return false;
    for (int d = 0; d < 3; d++)
        if (sp.dilation[d] != 1 || sp.kernel[d] > sp.stride[d])
            return false;
    return true;
}

/* The sum over whole planes of a max_pool_grad is that of its dy, zeroes apart: each dy goes to one place. */
static tern_value sum(const site *s)
{
    const tern_shape *x = tern__shape_of(s->g, s->in[0]);
    unsigned mask = 0;
    const tern__node *p = pooling_behind(s->g, s->in[0]);
    if (!p || !windows_part(s->g, p) || tern__reduce_mask(s->n, x->rank, &mask) != TERN_OK || (mask | 3u) != (1u << x->rank) - 1)
        return reduce(s);
    tern_value out = TERN_NONE;
    tern__graph_add_like(s->g, s->n, &tern__producer(s->g, s->in[0])->in[1], &out);
    return out;
}

static const struct {
    const char *op;
    tern_value (*rule)(const site *s);
} rules[] = {
    {"add", add},         {"cast", cast},      {"concat", concat}, {"div", divide},       {"expand", expand},    {"identity", pass_on},
    {"mean", reduce},     {"mul", mul},        {"neg", negate},    {"pad", pad},          {"pow", power},        {"prod", reduce},
    {"reduce_max", reduce}, {"reduce_min", reduce}, {"slice", slice}, {"sub", sub},       {"sum", sum},       {"transpose", transpose},
    {"where", where},
};

static tern_value simpler(const site *s)
{
    if (s->n->op->reshapes)
        return reshaped(s);
    for (int i = 0; i < TERN_COUNT(rules); i++)
        if (strcmp(rules[i].op, s->n->op->name) == 0)
            return rules[i].rule(s);
    return TERN_NONE;
}

static tern_status simplify_or_copy(tern__rewrite *rw, const tern__node *n, tern_value *in)
{
    for (int i = 0; i < n->n_in; i++)
        in[i] = tern__rewrite_value(rw, n->in[i]);
    TERN_TRY(tern_graph_check(rw->to));
    site s = {.g = rw->to, .n = n, .in = in, .type = *tern__type_of(rw->from, n->out[0])};
    tern_value v = n->n_out == 1 ? simpler(&s) : TERN_NONE;
    TERN_TRY(tern_graph_check(rw->to));
    if (v == TERN_NONE)
        return tern__rewrite_copy(rw, n);
    rw->map[n->out[0]] = v;
    return TERN_OK;
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    tern_value *in = tern__alloc_array((size_t)n->n_in, sizeof *in);
    tern_status st = in ? simplify_or_copy(rw, n, in) : tern__fail(TERN_E_NOMEM, "simplify: no memory for %s", n->op->name);
    tern__free(in);
    return st;
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    return tern__graph_rewrite(in, NULL, visit, out);
}

const tern__pass tern__pass_simplify = {
    .name = "simplify",
    .doc = "removes what does nothing: x + 0, x * 1, double transposes, reshapes of reshapes, casts to the same type",
    .run = run,
};
