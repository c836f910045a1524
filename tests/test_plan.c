/* Memory plans over random lifetimes, and launch plans on the null device and on the machine's OpenCL device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tern/opencl.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/philox.h"
#include "base/status.h"
#include "exec/plan.h"
#include "program/program.h"

static const char *const devices[] = { "null", "" }; /* "" is what the environment or the machine offers */

static tern_device *open_device(const char *select, bool profile)
{
    const tern_device_params params = { .select = select, .cache_dir = "", .profile = profile };
    tern_device *d = NULL;
    if (tern_device_open(&params, &d) != TERN_OK)
        fail_msg("%s", tern_last_error());
    return d;
}

#define OK(call)                                                     \
    do {                                                             \
        if ((call) != TERN_OK)                                       \
            fail_msg("%s: %s", #call, tern_last_error());            \
    } while (0)

/* --- Memory plans --- */

static bool overlap(const tern__mem_block *a, const tern__mem_block *b, size_t align)
{
    size_t as = (TERN_MAX(a->size, 1) + align - 1) / align * align, bs = (TERN_MAX(b->size, 1) + align - 1) / align * align;
    return a->chunk == b->chunk && a->first <= b->last && b->first <= a->last && a->offset < b->offset + bs && b->offset < a->offset + as;
}

static void check_plan(const tern__mem_block *b, int n, size_t align, size_t limit, size_t peak, size_t lower, int n_chunks)
{
    size_t total = 0;
    for (int c = 0; c < n_chunks; c++) {
        size_t top = 0;
        for (int i = 0; i < n; i++)
            if (b[i].chunk == c)
                top = TERN_MAX(top, b[i].offset + (TERN_MAX(b[i].size, 1) + align - 1) / align * align);
        assert_true(top > 0);
        assert_true(!limit || top <= limit);
        total += top;
    }
    assert_int_equal(total, peak);
    assert_true(peak >= lower);
    for (int i = 0; i < n; i++) {
        assert_int_equal(b[i].offset % align, 0);
        assert_in_range(b[i].chunk, 0, n_chunks - 1);
        for (int j = 0; j < i; j++)
            if (overlap(&b[i], &b[j], align))
                fail_msg("blocks %d and %d overlap", j, i);
    }
}

static void random_blocks(tern__mem_block *b, int n, uint64_t seed, int span)
{
    for (int i = 0; i < n; i++) {
        uint32_t r = tern__philox_word(seed, 1, (uint64_t)i * 4), s = tern__philox_word(seed, 1, (uint64_t)i * 4 + 1);
        int life = (int)(tern__philox_word(seed, 1, (uint64_t)i * 4 + 2) % (s % 5 == 0 ? (uint32_t)span : 4));
        b[i] = (tern__mem_block){ .first = (int)(r % (uint32_t)span), .size = (size_t)1 << (s % 14) };
        b[i].size += tern__philox_word(seed, 1, (uint64_t)i * 4 + 3) % 1000;
        b[i].last = TERN_MIN(b[i].first + life, span - 1);
    }
}

static void test_random_lifetimes(void **state)
{
    (void)state;
    tern__mem_block b[90];
    double worst = 1, sum = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int n = 2 + (int)(seed * 3 / 2), chunks;
        size_t align = seed % 2 ? 256 : 1, limit = seed % 3 == 2 ? 40000 : 0, peak, lower;
        random_blocks(b, n, seed, 10 + n / 2);
        OK(tern__mem_plan(b, n, align, limit, &peak, &lower, &chunks));
        check_plan(b, n, align, limit, peak, lower, chunks);
        double ratio = (double)peak / (double)lower;
        if (!limit) { /* pieces cost more: the bound does not know of them */
            worst = TERN_MAX(worst, ratio);
            sum += ratio;
        }
    }
    print_message("worst arena %.3f, mean %.3f of the lower bound\n", worst, sum / 40);
    assert_true(worst <= 1.15);
    assert_true(sum / 40 <= 1.05);
}

/* Forward keeps activations for the backward pass, which frees them in reverse: the shape of a training step. */
static void test_training_lifetimes(void **state)
{
    (void)state;
    enum { LAYERS = 20 };
    tern__mem_block b[LAYERS * 3];
    int n = 0, end = 3 * LAYERS;
    for (int l = 0; l < LAYERS; l++) {
        size_t act = (size_t)(1 << 20) / (size_t)(1 + l % 7);
        b[n++] = (tern__mem_block){ .size = act, .first = l, .last = end - l };
        b[n++] = (tern__mem_block){ .size = act / 2, .first = l, .last = l + 1 };
        b[n++] = (tern__mem_block){ .size = act, .first = end - l - 1, .last = end - l };
    }
    size_t peak, lower;
    int chunks;
    OK(tern__mem_plan(b, n, 256, 0, &peak, &lower, &chunks));
    check_plan(b, n, 256, 0, peak, lower, chunks);
    assert_true((double)peak <= 1.05 * (double)lower);
}

static void test_edges_of_memory_plans(void **state)
{
    (void)state;
    size_t peak = 1, lower = 1;
    int chunks = 1;
    OK(tern__mem_plan(NULL, 0, 256, 0, &peak, &lower, &chunks));
    assert_int_equal(peak + lower + (size_t)chunks, 0);

    tern__mem_block b = { .size = 0, .first = 3, .last = 3 };
    OK(tern__mem_plan(&b, 1, 256, 0, &peak, &lower, &chunks));
    assert_int_equal(peak, 256); /* an empty block still has an address */

    b = (tern__mem_block){ .size = 1000, .first = 0, .last = 0 };
    assert_int_equal(tern__mem_plan(&b, 1, 256, 512, &peak, &lower, &chunks), TERN_E_DEVICE_MEMORY);
    assert_non_null(strstr(tern_last_error(), "1000 bytes"));
    b = (tern__mem_block){ .size = SIZE_MAX, .first = 0, .last = 0 };
    assert_int_equal(tern__mem_plan(&b, 1, 256, 0, &peak, &lower, &chunks), TERN_E_DEVICE_MEMORY);
    b = (tern__mem_block){ .size = 1, .first = 2, .last = 1 };
    assert_int_equal(tern__mem_plan(&b, 1, 256, 0, &peak, &lower, &chunks), TERN_E_INVALID);

    tern__mem_block two[2] = { { .size = 600, .first = 0, .last = 1 }, { .size = 600, .first = 1, .last = 2 } };
    OK(tern__mem_plan(two, 2, 256, 1024, &peak, &lower, &chunks));
    assert_int_equal(chunks, 2);
    check_plan(two, 2, 256, 1024, peak, lower, chunks);
}

/* --- Launch plans --- */

enum { N = 1000 };

static const char source[] = "kernel void scale(global const float *x, global float *y, float a) { uint i = get_global_id(0); y[i] = a * x[i]; }\n"
                             "kernel void add(global const float *x, global const float *y, global float *z)\n"
                             "{ uint i = get_global_id(0); z[i] = x[i] + y[i]; }\n"
                             "kernel void turn(global float *x, local float *t)\n"
                             "{ uint l = get_local_id(0); t[l] = x[get_global_id(0)]; barrier(CLK_LOCAL_MEM_FENCE);\n"
                             "  x[get_global_id(0)] = t[get_local_size(0) - 1 - l]; }\n";

static tern__plan_arg slot_arg(int slot, bool writes)
{
    return (tern__plan_arg){ .kind = TERN__PLAN_SLOT, .slot = slot, .writes = writes };
}

static tern__plan_arg f32_arg(float x)
{
    tern__plan_arg a = { .kind = TERN__PLAN_SCALAR, .size = sizeof x };
    memcpy(a.scalar, &x, sizeof x);
    return a;
}

static tern_status add_launch(tern__plan *p, const char *kernel, int group, size_t local, const tern__plan_arg *args, int n_args)
{
    const tern__plan_launch l = { .kernel = kernel, .group = group, .dims = 1, .global = { N }, .local = { local }, .args = args, .n_args = n_args };
    return tern__plan_add_launch(p, &l);
}

static tern_status add_scale(tern__plan *p, int group, int from, int to, float a)
{
    const tern__plan_arg args[] = { slot_arg(from, false), slot_arg(to, true), f32_arg(a) };
    return add_launch(p, "scale", group, 0, args, 3);
}

static tern_status add_add(tern__plan *p, int group, int x, int y, int z)
{
    const tern__plan_arg args[] = { slot_arg(x, false), slot_arg(y, false), slot_arg(z, true) };
    return add_launch(p, "add", group, 8, args, 3);
}

/* A call: copies its first slot into its second, and counts. The copy stands for what a library enqueues. */
typedef struct copy_data {
    size_t size;
    int *calls;
} copy_data;

static tern_status copy_call(tern_device *d, tern__buffer *const *slots, const void *data)
{
    const copy_data *c = data;
    ++*c->calls;
    if (tern__buffer_device(slots[0]) != d)
        return tern__fail(TERN_E_INVALID, "copy: a buffer of another device");
    return tern__buffer_copy(slots[0], 0, slots[1], 0, c->size);
}

static int calls_made;

static tern_status add_copy(tern__plan *p, int group, int from, int to)
{
    copy_data c = { N * 4, &calls_made };
    tern_status st = tern__plan_add_call(p, copy_call, &c, sizeof c, (int[]){ from, to }, (bool[]){ false, true }, 2, group);
    memset(&c, 0, sizeof c); /* the plan has its own */
    return st;
}

/* y = 2x + 3x, through intermediates in the arena; in_place scales within one of them. */
typedef struct fixture {
    tern_device *d;
    tern__program *program;
    tern__plan *plan;
    int x, y, t[3];
} fixture;

static tern_status record(fixture *f)
{
    TERN_TRY(tern__plan_create(f->d, &f->plan));
    TERN_TRY(tern__plan_add_slot(f->plan, TERN__SLOT_BOUND, N * 4, &f->x));
    TERN_TRY(tern__plan_add_slot(f->plan, TERN__SLOT_BOUND, N * 4, &f->y));
    for (int i = 0; i < 3; i++)
        TERN_TRY(tern__plan_add_slot(f->plan, TERN__SLOT_ARENA, N * 4, &f->t[i]));
    TERN_TRY(tern__plan_alias_slot(f->plan, f->t[2], f->t[1]));
    TERN_TRY(add_scale(f->plan, 0, f->x, f->t[0], 2));
    TERN_TRY(add_scale(f->plan, 0, f->x, f->t[1], 1.5f));
    TERN_TRY(add_scale(f->plan, 1, f->t[1], f->t[2], 2));
    TERN_TRY(add_add(f->plan, 2, f->t[0], f->t[2], f->y));
    return tern__plan_finish(f->plan, &f->program, 1);
}

static tern_status open_fixture(fixture *f, const char *select, bool profile)
{
    const tern_device_params params = { .select = select, .cache_dir = "", .profile = profile };
    TERN_TRY(tern_device_open(&params, &f->d));
    TERN_TRY(tern__program_build(f->d, source, sizeof source - 1, "", NULL, &f->program));
    return record(f);
}

static void close_fixture(fixture *f)
{
    tern__plan_destroy(f->plan);
    tern__program_release(f->program);
    tern_device_close(f->d);
}

/* Runs on x = 0, 1, 2 ... and checks y = 5x (a null device computes nothing). */
static tern_status run_once(fixture *f, float first)
{
    tern__buffer *x = NULL, *y = NULL;
    float host[N];
    for (int i = 0; i < N; i++)
        host[i] = first + (float)i;
    tern_status st = tern__buffer_create(f->d, sizeof host, &x);
    if (st == TERN_OK)
        st = tern__buffer_create(f->d, sizeof host, &y);
    if (st == TERN_OK)
        st = tern__buffer_write(x, 0, host, sizeof host);
    if (st == TERN_OK)
        st = tern__plan_bind(f->plan, f->x, x);
    if (st == TERN_OK)
        st = tern__plan_bind(f->plan, f->y, y);
    if (st == TERN_OK)
        st = tern__plan_run(f->plan);
    if (st == TERN_OK)
        st = tern__buffer_read(y, 0, host, sizeof host);
    tern__buffer_release(x);
    tern__buffer_release(y);
    tern_device_info info;
    tern_device_get_info(f->d, &info);
    for (int i = 0; st == TERN_OK && info.type != TERN_DEVICE_NULL && i < N; i++)
        assert_true(host[i] == 5 * (first + (float)i));
    return st;
}

static void test_runs_and_rebinds(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        fixture f = { 0 };
        OK(open_fixture(&f, devices[i], false));
        assert_int_equal(tern__plan_n_launches(f.plan), 4);
        assert_int_equal(tern__plan_run(f.plan), TERN_E_INVALID); /* nothing bound yet */
        assert_non_null(strstr(tern_last_error(), "nothing bound"));
        for (int r = 0; r < 3; r++)
            OK(run_once(&f, (float)(r * 100)));
        assert_int_equal(tern__plan_arena_bytes(f.plan), 2 * 4096);
        assert_int_equal(tern__plan_arena_lower_bytes(f.plan), 2 * 4096);
        assert_ptr_equal(tern__plan_slot_buffer(f.plan, f.t[1]), tern__plan_slot_buffer(f.plan, f.t[2]));
        close_fixture(&f);
    }
}

/* Launches one by one, each with what it needs and no more. */
static void test_one_launch_at_a_time(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        fixture f = { 0 };
        float host[N];
        int first, last;
        tern__buffer *x = NULL, *y = NULL;
        OK(open_fixture(&f, devices[i], false));
        tern__plan_slot_span(f.plan, f.x, &first, &last);
        assert_int_equal(first, 0);
        assert_int_equal(last, 1);
        tern__plan_slot_span(f.plan, f.t[1], &first, &last); /* with the one that shares its memory */
        assert_int_equal(first, 1);
        assert_int_equal(last, 3);
        for (int k = 0; k < N; k++)
            host[k] = (float)k;
        OK(tern__buffer_wrap(f.d, host, sizeof host, &x));
        OK(tern__buffer_create(f.d, sizeof host, &y));
        assert_int_equal(tern__plan_run_one(f.plan, 0), TERN_E_INVALID);
        OK(tern__plan_bind(f.plan, f.x, x));
        tern__buffer_release(x);
        for (int l = 0; l < 3; l++)
            OK(tern__plan_run_one(f.plan, l));
        OK(tern__device_finish(f.d));
        tern__plan_unbind(f.plan, f.x);
        tern__plan_unbind(f.plan, f.x); /* it has none */
        assert_int_equal(tern__plan_run_one(f.plan, 3), TERN_E_INVALID);
        assert_non_null(strstr(tern_last_error(), "nothing bound"));
        OK(tern__plan_bind(f.plan, f.y, y));
        OK(tern__plan_run_one(f.plan, 3));
        assert_int_equal(tern__plan_run(f.plan), TERN_E_INVALID); /* x is missing again */
        OK(tern__buffer_read(y, 0, host, sizeof host));
        for (int k = 0; k < N && *devices[i] == 0; k++)
            assert_true(host[k] == (float)(5 * k));
        tern__buffer_release(y);
        close_fixture(&f);
    }
}

static void test_run_neither_allocates_nor_waits(void **state)
{
    (void)state;
    fixture f = { 0 };
    OK(open_fixture(&f, "", false));
    OK(run_once(&f, 0));
    tern__buffer *x = tern__plan_slot_buffer(f.plan, f.x);
    tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
    tern__fault_arm(TERN__FAULT_CL, 0, false);
    OK(tern__plan_bind(f.plan, f.x, x));
    OK(tern__plan_run(f.plan));
    assert_int_equal(tern__fault_count(TERN__FAULT_ALLOC), 0);
    assert_int_equal(tern__fault_count(TERN__FAULT_CL), 4 + 1); /* four launches and a flush; no argument is set again */
    close_fixture(&f);
}

static void test_aliases_of_bound_slots(void **state)
{
    (void)state;
    fixture f = { .d = open_device("", false) };
    OK(tern__program_build(f.d, source, sizeof source - 1, "", NULL, &f.program));
    OK(tern__plan_create(f.d, &f.plan));
    int x, view, y;
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_BOUND, N * 4, &x));
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_ARENA, N * 4, &view));
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_OWNED, N * 4, &y));
    OK(tern__plan_alias_slot(f.plan, view, x));
    assert_int_equal(tern__plan_alias_slot(f.plan, x, view), TERN_E_INVALID); /* a ring */
    OK(add_scale(f.plan, 0, view, y, 3));
    OK(tern__plan_finish(f.plan, &f.program, 1));
    assert_int_equal(tern__plan_add_slot(f.plan, TERN__SLOT_ARENA, 4, &y), TERN_E_INVALID);
    float host[N];
    for (int r = 0; r < 2; r++) {
        tern__buffer *b;
        OK(tern__buffer_create(f.d, sizeof host, &b));
        for (int i = 0; i < N; i++)
            host[i] = (float)(i + r);
        OK(tern__buffer_write(b, 0, host, sizeof host));
        OK(tern__plan_bind(f.plan, x, b));
        assert_ptr_equal(tern__plan_slot_buffer(f.plan, view), b);
        tern__buffer_release(b);
        OK(tern__plan_run(f.plan));
        OK(tern__buffer_read(tern__plan_slot_buffer(f.plan, y), 0, host, sizeof host));
        assert_true(host[7] == (float)(3 * (7 + r)));
    }
    close_fixture(&f);
}

/* Between two launches, from and into every kind of slot; memory is packed as for launches. */
static void test_calls(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        fixture f = { .d = open_device(devices[i], true) };
        OK(tern__program_build(f.d, source, sizeof source - 1, "", NULL, &f.program));
        OK(tern__plan_create(f.d, &f.plan));
        OK(tern__plan_add_slot(f.plan, TERN__SLOT_BOUND, N * 4, &f.x));
        OK(tern__plan_add_slot(f.plan, TERN__SLOT_BOUND, N * 4, &f.y));
        for (int k = 0; k < 3; k++)
            OK(tern__plan_add_slot(f.plan, TERN__SLOT_ARENA, N * 4, &f.t[k]));
        OK(add_copy(f.plan, 0, f.x, f.t[0]));
        OK(add_scale(f.plan, 1, f.t[0], f.t[1], 5));
        OK(add_copy(f.plan, 2, f.t[1], f.t[2])); /* t[0] is free again */
        OK(add_copy(f.plan, 2, f.t[2], f.y));
        assert_int_equal(tern__plan_n_launches(f.plan), 4);
        OK(tern__plan_finish(f.plan, &f.program, 1));
        assert_int_equal(tern__plan_arena_bytes(f.plan), 2 * 4096);
        assert_int_equal(tern__plan_run(f.plan), TERN_E_INVALID);
        assert_non_null(strstr(tern_last_error(), "nothing bound"));
        calls_made = 0;
        for (int r = 0; r < 3; r++) /* each binds other buffers */
            OK(run_once(&f, (float)(r * 100)));
        assert_int_equal(calls_made, 9);
        const double us = tern__plan_group_us(f.plan, 2); /* between marks in the queue */
        assert_true(strncmp(devices[i], "null", 4) ? us > 0 && us < 1e6 : us == 0);
        close_fixture(&f);
    }
}

static void test_plans_of_calls_alone(void **state)
{
    (void)state;
    fixture f = { .d = open_device("", false) };
    int x, y;
    OK(tern__plan_create(f.d, &f.plan));
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_OWNED, N * 4, &x));
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_OWNED, N * 4, &y));
    assert_int_equal(tern__plan_add_call(f.plan, NULL, NULL, 0, NULL, NULL, 0, 0), TERN_E_INVALID);
    assert_int_equal(add_copy(f.plan, 0, x, 2), TERN_E_INVALID);
    OK(add_copy(f.plan, 0, x, y));
    assert_int_equal(tern__plan_run(f.plan), TERN_E_INVALID);
    assert_non_null(strstr(tern_last_error(), "not finished"));
    OK(tern__plan_finish(f.plan, NULL, 0));
    assert_int_equal(add_copy(f.plan, 0, x, y), TERN_E_INVALID);
    float host[N];
    for (int i = 0; i < N; i++)
        host[i] = (float)i;
    OK(tern__buffer_write(tern__plan_slot_buffer(f.plan, x), 0, host, sizeof host));
    memset(host, 0, sizeof host);
    OK(tern__plan_run(f.plan));
    OK(tern__buffer_read(tern__plan_slot_buffer(f.plan, y), 0, host, sizeof host));
    for (int i = 0; i < N; i++)
        assert_true(host[i] == (float)i);
    close_fixture(&f);
}

static const char chain_source[] = "kernel void scale(global const float *x, global float *y, float a)\n"
                                   "{ uint i = get_global_id(0); y[i] = a * x[i]; }\n"
                                   "kernel void both(global uint *count, global const uint *words, global const float *x, global float *y,\n"
                                   "  global float *arena)\n"
                                   "{ uint i = get_global_id(0); global float *t = arena + words[1] * 64u;\n"
                                   "  t[i] = words[0] * x[i]; y[i] = 2.0f * t[i] + count[0]; if (i == 0) count[0] = 0; }\n";

/* Two launches through the arena, and a chain of both whose kernel finds the second intermediate by its place. */
static void record_chain(fixture *f)
{
    int slot[2], aside;
    OK(tern__plan_create(f->d, &f->plan));
    OK(tern__plan_add_slot(f->plan, TERN__SLOT_BOUND, N * 4, &f->x));
    OK(tern__plan_add_slot(f->plan, TERN__SLOT_BOUND, N * 4, &f->y));
    OK(tern__plan_add_slot(f->plan, TERN__SLOT_ARENA, N * 4, &aside));
    OK(tern__plan_add_slot(f->plan, TERN__SLOT_ARENA, N * 4, &f->t[0]));
    for (int i = 0; i < 2; i++)
        OK(tern__plan_add_slot(f->plan, TERN__SLOT_OWNED, 8, &slot[i]));
    OK(add_scale(f->plan, 0, f->x, aside, 2));
    OK(add_scale(f->plan, 0, f->x, f->t[0], 3));
    OK(add_scale(f->plan, 1, f->t[0], f->y, 2));
    tern__plan_keep_slot(f->plan, aside);
    const tern__plan_arg args[] = { slot_arg(slot[0], true), slot_arg(slot[1], false), slot_arg(f->x, false), slot_arg(f->y, true),
                                    { .kind = TERN__PLAN_ARENA } };
    const tern__plan_word words[] = { { 3, -1 }, { 0, f->t[0] } };
    tern__plan_launch l = { .kernel = "both", .dims = 1, .global = { N }, .args = args, .n_args = 5 };
    assert_int_equal(tern__plan_chain(f->plan, 4, &l, words, 2, 256), TERN_E_INVALID); /* more than there are */
    assert_int_equal(tern__plan_chain(f->plan, 2, &l, &(tern__plan_word){ 0, 99 }, 1, 256), TERN_E_INVALID);
    l.n_args = 1;
    assert_int_equal(tern__plan_chain(f->plan, 2, &l, words, 2, 256), TERN_E_INVALID); /* nowhere for the words */
    l.n_args = 5;
    OK(tern__plan_chain(f->plan, 2, &l, words, 2, 256));
    assert_int_equal(tern__plan_chain(f->plan, 1, &l, words, 2, 256), TERN_E_INVALID); /* in one already */
    OK(tern__plan_finish(f->plan, &f->program, 1));
}

static void test_chains(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        fixture f = { .d = open_device(devices[i], false) };
        float host[N];
        tern__buffer *x = NULL, *y = NULL;
        OK(tern__program_build(f.d, chain_source, sizeof chain_source - 1, "", NULL, &f.program));
        record_chain(&f);
        assert_int_equal(tern__plan_n_launches(f.plan), 3);
        assert_int_equal(tern__plan_arena_bytes(f.plan), 2 * 4096);
        OK(tern__buffer_create(f.d, sizeof host, &x));
        OK(tern__buffer_create(f.d, sizeof host, &y));
        for (int run = 0; run < 3; run++) {
            for (int k = 0; k < N; k++)
                host[k] = (float)(run + k);
            OK(tern__buffer_write(x, 0, host, sizeof host));
            OK(tern__plan_bind(f.plan, f.x, x));
            OK(tern__plan_bind(f.plan, f.y, y));
            OK(tern__plan_run(f.plan));
            OK(tern__buffer_read(y, 0, host, sizeof host));
            for (int k = 0; k < N && *devices[i] == 0; k++)
                assert_true(host[k] == (float)(6 * (run + k)));
        }
        tern__buffer_release(x);
        tern__buffer_release(y);
        close_fixture(&f);
    }
}

/* Profiles time each launch. */
static void test_profiled_plans_have_no_chains(void **state)
{
    (void)state;
    fixture f = { 0 };
    OK(tern_device_open(&(tern_device_params){ .select = "null", .cache_dir = "", .profile = true }, &f.d));
    OK(tern__plan_create(f.d, &f.plan));
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_OWNED, N * 4, &f.x));
    OK(add_scale(f.plan, 0, f.x, f.x, 2));
    const tern__plan_arg args[] = { slot_arg(f.x, true), slot_arg(f.x, true) };
    const tern__plan_launch l = { .kernel = "both", .dims = 1, .global = { N }, .args = args, .n_args = 2 };
    assert_int_equal(tern__plan_chain(f.plan, 1, &l, NULL, 0, 256), TERN_E_INVALID);
    assert_non_null(strstr(tern_last_error(), "profiled"));
    close_fixture(&f);
}

static void test_local_memory_and_kept_slots(void **state)
{
    (void)state;
    fixture f = { .d = open_device("", false) };
    OK(tern__program_build(f.d, source, sizeof source - 1, "", NULL, &f.program));
    OK(tern__plan_create(f.d, &f.plan));
    int x, kept, last;
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_OWNED, N * 4, &x));
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_ARENA, N * 4, &kept));
    OK(tern__plan_add_slot(f.plan, TERN__SLOT_ARENA, N * 4, &last));
    OK(add_scale(f.plan, 0, x, kept, 10));
    const tern__plan_arg turn[] = { slot_arg(kept, true), { .kind = TERN__PLAN_LOCAL, .size = 8 * 4 } };
    OK(add_launch(f.plan, "turn", 0, 8, turn, 2));
    OK(add_scale(f.plan, 0, x, last, 7)); /* would take kept's place if kept were not kept */
    tern__plan_keep_slot(f.plan, kept);
    OK(tern__plan_finish(f.plan, &f.program, 1));
    assert_int_equal(tern__plan_arena_bytes(f.plan), 2 * 4096);
    float host[N];
    for (int i = 0; i < N; i++)
        host[i] = (float)i;
    OK(tern__buffer_write(tern__plan_slot_buffer(f.plan, x), 0, host, sizeof host));
    OK(tern__plan_run(f.plan));
    OK(tern__buffer_read(tern__plan_slot_buffer(f.plan, kept), 0, host, sizeof host));
    for (int i = 0; i < N; i++)
        assert_true(host[i] == (float)(10 * (i / 8 * 8 + 7 - i % 8)));
    close_fixture(&f);
}

static void test_refusals(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++) {
        fixture f = { 0 };
        int s, big;
        OK(open_fixture(&f, devices[i], false));
        tern__buffer *small;
        OK(tern__buffer_create(f.d, 100, &small));
        assert_int_equal(tern__plan_bind(f.plan, f.x, small), TERN_E_INVALID);
        assert_non_null(strstr(tern_last_error(), "needs 4000 bytes, the buffer has 100"));
        assert_int_equal(tern__plan_bind(f.plan, f.t[0], small), TERN_E_INVALID);
        assert_int_equal(tern__plan_bind(f.plan, 99, small), TERN_E_INVALID);
        tern__buffer_release(small);
        tern__plan_destroy(f.plan);

        OK(tern__plan_create(f.d, &f.plan));
        OK(tern__plan_add_slot(f.plan, TERN__SLOT_ARENA, 16, &s));
        OK(tern__plan_add_slot(f.plan, TERN__SLOT_ARENA, 32, &big));
        assert_int_equal(tern__plan_alias_slot(f.plan, big, s), TERN_E_INVALID); /* would not fit */
        const tern__plan_arg bad = slot_arg(7, false), good = slot_arg(s, false);
        assert_int_equal(add_launch(f.plan, "scale", 0, 0, &bad, 1), TERN_E_INVALID);
        OK(add_launch(f.plan, "scale", 0, 0, &good, 1)); /* too few arguments, which only a driver can tell */
        tern_status st = tern__plan_finish(f.plan, &f.program, 1);
        assert_int_equal(st, devices[i][0] ? TERN_OK : TERN_E_INVALID);
        close_fixture(&f);
    }
    fixture f = { .d = open_device("", false) };
    OK(tern__program_build(f.d, source, sizeof source - 1, "", NULL, &f.program));
    OK(tern__plan_create(f.d, &f.plan));
    OK(add_launch(f.plan, "no_such_kernel", 0, 0, NULL, 0));
    assert_int_equal(tern__plan_finish(f.plan, &f.program, 1), TERN_E_DEVICE);
    assert_non_null(strstr(tern_last_error(), "no_such_kernel"));
    assert_non_null(strstr(tern_last_error(), "CL_INVALID_KERNEL_NAME"));
    close_fixture(&f);
}

/* --- Profiles --- */

static void test_profile_and_trace(void **state)
{
    (void)state;
    static const char *const names[] = { "first \"group\"", "second", "third" };
    char path[] = "/tmp/tern-trace-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    fixture f = { 0 };
    OK(open_fixture(&f, "", true));
    assert_true(tern__plan_group_us(f.plan, 0) == 0);
    for (int r = 0; r < 40; r++) /* more than are kept */
        OK(run_once(&f, 0));
    for (int g = 0; g < 3; g++)
        assert_true(tern__plan_group_us(f.plan, g) > 0);
    assert_true(tern__plan_group_us(f.plan, 9) == 0);
    OK(tern__plan_trace(f.plan, names, 3, path));

    json_error_t e;
    json_t *root = json_load_file(path, 0, &e);
    assert_non_null(root);
    json_t *events = json_object_get(root, "traceEvents");
    assert_int_equal(json_array_size(events), 32 * 4);
    json_t *one = json_array_get(events, 0);
    assert_string_equal(json_string_value(json_object_get(one, "name")), names[0]);
    assert_string_equal(json_string_value(json_object_get(one, "ph")), "X");
    assert_true(json_number_value(json_object_get(one, "dur")) > 0);
    json_decref(root);
    unlink(path);

    assert_int_equal(tern__plan_trace(f.plan, names, 3, "/nonexistent/dir/trace.json"), TERN_E_NOT_FOUND);
    close_fixture(&f);

    OK(open_fixture(&f, "", false));
    assert_int_equal(tern__plan_trace(f.plan, names, 3, path), TERN_E_INVALID);
    close_fixture(&f);
}

/* --- Every call made to fail --- */

static tern_status with_a_call(tern_device *d)
{
    tern__plan *p = NULL;
    int x, y;
    tern_status st = tern__plan_create(d, &p);
    if (st == TERN_OK)
        st = tern__plan_add_slot(p, TERN__SLOT_OWNED, N * 4, &x);
    if (st == TERN_OK)
        st = tern__plan_add_slot(p, TERN__SLOT_OWNED, N * 4, &y);
    if (st == TERN_OK)
        st = add_copy(p, 0, x, y);
    if (st == TERN_OK)
        st = tern__plan_finish(p, NULL, 0);
    if (st == TERN_OK)
        st = tern__plan_run(p);
    tern__plan_destroy(p);
    return st;
}

static tern_status whole_life(const char *select)
{
    fixture f = { 0 };
    tern_status st = open_fixture(&f, select, true);
    if (st == TERN_OK)
        st = run_once(&f, 1);
    if (st == TERN_OK)
        st = with_a_call(f.d);
    if (st == TERN_OK)
        (void)tern__plan_group_us(f.plan, 0);
    close_fixture(&f);
    return st;
}

static void walk(const char *select, tern__fault_kind kind, bool for_good)
{
    tern__fault_arm(kind, 0, false);
    OK(whole_life(select));
    long calls = tern__fault_count(kind), failed = 0;
    assert_true(calls > 0 || select[0]);
    for (long n = 1; n <= calls; n++) {
        tern__fault_arm(kind, n, for_good);
        tern_status st = whole_life(select);
        tern__fault_arm(kind, 0, false);
        failed += st != TERN_OK;
        if (st != TERN_OK && strlen(tern_last_error()) < 20)
            fail_msg("call %ld of %ld failed with \"%s\"", n, calls, tern_last_error());
    }
    assert_true(failed * 2 > calls); /* the others are clean-up and queries that something else answers for */
    OK(whole_life(select));
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    for (int i = 0; i < TERN_COUNT(devices); i++)
        for (int for_good = 0; for_good < 2; for_good++)
            walk(devices[i], TERN__FAULT_ALLOC, for_good);
}

static void test_every_opencl_call_fails(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++)
        walk("", TERN__FAULT_CL, for_good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_lifetimes),
        cmocka_unit_test(test_training_lifetimes),
        cmocka_unit_test(test_edges_of_memory_plans),
        cmocka_unit_test(test_runs_and_rebinds),
        cmocka_unit_test(test_one_launch_at_a_time),
        cmocka_unit_test(test_run_neither_allocates_nor_waits),
        cmocka_unit_test(test_aliases_of_bound_slots),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_plans_of_calls_alone),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_profiled_plans_have_no_chains),
        cmocka_unit_test(test_local_memory_and_kept_slots),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_profile_and_trace),
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_every_opencl_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
