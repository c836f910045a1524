/* tern info: what a model takes and gives, what it is made of, and every operator of it that Tern lacks. */
#include "cli.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <tern/model.h>

typedef struct facts {
    const char *path;
    bool json;
    cli_dims dims;
    tern_onnx *onnx;            /* NULL for a .tern model */
    tern_graph *graph;          /* NULL where the model is not one graph */
    tern_onnx_port *in, *out;   /* of an ONNX model */
    int n_in, n_out, n_unsupported;
    char why_no_graph[1024];
} facts;

/* "f32[batch,3,?]", "sequence of f32[...]". */
static const char *port_type(const tern_onnx_port *p, char *buf, size_t size)
{
    size_t n = (size_t)snprintf(buf, size, "%s%s%s", p->optional ? "optional " : "", p->kind == TERN_ONNX_SEQUENCE ? "sequence of " : "",
                                p->typed ? tern_dtype_name(p->dtype) : "?");
    for (int i = 0; i < p->rank && n + 48 < size; i++) {
        n += (size_t)snprintf(buf + n, size - n, "%s", i ? "," : "[");
        if (p->dim[i] >= 0)
            n += (size_t)snprintf(buf + n, size - n, "%" PRId64, p->dim[i]);
        else
            n += (size_t)snprintf(buf + n, size - n, "%.40s", p->dim_name[i] && *p->dim_name[i] ? p->dim_name[i] : "?");
    }
    snprintf(buf + n, size - n, "%s", p->rank > 0 ? "]" : p->rank == 0 ? "[]" : "");
    return buf;
}

static void json_ports(cli_json *w, const char *key, const tern_onnx_port *p, int n)
{
    static const char *const kind[] = {"nothing", "tensor", "sequence"};
    json_array(w, key);
    for (int i = 0; i < n; i++) {
        json_object(w, NULL);
        json_text(w, "name", p[i].name);
        json_text(w, "kind", kind[p[i].kind]);
        json_bool(w, "optional", p[i].optional);
        json_text(w, "dtype", p[i].typed ? tern_dtype_name(p[i].dtype) : NULL);
        json_int(w, "rank", p[i].rank);
        json_array(w, "shape"); /* numbers, and names of symbolic extents */
        for (int k = 0; k < p[i].rank; k++)
            if (p[i].dim[k] >= 0)
                json_int(w, NULL, p[i].dim[k]);
            else
                json_text(w, NULL, p[i].dim_name[k]);
        json_close(w);
        json_close(w);
    }
    json_close(w);
}

/* --- ONNX models --- */

static void print_ops(const facts *f)
{
    tern_onnx_op op;
    for (int i = 0; i < tern_onnx_n_ops(f->onnx); i++)
        if (tern_onnx_get_op(f->onnx, i, &op) == TERN_OK)
            printf("%6d  %s%s%s\n", op.count, op.domain, *op.domain ? "." : "", op.name);
    if (f->n_unsupported == 0) {
        printf("unsupported none\n");
        return;
    }
    printf("unsupported %d %s\n", f->n_unsupported, f->n_unsupported == 1 ? "operator" : "operators");
    for (int i = 0; i < tern_onnx_n_ops(f->onnx); i++)
        if (tern_onnx_get_op(f->onnx, i, &op) == TERN_OK && !op.supported)
            printf("        %s, domain %s, opset %d, %d times, first in node \"%s\"\n", op.name, *op.domain ? op.domain : "ai.onnx", op.opset, op.count,
                   op.node);
}

static bool has_open_dimension(const facts *f)
{
    for (int i = 0; i < f->n_in; i++)
        for (int k = 0; k < f->in[i].rank; k++)
            if (f->in[i].dim[k] < 0)
                return true;
    return false;
}

static void print_macs(const facts *f)
{
    if (f->graph)
        printf("MACs        %.4g%s\n", (double)tern_graph_macs(f->graph), has_open_dimension(f) ? " (open dimensions as --dim says, else 1)" : "");
    else
        printf("MACs        unknown: %s\n", f->why_no_graph);
}

static void print_onnx(const facts *f)
{
    tern_onnx_info i;
    char type[512], size[24];
    tern_onnx_get_info(f->onnx, &i);
    printf("model       %s, ONNX IR version %" PRId64 ", written by %s%s%s\n", *i.graph_name ? i.graph_name : "unnamed", i.ir_version,
           *i.producer ? i.producer : "an unnamed program", *i.producer_version ? " " : "", i.producer_version);
    printf("opset       %" PRId64 "\n", i.opset);
    for (int k = 0; k < f->n_in; k++)
        printf("input       %s %s\n", f->in[k].name, port_type(&f->in[k], type, sizeof type));
    for (int k = 0; k < f->n_out; k++)
        printf("output      %s %s\n", f->out[k].name, port_type(&f->out[k], type, sizeof type));
    printf("parameters  %" PRId64 ", %s in %d initialisers\n", i.n_parameters, cli_bytes((double)i.weight_bytes, size), i.n_initializers);
    print_macs(f);
    printf("operators   %d nodes\n", i.n_nodes);
    print_ops(f);
}

static void json_ops(cli_json *w, const tern_onnx *m, bool only_unsupported)
{
    json_array(w, only_unsupported ? "unsupported" : "operators");
    for (int i = 0; i < tern_onnx_n_ops(m); i++) {
        tern_onnx_op op;
        if (tern_onnx_get_op(m, i, &op) != TERN_OK || (only_unsupported && op.supported))
            continue;
        json_object(w, NULL);
        json_text(w, "name", op.name);
        json_text(w, "domain", op.domain);
        json_int(w, "opset", op.opset);
        json_int(w, "count", op.count);
        json_bool(w, "supported", op.supported);
        json_text(w, "node", op.node);
        json_close(w);
    }
    json_close(w);
}

static void json_macs(cli_json *w, const facts *f)
{
    if (f->graph)
        json_int(w, "macs", tern_graph_macs(f->graph));
    else
        json_text(w, "macs", NULL);
    json_text(w, "why_no_macs", f->graph ? NULL : f->why_no_graph);
}

static void json_onnx(const facts *f)
{
    tern_onnx_info i;
    cli_json w;
    tern_onnx_get_info(f->onnx, &i);
    json_begin(&w, stdout);
    json_text(&w, "model", f->path);
    json_text(&w, "format", "onnx");
    json_text(&w, "graph", i.graph_name);
    json_int(&w, "ir_version", i.ir_version);
    json_int(&w, "opset", i.opset);
    json_text(&w, "producer", i.producer);
    json_text(&w, "producer_version", i.producer_version);
    json_ports(&w, "inputs", f->in, f->n_in);
    json_ports(&w, "outputs", f->out, f->n_out);
    json_int(&w, "parameters", i.n_parameters);
    json_int(&w, "weight_bytes", i.weight_bytes);
    json_int(&w, "initializers", i.n_initializers);
    json_macs(&w, f);
    json_int(&w, "nodes", i.n_nodes);
    json_ops(&w, f->onnx, false);
    json_ops(&w, f->onnx, true);
    json_end(&w);
}

static int load_onnx(facts *f)
{
    tern_status st = tern_onnx_load(f->path, &f->onnx);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    int code = cli_ports(f->onnx, false, &f->in, &f->n_in);
    if (code == CLI_OK)
        code = cli_ports(f->onnx, true, &f->out, &f->n_out);
    if (code == CLI_OK)
        code = cli_dims_check("info", f->in, f->n_in, &f->dims);
    for (int i = 0; i < tern_onnx_n_ops(f->onnx); i++) {
        tern_onnx_op op;
        f->n_unsupported += tern_onnx_get_op(f->onnx, i, &op) == TERN_OK && !op.supported;
    }
    if (code == CLI_OK) {
        tern_onnx_graph_params p = {.dims = f->dims.at};
        if (tern_onnx_graph(f->onnx, &p, &f->graph) != TERN_OK)
            snprintf(f->why_no_graph, sizeof f->why_no_graph, "%s", tern_last_error());
    }
    return code;
}

/* --- Models of our own --- */

static int64_t n_parameters(const tern_graph *g)
{
    int64_t sum = 0;
    for (int i = 0; i < tern_graph_n_variables(g); i++) {
        tern_shape s;
        if (tern_graph_value_info(g, tern_graph_variable_value(g, i), NULL, &s) != TERN_OK)
            continue;
        int64_t n = 1;
        for (int k = 0; k < s.rank; k++)
            n *= s.dim[k];
        sum += n;
    }
    return sum;
}

static void print_values(const tern_graph *g, const char *what, int n, tern_value (*value)(const tern_graph *, int), const char *(*name)(const tern_graph *, int))
{
    for (int i = 0; i < n; i++) {
        tern_dtype t;
        tern_shape s;
        char type[176];
        if (tern_graph_value_info(g, value(g, i), &t, &s) == TERN_OK)
            printf("%-11s %s %s\n", what, name(g, i), cli_type(t, &s, type));
    }
}

static void json_values(cli_json *w, const char *key, const tern_graph *g, int n, tern_value (*value)(const tern_graph *, int),
                        const char *(*name)(const tern_graph *, int))
{
    json_array(w, key);
    for (int i = 0; i < n; i++) {
        tern_dtype t;
        tern_shape s;
        if (tern_graph_value_info(g, value(g, i), &t, &s) != TERN_OK)
            continue;
        json_object(w, NULL);
        json_text(w, "name", name(g, i));
        json_text(w, "dtype", tern_dtype_name(t));
        json_shape(w, "shape", &s);
        json_close(w);
    }
    json_close(w);
}

static void show_graph(const facts *f)
{
    const tern_graph *g = f->graph;
    int n_in = tern_graph_n_inputs(g), n_out = tern_graph_n_outputs(g), n_var = tern_graph_n_variables(g);
    if (!f->json) {
        printf("model       %s, Tern's own format\n", f->path);
        print_values(g, "input", n_in, tern_graph_input_value, tern_graph_input_name);
        print_values(g, "output", n_out, tern_graph_output_value, tern_graph_output_name);
        printf("parameters  %" PRId64 " in %d variables\n", n_parameters(g), n_var);
        print_macs(f);
        return;
    }
    cli_json w;
    json_begin(&w, stdout);
    json_text(&w, "model", f->path);
    json_text(&w, "format", "tern");
    json_values(&w, "inputs", g, n_in, tern_graph_input_value, tern_graph_input_name);
    json_values(&w, "outputs", g, n_out, tern_graph_output_value, tern_graph_output_name);
    json_int(&w, "parameters", n_parameters(g));
    json_int(&w, "variables", n_var);
    json_macs(&w, f);
    json_end(&w);
}

int cli_info(const cli *c, int argc, char **argv)
{
    facts f = {.path = NULL};
    cli_list dims = {.n = 0};
    const cli_option options[] = {
        CLI_OPT_DIM(&dims),
        CLI_OPT_JSON(&f.json),
        {0},
    };
    const cli_usage usage = {
        .command = "info", .synopsis = "MODEL [options]", .options = options, .positional = &f.path, .positional_name = "MODEL",
        .about = "Describes a model, .tern or .onnx: inputs and outputs with the names of symbolic dimensions, who wrote it and in which version of the "
                 "operator set, parameters, multiply-adds of matrix products and convolutions, how often it uses each operator, and every operator "
                 "that Tern lacks, with the node where it occurs first. Needs no device.",
    };
    int code;
    (void)c;
    if (!cli_parse(&usage, argc, argv, &code))
        return code;
    code = cli_dims_read("info", &dims, &f.dims);
    if (code == CLI_OK)
        code = cli_is_onnx(f.path) ? load_onnx(&f) : cli_load_graph("info", f.path, &(cli_graph_params){.dims = &f.dims}, &f.graph);
    if (code == CLI_OK && !f.onnx)
        show_graph(&f);
    else if (code == CLI_OK && f.json)
        json_onnx(&f);
    else if (code == CLI_OK)
        print_onnx(&f);
    free(f.in);
    free(f.out);
    tern_graph_destroy(f.graph);
    tern_onnx_destroy(f.onnx);
    cli_dims_finish(&f.dims);
    return code;
}
