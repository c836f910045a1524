/* tern run: a model on arrays from files, photographs or random numbers, timed, its results saved. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct job {
    const char *model, *out_dir, *trace, *disable;
    int64_t repeat;
    bool json;
    cli_choices choices;
    cli_image_params image;
    cli_dims dims;
    tern_device *device;
    tern_graph *graph;         /* a .tern model, or an ONNX one that is traced */
    tern_session *session;
    tern_onnx *onnx;           /* an ONNX model */
    tern_onnx_session *runner;
    int n_in, n_out;
    tern_onnx_port *in_port, *out_port;
    tern_onnx_value *in, *out;
    tern_tensor **in_tensor, **out_tensor; /* those of in and out, as a session takes them */
    tern_shape *shapes;        /* of the inputs */
    double ready_s, first_s, min_s, median_s, p90_s;
} job;

/* --- The model and what it takes --- */

/* A graph's input or output as ONNX would describe it. */
static int graph_port(const tern_graph *g, const char *name, tern_value v, tern_onnx_port *p)
{
    tern_shape s;
    *p = (tern_onnx_port){.name = name, .kind = TERN_ONNX_TENSOR, .typed = true};
    tern_status st = tern_graph_value_info(g, v, &p->dtype, &s);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    p->rank = s.rank;
    memcpy(p->dim, s.dim, sizeof p->dim);
    return CLI_OK;
}

static int graph_ports(job *j)
{
    int code = CLI_OK;
    j->n_in = tern_graph_n_inputs(j->graph);
    j->n_out = tern_graph_n_outputs(j->graph);
    j->in_port = cli_alloc((size_t)j->n_in, sizeof *j->in_port);
    j->out_port = cli_alloc((size_t)j->n_out, sizeof *j->out_port);
    if (!j->in_port || !j->out_port)
        return CLI_FAILED;
    for (int k = 0; k < j->n_in && code == CLI_OK; k++)
        code = graph_port(j->graph, tern_graph_input_name(j->graph, k), tern_graph_input_value(j->graph, k), &j->in_port[k]);
    for (int k = 0; k < j->n_out && code == CLI_OK; k++)
        code = graph_port(j->graph, tern_graph_output_name(j->graph, k), tern_graph_output_value(j->graph, k), &j->out_port[k]);
    return code;
}

static int load(job *j)
{
    if (!cli_is_onnx(j->model)) {
        int code = cli_load_graph("run", j->model, &(cli_graph_params){.dims = &j->dims}, &j->graph);
        return code == CLI_OK ? graph_ports(j) : code;
    }
    tern_status st = tern_onnx_load(j->model, &j->onnx);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    int code = cli_ports(j->onnx, false, &j->in_port, &j->n_in);
    if (code == CLI_OK)
        code = cli_ports(j->onnx, true, &j->out_port, &j->n_out);
    return code == CLI_OK ? cli_dims_check("run", j->in_port, j->n_in, &j->dims) : code;
}

static int make_inputs(job *j, const cli_list *list)
{
    j->in = cli_alloc((size_t)j->n_in, sizeof *j->in);
    j->out = cli_alloc((size_t)j->n_out, sizeof *j->out);
    j->in_tensor = cli_alloc((size_t)j->n_in, sizeof(tern_tensor *));
    j->out_tensor = cli_alloc((size_t)j->n_out, sizeof(tern_tensor *));
    j->shapes = cli_alloc((size_t)j->n_in, sizeof *j->shapes);
    if (!j->in || !j->out || !j->in_tensor || !j->out_tensor || !j->shapes)
        return CLI_FAILED;
    int code = cli_sources_check("run", j->model, j->in_port, j->n_in, list);
    for (int k = 0; k < j->n_in && code == CLI_OK; k++) {
        code = cli_make_input("run", &j->in_port[k], k, cli_source_of(list, j->in_port[k].name), &j->dims, &j->image, &j->in[k]);
        if (code == CLI_OK && j->in[k].kind == TERN_ONNX_TENSOR) {
            j->in_tensor[k] = j->in[k].tensor;
            j->shapes[k] = *tern_tensor_shape(j->in[k].tensor);
        }
    }
    return code;
}

/* --- Running --- */

/* An ONNX model whose kernels are to be traced becomes one graph: a trace is one session's. */
static int graph_for_trace(job *j)
{
    for (int k = 0; k < j->n_in; k++)
        if (!j->in_tensor[k])
            return cli_error(CLI_FAILED, "run: --trace needs a model whose inputs are tensors, and \"%s\" is none", j->in_port[k].name);
    tern_onnx_graph_params p = {.input_shapes = j->shapes};
    tern_status st = tern_onnx_graph(j->onnx, &p, &j->graph);
    return st == TERN_OK ? CLI_OK : cli_fail(st, "--trace needs the model as one graph");
}

static tern_status open_graph_session(job *j)
{
    tern_session_params p = {.freeze = true, .input_shapes = j->shapes, .disable = j->disable, .exact = j->choices.exact, .no_tuned = j->choices.no_tuned};
    tern_status st = tern_session_create(j->device, j->graph, &p, &j->session);
    for (int k = 0; k < j->n_out && st == TERN_OK; k++) {
        tern_dtype dtype;
        tern_shape shape;
        st = tern_session_output_info(j->session, k, &dtype, &shape);
        if (st == TERN_OK)
            st = tern_tensor_create(dtype, &shape, &j->out_tensor[k]);
        if (st == TERN_OK)
            j->out[k] = (tern_onnx_value){.kind = TERN_ONNX_TENSOR, .tensor = j->out_tensor[k]};
    }
    return st;
}

static int open_session(job *j)
{
    double start = cli_seconds();
    int code = j->onnx && j->trace ? graph_for_trace(j) : CLI_OK;
    if (code != CLI_OK)
        return code;
    tern_onnx_session_params p = {.disable = j->disable, .exact = j->choices.exact, .no_tuned = j->choices.no_tuned};
    tern_status st = j->graph ? open_graph_session(j) : tern_onnx_session_create(j->device, j->onnx, &p, &j->runner);
    j->ready_s = cli_seconds() - start;
    return st == TERN_OK ? CLI_OK : cli_fail(st, j->model);
}

static tern_status run_once(job *j)
{
    if (j->runner) {
        for (int k = 0; k < j->n_out; k++)
            tern_onnx_value_clear(&j->out[k]);
        return tern_onnx_session_run(j->runner, j->in, j->out);
    }
    tern_status st = tern_session_run(j->session, j->in_tensor, j->out_tensor);
    return st == TERN_OK ? tern_session_finish(j->session) : st;
}

/* An ONNX model's plans are made in its first run, for the shapes that come: that part counts as compiling. */
static void split_first_run(job *j)
{
    tern_onnx_session_info info = {0};
    if (j->runner)
        tern_onnx_session_get_info(j->runner, &info);
    double made = info.compile_s < j->first_s ? info.compile_s : j->first_s;
    j->ready_s += made;
    j->first_s -= made;
}

/* The first run by itself, for it holds what drivers leave to the first launch; then the repetitions. */
static int time_runs(job *j)
{
    double *s = cli_alloc((size_t)j->repeat, sizeof *s);
    if (!s)
        return CLI_FAILED;
    double start = cli_seconds();
    tern_status st = run_once(j);
    j->first_s = cli_seconds() - start;
    split_first_run(j);
    for (int64_t i = 0; i < j->repeat && st == TERN_OK; i++) {
        start = cli_seconds();
        st = run_once(j);
        s[i] = cli_seconds() - start;
    }
    qsort(s, (size_t)j->repeat, sizeof *s, cli_compare_doubles);
    j->min_s = s[0];
    j->median_s = s[j->repeat / 2];
    j->p90_s = s[j->repeat * 9 / 10];
    free(s);
    return st == TERN_OK ? CLI_OK : cli_fail(st, j->model);
}

/* --- Results --- */

/* NAME.npy in the output folder, NAME_0.npy ... for the items of a sequence, no file for an empty optional; a name cannot lead out of the folder. */
static int save_value(const job *j, const char *name, const tern_onnx_value *v)
{
    char path[4096], item[512];
    int code = CLI_OK;
    for (int i = 0; v->kind == TERN_ONNX_SEQUENCE && i < v->n_items && code == CLI_OK; i++) {
        snprintf(item, sizeof item, "%.400s_%d", name, i);
        code = save_value(j, item, &v->items[i]);
    }
    if (v->kind != TERN_ONNX_TENSOR)
        return code;
    snprintf(item, sizeof item, "%s", name);
    for (char *s = item; *s; s++)
        if (*s == '/' || (s == item && *s == '.'))
            *s = '_';
    if (snprintf(path, sizeof path, "%s/%s.npy", j->out_dir, item) >= (int)sizeof path)
        return cli_error(CLI_FAILED, "run: the folder's name is too long: %s", j->out_dir);
    tern_status st = tern_tensor_save_npy(v->tensor, path);
    return st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
}

static int save_results(const job *j)
{
    int code = CLI_OK;
    for (int k = 0; k < j->n_out && code == CLI_OK && j->out_dir; k++)
        code = save_value(j, j->out_port[k].name, &j->out[k]);
    if (code == CLI_OK && j->trace) {
        tern_status st = tern_session_trace(j->session, j->trace);
        if (st != TERN_OK)
            code = cli_fail(st, NULL);
    }
    return code;
}

static void print_values(const char *what, int n, const tern_onnx_port *p, const tern_onnx_value *v)
{
    char type[176];
    for (int k = 0; k < n; k++)
        if (v[k].kind == TERN_ONNX_TENSOR)
            printf("%-8s %s %s\n", what, p[k].name, cli_type(tern_tensor_dtype(v[k].tensor), tern_tensor_shape(v[k].tensor), type));
        else if (v[k].kind == TERN_ONNX_SEQUENCE)
            printf("%-8s %s sequence of %d\n", what, p[k].name, v[k].n_items);
        else
            printf("%-8s %s nothing\n", what, p[k].name);
}

static void json_port_value(cli_json *w, const char *name, const tern_onnx_value *v)
{
    json_object(w, NULL);
    if (name)
        json_text(w, "name", name);
    if (v->kind == TERN_ONNX_TENSOR) {
        json_text(w, "dtype", tern_dtype_name(tern_tensor_dtype(v->tensor)));
        json_shape(w, "shape", tern_tensor_shape(v->tensor));
    } else {
        json_text(w, "kind", v->kind == TERN_ONNX_SEQUENCE ? "sequence" : "nothing");
    }
    if (v->kind == TERN_ONNX_SEQUENCE) {
        json_array(w, "items");
        for (int i = 0; i < v->n_items && w->depth + 3 < (int)(sizeof w->used); i++)
            json_port_value(w, NULL, &v->items[i]);
        json_close(w);
    }
    json_close(w);
}

static void json_values(cli_json *w, const char *key, int n, const tern_onnx_port *p, const tern_onnx_value *v)
{
    json_array(w, key);
    for (int k = 0; k < n; k++)
        json_port_value(w, p[k].name, &v[k]);
    json_close(w);
}

static void print_json(const job *j, const tern_device_info *device)
{
    cli_json w;
    json_begin(&w, stdout);
    json_text(&w, "model", j->model);
    json_device(&w, "device", device);
    json_values(&w, "inputs", j->n_in, j->in_port, j->in);
    json_values(&w, "outputs", j->n_out, j->out_port, j->out);
    json_real(&w, "compile_ms", j->ready_s * 1e3);
    json_real(&w, "first_ms", j->first_s * 1e3);
    json_real(&w, "min_ms", j->min_s * 1e3);
    json_real(&w, "median_ms", j->median_s * 1e3);
    json_real(&w, "p90_ms", j->p90_s * 1e3);
    json_int(&w, "runs", j->repeat);
    json_text(&w, "out", j->out_dir);
    if (j->session) {
        tern_plan_info plan;
        tern_session_get_info(j->session, &plan);
        json_plan(&w, "plan", &plan);
    } else {
        tern_onnx_session_info info;
        tern_onnx_session_get_info(j->runner, &info);
        json_int(&w, "plans", info.n_plans);
        json_int(&w, "cuts", info.n_cuts);
        json_int(&w, "tuned", info.n_tuned);
    }
    json_end(&w);
}

static void print_tuned(int n, const char *note)
{
    if (n)
        printf("tuned    %d groups run as measured by tern tune\n", n);
    cli_note(note);
}

static void print_compile(const job *j)
{
    tern_plan_info plan;
    tern_onnx_session_info info;
    if (j->session) {
        tern_session_get_info(j->session, &plan);
        printf("compile  %.1f ms, %d of %d programs from the cache\n", j->ready_s * 1e3, plan.n_programs_cached, plan.n_programs);
        print_tuned(plan.n_tuned, plan.tuned_note);
        return;
    }
    tern_onnx_session_get_info(j->runner, &info);
    printf("compile  %.1f ms, %d %s, a run goes over the host %d times\n", j->ready_s * 1e3, info.n_plans, info.n_plans == 1 ? "plan" : "plans", info.n_cuts);
    print_tuned(info.n_tuned, info.tuned_note);
}

static void print_result(const job *j)
{
    tern_device_info device;
    tern_device_get_info(j->device, &device);
    if (j->json) {
        print_json(j, &device);
        return;
    }
    print_values("input", j->n_in, j->in_port, j->in);
    print_values("output", j->n_out, j->out_port, j->out);
    printf("device   %s\n", device.name);
    print_compile(j);
    printf("first    %.3f ms\n", j->first_s * 1e3);
    printf("latency  min %.3f ms, median %.3f ms, p90 %.3f ms over %lld runs\n", j->min_s * 1e3, j->median_s * 1e3, j->p90_s * 1e3, (long long)j->repeat);
    if (j->out_dir)
        printf("saved    %d outputs in %s\n", j->n_out, j->out_dir);
}

/* Values that the library did not make hold a tensor and nothing else. */
static void finish(job *j)
{
    for (int k = 0; k < j->n_in && j->in; k++)
        tern_onnx_value_clear(&j->in[k]);
    for (int k = 0; k < j->n_out && j->out; k++)
        if (j->session)
            tern_tensor_destroy(j->out_tensor[k]);
        else
            tern_onnx_value_clear(&j->out[k]);
    free(j->in);
    free(j->out);
    free(j->in_tensor);
    free(j->out_tensor);
    free(j->in_port);
    free(j->out_port);
    free(j->shapes);
    tern_session_destroy(j->session);
    tern_onnx_session_destroy(j->runner);
    tern_device_close(j->device);
    tern_graph_destroy(j->graph);
    tern_onnx_destroy(j->onnx);
    cli_dims_finish(&j->dims);
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
    cli_list in = {.n = 0}, dims = {.n = 0};
    const cli_option options[] = {
        {"in", CLI_LIST, &in, "NAME=SOURCE", "What an input gets: FILE.npy, FILE.pb (ONNX's tensors and sequences), a PNG or JPEG picture, random[:SHAPE] or zeros[:SHAPE], "
         "SHAPE like 1,3,224,224. Every input not given gets random: floats in [0, 1), whole numbers 0 to 9; an optional one gets nothing. May be repeated.", 0, 0},
        CLI_OPT_DIM(&dims),
        {"scale", CLI_TEXT, &j.image.scale, "X[,Y,Z]", "Pictures: pixels of 0 to 255 are multiplied by this, one number or one a channel. Default: 1/255 for floats, 1 for whole numbers.", 0, 0},
        {"mean", CLI_TEXT, &j.image.mean, "X[,Y,Z]", "Pictures: taken off after --scale (default 0).", 0, 0},
        {"std", CLI_TEXT, &j.image.std, "X[,Y,Z]", "Pictures: the divisor after that (default 1).", 0, 0},
        {"bgr", CLI_FLAG, &j.image.bgr, NULL, "Pictures: channels in the order blue, green, red.", 0, 0},
        {"out", CLI_TEXT, &j.out_dir, "DIR", "Save each output as DIR/OUTNAME.npy, the items of a sequence as OUTNAME_0.npy and so on; the folder is made if it is missing.", 0, 0},
        {"repeat", CLI_COUNT, &j.repeat, "N", "Timed runs after the first (default 20).", 1, 1e6},
        {"trace", CLI_TEXT, &j.trace, "FILE", "Write the runs' kernels in Chrome's trace format.", 0, 0},
        {"disable", CLI_TEXT, &j.disable, "PASSES", "Leave out these passes, separated by commas; \"all\" for every optional one.", 0, 0},
        CLI_OPT_CHOICES(&j.choices),
        CLI_OPT_JSON(&j.json),
        CLI_OPT_DEVICE(&device),
        {0},
    };
    const cli_usage usage = {
        .command = "run", .synopsis = "MODEL [--in NAME=SOURCE]... [options]", .options = options,
        .positional = &j.model, .positional_name = "MODEL",
        .about = "Runs a saved model, .tern or .onnx. Prints how long compiling and the first run took, then the least, the median and the 90th percentile of "
                 "the time of a run, copying inputs in and outputs out included. A picture is resized to the height and width that its input [N,C,H,W] or "
                 "[N,H,W,C] asks for; where the model leaves them open and --dim says nothing, it stays as large as it is.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    code = cli_dims_read("run", &dims, &j.dims);
    if (code == CLI_OK)
        code = load(&j);
    if (code == CLI_OK)
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
