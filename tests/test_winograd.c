/* Winograd convolutions against the references, forced, at every vector width: images and channels that straddle tiles, uneven pads, batches,
 * both directions, several strips; how far they may be off; when they are chosen and when they are not. */
#include <stdio.h>

#include <tern/device.h>
#include <tern/session.h>

#include "device/device.h"
#include "graph_help.h"

static tern_device *device;
static int every = 1; /* a simulated device takes one case in some */

static int open_device(void **state)
{
    (void)state;
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        every = 6;
    if (tern_device_open(&(tern_device_params){.family = "cpu"}, &device) == TERN_OK)
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

struct layer {
    int64_t n, c, o, h, w, top, left, bottom, right;
    bool constant; /* weights */
    bool backward; /* conv_grad_input with these weights, h and w being dx's extents */
};

/* The input passes through a pointwise op first, so that its channels may be blocked; bias and relu make an epilogue. */
static void add_layer(tern_graph *g, const struct layer *v, int at)
{
    char name[3][16];
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "%c%d", "xby"[i], at);
    const int64_t pads[] = {v->top, v->left, v->bottom, v->right}, extents[] = {v->h, v->w};
    const int64_t oh = v->h + v->top + v->bottom - 2, ow = v->w + v->left + v->right - 2;
    const tern_shape *xs = v->backward ? SHAPE(v->n, v->o, oh, ow) : SHAPE(v->n, v->c, v->h, v->w);
    tern_value x = tern_graph_op1(g, "neg", tern_graph_input(g, name[0], TERN_F32, xs, 0), NULL);
    tern_value w = v->constant ? random_constant(g, TERN_F32, SHAPE(v->o, v->c, 3, 3), 5) : random_variable(g, name[1], TERN_F32, SHAPE(v->o, v->c, 3, 3), 5);
    tern_value bias = random_constant(g, TERN_F32, v->backward ? SHAPE(1, v->c, 1, 1) : SHAPE(1, v->o, 1, 1), 6);
    tern_value y = v->backward ? tern_graph_op2(g, "conv_grad_input", x, w, TERN_ATTRS(TERN_INTS("pads", pads, 4), TERN_INTS("input_shape", extents, 2)))
                               : tern_graph_op2(g, "conv", x, w, TERN_ATTRS(TERN_INTS("pads", pads, 4)));
    tern_graph_output(g, name[2], tern_graph_op1(g, "relu", tern_graph_op2(g, "add", y, bias, NULL), NULL));
}

/* Stated tolerance: terms lie in [-3, 3], so that a sum of 9*c is about sqrt(27*c) large; tiles of 4x4 may be off by 3e-6 of that, of 2x2 by 1e-6. */
static double tolerance_of(const struct layer *v, int m)
{
    return (m == 4 ? 3e-6 : 1e-6) * sqrt(27.0 * (double)(v->backward ? v->o : v->c)) + 1e-6;
}

/* All layers in one session by tiles of m x m of the kernels of a family, with its numbers (":rt=2") or "", twice: right, and the same bits both times.
 * The largest error beside what is allowed. */
static double check(const struct layer *v, int n, const char *family, int m, const char *numbers)
{
    tern_graph *g = new_graph();
    tern_session *s = NULL;
    tern_tensor *in[32], *out[2][32];
    tern__interp it = {0};
    char force[96];
    double worst = 0;
    for (int i = 0; i < n; i++)
        add_layer(g, &v[i], i);
    assert_ok(tern_graph_check(g));
    tern__array *arrays = random_inputs(g, 5);
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, arrays));
    snprintf(force, sizeof force, "conv=%s_winograd%d%s,conv_grad_input=%s_winograd%d%s", family, m, numbers, family, m, numbers);
    assert_ok(tern_session_create(device, g, &(tern_session_params){.force_impl = force}, &s));
    for (int i = 0; i < n; i++)
        in[i] = tensor_of(&arrays[i]);
    for (int run = 0; run < 2; run++) {
        for (int i = 0; i < n; i++)
            assert_ok(tern_tensor_create(TERN_F32, tern__shape_of(g, g->outputs[i].value), &out[run][i]));
        assert_ok(tern_session_run(s, in, out[run]));
    }
    for (int i = 0; i < n; i++) {
        const tern__array *want = tern__interp_output(&it, i);
        const float *got = tern_tensor_data(out[0][i]);
        for (int64_t k = 0; k < tern__elems(&want->type.shape); k++) {
            double off = fabs(tern__array_get(want, k) - (double)got[k]) / tolerance_of(&v[i], m);
            worst = fmax(worst, off);
            if (!(off <= 1))
                fail_msg("layer %d (%d to %d channels, %dx%d%s), tiles of %d, width %u: element %d is %.9g, expected %.9g", i, (int)v[i].c, (int)v[i].o,
                         (int)v[i].h, (int)v[i].w, v[i].backward ? ", gradient" : "", m, device->info.native_vector_f32, (int)k, (double)got[k],
                         tern__array_get(want, k));
        }
        assert_memory_equal(tern_tensor_data(out[0][i]), tern_tensor_data(out[1][i]), tern_tensor_size_bytes(out[0][i]));
        tern_tensor_destroy(out[0][i]);
        tern_tensor_destroy(out[1][i]);
        tern_tensor_destroy(in[i]);
    }
    tern_session_destroy(s);
    tern__interp_finish(&it);
    free_inputs(g, arrays);
    tern_graph_destroy(g);
    return worst;
}

static const struct layer layers[] = {
    {1, 16, 16, 13, 17, 1, 1, 1, 1, true, false},  {3, 1, 3, 5, 7, 1, 1, 1, 1, true, false},    {1, 15, 17, 3, 3, 0, 0, 0, 0, false, false},
    {3, 17, 15, 3, 3, 1, 1, 1, 1, true, false},    {1, 33, 33, 5, 7, 0, 2, 1, 0, false, false}, {3, 16, 33, 1, 1, 1, 1, 1, 1, true, false},
    {1, 3, 16, 13, 17, 2, 0, 0, 3, true, false},   {3, 32, 48, 13, 17, 0, 1, 2, 1, true, false}, {1, 16, 16, 1, 1, 4, 5, 6, 3, true, false},
    {1, 48, 16, 13, 17, 1, 1, 1, 1, true, true},   {3, 15, 16, 5, 7, 0, 2, 1, 0, false, true},  {1, 16, 33, 3, 3, 1, 1, 1, 1, false, true},
    {3, 3, 1, 13, 17, 2, 1, 0, 1, true, true},     {1, 64, 80, 14, 14, 1, 1, 1, 1, true, false},
    {1, 24, 40, 13, 9, 1, 1, 1, 1, true, false},   {3, 12, 28, 6, 5, 1, 0, 1, 1, true, false},  {1, 8, 20, 7, 7, 1, 1, 1, 1, true, true},
};

static void layers_agree(void **state)
{
    (void)state;
    const uint32_t native = device->info.native_vector_f32;
    for (uint32_t width = 4; width <= 16; width *= 2) {
        struct layer some[TERN_COUNT(layers)];
        const int step = width == native || width == 16 ? every : 2 * every;
        int n = 0;
        for (int i = 0; i < TERN_COUNT(layers); i += step)
            some[n++] = layers[i];
        device->info.native_vector_f32 = width;
        const double four = check(some, n, "cpu", 4, ""), two = check(some, n, "cpu", 2, "");
        print_message("width %u: at most %.2f of what tiles of 4x4 may be off, %.2f of 2x2\n", width, four, two);
    }
    device->info.native_vector_f32 = native;
}

/* Weights that work-items transform a few channels at a time: the last slice shorter than the others, and items that share them. */
static void weights_are_transformed_on_the_way(void **state)
{
    (void)state;
    static const struct layer slices[] = {{3, 48, 36, 13, 9, 1, 1, 1, 1, true, false}, {1, 36, 48, 7, 5, 0, 2, 1, 0, true, true},
                                          {1, 80, 16, 3, 3, 1, 1, 1, 1, false, false}};
    const uint32_t native = device->info.native_vector_f32;
    for (uint32_t width = 4; width <= 16; width *= 2) {
        device->info.native_vector_f32 = width;
        const int n = every > 1 ? 1 : TERN_COUNT(slices);
        const double four = check(slices, n, "cpu", 4, ":slice=2:rt=1"), two = check(slices, n, "cpu", 2, ":slice=2");
        print_message("width %u: at most %.2f of what tiles of 4x4 may be off, %.2f of 2x2\n", width, four, two);
    }
    device->info.native_vector_f32 = native;
}

/* The kernels for devices of many light items, which any device can run. */
static void simt_layers_agree(void **state)
{
    (void)state;
    struct layer some[TERN_COUNT(layers)];
    int n = 0;
    for (int i = 0; i < TERN_COUNT(layers); i += every)
        some[n++] = layers[i];
    const double four = check(some, n, "simt", 4, ""), two = check(some, n, "simt", 2, "");
    print_message("simt: at most %.2f of what tiles of 4x4 may be off, %.2f of 2x2\n", four, two);
}

/* A big image takes several pairs of launches; the last moves back over tiles of the one before. */
static void strips_meet(void **state)
{
    (void)state;
    static const struct layer big[] = {{1, 1, 5, 91, 87, 1, 1, 1, 1, true, false}, {1, 16, 2, 90, 90, 1, 1, 1, 1, true, false}};
    const uint64_t cache = device->info.cache_bytes;
    device->info.cache_bytes = 0;
    check(big, every > 1 ? 1 : 2, "cpu", 4, "");
    check(big, every > 1 ? 1 : 2, "cpu", 2, "");
    device->info.cache_bytes = cache;
}

/* --- Choice --- */

/* A graph of one layer, and the implementation that it gets. */
static void assert_chosen(const struct layer *v, bool exact, const char *want)
{
    tern_graph *g = new_graph();
    tern_session *s = NULL;
    bool found = false;
    add_layer(g, v, 0);
    assert_ok(tern_session_create(device, g, &(tern_session_params){.exact = exact}, &s));
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info info;
        assert_ok(tern_session_group(s, i, &info));
        if (!strstr(info.ops, "conv"))
            continue;
        assert_string_equal(info.impl, want);
        found = true;
    }
    assert_true(found);
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

static void chosen_where_it_pays(void **state)
{
    (void)state;
    const uint32_t native = device->info.native_vector_f32;
    device->info.native_vector_f32 = 16;
    const struct layer big = {1, 64, 64, 56, 56, 1, 1, 1, 1, true, false}, many = {1, 512, 512, 7, 7, 1, 1, 1, 1, true, false};
    const struct layer first = {1, 3, 64, 56, 56, 1, 1, 1, 1, true, false}, tiny = {1, 16, 16, 6, 6, 1, 1, 1, 1, true, false};
    struct layer trained = big;
    trained.constant = false;
    assert_chosen(&big, false, "cpu_winograd4");
    assert_chosen(&many, false, "cpu_winograd4"); /* with weights transformed on the way: else nine products of ten would wait for four times as many */
    assert_chosen(&big, true, "cpu_tile");
    assert_chosen(&first, false, "cpu_tile");
    assert_chosen(&tiny, false, "cpu_tile");
    assert_chosen(&trained, false, "cpu_tile");
    device->info.native_vector_f32 = native;
}

static void chosen_on_simt_devices(void **state)
{
    (void)state;
    tern_device *cpu = device;
    const struct layer big = {1, 64, 64, 56, 56, 1, 1, 1, 1, true, false}, tiny = {1, 16, 16, 6, 6, 1, 1, 1, 1, true, false};
    struct layer trained = big, gradient = big;
    trained.constant = false;
    gradient.backward = true;
    assert_ok(tern_device_open(&(tern_device_params){.family = "simt"}, &device));
    assert_chosen(&big, false, "simt_winograd4");
    assert_chosen(&gradient, false, "simt_winograd4");
    assert_chosen(&big, true, "simt_tile");
    assert_chosen(&tiny, false, "simt_tile");
    assert_chosen(&trained, false, "simt_tile");
    tern_device_close(device);
    device = cpu;
}

static void refusals_have_reasons(void **state)
{
    (void)state;
    static const struct { int64_t stride, group, kernel; bool exact; const char *words; } cases[] = {
        {2, 1, 3, false, "stride 2"}, {1, 2, 3, false, "other than 3x3"}, {1, 1, 5, false, "other than 3x3"}, {1, 1, 3, true, "exact"}};
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern_session *s = NULL;
        tern_graph *g = new_graph();
        const int64_t strides[] = {cases[i].stride, cases[i].stride};
        tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(1, 4, 8, 8), 0);
        tern_value w = tern_graph_input(g, "w", TERN_F32, SHAPE(4, 4 / cases[i].group, cases[i].kernel, cases[i].kernel), 0);
        tern_graph_output(g, "y", tern_graph_op2(g, "conv", x, w, TERN_ATTRS(TERN_INTS("strides", strides, 2), TERN_INT("group", cases[i].group))));
        const tern_session_params p = {.force_impl = "conv=cpu_winograd4", .exact = cases[i].exact};
        assert_fails(tern_session_create(device, g, &p, &s), TERN_E_UNSUPPORTED, cases[i].words);
        tern_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree),
        cmocka_unit_test(weights_are_transformed_on_the_way),
        cmocka_unit_test(simt_layers_agree),
        cmocka_unit_test(strips_meet),
        cmocka_unit_test(chosen_where_it_pays),
        cmocka_unit_test(chosen_on_simt_devices),
        cmocka_unit_test(refusals_have_reasons),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
