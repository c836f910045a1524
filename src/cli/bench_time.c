/* Timing of tern bench: sessions of several problems side by side, given turns so that what the machine does meanwhile falls on all. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, MIN_SAMPLES = 3, MAX_SAMPLES = 1000, MAX_RUNS = 1 << 16, TOGETHER = 16 };
#define SAMPLE_S 0.002      /* a sample lasts at least so long: the clock and the one wait do not count */
#define LONG_RUN_S 0.1      /* nothing of a run this long is lost on a cold cache */
#define TOGETHER_BYTES 1e9  /* sessions that are open at one time */

typedef struct entry {
    const bench_problem *problem;
    tern_session *session;
    tern_tensor **in;
    tern_onnx_session *runner; /* instead of the two */
    double *sample;         /* seconds a run */
    int n_samples, wanted;
    int64_t runs;           /* in a sample */
    double sample_s;
    char error[320];
} entry;

/* The library's sentence becomes the result's. */
static bool fail(entry *e)
{
    const char *sentence = tern_last_error();
    snprintf(e->error, sizeof e->error, "%s", *sentence ? sentence : "it failed");
    return false;
}

/* --- Opening --- */

/* A graph that updates its variables cannot be frozen. */
static tern_status open_session(tern_device *d, const tern_graph *g, const bench_params *params, tern_session **s)
{
    tern_session_params p = {.freeze = true, .disable = params->disable, .force_impl = params->force_impl, .exact = params->choices.exact,
                             .no_tuned = params->choices.no_tuned};
    tern_status st = tern_session_create(d, g, &p, s);
    if (st != TERN_E_INVALID)
        return st;
    p.freeze = false;
    return tern_session_create(d, g, &p, s);
}

/* Weights exist several times while a session is made, on the host too: what would use up the memory is not even drawn. */
static bool fits(entry *e, tern_device *d)
{
    char need[24], have[24];
    tern_device_info info;
    tern_device_get_info(d, &info);
    if (e->problem->bytes <= (double)info.global_mem_bytes / (info.unified_memory ? 8 : 4))
        return true;
    snprintf(e->error, sizeof e->error, "its operands take %s, more than %s of the device's %s", cli_bytes(e->problem->bytes, need),
             info.unified_memory ? "an eighth" : "a quarter", cli_bytes((double)info.global_mem_bytes, have));
    return false;
}

static bool open_entry(entry *e, tern_device *d, const bench_params *params)
{
    tern_graph *g = NULL;
    if (!fits(e, d))
        return false;
    if (e->problem->runner) {
        tern_onnx_session_params p = {.disable = params->disable, .force_impl = params->force_impl, .exact = params->choices.exact,
                                      .no_tuned = params->choices.no_tuned};
        return tern_onnx_session_create(d, e->problem->runner->model, &p, &e->runner) == TERN_OK || fail(e);
    }
    if (!e->problem->graph && bench_graph(e->problem, params->dtype, &g) != TERN_OK)
        return fail(e);
    const tern_graph *used = g ? g : e->problem->graph;
    bool good = open_session(d, used, params, &e->session) == TERN_OK || fail(e);
    good = good && cli_device_inputs(d, used, &e->in, e->error, sizeof e->error) == TERN_OK;
    tern_graph_destroy(g);
    return good;
}

static void close_entry(entry *e)
{
    if (e->runner)
        bench_runner_clear(e->problem->runner);
    tern_onnx_session_destroy(e->runner);
    cli_device_inputs_destroy(&e->in);
    tern_session_destroy(e->session);
    free(e->sample);
    *e = (entry){.n_samples = 0};
}

static double open_bytes(const entry *e)
{
    tern_plan_info p;
    if (!e->session)
        return 0;
    tern_session_get_info(e->session, &p);
    return e->problem->bytes + (double)p.arena_bytes + (double)p.constant_bytes + (double)p.variable_bytes;
}

/* --- Running --- */

static tern_status run_over_host(entry *e)
{
    bench_runner_clear(e->problem->runner);
    return tern_onnx_session_run(e->runner, e->problem->runner->in, e->problem->runner->out);
}

/* Seconds of n runs, enqueued one after another, with one wait at the end. */
static bool time_runs(entry *e, int64_t n, double *seconds)
{
    tern_status st = TERN_OK;
    double start = cli_seconds();
    for (int64_t i = 0; i < n && st == TERN_OK; i++)
        st = e->runner ? run_over_host(e) : tern_session_run(e->session, e->in, NULL);
    if (st == TERN_OK && e->session)
        st = tern_session_finish(e->session);
    *seconds = cli_seconds() - start;
    return st == TERN_OK || fail(e);
}

/* One run for what drivers leave to the first, then as many to a sample as it takes to time them well. */
static bool prepare(entry *e, const bench_params *params)
{
    if (!time_runs(e, 1, &e->sample_s))
        return false;
    for (e->runs = 1; time_runs(e, e->runs, &e->sample_s); e->runs *= 2)
        if (e->sample_s >= SAMPLE_S || e->runs >= MAX_RUNS)
            break;
    if (*e->error)
        return false;
    double fit = params->time_ms * 1e-3 / fmax(e->sample_s, 1e-6);
    e->wanted = params->repeat ? (int)params->repeat : (int)fmin(fmax(fit, MIN_SAMPLES), MAX_SAMPLES);
    e->sample = calloc((size_t)e->wanted, sizeof *e->sample);
    if (!e->sample)
        snprintf(e->error, sizeof e->error, "out of memory for %d samples", e->wanted);
    return e->sample;
}

/* The samples of one round. What ran before has emptied the cache and put threads to sleep: one run is not counted. */
static bool take_turn(entry *e, int round)
{
    int until = e->wanted * (round + 1) / ROUNDS;
    double s;
    if (e->n_samples < until && e->sample_s / (double)e->runs < LONG_RUN_S && !time_runs(e, 1, &s))
        return false;
    for (; e->n_samples < until; e->n_samples++) {
        if (!time_runs(e, e->runs, &s))
            return false;
        e->sample[e->n_samples] = s / (double)e->runs;
    }
    return true;
}

/* --- Results --- */

/* "reorder x2, direct (tuned)": each implementation once, in the order in which they come. */
static void describe_groups(const tern_session *s, bench_result *r)
{
    char name[16][48], own[48];
    int count[16], n = 0;
    double most = -1;
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info g;
        if (tern_session_group(s, i, &g) != TERN_OK)
            return;
        int k = 0;
        snprintf(own, sizeof own, *g.tuned ? "%.36s (tuned)" : "%.36s", g.impl);
        while (k < n && strcmp(name[k], own))
            k++;
        if (k == n && n < 16) {
            memcpy(name[n], own, sizeof own);
            count[n++] = 0;
        }
        if (k < n)
            count[k]++;
        double weight = (double)g.flops + 1e-6 * (double)g.bytes_fused;
        if (weight > most) {
            most = weight;
            snprintf(r->kernel, sizeof r->kernel, "%s", g.name);
        }
    }
    size_t at = 0;
    for (int k = 0; k < n && at < sizeof r->impl; k++)
        at += (size_t)snprintf(r->impl + at, sizeof r->impl - at, count[k] > 1 ? "%s%s x%d" : "%s%s", k ? ", " : "", name[k], count[k]);
}

/* What the plan says of the problem. */
static void describe_plan(const entry *e, bench_result *r)
{
    tern_plan_info plan;
    tern_session_get_info(e->session, &plan);
    describe_groups(e->session, r);
    int64_t macs = e->problem->graph ? tern_graph_macs(e->problem->graph) : 0;
    r->flops = macs ? 2.0 * (double)macs : bench_flops(e->problem);
    if (r->flops <= 0)
        r->flops = (double)plan.flops;
    r->plan_bytes = (double)plan.bytes_fused;
    r->bytes = e->problem->graph ? r->plan_bytes : e->problem->bytes;
    r->n_groups = plan.n_groups;
    r->n_launches = plan.n_launches;
    r->n_tuned = plan.n_tuned;
    r->ready_ms = plan.compile_s * 1e3;
}

static void describe_runner(const entry *e, bench_result *r)
{
    tern_onnx_session_info info;
    tern_onnx_session_get_info(e->runner, &info);
    snprintf(r->impl, sizeof r->impl, "%d plans, over the host %d times", info.n_plans, info.n_cuts);
    r->ready_ms = info.compile_s * 1e3;
}

static void record(entry *e, bench_result *r)
{
    if (*e->error) {
        snprintf(r->error, sizeof r->error, "%s", e->error);
        return;
    }
    if (e->runner)
        describe_runner(e, r);
    else
        describe_plan(e, r);
    qsort(e->sample, (size_t)e->n_samples, sizeof *e->sample, cli_compare_doubles);
    r->samples = e->n_samples;
    r->runs = e->runs;
    r->min_us = e->sample[0] * 1e6;
    r->median_us = e->sample[e->n_samples / 2] * 1e6;
    r->p90_us = e->sample[e->n_samples * 9 / 10] * 1e6;
}

/* --- All of it --- */

/* Opens problems from first on until enough are open; how many. */
static int open_together(entry *e, const bench_problem *p, int n, tern_device *d, const bench_params *params, cli_progress *bar, int done)
{
    double bytes = 0;
    int k = 0;
    while (k < n && k < TOGETHER && bytes < TOGETHER_BYTES) {
        progress_step(bar, done + k, "preparing %s", p[k].text);
        e[k] = (entry){.problem = &p[k]};
        if (open_entry(&e[k], d, params))
            (void)prepare(&e[k], params);
        bytes += open_bytes(&e[k]);
        k++;
    }
    return k;
}

/* A model has the types it has; its first input stands for them. */
static tern_dtype type_of(const bench_problem *p, const bench_params *params)
{
    tern_dtype t = params->dtype;
    if (p->runner && p->runner->n_in && p->runner->in[0].kind == TERN_ONNX_TENSOR)
        return tern_tensor_dtype(p->runner->in[0].tensor);
    if (p->graph && tern_graph_n_inputs(p->graph) &&
        tern_graph_value_info(p->graph, tern_graph_input_value(p->graph, 0), &t, &(tern_shape){0}) != TERN_OK)
        return params->dtype;
    return t;
}

static int add_results(const entry *e, int n, const bench_params *params, bench_set *out)
{
    for (int i = 0; i < n; i++) {
        bench_result *r = bench_set_add(out);
        if (!r)
            return CLI_FAILED;
        snprintf(r->problem, sizeof r->problem, "%s", e[i].problem->text);
        snprintf(r->name, sizeof r->name, "%s", e[i].problem->name);
        snprintf(r->dtype, sizeof r->dtype, "%s", tern_dtype_name(type_of(e[i].problem, params)));
    }
    return CLI_OK;
}

int bench_measure(tern_device *d, const bench_problem *p, int n, const bench_params *params, bench_set *out)
{
    entry e[TOGETHER];
    cli_progress bar;
    int code = CLI_OK;
    progress_begin(&bar, "bench", n);
    for (int done = 0; done < n && code == CLI_OK;) {
        int k = open_together(e, p + done, n - done, d, params, &bar, done), first = out->n;
        for (int round = 0; round < ROUNDS; round++)
            for (int i = 0; i < k; i++)
                if (!*e[i].error)
                    (void)take_turn(&e[i], round);
        code = add_results(e, k, params, out);
        for (int i = 0; i < k; i++) {
            if (code == CLI_OK)
                record(&e[i], &out->result[first + i]);
            close_entry(&e[i]);
        }
        done += k;
        progress_step(&bar, done, "%d of %d", done, n);
    }
    progress_end(&bar);
    return code;
}
