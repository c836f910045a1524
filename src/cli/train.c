/* tern train: a named network, a data set, an optimiser; a model file at the end. */
#include "cli.h"

#include <string.h>
#include <tern/nn.h>

static bool known_model(const char *name)
{
    int n;
    const char *const *names = tern_nn_model_names(&n);
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], name))
            return true;
    char list[256] = "";
    for (int i = 0; i < n; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    cli_misuse("train", "no model is called \"%s\"; there are %s", name, list);
    return false;
}

static bool known_optimizer(const char *name)
{
    if (!strcmp(name, "sgd") || !strcmp(name, "momentum") || !strcmp(name, "adam"))
        return true;
    cli_misuse("train", "no optimizer is called \"%s\"; there are sgd, momentum, adam", name);
    return false;
}

static void print_result(const fit_params *p, const char *data, const fit_result *r, bool json)
{
    const fit_point *last = &r->epochs[r->n_epochs - 1];
    char a[24], b[24];
    if (!json) {
        printf("trained   %s on %s: %lld parameters, %lld epochs of batch %lld with %s\n", p->model, data, (long long)r->n_parameters,
               (long long)p->epochs, (long long)p->batch, p->optimizer);
        printf("result    test accuracy %.2f %%, test loss %.4f\n", 100 * last->accuracy, last->loss);
        printf("speed     %.0f images a second, %.1f s of training\n", r->images_per_s, r->train_s);
        printf("a step    moves %s, %s unfused\n", cli_bytes((double)r->plan.bytes_fused, a), cli_bytes((double)r->plan.bytes_unfused, b));
        printf("saved     %s\n", p->save);
        return;
    }
    cli_json j;
    json_begin(&j, stdout);
    json_text(&j, "model", p->model);
    json_text(&j, "data", data);
    json_text(&j, "optimizer", p->optimizer);
    json_int(&j, "epochs", p->epochs);
    json_int(&j, "batch", p->batch);
    json_int(&j, "seed", (int64_t)p->seed);
    json_int(&j, "parameters", r->n_parameters);
    json_real(&j, "test_accuracy", last->accuracy);
    json_real(&j, "test_loss", last->loss);
    json_real(&j, "train_s", r->train_s);
    json_real(&j, "first_step_s", r->first_s);
    json_real(&j, "train_images_per_s", r->images_per_s);
    json_array(&j, "losses");
    for (int i = 0; i < r->n_steps; i++)
        json_real(&j, NULL, r->steps[i].loss);
    json_close(&j);
    json_array(&j, "test_accuracies");
    for (int i = 0; i < r->n_epochs; i++)
        json_real(&j, NULL, r->epochs[i].accuracy);
    json_close(&j);
    json_plan(&j, "plan", &r->plan);
    json_text(&j, "saved", p->save);
    json_end(&j);
}

static int train(const cli *c, const char *device, const char *data, const fit_params *p, bool json)
{
    tern_dataset *train_set = NULL, *test_set = NULL;
    tern_device *d = NULL;
    fit_result r = {0};
    tern_status st = tern_dataset_open(data, TERN_TRAIN, &train_set);
    if (st == TERN_OK)
        st = tern_dataset_open(data, TERN_TEST, &test_set);
    int code = st == TERN_OK ? cli_open_device(c, device, CLI_COMPUTES | (p->trace ? CLI_PROFILE : 0u), &d) : cli_fail(st, NULL);
    if (code == CLI_OK)
        code = fit_run(d, p, train_set, test_set, &r);
    if (code == CLI_OK)
        print_result(p, data, &r, json);
    fit_finish(&r);
    tern_device_close(d);
    tern_dataset_close(train_set);
    tern_dataset_close(test_set);
    return code;
}

int cli_train(const cli *c, int argc, char **argv)
{
    fit_params p = {.model = "convnet", .optimizer = "adam", .epochs = 3, .batch = 128};
    const char *device = NULL, *data = NULL;
    bool json = false;
    int64_t seed = 1;
    const cli_option options[] = {
        {"data", CLI_TEXT, &data, "NAME[:DIR]", "The data set: fashion-mnist or mnist, and the folder of its IDX files (default: the usual places).", 0, 0},
        {"model", CLI_TEXT, &p.model, "NAME", "The network: convnet (default) or mlp.", 0, 0},
        {"epochs", CLI_COUNT, &p.epochs, "N", "Passes over the training set (default 3).", 1, 10000},
        {"batch", CLI_COUNT, &p.batch, "N", "Images a step (default 128). What is left of an epoch after whole batches is not used.", 1, 65536},
        {"optimizer", CLI_TEXT, &p.optimizer, "NAME", "sgd, momentum or adam (default).", 0, 0},
        {"lr", CLI_REAL, &p.lr, "X", "Learning rate (default 0.01, for adam 0.001).", 1e-12, 1e6},
        {"weight-decay", CLI_REAL, &p.weight_decay, "X", "Weight decay (default 0).", 0, 1e6},
        {"cosine", CLI_FLAG, &p.cosine, NULL, "Let the learning rate fall along half a cosine.", 0, 0},
        {"mirror", CLI_FLAG, &p.augment, NULL, "Mirror half of the images.", 0, 0},
        {"seed", CLI_COUNT, &seed, "N", "Seed of the weights and of the order (default 1). Same device, driver and seed: same bits.", 0, 9e15},
        {"out", CLI_TEXT, &p.save, "FILE", "The model file to write.", 0, 0},
        {"trace", CLI_TEXT, &p.trace, "FILE", "Write the last steps' kernels in Chrome's trace format.", 0, 0},
        CLI_OPT_JSON(&json),
        CLI_OPT_DEVICE(&device),
        {0},
    };
    const cli_usage usage = {
        .command = "train", .synopsis = "--data NAME[:DIR] --out FILE [options]", .options = options,
        .about = "Trains a named network on a data set of labelled images, tests it after each epoch, and saves the network with its trained "
                 "weights, ready for eval, run and plan.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    if (!data || !p.save)
        return cli_misuse("train", "%s is missing", data ? "--out FILE" : "--data NAME");
    if (!known_model(p.model) || !known_optimizer(p.optimizer))
        return CLI_USAGE;
    if (!cli_can_write(p.save) || (p.trace && !cli_can_write(p.trace)))
        return CLI_FAILED;
    if (p.lr == 0)
        p.lr = strcmp(p.optimizer, "adam") ? 0.01 : 0.001;
    p.seed = (uint64_t)seed;
    return train(c, device, data, &p, json);
}
