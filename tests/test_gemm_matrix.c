/* Products of f16 matrices by whole tiles: on any device without the instructions, against the references; how those are found out; when they are used. */
#include <stdio.h>

#include <tern/device.h>
#include <tern/session.h>

#include "device/device.h"
#include "fresh_dir.h"
#include "graph_help.h"
#include "program/probe.h"

static tern_device *device;
static bool slow; /* a simulator takes one case in some */

static int open_device(void **state)
{
    (void)state;
    slow = getenv("TERN_TEST_SLOW_DEVICE") != NULL;
    if (tern_device_open(&(tern_device_params){.family = "simt"}, &device) == TERN_OK)
        return 0;
    print_message("%s\n", tern_last_error());
    return 1;
}

static int close_device(void **state)
{
    (void)state;
    tern_device_close(device);
    return 0;
}

/* One product of [lead..., m, k] and [lead..., k, n], plain or in a graph with neighbours: a bias and relu behind it, and an operand that is computed. */
struct product {
    int64_t m, n, k;
    bool trans_a, trans_b, neighbours;
    int64_t lead_a[2], lead_b[2]; /* 0: there is none */
};

static tern_shape shape_of(const int64_t lead[2], int64_t rows, int64_t columns, bool turned)
{
    tern_shape s = {.rank = 0};
    for (int i = 0; i < 2; i++)
        if (lead[i])
            s.dim[s.rank++] = lead[i];
    s.dim[s.rank++] = turned ? columns : rows;
    s.dim[s.rank++] = turned ? rows : columns;
    return s;
}

static void add_product(tern_graph *g, const struct product *p, int at)
{
    char name[3][16];
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "%c%d", "abc"[i], at);
    const tern_shape a = shape_of(p->lead_a, p->m, p->k, p->trans_a), b = shape_of(p->lead_b, p->k, p->n, p->trans_b);
    tern_value x = tern_graph_input(g, name[0], TERN_F16, &a, 0), y = tern_graph_input(g, name[1], TERN_F16, &b, 0);
    if (p->neighbours)
        x = tern_graph_op1(g, "neg", x, NULL);
    tern_value z = tern_graph_op2(g, "matmul", x, y, TERN_ATTRS(TERN_INT("trans_a", p->trans_a), TERN_INT("trans_b", p->trans_b)));
    if (p->neighbours)
        z = tern_graph_op1(g, "relu", tern_graph_op2(g, "add", z, random_constant(g, TERN_F16, SHAPE(p->n), 8), NULL), NULL);
    tern_graph_output(g, name[2], z);
}

/* All in one session, as forced; every result within what rounding it to f16, and before that the sum that neighbours change, may do. */
static void check(const struct product *p, int n, const char *force)
{
    tern_graph *g = new_graph();
    tern_session *s = NULL;
    tern_tensor *in[32], *out[16];
    tern__interp it = {0};
    for (int i = 0; i < n; i++)
        add_product(g, &p[i], i);
    assert_ok(tern_graph_check(g));
    tern__array *arrays = random_inputs(g, 21);
    for (int i = 0; i < g->n_inputs; i++)
        for (int64_t k = 0; k < tern__elems(&arrays[i].type.shape); k++)
            tern__array_set(&arrays[i], k, tern__array_get(&arrays[i], k) - 1.5); /* of both signs */
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, arrays));
    assert_ok(tern_session_create(device, g, &(tern_session_params){.force_impl = force}, &s));
    for (int i = 0; i < g->n_inputs; i++)
        in[i] = tensor_of(&arrays[i]);
    for (int i = 0; i < n; i++)
        assert_ok(tern_tensor_create(TERN_F16, tern__shape_of(g, g->outputs[i].value), &out[i]));
    assert_ok(tern_session_run(s, in, out));
    for (int i = 0; i < n; i++) {
        const tern__array *want = tern__interp_output(&it, i), got = {.type = want->type, .data = tern_tensor_data(out[i])};
        for (int64_t k = 0; k < tern__elems(&want->type.shape); k++) {
            const double x = tern__array_get(want, k), y = tern__array_get(&got, k);
            if (!(fabs(x - y) <= 1e-3 * fabs(x) + (p[i].neighbours ? 2e-3 * sqrt((double)p[i].k) : 1e-5 * (double)p[i].k)))
                fail_msg("%d x %d x %d (%d): element %d is %.9g, expected %.9g", (int)p[i].m, (int)p[i].n, (int)p[i].k, i, (int)k, y, x);
        }
        tern_tensor_destroy(out[i]);
    }
    for (int i = 0; i < g->n_inputs; i++)
        tern_tensor_destroy(in[i]);
    tern_session_destroy(s);
    tern__interp_finish(&it);
    free_inputs(g, arrays);
    tern_graph_destroy(g);
}

static void sizes_straddle_tiles(void **state)
{
    (void)state;
    static const struct product all[] = {
        {65, 63, 33, false, false, false, {0}, {0}}, {16, 16, 16, false, true, false, {0}, {0}},  {17, 40, 48, true, false, true, {0}, {0}},
        {24, 33, 31, true, true, false, {0}, {0}},   {1, 1, 1, false, false, false, {0}, {0}},    {130, 136, 64, false, false, true, {0}, {0}},
        {129, 100, 40, true, true, false, {0}, {0}}, {31, 8, 100, false, true, true, {0}, {0}},
    };
    check(all, slow ? 4 : TERN_COUNT(all), "simt_matrix");
}

/* As large tiles as there are, and others than usual. */
static void tiles_of_all_sizes(void **state)
{
    (void)state;
    static const struct product p[] = {{150, 140, 72, false, false, true, {0}, {0}}, {140, 150, 35, true, true, false, {0}, {0}}};
    static const char *const force[] = {"simt_matrix:subgroups_m=1:subgroups_n=4:per_m=3:per_n=1:tile_k=16",
                                        "simt_matrix:subgroups_m=4:subgroups_n=2:per_m=2:per_n=4:tile_k=64",
                                        "simt_matrix:subgroups_m=2:subgroups_n=1:per_m=1:per_n=3:tile_k=16:splits=2"};
    for (int i = 0; i < TERN_COUNT(force) && !slow; i++)
        check(p, 2, force[i]);
}

static void long_sums_are_split(void **state)
{
    (void)state;
    static const struct product p[] = {{20, 18, 600, false, false, true, {0}, {0}}, {16, 17, 515, false, true, false, {2}, {2}}};
    check(p, slow ? 1 : 2, "simt_matrix:splits=2");
}

static void batches_broadcast(void **state)
{
    (void)state;
    static const struct product p[] = {
        {18, 20, 24, false, false, false, {3}, {3}}, {5, 16, 8, false, true, false, {2, 1}, {3}}, {9, 10, 17, true, false, true, {2, 3}, {1, 3}}};
    check(p, slow ? 2 : 3, "simt_matrix");
}

/* --- Finding out --- */

/* A kernel that does without instructions what the probe asks for, but for what is added at the end. */
static void put_kernel(const char *added)
{
    FILE *f = fopen(in_dir("probe_matrix.cl"), "w");
    assert_non_null(f);
    fprintf(f,
            "__kernel void probe_matrix(const __global ushort *a, const __global ushort *b, __global float *y, int n)\n"
            "{\n"
            "    const int subgroup = get_local_id(0) / 32;\n"
            "    for (int at = get_local_id(0) %% 32; at < 4 * 256; at += 32) {\n"
            "        const int row = at / 16 %% 16, column = at %% 16;\n"
            "        for (int i = 0; i < n; i++)\n"
            "            for (int k = 0; k < 16; k++) {\n"
            "                const int first = (i * 2 + subgroup) * 256;\n"
            "                y[subgroup * 1024 + at] += vload_half(first + (at >= 512 ? k * 16 + row : row * 16 + k), (const __global half *)a)\n"
            "                    * vload_half(first + (at / 256 %% 2 ? column * 16 + k : k * 16 + column), (const __global half *)b);\n"
            "            }\n"
            "    }\n"
            "    %s\n"
            "}\n",
            added);
    assert_int_equal(fclose(f), 0);
}

/* What is found with that text in the place of the probe's. */
static bool found_with(const char *added)
{
    tern_device *d = NULL;
    if (added)
        put_kernel(added);
    setenv("TERN_KERNEL_PATH", dir, 1);
    assert_ok(tern_device_open(&(tern_device_params){.family = "simt"}, &d));
    const bool found = tern__device_matrix(d);
    assert_true(found == tern__device_matrix(d)); /* remembered */
    tern_device_close(d);
    unsetenv("TERN_KERNEL_PATH");
    return found;
}

static void only_right_results_count(void **state)
{
    (void)state;
    tern_device_features features;
    assert_true(found_with(""));
    assert_false(found_with("if (get_local_id(0) == 63) y[2047] += 0.015625f;"));
    assert_false(found_with("return 7;")); /* does not build */
    assert_false(found_with("if (get_local_id(0) < 32) y[get_local_id(0)] = 0;"));
    assert_ok(tern_device_get_features(device, &features));
    assert_true(features.matrix == tern__device_matrix(device));
    tern_device *other = NULL;
    assert_ok(tern_device_open(&(tern_device_params){.select = "null:gpu"}, &other));
    assert_ok(tern_device_get_features(other, &features));
    assert_false(features.matrix);
    tern_device_close(other);
    assert_fails(tern_device_get_features(NULL, &features), TERN_E_INVALID, "a device");
}

/* --- Choice --- */

static void assert_chosen(const struct product *p, bool exact, const char *want)
{
    tern_graph *g = new_graph();
    tern_session *s = NULL;
    int found = 0;
    add_product(g, p, 0);
    assert_ok(tern_session_create(device, g, &(tern_session_params){.exact = exact}, &s));
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info info;
        assert_ok(tern_session_group(s, i, &info));
        if (!strstr(info.ops, "matmul"))
            continue;
        assert_string_equal(info.impl, want);
        found++;
    }
    assert_int_equal(found, 1);
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

/* As if the device had the instructions, and as if it had not. */
static void chosen_by_what_is_found(void **state)
{
    (void)state;
    static const struct product big = {64, 64, 64, false, false, true, {0}, {0}}, low = {8, 64, 64, false, false, false, {0}, {0}};
    const int before = device->matrix;
    device->matrix = 2;
    assert_chosen(&big, false, "simt_matrix");
    assert_chosen(&big, true, "simt_tile"); /* exact */
    assert_chosen(&low, false, "simt_tile");
    check(&big, 1, NULL);
    device->matrix = 1;
    assert_chosen(&big, false, "simt_tile");
    check(&big, 1, NULL);
    device->matrix = before;
}

static void refusals_have_reasons(void **state)
{
    (void)state;
    static const struct { tern_dtype type; int64_t k; bool exact; const char *words; } cases[] = {
        {TERN_F32, 20, false, "an operand is f32"}, {TERN_F16, 0, false, "nothing to multiply"}, {TERN_F16, 20, true, "exact"}};
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern_session *s = NULL;
        tern_graph *g = new_graph();
        tern_value a = tern_graph_input(g, "a", cases[i].type, SHAPE(16, cases[i].k), 0), b = tern_graph_input(g, "b", cases[i].type, SHAPE(cases[i].k, 16), 0);
        tern_graph_output(g, "c", tern_graph_op2(g, "matmul", a, b, NULL));
        const tern_session_params p = {.force_impl = "matmul=simt_matrix", .exact = cases[i].exact};
        assert_fails(tern_session_create(device, g, &p, &s), TERN_E_UNSUPPORTED, cases[i].words);
        tern_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_straddle_tiles),
        cmocka_unit_test(tiles_of_all_sizes),
        cmocka_unit_test(long_sums_are_split),
        cmocka_unit_test(batches_broadcast),
        cmocka_unit_test_setup_teardown(only_right_results_count, fresh_dir, remove_dir),
        cmocka_unit_test(chosen_by_what_is_found),
        cmocka_unit_test(refusals_have_reasons),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
