/* tern convert: a model from one format into the other. */
#include "cli.h"

#include <sys/stat.h>
#include <tern/model.h>

/* g NULL: the model kept its own nodes. */
static void say(const char *model, const char *out, const tern_graph *g, bool json)
{
    struct stat st;
    char size[24];
    int n_in = g ? tern_graph_n_inputs(g) : 0, n_out = g ? tern_graph_n_outputs(g) : 0;
    double bytes = stat(out, &st) == 0 ? (double)st.st_size : 0;
    if (!json && !g) {
        printf("wrote %s: %s, a copy\n", out, cli_bytes(bytes, size));
        return;
    }
    if (!json) {
        printf("wrote %s: %s, %d %s, %d %s, %d variables\n", out, cli_bytes(bytes, size), n_in, n_in == 1 ? "input" : "inputs", n_out,
               n_out == 1 ? "output" : "outputs", tern_graph_n_variables(g));
        return;
    }
    cli_json w;
    json_begin(&w, stdout);
    json_text(&w, "model", model);
    json_text(&w, "out", out);
    json_int(&w, "size_bytes", (int64_t)bytes);
    json_bool(&w, "copy", !g);
    if (g) {
        json_int(&w, "inputs", n_in);
        json_int(&w, "outputs", n_out);
        json_int(&w, "variables", tern_graph_n_variables(g));
    }
    json_end(&w);
}

int cli_convert(const cli *c, int argc, char **argv)
{
    int n_paths = 0, code;
    cli_list dims = {.n = 0}, in = {.n = 0};
    cli_dims extents;
    tern_graph *g = NULL;
    bool json = false;
    const cli_option options[] = {
        CLI_OPT_DIM(&dims),
        {"in", CLI_LIST, &in, "NAME=FILE", "The input becomes a constant with the elements of this .npy or .pb file: for inputs that choose a branch or say a "
         "shape. May be repeated.", 0, 0},
        CLI_OPT_JSON(&json),
        {0},
    };
    const cli_usage usage = {
        .command = "convert", .synopsis = "MODEL OUT [options]", .options = options, .n_plain = &n_paths, .positional_name = "MODEL",
        .about = "Reads a model, .tern or .onnx, and writes it as what OUT ends in. An ONNX model becomes a graph for one set of extents, its loops "
                 "unrolled, and its weights become variables, which can be trained. A model whose shapes or branches depend on the data is no such graph: it "
                 "cannot become .tern, and to .onnx it keeps its own nodes.",
    };
    (void)c;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    if (n_paths != 2)
        return cli_misuse("convert", n_paths < 2 ? "OUT is missing" : "one argument too many: \"%s\"", argv[n_paths - 1]);
    bool to_onnx = cli_has_suffix(argv[1], ".onnx");
    if (!to_onnx && !cli_has_suffix(argv[1], ".tern"))
        return cli_misuse("convert", "OUT must end in .onnx or .tern, not \"%s\"", argv[1]);
    if (!cli_can_write(argv[1]))
        return CLI_FAILED;
    /* With some inputs constant a copy would not be what was asked for. */
    const cli_graph_params p = {.dims = &extents, .known = &in, .variables = true, .copy = to_onnx && in.n == 0 ? argv[1] : NULL};
    code = cli_dims_read("convert", &dims, &extents);
    if (code == CLI_OK)
        code = cli_load_graph("convert", argv[0], &p, &g);
    if (code == CLI_OK && g) {
        tern_status st = to_onnx ? tern_onnx_save(g, argv[1]) : tern_model_save(g, argv[1]);
        code = st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
    }
    if (code == CLI_OK)
        say(argv[0], argv[1], g, json);
    tern_graph_destroy(g);
    cli_dims_finish(&extents);
    return code;
}
