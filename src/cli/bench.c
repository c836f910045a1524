/* tern bench: operations and models timed on a device and held against its own peaks; devices compared. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_FILES = 16 };

typedef struct job {
    bench_params params;
    const char *dtype, *html;
    bool json, compare;
    cli_dims dims;
    cli_list in;
    bench_problem *problem;
    int n;
} job;

/* --- What is measured --- */

static int add_problem(job *j, const char *kind, const char *shape)
{
    char why[256];
    bench_problem *p = &j->problem[j->n];
    if (!bench_parse(kind, shape, p, why, sizeof why))
        return cli_misuse("bench", "%.40s %.80s: %s", kind, shape, why);
    if (bench_check(p, j->params.dtype) != TERN_OK)
        return cli_misuse("bench", "%.200s: %s", p->text, tern_last_error());
    j->n++;
    return CLI_OK;
}

static int add_model(job *j, const char *path)
{
    bench_problem *p = &j->problem[j->n];
    const char *slash = strrchr(path, '/');
    *p = (bench_problem){.kind = BENCH_MODEL};
    snprintf(p->text, sizeof p->text, "model %.300s", slash ? slash + 1 : path);
    j->n++;
    return bench_model_open(path, &j->dims, &j->in, p);
}

/* Those of one kind, or of all for NULL. */
static int add_defaults(job *j, const char *kind)
{
    int n, code = CLI_OK, before = j->n;
    const bench_default *all = bench_defaults(&n);
    size_t length = kind ? strcspn(kind, ":") : 0;
    for (int i = 0; i < n && code == CLI_OK; i++)
        if (!kind || (!strncmp(all[i].kind, kind, length) && (!all[i].kind[length] || all[i].kind[length] == ':')))
            code = add_problem(j, kind && kind[length] ? kind : all[i].kind, all[i].shape);
    return code == CLI_OK && j->n == before ? cli_misuse("bench", "%s needs a shape", kind) : code;
}

/* A kind is followed by its shapes, or by none for its default ones; a model is a file name. */
static int read_problems(job *j, int argc, char **argv)
{
    int n_default, code = CLI_OK;
    (void)bench_defaults(&n_default);
    j->problem = cli_alloc((size_t)(argc + 1) * (size_t)n_default, sizeof *j->problem);
    if (!j->problem)
        return CLI_FAILED;
    if (argc == 0)
        return add_defaults(j, NULL);
    const char *kind = NULL;
    for (int i = 0; i < argc && code == CLI_OK; i++) {
        if (bench_is_kind(argv[i])) {
            kind = argv[i];
            if (i + 1 == argc || bench_is_kind(argv[i + 1]) || cli_has_suffix(argv[i + 1], ".onnx") || cli_has_suffix(argv[i + 1], ".tern"))
                code = add_defaults(j, kind);
        } else if (cli_has_suffix(argv[i], ".onnx") || cli_has_suffix(argv[i], ".tern")) {
            code = add_model(j, argv[i]);
        } else if (kind) {
            code = add_problem(j, kind, argv[i]);
        } else {
            code = cli_misuse("bench", "\"%.80s\" is neither a kind of problem (conv, gemm, matmul, eltwise, reduce, pool, norm, softmax, attention) nor a model "
                              "(.onnx, .tern)", argv[i]);
        }
    }
    return code;
}

/* --- The document --- */

static void json_ints(cli_json *w, const char *key, const int64_t *v, int n)
{
    json_array(w, key);
    for (int i = 0; i < n; i++)
        json_int(w, NULL, v[i]);
    json_close(w);
}

/* What a program that measures the same elsewhere needs to know. */
static void json_params(cli_json *w, const bench_problem *p)
{
    int from = 3 - p->n_dims;
    json_object(w, "params");
    json_text(w, "kind", bench_kind_name(p->kind));
    json_text(w, "op", p->op);
    if (p->kind == BENCH_CONV || p->kind == BENCH_POOL) {
        json_int(w, "batch", p->batch);
        json_int(w, "groups", p->group);
        json_int(w, "channels_in", p->c_in);
        json_int(w, "channels_out", p->c_out);
        json_ints(w, "in", p->in + from, p->n_dims);
        json_ints(w, "out", p->out + from, p->n_dims);
        json_ints(w, "kernel", p->kernel + from, p->n_dims);
        json_ints(w, "stride", p->stride + from, p->n_dims);
        json_ints(w, "dilation", p->dilation + from, p->n_dims);
        json_ints(w, "pad", p->pad + from, p->n_dims);
        json_ints(w, "pad_end", p->pad_end + from, p->n_dims);
    } else if (p->kind == BENCH_GEMM || p->kind == BENCH_MATMUL) {
        json_int(w, "batch", p->batch);
        json_ints(w, "mnk", (const int64_t[]){p->m, p->n, p->k}, 3);
        json_bool(w, "trans_a", p->trans_a);
        json_bool(w, "trans_b", p->trans_b);
    } else if (p->kind != BENCH_MODEL) {
        json_array(w, "shapes");
        for (int i = 0; i < p->n_shapes; i++)
            json_shape(w, NULL, &p->shape[i]);
        json_close(w);
        json_int(w, "number", p->number);
    }
    json_close(w);
}

static void json_result(cli_json *w, const bench_set *s, const bench_result *r, const bench_problem *p)
{
    bench_rates x = bench_rate(s, r);
    bool failed = *r->error;
    json_object(w, NULL);
    json_text(w, "problem", r->problem);
    json_text(w, "name", *r->name ? r->name : NULL);
    json_text(w, "dtype", r->dtype);
    json_params(w, p);
    json_text(w, "error", failed ? r->error : NULL);
    if (!failed) {
        json_real(w, "flops", r->flops);
        json_real(w, "bytes", r->bytes);
        json_real(w, "plan_bytes", r->plan_bytes);
        json_real(w, "median_us", r->median_us);
        json_real(w, "min_us", r->min_us);
        json_real(w, "p90_us", r->p90_us);
        json_int(w, "samples", r->samples);
        json_int(w, "runs_in_sample", r->runs);
        json_real(w, "ready_ms", r->ready_ms);
        if (x.known) {
            json_real(w, "gflops", x.gflops);
            json_real(w, "gbytes_per_s", x.gbytes_per_s);
            json_real(w, "intensity", x.intensity);
            json_real(w, "share_of_compute_peak", x.of_compute);
            json_real(w, "share_of_memory_peak", x.of_memory);
            json_real(w, "share_of_roof", x.of_roof);
            json_text(w, "bound", x.memory_bound ? "memory" : "compute");
        }
        json_text(w, "impl", r->impl);
        json_text(w, "kernel", r->kernel);
        json_int(w, "groups", r->n_groups);
        json_int(w, "launches", r->n_launches);
        json_int(w, "tuned", r->n_tuned);
    }
    json_close(w);
}

static void print_json(const job *j, const bench_set *s, const tern_device_info *device)
{
    cli_json w;
    json_begin(&w, stdout);
    json_text(&w, "format", BENCH_FORMAT);
    json_text(&w, "tern", s->tern);
    json_text(&w, "date", s->date);
    json_device(&w, "device", device);
    json_object(&w, "peak");
    json_real(&w, "gflops", s->peak_gflops);
    json_real(&w, "gbytes_per_s", s->peak_gbytes);
    json_close(&w);
    json_object(&w, "method");
    json_real(&w, "time_ms", j->params.time_ms);
    json_int(&w, "samples", j->params.repeat);
    json_bool(&w, "exact", j->params.choices.exact);
    json_bool(&w, "no_tuned", j->params.choices.no_tuned);
    json_text(&w, "disable", j->params.disable);
    json_text(&w, "force_impl", j->params.force_impl);
    json_close(&w);
    json_array(&w, "results");
    for (int i = 0; i < s->n; i++)
        json_result(&w, s, &s->result[i], &j->problem[i]);
    json_close(&w);
    json_end(&w);
}

/* --- Measuring --- */

static void describe_device(bench_set *s, const tern_device_info *d)
{
    static const char *const type[] = {"cpu", "gpu", "accelerator", "null"};
    time_t now = time(NULL);
    struct tm utc;
    bench_copy(s->device, sizeof s->device, d->name);
    bench_copy(s->type, sizeof s->type, type[d->type]);
    bench_copy(s->vendor, sizeof s->vendor, d->vendor);
    bench_copy(s->platform, sizeof s->platform, d->platform);
    bench_copy(s->version, sizeof s->version, d->version);
    bench_copy(s->driver, sizeof s->driver, d->driver);
    bench_copy(s->tern, sizeof s->tern, tern_version());
    if (gmtime_r(&now, &utc))
        strftime(s->date, sizeof s->date, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* The figures are out; what failed makes the command fail. */
static int count_failures(const bench_set *s)
{
    int n = 0;
    const char *first = NULL;
    for (int i = 0; i < s->n; i++)
        if (*s->result[i].error) {
            first = first ? first : s->result[i].error;
            n++;
        }
    return n ? cli_error(CLI_FAILED, "bench: %d of %d problems failed; the first: %s", n, s->n, first) : CLI_OK;
}

/* The peaks again, of which the better count: what else the machine does must not make them small. */
static tern_status measure_peaks(tern_device *d, bench_set *s)
{
    tern_device_speed speed;
    tern_status st = tern_device_measure(d, &speed);
    if (st != TERN_OK)
        return st;
    s->peak_gflops = speed.gflops > s->peak_gflops ? speed.gflops : s->peak_gflops;
    s->peak_gbytes = speed.gbytes_per_s > s->peak_gbytes ? speed.gbytes_per_s : s->peak_gbytes;
    return TERN_OK;
}

static int measure(const cli *c, job *j, const char *device)
{
    tern_device *d = NULL;
    tern_device_info info;
    bench_set s = {.n = 0};
    int code = cli_open_device(c, device, CLI_COMPUTES, &d);
    if (code != CLI_OK)
        return code;
    tern_device_get_info(d, &info);
    describe_device(&s, &info);
    tern_status st = measure_peaks(d, &s);
    if (st == TERN_OK)
        code = bench_measure(d, j->problem, j->n, &j->params, &s);
    if (st == TERN_OK && code == CLI_OK)
        st = measure_peaks(d, &s);
    if (st != TERN_OK)
        code = cli_fail(st, NULL);
    tern_device_close(d);
    if (code == CLI_OK && j->json)
        print_json(j, &s, &info);
    else if (code == CLI_OK)
        code = bench_print(&s);
    if (code == CLI_OK && j->html) {
        bench_label(&s, 1);
        code = bench_page(j->html, &s, 1);
    }
    if (code == CLI_OK)
        code = count_failures(&s);
    bench_set_finish(&s);
    return code;
}

/* --- Comparing --- */

static int compare(const job *j, int argc, char **argv)
{
    bench_set s[MOST_FILES] = {{.n = 0}};
    int n = 0, code = CLI_OK;
    if (argc > MOST_FILES)
        return cli_misuse("bench", "--compare takes %d files at most, not %d", MOST_FILES, argc);
    for (; n < argc && code == CLI_OK; n++)
        code = bench_read(argv[n], &s[n]);
    if (code == CLI_OK)
        bench_label(s, n);
    if (code == CLI_OK && j->html)
        code = bench_page(j->html, s, n);
    if (code == CLI_OK)
        code = j->json ? bench_json_comparison(s, n) : bench_print_comparison(s, n);
    for (int i = 0; i < n; i++)
        bench_set_finish(&s[i]);
    return code;
}

static int run(const cli *c, job *j, const char *device, int argc, char **argv)
{
    if (j->html && !cli_can_write(j->html))
        return CLI_FAILED;
    if (j->compare && argc == 0)
        return cli_misuse("bench", "--compare needs the files that --json wrote");
    if (j->compare)
        return compare(j, argc, argv);
    if (j->dtype && strcmp(j->dtype, "f32") && strcmp(j->dtype, "f16"))
        return cli_misuse("bench", "--dtype is f32 or f16, not \"%s\"", j->dtype);
    j->params.dtype = j->dtype && !strcmp(j->dtype, "f16") ? TERN_F16 : TERN_F32;
    int code = read_problems(j, argc, argv);
    return code == CLI_OK ? measure(c, j, device) : code;
}

static const char about[] =
    "Times operations and models on a device and holds them against the device's own peaks, measured before and after. A KIND is followed by its "
    "SHAPEs, or by none for usual ones; without arguments a set of all kinds is measured.\n\n"
    "conv[:relu|bwd_d|bwd_w], pool[:max|avg_np|avg_p]  benchdnn's shapes, such as mb1ic64ih56oc64oh56kh3ph1: g groups, mb batch (2 if left out), ic "
    "and oc channels; i, o, k, s, p, d with d, h, w behind: extents in and out, kernel, stride, padding in front, dilation less one; n\"name\" at the "
    "end. Width is as height where nothing is said of it, the output follows from the padding or the padding from the output. relu adds a bias, too.\n"
    "gemm, matmul  [BATCHx]M:N:K[:nn|nt|tn|tt], t: that operand is stored transposed. In gemm the right one is a constant, packed beforehand; in "
    "matmul it is not.\n"
    "eltwise[:OP]  shapes of the operands, such as eltwise:add 16x64x56x56:64x1x1 (default relu).\n"
    "reduce[:sum|mean|prod|max|min|l1|l2]  from one shape to another, such as 512x1024:512x1, or over the last axis.\n"
    "norm[:layer|rms|batch|instance|groupN], softmax[:AXIS]  a shape; over the last axis if AXIS is left out.\n"
    "attention[:causal]  queries, keys and values as batch x heads x length x head size, such as 1x12x128x64:1x12x512x64; keys are like queries, values like "
    "keys where they are left out.\n"
    "MODEL  a .tern or .onnx file, as one graph. One that has none, because branches or shapes depend on data, is timed from host tensors to host "
    "tensors, and nothing of it is counted.\n\n"
    "What is timed: runs of a session made for the one problem, weights packed and operands in device memory before, results left there. After a run "
    "that is not counted as many as last 2 ms are enqueued one after another, with one wait at the end, and divided: one sample; problems take turns. "
    "GFLOPS count multiplications and additions by the textbook, whatever the kernel really does, so that a fast algorithm may pass 100 %. GB/s count "
    "every operand and result once, for models what the plan moves; what fits a cache may be faster than the memory's peak. The bound is memory if at "
    "the peaks moving those bytes takes longer than the operations do.";

int cli_bench(const cli *c, int argc, char **argv)
{
    job j = {.params = {.time_ms = 300}};
    const char *device = NULL;
    int n_plain = 0;
    cli_list dims = {.n = 0};
    const cli_option options[] = {
        {"dtype", CLI_TEXT, &j.dtype, "TYPE", "f32 (default) or f16: the operands of all problems but models.", 0, 0},
        {"time-ms", CLI_REAL, &j.params.time_ms, "MS", "How long to time each problem (default 300).", 1, 3.6e6},
        {"repeat", CLI_COUNT, &j.params.repeat, "N", "So many samples of each instead.", 1, 1e5},
        {"html", CLI_TEXT, &j.html, "FILE", "Also write a page with a roofline plot.", 0, 0},
        {"compare", CLI_FLAG, &j.compare, NULL, "Measure nothing: the arguments are files that --json wrote, and the first is what the others are compared "
         "with.", 0, 0},
        {"force-impl", CLI_TEXT, &j.params.force_impl, "OP=NAME", "Take this implementation or fail; several separated by commas. NAME:NUMBER=VALUE... also "
         "sets numbers of it, such as conv=cpu_tile:tp=7:nv=2.", 0, 0},
        {"disable", CLI_TEXT, &j.params.disable, "PASSES", "Leave out these passes, separated by commas; \"all\" for every optional one.", 0, 0},
        CLI_OPT_CHOICES(&j.params.choices),
        CLI_OPT_DIM(&dims),
        {"in", CLI_LIST, &j.in, "NAME=SOURCE", "What an input of the ONNX models gets, as for tern run; random numbers where nothing is said. May be "
         "repeated.", 0, 0},
        CLI_OPT_JSON(&j.json),
        CLI_OPT_DEVICE(&device),
        {0},
    };
    const cli_usage usage = {
        .command = "bench", .synopsis = "[KIND SHAPE... | MODEL]... [options]\n       tern bench --compare A.json B.json... [options]", .options = options,
        .n_plain = &n_plain, .positional_name = "KIND", .may_lack_positional = true,
        .about = about,
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    code = cli_dims_read("bench", &dims, &j.dims);
    if (code == CLI_OK)
        code = run(c, &j, device, n_plain, argv);
    for (int i = 0; i < j.n; i++)
        bench_model_close(&j.problem[i]);
    free(j.problem);
    cli_dims_finish(&j.dims);
    return code;
}
