/* Tern's side of the measurements of ONNX models: start-up, memory and warm runs, through the public API alone.
 *
 * usage: bench_models [--start] [--dim NAME=N ...] [--fill NAME=X ...] MODEL...
 *   Answers "model INDEX REPEATS"; with --start loads the first model once, runs it twice, and says as JSON what that took. */
#include "common.h"

#include <tern/device.h>
#include <tern/onnx.h>

enum { MAX_GIVEN = 32, MAX_PORTS = 64 };

static struct {
    tern_device *device;
    char **paths;
    int n_paths;
    tern_onnx_dim dims[MAX_GIVEN];   /* --dim */
    int n_dims;
    struct {
        const char *name;
        double x;
    } fills[MAX_GIVEN];              /* --fill */
    int n_fills;
    tern_onnx *model;
    tern_onnx_session *session;
    tern_onnx_value in[MAX_PORTS], out[MAX_PORTS];
} b;

static void check(tern_status st)
{
    if (st == TERN_OK)
        return;
    fprintf(stderr, "bench: %s: %s\n", tern_status_name(st), tern_last_error());
    exit(1);
}

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "bench: %s \"%s\"\n", what, name);
    exit(1);
}

/* --- Inputs --- */

static int64_t extent(const tern_onnx_port *p, int axis)
{
    for (int i = 0; i < b.n_dims && p->dim[axis] < 0 && p->dim_name[axis]; i++)
        if (!strcmp(b.dims[i].name, p->dim_name[axis]))
            return b.dims[i].extent;
    return p->dim[axis] < 0 ? 1 : p->dim[axis];
}

static const double *filling(const char *name)
{
    for (int i = 0; i < b.n_fills; i++)
        if (!strcmp(b.fills[i].name, name))
            return &b.fills[i].x;
    return NULL;
}

/* The numbers of bench_fill, or x for all of them if it is given; in whole numbers those are 0 or 1. */
static void fill(tern_tensor *t, uint32_t seed, const double *x)
{
    const size_t n = tern_tensor_elems(t);
    float *numbers = bench_alloc(n * sizeof *numbers + 64);
    bench_fill(numbers, n, seed, 1.0f);
    for (size_t i = 0; x && i < n; i++)
        numbers[i] = (float)*x;
    void *to = tern_tensor_data(t);
    for (size_t i = 0; i < n; i++) {
        const int64_t whole = x ? (int64_t)*x : numbers[i] > 0;
        switch (tern_tensor_dtype(t)) {
        case TERN_F32: ((float *)to)[i] = numbers[i]; break;
        case TERN_F64: ((double *)to)[i] = (double)numbers[i]; break;
        case TERN_I64: ((int64_t *)to)[i] = whole; break;
        case TERN_I32: ((int32_t *)to)[i] = (int32_t)whole; break;
        case TERN_I8: case TERN_U8: case TERN_BOOL: ((uint8_t *)to)[i] = (uint8_t)whole; break;
        default: fail("no numbers for inputs of type", tern_dtype_name(tern_tensor_dtype(t)));
        }
    }
    free(numbers);
}

/* As fill, in float16: the bits of each number, cut off behind the tenth. Numbers below 2^-14 become 0. */
static void fill_half(tern_tensor *t, uint32_t seed)
{
    const size_t n = tern_tensor_elems(t);
    float *numbers = bench_alloc(n * sizeof *numbers + 64);
    bench_fill(numbers, n, seed, 1.0f);
    uint16_t *to = tern_tensor_data(t);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        const int exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
        to[i] = (uint16_t)((bits >> 16 & 0x8000) | (exponent > 0 ? (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff) : 0));
    }
    free(numbers);
}

static void make_inputs(void)
{
    for (int i = 0; i < tern_onnx_n_inputs(b.model); i++) {
        tern_onnx_port p;
        check(tern_onnx_input(b.model, i, &p));
        if (p.kind != TERN_ONNX_TENSOR || !p.typed || p.rank < 0)
            fail("no numbers for input", p.name);
        tern_shape s = {.rank = p.rank};
        for (int k = 0; k < p.rank; k++)
            s.dim[k] = extent(&p, k);
        check(tern_tensor_create(p.dtype, &s, &b.in[i].tensor));
        b.in[i].kind = TERN_ONNX_TENSOR;
        if (p.dtype == TERN_F16)
            fill_half(b.in[i].tensor, (uint32_t)i + 1);
        else
            fill(b.in[i].tensor, (uint32_t)i + 1, filling(p.name));
    }
}

/* --- Sessions --- */

static void load(const char *path)
{
    check(tern_onnx_load(path, &b.model));
    if (tern_onnx_n_inputs(b.model) > MAX_PORTS || tern_onnx_n_outputs(b.model) > MAX_PORTS)
        fail("too many inputs or outputs in", path);
    check(tern_onnx_session_create(b.device, b.model, NULL, &b.session));
}

static void clear_outputs(void)
{
    for (int i = 0; b.model && i < tern_onnx_n_outputs(b.model); i++)
        tern_onnx_value_clear(&b.out[i]);
}

static void unload(void)
{
    for (int i = 0; b.model && i < tern_onnx_n_inputs(b.model); i++)
        tern_onnx_value_clear(&b.in[i]);
    tern_onnx_session_destroy(b.session);
    tern_onnx_destroy(b.model);
    b.session = NULL;
    b.model = NULL;
}

/* Inputs come from the host and results go there, as in the peer. */
static void run_once(void)
{
    check(tern_onnx_session_run(b.session, b.in, b.out));
}

static void run(int repeats)
{
    for (int i = 0; i < repeats; i++) {
        run_once();
        clear_outputs();
    }
}

static bool prepare(const char *name, int index)
{
    if (strcmp(name, "model") || index < 0 || index >= b.n_paths)
        return false;
    unload();
    load(b.paths[index]);
    make_inputs();
    return true;
}

/* --- Start-up --- */

/* A line of /proc/self/status in MB; 0 where there is none. */
static double status_mb(const char *what)
{
    char line[200];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, what, strlen(what)))
            kib = strtod(line + strlen(what), NULL);
    if (f)
        fclose(f);
    return kib * 1024e-6;
}

/* Mean magnitude of the first floating-point result, to be held against the peer's; -1: there is none. */
static double mean_magnitude(void)
{
    for (int i = 0; i < tern_onnx_n_outputs(b.model); i++) {
        const tern_tensor *t = b.out[i].kind == TERN_ONNX_TENSOR ? b.out[i].tensor : NULL;
        if (!t || tern_tensor_dtype(t) != TERN_F32 || tern_tensor_elems(t) == 0)
            continue;
        double sum = 0;
        for (size_t k = 0; k < tern_tensor_elems(t); k++) {
            const double x = ((const float *)tern_tensor_data(t))[k];
            sum += x < 0 ? -x : x;
        }
        return sum / (double)tern_tensor_elems(t);
    }
    return -1;
}

static void print_start(double opened_s)
{
    const double base = status_mb("VmRSS:");
    double start = bench_now();
    load(b.paths[0]);
    const double load_s = bench_now() - start, load_mb = status_mb("VmHWM:");
    make_inputs();
    start = bench_now();
    run_once();
    const double first_s = bench_now() - start, magnitude = mean_magnitude();
    clear_outputs();
    start = bench_now();
    run(1);
    const double second_s = bench_now() - start;
    printf("{\"open_s\": %.6f, \"load_s\": %.6f, \"first_run_s\": %.6f, \"second_run_s\": %.6f, \"base_mb\": %.1f, \"load_peak_mb\": %.1f, "
           "\"peak_mb\": %.1f, \"end_mb\": %.1f, \"magnitude\": %.9g}\n",
           opened_s, load_s, first_s, second_s, base, load_mb, status_mb("VmHWM:"), status_mb("VmRSS:"), magnitude);
}

/* --- Arguments --- */

/* Splits NAME=X in place; the last "=" counts, names may have some. */
static double number_of(char *text)
{
    char *eq = strrchr(text, '='), *end = NULL;
    const double x = eq ? strtod(eq + 1, &end) : 0;
    if (!eq || end == eq + 1 || *end)
        fail("NAME=NUMBER is wanted, not", text);
    *eq = '\0';
    return x;
}

static bool read_arguments(int argc, char **argv)
{
    bool start = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const bool dim = !strcmp(argv[i], "--dim"), given = dim || !strcmp(argv[i], "--fill");
        start |= !strcmp(argv[i], "--start");
        if (!given)
            continue;
        if (++i == argc || (dim ? b.n_dims : b.n_fills) == MAX_GIVEN)
            fail("nothing, or too much, follows", argv[i - 1]);
        const double x = number_of(argv[i]);
        if (dim) {
            b.dims[b.n_dims++] = (tern_onnx_dim){argv[i], (int64_t)x};
        } else {
            b.fills[b.n_fills].name = argv[i];
            b.fills[b.n_fills++].x = x;
        }
    }
    b.paths = argv + i;
    b.n_paths = argc - i;
    return start;
}

int main(int argc, char **argv)
{
    (void)!setenv("POCL_AFFINITY", "1", 0); /* as the tern command does: one core for each worker */
    const bool version = argc > 1 && !strcmp(argv[1], "--version"), start = read_arguments(argc, argv);
    if (version) {
        printf("%s\n", tern_version());
        return 0;
    }
    const double opening = bench_now();
    check(tern_device_open(NULL, &b.device));
    const double opened_s = bench_now() - opening;
    int status = 0;
    if (!start)
        status = bench_serve(&(bench_program){prepare, run});
    else if (b.n_paths > 0)
        print_start(opened_s);
    unload();
    tern_device_close(b.device);
    return status;
}
