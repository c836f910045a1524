/* logsumexp: logarithm of a sum of exponentials over axes, without overflow. */
#include <math.h>

#include "base/alloc.h"
#include "ops/reduction.h"

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    return tern__infer_reduce_some(n, in, out);
}

static double max_step(double acc, double x)
{
    return acc > x || isnan(acc) ? acc : x;
}

/* Two folds: the largest element, then the sum of exp(x - largest); both in double whatever the dtype. */
static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    static const tern__fold max = {.init = -INFINITY, .step = max_step};
    const tern_shape *s = &in[0].type.shape;
    unsigned mask;
    TERN_TRY(tern__reduce_mask(n, s->rank, &mask));
    const int64_t n_out = tern__elems(&out[0].type.shape), elems = tern__elems(s);
    double *top = tern__alloc_array((size_t)n_out, sizeof *top), *sum = tern__alloc_array((size_t)n_out, sizeof *sum);
    tern_status st = top && sum ? TERN_OK : tern__fail(TERN_E_NOMEM, "logsumexp: %lld sums", (long long)n_out);
    if (st == TERN_OK) {
        tern__array largest = {.type = out[0].type, .data = top};
        largest.type.dtype = TERN_F64;
        st = tern__ref_fold(&in[0], mask, &max, &largest);
    }
    int64_t at[TERN_MAX_RANK] = {0}, stride[TERN_MAX_RANK], step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = mask >> i & 1 ? 0 : step;
        step *= mask >> i & 1 ? 1 : s->dim[i];
    }
    for (int64_t i = 0; st == TERN_OK && i < elems; i++) {
        int64_t o = 0;
        for (int k = 0; k < s->rank; k++)
            o += at[k] * stride[k];
        sum[o] += isinf(top[o]) ? 0 : exp(tern__array_get(&in[0], i) - top[o]);
        tern__next_index(s, at);
    }
    for (int64_t o = 0; st == TERN_OK && o < n_out; o++)
        tern__array_set(&out[0], o, isinf(top[o]) ? top[o] : top[o] + log(sum[o]));
    tern__free(top);
    tern__free(sum);
    return st;
}

/* dx = dy exp(x - y): the softmax. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value y = tern__widen(g, tern__grad_keep(g, n, n->out[0])), d = tern__widen(g, tern__grad_keep(g, n, dy[0]));
    tern_value p = tern__unary(g, "exp", tern__sub(g, tern__widen(g, n->in[0]), y));
    dx[0] = tern__cast(g, tern__mul(g, d, p), tern__dtype_of(g, n->in[0]));
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    unsigned mask;
    TERN_TRY(tern__reduce_mask(n, tern__shape_of(g, in[0])->rank, &mask));
    tern_value x = tern__widen(g, in[0]), top = tern__max_axes(g, x, mask, true);
    /* An infinite maximum is not subtracted: inf - inf would be NaN. */
    tern_value shift = tern__where(g, tern_graph_op1(g, "isinf", top, NULL), tern__like(g, x, 0), top);
    tern_value sum = tern__sum_axes(g, tern__unary(g, "exp", tern__sub(g, x, shift)), mask, true);
    tern_value y = tern__add(g, tern__unary(g, "log", sum), shift);
    if (tern__attr_int(n, TERN__REDUCE_KEEPDIMS) == 0)
        y = tern__squeeze(g, y, mask);
    out[0] = tern__cast(g, y, tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(logsumexp) = {
    .name = "logsumexp",
    .doc = "y = log(sum of exp(x)) over axes (none given: all), with the largest x taken out first",
    .onnx = "ReduceLogSumExp",
    .onnx_since = 1,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = tern__reduce_attrs,
    .n_attrs = TERN_COUNT(tern__reduce_attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
