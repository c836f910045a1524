/* What handlers see: inputs, their elements, attributes, outputs, work on the host, constants. */
#include "onnx/import.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "onnx/trace.h"

tern_status tern__onnx_fail(const tern__onnx_node *n, tern_status st, const char *fmt, ...)
{
    (void)n; /* the walk puts the node's name in front */
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return tern__fail(st, "%s", text);
}

tern_status tern__onnx_axis(const tern__onnx_node *n, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return tern__onnx_fail(n, TERN_E_INVALID, "axis %" PRId64 " out of range for rank %d", axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return TERN_OK;
}

/* --- Inputs ------------------------------------------------------------------------------------------------------ */

bool tern__onnx_has(const tern__onnx_node *n, int i)
{
    return i >= 0 && i < n->n_in && n->in[i];
}

tern_value tern__onnx_in(tern__onnx_node *n, int i)
{
    return tern__onnx_has(n, i) ? tern__onnx_use(n->t, n->in[i]) : TERN_NONE;
}

const tern__type *tern__onnx_type(const tern__onnx_node *n, int i)
{
    return tern__onnx_has(n, i) && n->in[i]->kind == TERN__ONNX_TENSOR ? &n->in[i]->type : &tern__no_value.type;
}

bool tern__onnx_known(tern__onnx_node *n, int i)
{
    if (!tern__onnx_has(n, i) || n->in[i]->kind != TERN__ONNX_TENSOR)
        return false;
    tern__onnx_value *x = n->in[i];
    if (!x->data && x->slot < 0 && x->part == n->t->part && tern__onnx_evaluate(n->t, x->v, &x->data) != TERN_OK)
        return false;
    return x->data != NULL;
}

/* The known elements of input i as an array; *a has data NULL if the input is missing. */
static tern_status known_array(tern__onnx_node *n, int i, tern__array *a)
{
    *a = (tern__array){0};
    if (!tern__onnx_has(n, i))
        return TERN_OK;
    tern_status st = tern__onnx_know(n->t, n->in[i]);
    if (st != TERN_OK)
        return st == TERN__ONNX_AGAIN ? st : tern__fail_in(st, "input %d", i);
    *a = (tern__array){n->in[i]->type, tern__blob_elems(n->in[i]->data)};
    return a->data ? TERN_OK : tern__fail(TERN_E_NOMEM, "input %d: no memory for its %zu bytes", i, n->in[i]->data->size);
}

static tern_status count_of(const tern__array *a, int *count)
{
    int64_t elems = tern__elems(&a->type.shape);
    if (elems > INT32_MAX)
        return tern__fail(TERN_E_UNSUPPORTED, "%" PRId64 " elements where a list is expected", elems);
    *count = (int)elems;
    return TERN_OK;
}

tern_status tern__onnx_read_ints(tern__onnx_node *n, int i, const int64_t **out, int *count)
{
    tern__array a;
    *out = NULL;
    *count = 0;
    tern_status st = known_array(n, i, &a);
    if (st != TERN_OK || !a.data)
        return st;
    TERN_TRY(count_of(&a, count));
    int64_t *v = tern__onnx_trace_scratch(n->t, (size_t)*count, sizeof *v);
    if (!v)
        return tern__fail(TERN_E_NOMEM, "onnx: %d integers", *count);
    for (int k = 0; k < *count; k++)
        v[k] = tern__array_get_int(&a, k);
    *out = v;
    return TERN_OK;
}

tern_status tern__onnx_read_floats(tern__onnx_node *n, int i, const double **out, int *count)
{
    tern__array a;
    *out = NULL;
    *count = 0;
    tern_status st = known_array(n, i, &a);
    if (st != TERN_OK || !a.data)
        return st;
    TERN_TRY(count_of(&a, count));
    double *v = tern__onnx_trace_scratch(n->t, (size_t)*count, sizeof *v);
    if (!v)
        return tern__fail(TERN_E_NOMEM, "onnx: %d numbers", *count);
    for (int k = 0; k < *count; k++)
        v[k] = tern__array_get(&a, k);
    *out = v;
    return TERN_OK;
}

/* --- Attributes -------------------------------------------------------------------------------------------------- */

const Onnx__AttributeProto *tern__onnx_find_attr(const Onnx__NodeProto *p, const char *name)
{
    for (size_t i = 0; i < p->n_attribute; i++)
        if (p->attribute[i]->name && strcmp(p->attribute[i]->name, name) == 0)
            return p->attribute[i];
    return NULL;
}

static const Onnx__AttributeProto *look_at(tern__onnx_node *n, const char *name)
{
    for (size_t i = 0; i < n->proto->n_attribute && i < 64; i++)
        if (n->proto->attribute[i]->name && strcmp(n->proto->attribute[i]->name, name) == 0)
            n->looked_at |= UINT64_C(1) << i;
    return tern__onnx_attr(n, name);
}

/* What a function says of an attribute that its call leaves out; NULL if it says nothing. */
static const Onnx__AttributeProto *default_of(const tern__onnx_node *call, const char *name)
{
    const Onnx__FunctionProto *f = tern__onnx_function(call->t->m, tern__onnx_domain(call->proto->domain), call->proto->op_type);
    size_t n = 0;
    const Onnx__AttributeProto *const *defaults = f ? tern__onnx_function_defaults(call->t->m->file, f, &n) : NULL;
    for (size_t i = 0; i < n; i++)
        if (strcmp(defaults[i]->name, name) == 0)
            return defaults[i];
    return NULL;
}

const Onnx__AttributeProto *tern__onnx_attr(const tern__onnx_node *n, const char *name)
{
    const Onnx__AttributeProto *a = tern__onnx_find_attr(n->proto, name);
    /* Inside a function's body an attribute may stand for one of the call, which may itself be inside a function. */
    for (const tern__onnx_node *call = n->scope->call; a && a->ref_attr_name && *a->ref_attr_name; call = call->scope->call) {
        if (!call)
            return NULL;
        const char *of = a->ref_attr_name;
        a = tern__onnx_find_attr(call->proto, of);
        if (!a)
            return default_of(call, of);
    }
    return a;
}

bool tern__onnx_attr_given(tern__onnx_node *n, const char *name)
{
    return look_at(n, name) != NULL;
}

int64_t tern__onnx_attr_int(tern__onnx_node *n, const char *name, int64_t def)
{
    const Onnx__AttributeProto *a = look_at(n, name);
    return a && a->has_i ? a->i : def;
}

double tern__onnx_attr_float(tern__onnx_node *n, const char *name, double def)
{
    const Onnx__AttributeProto *a = look_at(n, name);
    return a && a->has_f ? (double)a->f : def;
}

/* A NUL follows every bytes field of a file's messages. */
static const char *text_of(const ProtobufCBinaryData *s)
{
    return s->len > 0 ? (const char *)s->data : "";
}

const char *tern__onnx_attr_string(tern__onnx_node *n, const char *name, const char *def)
{
    const Onnx__AttributeProto *a = look_at(n, name);
    return a && a->has_s ? text_of(&a->s) : def;
}

const char *tern__onnx_attr_strings(tern__onnx_node *n, const char *name, int i)
{
    const Onnx__AttributeProto *a = look_at(n, name);
    return a && i >= 0 && (size_t)i < a->n_strings ? text_of(&a->strings[i]) : NULL;
}

const int64_t *tern__onnx_attr_ints(tern__onnx_node *n, const char *name, int *count)
{
    const Onnx__AttributeProto *a = look_at(n, name);
    *count = a ? (int)TERN_MIN(a->n_ints, (size_t)INT32_MAX) : 0;
    return a ? a->ints : NULL;
}

const float *tern__onnx_attr_floats(tern__onnx_node *n, const char *name, int *count)
{
    const Onnx__AttributeProto *a = look_at(n, name);
    *count = a ? (int)TERN_MIN(a->n_floats, (size_t)INT32_MAX) : 0;
    return a ? a->floats : NULL;
}

tern_value tern__onnx_attr_tensor(tern__onnx_node *n, const char *name)
{
    const Onnx__AttributeProto *a = look_at(n, name);
    if (!a || !a->t)
        return TERN_NONE;
    tern__type type;
    tern__blob *data;
    tern_status st = tern__onnx_weight_of(n->t->m, a->t, &type, &data);
    return st == TERN_OK ? tern__graph_blob(n->g, &type, data) : tern__graph_fail(n->g, st, "attribute %s: %s", name, tern_last_error());
}

const Onnx__GraphProto *tern__onnx_attr_graph(tern__onnx_node *n, const char *name)
{
    const Onnx__AttributeProto *a = look_at(n, name);
    return a ? a->g : NULL;
}

void tern__onnx_attr_ignore(tern__onnx_node *n, const char *name)
{
    look_at(n, name);
}

/* --- Outputs ----------------------------------------------------------------------------------------------------- */

bool tern__onnx_wants(const tern__onnx_node *n, int i)
{
    return i >= 0 && i < n->n_out && n->out[i];
}

void tern__onnx_set(tern__onnx_node *n, int i, tern_value v)
{
    if (tern__onnx_wants(n, i) && v >= 0)
        tern__onnx_become(n->t, n->out[i], v);
}

tern_value tern__onnx_run_number(tern__onnx_node *n)
{
    return n->t->run_number ? tern__onnx_use(n->t, n->t->run_number) : TERN_NONE;
}

/* --- On the host ------------------------------------------------------------------------------------------------- */

tern_status tern__onnx_make(tern__onnx_host *h, int i, tern_dtype dtype, const tern_shape *shape)
{
    if (i >= h->n_out)
        return tern__fail(TERN_E_CORRUPT, "output %d of %d", i, h->n_out);
    int64_t elems;
    size_t bytes;
    if (!tern__shape_elems(shape, &elems) || !tern__mul_size((size_t)elems, tern_dtype_size(dtype), &bytes))
        return tern__fail(TERN_E_SHAPE, "output %d is larger than can be counted", i);
    h->out[i] = (tern__array){.type = {.dtype = dtype, .shape = *shape}, .data = tern__alloc(bytes)};
    return h->out[i].data ? TERN_OK : tern__fail(TERN_E_NOMEM, "output %d of %zu bytes", i, bytes);
}

/* All inputs are known: the results are too. */
static tern_status run_now(tern__onnx_node *n, tern__onnx_host_fn fn)
{
    tern__array *arrays = tern__alloc_array((size_t)n->n_in + (size_t)n->n_out, sizeof *arrays);
    if (!arrays)
        return tern__fail(TERN_E_NOMEM, "onnx: work on the host");
    tern__onnx_host h = {n->proto, n->opset, n->n_in, n->n_out, arrays, arrays + n->n_in};
    tern_status st = TERN_OK;
    for (int i = 0; i < n->n_in && st == TERN_OK; i++) {
        if (n->in[i])
            arrays[i] = (tern__array){n->in[i]->type, tern__blob_elems(n->in[i]->data)};
        if (n->in[i] && !arrays[i].data)
            st = tern__fail(TERN_E_NOMEM, "onnx: input %d of work on the host, %zu bytes", i, n->in[i]->data->size);
    }
    if (st == TERN_OK)
        st = fn(&h);
    for (int i = 0; i < n->n_out; i++) {
        if (st == TERN_OK && n->out[i] && h.out[i].data) {
            tern__blob *b = tern__blob_create(h.out[i].data, tern__type_bytes(&h.out[i].type));
            if (b)
                tern__onnx_become_data(n->out[i], &h.out[i].type, b);
            else
                st = tern__fail(TERN_E_NOMEM, "onnx: a result of the host");
            if (b)
                tern__blob_release(b);
        }
        tern__free(h.out[i].data);
    }
    tern__free(arrays);
    return st;
}

static tern_status run_later(tern__onnx_node *n, tern__onnx_host_fn fn, tern__onnx_ref *refs)
{
    if (!n->t->runner)
        return tern__fail(TERN_E_DYNAMIC, "the shape of its result depends on data, so the model has no single graph");
    for (int i = 0; i < n->n_in; i++) {
        tern_status st = tern__onnx_outside(n->t, n->in[i], &refs[i]);
        if (st != TERN_OK)
            return st;
    }
    tern__onnx_ref *out = refs + n->n_in;
    TERN_TRY(n->t->runner->call(n->t->runner->user, fn, n->proto, n->opset, refs, n->n_in, out, n->n_out));
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && out[i].slot >= 0) {
            n->out[i]->kind = TERN__ONNX_TENSOR;
            n->out[i]->type = out[i].type;
            n->out[i]->slot = out[i].slot;
        }
    return TERN_OK;
}

tern_status tern__onnx_on_host(tern__onnx_node *n, tern__onnx_host_fn fn, const char *const *attrs)
{
    bool known = true;
    for (; attrs && *attrs; attrs++)
        look_at(n, *attrs);
    for (size_t i = 0; i < n->proto->n_attribute; i++)
        if (n->proto->attribute[i]->ref_attr_name && *n->proto->attribute[i]->ref_attr_name)
            return tern__fail(TERN_E_UNSUPPORTED, "its attribute \"%s\" refers to a function's", n->proto->attribute[i]->name);
    for (int i = 0; i < n->n_in; i++)
        known &= !n->in[i] || tern__onnx_known(n, i);
    if (known)
        return run_now(n, fn);
    tern__onnx_ref *refs = tern__alloc_array((size_t)n->n_in + (size_t)n->n_out, sizeof *refs);
    if (!refs)
        return tern__fail(TERN_E_NOMEM, "onnx: work on the host");
    tern_status st = run_later(n, fn, refs);
    tern__free(refs);
    return st;
}

/* --- Constants --------------------------------------------------------------------------------------------------- */

static tern_value constant(tern__onnx_node *n, tern_dtype dtype, const tern_shape *shape, const double *f, const int64_t *ints)
{
    tern__array a = {.type = {.dtype = dtype, .shape = *shape}};
    int64_t elems;
    size_t bytes;
    if (!tern__shape_elems(shape, &elems) || !tern__mul_size((size_t)elems, tern_dtype_size(dtype), &bytes))
        return tern__graph_fail(n->g, TERN_E_SHAPE, "a constant larger than can be counted");
    /* No elements: the scratch memory for them was not to be had, and the caller went on. */
    tern__blob *b = f || ints || elems == 0 ? tern__blob_create(NULL, bytes) : NULL;
    if (!b)
        return tern__graph_fail(n->g, TERN_E_NOMEM, "onnx: a constant of %zu bytes", bytes);
    a.data = b->data;
    for (int64_t i = 0; i < elems; i++) {
        if (f)
            tern__array_set(&a, i, f[i]);
        else
            tern__array_set_int(&a, i, ints[i]);
    }
    tern_value v = tern__graph_blob(n->g, &a.type, b);
    tern__blob_release(b);
    return v;
}

tern_value tern__onnx_const(tern__onnx_node *n, tern_dtype dtype, const tern_shape *shape, const double *elements)
{
    return constant(n, dtype, shape, elements, NULL);
}

tern_value tern__onnx_const_ints(tern__onnx_node *n, tern_dtype dtype, const tern_shape *shape, const int64_t *elements)
{
    return constant(n, dtype, shape, NULL, elements);
}

void *tern__onnx_scratch(tern__onnx_node *n, size_t count, size_t size)
{
    void *p = tern__onnx_trace_scratch(n->t, count, size);
    if (!p)
        tern__graph_fail(n->g, TERN_E_NOMEM, "onnx: %zu times %zu bytes", count, size);
    return p;
}
