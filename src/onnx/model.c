/* Loading and describing ONNX models. */
#include "onnx/model.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/status.h"
#include "onnx/trace.h"
#include "onnx/wire.h"

enum {
    MAX_NESTING = 64,
    MAX_OPS = 4096,
};

const char *tern__onnx_domain(const char *domain)
{
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

int tern__onnx_opset(Onnx__OperatorSetIdProto *const *sets, size_t n, const char *domain)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(tern__onnx_domain(sets[i]->domain), tern__onnx_domain(domain)) == 0)
            return sets[i]->version < 1 ? 1 : sets[i]->version > 1000 ? 1000 : (int)sets[i]->version;
    return 1;
}

static uint32_t hash_pair(const char *domain, const char *name) { return 31 * tern__hash_text(domain) + tern__hash_text(name); }

/* Where the index of this function is or would be. */
static int *function_place(const tern_onnx *m, const char *domain, const char *name)
{
    const uint32_t mask = (uint32_t)m->cap_function_at - 1;
    uint32_t i = hash_pair(domain, name) & mask;
    for (; m->function_at[i]; i = (i + 1) & mask) {
        const Onnx__FunctionProto *f = m->proto->functions[m->function_at[i] - 1];
        if (strcmp(f->name, name) == 0 && strcmp(tern__onnx_domain(f->domain), domain) == 0)
            break;
    }
    return &m->function_at[i];
}

int tern__onnx_function_index(const tern_onnx *m, const char *domain, const char *name)
{
    return m->cap_function_at > 0 ? *function_place(m, domain, name) - 1 : -1;
}

const Onnx__FunctionProto *tern__onnx_function(const tern_onnx *m, const char *domain, const char *name)
{
    const int i = tern__onnx_function_index(m, domain, name);
    return i >= 0 ? m->proto->functions[i] : NULL;
}

/* Every node asks, so they are found without going through all. Of two with one name the first counts. */
static tern_status index_functions(tern_onnx *m)
{
    const size_t n = m->proto->n_functions;
    if (n == 0)
        return TERN_OK;
    int cap = 8; /* there are at most TERN__ONNX_MAX_FUNCTIONS */
    while ((size_t)cap < 2 * n)
        cap *= 2;
    m->function_at = tern__alloc_array((size_t)cap, sizeof *m->function_at);
    if (!m->function_at)
        return tern__fail(TERN_E_NOMEM, "onnx: %zu functions", n);
    m->cap_function_at = cap;
    for (size_t i = 0; i < n; i++) {
        const Onnx__FunctionProto *f = m->proto->functions[i];
        int *at = function_place(m, tern__onnx_domain(f->domain), f->name);
        *at = *at ? *at : (int)i + 1;
    }
    return TERN_OK;
}

tern_status tern__onnx_each_node(Onnx__NodeProto *const *nodes, size_t n, int depth, tern__onnx_visit fn, void *user)
{
    if (depth > MAX_NESTING)
        return tern__fail(TERN_E_CORRUPT, "onnx: subgraphs nested more than %d deep", MAX_NESTING);
    for (size_t i = 0; i < n; i++) {
        TERN_TRY(fn(user, nodes[i]));
        for (size_t k = 0; k < nodes[i]->n_attribute; k++) {
            const Onnx__AttributeProto *a = nodes[i]->attribute[k];
            if (a->g)
                TERN_TRY(tern__onnx_each_node(a->g->node, a->g->n_node, depth + 1, fn, user));
            for (size_t s = 0; s < a->n_graphs; s++)
                TERN_TRY(tern__onnx_each_node(a->graphs[s]->node, a->graphs[s]->n_node, depth + 1, fn, user));
        }
    }
    return TERN_OK;
}

/* --- Weights ----------------------------------------------------------------------------------------------------- */

static tern__onnx_weight *place(tern__onnx_weight *table, int cap, const Onnx__TensorProto *p)
{
    size_t i = ((uintptr_t)p >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (size_t)(cap - 1);
    while (table[i].proto && table[i].proto != p)
        i = (i + 1) & (size_t)(cap - 1);
    return &table[i];
}

static tern_status widen(tern_onnx *m)
{
    int cap = m->cap_weights ? m->cap_weights * 2 : 64;
    tern__onnx_weight *wide = tern__alloc_array((size_t)cap, sizeof *wide);
    if (!wide)
        return tern__fail(TERN_E_NOMEM, "onnx: %d weights", m->n_weights);
    for (int i = 0; i < m->cap_weights; i++)
        if (m->weights[i].proto)
            *place(wide, cap, m->weights[i].proto) = m->weights[i];
    tern__free(m->weights);
    m->weights = wide;
    m->cap_weights = cap;
    return TERN_OK;
}

tern_status tern__onnx_weight_of(tern_onnx *m, const Onnx__TensorProto *p, tern__type *type, tern__blob **data)
{
    if (2 * (m->n_weights + 1) > m->cap_weights)
        TERN_TRY(widen(m));
    tern__onnx_weight *w = place(m->weights, m->cap_weights, p);
    if (!w->proto) {
        tern__onnx_weight made = {.proto = p};
        TERN_TRY(tern__onnx_tensor(m->file, p, &made.type, &made.data));
        *w = made;
        m->n_weights++;
    }
    *type = w->type;
    *data = w->data;
    return TERN_OK;
}

/* --- What the model uses ----------------------------------------------------------------------------------------- */

/* Where the index of what is called so is or would be. */
static int *op_place(int *at, int cap, const tern_onnx_op *ops, const char *domain, const char *name, int opset)
{
    const uint32_t mask = (uint32_t)cap - 1;
    uint32_t i = (hash_pair(domain, name) + (uint32_t)opset) & mask;
    for (; at[i]; i = (i + 1) & mask) {
        const tern_onnx_op *x = &ops[at[i] - 1];
        if (x->opset == opset && strcmp(x->name, name) == 0 && strcmp(x->domain, domain) == 0)
            break;
    }
    return &at[i];
}

/* Room for one more op, and for its index. */
static tern_status widen_ops(tern_onnx *m)
{
    if (m->n_ops >= MAX_OPS)
        return tern__fail(TERN_E_UNSUPPORTED, "onnx: more than %d different operators", MAX_OPS);
    if (m->n_ops == m->cap_ops && !TERN_GROW(m->ops, m->n_ops, m->cap_ops))
        return tern__fail(TERN_E_NOMEM, "onnx: %d operators", m->n_ops);
    if (2 * (m->n_ops + 1) <= m->cap_op_at)
        return TERN_OK;
    const int cap = m->cap_op_at ? 2 * m->cap_op_at : 32;
    int *wide = tern__alloc_array((size_t)cap, sizeof *wide);
    if (!wide)
        return tern__fail(TERN_E_NOMEM, "onnx: %d operators", m->n_ops);
    for (int i = 0; i < m->n_ops; i++)
        *op_place(wide, cap, m->ops, m->ops[i].domain, m->ops[i].name, m->ops[i].opset) = i + 1;
    tern__free(m->op_at);
    m->op_at = wide;
    m->cap_op_at = cap;
    return TERN_OK;
}

struct survey {
    tern_onnx *m;
    Onnx__OperatorSetIdProto *const *opsets;
    size_t n_opsets;
};

static tern_status note_node(void *user, const Onnx__NodeProto *p)
{
    struct survey *s = user;
    tern_onnx *m = s->m;
    if (!*p->op_type)
        return tern__fail(TERN_E_CORRUPT, "onnx: a node without an operator");
    const char *domain = tern__onnx_domain(p->domain);
    const int opset = tern__onnx_opset(s->opsets, s->n_opsets, domain);
    m->n_nodes++;
    const int *known = m->cap_op_at > 0 ? op_place(m->op_at, m->cap_op_at, m->ops, domain, p->op_type, opset) : NULL;
    if (known && *known) {
        m->ops[*known - 1].count++;
        return TERN_OK;
    }
    TERN_TRY(widen_ops(m));
    *op_place(m->op_at, m->cap_op_at, m->ops, domain, p->op_type, opset) = m->n_ops + 1;
    m->ops[m->n_ops++] = (tern_onnx_op){
        .domain = domain, .name = p->op_type, .opset = opset, .count = 1,
        .supported = tern__onnx_function(m, domain, p->op_type) || tern__onnx_find_handler(domain, p->op_type, opset),
        .node = p->name && *p->name ? p->name : p->n_output > 0 ? p->output[0] : ""};
    return TERN_OK;
}

static tern_status survey_nodes(tern_onnx *m, Onnx__OperatorSetIdProto *const *opsets, size_t n_opsets, Onnx__NodeProto *const *nodes, size_t n)
{
    struct survey s = {m, opsets, n_opsets};
    if (n_opsets > TERN__ONNX_MAX_DOMAINS)
        return tern__fail(TERN_E_UNSUPPORTED, "onnx: %zu operator sets, more than %d", n_opsets, TERN__ONNX_MAX_DOMAINS);
    return tern__onnx_each_node(nodes, n, 0, note_node, &s);
}

static tern_status survey(tern_onnx *m)
{
    const Onnx__ModelProto *p = m->proto;
    TERN_TRY(survey_nodes(m, p->opset_import, p->n_opset_import, p->graph->node, p->graph->n_node));
    for (size_t i = 0; i < p->n_functions; i++)
        TERN_TRY(survey_nodes(m, p->functions[i]->opset_import, p->functions[i]->n_opset_import, p->functions[i]->node, p->functions[i]->n_node));
    return tern__onnx_check_calls(m);
}

/* Names as sets. A value of a set says what has the name. */
static tern__onnx_value weight_name, port_name;

static tern_status initializer_names(const Onnx__GraphProto *g, tern__onnx_scope *set)
{
    for (size_t i = 0; i < g->n_initializer; i++)
        TERN_TRY(tern__onnx_bind(set, g->initializer[i]->name, &weight_name));
    for (size_t i = 0; i < g->n_sparse_initializer; i++)
        if (g->sparse_initializer[i]->values)
            TERN_TRY(tern__onnx_bind(set, g->sparse_initializer[i]->values->name, &weight_name));
    return TERN_OK;
}

/* Some files say -1 for an extent that is open; nothing else below zero has a meaning. */
static tern_status check_extents(const Onnx__ValueInfoProto *v)
{
    const Onnx__TypeProto *t = v->type;
    const bool tensor = t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && t->tensor_type->shape;
    for (size_t i = 0; tensor && i < t->tensor_type->shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = t->tensor_type->shape->dim[i];
        if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value < -1)
            return tern__fail(TERN_E_CORRUPT, "onnx: input \"%s\": extent %" PRId64 " along axis %zu", v->name, d->dim_value, i);
    }
    return TERN_OK;
}

/* Adds the name of an input or output to the set; *weight if an initialiser has it. */
static tern_status note_port(tern__onnx_scope *set, const char *what, size_t i, const char *name, bool *weight)
{
    if (!*name)
        return tern__fail(TERN_E_CORRUPT, "onnx: %s %zu has no name", what, i);
    const tern__onnx_value *known = tern__onnx_lookup(set, name);
    *weight = known == &weight_name;
    if (known == &port_name)
        return tern__fail(TERN_E_CORRUPT, "onnx: two %ss are called \"%s\"", what, name);
    return known ? TERN_OK : tern__onnx_bind(set, name, &port_name);
}

/* Some models have as many inputs as weights. */
static tern_status list_inputs(tern_onnx *m, tern__onnx_scope *set)
{
    const Onnx__GraphProto *g = m->proto->graph;
    m->inputs = tern__alloc_array(g->n_input, sizeof *m->inputs);
    if (!m->inputs)
        return tern__fail(TERN_E_NOMEM, "onnx: %zu inputs", g->n_input);
    TERN_TRY(initializer_names(g, set));
    for (size_t i = 0; i < g->n_input; i++) {
        bool weight;
        TERN_TRY(note_port(set, "input", i, g->input[i]->name, &weight));
        if (weight)
            continue;
        TERN_TRY(check_extents(g->input[i]));
        m->inputs[m->n_inputs++] = g->input[i];
    }
    return TERN_OK;
}

static tern_status check_outputs(const tern_onnx *m, tern__onnx_scope *set)
{
    const Onnx__GraphProto *g = m->proto->graph;
    for (size_t i = 0; i < g->n_output; i++) {
        bool weight;
        TERN_TRY(note_port(set, "output", i, g->output[i]->name, &weight));
    }
    return TERN_OK;
}

static tern_status list_ports(tern_onnx *m)
{
    tern__onnx_scope in = {0}, out = {0};
    tern_status st = list_inputs(m, &in);
    if (st == TERN_OK)
        st = check_outputs(m, &out);
    tern__onnx_scope_finish(&in);
    tern__onnx_scope_finish(&out);
    const size_t n_out = m->proto->graph->n_output;
    if (st == TERN_OK && (m->n_inputs > TERN__ONNX_MAX_PORTS || n_out > TERN__ONNX_MAX_PORTS))
        return tern__fail(TERN_E_UNSUPPORTED, "onnx: %d inputs and %zu outputs, more than %d", m->n_inputs, n_out, TERN__ONNX_MAX_PORTS);
    return st;
}

static tern_status read_model(tern_onnx *m, const char *path)
{
    TERN_TRY(tern__onnx_file_open(path, &m->file));
    m->proto = tern__onnx_file_model(m->file);
    if (!m->proto->graph)
        return tern__fail(TERN_E_CORRUPT, "%s has no graph", path);
    TERN_TRY(index_functions(m));
    TERN_TRY(list_ports(m));
    return survey(m);
}

tern_status tern_onnx_load(const char *path, tern_onnx **out)
{
    if (!path || !out)
        return tern__fail(TERN_E_INVALID, "tern_onnx_load: no %s", path ? "place for the result" : "path");
    tern_onnx *m = tern__alloc(sizeof *m);
    if (!m)
        return tern__fail(TERN_E_NOMEM, "onnx: a model");
    tern_status st = read_model(m, path);
    if (st != TERN_OK) {
        tern_onnx_destroy(m);
        return st;
    }
    *out = m;
    return TERN_OK;
}

void tern_onnx_destroy(tern_onnx *m)
{
    if (!m)
        return;
    for (int i = 0; i < m->cap_weights; i++)
        tern__blob_release(m->weights[i].data);
    tern__free(m->weights);
    tern__free(m->inputs);
    tern__free(m->ops);
    tern__free(m->op_at);
    tern__free(m->function_at);
    tern__onnx_file_close(m->file);
    tern__free(m);
}

/* --- Ports ------------------------------------------------------------------------------------------------------- */

static void describe_tensor(const Onnx__TypeProto__Tensor *t, tern_onnx_port *p)
{
    p->typed = tern__onnx_dtype(t->elem_type, &p->dtype) == TERN_OK;
    if (!t->shape || t->shape->n_dim > TERN_MAX_RANK)
        return;
    p->rank = (int)t->shape->n_dim;
    for (int i = 0; i < p->rank; i++) {
        const Onnx__TensorShapeProto__Dimension *d = t->shape->dim[i];
        p->dim[i] = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && d->dim_value >= 0 ? d->dim_value : -1;
        if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && d->dim_param && *d->dim_param)
            p->dim_name[i] = d->dim_param;
    }
}

static void describe(const Onnx__ValueInfoProto *v, tern_onnx_port *p)
{
    *p = (tern_onnx_port){.name = v->name, .kind = TERN_ONNX_TENSOR, .rank = -1};
    const Onnx__TypeProto *t = v->type;
    while (t && t->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE) {
        p->optional = true;
        t = t->optional_type->elem_type;
    }
    if (t && t->value_case == ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE) {
        p->kind = TERN_ONNX_SEQUENCE;
        t = t->sequence_type->elem_type;
    }
    if (t && t->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        describe_tensor(t->tensor_type, p);
    if (p->kind == TERN_ONNX_SEQUENCE)
        p->rank = -1;
}

int tern_onnx_n_inputs(const tern_onnx *m)
{
    return m->n_inputs;
}

int tern_onnx_n_outputs(const tern_onnx *m)
{
    return (int)m->proto->graph->n_output;
}

tern_status tern_onnx_input(const tern_onnx *m, int i, tern_onnx_port *out)
{
    if (i < 0 || i >= m->n_inputs)
        return tern__fail(TERN_E_INVALID, "tern_onnx_input: %d of %d", i, m->n_inputs);
    describe(m->inputs[i], out);
    return TERN_OK;
}

/* Declared types are a promise that the rest of the model builds on. */
tern_status tern__onnx_check_input(const tern_onnx *m, int i, const tern_onnx_value *v)
{
    tern_onnx_port p;
    TERN_TRY(tern_onnx_input(m, i, &p));
    if (v->kind == TERN_ONNX_NOTHING && p.optional)
        return TERN_OK;
    if (v->kind != p.kind)
        return tern__fail(TERN_E_INVALID, "input \"%s\" wants a %s", p.name, p.kind == TERN_ONNX_TENSOR ? "tensor" : "sequence");
    if (v->kind != TERN_ONNX_TENSOR || !v->tensor)
        return TERN_OK;
    const tern_shape *s = tern_tensor_shape(v->tensor);
    if (p.typed && tern_tensor_dtype(v->tensor) != p.dtype)
        return tern__fail(TERN_E_DTYPE, "input \"%s\" is %s, the model wants %s", p.name, tern_dtype_name(tern_tensor_dtype(v->tensor)),
                          tern_dtype_name(p.dtype));
    if (p.rank >= 0 && p.rank != s->rank)
        return tern__fail(TERN_E_SHAPE, "input \"%s\" has %d dimensions, the model wants %d", p.name, s->rank, p.rank);
    for (int k = 0; k < p.rank; k++)
        if (p.dim[k] >= 0 && p.dim[k] != s->dim[k])
            return tern__fail(TERN_E_SHAPE, "input \"%s\": extent %lld along axis %d, the model wants %lld", p.name, (long long)s->dim[k], k,
                              (long long)p.dim[k]);
    return TERN_OK;
}

tern_status tern_onnx_output(const tern_onnx *m, int i, tern_onnx_port *out)
{
    if (i < 0 || i >= tern_onnx_n_outputs(m))
        return tern__fail(TERN_E_INVALID, "tern_onnx_output: %d of %d", i, tern_onnx_n_outputs(m));
    describe(m->proto->graph->output[i], out);
    return TERN_OK;
}

int tern_onnx_n_ops(const tern_onnx *m)
{
    return m->n_ops;
}

tern_status tern_onnx_get_op(const tern_onnx *m, int i, tern_onnx_op *out)
{
    if (i < 0 || i >= m->n_ops)
        return tern__fail(TERN_E_INVALID, "tern_onnx_get_op: %d of %d", i, m->n_ops);
    *out = m->ops[i];
    return TERN_OK;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

void tern_onnx_get_info(const tern_onnx *m, tern_onnx_info *out)
{
    const Onnx__ModelProto *p = m->proto;
    *out = (tern_onnx_info){.ir_version = p->ir_version, .producer = or_empty(p->producer_name), .producer_version = or_empty(p->producer_version),
                            .graph_name = or_empty(p->graph->name), .n_nodes = m->n_nodes, .n_initializers = (int)p->graph->n_initializer};
    for (size_t i = 0; i < p->n_opset_import; i++)
        if (!*tern__onnx_domain(p->opset_import[i]->domain))
            out->opset = p->opset_import[i]->version;
    for (size_t i = 0; i < p->graph->n_initializer; i++) {
        const Onnx__TensorProto *t = p->graph->initializer[i];
        int64_t elems = 1;
        tern_dtype dtype;
        for (size_t k = 0; k < t->n_dims; k++)
            elems = t->dims[k] < 0 || (t->dims[k] > 0 && elems > INT64_MAX / 16 / t->dims[k]) ? 0 : elems * t->dims[k];
        if (tern__onnx_dtype(t->data_type, &dtype) != TERN_OK)
            continue;
        elems = TERN_MIN(elems, (INT64_MAX - out->weight_bytes) / 8); /* a sum that no file can hold stays where it is */
        out->n_parameters += dtype <= TERN_F64 ? elems : 0;
        out->weight_bytes += elems * (int64_t)tern_dtype_size(dtype);
    }
}
