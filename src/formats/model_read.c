/* Loading: every part of a model file is checked, and the graph is built through the public builder, so that its rules hold too. */
#include "formats/model.h"
#include <tern/model.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "formats/json.h"
#include "ops/op.h"

#include <limits.h>
#include <string.h>

/* The builder compares each new name with all others; no network comes near this many. */
enum { NAMES_LIMIT = 20000 };

typedef struct reader {
    tern_graph *g;
    const tern__safetensors *file;
    tern__json_doc graph;
    tern__digest digest;
    tern_value *ids; /* the graph's values by the file's ids */
    int n_ids, cap_ids;
    int n_tensors; /* used */
} reader;

/* --- Pieces of JSON --- */

static tern_status get_list(const tern__json *from, const char *key, int limit, const tern__json **out)
{
    const tern__json *v = tern__json_get(from, key);
    if (!tern__json_is(v, TERN__JSON_LIST))
        return tern__fail(TERN_E_CORRUPT, "\"%s\" is not a list", key);
    if (v->n > limit)
        return tern__fail(TERN_E_UNSUPPORTED, "%d %s; at most %d are read", v->n, key, limit);
    *out = v;
    return TERN_OK;
}

static tern_status get_text(const tern__json *from, const char *key, const char **out)
{
    *out = tern__json_string(tern__json_get(from, key));
    return *out ? TERN_OK : tern__fail(TERN_E_CORRUPT, "\"%s\" is not a string", key);
}

static tern_status get_type(const tern__json *from, tern__type *t)
{
    const char *name;
    *t = (tern__type){0};
    TERN_TRY(get_text(from, "dtype", &name));
    if (tern_dtype_parse(name, &t->dtype) != TERN_OK)
        return tern__fail(TERN_E_CORRUPT, "the dtype \"%.20s\" is unknown", name);
    return tern__json_shape(tern__json_get(from, "shape"), &t->shape);
}

static tern_status get_id(const reader *r, const tern__json *v, bool optional, tern_value *out)
{
    int64_t least = optional ? -1 : 0;
    if (!tern__json_is(v, TERN__JSON_INT) || v->as.i < least || v->as.i >= r->n_ids)
        return tern__fail(TERN_E_CORRUPT, "a value's number is not from %lld to %d", (long long)least, r->n_ids - 1);
    *out = v->as.i < 0 ? TERN_NONE : r->ids[v->as.i];
    return TERN_OK;
}

static tern_status push_id(reader *r, tern_value v)
{
    if (!TERN_GROW(r->ids, r->n_ids, r->cap_ids))
        return tern__fail(TERN_E_NOMEM, "no memory for value %d", r->n_ids);
    r->ids[r->n_ids++] = v;
    return TERN_OK;
}

/* What the builder says about a stored graph: its own misuse means that the file is wrong. */
static tern_status builder_status(const reader *r)
{
    tern_status st = tern_graph_check(r->g);
    bool passes = st == TERN_OK || st == TERN_E_NOMEM || st == TERN_E_UNSUPPORTED;
    return passes ? st : TERN_E_CORRUPT;
}

static bool type_equal(const tern__type *a, const tern__type *b)
{
    return a->dtype == b->dtype && tern__shape_equal(&a->shape, &b->shape);
}

/* --- Inputs, variables, constants --- */

static tern_status read_input(reader *r, const tern__json *v)
{
    const char *name;
    tern__type t;
    TERN_TRY(get_text(v, "name", &name));
    TERN_TRY(get_type(v, &t));
    const tern__json *axes = tern__json_get(v, "free_axes");
    if (!tern__json_is(axes, TERN__JSON_INT) || axes->as.i < 0 || axes->as.i > UINT_MAX)
        return tern__fail(TERN_E_CORRUPT, "\"free_axes\" is not a bit mask");
    tern_value x = tern_graph_input(r->g, name, t.dtype, &t.shape, (unsigned)axes->as.i);
    TERN_TRY(builder_status(r));
    return push_id(r, x);
}

/* The tensor that a variable or constant names, with its bytes in the checksum. */
static tern_status take_tensor(reader *r, const tern__json *v, const char *name, const tern__st_tensor **out)
{
    tern__type t;
    TERN_TRY(get_type(v, &t));
    const tern__st_tensor *found = tern__safetensors_find(r->file, name);
    if (!found)
        return tern__fail(TERN_E_CORRUPT, "there is no tensor \"%.80s\"", name);
    const tern__type stored = {.dtype = found->dtype, .shape = found->shape};
    if (!type_equal(&t, &stored))
        return tern__fail(TERN_E_CORRUPT, "tensor \"%.80s\" differs in type from the graph's", name);
    r->digest = tern__hash_more(r->digest, found->data, found->size);
    r->n_tensors++;
    *out = found;
    return TERN_OK;
}

/* The builder copies the bytes, from any alignment. */
static tern_status read_tensor(reader *r, const tern__json *v, bool variable)
{
    const char *name;
    const tern__st_tensor *found = NULL;
    tern_tensor *t = NULL;
    TERN_TRY(get_text(v, variable ? "name" : "tensor", &name));
    TERN_TRY(take_tensor(r, v, name, &found));
    const tern__json *trainable = tern__json_get(v, "trainable");
    bool train = tern__json_is(trainable, TERN__JSON_TRUE);
    if (variable && !train && !tern__json_is(trainable, TERN__JSON_FALSE))
        return tern__fail(TERN_E_CORRUPT, "\"trainable\" is not true or false");
    TERN_TRY(tern_tensor_wrap(found->dtype, &found->shape, (void *)(uintptr_t)found->data, &t));
    tern_value x = variable ? tern_graph_variable(r->g, name, t, train) : tern_graph_constant(r->g, t);
    tern_tensor_destroy(t);
    TERN_TRY(builder_status(r));
    return push_id(r, x);
}

static tern_status read_variable(reader *r, const tern__json *v) { return read_tensor(r, v, true); }
static tern_status read_constant(reader *r, const tern__json *v) { return read_tensor(r, v, false); }

/* --- Nodes --- */

/* What one node needs while it is handed to the builder. */
typedef struct node_parts {
    tern_value *in, *out;
    tern_attr *attrs;
    int n_in, n_out;
} node_parts;

static tern_status read_ints(const tern__json *v, tern_attr *a)
{
    int64_t *ints = tern__alloc_array((size_t)v->n, sizeof *ints);
    a->ints = ints;
    if (!ints)
        return tern__fail(TERN_E_NOMEM, "no memory for attribute \"%s\"", a->name);
    for (const tern__json *x = tern__json_first(v); x; x = tern__json_next(v, x)) {
        if (x->kind != TERN__JSON_INT)
            return tern__fail(TERN_E_CORRUPT, "attribute \"%.40s\" is not a list of integers", a->name);
        ints[a->n_ints++] = x->as.i;
    }
    return TERN_OK;
}

/* The op's declaration says what the JSON value must be. */
static tern_status read_attr(const tern__op *op, const tern__json *v, tern_attr *a)
{
    int slot = 0;
    while (slot < op->n_attrs && strcmp(op->attrs[slot].name, v->key))
        slot++;
    if (slot == op->n_attrs)
        return tern__fail(TERN_E_UNSUPPORTED, "this version knows no attribute \"%.40s\" of it", v->key);
    a->name = op->attrs[slot].name;
    a->type = op->attrs[slot].type;
    bool ok = true;
    switch (a->type) {
    case TERN_ATTR_INT:
        ok = v->kind == TERN__JSON_INT;
        a->i = ok ? v->as.i : 0;
        break;
    case TERN_ATTR_FLOAT:
        ok = tern__json_double(v, &a->f);
        break;
    case TERN_ATTR_STRING:
        a->s = tern__json_string(v);
        ok = a->s != NULL;
        break;
    default:
        if (v->kind == TERN__JSON_LIST)
            return read_ints(v, a);
        ok = false;
    }
    return ok ? TERN_OK : tern__fail(TERN_E_CORRUPT, "attribute \"%.40s\" has the wrong type", v->key);
}

static tern_status read_parts(const reader *r, const tern__op *op, const tern__json *v, node_parts *p)
{
    const tern__json *in, *out, *attrs = tern__json_get(v, "attrs");
    TERN_TRY(get_list(v, "in", INT_MAX, &in));
    TERN_TRY(get_list(v, "out", INT_MAX, &out));
    if (!tern__json_is(attrs, TERN__JSON_OBJECT))
        return tern__fail(TERN_E_CORRUPT, "\"attrs\" is not an object");
    p->n_in = in->n;
    p->n_out = op->n_out >= 0 ? op->n_out : out->n;
    p->in = tern__alloc_array((size_t)p->n_in, sizeof *p->in);
    p->out = tern__alloc_array((size_t)p->n_out, sizeof *p->out);
    p->attrs = tern__alloc_array((size_t)attrs->n + 1, sizeof *p->attrs); /* ends with {0} */
    if (!p->in || !p->out || !p->attrs)
        return tern__fail(TERN_E_NOMEM, "no memory for its %d inputs and %d outputs", p->n_in, p->n_out);
    /* An op may have learnt to give more since the file was written: what the file does not know of nobody reads. */
    if (out->n < 1 || out->n > p->n_out)
        return tern__fail(TERN_E_CORRUPT, "it has %d outputs", out->n);
    int n = 0;
    for (const tern__json *x = tern__json_first(in); x; x = tern__json_next(in, x))
        TERN_TRY(get_id(r, x, true, &p->in[n++]));
    n = 0;
    for (const tern__json *x = tern__json_first(attrs); x; x = tern__json_next(attrs, x))
        TERN_TRY(read_attr(op, x, &p->attrs[n++]));
    return TERN_OK;
}

/* The shape rules give the outputs' types anew; the stored ones must agree. */
static tern_status check_outputs(reader *r, const tern__json *out, const node_parts *p)
{
    int i = 0;
    for (const tern__json *x = tern__json_first(out); x; x = tern__json_next(out, x), i++) {
        tern__type stored;
        TERN_TRY(get_type(x, &stored));
        if (!type_equal(&stored, tern__type_of(r->g, p->out[i]))) {
            tern__str a = {0}, b = {0};
            tern__type_print(&a, &stored);
            tern__type_print(&b, tern__type_of(r->g, p->out[i]));
            tern__fail(TERN_E_CORRUPT, "output %d is stored as %s, the shape rule says %s", i, tern__str_text(&a), tern__str_text(&b));
            tern__str_finish(&a);
            tern__str_finish(&b);
            return TERN_E_CORRUPT;
        }
        TERN_TRY(push_id(r, p->out[i]));
    }
    return TERN_OK;
}

static tern_status read_node(reader *r, const tern__json *v)
{
    const char *name;
    TERN_TRY(get_text(v, "op", &name));
    const tern__op *op = tern__op_find(name);
    if (!op)
        return tern__fail(TERN_E_UNSUPPORTED, "the op \"%.40s\" is unknown to Tern %s", name, tern_version());
    node_parts p = {0};
    tern_status st = read_parts(r, op, v, &p);
    if (st == TERN_OK) {
        tern_graph_add_n(r->g, name, p.in, p.n_in, p.attrs, p.out, p.n_out);
        st = builder_status(r);
    }
    if (st == TERN_OK)
        st = check_outputs(r, tern__json_get(v, "out"), &p);
    else
        tern__fail_in(st, "%.40s", name);
    for (tern_attr *a = p.attrs; a && a->name; a++)
        tern__free((void *)(uintptr_t)a->ints);
    tern__free(p.attrs);
    tern__free(p.in);
    tern__free(p.out);
    return st;
}

/* --- Results --- */

static tern_status read_output(reader *r, const tern__json *v)
{
    const char *name;
    tern_value x;
    TERN_TRY(get_text(v, "name", &name));
    TERN_TRY(get_id(r, tern__json_get(v, "value"), false, &x));
    tern_graph_output(r->g, name, x);
    return builder_status(r);
}

static tern_status read_assign(reader *r, const tern__json *v)
{
    tern_value variable, x;
    TERN_TRY(get_id(r, tern__json_get(v, "variable"), false, &variable));
    TERN_TRY(get_id(r, tern__json_get(v, "value"), false, &x));
    tern_graph_assign(r->g, variable, x);
    return builder_status(r);
}

static tern_status read_lists(reader *r)
{
    static const struct {
        const char *key;
        int limit;
        tern_status (*read)(reader *r, const tern__json *v);
    } parts[] = {
        {"inputs", NAMES_LIMIT, read_input}, {"variables", NAMES_LIMIT, read_variable}, {"constants", NAMES_LIMIT, read_constant},
        {"nodes", INT_MAX, read_node},       {"outputs", NAMES_LIMIT, read_output},     {"assigns", NAMES_LIMIT, read_assign},
    };
    for (int i = 0; i < TERN_COUNT(parts); i++) {
        const tern__json *list;
        TERN_TRY(get_list(r->graph.values, parts[i].key, parts[i].limit, &list));
        int k = 0;
        for (const tern__json *v = tern__json_first(list); v; v = tern__json_next(list, v), k++) {
            tern_status st = parts[i].read(r, v);
            if (st != TERN_OK)
                return tern__fail_in(st, "%s[%d]", parts[i].key, k);
        }
    }
    return TERN_OK;
}

static tern_status check_version(const tern__safetensors *file)
{
    const char *version = tern__safetensors_meta(file, "tern.version");
    if (!version)
        return tern__fail(TERN_E_CORRUPT, "a safetensors file without a Tern graph in its metadata");
    size_t digits = strspn(version, "0123456789");
    if (digits == 0 || digits > 9 || version[digits] || version[0] == '0')
        return tern__fail(TERN_E_CORRUPT, "the version \"%.20s\" is not a number", version);
    int number = 0;
    for (const char *c = version; *c; c++)
        number = 10 * number + (*c - '0');
    if (number > TERN__MODEL_VERSION)
        return tern__fail(TERN_E_UNSUPPORTED, "version %d of the format is newer than the %d that Tern %s reads", number, TERN__MODEL_VERSION,
                          tern_version());
    return TERN_OK;
}

static tern_status read_graph(reader *r, const char *text)
{
    r->digest = tern__hash(text, strlen(text));
    tern_status st = tern__json_parse(text, strlen(text), &r->graph);
    if (st != TERN_OK)
        return tern__fail_in(st, "the graph");
    TERN_TRY(read_lists(r));
    if (r->n_tensors != r->file->n)
        return tern__fail(TERN_E_CORRUPT, "%d tensors, of which the graph uses %d", r->file->n, r->n_tensors);
    char sum[33];
    const char *stored = tern__safetensors_meta(r->file, "tern.checksum");
    tern__digest_hex(r->digest, sum);
    if (!stored || strcmp(stored, sum) != 0)
        return tern__fail(TERN_E_CORRUPT, "the checksum is %s, the file says %.40s", sum, stored ? stored : "nothing");
    return tern__graph_verify(r->g);
}

static tern_status read_file(const tern__safetensors *file, tern_graph **out)
{
    TERN_TRY(check_version(file));
    const char *text = tern__safetensors_meta(file, "tern.graph");
    if (!text)
        return tern__fail(TERN_E_CORRUPT, "there is no graph in the metadata");
    reader r = {.file = file};
    TERN_TRY(tern_graph_create(&r.g));
    tern_status st = read_graph(&r, text);
    tern__json_finish(&r.graph);
    tern__free(r.ids);
    if (st != TERN_OK) {
        tern_graph_destroy(r.g);
        return st;
    }
    *out = r.g;
    return TERN_OK;
}

tern_status tern__model_parse(const uint8_t *bytes, size_t size, tern_graph **out)
{
    tern__safetensors file = {0};
    TERN_TRY(tern__safetensors_parse(bytes, size, &file));
    tern_status st = read_file(&file, out);
    tern__safetensors_finish(&file);
    return st;
}

tern_status tern_model_load(const char *path, tern_graph **out)
{
    if (!path || !out)
        return tern__fail(TERN_E_INVALID, "model: a path and a place for the graph are needed");
    uint8_t *bytes = NULL;
    size_t size = 0;
    TERN_TRY(tern__file_read(path, 0, &bytes, &size));
    tern_status st = tern__model_parse(bytes, size, out);
    tern__free(bytes);
    return st == TERN_OK ? st : tern__fail_in(st, "%s", path);
}
