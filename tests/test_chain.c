/* Chains: plans whose kernels run as one launch give the same bits as launches one by one, and what the references say. */
#include "session_check.h"

#include <pthread.h>
#include <string.h>

#include "device/device.h"

static tern_device *open_device(bool profile)
{
    tern_device *d = NULL;
    MUST(tern_device_open(&(tern_device_params){.family = "cpu", .profile = profile}, &d));
    d->worker_cycles = 1; /* small nets, too, have all workers */
    return d;
}

static bool makes_chains(const tern_device *d)
{
    return d->info.type == TERN_DEVICE_CPU && d->info.compute_units > 1;
}

static tern_value constant(tern_graph *g, tern_shape s, uint64_t stream)
{
    tern_tensor *t = NULL;
    MUST(tern_tensor_create(TERN_F32, &s, &t));
    fill_random(t, stream);
    tern_value v = tern_graph_constant(g, t);
    tern_tensor_destroy(t);
    return v;
}

static tern_value conv(tern_graph *g, tern_value x, int64_t out, int64_t k, int64_t stride, bool depthwise, uint64_t stream)
{
    const int64_t c = tern__shape_of(g, x)->dim[1], pads[] = {k / 2, k / 2, k / 2, k / 2}, strides[] = {stride, stride};
    tern_value w = constant(g, (tern_shape){.rank = 4, .dim = {out, depthwise ? 1 : c, k, k}}, stream);
    const int64_t group = depthwise ? c : 1;
    tern_value y = tern_graph_op2(g, "conv", x, w, TERN_ATTRS(TERN_INTS("pads", pads, 4), TERN_INTS("strides", strides, 2), TERN_INT("group", group)));
    return tern__mul_scalar(g, tern__add(g, y, constant(g, (tern_shape){.rank = 4, .dim = {1, out, 1, 1}}, stream + 1)), 0.25);
}

struct block {
    int64_t expand, out, k, stride; /* expand 0: none */
    const char *activation;
};

/* Inverted residuals, a pool and a product behind them. */
static tern_graph *blocks(int64_t batch, int64_t channels, int64_t height, int64_t width, const struct block *b, int n)
{
    tern_graph *g = NULL;
    MUST(tern_graph_create(&g));
    tern_value x = tern_graph_input(g, "x", TERN_F32, &(tern_shape){.rank = 4, .dim = {batch, 3, height, width}}, 0);
    x = tern__unary(g, "relu", conv(g, x, channels, 3, 1, false, 100));
    for (int i = 0; i < n; i++) {
        const uint64_t stream = 200 + 10 * (uint64_t)i;
        const int64_t c = tern__shape_of(g, x)->dim[1];
        tern_value y = b[i].expand ? tern__unary(g, b[i].activation, conv(g, x, b[i].expand, 1, 1, false, stream)) : x;
        y = tern__unary(g, b[i].activation, conv(g, y, b[i].expand ? b[i].expand : c, b[i].k, b[i].stride, true, stream + 2));
        y = conv(g, y, b[i].out, 1, 1, false, stream + 4);
        x = b[i].stride == 1 && b[i].out == c ? tern__add(g, x, y) : y;
    }
    tern_value y = tern__mean_axes(g, x, 1u << 2 | 1u << 3, false);
    tern_graph_output(g, "features", x);
    tern_graph_output(g, "y", tern_graph_op2(g, "matmul", y, constant(g, (tern_shape){.rank = 2, .dim = {tern__shape_of(g, x)->dim[1], 10}}, 7), NULL));
    return g;
}

static const struct block net[] = {{0, 16, 3, 1, "relu"}, {48, 24, 3, 2, "relu"}, {72, 24, 5, 1, "sigmoid"}, {40, 24, 3, 1, "relu"}, {96, 20, 3, 2, "tanh"},
                                   {33, 8, 3, 1, "relu"}, {48, 8, 3, 1, "relu"}};

/* All bits of a session's outputs, run after run: with all workers, with one, and without a chain. */
static void same_bits(tern_device *d, const tern_graph *g, int runs)
{
    enum { KINDS = 3 };
    static const struct { const char *disable; double worker_cycles; } kinds[KINDS] = {{NULL, 1}, {NULL, 1e30}, {"chain", 1}};
    const int ni = tern_graph_n_inputs(g), no = tern_graph_n_outputs(g);
    tern_tensor *in[4] = {0}, *out[KINDS][4] = {{0}};
    tern_session *s[KINDS] = {0};
    for (int i = 0; i < KINDS; i++) {
        d->worker_cycles = kinds[i].worker_cycles;
        MUST(tern_session_create(d, g, &(tern_session_params){.disable = kinds[i].disable}, &s[i]));
    }
    for (int i = 0; i < ni; i++)
        MUST(tern_tensor_create(TERN_F32, tern__shape_of(g, tern_graph_input_value(g, i)), &in[i]));
    for (int i = 0; i < KINDS * no; i++)
        MUST(tern_tensor_create(TERN_F32, tern__shape_of(g, tern_graph_output_value(g, i / KINDS)), &out[i % KINDS][i / KINDS]));
    for (int run = 0; run < runs; run++) {
        for (int i = 0; i < ni; i++)
            fill_random(in[i], (uint64_t)(run * 4 + i));
        for (int i = 0; i < KINDS; i++)
            MUST(tern_session_run(s[i], in, out[i]));
        for (int i = 0; i < KINDS * no; i++)
            assert_memory_equal(tern_tensor_data(out[0][i / KINDS]), tern_tensor_data(out[i % KINDS][i / KINDS]), tern_tensor_size_bytes(out[0][i / KINDS]));
    }
    for (int i = 0; i < KINDS; i++) {
        for (int k = 0; k < no; k++)
            tern_tensor_destroy(out[i][k]);
        tern_session_destroy(s[i]);
    }
    for (int i = 0; i < ni; i++)
        tern_tensor_destroy(in[i]);
}

static void nets_are_one_launch(void **state)
{
    (void)state;
    tern_device *d = open_device(false);
    const int64_t sizes[][4] = {{1, 16, 13, 11}, {2, 24, 9, 16}};
    for (int i = 0; i < TERN_COUNT(sizes); i++) {
        tern_graph *g = blocks(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], net, TERN_COUNT(net));
        const tern_plan_info one = check_session(d, g, NULL, 3, 1e-4);
        const tern_plan_info many = check_session(d, g, &(tern_session_params){.disable = "chain"}, 1, 1e-4);
        assert_true(many.n_launches == many.n_kernels && many.n_launches > 15);
        assert_int_equal(one.n_launches, makes_chains(d) ? 1 : many.n_launches);
        assert_int_equal(one.n_kernels, many.n_kernels);
        assert_int_equal(one.arena_bytes, many.arena_bytes);
        assert_int_equal(one.bytes_fused, many.bytes_fused);
        same_bits(d, g, 20);
        tern_graph_destroy(g);
    }
    tern_device_close(d);
}

/* More weights than a kernel takes parameters. */
static void long_nets_are_a_few_launches(void **state)
{
    (void)state;
    tern_device *d = open_device(false);
    struct block many[36];
    for (int i = 0; i < TERN_COUNT(many); i++)
        many[i] = (struct block){24, 16, 3, 1, "relu"};
    tern_graph *g = blocks(1, 16, 5, 4, many, TERN_COUNT(many));
    const tern_plan_info info = check_session(d, g, NULL, 2, 1e-3);
    assert_true(info.n_kernels > 108);
    if (makes_chains(d))
        assert_in_range(info.n_launches, 2, 4);
    tern_graph_destroy(g);
    tern_device_close(d);
}

/* Assignments: variables lie where the caller may see them, and their new values where the old ones were. */
static void variables_are_updated(void **state)
{
    (void)state;
    tern_device *d = open_device(false);
    tern_graph *g = NULL;
    MUST(tern_graph_create(&g));
    const tern_shape xs = {.rank = 2, .dim = {7, 33}}, ws = {.rank = 2, .dim = {33, 33}};
    tern_tensor *t = NULL;
    MUST(tern_tensor_create(TERN_F32, &ws, &t));
    fill_random(t, 1);
    tern_value x = tern_graph_input(g, "x", TERN_F32, &xs, 0), w = tern_graph_variable(g, "w", t, true);
    tern_tensor_destroy(t);
    tern_value y = tern_graph_op2(g, "matmul", x, w, NULL), z = tern_graph_op2(g, "matmul", tern__unary(g, "tanh", y), w, NULL);
    tern_value update = tern_graph_op2(g, "matmul", tern__transpose(g, x, (int[]){1, 0}), z, NULL);
    tern_graph_assign(g, w, tern__sub(g, w, tern__mul_scalar(g, update, 1e-4)));
    tern_graph_output(g, "z", z);
    const tern_plan_info info = check_session(d, g, NULL, 4, 1e-4);
    assert_true(info.n_kernels >= 3 && (info.n_launches < info.n_kernels || !makes_chains(d)));
    tern_graph_destroy(g);
    tern_device_close(d);
}

/* Profiles have a time for each group, so nothing is chained. */
static void profiles_see_every_group(void **state)
{
    (void)state;
    tern_device *d = open_device(true);
    tern_graph *g = blocks(1, 16, 9, 9, net, 2);
    const tern_plan_info info = check_session(d, g, NULL, 1, 1e-4);
    assert_int_equal(info.n_launches, info.n_kernels);
    tern_graph_destroy(g);
    tern_device_close(d);
}

struct runner {
    tern_device *device; /* of its own: a queue serves one thread */
    tern_graph *g;
    pthread_t thread;
};

static void *run_net(void *runner)
{
    const struct runner *r = runner;
    same_bits(r->device, r->g, 20);
    return NULL;
}

/* The driver has one set of threads: chains that run at the same time share them, and none waits for what cannot begin. */
static void chains_run_beside_each_other(void **state)
{
    (void)state;
    struct runner r[4];
    for (int i = 0; i < TERN_COUNT(r); i++) {
        r[i] = (struct runner){.device = open_device(false), .g = blocks(1, 16, 6 + i, 7, net, 3)};
        MUST(tern_graph_check(r[i].g));
    }
    for (int i = 0; i < TERN_COUNT(r); i++)
        assert_int_equal(pthread_create(&r[i].thread, NULL, run_net, &r[i]), 0);
    for (int i = 0; i < TERN_COUNT(r); i++) {
        assert_int_equal(pthread_join(r[i].thread, NULL), 0);
        tern_graph_destroy(r[i].g);
        tern_device_close(r[i].device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nets_are_one_launch),      cmocka_unit_test(long_nets_are_a_few_launches), cmocka_unit_test(variables_are_updated),
        cmocka_unit_test(profiles_see_every_group), cmocka_unit_test(chains_run_beside_each_other),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
