/* The CPU family's contractions against the references, at every vector width: sizes around tiles, transposed, batched and split
 * products, strides, dilations and pads of convolutions, blocked and plain channels, constant operands, fused neighbours. */
#include <stdio.h>

#include <tern/device.h>
#include <tern/session.h>

#include "attr_help.h"
#include "device/device.h"
#include "graph_help.h"
#include "ops/common.h"

#define FORCED "matmul=cpu_tile,conv=cpu_tile,conv_grad_input=cpu_tile,conv_grad_weight=cpu_tile"
#define DEPTHWISE "conv=cpu_depthwise,conv_grad_input=cpu_depthwise"

static tern_device *device;
/* Building is most of the time: the device's own width takes every case, the others (and a simulated device) one in some. */
static int every = 1;

static int open_device(void **state)
{
    (void)state;
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        every = 5;
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

/* Every f16 and bf16 result is rounded once. */
static double tolerance_of(tern_dtype t)
{
    return t == TERN_F16 ? 2e-3 : t == TERN_BF16 ? 2e-2 : 1e-5;
}

static void compare(const tern__array *want, const tern_tensor *got, const char *what)
{
    const tern__array g = {.type = want->type, .data = tern_tensor_data(got)};
    for (int64_t i = 0; i < tern__elems(&want->type.shape); i++) {
        double p = tern__array_get(want, i), q = tern__array_get(&g, i);
        if (!(fabs(p - q) <= tolerance_of(want->type.dtype) * (10 + fabs(p))))
            fail_msg("%s: element %d of %d is %.9g, expected %.9g", what, (int)i, (int)tern__elems(&want->type.shape), q, p);
    }
}

/* Runs the graph by the kernels named: right, and twice the same bits. A simulator, which finds races by itself, runs it once. Frees the graph. */
static void check_by(const char *force, tern_graph *g, const char *what)
{
    tern_session *s = NULL;
    tern_tensor *in[8], *out[2][8];
    tern__interp it = {0};
    const int runs = getenv("TERN_TEST_SLOW_DEVICE") ? 1 : 2;
    assert_ok(tern_graph_check(g));
    tern__array *arrays = random_inputs(g, 5);
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

static void check(tern_graph *g, const char *what)
{
    check_by(FORCED, g, what);
}

/* --- Products --- */

struct product {
    tern_dtype dtype;
    int64_t m, n, k;
    bool trans_a, trans_b, constant_b;
};

static void product(const struct product *p)
{
    tern_shape a = {.rank = 2, .dim = {p->trans_a ? p->k : p->m, p->trans_a ? p->m : p->k}};
    tern_shape b = {.rank = 2, .dim = {p->trans_b ? p->n : p->k, p->trans_b ? p->k : p->n}};
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", p->dtype, &a, 0), y;
    if (p->constant_b) {
        const tern__type t = {.dtype = p->dtype, .shape = b};
        tern__array values = random_array(&t, 3, -1, 1);
        tern_tensor *data = tensor_of(&values);
        y = tern_graph_constant(g, data);
        tern_tensor_destroy(data);
        tern__free(values.data);
    } else {
        y = tern_graph_input(g, "y", p->dtype, &b, 0);
    }
    tern_graph_output(g, "z", tern_graph_op2(g, "matmul", x, y, TERN_ATTRS(TERN_INT("trans_a", p->trans_a), TERN_INT("trans_b", p->trans_b))));
    char what[160];
    snprintf(what, sizeof what, "%s %dx%dx%d%s%s%s, width %u", tern_dtype_name(p->dtype), (int)p->m, (int)p->n, (int)p->k,
             p->trans_a ? ", a transposed" : "", p->trans_b ? ", b transposed" : "", p->constant_b ? ", b constant" : "",
             device->info.native_vector_f32);
    check(g, what);
}

static void sizes_straddle_tiles(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},   {15, 16, 17},  {16, 15, 33},  {17, 33, 127}, {33, 127, 16}, {127, 17, 15},
                                       {1, 127, 33}, {127, 1, 33}, {2, 64, 130}, {60, 128, 512}, {14, 28, 1}};
    for (int i = 0; i < TERN_COUNT(sizes); i += every)
        product(&(struct product){TERN_F32, sizes[i][0], sizes[i][1], sizes[i][2], i & 1, i & 2, i % 3 == 0});
}

static void long_sums_are_split(void **state)
{
    (void)state;
    product(&(struct product){TERN_F32, 10, 10, 1000, false, false, false});
    product(&(struct product){TERN_F32, 128, 10, 640, true, false, false});
    product(&(struct product){TERN_F32, 5, 33, 4097, false, true, false});
}

static void halves_are_packed(void **state)
{
    (void)state;
    product(&(struct product){TERN_F16, 17, 35, 20, false, true, false});
    product(&(struct product){TERN_BF16, 33, 20, 18, true, false, false});
}

static void two(const char *op, const tern_shape *a, const tern_shape *b, const tern_attr *attrs)
{
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, a, 0), y = tern_graph_input(g, "y", TERN_F32, b, 0);
    tern_graph_output(g, "z", tern_graph_op2(g, op, x, y, attrs));
    char what[160], ta[TERN__SHAPE_TEXT], tb[TERN__SHAPE_TEXT];
    snprintf(what, sizeof what, "%s of %.50s and %.50s, width %u", op, tern__shape_text(a, ta), tern__shape_text(b, tb),
             device->info.native_vector_f32);
    check(g, what);
}

static void batches(void **state)
{
    (void)state;
    const tern_attr *both = TERN_ATTRS(TERN_INT("trans_a", 1), TERN_INT("trans_b", 1));
    two("matmul", SHAPE(3, 17, 7), SHAPE(3, 7, 33), NULL);
    two("matmul", SHAPE(3, 7, 17), SHAPE(3, 33, 7), both);
    two("matmul", SHAPE(2, 3, 5, 8), SHAPE(8, 40), NULL);
    two("matmul", SHAPE(5, 8), SHAPE(4, 8, 32), NULL);
    two("matmul", SHAPE(4, 9, 600), SHAPE(4, 600, 8), NULL);
}

/* --- Convolutions --- */

struct window {
    int64_t c, o, h, w, k, stride, dilation, begin, end;
};

static const tern_attr *spatial_attrs(const struct window *v, tern_attr attrs[5], int64_t store[10])
{
    for (int i = 0; i < 2; i++) {
        store[i] = v->stride;
        store[2 + i] = v->dilation;
        store[4 + i] = v->begin;
        store[6 + i] = v->end;
    }
    const tern_attr all[] = {TERN_INTS("strides", store, 2), TERN_INTS("dilations", store + 2, 2), TERN_INTS("pads", store + 4, 4)};
    memcpy(attrs, all, sizeof all);
    memset(&attrs[3], 0, 2 * sizeof attrs[3]);
    return attrs;
}

/* Channels pass through a pointwise op first, so that they may be blocked. */
static void convolution_in_groups(const struct window *v, int64_t groups)
{
    tern_attr attrs[6] = {0};
    int64_t store[10], in[] = {v->h, v->w}, kernel[] = {v->k, v->k};
    spatial_attrs(v, attrs, store);
    attrs[3] = (tern_attr)TERN_INT("group", groups);
    int64_t reach = v->dilation * (v->k - 1) + 1;
    int64_t oh = (v->h + v->begin + v->end - reach) / v->stride + 1, ow = (v->w + v->begin + v->end - reach) / v->stride + 1;
    tern_graph *g = new_graph();
    tern_value x = tern_graph_op1(g, "neg", tern_graph_input(g, "x", TERN_F32, SHAPE(3, v->c, v->h, v->w), 0), NULL);
    tern_value w = tern_graph_input(g, "w", TERN_F32, SHAPE(v->o, v->c / groups, v->k, v->k), 0);
    tern_value dy = tern_graph_op1(g, "neg", tern_graph_input(g, "dy", TERN_F32, SHAPE(3, v->o, oh, ow), 0), NULL);
    tern_value bias = tern_graph_input(g, "bias", TERN_F32, SHAPE(v->o), 0);
    /* Weights that are there when the session is made are packed from where they lie, those of a run from a buffer. */
    const tern_value there = random_constant(g, TERN_F32, SHAPE(v->o, v->c / groups, v->k, v->k), 5);
    if (groups == 1 || groups != v->c || groups != v->o) { /* other kernels' */
        tern_graph_output(g, "y", tern_graph_op1(g, "relu", tern_graph_add(g, "conv", (const tern_value[]){x, w, bias}, 3, attrs), NULL));
        if (groups > 1)
            tern_graph_output(g, "there", tern_graph_op2(g, "conv", x, there, attrs));
    }
    if (v->stride == 1 || (v->dilation == 1 && v->k >= v->stride)) {
        attrs[4] = (tern_attr)TERN_INTS("input_shape", in, 2);
        tern_graph_output(g, "dx", tern_graph_op1(g, "relu", tern_graph_op2(g, "conv_grad_input", dy, w, attrs), NULL));
        if (groups > 1 || v->stride > 1)
            tern_graph_output(g, "back", tern_graph_op2(g, "conv_grad_input", dy, there, attrs));
    }
    attrs[4] = (tern_attr)TERN_INTS("kernel", kernel, 2);
    if (groups == 1)
        tern_graph_output(g, "dw", tern_graph_op2(g, "conv_grad_weight", x, dy, attrs));
    char what[160];
    snprintf(what, sizeof what, "%dx%d, %d to %d channels, %d groups, kernel %d, stride %d, dilation %d, pads %d %d, width %u", (int)v->h, (int)v->w,
             (int)v->c, (int)v->o, (int)groups, (int)v->k, (int)v->stride, (int)v->dilation, (int)v->begin, (int)v->end,
             device->info.native_vector_f32);
    check(g, what);
}

static void convolution(const struct window *v)
{
    convolution_in_groups(v, 1);
}

static void convolutions(void **state)
{
    (void)state;
    static const struct window all[] = {
        {1, 32, 28, 28, 3, 1, 1, 1, 1},  {16, 64, 14, 14, 3, 1, 1, 1, 1}, {3, 33, 17, 33, 3, 1, 1, 1, 1},  {33, 15, 15, 16, 3, 1, 1, 0, 1},
        {16, 16, 7, 7, 5, 1, 1, 2, 2},   {32, 48, 9, 56, 3, 2, 1, 1, 1},  {32, 16, 33, 17, 3, 1, 2, 2, 2},  {16, 127, 1, 1, 1, 1, 1, 0, 0},
        {48, 17, 6, 11, 1, 1, 1, 0, 0},  {8, 24, 12, 15, 7, 1, 1, 3, 3},  {5, 1, 4, 4, 4, 1, 1, 3, 0},      {16, 16, 30, 45, 1, 2, 1, 0, 0},
        {16, 32, 2, 3, 3, 1, 1, 1, 1},   {4, 16, 16, 31, 3, 3, 2, 2, 1},
        {24, 40, 13, 9, 3, 1, 1, 1, 1},   {12, 28, 7, 15, 1, 1, 1, 0, 0},   {40, 24, 12, 10, 5, 2, 1, 2, 2},
        {16, 32, 3, 3, 3, 1, 4, 4, 4},   {16, 16, 20, 30, 1, 1, 1, 14, 14}, {3, 16, 5, 30, 1, 1, 1, 14, 14}};
    for (int i = 0; i < TERN_COUNT(all); i += every)
        convolution(&all[i]);
}

/* Groups of whole blocks, of parts of one, of one channel to several; and gradients at strides, as decoders have them, whose phases differ in taps, pads
 * and extents. */
static void groups_and_phases(void **state)
{
    (void)state;
    static const struct {
        struct window v;
        int64_t groups;
    } all[] = {
        {{64, 32, 9, 13, 3, 1, 1, 1, 1}, 2}, {{32, 96, 11, 6, 4, 2, 1, 1, 1}, 1}, {{24, 40, 7, 15, 3, 1, 1, 1, 1}, 8}, {{16, 16, 8, 9, 2, 2, 1, 0, 0}, 1},
        {{16, 32, 6, 5, 3, 1, 1, 1, 1}, 16}, {{48, 16, 10, 7, 5, 3, 1, 2, 0}, 1}, {{32, 32, 6, 7, 4, 2, 1, 1, 1}, 32}, {{12, 18, 5, 8, 1, 1, 1, 0, 0}, 6},
        {{64, 64, 14, 14, 1, 1, 1, 0, 0}, 4}, {{3, 7, 9, 31, 3, 2, 1, 1, 1}, 1},  {{32, 64, 9, 9, 4, 2, 1, 2, 1}, 2}, {{16, 16, 3, 4, 3, 3, 1, 0, 0}, 1}};
    for (int i = 0; i < TERN_COUNT(all); i += every)
        convolution_in_groups(&all[i].v, all[i].groups);
}

/* A group for each channel. */
static void depthwise(const struct window *v)
{
    tern_attr attrs[6];
    int64_t store[10], in[] = {v->h, v->w}, reach = v->dilation * (v->k - 1) + 1;
    spatial_attrs(v, attrs, store);
    attrs[3] = (tern_attr)TERN_INT("group", v->c);
    attrs[5] = (tern_attr){0};
    int64_t oh = (v->h + v->begin + v->end - reach) / v->stride + 1, ow = (v->w + v->begin + v->end - reach) / v->stride + 1;
    tern_graph *g = new_graph();
    tern_value x = tern_graph_op1(g, "neg", tern_graph_input(g, "x", TERN_F32, SHAPE(3, v->c, v->h, v->w), 0), NULL);
    tern_value w = tern_graph_input(g, "w", TERN_F32, SHAPE(v->c, 1, v->k, v->k), 0);
    tern_value dy = tern_graph_op1(g, "neg", tern_graph_input(g, "dy", TERN_F32, SHAPE(3, v->c, oh, ow), 0), NULL);
    tern_value bias = tern_graph_input(g, "bias", TERN_F32, SHAPE(v->c), 0);
    tern_graph_output(g, "y", tern_graph_op1(g, "relu", tern_graph_add(g, "conv", (const tern_value[]){x, w, bias}, 3, attrs), NULL));
    if (v->stride == 1) {
        attrs[4] = (tern_attr)TERN_INTS("input_shape", in, 2);
        tern_graph_output(g, "dx", tern_graph_op2(g, "conv_grad_input", dy, w, attrs));
    }
    char what[160];
    snprintf(what, sizeof what, "depthwise %dx%d, %d channels, kernel %d, stride %d, dilation %d, pads %d %d, width %u", (int)v->h, (int)v->w, (int)v->c,
             (int)v->k, (int)v->stride, (int)v->dilation, (int)v->begin, (int)v->end, device->info.native_vector_f32);
    check_by(DEPTHWISE, g, what);
}

static void depthwise_convolutions(void **state)
{
    (void)state;
    static const struct window all[] = {
        {32, 0, 14, 14, 3, 1, 1, 1, 1}, {16, 0, 15, 33, 3, 2, 1, 1, 1}, {48, 0, 7, 7, 5, 1, 1, 2, 2}, {17, 0, 5, 9, 3, 1, 1, 0, 1},
        {16, 0, 13, 31, 5, 2, 1, 1, 2}, {15, 0, 1, 1, 3, 1, 1, 1, 1},   {16, 0, 17, 20, 7, 1, 1, 3, 3}, {33, 0, 9, 8, 3, 1, 2, 2, 2},
        {16, 0, 3, 2, 3, 1, 1, 4, 5},   {64, 0, 30, 28, 7, 2, 1, 3, 3},
        {24, 0, 11, 14, 3, 1, 1, 1, 1}, {28, 0, 12, 13, 5, 2, 1, 2, 1},
        /* Plain channels: vectors of pixels, but for lines that are too long. */
        {5, 0, 20, 45, 3, 1, 1, 4, 5},  {7, 0, 9, 50, 3, 3, 2, 2, 1},   {3, 0, 33, 40, 5, 2, 1, 1, 2},  {2, 0, 3, 2900, 3, 1, 1, 1, 1}};
    for (int i = 0; i < TERN_COUNT(all); i += every)
        depthwise(&all[i]);
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 20, 33), 0), w = tern_graph_input(g, "w", TERN_F32, SHAPE(20, 1, 4), 0);
    tern_graph_output(g, "y", tern_graph_op2(g, "conv", x, w, TERN_ATTRS(TERN_INT("group", 20), TERN_INTS("strides", ((const int64_t[]){3}), 1))));
    check_by(DEPTHWISE, g, "depthwise, one dimension");
}

static void other_ranks(void **state)
{
    (void)state;
    two("conv", SHAPE(2, 16, 33), SHAPE(17, 16, 4), TERN_ATTRS(LIST("pads", 2, 1)));
    two("conv_grad_input", SHAPE(2, 16, 31), SHAPE(16, 17, 3), TERN_ATTRS(LIST("input_shape", 33)));
    two("conv_grad_input", SHAPE(2, 16, 31), SHAPE(16, 17, 8), TERN_ATTRS(LIST("strides", 5), LIST("input_shape", 160)));
    two("conv_grad_weight", SHAPE(5, 16, 33), SHAPE(5, 17, 30), TERN_ATTRS(LIST("kernel", 4)));
    two("conv", SHAPE(2, 16, 3, 4, 5), SHAPE(32, 16, 1, 1, 1), NULL);
    two("conv", SHAPE(2, 5, 6, 5, 9), SHAPE(18, 5, 3, 2, 3), TERN_ATTRS(LIST("strides", 2, 1, 2), LIST("pads", 1, 0, 1, 1, 1, 2)));
    two("conv", SHAPE(1, 32, 5, 7, 16), SHAPE(16, 16, 2, 3, 3),
        TERN_ATTRS(TERN_INT("group", 2), LIST("dilations", 2, 1, 2), LIST("pads", 2, 1, 2, 1, 1, 2)));
    two("conv_grad_input", SHAPE(2, 16, 3, 4, 5), SHAPE(16, 8, 3, 3, 2),
        TERN_ATTRS(LIST("strides", 2, 2, 2), LIST("pads", 1, 0, 0, 1, 1, 0), LIST("input_shape", 5, 8, 10)));
    two("conv_grad_input", SHAPE(1, 6, 3, 3), SHAPE(6, 5, 4, 5), TERN_ATTRS(LIST("strides", 3, 4), LIST("input_shape", 10, 13))); /* the most phases */
    two("conv_grad_input", SHAPE(1, 6, 4, 3, 3), SHAPE(6, 7, 2, 1, 3), TERN_ATTRS(LIST("input_shape", 5, 3, 5)));
}

/* More taps than registers hold, between ops that like blocks: vectors of pixels, in plain channels. */
static void wide_depthwise(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value x = tern_graph_op1(g, "neg", tern_graph_input(g, "x", TERN_F32, SHAPE(1, 32, 100), 0), NULL);
    x = tern_graph_op2(g, "conv", x, random_constant(g, TERN_F32, SHAPE(32, 1, 31), 1), TERN_ATTRS(TERN_INT("group", 32), LIST("pads", 15, 15)));
    x = tern_graph_op2(g, "conv", tern_graph_op1(g, "relu", x, NULL), random_constant(g, TERN_F32, SHAPE(32, 32, 1), 2), NULL);
    tern_graph_output(g, "y", x);
    tern_session *s = NULL;
    assert_ok(tern_session_create(device, g, NULL, &s));
    assert_non_null(strstr(tern_session_source(s), "conv_depthwise_lines_cpu.cl"));
    tern_session_destroy(s);
    check_by(NULL, g, "31 taps, a group for each channel");
}

/* A network's step from blocked to blocked: conv, ReLU, residual, conv, flattened into a product. */
static void chains_stay_blocked(void **state)
{
    (void)state;
    const tern_attr *same = TERN_ATTRS(TERN_INTS("pads", ((const int64_t[]){1, 1, 1, 1}), 4));
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 1, 14, 14), 0);
    tern_value w1 = tern_graph_input(g, "w1", TERN_F32, SHAPE(32, 1, 3, 3), 0), w2 = tern_graph_input(g, "w2", TERN_F32, SHAPE(32, 32, 3, 3), 0);
    tern_value d = tern_graph_input(g, "d", TERN_F32, SHAPE(6272, 10), 0);
    tern_value a = tern_graph_op1(g, "tanh", tern_graph_op2(g, "conv", x, w1, same), NULL);
    tern_value b = tern_graph_op1(g, "tanh", tern_graph_op2(g, "add", tern_graph_op2(g, "conv", a, w2, same), a, NULL), NULL);
    tern_graph_output(g, "b", b);
    tern_graph_output(g, "y", tern_graph_op2(g, "matmul", tern_graph_op1(g, "flatten", b, NULL), d, NULL));
    check(g, "conv, conv, residual, product");
}

/* Channels that fill blocks smaller than the vectors: conv, pooling, residual, depthwise, and back to plain. */
static void small_blocks(void **state)
{
    (void)state;
    const tern_attr *same = TERN_ATTRS(TERN_INTS("pads", ((const int64_t[]){1, 1, 1, 1}), 4));
    static const int64_t channels[] = {24, 12, 56};
    for (int i = 0; i < TERN_COUNT(channels); i += every) {
        const int64_t c = channels[i];
        tern_graph *g = new_graph();
        tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 3, 14, 14), 0), b = tern_graph_input(g, "b", TERN_F32, SHAPE(1, c, 1, 1), 0);
        tern_value a = tern_graph_op1(g, "tanh", tern_graph_op2(g, "conv", x, random_constant(g, TERN_F32, SHAPE(c, 3, 3, 3), 1), same), NULL);
        a = tern_graph_op1(g, "max_pool", a, TERN_ATTRS(TERN_INTS("kernel", ((const int64_t[]){2, 2}), 2), TERN_INTS("strides", ((const int64_t[]){2, 2}), 2)));
        const tern_attr *each = TERN_ATTRS(TERN_INTS("pads", ((const int64_t[]){1, 1, 1, 1}), 4), TERN_INT("group", c));
        tern_value d = tern_graph_op2(g, "conv", a, random_constant(g, TERN_F32, SHAPE(c, 1, 3, 3), 2), each);
        d = tern_graph_op2(g, "add", d, b, NULL);
        tern_value e = tern_graph_op2(g, "add", tern_graph_op2(g, "conv", d, random_constant(g, TERN_F32, SHAPE(c, c, 1, 1), 3), NULL), a, NULL);
        tern_graph_output(g, "e", tern_graph_op1(g, "tanh", e, NULL));
        tern_graph_output(g, "m", tern_graph_op1(g, "mean", e, TERN_ATTRS(TERN_INTS("axes", ((const int64_t[]){2, 3}), 2))));
        tern_graph_output(g, "s", tern_graph_op2(g, "mul", e, tern_graph_op1(g, "sigmoid", e, NULL), NULL));
        check_by(NULL, g, "blocks smaller than vectors");
    }
}

static void narrower_vectors(void **state)
{
    const uint32_t native = device->info.native_vector_f32;
    const int usual = every;
    every = 5;
    for (uint32_t width = 4; width <= 16; width *= 2) {
        if (width == native)
            continue;
        device->info.native_vector_f32 = width;
        sizes_straddle_tiles(state);
        convolutions(state);
        depthwise_convolutions(state);
        groups_and_phases(state);
        small_blocks(state);
        chains_stay_blocked(state);
    }
    every = usual;
    device->info.native_vector_f32 = native;
}

/* 1x1 kernels ask for the next channels of an input that no cache keeps, past its end too. */
static void inputs_come_from_memory(void **state)
{
    (void)state;
    static const struct window all[] = {{48, 17, 6, 11, 1, 1, 1, 0, 0}, {32, 33, 9, 13, 1, 2, 1, 0, 0}, {64, 16, 2, 3, 1, 1, 1, 2, 1}};
    static const struct window large = {256, 16, 23, 23, 1, 1, 1, 0, 0}; /* more than a core's own cache keeps */
    const uint32_t native = device->info.native_vector_f32;
    const uint64_t cache = device->info.cache_bytes;
    device->info.native_vector_f32 = 16;
    device->info.cache_bytes = 64;
    for (int i = 0; i < TERN_COUNT(all); i += every)
        convolution(&all[i]);
    device->info.cache_bytes = (uint64_t)1 << 30;
    convolution(&large);
    device->info.native_vector_f32 = native;
    device->info.cache_bytes = cache;
}

/* relu(conv(x) + bias), and, with a residual, relu(that convolution of x + another one): channels that half fill a tile's last vectors, and do not. */
static tern_graph *block_of(int64_t c, bool residual)
{
    tern_graph *g = new_graph();
    tern_value x = tern_graph_op1(g, "neg", tern_graph_input(g, "x", TERN_F32, SHAPE(2, 32, 5, 7), 0), NULL);
    tern_value a = tern_graph_op2(g, "conv", x, tern_graph_input(g, "w", TERN_F32, SHAPE(c, 32, 1, 1), 0), NULL);
    a = tern_graph_op2(g, "add", a, tern_graph_input(g, "b", TERN_F32, SHAPE(1, c, 1, 1), 0), NULL);
    if (residual)
        a = tern_graph_op2(g, "add", a, tern_graph_op2(g, "conv", x, tern_graph_input(g, "v", TERN_F32, SHAPE(c, 32, 1, 1), 0), NULL), NULL);
    tern_graph_output(g, "y", tern_graph_op1(g, "exp", tern_graph_op1(g, "sigmoid", a, NULL), NULL));
    return g;
}

static void residuals_are_asked_for(void **state)
{
    (void)state;
    const uint32_t native = device->info.native_vector_f32;
    device->info.native_vector_f32 = 16;
    for (int64_t c = 32; c <= 48; c += 16)
        for (int residual = 0; residual < 2; residual++) {
            tern_session *s = NULL;
            tern_graph *g = block_of(c, residual);
            assert_ok(tern_session_create(device, g, &(tern_session_params){.force_impl = FORCED}, &s));
            const char *source = tern_session_source(s), *asks = strstr(source, "#define ASKS 1");
            assert_true(!asks == !residual);
            assert_true(!strstr(source, "PREFETCH(h") == !residual); /* a channel's bias is no such thing */
            assert_true(!asks || !strstr(asks + 1, "#define ASKS 1"));
            tern_session_destroy(s);
            check_by(FORCED, g, residual ? "a residual" : "no residual");
        }
    device->info.native_vector_f32 = native;
}

static void refused(const char *op, const tern_shape *x, const tern_shape *w, const tern_attr *attrs, const char *words)
{
    tern_session *s = NULL;
    tern_graph *g = new_graph();
    tern_graph_output(g, "y", tern_graph_op2(g, op, tern_graph_input(g, "x", TERN_F32, x, 0), tern_graph_input(g, "w", TERN_F32, w, 0), attrs));
    assert_fails(tern_session_create(device, g, &(tern_session_params){.force_impl = FORCED}, &s), TERN_E_UNSUPPORTED, words);
    tern_graph_destroy(g);
}

/* What these kernels leave is refused in words. */
static void refusals_have_reasons(void **state)
{
    (void)state;
    refused("conv", SHAPE(1, 4, 8, 8), SHAPE(4, 1, 3, 3), TERN_ATTRS(TERN_INT("group", 4)), "a group for each channel");
    refused("conv_grad_input", SHAPE(1, 4, 3, 3), SHAPE(4, 2, 2, 2), TERN_ATTRS(LIST("strides", 1, 3), LIST("input_shape", 4, 8)), "2 taps at stride 3");
    refused("conv_grad_input", SHAPE(1, 4, 3, 3), SHAPE(4, 2, 3, 3), TERN_ATTRS(LIST("strides", 2, 2), LIST("dilations", 2, 1), LIST("input_shape", 9, 7)),
            "dilation 2");
    refused("conv_grad_input", SHAPE(1, 4, 3, 3), SHAPE(4, 2, 4, 4), TERN_ATTRS(LIST("strides", 4, 4), LIST("input_shape", 12, 12)), "strides 1, 4, 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_straddle_tiles), cmocka_unit_test(long_sums_are_split), cmocka_unit_test(halves_are_packed),
        cmocka_unit_test(batches),              cmocka_unit_test(convolutions),        cmocka_unit_test(other_ranks),
        cmocka_unit_test(depthwise_convolutions), cmocka_unit_test(wide_depthwise),
        cmocka_unit_test(groups_and_phases),
        cmocka_unit_test(small_blocks),         cmocka_unit_test(inputs_come_from_memory), cmocka_unit_test(residuals_are_asked_for),
        cmocka_unit_test(chains_stay_blocked),  cmocka_unit_test(narrower_vectors),    cmocka_unit_test(refusals_have_reasons),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
