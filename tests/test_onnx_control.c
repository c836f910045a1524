/* Models whose course depends on data: branches, loops, shapes that only a run knows, sequences; and how often they are compiled. */
#include "onnx_build.h"
#include "session_check.h"

#include <unistd.h>

#include <tern/onnx.h>

#include "base/fault.h"

struct model {
    char path[64];
    tern_device *d;
    tern_onnx *m;
    tern_onnx_session *s;
};

static void open_model(struct model *x, onnx_message *graph)
{
    snprintf(x->path, sizeof x->path, "/tmp/tern-control-%d.onnx", (int)getpid());
    onnx_save(graph, 17, x->path);
    MUST(tern_device_open(NULL, &x->d));
    MUST(tern_onnx_load(x->path, &x->m));
    MUST(tern_onnx_session_create(x->d, x->m, NULL, &x->s));
}

static void close_model(struct model *x)
{
    tern_onnx_session_destroy(x->s);
    tern_onnx_destroy(x->m);
    tern_device_close(x->d);
    unlink(x->path);
}

static tern_onnx_value floats(int n, const float *v)
{
    tern_onnx_value x = {.kind = TERN_ONNX_TENSOR};
    MUST(tern_tensor_create(TERN_F32, &(tern_shape){1, {n}}, &x.tensor));
    memcpy(tern_tensor_data(x.tensor), v, (size_t)n * sizeof *v);
    return x;
}

static tern_onnx_value whole(int64_t v)
{
    tern_onnx_value x = {.kind = TERN_ONNX_TENSOR};
    MUST(tern_tensor_create(TERN_I64, &(tern_shape){0}, &x.tensor));
    *(int64_t *)tern_tensor_data(x.tensor) = v;
    return x;
}

static void expect(const tern_onnx_value *got, int n, const float *want)
{
    assert_int_equal(got->kind, TERN_ONNX_TENSOR);
    assert_int_equal(tern_tensor_elems(got->tensor), n);
    const float *v = tern_tensor_data(got->tensor);
    for (int i = 0; i < n; i++)
        if (fabsf(v[i] - want[i]) > 1e-5f * (1 + fabsf(want[i])))
            fail_msg("element %d is %g, not %g", i, (double)v[i], (double)want[i]);
}

/* Runs a model of one float vector in and one out. */
static void run_floats(struct model *x, int n, const float *in, int n_want, const float *want)
{
    tern_onnx_value a = floats(n, in), y;
    MUST(tern_onnx_session_run(x->s, &a, &y));
    expect(&y, n_want, want);
    tern_onnx_value_clear(&a);
    tern_onnx_value_clear(&y);
}

static tern_onnx_session_info info_of(const struct model *x)
{
    tern_onnx_session_info i;
    tern_onnx_session_get_info(x->s, &i);
    return i;
}

static void add_node(onnx_message *g, const char *op, const char *in, const char *out)
{
    onnx_message n = onnx_node(op, in, out);
    onnx_add(g, &n);
}

/* y = sum(x) > 0 ? 10 x + shift : -x, where 10 x is made outside the branches. */
static void branch_model(onnx_message *g)
{
    onnx_message then = {0}, other = {0};
    onnx_weights(g, "ten", 1, (int64_t[]){1}, (float[]){10});
    onnx_weights(g, "zero", 0, NULL, (float[]){0});
    onnx_input(g, "x", ONNX_FLOAT, 1, (int64_t[]){-1});
    add_node(g, "Mul", "x ten", "scaled");
    onnx_message sum = onnx_node("ReduceSum", "x", "sum");
    onnx_attr_int(&sum, "keepdims", 0);
    onnx_add(g, &sum);
    add_node(g, "Greater", "sum zero", "cond");
    onnx_weights(&then, "shift", 1, (int64_t[]){1}, (float[]){1});
    add_node(&then, "Add", "scaled shift", "t");
    onnx_output(&then, "t", ONNX_FLOAT);
    add_node(&other, "Neg", "x", "o");
    onnx_output(&other, "o", ONNX_FLOAT);
    onnx_message node = onnx_node("If", "cond", "y");
    onnx_attr_graph(&node, "then_branch", &then);
    onnx_attr_graph(&node, "else_branch", &other);
    onnx_add(g, &node);
    onnx_output(g, "y", ONNX_FLOAT);
}

static void a_branch_follows_the_data(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0};
    branch_model(&g);
    open_model(&x, &g);
    run_floats(&x, 3, (float[]){1, 2, 3}, 3, (float[]){11, 21, 31});
    assert_int_equal(info_of(&x).n_plans, 2); /* before the condition, and the branch */
    run_floats(&x, 3, (float[]){-1, -2, 1}, 3, (float[]){1, 2, -1});
    const int plans = info_of(&x).n_plans;
    assert_int_equal(plans, 3);
    for (int i = 0; i < 3; i++) {
        run_floats(&x, 3, (float[]){1, 2, 3}, 3, (float[]){11, 21, 31});
        run_floats(&x, 3, (float[]){-1, -2, 1}, 3, (float[]){1, 2, -1});
    }
    assert_int_equal(info_of(&x).n_plans, plans); /* both ways were known */
    run_floats(&x, 2, (float[]){4, -1}, 2, (float[]){41, -9});
    assert_int_equal(info_of(&x).n_shapes, 2);
    tern_graph *whole_graph = NULL;
    assert_int_equal(tern_onnx_graph(x.m, NULL, &whole_graph), TERN_E_DYNAMIC);
    assert_non_null(strstr(tern_last_error(), "If"));
    close_model(&x);
}

/* The body of a loop: v doubles, its value is kept, and it goes on while v < 100 (or for ever, without a bound). */
static void doubling_loop(onnx_message *g, bool counted)
{
    onnx_message body = {0};
    onnx_weights(g, "two", 0, NULL, (float[]){2});
    onnx_weights(g, "bound", 0, NULL, (float[]){100});
    onnx_input(&body, "i", ONNX_INT64, 0, NULL);
    onnx_input(&body, "go", ONNX_BOOL, 0, NULL);
    onnx_input(&body, "v", ONNX_FLOAT, 1, (int64_t[]){-1});
    add_node(&body, "Mul", "v two", "next");
    if (counted) {
        add_node(&body, "Identity", "go", "still");
    } else {
        onnx_message most = onnx_node("ReduceMax", "next", "most");
        onnx_attr_int(&most, "keepdims", 0);
        onnx_add(&body, &most);
        add_node(&body, "Less", "most bound", "still");
    }
    add_node(&body, "Identity", "next", "kept");
    onnx_output(&body, "still", ONNX_BOOL);
    onnx_output(&body, "next", ONNX_FLOAT);
    onnx_output(&body, "kept", ONNX_FLOAT);
    onnx_message node = onnx_node("Loop", counted ? "n - x" : "- - x", "last all");
    onnx_attr_graph(&node, "body", &body);
    onnx_add(g, &node);
}

static void a_loop_ends_when_the_data_says_so(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){-1});
    doubling_loop(&g, false);
    onnx_output(&g, "last", ONNX_FLOAT);
    onnx_output(&g, "all", ONNX_FLOAT);
    open_model(&x, &g);
    tern_onnx_value in = floats(2, (float[]){1, 30}), y[2];
    MUST(tern_onnx_session_run(x.s, &in, y));
    expect(&y[0], 2, (float[]){4, 120});
    expect(&y[1], 4, (float[]){2, 60, 4, 120});
    assert_int_equal(tern_tensor_shape(y[1].tensor)->rank, 2);
    tern_onnx_value_clear(&y[0]);
    tern_onnx_value_clear(&y[1]);
    tern_onnx_value_clear(&in);
    /* The iterations are alike, so a longer way needs hardly more plans: one for the iteration, one to join this many results. */
    const int plans = info_of(&x).n_plans;
    in = floats(2, (float[]){1, 1});
    MUST(tern_onnx_session_run(x.s, &in, y));
    expect(&y[0], 2, (float[]){128, 128});
    assert_int_equal(tern_tensor_shape(y[1].tensor)->dim[0], 7);
    assert_true(info_of(&x).n_plans <= plans + 1);
    tern_onnx_value_clear(&y[0]);
    tern_onnx_value_clear(&y[1]);
    tern_onnx_value_clear(&in);
    close_model(&x);
}

static void a_counted_loop_is_one_graph(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){3});
    onnx_message three = onnx_tensor("n", ONNX_INT64, 0, NULL, (int64_t[]){3});
    onnx_initializer(&g, &three);
    doubling_loop(&g, true);
    onnx_output(&g, "last", ONNX_FLOAT);
    onnx_output(&g, "all", ONNX_FLOAT);
    open_model(&x, &g);
    tern_onnx_value in = floats(3, (float[]){1, 2, 3}), y[2];
    MUST(tern_onnx_session_run(x.s, &in, y));
    expect(&y[0], 3, (float[]){8, 16, 24});
    expect(&y[1], 9, (float[]){2, 4, 6, 4, 8, 12, 8, 16, 24});
    assert_int_equal(info_of(&x).n_plans, 1);
    tern_graph *graph = NULL;
    MUST(tern_onnx_graph(x.m, NULL, &graph));
    assert_int_equal(tern_graph_n_outputs(graph), 2);
    tern_graph_destroy(graph);
    tern_onnx_value_clear(&y[0]);
    tern_onnx_value_clear(&y[1]);
    tern_onnx_value_clear(&in);
    close_model(&x);
}

/* The count comes with the inputs: the course depends on it, and a count of 0 leaves the value as it was. */
static void a_count_may_be_an_input(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_input(&g, "n", ONNX_INT64, 0, NULL);
    doubling_loop(&g, true);
    onnx_output(&g, "last", ONNX_FLOAT);
    onnx_output(&g, "all", ONNX_FLOAT);
    open_model(&x, &g);
    for (int n = 0; n < 4; n++) {
        tern_onnx_value in[] = {floats(2, (float[]){1, -1}), whole(n)}, y[2];
        MUST(tern_onnx_session_run(x.s, in, y));
        expect(&y[0], 2, (float[]){(float)(1 << n), -(float)(1 << n)});
        assert_int_equal(tern_tensor_elems(y[1].tensor), 2 * n);
        for (int i = 0; i < 2; i++) {
            tern_onnx_value_clear(&in[i]);
            tern_onnx_value_clear(&y[i]);
        }
    }
    close_model(&x);
}

/* All places of x that are not zero, and the elements there: as many as the data has. */
static void a_shape_may_depend_on_data(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){5});
    add_node(&g, "NonZero", "x", "places");
    onnx_list(&g, "flat", 1, (int64_t[]){-1});
    add_node(&g, "Reshape", "places flat", "p");
    add_node(&g, "Gather", "x p", "found");
    add_node(&g, "Neg", "found", "y");
    onnx_output(&g, "y", ONNX_FLOAT);
    open_model(&x, &g);
    run_floats(&x, 5, (float[]){0, 3, 0, 4, 0}, 2, (float[]){-3, -4});
    run_floats(&x, 5, (float[]){1, 0, 0, 0, 0}, 1, (float[]){-1});
    run_floats(&x, 5, (float[]){0, 0, 0, 7, 8}, 2, (float[]){-7, -8});
    assert_int_equal(info_of(&x).n_plans, 2); /* one for each number of elements */
    run_floats(&x, 5, (float[]){0, 0, 0, 0, 0}, 0, NULL);
    close_model(&x);
}

static void shapes_are_kept_and_bounded(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){-1});
    add_node(&g, "Abs", "x", "y");
    onnx_output(&g, "y", ONNX_FLOAT);
    open_model(&x, &g);
    float v[24], want[24];
    for (int i = 0; i < 24; i++)
        v[i] = -(want[i] = (float)i);
    for (int n = 1; n < 24; n++)
        run_floats(&x, n, v, n, want);
    assert_true(info_of(&x).n_shapes <= 16);
    assert_true(info_of(&x).n_plans <= 16);
    close_model(&x);
}

/* Sequences go in, are taken apart and put together, and come out. */
static void sequences_go_in_and_out(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0}, tensor = onnx_type(ONNX_FLOAT, 1, (int64_t[]){-1}), seq = {0}, type = {0};
    onnx_put_message(&seq, 1, &tensor);
    onnx_put_message(&type, 4, &seq);
    onnx_message again = {0};
    onnx_raw(&again, type.data, type.len);
    onnx_value(&g, 11, "s", &type);
    onnx_message one = onnx_tensor("one", ONNX_INT64, 0, NULL, (int64_t[]){1});
    onnx_initializer(&g, &one);
    add_node(&g, "SequenceAt", "s one", "b");
    add_node(&g, "Neg", "b", "c");
    add_node(&g, "SequenceInsert", "s c one", "y");
    onnx_value(&g, 12, "y", &again);
    open_model(&x, &g);
    tern_onnx_value items[2] = {floats(1, (float[]){5}), floats(2, (float[]){6, 7})}, in = {.kind = TERN_ONNX_SEQUENCE, .items = items, .n_items = 2}, y;
    MUST(tern_onnx_session_run(x.s, &in, &y));
    assert_int_equal(y.kind, TERN_ONNX_SEQUENCE);
    assert_int_equal(y.n_items, 3);
    expect(&y.items[0], 1, (float[]){5});
    expect(&y.items[1], 2, (float[]){-6, -7});
    expect(&y.items[2], 2, (float[]){6, 7});
    tern_onnx_value_clear(&y);
    tern_onnx_value_clear(&items[0]);
    tern_onnx_value_clear(&items[1]);
    close_model(&x);
}

/* Numbers without a seed: others in every run, the same again in another session. */
static void runs_draw_other_numbers(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){4});
    add_node(&g, "RandomNormalLike", "x", "r");
    add_node(&g, "Add", "x r", "y");
    onnx_output(&g, "y", ONNX_FLOAT);
    open_model(&x, &g);
    float seen[2][4];
    for (int i = 0; i < 4; i++) {
        tern_onnx_value in = floats(4, (float[]){0, 0, 0, 0}), y;
        MUST(tern_onnx_session_run(x.s, &in, &y));
        if (i < 2)
            memcpy(seen[i], tern_tensor_data(y.tensor), sizeof seen[i]);
        else
            assert_memory_equal(seen[i - 2], tern_tensor_data(y.tensor), sizeof seen[0]);
        tern_onnx_value_clear(&in);
        tern_onnx_value_clear(&y);
        if (i == 1) {
            tern_onnx_session_destroy(x.s);
            MUST(tern_onnx_session_create(x.d, x.m, NULL, &x.s));
        }
    }
    assert_memory_not_equal(seen[0], seen[1], sizeof seen[0]);
    close_model(&x);
}

/* --- What is wrong is said ---------------------------------------------------------------------------------------- */

static void refused(onnx_message *g, tern_status want, const char *text)
{
    struct model x = {0};
    snprintf(x.path, sizeof x.path, "/tmp/tern-control-%d.onnx", (int)getpid());
    onnx_save(g, 17, x.path);
    MUST(tern_device_open(NULL, &x.d));
    MUST(tern_onnx_load(x.path, &x.m));
    tern_onnx_value in = floats(2, (float[]){1, 2}), y = {0};
    tern_status st = tern_onnx_session_create(x.d, x.m, NULL, &x.s);
    if (st == TERN_OK)
        st = tern_onnx_session_run(x.s, &in, &y);
    if (st != want || !strstr(tern_last_error(), text))
        fail_msg("%s: %s", tern_status_name(st), tern_last_error());
    tern_onnx_value_clear(&in);
    close_model(&x);
}

static onnx_message one_node(const char *op, const char *in)
{
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_message n = onnx_node(op, in, "y");
    onnx_put_text(&n, 3, "here");
    onnx_add(&g, &n);
    return g;
}

static void wrong_models_are_refused_in_a_sentence(void **state)
{
    (void)state;
    onnx_message g = one_node("Blend", "x");
    refused(&g, TERN_E_UNSUPPORTED, "no operator Blend for opset 17 (node \"here\")");
    g = one_node("Relu", "z");
    refused(&g, TERN_E_CORRUPT, "Relu \"here\": its input \"z\" is made by no node before it");
    g = (onnx_message){0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_message n = onnx_node("Relu", "x", "y");
    onnx_attr_int(&n, "warp", 9);
    onnx_add(&g, &n);
    refused(&g, TERN_E_UNSUPPORTED, "attribute \"warp\"");
    g = one_node("Relu", "x");
    onnx_output(&g, "z", ONNX_FLOAT);
    refused(&g, TERN_E_CORRUPT, "output \"z\" is made by no node");
    g = (onnx_message){0};
    onnx_input(&g, "x", ONNX_FLOAT, 2, (int64_t[]){2, 2});
    onnx_output(&g, "x", ONNX_FLOAT);
    refused(&g, TERN_E_SHAPE, "input \"x\" has 1 dimensions, the model wants 2");
    g = (onnx_message){0};
    onnx_input(&g, "x", ONNX_INT64, 1, (int64_t[]){2});
    onnx_output(&g, "x", ONNX_INT64);
    refused(&g, TERN_E_DTYPE, "input \"x\" is f32, the model wants i64");
}

/* A condition that stays true, no count, and a body that does nothing. The condition is handed on, comes from outside, or is computed each time. */
static void loop_without_an_end(const char *condition, const char *text)
{
    onnx_message g = {0}, body = {0}, yes = onnx_tensor("yes", ONNX_BOOL, 0, NULL, "\1");
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_initializer(&g, &yes);
    onnx_input(&body, "i", ONNX_INT64, 0, NULL);
    onnx_input(&body, "go", ONNX_BOOL, 0, NULL);
    onnx_input(&body, "v", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_output(&body, condition, ONNX_BOOL);
    onnx_output(&body, "v", ONNX_FLOAT);
    onnx_message again = onnx_node("And", "go yes", "computed"), same = onnx_node("Identity", "go", "handed");
    onnx_add(&body, &again);
    onnx_add(&body, &same);
    onnx_message node = onnx_node("Loop", "- - x", "y");
    onnx_attr_graph(&node, "body", &body);
    onnx_add(&g, &node);
    onnx_output(&g, "y", ONNX_FLOAT);
    refused(&g, TERN_E_UNSUPPORTED, text);
}

/* As long as an axis that anybody can write. */
static void scan_without_an_end(void)
{
    onnx_message g = {0}, body = {0}, node = onnx_node("Scan", "all", "y"), n = onnx_node("Relu", "v", "w");
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_list(&g, "shape", 2, (int64_t[]){INT64_C(1) << 31, 2});
    onnx_message wide = onnx_node("Expand", "x shape", "all");
    onnx_add(&g, &wide);
    onnx_input(&body, "v", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_output(&body, "w", ONNX_FLOAT);
    onnx_add(&body, &n);
    onnx_attr_graph(&node, "body", &body);
    onnx_attr_int(&node, "num_scan_inputs", 1);
    onnx_add(&g, &node);
    onnx_output(&g, "y", ONNX_FLOAT);
    refused(&g, TERN_E_UNSUPPORTED, "2147483648 rounds of 1 nodes: more than 500000 nodes");
}

static void a_loop_without_an_end_is_given_up(void **state)
{
    (void)state;
    scan_without_an_end();
    static const char *const settled[] = {"go", "handed", "yes"};
    for (size_t i = 0; i < TERN_COUNT(settled); i++)
        loop_without_an_end(settled[i], "9223372036854775806 rounds of 2 nodes: more than 500000 nodes");
    loop_without_an_end("computed", "\"y\": more than 500000 nodes with all loops unrolled");
}

/* Each allocation fails once; the run then says so, and the next one works. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    struct model x;
    onnx_message g = {0};
    branch_model(&g);
    open_model(&x, &g);
    run_floats(&x, 3, (float[]){1, 2, 3}, 3, (float[]){11, 21, 31}); /* kernels are in the cache from here on */
    run_floats(&x, 3, (float[]){-1, -2, 1}, 3, (float[]){1, 2, -1});
    int failures = 0;
    for (long n = 1;; n += n < 200 ? 1 : 37) {
        tern_onnx_session *s = NULL;
        tern_onnx_value in = floats(3, (float[]){1, 2, 3}), y = {0};
        MUST(tern_onnx_session_create(x.d, x.m, NULL, &s));
        tern__fault_arm(TERN__FAULT_ALLOC, n, false);
        tern_status st = tern_onnx_session_run(s, &in, &y);
        tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
        if (st == TERN_OK)
            expect(&y, 3, (float[]){11, 21, 31});
        tern_onnx_value_clear(&y);
        if (st != TERN_OK) {
            failures++;
            MUST(tern_onnx_session_run(s, &in, &y));
            expect(&y, 3, (float[]){11, 21, 31});
            tern_onnx_value_clear(&y);
        }
        tern_onnx_value_clear(&in);
        tern_onnx_session_destroy(s);
        if (st == TERN_OK)
            break;
    }
    assert_true(failures > 50);
    close_model(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_branch_follows_the_data),
        cmocka_unit_test(a_loop_ends_when_the_data_says_so),
        cmocka_unit_test(a_counted_loop_is_one_graph),
        cmocka_unit_test(a_count_may_be_an_input),
        cmocka_unit_test(a_shape_may_depend_on_data),
        cmocka_unit_test(shapes_are_kept_and_bounded),
        cmocka_unit_test(sequences_go_in_and_out),
        cmocka_unit_test(runs_draw_other_numbers),
        cmocka_unit_test(wrong_models_are_refused_in_a_sentence),
        cmocka_unit_test(a_loop_without_an_end_is_given_up),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
