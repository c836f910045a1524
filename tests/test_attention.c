/* Attention forward and backward as sessions run it, by every implementation, against the references; no scores in memory; the same bits in every run. */
#include "session_check.h"

#include <stdlib.h>
#include <string.h>
#include <tern/device.h>

#include "graph_help.h"

static tern_device *device;

static void open_family(const char *family)
{
    tern_device_close(device);
    device = NULL;
    assert_ok(tern_device_open(&(tern_device_params){.family = family}, &device));
}

static int close_device(void **state)
{
    (void)state;
    tern_device_close(device);
    device = NULL;
    return 0;
}

typedef struct example {
    tern_shape q, k, v, mask; /* a mask of rank 0: none */
    tern_dtype dtype, mask_dtype;
    double softcap;
    int causal, offset, joined;
} example;

#define S(...) {.rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .dim = {__VA_ARGS__}}

/* The first two are all that a simulator is asked for. */
static const example examples[] = {
    {S(1, 2, 5, 4), S(1, 1, 7, 4), S(1, 1, 7, 3), S(5, 7), TERN_F32, TERN_BOOL, 0, 1, 1, 1},
    {S(1, 1, 9, 20), S(1, 1, 70, 20), S(1, 1, 70, 20), {0}, TERN_F32, TERN_F32, 0, 0, 0, 0},
    {S(2, 4, 50, 24), S(2, 2, 131, 24), S(2, 2, 131, 40), {0}, TERN_F32, TERN_F32, 2, 1, 81, 1},
    {S(1, 3, 150, 64), S(1, 3, 150, 64), S(1, 3, 150, 64), {0}, TERN_F32, TERN_F32, 0, 1, 0, 0},
    {S(1, 2, 33, 130), S(1, 2, 40, 130), S(1, 2, 40, 70), S(1, 2, 1, 40), TERN_F32, TERN_F32, 0, 0, 0, 0},
    {S(1, 4, 18, 16), S(1, 2, 30, 16), S(1, 2, 30, 16), S(18, 1), TERN_F32, TERN_BOOL, 0, 1, -3, 0},
    {S(1, 2, 40, 16), S(1, 2, 65, 16), S(1, 2, 65, 16), {0}, TERN_F16, TERN_F32, 0, 1, 25, 1},
};

/* Of one example the gradient of sum(y w) with respect to q, k and v; only some of the three if wanted says so. */
static tern_graph *gradient_graph(const example *e, unsigned wanted)
{
    static const char *const names[] = {"dq", "dk", "dv"};
    tern_graph *g = new_graph();
    tern_value in[4] = {TERN_NONE, TERN_NONE, TERN_NONE, TERN_NONE};
    in[0] = tern_graph_input(g, "q", e->dtype, &e->q, 0);
    in[1] = tern_graph_input(g, "k", e->dtype, &e->k, 0);
    in[2] = tern_graph_input(g, "v", e->dtype, &e->v, 0);
    if (e->mask.rank)
        in[3] = tern_graph_input(g, "mask", e->mask_dtype, &e->mask, 0);
    tern_value y = tern_graph_add(g, "attention", in, 4, TERN_ATTRS(TERN_FLOAT("softcap", e->softcap), TERN_INT("causal", e->causal),
                                  TERN_INT("offset", e->offset), TERN_INT("joined", e->joined)));
    assert_ok(tern_graph_check(g));
    const tern_shape s = *tern__shape_of(g, y);
    tern_value w = random_constant(g, TERN_F32, &s, 3), d[3], wrt[3];
    tern_value loss = tern__sum_axes(g, tern__mul(g, tern__cast(g, y, TERN_F32), w), (1u << s.rank) - 1, false);
    int n = 0;
    for (int i = 0; i < 3; i++)
        if (wanted >> i & 1)
            wrt[n++] = in[i];
    assert_ok(tern_graph_gradients(g, loss, wrt, n, d));
    n = 0;
    for (int i = 0; i < 3; i++)
        if (wanted >> i & 1)
            tern_graph_output(g, names[i], d[n++]);
    assert_ok(tern_graph_check(g));
    return g;
}

static void check_gradient(const example *e, unsigned wanted, const char *force)
{
    tern_graph *g = gradient_graph(e, wanted);
    check_session(device, g, &(tern_session_params){.force_impl = force}, 1, e->dtype == TERN_F16 ? 4e-3 : 2e-5);
    tern_graph_destroy(g);
}

static int how_many(void)
{
    return getenv("TERN_TEST_SLOW_DEVICE") ? 2 : TERN_COUNT(examples);
}

static void cpu_gradients_are_right(void **state)
{
    (void)state;
    open_family("cpu");
    for (int i = 0; i < how_many(); i++)
        check_gradient(&examples[i], 7, "attention=cpu_online,attention_grad=cpu_recompute");
}

static void simt_gradients_are_right(void **state)
{
    (void)state;
    open_family("simt");
    for (int i = 0; i < how_many(); i++)
        check_gradient(&examples[i], 7, "attention=simt_online,attention_grad=simt_recompute");
}

/* Few queries, whose keys are shared out among items, or groups: keys that fill no step, some that nobody sees, a query that sees none. */
static const example few[] = {
    {S(1, 2, 2, 4), S(1, 1, 70, 4), S(1, 1, 70, 3), {0}, TERN_F32, TERN_F32, 0, 1, -1, 1},
    {S(1, 4, 2, 24), S(1, 2, 700, 24), S(1, 2, 700, 40), S(2, 700), TERN_F32, TERN_BOOL, 0, 0, 0, 1},
    {S(2, 5, 1, 32), S(2, 1, 257, 32), S(2, 1, 257, 64), S(257), TERN_F32, TERN_F32, 2, 1, 130, 0},
    {S(1, 3, 3, 64), S(1, 3, 130, 64), S(1, 3, 130, 16), {0}, TERN_F16, TERN_F32, 0, 0, 0, 0},
};

static void few_queries_are_right(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        open_family(family ? "simt" : "cpu");
        for (int i = 0; i < (getenv("TERN_TEST_SLOW_DEVICE") ? 1 : TERN_COUNT(few)); i++)
            check_gradient(&few[i], 1, family ? "attention=simt_online" : "attention=cpu_few");
    }
}

/* One query and 2000 keys: more than one item, or group, goes through them. */
static void keys_are_shared_out(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        open_family(family ? "simt" : "cpu");
        tern_graph *g = new_graph();
        tern_value in[3];
        tern_session *s = NULL;
        for (int i = 0; i < 3; i++)
            in[i] = tern_graph_input(g, (const char *[]){"q", "k", "v"}[i], TERN_F32, i ? SHAPE(1, 1, 2000, 16) : SHAPE(1, 1, 1, 16), 0);
        tern_graph_output(g, "y", tern_graph_add(g, "attention", in, 3, NULL));
        assert_ok(tern_session_create(device, g, NULL, &s));
        const char *parts = strstr(tern_session_source(s), "#define PARTS ");
        assert_non_null(parts);
        assert_in_range(strtol(parts + strlen("#define PARTS "), NULL, 10), 2, 64);
        tern_session_destroy(s);
        tern_graph_destroy(g);
    }
}

static void unwanted_gradients_are_left_out(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        open_family(family ? "simt" : "cpu");
        for (unsigned wanted = 1; wanted < 7; wanted += 3) /* of q alone, of v alone */
            check_gradient(&examples[0], wanted, NULL);
    }
}

/* 300 queries and as many keys: the scores of one head alone would be 360 kB. */
static void scores_lie_nowhere(void **state)
{
    (void)state;
    static const example e = {S(1, 2, 300, 8), S(1, 2, 300, 8), S(1, 2, 300, 8), {0}, TERN_F32, TERN_F32, 0, 0, 0, 0};
    for (int family = 0; family < 2; family++) {
        open_family(family ? "simt" : "cpu");
        tern_graph *g = gradient_graph(&e, 7);
        tern_session *s = NULL;
        tern_plan_info info;
        assert_ok(tern_session_create(device, g, NULL, &s));
        tern_session_get_info(s, &info);
        assert_in_range(info.arena_bytes, 1, 350000 * (family ? 1 : 2)); /* of one, and of one head */
        tern_session_destroy(s);
        tern_graph_destroy(g);
    }
}

/* Two runs of one session, bit by bit. */
static void same_bits(const example *e)
{
    tern_graph *g = gradient_graph(e, 7);
    tern_session *s = NULL;
    tern_tensor *in[4], *out[2][3];
    tern__array *arrays = random_inputs(g, 5);
    assert_ok(tern_session_create(device, g, NULL, &s));
    for (int i = 0; i < g->n_inputs; i++)
        in[i] = tensor_of(&arrays[i]);
    for (int run = 0; run < 2; run++) {
        for (int i = 0; i < 3; i++)
            assert_ok(tern_tensor_create(e->dtype, tern__shape_of(g, tern_graph_output_value(g, i)), &out[run][i]));
        assert_ok(tern_session_run(s, in, out[run]));
    }
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(tern_tensor_data(out[0][i]), tern_tensor_data(out[1][i]), tern_tensor_size_bytes(out[0][i]));
        tern_tensor_destroy(out[0][i]);
        tern_tensor_destroy(out[1][i]);
    }
    for (int i = 0; i < g->n_inputs; i++)
        tern_tensor_destroy(in[i]);
    free_inputs(g, arrays);
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

static void runs_are_the_same_bits(void **state)
{
    (void)state;
    for (int family = 0; family < 2; family++) {
        open_family(family ? "simt" : "cpu");
        same_bits(&examples[getenv("TERN_TEST_SLOW_DEVICE") ? 1 : 2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_gradients_are_right),
        cmocka_unit_test(simt_gradients_are_right),
        cmocka_unit_test(few_queries_are_right),
        cmocka_unit_test(keys_are_shared_out),
        cmocka_unit_test(unwanted_gradients_are_left_out),
        cmocka_unit_test(scores_lie_nowhere),
        cmocka_unit_test(runs_are_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, close_device);
}
