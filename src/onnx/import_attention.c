/* Handlers of attention and rotary embeddings: of ONNX, and the forms of com.microsoft that are a projection before the same. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "onnx/import_nn.h"
#include "ops/common.h"

/* Everything one attention needs. q [B, Hq, Sq, D], k [B, Hk, Sk, D], v [B, Hk, Sk, Dv], Hk divides Hq. */
typedef struct attention {
    tern_graph *g;
    tern_value q, k, v;
    int64_t batch, q_heads, kv_heads, sq, sk, d, dv;
    double scale, softcap;
    tern_dtype precision;      /* of the softmax */
    bool causal, joined;       /* query i sees keys up to i + offset; the result is [B, Sq, Hq * Dv] */
    bool wants_scores;         /* so they have to be in memory */
    int64_t offset;
    tern_value bias;           /* added to the scores, broadcast to [B, Hq, Sq, Sk]; TERN_NONE: nothing is masked */
    tern_value scores[4];      /* raw, after softcap, with the bias, probabilities */
} attention;

static tern_shape shape4(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (tern_shape){.rank = 4, .dim = {a, b, c, d}};
}

/* [B, S, H * D] as [B, H, S, D]. */
static tern_value split_heads(tern_graph *g, tern_value v, int64_t batch, int64_t seq, int64_t heads, int64_t d)
{
    static const int perm[] = {0, 2, 1, 3};
    const tern_shape s = shape4(batch, seq, heads, d);
    return tern__transpose(g, tern__reshape(g, v, &s), perm);
}

static tern_value join_heads(tern_graph *g, tern_value v, int64_t batch, int64_t seq, int64_t hidden)
{
    static const int perm[] = {0, 2, 1, 3};
    const tern_shape s = {.rank = 3, .dim = {batch, seq, hidden}};
    return tern__reshape(g, tern__transpose(g, v, perm), &s);
}

static tern_value concat2(tern_graph *g, tern_value a, tern_value b, int axis)
{
    return tern_graph_op2(g, "concat", a, b, TERN_ATTRS(TERN_INT("axis", axis)));
}

/* Softmax over the last axis in which a row of -inf gives 0. */
static tern_value masked_softmax(tern_graph *g, tern_value x)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const tern_dtype t = tern__dtype_of(g, x);
    const unsigned last = 1u << (tern__shape_of(g, x)->rank - 1);
    x = tern__widen(g, x);
    tern_value top = tern__max_axes(g, x, last, true);
    top = tern__where(g, tern__compare(g, "equal", top, -INFINITY), tern__like(g, x, 0), top);
    tern_value e = tern__unary(g, "exp", tern__sub(g, x, top)), sum = tern__sum_axes(g, e, last, true);
    sum = tern__where(g, tern__compare(g, "equal", sum, 0), tern__like(g, sum, 1), sum);
    return tern__cast(g, tern__div(g, e, sum), t);
}

static void add_causal(attention *a, tern_value offset, double below);

/* Op by op, where the scores are wanted too or there is no op for it. Queries that share a head of k and v lie behind one another: one product
 * serves them all. */
static tern_value attend_apart(attention *a)
{
    tern_graph *g = a->g;
    if (a->causal)
        add_causal(a, tern_graph_scalar(g, TERN_I64, (double)a->offset), -INFINITY);
    const tern_dtype t = tern__dtype_of(g, a->q);
    const bool narrow = t == TERN_F16 || t == TERN_BF16; /* scaled before, so that the products stay in range */
    const tern_shape grouped = shape4(a->batch, a->kv_heads, a->q_heads / a->kv_heads * a->sq, a->d);
    const tern_shape scores = shape4(a->batch, a->q_heads, a->sq, a->sk), wide = shape4(a->batch, a->kv_heads, grouped.dim[2], a->sk);
    const tern_shape result = shape4(a->batch, a->q_heads, a->sq, a->dv);
    tern_value q = narrow ? tern__mul_scalar(g, a->q, a->scale) : a->q;
    tern_value s = tern_graph_op2(g, "matmul", tern__reshape(g, q, &grouped), a->k, TERN_ATTRS(TERN_INT("trans_b", 1)));
    s = tern__reshape(g, narrow ? s : tern__mul_scalar(g, s, a->scale), &scores);
    a->scores[0] = s;
    if (a->softcap > 0)
        s = tern__mul_scalar(g, tern__unary(g, "tanh", tern__mul_scalar(g, s, 1 / a->softcap)), a->softcap);
    a->scores[1] = s;
    if (a->bias != TERN_NONE)
        s = tern__add(g, s, a->bias);
    a->scores[2] = s;
    s = tern__cast(g, s, a->precision);
    s = a->bias != TERN_NONE ? masked_softmax(g, s) : tern_graph_op1(g, "softmax", s, TERN_ATTRS(TERN_INT("axis", -1)));
    a->scores[3] = tern__cast(g, s, t);
    tern_value y = tern__reshape(g, tern_graph_op2(g, "matmul", tern__reshape(g, a->scores[3], &wide), a->v, NULL), &result);
    return a->joined ? join_heads(g, y, a->batch, a->sq, a->q_heads * a->dv) : y;
}

static tern_value attend(attention *a)
{
    const bool wider = a->precision == TERN_F64 && tern__dtype_of(a->g, a->q) != TERN_F64;
    if (a->wants_scores || wider || a->sk == 0 || a->scale == 0)
        return attend_apart(a);
    const tern_value in[4] = {a->q, a->k, a->v, a->bias};
    return tern_graph_add(a->g, "attention", in, 4, TERN_ATTRS(TERN_FLOAT("scale", a->scale), TERN_FLOAT("softcap", TERN_MAX(a->softcap, 0)),
                                                               TERN_INT("causal", a->causal), TERN_INT("offset", a->offset), TERN_INT("joined", a->joined)));
}

/* --- Masks --- */

/* 0 where allowed, below elsewhere. */
static tern_value bias_where(tern_graph *g, tern_value allowed, tern_dtype t, double below)
{
    return tern__where(g, allowed, tern_graph_scalar(g, t, 0), tern_graph_scalar(g, t, below));
}

/* 0, 1, 2 ... as i64 along the last axis, or the one before it, of [.., Sq, Sk]. */
static tern_value positions(tern_graph *g, int64_t count, bool of_queries)
{
    const int64_t rows[2] = {count, 1}, columns[2] = {1, count};
    return tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", of_queries ? rows : columns, 2), TERN_INT("axis", of_queries ? 0 : 1),
                                                         TERN_STRING("dtype", "i64")));
}

static void add_bias(attention *a, tern_value bias)
{
    a->bias = a->bias == TERN_NONE ? bias : tern__add(a->g, a->bias, bias);
}

/* Query i sees key j up to i + offset; offset is a number or one for each sample, [B, 1, 1, 1]. */
static void add_causal(attention *a, tern_value offset, double below)
{
    tern_graph *g = a->g;
    tern_value reach = tern__add(g, positions(g, a->sq, true), offset);
    tern_value allowed = tern_graph_op2(g, "less_equal", positions(g, a->sk, false), reach, NULL);
    add_bias(a, bias_where(g, allowed, tern__dtype_of(g, a->q), below));
}

/* Keys from lengths[b] on do not count. */
static tern_value within_lengths(attention *a, tern_value lengths)
{
    const tern_shape s = shape4(a->batch, 1, 1, 1);
    return tern_graph_op2(a->g, "less", positions(a->g, a->sk, false), tern__reshape(a->g, tern__cast(a->g, lengths, TERN_I64), &s), NULL);
}

/* --- Attention of opset 23 and 24 --- */

enum { Q, K, V, MASK, PAST_K, PAST_V, LENGTHS };

/* Input i as [B, heads, S, D]. heads is that of the attribute for rank 3. */
static tern_status read_operand(tern__onnx_node *n, int i, int64_t heads, tern_value *v, tern_shape *s)
{
    char text[TERN__SHAPE_TEXT];
    const tern_shape x = *tern__onnx_shape(n, i);
    *s = x;
    *v = tern__onnx_in(n, i);
    if (x.rank == 4)
        return TERN_OK;
    if (heads < 1 || x.dim[2] % heads)
        return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s, which does not make %" PRId64 " heads", i, tern__shape_text(&x, text), heads);
    *s = shape4(x.dim[0], heads, x.dim[1], x.dim[2] / heads);
    *v = split_heads(n->g, *v, x.dim[0], x.dim[1], heads, s->dim[3]);
    return TERN_OK;
}

static tern_status read_past(tern__onnx_node *n, int i, tern_value *v, tern_shape *s)
{
    TERN_TRY(tern__onnx_need_rank(n, i, 4, 4));
    *v = concat2(n->g, tern__onnx_in(n, i), *v, 2);
    TERN_TRY(tern_graph_check(n->g));
    *s = *tern__shape_of(n->g, *v);
    return TERN_OK;
}

static tern_status read_qkv(tern__onnx_node *n, attention *a)
{
    tern_shape q, k, v;
    const int rank = tern__onnx_rank(n, Q) == 3 ? 3 : 4;
    for (int i = Q; i <= V; i++) {
        TERN_TRY(tern__onnx_need_rank(n, i, rank, rank));
        TERN_TRY(tern__onnx_need_float(n, i));
    }
    const int64_t q_heads = tern__onnx_attr_int(n, "q_num_heads", 0), kv_heads = tern__onnx_attr_int(n, "kv_num_heads", 0);
    TERN_TRY(read_operand(n, Q, q_heads, &a->q, &q));
    TERN_TRY(read_operand(n, K, kv_heads, &a->k, &k));
    TERN_TRY(read_operand(n, V, kv_heads, &a->v, &v));
    if (tern__onnx_has(n, PAST_K) != tern__onnx_has(n, PAST_V))
        return tern__onnx_fail(n, TERN_E_INVALID, "past_key and past_value go together");
    if (tern__onnx_has(n, PAST_K)) {
        TERN_TRY(read_past(n, PAST_K, &a->k, &k));
        TERN_TRY(read_past(n, PAST_V, &a->v, &v));
    }
    if (k.dim[0] != q.dim[0] || v.dim[0] != q.dim[0] || k.dim[1] != v.dim[1] || k.dim[2] != v.dim[2] || k.dim[3] != q.dim[3] || k.dim[1] < 1 ||
        q.dim[1] % k.dim[1]) {
        char b[3][TERN__SHAPE_TEXT];
        return tern__onnx_fail(n, TERN_E_SHAPE, "queries %s, keys %s and values %s do not go together", tern__shape_text(&q, b[0]),
                               tern__shape_text(&k, b[1]), tern__shape_text(&v, b[2]));
    }
    a->batch = q.dim[0], a->q_heads = q.dim[1], a->sq = q.dim[2], a->d = q.dim[3];
    a->kv_heads = k.dim[1], a->sk = k.dim[2], a->dv = v.dim[3];
    return tern_graph_check(n->g);
}

/* A mask shorter than the keys forbids those it does not reach. */
static tern_value whole_mask(attention *a, tern_value mask, const tern_shape *s, bool is_bool)
{
    int64_t pads[2 * TERN_MAX_RANK] = {0};
    const int64_t missing = s->rank ? a->sk - s->dim[s->rank - 1] : 0;
    if (missing <= 0 || s->dim[s->rank - 1] == 1)
        return mask;
    pads[2 * s->rank - 1] = missing;
    return tern_graph_op1(a->g, "pad", mask, TERN_ATTRS(TERN_INTS("pads", pads, 2 * s->rank), TERN_FLOAT("value", is_bool ? 0 : -INFINITY)));
}

static tern_status read_masks(tern__onnx_node *n, attention *a)
{
    tern_graph *g = n->g;
    const tern_dtype t = tern__onnx_type(n, Q)->dtype;
    tern_value lengths = tern__onnx_in(n, LENGTHS);
    if (tern__onnx_has(n, MASK)) {
        TERN_TRY(tern__onnx_need_rank(n, MASK, 0, 4));
        const tern__type *m = tern__onnx_type(n, MASK);
        tern_value mask = whole_mask(a, tern__onnx_in(n, MASK), &m->shape, m->dtype == TERN_BOOL);
        add_bias(a, m->dtype == TERN_BOOL ? bias_where(g, mask, t, -INFINITY) : tern__cast(g, mask, t));
    }
    if (tern__onnx_attr_int(n, "is_causal", 0)) {
        const tern_shape s = shape4(a->batch, 1, 1, 1);
        a->causal = lengths == TERN_NONE || tern__onnx_has(n, PAST_K);
        a->offset = tern__onnx_has(n, PAST_K) ? tern__onnx_shape(n, PAST_K)->dim[2] : 0;
        if (!a->causal)
            add_causal(a, tern__add_scalar(g, tern__reshape(g, tern__cast(g, lengths, TERN_I64), &s), -(double)a->sq), -INFINITY);
    }
    if (lengths != TERN_NONE)
        add_bias(a, bias_where(g, within_lengths(a, lengths), t, -INFINITY));
    if (a->bias != TERN_NONE) {
        const tern_shape all = shape4(a->batch, a->q_heads, a->sq, a->sk);
        tern_shape both;
        TERN_TRY(tern_graph_check(g));
        if (!tern__broadcast(tern__shape_of(g, a->bias), &all, &both) || !tern__shape_equal(&both, &all))
            return tern__onnx_fail(n, TERN_E_SHAPE, "the mask does not broadcast to [%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "]", a->batch, a->q_heads,
                                   a->sq, a->sk);
    }
    return tern_graph_check(g);
}

static tern_status read_precision(tern__onnx_node *n, tern_dtype *t)
{
    *t = tern__onnx_type(n, Q)->dtype;
    const int64_t type = tern__onnx_attr_int(n, "softmax_precision", 0);
    if (type == 0)
        return TERN_OK;
    if (type < 0 || type > INT32_MAX || tern__onnx_dtype((int32_t)type, t) != TERN_OK || !tern__dtype_is(*t, TERN__T_FLOAT))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "softmax_precision %" PRId64, type);
    return TERN_OK;
}

tern_status tern__onnx_attention(tern__onnx_node *n)
{
    attention a = {.g = n->g, .bias = TERN_NONE};
    TERN_TRY(read_qkv(n, &a));
    TERN_TRY(read_precision(n, &a.precision));
    TERN_TRY(read_masks(n, &a));
    a.scale = tern__onnx_attr_float(n, "scale", a.d ? 1 / sqrt((double)a.d) : 1);
    a.softcap = tern__onnx_attr_float(n, "softcap", 0);
    const int64_t mode = tern__onnx_attr_int(n, "qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3)
        return tern__onnx_fail(n, TERN_E_INVALID, "qk_matmul_output_mode %" PRId64, mode);
    a.joined = tern__onnx_rank(n, Q) == 3;
    a.wants_scores = tern__onnx_wants(n, 3);
    tern_value y = attend(&a);
    tern__onnx_set(n, 1, a.k);
    tern__onnx_set(n, 2, a.v);
    if (a.wants_scores)
        tern__onnx_set(n, 3, a.scores[mode]);
    return tern__onnx_done(n, 0, y);
}

/* --- com.microsoft.Attention: one projection to queries, keys and values, then the same --- */

enum { MS_X, MS_WEIGHT, MS_BIAS, MS_MASK, MS_PAST, MS_SCORE_BIAS };

/* Columns [from, from + count) of [B, S, columns], split into heads. */
static tern_value projected(attention *a, tern_value all, int64_t from, int64_t count, int64_t heads)
{
    const int64_t end = from + count, axis = 2;
    tern_value v = tern_graph_op1(a->g, "slice", all, TERN_ATTRS(TERN_INTS("starts", &from, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &axis, 1)));
    return split_heads(a->g, v, a->batch, a->sq, heads, count / heads);
}

/* Hidden sizes of q, k and v: given, or thirds of the weight's columns. */
static tern_status read_sizes(tern__onnx_node *n, int64_t heads, int64_t size[3])
{
    char text[TERN__SHAPE_TEXT];
    const int64_t columns = tern__onnx_shape(n, MS_WEIGHT)->dim[1];
    int count;
    const int64_t *given = tern__onnx_attr_ints(n, "qkv_hidden_sizes", &count);
    if (count && count != 3)
        return tern__onnx_fail(n, TERN_E_INVALID, "qkv_hidden_sizes %s: three are needed", tern__ints_text(given, count, text));
    for (int i = 0; i < 3; i++) {
        size[i] = count ? given[i] : columns / 3;
        if (heads < 1 || size[i] < heads || size[i] > columns || size[i] % heads)
            return tern__onnx_fail(n, TERN_E_SHAPE, "hidden size %" PRId64 " of %" PRId64 " columns does not make %" PRId64 " heads", size[i], columns, heads);
    }
    if (size[0] + size[1] + size[2] != columns || size[0] != size[1])
        return tern__onnx_fail(n, TERN_E_SHAPE, "hidden sizes %s do not make up %" PRId64 " columns", tern__ints_text(size, 3, text), columns);
    return TERN_OK;
}

/* past [2, B, H, P, D]: keys and values of earlier positions go before; output 1 is all of them in the same form. */
static tern_status join_past(tern__onnx_node *n, attention *a)
{
    tern_graph *g = n->g;
    if (tern__onnx_has(n, MS_PAST)) {
        TERN_TRY(tern__onnx_need_rank(n, MS_PAST, 5, 5));
        tern_value part[2];
        const tern_shape p = *tern__onnx_shape(n, MS_PAST), one = shape4(p.dim[1], p.dim[2], p.dim[3], p.dim[4]);
        if (p.dim[0] != 2)
            return tern__onnx_fail(n, TERN_E_SHAPE, "past has %" PRId64 " parts, keys and values are two", p.dim[0]);
        for (int64_t i = 0; i < 2; i++) {
            const int64_t end = i + 1, axis = 0;
            part[i] = tern_graph_op1(g, "slice", tern__onnx_in(n, MS_PAST),
                                     TERN_ATTRS(TERN_INTS("starts", &i, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &axis, 1)));
            part[i] = tern__reshape(g, part[i], &one);
        }
        a->k = concat2(g, part[0], a->k, 2);
        a->v = concat2(g, part[1], a->v, 2);
        a->sk += p.dim[3];
    }
    if (tern__onnx_wants(n, 1))
        tern__onnx_set(n, 1, concat2(g, tern__unsqueeze(g, a->k, 1u), tern__unsqueeze(g, a->v, 1u), 0));
    return tern_graph_check(g);
}

static tern_status ms_masks(tern__onnx_node *n, attention *a)
{
    tern_graph *g = n->g;
    const tern_dtype t = tern__onnx_type(n, MS_X)->dtype;
    const double below = tern__onnx_attr_float(n, "mask_filter_value", -10000);
    if (tern__onnx_has(n, MS_MASK)) {
        char text[TERN__SHAPE_TEXT];
        const tern_shape s = *tern__onnx_shape(n, MS_MASK);
        tern_value mask = tern__onnx_in(n, MS_MASK);
        if (s.rank == 1 && s.dim[0] == a->batch)
            mask = within_lengths(a, mask);
        else if ((s.rank == 2 || s.rank == 3) && s.dim[0] == a->batch && s.dim[s.rank - 1] == a->sk)
            mask = tern__unsqueeze(g, tern__compare(g, "not_equal", mask, 0), s.rank == 2 ? 0x6 : 0x2);
        else
            return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "a mask of %s", tern__shape_text(&s, text));
        add_bias(a, bias_where(g, mask, t, below));
    }
    if (tern__onnx_attr_int(n, "unidirectional", 0))
        a->causal = true, a->offset = a->sk - a->sq;
    if (tern__onnx_has(n, MS_SCORE_BIAS))
        add_bias(a, tern__onnx_in(n, MS_SCORE_BIAS));
    return tern_graph_check(g);
}

tern_status tern__onnx_ms_attention(tern__onnx_node *n)
{
    attention a = {.g = n->g, .bias = TERN_NONE};
    int64_t size[3];
    TERN_TRY(tern__onnx_need_rank(n, MS_X, 3, 3));
    TERN_TRY(tern__onnx_need_rank(n, MS_WEIGHT, 2, 2));
    TERN_TRY(tern__onnx_need_float(n, MS_X));
    const tern_shape x = *tern__onnx_shape(n, MS_X);
    const int64_t heads = tern__onnx_attr_int(n, "num_heads", 0);
    TERN_TRY(read_sizes(n, heads, size));
    if (tern__onnx_attr_int(n, "do_rotary", 0) || tern__onnx_attr_int(n, "past_present_share_buffer", 0) || tern__onnx_has(n, 6))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "rotary embedding or a shared buffer of the past");
    tern__onnx_attr_ignore(n, "rotary_embedding_dim");
    tern_value all = tern_graph_op2(n->g, "matmul", tern__onnx_in(n, MS_X), tern__onnx_in(n, MS_WEIGHT), NULL);
    if (tern__onnx_has(n, MS_BIAS))
        all = tern__add(n->g, all, tern__onnx_in(n, MS_BIAS));
    a.batch = x.dim[0], a.sq = a.sk = x.dim[1], a.q_heads = a.kv_heads = heads, a.d = size[0] / heads, a.dv = size[2] / heads;
    a.q = projected(&a, all, 0, size[0], heads);
    a.k = projected(&a, all, size[0], size[1], heads);
    a.v = projected(&a, all, size[0] + size[1], size[2], heads);
    TERN_TRY(join_past(n, &a));
    TERN_TRY(ms_masks(n, &a));
    a.precision = tern__onnx_type(n, MS_X)->dtype;
    const double scale = tern__onnx_attr_float(n, "scale", 0);
    a.scale = scale ? scale : 1 / sqrt((double)a.d);
    a.joined = true;
    return tern__onnx_done(n, 0, attend(&a));
}

/* --- Rotary embeddings --- */

typedef struct rotary {
    int64_t batch, seq, heads, d, turned; /* turned: leading elements of each head that turn */
    bool flat, interleaved;               /* flat: [B, S, H * D], else [B, H, S, D] */
} rotary;

static tern_value range_of(tern_graph *g, tern_value v, int axis, int64_t from, int64_t to, int64_t step)
{
    const int64_t on = axis;
    return tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", &from, 1), TERN_INTS("ends", &to, 1), TERN_INTS("axes", &on, 1),
                                                    TERN_INTS("steps", &step, 1)));
}

/* Pairs (x1, x2) become (x1 cos - x2 sin, x1 sin + x2 cos); cos and sin broadcast over the heads. */
static tern_value rotate(tern_graph *g, const rotary *r, tern_value x, tern_value c, tern_value s)
{
    const int64_t half = r->turned / 2;
    tern_value x1 = range_of(g, x, 3, 0, r->interleaved ? r->turned : half, r->interleaved ? 2 : 1);
    tern_value x2 = range_of(g, x, 3, r->interleaved ? 1 : half, r->turned, r->interleaved ? 2 : 1);
    tern_value real = tern__sub(g, tern__mul(g, c, x1), tern__mul(g, s, x2)), imag = tern__add(g, tern__mul(g, s, x1), tern__mul(g, c, x2));
    tern_value y;
    if (r->interleaved) {
        tern_shape whole = *tern__shape_of(g, x);
        whole.dim[3] = r->turned;
        y = tern__reshape(g, concat2(g, tern__unsqueeze(g, real, 1u << 4), tern__unsqueeze(g, imag, 1u << 4), 4), &whole);
    } else {
        y = concat2(g, real, imag, 3);
    }
    return r->turned < r->d ? concat2(g, y, range_of(g, x, 3, r->turned, r->d, 1), 3) : y;
}

static tern_status turn(tern__onnx_node *n, const rotary *r, tern_value c, tern_value s)
{
    tern_graph *g = n->g;
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    const tern_shape x = *tern__onnx_shape(n, 0), heads = shape4(r->batch, r->seq, r->heads, r->d);
    const unsigned over = r->flat ? 1u << 2 : 1u << 1;
    tern_value v = tern__onnx_in(n, 0);
    if (r->flat)
        v = tern__reshape(g, v, &heads);
    TERN_TRY(tern_graph_check(g));
    v = rotate(g, r, v, tern__unsqueeze(g, tern__cast(g, c, t), over), tern__unsqueeze(g, tern__cast(g, s, t), over));
    return tern__onnx_done(n, 0, tern__reshape(g, v, &x));
}

/* Extents from x and the attributes; half: columns of the cache. */
static tern_status read_rotary(tern__onnx_node *n, int64_t half, rotary *r)
{
    char text[TERN__SHAPE_TEXT];
    TERN_TRY(tern__onnx_need_rank(n, 0, 3, 4));
    TERN_TRY(tern__onnx_need_float(n, 0));
    const tern_shape *x = tern__onnx_shape(n, 0);
    r->flat = x->rank == 3;
    r->interleaved = tern__onnx_attr_int(n, "interleaved", 0) != 0;
    r->turned = tern__onnx_attr_int(n, "rotary_embedding_dim", 0);
    const int64_t heads = tern__onnx_attr_int(n, "num_heads", 0);
    r->batch = x->dim[0];
    r->seq = x->dim[r->flat ? 1 : 2];
    r->heads = r->flat ? heads : x->dim[1];
    if (r->flat && heads == 0 && half > 0) /* com.microsoft: a whole head turns */
        r->heads = x->dim[2] / (2 * half);
    if (r->flat && (r->heads < 1 || x->dim[2] % r->heads))
        return tern__onnx_fail(n, TERN_E_SHAPE, "%s does not make %" PRId64 " heads", tern__shape_text(x, text), r->heads);
    r->d = r->flat ? x->dim[2] / r->heads : x->dim[3];
    if (r->turned == 0)
        r->turned = r->d;
    if (r->turned < 0 || r->turned > r->d || r->turned % 2 || r->turned / 2 != half)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%" PRId64 " of %" PRId64 " elements of a head turn, the caches have %" PRId64 " columns", r->turned,
                               r->d, half);
    return TERN_OK;
}

static tern_status need_caches(tern__onnx_node *n, int c, int s, int rank)
{
    TERN_TRY(tern__onnx_need_rank(n, c, rank, rank));
    TERN_TRY(tern__onnx_need_rank(n, s, rank, rank));
    if (tern__shape_equal(tern__onnx_shape(n, c), tern__onnx_shape(n, s)))
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_SHAPE, "the caches of cosines and sines differ in shape");
}

/* Inputs x, cos, sin and, if the caches are [positions, half], the positions [B, S]; else the caches are [B, S, half]. */
tern_status tern__onnx_rotary_embedding(tern__onnx_node *n)
{
    rotary r;
    const bool by_position = tern__onnx_has(n, 3);
    const int rank = by_position ? 2 : 3;
    TERN_TRY(need_caches(n, 1, 2, rank));
    TERN_TRY(read_rotary(n, tern__onnx_shape(n, 1)->dim[rank - 1], &r));
    tern_value c = tern__onnx_in(n, 1), s = tern__onnx_in(n, 2), at = tern__onnx_in(n, 3);
    if (by_position) {
        TERN_TRY(tern__onnx_need_rank(n, 3, 2, 2));
        c = tern_graph_op2(n->g, "gather", c, at, NULL);
        s = tern_graph_op2(n->g, "gather", s, at, NULL);
    }
    return turn(n, &r, c, s);
}

/* com.microsoft: inputs x, positions ([B, S], or [1]: that of the first element), cos, sin. */
tern_status tern__onnx_ms_rotary_embedding(tern__onnx_node *n)
{
    rotary r;
    tern_graph *g = n->g;
    TERN_TRY(need_caches(n, 2, 3, 2));
    TERN_TRY(tern__onnx_need_rank(n, 1, 1, 2));
    TERN_TRY(read_rotary(n, tern__onnx_shape(n, 2)->dim[1], &r));
    if (tern__onnx_attr_int(n, "is_packed_batching", 0) || tern__onnx_attr_float(n, "scale", 1) != 1)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "packed batches or a scale");
    tern_value at = tern__onnx_in(n, 1);
    if (tern__onnx_rank(n, 1) == 1) {
        const tern_shape every = {.rank = 2, .dim = {r.batch, r.seq}};
        if (tern__onnx_shape(n, 1)->dim[0] != 1)
            return tern__onnx_fail(n, TERN_E_SHAPE, "%" PRId64 " positions without samples to belong to", tern__onnx_shape(n, 1)->dim[0]);
        at = tern__expand_to(g, tern__add(g, tern__cast(g, at, TERN_I64), positions(g, r.seq, false)), &every);
    }
    return turn(n, &r, tern_graph_op2(g, "gather", tern__onnx_in(n, 2), at, NULL), tern_graph_op2(g, "gather", tern__onnx_in(n, 3), at, NULL));
}
