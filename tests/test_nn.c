/* Tests of layers and named networks: shapes, names, reproducible starts, refusals, and a training step on the references. */
#include "graph_help.h"

#include <tern/nn.h>

#include "base/fault.h"
#include "passes/pass.h"

static tern_value images(tern_graph *g, int64_t n)
{
    return tern_graph_input(g, "x", TERN_F32, SHAPE(n, 1, 28, 28), 1);
}

static void networks_have_their_shapes(void **state)
{
    (void)state;
    int n;
    const char *const *names = tern_nn_model_names(&n);
    assert_int_equal(n, 2);
    static const int64_t parameters[] = {421642, 235146};
    for (int i = 0; i < n; i++)
        for (int training = 0; training < 2; training++) {
            tern_nn nn = {.g = new_graph(), .seed = 1};
            tern_value y = tern_nn_model(&nn, names[i], images(nn.g, 5), training);
            assert_ok(tern_graph_check(nn.g));
            assert_true(tern__shape_equal(tern__shape_of(nn.g, y), SHAPE(5, 10)));
            int64_t count = 0;
            for (int k = 0; k < nn.g->n_variables; k++)
                if (nn.g->values[nn.g->variables[k]].trainable)
                    count += tern__elems(tern__shape_of(nn.g, nn.g->variables[k]));
            assert_int_equal(count, parameters[i]);
            tern_graph_output(nn.g, "y", y);
            tern_graph *bound = NULL;
            assert_ok(tern__graph_bind_shapes(nn.g, SHAPE(3, 1, 28, 28), &bound)); /* the batch is free */
            assert_int_equal(tern__shape_of(bound, bound->outputs[0].value)->dim[0], 3);
            tern_graph_destroy(bound);
            tern_graph_destroy(nn.g);
        }
}

static const float *data_of(const tern_graph *g, const char *name)
{
    tern_value v = TERN_NONE;
    assert_ok(tern_graph_find(g, name, &v));
    return (const float *)(const void *)g->values[v].data->data;
}

static void a_start_depends_on_seed_and_name_alone(void **state)
{
    (void)state;
    tern_nn a = {.g = new_graph(), .seed = 7}, b = {.g = new_graph(), .seed = 7}, c = {.g = new_graph(), .seed = 8};
    tern_nn_dense(&a, "one", tern_graph_input(a.g, "x", TERN_F32, SHAPE(2, 30), 0), 20);
    tern_value x = tern_graph_input(b.g, "x", TERN_F32, SHAPE(2, 30), 0);
    tern_nn_dense(&b, "two", x, 20);
    tern_nn_dense(&b, "one", x, 20);
    tern_nn_dense(&c, "one", tern_graph_input(c.g, "x", TERN_F32, SHAPE(2, 30), 0), 20);
    assert_memory_equal(data_of(a.g, "one/weight"), data_of(b.g, "one/weight"), 600 * sizeof(float));
    assert_memory_not_equal(data_of(b.g, "two/weight"), data_of(b.g, "one/weight"), 600 * sizeof(float));
    assert_memory_not_equal(data_of(c.g, "one/weight"), data_of(b.g, "one/weight"), 600 * sizeof(float));
    /* Uniform in +-sqrt(6 / fan in): the ends are nearly reached, the mean is near 0. */
    const float *w = data_of(a.g, "one/weight");
    double lo = 0, hi = 0, sum = 0, bound = sqrt(6.0 / 30);
    for (int i = 0; i < 600; i++) {
        lo = fmin(lo, w[i]);
        hi = fmax(hi, w[i]);
        sum += w[i];
    }
    assert_true(lo >= -bound && hi <= bound && lo < -0.95 * bound && hi > 0.95 * bound && fabs(sum / 600) < 0.1 * bound);
    assert_true(data_of(a.g, "one/bias")[3] == 0);
    tern_graph_destroy(a.g);
    tern_graph_destroy(b.g);
    tern_graph_destroy(c.g);
}

/* Training normalises by the batch and tracks it; inference uses what was tracked. */
static void batch_norm_tracks_statistics(void **state)
{
    (void)state;
    tern_nn nn = {.g = new_graph(), .seed = 1};
    tern_value x = tern_graph_input(nn.g, "x", TERN_F32, SHAPE(4, 2, 3), 0);
    tern_graph_output(nn.g, "y", tern_nn_batch_norm(&nn, "bn", x, true));
    assert_ok(tern_graph_check(nn.g));
    tern__array *in = random_inputs(nn.g, 5);
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, nn.g));
    assert_ok(tern__interp_run(&it, in));
    double mean[2] = {0}, sum[2] = {0}, squares[2] = {0};
    for (int i = 0; i < 24; i++) {
        mean[i / 3 % 2] += tern__array_get(&in[0], i) / 12;
        sum[i / 3 % 2] += tern__array_get(tern__interp_output(&it, 0), i) / 12;
        squares[i / 3 % 2] += pow(tern__array_get(tern__interp_output(&it, 0), i), 2) / 12;
    }
    tern_value running = TERN_NONE;
    assert_ok(tern_graph_find(nn.g, "bn/mean", &running));
    for (int c = 0; c < 2; c++) {
        assert_true(fabs(sum[c]) < 1e-5 && fabs(squares[c] - 1) < 1e-3);
        assert_true(fabs(tern__array_get(tern__interp_value(&it, running), c) - 0.1 * mean[c]) < 1e-6);
    }
    tern__interp_finish(&it);
    free_inputs(nn.g, in);
    tern_graph_destroy(nn.g);

    nn.g = new_graph();
    x = tern_graph_input(nn.g, "x", TERN_F32, SHAPE(4, 2, 3), 0);
    tern_graph_output(nn.g, "y", tern_nn_batch_norm(&nn, "bn", x, false));
    assert_ok(tern_graph_check(nn.g));
    assert_int_equal(nn.g->n_assigns, 0);
    tern_graph_destroy(nn.g);
}

/* conv, batch_norm, relu of a frozen network: of the normalisation nothing is left, as its shift is still 0. */
static void frozen_batch_norm_folds_away(void **state)
{
    (void)state;
    tern_nn nn = {.g = new_graph(), .seed = 3};
    tern_value x = tern_graph_input(nn.g, "x", TERN_F32, SHAPE(1, 3, 6, 6), 0);
    tern_value y = tern_nn_relu(&nn, tern_nn_batch_norm(&nn, "bn", tern_nn_conv2d(&nn, "conv", x, 4, 3, 1, 1), false));
    tern_graph_output(nn.g, "y", y);
    tern_graph *frozen = NULL, *out = NULL;
    assert_ok(tern__graph_freeze(nn.g, &frozen));
    assert_ok(tern__passes_run(frozen, NULL, 0, &out));
    assert_int_equal(out->n_nodes, 2);
    assert_string_equal(out->nodes[1]->op->name, "relu");
    assert_same_results(frozen, out, 1e-5);
    tern_graph_destroy(out);
    tern_graph_destroy(frozen);
    tern_graph_destroy(nn.g);
}

static void layers_refuse(void **state)
{
    (void)state;
    tern_nn nn = {.g = new_graph()};
    assert_int_equal(tern_nn_model(&nn, "resnet", images(nn.g, 1), false), TERN_NONE);
    assert_fails(tern_graph_check(nn.g), TERN_E_NOT_FOUND, "no network is called \"resnet\"; there are convnet and mlp");
    tern_graph_destroy(nn.g);
    nn.g = new_graph();
    tern_nn_conv2d(&nn, "c", tern_graph_input(nn.g, "x", TERN_F32, SHAPE(2, 3), 0), 4, 3, 1, 1);
    assert_fails(tern_graph_check(nn.g), TERN_E_SHAPE, "conv2d: rank 2, it takes at least 4");
    tern_graph_destroy(nn.g);
    nn.g = new_graph();
    tern_nn_dense(&nn, "d", tern_graph_input(nn.g, "x", TERN_F32, SHAPE(2, 3), 0), 0);
    assert_fails(tern_graph_check(nn.g), TERN_E_INVALID, "dense: units is 0");
    tern_graph_destroy(nn.g);
    nn.g = new_graph();
    tern_nn_dropout(&nn, "d", images(nn.g, 1), 1, true);
    assert_fails(tern_graph_check(nn.g), TERN_E_INVALID, "dropout: the probability is 1");
    tern_graph_destroy(nn.g);
    nn.g = new_graph();
    tern_nn_dense(&nn, "d", tern_nn_dense(&nn, "d", tern_graph_input(nn.g, "x", TERN_F32, SHAPE(2, 3), 0), 3), 3);
    assert_fails(tern_graph_check(nn.g), TERN_E_INVALID, "variable \"d/weight\": the name is already");
    tern_graph_destroy(nn.g);
    assert_int_equal(tern_nn_relu(NULL, 0), TERN_NONE);
}

/* A small network with everything in it, before and after the passes. */
static tern_graph *training_step(const char *optimizer)
{
    tern_nn nn = {.g = NULL, .seed = 3};
    if (tern_graph_create(&nn.g) != TERN_OK)
        return NULL;
    tern_value x = tern_graph_input(nn.g, "x", TERN_F32, SHAPE(4, 2, 6, 6), 0), t = tern_graph_input(nn.g, "t", TERN_U8, SHAPE(4), 0);
    tern_value h = tern_nn_relu(&nn, tern_nn_batch_norm(&nn, "bn", tern_nn_conv2d(&nn, "conv", x, 3, 3, 1, 1), true));
    h = tern_nn_dropout(&nn, "drop", tern_nn_flatten(&nn, tern_nn_max_pool2d(&nn, h, 2, 2)), 0.25, true);
    tern_value loss = tern_nn_cross_entropy(&nn, tern_nn_dense(&nn, "dense", h, 4), t);
    tern_graph_output(nn.g, "loss", loss);
    if (tern_graph_check(nn.g) == TERN_OK && tern_graph_minimize(nn.g, loss, &(tern_optimizer){.name = optimizer, .lr = 0.01}) == TERN_OK)
        return nn.g;
    tern_graph_destroy(nn.g);
    return NULL;
}

static void training_survives_the_passes(void **state)
{
    (void)state;
    /* Not adam: it turns the rounding errors of a gradient that is exactly 0, that of a bias before a normalisation, into whole steps. */
    tern_graph *g = training_step("momentum"), *out = NULL;
    assert_non_null(g);
    assert_ok(tern__passes_run(g, NULL, 0, &out));
    assert_same_results(g, out, 1e-5);
    tern_graph_destroy(out);
    tern_graph_destroy(g);
}

static void training_lowers_the_loss(void **state)
{
    (void)state;
    tern_graph *g = training_step("adam");
    tern__interp it = {0};
    assert_ok(tern__interp_init(&it, g));
    tern__array *in = random_inputs(g, 1);
    double first = 0, last = 0;
    for (int i = 0; i < 30; i++) {
        assert_ok(tern__interp_run(&it, in));
        last = tern__array_get(tern__interp_output(&it, 0), 0);
        first = i ? first : last;
    }
    assert_true(last < 0.5 * first);
    tern__interp_finish(&it);
    free_inputs(g, in);
    tern_graph_destroy(g);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        bool done = false;
        for (long nth = 1; !done; nth += for_good ? 13 : 5) {
            tern__fault_arm(TERN__FAULT_ALLOC, nth, for_good);
            tern_graph *g = training_step("adam");
            tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
            done = g != NULL;
            tern_graph_destroy(g);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_their_shapes),
        cmocka_unit_test(a_start_depends_on_seed_and_name_alone),
        cmocka_unit_test(batch_norm_tracks_statistics),
        cmocka_unit_test(frozen_batch_norm_folds_away),
        cmocka_unit_test(layers_refuse),
        cmocka_unit_test(training_survives_the_passes),
        cmocka_unit_test(training_lowers_the_loss),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
