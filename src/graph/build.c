/* Building a graph: inputs, constants, variables, nodes, results; the first error latches and silences the rest. */
#include "graph/node.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

/* True once nothing may be added any more. */
static bool stopped(const tern_graph *g)
{
    return !g || g->error != TERN_OK;
}

/* Inputs and variables share one set of names; results are checked where they are named. */
static bool name_free(tern_graph *g, const char *what, const char *name)
{
    if (!name || !*name) {
        tern__graph_fail(g, TERN_E_INVALID, "%s: needs a name", what);
        return false;
    }
    tern_value other = TERN_NONE;
    for (int i = 0; i < g->n_inputs; i++)
        if (strcmp(g->values[g->inputs[i]].name, name) == 0)
            other = g->inputs[i];
    for (int i = 0; i < g->n_variables; i++)
        if (strcmp(g->values[g->variables[i]].name, name) == 0)
            other = g->variables[i];
    for (int i = 0; i < g->n_outputs; i++)
        if (strcmp(g->outputs[i].name, name) == 0)
            other = g->outputs[i].value;
    if (other != TERN_NONE)
        tern__graph_fail(g, TERN_E_INVALID, "%s \"%s\": the name is already that of value %d", what, name, (int)other);
    return other == TERN_NONE;
}

static bool dtype_known(tern_graph *g, const char *what, tern_dtype t)
{
    if ((int)t >= 0 && t < TERN_DTYPE_COUNT)
        return true;
    tern__graph_fail(g, TERN_E_DTYPE, "%s: %d is no element type", what, (int)t);
    return false;
}

/* Pushes a value that has a name and adds it to a list of the graph's. */
static tern_value push_named(tern_graph *g, tern__value_kind kind, const tern__type *t, const char *name, tern_value **list, int *n,
                             int *cap)
{
    char *copy = tern__strdup(name);
    if (!copy || !tern__grow((void **)list, *n, cap, sizeof **list)) {
        tern__free(copy);
        return tern__graph_fail(g, TERN_E_NOMEM, "graph: no memory for \"%s\"", name);
    }
    tern_value v = tern__graph_push(g, kind, t);
    if (v == TERN_NONE) {
        tern__free(copy);
        return TERN_NONE;
    }
    g->values[v].name = copy;
    (*list)[(*n)++] = v;
    return v;
}

tern_value tern_graph_input(tern_graph *g, const char *name, tern_dtype dtype, const tern_shape *shape, unsigned free_axes)
{
    if (stopped(g) || !name_free(g, "input", name) || !dtype_known(g, name, dtype))
        return TERN_NONE;
    if (!shape)
        return tern__graph_fail(g, TERN_E_INVALID, "input \"%s\": no shape", name);
    if (shape->rank >= 0 && shape->rank <= TERN_MAX_RANK && free_axes >> shape->rank)
        return tern__graph_fail(g, TERN_E_INVALID, "input \"%s\": free axes 0x%x, but the rank is %d", name, free_axes, shape->rank);
    tern__type t = {.dtype = dtype, .shape = *shape};
    tern_value v = push_named(g, TERN__VALUE_INPUT, &t, name, &g->inputs, &g->n_inputs, &g->cap_inputs);
    if (v != TERN_NONE)
        g->values[v].free_axes = free_axes;
    return v;
}

tern_value tern__graph_blob(tern_graph *g, const tern__type *t, tern__blob *b)
{
    if (stopped(g))
        return TERN_NONE;
    if (!b)
        return tern__graph_fail(g, TERN_E_NOMEM, "graph: no memory for a constant");
    tern_value v = tern__graph_push(g, TERN__VALUE_CONST, t);
    if (v == TERN_NONE)
        return TERN_NONE;
    if (b->size != tern__type_bytes(t)) {
        g->n_values--;
        return tern__graph_fail(g, TERN_E_SHAPE, "constant: %zu bytes given, %zu expected", b->size, tern__type_bytes(t));
    }
    g->values[v].data = tern__blob_retain(b);
    return v;
}

/* A constant over a copy of data. */
static tern_value constant_of(tern_graph *g, const tern__type *t, const void *data)
{
    tern__blob *b = tern__blob_create(data, tern__type_bytes(t));
    tern_value v = tern__graph_blob(g, t, b);
    tern__blob_release(b);
    return v;
}

tern_value tern_graph_constant(tern_graph *g, const tern_tensor *data)
{
    if (stopped(g))
        return TERN_NONE;
    if (!data || !tern_tensor_data(data))
        return tern__graph_fail(g, TERN_E_INVALID, "constant: needs a host tensor");
    tern__type t = {.dtype = tern_tensor_dtype(data), .shape = *tern_tensor_shape(data)};
    return constant_of(g, &t, tern_tensor_data(data));
}

tern_value tern_graph_scalar(tern_graph *g, tern_dtype dtype, double x)
{
    if (stopped(g) || !dtype_known(g, "scalar", dtype))
        return TERN_NONE;
    uint64_t bytes = 0;
    tern__array a = {.type = {.dtype = dtype}, .data = &bytes};
    tern__array_set(&a, 0, x);
    return constant_of(g, &a.type, &bytes);
}

tern_value tern__graph_ints(tern_graph *g, const int64_t *v, int n)
{
    if (stopped(g))
        return TERN_NONE;
    tern__type t = {.dtype = TERN_I64, .shape = {.rank = 1, .dim = {n}}};
    return constant_of(g, &t, v);
}

tern_value tern__graph_variable(tern_graph *g, const char *name, const tern__type *t, tern__blob *b, bool trainable)
{
    if (stopped(g) || !name_free(g, "variable", name))
        return TERN_NONE;
    if (trainable && !tern__dtype_is(t->dtype, TERN__T_FLOAT))
        return tern__graph_fail(g, TERN_E_DTYPE, "variable \"%s\": %s cannot be trained, only floating-point types can", name,
                                tern_dtype_name(t->dtype));
    if (!b)
        return tern__graph_fail(g, TERN_E_NOMEM, "variable \"%s\": %zu bytes", name, tern__type_bytes(t));
    tern_value v = push_named(g, TERN__VALUE_VARIABLE, t, name, &g->variables, &g->n_variables, &g->cap_variables);
    if (v == TERN_NONE)
        return TERN_NONE;
    g->values[v].data = tern__blob_retain(b);
    g->values[v].trainable = trainable;
    return v;
}

tern_value tern_graph_variable(tern_graph *g, const char *name, const tern_tensor *initial, bool trainable)
{
    if (stopped(g))
        return TERN_NONE;
    if (!initial || !tern_tensor_data(initial))
        return tern__graph_fail(g, TERN_E_INVALID, "variable \"%s\": needs a host tensor with the first value", name ? name : "");
    tern__type t = {.dtype = tern_tensor_dtype(initial), .shape = *tern_tensor_shape(initial)};
    tern__blob *b = tern__blob_create(tern_tensor_data(initial), tern__type_bytes(&t));
    tern_value v = tern__graph_variable(g, name, &t, b, trainable);
    tern__blob_release(b);
    return v;
}

/* --- Attributes --- */

static const char *type_word(tern_attr_type t)
{
    static const char *const words[] = {"nothing", "an integer", "a number", "a string", "a list of integers"};
    return (unsigned)t < TERN_COUNT(words) ? words[t] : "an unknown type";
}

static const char *attr_name(const void *user, int i)
{
    return ((const tern__op *)user)->attrs[i].name;
}

static int attr_slot(tern_graph *g, const tern__op *op, const char *name)
{
    for (int i = 0; i < op->n_attrs; i++)
        if (strcmp(op->attrs[i].name, name) == 0)
            return i;
    tern__str hint = {0};
    tern__near_names(&hint, name, attr_name, op, op->n_attrs);
    if (!hint.len)
        for (int i = 0; i < op->n_attrs; i++)
            tern__str_addf(&hint, "%s%s", i ? ", " : "; it has ", op->attrs[i].name);
    tern__graph_fail(g, TERN_E_INVALID, "%s: unknown attribute \"%s\"%s", op->name, name, tern__str_text(&hint));
    tern__str_finish(&hint);
    return -1;
}

/* Stores what was given; an integer also serves where a number is wanted. false: no memory. */
static bool store_attr(tern__attr_value *to, tern_attr_type want, const tern_attr *a)
{
    to->set = true;
    to->i = a->i;
    to->f = a->type == TERN_ATTR_INT ? (double)a->i : a->f;
    if (want == TERN_ATTR_STRING) {
        tern__free(to->s);
        to->s = tern__strdup(a->s);
        return to->s != NULL;
    }
    if (want == TERN_ATTR_INTS) {
        to->ints = tern__memdup(a->ints, (size_t)a->n_ints * sizeof *a->ints);
        to->n_ints = to->ints ? a->n_ints : 0;
        return to->ints != NULL;
    }
    return true;
}

static bool parse_attr(tern_graph *g, tern__node *n, const tern_attr *a)
{
    const tern__op *op = n->op;
    int slot = attr_slot(g, op, a->name);
    if (slot < 0)
        return false;
    tern_attr_type want = op->attrs[slot].type;
    bool fits = a->type == want || (want == TERN_ATTR_FLOAT && a->type == TERN_ATTR_INT);
    if (!fits) {
        tern__graph_fail(g, TERN_E_INVALID, "%s: attribute \"%s\" is %s, %s was given", op->name, a->name, type_word(want), type_word(a->type));
        return false;
    }
    if ((want == TERN_ATTR_STRING && !a->s) || (want == TERN_ATTR_INTS && (a->n_ints < 0 || (a->n_ints > 0 && !a->ints)))) {
        tern__graph_fail(g, TERN_E_INVALID, "%s: attribute \"%s\" has no value", op->name, a->name);
        return false;
    }
    if (n->attrs[slot].set) {
        tern__graph_fail(g, TERN_E_INVALID, "%s: attribute \"%s\" is given twice", op->name, a->name);
        return false;
    }
    if (!store_attr(&n->attrs[slot], want, a)) {
        tern__graph_fail(g, TERN_E_NOMEM, "%s: no memory for attribute \"%s\"", op->name, a->name);
        return false;
    }
    return true;
}

static bool parse_attrs(tern_graph *g, tern__node *n, const tern_attr *attrs)
{
    for (; attrs && attrs->name; attrs++)
        if (!parse_attr(g, n, attrs))
            return false;
    for (int i = 0; i < n->op->n_attrs; i++)
        if (n->op->attrs[i].required && !n->attrs[i].set) {
            tern__graph_fail(g, TERN_E_INVALID, "%s: attribute \"%s\" (%s) is required", n->op->name, n->op->attrs[i].name,
                             type_word(n->op->attrs[i].type));
            return false;
        }
    return true;
}

/* --- Nodes --- */

static bool check_counts(tern_graph *g, const tern__op *op, int n_in, int n_out)
{
    if (n_in < 0 || (op->max_in >= 0 && n_in > op->max_in)) {
        tern__graph_fail(g, TERN_E_INVALID, "%s: %d inputs given, it takes %s %d", op->name, n_in,
                         op->min_in == op->max_in ? "exactly" : "at most", op->max_in);
        return false;
    }
    if (op->n_out >= 0 ? n_out > op->n_out : n_out < 1) {
        tern__graph_fail(g, TERN_E_INVALID, "%s: %d outputs wanted, it has %d", op->name, n_out, TERN_MAX(op->n_out, 1));
        return false;
    }
    return true;
}

/* Fills in the inputs; optional ones that are left off become TERN_NONE. */
static bool take_inputs(tern_graph *g, tern__node *n, const tern_value *in, int n_in)
{
    for (int i = 0; i < n->n_in; i++) {
        tern_value v = i < n_in ? in[i] : TERN_NONE;
        bool required = i < n->op->min_in || n->op->max_in < 0;
        if (v == TERN_NONE && required) {
            tern__graph_fail(g, TERN_E_INVALID, "%s: input %d is missing, it takes at least %d", n->op->name, i, n->op->min_in);
            return false;
        }
        if (v < TERN_NONE || v >= g->n_values) {
            tern__graph_fail(g, TERN_E_INVALID, "%s: input %d is value %d, the graph has values 0 to %d", n->op->name, i, (int)v,
                             g->n_values - 1);
            return false;
        }
        n->in[i] = v;
    }
    return true;
}

tern_status tern__node_infer(const tern_graph *g, const tern__node *n, tern__type *types)
{
    tern__type *in = tern__alloc_array((size_t)n->n_in, sizeof *in);
    if (!in)
        return tern__fail(TERN_E_NOMEM, "%s: no memory for %d input types", n->op->name, n->n_in);
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] == TERN_NONE)
            in[i].dtype = TERN_DTYPE_COUNT;
        else
            in[i] = *tern__type_of(g, n->in[i]);
    }
    tern_status st = n->op->infer(n, in, types);
    for (int i = 0; i < n->n_out; i++)
        types[i].layout = (tern__layout){0};
    tern__free(in);
    return st;
}

/* Makes the values of a node whose types are known. */
static bool push_outputs(tern_graph *g, tern__node *n, const tern__type *types)
{
    int first = g->n_values;
    for (int i = 0; i < n->n_out; i++) {
        n->out[i] = tern__graph_push(g, TERN__VALUE_NODE, &types[i]);
        if (n->out[i] == TERN_NONE) {
            g->n_values = first;
            return false;
        }
        g->values[n->out[i]].node = g->n_nodes;
        g->values[n->out[i]].out_index = i;
    }
    return true;
}

void tern__graph_push_node(tern_graph *g, tern__node *n, tern_value *outs)
{
    tern__type *types = tern__alloc_array((size_t)n->n_out, sizeof *types);
    bool ok = types != NULL;
    if (!ok) {
        tern__graph_fail(g, TERN_E_NOMEM, "%s: no memory for %d output types", n->op->name, n->n_out);
    } else {
        tern_status st = tern__node_infer(g, n, types);
        ok = st == TERN_OK;
        if (!ok)
            tern__graph_fail(g, st, "%s", tern_last_error());
    }
    if (ok && !TERN_GROW(g->nodes, g->n_nodes, g->cap_nodes)) {
        tern__graph_fail(g, TERN_E_NOMEM, "%s: no memory for node %d", n->op->name, g->n_nodes);
        ok = false;
    }
    ok = ok && push_outputs(g, n, types);
    tern__free(types);
    if (!ok) {
        tern__node_destroy(n);
        return;
    }
    for (int i = 0; outs && i < n->n_out; i++)
        outs[i] = n->out[i];
    g->nodes[g->n_nodes++] = n;
}

static const char *op_name(const void *user, int i)
{
    return ((const tern__op *const *)user)[i]->name;
}

static const tern__op *find_op(tern_graph *g, const char *name)
{
    const tern__op *op = name ? tern__op_find(name) : NULL;
    if (op)
        return op;
    int n;
    const tern__op *const *all = tern__op_all(&n);
    tern__str near = {0};
    tern__near_names(&near, name ? name : "", op_name, all, n);
    tern__graph_fail(g, TERN_E_NOT_FOUND, "no op is called \"%s\"%s", name ? name : "", tern__str_text(&near));
    tern__str_finish(&near);
    return NULL;
}

void tern_graph_add_n(tern_graph *g, const char *op_wanted, const tern_value *in, int n_in, const tern_attr *attrs, tern_value *outs,
                      int n_out)
{
    for (int i = 0; i < n_out; i++)
        outs[i] = TERN_NONE;
    const tern__op *op = stopped(g) ? NULL : find_op(g, op_wanted);
    if (!op || !check_counts(g, op, n_in, n_out))
        return;
    tern__node *n = tern__node_create(op, op->max_in >= 0 ? op->max_in : TERN_MAX(n_in, op->min_in), op->n_out >= 0 ? op->n_out : n_out);
    if (!n) {
        tern__graph_fail(g, TERN_E_NOMEM, "%s: no memory for a node of %d inputs", op->name, n_in);
        return;
    }
    if (!take_inputs(g, n, in, n_in) || !parse_attrs(g, n, attrs)) {
        tern__node_destroy(n);
        return;
    }
    tern__graph_push_node(g, n, NULL);
    for (int i = 0; g->error == TERN_OK && i < n_out; i++)
        outs[i] = n->out[i];
}

tern_value tern_graph_add(tern_graph *g, const char *op, const tern_value *in, int n_in, const tern_attr *attrs)
{
    tern_value out;
    tern_graph_add_n(g, op, in, n_in, attrs, &out, 1);
    return out;
}

tern_value tern_graph_op1(tern_graph *g, const char *op, tern_value a, const tern_attr *attrs)
{
    return tern_graph_add(g, op, &a, 1, attrs);
}

tern_value tern_graph_op2(tern_graph *g, const char *op, tern_value a, tern_value b, const tern_attr *attrs)
{
    return tern_graph_add(g, op, (const tern_value[]){a, b}, 2, attrs);
}

tern_value tern_graph_op3(tern_graph *g, const char *op, tern_value a, tern_value b, tern_value c, const tern_attr *attrs)
{
    return tern_graph_add(g, op, (const tern_value[]){a, b, c}, 3, attrs);
}

void tern__graph_add_like(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *outs)
{
    for (int i = 0; i < n->n_out; i++)
        outs[i] = TERN_NONE;
    if (stopped(g))
        return;
    tern__node *c = tern__node_create(n->op, n->n_in, n->n_out);
    if (!c || !tern__node_copy_attrs(c, n)) {
        tern__node_destroy(c);
        tern__graph_fail(g, TERN_E_NOMEM, "%s: no memory to copy a node", n->op->name);
        return;
    }
    if (!take_inputs(g, c, in, n->n_in)) {
        tern__node_destroy(c);
        return;
    }
    tern__graph_push_node(g, c, outs);
}

/* --- Results --- */

static bool value_known(tern_graph *g, const char *what, tern_value v)
{
    if (v >= 0 && v < g->n_values)
        return true;
    tern__graph_fail(g, TERN_E_INVALID, "%s: value %d, the graph has values 0 to %d", what, (int)v, g->n_values - 1);
    return false;
}

void tern_graph_output(tern_graph *g, const char *name, tern_value v)
{
    if (stopped(g) || !value_known(g, "output", v))
        return;
    /* An input or variable may leave under its own name; that is one value with one name. */
    const char *own = g->values[v].name;
    bool same = own && name && strcmp(own, name) == 0;
    for (int i = 0; same && i < g->n_outputs; i++)
        same = strcmp(g->outputs[i].name, name) != 0;
    if (!same && !name_free(g, "output", name))
        return;
    char *copy = tern__strdup(name);
    if (!copy || !TERN_GROW(g->outputs, g->n_outputs, g->cap_outputs)) {
        tern__free(copy);
        tern__graph_fail(g, TERN_E_NOMEM, "output \"%s\": no memory", name);
        return;
    }
    g->outputs[g->n_outputs++] = (tern__named){.name = copy, .value = v};
}

void tern_graph_assign(tern_graph *g, tern_value variable, tern_value v)
{
    if (stopped(g) || !value_known(g, "assign", variable) || !value_known(g, "assign", v))
        return;
    const tern__value *var = &g->values[variable];
    if (var->kind != TERN__VALUE_VARIABLE) {
        tern__graph_fail(g, TERN_E_INVALID, "assign: value %d is not a variable", (int)variable);
        return;
    }
    const tern__type *t = &g->values[v].type;
    if (var->type.dtype != t->dtype || !tern__shape_equal(&var->type.shape, &t->shape)) {
        tern__str a = {0}, b = {0};
        tern__type_print(&a, &var->type);
        tern__type_print(&b, t);
        tern__graph_fail(g, var->type.dtype != t->dtype ? TERN_E_DTYPE : TERN_E_SHAPE, "assign: variable \"%s\" is %s, the value %s", var->name,
                         tern__str_text(&a), tern__str_text(&b));
        tern__str_finish(&a);
        tern__str_finish(&b);
        return;
    }
    for (int i = 0; i < g->n_assigns; i++)
        if (g->assigns[i].variable == variable) {
            tern__graph_fail(g, TERN_E_INVALID, "assign: variable \"%s\" is assigned twice", var->name);
            return;
        }
    if (!TERN_GROW(g->assigns, g->n_assigns, g->cap_assigns)) {
        tern__graph_fail(g, TERN_E_NOMEM, "assign: no memory");
        return;
    }
    g->assigns[g->n_assigns++] = (tern__assign){.variable = variable, .value = v};
}
