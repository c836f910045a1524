/* Measured peaks of a device: multiply-adds a second and copied bytes a second. */
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/impl.h"
#include "program/program.h"

#define CHAINS 12            /* as in kernels/measure.cl */
#define RUNS 5               /* of which the median counts */
#define TARGET_S 0.02        /* what one run should last, so that launching does not count */
#define COPY_BYTES ((size_t)64 << 20)

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double median(double *x, int n)
{
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && x[j] < x[j - 1]; j--) {
            double t = x[j];
            x[j] = x[j - 1];
            x[j - 1] = t;
        }
    return x[n / 2];
}

static tern__arg buffer_arg(tern__buffer *b)
{
    return (tern__arg){ .kind = TERN__ARG_BUFFER, .buffer = b };
}

static tern__arg scalar_arg(const void *value, size_t size)
{
    tern__arg a = { .kind = TERN__ARG_SCALAR, .size = size };
    memcpy(a.scalar, value, size);
    return a;
}

/* Seconds of n launches, waiting included once. */
static tern_status time_launches(tern__kernel *k, size_t global, size_t local, int n, double *s)
{
    const size_t g[3] = { global, 1, 1 }, l[3] = { local, 1, 1 };
    double start = seconds();
    for (int i = 0; i < n; i++)
        TERN_TRY(tern__kernel_launch(k, 1, g, l, NULL));
    TERN_TRY(tern__device_finish(k->device));
    *s = seconds() - start;
    return TERN_OK;
}

/* Doubles the number of launches until a run is long enough to be timed, then takes the median of a few. */
static tern_status steady_seconds(tern__kernel *k, size_t global, size_t local, double *per_launch)
{
    int n = 1;
    double s = 0, runs[RUNS];
    TERN_TRY(time_launches(k, global, local, 1, &s)); /* the driver may compile now */
    for (s = 0; s < TARGET_S && n < 1 << 16; n *= 2)
        TERN_TRY(time_launches(k, global, local, n, &s));
    n = TERN_MAX(n / 2, 1);
    for (int i = 0; i < RUNS; i++)
        TERN_TRY(time_launches(k, global, local, n, &runs[i]));
    *per_launch = median(runs, RUNS) / n;
    return TERN_OK;
}

/* Vector width: native on CPUs; on SIMT devices one lane per item is native, and 4 gives wide loads. */
static int vector_width(const tern_device *d)
{
    int w = 1;
    if (d->family != TERN__FAMILY_CPU)
        return 4;
    while (w < 16 && w * 2 <= (int)d->info.native_vector_f32)
        w = w == 1 ? 4 : w * 2;
    return TERN_MAX(w, 4);
}

/* Raises *gflops to what this kernel reaches. */
static tern_status measure_chains(tern_device *d, tern__program *p, const char *kernel, int width, double *gflops)
{
    bool cpu = d->family == TERN__FAMILY_CPU;
    size_t local = cpu ? 1 : 64, items = TERN_MAX(d->info.compute_units, 1u) * (cpu ? 4 : 64 * 32);
    int32_t rounds = cpu ? 20000 : 512;
    float a = 0.999f, b = 0.001f; /* the chains converge to 1: no overflow, no denormals */
    double s = 0;
    tern__kernel *k = NULL;
    tern__buffer *y = NULL;
    tern_status st = tern__kernel_create(p, kernel, &k);
    if (st == TERN_OK)
        st = tern__buffer_create(d, items * sizeof(float), &y);
    const tern__arg args[] = { buffer_arg(y), scalar_arg(&a, sizeof a), scalar_arg(&b, sizeof b), scalar_arg(&rounds, sizeof rounds) };
    for (int i = 0; st == TERN_OK && i < TERN_COUNT(args); i++)
        st = tern__kernel_set_arg(k, i, &args[i]);
    if (st == TERN_OK)
        st = steady_seconds(k, items, local, &s);
    if (st == TERN_OK)
        *gflops = TERN_MAX(*gflops, 2.0 * CHAINS * width * rounds * (double)items / s * 1e-9);
    tern__buffer_release(y);
    tern__kernel_release(k);
    return st;
}

static tern_status measure_copy(tern_device *d, tern__program *p, int width, double *gbytes)
{
    size_t bytes = (size_t)TERN_MIN((uint64_t)COPY_BYTES, d->info.max_alloc_bytes / 4), item = (size_t)width * sizeof(float);
    bytes = bytes / (64 * item) * (64 * item);
    double s = 0;
    tern__kernel *k = NULL;
    tern__buffer *x = NULL, *y = NULL;
    tern_status st = tern__kernel_create(p, "copy", &k);
    if (st == TERN_OK)
        st = tern__buffer_create(d, bytes, &x);
    if (st == TERN_OK)
        st = tern__buffer_create(d, bytes, &y);
    if (st == TERN_OK)
        st = tern__buffer_zero(x);
    const tern__arg args[] = { buffer_arg(x), buffer_arg(y) };
    for (int i = 0; st == TERN_OK && i < TERN_COUNT(args); i++)
        st = tern__kernel_set_arg(k, i, &args[i]);
    if (st == TERN_OK)
        st = steady_seconds(k, bytes / item, 64, &s);
    if (st == TERN_OK)
        *gbytes = 2.0 * (double)bytes / s * 1e-9;
    tern__buffer_release(x);
    tern__buffer_release(y);
    tern__kernel_release(k);
    return st;
}

static tern_status build(tern_device *d, int width, tern__program **p)
{
    tern__str source = { 0 };
    tern__str_addf(&source, "#define W %d\n", width);
    tern_status st = tern__source_append(&source, "measure.cl");
    if (st == TERN_OK)
        st = tern__program_build(d, tern__str_text(&source), source.len, "-cl-mad-enable", NULL, p);
    tern__str_finish(&source);
    return st;
}

tern_status tern_device_measure(tern_device *d, tern_device_speed *out)
{
    if (!d || !out)
        return tern__fail(TERN_E_INVALID, "measure: a device and a place for the figures are needed, neither of them NULL");
    if (d->info.type == TERN_DEVICE_NULL)
        return tern__fail(TERN_E_UNSUPPORTED, "measure: \"%s\" computes nothing that could be timed", d->info.name);
    tern_device_speed speed = { 0 };
    tern__program *p = NULL;
    int width = vector_width(d);
    TERN_TRY(build(d, width, &p));
    tern_status st = measure_chains(d, p, "fma_chains", width, &speed.gflops);
    if (st == TERN_OK)
        st = measure_chains(d, p, "mad_chains", width, &speed.gflops);
    if (st == TERN_OK)
        st = measure_copy(d, p, width, &speed.gbytes_per_s);
    tern__program_release(p);
    if (st == TERN_OK)
        *out = speed;
    return st;
}
