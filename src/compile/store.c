/* Variables on a device, by name. */
#include "compile/store.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

struct variable {
    char *name;
    tern__type type;
    tern__buffer *buffer;
};

struct tern_store {
    int refs;
    tern_device *device;
    struct variable *vars;
    int n, cap;
};

tern_status tern_store_create(tern_device *d, tern_store **out)
{
    if (!d || !out)
        return tern__fail(TERN_E_INVALID, "store: no device or nowhere to put the store");
    tern_store *s = tern__alloc(sizeof *s);
    if (!s)
        return tern__fail(TERN_E_NOMEM, "store: %zu bytes", sizeof *s);
    s->refs = 1;
    s->device = tern__device_retain(d);
    *out = s;
    return TERN_OK;
}

tern_store *tern__store_retain(tern_store *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void tern_store_destroy(tern_store *s)
{
    if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (int i = 0; i < s->n; i++) {
        tern__free(s->vars[i].name);
        tern__buffer_release(s->vars[i].buffer);
    }
    tern__free(s->vars);
    tern__device_release(s->device);
    tern__free(s);
}

static struct variable *find(tern_store *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->vars[i].name, name))
            return &s->vars[i];
    return NULL;
}

static tern_status check_type(const struct variable *x, tern_dtype dtype, const tern_shape *shape)
{
    if (x->type.dtype != dtype)
        return tern__fail(TERN_E_DTYPE, "store: variable %s is %s, not %s", x->name, tern_dtype_name(x->type.dtype), tern_dtype_name(dtype));
    if (!tern__shape_equal(&x->type.shape, shape)) {
        tern__str a = {0}, b = {0};
        tern__shape_print(&a, &x->type.shape);
        tern__shape_print(&b, shape);
        tern__fail(TERN_E_SHAPE, "store: variable %s has shape %s, not %s", x->name, tern__str_text(&a), tern__str_text(&b));
        tern__str_finish(&a);
        tern__str_finish(&b);
        return TERN_E_SHAPE;
    }
    return TERN_OK;
}

tern_status tern__store_variable(tern_store *s, const tern_graph *g, tern_value v, tern__buffer **out)
{
    const tern__value *x = tern__value_at(g, v);
    struct variable *have = find(s, x->name);
    if (have) {
        TERN_TRY(check_type(have, x->type.dtype, &x->type.shape));
        *out = have->buffer;
        return TERN_OK;
    }
    if (!TERN_GROW(s->vars, s->n, s->cap))
        return tern__fail(TERN_E_NOMEM, "store: variable %d", s->n);
    struct variable fresh = {.name = tern__strdup(x->name), .type = x->type};
    size_t bytes = tern__type_bytes(&x->type);
    tern_status st = fresh.name ? tern__buffer_create(s->device, bytes, &fresh.buffer) : tern__fail(TERN_E_NOMEM, "store: a name");
    if (st == TERN_OK && x->data && bytes)
        st = tern__buffer_write(fresh.buffer, 0, x->data->data, bytes);
    if (x->data)
        tern__blob_rest(x->data);
    if (st != TERN_OK) {
        tern__free(fresh.name);
        tern__buffer_release(fresh.buffer);
        return st;
    }
    s->vars[s->n++] = fresh;
    *out = fresh.buffer;
    return TERN_OK;
}

static tern_status lookup(tern_store *s, const char *name, const tern_tensor *t, struct variable **out)
{
    if (!s || !name || !t)
        return tern__fail(TERN_E_INVALID, "store: a store, a name and a tensor are needed");
    struct variable *x = find(s, name);
    if (!x)
        return tern__fail(TERN_E_NOT_FOUND, "store: no variable is called %s (%d there are)", name, s->n);
    if (!tern_tensor_data(t))
        return tern__fail(TERN_E_INVALID, "store: variable %s goes to and from host tensors only", name);
    TERN_TRY(check_type(x, tern_tensor_dtype(t), tern_tensor_shape(t)));
    *out = x;
    return TERN_OK;
}

tern_status tern_store_read(tern_store *s, const char *name, tern_tensor *t)
{
    struct variable *x;
    TERN_TRY(lookup(s, name, t, &x));
    size_t bytes = tern__type_bytes(&x->type);
    return bytes ? tern__buffer_read(x->buffer, 0, tern_tensor_data(t), bytes) : TERN_OK;
}

tern_status tern_store_write(tern_store *s, const char *name, const tern_tensor *t)
{
    struct variable *x;
    TERN_TRY(lookup(s, name, t, &x));
    size_t bytes = tern__type_bytes(&x->type);
    return bytes ? tern__buffer_write(x->buffer, 0, tern_tensor_data(t), bytes) : TERN_OK;
}

tern_status tern_store_into_graph(tern_store *s, tern_graph *g)
{
    if (!s || !g)
        return tern__fail(TERN_E_INVALID, "store: a store and a graph are needed");
    for (int i = 0; i < g->n_variables; i++) {
        tern__value *v = &g->values[g->variables[i]];
        struct variable *x = find(s, v->name);
        if (!x)
            continue;
        TERN_TRY(check_type(x, v->type.dtype, &v->type.shape));
        size_t bytes = tern__type_bytes(&v->type);
        tern__blob *blob = tern__blob_create(NULL, bytes);
        if (!blob)
            return tern__fail(TERN_E_NOMEM, "store: %zu bytes for variable %s", bytes, v->name);
        tern_status st = bytes ? tern__buffer_read(x->buffer, 0, blob->data, bytes) : TERN_OK;
        if (st != TERN_OK) {
            tern__blob_release(blob);
            return st;
        }
        tern__blob_release(v->data);
        v->data = blob;
    }
    return TERN_OK;
}
