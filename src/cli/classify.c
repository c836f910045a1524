/* A graph's answers for a whole data set, and how fast they came. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct pass {
    tern_session *session;
    tern_tensor *in, *out;
    float *x;
    int32_t *y; /* the batch's labels, which classification does not need */
    int64_t *order;
    int64_t batch;
} pass;

/* Class probabilities from scores (softmax), with the largest taken off first so that exp cannot overflow. */
static void to_probabilities(const float *score, int64_t n, float *p)
{
    float top = score[0];
    double sum = 0;
    for (int64_t i = 1; i < n; i++)
        top = score[i] > top ? score[i] : top;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)score[i] - top);
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)(exp((double)score[i] - top) / sum);
}

void classify_count(classify_result *r, const uint8_t *labels)
{
    double loss = 0;
    r->n_right = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const float *p = r->probability + i * r->n_classes;
        int64_t best = 0;
        for (int64_t k = 1; k < r->n_classes; k++)
            best = p[k] > p[best] ? k : best;
        r->answer[i] = (uint8_t)best;
        r->n_right += best == labels[i];
        loss -= log(fmax(p[labels[i]], 1e-30));
    }
    r->loss = loss / (double)(r->n ? r->n : 1);
}

/* The graph must take one batch of the data's images and give one score per class. */
static int check_graph(const tern_graph *g, const tern_dataset *data)
{
    tern_dtype dtype;
    tern_shape in, out;
    char type[176];
    if (tern_graph_n_inputs(g) != 1 || tern_graph_n_outputs(g) < 1)
        return cli_error(CLI_FAILED, "the model has %d inputs and %d outputs; classifying needs one input and one output", tern_graph_n_inputs(g), tern_graph_n_outputs(g));
    tern_status st = tern_graph_value_info(g, tern_graph_input_value(g, 0), &dtype, &in);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    if (dtype != TERN_F32 || in.rank != 4 || in.dim[1] != data->channels || in.dim[2] != data->height || in.dim[3] != data->width)
        return cli_error(CLI_FAILED, "the model takes %s, but the data set's images are f32[N,%lld,%lld,%lld]", cli_type(dtype, &in, type),
                         (long long)data->channels, (long long)data->height, (long long)data->width);
    st = tern_graph_value_info(g, tern_graph_output_value(g, 0), &dtype, &out);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    if (dtype != TERN_F32 || out.rank != 2 || out.dim[1] != data->n_classes)
        return cli_error(CLI_FAILED, "the model gives %s, but the data set has %lld classes, which wants f32[N,%lld]", cli_type(dtype, &out, type),
                         (long long)data->n_classes, (long long)data->n_classes);
    return CLI_OK;
}

static tern_status open_pass(tern_device *d, const tern_graph *g, tern_store *store, const tern_dataset *data, const cli_choices *choices, pass *p, classify_result *out)
{
    tern_shape in = {4, {p->batch, data->channels, data->height, data->width}};
    tern_shape scores = {2, {p->batch, data->n_classes}};
    tern_session_params params = {.store = store, .freeze = store == NULL, .input_shapes = &in, .exact = choices->exact, .no_tuned = choices->no_tuned};
    double start = cli_seconds();
    tern_status st = tern_session_create(d, g, &params, &p->session);
    out->ready_s = cli_seconds() - start;
    if (st == TERN_OK)
        st = tern_tensor_wrap(TERN_F32, &in, p->x, &p->in);
    if (st == TERN_OK)
        st = tern_tensor_create(TERN_F32, &scores, &p->out);
    return st;
}

/* Images [first, first + batch), the last one repeated where the set ends. */
static tern_status one_batch(pass *p, const tern_dataset *data, int64_t first, classify_result *out)
{
    for (int64_t i = 0; i < p->batch; i++)
        p->order[i] = first + i < data->n ? first + i : data->n - 1;
    tern_dataset_batch(data, p->order, p->batch, p->x, p->y);
    tern_status st = tern_session_run(p->session, &p->in, (tern_tensor *[]){p->out});
    if (st != TERN_OK)
        return st;
    const float *score = tern_tensor_data(p->out);
    for (int64_t i = 0; i < p->batch && first + i < data->n; i++)
        to_probabilities(score + i * data->n_classes, data->n_classes, out->probability + (first + i) * data->n_classes);
    return TERN_OK;
}

static tern_status all_batches(pass *p, const tern_dataset *data, classify_result *out)
{
    double start = cli_seconds();
    tern_status st = one_batch(p, data, 0, out);
    out->first_s = cli_seconds() - start;
    start = cli_seconds();
    for (int64_t i = 0; i < data->n && st == TERN_OK; i += p->batch)
        st = one_batch(p, data, i, out);
    out->seconds = cli_seconds() - start;
    out->images_per_s = (double)data->n / out->seconds;
    return st;
}

static bool make_room(pass *p, const tern_dataset *data, classify_result *out)
{
    size_t batch = (size_t)p->batch;
    *out = (classify_result){.n = data->n, .n_classes = data->n_classes};
    p->x = cli_alloc(batch * (size_t)(data->channels * data->height * data->width), sizeof *p->x);
    p->y = cli_alloc(batch, sizeof *p->y);
    p->order = cli_alloc(batch, sizeof *p->order);
    out->probability = cli_alloc((size_t)(data->n * data->n_classes), sizeof *out->probability);
    out->answer = cli_alloc((size_t)data->n, sizeof *out->answer);
    return p->x && p->y && p->order && out->probability && out->answer;
}

int classify_run(tern_device *d, const tern_graph *g, tern_store *store, const tern_dataset *data, int64_t batch, const cli_choices *choices,
                 classify_result *out)
{
    pass p = {.batch = batch < data->n ? batch : data->n};
    bool room = make_room(&p, data, out);
    int code = room ? check_graph(g, data) : CLI_FAILED;
    if (code == CLI_OK) {
        tern_status st = open_pass(d, g, store, data, choices, &p, out);
        if (st == TERN_OK)
            st = all_batches(&p, data, out);
        if (st == TERN_OK) {
            tern_session_get_info(p.session, &out->plan);
            classify_count(out, data->labels);
        } else {
            code = cli_fail(st, "classifying");
        }
    }
    tern_session_destroy(p.session);
    tern_tensor_destroy(p.in);
    tern_tensor_destroy(p.out);
    free(p.x);
    free(p.y);
    free(p.order);
    return code;
}

void classify_finish(classify_result *r)
{
    free(r->probability);
    free(r->answer);
    *r = (classify_result){0};
}
