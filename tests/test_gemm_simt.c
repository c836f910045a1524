/* The SIMT family's contractions on the device at hand, against the references: sizes around tiles, broadcast batches, splits, dtypes,
 * fused neighbours. tern_device_open makes this run under Oclgrind too. */
#include <stdio.h>

#include <tern/device.h>
#include <tern/session.h>

#include "graph_help.h"

static tern_device *device;

static int open_device(void **state)
{
    (void)state;
    if (tern_device_open(&(tern_device_params){.family = "simt"}, &device) != TERN_OK) {
        print_message("%s\n", tern_last_error());
        return 1;
    }
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    tern_device_close(device);
    return 0;
}

static double tolerance_of(tern_dtype t)
{
    switch (t) {
    case TERN_F64:
        return 1e-12;
    case TERN_F16:
        return 2e-3;
    case TERN_BF16:
        return 2e-2;
    case TERN_F32:
        return 1e-5;
    default:
        return 0;
    }
}

static void compare(const tern__array *want, const tern_tensor *got, const char *what)
{
    const tern__array g = {.type = want->type, .data = tern_tensor_data(got)};
    const double tolerance = tolerance_of(want->type.dtype);
    for (int64_t i = 0; i < tern__elems(&want->type.shape); i++) {
        double p = tern__array_get(want, i), q = tern__array_get(&g, i);
        if (!(fabs(p - q) <= tolerance * (10 + fabs(p))))
            fail_msg("%s: element %d of %d is %.9g, expected %.9g", what, (int)i, (int)tern__elems(&want->type.shape), q, p);
    }
}

/* Runs the graph on the device by this family's implementation: right, and twice the same bits. A simulator, which finds races by itself, runs it
 * once. Frees the graph. */
static void check(tern_graph *g, const char *force, const char *what)
{
    tern_session *s = NULL;
    tern_tensor *in[4], *out[2][4];
    tern__interp it = {0};
    const int runs = getenv("TERN_TEST_SLOW_DEVICE") ? 1 : 2;
    assert_ok(tern_graph_check(g));
    tern__array *arrays = random_inputs(g, 11);
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, arrays));
    if (tern_session_create(device, g, &(tern_session_params){.force_impl = force}, &s) != TERN_OK)
        fail_msg("%s: %s", what, tern_last_error());
    for (int i = 0; i < g->n_inputs; i++)
        in[i] = tensor_of(&arrays[i]);
    for (int run = 0; run < runs; run++) {
        for (int i = 0; i < g->n_outputs; i++) {
            const tern__type *t = tern__type_of(g, g->outputs[i].value);
            assert_ok(tern_tensor_create(t->dtype, &t->shape, &out[run][i]));
        }
        assert_ok(tern_session_run(s, in, out[run]));
    }
    for (int i = 0; i < g->n_outputs; i++) {
        compare(tern__interp_output(&it, i), out[0][i], what);
        if (runs == 2)
            assert_memory_equal(tern_tensor_data(out[0][i]), tern_tensor_data(out[1][i]), tern_tensor_size_bytes(out[0][i]));
        for (int run = 0; run < runs; run++)
            tern_tensor_destroy(out[run][i]);
    }
    for (int i = 0; i < g->n_inputs; i++)
        tern_tensor_destroy(in[i]);
    tern_session_destroy(s);
    tern__interp_finish(&it);
    free_inputs(g, arrays);
    tern_graph_destroy(g);
}

static void one_op_by(const char *force, const char *op, tern_dtype dtype, const tern_shape *a, const tern_shape *b, const tern_attr *attrs)
{
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", dtype, a, 0), y = tern_graph_input(g, "y", dtype, b, 0);
    tern_graph_output(g, "z", tern_graph_op2(g, op, x, y, attrs));
    char what[160];
    snprintf(what, sizeof what, "%s of %s, %dx%d.. and %dx%d..", op, tern_dtype_name(dtype), (int)a->dim[0], (int)a->dim[1], (int)b->dim[0],
             (int)b->dim[1]);
    check(g, force, what);
}

static void one_op(const char *op, tern_dtype dtype, const tern_shape *a, const tern_shape *b, const tern_attr *attrs)
{
    one_op_by("simt_tile", op, dtype, a, b, attrs);
}

static void product(tern_dtype dtype, int64_t m, int64_t n, int64_t k, bool trans_a, bool trans_b)
{
    tern_shape a = {.rank = 2, .dim = {trans_a ? k : m, trans_a ? m : k}}, b = {.rank = 2, .dim = {trans_b ? n : k, trans_b ? k : n}};
    one_op("matmul", dtype, &a, &b, TERN_ATTRS(TERN_INT("trans_a", trans_a), TERN_INT("trans_b", trans_b)));
}

static void sizes_straddle_tiles(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},    {15, 16, 17}, {33, 127, 16}, {64, 64, 64},
                                       {65, 63, 31}, {1, 127, 33}, {127, 2, 33},  {20, 36, 0}};
    for (int i = 0; i < TERN_COUNT(sizes); i++)
        product(TERN_F32, sizes[i][0], sizes[i][1], sizes[i][2], i & 1, i & 2);
    product(TERN_F32, 36, 20, 40, true, true);
    product(TERN_F32, 36, 20, 40, false, true);
    if (!getenv("TERN_TEST_SLOW_DEVICE"))
        product(TERN_F32, 300, 280, 20, false, false); /* the largest tile, if the device has few units */
}

/* As many slices as there can be around one, two and three, with one of them in local memory and with two; items that fetch more than others. */
static void slices_take_turns(void **state)
{
    (void)state;
    static const char *const force[] = {"simt_tile:tile_k=8:stages=2", "simt_tile:tile_k=8:stages=1",
                                        "simt_tile:items_m=4:items_n=8:per_m=2:per_n=4:tile_k=8:stages=2:splits=2",
                                        "simt_tile:items_m=16:items_n=4:per_m=1:per_n=4:tile_k=8:stages=1:splits=2"};
    static const int64_t depths[] = {1, 8, 9, 16, 17, 24, 25, 40};
    for (int i = 0; i < TERN_COUNT(force); i++) {
        const bool split = strstr(force[i], "splits") != NULL;
        for (int k = split ? 6 : 0; k < TERN_COUNT(depths); k += getenv("TERN_TEST_SLOW_DEVICE") ? 3 : 1)
            one_op_by(force[i], "matmul", TERN_F32, k & 1 ? SHAPE(depths[k], 18) : SHAPE(18, depths[k]), k & 2 ? SHAPE(20, depths[k]) : SHAPE(depths[k], 20),
                      TERN_ATTRS(TERN_INT("trans_a", k & 1), TERN_INT("trans_b", k >> 1 & 1)));
    }
    const tern_attr *same = TERN_ATTRS(TERN_INTS("pads", ((const int64_t[]){1, 1, 1, 1}), 4));
    one_op_by("simt_tile:stages=1", "conv", TERN_F32, SHAPE(1, 5, 6, 7), SHAPE(9, 5, 3, 3), same);
    one_op_by("simt_tile:stages=2", "conv", TERN_F32, SHAPE(1, 5, 6, 7), SHAPE(9, 5, 3, 3), same);
}

static void long_sums_are_split(void **state)
{
    (void)state;
    product(TERN_F32, 5, 7, 1000, false, false);
    product(TERN_F32, 16, 16, 1024, true, false);
}

static void every_dtype(void **state)
{
    (void)state;
    static const tern_dtype types[] = {TERN_F16, TERN_BF16, TERN_F64, TERN_I8,  TERN_I16, TERN_I32,
                                       TERN_I64, TERN_U8,   TERN_U16, TERN_U32, TERN_U64};
    tern_device_info info;
    tern_device_get_info(device, &info);
    for (int i = 0; i < TERN_COUNT(types); i++)
        if (types[i] != TERN_F64 || info.fp64)
            product(types[i], 17, 20, 35, i & 1, i & 2);
}

static void batches_broadcast(void **state)
{
    (void)state;
    one_op("matmul", TERN_F32, SHAPE(3, 5, 7), SHAPE(3, 7, 6), NULL);
    one_op("matmul", TERN_F32, SHAPE(2, 1, 5, 8), SHAPE(3, 8, 4), NULL);
    one_op("matmul", TERN_F32, SHAPE(4, 8), SHAPE(2, 3, 8, 5), NULL);
    one_op("matmul", TERN_F32, SHAPE(2, 3, 1, 5, 4), SHAPE(1, 3, 2, 4, 9), NULL);
}

static void empty_results_are_fine(void **state)
{
    (void)state;
    product(TERN_F32, 0, 4, 5, false, false);
    one_op("matmul", TERN_F32, SHAPE(0, 3, 2), SHAPE(0, 2, 4), NULL);
}

static void convolutions(void **state)
{
    (void)state;
    const tern_attr *same = TERN_ATTRS(TERN_INTS("pads", ((const int64_t[]){1, 1, 1, 1}), 4));
    one_op("conv", TERN_F32, SHAPE(2, 3, 9, 9), SHAPE(4, 3, 3, 3), same);
    one_op("conv", TERN_F32, SHAPE(2, 16, 8, 10), SHAPE(33, 16, 3, 3), same);
    one_op("conv", TERN_F32, SHAPE(1, 20, 7, 7), SHAPE(8, 20, 1, 1), NULL);
    one_op("conv", TERN_F16, SHAPE(1, 4, 9, 8), SHAPE(6, 2, 3, 3),
           TERN_ATTRS(TERN_INT("group", 2), TERN_INTS("strides", ((const int64_t[]){2, 1}), 2)));
    one_op("conv", TERN_F32, SHAPE(2, 6, 33), SHAPE(6, 1, 4),
           TERN_ATTRS(TERN_INT("group", 6), TERN_INTS("dilations", ((const int64_t[]){3}), 1)));
    one_op("conv", TERN_F32, SHAPE(1, 2, 5, 6, 7), SHAPE(4, 2, 3, 2, 3),
           TERN_ATTRS(TERN_INTS("pads", ((const int64_t[]){1, 0, 1, 1, 1, 1}), 6), TERN_INTS("strides", ((const int64_t[]){1, 2, 1}), 3)));
}

static void convolution_gradients(void **state)
{
    (void)state;
    const int64_t pads[] = {0, 1, 1, 0}, strides[] = {2, 2}, in[] = {14, 16}, kernel[] = {3, 3};
    const tern_attr p = TERN_INTS("pads", pads, 4), s = TERN_INTS("strides", strides, 2);
    one_op("conv_grad_input", TERN_F32, SHAPE(2, 33, 7, 8), SHAPE(33, 17, 3, 3), TERN_ATTRS(p, s, TERN_INTS("input_shape", in, 2)));
    one_op("conv_grad_weight", TERN_F32, SHAPE(2, 17, 14, 16), SHAPE(2, 33, 7, 8), TERN_ATTRS(p, s, TERN_INTS("kernel", kernel, 2)));
    one_op("conv_grad_input", TERN_F32, SHAPE(1, 12, 5, 4), SHAPE(12, 3, 1, 1),
           TERN_ATTRS(TERN_INT("group", 2), TERN_INTS("input_shape", ((const int64_t[]){5, 4}), 2)));
    one_op("conv_grad_weight", TERN_F32, SHAPE(9, 8, 12, 12), SHAPE(9, 16, 10, 10),
           TERN_ATTRS(TERN_INT("group", 4), TERN_INTS("kernel", kernel, 2)));
    one_op("conv_grad_input", TERN_F32, SHAPE(2, 4, 6), SHAPE(4, 5, 4),
           TERN_ATTRS(TERN_INTS("dilations", ((const int64_t[]){2}), 1), TERN_INTS("pads", ((const int64_t[]){1, 2}), 2),
                      TERN_INTS("input_shape", ((const int64_t[]){9}), 1)));
}

/* Neighbours before and after the product join its kernel, with a split as without. */
static void neighbours_fuse(void **state)
{
    (void)state;
    for (int64_t k = 24; k <= 600; k += 576) {
        tern_graph *g = new_graph();
        tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(20, k), 0), w = tern_graph_input(g, "w", TERN_F32, SHAPE(k, 36), 0);
        tern_value bias = tern_graph_input(g, "bias", TERN_F32, SHAPE(36), 0);
        x = tern_graph_op1(g, "tanh", x, NULL);
        tern_value y = tern_graph_op2(g, "add", tern_graph_op2(g, "matmul", x, w, NULL), bias, NULL);
        tern_graph_output(g, "y", tern_graph_op1(g, "relu", tern_graph_op2(g, "sub", y, tern_graph_scalar(g, TERN_F32, 4), NULL), NULL));
        check(g, "simt_tile", "tanh, matmul, bias, relu");
    }
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 4, 8, 8), 0), w = tern_graph_input(g, "w", TERN_F32, SHAPE(8, 4, 3, 3), 0);
    tern_value bias = tern_graph_input(g, "bias", TERN_F32, SHAPE(8), 0);
    tern_value y = tern_graph_add(g, "conv", (const tern_value[]){x, w, bias}, 3, NULL);
    tern_graph_output(g, "y", tern_graph_op1(g, "sigmoid", y, NULL));
    check(g, "simt_tile", "conv, bias, sigmoid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_straddle_tiles),  cmocka_unit_test(slices_take_turns),      cmocka_unit_test(long_sums_are_split),
        cmocka_unit_test(every_dtype),
        cmocka_unit_test(batches_broadcast),     cmocka_unit_test(empty_results_are_fine), cmocka_unit_test(convolutions),
        cmocka_unit_test(convolution_gradients), cmocka_unit_test(neighbours_fuse),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
