/* Training and inference from the first node to the last result, with each allocation, file call and OpenCL call made to fail in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/model.h>
#include <tern/nn.h>
#include <tern/session.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/status.h"

enum { BATCH = 4, CLASSES = 4 };

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[4][200];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

/* --- The chain --- */

struct chain {
    tern_device *device;
    bool conv;            /* a convolution and a pool before the dense layers */
    tern_graph *train, *loaded;
    tern_store *store;
    tern_session *step, *infer;
    tern_tensor *x, *y, *loss, *logits, *bias;
    float result[2 + BATCH * CLASSES]; /* losses of two steps, then logits */
};

static tern_shape image(const struct chain *c)
{
    return c->conv ? (tern_shape){4, {BATCH, 1, 6, 6}} : (tern_shape){2, {BATCH, 8}};
}

static tern_value network(tern_nn *nn, const struct chain *c)
{
    tern_shape s = image(c);
    tern_value x = tern_graph_input(nn->g, "x", TERN_F32, &s, 0);
    if (c->conv)
        x = tern_nn_flatten(nn, tern_nn_max_pool2d(nn, tern_nn_relu(nn, tern_nn_conv2d(nn, "conv", x, 16, 3, 1, 1)), 2, 2));
    x = tern_nn_relu(nn, tern_nn_dense(nn, "dense1", x, 16));
    return tern_nn_dense(nn, "dense2", x, CLASSES);
}

static tern_status build_training(struct chain *c)
{
    TERN_TRY(tern_graph_create(&c->train));
    tern_nn nn = {.g = c->train, .seed = 1};
    tern_value logits = network(&nn, c);
    tern_value labels = tern_graph_input(c->train, "labels", TERN_I32, &(tern_shape){1, {BATCH}}, 0);
    tern_value loss = tern_nn_cross_entropy(&nn, logits, labels);
    tern_graph_output(c->train, "loss", loss);
    TERN_TRY(tern_graph_minimize(c->train, loss, &(tern_optimizer){.name = "adam"}));
    return tern_graph_check(c->train);
}

static tern_status make_tensors(struct chain *c)
{
    tern_shape s = image(c);
    TERN_TRY(tern_tensor_create(TERN_F32, &s, &c->x));
    TERN_TRY(tern_tensor_create(TERN_I32, &(tern_shape){1, {BATCH}}, &c->y));
    TERN_TRY(tern_tensor_create(TERN_F32, &(tern_shape){0}, &c->loss));
    TERN_TRY(tern_tensor_create(TERN_F32, &(tern_shape){2, {BATCH, CLASSES}}, &c->logits));
    TERN_TRY(tern_tensor_create(TERN_F32, &(tern_shape){1, {CLASSES}}, &c->bias));
    float *x = tern_tensor_data(c->x);
    for (size_t i = 0; i < tern_tensor_elems(c->x); i++)
        x[i] = (float)(i % 7) * 0.25f - 0.5f;
    for (int i = 0; i < BATCH; i++)
        ((int32_t *)tern_tensor_data(c->y))[i] = i % CLASSES;
    return TERN_OK;
}

static tern_status train(struct chain *c)
{
    TERN_TRY(tern_store_create(c->device, &c->store));
    TERN_TRY(tern_session_create(c->device, c->loaded, &(tern_session_params){.store = c->store}, &c->step));
    for (int run = 0; run < 2; run++) {
        TERN_TRY(tern_session_run(c->step, (tern_tensor *[]){c->x, c->y}, (tern_tensor *[]){c->loss}));
        c->result[run] = *(float *)tern_tensor_data(c->loss);
    }
    return tern_store_read(c->store, "dense2/bias", c->bias);
}

/* The trained weights in a graph without a loss, frozen. */
static tern_status infer(struct chain *c)
{
    tern_graph *g;
    TERN_TRY(tern_graph_create(&g));
    tern_nn nn = {.g = g, .seed = 1};
    tern_graph_output(g, "logits", network(&nn, c));
    tern_status st = tern_graph_check(g);
    if (st == TERN_OK)
        st = tern_store_into_graph(c->store, g);
    if (st == TERN_OK)
        st = tern_session_create(c->device, g, &(tern_session_params){.freeze = true}, &c->infer);
    tern_graph_destroy(g);
    TERN_TRY(st);
    TERN_TRY(tern_session_run(c->infer, (tern_tensor *[]){c->x}, (tern_tensor *[]){c->logits}));
    memcpy(c->result + 2, tern_tensor_data(c->logits), tern_tensor_size_bytes(c->logits));
    return TERN_OK;
}

static tern_status all_steps(struct chain *c)
{
    TERN_TRY(build_training(c));
    TERN_TRY(tern_model_save(c->train, in_dir("model.tern")));
    TERN_TRY(tern_model_load(in_dir("model.tern"), &c->loaded));
    TERN_TRY(make_tensors(c));
    TERN_TRY(train(c));
    return infer(c);
}

static tern_status run_chain(tern_device *d, bool conv, float *result)
{
    struct chain c = {.device = d, .conv = conv};
    tern_status st = all_steps(&c);
    if (st == TERN_OK && result)
        memcpy(result, c.result, sizeof c.result);
    tern_session_destroy(c.infer);
    tern_session_destroy(c.step);
    tern_store_destroy(c.store);
    tern_graph_destroy(c.train);
    tern_graph_destroy(c.loaded);
    tern_tensor *const tensors[] = {c.x, c.y, c.loss, c.logits, c.bias};
    for (int i = 0; i < TERN_COUNT(tensors); i++)
        tern_tensor_destroy(tensors[i]);
    return st;
}

/* --- Walks --- */

/* A pool that keeps everything (TERN_POOL=0, for simulators) makes room where an allocation failed, and nobody need notice: not for devices that only plan. */
static tern_device *open_device(const char *select, const char *cache_dir)
{
    tern_device *d = NULL;
    const char *pool = getenv("TERN_POOL");
    if (select)
        unsetenv("TERN_POOL");
    tern_status st = tern_device_open(&(tern_device_params){.select = select, .cache_dir = cache_dir}, &d);
    if (select && pool)
        setenv("TERN_POOL", pool, 1);
    if (st != TERN_OK)
        fail_msg("%s", tern_last_error());
    return d;
}

/* Steps from fault to fault, so that about `most` are tried, everywhere in the chain; all of them with TERN_FULL set. */
static long stride(long calls, long most)
{
    return getenv("TERN_FULL") || calls <= most ? 1 : (calls + most - 1) / most | 1;
}

static const char *const kinds[] = {"allocation", "file call", "OpenCL call"};

/* The chain with its n-th fault: a status and a sentence, or, where a fault may be absorbed (a cache that cannot be read or written
 * is done without), the right results. */
static void one_fault(tern_device *d, bool conv, tern__fault_kind kind, long n, bool for_good, bool absorbs, const float *want)
{
    float got[2 + BATCH * CLASSES] = {0};
    tern__fail(TERN_OK, "stale");
    tern__fault_arm(kind, n, for_good);
    tern_status st = run_chain(d, conv, got);
    bool reached = tern__fault_count(kind) >= n;
    tern__fault_arm(kind, 0, false);
    if (st != TERN_OK && !reached)
        fail_msg("%s %ld%s was not reached, and yet: %s", kinds[kind], n, for_good ? " and on" : "", tern_last_error());
    if (!reached || st != TERN_OK) {
        if (reached && strlen(tern_last_error()) < 10)
            fail_msg("%s %ld%s: \"%s\" says little", kinds[kind], n, for_good ? " and on" : "", tern_last_error());
        if (reached && kind == TERN__FAULT_ALLOC && st != TERN_E_NOMEM && st != TERN_E_DEVICE_MEMORY)
            fail_msg("%s %ld%s: %s: %s", kinds[kind], n, for_good ? " and on" : "", tern_status_name(st), tern_last_error());
        return;
    }
    if (!absorbs)
        fail_msg("%s %ld%s failed and nobody noticed", kinds[kind], n, for_good ? " and on" : "");
    for (int i = 0; i < TERN_COUNT(got); i++)
        if (got[i] != want[i])
            fail_msg("%s %ld%s changed result %d from %g to %g", kinds[kind], n, for_good ? " and on" : "", i, (double)want[i], (double)got[i]);
}

static void walk(const char *select, bool conv, tern__fault_kind kind, long most, bool absorbs)
{
    tern_device *d = open_device(select, NULL);
    float want[2 + BATCH * CLASSES], again[2 + BATCH * CLASSES];
    assert_int_equal(run_chain(d, conv, want), TERN_OK); /* fills the cache */
    tern__fault_arm(kind, 0, false);
    assert_int_equal(run_chain(d, conv, want), TERN_OK);
    long calls = tern__fault_count(kind);
    assert_true(calls > 10);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long n = 1 + for_good; n <= calls; n += stride(calls, most))
            one_fault(d, conv, kind, n, for_good, absorbs, want);
    if (run_chain(d, conv, again) != TERN_OK)
        fail_msg("after all faults: %s", tern_last_error());
    assert_memory_equal(want, again, sizeof want);
    print_message("%s%s: every %ld. of %ld %ss failed, once and for good\n", select ? select : "device", conv ? ", with a convolution" : "", stride(calls, most), calls, kinds[kind]);
    tern_device_close(d);
}

static void allocations_cpu(void **state)
{
    (void)state;
    walk("null:cpu", false, TERN__FAULT_ALLOC, 150, false);
}

static void allocations_cpu_conv(void **state)
{
    (void)state;
    walk("null:cpu", true, TERN__FAULT_ALLOC, 100, false);
}

static void allocations_gpu(void **state)
{
    (void)state;
    walk("null:gpu", false, TERN__FAULT_ALLOC, 100, false);
}

static void allocations_gpu_conv(void **state)
{
    (void)state;
    walk("null:gpu", true, TERN__FAULT_ALLOC, 100, false);
}

static void file_calls(void **state)
{
    (void)state;
    walk("null:cpu", false, TERN__FAULT_FILE, 1000, false);
}

static void file_calls_of_the_cache(void **state)
{
    (void)state;
    walk(NULL, false, TERN__FAULT_FILE, 40, true);
}

static void opencl_calls(void **state)
{
    (void)state;
    walk(NULL, false, TERN__FAULT_CL, 80, true);
}

static void opencl_calls_conv(void **state)
{
    (void)state;
    walk(NULL, true, TERN__FAULT_CL, 40, true);
}

/* --- Refusals of plans --- */

#define REFUSED(call, status, words)                                                  \
    do {                                                                              \
        assert_string_equal(tern_status_name(call), tern_status_name(status));        \
        if (!strstr(tern_last_error(), (words)))                                      \
            fail_msg("\"%s\" does not say \"%s\"", tern_last_error(), (words));       \
    } while (0)

static tern_graph *exponential(tern_shape s)
{
    tern_graph *g = NULL;
    assert_int_equal(tern_graph_create(&g), TERN_OK);
    tern_graph_output(g, "y", tern_graph_op1(g, "exp", tern_graph_input(g, "x", TERN_F32, &s, 0), NULL));
    return g;
}

static void wrong_tensors(void **state)
{
    (void)state;
    tern_device *d = open_device("null:cpu", "");
    tern_graph *g = exponential((tern_shape){2, {3, 4}});
    tern_session *s = NULL;
    assert_int_equal(tern_session_create(d, g, NULL, &s), TERN_OK);
    tern_tensor *right, *shape, *dtype;
    assert_int_equal(tern_tensor_create(TERN_F32, &(tern_shape){2, {3, 4}}, &right), TERN_OK);
    assert_int_equal(tern_tensor_create(TERN_F32, &(tern_shape){2, {4, 3}}, &shape), TERN_OK);
    assert_int_equal(tern_tensor_create(TERN_I32, &(tern_shape){2, {3, 4}}, &dtype), TERN_OK);
    REFUSED(tern_session_run(s, (tern_tensor *[]){shape}, NULL), TERN_E_SHAPE, "input x");
    REFUSED(tern_session_run(s, (tern_tensor *[]){dtype}, NULL), TERN_E_DTYPE, "i32");
    REFUSED(tern_session_run(s, (tern_tensor *[]){NULL}, NULL), TERN_E_INVALID, "input x is missing");
    REFUSED(tern_session_run(s, NULL, NULL), TERN_E_INVALID, "input x is missing");
    REFUSED(tern_session_run(s, (tern_tensor *[]){right}, (tern_tensor *[]){shape}), TERN_E_SHAPE, "output y");
    assert_int_equal(tern_session_run(s, (tern_tensor *[]){right}, (tern_tensor *[]){right}), TERN_OK);
    tern_tensor_destroy(right);
    tern_tensor_destroy(shape);
    tern_tensor_destroy(dtype);
    tern_session_destroy(s);
    tern_graph_destroy(g);
    tern_device_close(d);
}

static void wrong_params(void **state)
{
    (void)state;
    tern_device *d = open_device("null:cpu", "");
    struct chain c = {.device = d};
    assert_int_equal(build_training(&c), TERN_OK);
    tern_session *s = NULL;
    REFUSED(tern_session_create(d, c.train, &(tern_session_params){.freeze = true}, &s), TERN_E_INVALID, "frozen");
    REFUSED(tern_session_create(d, c.train, &(tern_session_params){.disable = "fuse,magic"}, &s), TERN_E_NOT_FOUND, "magic");
    REFUSED(tern_session_create(d, c.train, &(tern_session_params){.force_impl = "matmul=magic"}, &s), TERN_E_NOT_FOUND, "magic");
    assert_null(s);
    tern_graph_destroy(c.train);
    tern_device_close(d);
}

static void too_large_for_the_device(void **state)
{
    (void)state;
    tern_device *d = open_device("null:cpu", "");
    tern_device_info info;
    tern_device_get_info(d, &info);
    tern_graph *g = exponential((tern_shape){1, {(int64_t)(info.max_alloc_bytes / 4) + 1}});
    tern_session *s = NULL;
    REFUSED(tern_session_create(d, g, NULL, &s), TERN_E_DEVICE_MEMORY, "GiB");
    tern_graph_destroy(g);
    tern_device_close(d);
}

static void cache_that_cannot_be_written(void **state)
{
    (void)state;
    FILE *f = fopen(in_dir("plain-file"), "w");
    assert_non_null(f);
    fclose(f);
    tern_device *d = open_device(NULL, in_dir("plain-file/cache")); /* beneath a file there is no folder, not even for root */
    tern_graph *g = exponential((tern_shape){1, {5}});
    tern_session *s = NULL;
    assert_int_equal(tern_session_create(d, g, NULL, &s), TERN_OK);
    tern_session_destroy(s);
    tern_graph_destroy(g);
    tern_device_close(d);
}

static void broken_kernel(void **state)
{
    (void)state;
    char lib[220];
    snprintf(lib, sizeof lib, "%s/lib", dir);
    assert_int_equal(tern__dir_create(lib, 0755), TERN_OK);
    FILE *f = fopen(in_dir("lib/io.clh"), "w");
    assert_non_null(f);
    fputs("\n\nthis is no kernel;\n", f);
    fclose(f);
    tern_device *d = open_device(NULL, "");
    tern_graph *g = exponential((tern_shape){1, {5}});
    tern_session *s = NULL;
    setenv("TERN_KERNEL_PATH", dir, 1);
    tern_status st = tern_session_create(d, g, NULL, &s);
    unsetenv("TERN_KERNEL_PATH");
    REFUSED(st, TERN_E_BUILD, "io.clh:3");
    assert_int_equal(tern_session_create(d, g, NULL, &s), TERN_OK);
    tern_session_destroy(s);
    tern_graph_destroy(g);
    tern_device_close(d);
}

/* --- Setting up --- */

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR"); /* every step of every walk waits until its files are on the disk: best a folder in memory */
    snprintf(dir, sizeof dir, "%s/tern-faults-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[200];
    snprintf(command, sizeof command, "chmod -R u+w '%s' && rm -rf '%s'", dir, dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_cpu), cmocka_unit_test(allocations_cpu_conv), cmocka_unit_test(allocations_gpu), cmocka_unit_test(allocations_gpu_conv),
        cmocka_unit_test(file_calls),      cmocka_unit_test(file_calls_of_the_cache), cmocka_unit_test(opencl_calls), cmocka_unit_test(opencl_calls_conv),
        cmocka_unit_test(wrong_tensors),   cmocka_unit_test(wrong_params),            cmocka_unit_test(too_large_for_the_device),
        cmocka_unit_test(cache_that_cannot_be_written), cmocka_unit_test(broken_kernel),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
