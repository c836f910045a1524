/* What makes an inference model trainable: weights as variables, frozen layers, another head, another batch. */
#include "onnx/retrain.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/philox.h"

bool tern__onnx_trains(const tern__onnx_trace *t)
{
    return t->params && t->params->training;
}

int64_t tern__onnx_batch(const tern__onnx_trace *t)
{
    return t->params ? t->params->batch : 0;
}

/* --- Which weights learn ------------------------------------------------------------------------------------------ */

static bool frozen(const char *patterns, const char *name)
{
    char one[256];
    while (patterns && *patterns) {
        size_t len = strcspn(patterns, ",");
        if (len > 0 && len < sizeof one) {
            memcpy(one, patterns, len);
            one[len] = 0;
            if (fnmatch(one, name, 0) == 0)
                return true;
        }
        patterns += len + (patterns[len] == ',');
    }
    return false;
}

/* A pattern that fits nothing is a mistake that would be noticed only after the training. */
tern_status tern__onnx_check_freeze(const tern__onnx_trace *t)
{
    const tern_graph *g = t->g;
    const char *patterns = t->params->variables ? t->params->freeze : NULL;
    while (patterns && *patterns) {
        char one[256];
        const size_t len = strcspn(patterns, ",");
        snprintf(one, sizeof one, "%.*s", (int)TERN_MIN(len, sizeof one - 1), patterns);
        bool fits = len == 0;
        for (int i = 0; i < g->n_variables && !fits; i++)
            fits = frozen(one, g->values[g->variables[i]].name);
        if (!fits)
            return tern__fail(TERN_E_NOT_FOUND, "no weight's name fits \"%s\"; the first of %d is \"%s\"", one, g->n_variables,
                              g->n_variables ? g->values[g->variables[0]].name : "");
        patterns += len + (patterns[len] == ',');
    }
    return TERN_OK;
}

static void mark(const tern__onnx_trace *t, tern__onnx_value *x, const char *name)
{
    /* Single numbers are bounds, scales, factors. */
    if (!x || !tern__dtype_is(x->type.dtype, TERN__T_FLOAT) || tern__elems(&x->type.shape) < 2)
        return;
    x->variable = name;
    x->trainable = !frozen(t->params->freeze, name);
}

void tern__onnx_mark_variables(tern__onnx_trace *t, const tern__onnx_scope *s, const Onnx__GraphProto *g)
{
    for (size_t i = 0; t->params && t->params->variables && i < g->n_initializer; i++)
        mark(t, tern__onnx_lookup(s, g->initializer[i]->name), g->initializer[i]->name);
}

tern_status tern__onnx_constant_weight(tern__onnx_node *n, bool *done)
{
    tern__onnx_trace *t = n->t;
    const Onnx__AttributeProto *a = tern__onnx_attr(n, "value");
    *done = t->params && t->params->variables && !n->scope->outer && !n->scope->call && a && a->t && n->n_out == 1 && n->out[0];
    if (!*done)
        return TERN_OK;
    const tern__onnx_override *o = tern__onnx_override_of(t, a->t);
    tern__type type;
    tern__blob *data;
    if (o) {
        type = o->type;
        data = o->data;
    } else {
        TERN_TRY(tern__onnx_weight_of(t->m, a->t, &type, &data));
    }
    tern__onnx_become_data(n->out[0], &type, data);
    mark(t, n->out[0], n->proto->output[0]);
    return TERN_OK;
}

/* --- Another head -------------------------------------------------------------------------------------------------- */

static const Onnx__TensorProto *initializer(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; name && i < g->n_initializer; i++)
        if (g->initializer[i]->name && strcmp(g->initializer[i]->name, name) == 0)
            return g->initializer[i];
    return NULL;
}

static const Onnx__NodeProto *maker(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            if (g->node[i]->output[k] && strcmp(g->node[i]->output[k], name) == 0)
                return g->node[i];
    return NULL;
}

/* An initializer, or what a Constant node holds: some exporters write all weights so. */
static const Onnx__TensorProto *tensor_of(const Onnx__GraphProto *g, const char *name)
{
    const Onnx__TensorProto *t = initializer(g, name);
    const Onnx__NodeProto *p = t || !name ? NULL : maker(g, name);
    const Onnx__AttributeProto *a = p && strcmp(p->op_type, "Constant") == 0 ? tern__onnx_find_attr(p, "value") : NULL;
    return t ? t : a ? a->t : NULL;
}

/* The tensors between the last layer with weights and the output: the layer's own, and lists or biases of what comes after. */
struct head {
    const Onnx__NodeProto *layer;
    const Onnx__TensorProto *weight;
    const Onnx__TensorProto *list;  /* what a Reshape makes of the weight on its way to the layer; NULL: it comes straight */
    const Onnx__TensorProto *others[32];
    int n_others;
};

static bool is_layer(const Onnx__NodeProto *p)
{
    return p->n_input > 1 && (strcmp(p->op_type, "Gemm") == 0 || strcmp(p->op_type, "MatMul") == 0 || strcmp(p->op_type, "Conv") == 0);
}

static void find_weight(const Onnx__GraphProto *g, const Onnx__NodeProto *p, struct head *h)
{
    const Onnx__NodeProto *by = maker(g, p->input[1]);
    h->weight = tensor_of(g, p->input[1]);
    if (h->weight || !by || strcmp(by->op_type, "Reshape") != 0 || by->n_input < 2)
        return;
    h->weight = tensor_of(g, by->input[0]);
    h->list = tensor_of(g, by->input[1]);
}

static tern_status find_head(const tern_onnx *m, struct head *h)
{
    const Onnx__GraphProto *g = m->proto->graph;
    const char *name = g->n_output > 0 ? g->output[0]->name : NULL;
    for (size_t hops = 0; name && hops <= g->n_node; hops++) {
        const Onnx__NodeProto *p = maker(g, name);
        if (!p)
            break;
        if (is_layer(p))
            find_weight(g, p, h);
        for (size_t i = 1; i < p->n_input && h->n_others < TERN_COUNT(h->others); i++) {
            const Onnx__TensorProto *other = tensor_of(g, p->input[i]);
            if (other && other != h->weight)
                h->others[h->n_others++] = other;
        }
        if (h->weight) {
            h->layer = p;
            return TERN_OK;
        }
        name = p->n_input > 0 ? p->input[0] : NULL;
    }
    return tern__fail(TERN_E_UNSUPPORTED, "no Gemm, MatMul or Conv with weights leads to the output \"%s\", so there is no head to replace",
                      g->n_output > 0 ? g->output[0]->name : "");
}

static bool trans_b(const Onnx__NodeProto *p)
{
    const Onnx__AttributeProto *a = tern__onnx_find_attr(p, "transB");
    return a && a->has_i && a->i != 0;
}

/* Uniform, of the variance 1 / (3 fan_in), from the weight's own stream: what most frameworks start a linear layer with. */
static void draw(float *w, int64_t n, int64_t fan_in, uint64_t seed, const char *name)
{
    const uint64_t stream = tern__hash(name, strlen(name)).lo;
    const double bound = 1 / sqrt((double)TERN_MAX(fan_in, 1));
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)(bound * (2 * (double)tern__philox_uniform(seed, stream, (uint64_t)i) - 1));
}

static tern_status add_override(tern__onnx_trace *t, const Onnx__TensorProto *of, const tern__type *type, tern__blob **data)
{
    tern__onnx_override *grown = tern__realloc_array(t->overrides, (size_t)t->n_overrides + 1, sizeof *grown);
    if (!grown)
        return tern__fail(TERN_E_NOMEM, "onnx: a new head");
    t->overrides = grown;
    t->overrides[t->n_overrides++] = (tern__onnx_override){of, *type, *data};
    *data = NULL;
    return TERN_OK;
}

/* A tensor of the head for `classes` outputs in place of `old`: zeroes for biases, the new count in lists of extents. */
static tern_status remake_other(tern__onnx_trace *t, const Onnx__TensorProto *p, int64_t old)
{
    tern__type type;
    tern__blob *was, *made;
    TERN_TRY(tern__onnx_weight_of(t->m, p, &type, &was));
    const tern__array from = {type, tern__blob_elems(was)};
    if (!from.data)
        return tern__fail(TERN_E_NOMEM, "onnx: a new head");
    bool changes = false;
    if (type.dtype == TERN_I64) {
        for (int64_t i = 0; i < tern__elems(&type.shape); i++)
            changes |= tern__array_get_int(&from, i) == old;
    } else if (tern__dtype_is(type.dtype, TERN__T_FLOAT)) {
        for (int i = 0; i < type.shape.rank; i++)
            changes |= type.shape.dim[i] == old;
    }
    if (!changes)
        return TERN_OK;
    for (int i = 0; type.dtype != TERN_I64 && i < type.shape.rank; i++)
        type.shape.dim[i] = type.shape.dim[i] == old ? t->params->classes : type.shape.dim[i];
    made = tern__blob_create(NULL, tern__type_bytes(&type));
    if (!made)
        return tern__fail(TERN_E_NOMEM, "onnx: a new head");
    const tern__array to = {type, made->data};
    for (int64_t i = 0; type.dtype == TERN_I64 && i < tern__elems(&type.shape); i++) {
        int64_t x = tern__array_get_int(&from, i);
        tern__array_set_int(&to, i, x == old ? t->params->classes : x);
    }
    tern_status st = add_override(t, p, &type, &made);
    tern__blob_release(made);
    return st;
}

/* The list that the weight is reshaped to, with another extent along `axis`, which must be the weight's own axis of outputs. */
static tern_status remake_list(tern__onnx_trace *t, const struct head *h, bool first, int64_t old)
{
    tern__type type;
    tern__blob *was, *made;
    TERN_TRY(tern__onnx_weight_of(t->m, h->list, &type, &was));
    const int64_t n = tern__elems(&type.shape), axis = first ? 0 : n - 1;
    const tern__array from = {type, tern__blob_elems(was)};
    if (!from.data)
        return tern__fail(TERN_E_NOMEM, "onnx: a new head");
    if (type.dtype != TERN_I64 || n < 2 || tern__array_get_int(&from, axis) != old)
        return tern__fail(TERN_E_UNSUPPORTED, "the head's weight \"%s\" is reshaped so that its %" PRId64 " outputs do not stay an axis of their own",
                          h->weight->name, old);
    made = tern__blob_create(was->data, was->size);
    if (!made)
        return tern__fail(TERN_E_NOMEM, "onnx: a new head");
    const tern__array to = {type, made->data};
    tern__array_set_int(&to, axis, t->params->classes);
    tern_status st = add_override(t, h->list, &type, &made);
    tern__blob_release(made);
    return st;
}

tern_status tern__onnx_new_head(tern__onnx_trace *t)
{
    if (!t->params || t->params->classes <= 0)
        return TERN_OK;
    struct head h = {0};
    tern__type type;
    tern__blob *was;
    TERN_TRY(find_head(t->m, &h));
    TERN_TRY(tern__onnx_weight_of(t->m, h.weight, &type, &was));
    if (type.dtype != TERN_F32 || type.shape.rank < 2)
        return tern__fail(TERN_E_UNSUPPORTED, "the head's weight \"%s\" is no f32 matrix", h.weight->name);
    const bool conv = strcmp(h.layer->op_type, "Conv") == 0;
    const bool first = conv || (strcmp(h.layer->op_type, "Gemm") == 0 && trans_b(h.layer));
    const int axis = first ? 0 : type.shape.rank - 1;
    const int64_t old = type.shape.dim[axis], fan_in = tern__elems(&type.shape) / TERN_MAX(old, 1);
    type.shape.dim[axis] = t->params->classes;
    int64_t elems;
    if (!tern__shape_elems(&type.shape, &elems) || elems > INT32_MAX)
        return tern__fail(TERN_E_SHAPE, "a head for %" PRId64 " classes is too large", t->params->classes);
    tern__blob *made = tern__blob_create(NULL, tern__type_bytes(&type));
    if (!made)
        return tern__fail(TERN_E_NOMEM, "onnx: a new head");
    draw((float *)(void *)made->data, elems, fan_in, t->params->seed, h.weight->name);
    tern_status st = add_override(t, h.weight, &type, &made);
    tern__blob_release(made);
    if (st == TERN_OK && h.list)
        st = remake_list(t, &h, first, old);
    for (int i = 0; i < h.n_others && st == TERN_OK; i++)
        st = remake_other(t, h.others[i], old);
    return st;
}

const tern__onnx_override *tern__onnx_override_of(const tern__onnx_trace *t, const Onnx__TensorProto *p)
{
    for (int i = 0; i < t->n_overrides; i++)
        if (t->overrides[i].of == p)
            return &t->overrides[i];
    return NULL;
}

void tern__onnx_overrides_finish(tern__onnx_trace *t)
{
    for (int i = 0; i < t->n_overrides; i++)
        tern__blob_release(t->overrides[i].data);
    tern__free(t->overrides);
}

/* --- Scores rather than probabilities ------------------------------------------------------------------------------ */

static tern_value before_softmax(const tern_graph *g, tern_value v)
{
    tern_value at = v;
    for (const tern__node *n = tern__producer(g, at); n; n = tern__producer(g, at)) {
        if (strcmp(n->op->name, "softmax") == 0 || strcmp(n->op->name, "log_softmax") == 0)
            return n->in[0];
        if (!n->op->reshapes && strcmp(n->op->name, "identity") != 0)
            break;
        at = n->in[0];
    }
    return v;
}

tern_value tern__onnx_scores(tern_graph *g, tern_value v)
{
    v = before_softmax(g, v);
    tern_shape s = *tern__shape_of(g, v);
    if (s.rank <= 2)
        return v;
    while (s.rank > 2 && s.dim[s.rank - 1] == 1)
        s.rank--;
    return s.rank == 2 ? tern__reshape(g, v, &s) : v;
}
