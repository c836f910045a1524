/* tern tune: the fastest implementations and numbers for a problem, or for those of a model, searched within a time and kept in the user's store. */
#include "tune.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define AGAIN 2.0     /* times as long as the first turns are those that a new best has to win again */
#define LAST_LOOK 4.0 /* ... and those that decide whether a choice is kept */
#define MOST_LOOKS 4
#define LEAST_S 5.0   /* of a problem's share, in which a child gets ready and tries some */
#define FLOPS_PER_US 5e4 /* what an operation that was not run may cost beside those that were */

/* A problem, how often it comes, and what became of it. */
typedef struct task {
    char *problem;
    int count;
    double cost_us;            /* of all its groups in the plan */
    char usual[TERN_TUNE_TEXT], best[TERN_TUNE_TEXT];
    double us, usual_us;       /* the last look; 0: there was none, or nothing was gained */
    bool kept, finished;       /* finished: nothing was left to try */
    int tried, failed, before;
    char error[320];
} task;

typedef struct job {
    const cli *c;
    const char *device, *dtype;
    bool json, list, table, clear, exact;
    double budget_s, limit_s, time_ms;
    int64_t seed, most; /* most: trials of a problem in this run, 0: as many as the time lets */
    cli_dims dims;
    cli_list in;
    tern_device *d;
    tern_device_info info;
    task *task;
    int n, cap;
    double start;
} job;

/* --- Which problems --- */

static int add_group(job *j, const tern_group_info *g)
{
    task *t = NULL;
    for (int i = 0; i < j->n; i++)
        if (!strcmp(j->task[i].problem, g->problem))
            t = &j->task[i];
    if (!t) {
        if (j->n == j->cap) {
            const int cap = j->cap ? 2 * j->cap : 16;
            task *more = realloc(j->task, (size_t)cap * sizeof *more);
            if (!more)
                return cli_error(CLI_FAILED, "out of memory for %d problems", cap);
            j->task = more;
            j->cap = cap;
        }
        const size_t n = strlen(g->problem) + 1;
        char *problem = cli_alloc(n, 1);
        if (!problem)
            return CLI_FAILED;
        memcpy(problem, g->problem, n);
        t = &j->task[j->n++];
        *t = (task){.problem = problem};
    }
    t->count++;
    t->cost_us += g->time_us > 0 ? g->time_us : (double)g->flops / FLOPS_PER_US;
    return CLI_OK;
}

/* Runs that the device times. */
static int run_some(job *j, const tern_graph *g, tern_session *s)
{
    enum { RUNS = 6 };
    char why[320];
    tern_tensor **in = NULL;
    tern_status st = TERN_OK;
    if (cli_device_inputs(j->d, g, &in, why, sizeof why) != TERN_OK)
        return cli_error(CLI_FAILED, "tune: %s", why);
    for (int i = 0; i < RUNS && st == TERN_OK; i++) {
        st = tern_session_run(s, in, NULL);
        st = st == TERN_OK ? tern_session_finish(s) : st;
    }
    cli_device_inputs_destroy(&in);
    return st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
}

/* What is expensive in a model a few runs by the cost model's choices say; an operation by itself is not run in this process. */
static int add_graph(job *j, const tern_graph *g, bool time)
{
    tern_session *s = NULL;
    tern_session_params p = {.freeze = true, .exact = j->exact, .no_tuned = true};
    tern_status st = tern_session_create(j->d, g, &p, &s);
    if (st == TERN_E_INVALID) {
        p.freeze = false; /* one that updates its variables */
        st = tern_session_create(j->d, g, &p, &s);
    }
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    int code = time ? run_some(j, g, s) : CLI_OK;
    for (int i = 0; i < tern_session_n_groups(s) && code == CLI_OK; i++) {
        tern_group_info group;
        if (tern_session_group(s, i, &group) == TERN_OK && group.problem)
            code = add_group(j, &group);
    }
    tern_session_destroy(s);
    return code;
}

static int add_model(job *j, const char *path)
{
    bench_problem p = {.kind = BENCH_MODEL};
    int code = bench_model_open(path, &j->dims, &j->in, &p);
    if (code == CLI_OK && !p.graph)
        code = cli_error(CLI_FAILED, "tune: %s is no single graph, since branches or shapes depend on data; tune its operations by their shapes", path);
    else if (code == CLI_OK)
        code = add_graph(j, p.graph, true);
    bench_model_close(&p);
    return code;
}

static int add_shape(job *j, const char *kind, const char *shape)
{
    char why[256];
    bench_problem p;
    tern_graph *g = NULL;
    const tern_dtype dtype = j->dtype && !strcmp(j->dtype, "f16") ? TERN_F16 : TERN_F32;
    if (!bench_parse(kind, shape, &p, why, sizeof why))
        return cli_misuse("tune", "%.40s %.80s: %s", kind, shape, why);
    if (bench_check(&p, dtype) != TERN_OK)
        return cli_misuse("tune", "%.200s: %s", p.text, tern_last_error());
    if (p.bytes > (double)j->info.global_mem_bytes / 8)
        return cli_error(CLI_FAILED, "tune: the operands of %.200s take more than an eighth of the device's memory", p.text);
    tern_status st = bench_graph(&p, dtype, &g);
    if (st != TERN_OK)
        return cli_fail(st, p.text);
    const int before = j->n;
    int code = add_graph(j, g, false);
    tern_graph_destroy(g);
    if (code == CLI_OK && j->n == before && (p.kind != BENCH_CONV && p.kind != BENCH_GEMM && p.kind != BENCH_MATMUL))
        code = cli_error(CLI_FAILED, "tune: there is nothing to choose for %.200s; products and convolutions can be tuned", p.text);
    return code;
}

static bool is_model(const char *word)
{
    return cli_has_suffix(word, ".onnx") || cli_has_suffix(word, ".tern");
}

static int add_all(job *j, int argc, char **argv)
{
    const char *kind = NULL;
    int code = CLI_OK;
    for (int i = 0; i < argc && code == CLI_OK; i++) {
        if (bench_is_kind(argv[i])) {
            kind = argv[i];
            if (i + 1 == argc || bench_is_kind(argv[i + 1]) || is_model(argv[i + 1]))
                code = cli_misuse("tune", "%s needs a shape", kind);
        } else if (is_model(argv[i])) {
            code = add_model(j, argv[i]);
        } else if (kind) {
            code = add_shape(j, kind, argv[i]);
        } else {
            code = cli_misuse("tune", "\"%.80s\" is neither a kind of problem (conv, gemm, matmul) nor a model (.onnx, .tern)", argv[i]);
        }
    }
    return code;
}

static int by_cost(const void *a, const void *b)
{
    const task *x = a, *y = b;
    return x->cost_us != y->cost_us ? (x->cost_us < y->cost_us) - (x->cost_us > y->cost_us) : strcmp(x->problem, y->problem);
}

/* --- Searching --- */

static void show(const job *j, const tern_tuner_info *info, const tune_answer *a, const char *choice)
{
    static const char *const word[] = {"", "wrong", "refused", "died", "late"};
    if (a->outcome == TERN_TUNE_GOOD)
        fprintf(stderr, "tune %5.0f s  %3d tried, %.2fx  %s: %.4g us\n", cli_seconds() - j->start, info->n_tried, info->gain, choice, a->us);
    else
        fprintf(stderr, "tune %5.0f s  %3d tried, %.2fx  %s: %s: %.200s\n", cli_seconds() - j->start, info->n_tried, info->gain, choice, word[a->outcome], a->why);
}

/* Tries a choice in turns with the best; what wins has to win again, and the worse of both counts: of many the luckiest would come first. */
static int try_twice(const job *j, tune_worker *w, const char *choice, const char *against, tune_answer *a)
{
    tune_answer again;
    int code = tune_try(w, choice, against, j->time_ms, a);
    if (code != CLI_OK || a->outcome != TERN_TUNE_GOOD || a->us >= a->against_us || !*against)
        return code;
    code = tune_try(w, choice, against, j->time_ms * AGAIN, &again);
    if (code == CLI_OK && (again.outcome != TERN_TUNE_GOOD || again.us / again.against_us > a->us / a->against_us))
        *a = again;
    return code;
}

/* One choice from proposal to record. *more: the search may go on. */
static int one_trial(const job *j, task *t, tern_tuner *search, tune_worker *w, bool *more)
{
    char choice[TERN_TUNE_TEXT];
    tern_tuner_info info;
    tune_answer a;
    tern_status st = tern_tuner_next(search, choice);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    *more = *choice != 0;
    if (!*more)
        return CLI_OK;
    tern_tuner_get_info(search, &info);
    const bool usual = !strcmp(choice, info.usual);
    int code = try_twice(j, w, choice, usual ? "" : info.best, &a);
    if (code != CLI_OK)
        return code;
    st = tern_tuner_tell(search, choice, a.outcome, a.us, a.against_us, a.why);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    tern_tuner_get_info(search, &info);
    show(j, &info, &a, choice);
    if (usual && a.outcome != TERN_TUNE_GOOD)
        return cli_error(CLI_FAILED, "tune: %.200s: the cost model's own choice %s failed: %s", t->problem, choice, a.why);
    return CLI_OK;
}

static int look(const job *j, task *t, tern_tuner *search, tune_worker *w)
{
    tern_tuner_info info;
    tune_answer a;
    for (int i = 0; i < MOST_LOOKS && !t->kept; i++) {
        tern_tuner_get_info(search, &info);
        if (!strcmp(info.best, info.usual))
            return CLI_OK;
        snprintf(t->best, sizeof t->best, "%s", info.best);
        int code = tune_try(w, t->best, "", j->time_ms * LAST_LOOK, &a);
        if (code != CLI_OK || a.outcome != TERN_TUNE_GOOD)
            return code;
        t->us = a.us;
        t->usual_us = a.against_us;
        tern_status st = tern_tuner_confirm(search, a.us, a.against_us, &t->kept);
        if (st != TERN_OK)
            return cli_fail(st, NULL);
        fprintf(stderr, "tune %5.0f s  %s: %.4g us, by the cost model %.4g us%s\n", cli_seconds() - j->start, t->best, a.us, a.against_us, t->kept ? "; kept" : "");
    }
    return CLI_OK;
}

/* The best against the cost model's choice once more, and longer; then the next best, if that was luck. */
static int last_look(const job *j, task *t, tern_tuner *search, tune_worker *w)
{
    tern_tuner_info info;
    tern_tuner_get_info(search, &info);
    snprintf(t->usual, sizeof t->usual, "%s", info.usual);
    snprintf(t->best, sizeof t->best, "%s", info.best);
    t->tried = info.n_tried;
    t->failed = info.n_failed;
    t->before = info.n_before;
    t->usual_us = info.usual_us;
    return look(j, t, search, w);
}

static int search(const job *j, task *t, double until)
{
    tern_tuner *s = NULL;
    tune_worker w = {.problem = t->problem, .device = j->info.index, .limit_s = j->limit_s};
    fprintf(stderr, "tune %5.0f s  %s\n", cli_seconds() - j->start, t->problem);
    tern_status st = tern_tuner_create(j->d, t->problem, (uint64_t)j->seed, &s);
    if (st == TERN_E_UNSUPPORTED) { /* the others may still be searched */
        snprintf(t->error, sizeof t->error, "%s", tern_last_error());
        fprintf(stderr, "tune: left out: %s\n", t->error);
        return CLI_OK;
    }
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    bool more = true;
    int code = CLI_OK;
    for (int i = 0; more && code == CLI_OK && (i == 0 || cli_seconds() < until) && (!j->most || i < j->most); i++)
        code = one_trial(j, t, s, &w, &more);
    t->finished = !more;
    if (code == CLI_OK)
        code = last_look(j, t, s, &w);
    tune_worker_stop(&w);
    tern_tuner_destroy(s);
    return code;
}

/* The most expensive first, each with its share of the time that is left. */
static int search_all(job *j)
{
    double cost = 0;
    int code = CLI_OK;
    qsort(j->task, (size_t)j->n, sizeof *j->task, by_cost);
    for (int i = 0; i < j->n; i++)
        cost += j->task[i].cost_us;
    for (int i = 0; i < j->n && code == CLI_OK; i++) {
        task *t = &j->task[i];
        const double now = cli_seconds(), left = j->start + j->budget_s - now;
        if (left <= 0 && i > 0)
            break;
        code = search(j, t, now + fmin(left, fmax(left * (cost > 0 ? t->cost_us / cost : 1.0 / (j->n - i)), LEAST_S)));
        cost -= t->cost_us;
    }
    return code;
}

static bool all_left_out(const job *j)
{
    for (int i = 0; i < j->n; i++)
        if (!*j->task[i].error)
            return false;
    return true;
}

/* --- Results --- */

static void print_json(const job *j)
{
    cli_json w;
    json_begin(&w, stdout);
    json_device(&w, "device", &j->info);
    json_real(&w, "seconds", cli_seconds() - j->start);
    json_real(&w, "budget", j->budget_s);
    json_array(&w, "problems");
    for (int i = 0; i < j->n; i++) {
        const task *t = &j->task[i];
        json_object(&w, NULL);
        json_text(&w, "problem", t->problem);
        json_int(&w, "count", t->count);
        json_real(&w, "cost_us", t->cost_us);
        json_text(&w, "error", *t->error ? t->error : NULL);
        json_text(&w, "usual", *t->usual ? t->usual : NULL);
        json_text(&w, "best", *t->best ? t->best : NULL);
        json_bool(&w, "kept", t->kept);
        json_real(&w, "us", t->us > 0 ? t->us : NAN);
        json_real(&w, "usual_us", t->usual_us > 0 ? t->usual_us : NAN);
        json_int(&w, "tried", t->tried);
        json_int(&w, "failed", t->failed);
        json_int(&w, "tried_before", t->before);
        json_bool(&w, "finished", t->finished);
        json_close(&w);
    }
    json_close(&w);
    json_end(&w);
}

static void print_text(const job *j)
{
    char usual[24], best[24];
    for (int i = 0; i < j->n; i++) {
        const task *t = &j->task[i];
        printf("%s%s", i ? "\n" : "", t->problem);
        if (t->count > 1)
            printf("  (%d times)", t->count);
        printf("\n");
        if (*t->error)
            printf("  left out: %s\n", t->error);
        else if (!*t->usual)
            printf("  not begun, the time is over; the same command goes on where this one ended\n");
        else if (t->kept)
            printf("  %s instead of %s: %s instead of %s, %.2f times as fast; kept\n", t->best, t->usual, bench_time(t->us, best),
                   bench_time(t->usual_us, usual), t->usual_us / t->us);
        else
            printf("  %s, as the cost model has it: nothing tried is faster\n", t->usual);
        if (*t->usual)
            printf("  %d choices tried, %d of them before; %d failed%s\n", t->tried, t->before, t->failed, t->finished ? "; nothing is left to try" : "");
    }
}

/* --- The store --- */

typedef struct listing {
    cli_json *json;
    bool table;
    int n;
    char device[160];
} listing;

static void list_entry(void *user, const tern_tuned *e)
{
    listing *l = user;
    char usual[24], best[24];
    l->n++;
    if (l->json) {
        json_object(l->json, NULL);
        json_text(l->json, "device", e->device);
        json_text(l->json, "problem", e->problem);
        json_text(l->json, "choice", e->choice);
        json_real(l->json, "us", e->us);
        json_real(l->json, "usual_us", e->usual_us);
        json_text(l->json, "date", e->date);
        json_bool(l->json, "current", e->current);
        json_close(l->json);
    } else if (l->table) {
        printf("%s %s | %s\n", e->sources, e->problem, e->choice);
    } else {
        if (strcmp(l->device, e->device))
            printf("%s%s\n", l->n > 1 ? "\n" : "", e->device);
        snprintf(l->device, sizeof l->device, "%s", e->device);
        printf("  %s\n    %s  %s instead of %s, %s%s\n", e->problem, e->choice, bench_time(e->us, best), bench_time(e->usual_us, usual), e->date,
               e->current ? "" : ", with other kernels than there are now: not used");
    }
}

static int list(const job *j)
{
    cli_json w;
    listing l = {.json = j->json ? &w : NULL, .table = j->table};
    if (j->json) {
        json_begin(&w, stdout);
        json_array(&w, "entries");
    }
    tern_status st = tern_tuned_each(NULL, list_entry, &l);
    if (j->json) {
        json_close(&w);
        json_end(&w);
    } else if (st == TERN_OK && l.n == 0 && !j->table) {
        printf("nothing is kept\n");
    }
    return st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
}

static int clear(const job *j)
{
    int64_t n = 0;
    tern_status st = tern_tuned_clear(NULL, &n);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    if (j->json) {
        cli_json w;
        json_begin(&w, stdout);
        json_int(&w, "removed", n);
        json_end(&w);
    } else {
        printf("%" PRId64 " choices removed\n", n);
    }
    return CLI_OK;
}

/* --- The command --- */

static int tune(job *j, int argc, char **argv)
{
    if (j->dtype && strcmp(j->dtype, "f32") && strcmp(j->dtype, "f16"))
        return cli_misuse("tune", "--dtype is f32 or f16, not \"%s\"", j->dtype);
    j->start = cli_seconds();
    int code = cli_open_device(j->c, j->device, CLI_COMPUTES | CLI_PROFILE, &j->d);
    if (code != CLI_OK)
        return code;
    tern_device_get_info(j->d, &j->info);
    code = add_all(j, argc, argv);
    if (code == CLI_OK && j->n == 0)
        code = cli_error(CLI_FAILED, "tune: there is nothing in it that can be tuned; products and convolutions can");
    if (code == CLI_OK)
        code = search_all(j);
    if (code == CLI_OK && j->json)
        print_json(j);
    else if (code == CLI_OK)
        print_text(j);
    if (code == CLI_OK && all_left_out(j))
        code = cli_error(CLI_FAILED, "tune: nothing could be searched: %s", j->task[0].error);
    for (int i = 0; i < j->n; i++)
        free(j->task[i].problem);
    free(j->task);
    tern_device_close(j->d);
    return code;
}

static int run(job *j, int argc, char **argv)
{
    if (j->list && j->clear)
        return cli_misuse("tune", "--list and --clear exclude each other");
    if ((j->list || j->clear) && argc)
        return cli_misuse("tune", "--list and --clear take no problem, and \"%.80s\" is one", argv[0]);
    if (j->table && (!j->list || j->json))
        return cli_misuse("tune", "--table is a way to --list, without --json");
    if (j->list)
        return list(j);
    if (j->clear)
        return clear(j);
    return argc ? tune(j, argc, argv) : cli_misuse("tune", "a model, or a kind of problem with its shape, is missing");
}

static const char about[] =
    "Searches for the implementation and the numbers (tiles, parts, groups) with which a product or a convolution is fastest on a device, and keeps what is "
    "found in tuned.sqlite in the cache folder, where sessions look it up. Tern runs well without: this only improves on the choices of its cost model.\n\n"
    "OP is a kind and a shape as in tern bench, such as conv mb1ic64ih56oc64oh56kh3ph1 or gemm 512:512:512. Of a MODEL all distinct products and "
    "convolutions are taken, the most expensive first, each with its share of the time.\n\n"
    "Every choice is built and run in a child process, held against the cost model's choice, for which the scalar reference vouches (of large results, for as "
    "many channels as take a second), and timed in turns with the best so far. One that crashes, hangs "
    "or is wrong is remembered and not tried again. What was tried is on disk at once: the same command goes on where a killed one ended. A choice is kept "
    "if a last, longer comparison finds it faster than the cost model's.";

int cli_tune(const cli *c, int argc, char **argv)
{
    job j = {.c = c, .budget_s = 60, .limit_s = 60, .time_ms = 60};
    int n_plain = 0;
    cli_list dims = {.n = 0};
    const cli_option options[] = {
        {"budget", CLI_REAL, &j.budget_s, "SECONDS", "How long to search, all in all (default 60); what is being tried then is finished.", 0, 1e7},
        {"limit", CLI_REAL, &j.limit_s, "SECONDS", "How long one choice may take to build and run before it is given up (default 60).", 0.1, 1e5},
        {"trials", CLI_COUNT, &j.most, "N", "Try so many choices of each problem at most (default: as many as the time lets).", 1, 1e6},
        {"time-ms", CLI_REAL, &j.time_ms, "MS", "How long to time a choice (default 60).", 1, 1e5},
        {"seed", CLI_COUNT, &j.seed, "N", "Of the random choices (default 0).", 0, 1e15},
        {"dtype", CLI_TEXT, &j.dtype, "TYPE", "f32 (default) or f16: the operands of an OP.", 0, 0},
        {"exact", CLI_FLAG, &j.exact, NULL, "Tune for sessions that are to be exact: no Winograd convolutions.", 0, 0},
        CLI_OPT_DIM(&dims),
        {"in", CLI_LIST, &j.in, "NAME=SOURCE", "What an input of the ONNX models gets, as for tern run. May be repeated.", 0, 0},
        {"list", CLI_FLAG, &j.list, NULL, "Show what is kept instead.", 0, 0},
        {"table", CLI_FLAG, &j.table, NULL, "With --list: as lines for the table that comes with Tern, kernels/tuned.clt.", 0, 0},
        {"clear", CLI_FLAG, &j.clear, NULL, "Forget all that is kept and was tried instead.", 0, 0},
        CLI_OPT_JSON(&j.json),
        CLI_OPT_DEVICE(&j.device),
        {0},
    };
    const cli_usage usage = {
        .command = "tune", .synopsis = "MODEL... [options]\n       tern tune OP SHAPE... [options]\n       tern tune --list | --clear", .options = options,
        .n_plain = &n_plain, .positional_name = "MODEL", .may_lack_positional = true, .about = about,
    };
    int code;
    if (argc > 0 && !strcmp(argv[0], TUNE_WORKER))
        return tune_worker_main(argc - 1, argv + 1);
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    code = cli_dims_read("tune", &dims, &j.dims);
    if (code == CLI_OK)
        code = run(&j, n_plain, argv);
    cli_dims_finish(&j.dims);
    return code;
}
