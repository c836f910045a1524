/* Attention and its gradient in simpler ops: for element types that no kernel takes, for other formats, and for gradients of gradients. */
#include "ops/attention.h"

static tern_shape shape4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (tern_shape){.rank = 4, .dim = {a, b, c, d}};
}

/* Everything in f32 at least. Queries that share a head of k and v lie behind one another: one product serves them all. */
typedef struct parts {
    tern__attention a;
    tern_shape scores, wide, grouped, result; /* [B, H, Sq, Sk]; [B, Hk, G Sq, ..] with Sk, D; [B, H, Sq, Dv] */
    tern_value q, k, v, mask;                 /* q grouped */
    tern_value tanh, s;                       /* of the scores over softcap; the scores [B, H, Sq, Sk] */
} parts;

static tern_value product(tern_graph *g, tern_value a, tern_value b, bool trans_a, bool trans_b)
{
    return tern_graph_op2(g, "matmul", a, b, TERN_ATTRS(TERN_INT("trans_a", trans_a), TERN_INT("trans_b", trans_b)));
}

/* Query i sees key j <= i + offset. */
static tern_value causal_mask(tern_graph *g, const tern__attention *a)
{
    const int64_t rows[2] = {a->sq, 1}, columns[2] = {1, a->sk};
    tern_value i = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", rows, 2), TERN_INT("axis", 0), TERN_STRING("dtype", "i64")));
    tern_value j = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", columns, 2), TERN_INT("axis", 1), TERN_STRING("dtype", "i64")));
    return tern_graph_op2(g, "less_equal", j, tern__add_scalar(g, i, (double)a->offset), NULL);
}

/* The scores of in[0..2] under the mask, TERN_NONE for none. */
static tern_status scores(tern_graph *g, const tern__node *n, const tern_value *in, tern_value mask, parts *p)
{
    tern__attention *a = &p->a;
    tern__attention_read(n, tern__shape_of(g, in[0]), tern__shape_of(g, in[1]), tern__shape_of(g, in[2]), a);
    p->scores = shape4(a->batch, a->heads, a->sq, a->sk);
    p->wide = shape4(a->batch, a->kv_heads, a->group * a->sq, a->sk);
    p->grouped = shape4(a->batch, a->kv_heads, a->group * a->sq, a->d);
    p->result = shape4(a->batch, a->heads, a->sq, a->dv);
    p->q = tern__reshape(g, tern__widen(g, in[0]), &p->grouped);
    p->k = tern__widen(g, in[1]);
    p->v = tern__widen(g, in[2]);
    p->mask = mask;
    tern_value s = tern__mul_scalar(g, tern__reshape(g, product(g, p->q, p->k, false, true), &p->scores), a->scale);
    if (a->softcap > 0) {
        p->tanh = tern__unary(g, "tanh", tern__mul_scalar(g, s, 1 / a->softcap));
        s = tern__mul_scalar(g, p->tanh, a->softcap);
    }
    TERN_TRY(tern_graph_check(g));
    if (p->mask != TERN_NONE && tern__dtype_of(g, p->mask) == TERN_BOOL)
        s = tern__where(g, p->mask, s, tern__like(g, s, a->below));
    else if (p->mask != TERN_NONE)
        s = tern__add(g, s, tern__widen(g, p->mask));
    if (a->causal)
        s = tern__where(g, causal_mask(g, a), s, tern__like(g, s, -INFINITY));
    p->s = s;
    return tern_graph_check(g);
}

/* A row may see nothing, and is then to give 0. */
static bool may_be_empty(const parts *p)
{
    return !p->a.strict && (p->mask != TERN_NONE || p->a.causal);
}

/* Softmax over the last axis, in which a row of -inf gives 0 unless strict. */
static tern_value softmax(tern_graph *g, const parts *p)
{
    const tern_value x = p->s;
    if (!may_be_empty(p))
        return tern_graph_op1(g, "softmax", x, TERN_ATTRS(TERN_INT("axis", -1)));
    const unsigned last = 1u << 3;
    tern_value top = tern__max_axes(g, x, last, true);
    top = tern__where(g, tern__compare(g, "equal", top, -INFINITY), tern__like(g, x, 0), top);
    tern_value e = tern__unary(g, "exp", tern__sub(g, x, top)), sum = tern__sum_axes(g, e, last, true);
    sum = tern__where(g, tern__compare(g, "equal", sum, 0), tern__like(g, sum, 1), sum);
    return tern__div(g, e, sum);
}

/* [B, H, Sq, Dv] as attention's result; and back. */
static tern_value join(tern_graph *g, const tern__attention *a, tern_value y)
{
    static const int perm[] = {0, 2, 1, 3};
    const tern_shape s = {.rank = 3, .dim = {a->batch, a->sq, a->heads * a->dv}};
    return a->joined ? tern__reshape(g, tern__transpose(g, y, perm), &s) : y;
}

tern_value tern__attention_part(tern_graph *g, const tern__attention *a, tern_value y)
{
    static const int perm[] = {0, 2, 1, 3};
    const tern_shape s = shape4(a->batch, a->sq, a->heads, a->dv);
    return a->joined ? tern__transpose(g, tern__reshape(g, y, &s), perm) : y;
}

tern_status tern__attention_expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    static const int64_t last[] = {-1};
    parts p;
    TERN_TRY(scores(g, n, in, tern__has_input(n, 3) ? in[3] : TERN_NONE, &p));
    tern_value y = tern__reshape(g, product(g, tern__reshape(g, softmax(g, &p), &p.wide), p.v, false, false), &p.result);
    out[0] = join(g, &p.a, tern__cast(g, y, tern__dtype_of(g, in[0])));
    out[1] = tern_graph_op1(g, "logsumexp", p.s, TERN_ATTRS(TERN_INTS("axes", last, 1), TERN_INT("keepdims", 0)));
    return TERN_OK;
}

/* --- The gradient --- */

/* The probabilities by their rows' logarithms, and with them the gradient of the scores: p (dy v^T - delta). */
static tern_status score_gradient(tern_graph *g, const tern__node *n, const tern_value *in, parts *p, tern_value *prob, tern_value *ds)
{
    const unsigned last = 1u << 3;
    TERN_TRY(scores(g, n, in, tern__has_input(n, TERN__ATT_GRAD_MASK) ? in[TERN__ATT_GRAD_MASK] : TERN_NONE, p));
    const tern_shape grouped_dy = shape4(p->a.batch, p->a.kv_heads, p->a.group * p->a.sq, p->a.dv);
    tern_value lse = tern__unsqueeze(g, in[TERN__ATT_GRAD_LSE], last), d = tern__reshape(g, tern__widen(g, in[TERN__ATT_GRAD_DY]), &grouped_dy);
    if (may_be_empty(p)) /* e to the less infinity: 0 */
        lse = tern__where(g, tern__compare(g, "equal", lse, -INFINITY), tern__like(g, lse, INFINITY), lse);
    *prob = tern__unary(g, "exp", tern__sub(g, p->s, lse));
    tern_value dp = tern__reshape(g, product(g, d, p->v, false, true), &p->scores);
    *ds = tern__mul(g, *prob, tern__sub(g, dp, tern__unsqueeze(g, in[TERN__ATT_GRAD_DELTA], last)));
    return tern_graph_check(g);
}

tern_status tern__attention_score_grad(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    parts p;
    tern_value prob, ds;
    TERN_TRY(score_gradient(g, n, in, &p, &prob, &ds));
    *out = tern__cast(g, ds, tern__dtype_of(g, in[0]));
    return TERN_OK;
}

/* dV = P^T dY, and dQ and dK from the scores' gradient as through a product. */
tern_status tern__attention_grad_expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    parts p;
    tern_value prob, ds;
    TERN_TRY(score_gradient(g, n, in, &p, &prob, &ds));
    const tern_shape grouped_dy = shape4(p.a.batch, p.a.kv_heads, p.a.group * p.a.sq, p.a.dv);
    const tern_dtype t = tern__dtype_of(g, in[0]);
    tern_value d = tern__reshape(g, tern__widen(g, in[TERN__ATT_GRAD_DY]), &grouped_dy);
    out[2] = tern__cast(g, product(g, tern__reshape(g, prob, &p.wide), d, true, false), t);
    if (p.mask != TERN_NONE && tern__dtype_of(g, p.mask) == TERN_BOOL)
        ds = tern__where(g, p.mask, ds, tern__like(g, ds, 0));
    if (p.a.softcap > 0)
        ds = tern__mul(g, ds, tern__sub(g, tern__like(g, ds, 1), tern__mul(g, p.tanh, p.tanh)));
    ds = tern__reshape(g, tern__mul_scalar(g, ds, p.a.scale), &p.wide);
    const tern_shape like_q = shape4(p.a.batch, p.a.heads, p.a.sq, p.a.d);
    out[0] = tern__cast(g, tern__reshape(g, product(g, ds, p.k, false, false), &like_q), t);
    out[1] = tern__cast(g, product(g, ds, p.q, true, false), t);
    return TERN_OK;
}
