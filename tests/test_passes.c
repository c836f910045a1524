/* Tests of the passes: what each does to small graphs (golden text), and that none changes what random graphs compute. */
#include "graph_help.h"

#include "base/fault.h"
#include "passes/pass.h"

/* Prints the graph after one pass and compares; the results stay what they were. */
static void assert_becomes(tern_graph *g, const tern__pass *p, const char *want)
{
    tern_graph *made = NULL, *out = NULL;
    assert_ok(tern_graph_check(g));
    assert_ok(p->run(g, &made));
    assert_ok(tern__graph_verify(made));
    assert_ok(tern__pass_dce.run(made, &out)); /* what the pass left unused would only be noise */
    tern_graph_destroy(made);
    assert_prints(out, want);
    assert_same_results(g, out, 1e-6);
    tern_graph_destroy(out);
    tern_graph_destroy(g);
}

static tern_value input(tern_graph *g, const char *name, const tern_shape *s)
{
    return tern_graph_input(g, name, TERN_F32, s, 0);
}

static void expand_replaces_shorthand(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value lr = tern_graph_input(g, "lr", TERN_F32, SHAPE(), 0), p = input(g, "p", SHAPE(3)), d = input(g, "g", SHAPE(3));
    tern_graph_output(g, "new", tern_graph_op3(g, "sgd", p, d, lr, TERN_ATTRS(TERN_FLOAT("weight_decay", 0.5))));
    assert_becomes(g, &tern__pass_expand,
                   "%0 = input \"lr\" f32[]\n"
                   "%1 = input \"p\" f32[3]\n"
                   "%2 = input \"g\" f32[3]\n"
                   "%3 = const f32[] 0.5\n"
                   "%4 = mul(%1, %3) : f32[3]\n"
                   "%5 = add(%2, %4) : f32[3]\n"
                   "%6 = mul(%0, %5) : f32[3]\n"
                   "%7 = sub(%1, %6) : f32[3]\n"
                   "output \"new\" = %7\n");
}

/* An op whose expansion holds an op that expands in turn: nothing composite is left. */
static void expand_goes_all_the_way(void **state)
{
    (void)state;
    tern_graph *g = new_graph(), *out = NULL;
    tern_value x = input(g, "x", SHAPE(2, 3)), like = input(g, "like", SHAPE(4, 2, 3));
    tern_graph_output(g, "y", tern_graph_op2(g, "expand_as", tern_graph_op1(g, "flatten", x, NULL), like, NULL));
    assert_ok(tern__pass_expand.run(g, &out));
    for (int i = 0; i < out->n_nodes; i++)
        assert_int_not_equal(out->nodes[i]->op->trait, TERN__COMPOSITE);
    assert_same_results(g, out, 0);
    tern_graph_destroy(out);
    tern_graph_destroy(g);
}

static void fold_computes_constants(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value two = tern_graph_scalar(g, TERN_F32, 2), three = tern_graph_scalar(g, TERN_F32, 3);
    tern_value six = tern__mul(g, two, three);
    tern_graph_output(g, "y", tern__add(g, input(g, "x", SHAPE(4)), tern__unary(g, "neg", six)));
    assert_becomes(g, &tern__pass_fold,
                   "%0 = input \"x\" f32[4]\n"
                   "%1 = const f32[] -6\n"
                   "%2 = add(%0, %1) : f32[4]\n"
                   "output \"y\" = %2\n");
}

static void fold_leaves_growth(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_graph_output(g, "y", tern__expand_to(g, tern_graph_scalar(g, TERN_F32, 1), SHAPE(1024, 1024)));
    assert_becomes(g, &tern__pass_fold,
                   "%0 = const f32[] 1\n"
                   "%1 = expand(%0) {shape=[1024,1024]} : f32[1024,1024]\n"
                   "output \"y\" = %1\n");
}

static void simplify_drops_neutral_numbers(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = input(g, "x", SHAPE(4));
    tern_value y = tern__add(g, tern__like(g, x, 0), tern__mul(g, x, tern__expand_to(g, tern__like(g, x, 1), SHAPE(4))));
    y = tern__sub(g, tern__div(g, y, tern__like(g, x, 1)), tern__like(g, x, 0));
    y = tern__neg(g, tern__neg(g, tern_graph_op2(g, "pow", y, tern__like(g, x, 1), NULL)));
    tern_graph_output(g, "y", tern__unary(g, "identity", y));
    assert_becomes(g, &tern__pass_simplify, "%0 = input \"x\" f32[4]\noutput \"y\" = %0\n");
}

static void simplify_keeps_what_has_meaning(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = input(g, "x", SHAPE(4)), i = tern_graph_input(g, "i", TERN_I32, SHAPE(4), 0);
    tern_graph_output(g, "nan", tern__mul(g, x, tern__like(g, x, 0))); /* infinity times 0 is no number */
    tern_graph_output(g, "zero", tern__mul(g, i, tern__like(g, i, 0)));
    tern_graph_output(g, "third", tern__div(g, x, tern__like(g, x, 3))); /* 1/3 is not exact */
    tern_graph_output(g, "half", tern__div(g, x, tern__like(g, x, 2)));
    tern_graph_output(g, "square", tern_graph_op2(g, "pow", x, tern__like(g, x, 2), NULL));
    assert_becomes(g, &tern__pass_simplify,
                   "%0 = input \"x\" f32[4]\n"
                   "%1 = input \"i\" i32[4]\n"
                   "%2 = const f32[] 0\n"
                   "%3 = mul(%0, %2) : f32[4]\n"
                   "%4 = const i32[] 0\n"
                   "%5 = expand(%4) {shape=[4]} : i32[4]\n"
                   "%6 = const f32[] 3\n"
                   "%7 = div(%0, %6) : f32[4]\n"
                   "%8 = const f32[] 0.5\n"
                   "%9 = mul(%0, %8) : f32[4]\n"
                   "%10 = mul(%0, %0) : f32[4]\n"
                   "output \"nan\" = %3\n"
                   "output \"zero\" = %5\n"
                   "output \"third\" = %7\n"
                   "output \"half\" = %9\n"
                   "output \"square\" = %10\n");
}

static void simplify_joins_movement(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = input(g, "x", SHAPE(2, 3, 4));
    tern_value t = tern__transpose(g, tern__transpose(g, x, (int[]){1, 2, 0}), (int[]){2, 0, 1});
    tern_graph_output(g, "back", t);
    tern_graph_output(g, "once", tern__transpose(g, tern__transpose(g, x, (int[]){1, 2, 0}), (int[]){1, 2, 0}));
    tern_graph_output(g, "shape", tern__reshape(g, tern__reshape(g, x, SHAPE(6, 4)), SHAPE(8, 3)));
    tern_graph_output(g, "same", tern__reshape(g, tern__reshape(g, x, SHAPE(24)), SHAPE(2, 3, 4)));
    tern_graph_output(g, "one", tern__sum_axes(g, tern__reshape(g, x, SHAPE(24, 1)), 2, false));
    tern_graph_output(g, "all", tern_graph_op1(g, "slice", x, TERN_ATTRS(TERN_INTS("starts", ((int64_t[]){0, 0, 0}), 3),
                                                                         TERN_INTS("ends", ((int64_t[]){2, 3, 4}), 3))));
    tern_graph_output(g, "flip", tern_graph_op1(g, "slice", x, TERN_ATTRS(TERN_INTS("starts", ((int64_t[]){-1}), 1), TERN_INTS("ends", ((int64_t[]){-9}), 1),
                                                                          TERN_INTS("axes", ((int64_t[]){0}), 1), TERN_INTS("steps", ((int64_t[]){-1}), 1))));
    tern_graph_output(g, "cast", tern_graph_op1(g, "cast", x, TERN_ATTRS(TERN_STRING("to", "f32"))));
    assert_becomes(g, &tern__pass_simplify,
                   "%0 = input \"x\" f32[2,3,4]\n"
                   "%1 = transpose(%0) {perm=[2,0,1]} : f32[4,2,3]\n"
                   "%2 = reshape(%0) {shape=[8,3]} : f32[8,3]\n"
                   "%3 = reshape(%0) {shape=[24]} : f32[24]\n"
                   "%4 = slice(%0) {starts=[-1], ends=[-9], axes=[0], steps=[-1]} : f32[2,3,4]\n"
                   "output \"back\" = %0\n"
                   "output \"once\" = %1\n"
                   "output \"shape\" = %2\n"
                   "output \"same\" = %0\n"
                   "output \"one\" = %3\n"
                   "output \"all\" = %0\n"
                   "output \"flip\" = %4\n"
                   "output \"cast\" = %0\n");
}

typedef struct pooling {
    tern_shape x;
    int64_t kernel[2], strides[2], pads[4];
    bool parts; /* windows do not overlap */
} pooling;

/* relu, max_pool, and the gradients of its input and of a bias before it. */
static tern_graph *pooled_training(const pooling *p)
{
    tern_graph *g = new_graph();
    tern_value x = input(g, "x", &p->x), dy, y[2];
    tern_value r = tern__unary(g, "relu", tern__add_scalar(g, x, -2.2)); /* whole windows of zeroes occur */
    const tern_attr *attrs = TERN_ATTRS(TERN_INTS("kernel", p->kernel, 2), TERN_INTS("strides", p->strides, 2), TERN_INTS("pads", p->pads, 4));
    tern_graph_add_n(g, "max_pool", &r, 1, attrs, y, 2);
    assert_ok(tern_graph_check(g));
    const tern_shape s = *tern__shape_of(g, y[0]);
    dy = input(g, "dy", &s);
    tern_value d = tern_graph_op2(g, "max_pool_grad", y[1], dy,
                                  TERN_ATTRS(TERN_INTS("kernel", p->kernel, 2), TERN_INTS("strides", p->strides, 2), TERN_INTS("pads", p->pads, 4),
                                             TERN_INTS("input_shape", p->x.dim + 2, 2)));
    tern_value dx = tern__where(g, tern__compare(g, "greater", r, 0), d, tern__like(g, d, 0));
    tern_graph_output(g, "dx", dx);
    tern_graph_output(g, "db", tern__sum_axes(g, dx, 1u | 4u | 8u, false));
    assert_ok(tern_graph_check(g));
    return g;
}

/* The node that makes output i, behind movement. */
static const tern__node *maker(const tern_graph *g, int i)
{
    const tern__node *n = tern__producer(g, g->outputs[i].value);
    while (n->op->trait == TERN__MOVEMENT)
        n = tern__producer(g, n->in[0]);
    return n;
}

/* The rectifier's mask is taken where the pooled gradient still is small, and so is the bias' sum if no two windows add up. */
static void simplify_masks_pooled_gradients(void **state)
{
    (void)state;
    static const pooling cases[] = {
        {{4, {2, 3, 6, 4}}, {2, 2}, {2, 2}, {0}, true},
        {{4, {2, 3, 7, 5}}, {2, 2}, {2, 2}, {0}, true}, /* a rest that no window reads */
        {{4, {2, 3, 7, 5}}, {3, 3}, {2, 2}, {1, 1, 1, 1}, false},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern_graph *g = pooled_training(&cases[i]), *out = NULL;
        assert_ok(tern__pass_simplify.run(g, &out));
        assert_ok(tern__graph_verify(out));
        const tern__node *d = maker(out, 0), *sum = maker(out, 1);
        assert_string_equal(d->op->name, "max_pool_grad");
        assert_string_equal(tern__producer(out, d->in[1])->op->name, "where");
        assert_string_equal(sum->op->name, "sum");
        assert_string_equal(tern__producer(out, sum->in[0])->op->name, cases[i].parts ? "where" : "max_pool_grad");
        assert_same_results(g, out, 1e-6);
        tern_graph_destroy(out);
        tern_graph_destroy(g);
    }
}

/* A mask of another value, other windows, or a sum over rows only: the rules keep away. */
static void simplify_leaves_other_pooled_gradients(void **state)
{
    (void)state;
    tern_graph *g = new_graph(), *out = NULL;
    const int64_t two[] = {2, 2}, one[] = {1, 1}, eight[] = {8, 8}, seven[] = {7, 7};
    tern_value x = input(g, "x", SHAPE(1, 2, 8, 8)), z = input(g, "z", SHAPE(1, 2, 8, 8)), dy = input(g, "dy", SHAPE(1, 2, 4, 4)), y[2];
    tern_graph_add_n(g, "max_pool", &x, 1, TERN_ATTRS(TERN_INTS("kernel", two, 2), TERN_INTS("strides", two, 2)), y, 2);
    tern_value d = tern_graph_op2(g, "max_pool_grad", y[1], dy, TERN_ATTRS(TERN_INTS("kernel", two, 2), TERN_INTS("strides", two, 2), TERN_INTS("input_shape", eight, 2)));
    tern_value other = tern_graph_op2(g, "max_pool_grad", y[1], dy, TERN_ATTRS(TERN_INTS("kernel", two, 2), TERN_INTS("strides", two, 2), TERN_INTS("dilations", one, 2), TERN_INTS("input_shape", eight, 2)));
    tern_value small = tern_graph_op2(g, "max_pool_grad", y[1], dy, TERN_ATTRS(TERN_INTS("kernel", one, 2), TERN_INTS("strides", two, 2), TERN_INTS("input_shape", seven, 2)));
    tern_graph_output(g, "a", tern__where(g, tern__compare(g, "greater", z, 0), d, tern__like(g, d, 0)));
    tern_graph_output(g, "b", tern__where(g, tern__compare(g, "greater", x, 1), d, tern__like(g, d, 0)));
    tern_graph_output(g, "c", tern__where(g, tern__compare(g, "greater", x, 0), d, tern__like(g, d, 1)));
    tern_graph_output(g, "d", tern__where(g, tern__compare(g, "greater", x, 0), other, tern__like(g, d, 0)));
    tern_graph_output(g, "e", tern__sum_axes(g, d, 8u, true));
    tern_graph_output(g, "f", tern__sum_axes(g, small, 15u, true));
    assert_ok(tern_graph_check(g));
    assert_ok(tern__pass_simplify.run(g, &out));
    for (int i = 0; i < 4; i++)
        assert_string_equal(maker(out, i)->op->name, "where");
    for (int i = 4; i < 6; i++)
        assert_string_equal(tern__producer(out, maker(out, i)->in[0])->op->name, "max_pool_grad");
    assert_same_results(g, out, 1e-6);
    tern_graph_destroy(out);
    tern_graph_destroy(g);
}

static void cse_computes_once(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = input(g, "x", SHAPE(4)), y = input(g, "y", SHAPE(4));
    tern_value a = tern__mul_scalar(g, tern__add(g, x, y), 3), b = tern__mul_scalar(g, tern__add(g, y, x), 3);
    tern_graph_output(g, "r", tern__sub(g, a, b));
    tern_value c = tern__sub(g, x, y), d = tern__sub(g, y, x);
    tern_graph_output(g, "s", tern__sub(g, c, d));
    tern_graph_output(g, "t", tern_graph_op1(g, "leaky_relu", x, TERN_ATTRS(TERN_FLOAT("alpha", 0.1))));
    tern_graph_output(g, "u", tern_graph_op1(g, "leaky_relu", x, TERN_ATTRS(TERN_FLOAT("alpha", 0.2))));
    assert_becomes(g, &tern__pass_cse,
                   "%0 = input \"x\" f32[4]\n"
                   "%1 = input \"y\" f32[4]\n"
                   "%2 = add(%0, %1) : f32[4]\n"
                   "%3 = const f32[] 3\n"
                   "%4 = mul(%2, %3) : f32[4]\n"
                   "%5 = sub(%4, %4) : f32[4]\n"
                   "%6 = sub(%0, %1) : f32[4]\n"
                   "%7 = sub(%1, %0) : f32[4]\n"
                   "%8 = sub(%6, %7) : f32[4]\n"
                   "%9 = leaky_relu(%0) {alpha=0.1} : f32[4]\n"
                   "%10 = leaky_relu(%0) {alpha=0.2} : f32[4]\n"
                   "output \"r\" = %5\n"
                   "output \"s\" = %8\n"
                   "output \"t\" = %9\n"
                   "output \"u\" = %10\n");
}

static void dce_drops_the_unused(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = input(g, "x", SHAPE(4));
    tern__unary(g, "exp", tern__unary(g, "log", x));
    tern_graph_output(g, "y", tern__unary(g, "relu", x));
    assert_becomes(g, &tern__pass_dce, "%0 = input \"x\" f32[4]\n%1 = relu(%0) : f32[4]\noutput \"y\" = %1\n");
}

/* conv (or matmul), batch normalisation by constants, relu: one contraction, one addition. */
static void assert_folds_into(const char *op, const tern_shape *xs, const tern_shape *ws, const tern_attr *attrs, const tern_shape *cs)
{
    tern_graph *g = new_graph(), *folded = NULL, *out = NULL;
    tern_value y = tern_graph_op2(g, op, input(g, "x", xs), random_constant(g, TERN_F32, ws, 1), attrs);
    y = tern__sub(g, y, random_constant(g, TERN_F32, cs, 2));
    y = tern__mul(g, random_constant(g, TERN_F32, cs, 3), y);
    y = tern__div(g, y, tern__like(g, y, 3));
    y = tern__add(g, y, random_constant(g, TERN_F32, cs, 4));
    tern_graph_output(g, "y", tern__unary(g, "relu", y));
    assert_ok(tern__pass_bnfold.run(g, &folded));
    assert_ok(tern__pass_fold.run(folded, &out));
    assert_same_results(g, out, 1e-5);
    assert_int_equal(out->n_nodes, 3);
    assert_string_equal(out->nodes[0]->op->name, op);
    assert_string_equal(out->nodes[1]->op->name, "add");
    assert_string_equal(out->nodes[2]->op->name, "relu");
    tern_graph_destroy(out);
    tern_graph_destroy(folded);
    tern_graph_destroy(g);
}

static void bnfold_folds_scales_and_shifts(void **state)
{
    (void)state;
    assert_folds_into("conv", SHAPE(1, 4, 5, 5), SHAPE(6, 4, 3, 3), NULL, SHAPE(1, 6, 1, 1));
    assert_folds_into("conv", SHAPE(1, 4, 5, 5), SHAPE(6, 2, 3, 3), TERN_ATTRS(TERN_INT("group", 2)), SHAPE(6, 1, 1));
    assert_folds_into("conv", SHAPE(1, 4, 5), SHAPE(6, 4, 3), NULL, SHAPE(1, 1, 1));
    assert_folds_into("matmul", SHAPE(3, 4), SHAPE(4, 5), NULL, SHAPE(5));
    assert_folds_into("matmul", SHAPE(3, 4), SHAPE(5, 4), TERN_ATTRS(TERN_INT("trans_b", 1)), SHAPE(1, 5));
}

static void bnfold_needs_a_single_reader(void **state)
{
    (void)state;
    tern_graph *g = new_graph(), *out = NULL;
    tern_value x = input(g, "x", SHAPE(3, 4)), w = random_constant(g, TERN_F32, SHAPE(4, 5), 1);
    tern_value y = tern_graph_op2(g, "matmul", x, w, NULL);
    tern_graph_output(g, "raw", y);
    tern_graph_output(g, "scaled", tern__mul(g, y, random_constant(g, TERN_F32, SHAPE(5), 2)));
    tern_graph_output(g, "rows", tern__mul(g, tern_graph_op2(g, "matmul", x, w, NULL), random_constant(g, TERN_F32, SHAPE(3, 1), 2)));
    assert_ok(tern__pass_bnfold.run(g, &out));
    assert_int_equal(out->n_nodes, 4);
    assert_same_results(g, out, 0);
    tern_graph_destroy(out);
    tern_graph_destroy(g);
}

static const tern__node *node_of(const tern_graph *g, const char *op)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i]->op->name, op) == 0)
            return g->nodes[i];
    fail_msg("there is no %s", op);
    return NULL;
}

static void widen_follows_convolutions(void **state)
{
    (void)state;
    static const tern_dtype types[] = {TERN_F16, TERN_BF16};
    for (int i = 0; i < 2; i++) {
        const tern_dtype t = types[i];
        tern_graph *g = new_graph(), *out = NULL;
        tern_value x = tern_graph_input(g, "x", t, SHAPE(1, 4, 6, 6), 0), w = random_constant(g, t, SHAPE(4, 4, 3, 3), 1);
        tern_value v = random_variable(g, "v", t, SHAPE(1, 4, 1, 1), 2);
        tern_value y = tern_graph_op2(g, "conv", tern__unary(g, "relu", x), w, NULL);
        y = tern__mul(g, tern__unary(g, "sigmoid", y), v);
        tern_graph_output(g, "y", y);
        tern_graph_output(g, "best", tern_graph_op1(g, "argmax", y, TERN_ATTRS(TERN_INT("keepdims", 0))));
        tern_graph_output(g, "before", tern__unary(g, "tanh", x));
        tern_graph_assign(g, v, tern__mul(g, v, tern__mean_axes(g, y, 0xc, true)));
        assert_ok(tern__pass_widen.run(g, &out));
        assert_ok(tern__graph_verify(out));
        const tern__node *conv = node_of(out, "conv");
        assert_int_equal(tern__dtype_of(out, conv->in[0]), TERN_F32);
        assert_int_equal(tern__value_at(out, conv->in[1])->kind, TERN__VALUE_CONST); /* converted, not cast in every run */
        assert_int_equal(tern__dtype_of(out, conv->out[0]), TERN_F32);
        assert_int_equal(tern__dtype_of(out, node_of(out, "sigmoid")->out[0]), TERN_F32);
        assert_int_equal(tern__dtype_of(out, node_of(out, "argmax")->in[0]), TERN_F32);
        assert_int_equal(tern__dtype_of(out, node_of(out, "relu")->out[0]), t);
        assert_int_equal(tern__dtype_of(out, node_of(out, "tanh")->out[0]), t);
        assert_int_equal(tern__dtype_of(out, out->outputs[0].value), t);
        const int n_outputs = g->n_outputs;
        out->n_outputs = g->n_outputs = 1; /* rounding may decide which is best */
        assert_same_results(g, out, t == TERN_F16 ? 4e-3 : 3e-2);
        out->n_outputs = g->n_outputs = n_outputs;
        tern_graph_destroy(out);
        tern_graph_destroy(g);
    }
}

static void passes_are_switched_off_by_name(void **state)
{
    (void)state;
    tern_graph *g = new_graph(), *out = NULL;
    tern_value x = input(g, "x", SHAPE(4));
    tern_graph_output(g, "y", tern__neg(g, tern__neg(g, tern__unary(g, "flatten", x))));
    assert_ok(tern__passes_run(g, NULL, 0, &out));
    assert_int_equal(out->n_nodes, 1); /* the reshape */
    tern_graph_destroy(out);
    assert_ok(tern__passes_run(g, "fuse, simplify", 0, &out));
    assert_int_equal(out->n_nodes, 3);
    tern_graph_destroy(out);
    assert_ok(tern__passes_run(g, "all", 0, &out));
    assert_int_equal(out->n_nodes, 3);
    assert_string_equal(out->nodes[0]->op->name, "reshape"); /* nothing could run a flatten */
    tern_graph_destroy(out);
    assert_fails(tern__passes_run(g, "dce,simplfy", 0, &out), TERN_E_NOT_FOUND,
                 "no pass is called \"simplfy\"; there are qdq, integer, attention, expand, widen, simplify, fold, cse, bnfold, dce, layout, fuse, chain, "
                 "and \"all\"");
    assert_true(tern__pass_disabled("layout,fuse", "fuse") && !tern__pass_disabled("layout,fuse", "fus") && !tern__pass_disabled(NULL, "fuse"));
    tern_graph_destroy(g);
}

/* --- attention --- */

/* What a test of the pass varies about softmax(x y) z; each field's 0 is the plainest. */
typedef struct score_chain {
    bool folded;      /* batch and heads are one dimension in the products and the softmax */
    bool key_rows;    /* the keys' transposition is the product's own */
    bool divided;     /* the scale is a division */
    bool joined;      /* heads side by side in the end */
    int masks;        /* 1: added, 2: where with -inf, 3: both, 4: where with a number, 5: added to the folded scores */
    bool kept;        /* the probabilities are a result too */
    bool scaled_last; /* the mask is scaled too */
} score_chain;

static tern_value scores_of(tern_graph *g, const score_chain *c, tern_value q, tern_value k)
{
    static const int turned[] = {0, 1, 3, 2}, turned3[] = {0, 2, 1};
    if (!c->key_rows)
        k = tern__transpose(g, k, c->folded ? turned3 : turned);
    tern_value s = tern_graph_op2(g, "matmul", q, k, TERN_ATTRS(TERN_INT("trans_b", c->key_rows)));
    if (!c->scaled_last)
        s = c->divided ? tern__div(g, s, tern__like(g, s, 2)) : tern__mul_scalar(g, s, 0.5);
    if (c->folded && c->masks && c->masks != 5)
        s = tern__reshape(g, s, SHAPE(2, 3, 5, 7));
    if (c->masks == 2 || c->masks == 3)
        s = tern__where(g, tern__compare(g, "greater", random_constant(g, TERN_F32, SHAPE(5, 7), 8), -1), s, tern__like(g, s, -INFINITY));
    if (c->masks == 4)
        s = tern__where(g, tern__compare(g, "greater", random_constant(g, TERN_F32, SHAPE(2, 1, 1, 7), 8), 0.5), tern__like(g, s, -3), s);
    if (c->masks == 1 || c->masks == 3)
        s = tern__add(g, random_constant(g, TERN_F32, SHAPE(2, 1, 1, 7), 9), s);
    if (c->masks == 5)
        s = tern__add(g, s, random_constant(g, TERN_F32, SHAPE(6, 1, 7), 9));
    if (c->scaled_last)
        s = tern__mul_scalar(g, s, 0.5);
    return c->folded && c->masks && c->masks != 5 ? tern__reshape(g, s, SHAPE(6, 5, 7)) : s;
}

static tern_graph *chain_of(const score_chain *c)
{
    static const int perm[] = {0, 2, 1, 3};
    tern_graph *g = new_graph();
    tern_value q = input(g, "q", SHAPE(2, 3, 5, 4)), k = input(g, "k", SHAPE(2, 3, 7, 4)), v = input(g, "v", SHAPE(2, 3, 7, 6));
    if (c->folded) {
        q = tern__reshape(g, q, SHAPE(6, 5, 4));
        k = tern__reshape(g, k, SHAPE(6, 7, 4));
        v = tern__reshape(g, v, SHAPE(6, 7, 6));
    }
    tern_value p = tern_graph_op1(g, "softmax", scores_of(g, c, q, k), TERN_ATTRS(TERN_INT("axis", -1)));
    tern_value y = tern_graph_op2(g, "matmul", p, v, NULL);
    if (c->joined)
        y = tern__reshape(g, tern__transpose(g, tern__reshape(g, y, SHAPE(2, 3, 5, 6)), perm), SHAPE(2, 5, 18));
    tern_graph_output(g, "y", y);
    if (c->kept)
        tern_graph_output(g, "p", p);
    assert_ok(tern_graph_check(g));
    return g;
}

static int count_nodes(const tern_graph *g, const char *op)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        n += strcmp(g->nodes[i]->op->name, op) == 0;
    return n;
}

static void assert_attention(const score_chain *c, int want)
{
    tern_graph *g = chain_of(c), *made = NULL, *out = NULL;
    assert_ok(tern__pass_attention.run(g, &made));
    assert_ok(tern__graph_verify(made));
    assert_ok(tern__pass_dce.run(made, &out));
    assert_int_equal(count_nodes(out, "attention"), want);
    assert_int_equal(count_nodes(out, "matmul"), want ? 0 : 2);
    assert_int_equal(count_nodes(out, "softmax"), want ? 0 : 1);
    if (c->joined && c->key_rows)
        assert_int_equal(count_nodes(out, "transpose"), 0);
    assert_same_results(g, out, 1e-5);
    tern_graph_destroy(out);
    tern_graph_destroy(made);
    tern_graph_destroy(g);
}

static void attention_is_found(void **state)
{
    (void)state;
    static const score_chain found[] = {
        {.divided = false}, {.key_rows = true, .divided = true}, {.masks = 1}, {.masks = 2, .joined = true}, {.masks = 3}, {.masks = 4, .key_rows = true},
        {.folded = true}, {.folded = true, .masks = 1, .joined = true}, {.folded = true, .masks = 3, .key_rows = true}, {.folded = true, .masks = 5},
        {.joined = true, .key_rows = true}};
    static const score_chain left[] = {{.kept = true}, {.scaled_last = true, .masks = 1}};
    for (int i = 0; i < TERN_COUNT(found); i++)
        assert_attention(&found[i], 1);
    for (int i = 0; i < TERN_COUNT(left); i++)
        assert_attention(&left[i], 0);
}

/* --- Random graphs --- */

/* A graph of pointwise ops, movement, reductions, composites and constants, all values [3,4] or broadcast to it. */
static tern_graph *random_graph(uint64_t seed)
{
    static const char *const unary[] = {"neg", "relu", "square", "tanh", "sigmoid", "identity", "abs"};
    static const char *const binary[] = {"add", "sub", "mul", "max", "min"};
    enum { NODES = 40 };
    tern_graph *g = new_graph();
    tern_value pool[NODES + 4] = {input(g, "a", SHAPE(3, 4)), input(g, "b", SHAPE(4)), tern_graph_scalar(g, TERN_F32, 0), tern_graph_scalar(g, TERN_F32, 1)};
    int n = 4;
    for (int i = 0; i < NODES; i++) {
        const uint32_t r = tern__philox_word(seed, 1, (uint64_t)i), k = tern__philox_word(seed, 2, (uint64_t)i);
        tern_value a = pool[r % (uint32_t)n], b = pool[(r >> 8) % (uint32_t)n], v;
        const tern_shape s = *tern__shape_of(g, a);
        switch (k % 9) {
        case 0:
        case 1:
            v = tern__unary(g, unary[(k >> 8) % 7], a);
            break;
        case 2:
            v = s.rank == 2 ? tern__transpose(g, tern__transpose(g, a, (int[]){1, 0}), (int[]){1, 0}) : tern__div(g, a, tern__like(g, a, 4));
            break;
        case 3:
            v = tern__reshape(g, tern_graph_op1(g, "flatten", a, TERN_ATTRS(TERN_INT("axis", 0))), &s);
            break;
        case 4:
            v = tern__mean_axes(g, a, s.rank ? 1u << (s.rank - 1) : 0, true);
            v = tern__add(g, v, a);
            break;
        case 5:
            v = tern__where(g, tern__compare(g, "greater", a, (k >> 8) % 3), a, tern__like(g, a, (k >> 8) % 2));
            break;
        default:
            v = tern_graph_op2(g, binary[(k >> 8) % 5], a, b, NULL);
        }
        pool[n++] = tern__unary(g, "hard_tanh", v); /* keeps numbers small */
    }
    tern_graph_output(g, "y", pool[n - 1]);
    tern_graph_output(g, "z", tern__add(g, pool[n - 2], pool[n / 2]));
    tern_value w = random_variable(g, "w", TERN_F32, SHAPE(3, 4), seed);
    tern_graph_assign(g, w, tern__add(g, tern__mul_scalar(g, w, 0.5), pool[n - 3]));
    assert_ok(tern_graph_check(g));
    return g;
}

static void no_pass_changes_results(void **state)
{
    (void)state;
    int n;
    const tern__pass *const *list = tern__pass_list(&n);
    for (uint64_t seed = 1; seed <= 25; seed++) {
        tern_graph *g = random_graph(seed), *out = NULL;
        for (int i = 0; i < n; i++) {
            if (!list[i]->run)
                continue;
            assert_ok(list[i]->run(g, &out));
            assert_ok(tern__graph_verify(out));
            assert_same_results(g, out, 1e-6);
            tern_graph_destroy(out);
        }
        assert_ok(tern__passes_run(g, NULL, 0, &out));
        assert_true(out->n_nodes <= g->n_nodes);
        assert_same_results(g, out, 1e-6);
        tern_graph_destroy(out);
        tern_graph_destroy(g);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    tern_graph *g = random_graph(99);
    for (int for_good = 0; for_good < 2; for_good++) {
        tern_status st = TERN_E_NOMEM;
        long step = for_good ? 37 : 11;
        for (long nth = 1; st != TERN_OK; nth += step) {
            tern_graph *out = NULL;
            tern__fault_arm(TERN__FAULT_ALLOC, nth, for_good);
            st = tern__passes_run(g, NULL, 0, &out);
            tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
            tern_graph_destroy(out);
            if (st != TERN_OK && st != TERN_E_NOMEM)
                fail_msg("allocation %ld: %s: %s", nth, tern_status_name(st), tern_last_error());
        }
    }
    tern_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expand_replaces_shorthand),
        cmocka_unit_test(expand_goes_all_the_way),
        cmocka_unit_test(fold_computes_constants),
        cmocka_unit_test(fold_leaves_growth),
        cmocka_unit_test(simplify_drops_neutral_numbers),
        cmocka_unit_test(simplify_keeps_what_has_meaning),
        cmocka_unit_test(simplify_joins_movement),
        cmocka_unit_test(simplify_masks_pooled_gradients),
        cmocka_unit_test(simplify_leaves_other_pooled_gradients),
        cmocka_unit_test(cse_computes_once),
        cmocka_unit_test(dce_drops_the_unused),
        cmocka_unit_test(bnfold_folds_scales_and_shifts),
        cmocka_unit_test(bnfold_needs_a_single_reader),
        cmocka_unit_test(attention_is_found),
        cmocka_unit_test(widen_follows_convolutions),
        cmocka_unit_test(passes_are_switched_off_by_name),
        cmocka_unit_test(no_pass_changes_results),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
