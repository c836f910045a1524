/* The documents that tern bench --json wrote, read back and checked. */
#include "bench.h"

#include <string.h>

enum { MOST_RESULTS = 10000 };

/* A number in [0, most]; absent: 0. */
static bool read_amount(const json_value *object, const char *key, double most, double *out)
{
    double x = json_number(object, key, 0);
    *out = x;
    return x >= 0 && x <= most;
}

static int bad(const char *path, int i, const char *what)
{
    return cli_error(CLI_FAILED, "bench: result %d of %s has %s", i + 1, path, what);
}

static int read_result(const char *path, int i, const json_value *v, bench_result *r)
{
    double groups, launches, samples, runs;
    const char *problem = json_string(v, "problem"), *dtype = json_string(v, "dtype");
    if (!problem || !*problem || !dtype)
        return bad(path, i, "no problem or no dtype");
    bench_copy(r->problem, sizeof r->problem, problem);
    bench_copy(r->name, sizeof r->name, json_string(v, "name"));
    bench_copy(r->dtype, sizeof r->dtype, dtype);
    bench_copy(r->impl, sizeof r->impl, json_string(v, "impl"));
    bench_copy(r->kernel, sizeof r->kernel, json_string(v, "kernel"));
    bench_copy(r->error, sizeof r->error, json_string(v, "error"));
    if (*r->error)
        return CLI_OK;
    bool good = read_amount(v, "flops", 1e30, &r->flops) && read_amount(v, "bytes", 1e30, &r->bytes) && read_amount(v, "plan_bytes", 1e30, &r->plan_bytes) &&
                read_amount(v, "median_us", 1e15, &r->median_us) && read_amount(v, "min_us", 1e15, &r->min_us) && read_amount(v, "p90_us", 1e15, &r->p90_us) &&
                read_amount(v, "ready_ms", 1e15, &r->ready_ms) && read_amount(v, "groups", 1e9, &groups) && read_amount(v, "launches", 1e9, &launches) &&
                read_amount(v, "samples", 1e9, &samples) && read_amount(v, "runs_in_sample", 1e9, &runs);
    if (!good || r->median_us <= 0)
        return bad(path, i, "no median time, or a number that cannot be");
    r->n_groups = (int64_t)groups;
    r->n_launches = (int64_t)launches;
    r->samples = (int64_t)samples;
    r->runs = (int64_t)runs;
    return CLI_OK;
}

static int read_results(const char *path, const json_value *list, bench_set *s)
{
    int i = 0, code = CLI_OK;
    for (const json_value *v = json_first(list); v && code == CLI_OK; v = json_next(list, v), i++) {
        bench_result *r = i < MOST_RESULTS ? bench_set_add(s) : NULL;
        if (!r)
            return i < MOST_RESULTS ? CLI_FAILED : cli_error(CLI_FAILED, "bench: %s has more than %d results", path, MOST_RESULTS);
        code = read_result(path, i, v, r);
    }
    return code;
}

static int read_set(const char *path, const json_value *root, bench_set *s)
{
    const json_value *device = json_get(root, "device"), *peak = json_get(root, "peak"), *results = json_get(root, "results");
    const char *format = json_string(root, "format");
    if (!format || strcmp(format, BENCH_FORMAT) || !json_string(device, "name") || !results || results->kind != JSON_ARRAY)
        return cli_error(CLI_FAILED, "bench: %s is no document of tern bench --json", path);
    bench_copy(s->device, sizeof s->device, json_string(device, "name"));
    bench_copy(s->type, sizeof s->type, json_string(device, "type"));
    bench_copy(s->vendor, sizeof s->vendor, json_string(device, "vendor"));
    bench_copy(s->platform, sizeof s->platform, json_string(device, "platform"));
    bench_copy(s->version, sizeof s->version, json_string(device, "version"));
    bench_copy(s->driver, sizeof s->driver, json_string(device, "driver"));
    bench_copy(s->tern, sizeof s->tern, json_string(root, "tern"));
    bench_copy(s->date, sizeof s->date, json_string(root, "date"));
    if (!read_amount(peak, "gflops", 1e9, &s->peak_gflops) || !read_amount(peak, "gbytes_per_s", 1e9, &s->peak_gbytes))
        return cli_error(CLI_FAILED, "bench: the peaks in %s cannot be", path);
    return read_results(path, results, s);
}

int bench_read(const char *path, bench_set *out)
{
    json_doc doc;
    bench_set s = {.n = 0};
    int code = json_read("bench", path, &doc);
    if (code != CLI_OK)
        return code;
    code = read_set(path, doc.value, &s);
    json_finish(&doc);
    if (code == CLI_OK)
        *out = s;
    else
        bench_set_finish(&s);
    return code;
}
