/* Handlers of the normalisations: batch, instance, layer, group, RMS, mean-variance, local response, Lp. */
#include <inttypes.h>
#include <string.h>

#include "onnx/import_nn.h"
#include "onnx/retrain.h"
#include "ops/norm.h"

/* The wider of two element types: computations are done in it. */
static tern_dtype wider(tern_dtype a, tern_dtype b)
{
    return tern_dtype_size(b) > tern_dtype_size(a) ? b : a;
}

/* Input i in dtype t; TERN_NONE if it is missing. */
static tern_value input_as(tern__onnx_node *n, int i, tern_dtype t)
{
    tern_value v = tern__onnx_in(n, i);
    return v == TERN_NONE ? v : tern__cast(n->g, v, t);
}

/* At least f32. */
static tern_dtype at_least_f32(tern_dtype t)
{
    return t == TERN_F64 ? t : TERN_F32;
}

static tern_status need_inputs(const tern__onnx_node *n, int from, int to, int rank_lo)
{
    TERN_TRY(tern__onnx_need_rank(n, 0, rank_lo, TERN_MAX_RANK));
    for (int i = from; i <= to; i++)
        TERN_TRY(tern__onnx_need_rank(n, i, 0, TERN_MAX_RANK));
    for (int i = 0; i < n->n_in; i++)
        if (tern__onnx_has(n, i))
            TERN_TRY(tern__onnx_need_float(n, i));
    return TERN_OK;
}

static bool all_alike(const tern__onnx_node *n)
{
    for (int i = 1; i < n->n_in; i++)
        if (tern__onnx_has(n, i) && tern__onnx_type(n, i)->dtype != tern__onnx_type(n, 0)->dtype)
            return false;
    return true;
}

/* [extent] exactly, along what the ops take per channel. */
static bool is_vector(const tern__onnx_node *n, int i, int64_t extent)
{
    const tern_shape *s = tern__onnx_shape(n, i);
    return !tern__onnx_has(n, i) || (s->rank == 1 && s->dim[0] == extent);
}

static tern_status need_vector(const tern__onnx_node *n, int i, int64_t extent, const char *what)
{
    char text[TERN__SHAPE_TEXT];
    if (is_vector(n, i, extent))
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s but must be [%" PRId64 "], one for each %s", i,
                           tern__shape_text(tern__onnx_shape(n, i), text), extent, what);
}

/* --- BatchNormalization --- */

enum { X, SCALE, BIAS, MEAN, VAR };

/* Is it to use the batch's own statistics? Before 7 is_test said so, though an inference model may leave it off: it then names one output.
 * From 7 the outputs say so, from 14 training_mode. */
static bool trains(tern__onnx_node *n)
{
    bool more = false;
    for (int i = 1; i < n->n_out; i++)
        more |= tern__onnx_wants(n, i);
    if (n->opset >= 14)
        return tern__onnx_attr_int(n, "training_mode", 0) != 0;
    if (n->opset < 7)
        return tern__onnx_attr_int(n, "is_test", 0) == 0 && more;
    return more;
}

/* A statistic or parameter, one for each channel or (spatial 0) each feature, broadcast over x. */
static tern_value spread(tern_graph *g, tern_value v, int rank, bool spatial)
{
    return spatial ? tern__per_channel(g, v, rank) : tern__unsqueeze(g, v, 1u);
}

static tern_status check_parameters(const tern__onnx_node *n, bool spatial)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    const tern_shape *s = tern__onnx_shape(n, X);
    tern_shape feature = {.rank = s->rank - 1};
    memcpy(feature.dim, s->dim + 1, (size_t)feature.rank * sizeof *feature.dim);
    for (int i = SCALE; i <= VAR; i++) {
        if (spatial)
            TERN_TRY(need_vector(n, i, s->dim[1], "channel"));
        else if (!tern__shape_equal(tern__onnx_shape(n, i), &feature))
            return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s but must be %s", i, tern__shape_text(tern__onnx_shape(n, i), a),
                                   tern__shape_text(&feature, b));
    }
    return TERN_OK;
}

/* The running statistics move towards the batch's. Old versions also give the batch's own. */
static void set_statistics(tern__onnx_node *n, tern_value mean, tern_value var)
{
    tern_graph *g = n->g;
    const double momentum = tern__onnx_attr_float(n, "momentum", 0.9);
    const tern_value batch[2] = {mean, var};
    for (int i = 0; i < 2; i++) {
        const tern_dtype t = tern__onnx_type(n, MEAN + i)->dtype;
        tern_value now = tern__widen(g, tern__onnx_in(n, MEAN + i)), seen = tern__cast(g, batch[i], tern__dtype_of(g, now));
        tern_value moved = tern__add(g, tern__mul_scalar(g, now, momentum), tern__mul_scalar(g, seen, 1 - momentum));
        tern__onnx_set(n, 1 + i, tern__cast(g, moved, t));
        tern__onnx_set(n, 3 + i, tern__cast(g, batch[i], t));
    }
}

/* In a graph that trains the model: unless its scale is frozen, the layer is retrained with the rest. */
static bool learns(const tern__onnx_node *n)
{
    return tern__onnx_trains(n->t) && n->in[SCALE]->variable && n->in[SCALE]->trainable && n->in[MEAN]->variable && n->in[VAR]->variable;
}

/* The same, from run to run. */
static void keep_statistics(tern__onnx_node *n, tern_value mean, tern_value var)
{
    const double momentum = tern__onnx_attr_float(n, "momentum", 0.9);
    const tern_value batch[2] = {mean, var};
    for (int i = 0; i < 2; i++) {
        tern_value now = tern__onnx_in(n, MEAN + i);
        tern_graph_assign(n->g, now, tern__add(n->g, tern__mul_scalar(n->g, now, momentum), tern__mul_scalar(n->g, batch[i], 1 - momentum)));
    }
}

/* Any types, either form of statistics, any eps. */
static tern_status general_batch_norm(tern__onnx_node *n, bool spatial, bool training, double eps)
{
    tern_graph *g = n->g;
    const int rank = tern__onnx_rank(n, X);
    tern_dtype t = at_least_f32(tern__onnx_type(n, X)->dtype);
    for (int i = SCALE; i <= VAR; i++)
        t = wider(t, tern__onnx_type(n, i)->dtype);
    tern__norm b = {.mask = spatial ? tern__all_but(rank, 1) : 1u, .eps = eps, .centred = true, .x = input_as(n, X, t)};
    b.gamma = spread(g, input_as(n, SCALE, t), rank, spatial);
    if (training) {
        tern__norm_stats(g, &b);
        set_statistics(n, tern__squeeze(g, b.mean, b.mask), tern__squeeze(g, b.var, b.mask));
    } else {
        b.mean = spread(g, input_as(n, MEAN, t), rank, spatial);
        b.var = spread(g, input_as(n, VAR, t), rank, spatial);
        b.xhat = tern__mul(g, tern__sub(g, b.x, b.mean), tern__unary(g, "rsqrt", tern__add_scalar(g, b.var, eps)));
    }
    tern_value y = tern__norm_apply(g, &b, spread(g, input_as(n, BIAS, t), rank, spatial));
    return tern__onnx_done(n, 0, tern__cast(g, y, tern__onnx_type(n, X)->dtype));
}

tern_status tern__onnx_batch_norm(tern__onnx_node *n)
{
    TERN_TRY(need_inputs(n, SCALE, VAR, 2));
    for (int i = MEAN; i <= VAR; i++)
        if (tern__onnx_has(n, i))
            n->in[i]->trainable = false; /* running statistics do not learn by gradients */
    const bool spatial = tern__onnx_attr_int(n, "spatial", 1) != 0, learning = learns(n), training = learning || trains(n);
    const double eps = tern__onnx_attr_float(n, "epsilon", 1e-5);
    tern__onnx_attr_ignore(n, "consumed_inputs");
    tern__onnx_attr_ignore(n, "momentum");
    tern__onnx_attr_ignore(n, "is_test");
    TERN_TRY(check_parameters(n, spatial));
    if (!training)
        for (int i = 1; i < n->n_out; i++)
            if (tern__onnx_wants(n, i))
                return tern__onnx_fail(n, TERN_E_INVALID, "output %d is wanted, but it is one of training", i);
    if (!spatial || !all_alike(n) || !(eps > 0))
        return learning ? tern__onnx_fail(n, TERN_E_UNSUPPORTED, "training its statistics needs parameters of one type for each channel")
                        : general_batch_norm(n, spatial, training, eps);
    tern_value in[5], y[3];
    for (int i = X; i <= VAR; i++)
        in[i] = tern__onnx_in(n, i);
    if (!training)
        return tern__onnx_done(n, 0, tern_graph_add(n->g, "batch_norm_infer", in, 5, TERN_ATTRS(TERN_FLOAT("eps", eps))));
    tern_graph_add_n(n->g, "batch_norm", in, 3, TERN_ATTRS(TERN_FLOAT("eps", eps)), y, 3);
    if (learning)
        keep_statistics(n, y[1], y[2]);
    else
        set_statistics(n, y[1], y[2]);
    return tern__onnx_done(n, 0, y[0]);
}

/* --- InstanceNormalization --- */

tern_status tern__onnx_instance_norm(tern__onnx_node *n)
{
    TERN_TRY(need_inputs(n, 1, 2, 3));
    const double eps = tern__onnx_attr_float(n, "epsilon", 1e-5);
    tern__onnx_attr_ignore(n, "consumed_inputs");
    const tern_value in[3] = {tern__onnx_in(n, 0), tern__onnx_in(n, 1), tern__onnx_in(n, 2)};
    return tern__onnx_done(n, 0, tern_graph_add(n->g, "instance_norm", in, 3, TERN_ATTRS(TERN_FLOAT("eps", eps))));
}

/* --- LayerNormalization and its kin --- */

/* What is computed in: stash_type names f32 (1), f64 (11), f16 (10) or bf16 (16); sums are never kept in less than f32. */
static tern_status read_stash(tern__onnx_node *n, tern_dtype *stash)
{
    const int64_t type = tern__onnx_attr_int(n, "stash_type", 1);
    if (type < 0 || type > INT32_MAX || tern__onnx_dtype((int32_t)type, stash) != TERN_OK || !tern__dtype_is(*stash, TERN__T_FLOAT))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "stash_type %" PRId64, type);
    return TERN_OK;
}

static unsigned axes_from(int axis, int rank)
{
    return ((1u << rank) - 1u) & ~((1u << axis) - 1u);
}

/* Has x's extents from axis on. */
static bool is_tail(const tern__onnx_node *n, int i, int axis)
{
    const tern_shape *x = tern__onnx_shape(n, 0), *s = tern__onnx_shape(n, i);
    if (!tern__onnx_has(n, i))
        return true;
    bool same = s->rank == x->rank - axis;
    for (int k = 0; same && k < s->rank; k++)
        same = s->dim[k] == x->dim[axis + k];
    return same;
}

/* A scale or bias broadcasts to x, never the other way round. */
static tern_status need_broadcast(const tern__onnx_node *n, int i)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    const tern_shape *x = tern__onnx_shape(n, 0), *s = tern__onnx_shape(n, i);
    tern_shape both;
    if (!tern__onnx_has(n, i) || (tern__broadcast(x, s, &both) && tern__shape_equal(&both, x)))
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s, which does not broadcast to %s", i, tern__shape_text(s, a), tern__shape_text(x, b));
}

/* y = normalised x (in dtype t, over axes from axis on) scaled by input scale and shifted by input bias; outputs mean and inv at their places. */
typedef struct layer {
    tern_value x;
    int axis, rank, scale, bias; /* inputs; -1: there is none */
    int mean, inv;               /* outputs; -1: there is none */
    double eps;
    bool centred;
    tern_dtype t, stash;
} layer;

static tern_status normalise(tern__onnx_node *n, const layer *l)
{
    tern_graph *g = n->g;
    tern_value beta = l->bias >= 0 ? input_as(n, l->bias, l->t) : TERN_NONE;
    tern__norm b = {.mask = axes_from(l->axis, l->rank), .eps = l->eps, .centred = l->centred, .x = tern__cast(g, l->x, l->t)};
    b.gamma = l->scale >= 0 ? input_as(n, l->scale, l->t) : TERN_NONE;
    tern__norm_stats(g, &b);
    if (l->mean >= 0 && l->centred)
        tern__onnx_set(n, l->mean, tern__cast(g, b.mean, l->stash));
    if (l->inv >= 0)
        tern__onnx_set(n, l->inv, tern__cast(g, b.inv, l->stash));
    return tern__onnx_done(n, 0, tern__cast(g, tern__norm_apply(g, &b, beta), tern__onnx_type(n, 0)->dtype));
}

static tern_status read_layer(tern__onnx_node *n, layer *l)
{
    TERN_TRY(need_inputs(n, 1, 1, 1));
    l->rank = tern__onnx_rank(n, 0);
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", -1), l->rank, &l->axis));
    TERN_TRY(read_stash(n, &l->stash));
    l->eps = tern__onnx_attr_float(n, "epsilon", 1e-5);
    l->t = at_least_f32(wider(tern__onnx_type(n, 0)->dtype, l->stash));
    for (int i = 1; i < n->n_in; i++)
        TERN_TRY(need_broadcast(n, i));
    l->x = tern__onnx_in(n, 0);
    return TERN_OK;
}

tern_status tern__onnx_layer_norm(tern__onnx_node *n)
{
    layer l = {.scale = 1, .bias = 2, .mean = 1, .inv = 2, .centred = true};
    TERN_TRY(read_layer(n, &l));
    const bool plain = !tern__onnx_wants(n, 1) && !tern__onnx_wants(n, 2) && all_alike(n) && is_tail(n, 1, l.axis) && is_tail(n, 2, l.axis);
    if (!plain || !(l.eps > 0) || l.t != at_least_f32(tern__onnx_type(n, 0)->dtype))
        return normalise(n, &l);
    const tern_value in[3] = {l.x, tern__onnx_in(n, 1), tern__onnx_in(n, 2)};
    return tern__onnx_done(n, 0, tern_graph_add(n->g, "layer_norm", in, 3, TERN_ATTRS(TERN_INT("axis", l.axis), TERN_FLOAT("eps", l.eps))));
}

/* RMSNormalization, and com.microsoft's SimplifiedLayerNormalization with its second output. */
tern_status tern__onnx_rms_norm(tern__onnx_node *n)
{
    layer l = {.scale = 1, .bias = -1, .mean = -1, .inv = 1};
    TERN_TRY(read_layer(n, &l));
    if (tern__onnx_wants(n, 1) || !all_alike(n) || !is_tail(n, 1, l.axis) || !(l.eps > 0) || l.t != at_least_f32(tern__onnx_type(n, 0)->dtype))
        return normalise(n, &l);
    return tern__onnx_done(n, 0, tern_graph_op2(n->g, "rms_norm", l.x, tern__onnx_in(n, 1), TERN_ATTRS(TERN_INT("axis", l.axis), TERN_FLOAT("eps", l.eps))));
}

/* com.microsoft: layer normalisation over the last axis of input + skip (+ bias); the simplified form has no mean and no shift. */
tern_status tern__onnx_skip_layer_norm(tern__onnx_node *n)
{
    const bool simplified = strncmp(n->proto->op_type, "SkipSimplified", 14) == 0;
    const int bias = simplified ? 3 : 4;
    TERN_TRY(need_inputs(n, 1, 2, 1));
    for (int i = 1; i < n->n_in; i++)
        TERN_TRY(need_broadcast(n, i));
    const int rank = tern__onnx_rank(n, 0);
    layer l = {.rank = rank, .axis = rank - 1, .scale = 2, .bias = simplified ? -1 : 3, .mean = 1, .inv = 2, .centred = !simplified};
    l.eps = tern__onnx_attr_float(n, "epsilon", 1e-12);
    l.t = at_least_f32(tern__onnx_type(n, 0)->dtype);
    l.stash = TERN_F32;
    l.x = tern__add(n->g, input_as(n, 0, l.t), input_as(n, 1, l.t));
    if (tern__onnx_has(n, bias))
        l.x = tern__add(n->g, l.x, input_as(n, bias, l.t));
    tern__onnx_set(n, 3, tern__cast(n->g, l.x, tern__onnx_type(n, 0)->dtype));
    return normalise(n, &l);
}

/* --- GroupNormalization --- Until 20 scale and bias were one for each group, then one for each channel. */

tern_status tern__onnx_group_norm(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    tern_dtype stash;
    TERN_TRY(need_inputs(n, 1, 2, 2));
    TERN_TRY(read_stash(n, &stash));
    const tern_shape s = *tern__onnx_shape(n, 0);
    const int64_t groups = tern__onnx_attr_int(n, "num_groups", 0), per = n->opset < 21 ? groups : s.dim[1];
    if (groups < 1 || s.dim[1] % groups)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%" PRId64 " channels do not make %" PRId64 " groups", s.dim[1], groups);
    for (int i = 1; i < 3; i++)
        TERN_TRY(need_vector(n, i, per, n->opset < 21 ? "group" : "channel"));
    const tern_dtype t = at_least_f32(wider(tern__onnx_type(n, 0)->dtype, stash));
    const tern_shape grouped = {.rank = 4, .dim = {s.dim[0], groups, s.dim[1] / groups, tern__extent(&s, 2, s.rank)}};
    const tern_shape vector = {.rank = 4, .dim = {1, groups, per / groups, 1}};
    tern__norm b = {.mask = 0xc, .eps = tern__onnx_attr_float(n, "epsilon", 1e-5), .centred = true, .x = tern__reshape(g, input_as(n, 0, t), &grouped)};
    b.gamma = tern__reshape(g, input_as(n, 1, t), &vector);
    tern__norm_stats(g, &b);
    tern_value y = tern__norm_apply(g, &b, tern__reshape(g, input_as(n, 2, t), &vector));
    return tern__onnx_done(n, 0, tern__cast(g, tern__reshape(g, y, &s), tern__onnx_type(n, 0)->dtype));
}

/* --- Others --- */

tern_status tern__onnx_mean_variance_norm(tern__onnx_node *n)
{
    static const int64_t usual[] = {0, 2, 3};
    tern_graph *g = n->g;
    int count;
    TERN_TRY(need_inputs(n, 1, 0, 1));
    const int64_t *axes = tern__onnx_attr_ints(n, "axes", &count);
    const int rank = tern__onnx_rank(n, 0), n_axes = tern__onnx_attr_given(n, "axes") ? count : 3;
    unsigned mask = 0;
    for (int i = 0; i < n_axes; i++) {
        int axis;
        TERN_TRY(tern__onnx_axis(n, axes ? axes[i] : usual[i], rank, &axis));
        mask |= 1u << axis;
    }
    tern_value x = tern__widen(g, tern__onnx_in(n, 0)), xc = tern__sub(g, x, tern__mean_axes(g, x, mask, true));
    tern_value deviation = tern__unary(g, "sqrt", tern__mean_axes(g, tern__mul(g, xc, xc), mask, true));
    tern_value y = tern__div(g, xc, tern__add_scalar(g, deviation, 1e-9));
    return tern__onnx_done(n, 0, tern__cast(g, y, tern__onnx_type(n, 0)->dtype));
}

/* The mean of squares over neighbouring channels is an average pool whose first spatial axis is the channels. */
tern_status tern__onnx_lrn(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    TERN_TRY(need_inputs(n, 1, 0, 2));
    const int64_t size = tern__onnx_attr_int(n, "size", 0);
    const double alpha = tern__onnx_attr_float(n, "alpha", 1e-4), beta = tern__onnx_attr_float(n, "beta", 0.75);
    const double bias = tern__onnx_attr_float(n, "bias", 1);
    if (size < 1 || size > INT32_MAX)
        return tern__onnx_fail(n, TERN_E_INVALID, "size %" PRId64, size);
    const tern_shape s = *tern__onnx_shape(n, 0);
    const tern_shape planes = {.rank = 4, .dim = {s.dim[0], 1, s.dim[1], tern__extent(&s, 2, s.rank)}};
    const int64_t kernel[2] = {size, 1}, pads[4] = {(size - 1) / 2, 0, size / 2, 0};
    tern_value x = tern__widen(g, tern__onnx_in(n, 0)), squares = tern__reshape(g, tern__mul(g, x, x), &planes);
    tern_value mean = tern_graph_op1(g, "average_pool", squares,
                                     TERN_ATTRS(TERN_INTS("kernel", kernel, 2), TERN_INTS("pads", pads, 4), TERN_INT("divisor", size)));
    mean = tern__add_scalar(g, tern__mul_scalar(g, tern__reshape(g, mean, &s), alpha), bias);
    tern_value y = tern__mul(g, x, tern_graph_op2(g, "pow", mean, tern__like(g, mean, -beta), NULL));
    return tern__onnx_done(n, 0, tern__cast(g, y, tern__onnx_type(n, 0)->dtype));
}

tern_status tern__onnx_lp_norm(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    int axis;
    TERN_TRY(need_inputs(n, 1, 0, 1));
    const int64_t p = tern__onnx_attr_int(n, "p", 2);
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", -1), tern__onnx_rank(n, 0), &axis));
    if (p != 1 && p != 2)
        return tern__onnx_fail(n, TERN_E_INVALID, "p %" PRId64 " is neither 1 nor 2", p);
    tern_value x = tern__widen(g, tern__onnx_in(n, 0));
    tern_value norm = tern__sum_axes(g, p == 1 ? tern__unary(g, "abs", x) : tern__mul(g, x, x), 1u << axis, true);
    norm = p == 1 ? norm : tern__unary(g, "sqrt", norm);
    tern_value y = tern__where(g, tern__compare(g, "equal", norm, 0), tern__like(g, norm, 0), tern__div(g, x, norm));
    return tern__onnx_done(n, 0, tern__cast(g, y, tern__onnx_type(n, 0)->dtype));
}
