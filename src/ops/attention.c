/* attention: softmax(scale q k^T + mask) v for each head, without a matrix of scores in memory (Vaswani et al. 2017; computed as Milakov and
 * Gimelshein 2018 and Dao et al. 2022 do). */
#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "ops/attention.h"
#include "ops/impls.h"

static const tern__attr_decl attrs[] = {TERN__ATTENTION_ATTRS, [TERN__ATT_JOINED] = {.name = "joined", .type = TERN_ATTR_INT}};

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
    a->joined = n->op->n_attrs > TERN__ATT_JOINED && tern__attr_int(n, TERN__ATT_JOINED) != 0;
}

tern_status tern__attention_check(const tern__node *n, const tern__type *in, int mask, tern__attention *a)
{
    char t[4][TERN__SHAPE_TEXT];
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    for (int i = 0; i < 3; i++) {
        TERN_TRY(tern__need_rank(n, in, i, 4, 4));
        TERN_TRY(tern__need_same(n, in, 0, i));
    }
    const tern_shape *q = &in[0].shape, *k = &in[1].shape, *v = &in[2].shape;
    if (k->dim[0] != q->dim[0] || v->dim[0] != q->dim[0] || k->dim[1] != v->dim[1] || k->dim[2] != v->dim[2] || k->dim[3] != q->dim[3] || k->dim[1] < 1 ||
        q->dim[1] % k->dim[1] || k->dim[2] < 1)
        return tern__fail(TERN_E_SHAPE, "%s: queries %s, keys %s and values %s do not go together", n->op->name, tern__shape_text(q, t[0]),
                          tern__shape_text(k, t[1]), tern__shape_text(v, t[2]));
    tern__attention_read(n, q, k, v, a);
    if (!(a->softcap >= 0))
        return tern__fail(TERN_E_INVALID, "%s: softcap %g is negative", n->op->name, a->softcap);
    if (a->offset < -INT32_MAX / 2 || a->offset > INT32_MAX / 2)
        return tern__fail(TERN_E_INVALID, "%s: offset %" PRId64 " is beyond any number of keys", n->op->name, a->offset);
    const tern_shape scores = shape4(a->batch, a->heads, a->sq, a->sk);
    if (tern__has_input(n, mask)) {
        tern_shape both;
        if (in[mask].dtype != TERN_BOOL)
            TERN_TRY(tern__need_same(n, in, 0, mask));
        if (!tern__broadcast(&in[mask].shape, &scores, &both) || !tern__shape_equal(&both, &scores))
            return tern__fail(TERN_E_SHAPE, "%s: the mask %s does not broadcast to %s", n->op->name, tern__shape_text(&in[mask].shape, t[0]),
                              tern__shape_text(&scores, t[1]));
    }
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__attention a;
    TERN_TRY(tern__attention_check(n, in, 3, &a));
    const tern_shape apart = shape4(a.batch, a.heads, a.sq, a.dv), joined = {.rank = 3, .dim = {a.batch, a.sq, a.heads * a.dv}};
    const tern_shape rows = {.rank = 3, .dim = {a.batch, a.heads, a.sq}};
    out[0] = tern__plain(in[0].dtype, a.joined ? &joined : &apart);
    out[1] = tern__plain(in[0].dtype == TERN_F64 ? TERN_F64 : TERN_F32, &rows);
    return TERN_OK;
}

/* --- Reference --- */

double tern__attention_score(const tern__attention *a, const tern__array *q, const tern__array *k, const tern__array *mask, const int64_t at[4], double *slope)
{
    const tern_shape all = shape4(a->batch, a->heads, a->sq, a->sk);
    const int64_t row = ((at[0] * a->heads + at[1]) * a->sq + at[2]) * a->d, key = ((at[0] * a->kv_heads + at[1] / a->group) * a->sk + at[3]) * a->d;
    double x = 0;
    *slope = 1;
    for (int64_t d = 0; d < a->d; d++)
        x += tern__array_get(q, row + d) * tern__array_get(k, key + d);
    x *= a->scale;
    if (a->softcap > 0) {
        const double t = tanh(x / a->softcap);
        x = a->softcap * t;
        *slope = 1 - t * t;
    }
    if (mask->data) {
        const double m = tern__array_get(mask, tern__broadcast_linear(&mask->type.shape, &all, at));
        if (mask->type.dtype != TERN_BOOL)
            x += m;
        else if (m == 0) {
            x = a->below;
            *slope = 0;
        }
    }
    return a->causal && at[3] > at[2] + a->offset ? -INFINITY : x;
}

/* The scores of query (b, h, i); returns the largest, or a NaN among them. */
static double scores_of(const tern__attention *a, const tern__array *in, int64_t b, int64_t h, int64_t i, double *s)
{
    double top = -INFINITY, slope;
    for (int64_t j = 0; j < a->sk; j++) {
        s[j] = tern__attention_score(a, &in[0], &in[1], &in[3], (const int64_t[]){b, h, i, j}, &slope);
        top = s[j] > top || isnan(s[j]) ? s[j] : top;
    }
    return top;
}

static void attend_row(const tern__attention *a, const tern__array *in, const tern__array *out, int64_t b, int64_t h, int64_t i, double *s)
{
    const double top = scores_of(a, in, b, h, i, s);
    const int64_t values = (b * a->kv_heads + h / a->group) * a->sk * a->dv, row = (b * a->heads + h) * a->sq + i;
    const int64_t to = a->joined ? ((b * a->sq + i) * a->heads + h) * a->dv : row * a->dv;
    double sum = 0;
    for (int64_t j = 0; j < a->sk; j++)
        sum += s[j] = top == -INFINITY ? 0 : exp(s[j] - top);
    for (int64_t d = 0; d < a->dv; d++) {
        double y = 0;
        for (int64_t j = 0; j < a->sk; j++)
            y += s[j] * tern__array_get(&in[2], values + j * a->dv + d);
        tern__array_set(&out[0], to + d, top != -INFINITY ? y / sum : a->strict ? NAN : 0);
    }
    tern__array_set(&out[1], row, top != -INFINITY ? top + log(sum) : top);
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

/* --- Compiling and differentiating --- */

bool tern__attention_has_kernels(const tern_graph *g, const tern_value *in)
{
    bool empty = false;
    for (int i = 0; i < 3; i++)
        empty |= tern__elems(tern__shape_of(g, in[i])) == 0;
    return !empty && tern__dtype_of(g, in[0]) != TERN_F64;
}

void tern__attention_wide_mask(tern_graph *g, const tern__node *n, const tern_value *in, int mask, tern_value *out)
{
    const tern_shape one = {.rank = 1, .dim = {1}};
    tern_value with[TERN__ATT_GRAD_MASK + 1];
    if (!tern__has_input(n, mask) || tern__shape_of(g, in[mask])->rank > 0)
        return;
    for (int i = 0; i < n->n_in; i++)
        with[i] = i == mask ? tern__reshape(g, in[i], &one) : in[i];
    tern__graph_add_like(g, n, with, out);
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    if (!tern__attention_has_kernels(g, in))
        return tern__attention_expand(g, n, in, out);
    tern__attention_wide_mask(g, n, in, 3, out);
    return TERN_OK;
}

/* The gradient with respect to a score is p (dp - delta), dp = dy v^T, delta = the sum of dy y, less what comes in by the second output: one number a row. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern__attention a;
    tern_value out[3];
    tern__attention_read(n, tern__shape_of(g, n->in[0]), tern__shape_of(g, n->in[1]), tern__shape_of(g, n->in[2]), &a);
    tern_value d = tern__attention_part(g, &a, dy[0] != TERN_NONE ? dy[0] : tern__zeros_like(g, n->out[0]));
    tern_value y = tern__attention_part(g, &a, n->out[0]);
    tern_value delta = tern__sum_axes(g, tern__mul(g, tern__widen(g, d), tern__widen(g, y)), 1u << 3, false);
    if (dy[1] != TERN_NONE)
        delta = tern__sub(g, delta, dy[1]);
    const tern_value mask = tern__has_input(n, 3) ? n->in[3] : TERN_NONE;
    const tern_value in[7] = {n->in[0], n->in[1], n->in[2], d, n->out[1], delta, mask};
    tern_graph_add_n(g, "attention_grad", in, 7, TERN_ATTRS(TERN_FLOAT("scale", a.scale), TERN_FLOAT("softcap", a.softcap), TERN_FLOAT("below", a.below),
        TERN_INT("causal", a.causal), TERN_INT("offset", a.offset), TERN_INT("strict", a.strict)), out, 3);
    TERN_TRY(tern_graph_check(g));
    for (int i = 0; i < 3; i++)
        dx[i] = out[i];
    if (mask == TERN_NONE || tern__dtype_of(g, mask) == TERN_BOOL || tern__value_at(g, mask)->kind == TERN__VALUE_CONST)
        return TERN_OK;
    return tern__attention_score_grad(g, tern__producer(g, out[0]), in, &dx[3]);
}

/* Both products; what a causal mask forbids is counted as if it were computed. */
static int64_t flops(const tern__node *n, const tern__type *in, const tern__type *out)
{
    (void)n;
    (void)out;
    const tern_shape *q = &in[0].shape;
    return 2 * q->dim[0] * q->dim[1] * q->dim[2] * in[1].shape.dim[2] * (q->dim[3] + in[2].shape.dim[3]);
}

static const tern__impl *const impls[] = {&tern__impl_attention_few_cpu, &tern__impl_attention_cpu, &tern__impl_attention_simt, NULL};

TERN_OP(attention) = {
    .name = "attention",
    .doc = "y = softmax(scale q k^T + mask) v for each head of q [B,H,Sq,D], k [B,Hk,Sk,D], v [B,Hk,Sk,Dv], Hk dividing H; scale 0: 1/sqrt(D). softcap c: "
           "scores become c tanh(scores / c). A mask of floats is added, one of bool gives `below` where false; causal: query i sees keys up to i + offset. "
           "A row of -inf gives 0, or NaN if strict. joined: y is [B,Sq,H*Dv]. The second output is the logarithm of the sum of each row's exponentials",
    .onnx = "Attention",
    .onnx_since = 23,
    .trait = TERN__CONTRACTION,
    .min_in = 3,
    .max_in = 4,
    .n_out = 2,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
    .impls = impls,
    .flops = flops,
};
