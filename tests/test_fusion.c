/* What fuses and what must not: groups of plans made for the null device, nothing is run. */
#include "session_check.h"

#include <stdio.h>
#include <string.h>

#include <tern/nn.h>

#include "passes/pass.h"

static const char *const devices[] = {"null:cpu", "null:gpu"};

static tern_device *device_of(const char *select)
{
    tern_device *d = NULL;
    MUST(tern_device_open(&(tern_device_params){.select = select}, &d));
    return d;
}

static tern_graph *graph(void)
{
    tern_graph *g = NULL;
    MUST(tern_graph_create(&g));
    return g;
}

static tern_value input(tern_graph *g, const char *name, tern_shape s)
{
    return tern_graph_input(g, name, TERN_F32, &s, 0);
}

static tern_session *plan(tern_device *d, const tern_graph *g, const char *disable)
{
    tern_session *s = NULL;
    MUST(tern_graph_check(g));
    MUST(tern_session_create(d, g, &(tern_session_params){.disable = disable}, &s));
    return s;
}

static int n_groups(tern_device *d, const tern_graph *g, const char *disable)
{
    tern_session *s = plan(d, g, disable);
    int n = tern_session_n_groups(s);
    tern_session_destroy(s);
    return n;
}

/* How often an op's name is among those of group i. */
static int count_op(const tern_session *s, int i, const char *op)
{
    tern_group_info info;
    MUST(tern_session_group(s, i, &info));
    int n = 0;
    size_t len = strlen(op);
    for (const char *p = info.ops; p && *p; p = strchr(p, '+') ? strchr(p, '+') + 1 : NULL)
        n += !strncmp(p, op, len) && (p[len] == '+' || !p[len]);
    return n;
}

/* What a failed expectation prints. */
static void print_groups(const tern_session *s)
{
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info info;
        MUST(tern_session_group(s, i, &info));
        print_message("# %s: %s (%s)\n", info.name, info.ops, info.impl);
    }
}

/* The graph is one group on both families; it is consumed. */
static void one_group(tern_graph *g)
{
    for (int f = 0; f < 2; f++) {
        tern_device *d = device_of(devices[f]);
        int n = n_groups(d, g, NULL);
        if (n != 1) {
            print_groups(plan(d, g, NULL));
            fail_msg("%s: %d groups", devices[f], n);
        }
        assert_true(n_groups(d, g, "fuse") >= n);
        tern_device_close(d);
    }
    tern_graph_destroy(g);
}

static void convolution_with_epilogue(void **state)
{
    (void)state;
    tern_device *d = device_of("null:gpu");
    tern_graph *g = graph();
    tern_nn nn = {.g = g, .seed = 1};
    tern_graph_output(g, "y", tern_nn_relu(&nn, tern_nn_conv2d(&nn, "conv", input(g, "x", (tern_shape){4, {2, 3, 8, 8}}), 16, 3, 1, 1)));
    assert_int_equal(n_groups(d, g, NULL), 1);
    assert_true(n_groups(d, g, "fuse") > 1);
    tern_device_close(d);
    d = device_of("null:cpu");
    tern_session *s = plan(d, g, NULL);
    for (int i = 0; i < tern_session_n_groups(s); i++)
        if (count_op(s, i, "conv"))
            assert_int_equal(count_op(s, i, "relu") + count_op(s, i, "max"), 1);
    tern_session_destroy(s);
    tern_device_close(d);
    tern_graph_destroy(g);
}

static void rows(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_graph_output(g, "y", tern_graph_op1(g, "softmax", input(g, "x", (tern_shape){2, {32, 100}}), NULL));
    one_group(g);
    g = graph();
    tern_value x = input(g, "x", (tern_shape){2, {32, 64}}), scale = input(g, "scale", (tern_shape){1, {64}}), shift = input(g, "shift", (tern_shape){1, {64}});
    tern_graph_output(g, "y", tern_graph_op3(g, "layer_norm", x, scale, shift, NULL));
    one_group(g);
    g = graph();
    x = input(g, "x", (tern_shape){2, {32, 64}});
    tern_graph_output(g, "y", tern_graph_op2(g, "rms_norm", x, input(g, "scale", (tern_shape){1, {64}}), NULL));
    one_group(g);
}

/* Reshapes and transposes are other ways to read: of an input within the reader's group, of a result without a group of their own. */
static void movement_is_free(void **state)
{
    (void)state;
    static const int64_t to[] = {24, 8}, perm[] = {1, 0};
    for (int made = 0; made < 2; made++) {
        tern_graph *g = graph();
        tern_value x = input(g, "x", (tern_shape){3, {4, 6, 8}}), y = input(g, "y", (tern_shape){2, {8, 24}});
        tern_value flat = tern_graph_op1(g, "reshape", made ? tern_graph_op1(g, "exp", x, NULL) : x, TERN_ATTRS(TERN_INTS("shape", to, 2)));
        tern_value turned = tern_graph_op1(g, "transpose", flat, TERN_ATTRS(TERN_INTS("perm", perm, 2)));
        tern_graph_output(g, "z", tern_graph_op2(g, "add", turned, y, NULL));
        if (!made) {
            one_group(g);
            continue;
        }
        for (int f = 0; f < 2; f++) {
            tern_device *d = device_of(devices[f]);
            tern_session *s = plan(d, g, NULL);
            for (int i = 0; i < tern_session_n_groups(s); i++)
                assert_true(count_op(s, i, "exp") + count_op(s, i, "add") > 0);
            tern_session_destroy(s);
            tern_device_close(d);
        }
        tern_graph_destroy(g);
    }
}

static void two_anchors(void **state)
{
    (void)state;
    for (int f = 0; f < 2; f++) {
        tern_device *d = device_of(devices[f]);
        tern_graph *g = graph();
        tern_value a = input(g, "a", (tern_shape){2, {32, 32}}), b = input(g, "b", (tern_shape){2, {32, 32}});
        tern_value ab = tern_graph_op2(g, "matmul", a, b, NULL);
        tern_graph_output(g, "y", tern_graph_op2(g, "add", tern_graph_op2(g, "matmul", ab, b, NULL), ab, NULL));
        tern_session *s = plan(d, g, NULL);
        assert_int_equal(tern_session_n_groups(s), 2);
        for (int i = 0; i < 2; i++)
            assert_int_equal(count_op(s, i, "matmul"), 1);
        tern_session_destroy(s);
        tern_graph_destroy(g);
        tern_device_close(d);
    }
}

/* One arm of the diamond passes a matmul of its own group: the ends cannot be one group, or that group would wait for itself. */
static void diamond(void **state)
{
    (void)state;
    for (int f = 0; f < 2; f++) {
        tern_device *d = device_of(devices[f]);
        tern_graph *g = graph();
        tern_value x = input(g, "x", (tern_shape){2, {32, 32}}), w = input(g, "w", (tern_shape){2, {32, 32}});
        tern_value top = tern_graph_op1(g, "exp", x, NULL);
        tern_value left = tern_graph_op2(g, "matmul", tern_graph_op2(g, "matmul", top, w, NULL), w, NULL), right = tern_graph_op1(g, "sin", top, NULL);
        tern_graph_output(g, "y", tern_graph_op2(g, "mul", left, right, NULL));
        tern_graph_output(g, "top", top);
        tern_session *s = plan(d, g, NULL);
        for (int i = 0; i < tern_session_n_groups(s); i++)
            assert_false(count_op(s, i, "exp") && count_op(s, i, "mul"));
        tern_session_destroy(s);
        tern_graph_destroy(g);
        tern_device_close(d);
    }
}

static tern_graph *training(const char *model, int64_t batch)
{
    tern_graph *g = graph();
    tern_nn nn = {.g = g, .seed = 1};
    tern_value logits = tern_nn_model(&nn, model, input(g, "x", (tern_shape){4, {batch, 1, 28, 28}}), true);
    tern_value labels = tern_graph_input(g, "labels", TERN_I32, &(tern_shape){1, {batch}}, 0);
    tern_value loss = tern_nn_cross_entropy(&nn, logits, labels);
    tern_graph_output(g, "loss", loss);
    MUST(tern_graph_minimize(g, loss, &(tern_optimizer){.name = "adam"}));
    return g;
}

/* The update of a weight is the epilogue of the product that makes its gradient: the square root is Adam's. */
static void update_in_the_gradient(void **state)
{
    (void)state;
    for (int f = 0; f < 2; f++) {
        tern_device *d = device_of(devices[f]);
        tern_graph *g = training("mlp", 64);
        tern_session *s = plan(d, g, NULL);
        int together = 0;
        for (int i = 0; i < tern_session_n_groups(s); i++) {
            assert_true(count_op(s, i, "matmul") <= 1);
            together += count_op(s, i, "matmul") && count_op(s, i, "sqrt");
        }
        if (together != 3)
            print_groups(s);
        assert_int_equal(together, 3);
        tern_session_destroy(s);
        tern_graph_destroy(g);
        tern_device_close(d);
    }
}

static void account_of_the_demo(void **state)
{
    (void)state;
    for (int f = 0; f < 2; f++) {
        tern_device *d = device_of(devices[f]);
        tern_graph *g = training("convnet", 32);
        tern_session *s = plan(d, g, NULL);
        tern_plan_info info;
        tern_session_get_info(s, &info);
        assert_true(info.bytes_fused <= info.bytes_unfused);
        assert_true(info.bytes_lower <= info.bytes_fused);
        assert_true((double)info.arena_bytes <= 1.15 * (double)info.arena_lower_bytes);
        assert_true(info.n_groups < info.n_nodes);
        tern_session_destroy(s);
        tern_graph_destroy(g);
        tern_device_close(d);
    }
}

static void each_pass_left_out(void **state)
{
    (void)state;
    int n;
    const tern__pass *const *passes = tern__pass_list(&n);
    for (int f = 0; f < 2; f++) {
        tern_device *d = device_of(devices[f]);
        tern_graph *g = training("mlp", 8);
        int fused = n_groups(d, g, NULL);
        assert_true(n_groups(d, g, "all") >= fused);
        for (int i = 0; i < n; i++)
            if (strcmp(passes[i]->name, "expand") && n_groups(d, g, passes[i]->name) < fused) /* what expands has no kernels of its own */
                fail_msg("without %s there are fewer groups than with it", passes[i]->name);
        tern_session *s = NULL;
        assert_int_equal(tern_session_create(d, g, &(tern_session_params){.disable = "fuse,no-such-pass"}, &s), TERN_E_NOT_FOUND);
        assert_non_null(strstr(tern_last_error(), "no-such-pass"));
        tern_graph_destroy(g);
        tern_device_close(d);
    }
}

/* What is folded and never stored may be large, but not beyond the counters and indices of a kernel. */
static void virtual_elements(void **state)
{
    (void)state;
    const int64_t axes[] = {-1}, large[] = {3, INT32_MAX}, larger[] = {3, INT64_C(1) << 31}, square[] = {1 << 20, 1 << 20}, line[] = {INT64_C(1) << 40};
    for (int f = 0; f < 2; f++)
        for (int kind = 0; kind < 4; kind++) {
            tern_device *d = device_of(devices[f]);
            tern_graph *g = graph();
            tern_value x = input(g, "x", (tern_shape){.rank = 1, .dim = {1}}), v;
            if (kind < 2)
                v = tern_graph_op1(g, "expand", x, TERN_ATTRS(TERN_INTS("shape", kind ? larger : large, 2)));
            else if (kind == 2)
                v = tern_graph_add(g, "random_uniform", NULL, 0, TERN_ATTRS(TERN_INTS("shape", square, 2), TERN_INT("seed", 1)));
            else
                v = tern_graph_op1(g, "reshape", tern_graph_op1(g, "expand", x, TERN_ATTRS(TERN_INTS("shape", line, 1))), TERN_ATTRS(TERN_INTS("shape", square, 2)));
            tern_graph_output(g, "y", tern_graph_op1(g, "sum", v, TERN_ATTRS(TERN_INTS("axes", axes, 1))));
            MUST(tern_graph_check(g));
            tern_session *s = NULL;
            tern_status st = tern_session_create(d, g, NULL, &s);
            if (kind == 0 ? st != TERN_OK : st != TERN_E_UNSUPPORTED || !strstr(tern_last_error(), "32"))
                fail_msg("%s, kind %d: %s, %s", devices[f], kind, tern_status_name(st), st ? tern_last_error() : "");
            tern_session_destroy(s);
            tern_graph_destroy(g);
            tern_device_close(d);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution_with_epilogue), cmocka_unit_test(rows),   cmocka_unit_test(movement_is_free),
        cmocka_unit_test(two_anchors),               cmocka_unit_test(diamond), cmocka_unit_test(update_in_the_gradient),
        cmocka_unit_test(account_of_the_demo),       cmocka_unit_test(each_pass_left_out),
        cmocka_unit_test(virtual_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
