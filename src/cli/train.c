/* tern train: a named network or an ONNX model, a data set, an optimiser; a model file at the end. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tern/nn.h>

/* What the command line says besides the parameters of the training itself. */
typedef struct train_options {
    const char *device, *data, *model, *mean, *std;
    int64_t size;
    bool json;
} train_options;

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

/* "X" for all channels or "X,Y,Z". */
static int read_channels(const char *option, const char *text, float out[3])
{
    if (!text)
        return CLI_OK;
    char *end = (char *)text;
    int n = 0;
    for (; n < 3; n++) {
        out[n] = strtof(text, &end);
        if (end == text)
            break;
        text = end + (*end == ',');
        if (!*end) {
            n++;
            break;
        }
    }
    if ((n != 1 && n != 3) || *end)
        return cli_misuse("train", "%s takes one number or three with commas between", option);
    if (n == 1)
        out[1] = out[2] = out[0];
    return CLI_OK;
}

/* The images that the network takes. */
static int image_size(const train_options *o, const tern_onnx *m, int64_t size[3])
{
    tern_onnx_port p;
    size[0] = 1;
    size[1] = size[2] = 28;
    if (!m)
        return CLI_OK;
    if (tern_onnx_n_inputs(m) != 1 || tern_onnx_input(m, 0, &p) != TERN_OK || p.kind != TERN_ONNX_TENSOR || p.rank != 4 || p.dtype != TERN_F32)
        return cli_error(CLI_FAILED, "%s: training needs a model of one f32 input [N, channels, height, width]", o->model);
    for (int i = 0; i < 3; i++)
        size[i] = p.dim[i + 1] > 0 ? p.dim[i + 1] : i == 0 ? 3 : o->size;
    return size[0] == 1 || size[0] == 3 ? CLI_OK : cli_error(CLI_FAILED, "%s takes %lld channels, images have 1 or 3", o->model, (long long)size[0]);
}

static int open_data(const train_options *o, const tern_onnx *m, tern_split split, tern_dataset **out)
{
    struct stat sb;
    int64_t size[3];
    int code = image_size(o, m, size);
    if (code != CLI_OK)
        return code;
    tern_status st = stat(o->data, &sb) == 0 && S_ISDIR(sb.st_mode) ? tern_dataset_folder(o->data, split, size[0], size[1], size[2], out)
                                                                    : tern_dataset_open(o->data, split, out);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    code = read_channels("--mean", o->mean, (*out)->mean);
    if (code == CLI_OK)
        code = read_channels("--std", o->std, (*out)->std);
    for (int i = 0; i < 3 && code == CLI_OK; i++)
        if (!((*out)->std[i] > 0))
            code = cli_misuse("train", "--std must be above 0");
    const tern_dataset *d = *out;
    if (code == CLI_OK && m && (d->channels != size[0] || d->height != size[1] || d->width != size[2]))
        code = cli_error(CLI_FAILED, "%s takes images of %lld x %lld x %lld, %s has %lld x %lld x %lld", o->model, (long long)size[0], (long long)size[1],
                         (long long)size[2], o->data, (long long)d->channels, (long long)d->height, (long long)d->width);
    return code;
}

static int train(const cli *c, const train_options *o, fit_params *p)
{
    tern_dataset *train_set = NULL, *test_set = NULL;
    tern_device *d = NULL;
    fit_result r = {0};
    int code = CLI_OK;
    if (o->model) {
        tern_status st = tern_onnx_load(o->model, &p->onnx);
        code = st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
    }
    if (code == CLI_OK)
        code = open_data(o, p->onnx, TERN_TRAIN, &train_set);
    if (code == CLI_OK)
        code = open_data(o, p->onnx, TERN_TEST, &test_set);
    if (code == CLI_OK)
        code = cli_open_device(c, o->device, CLI_COMPUTES | (p->trace ? CLI_PROFILE : 0u), &d);
    if (code == CLI_OK)
        code = fit_run(d, p, train_set, test_set, &r);
    if (code == CLI_OK)
        print_result(p, o->data, &r, o->json);
    fit_finish(&r);
    tern_device_close(d);
    tern_dataset_close(train_set);
    tern_dataset_close(test_set);
    tern_onnx_destroy(p->onnx);
    return code;
}

int cli_train(const cli *c, int argc, char **argv)
{
    fit_params p = {.model = "convnet", .optimizer = "adam", .epochs = 3, .batch = 128};
    train_options o = {.size = 224};
    int64_t seed = 1;
    const cli_option options[] = {
        {"data", CLI_TEXT, &o.data, "NAME[:DIR]|DIR",
         "The data set: fashion-mnist or mnist, and the folder of its IDX files (default: the usual places); or a folder of class-named folders of PNG "
         "or JPEG images, where every fifth is for the test unless there are folders train and test.", 0, 0},
        {"model", CLI_TEXT, &p.model, "NAME", "The network: convnet (default) or mlp.", 0, 0},
        {"freeze", CLI_TEXT, &p.freeze, "PATTERN,...", "ONNX models: weights whose name fits (* ? [ ]) do not learn. Each pattern must fit one.", 0, 0},
        {"replace-head", CLI_COUNT, &p.classes, "N", "ONNX models: the last layer is made anew for N classes.", 2, 65536},
        {"size", CLI_COUNT, &o.size, "N", "ONNX models: pixels a side where the model leaves them open (default 224).", 1, 16384},
        {"mean", CLI_TEXT, &o.mean, "X[,Y,Z]", "Taken off each channel of the images, which are in [0, 1] (default 0).", 0, 0},
        {"std", CLI_TEXT, &o.std, "X[,Y,Z]", "The divisor after that (default 1).", 0, 0},
        {"epochs", CLI_COUNT, &p.epochs, "N", "Passes over the training set (default 3).", 1, 10000},
        {"batch", CLI_COUNT, &p.batch, "N", "Images a step (default 128). What is left of an epoch after whole batches is not used.", 1, 65536},
        {"optimizer", CLI_TEXT, &p.optimizer, "NAME", "sgd, momentum or adam (default).", 0, 0},
        {"lr", CLI_REAL, &p.lr, "X", "Learning rate (default 0.01, for adam 0.001).", 1e-12, 1e6},
        {"weight-decay", CLI_REAL, &p.weight_decay, "X", "Weight decay (default 0).", 0, 1e6},
        {"cosine", CLI_FLAG, &p.cosine, NULL, "Let the learning rate fall along half a cosine.", 0, 0},
        {"mirror", CLI_FLAG, &p.augment, NULL, "Mirror half of the images.", 0, 0},
        {"seed", CLI_COUNT, &seed, "N", "Seed of the weights and of the order (default 1). Same device, driver and seed: same bits.", 0, 9e15},
        {"out", CLI_TEXT, &p.save, "FILE", "The model file to write: ONNX if its name ends in .onnx, else Tern's own.", 0, 0},
        {"trace", CLI_TEXT, &p.trace, "FILE", "Write the last steps' kernels in Chrome's trace format.", 0, 0},
        CLI_OPT_JSON(&o.json),
        CLI_OPT_DEVICE(&o.device),
        {0},
    };
    const cli_usage usage = {
        .command = "train", .synopsis = "[MODEL.onnx] --data NAME[:DIR]|DIR --out FILE [options]", .options = options, .positional = &o.model,
        .positional_name = "MODEL.onnx", .may_lack_positional = true,
        .about = "Trains a named network, or an ONNX model further, on a data set of labelled images, tests it after each epoch, and saves the network "
                 "with its trained weights, ready for eval, run and plan. A model's batch normalisation and dropout train too; a softmax at its end is "
                 "left out of the loss, not out of what is saved.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    if (!o.data || !p.save)
        return cli_misuse("train", "%s is missing", o.data ? "--out FILE" : "--data NAME");
    if (!o.model && (p.freeze || p.classes))
        return cli_misuse("train", "%s is for ONNX models", p.freeze ? "--freeze" : "--replace-head");
    if (o.model)
        p.model = o.model;
    else if (!known_model(p.model))
        return CLI_USAGE;
    if (!known_optimizer(p.optimizer))
        return CLI_USAGE;
    if (!cli_can_write(p.save) || (p.trace && !cli_can_write(p.trace)))
        return CLI_FAILED;
    if (p.lr == 0)
        p.lr = strcmp(p.optimizer, "adam") ? 0.01 : 0.001;
    p.seed = (uint64_t)seed;
    return train(c, &o, &p);
}
