/* Weights alone: a graph's variables and constants as a plain safetensors file, and variables back from one. */
#include <tern/model.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "formats/model.h"

tern_status tern_weights_save(const tern_graph *g, const char *path)
{
    if (!g || !path)
        return tern__fail(TERN_E_INVALID, "weights: a graph and a path are needed");
    TERN_TRY(tern_graph_check(g));
    tern__model_tensors t;
    TERN_TRY(tern__model_tensors_init(&t, g));
    const tern__st_meta meta[] = {{"format", "tern"}};
    tern_status st = tern__safetensors_write(path, t.list, t.n, meta, TERN_COUNT(meta));
    tern__model_tensors_finish(&t);
    return st == TERN_OK ? st : tern__fail_in(st, "saving weights");
}

/* The file's bytes for one variable, in a blob of their own. */
static tern_status take_blob(const tern__safetensors *file, const tern__value *var, tern__blob **out)
{
    const tern__st_tensor *t = tern__safetensors_find(file, var->name);
    if (!t)
        return tern__fail(TERN_E_NOT_FOUND, "there is no tensor for the variable \"%.80s\"", var->name);
    if (t->dtype != var->type.dtype || !tern__shape_equal(&t->shape, &var->type.shape)) {
        const tern__type stored = {.dtype = t->dtype, .shape = t->shape};
        tern__str a = {0}, b = {0};
        tern__type_print(&a, &var->type);
        tern__type_print(&b, &stored);
        tern_status st = tern__fail(t->dtype != var->type.dtype ? TERN_E_DTYPE : TERN_E_SHAPE, "variable \"%.80s\" is %s, the file's tensor %s",
                                    var->name, tern__str_text(&a), tern__str_text(&b));
        tern__str_finish(&a);
        tern__str_finish(&b);
        return st;
    }
    *out = tern__blob_create(t->data, t->size);
    return *out ? TERN_OK : tern__fail(TERN_E_NOMEM, "no memory for the variable \"%.80s\"", var->name);
}

/* All blobs are made before the first variable changes: a bad file leaves the graph as it was. */
static tern_status replace_variables(tern_graph *g, const tern__safetensors *file)
{
    tern__blob **blobs = tern__alloc_array((size_t)g->n_variables, sizeof(tern__blob *));
    if (!blobs)
        return tern__fail(TERN_E_NOMEM, "no memory for %d variables", g->n_variables);
    tern_status st = TERN_OK;
    for (int i = 0; i < g->n_variables && st == TERN_OK; i++)
        st = take_blob(file, &g->values[g->variables[i]], &blobs[i]);
    for (int i = 0; i < g->n_variables; i++) {
        if (st == TERN_OK) {
            tern__value *var = &g->values[g->variables[i]];
            tern__blob *old = var->data;
            var->data = blobs[i];
            blobs[i] = old;
        }
        tern__blob_release(blobs[i]);
    }
    tern__free(blobs);
    return st;
}

tern_status tern_weights_load(tern_graph *g, const char *path)
{
    if (!g || !path)
        return tern__fail(TERN_E_INVALID, "weights: a graph and a path are needed");
    TERN_TRY(tern_graph_check(g));
    uint8_t *bytes = NULL;
    size_t size = 0;
    tern__safetensors file = {0};
    TERN_TRY(tern__file_read(path, 0, &bytes, &size));
    tern_status st = tern__safetensors_parse(bytes, size, &file);
    if (st == TERN_OK) {
        st = replace_variables(g, &file);
        tern__safetensors_finish(&file);
    }
    tern__free(bytes);
    return st == TERN_OK ? st : tern__fail_in(st, "%s", path);
}
