/* Models from files, whichever of the two formats they are in, and the extents that --dim gives symbolic dimensions. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <tern/model.h>

bool cli_has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n > m && !strcasecmp(path + n - m, suffix);
}

bool cli_is_onnx(const char *path)
{
    if (cli_has_suffix(path, ".onnx") || cli_has_suffix(path, ".tern"))
        return cli_has_suffix(path, ".onnx");
    /* By its first bytes: a model of ours has "{" behind eight bytes of length, ONNX starts with the number of its format's version. */
    unsigned char head[9] = {0};
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    return n == sizeof head && head[0] == 0x08 && head[8] != '{';
}

/* --- Symbolic dimensions --- */

int cli_dims_read(const char *command, const cli_list *list, cli_dims *d)
{
    *d = (cli_dims){.n = 0};
    for (int i = 0; i < list->n; i++) {
        const char *equals = strrchr(list->item[i], '=');
        char *end = NULL;
        errno = 0;
        long long n = equals && equals > list->item[i] ? strtoll(equals + 1, &end, 10) : -1;
        if (n < 0 || !end || end == equals + 1 || *end || errno)
            return cli_misuse(command, "--dim takes NAME=N with a whole number N, not \"%s\"", list->item[i]);
        d->name[d->n] = strndup(list->item[i], (size_t)(equals - list->item[i]));
        if (!d->name[d->n])
            return cli_error(CLI_FAILED, "%s: out of memory", command);
        d->at[d->n] = (tern_onnx_dim){d->name[d->n], n};
        d->n++;
    }
    return CLI_OK;
}

void cli_dims_finish(cli_dims *d)
{
    for (int i = 0; i < d->n; i++)
        free(d->name[i]);
    *d = (cli_dims){.n = 0};
}

int64_t cli_extent(const tern_onnx_port *p, int axis, const cli_dims *d, int64_t otherwise)
{
    if (p->dim[axis] >= 0)
        return p->dim[axis];
    for (int i = 0; i < d->n && p->dim_name[axis]; i++)
        if (!strcmp(d->at[i].name, p->dim_name[axis]))
            return d->at[i].extent;
    return otherwise;
}

/* Appends ", NAME" unless it is there or there is no room. */
static void add_name(char *list, size_t size, const char *name)
{
    size_t n = strlen(list), m = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += m)
        if ((at == list || at[-1] == ' ') && (!at[m] || at[m] == ','))
            return;
    if (n + m + 3 < size)
        snprintf(list + n, size - n, "%s%s", n ? ", " : "", name);
}

int cli_dims_check(const char *command, const tern_onnx_port *ports, int n, const cli_dims *d)
{
    char known[512] = "";
    for (int i = 0; i < d->n; i++) {
        bool found = false;
        for (int k = 0; k < n; k++)
            for (int a = 0; a < ports[k].rank; a++)
                if (ports[k].dim[a] < 0 && ports[k].dim_name[a]) {
                    found = found || !strcmp(ports[k].dim_name[a], d->at[i].name);
                    add_name(known, sizeof known, ports[k].dim_name[a]);
                }
        if (!found)
            return cli_error(CLI_USAGE, "%s: no input has a dimension called \"%s\"; %s%s", command, d->at[i].name,
                             *known ? "those that can be given are " : "the model leaves none open", known);
    }
    return CLI_OK;
}

int cli_ports(const tern_onnx *m, bool outputs, tern_onnx_port **ports, int *n)
{
    tern_status st = TERN_OK;
    *n = outputs ? tern_onnx_n_outputs(m) : tern_onnx_n_inputs(m);
    *ports = cli_alloc((size_t)*n, sizeof **ports);
    for (int i = 0; i < *n && *ports && st == TERN_OK; i++)
        st = outputs ? tern_onnx_output(m, i, &(*ports)[i]) : tern_onnx_input(m, i, &(*ports)[i]);
    return !*ports ? CLI_FAILED : st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
}

/* --- Graphs --- */

/* Values for the inputs that --in names; the others are nothing. */
static int make_known(const char *command, const char *path, const tern_onnx_port *ports, int n, const cli_graph_params *p, tern_onnx_value *known)
{
    int code = cli_sources_check(command, path, ports, n, p->known);
    for (int i = 0; i < n && code == CLI_OK; i++) {
        const char *source = cli_source_of(p->known, ports[i].name);
        if (source)
            code = cli_make_input(command, &ports[i], i, source, p->dims, &(cli_image_params){.bgr = false}, &known[i]);
    }
    return code;
}

static bool all_known(const tern_onnx *m)
{
    tern_onnx_op op = {.supported = true};
    for (int i = 0; i < tern_onnx_n_ops(m) && op.supported; i++)
        op.supported = tern_onnx_get_op(m, i, &op) == TERN_OK && op.supported;
    return op.supported;
}

static int trace_onnx(const char *command, const char *path, tern_onnx *m, const cli_graph_params *p, tern_graph **out)
{
    tern_onnx_port *ports = NULL;
    int n = 0, code = cli_ports(m, false, &ports, &n);
    tern_onnx_value *known = code == CLI_OK ? cli_alloc((size_t)n, sizeof *known) : NULL;
    if (code == CLI_OK && !known)
        code = CLI_FAILED;
    if (code == CLI_OK)
        code = cli_dims_check(command, ports, n, p->dims);
    if (code == CLI_OK && p->first && n != 1)
        code = cli_error(CLI_FAILED, "%s: %s has %d inputs, not one for images", command, path, n);
    if (code == CLI_OK && p->known)
        code = make_known(command, path, ports, n, p, known);
    if (code == CLI_OK) {
        tern_onnx_graph_params g = {.dims = p->dims->at, .known = p->known ? known : NULL, .input_shapes = p->first, .variables = p->variables};
        tern_status st = tern_onnx_graph(m, &g, out);
        if (st == TERN_E_DYNAMIC && p->copy && all_known(m)) {
            fprintf(stderr, "tern: %s keeps its own nodes: %s\n", path, tern_last_error());
            st = tern_onnx_copy(m, p->copy);
        }
        code = st == TERN_OK ? CLI_OK : cli_fail(st, path);
    }
    for (int i = 0; known && i < n; i++)
        tern_onnx_value_clear(&known[i]);
    free(known);
    free(ports);
    return code;
}

int cli_load_graph(const char *command, const char *path, const cli_graph_params *p, tern_graph **out)
{
    if (cli_is_onnx(path)) {
        tern_onnx *m = NULL;
        tern_status st = tern_onnx_load(path, &m);
        int code = st == TERN_OK ? trace_onnx(command, path, m, p, out) : cli_fail(st, NULL);
        tern_onnx_destroy(m);
        return code;
    }
    if (p->dims->n)
        return cli_error(CLI_USAGE, "%s: --dim %s fits nothing: only ONNX models have symbolic dimensions", command, p->dims->at[0].name);
    if (p->known && p->known->n)
        return cli_error(CLI_USAGE, "%s: --in %s fits nothing: only inputs of ONNX models can become constants", command, p->known->item[0]);
    tern_status st = tern_model_load(path, out);
    return st == TERN_OK ? CLI_OK : cli_fail(st, NULL);
}
