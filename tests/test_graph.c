/* Tests of graphs: building, refusing, printing, verifying, rewriting, evaluating, and running out of memory while at it. */
#include "graph_help.h"

#include "base/fault.h"
#include "graph/node.h"

/* x [2,3] times a variable, plus a number, relu; the sum of it all goes into a counter. */
static tern_graph *sample(void)
{
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 3), 1);
    tern_value w = random_variable(g, "w", TERN_F32, SHAPE(3), 1);
    tern_value y = tern__unary(g, "relu", tern__add_scalar(g, tern__mul(g, x, w), 0.5));
    tern_graph_output(g, "y", y);
    tern_graph_assign(g, w, tern__add(g, w, tern__mean_axes(g, y, 1, false)));
    return g;
}

static void prints_one_line_a_node(void **state)
{
    (void)state;
    tern_graph *g = sample();
    assert_prints(g, "%0 = input \"x\" f32[2,3] free=0x1\n"
                     "%1 = variable \"w\" f32[3] trainable\n"
                     "%2 = mul(%0, %1) : f32[2,3]\n"
                     "%3 = const f32[] 0.5\n"
                     "%4 = add(%2, %3) : f32[2,3]\n"
                     "%5 = relu(%4) : f32[2,3]\n"
                     "%6 = mean(%5) {axes=[0], keepdims=0} : f32[3]\n"
                     "%7 = add(%1, %6) : f32[3]\n"
                     "output \"y\" = %5\n"
                     "assign %1 = %7\n");
    char *dot = NULL;
    assert_ok(tern_graph_dot(g, &dot));
    assert_non_null(strstr(dot, "digraph tern {"));
    assert_non_null(strstr(dot, "v0 -> n0 [label=\"f32[2,3]\"]"));
    assert_non_null(strstr(dot, "n3 -> n4"));
    tern_text_free(dot);
    tern_graph_destroy(g);
}

static void clones_are_equal_and_apart(void **state)
{
    (void)state;
    tern_graph *g = sample(), *c = NULL;
    assert_ok(tern_graph_clone(g, &c));
    char *text = NULL;
    assert_ok(tern_graph_print(g, &text));
    tern_graph_output(g, "more", 4);
    assert_prints(c, text);
    tern_text_free(text);
    tern_graph_destroy(g);
    assert_ok(tern__graph_verify(c));
    tern_graph_destroy(c);
}

/* What a builder call says about bad arguments. */
typedef void (*mistake)(tern_graph *g, tern_value x);

static void bad_op(tern_graph *g, tern_value x) { tern_graph_op1(g, "rellu", x, NULL); }
static void bad_attribute(tern_graph *g, tern_value x) { tern_graph_op1(g, "sum", x, TERN_ATTRS(TERN_INT("axis", 1))); }
static void attribute_type(tern_graph *g, tern_value x) { tern_graph_op1(g, "leaky_relu", x, TERN_ATTRS(TERN_STRING("alpha", "0.1"))); }
static void attribute_twice(tern_graph *g, tern_value x)
{
    tern_graph_op1(g, "leaky_relu", x, TERN_ATTRS(TERN_FLOAT("alpha", 1), TERN_FLOAT("alpha", 2)));
}
static void attribute_missing(tern_graph *g, tern_value x) { tern_graph_op1(g, "cast", x, NULL); }
static void attribute_null(tern_graph *g, tern_value x) { tern_graph_op1(g, "cast", x, TERN_ATTRS(TERN_STRING("to", NULL))); }
static void input_missing(tern_graph *g, tern_value x) { tern_graph_op1(g, "add", x, NULL); }
static void input_none(tern_graph *g, tern_value x) { tern_graph_op2(g, "add", x, TERN_NONE, NULL); }
static void input_unknown(tern_graph *g, tern_value x) { tern_graph_op2(g, "add", x, 99, NULL); }
static void too_many_inputs(tern_graph *g, tern_value x) { tern_graph_op3(g, "add", x, x, x, NULL); }
static void too_many_outputs(tern_graph *g, tern_value x) { tern_graph_add_n(g, "relu", &x, 1, NULL, (tern_value[2]){0}, 2); }
static void mixed_dtypes(tern_graph *g, tern_value x) { tern__add(g, x, tern_graph_scalar(g, TERN_I32, 1)); }
static void no_broadcast(tern_graph *g, tern_value x) { tern__add(g, x, tern_graph_input(g, "z", TERN_F32, SHAPE(4), 0)); }
static void axis_range(tern_graph *g, tern_value x) { tern_graph_op1(g, "sum", x, TERN_ATTRS(TERN_INTS("axes", ((int64_t[]){4}), 1))); }
static void axis_twice(tern_graph *g, tern_value x)
{
    tern_graph_op1(g, "sum", x, TERN_ATTRS(TERN_INTS("axes", ((int64_t[]){1, -1}), 2)));
}
static void name_twice(tern_graph *g, tern_value x) { (void)x; tern_graph_input(g, "x", TERN_F32, SHAPE(1), 0); }
static void no_name(tern_graph *g, tern_value x) { tern_graph_output(g, "", x); }
static void output_twice(tern_graph *g, tern_value x)
{
    tern_graph_output(g, "o", x);
    tern_graph_output(g, "o", x);
}
static void overflow(tern_graph *g, tern_value x) { (void)x; tern_graph_input(g, "z", TERN_F32, SHAPE((int64_t)1 << 40, (int64_t)1 << 40), 0); }
static void byte_overflow(tern_graph *g, tern_value x) { (void)x; tern_graph_input(g, "z", TERN_F64, SHAPE((int64_t)1 << 61), 0); }
static void negative_extent(tern_graph *g, tern_value x) { (void)x; tern_graph_input(g, "z", TERN_F32, SHAPE(2, -1), 0); }
static void deep_rank(tern_graph *g, tern_value x) { (void)x; tern_graph_input(g, "z", TERN_F32, &(tern_shape){.rank = 9}, 0); }
static void expanded_overflow(tern_graph *g, tern_value x)
{
    tern_graph_op1(g, "expand", tern__sum_axes(g, x, 3, false), TERN_ATTRS(TERN_INTS("shape", ((int64_t[]){1LL << 40, 1LL << 40}), 2)));
}
static void free_axis_range(tern_graph *g, tern_value x) { (void)x; tern_graph_input(g, "z", TERN_F32, SHAPE(2), 2); }
static void dtype_unknown(tern_graph *g, tern_value x) { (void)x; tern_graph_scalar(g, (tern_dtype)99, 0); }
static void assign_input(tern_graph *g, tern_value x) { tern_graph_assign(g, x, x); }
static void assign_shape(tern_graph *g, tern_value x) { tern_graph_assign(g, random_variable(g, "w", TERN_F32, SHAPE(3), 1), x); }
static void assign_twice(tern_graph *g, tern_value x)
{
    tern_value w = random_variable(g, "w", TERN_F32, SHAPE(2, 3), 1);
    tern_graph_assign(g, w, x);
    tern_graph_assign(g, w, x);
}
static void no_constant(tern_graph *g, tern_value x) { (void)x; tern_graph_constant(g, NULL); }
static void output_unknown(tern_graph *g, tern_value x) { (void)x; tern_graph_output(g, "o", TERN_NONE); }

static const struct {
    mistake make;
    tern_status status;
    const char *words;
} mistakes[] = {
    {bad_op, TERN_E_NOT_FOUND, "no op is called \"rellu\"; did you mean relu"},
    {bad_attribute, TERN_E_INVALID, "sum: unknown attribute \"axis\"; did you mean axes?"},
    {attribute_type, TERN_E_INVALID, "leaky_relu: attribute \"alpha\" is a number, a string was given"},
    {attribute_twice, TERN_E_INVALID, "leaky_relu: attribute \"alpha\" is given twice"},
    {attribute_missing, TERN_E_INVALID, "cast: attribute \"to\" (a string) is required"},
    {attribute_null, TERN_E_INVALID, "cast: attribute \"to\" has no value"},
    {input_missing, TERN_E_INVALID, "add: input 1 is missing"},
    {input_none, TERN_E_INVALID, "add: input 1 is missing"},
    {input_unknown, TERN_E_INVALID, "add: input 1 is value 99, the graph has values 0 to 0"},
    {too_many_inputs, TERN_E_INVALID, "add: 3 inputs given, it takes exactly 2"},
    {too_many_outputs, TERN_E_INVALID, "relu: 2 outputs wanted, it has 1"},
    {mixed_dtypes, TERN_E_DTYPE, "add: input 0 is f32, input 1 is i32"},
    {no_broadcast, TERN_E_SHAPE, "add: shapes [2,3] and [4] do not broadcast"},
    {axis_range, TERN_E_INVALID, "sum: axis 4 out of range for rank 2"},
    {axis_twice, TERN_E_INVALID, "sum: axis"},
    {name_twice, TERN_E_INVALID, "input \"x\": the name is already that of value 0"},
    {no_name, TERN_E_INVALID, "output: needs a name"},
    {output_twice, TERN_E_INVALID, "output \"o\": the name is already that of value 0"},
    {overflow, TERN_E_SHAPE, "f32[1099511627776,1099511627776]"},
    {byte_overflow, TERN_E_SHAPE, "f64[2305843009213693952]"},
    {negative_extent, TERN_E_SHAPE, "f32[2,-1]"},
    {deep_rank, TERN_E_SHAPE, "out of range"},
    {expanded_overflow, TERN_E_SHAPE, "out of range"},
    {free_axis_range, TERN_E_INVALID, "free axes 0x2, but the rank is 1"},
    {dtype_unknown, TERN_E_DTYPE, "99 is no element type"},
    {assign_input, TERN_E_INVALID, "value 0 is not a variable"},
    {assign_shape, TERN_E_SHAPE, "variable \"w\" is f32[3], the value f32[2,3]"},
    {assign_twice, TERN_E_INVALID, "variable \"w\" is assigned twice"},
    {no_constant, TERN_E_INVALID, "constant: needs a host tensor"},
    {output_unknown, TERN_E_INVALID, "output: value -1"},
};

static void mistakes_are_named_and_latch(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(mistakes); i++) {
        tern_graph *g = new_graph();
        tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 3), 0);
        mistakes[i].make(g, x);
        assert_fails(tern_graph_check(g), mistakes[i].status, mistakes[i].words);
        /* Later calls neither crash nor replace the first error. */
        const int n = g->n_values;
        assert_int_equal(tern_graph_op1(g, "no such op", x, NULL), TERN_NONE);
        assert_int_equal(tern_graph_scalar(g, TERN_F32, 1), TERN_NONE);
        tern_graph_output(g, "late", x);
        assert_int_equal(g->n_values, n);
        assert_fails(tern_graph_check(g), mistakes[i].status, mistakes[i].words);
        tern_graph_destroy(g);
    }
    assert_fails(tern_graph_check(NULL), TERN_E_INVALID, "no graph");
    assert_int_equal(tern_graph_op1(NULL, "relu", 0, NULL), TERN_NONE);
}

static void finds_by_name(void **state)
{
    (void)state;
    tern_graph *g = sample();
    tern_value v = TERN_NONE;
    assert_ok(tern_graph_find(g, "w", &v));
    assert_int_equal(v, 1);
    assert_ok(tern_graph_find(g, "y", &v));
    assert_int_equal(v, 5);
    assert_fails(tern_graph_find(g, "z", &v), TERN_E_NOT_FOUND, "\"z\"; did you mean x, w, y?");
    assert_int_equal(v, 5);
    assert_string_equal(tern_graph_input_name(g, 0), "x");
    assert_null(tern_graph_input_name(g, 1));
    assert_int_equal(tern_graph_variable_value(g, 0), 1);
    assert_int_equal(tern_graph_output_value(g, 1), TERN_NONE);
    tern_dtype t;
    tern_shape s;
    assert_ok(tern_graph_value_info(g, 2, &t, &s));
    assert_int_equal(s.rank, 2);
    assert_fails(tern_graph_value_info(g, TERN_NONE, &t, &s), TERN_E_INVALID, "value -1");
    tern_graph_destroy(g);
}

static void verifier_sees_damage(void **state)
{
    (void)state;
    tern_graph *g = sample();
    assert_ok(tern__graph_verify(g));
    g->values[2].type.shape.dim[0] = 5;
    assert_fails(tern__graph_verify(g), TERN_E_INVALID, "node 0 (mul), output 0 is f32[5,3], the shape rule says f32[2,3]");
    g->values[2].type.shape.dim[0] = 2;
    g->nodes[0]->in[1] = 5;
    assert_fails(tern__graph_verify(g), TERN_E_INVALID, "node 0 (mul) reads value 5, which node 2 makes later");
    g->nodes[0]->in[1] = 1;
    g->values[1].type.shape.dim[0] = 4;
    assert_fails(tern__graph_verify(g), TERN_E_INVALID, "value 1 has 12 bytes of data, its type 16");
    g->values[1].type.shape.dim[0] = 3;
    g->values[5].node = 1;
    assert_fails(tern__graph_verify(g), TERN_E_INVALID, "value 5 says node 1 makes it");
    g->values[5].node = 2;
    g->values[2].type.layout = (tern__layout){.kind = TERN__BLOCKED, .block = 16};
    assert_fails(tern__graph_verify(g), TERN_E_INVALID, "value 2 of rank 2 is blocked by 16");
    tern_graph_destroy(g);
}

static void binds_free_extents(void **state)
{
    (void)state;
    tern_graph *g = sample(), *b = NULL;
    assert_ok(tern__graph_bind_shapes(g, SHAPE(7, 3), &b));
    assert_int_equal(tern__shape_of(b, b->outputs[0].value)->dim[0], 7);
    assert_ok(tern__graph_verify(b));
    tern_graph_destroy(b);
    assert_fails(tern__graph_bind_shapes(g, SHAPE(2, 4), &b), TERN_E_SHAPE, "axis 1 is 3, 4 was given, and the axis is not free");
    assert_fails(tern__graph_bind_shapes(g, SHAPE(6), &b), TERN_E_SHAPE, "rank 1 given, it has rank 2");
    tern_graph_destroy(g);
}

static void freezing_needs_no_assignment(void **state)
{
    (void)state;
    tern_graph *g = sample(), *f = NULL;
    assert_fails(tern__graph_freeze(g, &f), TERN_E_INVALID, "variable \"w\" is assigned");
    g->n_assigns = 0;
    assert_ok(tern__graph_freeze(g, &f));
    assert_int_equal(f->n_variables, 0);
    assert_ptr_equal(tern__const_data(f, f->nodes[0]->in[1]), g->values[1].data->data);
    assert_int_equal(f->n_nodes, 3); /* what only the assignment needed is gone */
    tern_graph_destroy(f);
    tern_graph_destroy(g);
}

static void rewriting_carries_layouts(void **state)
{
    (void)state;
    tern_graph *g = new_graph(), *c = NULL;
    tern_value y = tern__unary(g, "relu", tern_graph_input(g, "x", TERN_F32, SHAPE(1, 32, 4), 0));
    tern_graph_output(g, "y", y);
    g->values[y].type.layout = (tern__layout){.kind = TERN__BLOCKED, .block = 16};
    assert_ok(tern__graph_rewrite(g, NULL, tern__rewrite_copy, &c));
    assert_prints(c, "%0 = input \"x\" f32[1,32,4]\n%1 = relu(%0) : f32[1,32,4]c16\noutput \"y\" = %1\n");
    tern_graph_destroy(c);
    tern_graph_destroy(g);
}

static void assignments_see_old_values(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value a = random_variable(g, "a", TERN_F64, SHAPE(2), 1), b = random_variable(g, "b", TERN_F64, SHAPE(2), 2);
    tern_graph_assign(g, a, b);
    tern_graph_assign(g, b, a);
    tern_graph_output(g, "sum", tern__add(g, a, b));
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, g));
    double first = tern__array_get(tern__interp_value(&it, a), 0);
    assert_ok(tern__interp_run(&it, NULL));
    assert_true(tern__array_get(tern__interp_value(&it, b), 0) == first);
    assert_ok(tern__interp_run(&it, NULL));
    assert_true(tern__array_get(tern__interp_value(&it, a), 0) == first);
    tern__interp_finish(&it);
    tern_graph_destroy(g);
}

static void interpreter_computes(void **state)
{
    (void)state;
    tern_graph *g = sample();
    float x[6] = {1, -2, 3, -4, 5, -6};
    tern__array in = {.type = {.dtype = TERN_F32, .shape = *SHAPE(2, 3)}, .data = x};
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, g));
    float w[3];
    memcpy(w, tern__interp_value(&it, 1)->data, sizeof w);
    assert_ok(tern__interp_run(&it, &in));
    for (int i = 0; i < 6; i++)
        assert_true(fabs(tern__array_get(tern__interp_output(&it, 0), i) - fmax(x[i] * w[i % 3] + 0.5f, 0)) < 1e-6);
    in.type.shape.dim[0] = 3;
    assert_fails(tern__interp_run(&it, &in), TERN_E_SHAPE, "input \"x\"");
    tern__interp_finish(&it);
    tern_graph_destroy(g);
}

/* Every dtype keeps what it can hold; 16-bit floats round to nearest even in one step. */
static void arrays_convert(void **state)
{
    (void)state;
    for (int t = 0; t < TERN_DTYPE_COUNT; t++) {
        uint64_t bytes[2] = {0};
        tern__array a = {.type = {.dtype = (tern_dtype)t, .shape = *SHAPE(2)}, .data = bytes};
        tern__array_set(&a, 1, 1);
        assert_true(tern__array_get(&a, 1) == 1 && tern__array_get_int(&a, 1) == 1 && tern__array_get(&a, 0) == 0);
    }
    uint64_t bytes = 0;
    tern__array h = {.type = {.dtype = TERN_F16}, .data = &bytes}, u = {.type = {.dtype = TERN_U64}, .data = &bytes};
    tern__array_set(&h, 0, 1 + 0x1p-11 + 0x1p-40); /* just over half way: up; by way of float it would be a tie and go down */
    assert_true(tern__array_get(&h, 0) == 1 + 0x1p-10);
    tern__array_set(&u, 0, 0x1p63);
    assert_true(tern__array_get(&u, 0) == 0x1p63);
    tern__array i8 = {.type = {.dtype = TERN_I8}, .data = &bytes};
    tern__array_set_int(&i8, 0, 200);
    assert_int_equal(tern__array_get_int(&i8, 0), 200 - 256);
}

static void ops_are_found(void **state)
{
    (void)state;
    int n, m;
    const tern__op *const *all = tern__op_all(&n);
    const char *const *names = tern_op_names(&m);
    assert_int_equal(n, m);
    for (int i = 0; i < n; i++) {
        assert_ptr_equal(tern__op_find(all[i]->name), all[i]);
        assert_string_equal(names[i], all[i]->name);
        assert_true(i == 0 || strcmp(names[i - 1], names[i]) < 0);
        assert_non_null(all[i]->doc);
        assert_non_null(all[i]->infer);
        assert_true(all[i]->ref || all[i]->expand);
    }
    assert_null(tern__op_find("no such op"));
}

/* Builds, clones, prints, rewrites and evaluates; the first failure is the answer. */
static tern_status whole_life(void)
{
    tern_graph *g = NULL, *c = NULL;
    tern__interp it = {0};
    char *text = NULL;
    float x[6] = {0}, w[3] = {0};
    tern_tensor *t = NULL;
    tern_status st = tern_graph_create(&g);
    if (st == TERN_OK)
        st = tern_tensor_wrap(TERN_F32, SHAPE(3), w, &t);
    if (st == TERN_OK) {
        tern_value in = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 3), 1), var = tern_graph_variable(g, "w", t, true);
        tern_value loss = tern__sum_axes(g, tern__unary(g, "square", tern__mul(g, in, var)), 3, false);
        tern_graph_output(g, "loss", loss);
        st = tern_graph_check(g);
        if (st == TERN_OK)
            st = tern_graph_minimize(g, loss, &(tern_optimizer){.name = "adam"});
    }
    if (st == TERN_OK)
        st = tern_graph_clone(g, &c);
    if (st == TERN_OK)
        st = tern_graph_print(c, &text);
    tern_text_free(text);
    text = NULL;
    if (st == TERN_OK)
        st = tern_graph_dot(c, &text);
    if (st == TERN_OK) {
        tern_graph_destroy(c);
        c = NULL;
        st = tern__graph_bind_shapes(g, SHAPE(2, 3), &c);
    }
    if (st == TERN_OK)
        st = tern__graph_verify(c);
    if (st == TERN_OK)
        st = tern__interp_init(&it, c);
    if (st == TERN_OK)
        st = tern__interp_run(&it, &(tern__array){.type = {.dtype = TERN_F32, .shape = *SHAPE(2, 3)}, .data = x});
    tern__interp_finish(&it);
    tern_text_free(text);
    tern_tensor_destroy(t);
    tern_graph_destroy(c);
    tern_graph_destroy(g);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_ok(whole_life());
    for (int for_good = 0; for_good < 2; for_good++) {
        tern_status st = TERN_E_NOMEM;
        long nth = 0;
        while (st != TERN_OK) {
            tern__fault_arm(TERN__FAULT_ALLOC, ++nth, for_good);
            st = whole_life();
            tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
            if (st != TERN_OK && st != TERN_E_NOMEM)
                fail_msg("allocation %ld: %s: %s", nth, tern_status_name(st), tern_last_error());
        }
        assert_true(nth > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_one_line_a_node),
        cmocka_unit_test(clones_are_equal_and_apart),
        cmocka_unit_test(mistakes_are_named_and_latch),
        cmocka_unit_test(finds_by_name),
        cmocka_unit_test(verifier_sees_damage),
        cmocka_unit_test(binds_free_extents),
        cmocka_unit_test(freezing_needs_no_assignment),
        cmocka_unit_test(rewriting_carries_layouts),
        cmocka_unit_test(assignments_see_old_values),
        cmocka_unit_test(interpreter_computes),
        cmocka_unit_test(arrays_convert),
        cmocka_unit_test(ops_are_found),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
