/* Tests of differentiation: every op's gradient against finite differences in f64, sums over shared values, refusals, and training steps. */
#include "graph_help.h"

#include "attr_help.h"
#include "passes/pass.h"

/* --- Every op --- */

/* One call of an op: its inputs' shapes (rank -1 ends the list), the range of their numbers, and which are whole numbers instead. */
typedef struct example {
    const char *op;
    tern_shape in[7];
    double lo, hi;
    const tern_attr *attrs;
    unsigned whole; /* bit i: input i is i64 in [0, limit), and gets no gradient */
    int limit;
    int n_out; /* 0: one */
} example;

#define S(...) {.rank = (int)(sizeof INTS(__VA_ARGS__) / sizeof(int64_t)), .dim = {__VA_ARGS__}}
#define SCALAR {.rank = 0}
#define END {.rank = -1}
#define UNARY(name, from, to) {name, {S(2, 3), END}, from, to, NULL, 0, 0, 0}
#define BINARY(name, from, to) \
    {name, {S(2, 3), S(2, 3), END}, from, to, NULL, 0, 0, 0}, {name, {S(2, 1), S(3), END}, from, to, NULL, 0, 0, 0}, {name, {SCALAR, S(2, 3), END}, from, to, NULL, 0, 0, 0}
#define REDUCTION(name) \
    {name, {S(2, 3, 2), END}, 0.3, 2, NULL, 0, 0, 0}, \
    {name, {S(2, 3, 2), END}, 0.3, 2, WITH(LIST("axes", 1)), 0, 0, 0}, \
    {name, {S(2, 3, 2), END}, 0.3, 2, WITH(LIST("axes", 0, -1), TERN_INT("keepdims", 1)), 0, 0, 0}

static const example examples[] = {
    UNARY("abs", -1, 1), UNARY("acos", -0.8, 0.8), UNARY("acosh", 1.2, 3), UNARY("asin", -0.8, 0.8), UNARY("asinh", -2, 2), UNARY("atan", -2, 2),
    UNARY("atanh", -0.8, 0.8), UNARY("celu", -2, 2), UNARY("cos", -2, 2), UNARY("cosh", -2, 2), UNARY("elu", -2, 2),
    UNARY("erf", -2, 2), UNARY("exp", -2, 2), UNARY("exp2", -2, 2), UNARY("expm1", -2, 2), UNARY("gelu", -2, 2),
    UNARY("hard_sigmoid", -4, 4), UNARY("hard_swish", -4, 4), UNARY("hard_tanh", -2, 2), UNARY("identity", -2, 2), UNARY("leaky_relu", -2, 2),
    UNARY("log", 0.3, 2), UNARY("log1p", -0.5, 2), UNARY("log2", 0.3, 2), UNARY("mish", -2, 2), UNARY("neg", -2, 2), UNARY("reciprocal", 0.5, 2),
    UNARY("relu", -2, 2), UNARY("relu6", -3, 9), UNARY("rsqrt", 0.3, 2), UNARY("selu", -2, 2), UNARY("sigmoid", -2, 2),
    UNARY("silu", -2, 2), UNARY("sin", -2, 2), UNARY("sinh", -2, 2), UNARY("softplus", -2, 2), UNARY("softsign", -2, 2),
    UNARY("sqrt", 0.3, 2), UNARY("square", -2, 2), UNARY("tan", -1, 1), UNARY("tanh", -2, 2),
    {"gelu", {S(7), END}, -2, 2, WITH(TERN_INT("approximate", 1)), 0, 0, 0},
    {"leaky_relu", {S(7), END}, -2, 2, WITH(TERN_FLOAT("alpha", 0.3)), 0, 0, 0},
    {"shrink", {S(9), END}, -2, 2, WITH(TERN_FLOAT("lambd", 0.7), TERN_FLOAT("bias", 0.3)), 0, 0, 0},
    {"thresholded_relu", {S(7), END}, -2, 2, WITH(TERN_FLOAT("alpha", 0.3)), 0, 0, 0},
    {"clip", {S(9), END}, -2, 2, WITH(TERN_FLOAT("min", -0.7), TERN_FLOAT("max", 1.1)), 0, 0, 0},
    {"cast", {S(2, 3), END}, -2, 2, WITH(TERN_STRING("to", "f64")), 0, 0, 0},
    BINARY("add", -2, 2), BINARY("sub", -2, 2), BINARY("mul", -2, 2), BINARY("div", 0.5, 2), BINARY("max", -2, 2), BINARY("min", -2, 2),
    BINARY("pow", 0.5, 2), BINARY("mod", 0.6, 3), BINARY("atan2", 0.3, 2), BINARY("prelu", -2, 2),
    {"where", {S(2, 3), S(2, 3), S(3), END}, -2, 2, NULL, 1, 2, 0},

    REDUCTION("sum"), REDUCTION("mean"), REDUCTION("prod"), REDUCTION("reduce_max"), REDUCTION("reduce_min"), REDUCTION("logsumexp"),
    REDUCTION("reduce_l1"), REDUCTION("reduce_l2"),

    {"matmul", {S(2, 3), S(3, 4), END}, -1, 1, NULL, 0, 0, 0},
    {"matmul", {S(3, 2), S(4, 3), END}, -1, 1, WITH(TERN_INT("trans_a", 1), TERN_INT("trans_b", 1)), 0, 0, 0},
    {"matmul", {S(2, 2, 3), S(3, 2), END}, -1, 1, NULL, 0, 0, 0},
    {"matmul", {S(2, 1, 2, 3), S(3, 3, 2), END}, -1, 1, NULL, 0, 0, 0},
    {"matmul", {S(3), S(3, 2), END}, -1, 1, NULL, 0, 0, 0},
    {"gemm", {S(2, 3), S(4, 3), S(4), END}, -1, 1, WITH(TERN_FLOAT("alpha", 0.5), TERN_FLOAT("beta", 2), TERN_INT("trans_b", 1)), 0, 0, 0},

    {"conv", {S(2, 2, 5), S(3, 2, 3), S(3), END}, -1, 1, NULL, 0, 0, 0},
    {"conv", {S(1, 2, 5, 4), S(3, 2, 3, 2), END}, -1, 1, WITH(LIST("strides", 2, 1), LIST("pads", 1, 0, 2, 1), LIST("dilations", 1, 2)), 0, 0, 0},
    {"conv", {S(1, 4, 4, 4), S(6, 2, 2, 2), S(6), END}, -1, 1, WITH(TERN_INT("group", 2)), 0, 0, 0},
    {"conv", {S(1, 1, 3, 3, 3), S(2, 1, 2, 2, 2), END}, -1, 1, NULL, 0, 0, 0},
    {"conv_transpose", {S(1, 2, 3, 3), S(2, 3, 2, 2), S(3), END}, -1, 1, WITH(LIST("strides", 2, 2)), 0, 0, 0},
    {"conv_grad_input", {S(1, 3, 3, 2), S(3, 2, 3, 3), END}, -1, 1, WITH(LIST("strides", 2, 2), LIST("pads", 1, 1, 1, 1), LIST("input_shape", 5, 4)), 0, 0, 0},
    {"conv_grad_weight", {S(1, 2, 5, 4), S(1, 3, 3, 2), END}, -1, 1, WITH(LIST("strides", 2, 2), LIST("pads", 1, 1, 1, 1), LIST("kernel", 3, 3)), 0, 0, 0},
    {"max_pool", {S(1, 2, 5, 5), END}, -1, 1, WITH(LIST("kernel", 2, 3), LIST("strides", 2, 2), LIST("pads", 0, 1, 1, 1)), 0, 0, 0},
    {"average_pool", {S(1, 2, 5, 5), END}, -1, 1, WITH(LIST("kernel", 2, 3), LIST("strides", 2, 2), LIST("pads", 0, 1, 1, 1)), 0, 0, 0},
    {"average_pool_grad", {S(1, 2, 2, 2), END}, -1, 1, WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2), LIST("input_shape", 4, 4)), 0, 0, 0},
    {"l2_pool", {S(1, 2, 4, 4), END}, 0.2, 1, WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2)), 0, 0, 0},
    {"global_average_pool", {S(2, 2, 3, 3), END}, -1, 1, NULL, 0, 0, 0},
    {"global_max_pool", {S(2, 2, 3, 3), END}, -1, 1, NULL, 0, 0, 0},

    {"batch_norm", {S(3, 2, 3), S(2), S(2), END}, 0.2, 2, NULL, 0, 0, 3},
    {"batch_norm_infer", {S(3, 2, 3), S(2), S(2), END}, 0.2, 2, NULL, 0, 0, 0},
    {"layer_norm", {S(3, 4), S(4), S(4), END}, 0.2, 2, NULL, 0, 0, 0},
    {"layer_norm", {S(2, 3, 2), END}, 0.2, 2, WITH(TERN_INT("axis", 1)), 0, 0, 0},
    {"group_norm", {S(2, 4, 3), S(4), S(4), END}, 0.2, 2, WITH(TERN_INT("groups", 2)), 0, 0, 0},
    {"instance_norm", {S(2, 2, 4), S(2), S(2), END}, 0.2, 2, NULL, 0, 0, 0},
    {"rms_norm", {S(3, 4), S(4), END}, 0.2, 2, NULL, 0, 0, 0},
    {"softmax", {S(3, 4), END}, -2, 2, NULL, 0, 0, 0},
    {"softmax", {S(2, 3, 2), END}, -2, 2, WITH(TERN_INT("axis", 1)), 0, 0, 0},
    {"log_softmax", {S(3, 4), END}, -2, 2, NULL, 0, 0, 0},

    {"attention", {S(2, 1, 3, 2), S(2, 1, 4, 2), S(2, 1, 4, 3), END}, -1, 1, NULL, 0, 0, 0},
    {"attention", {S(1, 4, 2, 3), S(1, 2, 3, 3), S(1, 2, 3, 2), S(4, 1, 3), END}, -1, 1,
     WITH(TERN_FLOAT("scale", 0.7), TERN_FLOAT("softcap", 1.5), TERN_INT("causal", 1), TERN_INT("offset", 1), TERN_INT("joined", 1)), 0, 0, 0},
    {"attention", {S(1, 4, 3, 2), S(1, 2, 5, 2), S(1, 2, 5, 3), S(4, 3, 5), END}, -1, 1, WITH(TERN_FLOAT("below", -0.5)), 8, 2, 2},
    {"attention", {S(1, 2, 4, 2), S(1, 2, 3, 2), S(1, 2, 3, 2), END}, -1, 1, WITH(TERN_INT("causal", 1), TERN_INT("offset", -1)), 0, 0, 0},
    {"attention_grad", {S(1, 2, 3, 2), S(1, 1, 4, 2), S(1, 1, 4, 3), S(1, 2, 3, 3), S(1, 2, 3), S(1, 2, 3), S(3, 1)}, -1, 1,
     WITH(TERN_FLOAT("softcap", 1.5), TERN_INT("causal", 1), TERN_INT("offset", 1)), 0, 0, 3},
    {"attention_grad", {S(2, 1, 2, 2), S(2, 1, 3, 2), S(2, 1, 3, 2), S(2, 1, 2, 2), S(2, 1, 2), S(2, 1, 2), S(2, 3)}, -1, 1,
     WITH(TERN_FLOAT("below", -1)), 64, 2, 3},
    {"softmax_cross_entropy", {S(4, 3), S(4), END}, -2, 2, NULL, 2, 3, 0},
    {"mse", {S(3, 2), S(3, 2), END}, -2, 2, NULL, 0, 0, 0},
    {"mse", {S(3, 2), S(3, 2), END}, -2, 2, WITH(TERN_STRING("reduction", "none")), 0, 0, 0},
    {"l1_loss", {S(3, 2), S(3, 2), END}, -2, 2, WITH(TERN_STRING("reduction", "sum")), 0, 0, 0},
    {"huber", {S(4, 2), S(4, 2), END}, -2, 2, WITH(TERN_FLOAT("delta", 0.6)), 0, 0, 0},
    {"hinge", {S(4, 2), S(4, 2), END}, -2, 2, NULL, 0, 0, 0},

    {"gather", {S(4, 3), S(2, 2), END}, -1, 1, NULL, 2, 4, 0},
    {"gather", {S(2, 4), S(5), END}, -1, 1, WITH(TERN_INT("axis", 1)), 2, 4, 0},
    {"scatter_add", {S(4, 3), S(5), S(5, 3), END}, -1, 1, NULL, 2, 4, 0},
    {"scatter_add", {S(4, 3), SCALAR, S(3), END}, -1, 1, NULL, 2, 4, 0},
    {"scatter_slices", {S(4, 3), S(5), S(5, 3), END}, -1, 1, NULL, 2, 4, 0},
    {"scatter_slices", {S(4, 3), S(5), S(5, 3), END}, -1, 1, WITH(TERN_STRING("reduction", "mul")), 2, 4, 0},
    {"scatter_slices", {S(3, 4), S(5), S(3, 5), END}, -1, 1, WITH(TERN_INT("axis", 1), TERN_STRING("reduction", "max")), 2, 4, 0},
    {"scatter_elements", {S(4, 3), S(5, 3), S(5, 3), END}, -1, 1, NULL, 2, 4, 0},
    {"scatter_elements", {S(4, 3), S(2, 2), S(2, 2), END}, -1, 1, WITH(TERN_STRING("reduction", "add")), 2, 4, 0},
    {"scatter_elements", {S(4, 3), S(4, 5), S(4, 5), END}, -1, 1, WITH(TERN_INT("axis", 1), TERN_STRING("reduction", "min")), 2, 3, 0},
    {"scatter_nd", {S(4, 3), S(5, 1), S(5, 3), END}, -1, 1, WITH(TERN_STRING("reduction", "add")), 2, 4, 0},
    {"gather_elements", {S(4, 3), S(5, 2), END}, -1, 1, NULL, 2, 4, 0},
    {"gather_nd", {S(3, 3, 2), S(3, 2, 1), END}, -1, 1, WITH(TERN_INT("batch_dims", 1)), 2, 3, 0},
    {"top_k", {S(3, 5), END}, -1, 1, WITH(TERN_INT("k", 2)), 0, 0, 2},
    {"cumsum", {S(3, 4), END}, -1, 1, WITH(TERN_INT("axis", 1)), 0, 0, 0},
    {"cumsum", {S(3, 4), END}, -1, 1, WITH(TERN_INT("axis", 0), TERN_INT("exclusive", 1), TERN_INT("reverse", 1)), 0, 0, 0},
    {"embedding", {S(5, 3), S(2, 3), END}, -1, 1, NULL, 2, 5, 0},

    {"reshape", {S(2, 3), END}, -1, 1, WITH(LIST("shape", 3, -1)), 0, 0, 0},
    {"reshape_as", {S(2, 3), S(6), END}, -1, 1, NULL, 2, 3, 0},
    {"flatten", {S(2, 3, 2), END}, -1, 1, NULL, 0, 0, 0},
    {"squeeze", {S(2, 1, 3, 1), END}, -1, 1, WITH(LIST("axes", 1)), 0, 0, 0},
    {"unsqueeze", {S(2, 3), END}, -1, 1, WITH(LIST("axes", 0, 2)), 0, 0, 0},
    {"transpose", {S(2, 3, 4), END}, -1, 1, WITH(LIST("perm", 1, 2, 0)), 0, 0, 0},
    {"transpose", {S(2, 3), END}, -1, 1, NULL, 0, 0, 0},
    {"expand", {S(2, 1), END}, -1, 1, WITH(LIST("shape", 3, 2, 4)), 0, 0, 0},
    {"expand_as", {S(2, 1), S(2, 3), END}, -1, 1, NULL, 2, 3, 0},
    {"slice", {S(5, 4), END}, -1, 1, WITH(LIST("starts", 1, -1), LIST("ends", 5, -5), LIST("axes", 0, 1), LIST("steps", 2, -1)), 0, 0, 0},
    {"pad", {S(2, 3), END}, -1, 1, WITH(LIST("pads", 1, 0, 2, -1)), 0, 0, 0},
    {"pad", {S(3, 4), END}, -1, 1, WITH(LIST("pads", 1, 2, 1, 0), TERN_STRING("mode", "reflect")), 0, 0, 0},
    {"pad", {S(3, 4), END}, -1, 1, WITH(LIST("pads", 1, 2, 1, 0), TERN_STRING("mode", "edge")), 0, 0, 0},
    {"pad", {S(3, 4), END}, -1, 1, WITH(LIST("pads", 1, 5, 1, 0), TERN_STRING("mode", "wrap")), 0, 0, 0},
    {"concat", {S(2, 3), S(2, 1), S(2, 2), END}, -1, 1, WITH(TERN_INT("axis", 1)), 0, 0, 0},
    {"split", {S(5, 2), END}, -1, 1, WITH(TERN_INT("axis", 0), LIST("parts", 2, 3)), 0, 0, 2},
    {"dropout", {S(4, 5), SCALAR, END}, -1, 1, WITH(TERN_FLOAT("p", 0.4), TERN_INT("seed", 5)), 2, 9, 0},
    {"reorder", {S(1, 4, 3), END}, -1, 1, NULL, 0, 0, 0},
};

/* Ops with a gradient or an expansion, but nothing that a finite difference could check. */
static const char *const left_out[] = {
    "adam", "momentum", "sgd",          /* updates: checked below against their expansions */
    "ceil", "floor", "round", "sign",   /* flat wherever they are smooth: no gradient arrives, which is an error */
    "argmax", "argmin", "one_hot", "size", "iota", /* whole numbers */
    "random_normal", "random_uniform",  /* of no differentiable input */
    "det",                              /* has none yet */
};

static bool has_example(const char *op)
{
    for (int i = 0; i < TERN_COUNT(examples); i++)
        if (strcmp(examples[i].op, op) == 0)
            return true;
    for (int i = 0; i < TERN_COUNT(left_out); i++)
        if (strcmp(left_out[i], op) == 0)
            return true;
    return false;
}

static void every_gradient_is_checked(void **state)
{
    (void)state;
    int n;
    const tern__op *const *all = tern__op_all(&n);
    for (int i = 0; i < n; i++)
        if ((all[i]->grad || all[i]->expand) && !has_example(all[i]->name))
            fail_msg("%s has a gradient and no example here", all[i]->name);
}

/* A graph of one op with the loss sum(y * w) for fixed random w. */
typedef struct rig {
    tern_graph *g;
    tern_value in[7], wrt[7], grad[7];
    int n_in, n_wrt;
    tern__array data[7];
} rig;

static bool is_whole(const example *e, int i)
{
    return e->whole >> i & 1;
}

/* where and attention want a bool, random ops and dropout an i64 step, all others i64. */
static tern_dtype input_dtype(const example *e, int i)
{
    if (!is_whole(e, i))
        return TERN_F64;
    return strcmp(e->op, "where") == 0 || strncmp(e->op, "attention", 9) == 0 ? TERN_BOOL : TERN_I64;
}

static tern_value weighted_sum(tern_graph *g, const tern_value *y, int n)
{
    tern_value loss = TERN_NONE;
    for (int i = 0; i < n; i++) {
        if (y[i] == TERN_NONE || !tern__dtype_is(tern__dtype_of(g, y[i]), TERN__T_FLOAT))
            continue;
        const tern_shape s = *tern__shape_of(g, y[i]);
        tern_value part = tern__mul(g, y[i], random_constant(g, tern__dtype_of(g, y[i]), &s, 50 + (uint64_t)i));
        part = tern__sum_axes(g, part, (1u << s.rank) - 1, false);
        loss = loss == TERN_NONE ? part : tern__add(g, loss, part);
    }
    return loss;
}

static void set_up(rig *r, const example *e)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    *r = (rig){.g = new_graph()};
    tern_value in[7], y[3];
    for (; r->n_in < 7 && e->in[r->n_in].rank >= 0; r->n_in++) {
        const int i = r->n_in;
        in[i] = r->in[i] = tern_graph_input(r->g, names[i], input_dtype(e, i), &e->in[i], 0);
        r->data[i] = random_array(tern__type_of(r->g, in[i]), 20 + (uint64_t)i, is_whole(e, i) ? 0 : e->lo, is_whole(e, i) ? e->limit : e->hi);
        if (!is_whole(e, i))
            r->wrt[r->n_wrt++] = in[i];
    }
    int n_in = r->n_in;
    if (strcmp(e->op, "batch_norm_infer") == 0) { /* takes five: the last two are fixed statistics */
        in[n_in] = random_constant(r->g, TERN_F64, &e->in[1], 70);
        in[n_in + 1] = tern__unary(r->g, "exp", in[n_in]);
        n_in += 2;
    }
    const int n_out = e->n_out ? e->n_out : 1;
    tern_graph_add_n(r->g, e->op, in, n_in, e->attrs, y, n_out);
    tern_value loss = weighted_sum(r->g, y, n_out);
    tern_graph_output(r->g, "loss", loss);
    tern_status st = tern_graph_check(r->g);
    if (st == TERN_OK)
        st = tern_graph_gradients(r->g, loss, r->wrt, r->n_wrt, r->grad);
    if (st == TERN_OK)
        st = tern_graph_check(r->g);
    if (st != TERN_OK)
        fail_msg("%s: %s", e->op, tern_last_error());
}

static double loss_of(tern__interp *it, const tern__array *data)
{
    assert_ok(tern__interp_run(it, data));
    return tern__array_get(tern__interp_output(it, 0), 0);
}

/* (f(x + h) - f(x - h)) / 2h for element i of input k. */
static double difference(tern__interp *it, rig *r, int k, int64_t i)
{
    const double h = 1e-5, x = tern__array_get(&r->data[k], i);
    tern__array_set(&r->data[k], i, x + h);
    double above = loss_of(it, r->data);
    tern__array_set(&r->data[k], i, x - h);
    double below = loss_of(it, r->data);
    tern__array_set(&r->data[k], i, x);
    return (above - below) / (2 * h);
}

static void check_example(int index)
{
    const example *e = &examples[index];
    rig r;
    set_up(&r, e);
    tern__interp it = {0}, plain = {0};
    tern_graph *forward = NULL;
    assert_ok(tern__graph_rewrite(r.g, NULL, tern__rewrite_copy, &forward)); /* the loss alone: many evaluations */
    assert_ok(tern__interp_init(&it, r.g));
    assert_ok(tern__interp_init(&plain, forward));
    loss_of(&it, r.data);
    for (int k = 0, w = 0; k < r.n_in; k++) {
        if (is_whole(e, k))
            continue;
        const tern__array *grad = tern__interp_value(&it, r.grad[w++]);
        assert_true(tern__shape_equal(&grad->type.shape, &r.data[k].type.shape));
        for (int64_t i = 0; i < tern__elems(&grad->type.shape); i++) {
            double want = difference(&plain, &r, k, i), got = tern__array_get(grad, i);
            if (!(fabs(want - got) <= 1e-6 + 1e-5 * fabs(want)))
                fail_msg("%s (example %d), input %d, element %d: gradient %.9g, finite difference %.9g", e->op, index, k, (int)i, got, want);
        }
    }
    tern__interp_finish(&it);
    tern__interp_finish(&plain);
    tern_graph_destroy(forward);
    tern_graph_destroy(r.g);
    for (int k = 0; k < r.n_in; k++)
        tern__free(r.data[k].data);
}

static void gradients_agree_with_differences(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(examples); i++)
        check_example(i);
}

/* The expansion computes what the reference does, and both have the same gradient. */
static void expansions_agree_with_references(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(examples); i++) {
        const tern__op *op = tern__op_find(examples[i].op);
        if (!op || !op->expand)
            continue;
        rig r;
        tern_graph *out = NULL;
        set_up(&r, &examples[i]);
        for (int k = 0; k < r.n_wrt; k++)
            tern_graph_output(r.g, (const char *[]){"da", "db", "dc", "dd", "de", "df", "dg"}[k], r.grad[k]);
        assert_ok(tern__pass_expand.run(r.g, &out));
        assert_same_results(r.g, out, 1e-9);
        tern_graph_destroy(out);
        tern_graph_destroy(r.g);
        for (int k = 0; k < r.n_in; k++)
            tern__free(r.data[k].data);
    }
}

/* --- The walk --- */

static double number(tern_graph *g, tern_value v, const tern__array *in)
{
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, in));
    double x = tern__array_get(tern__interp_value(&it, v), 0);
    tern__interp_finish(&it);
    return x;
}

static void shared_values_add_up(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F64, SHAPE(), 0), d = TERN_NONE, dd = TERN_NONE;
    tern_value s = tern__mul(g, x, x), loss = tern__add(g, tern__mul(g, s, x), tern__add(g, s, tern__add(g, x, x))); /* x^3 + x^2 + 2x */
    assert_ok(tern_graph_gradients(g, loss, &x, 1, &d));
    assert_ok(tern_graph_gradients(g, d, &x, 1, &dd)); /* and once more */
    double at = 1.5;
    tern__array in = {.type = {.dtype = TERN_F64}, .data = &at};
    assert_true(fabs(number(g, d, &in) - (3 * at * at + 2 * at + 2)) < 1e-12);
    assert_true(fabs(number(g, dd, &in) - (6 * at + 2)) < 1e-12);
    tern_graph_destroy(g);
}

static void gradients_reach_values_inside(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F64, SHAPE(3), 0), h = tern__unary(g, "exp", x), d[3];
    tern_value loss = tern__sum_axes(g, tern__mul(g, h, h), 1, false);
    assert_ok(tern_graph_gradients(g, loss, (tern_value[]){h, x, loss}, 3, d));
    double data[3] = {0.5, 1, 2};
    tern__array in = {.type = {.dtype = TERN_F64, .shape = *SHAPE(3)}, .data = data};
    assert_true(fabs(number(g, d[0], &in) - 2 * exp(0.5)) < 1e-12);
    assert_true(fabs(number(g, d[1], &in) - 2 * exp(1)) < 1e-12);
    assert_true(number(g, d[2], &in) == 1);
    tern_graph_destroy(g);
}

static void refusals_say_why(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(3), 0), i = tern_graph_input(g, "i", TERN_I32, SHAPE(3), 0), d = TERN_NONE;
    tern_value other = tern_graph_input(g, "other", TERN_F32, SHAPE(3), 0);
    tern_value loss = tern__sum_axes(g, tern__mul(g, x, x), 1, false);
    assert_fails(tern_graph_gradients(g, x, &x, 1, &d), TERN_E_SHAPE, "the loss is f32[3]");
    assert_fails(tern_graph_gradients(g, tern__sum_axes(g, i, 1, false), &x, 1, &d), TERN_E_SHAPE, "the loss is i32[]");
    assert_fails(tern_graph_gradients(g, loss, &i, 1, &d), TERN_E_DTYPE, "value 1 is i32 and has no gradient");
    assert_fails(tern_graph_gradients(g, loss, &other, 1, &d), TERN_E_INVALID, "no gradient of the loss reaches value 2 (\"other\")");
    assert_fails(tern_graph_gradients(g, 999, &x, 1, &d), TERN_E_INVALID, "the loss is value 999");
    assert_fails(tern_graph_gradients(g, loss, (tern_value[]){TERN_NONE}, 1, &d), TERN_E_INVALID, "value -1 is wanted");
    assert_int_equal(d, TERN_NONE);
    assert_fails(tern_graph_gradients(g, tern__sum_axes(g, tern__unary(g, "floor", x), 1, false), &x, 1, &d), TERN_E_INVALID,
                 "no gradient of the loss reaches value 0 (\"x\")");
    /* max_pool_grad routes a gradient by position; differentiating it once more is not supported. */
    tern_value im = tern_graph_input(g, "im", TERN_F32, SHAPE(1, 1, 4, 4), 0);
    tern_value p = tern_graph_op1(g, "max_pool", im, TERN_ATTRS(TERN_INTS("kernel", ((int64_t[]){2, 2}), 2)));
    assert_ok(tern_graph_gradients(g, tern__sum_axes(g, tern__mul(g, p, p), 15, false), &im, 1, &d));
    assert_fails(tern_graph_gradients(g, tern__sum_axes(g, d, 15, false), &im, 1, &d), TERN_E_UNSUPPORTED, "max_pool_grad, which has no gradient");
    tern_graph_destroy(g);
}

/* --- Training steps --- */

/* Minimises |w x - 1|^2 over w for some steps; gives the last loss. */
static double train(const char *name, double decay, int steps)
{
    tern_graph *g = new_graph();
    tern_value w = random_variable(g, "w", TERN_F32, SHAPE(2, 3), 4);
    random_variable(g, "unused", TERN_F32, SHAPE(2), 4);
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(3), 0);
    tern_value y = tern__add_scalar(g, tern__sum_axes(g, tern__mul(g, w, x), 2, false), -1);
    tern_value loss = tern__mean_axes(g, tern__mul(g, y, y), 1, false);
    tern_graph_output(g, "loss", loss);
    assert_ok(tern_graph_minimize(g, loss, &(tern_optimizer){.name = name, .lr = 0.1, .weight_decay = decay}));
    assert_ok(tern__graph_verify(g));
    float data[3] = {1, 0.5f, -0.5f};
    tern__array in = {.type = {.dtype = TERN_F32, .shape = *SHAPE(3)}, .data = data};
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, g));
    for (int i = 0; i < steps; i++)
        assert_ok(tern__interp_run(&it, &in));
    double last = tern__array_get(tern__interp_output(&it, 0), 0);
    tern_value step = TERN_NONE;
    assert_ok(tern_graph_find(g, "train/step", &step));
    assert_true(tern__array_get(tern__interp_value(&it, step), 0) == steps);
    tern__interp_finish(&it);
    tern_graph_destroy(g);
    return last;
}

static void optimizers_minimize(void **state)
{
    (void)state;
    static const char *const names[] = {"sgd", "momentum", "adam"};
    for (int i = 0; i < TERN_COUNT(names); i++) {
        assert_true(train(names[i], 0, 60) < 0.02 * train(names[i], 0, 1));
        assert_true(train(names[i], 0.5, 60) > train(names[i], 0, 60)); /* decay pulls away from the minimum */
    }
}

static void optimizers_keep_their_state_by_name(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value w = random_variable(g, "net/w", TERN_F32, SHAPE(3), 1), v = TERN_NONE;
    tern_value loss = tern__sum_axes(g, tern__mul(g, w, w), 1, false);
    assert_ok(tern_graph_minimize(g, loss, &(tern_optimizer){.name = "adam"}));
    assert_ok(tern_graph_find(g, "net/w/m", &v));
    assert_ok(tern_graph_find(g, "net/w/v", &v));
    assert_ok(tern_graph_find(g, "train/lr", &v));
    assert_true(*(const float *)(const void *)g->values[v].data->data == 0.001f);
    assert_int_equal(g->n_assigns, 4);
    assert_false(g->values[v].trainable);
    tern_graph_destroy(g);
}

static void minimize_refuses(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(), 0);
    assert_fails(tern_graph_minimize(g, x, &(tern_optimizer){.name = "lamb"}), TERN_E_NOT_FOUND, "no optimizer \"lamb\"; there are adam, momentum and sgd");
    assert_fails(tern_graph_minimize(g, x, &(tern_optimizer){.name = "sgd", .lr = -1}), TERN_E_INVALID, "lr is -1");
    assert_fails(tern_graph_minimize(g, x, &(tern_optimizer){.name = "sgd", .lr = (double)NAN}), TERN_E_INVALID, "lr is ");
    assert_fails(tern_graph_minimize(g, x, &(tern_optimizer){.name = "sgd"}), TERN_E_INVALID, "depends on no trainable variable");
    assert_fails(tern_graph_minimize(g, 7, &(tern_optimizer){.name = "sgd"}), TERN_E_INVALID, "the loss is value 7");
    tern_value w = random_variable(g, "w", TERN_F32, SHAPE(), 1);
    assert_fails(tern_graph_minimize(g, w, &(tern_optimizer){.name = "adam", .beta1 = 1}), TERN_E_INVALID, "beta1 is 1");
    tern_graph_destroy(g);
}

static const struct {
    const char *op;
    int n_same, n_numbers, n_out;
    const tern_attr *attrs;
} updates[] = {
    {"sgd", 2, 1, 1, WITH(TERN_FLOAT("weight_decay", 0.1))},
    {"momentum", 3, 1, 2, NULL},
    {"momentum", 3, 1, 2, WITH(TERN_INT("nesterov", 1), TERN_FLOAT("momentum", 0.8), TERN_FLOAT("weight_decay", 0.1))},
    {"adam", 4, 2, 3, NULL},
    {"adam", 4, 2, 3, WITH(TERN_FLOAT("beta1", 0.8), TERN_FLOAT("weight_decay", 0.1))},
};

/* Each update op's reference and its expansion, in f32 and f64. */
static void updates_agree_with_their_expansions(void **state)
{
    (void)state;
    static const char *const names[] = {"p", "g", "m", "v", "x", "y"};
    for (int i = 0; i < 2 * TERN_COUNT(updates); i++) {
        const int u = i / 2;
        tern_graph *g = new_graph(), *out = NULL;
        tern_value in[6], y[3];
        for (int k = 0; k < updates[u].n_same + updates[u].n_numbers; k++) {
            const bool same = k < updates[u].n_same;
            in[k] = tern_graph_input(g, names[k], same && i % 2 ? TERN_F64 : TERN_F32, same ? SHAPE(4) : SHAPE(), 0);
        }
        tern_graph_add_n(g, updates[u].op, in, updates[u].n_same + updates[u].n_numbers, updates[u].attrs, y, updates[u].n_out);
        for (int k = 0; k < updates[u].n_out; k++)
            tern_graph_output(g, (const char *[]){"p'", "m'", "v'"}[k], y[k]);
        assert_ok(tern_graph_check(g));
        assert_ok(tern__passes_run(g, NULL, 0, &out));
        for (int k = 0; k < out->n_nodes; k++)
            assert_true(out->nodes[k]->op->trait == TERN__POINTWISE);
        assert_same_results(g, out, 1e-5);
        tern_graph_destroy(out);
        tern_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_is_checked),
        cmocka_unit_test(gradients_agree_with_differences),
        cmocka_unit_test(expansions_agree_with_references),
        cmocka_unit_test(shared_values_add_up),
        cmocka_unit_test(gradients_reach_values_inside),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(optimizers_minimize),
        cmocka_unit_test(optimizers_keep_their_state_by_name),
        cmocka_unit_test(minimize_refuses),
        cmocka_unit_test(updates_agree_with_their_expansions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
