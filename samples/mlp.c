/* Learns the two spirals, the classic problem that no straight line solves, with a small perceptron.
 * Shows: a network from single ops and layers, one plan for a whole training step, a second session
 * that shares the trained variables, and the picture of what was learned. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <tern/device.h>
#include <tern/graph.h>
#include <tern/nn.h>
#include <tern/session.h>

enum { POINTS = 512, STEPS = 1500, SIDE = 28 };

/* Leaves with the sentence of the call that failed. */
static void must(tern_status st)
{
    if (st != TERN_OK) {
        fprintf(stderr, "mlp: %s\n", tern_last_error());
        exit(1);
    }
}

/* points [n, 2] -> scores [n, 2]. Built twice, for training and for drawing; equal names are equal variables. */
static tern_value network(tern_graph *g, tern_value points)
{
    tern_nn nn = {g, 7};
    tern_value h = tern_graph_op1(g, "tanh", tern_nn_dense(&nn, "first", points, 32), NULL);
    h = tern_graph_op1(g, "tanh", tern_nn_dense(&nn, "second", h, 32), NULL);
    return tern_nn_dense(&nn, "last", h, 2);
}

static void make_spirals(float *xy, int32_t *arm)
{
    for (int i = 0; i < POINTS; i++) {
        float t = (float)(i / 2) / (POINTS / 2), angle = 0.5f + 7 * t, radius = 0.1f + 0.85f * t;
        arm[i] = i % 2;
        xy[2 * i] = radius * cosf(angle + 3.14159265f * (float)arm[i]);
        xy[2 * i + 1] = radius * sinf(angle + 3.14159265f * (float)arm[i]);
    }
}

static void train(tern_device *device, tern_store *store)
{
    static float xy[2 * POINTS];
    static int32_t arm[POINTS];
    make_spirals(xy, arm);

    tern_graph *g;
    must(tern_graph_create(&g));
    tern_nn nn = {g, 7};
    tern_shape points = {2, {POINTS, 2}}, labels = {1, {POINTS}}, scalar = {0};
    tern_value x = tern_graph_input(g, "points", TERN_F32, &points, 0);
    tern_value y = tern_graph_input(g, "arm", TERN_I32, &labels, 0);
    tern_value loss = tern_nn_cross_entropy(&nn, network(g, x), y);
    tern_graph_output(g, "loss", loss);
    must(tern_graph_check(g)); /* builder errors latch: one check is enough */
    must(tern_graph_minimize(g, loss, &(tern_optimizer){.name = "adam", .lr = 0.01}));

    tern_session *step;
    must(tern_session_create(device, g, &(tern_session_params){.store = store}, &step));
    tern_tensor *tx, *ty, *tl;
    must(tern_tensor_wrap(TERN_F32, &points, xy, &tx));
    must(tern_tensor_wrap(TERN_I32, &labels, arm, &ty));
    must(tern_tensor_create(TERN_F32, &scalar, &tl));
    for (int i = 0; i <= STEPS; i++) {
        int look = i % 250 == 0; /* reading the loss waits for the device, so only now and then */
        must(tern_session_run(step, (tern_tensor *[]){tx, ty}, look ? (tern_tensor *[]){tl} : NULL));
        if (look)
            printf("step %4d  loss %.4f\n", i, (double)*(float *)tern_tensor_data(tl));
    }
    tern_tensor_destroy(tx);
    tern_tensor_destroy(ty);
    tern_tensor_destroy(tl);
    tern_session_destroy(step);
    tern_graph_destroy(g);
}

/* Asks the trained variables about every point of a grid. */
static void draw(tern_device *device, tern_store *store)
{
    static float xy[2 * SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) {
        xy[2 * i] = 2.0f * (float)(i % SIDE) / (SIDE - 1) - 1;
        xy[2 * i + 1] = 1 - 2.0f * (float)(i / SIDE) / (SIDE - 1);
    }
    tern_graph *g;
    must(tern_graph_create(&g));
    tern_shape points = {2, {SIDE * SIDE, 2}}, scores = {2, {SIDE * SIDE, 2}};
    tern_graph_output(g, "scores", network(g, tern_graph_input(g, "points", TERN_F32, &points, 0)));
    must(tern_graph_check(g));

    tern_session *ask;
    tern_tensor *tx, *ts;
    must(tern_session_create(device, g, &(tern_session_params){.store = store}, &ask));
    must(tern_tensor_wrap(TERN_F32, &points, xy, &tx));
    must(tern_tensor_create(TERN_F32, &scores, &ts));
    must(tern_session_run(ask, &tx, &ts));
    const float *s = tern_tensor_data(ts);
    for (int i = 0; i < SIDE * SIDE; i++)
        printf("%s%s", s[2 * i] > s[2 * i + 1] ? "##" : "..", i % SIDE == SIDE - 1 ? "\n" : "");
    tern_tensor_destroy(tx);
    tern_tensor_destroy(ts);
    tern_session_destroy(ask);
    tern_graph_destroy(g);
}

int main(void)
{
    tern_device *device;
    tern_store *store;
    must(tern_device_open(NULL, &device));
    must(tern_store_create(device, &store));
    train(device, store);
    draw(device, store);
    tern_store_destroy(store);
    tern_device_close(device);
    return 0;
}
