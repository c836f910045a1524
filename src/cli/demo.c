/* tern demo: train, save, load in a fresh process, classify, and a page about it all. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tern/model.h>
#include <unistd.h>

extern char **environ;

enum { TEST_BATCH = 500 };

typedef struct demo {
    const cli *c;
    const char *data, *device_name, *report, *model;
    bool json;
    fit_params fit;
    tern_device *device;
    tern_device_info info;
    tern_dataset *train, *test;
    fit_result training;
    classify_result answers;
    tern_plan_info inference;
    fit_group *groups;
    int n_groups;
    double total_s, warm_ready_s;
} demo;

/* Everything the child prints, at most size - 1 bytes. */
static void read_all(int fd, char *text, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, text + n, size - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    text[n] = 0;
}

static int start(const demo *d, char *const argv[], int out, pid_t *pid)
{
    posix_spawn_file_actions_t a;
    if (posix_spawn_file_actions_init(&a) != 0)
        return ENOMEM;
    int error = posix_spawn_file_actions_adddup2(&a, out, STDOUT_FILENO);
    if (!error)
        error = posix_spawn(pid, "/proc/self/exe", &a, NULL, argv, environ);
    if (error == ENOENT || error == EACCES) /* no /proc: as the user called us */
        error = posix_spawnp(pid, d->c->program, &a, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&a);
    return error;
}

/* Runs `tern eval` on the saved model, with its JSON in text. */
static int run_fresh(const demo *d, const char *probabilities, char *text, size_t size)
{
    int ends[2], state = 0;
    pid_t pid;
    char batch[16];
    snprintf(batch, sizeof batch, "%d", TEST_BATCH);
    char index[16];
    snprintf(index, sizeof index, "%d", d->info.index);
    const char *argv[] = {"tern", "eval", d->model, "--data", d->data, "--batch", batch, "--json", "--out", probabilities, "--device", index, NULL};
    if (pipe(ends) != 0)
        return cli_error(CLI_FAILED, "demo: no pipe for a fresh process: %s", strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    int error = start(d, (char *const *)(uintptr_t)argv, ends[1], &pid);
    close(ends[1]);
    if (!error)
        read_all(ends[0], text, size);
    close(ends[0]);
    if (error)
        return cli_error(CLI_FAILED, "demo: a fresh process could not be started: %s", strerror(error));
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(state) || WEXITSTATUS(state) != 0)
        return cli_error(CLI_FAILED, "demo: the fresh process ended with %s %d", WIFEXITED(state) ? "exit code" : "signal",
                         WIFEXITED(state) ? WEXITSTATUS(state) : WTERMSIG(state));
    return CLI_OK;
}

static int take_answers(demo *d, const char *path, const char *text)
{
    classify_result *a = &d->answers;
    tern_tensor *t = NULL;
    tern_status st = tern_tensor_load_npy(path, &t);
    if (st != TERN_OK)
        return cli_fail(st, "demo");
    const tern_shape *s = tern_tensor_shape(t);
    double ready = 0, first = 0, right = -1;
    int code = CLI_OK;
    if (tern_tensor_dtype(t) != TERN_F32 || s->rank != 2 || s->dim[0] != d->test->n || s->dim[1] != d->test->n_classes ||
        !json_find_number(text, "seconds", &a->seconds) || !json_find_number(text, "images_per_s", &a->images_per_s) ||
        !json_find_number(text, "ready_ms", &ready) || !json_find_number(text, "first_ms", &first) || !json_find_number(text, "right", &right))
        code = cli_error(CLI_FAILED, "demo: the fresh process answered something else than was asked");
    a->n = d->test->n;
    a->n_classes = d->test->n_classes;
    a->ready_s = ready * 1e-3;
    a->first_s = first * 1e-3;
    a->probability = cli_alloc((size_t)(a->n * a->n_classes), sizeof *a->probability);
    a->answer = cli_alloc((size_t)a->n, sizeof *a->answer);
    if (!a->probability || !a->answer)
        code = CLI_FAILED;
    if (code == CLI_OK) {
        memcpy(a->probability, tern_tensor_data(t), (size_t)(a->n * a->n_classes) * sizeof(float));
        classify_count(a, d->test->labels);
        if ((double)a->n_right != right)
            code = cli_error(CLI_FAILED, "demo: the fresh process counted %.0f right answers, its probabilities say %lld", right, (long long)a->n_right);
    }
    tern_tensor_destroy(t);
    return code;
}

static int classify_fresh(demo *d)
{
    char path[4096], text[65536];
    if (snprintf(path, sizeof path, "%s.probabilities.npy", d->model) >= (int)sizeof path)
        return cli_error(CLI_FAILED, "demo: the model's name is too long: %s", d->model);
    fprintf(stderr, "classifying %lld test images in a fresh process\n", (long long)d->test->n);
    int code = run_fresh(d, path, text, sizeof text);
    if (code == CLI_OK)
        code = take_answers(d, path, text);
    remove(path);
    return code;
}

/* The inference plan's account, from a second look at the saved file; its kernels are in the cache by now. */
static int look_at_plan(demo *d)
{
    tern_graph *g = NULL;
    tern_session *s = NULL;
    tern_shape in = {4, {TEST_BATCH, d->test->channels, d->test->height, d->test->width}};
    tern_session_params p = {.freeze = true, .input_shapes = &in};
    double from = cli_seconds();
    tern_status st = tern_model_load(d->model, &g);
    if (st == TERN_OK)
        st = tern_session_create(d->device, g, &p, &s);
    d->warm_ready_s = cli_seconds() - from;
    if (st == TERN_OK) {
        tern_session_get_info(s, &d->inference);
        d->groups = fit_groups(s, &d->n_groups);
    }
    tern_session_destroy(s);
    tern_graph_destroy(g);
    return st == TERN_OK && d->groups ? CLI_OK : cli_fail(st, "demo");
}

static int write_report(const demo *d)
{
    report_data r = {
        .title = "Fashion-MNIST on Tern", .data_name = d->data, .model_name = d->fit.model, .fit = &d->fit, .training = &d->training,
        .answers = &d->answers, .test = d->test, .device = &d->info, .inference = &d->inference, .inference_groups = d->groups,
        .n_inference_groups = d->n_groups, .total_s = d->total_s,
    };
    return report_write(d->report, &r);
}

static void print_summary(const demo *d)
{
    const tern_plan_info *p = &d->training.plan;
    char a[24], b[24];
    printf("test accuracy   %.2f %% of %lld images\n", 100.0 * (double)d->answers.n_right / (double)d->answers.n, (long long)d->answers.n);
    printf("training        %.1f s, %.0f images a second\n", d->training.train_s, d->training.images_per_s);
    printf("inference       %.0f images a second; a fresh process was ready in %.0f ms\n", d->answers.images_per_s, d->answers.ready_s * 1e3);
    printf("training step   %s moved, %s unfused (%.2f of it)\n", cli_bytes((double)p->bytes_fused, a), cli_bytes((double)p->bytes_unfused, b),
           (double)p->bytes_fused / (double)(p->bytes_unfused ? p->bytes_unfused : 1));
    printf("device          %s\n", d->info.name);
    printf("model           %s\nreport          %s\n", d->model, d->report);
    printf("all in          %.1f s\n", d->total_s);
}

static void print_json(const demo *d)
{
    cli_json j;
    json_begin(&j, stdout);
    json_real(&j, "test_accuracy", (double)d->answers.n_right / (double)d->answers.n);
    json_real(&j, "test_loss", d->answers.loss);
    json_real(&j, "train_images_per_s", d->training.images_per_s);
    json_real(&j, "train_s", d->training.train_s);
    json_real(&j, "first_step_s", d->training.first_s);
    json_real(&j, "infer_images_per_s", d->answers.images_per_s);
    json_int(&j, "bytes_unfused", d->training.plan.bytes_unfused);
    json_int(&j, "bytes_fused", d->training.plan.bytes_fused);
    json_text(&j, "report", d->report);
    json_text(&j, "model", d->model);
    json_int(&j, "parameters", d->training.n_parameters);
    json_int(&j, "epochs", d->fit.epochs);
    json_real(&j, "fresh_ready_ms", d->answers.ready_s * 1e3);
    json_real(&j, "fresh_first_ms", d->answers.first_s * 1e3);
    json_real(&j, "warm_ready_ms", d->warm_ready_s * 1e3);
    json_real(&j, "total_s", d->total_s);
    json_plan(&j, "training_plan", &d->training.plan);
    json_plan(&j, "inference_plan", &d->inference);
    json_device(&j, "device", &d->info);
    json_end(&j);
}

static int run_demo(demo *d)
{
    double from = cli_seconds();
    tern_status st = tern_dataset_open(d->data, TERN_TRAIN, &d->train);
    if (st == TERN_OK)
        st = tern_dataset_open(d->data, TERN_TEST, &d->test);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    int code = cli_open_device(d->c, d->device_name, CLI_COMPUTES, &d->device);
    if (code != CLI_OK)
        return code;
    tern_device_get_info(d->device, &d->info);
    fprintf(stderr, "training on %s\n", d->info.name);
    code = fit_run(d->device, &d->fit, d->train, d->test, &d->training);
    if (code == CLI_OK)
        code = classify_fresh(d);
    if (code == CLI_OK)
        code = look_at_plan(d);
    d->total_s = cli_seconds() - from;
    if (code == CLI_OK)
        code = write_report(d);
    if (code == CLI_OK) {
        if (d->json)
            print_json(d);
        else
            print_summary(d);
    }
    return code;
}

int cli_demo(const cli *c, int argc, char **argv)
{
    demo d = {
        .c = c, .data = "fashion-mnist", .report = "tern-demo.html", .model = "tern-demo.tern",
        .fit = {.model = "convnet", .optimizer = "adam", .epochs = 4, .batch = 128, .lr = 0.003, .cosine = true, .seed = 1},
    };
    const cli_option options[] = {
        {"report", CLI_TEXT, &d.report, "FILE", "The page to write (default tern-demo.html).", 0, 0},
        {"out", CLI_TEXT, &d.model, "FILE", "The model file to write (default tern-demo.tern).", 0, 0},
        {"data", CLI_TEXT, &d.data, "NAME[:DIR]", "The data set, if its files are elsewhere (default fashion-mnist).", 0, 0},
        {"epochs", CLI_COUNT, &d.fit.epochs, "N", "Passes over the training set (default 4).", 1, 10000},
        CLI_OPT_JSON(&d.json),
        CLI_OPT_DEVICE(&d.device_name),
        {0},
    };
    const cli_usage usage = {
        .command = "demo", .synopsis = "[options]", .options = options,
        .about = "Trains a convolutional network on Fashion-MNIST, saves it, loads it in a fresh process which classifies the 10,000 test images with the "
                 "fused inference plan, and writes a page with the curves, the mistakes, the memory traffic and the device. Takes about two minutes "
                 "on two CPU cores.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    if (!cli_can_write(d.report) || !cli_can_write(d.model))
        return CLI_FAILED;
    d.fit.save = d.model;
    code = run_demo(&d);
    free(d.groups);
    classify_finish(&d.answers);
    fit_finish(&d.training);
    tern_device_close(d.device);
    tern_dataset_close(d.train);
    tern_dataset_close(d.test);
    return code;
}
