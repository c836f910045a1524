/* Handlers of matrix products: Gemm in all its versions, and the fused forms of com.microsoft. */
#include <string.h>

#include "onnx/import_nn.h"
#include "ops/common.h"

/* A product times a factor; integers are scaled as numbers and cut back, as NumPy does. */
static tern_value scaled(tern_graph *g, tern_value v, double factor)
{
    const tern_dtype t = tern__dtype_of(g, v);
    if (factor == 1 || tern__dtype_is(t, TERN__T_FLOAT))
        return tern__mul_scalar(g, v, factor);
    return tern__cast(g, tern__mul_scalar(g, tern__cast(g, v, TERN_F64), factor), t);
}

/* alpha op(a) op(b) + beta c, step by step, for element types that the op does not take. */
static tern_value integer_gemm(tern__onnx_node *n, double alpha, double beta, int64_t trans_a, int64_t trans_b)
{
    tern_graph *g = n->g;
    tern_value c = tern__onnx_in(n, 2);
    tern_value y = tern_graph_op2(g, "matmul", tern__onnx_in(n, 0), tern__onnx_in(n, 1),
                                  TERN_ATTRS(TERN_INT("trans_a", trans_a), TERN_INT("trans_b", trans_b)));
    y = scaled(g, y, alpha);
    return c == TERN_NONE ? y : tern__add(g, y, scaled(g, c, beta));
}

/* The addend broadcasts to the product, which never grows. */
static tern_status check_addend(const tern__onnx_node *n, int64_t trans_a, int64_t trans_b)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    const tern_shape y = {.rank = 2, .dim = {tern__onnx_shape(n, 0)->dim[trans_a], tern__onnx_shape(n, 1)->dim[!trans_b]}};
    tern_shape both;
    if (!tern__onnx_has(n, 2) || (tern__broadcast(tern__onnx_shape(n, 2), &y, &both) && tern__shape_equal(&both, &y)))
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_SHAPE, "the addend %s does not broadcast to %s", tern__shape_text(tern__onnx_shape(n, 2), a),
                           tern__shape_text(&y, b));
}

static tern_status gemm(tern__onnx_node *n, tern_value *y)
{
    TERN_TRY(tern__onnx_need_rank(n, 0, 2, 2));
    TERN_TRY(tern__onnx_need_rank(n, 1, 2, 2));
    const double alpha = tern__onnx_attr_float(n, "alpha", 1), beta = tern__onnx_attr_float(n, "beta", 1);
    const int64_t trans_a = tern__onnx_attr_int(n, "transA", 0) != 0, trans_b = tern__onnx_attr_int(n, "transB", 0) != 0;
    tern__onnx_attr_ignore(n, "broadcast"); /* before 7: whether c may broadcast, which its shape tells */
    TERN_TRY(check_addend(n, trans_a, trans_b));
    if (!tern__dtype_is(tern__onnx_type(n, 0)->dtype, TERN__T_FLOAT)) {
        *y = integer_gemm(n, alpha, beta, trans_a, trans_b);
        return tern_graph_check(n->g);
    }
    const tern_value in[3] = {tern__onnx_in(n, 0), tern__onnx_in(n, 1), tern__onnx_in(n, 2)};
    *y = tern_graph_add(n->g, "gemm", in, 3, TERN_ATTRS(TERN_FLOAT("alpha", alpha), TERN_FLOAT("beta", beta), TERN_INT("trans_a", trans_a),
                                                        TERN_INT("trans_b", trans_b)));
    return tern_graph_check(n->g);
}

tern_status tern__onnx_gemm(tern__onnx_node *n)
{
    tern_value y;
    TERN_TRY(gemm(n, &y));
    return tern__onnx_done(n, 0, y);
}

tern_status tern__onnx_fused_gemm(tern__onnx_node *n)
{
    tern_value y;
    TERN_TRY(gemm(n, &y));
    TERN_TRY(tern__onnx_fused_activation(n, &y));
    return tern__onnx_done(n, 0, y);
}

/* com.microsoft's FusedMatMul and TransposeMatMul: alpha op(a) op(b). */
tern_status tern__onnx_fused_matmul(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need_rank(n, 0, 1, TERN_MAX_RANK));
    TERN_TRY(tern__onnx_need_rank(n, 1, 1, TERN_MAX_RANK));
    const int64_t trans_a = tern__onnx_attr_int(n, "transA", 0) != 0, trans_b = tern__onnx_attr_int(n, "transB", 0) != 0;
    if (tern__onnx_attr_int(n, "transBatchA", 0) || tern__onnx_attr_int(n, "transBatchB", 0))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "transposed batches");
    tern_value y = tern_graph_op2(n->g, "matmul", tern__onnx_in(n, 0), tern__onnx_in(n, 1),
                                  TERN_ATTRS(TERN_INT("trans_a", trans_a), TERN_INT("trans_b", trans_b)));
    return tern__onnx_done(n, 0, scaled(n->g, y, tern__onnx_attr_float(n, "alpha", 1)));
}
