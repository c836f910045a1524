/* softmax_cross_entropy: mean negative log-likelihood of class labels under the softmax of logits. */
#include "ops/softmax.h"

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__need_kind(n, in, 1, TERN__T_INT));
    TERN_TRY(tern__need_rank(n, in, 0, 2, 2));
    TERN_TRY(tern__need_rank(n, in, 1, 1, 1));
    if (in[0].shape.dim[0] != in[1].shape.dim[0] || in[0].shape.dim[1] < 1)
        return tern__fail(TERN_E_SHAPE, "softmax_cross_entropy: logits %s and labels %s, where [N,C] and [N] are needed",
                          tern__shape_text(&in[0].shape, a), tern__shape_text(&in[1].shape, b));
    out[0] = (tern__type){.dtype = in[0].dtype};
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    (void)n;
    const int64_t rows = in[0].type.shape.dim[0], classes = in[0].type.shape.dim[1];
    double sum = 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t label = tern__array_get_int(&in[1], i);
        if (label >= 0 && label < classes)
            sum += tern__ref_logsumexp(&in[0], i * classes, 1, classes) - tern__array_get(&in[0], i * classes + label);
    }
    tern__array_set(&out[0], 0, sum / (double)rows);
    return TERN_OK;
}

/* 1 where the class is the row's label, as a condition [N, C]. 64 bits only for labels that need them, so that none wraps into range. */
static tern_value is_label(tern_graph *g, tern_value logits, tern_value labels)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const tern_dtype t = tern__dtype_of(g, labels);
    const bool wide = tern_dtype_size(t) == 8 || t == TERN_U32;
    const int64_t shape[2] = {1, tern__shape_of(g, logits)->dim[1]};
    tern_value l = tern__unsqueeze(g, tern__cast(g, labels, wide ? TERN_I64 : TERN_I32), 1u << 1);
    tern_value k = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", shape, 2), TERN_INT("axis", 1), TERN_STRING("dtype", wide ? "i64" : "i32")));
    return tern_graph_op2(g, "equal", l, k, NULL);
}

/* dlogits = (softmax - onehot) / N in rows whose label is a class, else 0. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const tern_dtype t = tern__dtype_of(g, n->in[0]), lt = tern__dtype_of(g, n->in[1]);
    const int64_t classes = tern__shape_of(g, n->in[0])->dim[1];
    tern_value p = tern__widen(g, tern_graph_op1(g, "softmax", n->in[0], TERN_ATTRS(TERN_INT("axis", 1))));
    tern_value d = tern__widen(g, dy[0]);
    TERN_TRY(tern_graph_check(g));
    tern_value one = tern__cast(g, is_label(g, n->in[0], n->in[1]), tern__dtype_of(g, p));
    tern_value scale = tern__div(g, d, tern__count(g, n->in[0], 1u << 0, tern__dtype_of(g, p)));
    tern_value label = tern__unsqueeze(g, lt == TERN_I64 || lt == TERN_U64 || lt == TERN_U32 ? n->in[1] : tern__cast(g, n->in[1], TERN_I32), 1u << 1);
    tern_value valid = tern__compare(g, "less", label, (double)classes);
    if (!tern__is_unsigned(lt))
        valid = tern_graph_op2(g, "logical_and", valid, tern__compare(g, "greater_equal", label, 0), NULL);
    scale = tern__where(g, valid, scale, tern__like(g, scale, 0));
    dx[0] = tern__cast(g, tern__mul(g, tern__sub(g, p, one), scale), t);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    (void)n;
    tern_value x = tern__widen(g, in[0]);
    tern_value l = tern_graph_op1(g, "log_softmax", x, TERN_ATTRS(TERN_INT("axis", 1)));
    TERN_TRY(tern_graph_check(g));
    /* A choice and not a product with the one-hot row: a class of probability 0 elsewhere in the row must not give 0 * inf. */
    tern_value picked = tern__where(g, is_label(g, x, in[1]), l, tern__like(g, l, 0));
    tern_value mean = tern__mean_axes(g, tern__sum_axes(g, picked, 1u << 1, false), 1u << 0, false);
    out[0] = tern__cast(g, tern__neg(g, mean), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(softmax_cross_entropy) = {
    .name = "softmax_cross_entropy",
    .doc = "y = mean over n of -log_softmax(logits[n])[labels[n]]; logits [N,C], labels [N]; a label outside 0 to C-1 counts as loss 0",
    .onnx = "SoftmaxCrossEntropyLoss",
    .onnx_since = 12,
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
};
