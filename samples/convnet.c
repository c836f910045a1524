/* The demo's network, layer by layer, trained on Fashion-MNIST, saved, and tested from the saved file.
 * Usage: convnet [EPOCHS [MODEL.tern]]     default: 1 epoch, saved as convnet.tern
 * Shows: layers, one plan per training step, batches prepared while the device computes, saving and loading. */
#include <stdio.h>
#include <stdlib.h>
#include <tern/data.h>
#include <tern/device.h>
#include <tern/graph.h>
#include <tern/model.h>
#include <tern/nn.h>
#include <tern/session.h>

enum { BATCH = 128, TEST_BATCH = 500 };

static void must(tern_status st)
{
    if (st != TERN_OK) {
        fprintf(stderr, "convnet: %s\n", tern_last_error());
        exit(1);
    }
}

/* image [N,1,28,28] -> 32 and 64 feature maps, each halved by pooling -> 128 units -> scores [N,10]. Equal names are equal variables. */
static tern_value network(tern_graph *g, tern_value x, bool training)
{
    tern_nn nn = {g, 1};
    x = tern_nn_relu(&nn, tern_nn_conv2d(&nn, "conv1", x, 32, 3, 1, 1));
    x = tern_nn_max_pool2d(&nn, x, 2, 2);
    x = tern_nn_relu(&nn, tern_nn_conv2d(&nn, "conv2", x, 64, 3, 1, 1));
    x = tern_nn_flatten(&nn, tern_nn_max_pool2d(&nn, x, 2, 2));
    x = tern_nn_relu(&nn, tern_nn_dense(&nn, "dense1", x, 128));
    return tern_nn_dense(&nn, "dense2", tern_nn_dropout(&nn, "drop", x, 0.25, training), 10);
}

/* The network alone, for any number of images at once. */
static tern_graph *inference_graph(void)
{
    tern_graph *g;
    must(tern_graph_create(&g));
    tern_shape images = {4, {TEST_BATCH, 1, 28, 28}};
    tern_value x = tern_graph_input(g, "image", TERN_F32, &images, 1u << 0);
    tern_graph_output(g, "scores", network(g, x, false));
    must(tern_graph_check(g));
    return g;
}

/* Trains for some epochs and saves the network with what it learned. */
static void train(tern_device *device, const tern_dataset *data, int epochs, const char *path)
{
    tern_graph *g;
    must(tern_graph_create(&g));
    tern_shape images = {4, {BATCH, 1, 28, 28}}, labels = {1, {BATCH}}, scalar = {0};
    tern_value x = tern_graph_input(g, "image", TERN_F32, &images, 0);
    tern_value y = tern_graph_input(g, "label", TERN_I32, &labels, 0);
    tern_nn nn = {g, 1};
    tern_value loss = tern_nn_cross_entropy(&nn, network(g, x, true), y);
    tern_graph_output(g, "loss", loss);
    must(tern_graph_check(g));
    must(tern_graph_minimize(g, loss, &(tern_optimizer){.name = "adam"}));

    tern_store *store;
    tern_session *step;
    must(tern_store_create(device, &store));
    must(tern_session_create(device, g, &(tern_session_params){.store = store}, &step));

    static float pixels[BATCH * 28 * 28];
    static int32_t classes[BATCH];
    int64_t *order = malloc((size_t)data->n * sizeof *order);
    tern_tensor *tx, *ty, *tl;
    must(order ? TERN_OK : TERN_E_NOMEM);
    must(tern_tensor_wrap(TERN_F32, &images, pixels, &tx));
    must(tern_tensor_wrap(TERN_I32, &labels, classes, &ty));
    must(tern_tensor_create(TERN_F32, &scalar, &tl));
    for (int e = 0; e < epochs; e++) {
        tern_shuffle(1, (uint64_t)e, data->n, order);
        for (int64_t i = 0; i < data->n / BATCH; i++) {
            /* A run without host outputs only enqueues, so this overlaps with the step before. */
            tern_dataset_batch(data, order + i * BATCH, BATCH, pixels, classes);
            int look = i % 50 == 0;
            must(tern_session_run(step, (tern_tensor *[]){tx, ty}, look ? (tern_tensor *[]){tl} : NULL));
            if (look)
                printf("epoch %d  step %3d  loss %.4f\n", e + 1, (int)i, (double)*(float *)tern_tensor_data(tl));
        }
    }

    tern_graph *trained = inference_graph();
    must(tern_store_into_graph(store, trained));
    must(tern_model_save(trained, path));
    free(order);
    tern_tensor_destroy(tx);
    tern_tensor_destroy(ty);
    tern_tensor_destroy(tl);
    tern_graph_destroy(trained);
    tern_session_destroy(step);
    tern_store_destroy(store);
    tern_graph_destroy(g);
}

/* Share of right answers of the saved network, its weights frozen. */
static double test(tern_device *device, const tern_dataset *data, const char *path)
{
    static float pixels[TEST_BATCH * 28 * 28];
    static int32_t classes[TEST_BATCH];
    int64_t order[TEST_BATCH], right = 0;
    tern_graph *g;
    tern_session *ask;
    tern_tensor *tx, *ts;
    tern_shape images = {4, {TEST_BATCH, 1, 28, 28}}, scores = {2, {TEST_BATCH, 10}};
    must(tern_model_load(path, &g));
    must(tern_session_create(device, g, &(tern_session_params){.freeze = true}, &ask));
    must(tern_tensor_wrap(TERN_F32, &images, pixels, &tx));
    must(tern_tensor_create(TERN_F32, &scores, &ts));
    for (int64_t at = 0; at + TEST_BATCH <= data->n; at += TEST_BATCH) {
        for (int64_t i = 0; i < TEST_BATCH; i++)
            order[i] = at + i;
        tern_dataset_batch(data, order, TEST_BATCH, pixels, classes);
        must(tern_session_run(ask, &tx, &ts));
        const float *s = tern_tensor_data(ts);
        for (int i = 0; i < TEST_BATCH; i++, s += 10) {
            int best = 0;
            for (int k = 1; k < 10; k++)
                best = s[k] > s[best] ? k : best;
            right += best == classes[i];
        }
    }
    tern_tensor_destroy(tx);
    tern_tensor_destroy(ts);
    tern_session_destroy(ask);
    tern_graph_destroy(g);
    return (double)right / (double)data->n;
}

int main(int argc, char **argv)
{
    const char *path = argc > 2 ? argv[2] : "convnet.tern";
    tern_device *device;
    tern_dataset *train_set, *test_set;
    must(tern_device_open(NULL, &device));
    must(tern_dataset_open("fashion-mnist", TERN_TRAIN, &train_set));
    must(tern_dataset_open("fashion-mnist", TERN_TEST, &test_set));
    train(device, train_set, argc > 1 ? atoi(argv[1]) : 1, path);
    printf("test accuracy %.2f %%\n", 100 * test(device, test_set, path));
    tern_dataset_close(train_set);
    tern_dataset_close(test_set);
    tern_device_close(device);
    return 0;
}
