/* What the subcommands share: options, errors and exit codes, JSON, progress, and the pieces of the demo's page. */
#ifndef TERN_CLI_CLI_H
#define TERN_CLI_CLI_H

#include <stdio.h>
#include <tern/base.h>
#include <tern/data.h>
#include <tern/device.h>
#include <tern/graph.h>
#include <tern/onnx.h>
#include <tern/session.h>

/* What the process ends with. Documented in `tern --help`. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NO_DEVICE = 3 };

/* What stood before the subcommand. */
typedef struct cli {
    const char *program; /* argv[0] */
    const char *device;  /* --device, NULL when not given */
} cli;

int cli_devices(const cli *c, int argc, char **argv);
int cli_demo(const cli *c, int argc, char **argv);
int cli_train(const cli *c, int argc, char **argv);
int cli_eval(const cli *c, int argc, char **argv);
int cli_run(const cli *c, int argc, char **argv);
int cli_info(const cli *c, int argc, char **argv);
int cli_test(const cli *c, int argc, char **argv);
int cli_convert(const cli *c, int argc, char **argv);
int cli_plan(const cli *c, int argc, char **argv);
int cli_bench(const cli *c, int argc, char **argv);
int cli_tune(const cli *c, int argc, char **argv);
int cli_certify(const cli *c, int argc, char **argv);
int cli_cache(const cli *c, int argc, char **argv);

/* --- args.c --- */

typedef enum cli_kind {
    CLI_FLAG = 1, /* bool * */
    CLI_TEXT,     /* const char ** */
    CLI_COUNT,    /* int64_t *, a whole number in [min, max] */
    CLI_REAL,     /* double *, in [min, max] */
    CLI_LIST,     /* cli_list *, may be given many times */
} cli_kind;

typedef struct cli_list {
    const char *item[32];
    int n;
} cli_list;

typedef struct cli_option {
    const char *name;  /* without the dashes; NULL ends a list */
    cli_kind kind;
    void *to;
    const char *value; /* what the help calls the value: "FILE" */
    const char *help;  /* one sentence or two */
    double min, max;
} cli_option;

#define CLI_OPT_JSON(p) {"json", CLI_FLAG, (p), NULL, "Print one JSON document on standard output and nothing else.", 0, 0}
#define CLI_OPT_DEVICE(p) {"device", CLI_TEXT, (p), "DEVICE", "The device: an index of `tern devices`, a type (cpu, gpu, accelerator, null) or part of a name. Default: $TERN_DEVICE, else the best there is.", 0, 0}

typedef struct cli_usage {
    const char *command;     /* "run" */
    const char *synopsis;    /* "MODEL [options]" */
    const char *about;       /* a paragraph */
    const cli_option *options;
    const char **positional; /* receives the one plain argument; NULL when the command takes none */
    const char *positional_name;
    bool may_lack_positional;
    int *n_plain;            /* where the command takes one or more instead: how many; they are moved to the front of argv */
} cli_usage;

/* Reads the arguments after the subcommand's name. False: the process is done, with *code (help was asked for, or the usage is wrong). */
bool cli_parse(const cli_usage *u, int argc, char **argv, int *code);
/* Text folded at 80 columns, every line after the first indented. */
void cli_print_folded(FILE *to, const char *text, int indent);

/* --- common.c --- */

/* "tern: sentence" on stderr; returns code. */
int cli_error(int code, const char *fmt, ...) TERN_PRINTF(2, 3);
/* "tern: note: sentence" on stderr, for what is worth knowing and no failure; nothing for NULL. */
void cli_note(const char *sentence);
/* The same with the library's sentence, prefixed by what was being done where prefix is not NULL; the code follows from st. */
int cli_fail(tern_status st, const char *prefix);
/* "tern: COMMAND: sentence; see tern COMMAND --help"; CLI_USAGE. */
int cli_misuse(const char *command, const char *fmt, ...) TERN_PRINTF(2, 3);

double cli_seconds(void);                             /* monotonic clock */
const char *cli_bytes(double n, char buf[24]);        /* "12.3 MB" */
const char *cli_shape(const tern_shape *s, char buf[160]); /* "[1,28,28]" */
/* "f32[1,28,28]"; a negative extent, which stands for a free axis, shows as "?". */
const char *cli_type(tern_dtype t, const tern_shape *s, char buf[176]);
int cli_compare_doubles(const void *a, const void *b);
/* malloc that says so and gives NULL when there is no memory. */
void *cli_alloc(size_t n, size_t size);
/* False, with a message, unless a file can be created at path; nothing is left behind. */
bool cli_can_write(const char *path);

/* Opens the device that --device before or after the subcommand names (either may be NULL). CLI_OK or the exit code, message printed. */
enum { CLI_PROFILE = 1, CLI_COMPUTES = 2 }; /* events are timed; the null device will not do */
int cli_open_device(const cli *c, const char *device, unsigned needs, tern_device **out);

/* --- load.c: models of either format --- */

#define CLI_OPT_EXACT(p) \
    {"exact", CLI_FLAG, (p), NULL, "Only kernels that add up what each op's formula says: no Winograd convolutions, which round a little more.", 0, 0}
/* Which kernels may be chosen. */
typedef struct cli_choices {
    bool exact, no_tuned;
} cli_choices;
#define CLI_OPT_CHOICES(p) \
    CLI_OPT_EXACT(&(p)->exact), \
    {"no-tuned", CLI_FLAG, &(p)->no_tuned, NULL, "Leave out what tern tune has measured; so does TERN_TUNED=0 in the environment.", 0, 0}
#define CLI_OPT_DIM(p) {"dim", CLI_LIST, (p), "NAME=N", "Extent of an ONNX model's symbolic dimension; 1 where it is not given. May be repeated.", 0, 0}

/* What --dim said; at ends with {0}. */
typedef struct cli_dims {
    tern_onnx_dim at[33];
    char *name[32];
    int n;
} cli_dims;

bool cli_has_suffix(const char *path, const char *suffix); /* in any case */
/* By the file's suffix, else by its first bytes. */
bool cli_is_onnx(const char *path);
/* CLI_OK or the exit code, message printed. cli_dims_finish is for every outcome. */
int cli_dims_read(const char *command, const cli_list *list, cli_dims *d);
void cli_dims_finish(cli_dims *d);
/* CLI_USAGE, message printed, if a name is no dimension of any of these inputs. */
int cli_dims_check(const char *command, const tern_onnx_port *ports, int n, const cli_dims *d);
/* A port's extent along an axis: its own, what --dim says, or else this. */
int64_t cli_extent(const tern_onnx_port *p, int axis, const cli_dims *d, int64_t otherwise);
/* All inputs or outputs, for the caller to free. */
int cli_ports(const tern_onnx *m, bool outputs, tern_onnx_port **ports, int *n);
/* What an ONNX model becomes. */
typedef struct cli_graph_params {
    const cli_dims *dims;
    const cli_list *known;   /* inputs that become part of the graph, as --in says them; NULL: none */
    const tern_shape *first; /* shape of the only input instead of its own; NULL: its own */
    bool variables;          /* weights can be trained */
    const char *copy;        /* where a model that is no single graph is written with its own nodes; NULL: nowhere, it is refused */
} cli_graph_params;

/* A model as one graph; *out stays NULL if the model was copied instead. CLI_OK or the exit code, message printed. */
int cli_load_graph(const char *command, const char *path, const cli_graph_params *p, tern_graph **out);

/* --- inputs.c: what --in gives a model --- */

typedef struct cli_image_params {
    const char *mean, *std, *scale; /* as given, NULL: not */
    bool bgr;
} cli_image_params;

/* What --in NAME=SOURCE says about an input; NULL: nothing. And CLI_USAGE, message printed, if it names an input that none of these is. */
const char *cli_source_of(const cli_list *list, const char *name);
int cli_sources_check(const char *command, const char *model, const tern_onnx_port *ports, int n, const cli_list *list);
/* A value for an input from "random[:SHAPE]", "zeros[:SHAPE]", a .npy or .pb file, or a PNG or JPEG picture; source NULL: random, or nothing for an
 * optional input. k seeds the numbers. CLI_OK or the exit code, message printed. */
int cli_make_input(const char *command, const tern_onnx_port *p, int k, const char *source, const cli_dims *dims, const cli_image_params *image,
                   tern_onnx_value *out);

/* Floats in [0, 1), whole numbers 0 to 9 (safe as class labels), booleans 0 or 1; the same for the same seed. */
void cli_fill_random(tern_tensor *t, uint64_t seed);
/* Random device tensors for all inputs of a graph, so that runs copy nothing; a NULL ends them. Else why has a sentence and *out is NULL. */
tern_status cli_device_inputs(tern_device *d, const tern_graph *g, tern_tensor ***out, char *why, size_t why_size);
void cli_device_inputs_destroy(tern_tensor ***in);

/* --- values.c: elements of any type, and the comparison of what came out with what should have --- */

double cli_element(const tern_tensor *t, size_t i);
void cli_set_element(tern_tensor *t, size_t i, double x); /* rounds to nearest where the type wants it */
typedef struct cli_tolerance {
    double rtol, atol;
    bool type_only;   /* the elements are random by nature: kind, dtype and shape must agree, no more */
    bool some_dropped;/* zero on one side where the other has a number is no difference: what a dropout drops is random */
} cli_tolerance;
/* Kind, dtype, shape, then elements: floats within atol + rtol * |wanted| (bf16: a neighbouring number at least), NaN like NaN, infinities by
 * sign; everything else exactly. False: the difference in words, "element 3 is 1.5, not 1.25 ...". Sequences item by item. */
bool cli_values_agree(const tern_onnx_value *got, const tern_onnx_value *wanted, const cli_tolerance *tol, char *why, size_t size);

/* --- json.c: a writer that cannot produce an invalid document, and a finder of numbers in the documents it wrote --- */

typedef struct cli_json {
    FILE *to;
    int depth;
    bool used[32]; /* something was already written at this depth */
    bool in_array[32];
} cli_json;

/* Length of the UTF-8 sequence at s, which ends with a NUL; 0 if it is not one. */
int json_utf8_length(const unsigned char *s);
void json_begin(cli_json *j, FILE *to);              /* opens the outermost object */
void json_end(cli_json *j);                          /* closes it and ends the line */
void json_object(cli_json *j, const char *key);      /* key NULL inside an array */
void json_array(cli_json *j, const char *key);
void json_close(cli_json *j);                        /* the innermost object or array */
void json_text(cli_json *j, const char *key, const char *value); /* NULL gives null */
void json_int(cli_json *j, const char *key, int64_t value);
void json_real(cli_json *j, const char *key, double value); /* NaN and infinities give null */
void json_bool(cli_json *j, const char *key, bool value);
/* The number behind "key" in a document of ours in which that key occurs once. */
bool json_find_number(const char *document, const char *key, double *out);

/* Objects that several commands print. */
void json_device(cli_json *j, const char *key, const tern_device_info *d);
void json_plan(cli_json *j, const char *key, const tern_plan_info *p);
void json_shape(cli_json *j, const char *key, const tern_shape *s);

/* --- json_read.c: documents of ours read back --- */

typedef enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT } json_kind;

/* A value; those inside an array or object follow it. */
typedef struct json_value {
    json_kind kind;
    int span;          /* values in it at all depths, and itself */
    const char *key;   /* in an object, else NULL */
    const char *text;  /* TEXT */
    double number;     /* NUMBER; BOOL: 0 or 1 */
} json_value;

typedef struct json_doc {
    json_value *value; /* the first is the outermost */
    int n, cap;
    char *text;
} json_doc;

/* Any file is safe. CLI_OK or the exit code, message printed. json_finish is for a document that was read. */
int json_read(const char *command, const char *path, json_doc *out);
void json_finish(json_doc *d);
/* Members of an array or object in order, NULL at the end; NULL and other kinds have none. */
const json_value *json_first(const json_value *of);
const json_value *json_next(const json_value *of, const json_value *v);
const json_value *json_get(const json_value *object, const char *key);
/* What stands under a key, or what is given instead: otherwise, and NULL. */
double json_number(const json_value *object, const char *key, double otherwise);
const char *json_string(const json_value *object, const char *key);

/* --- progress.c: one moving line on a terminal, a plain line every tenth elsewhere --- */

typedef struct cli_progress {
    const char *what;
    int64_t total;
    bool terminal;
    int shown_tenth;
    double start, last;
} cli_progress;

void progress_begin(cli_progress *p, const char *what, int64_t total);
void progress_step(cli_progress *p, int64_t done, const char *fmt, ...) TERN_PRINTF(3, 4);
void progress_end(cli_progress *p); /* clears the moving line */

/* --- fit.c: training a named network on a labelled data set --- */

typedef struct fit_params {
    const char *model, *optimizer;
    const char *save;      /* model file to write, NULL for none */
    const char *trace;     /* Chrome trace of the last steps, NULL for none */
    int64_t epochs, batch;
    double lr, weight_decay;
    uint64_t seed;
    bool cosine;           /* the learning rate follows half a cosine down to nothing */
    bool augment;          /* mirror half of the images */
    tern_onnx *onnx;       /* the network is this model, not a named one */
    const char *freeze;    /* patterns of weights that do not learn */
    int64_t classes;       /* a new head for so many, 0: the model's own */
} fit_params;

/* Something seen every few steps, and after each epoch. */
typedef struct fit_point { double epoch, loss, accuracy; } fit_point;

typedef struct fit_group { char name[96], ops[160]; int64_t bytes_unfused, bytes_fused, flops; } fit_group;

typedef struct fit_result {
    fit_point *steps;      /* loss and share of right answers on the training batch */
    int n_steps;
    fit_point *epochs;     /* the same on the whole test set */
    int n_epochs;
    double train_s;        /* the training loops alone */
    double first_s;        /* of which the first step, in which drivers compile */
    double images_per_s;   /* after the first step */
    int64_t n_images, n_parameters;
    tern_plan_info plan;
    fit_group *groups;
    int n_groups;
} fit_result;

/* Trains, tests after each epoch and saves. CLI_OK or the exit code, message printed. fit_finish is for every outcome. */
int fit_run(tern_device *d, const fit_params *p, const tern_dataset *train, const tern_dataset *test, fit_result *out);
void fit_finish(fit_result *r);
/* The groups of a session's plan, copied. NULL: no memory. */
fit_group *fit_groups(const tern_session *s, int *n);

/* --- classify.c: a graph's answers for a data set --- */

typedef struct classify_result {
    float *probability;   /* [n, n_classes] */
    uint8_t *answer;      /* [n] */
    int64_t n, n_classes, n_right;
    double loss;          /* mean cross-entropy */
    double seconds, images_per_s; /* the whole set, data preparation included, after one warm-up batch */
    double ready_s, first_s;      /* until the session was ready; its first batch */
    tern_plan_info plan;
} classify_result;

/* Runs g (one f32 image input, one output of class scores) over all of data. store NULL: the weights in g, frozen. */
int classify_run(tern_device *d, const tern_graph *g, tern_store *store, const tern_dataset *data, int64_t batch, const cli_choices *choices,
                 classify_result *out);
void classify_finish(classify_result *r);
/* Counts and, where probability is set, nothing else: answers from scores already in r->probability. */
void classify_count(classify_result *r, const uint8_t *labels);

/* --- svg.c, png.c, report.c: the demo's page --- */

typedef struct svg_series {
    const char *name, *css_class;
    const double *x, *y;
    int n;
    bool dots;
} svg_series;

typedef struct svg_chart {
    const char *title, *x_label;
    const svg_series *series;
    int n_series;
    double y_min, y_max, x_max;
    bool percent;
} svg_chart;

void svg_chart_write(FILE *to, const svg_chart *c);

/* An 8-bit grey picture as a data: URI. */
void png_write_uri(FILE *to, const uint8_t *pixels, int width, int height, bool invert);

typedef struct report_data {
    const char *title, *data_name, *model_name;
    const fit_params *fit;
    const fit_result *training;
    const classify_result *answers; /* from the fresh process */
    const tern_dataset *test;
    const tern_device_info *device;
    const tern_plan_info *inference;
    const fit_group *inference_groups;
    int n_inference_groups;
    double total_s;
} report_data;

/* One self-contained page. CLI_OK or the exit code, message printed. */
int report_write(const char *path, const report_data *r);
/* Lets write fill a temporary file beside path and renames it: the old file or the whole new one. CLI_OK or the exit code, message printed. */
int page_write(const char *path, void (*write)(FILE *to, const void *data), const void *data);
/* Text with the characters that HTML keeps for itself escaped. */
void html_text(FILE *to, const char *text);

#endif
