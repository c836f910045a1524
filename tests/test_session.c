/* Plans against references: pointwise groups, reductions, rows, movement, variables, on both families, fused and not. */
#include "session_check.h"

#include "device/device.h"

#include <tern/nn.h>

#include <stdlib.h>
#include <string.h>

static tern_device *device_of(const char *family)
{
    tern_device *d = NULL;
    MUST(tern_device_open(&(tern_device_params){.family = family}, &d));
    return d;
}

static tern_shape shape(int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (tern_shape){.rank = rank, .dim = {a, b, c, d}};
}

static tern_value input(tern_graph *g, const char *name, tern_dtype t, tern_shape s)
{
    return tern_graph_input(g, name, t, &s, 0);
}

/* The graph fused on both families, and unfused on one, whose kernels of single ops test_certify has for the other; groups expected of the fused
 * plan, 0 any. */
static void check_all(tern_graph *g, int groups, double tolerance)
{
    static const char *const families[] = {"cpu", "simt"};
    for (int f = 0; f < 2; f++) {
        tern_device *d = device_of(families[f]);
        tern_plan_info fused = check_session(d, g, NULL, 2, tolerance);
        if (f == 0) {
            tern_plan_info plain = check_session(d, g, &(tern_session_params){.disable = "fuse,layout"}, 1, tolerance);
            assert_true(fused.bytes_fused <= plain.bytes_fused);
        }
        if (groups)
            assert_int_equal(fused.n_groups, groups);
        tern_device_close(d);
    }
    tern_graph_destroy(g);
}

static tern_graph *graph(void)
{
    tern_graph *g = NULL;
    MUST(tern_graph_create(&g));
    return g;
}

static void pointwise_chain(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 15, 16, 17, 33, 127, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        tern_graph *g = graph();
        tern_value a = input(g, "a", TERN_F32, shape(1, sizes[i], 0, 0, 0)), b = input(g, "b", TERN_F32, shape(1, sizes[i], 0, 0, 0));
        tern_value s = tern_graph_op2(g, "add", a, b, NULL);
        tern_value r = tern_graph_op1(g, "relu", s, NULL);
        tern_graph_output(g, "s", s);
        tern_graph_output(g, "y", tern_graph_op2(g, "mul", r, tern_graph_op1(g, "sigmoid", b, NULL), NULL));
        check_all(g, 1, 1e-5);
    }
}

static void broadcasting(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_value x = input(g, "x", TERN_F32, shape(4, 3, 5, 7, 6)), c = input(g, "c", TERN_F32, shape(4, 1, 5, 1, 1)),
               r = input(g, "r", TERN_F32, shape(1, 6, 0, 0, 0));
    tern_value y = tern_graph_op2(g, "add", tern_graph_op2(g, "mul", x, c, NULL), r, NULL);
    tern_graph_output(g, "y", y);
    tern_graph_output(g, "z", tern_graph_op3(g, "where", tern_graph_op2(g, "less", y, c, NULL), x, r, NULL));
    check_all(g, 1, 1e-5);
}

static void softmax_is_one_kernel(void **state)
{
    (void)state;
    static const int64_t widths[] = {1, 7, 16, 33, 1000};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        tern_graph *g = graph();
        tern_value x = input(g, "x", TERN_F32, shape(2, 19, widths[i], 0, 0));
        tern_graph_output(g, "y", tern_graph_op1(g, "softmax", x, NULL));
        check_all(g, 1, 1e-5);
    }
}

/* Vectors run along another axis where the innermost is shorter than any. */
static void short_innermost_axes(void **state)
{
    (void)state;
    static const int64_t rows[] = {15, 37};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int64_t width = 2; width <= 3; width++) {
            tern_graph *g = graph();
            tern_value x = input(g, "x", TERN_F32, shape(3, 3, rows[i], width, 0));
            int64_t start = 1, axis = 2;
            tern_value part = tern_graph_op1(g, "slice", x, TERN_ATTRS(TERN_INTS("starts", &start, 1), TERN_INTS("ends", &width, 1), TERN_INTS("axes", &axis, 1)));
            tern_graph_output(g, "y", tern_graph_op1(g, "softmax", x, NULL));
            tern_graph_output(g, "part", tern_graph_op1(g, "exp", part, NULL));
            tern_graph_output(g, "sum", tern_graph_op1(g, "sum", tern_graph_op1(g, "tanh", x, NULL), TERN_ATTRS(TERN_INTS("axes", &axis, 1))));
            check_all(g, 0, 1e-5);
        }
}

/* Concats along channels that keep their blocks, along others, and of channels that do not fill blocks alike; what follows pads, slices and pools them. */
static void concats_of_images(void **state)
{
    (void)state;
    static const int64_t channels[][2] = {{32, 16}, {24, 40}, {20, 13}, {4, 32}, {28, 4}};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        tern_graph *g = graph();
        const int64_t a = channels[i][0], b = channels[i][1], start = 1, end = 6, height = 2, pads[] = {0, 0, 1, 0, 0, 0, 0, 2}, two[] = {2, 2};
        tern_value x = input(g, "x", TERN_F32, shape(4, 2, 3, 7, 7)), w = input(g, "w", TERN_F32, shape(4, a, 3, 1, 1)), v = input(g, "v", TERN_F32, shape(4, b, 3, 1, 1)),
                   u = input(g, "u", TERN_F32, shape(4, 16, a + b, 1, 1));
        tern_value both[] = {tern_graph_op2(g, "conv", x, w, NULL), tern_graph_op1(g, "relu", tern_graph_op2(g, "conv", x, v, NULL), NULL)};
        tern_value c = tern_graph_add(g, "concat", both, 2, TERN_ATTRS(TERN_INT("axis", 1))), twice[] = {c, c};
        tern_value p = tern_graph_op1(g, "pad", c, TERN_ATTRS(TERN_INTS("pads", pads, 8)));
        tern_value s = tern_graph_op1(g, "slice", c, TERN_ATTRS(TERN_INTS("starts", &start, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &height, 1)));
        tern_graph_output(g, "conv", tern_graph_op2(g, "conv", c, u, NULL));
        tern_graph_output(g, "padded", tern_graph_op2(g, "conv", p, u, NULL));
        tern_graph_output(g, "sliced", tern_graph_op2(g, "conv", s, u, NULL));
        tern_graph_output(g, "tall", tern_graph_op2(g, "conv", tern_graph_add(g, "concat", twice, 2, TERN_ATTRS(TERN_INT("axis", 2))), u, NULL));
        tern_graph_output(g, "pool", tern_graph_op1(g, "max_pool", c, TERN_ATTRS(TERN_INTS("kernel", two, 2), TERN_INTS("strides", two, 2))));
        tern_graph_output(g, "softmax", tern_graph_op1(g, "softmax", c, TERN_ATTRS(TERN_INT("axis", 1))));
        for (int f = 0; f < 2; f++) {
            tern_device *d = device_of((const char *const[]){"cpu", "simt"}[f]);
            check_session(d, g, NULL, 1, 1e-4);
            tern_device_close(d);
        }
        tern_graph_destroy(g);
    }
}

static void reductions(void **state)
{
    (void)state;
    static const char *const ops[] = {"sum", "mean", "reduce_max", "reduce_min", "prod"};
    static const struct { int64_t axes[3]; int n; } over[] = {{{0}, 1}, {{1}, 1}, {{2}, 1}, {{0, 2}, 2}, {{1, 2}, 2}, {{0, 1, 2}, 3}};
    for (size_t k = 0; k < sizeof over / sizeof *over; k++) {
        tern_graph *g = graph();
        tern_value x = input(g, "x", TERN_F32, shape(3, 6, 35, 17, 0));
        tern_value h = tern_graph_op1(g, "tanh", x, NULL);
        for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
            tern_graph_output(g, ops[i], tern_graph_op1(g, ops[i], h, TERN_ATTRS(TERN_INTS("axes", over[k].axes, over[k].n), TERN_INT("keepdims", k % 2))));
        check_all(g, 1, 1e-4);
    }
}

static void split_reduction(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_value x = input(g, "x", TERN_F32, shape(4, 40, 3, 50, 20));
    int64_t axes[] = {0, 2, 3};
    tern_value s = tern_graph_op1(g, "sum", tern_graph_op1(g, "square", x, NULL), TERN_ATTRS(TERN_INTS("axes", axes, 3), TERN_INT("keepdims", 0)));
    tern_graph_output(g, "y", tern_graph_op1(g, "sqrt", s, NULL));
    tern_graph_output(g, "all", tern_graph_op1(g, "sum", x, NULL));
    check_all(g, 0, 1e-3);
}

/* What a product reads whole is also wanted by its epilogue: another kernel has to make it first. */
static void diamond_around_a_product(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_value x = input(g, "x", TERN_F32, shape(2, 32, 32, 0, 0)), w = input(g, "w", TERN_F32, shape(2, 32, 32, 0, 0));
    tern_value top = tern_graph_op1(g, "exp", x, NULL);
    tern_value y = tern_graph_op2(g, "matmul", top, w, NULL);
    tern_graph_output(g, "y", tern_graph_op2(g, "mul", y, tern_graph_op1(g, "sin", top, NULL), NULL));
    tern_graph_output(g, "top", top);
    check_all(g, 0, 1e-4);
}

static void positions(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_value x = input(g, "x", TERN_F32, shape(3, 4, 129, 5, 0));
    for (int64_t axis = 0; axis < 3; axis++) {
        tern_value hi = tern_graph_op1(g, "argmax", x, TERN_ATTRS(TERN_INTS("axes", &axis, 1)));
        tern_value lo = tern_graph_op1(g, "argmin", x, TERN_ATTRS(TERN_INTS("axes", &axis, 1), TERN_INT("keepdims", 0)));
        tern_graph_output(g, (const char *[]){"h0", "h1", "h2"}[axis], hi);
        tern_graph_output(g, (const char *[]){"l0", "l1", "l2"}[axis], lo);
    }
    check_all(g, 0, 0);
}

static void movement(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_value x = input(g, "x", TERN_F32, shape(3, 4, 6, 10, 0)), y = input(g, "y", TERN_F32, shape(3, 4, 6, 3, 0));
    int64_t perm[] = {2, 0, 1}, to[] = {8, 30}, pads[] = {1, 0, 2, 0, 3, 1}, starts[] = {9, 1}, ends[] = {-100, 6}, axes[] = {2, 1}, steps[] = {-2, 2};
    tern_graph_output(g, "t", tern_graph_op1(g, "relu", tern_graph_op1(g, "transpose", x, TERN_ATTRS(TERN_INTS("perm", perm, 3))), NULL));
    tern_graph_output(g, "r", tern_graph_op1(g, "neg", tern_graph_op1(g, "reshape", x, TERN_ATTRS(TERN_INTS("shape", to, 2))), NULL));
    tern_graph_output(g, "p", tern_graph_op1(g, "pad", x, TERN_ATTRS(TERN_INTS("pads", pads, 6), TERN_FLOAT("value", 1.5))));
    tern_graph_output(g, "e", tern_graph_op1(g, "pad", x, TERN_ATTRS(TERN_INTS("pads", pads, 6), TERN_STRING("mode", "edge"))));
    tern_graph_output(g, "m", tern_graph_op1(g, "pad", x, TERN_ATTRS(TERN_INTS("pads", pads, 6), TERN_STRING("mode", "reflect"))));
    tern_graph_output(g, "s", tern_graph_op1(g, "slice", x, TERN_ATTRS(TERN_INTS("starts", starts, 2), TERN_INTS("ends", ends, 2),
                                                                        TERN_INTS("axes", axes, 2), TERN_INTS("steps", steps, 2))));
    tern_value both[] = {x, y, x};
    tern_graph_output(g, "c", tern_graph_add(g, "concat", both, 3, TERN_ATTRS(TERN_INT("axis", 2))));
    check_all(g, 0, 1e-6);
}

/* Tiles of each width, rests along one axis or the other, more axes around them, every type of memory that floats have, and others. */
static void transposed_moves(void **state)
{
    (void)state;
    static const struct { tern_dtype type; int64_t dim[3], perm[3]; bool tiles; } all[] = {
        {TERN_F32, {2, 48, 37}, {0, 2, 1}, true}, {TERN_F32, {3, 35, 64}, {0, 2, 1}, true}, {TERN_F32, {40, 3, 19}, {2, 1, 0}, true},
        {TERN_F32, {12, 5, 21}, {2, 0, 1}, true}, {TERN_F32, {1, 300, 160}, {0, 2, 1}, true}, {TERN_F32, {2, 17, 19}, {0, 2, 1}, false},
        {TERN_F32, {32, 2, 48}, {1, 0, 2}, false}, {TERN_F16, {2, 16, 33}, {2, 0, 1}, true}, {TERN_BF16, {1, 24, 24}, {0, 2, 1}, true},
        {TERN_I32, {2, 32, 33}, {0, 2, 1}, false}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        tern_graph *g = graph();
        tern_value x = input(g, "x", all[i].type, shape(3, all[i].dim[0], all[i].dim[1], all[i].dim[2], 0));
        tern_graph_output(g, "y", tern_graph_op1(g, "transpose", x, TERN_ATTRS(TERN_INTS("perm", all[i].perm, 3))));
        MUST(tern_graph_check(g));
        tern_device *d = device_of("cpu");
        tern_session *s = NULL;
        d->info.native_vector_f32 = 16; /* whatever the device has */
        check_session(d, g, NULL, 1, 0);
        MUST(tern_session_create(d, g, NULL, &s));
        assert_int_equal(strstr(tern_session_source(s), "transpose_") != NULL && strstr(tern_session_source(s), "(t);"), all[i].tiles);
        tern_session_destroy(s);
        tern_device_close(d);
        check_all(g, 1, 0);
    }
}

static void storage_types(void **state)
{
    (void)state;
    static const tern_dtype types[] = {TERN_F16, TERN_BF16, TERN_I8, TERN_U8, TERN_I16, TERN_I32, TERN_I64, TERN_BOOL, TERN_F64};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        tern_graph *g = graph();
        tern_value x = input(g, "x", types[i], shape(2, 5, 37, 0, 0));
        tern_value f = tern_graph_op1(g, "cast", x, TERN_ATTRS(TERN_STRING("to", "f32")));
        tern_graph_output(g, "f", tern_graph_op2(g, "mul", f, f, NULL));
        tern_graph_output(g, "b", tern_graph_op1(g, "cast", tern_graph_op2(g, "add", f, f, NULL), TERN_ATTRS(TERN_STRING("to", tern_dtype_name(types[i])))));
        tern_graph_output(g, "l", tern_graph_op1(g, "cast", f, TERN_ATTRS(TERN_STRING("to", "bool"))));
        check_all(g, 1, types[i] == TERN_F16 ? 2e-3 : types[i] == TERN_BF16 ? 1e-2 : 1e-6);
    }
}

/* On the CPU family all but inputs and outputs is f32 behind a convolution; the other family keeps the type. */
static void short_convolutions(void **state)
{
    (void)state;
    static const tern_dtype types[] = {TERN_F16, TERN_BF16};
    for (int i = 0; i < 2; i++) {
        tern_graph *g = graph();
        tern_value x = input(g, "x", types[i], shape(4, 1, 8, 9, 9)), w = input(g, "w", types[i], shape(4, 16, 8, 3, 3));
        tern_value r = tern_graph_op1(g, "relu", tern_graph_op2(g, "conv", x, w, NULL), NULL);
        tern_graph_output(g, "r", r);
        tern_graph_output(g, "p", tern_graph_op1(g, "tanh", tern_graph_op1(g, "global_average_pool", r, NULL), NULL));
        check_all(g, 0, types[i] == TERN_F16 ? 4e-3 : 3e-2);
    }
}

/* State that lives on: a counter, an average updated in place, and two variables that change places. */
static void variables(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_tensor *t = NULL;
    tern_shape s = shape(1, 50, 0, 0, 0);
    MUST(tern_tensor_create(TERN_F32, &s, &t));
    fill_random(t, 99);
    tern_value avg = tern_graph_variable(g, "avg", t, true);
    fill_random(t, 100);
    tern_value p = tern_graph_variable(g, "p", t, true), q = tern_graph_variable(g, "q", t, true);
    fill_random(t, 101);
    tern_value other = tern_graph_variable(g, "other", t, true);
    tern_tensor_destroy(t);
    tern_value x = input(g, "x", TERN_F32, s);
    tern_value next = tern_graph_op2(g, "add", tern_graph_op2(g, "mul", avg, tern_graph_scalar(g, TERN_F32, 0.9), NULL), x, NULL);
    tern_graph_output(g, "old", tern_graph_op2(g, "add", avg, q, NULL));
    tern_graph_output(g, "in", x);
    tern_graph_assign(g, avg, next);
    tern_graph_assign(g, p, other);
    tern_graph_assign(g, other, p);
    tern_graph_assign(g, q, x);
    check_all(g, 0, 1e-6);
}

/* The same bits in every form: alone, in vectors, in an epilogue; normal numbers up to the device's log and cos. */
static void random_numbers(void **state)
{
    (void)state;
    int64_t dims[] = {7, 33};
    tern_graph *g = graph();
    tern_value step = input(g, "step", TERN_F32, shape(0, 0, 0, 0, 0)), x = input(g, "x", TERN_F32, shape(2, 7, 33, 0, 0));
    tern_value u = tern_graph_op1(g, "random_uniform", step, TERN_ATTRS(TERN_INTS("shape", dims, 2), TERN_INT("seed", 5), TERN_FLOAT("low", -1)));
    tern_value n = tern_graph_op1(g, "random_normal", step, TERN_ATTRS(TERN_INTS("shape", dims, 2), TERN_INT("seed", 6)));
    tern_graph_output(g, "u", tern_graph_op1(g, "identity", u, NULL));
    tern_graph_output(g, "n", tern_graph_op2(g, "mul", n, x, NULL));
    tern_graph_output(g, "m", tern_graph_op1(g, "mean", u, NULL));
    check_all(g, 0, 1e-4);
}

/* An anchor of two results, each with ops behind it, used together or alone: what nobody wants is not made. */
static void two_results(void **state)
{
    (void)state;
    const int64_t three[] = {3, 3}, two[] = {2, 2}, ones[] = {1, 1, 1, 1};
    static const int wants[] = {1, 2, 4, 15};
    tern_device *devices[] = {device_of("cpu"), device_of("simt")};
    for (int i = 0; i < 4; i++) {
        const int wanted = wants[i];
        tern_graph *g = graph();
        tern_value x = input(g, "x", TERN_F32, shape(4, 2, 16, 9, 8)), w = input(g, "w", TERN_F32, shape(4, 16, 16, 1, 1)), y[2];
        tern_value c = tern_graph_op2(g, "conv", x, w, NULL);
        tern_graph_add_n(g, "max_pool", &c, 1, TERN_ATTRS(TERN_INTS("kernel", three, 2), TERN_INTS("strides", two, 2), TERN_INTS("pads", ones, 4)), y, 2);
        tern_value at = tern_graph_op1(g, "cast", y[1], TERN_ATTRS(TERN_STRING("to", "f32")));
        if (wanted & 1)
            tern_graph_output(g, "y", tern_graph_op1(g, "relu", y[0], NULL));
        if (wanted & 2)
            tern_graph_output(g, "at", tern_graph_op1(g, "sqrt", at, NULL));
        if (wanted & 4)
            tern_graph_output(g, "both", tern_graph_op2(g, "mul", y[0], at, NULL));
        if (wanted & 8) {
            tern_graph_output(g, "y0", y[0]);
            tern_graph_output(g, "y1", y[1]);
        }
        for (int f = 0; f < 2; f++)
            check_session(devices[f], g, NULL, 1, 1e-4);
        tern_graph_destroy(g);
    }
    for (int f = 0; f < 2; f++)
        tern_device_close(devices[f]);
}

static bool has(tern_session *s, const char *text)
{
    return strstr(tern_session_source(s), text) != NULL;
}

/* Inference does not write positions; training reads back no more than those. */
static void positions_only_for_training(void **state)
{
    (void)state;
    const int64_t two[] = {2, 2};
    tern_graph *g = graph();
    tern_value x = input(g, "x", TERN_F32, shape(4, 2, 16, 8, 8)), w = input(g, "w", TERN_F32, shape(4, 16, 16, 1, 1));
    tern_value r = tern_graph_op1(g, "relu", tern_graph_op2(g, "conv", x, w, NULL), NULL), d;
    tern_value y = tern_graph_op1(g, "max_pool", r, TERN_ATTRS(TERN_INTS("kernel", two, 2), TERN_INTS("strides", two, 2)));
    tern_value sum = tern_graph_op1(g, "sum", tern_graph_op2(g, "mul", y, y, NULL), TERN_ATTRS(TERN_INT("keepdims", 0)));
    tern_graph_output(g, "sum", sum);
    MUST(tern_graph_check(g));
    tern_device *dev = device_of("cpu");
    for (int train = 0; train < 2; train++) {
        if (train) {
            MUST(tern_graph_gradients(g, sum, &w, 1, &d));
            tern_graph_output(g, "dw", d);
        }
        tern_session *s = NULL;
        MUST(tern_session_create(dev, g, NULL, &s));
        assert_int_equal(has(s, "_STORE_INDEX"), train);
        tern_session_destroy(s);
    }
    tern_device_close(dev);
    check_all(g, 0, 1e-4);
}

/* Tensors without elements, and sums over none. */
static void empty(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_value x = input(g, "x", TERN_F32, shape(2, 5, 0, 0, 0)), b = input(g, "b", TERN_F32, shape(2, 5, 1, 0, 0));
    int64_t one = 1, zero = 0;
    tern_graph_output(g, "y", tern_graph_op2(g, "add", x, b, NULL));
    tern_graph_output(g, "none", tern_graph_op1(g, "sum", x, TERN_ATTRS(TERN_INTS("axes", &zero, 1))));
    tern_graph_output(g, "zeroes", tern_graph_op1(g, "sum", x, TERN_ATTRS(TERN_INTS("axes", &one, 1))));
    tern_value both[] = {x, b};
    tern_graph_output(g, "c", tern_graph_add(g, "concat", both, 2, TERN_ATTRS(TERN_INT("axis", 1))));
    check_all(g, 0, 1e-6);
}

/* A training step with everything the demo's has: blocked layouts, a pool that writes its result flattened, updates in epilogues. */
static void small_network(void **state)
{
    (void)state;
    tern_graph *g = graph();
    tern_nn nn = {g, 3};
    const bool slow = getenv("TERN_TEST_SLOW_DEVICE") != NULL;
    const int64_t n = slow ? 2 : 5, side = slow ? 8 : 12;
    tern_value x = input(g, "x", TERN_F32, shape(4, n, 1, side, side)), y = input(g, "y", TERN_I32, shape(1, n, 0, 0, 0));
    tern_value h = tern_nn_max_pool2d(&nn, tern_nn_relu(&nn, tern_nn_conv2d(&nn, "c1", x, 16, 3, 1, 1)), 2, 2);
    h = tern_nn_max_pool2d(&nn, tern_nn_relu(&nn, tern_nn_conv2d(&nn, "c2", h, 32, 3, 1, 1)), 2, 2);
    h = tern_nn_dense(&nn, "d", tern_nn_flatten(&nn, h), 5);
    tern_value l = tern_nn_cross_entropy(&nn, h, y);
    tern_graph_output(g, "loss", l);
    MUST(tern_graph_check(g));
    MUST(tern_graph_minimize(g, l, &(tern_optimizer){.name = "momentum", .lr = 0.05}));
    check_all(g, 0, 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointwise_chain), cmocka_unit_test(broadcasting), cmocka_unit_test(softmax_is_one_kernel), cmocka_unit_test(reductions),
        cmocka_unit_test(short_innermost_axes), cmocka_unit_test(concats_of_images),
        cmocka_unit_test(split_reduction), cmocka_unit_test(positions),    cmocka_unit_test(movement),
        cmocka_unit_test(transposed_moves), cmocka_unit_test(storage_types),
        cmocka_unit_test(variables),       cmocka_unit_test(random_numbers), cmocka_unit_test(empty),                 cmocka_unit_test(short_convolutions),
        cmocka_unit_test(diamond_around_a_product), cmocka_unit_test(small_network),
        cmocka_unit_test(two_results),     cmocka_unit_test(positions_only_for_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
