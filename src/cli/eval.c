/* tern eval: a saved model on a data set's test images. */
#include "cli.h"


static void print_result(const char *model, const char *data, const classify_result *r, const tern_device_info *device, bool json)
{
    double accuracy = (double)r->n_right / (double)r->n;
    if (!json) {
        printf("%s on %s: %lld of %lld right, accuracy %.2f %%, loss %.4f\n", model, data, (long long)r->n_right, (long long)r->n, 100 * accuracy, r->loss);
        printf("%.0f images a second; session ready in %.0f ms, first batch %.0f ms; on %s\n", r->images_per_s, r->ready_s * 1e3, r->first_s * 1e3, device->name);
        return;
    }
    cli_json j;
    json_begin(&j, stdout);
    json_text(&j, "model", model);
    json_text(&j, "data", data);
    json_int(&j, "images", r->n);
    json_int(&j, "right", r->n_right);
    json_real(&j, "accuracy", accuracy);
    json_real(&j, "loss", r->loss);
    json_real(&j, "seconds", r->seconds);
    json_real(&j, "images_per_s", r->images_per_s);
    json_real(&j, "ready_ms", r->ready_s * 1e3);
    json_real(&j, "first_ms", r->first_s * 1e3);
    json_plan(&j, "plan", &r->plan);
    json_device(&j, "device", device);
    json_end(&j);
}

static tern_status save_probabilities(const classify_result *r, const char *path)
{
    tern_shape shape = {2, {r->n, r->n_classes}};
    tern_tensor *t = NULL;
    tern_status st = tern_tensor_wrap(TERN_F32, &shape, r->probability, &t);
    if (st == TERN_OK)
        st = tern_tensor_save_npy(t, path);
    tern_tensor_destroy(t);
    return st;
}

int cli_eval(const cli *c, int argc, char **argv)
{
    const char *device = NULL, *data = NULL, *model = NULL, *out = NULL;
    bool json = false;
    cli_choices choices = {.exact = false};
    int64_t batch = 500;
    const cli_option options[] = {
        {"data", CLI_TEXT, &data, "NAME[:DIR]", "The data set: fashion-mnist or mnist, and the folder of its IDX files (default: the usual places).", 0, 0},
        {"batch", CLI_COUNT, &batch, "N", "Images a run (default 500).", 1, 65536},
        {"out", CLI_TEXT, &out, "FILE.npy", "Save the class probabilities of every image.", 0, 0},
        CLI_OPT_CHOICES(&choices),
        CLI_OPT_JSON(&json),
        CLI_OPT_DEVICE(&device),
        {0},
    };
    const cli_usage usage = {
        .command = "eval", .synopsis = "MODEL --data NAME[:DIR] [options]", .options = options, .positional = &model, .positional_name = "MODEL",
        .about = "Classifies a data set's test images with a saved model, its weights frozen and its plan fused, and prints the accuracy and the speed.",
    };
    int code;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    if (!data)
        return cli_misuse("eval", "--data NAME is missing");
    if (out && !cli_can_write(out))
        return CLI_FAILED;
    tern_graph *g = NULL;
    tern_dataset *test = NULL;
    tern_device *d = NULL;
    classify_result r = {0};
    tern_status st = tern_dataset_open(data, TERN_TEST, &test);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    /* An ONNX model becomes a graph for this batch; one of ours takes any. */
    batch = batch < test->n ? batch : test->n;
    const tern_shape images = {4, {batch, test->channels, test->height, test->width}};
    code = cli_load_graph("eval", model, &(cli_graph_params){.dims = &(cli_dims){.n = 0}, .first = &images}, &g);
    if (code == CLI_OK)
        code = cli_open_device(c, device, CLI_COMPUTES, &d);
    if (code == CLI_OK)
        code = classify_run(d, g, NULL, test, batch, &choices, &r);
    if (code == CLI_OK && out && (st = save_probabilities(&r, out)) != TERN_OK)
        code = cli_fail(st, NULL);
    if (code == CLI_OK) {
        tern_device_info info;
        tern_device_get_info(d, &info);
        print_result(model, data, &r, &info, json);
    }
    classify_finish(&r);
    tern_device_close(d);
    tern_dataset_close(test);
    tern_graph_destroy(g);
    return code;
}
