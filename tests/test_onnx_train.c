/* Training an imported model: what learns, what stays, the new head, another batch, and folders of images as data. */
#include "onnx_build.h"
#include "session_check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tern/data.h>
#include <tern/image.h>
#include <tern/nn.h>
#include <tern/onnx.h>

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[4][160];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", dir, name);
    return path[at];
}

static void add_node(onnx_message *g, const char *op, const char *in, const char *out)
{
    onnx_message n = onnx_node(op, in, out);
    onnx_add(g, &n);
}

/* Some exporters write all weights as Constant nodes. */
static void put_weights(onnx_message *g, bool nodes, const char *name, int rank, const int64_t *dims, const float *v)
{
    if (!nodes) {
        onnx_weights(g, name, rank, dims, v);
        return;
    }
    onnx_message t = onnx_tensor("", ONNX_FLOAT, rank, dims, v), n = onnx_node("Constant", "", name);
    onnx_attr_tensor(&n, "value", &t);
    onnx_add(g, &n);
}

static void add_random(onnx_message *g, bool nodes, const char *name, int rank, const int64_t *dims, double scale)
{
    float v[512];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    assert_true(n <= 512);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)(scale * (2 * (double)tern__philox_uniform(3, (uint64_t)strlen(name), (uint64_t)i) - 1));
    put_weights(g, nodes, name, rank, dims, v);
}

/* A Gemm for four classes; or a product with a weight that takes another shape before, as old exporters write it, and a sum. */
static void add_head(onnx_message *g, bool nodes)
{
    put_weights(g, nodes, "fc.b", 1, (int64_t[]){4}, (float[]){0, 0, 0, 0});
    if (nodes) {
        add_random(g, true, "fc.w", 4, (int64_t[]){6, 4, 4, 4}, 0.1);
        onnx_list(g, "fc.shape", 2, (int64_t[]){96, 4});
        add_node(g, "Reshape", "fc.w fc.shape", "fc.matrix");
        add_node(g, "MatMul", "f fc.matrix", "product");
        add_node(g, "Add", "product fc.b", "l");
        return;
    }
    add_random(g, false, "fc.w", 2, (int64_t[]){4, 96}, 0.1);
    onnx_message fc = onnx_node("Gemm", "f fc.w fc.b", "l");
    onnx_attr_int(&fc, "transB", 1);
    onnx_add(g, &fc);
}

/* conv, batch normalisation, ReLU, dropout, pool, the head, softmax: written for one image. nodes: weights are Constant nodes. */
static void save_model(const char *path, bool nodes)
{
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 4, (int64_t[]){1, 3, 8, 8});
    add_random(&g, nodes, "conv.w", 4, (int64_t[]){6, 3, 3, 3}, 0.4);
    put_weights(&g, nodes, "bn.scale", 1, (int64_t[]){6}, (float[]){1, 1, 1, 1, 1, 1});
    put_weights(&g, nodes, "bn.bias", 1, (int64_t[]){6}, (float[]){0, 0, 0, 0, 0, 0});
    put_weights(&g, nodes, "bn.mean", 1, (int64_t[]){6}, (float[]){0, 0, 0, 0, 0, 0});
    put_weights(&g, nodes, "bn.var", 1, (int64_t[]){6}, (float[]){1, 1, 1, 1, 1, 1});
    onnx_list(&g, "flat", 2, (int64_t[]){1, 96});
    onnx_message conv = onnx_node("Conv", "x conv.w", "c");
    onnx_attr_ints(&conv, "pads", 4, (int64_t[]){1, 1, 1, 1});
    onnx_add(&g, &conv);
    add_node(&g, "BatchNormalization", "c bn.scale bn.bias bn.mean bn.var", "n");
    add_node(&g, "Relu", "n", "r");
    add_node(&g, "Dropout", "r", "d");
    onnx_message pool = onnx_node("MaxPool", "d", "p");
    onnx_attr_ints(&pool, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attr_ints(&pool, "strides", 2, (int64_t[]){2, 2});
    onnx_add(&g, &pool);
    add_node(&g, "Reshape", "p flat", "f");
    add_head(&g, nodes);
    onnx_message soft = onnx_node("Softmax", "l", "y");
    onnx_attr_int(&soft, "axis", 1);
    onnx_add(&g, &soft);
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_save(&g, 13, path);
}

/* Class k is bright in channel k; names are sorted, so the last file of five is for the test. */
static void save_images(void)
{
    static const char *const classes[] = {"blue", "green", "red"};
    for (int k = 0; k < 3; k++) {
        mkdir(in_dir(classes[k]), 0700);
        for (int i = 0; i < 10; i++) {
            char name[64];
            tern_tensor *t = NULL;
            MUST(tern_tensor_create(TERN_U8, &(tern_shape){3, {10, 12, 3}}, &t));
            uint8_t *p = tern_tensor_data(t);
            for (int j = 0; j < 10 * 12 * 3; j++)
                p[j] = (uint8_t)(60 * tern__philox_uniform(9, (uint64_t)(k * 10 + i), (uint64_t)j) + (j % 3 == 2 - k ? 150 : 0));
            snprintf(name, sizeof name, "%s/%02d.png", classes[k], i);
            MUST(tern_image_save(t, in_dir(name)));
            tern_tensor_destroy(t);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/tern-train-XXXXXX");
    assert_non_null(mkdtemp(dir));
    mkdir(in_dir("data"), 0700);
    char whole[64];
    snprintf(whole, sizeof whole, "%s", dir);
    save_model(in_dir("m.onnx"), false);
    save_model(in_dir("nodes.onnx"), true);
    snprintf(dir, sizeof dir, "%.50s/data", whole);
    save_images();
    snprintf(dir, sizeof dir, "%s", whole);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void folders_of_images_are_a_data_set(void **state)
{
    (void)state;
    tern_dataset *a = NULL, *b = NULL;
    MUST(tern_dataset_folder(in_dir("data"), TERN_TRAIN, 3, 8, 8, &a));
    MUST(tern_dataset_folder(in_dir("data"), TERN_TEST, 1, 5, 7, &b));
    assert_int_equal(a->n, 24);
    assert_int_equal(b->n, 6);
    assert_int_equal(a->n_classes, 3);
    assert_string_equal(a->class_names[0], "blue");
    assert_string_equal(a->class_names[2], "red");
    assert_int_equal(a->labels[0], 0);
    assert_int_equal(a->labels[23], 2);
    int64_t sum[3] = {0};
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 64; i++)
            sum[c] += a->images[c * 64 + i]; /* the first image is of the class blue */
    assert_true(sum[2] > 3 * sum[0] && sum[2] > 3 * sum[1]);
    float x[3 * 64];
    int32_t y;
    a->mean[2] = 0.5f;
    a->std[2] = 0.25f;
    tern_dataset_batch(a, (int64_t[]){0}, 1, x, &y);
    assert_true(fabsf(x[0] - (float)a->images[0] / 255.0f) < 1e-6f);
    assert_true(fabsf(x[128] - ((float)a->images[128] / 255.0f - 0.5f) / 0.25f) < 1e-5f);
    tern_dataset_close(a);
    tern_dataset_close(b);
    assert_int_equal(tern_dataset_folder(in_dir("data/red"), TERN_TRAIN, 3, 8, 8, &a), TERN_E_NOT_FOUND);
    FILE *f = fopen(in_dir("data/red/zz.png"), "wb");
    assert_non_null(f);
    fputs("no picture", f);
    fclose(f);
    assert_int_not_equal(tern_dataset_folder(in_dir("data"), TERN_TRAIN, 3, 8, 8, &a), TERN_OK);
    assert_non_null(strstr(tern_last_error(), "zz.png"));
    unlink(in_dir("data/red/zz.png"));
}

static void read_variable(tern_store *s, const char *name, int64_t n, float *out)
{
    tern_tensor *t = NULL;
    tern_shape shape = {1, {n}};
    if (strcmp(name, "conv.w") == 0)
        shape = (tern_shape){4, {6, 3, 3, 3}};
    else if (strcmp(name, "fc.w") == 0)
        shape = (tern_shape){2, {3, 96}};
    MUST(tern_tensor_wrap(TERN_F32, &shape, out, &t));
    MUST(tern_store_read(s, name, t));
    tern_tensor_destroy(t);
}

static tern_onnx_graph_params training_params(void)
{
    return (tern_onnx_graph_params){.variables = true, .training = true, .freeze = "conv*", .classes = 3, .seed = 5, .batch = 8, .scores = true};
}

/* Trains for some steps; the store holds the result. */
static void train(tern_device *d, tern_onnx *m, tern_store *store, double *first, double *last)
{
    const tern_onnx_graph_params p = training_params();
    tern_graph *g = NULL;
    MUST(tern_onnx_graph(m, &p, &g));
    tern_nn nn = {g, 1};
    tern_value loss = tern_nn_cross_entropy(&nn, tern_graph_output_value(g, 0), tern_graph_input(g, "label", TERN_I32, &(tern_shape){1, {8}}, 0));
    tern_graph_output(g, "loss", loss);
    MUST(tern_graph_minimize(g, loss, &(tern_optimizer){.name = "adam", .lr = 0.01}));
    tern_session *s = NULL;
    MUST(tern_session_create(d, g, &(tern_session_params){.store = store}, &s));
    tern_dataset *data = NULL;
    MUST(tern_dataset_folder(in_dir("data"), TERN_TRAIN, 3, 8, 8, &data));
    float pixels[8 * 3 * 64], l = 0;
    int32_t labels[8];
    int64_t order[24];
    tern_tensor *x = NULL, *y = NULL, *out = NULL;
    MUST(tern_tensor_wrap(TERN_F32, &(tern_shape){4, {8, 3, 8, 8}}, pixels, &x));
    MUST(tern_tensor_wrap(TERN_I32, &(tern_shape){1, {8}}, labels, &y));
    MUST(tern_tensor_wrap(TERN_F32, &(tern_shape){0}, &l, &out));
    for (int step = 0; step < 60; step++) {
        tern_shuffle(1, (uint64_t)step / 3, 24, order);
        tern_dataset_batch(data, order + step % 3 * 8, 8, pixels, labels);
        MUST(tern_session_run(s, (tern_tensor *[]){x, y}, (tern_tensor *[]){NULL, out}));
        *last = l;
        if (step == 0)
            *first = l;
    }
    tern_tensor_destroy(x);
    tern_tensor_destroy(y);
    tern_tensor_destroy(out);
    tern_dataset_close(data);
    tern_session_destroy(s);
    tern_graph_destroy(g);
}

/* The share of test images that the trained model, one image at a time and with its softmax, has right. */
static double accuracy(tern_device *d, tern_onnx *m, tern_store *store)
{
    tern_onnx_graph_params p = training_params();
    p.training = p.scores = false;
    p.batch = 0;
    tern_graph *g = NULL;
    MUST(tern_onnx_graph(m, &p, &g));
    MUST(tern_store_into_graph(store, g));
    tern_session *s = NULL;
    MUST(tern_session_create(d, g, &(tern_session_params){.freeze = true}, &s));
    tern_dataset *data = NULL;
    MUST(tern_dataset_folder(in_dir("data"), TERN_TEST, 3, 8, 8, &data));
    float pixels[3 * 64], probability[3];
    int right = 0;
    tern_tensor *x = NULL, *y = NULL;
    MUST(tern_tensor_wrap(TERN_F32, &(tern_shape){4, {1, 3, 8, 8}}, pixels, &x));
    MUST(tern_tensor_wrap(TERN_F32, &(tern_shape){2, {1, 3}}, probability, &y));
    for (int64_t i = 0; i < data->n; i++) {
        int32_t label;
        tern_dataset_batch(data, &i, 1, pixels, &label);
        MUST(tern_session_run(s, &x, &y));
        assert_true(fabsf(probability[0] + probability[1] + probability[2] - 1) < 1e-4f);
        int best = probability[1] > probability[0];
        best = probability[2] > probability[best] ? 2 : best;
        right += best == label;
    }
    const double share = (double)right / (double)data->n;
    tern_tensor_destroy(x);
    tern_tensor_destroy(y);
    tern_dataset_close(data);
    tern_session_destroy(s);
    tern_graph_destroy(g);
    return share;
}

static void learns_another_task(const char *path)
{
    tern_device *d = NULL;
    tern_onnx *m = NULL;
    tern_store *store = NULL;
    MUST(tern_device_open(NULL, &d));
    MUST(tern_onnx_load(path, &m));
    MUST(tern_store_create(d, &store));
    double first = 0, last = 0;
    train(d, m, store, &first, &last);
    assert_true(last < 0.5 * first);
    assert_true(accuracy(d, m, store) > 0.8);
    float frozen[162], want[162], mean[6], scale[6];
    read_variable(store, "conv.w", 162, frozen);
    for (int i = 0; i < 162; i++)
        want[i] = (float)(0.4 * (2 * (double)tern__philox_uniform(3, 6, (uint64_t)i) - 1));
    assert_memory_equal(frozen, want, sizeof want); /* frozen to the bit */
    read_variable(store, "bn.mean", 6, mean);
    read_variable(store, "bn.scale", 6, scale);
    bool moved = false, learned = false;
    for (int i = 0; i < 6; i++) {
        moved |= fabsf(mean[i]) > 1e-3f;
        learned |= fabsf(scale[i] - 1) > 1e-3f;
    }
    assert_true(moved && learned);
    tern_store_destroy(store);
    tern_onnx_destroy(m);
    tern_device_close(d);
}

static void a_model_learns_another_task(void **state)
{
    (void)state;
    learns_another_task(in_dir("m.onnx"));
}

static void weights_of_nodes_learn(void **state)
{
    (void)state;
    learns_another_task(in_dir("nodes.onnx"));
}

/* A frozen layer's statistics stay too, and without a new head the model keeps its four classes. */
static void what_is_not_asked_for_stays(void **state)
{
    (void)state;
    tern_onnx *m = NULL;
    tern_graph *g = NULL;
    MUST(tern_onnx_load(in_dir("m.onnx"), &m));
    tern_onnx_graph_params p = {.variables = true, .training = true, .freeze = "bn*", .batch = 2};
    MUST(tern_onnx_graph(m, &p, &g));
    tern_dtype dtype;
    tern_shape s;
    MUST(tern_graph_value_info(g, tern_graph_output_value(g, 0), &dtype, &s));
    assert_int_equal(s.dim[0], 2);
    assert_int_equal(s.dim[1], 4);
    assert_int_equal(g->n_assigns, 0);
    tern_graph_destroy(g);
    p.freeze = NULL;
    MUST(tern_onnx_graph(m, &p, &g));
    assert_int_equal(g->n_assigns, 2);
    tern_graph_destroy(g);
    g = NULL;
    p.freeze = "bn*,conv1*";
    assert_int_equal(tern_onnx_graph(m, &p, &g), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), "no weight's name fits \"conv1*\"; the first of "));
    assert_null(g);
    tern_onnx_destroy(m);
}

/* A head whose outputs are spread over several axes of its weight cannot be made for another count. */
static void a_head_that_cannot_be_replaced(void **state)
{
    (void)state;
    tern_onnx *m = NULL;
    tern_graph *g = NULL;
    onnx_message out = {0};
    onnx_input(&out, "x", ONNX_FLOAT, 2, (int64_t[]){1, 4});
    add_random(&out, false, "w", 3, (int64_t[]){4, 2, 3}, 1);
    onnx_list(&out, "shape", 2, (int64_t[]){4, 6});
    add_node(&out, "Reshape", "w shape", "matrix");
    add_node(&out, "MatMul", "x matrix", "y");
    onnx_output(&out, "y", ONNX_FLOAT);
    onnx_save(&out, 13, in_dir("spread.onnx"));
    MUST(tern_onnx_load(in_dir("spread.onnx"), &m));
    tern_onnx_graph_params p = {.variables = true, .classes = 5};
    assert_int_equal(tern_onnx_graph(m, &p, &g), TERN_E_UNSUPPORTED);
    assert_non_null(strstr(tern_last_error(), "\"w\" is reshaped so that its 3 outputs do not stay an axis of their own"));
    tern_onnx_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_of_images_are_a_data_set),
        cmocka_unit_test(a_model_learns_another_task),
        cmocka_unit_test(weights_of_nodes_learn),
        cmocka_unit_test(what_is_not_asked_for_stays),
        cmocka_unit_test(a_head_that_cannot_be_replaced),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
