/* Pooling on a device against the references: blocked channels behind a convolution and plain ones, both families, windows that overlap, hang
 * over the end, leave a rest or hold equal elements, and their gradients. */
#include <stdio.h>
#include <string.h>

#include "session_check.h"

#include "attr_help.h"
#include "device/device.h"

typedef struct pooling {
    const char *op;
    const tern_attr *attrs;
} pooling;

static const pooling planes[] = {
    {"max_pool", WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2))},
    {"max_pool", WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2), TERN_INT("ceil_mode", 1))},
    {"max_pool", WITH(LIST("kernel", 3, 3), LIST("strides", 2, 2), LIST("pads", 1, 1, 1, 1))},
    {"max_pool", WITH(LIST("kernel", 2, 3), LIST("dilations", 2, 1), LIST("pads", 0, 1, 1, 0))},
    {"average_pool", WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2))},
    {"average_pool", WITH(LIST("kernel", 3, 3), LIST("strides", 2, 2), LIST("pads", 1, 1, 1, 1))},
    {"average_pool", WITH(LIST("kernel", 3, 2), LIST("strides", 2, 3), LIST("pads", 1, 0, 0, 1), TERN_INT("ceil_mode", 1), TERN_INT("count_include_pad", 1))},
    {"average_pool", WITH(LIST("kernel", 3, 3), LIST("strides", 1, 2), TERN_INT("divisor", 5))},
};
static const pooling rows[] = {
    {"max_pool", WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2))},
    {"max_pool", WITH(LIST("kernel", 1, 3), LIST("strides", 1, 2))},
    {"max_pool", WITH(LIST("kernel", 3, 4), LIST("strides", 1, 1))},
    {"max_pool", WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2), LIST("dilations", 1, 3))},
    {"average_pool", WITH(LIST("kernel", 3, 3), LIST("strides", 3, 2))},
    {"average_pool", WITH(LIST("kernel", 2, 5), LIST("strides", 1, 1), TERN_INT("divisor", 7))},
    {"max_pool", WITH(LIST("kernel", 3, 3), LIST("strides", 2, 2), LIST("pads", 1, 1, 1, 1))},
    {"max_pool", WITH(LIST("kernel", 1, 4), LIST("strides", 1, 2), LIST("pads", 0, 3, 0, 2))},
    {"max_pool", WITH(LIST("kernel", 2, 3), LIST("strides", 1, 1), LIST("pads", 1, 2, 0, 0))},
    {"max_pool", WITH(LIST("kernel", 2, 3), LIST("strides", 2, 2), LIST("pads", 0, 3, 1, 1), LIST("dilations", 1, 2))},
    {"average_pool", WITH(LIST("kernel", 3, 3), LIST("strides", 1, 1), LIST("pads", 1, 1, 1, 1))},
    {"average_pool", WITH(LIST("kernel", 3, 3), LIST("strides", 2, 2), LIST("pads", 0, 0, 1, 2), TERN_INT("count_include_pad", 1))},
    {"average_pool", WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2), LIST("pads", 1, 1, 0, 0), TERN_INT("ceil_mode", 1))},
};
static const pooling lines[] = {
    {"max_pool", WITH(LIST("kernel", 3), LIST("strides", 3))},
    {"max_pool", WITH(LIST("kernel", 3), LIST("strides", 2), LIST("pads", 1, 1))},
    {"average_pool", WITH(LIST("kernel", 4), LIST("strides", 3), LIST("pads", 2, 1))},
};
static const pooling volumes[] = {
    {"max_pool", WITH(LIST("kernel", 2, 2, 2), LIST("strides", 2, 2, 2))},
    {"max_pool", WITH(LIST("kernel", 2, 1, 3), LIST("strides", 1, 1, 2), LIST("pads", 1, 0, 0, 0, 0, 1))},
    {"average_pool", WITH(LIST("kernel", 2, 3, 2), LIST("strides", 1, 2, 2), LIST("pads", 1, 1, 0, 0, 1, 0))},
};

static tern_value whole_variable(tern_graph *g, const char *name, const tern_shape *s, uint64_t stream)
{
    tern_tensor *t = NULL;
    MUST(tern_tensor_create(TERN_F32, s, &t));
    float *x = tern_tensor_data(t);
    /* Few whole numbers: equal ones meet in a window, and sums are exact in any order. */
    for (size_t i = 0; i < tern_tensor_elems(t); i++)
        x[i] = floorf(5 * tern__philox_uniform(11, stream, i)) - 2;
    tern_value v = tern_graph_variable(g, name, t, true);
    tern_tensor_destroy(t);
    return v;
}

/* Every pooling of one value, and the gradient of the sum of the squares of all results. */
static void check(const char *family, tern_shape s, bool behind_conv, const pooling *p, int n)
{
    tern_device *d = NULL;
    tern_graph *g = NULL;
    MUST(tern_device_open(&(tern_device_params){.family = family}, &d));
    MUST(tern_graph_create(&g));
    tern_value x = whole_variable(g, "x", &s, 1), v = x, loss = TERN_NONE, dx;
    if (behind_conv) {
        const tern_shape ws = {.rank = 4, .dim = {s.dim[1], s.dim[1], 1, 1}};
        v = tern_graph_op2(g, "conv", x, whole_variable(g, "w", &ws, 2), NULL);
    }
    for (int i = 0; i < n; i++) {
        char name[8];
        snprintf(name, sizeof name, "y%d", i);
        tern_value y = tern_graph_op1(g, p[i].op, v, p[i].attrs);
        tern_graph_output(g, name, y);
        tern_value sum = tern_graph_op1(g, "sum", tern_graph_op2(g, "mul", y, y, NULL), WITH(TERN_INT("keepdims", 0)));
        loss = i ? tern_graph_op2(g, "add", loss, sum, NULL) : sum;
    }
    MUST(tern_graph_check(g));
    MUST(tern_graph_gradients(g, loss, &x, 1, &dx));
    tern_graph_output(g, "dx", dx);
    /* Gradients are in the hundreds and cancel in the convolution's; one that went to a wrong element is off by whole numbers. */
    check_session(d, g, NULL, 1, 1e-3);
    tern_graph_destroy(g);
    tern_device_close(d);
}

static void test_blocked(void **state)
{
    (void)state;
    check("cpu", (tern_shape){.rank = 4, .dim = {2, 32, 9, 10}}, true, planes, TERN_COUNT(planes));
}

static void test_plain(void **state)
{
    (void)state;
    check("cpu", (tern_shape){.rank = 4, .dim = {2, 5, 9, 10}}, false, planes, TERN_COUNT(planes));
    check("cpu", (tern_shape){.rank = 5, .dim = {1, 3, 4, 5, 7}}, false, volumes, TERN_COUNT(volumes));
}

/* Rows of plain channels, of which vectors of pixels are computed where they fit: rests, overlaps, taps at odd columns up to the last one, and windows that
 * reach outside at either end. */
static void test_rows_of_pixels(void **state)
{
    (void)state;
    static const struct { tern_dtype type; int64_t width; } inputs[] = {
        {TERN_F32, 5}, {TERN_F32, 9}, {TERN_F32, 16}, {TERN_F32, 18}, {TERN_F32, 70}, {TERN_F16, 33}, {TERN_U8, 34}, {TERN_I64, 35}};
    tern_device *d = NULL;
    MUST(tern_device_open(&(tern_device_params){.family = "cpu"}, &d));
    for (int i = 0; i < TERN_COUNT(inputs); i++) {
        const tern_dtype t = inputs[i].type;
        const tern_shape shape = {.rank = 4, .dim = {2, 3, 7, inputs[i].width}};
        tern_graph *g = NULL;
        tern_session *s = NULL;
        MUST(tern_graph_create(&g));
        tern_value x = tern__cast(g, tern__add_scalar(g, tern__mul_scalar(g, tern_graph_input(g, "x", TERN_F32, &shape, 0), 60), 125), t);
        for (int k = 0; k < TERN_COUNT(rows) && (tern__dtype_is(t, TERN__T_FLOAT) || !strcmp(rows[k].op, "max_pool")); k++) {
            char name[8];
            snprintf(name, sizeof name, "y%d", k);
            tern_graph_output(g, name, tern_graph_op1(g, rows[k].op, x, rows[k].attrs));
        }
        check_session(d, g, NULL, 1, t == TERN_F16 ? 2e-3 : 1e-5);
        MUST(tern_session_create(d, g, NULL, &s));
        /* Where a device has no vectors, none are forced: the search for uninitialised reads in Oclgrind 21.10 dies in halves of vectors. */
        assert_true(strstr(tern_session_source(s), "#define PIXELS 1") || inputs[i].width < 16 || d->info.native_vector_f32 < 4);
        tern_session_destroy(s);
        tern_graph_destroy(g);
    }
    tern_device_close(d);
}

static void test_simt(void **state)
{
    (void)state;
    check("simt", (tern_shape){.rank = 4, .dim = {2, 16, 9, 10}}, true, planes, 3);
    check("simt", (tern_shape){.rank = 3, .dim = {3, 16, 17}}, false, lines, TERN_COUNT(lines));
}

/* Behind a convolution with full vectors of channels the pool takes them as they come: nothing is reordered in between. */
static void test_no_reorder_between(void **state)
{
    (void)state;
    tern_device *d = NULL;
    tern_graph *g = NULL;
    tern_session *s = NULL;
    MUST(tern_device_open(&(tern_device_params){.family = "cpu"}, &d));
    MUST(tern_graph_create(&g));
    const tern_shape xs = {.rank = 4, .dim = {1, 16, 8, 8}}, ws = {.rank = 4, .dim = {16, 16, 3, 3}};
    tern_value x = tern_graph_input(g, "x", TERN_F32, &xs, 0);
    tern_value y = tern_graph_op2(g, "conv", x, whole_variable(g, "w", &ws, 1), WITH(LIST("pads", 1, 1, 1, 1)));
    y = tern_graph_op1(g, "max_pool", tern_graph_op1(g, "relu", y, NULL), WITH(LIST("kernel", 2, 2), LIST("strides", 2, 2)));
    tern_graph_output(g, "y", tern_graph_op2(g, "conv", y, whole_variable(g, "w2", &ws, 2), NULL));
    MUST(tern_session_create(d, g, NULL, &s));
    const char *source = tern_session_source(s);
    assert_non_null(strstr(source, "#define ROWS 1")); /* pool.cl with vectors of channels */
    int reorders = 0;
    for (const char *at = source; (at = strstr(at, "_reorder\n")) != NULL; at++)
        reorders++; /* each kernel defines its name once */
    assert_true(reorders >= 1 && reorders <= 2); /* into the first convolution and out of the last */
    tern_session_destroy(s);
    tern_graph_destroy(g);
    tern_device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocked),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_rows_of_pixels),
        cmocka_unit_test(test_simt),
        cmocka_unit_test(test_no_reorder_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
