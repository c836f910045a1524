/* Loops that were unrolled into a graph: the steps share kernels, and joining their results takes any number of them. Layers of different sizes share
 * kernels too. */
#include "session_check.h"

#include <stdio.h>
#include <string.h>

#include "device/device.h"

static tern_device *open_device(void)
{
    tern_device *d = NULL;
    MUST(tern_device_open(&(tern_device_params){0}, &d));
    return d;
}

static tern_value weights(tern_graph *g, const char *name, int64_t rows, int64_t columns, uint64_t stream)
{
    tern_tensor *t = NULL;
    const tern_shape s = {.rank = 2, .dim = {rows, columns}};
    MUST(tern_tensor_create(TERN_F32, &s, &t));
    fill_random(t, stream);
    for (int64_t i = 0; i < rows * columns; i++)
        ((float *)tern_tensor_data(t))[i] *= 0.1f;
    tern_value v = tern_graph_variable(g, name, t, true);
    tern_tensor_destroy(t);
    return v;
}

/* h = tanh(x[t] + h r^T) * gate, joined over all steps. */
static tern_graph *chain(int steps, int64_t batch, int64_t hidden)
{
    tern_graph *g = NULL;
    MUST(tern_graph_create(&g));
    const tern_shape xs = {.rank = 2, .dim = {steps * batch, hidden}}, hs = {.rank = 2, .dim = {batch, hidden}};
    tern_value x = tern_graph_input(g, "x", TERN_F32, &xs, 0), h = tern_graph_input(g, "h", TERN_F32, &hs, 0);
    tern_value r = weights(g, "r", 2 * hidden, hidden, 3), part[64], y[64], half[2];
    tern_value xw = tern_graph_op2(g, "matmul", x, weights(g, "w", 2 * hidden, hidden, 4), TERN_ATTRS(TERN_INT("trans_b", 1)));
    tern_graph_add_n(g, "split", &xw, 1, TERN_ATTRS(TERN_INT("axis", 0)), part, steps);
    for (int t = 0; t < steps; t++) {
        tern_value z = tern__add(g, tern_graph_op2(g, "matmul", h, r, TERN_ATTRS(TERN_INT("trans_b", 1))), part[t]);
        tern_graph_add_n(g, "split", &z, 1, TERN_ATTRS(TERN_INT("axis", 1)), half, 2);
        y[t] = h = tern__mul(g, tern__unary(g, "tanh", half[0]), tern__unary(g, "sigmoid", half[1]));
    }
    tern_graph_output(g, "y", tern_graph_add(g, "concat", y, steps, TERN_ATTRS(TERN_INT("axis", 0))));
    return g;
}

static int count_kernels(tern_device *d, const tern_graph *g)
{
    tern_session *s = NULL;
    int n = 0;
    MUST(tern_session_create(d, g, NULL, &s));
    for (const char *p = tern_session_source(s); (p = strstr(p, "#define KERNEL ")); p++)
        n++;
    tern_session_destroy(s);
    return n;
}

static void steps_share_kernels(void **state)
{
    (void)state;
    tern_device *d = open_device();
    tern_graph *few = chain(20, 3, 17), *many = chain(60, 3, 17);
    tern_plan_info info = check_session(d, many, NULL, 2, 1e-4);
    assert_true(info.n_kernels > 120);
    /* Only the pieces of the join at its ends may be others. */
    assert_true(count_kernels(d, many) <= count_kernels(d, few) + 2);
    assert_true(count_kernels(d, many) < 16);
    tern_graph_destroy(few);
    tern_graph_destroy(many);
    tern_device_close(d);
}

/* n convolutions 1x1, each with twice the channels and half the pixels of the one before. */
static tern_graph *pyramid(int n, bool alternate)
{
    tern_graph *g = NULL;
    MUST(tern_graph_create(&g));
    for (int i = 0; i < n; i++) {
        char name[16];
        const int64_t c = (int64_t)64 << i, extent = 56 >> i;
        const tern_shape xs = {.rank = 4, .dim = {1, c, extent, extent}}, ws = {.rank = 4, .dim = {2 * c, c, 1, 1}}, bs = {.rank = 4, .dim = {1, 2 * c, 1, 1}};
        tern_tensor *w = NULL, *b = NULL;
        MUST(tern_tensor_create(TERN_F32, &ws, &w));
        MUST(tern_tensor_create(TERN_F32, &bs, &b));
        fill_random(w, (uint64_t)i + 1);
        fill_random(b, (uint64_t)i + 50);
        snprintf(name, sizeof name, "x%d", i);
        tern_value x = tern__unary(g, "neg", tern_graph_input(g, name, TERN_F32, &xs, 0));
        tern_value y = tern__add(g, tern_graph_op2(g, "conv", x, tern_graph_constant(g, w), NULL), tern_graph_constant(g, b));
        snprintf(name, sizeof name, "y%d", i);
        tern_graph_output(g, name, tern__unary(g, alternate && i % 2 ? "tanh" : "relu", y));
        tern_tensor_destroy(w);
        tern_tensor_destroy(b);
    }
    return g;
}

static void sizes_share_kernels(void **state)
{
    (void)state;
    tern_device *d = NULL;
    MUST(tern_device_open(&(tern_device_params){.family = "cpu"}, &d));
    d->info.native_vector_f32 = 16; /* with less registers the tiles follow the sizes */
    d->info.cache_bytes = 16 << 20; /* and so does what is asked for ahead, with less cache */
    tern_graph *one = pyramid(1, false), *three = pyramid(3, false), *mixed = pyramid(3, true);
    /* Only what goes to and comes from the blocked layout is made for its size: two kernels for each layer. */
    const int shared = count_kernels(d, one) - 2;
    assert_true(count_kernels(d, three) <= shared + 3 * 2);
    assert_true(count_kernels(d, mixed) > count_kernels(d, three));
    check_session(d, three, NULL, 2, 1e-4);
    check_session(d, mixed, NULL, 2, 1e-4);
    tern_graph_destroy(one);
    tern_graph_destroy(three);
    tern_graph_destroy(mixed);
    tern_device_close(d);
}

static void steps_learn(void **state)
{
    (void)state;
    tern_device *d = open_device();
    tern_graph *g = chain(30, 2, 5);
    tern_value y = tern_graph_output_value(g, 0), loss = tern__sum_axes(g, tern__mul(g, y, y), 3, false);
    tern_graph_output(g, "loss", loss);
    MUST(tern_graph_minimize(g, loss, &(tern_optimizer){.name = "sgd", .lr = 0.01}));
    check_session(d, g, NULL, 2, 1e-3);
    tern_graph_destroy(g);
    tern_device_close(d);
}

static void many_inputs(void **state)
{
    (void)state;
    tern_device *d = open_device();
    tern_graph *g = NULL;
    tern_value v[150];
    MUST(tern_graph_create(&g));
    const tern_shape s = {.rank = 2, .dim = {3, 150}}, t = {.rank = 2, .dim = {3, 1}};
    tern_value x = tern_graph_input(g, "x", TERN_F32, &s, 0), a = tern_graph_input(g, "a", TERN_F32, &t, 0);
    tern_graph_add_n(g, "split", &x, 1, TERN_ATTRS(TERN_INT("axis", 1)), v, 150);
    for (int i = 0; i < 150; i++)
        v[i] = tern__mul(g, v[149 - i < i ? i : 149 - i], a);
    tern_graph_output(g, "y", tern_graph_add(g, "concat", v, 150, TERN_ATTRS(TERN_INT("axis", -1))));
    /* A tree of small ones, which would be one of many leaves. */
    tern_value all = a;
    for (int i = 0; i < 40; i++)
        all = tern_graph_op2(g, "concat", all, v[i], TERN_ATTRS(TERN_INT("axis", 1)));
    tern_graph_output(g, "tree", tern__unary(g, "relu", all));
    check_session(d, g, NULL, 1, 1e-6);
    tern_graph_destroy(g);
    tern_device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_share_kernels),
        cmocka_unit_test(sizes_share_kernels),
        cmocka_unit_test(steps_learn),
        cmocka_unit_test(many_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
