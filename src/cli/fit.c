/* Trains a named network on a labelled data set: one plan holds forward, backward and update. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tern/model.h>
#include <tern/nn.h>

enum { LOOK_EVERY = 20 }; /* steps between looks at the loss, which is when the host waits for the device */

typedef struct fit {
    const fit_params *p;
    tern_device *device;
    const tern_dataset *data, *test;
    fit_result *out;
    tern_graph *step_graph, *test_graph;
    tern_graph *own_graph;             /* of an ONNX model: as it came, to be saved */
    int n_outputs, loss_at, scores_at; /* of the training graph */
    tern_store *store;
    tern_session *step;
    tern_tensor *x, *y, *loss, *scores;
    tern_tensor **results; /* n_outputs of them, those two at their places */
    float *pixels;
    int32_t *labels;
    int64_t *order;
    int64_t steps_per_epoch, n_steps, n_done;
    double first_s; /* the first step by itself: drivers compile at the first launch */
    cli_progress progress;
} fit;

/* An ONNX model as a graph for a batch of the data's images; batch 0: for as many as the model says, one if it leaves that open. */
static tern_status graph_of_model(const fit *f, int64_t batch, bool training, tern_graph **out)
{
    const tern_dataset *d = f->data;
    tern_shape images = {4, {batch, d->channels, d->height, d->width}};
    tern_onnx_graph_params p = {.input_shapes = &images, .variables = true, .training = training, .freeze = f->p->freeze, .classes = f->p->classes,
                                .seed = f->p->seed, .batch = batch, .scores = batch > 0};
    if (batch == 0) {
        tern_onnx_port input;
        tern_status st = tern_onnx_input(f->p->onnx, 0, &input);
        if (st != TERN_OK)
            return st;
        images.dim[0] = input.dim[0] > 0 ? input.dim[0] : 1;
    }
    return tern_onnx_graph(f->p->onnx, &p, out);
}

/* The model's outputs stay outputs; its scores and the loss come after them. */
static tern_status build_model_step(fit *f)
{
    tern_status st = graph_of_model(f, f->p->batch, true, &f->step_graph);
    if (st != TERN_OK)
        return st;
    tern_graph *g = f->step_graph;
    tern_shape labels = {1, {f->p->batch}};
    tern_nn nn = {g, f->p->seed};
    f->scores_at = 0;
    f->loss_at = tern_graph_n_outputs(g);
    f->n_outputs = f->loss_at + 1;
    tern_value loss = tern_nn_cross_entropy(&nn, tern_graph_output_value(g, 0), tern_graph_input(g, "label", TERN_I32, &labels, 0));
    tern_graph_output(g, "loss", loss);
    tern_optimizer o = {.name = f->p->optimizer, .lr = f->p->lr, .weight_decay = f->p->weight_decay};
    st = tern_graph_check(g);
    return st == TERN_OK ? tern_graph_minimize(g, loss, &o) : st;
}

static tern_status build_step_graph(fit *f)
{
    f->n_outputs = 2;
    f->scores_at = 1;
    if (f->p->onnx)
        return build_model_step(f);
    const tern_dataset *d = f->data;
    tern_shape images = {4, {f->p->batch, d->channels, d->height, d->width}}, labels = {1, {f->p->batch}};
    tern_status st = tern_graph_create(&f->step_graph);
    if (st != TERN_OK)
        return st;
    tern_graph *g = f->step_graph;
    tern_nn nn = {g, f->p->seed};
    tern_value x = tern_graph_input(g, "image", TERN_F32, &images, 0);
    tern_value y = tern_graph_input(g, "label", TERN_I32, &labels, 0);
    tern_value scores = tern_nn_model(&nn, f->p->model, x, true);
    tern_value loss = tern_nn_cross_entropy(&nn, scores, y);
    tern_graph_output(g, "loss", loss);
    tern_graph_output(g, "scores", scores);
    tern_optimizer o = {.name = f->p->optimizer, .lr = f->p->lr, .weight_decay = f->p->weight_decay};
    st = tern_graph_check(g);
    return st == TERN_OK ? tern_graph_minimize(g, loss, &o) : st;
}

/* The network alone, for any batch. Its variables have the names of the training graph's. */
static tern_status build_test_graph(fit *f)
{
    const tern_dataset *d = f->data;
    if (f->p->onnx)
        return graph_of_model(f, f->p->batch < f->test->n ? f->p->batch : f->test->n, false, &f->test_graph);
    tern_shape images = {4, {f->p->batch, d->channels, d->height, d->width}};
    tern_status st = tern_graph_create(&f->test_graph);
    if (st != TERN_OK)
        return st;
    tern_nn nn = {f->test_graph, f->p->seed};
    tern_value x = tern_graph_input(f->test_graph, "image", TERN_F32, &images, 1);
    tern_graph_output(f->test_graph, "scores", tern_nn_model(&nn, f->p->model, x, false));
    return tern_graph_check(f->test_graph);
}

static void count_parameters(fit *f)
{
    for (int i = 0; i < tern_graph_n_variables(f->test_graph); i++) {
        tern_dtype dtype;
        tern_shape shape;
        int64_t n = 1;
        if (tern_graph_value_info(f->test_graph, tern_graph_variable_value(f->test_graph, i), &dtype, &shape) != TERN_OK)
            continue;
        for (int k = 0; k < shape.rank; k++)
            n *= shape.dim[k];
        f->out->n_parameters += n;
    }
}

static tern_status open_step(fit *f)
{
    tern_shape images = {4, {f->p->batch, f->data->channels, f->data->height, f->data->width}};
    tern_shape labels = {1, {f->p->batch}}, scalar = {0}, scores = {2, {f->p->batch, f->data->n_classes}};
    tern_status st = tern_store_create(f->device, &f->store);
    tern_session_params params = {.store = f->store};
    if (st == TERN_OK)
        st = tern_session_create(f->device, f->step_graph, &params, &f->step);
    if (st == TERN_OK)
        st = tern_tensor_wrap(TERN_F32, &images, f->pixels, &f->x);
    if (st == TERN_OK)
        st = tern_tensor_wrap(TERN_I32, &labels, f->labels, &f->y);
    if (st == TERN_OK)
        st = tern_tensor_create(TERN_F32, &scalar, &f->loss);
    if (st == TERN_OK)
        st = tern_tensor_create(TERN_F32, &scores, &f->scores);
    f->results[f->loss_at] = f->loss;
    f->results[f->scores_at] = f->scores;
    return st;
}

static bool make_room(fit *f)
{
    const tern_dataset *d = f->data;
    size_t batch = (size_t)f->p->batch;
    f->steps_per_epoch = d->n / f->p->batch;
    f->n_steps = f->steps_per_epoch * f->p->epochs;
    f->pixels = cli_alloc(batch * (size_t)(d->channels * d->height * d->width), sizeof *f->pixels);
    f->labels = cli_alloc(batch, sizeof *f->labels);
    f->order = cli_alloc((size_t)d->n, sizeof *f->order);
    f->out->steps = cli_alloc((size_t)(f->n_steps / LOOK_EVERY + f->p->epochs + 2), sizeof *f->out->steps);
    f->out->epochs = cli_alloc((size_t)f->p->epochs, sizeof *f->out->epochs);
    return f->pixels && f->labels && f->order && f->out->steps && f->out->epochs;
}

/* Mirrors about half of the batch's images. Which ones follows from the seed and the step. */
static void mirror(fit *f)
{
    int64_t width = f->data->width, rows = f->data->channels * f->data->height;
    int64_t *draw = malloc((size_t)f->p->batch * sizeof *draw);
    if (!draw)
        return;
    tern_shuffle(f->p->seed ^ 0x6d6972726f72u, (uint64_t)f->n_done, f->p->batch, draw);
    for (int64_t i = 0; i < f->p->batch; i++)
        for (int64_t r = 0; r < rows && draw[i] % 2; r++) {
            float *a = f->pixels + (i * rows + r) * width, *b = a + width - 1;
            for (; a < b; a++, b--) {
                float t = *a;
                *a = *b;
                *b = t;
            }
        }
    free(draw);
}

/* Short warm-up, then half a cosine. */
static tern_status set_learning_rate(fit *f)
{
    const double warm_up = 100, pi = 3.14159265358979323846;
    double t = (double)f->n_done, rate = 0.5 * (1 + cos(pi * t / (double)f->n_steps));
    if (t < warm_up && (double)f->n_steps > 4 * warm_up)
        rate *= (t + LOOK_EVERY) / (warm_up + LOOK_EVERY);
    float lr = (float)(f->p->lr * rate);
    tern_shape scalar = {0};
    tern_tensor *t_lr = NULL;
    tern_status st = tern_tensor_wrap(TERN_F32, &scalar, &lr, &t_lr);
    if (st == TERN_OK)
        st = tern_store_write(f->store, "train/lr", t_lr);
    tern_tensor_destroy(t_lr);
    return st;
}

/* Records the batch's loss and share of right answers. */
static void look(fit *f, double epoch)
{
    const float *s = tern_tensor_data(f->scores);
    int64_t classes = f->data->n_classes, right = 0;
    for (int64_t i = 0; i < f->p->batch; i++, s += classes) {
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++)
            best = s[k] > s[best] ? k : best;
        right += best == f->labels[i];
    }
    fit_point *p = &f->out->steps[f->out->n_steps++];
    *p = (fit_point){epoch, *(const float *)tern_tensor_data(f->loss), (double)right / (double)f->p->batch};
}

/* One step. Without host outputs the call only enqueues, so the next batch is prepared while the device computes. */
static tern_status one_step(fit *f, int64_t i)
{
    bool looking = f->n_done % LOOK_EVERY == 0 || f->n_done == f->n_steps - 1;
    tern_dataset_batch(f->data, f->order + i * f->p->batch, f->p->batch, f->pixels, f->labels);
    if (f->p->augment)
        mirror(f);
    tern_status st = f->p->cosine && looking ? set_learning_rate(f) : TERN_OK;
    if (st == TERN_OK)
        st = tern_session_run(f->step, (tern_tensor *[]){f->x, f->y}, looking ? f->results : NULL);
    if (st != TERN_OK)
        return st;
    f->n_done++;
    if (looking)
        look(f, (double)f->n_done / (double)f->steps_per_epoch);
    return TERN_OK;
}

static int one_epoch(fit *f, int64_t epoch)
{
    double start = cli_seconds();
    tern_status st = TERN_OK;
    tern_shuffle(f->p->seed, (uint64_t)epoch, f->data->n, f->order);
    for (int64_t i = 0; i < f->steps_per_epoch && st == TERN_OK; i++) {
        st = one_step(f, i);
        if (f->n_done == 1)
            f->first_s = cli_seconds() - start;
        const fit_point *last = &f->out->steps[f->out->n_steps ? f->out->n_steps - 1 : 0];
        progress_step(&f->progress, f->n_done, "epoch %lld of %lld, loss %.3f", (long long)epoch + 1, (long long)f->p->epochs, last->loss);
        if (st == TERN_OK && !isfinite(last->loss)) {
            progress_end(&f->progress);
            return cli_error(CLI_FAILED, "training diverged: the loss was %g at step %lld; try a smaller --lr than %g", last->loss, (long long)f->n_done, f->p->lr);
        }
    }
    if (st == TERN_OK)
        st = tern_session_finish(f->step);
    f->out->train_s += cli_seconds() - start;
    return st == TERN_OK ? CLI_OK : cli_fail(st, "training");
}

/* The test set through the inference graph, on the variables as they are now. */
static int test_epoch(fit *f, int64_t epoch)
{
    classify_result r;
    int code = classify_run(f->device, f->test_graph, f->store, f->test, f->p->onnx ? f->p->batch : 500, &(cli_choices){.exact = false}, &r);
    if (code == CLI_OK) {
        fit_point *p = &f->out->epochs[f->out->n_epochs++];
        *p = (fit_point){(double)epoch + 1, r.loss, (double)r.n_right / (double)r.n};
        if (f->progress.terminal)
            fputs("\r\033[K", stderr);
        fprintf(stderr, "epoch %lld of %lld: test accuracy %.2f %%, test loss %.4f, %.1f s of training\n", (long long)epoch + 1,
                (long long)f->p->epochs, 100 * p->accuracy, p->loss, f->out->train_s);
    }
    classify_finish(&r);
    return code;
}

fit_group *fit_groups(const tern_session *s, int *n)
{
    *n = tern_session_n_groups(s);
    fit_group *groups = calloc((size_t)*n + 1, sizeof *groups);
    for (int i = 0; i < *n && groups; i++) {
        tern_group_info g;
        if (tern_session_group(s, i, &g) != TERN_OK) {
            *n = i;
            break;
        }
        snprintf(groups[i].name, sizeof groups[i].name, "%s", g.name);
        snprintf(groups[i].ops, sizeof groups[i].ops, "%s", g.ops);
        groups[i].bytes_unfused = g.bytes_unfused;
        groups[i].bytes_fused = g.bytes_fused;
        groups[i].flops = g.flops;
    }
    return groups;
}

static int train(fit *f)
{
    int code = CLI_OK;
    progress_begin(&f->progress, "training", f->n_steps);
    for (int64_t e = 0; e < f->p->epochs && code == CLI_OK; e++) {
        code = one_epoch(f, e);
        if (code == CLI_OK)
            code = test_epoch(f, e);
    }
    progress_end(&f->progress);
    f->out->n_images = f->n_done * f->p->batch;
    double steady_s = f->out->train_s - f->first_s;
    f->out->first_s = f->first_s;
    f->out->images_per_s = f->n_done > 1 && steady_s > 0 ? (double)((f->n_done - 1) * f->p->batch) / steady_s : 0;
    return code;
}

/* The network with its trained weights: a named one for any batch, an ONNX model for the shapes it came with. */
static tern_status save_network(fit *f)
{
    tern_graph *g = f->own_graph ? f->own_graph : f->test_graph;
    tern_status st = tern_store_into_graph(f->store, g);
    if (st != TERN_OK)
        return st;
    return cli_has_suffix(f->p->save, ".onnx") ? tern_onnx_save(g, f->p->save) : tern_model_save(g, f->p->save);
}

static tern_status save(fit *f)
{
    tern_status st = f->p->save ? save_network(f) : TERN_OK;
    if (st == TERN_OK && f->p->trace)
        st = tern_session_trace(f->step, f->p->trace);
    return st;
}

/* A number for each class and image is what the loss needs. */
static int check_scores(const fit *f)
{
    tern_dtype dtype;
    tern_shape s;
    char type[176];
    tern_status st = tern_graph_value_info(f->step_graph, tern_graph_output_value(f->step_graph, f->scores_at), &dtype, &s);
    if (st != TERN_OK)
        return cli_fail(st, f->p->model);
    if (dtype == TERN_F32 && s.rank == 2 && s.dim[0] == f->p->batch && s.dim[1] == f->data->n_classes)
        return CLI_OK;
    return cli_error(CLI_FAILED, "the network gives %s, but the data set has %lld classes%s", cli_type(dtype, &s, type), (long long)f->data->n_classes,
                     f->p->onnx ? "; --replace-head N makes its last layer anew" : "");
}

static int prepare(fit *f)
{
    if (f->p->batch > f->data->n)
        return cli_error(CLI_USAGE, "a batch of %lld is larger than the data set's %lld images", (long long)f->p->batch, (long long)f->data->n);
    if (!make_room(f))
        return CLI_FAILED;
    tern_status st = build_step_graph(f);
    if (st == TERN_OK)
        st = build_test_graph(f);
    if (st == TERN_OK && f->p->onnx && f->p->save) /* before the work, so that nothing is lost if it cannot be */
        st = graph_of_model(f, 0, false, &f->own_graph);
    int code = st == TERN_OK ? check_scores(f) : CLI_OK;
    if (code != CLI_OK)
        return code;
    if (st == TERN_OK && !(f->results = cli_alloc((size_t)f->n_outputs, sizeof(tern_tensor *))))
        return CLI_FAILED;
    if (st == TERN_OK)
        st = open_step(f);
    if (st != TERN_OK)
        return cli_fail(st, f->p->model);
    count_parameters(f);
    tern_session_get_info(f->step, &f->out->plan);
    f->out->groups = fit_groups(f->step, &f->out->n_groups);
    return f->out->groups ? CLI_OK : CLI_FAILED;
}

int fit_run(tern_device *d, const fit_params *p, const tern_dataset *data, const tern_dataset *test, fit_result *out)
{
    *out = (fit_result){0};
    fit f = {.p = p, .device = d, .data = data, .test = test, .out = out};
    int code = prepare(&f);
    if (code == CLI_OK)
        code = train(&f);
    if (code == CLI_OK) {
        tern_status st = save(&f);
        if (st != TERN_OK)
            code = cli_fail(st, NULL);
    }
    tern_session_destroy(f.step);
    tern_store_destroy(f.store);
    tern_graph_destroy(f.step_graph);
    tern_graph_destroy(f.test_graph);
    tern_graph_destroy(f.own_graph);
    tern_tensor_destroy(f.x);
    tern_tensor_destroy(f.y);
    tern_tensor_destroy(f.loss);
    tern_tensor_destroy(f.scores);
    free(f.pixels);
    free(f.labels);
    free(f.order);
    free(f.results);
    return code;
}

void fit_finish(fit_result *r)
{
    free(r->steps);
    free(r->epochs);
    free(r->groups);
    *r = (fit_result){0};
}
