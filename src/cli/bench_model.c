/* Models of tern bench: as one graph where that is possible, otherwise as they run anywhere, from plan to plan over the host. */
#include "bench.h"

#include <stdlib.h>

/* Values for all inputs, as tern run makes them. */
static int make_inputs(bench_runner *r, const char *path, const tern_onnx_port *ports, int n, const cli_dims *dims, const cli_list *in)
{
    static const cli_image_params no_image;
    r->in = cli_alloc((size_t)n, sizeof *r->in);
    r->out = cli_alloc((size_t)tern_onnx_n_outputs(r->model), sizeof *r->out);
    if (!r->in || !r->out)
        return CLI_FAILED;
    r->n_in = n;
    int code = cli_dims_check("bench", ports, n, dims);
    if (code == CLI_OK)
        code = cli_sources_check("bench", path, ports, n, in);
    for (int k = 0; k < n && code == CLI_OK; k++)
        code = cli_make_input("bench", &ports[k], k, cli_source_of(in, ports[k].name), dims, &no_image, &r->in[k]);
    return code;
}

/* With the shapes that the inputs have. *graph stays NULL if there is no single one. */
static int trace(const bench_runner *r, const char *path, const cli_dims *dims, tern_graph **graph)
{
    tern_shape *shapes = cli_alloc((size_t)r->n_in, sizeof *shapes);
    bool all = true;
    if (!shapes)
        return CLI_FAILED;
    for (int k = 0; k < r->n_in; k++)
        if (r->in[k].kind == TERN_ONNX_TENSOR)
            shapes[k] = *tern_tensor_shape(r->in[k].tensor);
        else
            all = false;
    tern_status st = tern_onnx_graph(r->model, &(tern_onnx_graph_params){.dims = dims->at, .input_shapes = all ? shapes : NULL}, graph);
    free(shapes);
    return st == TERN_OK || st == TERN_E_DYNAMIC ? CLI_OK : cli_fail(st, path);
}

static int open_onnx(const char *path, const cli_dims *dims, const cli_list *in, tern_graph **graph, bench_runner *r)
{
    tern_onnx_port *ports = NULL;
    int n = 0;
    tern_status st = tern_onnx_load(path, &r->model);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    int code = cli_ports(r->model, false, &ports, &n);
    if (code == CLI_OK)
        code = make_inputs(r, path, ports, n, dims, in);
    if (code == CLI_OK)
        code = trace(r, path, dims, graph);
    free(ports);
    return code;
}

static void close_runner(bench_runner *r)
{
    for (int k = 0; k < r->n_in; k++)
        tern_onnx_value_clear(&r->in[k]);
    if (r->out)
        bench_runner_clear(r);
    free(r->in);
    free(r->out);
    tern_onnx_destroy(r->model);
    free(r);
}

int bench_model_open(const char *path, const cli_dims *dims, const cli_list *in, bench_problem *p)
{
    if (!cli_is_onnx(path))
        return cli_load_graph("bench", path, &(cli_graph_params){.dims = dims, .known = in}, &p->graph);
    bench_runner *r = cli_alloc(1, sizeof *r);
    if (!r)
        return CLI_FAILED;
    int code = open_onnx(path, dims, in, &p->graph, r);
    if (code == CLI_OK && !p->graph)
        p->runner = r;
    else /* a graph stands on its own */
        close_runner(r);
    return code;
}

void bench_runner_clear(bench_runner *r)
{
    for (int k = 0; k < tern_onnx_n_outputs(r->model); k++)
        tern_onnx_value_clear(&r->out[k]);
}

void bench_model_close(bench_problem *p)
{
    tern_graph_destroy(p->graph);
    if (p->runner)
        close_runner(p->runner);
    p->graph = NULL;
    p->runner = NULL;
}
