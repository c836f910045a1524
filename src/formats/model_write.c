/* Saving: the graph as JSON, its variables and constants as tensors, one file. */
#include "formats/model.h"
#include <tern/model.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/status.h"
#include "formats/json.h"
#include "ops/op.h"

#include <stdio.h>
#include <string.h>

/* --- The tensors --- */

static bool name_taken(const tern_graph *g, const char *name)
{
    for (int i = 0; i < g->n_variables; i++)
        if (!strcmp(g->values[g->variables[i]].name, name))
            return true;
    return false;
}

static void add_tensor(tern__model_tensors *t, const tern_graph *g, tern_value v, const char *name)
{
    const tern__value *x = tern__value_at(g, v);
    t->values[t->n] = v;
    t->list[t->n++] = (tern__st_tensor){.name = name, .dtype = x->type.dtype, .shape = x->type.shape, .size = x->data->size, .data = x->data->data};
}

tern_status tern__model_tensors_init(tern__model_tensors *t, const tern_graph *g)
{
    enum { NAME_ROOM = 24 };
    int n_constants = 0, serial = 0;
    *t = (tern__model_tensors){0};
    for (tern_value v = 0; v < g->n_values; v++)
        n_constants += g->values[v].kind == TERN__VALUE_CONST;
    size_t n = (size_t)g->n_variables + (size_t)n_constants;
    t->list = tern__alloc_array(n, sizeof *t->list);
    t->values = tern__alloc_array(n, sizeof *t->values);
    t->names = tern__alloc_array((size_t)n_constants, NAME_ROOM);
    if (!t->list || !t->values || !t->names) {
        tern__model_tensors_finish(t);
        return tern__fail(TERN_E_NOMEM, "model: no memory for a list of %zu tensors", n);
    }
    for (int i = 0; i < g->n_variables; i++)
        add_tensor(t, g, g->variables[i], g->values[g->variables[i]].name);
    t->n_variables = t->n;
    for (tern_value v = 0; v < g->n_values; v++) {
        if (g->values[v].kind != TERN__VALUE_CONST)
            continue;
        char *name = t->names + (size_t)(t->n - t->n_variables) * NAME_ROOM;
        do
            snprintf(name, NAME_ROOM, "const/%d", serial++);
        while (name_taken(g, name)); /* a variable may bear such a name */
        add_tensor(t, g, v, name);
    }
    return TERN_OK;
}

void tern__model_tensors_finish(tern__model_tensors *t)
{
    tern__free(t->list);
    tern__free(t->values);
    tern__free(t->names);
    *t = (tern__model_tensors){0};
}

/* --- The graph --- */

typedef struct writer {
    const tern_graph *g;
    const tern__model_tensors *tensors;
    tern__str s;
    int *id; /* of each value in the file */
    const char *not_utf8;
} writer;

static void put_name(writer *w, const char *key, const char *name)
{
    tern__str_addf(&w->s, "{\"%s\":", key);
    if (!tern__json_add_string(&w->s, name)) {
        tern__str_add(&w->s, "\"\"");
        w->not_utf8 = name;
    }
}

static void put_type(writer *w, tern_value v)
{
    const tern__type *t = tern__type_of(w->g, v);
    tern__str_addf(&w->s, "\"dtype\":\"%s\",\"shape\":", tern_dtype_name(t->dtype));
    tern__json_add_ints(&w->s, t->shape.dim, t->shape.rank);
}

static void separate(writer *w, int i)
{
    tern__str_add(&w->s, i ? ",\n" : "\n");
}

static void put_leaves(writer *w)
{
    const tern_graph *g = w->g;
    const tern__model_tensors *t = w->tensors;
    tern__str_add(&w->s, "{\"inputs\":[");
    for (int i = 0; i < g->n_inputs; i++) {
        separate(w, i);
        put_name(w, "name", g->values[g->inputs[i]].name);
        tern__str_add(&w->s, ",");
        put_type(w, g->inputs[i]);
        tern__str_addf(&w->s, ",\"free_axes\":%u}", g->values[g->inputs[i]].free_axes);
    }
    tern__str_add(&w->s, "],\n\"variables\":[");
    for (int i = 0; i < t->n; i++) {
        bool variable = i < t->n_variables;
        if (i == t->n_variables)
            tern__str_add(&w->s, "],\n\"constants\":[");
        separate(w, variable ? i : i - t->n_variables);
        put_name(w, variable ? "name" : "tensor", t->list[i].name);
        tern__str_add(&w->s, ",");
        put_type(w, t->values[i]);
        if (variable)
            tern__str_addf(&w->s, ",\"trainable\":%s", g->values[t->values[i]].trainable ? "true" : "false");
        tern__str_add(&w->s, "}");
    }
    tern__str_add(&w->s, t->n == t->n_variables ? "],\n\"constants\":[]" : "]");
}

static void put_attr(writer *w, const tern__attr_decl *d, const tern__attr_value *a)
{
    switch (d->type) {
    case TERN_ATTR_INT:
        tern__str_addf(&w->s, "%lld", (long long)a->i);
        break;
    case TERN_ATTR_FLOAT:
        tern__json_add_double(&w->s, a->f);
        break;
    case TERN_ATTR_INTS:
        tern__json_add_ints(&w->s, a->ints, a->n_ints);
        break;
    default:
        if (!tern__json_add_string(&w->s, a->s)) {
            tern__str_add(&w->s, "\"\"");
            w->not_utf8 = a->s;
        }
    }
}

static void put_node(writer *w, const tern__node *n)
{
    int n_in = n->n_in, n_attrs = 0;
    while (n_in > 0 && n->in[n_in - 1] == TERN_NONE)
        n_in--;
    tern__str_addf(&w->s, "{\"op\":\"%s\",\"in\":[", n->op->name);
    for (int i = 0; i < n_in; i++)
        tern__str_addf(&w->s, "%s%d", i ? "," : "", n->in[i] == TERN_NONE ? -1 : w->id[n->in[i]]);
    tern__str_add(&w->s, "],\"attrs\":{");
    for (int i = 0; i < n->op->n_attrs; i++) {
        if (!n->attrs[i].set)
            continue;
        tern__str_addf(&w->s, "%s\"%s\":", n_attrs++ ? "," : "", n->op->attrs[i].name);
        put_attr(w, &n->op->attrs[i], &n->attrs[i]);
    }
    tern__str_add(&w->s, "},\"out\":[");
    for (int i = 0; i < n->n_out; i++) {
        tern__str_add(&w->s, i ? ",{" : "{");
        put_type(w, n->out[i]);
        tern__str_add(&w->s, "}");
    }
    tern__str_add(&w->s, "]}");
}

/* Ids: inputs, variables, constants, then what the nodes make, so that a file does not depend on the order of building. */
static void number_values(writer *w)
{
    const tern_graph *g = w->g;
    int next = 0;
    for (int i = 0; i < g->n_inputs; i++)
        w->id[g->inputs[i]] = next++;
    for (int i = 0; i < w->tensors->n; i++)
        w->id[w->tensors->values[i]] = next++;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i]->n_out; k++)
            w->id[g->nodes[i]->out[k]] = next++;
}

static tern_status put_graph(writer *w)
{
    const tern_graph *g = w->g;
    put_leaves(w);
    tern__str_add(&w->s, ",\n\"nodes\":[");
    for (int i = 0; i < g->n_nodes; i++) {
        separate(w, i);
        put_node(w, g->nodes[i]);
    }
    tern__str_add(&w->s, "],\n\"outputs\":[");
    for (int i = 0; i < g->n_outputs; i++) {
        separate(w, i);
        put_name(w, "name", g->outputs[i].name);
        tern__str_addf(&w->s, ",\"value\":%d}", w->id[g->outputs[i].value]);
    }
    tern__str_add(&w->s, "],\n\"assigns\":[");
    for (int i = 0; i < g->n_assigns; i++) {
        separate(w, i);
        tern__str_addf(&w->s, "{\"variable\":%d,\"value\":%d}", w->id[g->assigns[i].variable], w->id[g->assigns[i].value]);
    }
    tern__str_add(&w->s, "]}");
    if (w->not_utf8)
        return tern__fail(TERN_E_INVALID, "the name or text \"%.80s\" is not UTF-8", w->not_utf8);
    return w->s.failed ? tern__fail(TERN_E_NOMEM, "no memory for the graph's text") : TERN_OK;
}

static tern_status write_model(writer *w, const char *path)
{
    const tern__model_tensors *t = w->tensors;
    number_values(w);
    TERN_TRY(put_graph(w));
    tern__digest d = tern__hash(w->s.s, w->s.len);
    for (int i = 0; i < t->n; i++)
        d = tern__hash_more(d, t->list[i].data, t->list[i].size);
    char version[16], checksum[33];
    snprintf(version, sizeof version, "%d", TERN__MODEL_VERSION);
    tern__digest_hex(d, checksum);
    const tern__st_meta meta[] = {{"tern.version", version}, {"tern.checksum", checksum}, {"tern.graph", w->s.s}};
    return tern__safetensors_write(path, t->list, t->n, meta, TERN_COUNT(meta));
}

tern_status tern_model_save(const tern_graph *g, const char *path)
{
    if (!g || !path)
        return tern__fail(TERN_E_INVALID, "model: a graph and a path are needed");
    TERN_TRY(tern_graph_check(g));
    tern__model_tensors tensors;
    TERN_TRY(tern__model_tensors_init(&tensors, g));
    writer w = {.g = g, .tensors = &tensors, .id = tern__alloc_array((size_t)g->n_values, sizeof *w.id)};
    tern_status st = w.id ? write_model(&w, path) : tern__fail(TERN_E_NOMEM, "no memory for %d values", g->n_values);
    tern__free(w.id);
    tern__str_finish(&w.s);
    tern__model_tensors_finish(&tensors);
    return st == TERN_OK ? st : tern__fail_in(st, "saving a model");
}
