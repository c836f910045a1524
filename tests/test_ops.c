/* Tests of the ops that are not pointwise: references against results worked out by hand, adjoint identities, expansions against references,
 * and the sentences that refuse wrong shapes, dtypes and attributes. */
#include "graph_help.h"

#include <stdio.h>

#include "attr_help.h"
#include "passes/pass.h"

#define S(...) {.rank = (int)(sizeof INTS(__VA_ARGS__) / sizeof(int64_t)), .dim = {__VA_ARGS__}}
#define SCALAR {.rank = 0}

/* A tensor by its numbers; t of the first unused input is TERN_DTYPE_COUNT. */
typedef struct data {
    tern_dtype t;
    tern_shape s;
    const double *x;
} data;
#define D(type, shape, ...) {type, shape, (const double[]){__VA_ARGS__}}
#define F(shape, ...) {TERN_F64, shape, (const double[]){__VA_ARGS__}}
#define L(shape, ...) {TERN_I64, shape, (const double[]){__VA_ARGS__}}
#define END {.t = TERN_DTYPE_COUNT}

/* One call of an op and output number `which` of n_out (0: one), worked out by hand. */
typedef struct example {
    const char *op;
    const tern_attr *attrs;
    data in[8];
    data want;
    int which, n_out;
} example;

#define LN2 0.69314718055994530942
#define LN3 1.09861228866810969140
#define LN4 (2 * LN2)

/* One query and two keys whose scores under a scale of a half are 0 and `score`, values 4 and 8, and a dy of 1: y is 7 where score is log 3. */
#define GRAD_OPERANDS(score, lse)                                                                                                        \
    {F(S(1, 1, 1, 1), 2), F(S(1, 1, 2, 1), 0, score), F(S(1, 1, 2, 1), 4, 8), F(S(1, 1, 1, 1), 1), F(S(1, 1, 1), lse), F(S(1, 1, 1), 7), END}

static const example examples[] = {
    /* Reductions */
    {"sum", WITH(LIST("axes", 0)), {F(S(2, 2), 1, 2, 3, 4), END}, F(S(1, 2), 4, 6), 0, 0},
    {"sum", WITH(LIST("axes", -1), TERN_INT("keepdims", 0)), {F(S(2, 2), 1, 2, 3, 4), END}, F(S(2), 3, 7), 0, 0},
    {"sum", NULL, {F(S(2, 2), 1, 2, 3, 4), END}, F(S(1, 1), 10), 0, 0},
    {"sum", WITH(TERN_INT("keepdims", 0)), {D(TERN_U8, S(2), 200, 100), END}, D(TERN_U8, SCALAR, 44), 0, 0},
    {"mean", WITH(LIST("axes", 0, 2)), {F(S(2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8), END}, F(S(1, 2, 1), 3.5, 5.5), 0, 0},
    {"prod", WITH(TERN_INT("keepdims", 0)), {L(S(4), 1, -2, 3, 4), END}, L(SCALAR, -24), 0, 0},
    {"reduce_max", NULL, {F(S(3), 1, NAN, 3), END}, F(S(1), NAN), 0, 0},
    {"reduce_max", NULL, {D(TERN_U8, S(3), 3, 200, 7), END}, D(TERN_U8, S(1), 200), 0, 0},
    {"reduce_max", NULL, {D(TERN_I8, S(2), -5, -3), END}, D(TERN_I8, S(1), -3), 0, 0},
    {"reduce_min", WITH(LIST("axes", 0)), {D(TERN_U16, S(2, 2), 65535, 1, 65534, 2), END}, D(TERN_U16, S(1, 2), 65534, 1), 0, 0},
    {"argmax", WITH(LIST("axes", 1), TERN_INT("keepdims", 0)), {F(S(2, 3), 1, 5, 5, 7, 2, 7), END}, L(S(2), 1, 0), 0, 0},
    {"argmax", WITH(TERN_INT("keepdims", 0)), {F(S(2, 3), 1, 5, 5, 7, 2, 7), END}, L(SCALAR, 3), 0, 0},
    {"argmax", NULL, {F(S(4), 1, NAN, 9, NAN), END}, L(S(1), 1), 0, 0},
    {"argmin", WITH(LIST("axes", 0)), {F(S(2, 3), 1, 5, 5, 7, 2, 5), END}, L(S(1, 3), 0, 1, 0), 0, 0},
    {"argmin", NULL, {D(TERN_U8, S(3), 200, 3, 3), END}, L(S(1), 1), 0, 0},
    {"logsumexp", NULL, {F(S(2), 1000, 1000), END}, F(S(1), 1000 + LN2), 0, 0},
    {"logsumexp", WITH(LIST("axes", 1), TERN_INT("keepdims", 0)), {F(S(2, 2), -INFINITY, -INFINITY, 0, LN3), END}, F(S(2), -INFINITY, 2 * LN2), 0, 0},
    {"reduce_l1", NULL, {F(S(2), 3, -4), END}, F(S(1), 7), 0, 0},
    {"reduce_l2", NULL, {F(S(2), 3, -4), END}, F(S(1), 5), 0, 0},

    /* Softmax and losses */
    {"softmax", NULL, {F(S(2, 2), 0, LN3, 1000, 1000), END}, F(S(2, 2), 0.25, 0.75, 0.5, 0.5), 0, 0},
    {"softmax", WITH(TERN_INT("axis", 0)), {F(S(2, 1), 0, LN3), END}, F(S(2, 1), 0.25, 0.75), 0, 0},
    {"log_softmax", NULL, {F(S(2), 0, LN3), END}, F(S(2), -2 * LN2, LN3 - 2 * LN2), 0, 0},
    {"softmax_cross_entropy", NULL, {F(S(2, 2), 0, LN3, 5, 5), L(S(2), 1, 0), END}, F(SCALAR, (2 * LN2 - LN3 + LN2) / 2), 0, 0},
    {"softmax_cross_entropy", NULL, {F(S(2, 2), 0, LN3, 5, 5), L(S(2), -1, 0), END}, F(SCALAR, LN2 / 2), 0, 0},
    {"softmax_cross_entropy", NULL, {F(S(2, 2), 0, LN3, 5, 5), D(TERN_U8, S(2), 7, 0), END}, F(SCALAR, LN2 / 2), 0, 0},
    {"mse", NULL, {F(S(3), 1, 2, 3), F(S(3), 1, 4, 0), END}, F(SCALAR, 13.0 / 3), 0, 0},
    {"mse", WITH(TERN_STRING("reduction", "sum")), {F(S(3), 1, 2, 3), F(S(3), 1, 4, 0), END}, F(SCALAR, 13), 0, 0},
    {"mse", WITH(TERN_STRING("reduction", "none")), {F(S(3), 1, 2, 3), F(S(3), 1, 4, 0), END}, F(S(3), 0, 4, 9), 0, 0},
    {"l1_loss", NULL, {F(S(3), 1, 2, 3), F(S(3), 1, 4, 0), END}, F(SCALAR, 5.0 / 3), 0, 0},
    {"huber", WITH(TERN_STRING("reduction", "none")), {F(S(3), 1.5, 2, 3), F(S(3), 1, 4, 0), END}, F(S(3), 0.125, 1.5, 2.5), 0, 0},
    {"huber", WITH(TERN_FLOAT("delta", 2)), {F(S(2), 2, 3), F(S(2), 0, 0), END}, F(SCALAR, 3), 0, 0},
    {"hinge", WITH(TERN_STRING("reduction", "sum")), {F(S(3), 2, -1, 0.5), F(S(3), 1, 1, -1), END}, F(SCALAR, 3.5), 0, 0},

    /* Products */
    {"matmul", NULL, {F(S(2, 2), 1, 2, 3, 4), F(S(2, 2), 5, 6, 7, 8), END}, F(S(2, 2), 19, 22, 43, 50), 0, 0},
    {"matmul", WITH(TERN_INT("trans_a", 1)), {F(S(2, 2), 1, 2, 3, 4), F(S(2, 2), 5, 6, 7, 8), END}, F(S(2, 2), 26, 30, 38, 44), 0, 0},
    {"matmul", WITH(TERN_INT("trans_b", 1)), {F(S(2, 2), 1, 2, 3, 4), F(S(2, 2), 5, 6, 7, 8), END}, F(S(2, 2), 17, 23, 39, 53), 0, 0},
    {"matmul", NULL, {F(S(3), 1, 2, 3), F(S(3), 4, 5, 6), END}, F(SCALAR, 32), 0, 0},
    {"matmul", NULL, {F(S(2, 1, 2), 1, 2, 3, 4), F(S(2), 10, 1), END}, F(S(2, 1), 12, 34), 0, 0},
    {"matmul", NULL, {F(S(2, 1, 1, 2), 1, 2, 3, 4), F(S(2, 2, 1), 1, 0, 0, 1), END}, F(S(2, 2, 1, 1), 1, 2, 3, 4), 0, 0},
    {"matmul", NULL, {D(TERN_I8, S(1, 2), 100, 50), D(TERN_I8, S(2, 1), 2, 0), END}, D(TERN_I8, S(1, 1), -56), 0, 0},
    {"matmul", NULL, {F(S(1, 0), 0), F(S(0, 2), 0), END}, F(S(1, 2), 0, 0), 0, 0},
    {"gemm", WITH(TERN_FLOAT("alpha", 0.5), TERN_FLOAT("beta", 2)), {F(S(1, 2), 1, 2), F(S(2, 1), 3, 4), F(S(1), 1), END}, F(S(1, 1), 7.5), 0, 0},
    {"gemm", WITH(TERN_INT("trans_a", 1), TERN_INT("trans_b", 1)), {F(S(2, 1), 1, 2), F(S(1, 2), 3, 4), END}, F(S(1, 1), 11), 0, 0},

    /* Convolutions: cross-correlation, as everyone's */
    {"conv", NULL, {F(S(1, 1, 4), 1, 2, 3, 4), F(S(1, 1, 2), 1, -1), END}, F(S(1, 1, 3), -1, -1, -1), 0, 0},
    {"conv", NULL, {D(TERN_I32, S(1, 1, 3), 100000, 200000, 3), D(TERN_I32, S(1, 1, 2), 30000, 1), END}, D(TERN_I32, S(1, 1, 2), -1294767296, 1705032707), 0, 0},
    {"conv", NULL, {D(TERN_U8, S(1, 1, 2), 200, 100), D(TERN_U8, S(1, 1, 1), 2), D(TERN_U8, S(1), 7), END}, D(TERN_U8, S(1, 1, 2), 151, 207), 0, 0},
    {"conv", WITH(LIST("strides", 2), LIST("pads", 1, 1)), {F(S(1, 1, 4), 1, 2, 3, 4), F(S(1, 1, 2), 1, -1), F(S(1), 10), END}, F(S(1, 1, 3), 9, 9, 14), 0, 0},
    {"conv", WITH(LIST("dilations", 2)), {F(S(1, 1, 4), 1, 2, 3, 4), F(S(1, 1, 2), 1, -1), END}, F(S(1, 1, 2), -2, -2), 0, 0},
    {"conv", NULL, {F(S(1, 1, 2, 3), 1, 2, 3, 4, 5, 6), F(S(1, 1, 2, 2), 1, 10, 100, 1000), END}, F(S(1, 1, 1, 2), 5421, 6532), 0, 0},
    {"conv", WITH(TERN_INT("group", 2)), {F(S(1, 2, 1), 3, 5), F(S(2, 1, 1), 10, 100), END}, F(S(1, 2, 1), 30, 500), 0, 0},
    {"conv", NULL, {F(S(1, 2, 1), 3, 5), F(S(1, 2, 1), 10, 100), END}, F(S(1, 1, 1), 530), 0, 0},
    {"conv", NULL, {F(S(1, 1, 2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8), F(S(1, 1, 2, 2, 2), 1, 1, 1, 1, 1, 1, 1, 1), END}, F(S(1, 1, 1, 1, 1), 36), 0, 0},
    {"conv_transpose", WITH(LIST("strides", 2)), {F(S(1, 1, 2), 1, 2), F(S(1, 1, 2), 10, 100), END}, F(S(1, 1, 4), 10, 100, 20, 200), 0, 0},
    {"conv_transpose", NULL, {F(S(1, 1, 2), 1, 2), F(S(1, 1, 2), 10, 100), F(S(1), 1), END}, F(S(1, 1, 3), 11, 121, 201), 0, 0},
    {"conv_transpose", WITH(LIST("strides", 2), LIST("output_padding", 1), LIST("pads", 1, 0)), {F(S(1, 1, 2), 1, 2), F(S(1, 1, 2), 10, 100), END},
     F(S(1, 1, 4), 100, 20, 200, 0), 0, 0},
    {"conv_grad_input", WITH(LIST("input_shape", 4)), {F(S(1, 1, 3), 1, 2, 3), F(S(1, 1, 2), 10, 100), END}, F(S(1, 1, 4), 10, 120, 230, 300), 0, 0},
    {"conv_grad_weight", WITH(LIST("kernel", 2)), {F(S(1, 1, 4), 1, 2, 3, 4), F(S(1, 1, 3), 1, 0, 2), END}, F(S(1, 1, 2), 7, 10), 0, 0},
    {"conv_integer", NULL, {D(TERN_U8, S(1, 1, 3), 5, 6, 9), D(TERN_I8, S(1, 1, 2), 2, -3), D(TERN_U8, S(1), 4), D(TERN_I8, S(1), 1), END},
     D(TERN_I32, S(1, 1, 2), -7, -18), 0, 0},
    {"matmul_integer", NULL, {D(TERN_U8, S(1, 2), 5, 7), D(TERN_I8, S(2, 1), -1, 3), D(TERN_U8, S(1), 4), D(TERN_I8, S(1), 1), END},
     D(TERN_I32, S(1, 1), 4), 0, 0},

    /* Windows */
    {"max_pool", WITH(LIST("kernel", 2), LIST("strides", 2)), {F(S(1, 1, 5), 1, 3, 2, 5, 9), END}, F(S(1, 1, 2), 3, 5), 0, 0},
    {"max_pool", WITH(LIST("kernel", 2), LIST("strides", 2), TERN_INT("ceil_mode", 1)), {F(S(1, 1, 5), 1, 3, 2, 5, 4), END}, F(S(1, 1, 3), 3, 5, 4), 0, 0},
    {"max_pool", WITH(LIST("kernel", 3), LIST("pads", 1, 1)), {F(S(1, 1, 3), -1, -2, -3), END}, F(S(1, 1, 3), -1, -1, -2), 0, 0},
    {"max_pool", WITH(LIST("kernel", 2), LIST("dilations", 2)), {F(S(1, 1, 4), 1, 3, 2, 5), END}, F(S(1, 1, 2), 2, 5), 0, 0},
    {"max_pool", WITH(LIST("kernel", 2)), {F(S(1, 1, 3), 1, NAN, 2), END}, F(S(1, 1, 2), NAN, NAN), 0, 0},
    {"max_pool", WITH(LIST("kernel", 2)), {D(TERN_U8, S(1, 1, 2), 3, 250), END}, D(TERN_U8, S(1, 1, 1), 250), 0, 0},
    {"max_pool", WITH(LIST("kernel", 1), LIST("strides", 2)), {D(TERN_I8, S(1, 1, 2), -128, 0), END}, D(TERN_I8, S(1, 1, 1), -128), 0, 0},
    {"max_pool", WITH(LIST("kernel", 2, 2), LIST("strides", 1, 2)), {F(S(1, 1, 2, 4), 1, 2, 3, 4, 8, 7, 6, 5), END}, F(S(1, 1, 1, 2), 8, 6), 0, 0},
    {"average_pool", WITH(LIST("kernel", 2), LIST("pads", 1, 1)), {F(S(1, 1, 3), 2, 4, 6), END}, F(S(1, 1, 4), 2, 3, 5, 6), 0, 0},
    {"average_pool", WITH(LIST("kernel", 2), LIST("pads", 1, 1), TERN_INT("count_include_pad", 1)), {F(S(1, 1, 3), 2, 4, 6), END}, F(S(1, 1, 4), 1, 3, 5, 3), 0, 0},
    {"average_pool", WITH(LIST("kernel", 2), LIST("strides", 2), TERN_INT("ceil_mode", 1), TERN_INT("count_include_pad", 1)), {F(S(1, 1, 3), 2, 4, 6), END},
     F(S(1, 1, 2), 3, 6), 0, 0},
    {"average_pool", WITH(LIST("kernel", 2), TERN_INT("divisor", 1)), {F(S(1, 1, 3), 2, 4, 6), END}, F(S(1, 1, 2), 6, 10), 0, 0},
    {"l2_pool", WITH(LIST("kernel", 2)), {F(S(1, 1, 3), 3, 4, 0), END}, F(S(1, 1, 2), 5, 4), 0, 0},
    {"max_pool", WITH(LIST("kernel", 2), LIST("strides", 2)), {F(S(1, 1, 6), 2, 2, 1, 3, 5, 4), END}, D(TERN_U8, S(1, 1, 3), 0, 1, 0), 1, 2},
    {"max_pool", WITH(LIST("kernel", 3)), {F(S(1, 1, 5), 1, NAN, 9, NAN, 2), END}, D(TERN_U8, S(1, 1, 3), 1, 0, 1), 1, 2},
    {"max_pool", WITH(LIST("kernel", 3), LIST("pads", 1, 1)), {F(S(1, 1, 3), -INFINITY, -INFINITY, -3), END}, D(TERN_U8, S(1, 1, 3), 1, 2, 1), 1, 2},
    {"max_pool", WITH(LIST("kernel", 2, 2)), {D(TERN_I8, S(1, 1, 2, 3), -128, -128, -128, -128, -128, 7), END}, D(TERN_U8, S(1, 1, 1, 2), 0, 3), 1, 2},
    {"max_pool_grad", WITH(LIST("kernel", 2), LIST("strides", 2), LIST("input_shape", 5)), {D(TERN_U8, S(1, 1, 2), 0, 1), F(S(1, 1, 2), 10, 20), END},
     F(S(1, 1, 5), 10, 0, 0, 20, 0), 0, 0},
    {"max_pool_grad", WITH(LIST("kernel", 2), LIST("input_shape", 3)), {D(TERN_U8, S(1, 1, 2), 1, 0), F(S(1, 1, 2), 10, 20), END}, F(S(1, 1, 3), 0, 30, 0), 0, 0},
    {"max_pool_grad", WITH(LIST("kernel", 2), LIST("pads", 1, 1), LIST("input_shape", 2)), {D(TERN_U8, S(1, 1, 3), 0, 1, 0), F(S(1, 1, 3), 10, 20, 30), END},
     F(S(1, 1, 2), 0, 50), 0, 0}, /* a position in the padding gets nothing */
    {"average_pool_grad", WITH(LIST("kernel", 2), LIST("strides", 2), LIST("input_shape", 5)), {F(S(1, 1, 2), 4, 6), END}, F(S(1, 1, 5), 2, 2, 3, 3, 0), 0, 0},
    {"global_average_pool", NULL, {F(S(1, 2, 2), 1, 3, 5, 7), END}, F(S(1, 2, 1), 2, 6), 0, 0},
    {"global_max_pool", NULL, {F(S(1, 2, 2, 1), 1, 3, 5, 4), END}, F(S(1, 2, 1, 1), 3, 5), 0, 0},

    /* Normalisations; eps too small to be seen */
    {"batch_norm", WITH(TERN_FLOAT("eps", 1e-14)), {F(S(2, 2), 1, 10, 3, 20), F(S(2), 2, 1), F(S(2), 1, 0), END}, F(S(2, 2), -1, -1, 3, 1), 0, 3},
    {"batch_norm", WITH(TERN_FLOAT("eps", 1e-14)), {F(S(2, 2), 1, 10, 3, 20), F(S(2), 2, 1), F(S(2), 1, 0), END}, F(S(2), 2, 15), 1, 3},
    {"batch_norm", WITH(TERN_FLOAT("eps", 1e-14)), {F(S(2, 2), 1, 10, 3, 20), F(S(2), 2, 1), F(S(2), 1, 0), END}, F(S(2), 1, 25), 2, 3},
    {"batch_norm_infer", WITH(TERN_FLOAT("eps", 1)), {F(S(1, 2, 1), 3, 7), F(S(2), 2, 1), F(S(2), 1, 0), F(S(2), 1, 5), F(S(2), 3, 0), END}, F(S(1, 2, 1), 3, 2), 0, 0},
    {"layer_norm", WITH(TERN_FLOAT("eps", 1e-14)), {F(S(2, 2), 1, 3, 10, 20), F(S(2), 1, 2), F(S(2), 0, 5), END}, F(S(2, 2), -1, 7, -1, 7), 0, 0},
    {"layer_norm", WITH(TERN_INT("axis", 0), TERN_FLOAT("eps", 1e-14)), {F(S(2, 2), 1, 3, 1, 3), END}, F(S(2, 2), -1, 1, -1, 1), 0, 0},
    {"rms_norm", WITH(TERN_FLOAT("eps", 1e-14)), {F(S(2), 1, 7), F(S(2), 1, 2), END}, F(S(2), 0.2, 2.8), 0, 0},
    {"group_norm", WITH(TERN_INT("groups", 2), TERN_FLOAT("eps", 1e-14)), {F(S(1, 4, 1), 1, 3, 10, 20), F(S(4), 1, 1, 1, 2), F(S(4), 0, 0, 5, 0), END},
     F(S(1, 4, 1), -1, 1, 4, 2), 0, 0},
    {"instance_norm", WITH(TERN_FLOAT("eps", 1e-14)), {F(S(1, 2, 2), 1, 3, 10, 20), F(S(2), 1, 2), F(S(2), 0, 1), END}, F(S(1, 2, 2), -1, 1, -1, 3), 0, 0},

    /* Attention: one key, two keys whose scores are log 1 and log 3, a bias, a mask, a query that sees nothing */
    {"attention", NULL, {F(S(1, 1, 1, 2), 5, 7), F(S(1, 1, 1, 2), -3, 2), F(S(1, 1, 1, 3), 1, 2, 3), END}, F(S(1, 1, 1, 3), 1, 2, 3), 0, 0},
    {"attention", WITH(TERN_FLOAT("scale", 0.5)), {F(S(1, 1, 1, 1), 2), F(S(1, 1, 2, 1), 0, LN3), F(S(1, 1, 2, 1), 4, 8), END}, F(S(1, 1, 1, 1), 7), 0, 0},
    {"attention", NULL, {F(S(1, 1, 1, 1), 0), F(S(1, 1, 2, 1), 1, 2), F(S(1, 1, 2, 1), 4, 8), F(S(2), LN3, 0), END}, F(S(1, 1, 1, 1), 5), 0, 0},
    {"attention", NULL, {F(S(1, 1, 1, 1), 0), F(S(1, 1, 2, 1), 1, 2), F(S(1, 1, 2, 1), 4, 8), D(TERN_BOOL, S(1, 2), 0, 1), END}, F(S(1, 1, 1, 1), 8), 0, 0},
    {"attention", WITH(TERN_FLOAT("below", -LN3)), {F(S(1, 1, 1, 1), 0), F(S(1, 1, 2, 1), 1, 2), F(S(1, 1, 2, 1), 4, 8), D(TERN_BOOL, S(1, 2), 0, 1), END},
     F(S(1, 1, 1, 1), 7), 0, 0},
    {"attention", WITH(TERN_INT("causal", 1), TERN_INT("offset", -1)), {F(S(1, 1, 3, 1), 0, 0, 0), F(S(1, 1, 3, 1), 1, 2, 3), F(S(1, 1, 3, 1), 6, 2, 50), END},
     F(S(1, 1, 3, 1), 0, 6, 4), 0, 0},
    {"attention", WITH(TERN_INT("causal", 1), TERN_INT("offset", -1), TERN_INT("strict", 1)), {F(S(1, 1, 2, 1), 0, 0), F(S(1, 1, 2, 1), 1, 2),
     F(S(1, 1, 2, 1), 6, 2), END}, F(S(1, 1, 2, 1), NAN, 6), 0, 0},
    {"attention", WITH(TERN_FLOAT("softcap", LN3 / 2)), {F(S(1, 1, 1, 1), 1000), F(S(1, 1, 2, 1), 9, -9), F(S(1, 1, 2, 1), 4, 8), END}, F(S(1, 1, 1, 1), 5), 0, 0},
    {"attention", WITH(TERN_INT("joined", 1)), {F(S(1, 2, 2, 1), 0, 0, 0, 0), F(S(1, 1, 1, 1), 1), F(S(1, 1, 1, 2), 3, 4), END},
     F(S(1, 2, 4), 3, 4, 3, 4, 3, 4, 3, 4), 0, 0},
    {"attention", WITH(TERN_FLOAT("scale", 0.5)), {F(S(1, 1, 1, 1), 2), F(S(1, 1, 2, 1), 0, LN3), F(S(1, 1, 2, 1), 4, 8), END}, F(S(1, 1, 1), LN4), 1, 2},
    {"attention", WITH(TERN_INT("causal", 1), TERN_INT("offset", -1)), {F(S(1, 1, 2, 1), 0, 0), F(S(1, 1, 1, 1), 1), F(S(1, 1, 1, 1), 6), END},
     F(S(1, 1, 2), -INFINITY, 0), 1, 2},

    /* Its gradient: probabilities of a quarter and three quarters, a key that a mask hides but for its probability, a query that sees nothing */
    {"attention_grad", WITH(TERN_FLOAT("scale", 0.5)), GRAD_OPERANDS(LN3, LN4), F(S(1, 1, 1, 1), 0.375 * LN3), 0, 3},
    {"attention_grad", WITH(TERN_FLOAT("scale", 0.5)), GRAD_OPERANDS(LN3, LN4), F(S(1, 1, 2, 1), -0.75, 0.75), 1, 3},
    {"attention_grad", WITH(TERN_FLOAT("scale", 0.5)), GRAD_OPERANDS(LN3, LN4), F(S(1, 1, 2, 1), 0.25, 0.75), 2, 3},
    {"attention_grad", WITH(TERN_FLOAT("below", -LN3)), {F(S(1, 1, 1, 1), 0), F(S(1, 1, 2, 1), 1, 2), F(S(1, 1, 2, 1), 4, 8), F(S(1, 1, 1, 1), 1),
     F(S(1, 1, 1), LN4 - LN3), F(S(1, 1, 1), 7), D(TERN_BOOL, S(1, 2), 0, 1), END}, F(S(1, 1, 1, 1), 1.5), 0, 3},
    {"attention_grad", WITH(TERN_INT("causal", 1), TERN_INT("offset", -1)), GRAD_OPERANDS(LN3, -INFINITY), F(S(1, 1, 2, 1), 0, 0), 2, 3},
    {"attention_grad", WITH(TERN_INT("causal", 1), TERN_INT("offset", -1), TERN_INT("strict", 1)), GRAD_OPERANDS(LN3, -INFINITY), F(S(1, 1, 1, 1), NAN), 0, 3},

    /* Movement */
    {"reshape", WITH(LIST("shape", 0, -1)), {F(S(2, 1, 2), 1, 2, 3, 4), END}, F(S(2, 2), 1, 2, 3, 4), 0, 0},
    {"flatten", NULL, {F(S(2, 1, 2), 1, 2, 3, 4), END}, F(S(2, 2), 1, 2, 3, 4), 0, 0},
    {"flatten", WITH(TERN_INT("axis", 3)), {F(S(2, 1, 2), 1, 2, 3, 4), END}, F(S(4, 1), 1, 2, 3, 4), 0, 0},
    {"squeeze", NULL, {F(S(1, 2, 1), 1, 2), END}, F(S(2), 1, 2), 0, 0},
    {"squeeze", WITH(LIST("axes", -1)), {F(S(1, 2, 1), 1, 2), END}, F(S(1, 2), 1, 2), 0, 0},
    {"unsqueeze", WITH(LIST("axes", 0, -1)), {F(S(2), 1, 2), END}, F(S(1, 2, 1), 1, 2), 0, 0},
    {"transpose", NULL, {F(S(2, 3), 1, 2, 3, 4, 5, 6), END}, F(S(3, 2), 1, 4, 2, 5, 3, 6), 0, 0},
    {"transpose", WITH(LIST("perm", 1, 2, 0)), {F(S(1, 2, 2), 1, 2, 3, 4), END}, F(S(2, 2, 1), 1, 2, 3, 4), 0, 0},
    {"transpose", WITH(LIST("perm", 2, 0, 1)), {F(S(2, 1, 2), 1, 2, 3, 4), END}, F(S(2, 2, 1), 1, 3, 2, 4), 0, 0},
    {"slice", WITH(LIST("starts", 1), LIST("ends", -1)), {F(S(5), 0, 1, 2, 3, 4), END}, F(S(3), 1, 2, 3), 0, 0},
    {"slice", WITH(LIST("starts", -1), LIST("ends", INT64_MIN), LIST("steps", -2)), {F(S(5), 0, 1, 2, 3, 4), END}, F(S(3), 4, 2, 0), 0, 0},
    {"slice", WITH(LIST("starts", 1), LIST("ends", INT64_MAX), LIST("axes", 1), LIST("steps", 2)), {F(S(2, 4), 0, 1, 2, 3, 4, 5, 6, 7), END}, F(S(2, 2), 1, 3, 5, 7), 0, 0},
    {"slice", WITH(LIST("starts", 3), LIST("ends", 1)), {F(S(5), 0, 1, 2, 3, 4), END}, F(S(0), 0), 0, 0},
    {"slice", WITH(LIST("starts", 9), LIST("ends", -9), LIST("steps", INT64_MIN)), {F(S(3), 0, 1, 2), END}, F(S(1), 2), 0, 0},
    {"concat", WITH(TERN_INT("axis", 1)), {F(S(2, 1), 1, 2), F(S(2, 2), 3, 4, 5, 6), END}, F(S(2, 3), 1, 3, 4, 2, 5, 6), 0, 0},
    {"split", WITH(TERN_INT("axis", -1), LIST("parts", 1, 2)), {F(S(2, 3), 1, 3, 4, 2, 5, 6), END}, F(S(2, 2), 3, 4, 5, 6), 1, 2},
    {"split", NULL, {F(S(4), 1, 2, 3, 4), END}, F(S(2), 3, 4), 1, 2},
    {"pad", WITH(LIST("pads", 2, 1), TERN_STRING("mode", "edge")), {F(S(3), 1, 2, 3), END}, F(S(6), 1, 1, 1, 2, 3, 3), 0, 0},
    {"pad", WITH(LIST("pads", 2, 1), TERN_STRING("mode", "reflect")), {F(S(3), 1, 2, 3), END}, F(S(6), 3, 2, 1, 2, 3, 2), 0, 0},
    {"pad", WITH(LIST("pads", 3, 4), TERN_STRING("mode", "reflect")), {F(S(3), 1, 2, 3), END}, F(S(10), 2, 3, 2, 1, 2, 3, 2, 1, 2, 3), 0, 0},
    {"pad", WITH(LIST("pads", 2, 5), TERN_STRING("mode", "wrap")), {F(S(3), 1, 2, 3), END}, F(S(10), 2, 3, 1, 2, 3, 1, 2, 3, 1, 2), 0, 0},
    {"pad", WITH(LIST("pads", 0, 1, 1, 0), TERN_FLOAT("value", 9)), {F(S(1, 2), 1, 2), END}, F(S(2, 3), 9, 1, 2, 9, 9, 9), 0, 0},
    {"pad", WITH(LIST("pads", -1, 1)), {F(S(3), 1, 2, 3), END}, F(S(3), 2, 3, 0), 0, 0},
    {"expand", WITH(LIST("shape", 2, 1)), {F(S(3), 1, 2, 3), END}, F(S(2, 3), 1, 2, 3, 1, 2, 3), 0, 0},
    {"expand_as", NULL, {F(S(2, 1), 1, 2), F(S(2, 2), 0, 0, 0, 0), END}, F(S(2, 2), 1, 1, 2, 2), 0, 0},
    {"reshape_as", NULL, {F(S(4), 1, 2, 3, 4), F(S(2, 2), 0, 0, 0, 0), END}, F(S(2, 2), 1, 2, 3, 4), 0, 0},
    {"size", WITH(LIST("axes", 0, -1)), {F(S(2, 1, 2), 1, 2, 3, 4), END}, L(SCALAR, 4), 0, 0},

    /* Indices */
    {"gather", NULL, {F(S(3, 2), 1, 2, 3, 4, 5, 6), L(S(3), 2, -3, 7), END}, F(S(3, 2), 5, 6, 1, 2, 0, 0), 0, 0},
    {"gather", WITH(TERN_INT("axis", 1)), {F(S(2, 3), 1, 2, 3, 4, 5, 6), D(TERN_I32, S(1, 2), 2, -2), END}, F(S(2, 1, 2), 3, 2, 6, 5), 0, 0},
    {"gather", NULL, {F(S(3), 1, 2, 3), L(SCALAR, 1), END}, F(SCALAR, 2), 0, 0},
    {"gather_elements", WITH(TERN_INT("axis", 1)), {F(S(2, 2), 1, 2, 3, 4), L(S(2, 3), 0, -1, 5, 1, 0, 0), END}, F(S(2, 3), 1, 2, 0, 4, 3, 3), 0, 0},
    {"gather_nd", NULL, {F(S(2, 2), 1, 2, 3, 4), L(S(3, 2), 0, 0, 1, -1, 2, 0), END}, F(S(3), 1, 4, 0), 0, 0},
    {"gather_nd", WITH(TERN_INT("batch_dims", 1)), {F(S(2, 2), 1, 2, 3, 4), L(S(2, 1), 1, 0), END}, F(S(2), 2, 3), 0, 0},
    {"scatter_slices", NULL, {F(S(3, 2), 1, 2, 3, 4, 5, 6), L(S(3), 2, 0, -1), F(S(3, 2), 7, 8, 9, 10, 11, 12), END}, F(S(3, 2), 9, 10, 3, 4, 11, 12), 0, 0},
    {"scatter_slices", WITH(TERN_STRING("reduction", "mul")), {F(S(3), 1, 2, 3), L(S(3), 2, 2, 3), F(S(3), 2, 5, 7), END}, F(S(3), 1, 2, 30), 0, 0},
    {"scatter_elements", WITH(TERN_INT("axis", 1), TERN_STRING("reduction", "max")), {F(S(2, 2), 1, 2, 3, 4), L(S(1, 3), 0, 0, 1), F(S(1, 3), 5, 4, 0), END}, F(S(2, 2), 5, 2, 3, 4), 0, 0},
    {"scatter_elements", WITH(TERN_STRING("reduction", "min")), {F(S(2), 1, NAN), L(S(3), 0, 1, -2), F(S(3), NAN, 0, 5), END}, F(S(2), NAN, NAN), 0, 0},
    {"scatter_nd", WITH(TERN_STRING("reduction", "add")), {F(S(2, 2), 1, 2, 3, 4), L(S(3, 2), 0, 0, 0, 0, 1, -1), F(S(3), 10, 20, 30), END}, F(S(2, 2), 31, 2, 3, 34), 0, 0},
    {"top_k", WITH(TERN_INT("k", 3)), {F(S(5), 1, 3, NAN, 3, 2), END}, F(S(3), NAN, 3, 3), 0, 2},
    {"top_k", WITH(TERN_INT("k", 2), TERN_INT("axis", 0), TERN_INT("largest", 0)), {F(S(3, 1), 1, NAN, 1), END}, F(S(2, 1), 1, 1), 0, 2},
    {"max_roi_pool", WITH(TERN_INT("height", 2), TERN_INT("width", 2)), {F(S(1, 1, 4, 4), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), F(S(2, 5), 0, 0, 0, 3, 3, 1, 0, 0, 3, 3), END},
     F(S(2, 1, 2, 2), 6, 8, 14, 16, 0, 0, 0, 0), 0, 0},
    {"max_roi_pool", WITH(TERN_INT("height", 2), TERN_INT("width", 2), TERN_FLOAT("scale", 0.5)), {F(S(1, 1, 4, 4), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), F(S(1, 5), 0, 2, 2, 6, 6), END},
     F(S(1, 1, 2, 2), 11, 12, 15, 16), 0, 0},
    {"roi_align", WITH(TERN_INT("height", 1), TERN_INT("width", 1), TERN_INT("sampling_ratio", 1), TERN_INT("half_pixel", 1)),
     {F(S(1, 1, 2, 2), 1, 2, 3, 4), F(S(1, 4), 0, 0, 2, 2), L(S(1), 0), END}, F(S(1, 1, 1, 1), 2.5), 0, 0},
    {"roi_align", WITH(TERN_INT("height", 1), TERN_INT("width", 1), TERN_INT("sampling_ratio", 1), TERN_INT("half_pixel", 0)),
     {F(S(1, 1, 2, 2), 1, 2, 3, 4), F(S(1, 4), 0, 0, 2, 2), L(S(1), 0), END}, F(S(1, 1, 1, 1), 4), 0, 0},
    {"roi_align", WITH(TERN_INT("height", 1), TERN_INT("width", 2), TERN_INT("sampling_ratio", 2), TERN_INT("half_pixel", 1), TERN_INT("max", 1)),
     {F(S(1, 1, 2, 4), 1, 2, 3, 4, 5, 6, 7, 8), F(S(1, 4), 0, 0, 4, 2), L(S(1), 0), END}, F(S(1, 1, 1, 2), 6, 8), 0, 0},
    {"cumsum", WITH(TERN_INT("axis", 0)), {F(S(3), 1, 2, 3), END}, F(S(3), 1, 3, 6), 0, 0},
    {"cumsum", WITH(TERN_INT("axis", -1), TERN_INT("exclusive", 1), TERN_INT("reverse", 1)), {F(S(2, 3), 1, 2, 3, 4, 5, 6), END}, F(S(2, 3), 5, 3, 0, 11, 6, 0), 0, 0},
    {"det", NULL, {F(S(2, 2), 1, 2, 3, 4), END}, F(SCALAR, -2), 0, 0},
    {"det", NULL, {F(S(1, 3, 3), 0, 1, 2, 1, 0, 3, 4, -3, 8), END}, F(S(1), -2), 0, 0},
    {"scatter_add", NULL, {F(S(3), 1, 0, 0), L(S(4), 0, 0, -1, 9), F(S(4), 1, 2, 3, 4), END}, F(S(3), 4, 0, 3), 0, 0},
    {"scatter_add", WITH(TERN_INT("axis", 1)), {L(S(1, 2), 0, 0), L(S(1, 2), 1, 1), L(S(1, 1, 2), 5, 6), END}, L(S(1, 2), 0, 11), 0, 0},
    {"embedding", NULL, {F(S(2, 2), 1, 2, 3, 4), L(S(2, 1), 1, 0), END}, F(S(2, 1, 2), 3, 4, 1, 2), 0, 0},
    {"one_hot", WITH(TERN_INT("depth", 3), TERN_STRING("dtype", "f64")), {L(S(3), 1, -1, 5), END}, F(S(3, 3), 0, 1, 0, 0, 0, 1, 0, 0, 0), 0, 0},
    {"one_hot", WITH(TERN_INT("depth", 2), TERN_INT("axis", 0), TERN_STRING("dtype", "bool")), {D(TERN_U8, S(3), 1, 0, 255), END},
     D(TERN_BOOL, S(2, 3), 0, 1, 0, 1, 0, 0), 0, 0},
    {"iota", WITH(LIST("shape", 2, 3), TERN_INT("axis", 1), TERN_STRING("dtype", "i32")), {END}, D(TERN_I32, S(2, 3), 0, 1, 2, 0, 1, 2), 0, 0},
    {"iota", WITH(LIST("shape", 2), TERN_STRING("dtype", "f64")), {END}, F(S(2), 0, 1), 0, 0},
};

static tern_value constant(tern_graph *g, const data *d)
{
    tern_tensor *t = NULL;
    assert_ok(tern_tensor_create(d->t, &d->s, &t));
    tern__array a = {.type = {.dtype = d->t, .shape = d->s}, .data = tern_tensor_data(t)};
    for (int64_t i = 0; i < tern__elems(&d->s); i++) {
        if (tern__dtype_is(d->t, TERN__T_FLOAT))
            tern__array_set(&a, i, d->x[i]);
        else
            tern__array_set_int(&a, i, (int64_t)d->x[i]);
    }
    tern_value v = tern_graph_constant(g, t);
    tern_tensor_destroy(t);
    return v;
}

static bool near(double x, double y)
{
    return x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= 1e-9 * (1 + fabs(y));
}

static void compare(const char *what, const tern__array *got, const data *want)
{
    if (got->type.dtype != want->t || !tern__shape_equal(&got->type.shape, &want->s))
        fail_msg("%s: %s of rank %d, wanted %s of rank %d", what, tern_dtype_name(got->type.dtype), got->type.shape.rank, tern_dtype_name(want->t), want->s.rank);
    for (int64_t i = 0; i < tern__elems(&want->s); i++)
        if (!near(tern__array_get(got, i), want->x[i]))
            fail_msg("%s: element %d is %.12g, wanted %.12g", what, (int)i, tern__array_get(got, i), want->x[i]);
}

/* The graph's only output by the references. */
static void check_output(const char *what, const tern_graph *g, const data *want)
{
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, NULL));
    compare(what, tern__interp_output(&it, 0), want);
    tern__interp_finish(&it);
}

static tern_graph *graph_of(const example *e)
{
    tern_graph *g = new_graph();
    tern_value in[8], out[4] = {TERN_NONE, TERN_NONE, TERN_NONE, TERN_NONE};
    int n = 0;
    for (; e->in[n].t != TERN_DTYPE_COUNT; n++)
        in[n] = constant(g, &e->in[n]);
    tern_graph_add_n(g, e->op, in, n, e->attrs, out, e->n_out ? e->n_out : 1);
    tern_graph_output(g, "y", out[e->which]);
    if (tern_graph_check(g) != TERN_OK)
        fail_msg("%s: %s", e->op, tern_last_error());
    return g;
}

/* By the reference, and again by what the op expands into: both are compared with the numbers by hand. */
static void test_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT(examples); i++) {
        char what[64];
        tern_graph *g = graph_of(&examples[i]), *expanded = NULL;
        snprintf(what, sizeof what, "%s (example %zu)", examples[i].op, i);
        check_output(what, g, &examples[i].want);
        assert_ok(tern__pass_expand.run(g, &expanded));
        snprintf(what, sizeof what, "%s expanded (example %zu)", examples[i].op, i);
        check_output(what, expanded, &examples[i].want);
        tern_graph_destroy(expanded);
        tern_graph_destroy(g);
    }
}

/* Every op that is not pointwise has an example here or a test of its own below. */
static void test_all_ops_have_examples(void **state)
{
    (void)state;
    static const char *const elsewhere[] = {"random_uniform", "random_normal", "dropout", "sgd", "momentum", "adam", "reorder"};
    int n_ops;
    const tern__op *const *ops = tern__op_all(&n_ops);
    for (int i = 0; i < n_ops; i++) {
        bool found = ops[i]->trait == TERN__POINTWISE;
        for (size_t k = 0; k < TERN_COUNT(examples); k++)
            found |= strcmp(examples[k].op, ops[i]->name) == 0;
        for (size_t k = 0; k < TERN_COUNT(elsewhere); k++)
            found |= strcmp(elsewhere[k], ops[i]->name) == 0;
        if (!found)
            fail_msg("no example for %s", ops[i]->name);
    }
}

/* --- Identities --- */

static double dot(const tern__array *a, const tern__array *b)
{
    double sum = 0;
    assert_true(tern__shape_equal(&a->type.shape, &b->type.shape));
    for (int64_t i = 0; i < tern__elems(&a->type.shape); i++)
        sum += tern__array_get(a, i) * tern__array_get(b, i);
    return sum;
}

typedef struct conv_case {
    tern_shape x, w;
    const tern_attr *attrs;
} conv_case;

static const conv_case conv_cases[] = {
    {S(2, 3, 9), S(4, 3, 3), WITH(LIST("strides", 2), LIST("dilations", 2), LIST("pads", 1, 2))},
    {S(2, 4, 7, 6), S(6, 2, 3, 2), WITH(LIST("strides", 2, 1), LIST("pads", 1, 0, 0, 1), TERN_INT("group", 2))},
    {S(1, 3, 5, 5), S(3, 1, 3, 3), WITH(LIST("pads", 1, 1, 1, 1), TERN_INT("group", 3))},
    {S(1, 2, 4, 5, 3), S(3, 2, 2, 3, 2), WITH(LIST("strides", 1, 2, 2), LIST("dilations", 2, 1, 1), LIST("pads", 1, 0, 1, 0, 2, 0))},
};

/* <conv(x, w), dy> = <x, conv_grad_input(dy, w)> = <w, conv_grad_weight(x, dy)>: the gradients are the adjoints, whatever the geometry. */
static void test_convolution_adjoints(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT(conv_cases); i++) {
        const conv_case *c = &conv_cases[i];
        tern_graph *g = new_graph();
        tern_value x = random_variable(g, "x", TERN_F64, &c->x, 1), w = random_variable(g, "w", TERN_F64, &c->w, 2);
        tern_value y = tern_graph_op2(g, "conv", x, w, c->attrs);
        assert_ok(tern_graph_check(g));
        const tern_shape ys = *tern__shape_of(g, y);
        tern_value dy = random_variable(g, "dy", TERN_F64, &ys, 3);
        tern_attr more[8] = {{0}}; /* the extents, then those of the convolution */
        for (int k = 0; c->attrs[k].name; k++)
            more[k + 1] = c->attrs[k];
        more[0] = (tern_attr)TERN_INTS("input_shape", c->x.dim + 2, c->x.rank - 2);
        tern_value dx = tern_graph_op2(g, "conv_grad_input", dy, w, more);
        more[0] = (tern_attr)TERN_INTS("kernel", c->w.dim + 2, c->w.rank - 2);
        tern_value dw = tern_graph_op2(g, "conv_grad_weight", x, dy, more);
        tern_graph_output(g, "y", y);
        tern_graph_output(g, "dx", dx);
        tern_graph_output(g, "dw", dw);
        assert_ok(tern_graph_check(g));
        tern__interp it = {0};
        assert_ok(tern__interp_init(&it, g));
        assert_ok(tern__interp_run(&it, NULL));
        const double want = dot(tern__interp_output(&it, 0), tern__interp_value(&it, dy));
        assert_true(near(dot(tern__interp_value(&it, x), tern__interp_output(&it, 1)), want));
        assert_true(near(dot(tern__interp_value(&it, w), tern__interp_output(&it, 2)), want));
        tern__interp_finish(&it);
        tern_graph_destroy(g);
    }
}

/* A convolution with a kernel of one is a product over channels. */
static void test_point_convolution_is_matmul(void **state)
{
    (void)state;
    tern_graph *a = new_graph(), *b = new_graph();
    for (int i = 0; i < 2; i++) {
        tern_graph *g = i ? b : a;
        tern_value x = tern_graph_input(g, "x", TERN_F64, SHAPE(2, 3, 4), 0), w = tern_graph_input(g, "w", TERN_F64, SHAPE(5, 3), 0);
        if (i)
            tern_graph_output(g, "y", tern_graph_op2(g, "matmul", w, x, NULL));
        else
            tern_graph_output(g, "y", tern_graph_op2(g, "conv", x, tern_graph_op1(g, "unsqueeze", w, WITH(LIST("axes", 2))), NULL));
        assert_ok(tern_graph_check(g));
    }
    assert_same_results(a, b, 1e-12);
    tern_graph_destroy(a);
    tern_graph_destroy(b);
}

/* A value, and what two movements that undo each other make of it. */
static void test_movements_undo_each_other(void **state)
{
    (void)state;
    tern_graph *a = new_graph(), *b = new_graph();
    for (int i = 0; i < 2; i++) {
        tern_graph *g = i ? b : a;
        tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 3, 4), 0), y[2] = {x, x}, parts[2];
        if (i) {
            tern_value t = tern_graph_op1(g, "transpose", x, WITH(LIST("perm", 2, 0, 1)));
            y[0] = tern_graph_op1(g, "transpose", t, WITH(LIST("perm", 1, 2, 0)));
            tern_graph_add_n(g, "split", &x, 1, WITH(TERN_INT("axis", 2), LIST("parts", 1, 3)), parts, 2);
            y[1] = tern_graph_add(g, "concat", parts, 2, WITH(TERN_INT("axis", 2)));
            y[1] = tern_graph_op1(g, "pad", y[1], WITH(LIST("pads", 1, 2, 0, 0, 1, 1), TERN_STRING("mode", "constant")));
            y[1] = tern_graph_op1(g, "pad", y[1], WITH(LIST("pads", -1, -2, 0, 0, -1, -1)));
            y[1] = tern_graph_op1(g, "slice", y[1], WITH(LIST("starts", -1), LIST("ends", INT64_MIN), LIST("steps", -1), LIST("axes", 1)));
            y[1] = tern_graph_op1(g, "slice", y[1], WITH(LIST("starts", -1), LIST("ends", INT64_MIN), LIST("steps", -1), LIST("axes", 1)));
        }
        tern_graph_output(g, "a", y[0]);
        tern_graph_output(g, "b", y[1]);
        assert_ok(tern_graph_check(g));
    }
    assert_same_results(a, b, 0);
    tern_graph_destroy(a);
    tern_graph_destroy(b);
}

/* --- Random numbers --- */

static double *draw(const char *op, const tern_attr *attrs, double step, int64_t *n)
{
    tern_graph *g = new_graph();
    tern_graph_output(g, "y", tern_graph_op1(g, op, tern_graph_scalar(g, TERN_F32, step), attrs));
    assert_ok(tern_graph_check(g));
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, NULL));
    const tern__array *a = tern__interp_output(&it, 0);
    *n = tern__elems(&a->type.shape);
    double *x = malloc((size_t)*n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < *n; i++)
        x[i] = tern__array_get(a, i);
    tern__interp_finish(&it);
    tern_graph_destroy(g);
    return x;
}

static void moments(const double *x, int64_t n, double *mean, double *var)
{
    *mean = *var = 0;
    for (int64_t i = 0; i < n; i++)
        *mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        *var += (x[i] - *mean) * (x[i] - *mean) / (double)n;
}

static void test_random(void **state)
{
    (void)state;
    const tern_attr *uniform = WITH(LIST("shape", 100, 100), TERN_INT("seed", 5), TERN_FLOAT("low", -1), TERN_FLOAT("high", 3));
    const tern_attr *normal = WITH(LIST("shape", 10000), TERN_INT("seed", 5), TERN_FLOAT("mean", 2), TERN_FLOAT("scale", 3));
    int64_t n;
    double mean, var, *a = draw("random_uniform", uniform, 7, &n), *b = draw("random_uniform", uniform, 7, &n), *c = draw("random_uniform", uniform, 8, &n);
    double *z = draw("random_normal", normal, 7, &n);
    int differs = 0;
    for (int64_t i = 0; i < n; i++) {
        assert_true(a[i] >= -1 && a[i] < 3);
        assert_true(a[i] == b[i]);
        assert_true(a[i] == (double)(tern__philox_uniform(5, 7, (uint64_t)i) * 4.0f + -1.0f));
        differs += a[i] != c[i];
    }
    assert_true(differs > 9900);
    /* Four standard errors of each moment. */
    moments(a, n, &mean, &var);
    assert_true(fabs(mean - 1) < 4 * sqrt(16.0 / 12 / 1e4) && fabs(var - 16.0 / 12) < 0.05);
    moments(z, n, &mean, &var);
    assert_true(fabs(mean - 2) < 4 * 3 / 100.0 && fabs(var - 9) < 4 * 9 * sqrt(2 / 1e4));
    free(a);
    free(b);
    free(c);
    free(z);
}

static void test_dropout(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = random_variable(g, "x", TERN_F64, SHAPE(5000), 1), step = tern_graph_scalar(g, TERN_I64, 3);
    const tern_attr *attrs = WITH(TERN_FLOAT("p", 0.25), TERN_INT("seed", 9));
    tern_value y = tern_graph_op2(g, "dropout", x, step, attrs), dx;
    assert_ok(tern_graph_gradients(g, tern_graph_op1(g, "sum", y, WITH(TERN_INT("keepdims", 0))), &x, 1, &dx));
    tern_graph_output(g, "y", y);
    tern_graph_output(g, "dx", dx);
    assert_ok(tern_graph_check(g));
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, NULL));
    const tern__array *ax = tern__interp_value(&it, x), *ay = tern__interp_output(&it, 0), *ad = tern__interp_output(&it, 1);
    int kept = 0;
    for (int64_t i = 0; i < 5000; i++) {
        const double v = tern__array_get(ay, i), d = tern__array_get(ad, i);
        kept += d != 0;
        assert_true(near(d, d != 0 ? 1 / 0.75 : 0)); /* the gradient is the mask */
        assert_true(near(v, tern__array_get(ax, i) * d));
    }
    assert_true(abs(kept - 3750) < 4 * 31);
    tern__interp_finish(&it);
    tern_graph_destroy(g);
}

/* --- Refusals --- */

typedef struct refusal {
    const char *op;
    const tern_attr *attrs;
    data in[8];
    tern_status status;
    const char *words;
    int n_out;
} refusal;
#define T(type, shape) {type, shape, NULL}
#define X(shape) {TERN_F32, shape, NULL}

static const refusal refusals[] = {
    {"sum", NULL, {T(TERN_BOOL, S(2)), END}, TERN_E_DTYPE, "sum", 0},
    {"sum", WITH(LIST("axes", 2)), {X(S(2, 3)), END}, TERN_E_INVALID, "axis 2 out of range for rank 2", 0},
    {"mean", NULL, {T(TERN_I32, S(2)), END}, TERN_E_DTYPE, "i32", 0},
    {"reduce_max", WITH(LIST("axes", 1)), {X(S(2, 0)), END}, TERN_E_SHAPE, "reduce_max: [2,0] has no elements along axis 1", 0},
    {"argmax", WITH(LIST("axes", 0, 1)), {X(S(2, 3)), END}, TERN_E_INVALID, "one axis or none", 0},
    {"softmax", WITH(TERN_INT("axis", 4)), {X(S(1, 2, 3)), END}, TERN_E_INVALID, "softmax: axis 4 out of range for rank 3", 0},
    {"softmax", NULL, {T(TERN_I32, S(3)), END}, TERN_E_DTYPE, "i32", 0},
    {"attention", NULL, {X(S(1, 3, 2, 4)), X(S(1, 2, 5, 4)), X(S(1, 2, 5, 4)), END}, TERN_E_SHAPE, "keys [1,2,5,4]", 0},
    {"attention", NULL, {X(S(1, 2, 2, 4)), X(S(1, 2, 5, 4)), X(S(1, 2, 5, 4)), X(S(2, 4)), END}, TERN_E_SHAPE, "the mask [2,4] does not broadcast", 0},
    {"attention_grad", NULL, {X(S(1, 1, 2, 4)), X(S(1, 1, 3, 4)), X(S(1, 1, 3, 2)), X(S(1, 1, 2, 4)), X(S(1, 1, 2)), X(S(1, 1, 2)), END}, TERN_E_SHAPE,
     "operand 3 is [1,1,2,4] where the others want [1,1,2,2]", 0},
    {"attention", WITH(TERN_FLOAT("softcap", -1)), {X(S(1, 2, 2, 4)), X(S(1, 2, 5, 4)), X(S(1, 2, 5, 4)), END}, TERN_E_INVALID, "softcap -1", 0},
    {"softmax_cross_entropy", NULL, {X(S(4, 3)), T(TERN_I64, S(5)), END}, TERN_E_SHAPE, "logits [4,3] and labels [5]", 0},
    {"softmax_cross_entropy", NULL, {X(S(4, 3)), X(S(4)), END}, TERN_E_DTYPE, "f32", 0},
    {"mse", NULL, {X(S(2)), X(S(3)), END}, TERN_E_SHAPE, "input 0 is [2] but input 1 is [3]", 0},
    {"mse", WITH(TERN_STRING("reduction", "max")), {X(S(2)), X(S(2)), END}, TERN_E_INVALID, "reduction \"max\" is none of mean, sum, none", 0},
    {"huber", WITH(TERN_FLOAT("delta", 0)), {X(S(2)), X(S(2)), END}, TERN_E_INVALID, "delta 0", 0},
    {"matmul", NULL, {X(S(2, 3)), X(S(4, 5)), END}, TERN_E_SHAPE, "[2,3] times [4,5]: 3 columns meet 4 rows", 0},
    {"matmul", NULL, {X(S(2, 2, 3)), X(S(3, 3, 5)), END}, TERN_E_SHAPE, "batches of [2,2,3] and [3,3,5] do not broadcast", 0},
    {"matmul", NULL, {X(SCALAR), X(S(3)), END}, TERN_E_SHAPE, "input 0 is a scalar", 0},
    {"matmul", NULL, {X(S(2, 3)), T(TERN_F16, S(3, 2)), END}, TERN_E_DTYPE, "input 0 is f32 but input 1 is f16", 0},
    {"gemm", NULL, {X(S(2, 3)), X(S(3, 4)), X(S(3)), END}, TERN_E_SHAPE, "the addend [3] does not broadcast to [2,4]", 0},
    {"conv", NULL, {X(S(1, 3, 8, 8)), X(S(8, 4, 3, 3)), END}, TERN_E_SHAPE, "3 input channels, but the weight [8,4,3,3] with group 1 wants 4", 0},
    {"conv", WITH(TERN_INT("group", 3)), {X(S(1, 6, 8)), X(S(8, 2, 3)), END}, TERN_E_SHAPE, "8 channels of the weight [8,2,3] do not make 3 groups", 0},
    {"conv", WITH(TERN_INT("group", 0)), {X(S(1, 3, 8)), X(S(8, 3, 3)), END}, TERN_E_INVALID, "group 0", 0},
    {"conv", NULL, {X(S(1, 3, 8)), X(S(8, 3, 3)), X(S(7)), END}, TERN_E_SHAPE, "input 2 is [7] but must be [8], one for each output channel", 0},
    {"conv", NULL, {X(S(1, 3, 2)), X(S(8, 3, 3)), END}, TERN_E_SHAPE, "a window of 3 does not fit in 2 with 0 + 0 padding along spatial axis 0", 0},
    {"conv", WITH(LIST("strides", 1, 1)), {X(S(1, 3, 8)), X(S(8, 3, 3)), END}, TERN_E_INVALID, "strides [1,1] for 1 spatial dimensions", 0},
    {"conv", WITH(LIST("strides", 0)), {X(S(1, 3, 8)), X(S(8, 3, 3)), END}, TERN_E_INVALID, "strides [0]: each must be at least 1", 0},
    {"conv", WITH(LIST("pads", 1)), {X(S(1, 3, 8)), X(S(8, 3, 3)), END}, TERN_E_INVALID, "2 are needed", 0},
    {"conv", WITH(LIST("pads", -1, 0)), {X(S(1, 3, 8)), X(S(8, 3, 3)), END}, TERN_E_INVALID, "none may be negative", 0},
    {"conv", NULL, {X(S(3, 8)), X(S(8, 3)), END}, TERN_E_SHAPE, "one to three spatial dimensions", 0},
    {"conv", NULL, {X(S(1, 3, 8, 8)), X(S(8, 3, 3)), END}, TERN_E_SHAPE, "has 1 spatial dimensions, the input has 2", 0},
    {"conv_transpose", WITH(LIST("output_padding", 1)), {X(S(1, 3, 8)), X(S(3, 2, 3)), END}, TERN_E_INVALID, "output_padding 1 is not below the stride 1", 0},
    {"conv_transpose", WITH(LIST("pads", 9, 9)), {X(S(1, 3, 4)), X(S(3, 2, 3)), END}, TERN_E_SHAPE, "leaves nothing", 0},
    {"conv_grad_input", WITH(LIST("input_shape", 9)), {X(S(1, 3, 8)), X(S(3, 2, 3)), END}, TERN_E_SHAPE, "extent 8 along spatial axis 0, where the convolution makes 7", 0},
    {"max_pool", WITH(LIST("kernel", 2), LIST("pads", 2, 0)), {X(S(1, 3, 8)), END}, TERN_E_INVALID, "padding 2 must be less than the window of 2", 0},
    {"max_pool", NULL, {X(S(1, 3, 8)), END}, TERN_E_INVALID, "kernel", 0},
    {"max_pool", WITH(LIST("kernel", 65536, 65536), LIST("pads", 32768, 32768, 32768, 32768)), {X(S(1, 3, 1, 1)), END}, TERN_E_SHAPE, "1 x 65536 x 65536 elements is too large to be numbered", 0},
    {"max_pool_grad", WITH(LIST("kernel", 2), LIST("input_shape", 8)), {T(TERN_I32, S(1, 3, 7)), X(S(1, 3, 7)), END}, TERN_E_DTYPE, "positions are i32 where the pooling makes u8", 0},
    {"max_pool_grad", WITH(LIST("kernel", 2), LIST("input_shape", 8)), {T(TERN_U8, S(1, 3, 6)), X(S(1, 3, 6)), END}, TERN_E_SHAPE, "extent 6 along spatial axis 0", 0},
    {"max_pool_grad", WITH(LIST("kernel", 2), LIST("input_shape", 8)), {T(TERN_U8, S(1, 3, 7)), X(S(1, 4, 7)), END}, TERN_E_SHAPE, "max_pool_grad", 0},
    {"max_pool", WITH(LIST("kernel", 9)), {X(S(1, 3, 8)), END}, TERN_E_SHAPE, "a window of 9 does not fit in 8", 0},
    {"average_pool", WITH(LIST("kernel", 2), TERN_INT("divisor", -1)), {X(S(1, 3, 8)), END}, TERN_E_INVALID, "divisor -1", 0},
    {"average_pool", WITH(LIST("kernel", 2)), {T(TERN_I32, S(1, 3, 8)), END}, TERN_E_DTYPE, "i32", 0},
    {"batch_norm", NULL, {X(S(2, 3)), X(S(4)), X(S(3)), END}, TERN_E_SHAPE, "input 1 is [4] but must be [3], one for each channel", 3},
    {"batch_norm", WITH(TERN_FLOAT("eps", 0)), {X(S(2, 3)), X(S(3)), X(S(3)), END}, TERN_E_INVALID, "eps 0", 3},
    {"layer_norm", NULL, {X(S(2, 3)), X(S(2)), END}, TERN_E_SHAPE, "input 1 is [2] but must be [3]", 0},
    {"group_norm", WITH(TERN_INT("groups", 4)), {X(S(2, 6, 1)), END}, TERN_E_SHAPE, "6 channels do not make 4 groups", 0},
    {"reshape", WITH(LIST("shape", 4, 2)), {X(S(2, 3)), END}, TERN_E_SHAPE, "the 6 elements of [2,3] do not make [4,2]", 0},
    {"reshape", WITH(LIST("shape", -1, -1)), {X(S(2, 3)), END}, TERN_E_SHAPE, "at most one -1", 0},
    {"reshape", WITH(LIST("shape", 2, 3, 0)), {X(S(2, 3)), END}, TERN_E_SHAPE, "rank 2 does not have", 0},
    {"reshape", WITH(LIST("shape", INT64_MAX, INT64_MAX, 6)), {X(S(2, 3)), END}, TERN_E_SHAPE, "do not make", 0},
    {"transpose", WITH(LIST("perm", 0, 0)), {X(S(2, 3)), END}, TERN_E_INVALID, "perm [0,0] is no order of 2 axes", 0},
    {"slice", WITH(LIST("starts", 0), LIST("ends", 1), LIST("steps", 0)), {X(S(2)), END}, TERN_E_INVALID, "step 0 along axis 0", 0},
    {"slice", WITH(LIST("starts", 0, 0), LIST("ends", 1)), {X(S(2, 2)), END}, TERN_E_INVALID, "2 starts, 1 ends", 0},
    {"slice", WITH(LIST("starts", 0, 0), LIST("ends", 1, 1), LIST("axes", 0, -2)), {X(S(2, 2)), END}, TERN_E_INVALID, "axis 0 is given twice", 0},
    {"concat", WITH(TERN_INT("axis", 0)), {X(S(2, 3)), X(S(2, 4)), END}, TERN_E_SHAPE, "input 1 is [2,4], which does not go with [2,3] along axis 0", 0},
    {"split", WITH(LIST("parts", 1, 2)), {X(S(4)), END}, TERN_E_SHAPE, "leave 1 of the extent 4", 2},
    {"split", NULL, {X(S(5)), END}, TERN_E_SHAPE, "5 elements do not make 2 equal parts", 2},
    {"pad", WITH(LIST("pads", 1)), {X(S(4)), END}, TERN_E_INVALID, "1 pads for rank 1", 0},
    {"pad", WITH(LIST("pads", 3, 0), TERN_STRING("mode", "reflect")), {X(S(0)), END}, TERN_E_SHAPE, "axis 0 has no element to repeat", 0},
    {"pad", WITH(LIST("pads", 1, 0), TERN_STRING("mode", "mirror")), {X(S(3)), END}, TERN_E_INVALID, "mode \"mirror\"", 0},
    {"pad", WITH(LIST("pads", -2, -2)), {X(S(3)), END}, TERN_E_SHAPE, "-2 before and -2 after do not fit the extent 3", 0},
    {"pad", WITH(LIST("pads", INT64_MAX, 0)), {X(S(3)), END}, TERN_E_SHAPE, "do not fit", 0},
    {"expand", WITH(LIST("shape", 2)), {X(S(3)), END}, TERN_E_SHAPE, "[3] does not broadcast with [2]", 0},
    {"squeeze", WITH(LIST("axes", 0)), {X(S(3)), END}, TERN_E_SHAPE, "axis 0 of [3] is not 1", 0},
    {"unsqueeze", WITH(LIST("axes", 0, 0)), {X(S(3)), END}, TERN_E_INVALID, "axis 0 is given twice", 0},
    {"gather", NULL, {X(S(3)), X(S(1)), END}, TERN_E_DTYPE, "f32", 0},
    {"gather_elements", NULL, {X(S(3, 2)), T(TERN_I64, S(1, 3)), END}, TERN_E_SHAPE, "[1,3] reach beyond data [3,2] off axis 0", 0},
    {"gather_nd", NULL, {X(S(3, 2)), T(TERN_I64, S(1, 3)), END}, TERN_E_SHAPE, "tuples of 3", 0},
    {"scatter_nd", NULL, {X(S(3, 2)), T(TERN_I64, S(1, 2)), X(S(2)), END}, TERN_E_SHAPE, "updates [2] where data and indices ask for [1]", 0},
    {"scatter_elements", WITH(TERN_STRING("reduction", "sum")), {X(S(3)), T(TERN_I64, S(1)), X(S(1)), END}, TERN_E_INVALID, "none of none, add", 0},
    {"top_k", WITH(TERN_INT("k", 4)), {X(S(3)), END}, TERN_E_SHAPE, "k is 4, but axis 0 has 3", 2},
    {"det", NULL, {X(S(3, 2)), END}, TERN_E_SHAPE, "no square matrices", 0},
    {"gather", NULL, {X(SCALAR), T(TERN_I64, S(1)), END}, TERN_E_INVALID, "axis 0 out of range for rank 0", 0},
    {"scatter_add", NULL, {X(S(3, 2)), T(TERN_I64, S(2)), X(S(3, 2)), END}, TERN_E_SHAPE, "updates [3,2] where data and indices ask for [2,2]", 0},
    {"one_hot", WITH(TERN_INT("depth", 0)), {T(TERN_I64, S(2)), END}, TERN_E_INVALID, "depth 0", 0},
    {"one_hot", WITH(TERN_INT("depth", 3), TERN_STRING("dtype", "f31")), {T(TERN_I64, S(2)), END}, TERN_E_INVALID, "\"f31\" is no element type", 0},
    {"iota", WITH(LIST("shape", 2, -1)), {END}, TERN_E_SHAPE, "[2,-1] has a negative extent", 0},
    {"iota", WITH(LIST("shape", 1, 1, 1, 1, 1, 1, 1, 1, 1)), {END}, TERN_E_SHAPE, "at most 8", 0},
    {"random_uniform", WITH(LIST("shape", 2)), {T(TERN_I32, SCALAR), END}, TERN_E_DTYPE, "i32", 0},
    {"random_uniform", WITH(LIST("shape", 2)), {X(S(1)), END}, TERN_E_SHAPE, "the step is [1] but must be a scalar", 0},
    {"random_normal", WITH(LIST("shape", 2), TERN_STRING("dtype", "i32")), {END}, TERN_E_DTYPE, "i32", 0},
    {"dropout", WITH(TERN_FLOAT("p", 1)), {X(S(2)), X(SCALAR), END}, TERN_E_INVALID, "p 1 is not in [0, 1)", 0},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT(refusals); i++) {
        const refusal *r = &refusals[i];
        tern_graph *g = new_graph();
        tern_value in[8], out[4];
        int n = 0;
        for (; r->in[n].t != TERN_DTYPE_COUNT; n++) {
            char name[8];
            snprintf(name, sizeof name, "x%d", n);
            in[n] = tern_graph_input(g, name, r->in[n].t, &r->in[n].s, 0);
        }
        assert_ok(tern_graph_check(g));
        tern_graph_add_n(g, r->op, in, n, r->attrs, out, r->n_out ? r->n_out : 1);
        tern_status st = tern_graph_check(g);
        if (st != r->status || !strstr(tern_last_error(), r->words) || !strstr(tern_last_error(), r->op))
            fail_msg("%s (refusal %zu): %s \"%s\", wanted %s \"%s\"", r->op, i, tern_status_name(st), st ? tern_last_error() : "",
                     tern_status_name(r->status), r->words);
        tern_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_all_ops_have_examples),
        cmocka_unit_test(test_convolution_adjoints),
        cmocka_unit_test(test_point_convolution_is_matmul),
        cmocka_unit_test(test_movements_undo_each_other),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
