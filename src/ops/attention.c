/* attention: softmax(scale q k^T + mask) v for each head, without a matrix of scores in memory (Vaswani et al. 2017; computed as Milakov and
 * Gimelshein 2018 and Dao et al. 2022 do). */
#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "ops/attention.h"
#include "ops/impls.h"

static const tern__attr_decl attrs[] = {
    [TERN__ATT_SCALE] = {.name = "scale", .type = TERN_ATTR_FLOAT},
    [TERN__ATT_SOFTCAP] = {.name = "softcap", .type = TERN_ATTR_FLOAT},
    [TERN__ATT_BELOW] = {.name = "below", .type = TERN_ATTR_FLOAT, .def = -INFINITY},
    [TERN__ATT_CAUSAL] = {.name = "causal", .type = TERN_ATTR_INT},
    [TERN__ATT_OFFSET] = {.name = "offset", .type = TERN_ATTR_INT},
    [TERN__ATT_STRICT] = {.name = "strict", .type = TERN_ATTR_INT},
    [TERN__ATT_JOINED] = {.name = "joined", .type = TERN_ATTR_INT},
};

static tern_shape shape4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (tern_shape){.rank = 4, .dim = {a, b, c, d}};
}

void tern__attention_read(const tern__node *n, const tern_shape *q, const tern_shape *k, const tern_shape *v, tern__attention *a)
{
    *a = (tern__attention){.batch = q->dim[0], .heads = q->dim[1], .kv_heads = k->dim[1], .sq = q->dim[2], .sk = k->dim[2], .d = q->dim[3], .dv = v->dim[3]};
    a->group = a->kv_heads ? a->heads / a->kv_heads : 0;
    a->scale = tern__attr_float(n, TERN__ATT_SCALE);
    if (a->scale == 0)
        a->scale = a->d ? 1 / sqrt((double)a->d) : 1;
    a->softcap = tern__attr_float(n, TERN__ATT_SOFTCAP);
    a->below = tern__attr_float(n, TERN__ATT_BELOW);
    a->causal = tern__attr_int(n, TERN__ATT_CAUSAL) != 0;
    a->offset = tern__attr_int(n, TERN__ATT_OFFSET);
    a->strict = tern__attr_int(n, TERN__ATT_STRICT) != 0;
    a->joined = tern__attr_int(n, TERN__ATT_JOINED) != 0;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char t[4][TERN__SHAPE_TEXT];
    tern__attention a;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    for (int i = 0; i < 3; i++) {
        TERN_TRY(tern__need_rank(n, in, i, 4, 4));
        TERN_TRY(tern__need_same(n, in, 0, i));
    }
    const tern_shape *q = &in[0].shape, *k = &in[1].shape, *v = &in[2].shape;
    if (k->dim[0] != q->dim[0] || v->dim[0] != q->dim[0] || k->dim[1] != v->dim[1] || k->dim[2] != v->dim[2] || k->dim[3] != q->dim[3] || k->dim[1] < 1 ||
        q->dim[1] % k->dim[1] || k->dim[2] < 1)
        return tern__fail(TERN_E_SHAPE, "attention: queries %s, keys %s and values %s do not go together", tern__shape_text(q, t[0]),
                          tern__shape_text(k, t[1]), tern__shape_text(v, t[2]));
    tern__attention_read(n, q, k, v, &a);
    if (!(a.softcap >= 0))
        return tern__fail(TERN_E_INVALID, "attention: softcap %g is negative", a.softcap);
    if (a.offset < -INT32_MAX / 2 || a.offset > INT32_MAX / 2)
        return tern__fail(TERN_E_INVALID, "attention: offset %" PRId64 " is beyond any number of keys", a.offset);
    const tern_shape scores = shape4(a.batch, a.heads, a.sq, a.sk);
    if (tern__has_input(n, 3)) {
        tern_shape both;
        if (in[3].dtype != TERN_BOOL)
            TERN_TRY(tern__need_same(n, in, 0, 3));
        if (!tern__broadcast(&in[3].shape, &scores, &both) || !tern__shape_equal(&both, &scores))
            return tern__fail(TERN_E_SHAPE, "attention: the mask %s does not broadcast to %s", tern__shape_text(&in[3].shape, t[0]),
                              tern__shape_text(&scores, t[1]));
    }
    const tern_shape result = shape4(a.batch, a.heads, a.sq, a.dv), joined = {.rank = 3, .dim = {a.batch, a.sq, a.heads * a.dv}};
    out[0] = tern__plain(in[0].dtype, a.joined ? &joined : &result);
    return TERN_OK;
}

/* --- Reference --- */

/* The scores of query (b, h, i) after softcap and masks; returns the largest, or a NaN among them. */
static double scores_of(const tern__attention *a, const tern__array *in, int64_t b, int64_t h, int64_t i, double *s)
{
    const tern_shape all = shape4(a->batch, a->heads, a->sq, a->sk);
    const int64_t row = ((b * a->heads + h) * a->sq + i) * a->d, keys = (b * a->kv_heads + h / a->group) * a->sk * a->d;
    double top = -INFINITY;
    for (int64_t j = 0; j < a->sk; j++) {
        double x = 0;
        for (int64_t d = 0; d < a->d; d++)
            x += tern__array_get(&in[0], row + d) * tern__array_get(&in[1], keys + j * a->d + d);
        x *= a->scale;
        if (a->softcap > 0)
            x = a->softcap * tanh(x / a->softcap);
        if (in[3].data) {
            const double m = tern__array_get(&in[3], tern__broadcast_linear(&in[3].type.shape, &all, (const int64_t[]){b, h, i, j}));
            x = in[3].type.dtype != TERN_BOOL ? x + m : m != 0 ? x : a->below;
        }
        s[j] = a->causal && j > i + a->offset ? -INFINITY : x;
        top = s[j] > top || isnan(s[j]) ? s[j] : top;
    }
    return top;
}

static void attend_row(const tern__attention *a, const tern__array *in, const tern__array *out, int64_t b, int64_t h, int64_t i, double *s)
{
    const double top = scores_of(a, in, b, h, i, s);
    const int64_t values = (b * a->kv_heads + h / a->group) * a->sk * a->dv;
    const int64_t to = a->joined ? ((b * a->sq + i) * a->heads + h) * a->dv : ((b * a->heads + h) * a->sq + i) * a->dv;
    double sum = 0;
    for (int64_t j = 0; j < a->sk; j++)
        sum += s[j] = top == -INFINITY ? 0 : exp(s[j] - top);
    for (int64_t d = 0; d < a->dv; d++) {
        double y = 0;
        for (int64_t j = 0; j < a->sk; j++)
            y += s[j] * tern__array_get(&in[2], values + j * a->dv + d);
        tern__array_set(out, to + d, top != -INFINITY ? y / sum : a->strict ? NAN : 0);
    }
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern__array given[4] = {in[0], in[1], in[2], tern__has_input(n, 3) ? in[3] : (tern__array){.data = NULL}};
    tern__attention a;
    tern__attention_read(n, &in[0].type.shape, &in[1].type.shape, &in[2].type.shape, &a);
    double *s = tern__alloc_array((size_t)a.sk, sizeof *s);
    if (!s)
        return tern__fail(TERN_E_NOMEM, "attention: %" PRId64 " scores", a.sk);
    for (int64_t b = 0; b < a.batch; b++)
        for (int64_t h = 0; h < a.heads; h++)
            for (int64_t i = 0; i < a.sq; i++)
                attend_row(&a, given, out, b, h, i, s);
    tern__free(s);
    return TERN_OK;
}

/* --- In simpler ops: for what no kernel takes, and, backward, where the probabilities are made again --- */

/* Everything in f32 at least. Queries that share a head of k and v lie behind one another: one product serves them all. */
typedef struct parts {
    tern__attention a;
    tern_shape scores, wide, grouped, result; /* [B, H, Sq, Sk]; [B, Hk, G Sq, ..] with Sk, D; [B, H, Sq, Dv] */
    tern_value q, k, v, mask;                 /* q grouped */
    tern_value tanh, p;                       /* of the scores over softcap; the probabilities [B, H, Sq, Sk] */
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

/* Softmax over the last axis, in which a row of -inf gives 0 unless strict. */
static tern_value softmax(tern_graph *g, const tern__attention *a, tern_value x, bool masked)
{
    if (!masked || a->strict)
        return tern_graph_op1(g, "softmax", x, TERN_ATTRS(TERN_INT("axis", -1)));
    const unsigned last = 1u << 3;
    tern_value top = tern__max_axes(g, x, last, true);
    top = tern__where(g, tern__compare(g, "equal", top, -INFINITY), tern__like(g, x, 0), top);
    tern_value e = tern__unary(g, "exp", tern__sub(g, x, top)), sum = tern__sum_axes(g, e, last, true);
    sum = tern__where(g, tern__compare(g, "equal", sum, 0), tern__like(g, sum, 1), sum);
    return tern__div(g, e, sum);
}

static tern_status probabilities(tern_graph *g, const tern__node *n, const tern_value *in, parts *p)
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
    p->mask = tern__has_input(n, 3) ? in[3] : TERN_NONE;
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
    p->p = softmax(g, a, s, p->mask != TERN_NONE || a->causal);
    return tern_graph_check(g);
}

/* [B, H, Sq, Dv] as the op's result; and back. */
static tern_value join(tern_graph *g, const tern__attention *a, tern_value y)
{
    static const int perm[] = {0, 2, 1, 3};
    const tern_shape s = {.rank = 3, .dim = {a->batch, a->sq, a->heads * a->dv}};
    return a->joined ? tern__reshape(g, tern__transpose(g, y, perm), &s) : y;
}

static tern_value part(tern_graph *g, const tern__attention *a, tern_value y)
{
    static const int perm[] = {0, 2, 1, 3};
    const tern_shape s = shape4(a->batch, a->sq, a->heads, a->dv);
    return a->joined ? tern__transpose(g, tern__reshape(g, y, &s), perm) : y;
}

/* Kernels take f32, f16 and bf16; nothing at all is left to the other ops too. */
static bool has_kernels(const tern_graph *g, const tern_value *in)
{
    bool empty = false;
    for (int i = 0; i < 3; i++)
        empty |= tern__elems(tern__shape_of(g, in[i])) == 0;
    return !empty && tern__dtype_of(g, in[0]) != TERN_F64;
}

tern_status tern__attention_expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    parts p;
    TERN_TRY(probabilities(g, n, in, &p));
    tern_value y = tern__reshape(g, product(g, tern__reshape(g, p.p, &p.wide), p.v, false, false), &p.result);
    out[0] = join(g, &p.a, tern__cast(g, y, tern__dtype_of(g, in[0])));
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_shape one = {.rank = 1, .dim = {1}};
    if (!has_kernels(g, in))
        return tern__attention_expand(g, n, in, out);
    if (!tern__has_input(n, 3) || tern__shape_of(g, in[3])->rank > 0)
        return TERN_OK;
    tern_value with[4] = {in[0], in[1], in[2], tern__reshape(g, in[3], &one)}; /* kernels address a mask by an axis at least */
    tern__graph_add_like(g, n, with, out);
    return TERN_OK;
}

/* With P the probabilities, made again: dV = P^T dO, dS = P (dO V^T - sum of dO O), and from there as through a product. The forward pass keeps
 * its kernel; here the scores lie in memory. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    parts p;
    TERN_TRY(probabilities(g, n, n->in, &p));
    const tern__attention *a = &p.a;
    const tern_shape grouped_dy = shape4(a->batch, a->kv_heads, a->group * a->sq, a->dv);
    const tern_dtype t = tern__dtype_of(g, n->in[0]);
    tern_value d = part(g, a, tern__widen(g, dy[0])), y = part(g, a, tern__widen(g, n->out[0]));
    tern_value delta = tern__sum_axes(g, tern__mul(g, d, y), 1u << 3, true);
    d = tern__reshape(g, d, &grouped_dy);
    dx[2] = tern__cast(g, product(g, tern__reshape(g, p.p, &p.wide), d, true, false), t);
    tern_value ds = tern__mul(g, p.p, tern__sub(g, tern__reshape(g, product(g, d, p.v, false, true), &p.scores), delta));
    TERN_TRY(tern_graph_check(g));
    if (p.mask != TERN_NONE && tern__dtype_of(g, p.mask) == TERN_BOOL)
        ds = tern__where(g, p.mask, ds, tern__like(g, ds, 0));
    else if (p.mask != TERN_NONE)
        dx[3] = tern__cast(g, ds, t);
    if (a->softcap > 0)
        ds = tern__mul(g, ds, tern__sub(g, tern__like(g, ds, 1), tern__mul(g, p.tanh, p.tanh)));
    ds = tern__reshape(g, tern__mul_scalar(g, ds, a->scale), &p.wide);
    dx[0] = tern__cast(g, tern__reshape_as(g, product(g, ds, p.k, false, false), n->in[0]), t);
    dx[1] = tern__cast(g, product(g, ds, p.q, true, false), t);
    return TERN_OK;
}

/* Both products; what a causal mask forbids is counted as if it were computed. */
static int64_t flops(const tern__node *n, const tern__type *in, const tern__type *out)
{
    (void)n;
    (void)out;
    const tern_shape *q = &in[0].shape;
    return 2 * q->dim[0] * q->dim[1] * q->dim[2] * in[1].shape.dim[2] * (q->dim[3] + in[2].shape.dim[3]);
}

static const tern__impl *const impls[] = {&tern__impl_attention_cpu, &tern__impl_attention_simt, NULL};

TERN_OP(attention) = {
    .name = "attention",
    .doc = "y = softmax(scale q k^T + mask) v for each head of q [B,H,Sq,D], k [B,Hk,Sk,D], v [B,Hk,Sk,Dv], Hk dividing H; scale 0: 1/sqrt(D). softcap c: "
           "scores become c tanh(scores / c). A mask of floats is added, one of bool gives `below` where false; causal: query i sees keys up to i + offset. "
           "A row of -inf gives 0, or NaN if strict. joined: y is [B,Sq,H*Dv]",
    .onnx = "Attention",
    .onnx_since = 23,
    .trait = TERN__CONTRACTION,
    .min_in = 3,
    .max_in = 4,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
    .impls = impls,
    .flops = flops,
};
