/* tern test: models judged by cases in ONNX's own layout, inputs and wanted outputs in files beside each model. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "cli.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef enum outcome { PASSED, FAILED, SKIPPED, N_OUTCOMES } outcome;
static const char *const outcome_name[] = {"pass", "FAIL", "skip"};

enum { PATH_SIZE = 4096, SAY_SIZE = 1024, MAX_DEPTH = 16 };

/* Folders that hold a model.onnx, in the order they were found. */
typedef struct case_list {
    char **path;
    int n, room;
} case_list;

/* One case while it runs. */
typedef struct trial {
    tern_device *device;
    const tern_onnx_session_params *params;
    cli_tolerance tol;
    const char *dir;
    tern_onnx *model;
    tern_onnx_session *session;
    bool random, dropout;    /* operators whose results no file can foretell */
    const char *note;        /* what was not compared, NULL: everything was */
    char say[SAY_SIZE];      /* why it failed or was skipped */
} trial;

typedef struct suite {
    const char *filter;
    bool json;
    cli_json doc;
    case_list cases;
    int count[N_OUTCOMES];
} suite;

/* False if it does not fit. */
static bool join(char path[PATH_SIZE], const char *dir, const char *name)
{
    return snprintf(path, PATH_SIZE, "%s/%s", dir, name) < PATH_SIZE;
}

static bool is_kind(const char *path, mode_t kind)
{
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* --- Finding cases --- */

static int add_case(case_list *l, const char *dir)
{
    if (l->n == l->room) {
        int room = l->room ? 2 * l->room : 64;
        char **path = realloc(l->path, (size_t)room * sizeof *path);
        if (!path)
            return cli_error(CLI_FAILED, "test: out of memory for %d cases", room);
        l->path = path;
        l->room = room;
    }
    char *copy = strdup(dir);
    if (!copy)
        return cli_error(CLI_FAILED, "test: out of memory for %d cases", l->n);
    l->path[l->n++] = copy;
    return CLI_OK;
}

/* No pattern takes all; without a wildcard it is looked for anywhere in the name. */
static bool wanted(const char *filter, const char *dir)
{
    const char *name = base_name(dir);
    return !filter || (strpbrk(filter, "*?[") ? fnmatch(filter, name, 0) == 0 : strstr(name, filter) != NULL);
}

/* dir itself if it holds a model, else what is below it, by name. */
static int find_cases(suite *s, const char *dir, int depth)
{
    char path[PATH_SIZE];
    if (!join(path, dir, "model.onnx"))
        return cli_error(CLI_FAILED, "test: the folder's name is too long: %s", dir);
    if (is_kind(path, S_IFREG))
        return wanted(s->filter, dir) ? add_case(&s->cases, dir) : CLI_OK;
    struct dirent **entry = NULL;
    int n = depth < MAX_DEPTH ? scandir(dir, &entry, NULL, alphasort) : 0, code = CLI_OK;
    for (int i = 0; i < n; i++) {
        if (code == CLI_OK && entry[i]->d_name[0] != '.' && join(path, dir, entry[i]->d_name) && is_kind(path, S_IFDIR))
            code = find_cases(s, path, depth + 1);
        free(entry[i]);
    }
    free(entry);
    return code;
}

static int find_all(suite *s, int n, char **dir)
{
    int code = CLI_OK;
    for (int i = 0; i < n && code == CLI_OK; i++) {
        size_t length = strlen(dir[i]);
        while (length > 1 && dir[i][length - 1] == '/')
            dir[i][--length] = 0;
        if (!is_kind(dir[i], S_IFDIR))
            return cli_error(CLI_FAILED, "test: %s is not a folder", dir[i]);
        code = find_cases(s, dir[i], 0);
    }
    if (code == CLI_OK && s->cases.n == 0)
        return cli_error(CLI_FAILED, "test: no model.onnx%s%s in or below %s", s->filter ? " of a case like " : "", s->filter ? s->filter : "", dir[0]);
    return code;
}

/* --- One case --- */

/* The library's sentence; what Tern cannot do skips the case, the rest fails it. */
static outcome gave_up(trial *t, tern_status st, const char *what)
{
    snprintf(t->say, SAY_SIZE, "%s%s%s", what, *what ? ": " : "", *tern_last_error() ? tern_last_error() : tern_status_name(st));
    return st == TERN_E_UNSUPPORTED ? SKIPPED : FAILED;
}

/* Looks the model's operators over. False: some are missing, and t->say lists them. */
static bool operators_known(trial *t)
{
    static const char *const random[] = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"};
    size_t at = 0;
    for (int i = 0; i < tern_onnx_n_ops(t->model); i++) {
        tern_onnx_op op;
        if (tern_onnx_get_op(t->model, i, &op) != TERN_OK)
            continue;
        for (size_t k = 0; k < sizeof random / sizeof random[0]; k++)
            t->random = t->random || !strcmp(op.name, random[k]);
        t->dropout = t->dropout || !strcmp(op.name, "Dropout");
        if (!op.supported && at < SAY_SIZE)
            at += (size_t)snprintf(t->say + at, SAY_SIZE - at, "%s%s%s%s (opset %d)", at ? ", " : "no operator ", op.domain, *op.domain ? "." : "",
                                   op.name, op.opset);
    }
    return at == 0;
}

static void clear_values(tern_onnx_value *v, int n)
{
    for (int i = 0; i < n && v; i++)
        tern_onnx_value_clear(&v[i]);
    free(v);
}

/* DATA/KIND_i.pb; an empty path if there is no such file. */
static bool data_file(char path[PATH_SIZE], const char *data, const char *kind, int i)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%d.pb", kind, i);
    if (!join(path, data, name) || !is_kind(path, S_IFREG))
        path[0] = 0;
    return path[0] != 0;
}

/* ONNX's older data holds bfloat16 as 16-bit whole numbers, for NumPy has no such type: the same bits under their name. */
static tern_status name_bfloat(const tern_onnx_port *port, tern_onnx_value *v)
{
    if (v->kind != TERN_ONNX_TENSOR || !port->typed || port->dtype != TERN_BF16 || tern_tensor_dtype(v->tensor) != TERN_U16)
        return TERN_OK;
    tern_tensor *t = NULL;
    tern_status st = tern_tensor_create(TERN_BF16, tern_tensor_shape(v->tensor), &t);
    if (st != TERN_OK)
        return st;
    memcpy(tern_tensor_data(t), tern_tensor_data(v->tensor), tern_tensor_size_bytes(t));
    tern_tensor_destroy(v->tensor);
    v->tensor = t;
    return TERN_OK;
}

static tern_status load_value(const char *path, const tern_onnx_port *port, tern_onnx_value *v)
{
    tern_status st = tern_onnx_value_load(path, port->kind, port->optional, v);
    return st == TERN_OK ? name_bfloat(port, v) : st;
}

static outcome load_inputs(trial *t, const char *data, tern_onnx_value *in)
{
    char path[PATH_SIZE];
    int n = tern_onnx_n_inputs(t->model);
    for (int i = 0; i < n; i++) {
        tern_onnx_port port;
        tern_status st = tern_onnx_input(t->model, i, &port);
        if (st == TERN_OK && data_file(path, data, "input", i))
            st = load_value(path, &port, &in[i]);
        if (st != TERN_OK)
            return gave_up(t, st, "");
    }
    if (data_file(path, data, "input", n)) {
        snprintf(t->say, SAY_SIZE, "input_%d.pb is one file more than the model has inputs without an initial value", n);
        return SKIPPED;
    }
    return PASSED;
}

static bool has_zero(const tern_onnx_value *v)
{
    if (v->kind == TERN_ONNX_TENSOR)
        for (size_t i = 0; i < tern_tensor_elems(v->tensor); i++)
            if (cli_element(v->tensor, i) == 0)
                return true;
    return false;
}

/* As strictly as the model allows: exactly what the file says, unless an operator draws random numbers, whose order ONNX leaves open. */
static bool agree(trial *t, const tern_onnx_value *got, const tern_onnx_value *want, char *why, size_t size)
{
    if (cli_values_agree(got, want, &t->tol, why, size))
        return true;
    cli_tolerance loose = t->tol;
    loose.type_only = t->random;
    /* A dropout that drops nothing is an identity, and must be right. */
    loose.some_dropped = t->dropout && has_zero(want);
    if ((!loose.type_only && !loose.some_dropped) || !cli_values_agree(got, want, &loose, why, size))
        return false;
    t->note = t->random ? "random: type and shape only" : "random: what is dropped is not compared";
    return true;
}

static outcome compare(trial *t, const char *data, const tern_onnx_value *out)
{
    char path[PATH_SIZE], why[SAY_SIZE / 2];
    int n = tern_onnx_n_outputs(t->model), n_files = 0;
    for (int i = 0; i < n; i++) {
        tern_onnx_port port;
        tern_onnx_value want = {.kind = TERN_ONNX_NOTHING};
        if (!data_file(path, data, "output", i))
            break;
        n_files++;
        tern_status st = tern_onnx_output(t->model, i, &port);
        if (st == TERN_OK)
            st = load_value(path, &port, &want);
        if (st != TERN_OK) {
            tern_onnx_value_clear(&want);
            return gave_up(t, st, "");
        }
        bool same = agree(t, &out[i], &want, why, sizeof why);
        tern_onnx_value_clear(&want);
        if (!same) {
            snprintf(t->say, SAY_SIZE, "%.100s: output \"%.200s\": %s", base_name(data), port.name, why);
            return FAILED;
        }
    }
    if (n_files && !data_file(path, data, "output", n))
        return PASSED;
    snprintf(t->say, SAY_SIZE, "%.100s: %s", base_name(data), n_files ? "more output files than the model has outputs" : "there is no output_0.pb");
    return FAILED;
}

static outcome run_data_set(trial *t, const char *data)
{
    int n_in = tern_onnx_n_inputs(t->model), n_out = tern_onnx_n_outputs(t->model);
    tern_onnx_value *in = calloc((size_t)n_in + 1, sizeof *in), *out = calloc((size_t)n_out + 1, sizeof *out);
    outcome o = FAILED;
    if (!in || !out) {
        snprintf(t->say, SAY_SIZE, "out of memory for %d inputs and %d outputs", n_in, n_out);
    } else if ((o = load_inputs(t, data, in)) == PASSED) {
        tern_status st = tern_onnx_session_run(t->session, in, out);
        o = st == TERN_OK ? compare(t, data, out) : gave_up(t, st, "");
    }
    clear_values(in, n_in);
    clear_values(out, n_out);
    return o;
}

static int is_data_set(const struct dirent *e)
{
    return !strncmp(e->d_name, "test_data_set_", 14);
}

static outcome run_data_sets(trial *t)
{
    struct dirent **entry = NULL;
    int n = scandir(t->dir, &entry, is_data_set, alphasort);
    outcome o = PASSED;
    for (int i = 0; i < n; i++) {
        char path[PATH_SIZE];
        if (o == PASSED && join(path, t->dir, entry[i]->d_name))
            o = run_data_set(t, path);
        free(entry[i]);
    }
    free(entry);
    if (n < 1) {
        snprintf(t->say, SAY_SIZE, "there is no test_data_set_0");
        o = SKIPPED;
    }
    return o;
}

static outcome run_case(trial *t)
{
    char path[PATH_SIZE];
    if (!join(path, t->dir, "model.onnx"))
        return FAILED;
    tern_status st = tern_onnx_load(path, &t->model);
    outcome o = PASSED;
    if (st != TERN_OK)
        o = gave_up(t, st, "");
    else if (!operators_known(t))
        o = SKIPPED;
    else if ((st = tern_onnx_session_create(t->device, t->model, t->params, &t->session)) != TERN_OK)
        o = gave_up(t, st, "");
    else
        o = run_data_sets(t);
    tern_onnx_session_destroy(t->session);
    tern_onnx_destroy(t->model);
    return o;
}

/* --- All of them --- */

static void report_case(suite *s, const trial *t, outcome o, double seconds)
{
    s->count[o]++;
    if (!s->json) {
        printf("%s  %s%s%s%s%s%s\n", outcome_name[o], base_name(t->dir), o == PASSED ? "" : ": ", o == PASSED ? "" : t->say, t->note ? " (" : "",
               t->note ? t->note : "", t->note ? ")" : "");
        fflush(stdout); /* a driver that takes the process down leaves the name of the case before */
        return;
    }
    json_object(&s->doc, NULL);
    json_text(&s->doc, "name", base_name(t->dir));
    json_text(&s->doc, "path", t->dir);
    json_text(&s->doc, "outcome", o == PASSED ? "passed" : o == FAILED ? "failed" : "skipped");
    json_text(&s->doc, "reason", o == PASSED ? NULL : t->say);
    json_text(&s->doc, "note", t->note);
    json_real(&s->doc, "seconds", seconds);
    json_close(&s->doc);
}

static int run_all(suite *s, tern_device *d, const tern_onnx_session_params *params, const cli_tolerance *tol)
{
    if (s->json) {
        tern_device_info info;
        tern_device_get_info(d, &info);
        json_begin(&s->doc, stdout);
        json_device(&s->doc, "device", &info);
        json_array(&s->doc, "cases");
    }
    for (int i = 0; i < s->cases.n; i++) {
        trial t = {.device = d, .params = params, .tol = *tol, .dir = s->cases.path[i]};
        double start = cli_seconds();
        outcome o = run_case(&t);
        report_case(s, &t, o, cli_seconds() - start);
    }
    if (s->json) {
        json_close(&s->doc);
        json_int(&s->doc, "passed", s->count[PASSED]);
        json_int(&s->doc, "failed", s->count[FAILED]);
        json_int(&s->doc, "skipped", s->count[SKIPPED]);
        json_end(&s->doc);
    } else {
        printf("%d passed, %d failed, %d skipped\n", s->count[PASSED], s->count[FAILED], s->count[SKIPPED]);
    }
    return s->count[FAILED] ? CLI_FAILED : CLI_OK;
}

int cli_test(const cli *c, int argc, char **argv)
{
    suite s = {.filter = NULL};
    cli_tolerance tol = {.rtol = 1e-3, .atol = 1e-7};
    tern_onnx_session_params params = {.disable = NULL};
    const char *device = NULL;
    int n_dirs = 0;
    const cli_option options[] = {
        {"filter", CLI_TEXT, &s.filter, "PATTERN", "Only cases with this in their name, or, with * ? [ in it, whose whole name fits.", 0, 0},
        {"rtol", CLI_REAL, &tol.rtol, "X", "How far a float may be off, as a share of what it should be (default 0.001).", 0, 1e6},
        {"atol", CLI_REAL, &tol.atol, "X", "How far it may be off besides (default 1e-7).", 0, 1e6},
        {"disable", CLI_TEXT, &params.disable, "PASSES", "Leave out these passes, separated by commas; \"all\" for every optional one.", 0, 0},
        CLI_OPT_EXACT(&params.exact),
        CLI_OPT_JSON(&s.json),
        CLI_OPT_DEVICE(&device),
        {0},
    };
    const cli_usage usage = {
        .command = "test", .synopsis = "DIR... [options]", .options = options, .n_plain = &n_dirs, .positional_name = "DIR",
        .about = "Runs test cases in ONNX's own layout: DIR/model.onnx with DIR/test_data_set_*/input_*.pb and output_*.pb. A folder without a model is "
                 "searched for cases. Type, shape and elements must agree: floats within the tolerances (bf16 within its own last place), NaN with NaN, infinities by sign, whole "
                 "numbers exactly. Outputs that are random by nature are compared in type and shape, and the case says so. A model that needs an "
                 "operator Tern lacks is skipped and the operator named. Ends with 1 if a case failed.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    tern_device *d = NULL;
    code = find_all(&s, n_dirs, argv);
    if (code == CLI_OK)
        code = cli_open_device(c, device, CLI_COMPUTES, &d);
    if (code == CLI_OK)
        code = run_all(&s, d, &params, &tol);
    tern_device_close(d);
    for (int i = 0; i < s.cases.n; i++)
        free(s.cases.path[i]);
    free(s.cases.path);
    return code;
}
