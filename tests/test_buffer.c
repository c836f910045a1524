/* Device memory: what is written, mapped, sliced and pooled, on the null device and on OpenCL's. */
#include "device_help.h"

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

/* How memory goes between host and device: as the device has it, never in place, and beside commands of others. */
enum { AS_IT_IS, NEVER_SHARED, LENT, WAYS };

static tern_device *open_way(const char *name, int way)
{
    tern_device *d = open_device(name);
    if (tern_device_cl_context(d)) {
        tern__cl_of(d)->shared &= way != NEVER_SHARED;
        if (way == LENT)
            (void)tern_device_cl_queue(d);
    }
    return d;
}

/* Reads and writes that are done later, more than any list of them has room for, each of them at its turn. */
static tern_status later(tern_device *d, bool busy)
{
    enum { N = 100, READS = 40 };
    static uint8_t in[2][N], out[READS][N], last[N];
    tern__buffer *a = NULL, *b = NULL;
    tern_status st = tern__buffer_create(d, N, &a);
    if (st == TERN_OK)
        st = tern__buffer_create(d, N, &b);
    if (st == TERN_OK && busy)
        st = tern__buffer_zero(b);
    memset(out, 0, sizeof out);
    for (int i = 0; st == TERN_OK && i < READS; i++) {
        fill(in[0], N, 1);
        fill(in[1], N, 2);
        if (i % (READS / 2) == 0)
            st = tern__buffer_write_later(a, 0, in[i > 0], N);
        if (st == TERN_OK)
            st = tern__buffer_read_later(a, 10, out[i], N - 10);
    }
    if (st == TERN_OK)
        st = tern__buffer_copy(a, 0, b, 0, N);
    const tern_status finished = tern__device_finish(d);
    if (st == TERN_OK)
        st = finished;
    for (int i = 0; st == TERN_OK && i < READS; i++)
        if (memcmp(out[i], in[i >= READS / 2] + 10, N - 10))
            st = tern__fail(TERN_E_MISMATCH, "read %d of %d saw another moment", i, READS);
    if (st == TERN_OK)
        st = tern__buffer_write(a, 0, in[0], N);
    if (st == TERN_OK)
        st = tern__buffer_copy(b, 0, a, 50, 50);
    if (st == TERN_OK)
        st = tern__buffer_read(a, 0, last, N);
    if (st == TERN_OK && (memcmp(last, in[0], 50) || memcmp(last + 50, in[1], 50)))
        st = tern__fail(TERN_E_MISMATCH, "the copy is not where it should be");
    if (st == TERN_OK)
        st = tern__buffer_copy(a, 0, b, 0, N);
    tern__buffer_release(a); /* in use */
    tern__buffer_release(b);
    (void)tern__pool_drain(d);
    return st;
}

static void test_later_is_in_order(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++)
        for (int way = 0; way < WAYS; way++)
            for (int busy = 0; busy < 2; busy++) {
                tern_device *d = open_way(devices[i], way);
                OK(later(d, busy));
                tern__fault_arm(TERN__FAULT_CL, 0, false);
                OK(later(d, busy));
                const long calls = tern__fault_count(TERN__FAULT_CL);
                for (long n = 1; n <= calls; n++) {
                    tern__fault_arm(TERN__FAULT_CL, n, false);
                    tern_status st = later(d, busy);
                    tern__fault_arm(TERN__FAULT_CL, 0, false);
                    if (st != TERN_OK && strlen(tern_last_error()) < 20)
                        fail_msg("call %ld of %ld failed with \"%s\"", n, calls, tern_last_error());
                    assert_int_not_equal(st, TERN_E_MISMATCH);
                    OK(tern__device_finish(d));
                }
                tern_device_close(d);
            }
}

int main(void)
{
    unsetenv("TERN_POOL"); /* which is under test here */
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(test_later_is_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
