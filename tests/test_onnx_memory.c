/* Weights of ONNX models in memory: read from wherever they lie in the file, and held once when a session has packed them. */
#include "onnx_build.h"
#include "session_check.h"

#include <unistd.h>

#include "device/impl.h"
#include "memory_help.h"
#include "ops/common.h"
#include <tern/onnx.h>

static tern_device *device;
static char path[] = "/tmp/tern-onnx-memory-XXXXXX";

static int setup(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    if (fd < 0 || close(fd) != 0)
        return -1;
    if (tern_device_open(&(tern_device_params){.family = "cpu"}, &device) == TERN_OK)
        return 0;
    return tern_device_open(NULL, &device) != TERN_OK;
}

static int teardown(void **state)
{
    (void)state;
    tern_device_close(device);
    return unlink(path);
}

/* --- Any address ------------------------------------------------------------------------------------------------- */

static void put_weights(onnx_message *g, const char *name, int elem_type, int rank, const int64_t *dims)
{
    tern_tensor *t = NULL;
    tern_shape s = {.rank = rank};
    memcpy(s.dim, dims, (size_t)rank * sizeof *dims);
    MUST(tern_tensor_create(elem_type == ONNX_FLOAT16 ? TERN_F16 : elem_type == ONNX_BFLOAT16 ? TERN_BF16 : TERN_F32, &s, &t));
    fill_random(t, (uint64_t)rank * 1000 + (uint64_t)dims[0]);
    onnx_message m = onnx_tensor(name, elem_type, rank, dims, tern_tensor_data(t));
    onnx_initializer(g, &m);
    tern_tensor_destroy(t);
}

static void put_conv(onnx_message *g, const char *in, const char *out, int64_t group)
{
    onnx_message n = onnx_node("Conv", in, out);
    onnx_attr_int(&n, "group", group);
    onnx_attr_string(&n, "auto_pad", "SAME_UPPER");
    onnx_add(g, &n);
}

/* Every way of packing that there is, each of a weight whose place in the file moves by `shift`. */
static void save_packed_ways(int shift)
{
    onnx_message g = {0};
    onnx_put_bytes(&g, 2, "gggg", (size_t)shift);
    onnx_input(&g, "x", ONNX_FLOAT, 4, (int64_t[]){2, 16, 12, 12});
    onnx_input(&g, "half", ONNX_FLOAT16, 2, (int64_t[]){5, 66});
    onnx_input(&g, "brain", ONNX_BFLOAT16, 2, (int64_t[]){5, 66});
    put_weights(&g, "square", ONNX_FLOAT, 4, (int64_t[]){32, 16, 3, 3});
    put_weights(&g, "point", ONNX_FLOAT, 4, (int64_t[]){144, 32, 1, 1});
    put_weights(&g, "each", ONNX_FLOAT, 4, (int64_t[]){144, 1, 3, 3});
    put_weights(&g, "scale", ONNX_FLOAT, 4, (int64_t[]){1, 144, 12, 12});
    put_weights(&g, "back", ONNX_FLOAT, 4, (int64_t[]){8, 144, 1, 1});
    put_weights(&g, "rows", ONNX_FLOAT, 2, (int64_t[]){70, 8 * 144});
    put_weights(&g, "columns", ONNX_FLOAT, 2, (int64_t[]){70, 50});
    put_weights(&g, "halves", ONNX_FLOAT16, 2, (int64_t[]){66, 50});
    put_weights(&g, "brains", ONNX_BFLOAT16, 2, (int64_t[]){66, 50});
    put_conv(&g, "x square", "a", 1);
    put_conv(&g, "a point", "b", 1);
    put_conv(&g, "b each", "c", 144);
    onnx_message mul = onnx_node("Mul", "c scale", "d"), flat = onnx_node("Flatten", "e", "f"), gemm = onnx_node("Gemm", "f rows", "h");
    onnx_message product = onnx_node("MatMul", "h columns", "y"), short_ = onnx_node("MatMul", "half halves", "yh");
    onnx_message brain = onnx_node("MatMul", "brain brains", "yb");
    onnx_add(&g, &mul);
    put_conv(&g, "d back", "e", 1);
    onnx_add(&g, &flat);
    onnx_attr_int(&gemm, "transB", 1);
    onnx_add(&g, &gemm);
    onnx_add(&g, &product);
    onnx_add(&g, &short_);
    onnx_add(&g, &brain);
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_output(&g, "yh", ONNX_FLOAT16);
    onnx_output(&g, "yb", ONNX_BFLOAT16);
    onnx_save(&g, 17, path);
}

static void test_any_address(void **state)
{
    (void)state;
    for (int shift = 0; shift < 4; shift++) {
        tern_onnx *m = NULL;
        tern_graph *g = NULL;
        save_packed_ways(shift);
        MUST(tern_onnx_load(path, &m));
        MUST(tern_onnx_graph(m, NULL, &g));
        for (int exact = 0; exact < 2; exact++)
            (void)check_session(device, g, &(tern_session_params){.freeze = true, .exact = exact}, 1, 2e-2);
        /* The weights are there for another session, and for who reads them as numbers. */
        for (int i = 0; i < g->n_values; i++)
            if (g->values[i].kind == TERN__VALUE_CONST) {
                tern__blob *b = g->values[i].data;
                const uint8_t *elems = tern__blob_elems(b);
                assert_int_equal((uintptr_t)elems % tern_dtype_size(g->values[i].type.dtype), 0);
                assert_ptr_equal(elems, tern__blob_elems(b));
                assert_memory_equal(elems, b->data, b->size);
            }
        tern_graph_destroy(g);
        tern_onnx_destroy(m);
    }
}

/* --- Once -------------------------------------------------------------------------------------------------------- */

enum { NARROW = 1024, WIDE = 2048, LAYERS = 24 };

/* 24 matrices of 8 MiB each, most of them askew. */
static void save_large(void)
{
    onnx_message g = {0};
    float *v = calloc((size_t)NARROW * WIDE, sizeof *v);
    assert_non_null(v);
    onnx_input(&g, "x0", ONNX_FLOAT, 2, (int64_t[]){1, NARROW});
    for (int i = 0; i < LAYERS; i++) {
        char names[64], name[24], out[24];
        snprintf(name, sizeof name, "weight%d", i);
        snprintf(out, sizeof out, "x%d", i + 1);
        snprintf(names, sizeof names, "x%d %s", i, name);
        for (size_t k = 0; k < (size_t)NARROW * WIDE; k++)
            v[k] = (float)(k % 7) * 0.25f - 0.75f;
        onnx_message t = onnx_tensor(name, ONNX_FLOAT, 2, i % 2 ? (int64_t[]){WIDE, NARROW} : (int64_t[]){NARROW, WIDE}, v);
        onnx_initializer(&g, &t);
        onnx_message n = onnx_node("MatMul", names, out);
        onnx_add(&g, &n);
        if (i == LAYERS - 1)
            onnx_output(&g, out, ONNX_FLOAT);
    }
    free(v);
    onnx_save(&g, 17, path);
}

/* One run in a session of its own; KiB at its peak and in the end, beyond what there was before. */
static bool run_large(tern_onnx *m, tern_tensor *x, long *peak, long *end)
{
    tern_onnx_session *s = NULL;
    tern_onnx_value in = {.kind = TERN_ONNX_TENSOR, .tensor = x}, out = {0};
    (void)tern__pool_drain(device);
    tern__alloc_trim();
    (void)peak_kib();
    const long before = peak_kib();
    MUST(tern_onnx_session_create(device, m, NULL, &s));
    MUST(tern_onnx_session_run(s, &in, &out));
    *peak = peak_kib() - before;
    const long after = peak_kib();
    *end = after - before;
    tern_onnx_value_clear(&out);
    tern_onnx_session_destroy(s);
    return before >= 0 && after >= 0;
}

static void test_once(void **state)
{
    (void)state;
    const char *sanitize = getenv("TERN_SANITIZE");
    if (device->family != TERN__FAMILY_CPU || getenv("TERN_TEST_SLOW_DEVICE") || (sanitize && strcmp(sanitize, "none") != 0)) {
        print_message("# not counted here\n");
        return;
    }
    tern_onnx *m = NULL;
    tern_tensor *x = NULL;
    save_large();
    MUST(tern_onnx_load(path, &m));
    MUST(tern_tensor_create(TERN_F32, &(tern_shape){.rank = 2, .dim = {1, NARROW}}, &x));
    long peak, end, file = LAYERS * (NARROW * WIDE / 1024) * (long)sizeof(float);
    (void)run_large(m, x, &peak, &end); /* the driver compiles, and keeps what it needs for that */
    if (!run_large(m, x, &peak, &end))
        print_message("# the system does not say\n");
    else if (peak > file + 6 * (file / 10) || end > file + 2 * (file / 10))
        fail_msg("weights of %ld KiB took %ld KiB, in the end %ld", file, peak, end);
    tern_tensor_destroy(x);
    tern_onnx_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_address), cmocka_unit_test(test_once)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
