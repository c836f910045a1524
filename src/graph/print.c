/* A graph as text: one line a value or node for reading and golden files, and Graphviz for looking at. */
#include "graph/node.h"

#include "base/alloc.h"
#include "base/status.h"

#include <inttypes.h>

void tern__shape_print(tern__str *s, const tern_shape *sh)
{
    tern__str_add(s, "[");
    for (int i = 0; i < sh->rank && i < TERN_MAX_RANK; i++)
        tern__str_addf(s, "%s%" PRId64, i ? "," : "", sh->dim[i]);
    tern__str_add(s, "]");
}

void tern__type_print(tern__str *s, const tern__type *t)
{
    tern__str_add(s, tern_dtype_name(t->dtype));
    tern__shape_print(s, &t->shape);
    if (t->layout.kind == TERN__BLOCKED)
        tern__str_addf(s, "c%d", t->layout.block);
}

/* Text inside double quotes: quotes, backslashes and control characters escaped. */
static void print_quoted(tern__str *s, const char *text)
{
    tern__str_add(s, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            tern__str_addf(s, "\\%c", c);
        else if (c < 32)
            tern__str_addf(s, "\\x%02x", c);
        else
            tern__str_addn(s, text, 1);
    }
    tern__str_add(s, "\"");
}

static void print_attr(tern__str *s, const tern__attr_decl *d, const tern__attr_value *a)
{
    tern__str_addf(s, "%s=", d->name);
    switch (d->type) {
    case TERN_ATTR_INT:
        tern__str_addf(s, "%" PRId64, a->i);
        break;
    case TERN_ATTR_FLOAT:
        tern__str_addf(s, "%.9g", a->f);
        break;
    case TERN_ATTR_STRING:
        print_quoted(s, a->s ? a->s : "");
        break;
    default:
        tern__str_add(s, "[");
        for (int i = 0; i < a->n_ints; i++)
            tern__str_addf(s, "%s%" PRId64, i ? "," : "", a->ints[i]);
        tern__str_add(s, "]");
    }
}

static void print_attrs(tern__str *s, const tern__node *n)
{
    int printed = 0;
    for (int i = 0; i < n->op->n_attrs; i++) {
        if (!n->attrs[i].set)
            continue;
        tern__str_add(s, printed++ ? ", " : " {");
        print_attr(s, &n->op->attrs[i], &n->attrs[i]);
    }
    if (printed)
        tern__str_add(s, "}");
}

static void print_node(tern__str *s, const tern_graph *g, const tern__node *n)
{
    for (int i = 0; i < n->n_out; i++)
        tern__str_addf(s, "%s%%%d", i ? ", " : "", (int)n->out[i]);
    tern__str_addf(s, " = %s(", n->op->name);
    int last = n->n_in;
    while (last > 0 && n->in[last - 1] == TERN_NONE)
        last--;
    for (int i = 0; i < last; i++) {
        tern__str_add(s, i ? ", " : "");
        if (n->in[i] == TERN_NONE)
            tern__str_add(s, "-");
        else
            tern__str_addf(s, "%%%d", (int)n->in[i]);
    }
    tern__str_add(s, ")");
    print_attrs(s, n);
    for (int i = 0; i < n->n_out; i++) {
        tern__str_add(s, i ? ", " : " : ");
        tern__type_print(s, tern__type_of(g, n->out[i]));
    }
    tern__str_add(s, "\n");
}

static void print_source(tern__str *s, const tern_graph *g, tern_value v)
{
    static const char *const words[] = {"input ", "const ", "variable "};
    const tern__value *x = &g->values[v];
    tern__str_addf(s, "%%%d = %s", (int)v, words[x->kind]);
    if (x->name) {
        print_quoted(s, x->name);
        tern__str_add(s, " ");
    }
    tern__type_print(s, &x->type);
    double num;
    if (tern__const_scalar(g, v, &num))
        tern__str_addf(s, " %.9g", num);
    if (x->free_axes)
        tern__str_addf(s, " free=0x%x", x->free_axes);
    if (x->trainable)
        tern__str_add(s, " trainable");
    tern__str_add(s, "\n");
}

/* The text of a finished builder, handed over to the caller. */
static tern_status hand_over(tern__str *s, char **out)
{
    tern__str_add(s, "");
    if (s->failed || (!s->s && !(s->s = tern__strdup("")))) {
        tern__str_finish(s);
        return tern__fail(TERN_E_NOMEM, "print: no memory for the text");
    }
    *out = s->s;
    return TERN_OK;
}

tern_status tern_graph_print(const tern_graph *g, char **out)
{
    if (!g || !out)
        return tern__fail(TERN_E_INVALID, "print: no graph or no place for the text");
    tern__str s = {0};
    for (tern_value v = 0; v < g->n_values; v++) {
        const tern__value *x = &g->values[v];
        if (x->kind != TERN__VALUE_NODE)
            print_source(&s, g, v);
        else if (x->out_index == 0)
            print_node(&s, g, g->nodes[x->node]);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        tern__str_add(&s, "output ");
        print_quoted(&s, g->outputs[i].name);
        tern__str_addf(&s, " = %%%d\n", (int)g->outputs[i].value);
    }
    for (int i = 0; i < g->n_assigns; i++)
        tern__str_addf(&s, "assign %%%d = %%%d\n", (int)g->assigns[i].variable, (int)g->assigns[i].value);
    return hand_over(&s, out);
}

static void dot_value(tern__str *s, const tern_graph *g, tern_value v)
{
    static const char *const shapes[] = {"ellipse", "note", "cylinder"};
    const tern__value *x = &g->values[v];
    if (x->kind == TERN__VALUE_NODE)
        return;
    tern__str_addf(s, "  v%d [shape=%s, label=", (int)v, shapes[x->kind]);
    tern__str label = {0};
    tern__str_addf(&label, "%s ", x->name ? x->name : "");
    tern__type_print(&label, &x->type);
    print_quoted(s, tern__str_text(&label));
    s->failed |= label.failed;
    tern__str_finish(&label);
    tern__str_add(s, "];\n");
}

static void dot_edge(tern__str *s, const tern_graph *g, tern_value from, const char *to, int to_index)
{
    const tern__value *x = &g->values[from];
    if (x->kind == TERN__VALUE_NODE)
        tern__str_addf(s, "  n%d -> %s%d [label=\"", x->node, to, to_index);
    else
        tern__str_addf(s, "  v%d -> %s%d [label=\"", (int)from, to, to_index);
    tern__type_print(s, &x->type);
    tern__str_add(s, "\"];\n");
}

tern_status tern_graph_dot(const tern_graph *g, char **out)
{
    if (!g || !out)
        return tern__fail(TERN_E_INVALID, "dot: no graph or no place for the text");
    tern__str s = {0};
    tern__str_add(&s, "digraph tern {\n  node [fontname=\"sans-serif\", fontsize=10];\n  edge [fontname=\"sans-serif\", fontsize=8];\n");
    for (tern_value v = 0; v < g->n_values; v++)
        dot_value(&s, g, v);
    for (int i = 0; i < g->n_nodes; i++) {
        tern__str_addf(&s, "  n%d [shape=box, label=\"%s\"];\n", i, g->nodes[i]->op->name);
        for (int k = 0; k < g->nodes[i]->n_in; k++)
            if (g->nodes[i]->in[k] != TERN_NONE)
                dot_edge(&s, g, g->nodes[i]->in[k], "n", i);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        tern__str_addf(&s, "  o%d [shape=ellipse, style=bold, label=", i);
        print_quoted(&s, g->outputs[i].name);
        tern__str_add(&s, "];\n");
        dot_edge(&s, g, g->outputs[i].value, "o", i);
    }
    for (int i = 0; i < g->n_assigns; i++)
        dot_edge(&s, g, g->assigns[i].value, "v", (int)g->assigns[i].variable);
    tern__str_add(&s, "}\n");
    return hand_over(&s, out);
}

void tern_text_free(char *text)
{
    tern__free(text);
}
