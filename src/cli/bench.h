/* What the files of tern bench share: problems as they are written and read, results, and the pages that compare them. */
#ifndef TERN_CLI_BENCH_H
#define TERN_CLI_BENCH_H

#include "cli.h"

/* --- bench_problem.c: what the shape strings mean; touches no device --- */

typedef enum bench_kind {
    BENCH_CONV, BENCH_GEMM, BENCH_MATMUL, BENCH_ELTWISE, BENCH_REDUCE, BENCH_POOL, BENCH_NORM, BENCH_SOFTMAX, BENCH_ATTENTION,
    BENCH_MODEL, BENCH_N_KINDS
} bench_kind;

/* Spatial axes are depth, height, width; a problem of n_dims uses the last n_dims of them, the others are 1. */
typedef struct bench_problem {
    bench_kind kind;
    char op[32];          /* what stands behind the kind: "relu", "mean", "bwd_d"; "" where nothing did */
    char name[64];        /* what n"..." says; "" nothing */
    char text[384];       /* the problem in its shortest form, kind included and name left out: what results are matched by */
    int n_dims;           /* CONV, POOL */
    int64_t group, batch, c_in, c_out, in[3], out[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3]; /* dilation 1: dense */
    int64_t m, n, k;      /* GEMM, MATMUL; of a batch */
    bool trans_a, trans_b;
    tern_shape shape[3];  /* the rest: operands; REDUCE: operand and result */
    int n_shapes;
    int64_t number;       /* SOFTMAX: the axis; NORM: groups */
    tern_graph *graph;    /* MODEL: this, or */
    struct bench_runner *runner; /* if it has no single graph */
    double bytes;         /* of all operands and results; set by bench_check */
} bench_problem;

/* "conv" of "conv:relu"; NULL for a value outside the enum. */
const char *bench_kind_name(bench_kind k);
/* Is this word a kind, maybe with :OP? An OP that the kind does not have is found by bench_parse. */
bool bench_is_kind(const char *word);
/* The problem that a kind and a shape name. False: why says in a sentence what is wrong. Any text is safe. */
bool bench_parse(const char *kind, const char *shape, bench_problem *out, char *why, size_t why_size);
/* Floating-point operations by the textbook: two for each multiply-add, taps on padding counted. 0 for kinds where the plan counts. */
double bench_flops(const bench_problem *p);
/* The problems that are measured when none is given; kind BENCH_N_KINDS: all of them. *n of them, each a kind and a shape. */
typedef struct bench_default { const char *kind, *shape; } bench_default;
const bench_default *bench_defaults(int *n);

/* --- bench_graph.c: problems as graphs with operands --- */

/* The problem as a graph whose weights are constants of random numbers. Not for models. */
tern_status bench_graph(const bench_problem *p, tern_dtype dtype, tern_graph **out);
/* Whether Tern's ops accept the problem; counts its bytes. Draws nothing. Not for models. */
tern_status bench_check(bench_problem *p, tern_dtype dtype);

/* --- bench_model.c --- */

/* A model whose control or shapes depend on data: it runs from host tensors to host tensors. */
typedef struct bench_runner {
    tern_onnx *model;
    tern_onnx_value *in, *out;
    int n_in;
} bench_runner;

/* Sets graph or runner. CLI_OK or the exit code, message printed; bench_model_close is for every problem. */
int bench_model_open(const char *path, const cli_dims *dims, const cli_list *in, bench_problem *p);
void bench_model_close(bench_problem *p);
/* Empties what the last run gave. */
void bench_runner_clear(bench_runner *r);

/* --- Results --- */

/* What "format" says in the documents. */
#define BENCH_FORMAT "tern-bench-1"

typedef struct bench_result {
    char problem[384], name[64], dtype[8];
    char impl[160];       /* implementations of the plan's groups */
    char kernel[96];      /* of the group that computes most */
    char error[320];      /* why there are no figures; "" there are */
    int64_t n_groups, n_launches, n_tuned, samples, runs; /* runs in a sample */
    double flops, bytes;  /* of the problem; bytes of a model are its plan's */
    double plan_bytes;
    double median_us, min_us, p90_us, ready_ms;
} bench_result;

typedef struct bench_set {
    char device[128], type[16], vendor[128], platform[128], version[64], driver[64]; /* as json_device prints them */
    char tern[32], date[32];
    char label[160];      /* how pages and tables call it: the device, told apart where two are the same */
    double peak_gflops, peak_gbytes; /* measured; 0: unknown */
    bench_result *result;
    int n, cap;
} bench_set;

/* Text from a driver or a file as UTF-8 without control characters, cut to fit between two characters. */
void bench_copy(char *to, size_t size, const char *from);
/* A new zeroed result; NULL, with a message, when there is no memory. */
bench_result *bench_set_add(bench_set *s);
void bench_set_finish(bench_set *s);
/* The result of this problem and type; NULL: not measured, or it failed. */
const bench_result *bench_find(const bench_set *s, const char *problem, const char *dtype);
/* Labels for all sets: the device's name, with the driver or a number where needed. */
void bench_label(bench_set *sets, int n);

/* What follows from time and peaks. Shares are of 1; 0 where a peak is unknown. */
typedef struct bench_rates {
    double gflops, gbytes_per_s, intensity; /* operations a byte */
    double of_compute, of_memory, of_roof;  /* roof: the lower of the two peaks at this intensity */
    bool memory_bound;
    bool known;           /* operations or bytes were counted; else there is only a time */
} bench_rates;
bench_rates bench_rate(const bench_set *s, const bench_result *r);
const char *bench_time(double us, char buf[24]); /* "12.3 us" */

/* A problem that at least one set has; results of the same problem stand in one row. */
typedef struct bench_row {
    const char *problem, *name, *dtype;
} bench_row;
/* All rows of all sets in the order in which they come, for the caller to free; NULL, with a message, when there is no memory. */
bench_row *bench_rows(const bench_set *sets, int n, int *n_rows);
/* The geometric mean of how many times faster b is than a on the problems that both have; 0: they share none. n_shared may be NULL. */
double bench_mean_ratio(const bench_set *a, const bench_set *b, int *n_shared);

/* CLI_OK, or CLI_FAILED with a message. */
int bench_print(const bench_set *s);                      /* a table of one device's figures */
int bench_print_comparison(const bench_set *sets, int n);
int bench_json_comparison(const bench_set *sets, int n);   /* a document on standard output */

/* --- bench_time.c: measuring --- */

typedef struct bench_params {
    tern_dtype dtype;
    double time_ms;      /* of timed runs for each problem */
    int64_t repeat;      /* samples; 0: as many as fit time_ms */
    const char *disable, *force_impl; /* as in tern_session_params */
    cli_choices choices; /* likewise */
} bench_params;

/* Measures all problems; what fails gets its sentence into the result. CLI_OK or the exit code, message printed. */
int bench_measure(tern_device *d, const bench_problem *p, int n, const bench_params *params, bench_set *out);

/* --- bench_read.c: results from the files that --json wrote. CLI_OK or the exit code, message printed. --- */

int bench_read(const char *path, bench_set *out);

/* --- bench_page.c --- */

/* One page for all sets, the first of which is what the others are compared with. CLI_OK or the exit code, message printed. */
int bench_page(const char *path, const bench_set *sets, int n);

#endif
