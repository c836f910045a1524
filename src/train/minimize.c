/* From a loss to a training step: gradients of all trainable variables, the optimiser's update, the assignments. */
#include "autodiff/autodiff.h"
#include "base/alloc.h"
#include "base/status.h"
#include "ops/op.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

typedef struct rule {
    const char *name;
    const char *moments[2]; /* suffixes of the variables it keeps beside each parameter */
    bool steps;             /* wants the step's number, counted from 1 */
    double lr;
} rule;

static const rule rules[] = {
    {.name = "adam", .moments = {"m", "v"}, .steps = true, .lr = 0.001},
    {.name = "momentum", .moments = {"m"}, .lr = 0.01},
    {.name = "sgd", .lr = 0.01},
};

static tern_status find_rule(const char *name, const rule **out)
{
    for (int i = 0; name && i < TERN_COUNT(rules); i++)
        if (strcmp(rules[i].name, name) == 0) {
            *out = &rules[i];
            return TERN_OK;
        }
    return tern__fail(TERN_E_NOT_FOUND, "minimize: no optimizer \"%s\"; there are adam, momentum and sgd", name ? name : "");
}

static tern_status check_numbers(const tern_optimizer *o)
{
    const double all[] = {o->lr, o->momentum, o->beta1, o->beta2, o->eps, o->weight_decay};
    static const char *const names[] = {"lr", "momentum", "beta1", "beta2", "eps", "weight_decay"};
    for (int i = 0; i < TERN_COUNT(all); i++)
        if (!(isfinite(all[i]) && all[i] >= 0))
            return tern__fail(TERN_E_INVALID, "minimize: %s is %g, it must be finite and not negative", names[i], all[i]);
    return TERN_OK;
}

tern_value tern__train_number(tern_graph *g, const char *name, double first)
{
    for (int i = 0; i < g->n_variables; i++) {
        const tern__value *v = &g->values[g->variables[i]];
        if (strcmp(v->name, name) != 0)
            continue;
        if (v->type.dtype != TERN_F32 || v->type.shape.rank != 0)
            return tern__graph_fail(g, TERN_E_INVALID, "variable \"%s\" must be one f32 number", name);
        return g->variables[i];
    }
    float x = (float)first;
    tern_tensor *t = NULL;
    if (tern_tensor_wrap(TERN_F32, &(tern_shape){0}, &x, &t) != TERN_OK)
        return tern__graph_fail(g, TERN_E_NOMEM, "variable \"%s\": no memory", name);
    tern_value v = tern_graph_variable(g, name, t, false);
    tern_tensor_destroy(t);
    return v;
}

/* A variable of zeros, NAME/suffix, of p's type. */
static tern_value moment(tern_graph *g, tern_value p, const char *suffix)
{
    const tern__type t = *tern__type_of(g, p);
    tern__str name = {0};
    tern__str_addf(&name, "%s/%s", g->values[p].name, suffix);
    tern_tensor *zeros = NULL;
    tern_value v = TERN_NONE;
    if (name.failed || tern_tensor_create(t.dtype, &t.shape, &zeros) != TERN_OK)
        tern__graph_fail(g, TERN_E_NOMEM, "minimize: no memory for the moments of \"%s\"", g->values[p].name);
    else
        v = tern_graph_variable(g, tern__str_text(&name), zeros, false);
    tern_tensor_destroy(zeros);
    tern__str_finish(&name);
    return v;
}

/* The attributes of the update; a zero field leaves the op's default. */
static int fill_attrs(const rule *r, const tern_optimizer *o, tern_attr attrs[6])
{
    const bool adam = r->steps, momentum = !adam && r->moments[0];
    int n = 0;
    if (momentum && o->momentum > 0)
        attrs[n++] = (tern_attr)TERN_FLOAT("momentum", o->momentum);
    if (adam && o->beta1 > 0)
        attrs[n++] = (tern_attr)TERN_FLOAT("beta1", o->beta1);
    if (adam && o->beta2 > 0)
        attrs[n++] = (tern_attr)TERN_FLOAT("beta2", o->beta2);
    if (adam && o->eps > 0)
        attrs[n++] = (tern_attr)TERN_FLOAT("eps", o->eps);
    if (o->weight_decay > 0)
        attrs[n++] = (tern_attr)TERN_FLOAT("weight_decay", o->weight_decay);
    attrs[n] = (tern_attr){0};
    return n;
}

static void update(tern_graph *g, const rule *r, const tern_attr *attrs, tern_value p, tern_value grad, tern_value lr, tern_value step)
{
    tern_value in[6] = {p, grad}, out[3] = {TERN_NONE, TERN_NONE, TERN_NONE};
    int n_in = 2, n_moments = 0;
    for (; n_moments < 2 && r->moments[n_moments]; n_moments++)
        in[n_in++] = moment(g, p, r->moments[n_moments]);
    in[n_in++] = lr;
    if (r->steps)
        in[n_in++] = step;
    tern_graph_add_n(g, r->name, in, n_in, attrs, out, 1 + n_moments);
    tern_graph_assign(g, p, out[0]);
    for (int i = 0; i < n_moments; i++)
        tern_graph_assign(g, in[2 + i], out[1 + i]);
}

/* The trainable variables that the loss depends on; list[g->n_variables]. */
static tern_status find_parameters(const tern_graph *g, tern_value loss, tern_value *list, int *n)
{
    bool *marks = tern__alloc_array((size_t)g->n_values, sizeof *marks);
    if (!marks)
        return tern__fail(TERN_E_NOMEM, "minimize: %d marks", g->n_values);
    tern__mark_ancestors(g, loss, marks);
    *n = 0;
    for (int i = 0; i < g->n_variables; i++)
        if (g->values[g->variables[i]].trainable && marks[g->variables[i]])
            list[(*n)++] = g->variables[i];
    tern__free(marks);
    return *n ? TERN_OK : tern__fail(TERN_E_INVALID, "minimize: the loss depends on no trainable variable");
}

static bool step_assigned(const tern_graph *g, tern_value step)
{
    for (int i = 0; i < g->n_assigns; i++)
        if (g->assigns[i].variable == step)
            return true;
    return false;
}

/* list and grads have room for all variables. */
static tern_status build(tern_graph *g, tern_value loss, const rule *r, const tern_optimizer *o, tern_value *list, tern_value *grads)
{
    int n;
    TERN_TRY(find_parameters(g, loss, list, &n));
    TERN_TRY(tern_graph_gradients(g, loss, list, n, grads));
    tern_attr attrs[6];
    fill_attrs(r, o, attrs);
    tern_value lr = tern__train_number(g, TERN__TRAIN_LR, o->lr > 0 ? o->lr : r->lr);
    tern_value step = tern__train_number(g, TERN__TRAIN_STEP, 0);
    tern_value next = tern__add_scalar(g, step, 1);
    for (int i = 0; i < n && g->error == TERN_OK; i++)
        update(g, r, attrs, list[i], grads[i], lr, next);
    /* A second loss of the same graph shares the counter, which goes up once a run. */
    if (g->error == TERN_OK && !step_assigned(g, step))
        tern_graph_assign(g, step, next);
    return tern_graph_check(g);
}

tern_status tern_graph_minimize(tern_graph *g, tern_value loss, const tern_optimizer *opt)
{
    const rule *r = NULL;
    if (!g || !opt)
        return tern__fail(TERN_E_INVALID, "minimize: no graph or no optimizer");
    TERN_TRY(tern_graph_check(g));
    if (loss < 0 || loss >= g->n_values)
        return tern__fail(TERN_E_INVALID, "minimize: the loss is value %d, the graph has values 0 to %d", (int)loss, g->n_values - 1);
    TERN_TRY(find_rule(opt->name, &r));
    TERN_TRY(check_numbers(opt));
    tern_value *list = tern__alloc_array((size_t)g->n_variables, sizeof *list);
    tern_value *grads = tern__alloc_array((size_t)g->n_variables, sizeof *grads);
    tern_status st = list && grads ? build(g, loss, r, opt, list, grads) : tern__fail(TERN_E_NOMEM, "minimize: %d variables", g->n_variables);
    tern__free(list);
    tern__free(grads);
    return st;
}
