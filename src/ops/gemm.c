/* gemm: general matrix product with a scaled addend. */
#include "ops/common.h"

enum { ALPHA, BETA, TRANS_A, TRANS_B };
static const tern__attr_decl attrs[] = {
    {.name = "alpha", .type = TERN_ATTR_FLOAT, .def = 1},
    {.name = "beta", .type = TERN_ATTR_FLOAT, .def = 1},
    {.name = "trans_a", .type = TERN_ATTR_INT},
    {.name = "trans_b", .type = TERN_ATTR_INT},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    for (int i = 0; i < n->n_in; i++)
        TERN_TRY(tern__need_same(n, in, 0, i));
    TERN_TRY(tern__need_rank(n, in, 0, 2, 2));
    TERN_TRY(tern__need_rank(n, in, 1, 2, 2));
    const int ta = tern__attr_int(n, TRANS_A) != 0, tb = tern__attr_int(n, TRANS_B) != 0;
    if (in[0].shape.dim[!ta] != in[1].shape.dim[tb])
        return tern__fail(TERN_E_SHAPE, "gemm: %s%s does not multiply %s%s", tern__shape_text(&in[0].shape, a), ta ? " transposed" : "",
                          tern__shape_text(&in[1].shape, b), tb ? " transposed" : "");
    const tern_shape s = {.rank = 2, .dim = {in[0].shape.dim[ta], in[1].shape.dim[!tb]}};
    if (tern__has_input(n, 2)) {
        tern_shape both;
        if (!tern__broadcast(&in[2].shape, &s, &both) || !tern__shape_equal(&both, &s))
            return tern__fail(TERN_E_SHAPE, "gemm: the addend %s does not broadcast to %s", tern__shape_text(&in[2].shape, a), tern__shape_text(&s, b));
    }
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &out[0].type.shape;
    const int ta = tern__attr_int(n, TRANS_A) != 0, tb = tern__attr_int(n, TRANS_B) != 0;
    const double alpha = tern__attr_float(n, ALPHA), beta = tern__attr_float(n, BETA);
    const int64_t k = in[0].type.shape.dim[!ta], rows = s->dim[0], cols = s->dim[1];
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            double acc = 0;
            for (int64_t x = 0; x < k; x++)
                acc += tern__array_get(&in[0], ta ? x * rows + i : i * k + x) * tern__array_get(&in[1], tb ? j * k + x : x * cols + j);
            acc *= alpha;
            if (tern__has_input(n, 2))
                acc += beta * tern__array_get(&in[2], tern__broadcast_linear(&in[2].type.shape, s, (const int64_t[]){i, j}));
            tern__array_set(&out[0], i * cols + j, acc);
        }
    }
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_value y = tern_graph_op2(g, "matmul", in[0], in[1], TERN_ATTRS(TERN_INT("trans_a", tern__attr_int(n, TRANS_A)),
                                                                        TERN_INT("trans_b", tern__attr_int(n, TRANS_B))));
    y = tern__mul_scalar(g, y, tern__attr_float(n, ALPHA));
    if (tern__has_input(n, 2))
        y = tern__add(g, y, tern__mul_scalar(g, in[2], tern__attr_float(n, BETA)));
    out[0] = y;
    return TERN_OK;
}

static int64_t flops(const tern__node *n, const tern__type *in, const tern__type *out)
{
    return 2 * tern__elems(&out[0].shape) * in[0].shape.dim[tern__attr_int(n, TRANS_A) ? 0 : 1];
}

TERN_OP(gemm) = {
    .name = "gemm",
    .doc = "y = alpha * a b + beta * c; trans_a and trans_b transpose a and b first, c broadcasts and may be left off",
    .onnx = "Gemm",
    .onnx_since = 7,
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .expand = expand,
    .flops = flops,
};
