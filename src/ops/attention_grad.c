/* attention_grad: gradient of attention, whose probabilities are made again from one number a row instead of lying in memory (Dao et al. 2022, section 3.1). */
#include "ops/attention.h"

#include "base/alloc.h"
#include "ops/impls.h"

static const tern__attr_decl attrs[] = {TERN__ATTENTION_ATTRS};

static tern_status need_shape(const tern__node *n, const tern__type *in, int i, const tern_shape *want)
{
    char t[2][TERN__SHAPE_TEXT];
    if (tern__shape_equal(&in[i].shape, want))
        return TERN_OK;
    return tern__fail(TERN_E_SHAPE, "%s: operand %d is %s where the others want %s", n->op->name, i, tern__shape_text(&in[i].shape, t[0]),
                      tern__shape_text(want, t[1]));
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__attention a;
    TERN_TRY(tern__attention_check(n, in, TERN__ATT_GRAD_MASK, &a));
    const tern_shape dy = {.rank = 4, .dim = {a.batch, a.heads, a.sq, a.dv}}, rows = {.rank = 3, .dim = {a.batch, a.heads, a.sq}};
    TERN_TRY(tern__need_same(n, in, 0, TERN__ATT_GRAD_DY));
    TERN_TRY(need_shape(n, in, TERN__ATT_GRAD_DY, &dy));
    for (int i = TERN__ATT_GRAD_LSE; i <= TERN__ATT_GRAD_DELTA; i++) {
        if (in[i].dtype != (in[0].dtype == TERN_F64 ? TERN_F64 : TERN_F32))
            return tern__fail_dtype(n, i, in[i].dtype);
        TERN_TRY(need_shape(n, in, i, &rows));
    }
    for (int i = 0; i < 3; i++)
        out[i] = tern__plain(in[0].dtype, &in[i].shape);
    return TERN_OK;
}

/* --- Reference --- */

/* Sums in double, as many elements as the outputs have. */
struct sums {
    const tern__attention *a;
    const tern__array *in;
    double *d[3];
};

static double row_product(const tern__array *x, int64_t i, const tern__array *y, int64_t j, int64_t n)
{
    double sum = 0;
    for (int64_t d = 0; d < n; d++)
        sum += tern__array_get(x, i + d) * tern__array_get(y, j + d);
    return sum;
}

/* What the pair of query (b, h, i) and key j adds. */
static void add_pair(const struct sums *s, const int64_t at[4])
{
    const tern__attention *a = s->a;
    const int64_t row = (at[0] * a->heads + at[1]) * a->sq + at[2], key = (at[0] * a->kv_heads + at[1] / a->group) * a->sk + at[3];
    const double lse = tern__array_get(&s->in[TERN__ATT_GRAD_LSE], row), delta = tern__array_get(&s->in[TERN__ATT_GRAD_DELTA], row);
    double slope;
    const double score = tern__attention_score(a, &s->in[0], &s->in[1], &s->in[TERN__ATT_GRAD_MASK], at, &slope);
    const double p = lse == -INFINITY && !a->strict ? 0 : exp(score - lse);
    const double dp = row_product(&s->in[TERN__ATT_GRAD_DY], row * a->dv, &s->in[2], key * a->dv, a->dv);
    const double ds = slope == 0 ? 0 : p * (dp - delta) * slope * a->scale;
    for (int64_t d = 0; d < a->d; d++) {
        s->d[0][row * a->d + d] += ds * tern__array_get(&s->in[1], key * a->d + d);
        s->d[1][key * a->d + d] += ds * tern__array_get(&s->in[0], row * a->d + d);
    }
    for (int64_t d = 0; d < a->dv; d++)
        s->d[2][key * a->dv + d] += p * tern__array_get(&s->in[TERN__ATT_GRAD_DY], row * a->dv + d);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__array given[TERN__ATT_GRAD_MASK + 1];
    tern__attention a;
    tern_status st = TERN_OK;
    for (int i = 0; i <= TERN__ATT_GRAD_MASK; i++)
        given[i] = tern__has_input(n, i) ? in[i] : (tern__array){.data = NULL};
    tern__attention_read(n, &in[0].type.shape, &in[1].type.shape, &in[2].type.shape, &a);
    struct sums s = {.a = &a, .in = given};
    for (int i = 0; i < 3 && st == TERN_OK; i++) {
        const int64_t elems = tern__elems(&out[i].type.shape);
        s.d[i] = tern__alloc_array((size_t)elems + 1, sizeof *s.d[i]);
        st = s.d[i] ? TERN_OK : tern__fail(TERN_E_NOMEM, "attention_grad: %lld sums", (long long)elems);
    }
    const tern_shape pairs = {.rank = 4, .dim = {a.batch, a.heads, a.sq, a.sk}};
    int64_t at[TERN_MAX_RANK] = {0};
    if (st == TERN_OK && tern__elems(&pairs) > 0)
        do
            add_pair(&s, at);
        while (tern__next_index(&pairs, at));
    for (int i = 0; i < 3; i++) {
        for (int64_t k = 0; k < tern__elems(&out[i].type.shape) && st == TERN_OK; k++)
            tern__array_set(&out[i], k, s.d[i][k]);
        tern__free(s.d[i]);
    }
    return st;
}

/* --- Compiling --- */

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    if (!tern__attention_has_kernels(g, in))
        return tern__attention_grad_expand(g, n, in, out);
    tern__attention_wide_mask(g, n, in, TERN__ATT_GRAD_MASK, out);
    return TERN_OK;
}

/* The five products; what a causal mask forbids is counted as if it were computed. */
static int64_t flops(const tern__node *n, const tern__type *in, const tern__type *out)
{
    (void)n;
    (void)out;
    const tern_shape *q = &in[0].shape;
    return 2 * q->dim[0] * q->dim[1] * q->dim[2] * in[1].shape.dim[2] * (3 * q->dim[3] + 2 * in[2].shape.dim[3]);
}

static const tern__impl *const impls[] = {&tern__impl_attention_grad_cpu, &tern__impl_attention_grad_simt, NULL};

TERN_OP(attention_grad) = {
    .name = "attention_grad",
    .doc = "dq, dk, dv of attention from q, k, v, dy [B,H,Sq,Dv], lse, which is its second output, delta [B,H,Sq], the sums of dy y over the last axis, and "
           "its mask: p = exp(scores - lse), ds = p (dy v^T - delta)",
    .trait = TERN__CONTRACTION,
    .min_in = 6,
    .max_in = 7,
    .n_out = 3,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
    .apart = tern__attention_grad_expand,
    .impls = impls,
    .flops = flops,
};
