/* Convolutions and products of 8-bit integers, every implementation forced, to the bit: extents that straddle tiles, odd channels, strides, pads,
 * zero points and operands at their extremes, results requantised by channel; and the pass that finds them in what models say. */
#include <stdio.h>

#include <tern/device.h>
#include <tern/session.h>

#include "device/device.h"
#include "fresh_dir.h"
#include "graph_help.h"
#include "passes/pass.h"
#include "program/probe.h"

static tern_device *cpu, *simt;
static int every = 1; /* a simulated device takes one case in some */

static int open_devices(void **state)
{
    (void)state;
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        every = 5;
    if (tern_device_open(&(tern_device_params){.family = "cpu"}, &cpu) == TERN_OK &&
        tern_device_open(&(tern_device_params){.family = "simt"}, &simt) == TERN_OK)
        return 0;
    print_message("%s\n", tern_last_error());
    return 1;
}

static int close_devices(void **state)
{
    (void)state;
    tern_device_close(cpu);
    tern_device_close(simt);
    return 0;
}

/* How operands are filled: anything their types hold, or one extreme. */
enum fill { ANY, LEAST, MOST };

struct layer {
    int64_t n, c, o, h, w, kh, kw, stride, dilation, top, left, bottom, right, group;
    tern_dtype xt, wt;
    enum fill x, weights, x_zero, w_zero;
    bool by_channel; /* zero points of the weights */
    bool plain;      /* x is an input of the graph, so its channels are not blocked */
};

static tern__array filled(tern_dtype t, const tern_shape *s, uint64_t seed, enum fill how)
{
    const double lo = t == TERN_I8 ? -128 : 0, hi = lo + 256;
    tern__array a = random_array(&(tern__type){.dtype = t, .shape = *s}, seed, lo, hi);
    for (int64_t i = 0; i < tern__elems(s) && how != ANY; i++)
        tern__array_set(&a, i, how == LEAST ? lo : hi - 1);
    return a;
}

static tern_value constant(tern_graph *g, tern_dtype t, const tern_shape *s, uint64_t seed, enum fill how)
{
    tern__array a = filled(t, s, seed, how);
    tern_tensor *tensor = tensor_of(&a);
    tern_value v = tern_graph_constant(g, tensor);
    tern_tensor_destroy(tensor);
    tern__free(a.data);
    return v;
}

/* Weights that fit in i8 less their zero point: i8 about 0, u8 about 128. */
static tern_value zero_of_weights(tern_graph *g, const struct layer *v)
{
    tern__array a = filled(v->wt, SHAPE(v->by_channel ? v->o : 1), 4, v->w_zero);
    for (int64_t i = 0; i < tern__elems(&a.type.shape) && v->w_zero == ANY; i++)
        tern__array_set(&a, i, v->wt == TERN_U8 ? 128 : 0);
    tern_tensor *t = tensor_of(&a);
    tern_value zero = tern_graph_constant(g, t);
    tern_tensor_destroy(t);
    tern__free(a.data);
    return zero;
}

/* i32 to 8 bits: by a factor for each channel (axis 1) and a zero point, so that some results stop at the limits. */
static tern_value requantised(tern_graph *g, tern_value y, tern_dtype t)
{
    const tern_shape s = *tern__shape_of(g, y);
    tern_shape channels = {.rank = s.rank};
    for (int i = 0; i < s.rank; i++)
        channels.dim[i] = i == 1 ? s.dim[1] : 1;
    tern_value unit = tern__mul_scalar(g, tern__add_scalar(g, random_constant(g, TERN_F32, &channels, 6), 1.5), 0.0009765625);
    y = tern__unary(g, "round", tern__mul(g, tern__cast(g, y, TERN_F32), unit));
    return tern__cast(g, tern__add_scalar(g, y, t == TERN_U8 ? 77 : -3), t);
}

static void add_layer(tern_graph *g, const struct layer *v, int at)
{
    char name[3][16];
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "%c%d", "xsq"[i], at);
    tern_value x = tern_graph_input(g, name[0], v->xt, SHAPE(v->n, v->c, v->h, v->w), 0);
    if (!v->plain)
        x = tern__cast(g, tern_graph_op1(g, "bit_not", tern__cast(g, x, TERN_I16), NULL), v->xt);
    const int64_t strides[] = {v->stride, v->stride}, dilations[] = {v->dilation, v->dilation}, pads[] = {v->top, v->left, v->bottom, v->right};
    const tern_value in[4] = {x, constant(g, v->wt, SHAPE(v->o, v->c / v->group, v->kh, v->kw), 3, v->weights),
                              constant(g, v->xt, SHAPE(1), 5, v->x_zero), zero_of_weights(g, v)};
    tern_value y = tern_graph_add(g, "conv_integer", in, 4, TERN_ATTRS(TERN_INTS("strides", strides, 2), TERN_INTS("dilations", dilations, 2),
                                                                       TERN_INTS("pads", pads, 4), TERN_INT("group", v->group)));
    tern_graph_output(g, name[1], y);
    tern_graph_output(g, name[2], requantised(g, y, v->xt));
}

/* The graph's results on a device by the implementation of that name (NULL: the chosen one) are the references', to the bit. */
static void compare(tern_device *d, tern_graph *g, const char *force, tern__array *arrays)
{
    tern__interp it = {0};
    tern_session *s = NULL;
    tern_tensor **in = tern__alloc_array((size_t)g->n_inputs, sizeof *in), **out = tern__alloc_array((size_t)g->n_outputs, sizeof *out);
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, arrays));
    assert_ok(tern_session_create(d, g, &(tern_session_params){.force_impl = force}, &s));
    for (int i = 0; i < g->n_inputs; i++)
        in[i] = tensor_of(&arrays[i]);
    for (int i = 0; i < g->n_outputs; i++)
        assert_ok(tern_tensor_create(tern__dtype_of(g, g->outputs[i].value), tern__shape_of(g, g->outputs[i].value), &out[i]));
    assert_ok(tern_session_run(s, in, out));
    for (int i = 0; i < g->n_outputs; i++) {
        const tern__array *want = tern__interp_output(&it, i);
        const tern__array got = {.type = want->type, .data = (void *)(uintptr_t)tern_tensor_data(out[i])};
        for (int64_t k = 0; k < tern__elems(&want->type.shape); k++)
            if (tern__array_get_int(want, k) != tern__array_get_int(&got, k))
                fail_msg("%s by %s: element %d is %d, expected %d", g->outputs[i].name, force ? force : "choice", (int)k, (int)tern__array_get_int(&got, k),
                         (int)tern__array_get_int(want, k));
        tern_tensor_destroy(out[i]);
    }
    for (int i = 0; i < g->n_inputs; i++)
        tern_tensor_destroy(in[i]);
    tern__free(in);
    tern__free(out);
    tern_session_destroy(s);
    tern__interp_finish(&it);
}

/* By every implementation there is; those for CPUs only where they say so. */
static void compare_all(tern_graph *g, tern__array *arrays, bool by_tiles)
{
    assert_ok(tern_graph_check(g));
    if (by_tiles && tern__device_dot8(cpu))
        compare(cpu, g, "cpu_dot", arrays);
    if (by_tiles)
        compare(cpu, g, "cpu_tile", arrays);
    compare(cpu, g, "conv_integer=simt_tile,matmul_integer=simt_tile", arrays);
    compare(simt, g, "conv_integer=simt_dot,matmul_integer=simt_dot", arrays);
    compare(simt, g, NULL, arrays);
}

static tern__array *inputs_of(const tern_graph *g, const struct layer *v)
{
    tern__array *in = tern__alloc_array((size_t)g->n_inputs, sizeof *in);
    assert_non_null(in);
    for (int i = 0; i < g->n_inputs; i++)
        in[i] = filled(tern__dtype_of(g, g->inputs[i]), tern__shape_of(g, g->inputs[i]), 11 + (uint64_t)i, v ? v[i * every].x : ANY);
    return in;
}

/* All in one session: building a program takes longer than running it. */
static void check_layers(const struct layer *v, int n, bool by_tiles)
{
    tern_graph *g = new_graph();
    for (int i = 0; i < n; i += every)
        add_layer(g, &v[i], i);
    tern__array *arrays = inputs_of(g, v);
    compare_all(g, arrays, by_tiles);
    free_inputs(g, arrays);
    tern_graph_destroy(g);
}

#define U TERN_U8
#define I TERN_I8
#define RANDOM ANY, ANY, ANY, ANY

static void convolutions_are_exact(void **state)
{
    (void)state;
    static const struct layer layers[] = {
        {1, 16, 32, 13, 17, 3, 3, 1, 1, 1, 1, 1, 1, 1, U, I, RANDOM, false, false}, {2, 64, 48, 7, 7, 1, 1, 1, 1, 0, 0, 0, 0, 1, U, I, RANDOM, true, false},
        {1, 3, 17, 23, 19, 7, 7, 2, 1, 3, 3, 3, 3, 1, U, I, RANDOM, true, true},    {1, 24, 33, 14, 15, 3, 3, 2, 1, 0, 1, 1, 0, 1, I, I, RANDOM, false, false},
        {3, 5, 7, 9, 11, 3, 5, 1, 2, 2, 4, 2, 4, 1, I, I, RANDOM, false, true},     {1, 20, 40, 15, 16, 1, 1, 2, 1, 0, 0, 0, 0, 1, U, U, RANDOM, true, false},
        {1, 8, 100, 1, 30, 1, 3, 1, 1, 0, 1, 0, 1, 1, I, U, RANDOM, false, false},  {2, 33, 16, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, U, I, RANDOM, false, false},
    };
    check_layers(layers, TERN_COUNT(layers), true);
}

/* Sums as large as they get, nothing saturates on the way; padding counts as zero whatever the zero point. */
static void extremes_are_exact(void **state)
{
    (void)state;
    static const struct layer layers[] = {
        {1, 64, 16, 6, 15, 3, 3, 1, 1, 1, 1, 1, 1, 1, U, I, MOST, LEAST, LEAST, ANY, false, false},
        {1, 64, 16, 6, 15, 3, 3, 1, 1, 1, 1, 1, 1, 1, U, I, LEAST, MOST, MOST, ANY, true, true},
        {1, 16, 16, 6, 15, 3, 3, 1, 1, 2, 2, 2, 2, 1, I, I, LEAST, LEAST, MOST, ANY, false, false},
        {1, 16, 31, 6, 15, 3, 3, 1, 1, 2, 2, 2, 2, 1, I, U, MOST, MOST, LEAST, ANY, true, true},
    };
    check_layers(layers, TERN_COUNT(layers), true);
}

/* A group for each channel: of a vector's width, plain, with a rest, and with the weights' zero point away from 0. */
static void depthwise_is_exact(void **state)
{
    (void)state;
    static const struct layer layers[] = {
        {2, 32, 32, 9, 13, 3, 3, 1, 1, 1, 1, 1, 1, 32, U, I, RANDOM, false, false}, {1, 24, 24, 12, 12, 5, 5, 2, 1, 2, 2, 2, 2, 24, I, I, RANDOM, true, false},
        {1, 19, 19, 8, 7, 3, 3, 2, 1, 0, 1, 1, 0, 19, U, U, RANDOM, false, true},
        {1, 16, 16, 36, 12, 32, 8, 1, 1, 0, 0, 0, 0, 16, U, U, MOST, MOST, LEAST, LEAST, false, false},
    };
    tern_graph *g = new_graph();
    for (int i = 0; i < TERN_COUNT(layers); i++)
        add_layer(g, &layers[i], i);
    tern__array *arrays = tern__alloc_array(TERN_COUNT(layers), sizeof *arrays);
    for (int i = 0; i < TERN_COUNT(layers); i++)
        arrays[i] = filled(layers[i].xt, tern__shape_of(g, g->inputs[i]), 11 + (uint64_t)i, layers[i].x);
    assert_ok(tern_graph_check(g));
    compare(cpu, g, "conv_integer=cpu_depthwise", arrays);
    free_inputs(g, arrays);
    tern_graph_destroy(g);
}

/* Groups, and weights that do not fit in i8 less their zero points, are for the kernel that takes all. */
static void the_rest_is_exact(void **state)
{
    (void)state;
    static const struct layer layers[] = {
        {1, 16, 16, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1, 16, U, I, RANDOM, true, false},
        {2, 12, 18, 8, 7, 3, 3, 2, 1, 1, 1, 1, 1, 3, I, U, RANDOM, false, true},
        {1, 16, 16, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1, U, U, ANY, ANY, ANY, MOST, true, false},
        {1, 17, 5, 9, 9, 1, 1, 1, 1, 0, 0, 0, 0, 1, I, I, ANY, ANY, ANY, LEAST, false, false},
    };
    check_layers(layers, TERN_COUNT(layers), false);
}

struct matrices {
    int64_t m, n, k;
    bool trans_a, trans_b, by_column;
    tern_dtype at, bt;
};

static void products_are_exact(void **state)
{
    (void)state;
    static const struct matrices all[] = {{1, 1000, 64, false, true, true, U, I}, {17, 33, 30, false, false, false, U, I},
                                          {64, 48, 128, false, false, true, I, I},
                                          {15, 31, 7, true, false, true, I, U},  {30, 64, 17, true, true, false, U, U},  {1, 1, 1, false, false, false, I, I}};
    tern_graph *g = new_graph();
    for (int i = 0; i < TERN_COUNT(all); i += every) {
        const struct matrices *p = &all[i];
        const struct layer zero = {.o = p->n, .wt = p->bt, .by_channel = p->by_column};
        char name[3][16];
        for (int k = 0; k < 3; k++)
            snprintf(name[k], sizeof name[k], "%c%d", "asq"[k], i);
        tern_value a = tern_graph_input(g, name[0], p->at, p->trans_a ? SHAPE(p->k, p->m) : SHAPE(p->m, p->k), 0);
        const tern_value in[4] = {a, constant(g, p->bt, p->trans_b ? SHAPE(p->n, p->k) : SHAPE(p->k, p->n), 8, ANY), constant(g, p->at, SHAPE(1), 9, ANY),
                                  zero_of_weights(g, &zero)};
        tern_value y = tern_graph_add(g, "matmul_integer", in, 4, TERN_ATTRS(TERN_INT("trans_a", p->trans_a), TERN_INT("trans_b", p->trans_b)));
        tern_graph_output(g, name[1], y);
        tern_graph_output(g, name[2], requantised(g, y, p->at));
    }
    tern__array *arrays = inputs_of(g, NULL);
    compare_all(g, arrays, true);
    free_inputs(g, arrays);
    tern_graph_destroy(g);
}

/* Weights and zero points that change from run to run: i8 weights whose zero point is known to be 0 still go through tiles. */
static void weights_may_change(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    const tern_value in[4] = {tern_graph_input(g, "a", U, SHAPE(19, 36), 0), tern_graph_input(g, "b", I, SHAPE(36, 37), 0),
                              tern_graph_input(g, "zero", U, SHAPE(1), 0), tern__reshape(g, tern_graph_scalar(g, I, 0), SHAPE(1))};
    tern_graph_output(g, "y", tern_graph_add(g, "matmul_integer", in, 4, NULL));
    tern__array *arrays = inputs_of(g, NULL);
    compare_all(g, arrays, true);
    free_inputs(g, arrays);
    tern_graph_destroy(g);
}

static void says_why_not(void **state)
{
    (void)state;
    const struct layer grouped = {1, 16, 16, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1, 16, U, I, RANDOM, true, false};
    tern_graph *g = new_graph();
    tern_session *s = NULL;
    add_layer(g, &grouped, 0);
    assert_fails(tern_session_create(cpu, g, &(tern_session_params){.force_impl = "conv_integer=cpu_tile"}, &s), TERN_E_UNSUPPORTED, "group 16");
    tern_device *null = NULL;
    assert_ok(tern_device_open(&(tern_device_params){.select = "null:cpu"}, &null));
    assert_false(tern__device_dot8(null));
    assert_true(tern__device_dot8(simt) == tern__device_dot8(simt));
    assert_true(tern__device_dot8(cpu) == tern__device_dot8(cpu));
    tern_device_close(null);
    tern_graph_destroy(g);
    g = new_graph();
    const tern_value in[4] = {tern_graph_input(g, "x", U, SHAPE(4, 4), 0), tern_graph_input(g, "w", I, SHAPE(4, 6), 0),
                              tern_graph_input(g, "xz", U, SHAPE(4), 0),
                              tern_graph_input(g, "wz", I, SHAPE(6), 0)};
    tern_graph_add(g, "matmul_integer", in, 4, NULL);
    assert_fails(tern_graph_check(g), TERN_E_SHAPE, "it must be [1]");
    tern_graph_destroy(g);
}

/* What a SIMT device is found to have, with a kernel in the place of the probe's that does the same without instructions, but for what is added. */
static bool found_with(const char *added)
{
    tern_device *d = NULL;
    FILE *f = fopen(in_dir("probe_dot8_simt.cl"), "w");
    assert_non_null(f);
    fprintf(f,
            "__kernel void probe_dot8_simt(const __global uint *x, const __global uint *w, __global int *y, int n)\n"
            "{\n"
            "    const uint i = get_global_id(0);\n"
            "    for (int step = 0; step < n; step++)\n"
            "        for (int k = 0; k < 32; k += 8) {\n"
            "            const uint a = x[step * 16 + i] >> k, b = w[step * 16 + i] >> k;\n"
            "            y[i] += (int)(uchar)a * (uchar)b;\n"
            "            y[16 + i] += (int)(uchar)a * (char)b;\n"
            "            y[32 + i] += (int)(char)a * (uchar)b;\n"
            "            y[48 + i] += (int)(char)a * (char)b;\n"
            "        }\n"
            "    %s\n"
            "}\n",
            added);
    assert_int_equal(fclose(f), 0);
    setenv("TERN_KERNEL_PATH", dir, 1);
    assert_ok(tern_device_open(&(tern_device_params){.family = "simt"}, &d));
    const bool found = tern__device_dot8(d);
    tern_device_close(d);
    unsetenv("TERN_KERNEL_PATH");
    return found;
}

static void only_right_dot_products_count(void **state)
{
    (void)state;
    assert_true(found_with(""));
    assert_false(found_with("if (i == 15) y[63]++;"));
    assert_false(found_with("return 1;")); /* does not build */
}

static void assert_chosen(const char *want)
{
    const struct layer layer = {1, 16, 16, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1, U, I, RANDOM, true, false};
    tern_graph *g = new_graph();
    tern_session *s = NULL;
    bool found = false;
    add_layer(g, &layer, 0);
    assert_ok(tern_session_create(simt, g, NULL, &s));
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info info;
        assert_ok(tern_session_group(s, i, &info));
        if (!strstr(info.ops, "conv_integer"))
            continue;
        assert_string_equal(info.impl, want);
        found = true;
    }
    assert_true(found);
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

/* As if a SIMT device had the instructions, and as if it had not. */
static void chosen_by_what_is_found(void **state)
{
    (void)state;
    const int before = simt->dot8;
    simt->dot8 = 2;
    assert_chosen("simt_dot");
    simt->dot8 = 1;
    assert_chosen("simt_tile");
    simt->dot8 = before;
}

/* Compares what g makes of a [3, 37] input x of ties, limits, infinities and NaN between random numbers: rows have every width's remainder. */
static void compare_special(tern_graph *g, tern_value x)
{
    static const float special[] = {0.5f,  1.5f, 2.5f,  -0.5f,    -1.5f,     -2.5f, 254.5f,      255.5f, 127.5f,
                                    -128.5f, 1e9f, -1e9f, INFINITY, -INFINITY, NAN,   0.49999997f, -0.0f};
    assert_ok(tern_graph_check(g));
    tern__array a = random_array(tern__type_of(g, x), 3, -300, 300);
    for (int i = 0; i < 3 * 37; i += 2)
        ((float *)a.data)[i] = special[i / 2 % TERN_COUNT(special)];
    compare(cpu, g, NULL, &a);
    compare(simt, g, NULL, &a);
    tern__free(a.data);
}

/* With and without a zero point. */
static void quantising_rounds_and_stops(void **state)
{
    (void)state;
    const double zeros[] = {0, 1, 128, -128, 255, 77};
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(3, 37), 0);
    for (int i = 0; i < TERN_COUNT(zeros); i++)
        for (int k = 0; k < 2; k++) {
            char name[16];
            snprintf(name, sizeof name, "%c%d", "ui"[k], i);
            tern_graph_output(g, name, tern__cast(g, tern__add_scalar(g, tern__unary(g, "round", x), zeros[i]), k ? I : U));
        }
    compare_special(g, x);
    tern_graph_destroy(g);
}

/* Quantised and dequantised at once: the float goes on without having been a byte, and is the one that the byte stands for. */
static void bytes_on_their_way(void **state)
{
    (void)state;
    static const struct { tern_dtype type; int zero; } cases[] = {{U, 0}, {U, 1}, {U, 128}, {U, 255}, {I, 0}, {I, -128}, {I, 127}, {I, -3}};
    tern_graph *g = new_graph();
    tern_session *s = NULL;
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(3, 37), 0);
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        tern_value byte = tern__cast(g, tern__add_scalar(g, tern__unary(g, "round", x), cases[i].zero), cases[i].type);
        tern_value whole = tern__add_scalar(g, tern__cast(g, byte, TERN_I32), -cases[i].zero);
        tern_graph_output(g, name, tern__mul_scalar(g, tern__cast(g, whole, TERN_F32), -2));
    }
    compare_special(g, x);
    assert_ok(tern_session_create(cpu, g, NULL, &s));
    assert_non_null(strstr(tern_session_source(s), "= requantised_u8_"));
    assert_non_null(strstr(tern_session_source(s), "= requantised_i8_"));
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

/* --- The pass --- */

static tern_value centred(tern_graph *g, tern_value x, tern_value zero)
{
    x = tern__cast(g, x, TERN_I32);
    return zero == TERN_NONE ? x : tern__sub(g, x, tern__cast(g, zero, TERN_I32));
}

static int count(const tern_graph *g, const char *op)
{
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        n += strcmp(g->nodes[i]->op->name, op) == 0;
    return n;
}

/* The pass makes `found` integer products of g, which stays what it is. */
static void check_found(tern_graph *g, const char *op, int found)
{
    tern_graph *out = NULL;
    assert_ok(tern_graph_check(g));
    assert_ok(tern__pass_integer.run(g, &out));
    assert_int_equal(count(out, op), found);
    assert_same_results(g, out, 0);
    tern_graph_destroy(out);
    tern_graph_destroy(g);
}

static void finds_convolutions(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        tern_graph *g = new_graph();
        const int64_t pads[] = {1, 1, 1, 1};
        tern_value x = tern_graph_input(g, "x", U, SHAPE(2, 5, 6, 7), 0);
        tern_value xz = kind == 3 ? constant(g, U, SHAPE(5, 1, 1), 2, ANY) : constant(g, U, SHAPE(), 2, ANY);
        tern_value wz = kind == 1 ? constant(g, I, SHAPE(3, 1, 1, 1), 3, ANY) : kind == 2 ? TERN_NONE : constant(g, I, SHAPE(1), 3, ANY);
        const tern_value in[3] = {centred(g, x, xz), centred(g, constant(g, I, SHAPE(3, 5, 3, 3), 1, ANY), wz),
                                  kind == 1 ? random_constant(g, TERN_I32, SHAPE(3), 4) : TERN_NONE};
        tern_graph_output(g, "y", tern_graph_add(g, "conv", in, kind == 1 ? 3 : 2, TERN_ATTRS(TERN_INTS("pads", pads, 4))));
        check_found(g, "conv_integer", kind != 3);
    }
}

static void finds_products(void **state)
{
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        tern_graph *g = new_graph();
        tern_value a = tern_graph_input(g, "a", U, kind == 1 ? SHAPE(2, 3, 4, 5) : SHAPE(4, 5), 0);
        tern_value b = tern_graph_input(g, "b", I, kind == 2 ? SHAPE(6, 5) : kind == 3 ? SHAPE(2, 5, 6) : SHAPE(5, 6), 0);
        tern_value az = kind == 4 ? constant(g, U, SHAPE(4, 1), 2, ANY) : constant(g, U, SHAPE(), 2, ANY);
        tern_value bz = constant(g, I, kind == 2 ? SHAPE(6, 1) : kind == 1 ? SHAPE(1, 6) : SHAPE(), 3, ANY);
        tern_graph_output(g, "y", tern_graph_op2(g, "matmul", centred(g, a, az), centred(g, b, bz), TERN_ATTRS(TERN_INT("trans_b", kind == 2))));
        check_found(g, "matmul_integer", kind < 3);
    }
}

/* --- What models say in float --- */

static tern_value dequantised(tern_graph *g, tern_value x, tern_value zero, tern_value scale)
{
    return tern__mul(g, tern__cast(g, centred(g, x, zero), TERN_F32), scale);
}

static tern_value quantised(tern_graph *g, tern_value x, double scale, double zero, tern_dtype t)
{
    x = tern__unary(g, "round", tern_graph_op2(g, "div", x, tern__like(g, x, scale), NULL));
    return tern__cast(g, tern__add(g, x, tern__cast(g, tern_graph_scalar(g, t, zero), TERN_F32)), t);
}

static tern_value scales(tern_graph *g, const tern_shape *s, double low)
{
    return tern__add_scalar(g, tern__mul_scalar(g, random_constant(g, TERN_F32, s, 21), low / 4), low);
}

static tern_value bias_constant(tern_graph *g, const tern_shape *s)
{
    tern__array a = random_array(&(tern__type){.dtype = TERN_I32, .shape = *s}, 17, -3000, 3000);
    tern_tensor *t = tensor_of(&a);
    tern_value v = tern_graph_constant(g, t);
    tern_tensor_destroy(t);
    tern__free(a.data);
    return v;
}

/* conv, relu, pool, conv, added to a branch, product: quantised between as ONNX Runtime's quantiser writes it. unit: is the first bias in the sums' unit? */
static tern_graph *float_model(tern_dtype t, bool unit)
{
    tern_graph *g = new_graph();
    const int64_t pads[] = {1, 1, 1, 1}, two[] = {2, 2}, three[] = {3, 3};
    const double zero = t == TERN_U8 ? 120 : -7, xs = 0.02, ws = 0.003;
    tern_value z = tern_graph_scalar(g, t, zero), x = quantised(g, tern_graph_input(g, "x", TERN_F32, SHAPE(2, 3, 9, 11), 0), xs, zero, t);
    tern_value dx = dequantised(g, x, z, tern_graph_scalar(g, TERN_F32, xs));
    tern_value w1 = dequantised(g, constant(g, I, SHAPE(16, 3, 3, 3), 1, ANY), TERN_NONE, tern_graph_scalar(g, TERN_F32, ws));
    tern_value b1 = dequantised(g, bias_constant(g, SHAPE(16)), TERN_NONE, tern_graph_scalar(g, TERN_F32, unit ? xs * ws : 0.001));
    tern_value y = tern_graph_op3(g, "conv", dx, w1, b1, TERN_ATTRS(TERN_INTS("pads", pads, 4)));
    y = dequantised(g, quantised(g, tern__unary(g, "relu", y), 0.05, zero, t), z, tern_graph_scalar(g, TERN_F32, 0.05));
    y = tern_graph_op1(g, "max_pool", y, TERN_ATTRS(TERN_INTS("kernel", three, 2), TERN_INTS("strides", two, 2), TERN_INTS("pads", pads, 4)));
    y = dequantised(g, quantised(g, y, 0.05, zero, t), z, tern_graph_scalar(g, TERN_F32, 0.05));
    tern_value w2 = dequantised(g, constant(g, I, SHAPE(16, 16, 1, 1), 2, ANY), TERN_NONE, scales(g, SHAPE(16, 1, 1, 1), ws));
    tern_value v = dequantised(g, quantised(g, tern_graph_op2(g, "conv", y, w2, NULL), 0.1, zero, t), z, tern_graph_scalar(g, TERN_F32, 0.1));
    y = tern__reshape(g, quantised(g, tern__add(g, y, v), 0.11, zero, t), SHAPE(2, 480));
    y = dequantised(g, y, z, tern_graph_scalar(g, TERN_F32, 0.11));
    tern_value w3 = dequantised(g, constant(g, I, SHAPE(7, 480), 3, ANY), TERN_NONE, scales(g, SHAPE(7, 1), ws));
    y = tern_graph_op3(g, "gemm", y, w3, random_constant(g, TERN_F32, SHAPE(7), 8), TERN_ATTRS(TERN_INT("trans_b", 1)));
    tern_graph_output(g, "y", quantised(g, y, 0.4, zero, t));
    return g;
}

/* With integers every result is within one step of what the ops say, and most are equal; a session that is to be exact keeps the float ops. */
static void dequantised_models_run_in_integers(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const tern_dtype t = i % 2 ? I : U;
        tern_graph *g = float_model(t, i < 2), *out = NULL, *exact = NULL;
        assert_ok(tern_graph_check(g));
        assert_ok(tern__passes_run(g, NULL, 0, &out));
        assert_ok(tern__passes_run(g, NULL, TERN__PASSES_EXACT, &exact));
        assert_int_equal(count(out, "conv_integer") + count(out, "matmul_integer"), 3);
        assert_int_equal(count(out, "conv") + count(out, "matmul") + count(out, "div"), 1); /* the input's own division */
        assert_int_equal(count(exact, "conv_integer") + count(exact, "matmul_integer"), 0);
        tern__interp want = {0}, got = {0};
        tern__array x = random_array(tern__type_of(g, g->inputs[0]), 31, -2.4, 2.4);
        assert_ok(tern__interp_init(&want, g));
        assert_ok(tern__interp_init(&got, out));
        assert_ok(tern__interp_run(&want, &x));
        assert_ok(tern__interp_run(&got, &x));
        for (int64_t k = 0; k < 14; k++)
            assert_in_range(tern__array_get_int(tern__interp_output(&want, 0), k) - tern__array_get_int(tern__interp_output(&got, 0), k) + 1, 0, 2);
        if (i == 0)
            compare(cpu, out, NULL, &x);
        tern__free(x.data);
        tern__interp_finish(&want);
        tern__interp_finish(&got);
        tern_graph_destroy(g);
        tern_graph_destroy(out);
        tern_graph_destroy(exact);
    }
}

/* Quantising what was just dequantised alike gives what was there; otherwise it is left to be computed. */
static void double_conversions_go(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        tern_graph *g = new_graph(), *out = NULL;
        tern_value x = tern_graph_input(g, "x", U, SHAPE(5, 7), 0);
        tern_value y = dequantised(g, x, tern_graph_scalar(g, U, 9), tern_graph_scalar(g, TERN_F32, 0.07));
        tern_graph_output(g, "y", quantised(g, y, kind == 1 ? 0.06 : 0.07, kind == 2 ? 8 : 9, U));
        assert_ok(tern__passes_run(g, NULL, 0, &out));
        assert_true((out->n_nodes == 0) == (kind == 0));
        tern_graph_destroy(g);
        tern_graph_destroy(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_are_exact), cmocka_unit_test(extremes_are_exact),
        cmocka_unit_test(depthwise_is_exact),     cmocka_unit_test(the_rest_is_exact),
        cmocka_unit_test(products_are_exact),     cmocka_unit_test(weights_may_change),
        cmocka_unit_test(says_why_not),           cmocka_unit_test(chosen_by_what_is_found),
        cmocka_unit_test_setup_teardown(only_right_dot_products_count, fresh_dir, remove_dir),
        cmocka_unit_test(finds_convolutions),     cmocka_unit_test(finds_products),
        cmocka_unit_test(dequantised_models_run_in_integers), cmocka_unit_test(double_conversions_go),
        cmocka_unit_test(quantising_rounds_and_stops), cmocka_unit_test(bytes_on_their_way),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
