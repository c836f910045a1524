/* tern run: a saved model on arrays from files or on random numbers, timed, its results saved. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tern/model.h>

typedef struct job {
    const char *model, *out_dir, *trace;
    int64_t repeat;
    bool json;
    tern_graph *graph;
    tern_device *device;
    tern_session *session;
    int n_in, n_out;
    tern_tensor **in, **out;
    tern_shape *shapes;        /* of the inputs */
    double ready_s, first_s, min_s, median_s, p90_s;
} job;

/* A small generator: the same numbers in every run, so that two devices can be compared. */
static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* Floats in [0, 1), whole numbers 0 to 9 (safe as class labels), booleans 0 or 1. */
static void fill_random(tern_tensor *t, uint64_t seed)
{
    size_t n = tern_tensor_elems(t);
    void *data = tern_tensor_data(t);
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t r = next_random(&state);
        switch (tern_tensor_dtype(t)) {
        case TERN_F32: ((float *)data)[i] = (float)(r >> 7) * 0x1p-24f; break;
        case TERN_F64: ((double *)data)[i] = (double)r * 0x1p-31; break;
        case TERN_F16: ((uint16_t *)data)[i] = (uint16_t)(0x3800 | (r & 0x3ff)); break;  /* [0.5, 1): an exponent and random bits */
        case TERN_BF16: ((uint16_t *)data)[i] = (uint16_t)(0x3f00 | (r & 0x7f)); break;
        case TERN_I8: case TERN_U8: ((uint8_t *)data)[i] = (uint8_t)(r % 10); break;
        case TERN_I16: case TERN_U16: ((uint16_t *)data)[i] = (uint16_t)(r % 10); break;
        case TERN_I32: case TERN_U32: ((uint32_t *)data)[i] = r % 10; break;
        case TERN_I64: case TERN_U64: ((uint64_t *)data)[i] = r % 10; break;
        case TERN_BOOL: ((uint8_t *)data)[i] = r & 1; break;
        case TERN_DTYPE_COUNT: break;
        }
    }
}

/* What --in says about an input; NULL: nothing. */
static const char *source_of(const cli_list *list, const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; i < list->n; i++)
        if (!strncmp(list->item[i], name, n) && list->item[i][n] == '=')
            return list->item[i] + n + 1;
    return NULL;
}

static int check_names(const job *j, const cli_list *list)
{
    for (int i = 0; i < list->n; i++) {
        bool known = false;
        if (!strchr(list->item[i], '='))
            return cli_misuse("run", "--in takes NAME=FILE.npy or NAME=random, not \"%s\"", list->item[i]);
        for (int k = 0; k < j->n_in; k++) {
            const char *name = tern_graph_input_name(j->graph, k);
            known = known || (!strncmp(list->item[i], name, strlen(name)) && list->item[i][strlen(name)] == '=');
        }
        if (!known && j->n_in == 0)
            return cli_error(CLI_USAGE, "run: %s takes no inputs, so --in %s fits nothing", j->model, list->item[i]);
        if (!known)
            return cli_error(CLI_USAGE, "run: no input for --in %s; the model's first one is \"%s\"", list->item[i], tern_graph_input_name(j->graph, 0));
    }
    return CLI_OK;
}

/* Loads or draws the k-th input. */
static int make_input(job *j, int k, const char *source)
{
    const char *name = tern_graph_input_name(j->graph, k);
    tern_dtype dtype;
    tern_shape shape;
    tern_status st = tern_graph_value_info(j->graph, tern_graph_input_value(j->graph, k), &dtype, &shape);
    if (st == TERN_OK && source && strcmp(source, "random"))
        st = tern_tensor_load_npy(source, &j->in[k]);
    else if (st == TERN_OK && (st = tern_tensor_create(dtype, &shape, &j->in[k])) == TERN_OK)
        fill_random(j->in[k], (uint64_t)k);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    if (tern_tensor_dtype(j->in[k]) != dtype)
        return cli_error(CLI_FAILED, "run: input \"%s\" is %s, but %s holds %s", name, tern_dtype_name(dtype), source,
                         tern_dtype_name(tern_tensor_dtype(j->in[k])));
    j->shapes[k] = *tern_tensor_shape(j->in[k]);
    return CLI_OK;
}

static int make_inputs(job *j, const cli_list *list)
{
    j->n_in = tern_graph_n_inputs(j->graph);
    j->n_out = tern_graph_n_outputs(j->graph);
    j->in = cli_alloc((size_t)j->n_in, sizeof *j->in);
    j->out = cli_alloc((size_t)j->n_out, sizeof *j->out);
    j->shapes = cli_alloc((size_t)j->n_in, sizeof *j->shapes);
    if (!j->in || !j->out || !j->shapes)
        return CLI_FAILED;
    int code = check_names(j, list);
    for (int k = 0; k < j->n_in && code == CLI_OK; k++)
        code = make_input(j, k, source_of(list, tern_graph_input_name(j->graph, k)));
    return code;
}

static int open_session(job *j)
{
    double start = cli_seconds();
    tern_session_params p = {.freeze = true, .input_shapes = j->shapes};
    tern_status st = tern_session_create(j->device, j->graph, &p, &j->session);
    j->ready_s = cli_seconds() - start;
    for (int k = 0; k < j->n_out && st == TERN_OK; k++) {
        tern_dtype dtype;
        tern_shape shape;
        st = tern_session_output_info(j->session, k, &dtype, &shape);
        if (st == TERN_OK)
            st = tern_tensor_create(dtype, &shape, &j->out[k]);
    }
    return st == TERN_OK ? CLI_OK : cli_fail(st, j->model);
}

/* The first run by itself, for it holds what drivers leave to the first launch; then the repetitions. */
static int time_runs(job *j)
{
    double *s = cli_alloc((size_t)j->repeat, sizeof *s);
    if (!s)
        return CLI_FAILED;
    double start = cli_seconds();
    tern_status st = tern_session_run(j->session, j->in, j->out);
    if (st == TERN_OK)
        st = tern_session_finish(j->session);
    j->first_s = cli_seconds() - start;
    for (int64_t i = 0; i < j->repeat && st == TERN_OK; i++) {
        start = cli_seconds();
        st = tern_session_run(j->session, j->in, j->out);
        if (st == TERN_OK)
            st = tern_session_finish(j->session);
        s[i] = cli_seconds() - start;
    }
    qsort(s, (size_t)j->repeat, sizeof *s, cli_compare_doubles);
    j->min_s = s[0];
    j->median_s = s[j->repeat / 2];
    j->p90_s = s[j->repeat * 9 / 10];
    free(s);
    return st == TERN_OK ? CLI_OK : cli_fail(st, j->model);
}

/* OUTNAME.npy in the output folder; a name cannot lead out of it. */
static int save_output(const job *j, int k)
{
    char path[4096], name[256];
    snprintf(name, sizeof name, "%s", tern_graph_output_name(j->graph, k));
    for (char *s = name; *s; s++)
        if (*s == '/' || (s == name && *s == '.'))
            *s = '_';
    if (snprintf(path, sizeof path, "%s/%s.npy", j->out_dir, name) >= (int)sizeof path)
        return cli_error(CLI_FAILED, "run: the folder's name is too long: %s", j->out_dir);
    tern_status st = tern_tensor_save_npy(j->out[k], path);
    return st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
}

static int save_results(const job *j)
{
    int code = CLI_OK;
    for (int k = 0; k < j->n_out && code == CLI_OK && j->out_dir; k++)
        code = save_output(j, k);
    if (code == CLI_OK && j->trace) {
        tern_status st = tern_session_trace(j->session, j->trace);
        if (st != TERN_OK)
            code = cli_fail(st, NULL);
    }
    return code;
}

static void print_tensors(const char *what, int n, tern_tensor *const *t, const char *(*name)(const tern_graph *, int), const tern_graph *g)
{
    char type[176];
    for (int k = 0; k < n; k++)
        printf("%-8s %s %s\n", what, name(g, k), cli_type(tern_tensor_dtype(t[k]), tern_tensor_shape(t[k]), type));
}

static void json_tensors(cli_json *w, const char *key, int n, tern_tensor *const *t, const char *(*name)(const tern_graph *, int), const tern_graph *g)
{
    json_array(w, key);
    for (int k = 0; k < n; k++) {
        json_object(w, NULL);
        json_text(w, "name", name(g, k));
        json_text(w, "dtype", tern_dtype_name(tern_tensor_dtype(t[k])));
        json_shape(w, "shape", tern_tensor_shape(t[k]));
        json_close(w);
    }
    json_close(w);
}

static void print_result(const job *j)
{
    tern_plan_info plan;
    tern_device_info device;
    tern_session_get_info(j->session, &plan);
    tern_device_get_info(j->device, &device);
    if (!j->json) {
        print_tensors("input", j->n_in, j->in, tern_graph_input_name, j->graph);
        print_tensors("output", j->n_out, j->out, tern_graph_output_name, j->graph);
        printf("device   %s\n", device.name);
        printf("compile  %.1f ms, %d of %d programs from the cache\n", j->ready_s * 1e3, plan.n_programs_cached, plan.n_programs);
        printf("first    %.3f ms\n", j->first_s * 1e3);
        printf("latency  min %.3f ms, median %.3f ms, p90 %.3f ms over %lld runs\n", j->min_s * 1e3, j->median_s * 1e3, j->p90_s * 1e3, (long long)j->repeat);
        if (j->out_dir)
            printf("saved    %d files in %s\n", j->n_out, j->out_dir);
        return;
    }
    cli_json w;
    json_begin(&w, stdout);
    json_text(&w, "model", j->model);
    json_device(&w, "device", &device);
    json_tensors(&w, "inputs", j->n_in, j->in, tern_graph_input_name, j->graph);
    json_tensors(&w, "outputs", j->n_out, j->out, tern_graph_output_name, j->graph);
    json_real(&w, "compile_ms", j->ready_s * 1e3);
    json_real(&w, "first_ms", j->first_s * 1e3);
    json_real(&w, "min_ms", j->min_s * 1e3);
    json_real(&w, "median_ms", j->median_s * 1e3);
    json_real(&w, "p90_ms", j->p90_s * 1e3);
    json_int(&w, "runs", j->repeat);
    json_text(&w, "out", j->out_dir);
    json_plan(&w, "plan", &plan);
    json_end(&w);
}

static void finish(job *j)
{
    for (int k = 0; k < j->n_in && j->in; k++)
        tern_tensor_destroy(j->in[k]);
    for (int k = 0; k < j->n_out && j->out; k++)
        tern_tensor_destroy(j->out[k]);
    free(j->in);
    free(j->out);
    free(j->shapes);
    tern_session_destroy(j->session);
    tern_device_close(j->device);
    tern_graph_destroy(j->graph);
}

/* The output folder is made before any work, so that a wrong one costs nothing. */
static int check_out(const job *j)
{
    struct stat st;
    if (j->trace && !cli_can_write(j->trace))
        return CLI_FAILED;
    if (!j->out_dir || mkdir(j->out_dir, 0777) == 0)
        return CLI_OK;
    if (errno == EEXIST && stat(j->out_dir, &st) == 0 && !S_ISDIR(st.st_mode))
        return cli_error(CLI_FAILED, "run: %s is not a folder", j->out_dir);
    return errno == EEXIST ? CLI_OK : cli_error(CLI_FAILED, "run: cannot create the folder %s: %s", j->out_dir, strerror(errno));
}

int cli_run(const cli *c, int argc, char **argv)
{
    job j = {.repeat = 20};
    const char *device = NULL;
    cli_list in = {.n = 0};
    const cli_option options[] = {
        {"in", CLI_LIST, &in, "NAME=FILE.npy", "An input's array; NAME=random, as for every input not given, draws one: floats in [0, 1), whole numbers 0 to 9. May be repeated.", 0, 0},
        {"out", CLI_TEXT, &j.out_dir, "DIR", "Save each output as DIR/OUTNAME.npy; the folder is made if it is missing.", 0, 0},
        {"repeat", CLI_COUNT, &j.repeat, "N", "Timed runs after the first (default 20).", 1, 1e6},
        {"trace", CLI_TEXT, &j.trace, "FILE", "Write the runs' kernels in Chrome's trace format.", 0, 0},
        CLI_OPT_JSON(&j.json),
        CLI_OPT_DEVICE(&device),
        {0},
    };
    const cli_usage usage = {
        .command = "run", .synopsis = "MODEL [--in NAME=FILE.npy|random]... [options]", .options = options,
        .positional = &j.model, .positional_name = "MODEL",
        .about = "Runs a saved model. Prints how long compiling and the first run took, then the least, the median and the 90th percentile of "
                 "the time of a run, copying inputs in and outputs out included.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    tern_status st = tern_model_load(j.model, &j.graph);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    code = make_inputs(&j, &in);
    if (code == CLI_OK)
        code = check_out(&j);
    if (code == CLI_OK)
        code = cli_open_device(c, device, CLI_COMPUTES | (j.trace ? CLI_PROFILE : 0u), &j.device);
    if (code == CLI_OK)
        code = open_session(&j);
    if (code == CLI_OK)
        code = time_runs(&j);
    if (code == CLI_OK)
        code = save_results(&j);
    if (code == CLI_OK)
        print_result(&j);
    finish(&j);
    return code;
}
