/* Devices and tensors: selection, limits, references, an application's own OpenCL, and every fault. */
#include "device_help.h"

#include <unistd.h>

#include "device/tensor.h"

/* --- Choosing --- */

static tern_device_info made_up(const char *name, tern_device_type type, bool unified, uint32_t units)
{
    tern_device_info i = { .type = type, .unified_memory = unified, .compute_units = units, .clock_mhz = 1000, .compiler = true, .native_vector_f32 = 1 };
    snprintf(i.name, sizeof i.name, "%s", name);
    snprintf(i.platform, sizeof i.platform, "Platform of %s", name);
    return i;
}

static void test_ranking(void **state)
{
    (void)state;
    tern_device_info d[] = {
        made_up("Old CPU", TERN_DEVICE_CPU, true, 64),
        made_up("Integrated", TERN_DEVICE_GPU, true, 12),
        made_up("Card A", TERN_DEVICE_GPU, false, 40),
        made_up("Card B", TERN_DEVICE_GPU, false, 80),
        made_up("Board", TERN_DEVICE_ACCELERATOR, false, 500),
        made_up("Mute card", TERN_DEVICE_GPU, false, 900),
    };
    enum { N = TERN_COUNT(d) };
    int i = -1;
    d[5].compiler = false;
    tern__device_explain(d, N);
    for (int k = 0; k < N; k++) {
        assert_int_equal(d[k].chosen, k == 3);
        assert_non_null(strstr(d[k].why, k == 3 ? "chosen: a GPU with memory of its own" : "not chosen"));
    }
    assert_non_null(strstr(d[5].why, "without a kernel compiler"));
    static const struct { const char *select; int want; } cases[] = {
        { "", 3 }, { "0", 0 }, { "5", 5 }, { "cpu", 0 }, { "GPU", 3 }, { "accelerator", 4 }, { "card a", 2 }, { "integ", 1 },
        { "card", 3 }, { "Platform of Old", 0 },
    };
    for (int c = 0; c < TERN_COUNT(cases); c++) {
        OK(tern__device_choose(cases[c].select, d, N, &i));
        assert_int_equal(i, cases[c].want);
    }
    i = 77;
    static const char *const wrong[] = { "6", "99999999999999999999", "-1", "card c", "1 " };
    for (int w = 0; w < TERN_COUNT(wrong); w++) {
        assert_int_equal(tern__device_choose(wrong[w], d, N, &i), TERN_E_NO_DEVICE);
        SAYS(wrong[w]);
        for (int k = 0; k < N; k++)
            SAYS(d[k].name);
    }
    assert_int_equal(i, 77);
    tern__device_explain(d, 1);
    assert_non_null(strstr(d[0].why, "the only device"));
}

static void test_list_and_open(void **state)
{
    (void)state;
    tern_device_info *infos = NULL, info;
    int n = 0, chosen = 0;
    OK(tern_device_list(&infos, &n));
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        const tern_device_info *d = &infos[i];
        assert_int_equal(d->index, i);
        assert_true(d->name[0] && d->platform[0] && d->version[0] && d->why[0]);
        assert_true(d->global_mem_bytes > 0 && d->max_alloc_bytes > 0 && d->compute_units > 0 && d->max_work_group > 0);
        assert_true(d->base_align_bytes > 0 && (d->base_align_bytes & (d->base_align_bytes - 1)) == 0);
        chosen += d->chosen;

        char index[16];
        snprintf(index, sizeof index, "%d", i);
        tern_device *o = open_device(index);
        tern_device_get_info(o, &info);
        assert_int_equal(info.index, i);
        assert_string_equal(info.name, d->name);
        tern_device_close(o);
    }
    assert_int_equal(chosen, 1);
    tern_device_list_free(infos);
    tern_device_list_free(NULL);
    tern_device_close(NULL);
    assert_int_equal(tern_device_list(NULL, &n), TERN_E_INVALID);
    assert_int_equal(tern_device_open(NULL, NULL), TERN_E_INVALID);
}

static void test_selection_from_the_environment(void **state)
{
    (void)state;
    const tern_device_params empty = { .select = "", .cache_dir = "" };
    tern_device *d = NULL;
    tern_device_info info;
    char *before = getenv("TERN_DEVICE") ? strdup(getenv("TERN_DEVICE")) : NULL;
    setenv("TERN_DEVICE", "null:gpu", 1);
    OK(tern_device_open(&empty, &d));
    tern_device_get_info(d, &info);
    assert_string_equal(info.name, "null:gpu");
    assert_int_equal(info.type, TERN_DEVICE_NULL);
    assert_int_equal(d->family, TERN__FAMILY_SIMT);
    tern_device_close(d);

    d = open_device("NULL:cpu"); /* params before the environment, in any case */
    assert_int_equal(d->family, TERN__FAMILY_CPU);
    tern_device_close(d);

    d = NULL;
    setenv("TERN_DEVICE", "no such device", 1);
    assert_int_equal(tern_device_open(&empty, &d), TERN_E_NO_DEVICE);
    SAYS("no such device");
    SAYS("there is 0:");
    assert_null(d);
    const tern_device_params odd = { .select = "null:fpga" };
    assert_int_equal(tern_device_open(&odd, &d), TERN_E_NO_DEVICE);
    SAYS("null:gpu");
    if (before)
        setenv("TERN_DEVICE", before, 1);
    else
        unsetenv("TERN_DEVICE");
    free(before);
}

static void test_family_is_forced(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device_params params = { .select = devices[i], .cache_dir = "", .family = "simt" };
        tern_device *d = NULL;
        OK(tern_device_open(&params, &d));
        assert_int_equal(d->family, TERN__FAMILY_SIMT);
        tern_device_close(d);
        params.family = "cpu";
        OK(tern_device_open(&params, &d));
        assert_int_equal(d->family, TERN__FAMILY_CPU);
        tern_device_close(d);
        params.family = "tpu";
        assert_int_equal(tern_device_open(&params, &d), TERN_E_INVALID);
        SAYS("tpu");
    }
}

/* --- Launches --- */

static void test_launch_limits(void **state)
{
    (void)state;
    static const char source[] = "kernel void k(global int *x, int a) { x[get_global_id(0)] = a; }";
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device *d = open_device(devices[i]);
        tern__program *p;
        tern__kernel *k;
        OK(tern__program_build(d, source, sizeof source - 1, "", NULL, &p));
        OK(tern__kernel_create(p, "k", &k));
        const size_t max = d->info.max_work_group;
        const struct { int dims; size_t global[3], local[3]; } bad[] = {
            { 0, { 1 }, { 1 } }, { 4, { 1 }, { 1 } }, { 1, { 0 }, { 0 } }, { 1, { 10 }, { 3 } }, { 2, { 8, 8 }, { 8, 0 } }, { 1, { max * 2 }, { max * 2 } },
            { 2, { max, max }, { max, 2 } },
        };
        for (int b = 0; b < TERN_COUNT(bad); b++) {
            assert_int_equal(tern__kernel_launch(k, bad[b].dims, bad[b].global, bad[b].local, NULL), TERN_E_INVALID);
            SAYS("kernel k");
        }
        const tern__arg wide = { .kind = TERN__ARG_SCALAR, .size = 9 }, much = { .kind = TERN__ARG_LOCAL, .size = (size_t)1 << 40 };
        const tern__arg scalar = { .kind = TERN__ARG_SCALAR, .size = 4 };
        assert_int_equal(tern__kernel_set_arg(k, 1, &wide), TERN_E_INVALID);
        assert_int_equal(tern__kernel_set_arg(k, 1, &much), TERN_E_INVALID);
        SAYS("local memory");
        assert_int_equal(tern__kernel_set_arg(k, -1, &scalar), TERN_E_INVALID);
        if (tern__kernel_n_args(k) >= 0) {
            assert_int_equal(tern__kernel_n_args(k), 2);
            assert_int_equal(tern__kernel_set_arg(k, 2, &scalar), TERN_E_INVALID);
            const size_t one[3] = { 1 };
            assert_int_equal(tern__kernel_launch(k, 1, one, one, NULL), TERN_E_DEVICE); /* an argument was never set */
            SAYS("CL_INVALID_KERNEL_ARGS");
        }
        tern__kernel_release(k);
        tern__program_release(p);
        tern_device_close(d);
    }
}

static void test_unchanged_arguments_cost_nothing(void **state)
{
    (void)state;
    static const char source[] = "kernel void k(global int *x, int a) { x[get_global_id(0)] = a; }";
    tern_device *d = open_device("");
    tern__program *p;
    tern__kernel *k;
    tern__buffer *b, *c;
    OK(tern__program_build(d, source, sizeof source - 1, "", NULL, &p));
    OK(tern__kernel_create(p, "k", &k));
    OK(tern__buffer_create(d, 64, &b));
    OK(tern__buffer_create(d, 64, &c));
    tern__arg x = { .kind = TERN__ARG_BUFFER, .buffer = b }, a = { .kind = TERN__ARG_SCALAR, .size = 4 };
    tern__fault_arm(TERN__FAULT_CL, 0, false);
    for (int r = 0; r < 5; r++) {
        OK(tern__kernel_set_arg(k, 0, &x));
        OK(tern__kernel_set_arg(k, 1, &a));
    }
    assert_int_equal(tern__fault_count(TERN__FAULT_CL), 2);
    x.buffer = c;
    a.scalar[0] = 1;
    OK(tern__kernel_set_arg(k, 0, &x));
    OK(tern__kernel_set_arg(k, 1, &a));
    assert_int_equal(tern__fault_count(TERN__FAULT_CL), 4);
    tern__buffer_release(b);
    tern__buffer_release(c);
    tern__kernel_release(k);
    tern__program_release(p);
    tern_device_close(d);
}

static void test_measure(void **state)
{
    (void)state;
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        skip();
    tern_device *d = open_device("");
    tern_device_speed s = { 0 };
    OK(tern_device_measure(d, &s));
    assert_true(s.gflops > 0.01 && s.gflops < 1e7);
    assert_true(s.gbytes_per_s > 0.01 && s.gbytes_per_s < 1e6);
    tern_device_close(d);
    d = open_device("null");
    assert_int_equal(tern_device_measure(d, &s), TERN_E_UNSUPPORTED);
    tern_device_close(d);
}

/* --- Compiler logs --- */

static void check_log(const char *log, const char *source, const char *want)
{
    tern__str s = { 0 };
    tern__cl_log_pick(&s, log, source, source ? strlen(source) : 0);
    assert_string_equal(tern__str_text(&s), want);
    tern__str_finish(&s);
}

static void test_compiler_logs(void **state)
{
    (void)state;
    static const char source[] = "int before;\n#line 1 \"kernels/a.cl\"\nint a1;\nint a2;\n#line 10 \"kernels/lib/b.clh\"\nint b10;\nint b11;\n";
    check_log("input.cl:4:7: error: oops\n", source, "kernels/a.cl:2:7: error: oops");
    check_log("warning: w\n<kernel>:7:1: error: one\n  here\ninput.cl:3:2: fatal error: two", source,
              "kernels/lib/b.clh:11:1: error: one; kernels/a.cl:1:2: fatal error: two");
    check_log("error: kernels/a.cl:2:7: oops", source, "error: kernels/a.cl:2:7: oops"); /* said right already */
    check_log("input.cl:1:7: error: oops", source, "input.cl:1:7: error: oops");         /* before the first file */
    check_log("error: no place", source, "error: no place");
    check_log("error: at :: and :x:", NULL, "error: at :: and :x:");
    check_log("it did not work\nat all\n", source, "it did not work; at all");
    check_log("", source, "");
    check_log("a:99999999999999999999999999: error", source, "kernels/lib/b.clh:12: error");
}

/* --- Tensors --- */

static void test_tensors(void **state)
{
    (void)state;
    tern_tensor *t = NULL;
    tern_shape shape = { .rank = 3, .dim = { 2, 3, 5 } };
    OK(tern_tensor_create(TERN_F64, &shape, &t));
    assert_int_equal(tern_tensor_elems(t), 30);
    assert_int_equal(tern_tensor_size_bytes(t), 240);
    assert_int_equal(tern_tensor_dtype(t), TERN_F64);
    assert_int_equal(tern_tensor_shape(t)->dim[2], 5);
    for (int i = 0; i < 30; i++)
        assert_true(((double *)tern_tensor_data(t))[i] == 0);
    assert_null(tern__tensor_buffer(t));
    assert_null(tern_tensor_cl_mem(t));
    tern_tensor_destroy(t);
    tern_tensor_destroy(NULL);

    float x[4] = { 1, 2, 3, 4 };
    shape = (tern_shape){ .rank = 1, .dim = { 4 } };
    OK(tern_tensor_wrap(TERN_F32, &shape, x, &t));
    assert_ptr_equal(tern_tensor_data(t), x);
    tern_tensor_destroy(t);
    shape = (tern_shape){ 0 };
    OK(tern_tensor_create(TERN_BOOL, &shape, &t)); /* a scalar */
    assert_int_equal(tern_tensor_elems(t), 1);
    tern_tensor_destroy(t);
    shape = (tern_shape){ .rank = 2, .dim = { 0, 7 } };
    OK(tern_tensor_wrap(TERN_I8, &shape, NULL, &t)); /* nothing to point at */
    assert_int_equal(tern_tensor_size_bytes(t), 0);
    tern_tensor_destroy(t);
}

static void test_tensor_refusals(void **state)
{
    (void)state;
    tern_tensor *t = NULL;
    tern_shape one = { .rank = 1, .dim = { 1 } }, deep = { .rank = 9 }, minus = { .rank = 2, .dim = { 3, -4 } };
    tern_shape huge = { .rank = 2, .dim = { INT64_MAX, 2 } }, wide = { .rank = 1, .dim = { INT64_MAX } };
    assert_int_equal(tern_tensor_create(TERN_F32, &deep, &t), TERN_E_SHAPE);
    SAYS("rank 9");
    deep.rank = -1;
    assert_int_equal(tern_tensor_create(TERN_F32, &deep, &t), TERN_E_SHAPE);
    assert_int_equal(tern_tensor_create(TERN_F32, &minus, &t), TERN_E_SHAPE);
    SAYS("dimension 1 is -4");
    assert_int_equal(tern_tensor_create(TERN_F32, &huge, &t), TERN_E_SHAPE);
    SAYS("9223372036854775807x2");
    assert_int_equal(tern_tensor_create(TERN_F32, &wide, &t), TERN_E_SHAPE);
    assert_int_equal(tern_tensor_create(TERN_DTYPE_COUNT, &one, &t), TERN_E_DTYPE);
    assert_int_equal(tern_tensor_create(TERN_F32, NULL, &t), TERN_E_INVALID);
    assert_int_equal(tern_tensor_create(TERN_F32, &one, NULL), TERN_E_INVALID);
    assert_int_equal(tern_tensor_wrap(TERN_F32, &one, NULL, &t), TERN_E_INVALID);
    assert_null(t);
}

/* --- An application's own OpenCL --- */

typedef struct app {
    cl_context context, other;
    cl_command_queue queue, unordered;
    cl_mem mem;
    cl_uint references; /* on context, while Tern has none */
} app;

static cl_uint references(cl_context c)
{
    cl_uint n = 0;
    assert_int_equal(clGetContextInfo(c, CL_CONTEXT_REFERENCE_COUNT, sizeof n, &n, NULL), CL_SUCCESS);
    return n;
}

/* Drivers' own threads let go of what a finished command held a moment after clFinish has returned. */
static cl_uint settled_references(const app *a, cl_uint want)
{
    clFinish(a->queue);
    for (int i = 0; i < 2000 && references(a->context) != want; i++)
        usleep(1000);
    return references(a->context);
}

static void app_open(app *a)
{
    tern_device *d = open_device("");
    cl_device_id id = tern__cl_of(d)->device;
    cl_int err[5];
    tern_device_close(d);
    a->context = clCreateContext(NULL, 1, &id, NULL, NULL, &err[0]);
    a->other = clCreateContext(NULL, 1, &id, NULL, NULL, &err[1]);
    a->queue = clCreateCommandQueue(a->context, id, 0, &err[2]);
    a->unordered = clCreateCommandQueue(a->context, id, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err[3]);
    a->mem = clCreateBuffer(a->context, CL_MEM_READ_WRITE, 4096, NULL, &err[4]);
    for (int i = 0; i < 5; i++)
        assert_int_equal(i == 3 ? CL_SUCCESS : err[i], CL_SUCCESS); /* out-of-order queues are optional */
    if (err[3] != CL_SUCCESS)
        a->unordered = NULL;
    a->references = references(a->context);
}

static void app_close(app *a)
{
    clReleaseMemObject(a->mem);
    clReleaseCommandQueue(a->queue);
    if (a->unordered)
        clReleaseCommandQueue(a->unordered);
    clReleaseContext(a->context);
    clReleaseContext(a->other);
}

/* Everything the back end can hold, on the application's context. */
static tern_status whole_life(app *a)
{
    static const char source[] = "kernel void twice(global float *x, global float *y, local float *t) { uint i = get_global_id(0); y[i] = 2 * x[i]; }";
    const tern_device_params params = { .cache_dir = "" };
    const tern_shape shape = { .rank = 1, .dim = { 1024 } };
    const size_t global[3] = { 1024 }, local[3] = { 64 };
    tern_device *d = NULL;
    tern_tensor *t = NULL;
    tern__program *p = NULL;
    tern__kernel *k = NULL;
    tern__buffer *whole = NULL, *slice = NULL;
    float x[1024] = { 0, 1, 2, 3 };
    uint8_t *binary = NULL;
    size_t size = 0;
    tern_status st = tern_device_from_cl(a->context, a->queue, &params, &d);
    if (st == TERN_OK)
        st = tern_tensor_from_cl(d, a->mem, TERN_F32, &shape, &t);
    if (st == TERN_OK)
        st = tern__buffer_create(d, 3 * 4096, &whole);
    if (st == TERN_OK)
        st = tern__buffer_slice(whole, 4096, 4096, &slice);
    if (st == TERN_OK)
        st = tern__program_build(d, source, sizeof source - 1, "", NULL, &p);
    if (st == TERN_OK)
        st = d->ops->program_binary(p, &binary, &size);
    tern__free(binary);
    if (st == TERN_OK)
        st = tern__kernel_create(p, "twice", &k);
    if (st == TERN_OK)
        st = tern__buffer_write(tern__tensor_buffer(t), 0, x, sizeof x);
    if (st == TERN_OK)
        st = tern__buffer_zero(whole);
    const tern__arg args[] = { { .kind = TERN__ARG_BUFFER, .buffer = t ? tern__tensor_buffer(t) : NULL },
                               { .kind = TERN__ARG_BUFFER, .buffer = slice },
                               { .kind = TERN__ARG_LOCAL, .size = 256 } };
    for (int i = 0; st == TERN_OK && i < 3; i++)
        st = tern__kernel_set_arg(k, i, &args[i]);
    if (st == TERN_OK)
        st = tern__kernel_launch(k, 1, global, local, NULL);
    if (st == TERN_OK)
        st = tern__buffer_copy(slice, 0, tern__tensor_buffer(t), 0, 2048);
    if (st == TERN_OK)
        st = tern__buffer_read(tern__tensor_buffer(t), 0, x, sizeof x);
    if (st == TERN_OK && (x[3] != 6 || x[2] != 4))
        st = tern__fail(TERN_E_MISMATCH, "the kernel gave %g and %g", x[2], x[3]);
    tern__kernel_release(k);
    tern__program_release(p);
    tern__buffer_release(slice);
    tern__buffer_release(whole);
    tern_device_close(d);
    tern_tensor_destroy(t);
    return st;
}

static void test_application_s_own(void **state)
{
    (void)state;
    app a;
    app_open(&a);
    OK(whole_life(&a));
    assert_int_equal(settled_references(&a, a.references), a.references); /* Tern kept nothing */

    tern_device *d = NULL;
    tern_tensor *t = NULL;
    const tern_shape fits = { .rank = 1, .dim = { 1024 } }, large = { .rank = 1, .dim = { 1025 } };
    assert_int_equal(tern_device_from_cl(a.other, a.queue, NULL, &d), TERN_E_INVALID);
    SAYS("another context");
    assert_int_equal(tern_device_from_cl(NULL, a.queue, NULL, &d), TERN_E_INVALID);
    if (a.unordered) {
        assert_int_equal(tern_device_from_cl(a.context, a.unordered, NULL, &d), TERN_E_INVALID);
        SAYS("out of order");
    }
    OK(tern_device_from_cl(a.context, a.queue, NULL, &d));
    assert_ptr_equal(tern_device_cl_context(d), a.context);
    assert_ptr_equal(tern_device_cl_queue(d), a.queue);
    assert_int_equal(tern_tensor_from_cl(d, a.mem, TERN_F32, &large, &t), TERN_E_SHAPE);
    SAYS("4096 bytes, the shape needs 4100");
    OK(tern_tensor_from_cl(d, a.mem, TERN_F32, &fits, &t));
    assert_ptr_equal(tern_tensor_cl_mem(t), a.mem);
    assert_null(tern_tensor_data(t));
    tern_tensor_destroy(t);
    tern_device_close(d);

    d = open_device(""); /* a buffer of another context */
    assert_int_equal(tern_tensor_from_cl(d, a.mem, TERN_F32, &fits, &t), TERN_E_INVALID);
    tern_device_close(d);
    d = open_device("null");
    assert_int_equal(tern_tensor_from_cl(d, a.mem, TERN_F32, &fits, &t), TERN_E_UNSUPPORTED);
    assert_null(tern_device_cl_context(d));
    assert_null(tern_device_cl_queue(d));
    tern_device_close(d);
    app_close(&a);
}

/* --- Every call made to fail --- */

static void walk(app *a, tern__fault_kind kind, bool for_good)
{
    tern__fault_arm(kind, 0, false);
    OK(whole_life(a));
    long calls = tern__fault_count(kind), failed = 0;
    cl_uint before = a->references;
    for (long n = 1; n <= calls; n++) {
        tern__fault_arm(kind, n, for_good);
        tern_status st = whole_life(a);
        tern__fault_arm(kind, 0, false);
        failed += st != TERN_OK;
        if (st != TERN_OK && strlen(tern_last_error()) < 20)
            fail_msg("call %ld of %ld failed with \"%s\"", n, calls, tern_last_error());
        cl_uint now = settled_references(a, before);
        if (now != before)
            fail_msg("call %ld of %ld left %u references instead of %u: %s", n, calls, now, before, tern_last_error());
    }
    print_message("%ld of %ld faults were reported, the others made good\n", failed, calls);
    assert_true(failed * 2 > calls);
}

static void test_faults_leave_nothing_behind(void **state)
{
    (void)state;
    app a;
    app_open(&a);
    for (int for_good = 0; for_good < 2; for_good++) {
        walk(&a, TERN__FAULT_CL, for_good);
        walk(&a, TERN__FAULT_ALLOC, for_good);
    }
    app_close(&a);
}

static tern_status list_and_open(void)
{
    const tern_device_params params = { .cache_dir = "" };
    tern_device_info *infos = NULL;
    tern_device *d = NULL;
    int n;
    tern_status st = tern_device_list(&infos, &n);
    if (st == TERN_OK)
        st = tern_device_open(&params, &d);
    tern_device_list_free(infos);
    tern_device_close(d);
    return st;
}

static void test_faults_while_opening(void **state)
{
    (void)state;
    static const tern__fault_kind kinds[] = { TERN__FAULT_CL, TERN__FAULT_ALLOC };
    for (int k = 0; k < 4; k++) {
        tern__fault_arm(kinds[k / 2], 0, false);
        OK(list_and_open());
        long calls = tern__fault_count(kinds[k / 2]);
        for (long n = 1; n <= calls; n++) {
            tern__fault_arm(kinds[k / 2], n, k % 2);
            tern_status st = list_and_open();
            tern__fault_arm(kinds[k / 2], 0, false);
            if (st != TERN_OK && strncmp(tern_last_error(), "device: ", 8) != 0)
                fail_msg("call %ld of %ld: %s", n, calls, tern_last_error());
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranking),
        cmocka_unit_test(test_list_and_open),
        cmocka_unit_test(test_selection_from_the_environment),
        cmocka_unit_test(test_family_is_forced),
        cmocka_unit_test(test_launch_limits),
        cmocka_unit_test(test_unchanged_arguments_cost_nothing),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_compiler_logs),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_tensor_refusals),
        cmocka_unit_test(test_application_s_own),
        cmocka_unit_test(test_faults_leave_nothing_behind),
        cmocka_unit_test(test_faults_while_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
