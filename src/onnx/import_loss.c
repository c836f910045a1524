/* Importing losses over class labels, the optimisers of the training domain, and Gradient. */
#include "onnx/import_math.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/common.h"
#include "onnx/trace.h"

/* --- Losses ------------------------------------------------------------------------------------------------------ */

typedef struct loss {
    tern_shape scores;      /* [N, C, d...] */
    tern_dtype t;
    tern_dtype label_type;  /* labels are compared in it */
    bool ignores, weighted, mean, sum;
    int64_t ignore;
} loss;

static tern_status need_shapes(const tern__onnx_node *n, const loss *l)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    const tern_shape *s = &l->scores, *labels = tern__onnx_shape(n, 1);
    tern_shape want = {.rank = s->rank - 1};
    for (int i = 0, k = 0; i < s->rank; i++)
        if (i != 1)
            want.dim[k++] = s->dim[i];
    if (s->rank < 2 || !tern__shape_equal(labels, &want))
        return tern__onnx_fail(n, TERN_E_SHAPE, "scores %s and labels %s, where [N,C,d...] and [N,d...] are needed", tern__shape_text(s, a),
                               tern__shape_text(labels, b));
    if (!tern__dtype_is(tern__onnx_type(n, 0)->dtype, TERN__T_FLOAT) || !tern__dtype_is(tern__onnx_type(n, 1)->dtype, TERN__T_INT))
        return tern__onnx_fail(n, TERN_E_DTYPE, "scores are %s and labels %s, where floating point and integers are needed", tern_dtype_name(l->t),
                               tern_dtype_name(tern__onnx_type(n, 1)->dtype));
    const tern_shape *w = tern__onnx_shape(n, 2);
    if (l->weighted && (w->rank != 1 || w->dim[0] != s->dim[1]))
        return tern__onnx_fail(n, TERN_E_SHAPE, "weights %s for %" PRId64 " classes", tern__shape_text(w, a), s->dim[1]);
    return TERN_OK;
}

static tern_status begin(tern__onnx_node *n, loss *l)
{
    TERN_TRY(tern__onnx_need(n, 2, 3));
    const char *how = tern__onnx_attr_string(n, "reduction", "mean");
    const tern_dtype labels = tern__onnx_type(n, 1)->dtype;
    *l = (loss){.scores = *tern__onnx_shape(n, 0), .t = tern__onnx_type(n, 0)->dtype, .weighted = tern__onnx_has(n, 2)};
    l->label_type = tern_dtype_size(labels) == 8 || labels == TERN_U32 ? TERN_I64 : TERN_I32;
    l->ignores = tern__onnx_attr_given(n, "ignore_index");
    l->ignore = tern__onnx_attr_int(n, "ignore_index", 0);
    l->mean = strcmp(how, "mean") == 0;
    l->sum = strcmp(how, "sum") == 0;
    if (!l->mean && !l->sum && strcmp(how, "none") != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "reduction \"%.40s\" is none of mean, sum, none", how);
    return need_shapes(n, l);
}

/* 1 where the class is the label: [N, C, d...]. */
static tern_value is_label(tern_graph *g, const loss *l, tern_value labels)
{
    int64_t shape[TERN_MAX_RANK];
    for (int i = 0; i < l->scores.rank; i++)
        shape[i] = i == 1 ? l->scores.dim[1] : 1;
    tern_value k = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", shape, l->scores.rank), TERN_INT("axis", 1),
                                                                  TERN_STRING("dtype", tern_dtype_name(l->label_type))));
    return tern_graph_op2(g, "equal", tern__unsqueeze(g, labels, 1u << 1), k, NULL);
}

/* The element of each class row that the label names. A choice and not a product with the one-hot row: a probability of 0 elsewhere in the row
 * must not give 0 * inf. */
static tern_value pick(tern_graph *g, tern_value chosen, tern_value x)
{
    return tern__sum_axes(g, tern__where(g, chosen, x, tern__like(g, x, 0)), 1u << 1, false);
}

/* What each label counts, [N, d...]: its class's weight, 0 if it is the one to ignore. TERN_NONE: all count 1. */
static tern_value weights_of(tern__onnx_node *n, const loss *l, tern_value labels, tern_value chosen, tern_value like)
{
    tern_graph *g = n->g;
    tern_value w = TERN_NONE;
    if (l->weighted) {
        tern_value each = tern__per_channel(g, tern__widen(g, tern__cast(g, tern__onnx_in(n, 2), l->t)), l->scores.rank);
        w = pick(g, chosen, each);
    }
    if (l->ignores) {
        tern_value ignored = tern_graph_op2(g, "equal", labels, tern__onnx_const_ints(n, l->label_type, &(tern_shape){0}, &l->ignore), NULL);
        tern_value one = l->weighted ? w : tern__like(g, like, 1);
        w = tern__where(g, ignored, tern__like(g, like, 0), one);
    }
    return w;
}

/* The negative logarithms of the labels' probabilities, weighted and reduced. log_p is wide. */
static tern_value nll(tern__onnx_node *n, const loss *l, tern_value log_p)
{
    tern_graph *g = n->g;
    tern_value labels = tern__cast(g, tern__onnx_in(n, 1), l->label_type);
    tern_value chosen = is_label(g, l, labels);
    tern_value each = tern__neg(g, pick(g, chosen, log_p));
    tern_value w = weights_of(n, l, labels, chosen, each);
    const unsigned all = (1u << (l->scores.rank - 1)) - 1u;
    if (w != TERN_NONE)
        each = tern__mul(g, each, w);
    if (l->mean && w != TERN_NONE)
        each = tern__div(g, tern__sum_axes(g, each, all, false), tern__sum_axes(g, w, all, false));
    else if (l->mean)
        each = tern__mean_axes(g, each, all, false);
    else if (l->sum)
        each = tern__sum_axes(g, each, all, false);
    return tern__cast(g, each, l->t);
}

static tern_status nll_loss(tern__onnx_node *n)
{
    loss l;
    TERN_TRY(begin(n, &l));
    tern__onnx_set(n, 0, nll(n, &l, tern__widen(n->g, tern__onnx_in(n, 0))));
    return TERN_OK;
}

static tern_status softmax_loss(tern__onnx_node *n)
{
    loss l;
    TERN_TRY(begin(n, &l));
    tern_value x = tern__onnx_in(n, 0);
    if (l.scores.rank == 2 && l.mean && !l.weighted && !l.ignores && !tern__onnx_wants(n, 1)) {
        tern__onnx_set(n, 0, tern_graph_op2(n->g, "softmax_cross_entropy", x, tern__onnx_in(n, 1), NULL));
        return TERN_OK;
    }
    tern_value log_p = tern_graph_op1(n->g, "log_softmax", tern__widen(n->g, x), TERN_ATTRS(TERN_INT("axis", 1)));
    tern__onnx_set(n, 0, nll(n, &l, log_p));
    tern__onnx_set(n, 1, tern__cast(n->g, log_p, l.t));
    return TERN_OK;
}

/* --- Optimisers: inputs rate, step, then all parameters, all gradients, all of each kind of state -------------- */

/* What an optimiser reads once for all tensors; floats for rate and step are in the tensors' type, which may differ from the rate's. */
typedef struct update {
    int kinds;      /* tensors of each: parameter, gradient, states */
    int count;      /* how many parameters */
    double regular; /* norm_coefficient */
} update;

static tern_status begin_update(tern__onnx_node *n, int kinds, update *u)
{
    if (n->n_in < 2 + kinds || (n->n_in - 2) % kinds != 0)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "%d inputs, where rate, step and %d for each parameter are needed", n->n_in, kinds);
    TERN_TRY(tern__onnx_need(n, n->n_in, n->n_in));
    *u = (update){.kinds = kinds, .count = (n->n_in - 2) / kinds, .regular = tern__onnx_attr_float(n, "norm_coefficient", 0)};
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    for (int i = 0; i < u->count; i++) {
        for (int k = 1; k < kinds; k++) {
            const tern__type *x = tern__onnx_type(n, 2 + i), *other = tern__onnx_type(n, 2 + k * u->count + i);
            if (x->dtype != other->dtype || !tern__shape_equal(&x->shape, &other->shape))
                return tern__onnx_fail(n, TERN_E_SHAPE, "inputs %d, %s %s, and %d, %s %s, must be of one type", 2 + i, tern_dtype_name(x->dtype),
                                       tern__shape_text(&x->shape, a), 2 + k * u->count + i, tern_dtype_name(other->dtype),
                                       tern__shape_text(&other->shape, b));
        }
    }
    return TERN_OK;
}

/* Tensor `kind` of parameter i. */
static tern_value tensor_of(tern__onnx_node *n, const update *u, int kind, int i)
{
    return tern__onnx_in(n, 2 + kind * u->count + i);
}

/* The gradient with the penalty on the parameter's norm. */
static tern_value regular_gradient(tern__onnx_node *n, const update *u, int i)
{
    tern_value d = tensor_of(n, u, 1, i);
    return u->regular == 0 ? d : tern__add(n->g, d, tern__mul_scalar(n->g, tensor_of(n, u, 0, i), u->regular));
}

static tern_status adagrad(tern__onnx_node *n)
{
    update u;
    TERN_TRY(begin_update(n, 3, &u));
    const double decay = tern__onnx_attr_float(n, "decay_factor", 0), epsilon = tern__onnx_attr_float(n, "epsilon", 1e-6f);
    tern_graph *g = n->g;
    for (int i = 0; i < u.count; i++) {
        const tern_dtype t = tern__onnx_type(n, 2 + i)->dtype;
        tern_value rate, step;
        TERN_TRY(tern__onnx_scalar_in(n, 0, t, &rate));
        TERN_TRY(tern__onnx_scalar_in(n, 1, t, &step));
        rate = tern__div(g, rate, tern__add_scalar(g, tern__mul_scalar(g, step, decay), 1));
        tern_value d = regular_gradient(n, &u, i);
        tern_value h = tern__add(g, tensor_of(n, &u, 2, i), tern__mul(g, d, d));
        tern_value way = tern__div(g, tern__mul(g, rate, d), tern__add_scalar(g, tern__unary(g, "sqrt", h), epsilon));
        tern__onnx_set(n, i, tern__sub(g, tensor_of(n, &u, 0, i), way));
        tern__onnx_set(n, u.count + i, h);
    }
    return TERN_OK;
}

/* 1 - b^step, without the digits that the subtraction would lose when b is near 1. */
static tern_value one_minus_power(tern_graph *g, double b, tern_value step)
{
    if (b <= 0)
        return tern__add_scalar(g, tern__neg(g, tern_graph_op2(g, "pow", tern__like(g, step, b), step, NULL)), 1);
    return tern__neg(g, tern__unary(g, "expm1", tern__mul_scalar(g, step, log(b))));
}

static tern_status adam(tern__onnx_node *n)
{
    update u;
    TERN_TRY(begin_update(n, 4, &u));
    const double alpha = tern__onnx_attr_float(n, "alpha", 0.9f), beta = tern__onnx_attr_float(n, "beta", 0.999f);
    const double epsilon = tern__onnx_attr_float(n, "epsilon", 1e-6f), post = tern__onnx_attr_float(n, "norm_coefficient_post", 0);
    tern_graph *g = n->g;
    for (int i = 0; i < u.count; i++) {
        const tern_dtype t = tern__onnx_type(n, 2 + i)->dtype;
        tern_value rate, step;
        TERN_TRY(tern__onnx_scalar_in(n, 0, t, &rate));
        TERN_TRY(tern__onnx_scalar_in(n, 1, t, &step));
        tern_value scale = tern__div(g, tern__unary(g, "sqrt", one_minus_power(g, beta, step)), one_minus_power(g, alpha, step));
        rate = tern__where(g, tern__compare(g, "greater", step, 0), tern__mul(g, rate, scale), rate);
        tern_value d = regular_gradient(n, &u, i);
        tern_value v = tern__add(g, tern__mul_scalar(g, tensor_of(n, &u, 2, i), alpha), tern__mul_scalar(g, d, 1 - alpha));
        tern_value h = tern__add(g, tern__mul_scalar(g, tensor_of(n, &u, 3, i), beta), tern__mul_scalar(g, tern__mul(g, d, d), 1 - beta));
        tern_value way = tern__div(g, tern__mul(g, rate, v), tern__add_scalar(g, tern__unary(g, "sqrt", h), epsilon));
        tern__onnx_set(n, i, tern__mul_scalar(g, tern__sub(g, tensor_of(n, &u, 0, i), way), 1 - post));
        tern__onnx_set(n, u.count + i, v);
        tern__onnx_set(n, 2 * u.count + i, h);
    }
    return TERN_OK;
}

/* In step 0 the gradient counts in full, later beta times. */
static tern_status momentum(tern__onnx_node *n)
{
    update u;
    TERN_TRY(begin_update(n, 3, &u));
    const double alpha = tern__onnx_attr_float(n, "alpha", 0), beta = tern__onnx_attr_float(n, "beta", 1);
    const char *mode = tern__onnx_attr_string(n, "mode", "");
    const bool nesterov = strcmp(mode, "nesterov") == 0;
    if (!nesterov && strcmp(mode, "standard") != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "mode \"%.40s\" is neither standard nor nesterov", mode);
    tern_graph *g = n->g;
    for (int i = 0; i < u.count; i++) {
        const tern_dtype t = tern__onnx_type(n, 2 + i)->dtype;
        tern_value rate, step;
        TERN_TRY(tern__onnx_scalar_in(n, 0, t, &rate));
        TERN_TRY(tern__onnx_scalar_in(n, 1, t, &step));
        tern_value d = regular_gradient(n, &u, i);
        tern_value share = tern__where(g, tern__compare(g, "greater", step, 0), tern__like(g, step, beta), tern__like(g, step, 1));
        tern_value v = tern__add(g, tern__mul_scalar(g, tensor_of(n, &u, 2, i), alpha), tern__mul(g, share, d));
        tern_value way = nesterov ? tern__add(g, d, tern__mul_scalar(g, v, alpha)) : v;
        tern__onnx_set(n, i, tern__sub(g, tensor_of(n, &u, 0, i), tern__mul(g, rate, way)));
        tern__onnx_set(n, u.count + i, v);
    }
    return TERN_OK;
}

/* --- Gradient ---------------------------------------------------------------------------------------------------- */

/* The value that a name of an attribute stands for where the node is. */
static tern_status named(tern__onnx_node *n, const char *name, tern_value *out)
{
    tern__onnx_value *x = tern__onnx_lookup(n->scope, name);
    if (!x || x->kind != TERN__ONNX_TENSOR)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "\"%.80s\" is no tensor that was made before", name);
    *out = tern__onnx_use(n->t, x);
    return tern_graph_check(n->g);
}

/* Inputs are the values of xs, then of zs; other values than those of the names would need the graph between computed anew. */
static tern_status check_fed(tern__onnx_node *n, const char *list, int *at, tern_value *values)
{
    const char *name;
    for (int k = 0; (name = tern__onnx_attr_strings(n, list, k)); k++, (*at)++) {
        tern_value v;
        TERN_TRY(named(n, name, &v));
        if (*at >= n->n_in || !tern__onnx_has(n, *at))
            return tern__onnx_fail(n, TERN_E_CORRUPT, "no input for \"%.80s\"", name);
        if (tern__onnx_in(n, *at) != v)
            return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "its input %d is another value than \"%.80s\", at which y was computed", *at, name);
        values[*at] = v;
    }
    return TERN_OK;
}

/* Which values y is computed from inside this graph, itself included. */
static uint8_t *find_reached(tern__onnx_node *n, tern_value y)
{
    const tern_graph *g = n->g;
    uint8_t *seen = tern__onnx_scratch(n, (size_t)g->n_values, 1);
    if (!seen)
        return NULL;
    seen[y] = 1;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const tern__node *node = g->nodes[i];
        bool used = false;
        for (int k = 0; k < node->n_out; k++)
            used |= node->out[k] >= 0 && seen[node->out[k]];
        for (int k = 0; used && k < node->n_in; k++)
            if (node->in[k] >= 0)
                seen[node->in[k]] = 1;
    }
    return seen;
}

/* The way from xs to y must lie in this graph alone: what an earlier part of the run left behind shows as an input that is not in values, or, where
 * all of it was known, as a constant. */
static tern_status check_way(tern__onnx_node *n, const tern_value *values, int n_xs, const uint8_t *reached)
{
    for (int i = 0; i < n_xs; i++)
        if (!reached[values[i]] || (n->t->part > 0 && tern__value_at(n->g, values[i])->kind == TERN__VALUE_CONST))
            return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "y was not computed from \"%.80s\" in the same graph", tern__onnx_attr_strings(n, "xs", i));
    for (int i = 0; i < n->g->n_inputs; i++) {
        bool fed = !reached[n->g->inputs[i]];
        for (int k = 0; k < n->n_in; k++)
            fed |= values[k] == n->g->inputs[i];
        if (!fed)
            return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "y depends on \"%.80s\", which is neither in xs nor in zs", tern_graph_input_name(n->g, i));
    }
    return TERN_OK;
}

/* d sum(y) / d xs[i]. */
static tern_status gradient(tern__onnx_node *n)
{
    const char *y_name = tern__onnx_attr_string(n, "y", "");
    int n_fed = 0, count = 0;
    tern_value y, *values = tern__onnx_scratch(n, (size_t)n->n_in + 1, 3 * sizeof *values);
    if (!values)
        return tern_graph_check(n->g);
    TERN_TRY(check_fed(n, "xs", &n_fed, values));
    const int n_xs = n_fed;
    TERN_TRY(check_fed(n, "zs", &n_fed, values));
    if (n_fed != n->n_in || n_xs == 0 || n->n_out > n_xs)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "%d names in xs, %d in xs and zs, but %d inputs and %d outputs", n_xs, n_fed, n->n_in, n->n_out);
    TERN_TRY(named(n, y_name, &y));
    const uint8_t *reached = find_reached(n, y);
    if (!reached)
        return tern_graph_check(n->g);
    TERN_TRY(check_way(n, values, n_xs, reached));
    tern_value *wrt = values + n->n_in + 1, *d = wrt + n->n_in + 1;
    for (int i = 0; i < n_xs; i++)
        if (tern__onnx_wants(n, i))
            wrt[count++] = values[i];
    const int rank = tern__shape_of(n->g, y)->rank;
    if (count)
        TERN_TRY(tern_graph_gradients(n->g, tern__sum_axes(n->g, y, (1u << rank) - 1u, false), wrt, count, d));
    for (int i = 0, k = 0; i < n_xs; i++)
        if (tern__onnx_wants(n, i))
            tern__onnx_set(n, i, d[k++]);
    return TERN_OK;
}

#define TRAINING "ai.onnx.preview.training"

const tern__onnx_map tern__onnx_map_loss[] = {
    {"", "NegativeLogLikelihoodLoss", 12, nll_loss}, {"", "SoftmaxCrossEntropyLoss", 12, softmax_loss},
    {TRAINING, "Adagrad", 1, adagrad}, {TRAINING, "Adam", 1, adam}, {TRAINING, "Momentum", 1, momentum}, {TRAINING, "Gradient", 1, gradient},
    {0},
};
