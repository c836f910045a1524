/* The account of bytes that a plan moves: what stays in the cache is no traffic, weights that Winograd makes larger are. */
#include <tern/device.h>
#include <tern/session.h>

#include "device/impl.h"
#include "graph_help.h"

enum { CHANNELS = 64 };

/* The plan of one 3x3 convolution with as many channels out as in, on a device that computes nothing and has so large a cache. */
static tern_plan_info plan_of(int64_t side, uint64_t cache_bytes, bool exact, const char *impl)
{
    static const int64_t pads[] = {1, 1, 1, 1};
    tern_device *d = NULL;
    tern_graph *g = NULL;
    tern_session *s = NULL;
    tern_plan_info info;
    bool found = false;
    assert_ok(tern_device_open(&(tern_device_params){.select = "null:cpu"}, &d));
    d->info.cache_bytes = cache_bytes;
    assert_ok(tern_graph_create(&g));
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(1, CHANNELS, side, side), 0);
    tern_value w = random_constant(g, TERN_F32, SHAPE(CHANNELS, CHANNELS, 3, 3), 5);
    tern_value y = tern_graph_op2(g, "conv", x, w, TERN_ATTRS(TERN_INTS("pads", pads, 4)));
    tern_graph_output(g, "y", tern_graph_op1(g, "relu", y, NULL));
    assert_ok(tern_session_create(d, g, &(tern_session_params){.exact = exact, .no_tuned = true}, &s));
    tern_session_get_info(s, &info);
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info group;
        assert_ok(tern_session_group(s, i, &group));
        found |= strcmp(group.impl, impl) == 0;
    }
    assert_true(found);
    tern_session_destroy(s);
    tern_graph_destroy(g);
    tern_device_close(d);
    return info;
}

static void test_direct(void **state)
{
    (void)state;
    const tern_plan_info p = plan_of(56, 32 << 20, true, "cpu_tile");
    const int64_t weights = CHANNELS * CHANNELS * 9 * 4, image = CHANNELS * 56 * 56 * 4;
    assert_int_equal(p.bytes_fused, p.bytes_bound);
    assert_true(p.bytes_bound >= weights + 2 * image);
    assert_int_equal((p.bytes_bound - weights) % image, 0); /* reorders move whole images */
}

/* In one strip, and in eight that each read the weights again: they fit the cache. */
static void test_winograd(void **state)
{
    (void)state;
    static const int64_t sides[] = {56, 224};
    const int64_t larger = CHANNELS * CHANNELS * (36 - 9) * 4;
    for (int i = 0; i < TERN_COUNT(sides); i++) {
        const tern_plan_info p = plan_of(sides[i], 32 << 20, false, "cpu_winograd4");
        assert_int_equal(p.bytes_fused, p.bytes_bound + larger);
    }
    /* Without a cache the transformed inputs are written and read in memory. */
    const tern_plan_info p = plan_of(56, 0, false, "cpu_winograd4");
    const int64_t transformed = 36 * (56 / 4) * (56 / 4) * CHANNELS * 4;
    assert_true(p.bytes_fused >= p.bytes_bound + larger + 2 * transformed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_direct), cmocka_unit_test(test_winograd)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
