/* Big products by CLBlast on an OpenCL device taken as a GPU, against sums in double: beside another group, transposed, batched, failing,
 * and refused where they are not its business. Few variants, since CLBlast and the driver compile for each: seconds where nothing is cached. */
#include "tern_config.h"

#include <stdio.h>

#include <tern/device.h>
#include <tern/session.h>

#include "base/fault.h"
#include "graph_help.h"

#if TERN_HAVE_CLBLAST

enum { M = 256, N = 272, K = 288, SAMPLES = 400 };

static tern_device *device;

static int open_device(void **state)
{
    (void)state;
    if (tern_device_open(&(tern_device_params){.family = "simt", .profile = true}, &device) != TERN_OK) {
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

static void random_operands(const tern_graph *g, uint64_t seed, tern__array *a)
{
    for (int i = 0; i < 2; i++)
        a[i] = random_array(tern__type_of(g, g->inputs[i]), seed + (uint64_t)i, -1, 1);
}

/* --- One product and its relu --- */

typedef struct product {
    tern_dtype dtype;
    int64_t batch; /* 0: plain matrices */
    bool trans_a, trans_b, one_b; /* one_b: all of the batch meet one matrix */
} product;

static tern_shape matrix(int64_t batch, int64_t rows, int64_t columns, bool turned)
{
    int64_t r = turned ? columns : rows, c = turned ? rows : columns;
    return batch ? (tern_shape){.rank = 3, .dim = {batch, r, c}} : (tern_shape){.rank = 2, .dim = {r, c}};
}

static tern_graph *product_graph(const product *p, bool relu)
{
    tern_graph *g = new_graph();
    const tern_shape a = matrix(p->batch, M, K, p->trans_a), b = matrix(p->one_b ? 1 : p->batch, K, N, p->trans_b);
    tern_value x = tern_graph_input(g, "x", p->dtype, &a, 0), y = tern_graph_input(g, "y", p->dtype, &b, 0);
    tern_value z = tern_graph_op2(g, "matmul", x, y, TERN_ATTRS(TERN_INT("trans_a", p->trans_a), TERN_INT("trans_b", p->trans_b)));
    tern_graph_output(g, "z", z);
    if (relu)
        tern_graph_output(g, "r", tern_graph_op1(g, "relu", z, NULL));
    assert_ok(tern_graph_check(g));
    return g;
}

static double sum(const product *p, const tern__array *a, const tern__array *b, int64_t batch, int64_t i, int64_t j)
{
    double s = 0;
    int64_t at_a = batch * M * K, at_b = p->one_b ? 0 : batch * K * N;
    for (int64_t k = 0; k < K; k++)
        s += tern__array_get(a, at_a + (p->trans_a ? k * M + i : i * K + k)) * tern__array_get(b, at_b + (p->trans_b ? j * K + k : k * N + j));
    return s;
}

/* The first, the last and some hundred others. */
static void compare(const product *p, const tern__array *in, const tern_tensor *z, const tern_tensor *r, uint64_t seed)
{
    const int64_t batch = TERN_MAX(p->batch, 1), elems = batch * M * N;
    const tern__array got = {.type = {.dtype = p->dtype}, .data = tern_tensor_data(z)};
    const tern__array rest = {.type = {.dtype = p->dtype}, .data = r ? tern_tensor_data(r) : NULL};
    for (int s = 0; s < SAMPLES; s++) {
        int64_t at = s == 0 ? 0 : s == 1 ? elems - 1 : (int64_t)(tern__philox_word(seed, 3, (uint64_t)s) % (uint64_t)elems);
        double want = sum(p, &in[0], &in[1], at / (M * N), at / N % M, at % N), have = tern__array_get(&got, at);
        if (!(fabs(want - have) <= (p->dtype == TERN_F64 ? 1e-11 : 1e-4)))
            fail_msg("element %d is %.9g, expected %.9g", (int)at, have, want);
        if (r)
            assert_true(tern__array_get(&rest, at) == fmax(have, 0));
    }
}

static tern_session *create(const tern_graph *g)
{
    tern_session *s = NULL;
    assert_ok(tern_session_create(device, g, &(tern_session_params){.force_impl = "matmul=clblast"}, &s));
    return s;
}

static void check_groups(tern_session *s, bool relu)
{
    tern_group_info group;
    tern_plan_info info;
    tern_session_get_info(s, &info);
    assert_int_equal(tern_session_n_groups(s), relu ? 2 : 1);
    assert_int_equal(info.n_launches, relu ? 2 : 1);
    assert_int_equal(info.n_programs, relu ? 1 : 0); /* calls have no text */
    assert_ok(tern_session_group(s, 0, &group));
    assert_string_equal(group.impl, "clblast");
    assert_string_equal(group.ops, "matmul");
    assert_true(group.flops > 0 && group.bytes_fused >= group.bytes_unfused);
    if (relu) {
        assert_ok(tern_session_group(s, 1, &group));
        assert_string_equal(group.ops, "relu");
    }
}

/* Twice with other numbers, on results that are full of NaN before. */
static void check(const product *p, bool relu)
{
    tern_graph *g = product_graph(p, relu);
    tern_session *s = create(g);
    check_groups(s, relu);
    for (uint64_t run = 0; run < 2; run++) {
        tern__array arrays[2];
        random_operands(g, 21 + 2 * run, arrays);
        tern_tensor *in[2], *out[2] = {NULL, NULL};
        for (int i = 0; i < 2; i++)
            in[i] = tensor_of(&arrays[i]);
        for (int i = 0; i <= relu; i++) {
            const tern__type *t = tern__type_of(g, g->outputs[i].value);
            assert_ok(tern_tensor_create(t->dtype, &t->shape, &out[i]));
            memset(tern_tensor_data(out[i]), 0xff, tern_tensor_size_bytes(out[i]));
        }
        assert_ok(tern_session_run(s, in, out));
        compare(p, arrays, out[0], out[1], 5 + run);
        for (int i = 0; i < 2; i++) {
            tern_tensor_destroy(in[i]);
            tern_tensor_destroy(out[i]);
            tern__free(arrays[i].data);
        }
    }
    tern_group_info group;
    assert_ok(tern_session_group(s, 0, &group));
    assert_true(group.time_us > 0); /* though it is no kernel of ours */
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

static void product_and_relu(void **state)
{
    (void)state;
    check(&(product){.dtype = TERN_F32}, true);
}

static void operand_turned(void **state)
{
    (void)state;
    check(&(product){.dtype = TERN_F32, .trans_b = true}, false);
}

static void batches(void **state)
{
    (void)state;
    check(&(product){.dtype = TERN_F32, .batch = 2, .trans_a = true, .one_b = true}, false);
}

/* --- Failures and refusals --- */

/* The call itself is among what is made to fail. */
static void opencl_fails(void **state)
{
    (void)state;
    tern_graph *g = product_graph(&(product){.dtype = TERN_F32}, false);
    tern_session *s = create(g);
    tern__array arrays[2];
    random_operands(g, 4, arrays);
    tern_tensor *in[2] = {tensor_of(&arrays[0]), tensor_of(&arrays[1])}, *out = NULL;
    const tern__type *t = tern__type_of(g, g->outputs[0].value);
    assert_ok(tern_tensor_create(t->dtype, &t->shape, &out));
    tern__fault_arm(TERN__FAULT_CL, 0, false);
    assert_ok(tern_session_run(s, in, &out));
    long calls = tern__fault_count(TERN__FAULT_CL), ours = 0;
    for (long n = 1; n <= calls; n++) {
        tern__fault_arm(TERN__FAULT_CL, n, false);
        tern_status st = tern_session_run(s, in, &out);
        tern__fault_arm(TERN__FAULT_CL, 0, false);
        ours += st == TERN_E_DEVICE && strstr(tern_last_error(), "CLBlast's product of 256 x 288 by 288 x 272: the device is out of resources (-5)") != NULL;
    }
    assert_int_equal(ours, 1);
    assert_ok(tern_session_run(s, in, &out));
    compare(&(product){.dtype = TERN_F32}, arrays, out, NULL, 9);
    tern_tensor_destroy(in[0]);
    tern_tensor_destroy(in[1]);
    tern_tensor_destroy(out);
    tern_session_destroy(s);
    tern__free(arrays[0].data);
    tern__free(arrays[1].data);
    tern_graph_destroy(g);
}

static void refused(tern_device *d, tern_dtype dtype, const tern_shape *a, const tern_shape *b, const char *words)
{
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", dtype, a, 0), y = tern_graph_input(g, "y", dtype, b, 0);
    tern_graph_output(g, "z", tern_graph_op2(g, "matmul", x, y, NULL));
    tern_session *s = NULL;
    assert_fails(tern_session_create(d, g, &(tern_session_params){.force_impl = "matmul=clblast"}, &s), TERN_E_UNSUPPORTED, words);
    tern_graph_destroy(g);
}

static void refusals(void **state)
{
    (void)state;
    refused(device, TERN_F32, SHAPE(64, 64), SHAPE(64, 64), "clblast: 64 rows, 64 columns and sums over 64: each must be at least 256");
    refused(device, TERN_F32, SHAPE(M, 255), SHAPE(255, N), "sums over 255");
    refused(device, TERN_F16, SHAPE(M, K), SHAPE(K, N), "clblast: f16 is not for this library");
    refused(device, TERN_F32, SHAPE(2, 1, M, K), SHAPE(2, 3, K, N), "operand 0 has 2 matrices for a batch of 6");
    static const char *const others[][2] = {{"cpu", "made for GPUs"}, {"simt", "an OpenCL device"}};
    for (int i = 0; i < TERN_COUNT(others); i++) {
        tern_device *d = NULL;
        assert_ok(tern_device_open(&(tern_device_params){.select = i ? "null" : "", .family = others[i][0]}, &d));
        refused(d, TERN_F32, SHAPE(M, K), SHAPE(K, N), others[i][1]);
        tern_device_close(d);
    }
}

/* Without being asked for: big products on GPUs go to CLBlast, others do not. */
static void chosen_by_size(void **state)
{
    (void)state;
    for (int64_t rows = 255; rows <= 256; rows++) {
        tern_graph *g = new_graph();
        tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(rows, K), 0), y = tern_graph_input(g, "y", TERN_F32, SHAPE(K, N), 0);
        tern_graph_output(g, "z", tern_graph_op2(g, "matmul", x, y, NULL));
        tern_session *s = NULL;
        tern_group_info group;
        assert_ok(tern_session_create(device, g, NULL, &s));
        assert_ok(tern_session_group(s, 0, &group));
        assert_string_equal(group.impl, rows < 256 ? "simt_tile" : "clblast");
        tern_session_destroy(s);
        tern_graph_destroy(g);
    }
}

int main(void)
{
    if (getenv("TERN_TEST_SLOW_DEVICE")) { /* its kernels and these sizes take a simulator hours */
        print_message("1..0 # SKIP a slow device\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),        cmocka_unit_test(chosen_by_size), cmocka_unit_test(product_and_relu),
        cmocka_unit_test(operand_turned), cmocka_unit_test(batches),        cmocka_unit_test(opencl_fails),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}

#else

int main(void)
{
    print_message("1..0 # SKIP built without CLBlast\n");
    return 77;
}

#endif
