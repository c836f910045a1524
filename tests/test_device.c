/* Devices, their memory and tensors: selection, limits, slices, references, an application's own OpenCL, and every fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tern/opencl.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/status.h"
#include "device/impl.h"
#include "device/opencl/cl.h"
#include "device/tensor.h"
#include "program/program.h"

#define OK(call)                                          \
    do {                                                  \
        if ((call) != TERN_OK)                            \
            fail_msg("%s: %s", #call, tern_last_error()); \
    } while (0)
#define SAYS(words)                                                        \
    do {                                                                   \
        if (!strstr(tern_last_error(), words))                             \
            fail_msg("\"%s\" is not in: %s", words, tern_last_error());    \
    } while (0)

static const char *const devices[] = { "null:cpu", "null:gpu", "" };

static tern_device *open_device(const char *select)
{
    const tern_device_params params = { .select = select, .cache_dir = "" };
    tern_device *d = NULL;
    OK(tern_device_open(&params, &d));
    return d;
}

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

/* --- Memory --- */

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 31 + seed);
}

static void test_buffers_hold_what_was_written(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 3, 255, 256, 257, 4096, 100003 };
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device *d = open_device(devices[i]);
        for (int s = 0; s < TERN_COUNT(sizes) * 2; s++) {
            size_t n = sizes[s / 2], half = n / 2;
            uint8_t *in = tern__alloc(n), *out = tern__alloc(n);
            tern__buffer *b = NULL, *c = NULL;
            OK(s % 2 ? tern__buffer_create_exact(d, n, &b) : tern__buffer_create(d, n, &b));
            OK(tern__buffer_create(d, n, &c));
            assert_int_equal(tern__buffer_size(b), n);
            fill(in, n, (unsigned)s);
            OK(tern__buffer_write(b, 0, in, n));
            OK(tern__buffer_write(b, half, in + half, n - half));
            OK(tern__buffer_zero(c));
            OK(tern__buffer_read(c, 0, out, n));
            for (size_t k = 0; k < n; k++)
                assert_int_equal(out[k], 0);
            OK(tern__buffer_copy(b, half, c, 0, n - half));
            OK(tern__buffer_read(c, 0, out, n - half));
            assert_memory_equal(out, in + half, n - half);
            OK(tern__buffer_read(b, 0, out, n));
            assert_memory_equal(out, in, n);
            tern__buffer_release(b);
            tern__buffer_release(c);
            tern__free(in);
            tern__free(out);
        }
        tern_device_close(d);
    }
}

/* The host's memory as a buffer, where that works and where it is copied. */
static void test_wrapped_memory(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 255, 4096, 100003 };
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device *d = open_device(devices[i]);
        for (int s = 0; s < TERN_COUNT(sizes); s++) {
            size_t n = sizes[s];
            uint8_t *in = tern__alloc(n), *out = tern__alloc(n);
            tern__buffer *b = NULL;
            fill(in, n, (unsigned)s);
            OK(tern__buffer_wrap(d, in, n, &b));
            assert_int_equal(tern__buffer_size(b), n);
            OK(tern__buffer_read(b, 0, out, n));
            assert_memory_equal(out, in, n);
            tern__buffer_release(b);
            tern__free(in);
            tern__free(out);
        }
        tern__buffer *b = NULL;
        assert_int_equal(tern__buffer_wrap(d, &i, SIZE_MAX - 5, &b), TERN_E_DEVICE_MEMORY);
        tern_device_close(d);
    }
}

static void test_ranges_are_checked(void **state)
{
    (void)state;
    uint8_t x[32] = { 0 };
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device *d = open_device(devices[i]), *other = open_device("null");
        tern__buffer *b, *s, *elsewhere;
        OK(tern__buffer_create(d, 1000, &b));
        OK(tern__buffer_create(other, 1000, &elsewhere));
        assert_int_equal(tern__buffer_write(b, 990, x, 11), TERN_E_INVALID);
        SAYS("writing 11 bytes at 990 of a buffer of 1000");
        assert_int_equal(tern__buffer_read(b, 1001, x, 0), TERN_E_INVALID);
        assert_int_equal(tern__buffer_read(b, 8, x, SIZE_MAX), TERN_E_INVALID);
        assert_int_equal(tern__buffer_copy(b, 0, b, 8, 16), TERN_E_INVALID);
        SAYS("overlap");
        assert_int_equal(tern__buffer_copy(b, 0, elsewhere, 0, 16), TERN_E_INVALID);
        OK(tern__buffer_copy(b, 0, b, 16, 16));
        OK(tern__buffer_write(b, 1000, x, 0));
        assert_int_equal(tern__buffer_slice(b, d->info.base_align_bytes, 1000, &s), TERN_E_INVALID);
        if (d->info.base_align_bytes > 1) {
            assert_int_equal(tern__buffer_slice(b, 1, 8, &s), TERN_E_INVALID);
            SAYS("alignment");
        }
        tern__buffer_release(b);
        tern__buffer_release(elsewhere);
        tern__buffer_release(NULL);
        tern_device_close(other);
        tern_device_close(d);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device *d = open_device(devices[i]);
        tern__buffer *b = NULL;
        assert_int_equal(tern__buffer_create(d, (size_t)d->info.max_alloc_bytes + 1, &b), TERN_E_DEVICE_MEMORY);
        SAYS("this device allows");
        SAYS(tern__size_words(d->info.max_alloc_bytes).s);
        assert_int_equal(tern__buffer_create(d, SIZE_MAX, &b), TERN_E_DEVICE_MEMORY);
        assert_int_equal(tern__buffer_create_exact(d, SIZE_MAX - 5, &b), TERN_E_DEVICE_MEMORY);
        assert_null(b);
        tern_device_close(d);
    }
    assert_string_equal(tern__size_words(3435973837).s, "3.2 GiB");
    assert_string_equal(tern__size_words(512).s, "512 bytes");
    assert_string_equal(tern__size_words(UINT64_MAX).s, "16.0 EiB");
}

static void test_slices(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device *d = open_device(devices[i]);
        size_t step = TERN_MAX((size_t)d->info.base_align_bytes, 256);
        tern__buffer *whole, *a, *b, *c;
        uint8_t in[100], out[100];
        OK(tern__buffer_create(d, 4 * step, &whole));
        OK(tern__buffer_zero(whole));
        OK(tern__buffer_slice(whole, step, 2 * step, &a));
        OK(tern__buffer_slice(whole, 3 * step, 100, &b));
        OK(tern__buffer_slice(a, step, 50, &c)); /* a slice of a slice */
        fill(in, sizeof in, 1);
        OK(tern__buffer_write(b, 0, in, 100));
        OK(tern__buffer_write(c, 7, in, 43));
        OK(tern__buffer_read(whole, 3 * step, out, 100));
        assert_memory_equal(in, out, 100);
        OK(tern__buffer_read(whole, 2 * step + 7, out, 43));
        assert_memory_equal(in, out, 43);
        OK(tern__buffer_zero(c));
        OK(tern__buffer_read(whole, 2 * step, out, 100));
        for (int k = 0; k < 50; k++)
            assert_int_equal(out[k], 0);
        OK(tern__buffer_read(b, 0, out, 100)); /* the neighbour is untouched */
        assert_memory_equal(in, out, 100);
        tern_device_close(d); /* any order is fine */
        tern__buffer_release(whole);
        tern__buffer_release(a);
        OK(tern__buffer_read(c, 7, out, 43));
        tern__buffer_release(b);
        tern__buffer_release(c);
    }
}

/* Kernels write through slices, the host reads through the whole, and the other way round. */
static void test_kernels_on_slices(void **state)
{
    (void)state;
    static const char source[] = "kernel void increment(global const int *x, global int *y) { y[get_global_id(0)] = x[get_global_id(0)] + 1; }";
    enum { SLICES = 16, N = 64 };
    const size_t global[3] = { N }, local[3] = { 8 };
    tern_device *d = open_device("");
    size_t stride = TERN_MAX((size_t)d->info.base_align_bytes, N * 4);
    tern__program *p;
    tern__kernel *k;
    tern__buffer *whole, *s[SLICES];
    int32_t host[N];
    OK(tern__program_build(d, source, sizeof source - 1, "", NULL, &p));
    OK(tern__kernel_create(p, "increment", &k));
    OK(tern__buffer_create(d, SLICES * stride, &whole));
    for (int i = 0; i < SLICES; i++)
        OK(tern__buffer_slice(whole, (size_t)i * stride, sizeof host, &s[i]));
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < N; i++)
            host[i] = i + round * 1000;
        OK(tern__buffer_write(round % 2 ? s[0] : whole, 0, host, sizeof host));
        for (int i = 1; i < SLICES; i++) {
            const tern__arg from = { .kind = TERN__ARG_BUFFER, .buffer = s[i - 1] }, to = { .kind = TERN__ARG_BUFFER, .buffer = s[i] };
            OK(tern__kernel_set_arg(k, 0, &from));
            OK(tern__kernel_set_arg(k, 1, &to));
            OK(tern__kernel_launch(k, 1, global, local, NULL));
        }
        OK(tern__buffer_copy(s[SLICES - 1], 0, s[1], 0, sizeof host)); /* ordered after the launches */
        OK(tern__buffer_read(whole, stride, host, sizeof host));
        for (int i = 0; i < N; i++)
            assert_int_equal(host[i], i + round * 1000 + SLICES - 1);
    }
    for (int i = 0; i < SLICES; i++)
        tern__buffer_release(s[i]);
    tern__buffer_release(whole);
    tern__kernel_release(k);
    tern__program_release(p);
    tern_device_close(d);
}

static void test_pool(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device *d = open_device(devices[i]);
        tern__buffer *b, *c;
        OK(tern__buffer_create(d, 100000, &b));
        void *mem = b->mem;
        tern__buffer_release(b);
        OK(tern__buffer_create(d, 99000, &b)); /* fits: the same memory again */
        assert_ptr_equal(b->mem, mem);
        assert_int_equal(tern__buffer_size(b), 99000);
        OK(tern__buffer_create(d, 99000, &c));
        assert_ptr_not_equal(c->mem, mem);
        tern__buffer_release(c);
        tern__buffer_release(b);
        OK(tern__buffer_create(d, 1000, &b)); /* too small a request to waste it on */
        assert_ptr_not_equal(b->mem, mem);
        assert_true(tern__pool_drain(d) >= 199000);
        assert_int_equal(tern__pool_drain(d), 0);
        tern__buffer_release(b);
        tern_device_close(d);
    }
}

/* A device that is full gives the pool's idle memory back before it refuses. */
static void test_pool_may_be_forbidden(void **state)
{
    (void)state;
    tern__buffer *b, *c;
    setenv("TERN_POOL", "0", 1);
    tern_device *d = open_device("");
    unsetenv("TERN_POOL");
    OK(tern__buffer_create(d, 100000, &b));
    void *mem = b->mem;
    tern__buffer_release(b); /* kept all the same, so that the driver cannot hand it out again */
    OK(tern__buffer_create(d, 100000, &c));
    assert_ptr_not_equal(c->mem, mem);
    const size_t c_capacity = c->capacity;
    tern__buffer_release(c);
    static const float constants[16];
    OK(tern__buffer_create_exact(d, 1000, &b));
    tern__buffer_release(b);
    OK(tern__buffer_wrap(d, constants, sizeof constants, &b));
    tern__buffer_release(b);
    assert_int_equal(tern__pool_drain(d), 2 * c_capacity + 1000 + sizeof constants);
    tern_device_close(d);
}

static void test_full_device_drains_the_pool(void **state)
{
    (void)state;
    tern_device *d = open_device("");
    tern__buffer *b, *c;
    OK(tern__buffer_create(d, 1 << 20, &b));
    tern__buffer_release(b);
    tern__fault_arm(TERN__FAULT_CL, 1, false);
    OK(tern__buffer_create(d, 1 << 22, &c)); /* first try fails, the second has room */
    tern__fault_arm(TERN__FAULT_CL, 0, false);
    assert_int_equal(tern__pool_drain(d), 0);
    tern__fault_arm(TERN__FAULT_CL, 1, true);
    assert_int_equal(tern__buffer_create(d, 1 << 21, &b), TERN_E_DEVICE_MEMORY);
    tern__fault_arm(TERN__FAULT_CL, 0, false);
    SAYS("could not give 2.0 MiB");
    SAYS("CL_MEM_OBJECT_ALLOCATION_FAILURE");
    tern__buffer_release(c);
    tern_device_close(d);
}

static void test_mapping(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        tern_device *d = open_device(devices[i]);
        tern__buffer *b;
        uint8_t out[300];
        void *p;
        OK(tern__buffer_create(d, sizeof out, &b));
        if (d->info.unified_memory) {
            OK(tern__buffer_map(b, true, &p));
            fill(p, sizeof out, 9);
            OK(tern__buffer_unmap(b, p));
            OK(tern__buffer_read(b, 0, out, sizeof out));
            assert_int_equal(out[2], 62 + 9);
        } else {
            assert_int_equal(tern__buffer_map(b, true, &p), TERN_E_UNSUPPORTED);
        }
        tern__buffer_release(b);
        tern_device_close(d);
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
    unsetenv("TERN_POOL"); /* which is under test here */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranking),
        cmocka_unit_test(test_list_and_open),
        cmocka_unit_test(test_selection_from_the_environment),
        cmocka_unit_test(test_family_is_forced),
        cmocka_unit_test(test_buffers_hold_what_was_written),
        cmocka_unit_test(test_wrapped_memory),
        cmocka_unit_test(test_ranges_are_checked),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_kernels_on_slices),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_may_be_forbidden),
        cmocka_unit_test(test_full_device_drains_the_pool),
        cmocka_unit_test(test_mapping),
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
