/* Layers: short forms for the usual networks, each adding its variables and ops to the graph. */
#include <tern/nn.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/philox.h"
#include "base/status.h"
#include "ops/common.h"
#include "train/train.h"

#include <math.h>
#include <string.h>

/* False when nothing can be added any more, or, with an error latched, when x is no value of at least this rank. */
static bool usable(tern_nn *nn, const char *what, tern_value x, int rank)
{
    if (!nn || !nn->g || nn->g->error != TERN_OK)
        return false;
    if (x < 0 || x >= nn->g->n_values)
        tern__graph_fail(nn->g, TERN_E_INVALID, "%s: value %d, the graph has values 0 to %d", what, (int)x, nn->g->n_values - 1);
    else if (tern__shape_of(nn->g, x)->rank < rank)
        tern__graph_fail(nn->g, TERN_E_SHAPE, "%s: rank %d, it takes at least %d", what, tern__shape_of(nn->g, x)->rank, rank);
    return nn->g->error == TERN_OK;
}

static bool positive(tern_nn *nn, const char *layer, const char *what, int64_t x)
{
    if (x >= 1)
        return true;
    tern__graph_fail(nn->g, TERN_E_INVALID, "%s: %s is %lld, it must be at least 1", layer, what, (long long)x);
    return false;
}

/* Uniform in [-bound, bound) from the name's own stream of the seed; bound 0 gives the constant value. */
static void fill(float *data, int64_t n, uint64_t seed, const char *name, double bound, float value)
{
    const uint64_t stream = tern__hash(name, strlen(name)).lo;
    for (int64_t i = 0; i < n; i++)
        data[i] = bound > 0 ? (float)(bound * (2 * (double)tern__philox_uniform(seed, stream, (uint64_t)i) - 1)) : value;
}

/* The variable LAYER/part of f32. */
static tern_value variable(tern_nn *nn, const char *layer, const char *part, const tern_shape *s, double bound, float value, bool trainable)
{
    tern__str name = {0};
    tern_tensor *t = NULL;
    tern_value v = TERN_NONE;
    tern__str_addf(&name, "%s/%s", layer ? layer : "", part);
    tern_status st = name.failed ? tern__fail(TERN_E_NOMEM, "%s: no memory for a name", part) : tern_tensor_create(TERN_F32, s, &t);
    if (st != TERN_OK) {
        tern__graph_fail(nn->g, st, "%s", tern_last_error());
    } else {
        fill(tern_tensor_data(t), tern__elems(s), nn->seed, tern__str_text(&name), bound, value);
        v = tern_graph_variable(nn->g, tern__str_text(&name), t, trainable);
    }
    tern_tensor_destroy(t);
    tern__str_finish(&name);
    return v;
}

/* Keeps the variance of what passes through a ReLU (He et al. 2015, eq. 10), as a uniform distribution. */
static double he_bound(int64_t fan_in)
{
    return sqrt(6.0 / (double)TERN_MAX(fan_in, 1));
}

tern_value tern_nn_dense(tern_nn *nn, const char *name, tern_value x, int64_t units)
{
    if (!usable(nn, "dense", x, 2) || !positive(nn, "dense", "units", units))
        return TERN_NONE;
    const tern_shape *s = tern__shape_of(nn->g, x);
    const int64_t in = s->dim[s->rank - 1];
    tern_value w = variable(nn, name, "weight", &(tern_shape){.rank = 2, .dim = {in, units}}, he_bound(in), 0, true);
    tern_value b = variable(nn, name, "bias", &(tern_shape){.rank = 1, .dim = {units}}, 0, 0, true);
    return tern__add(nn->g, tern_graph_op2(nn->g, "matmul", x, w, NULL), b);
}

tern_value tern_nn_conv2d(tern_nn *nn, const char *name, tern_value x, int64_t out_channels, int64_t kernel, int64_t stride, int64_t pad)
{
    if (!usable(nn, "conv2d", x, 4) || !positive(nn, "conv2d", "the number of output channels", out_channels) ||
        !positive(nn, "conv2d", "the kernel's size", kernel))
        return TERN_NONE;
    const int64_t in = tern__shape_of(nn->g, x)->dim[1];
    const tern_shape s = {.rank = 4, .dim = {out_channels, in, kernel, kernel}};
    int64_t elems;
    if (!tern__shape_elems(&s, &elems))
        return tern__graph_fail(nn->g, TERN_E_SHAPE, "conv2d: a weight of [%lld,%lld,%lld,%lld] is too large", (long long)out_channels,
                                (long long)in, (long long)kernel, (long long)kernel);
    tern_value w = variable(nn, name, "weight", &s, he_bound(elems / out_channels), 0, true);
    tern_value b = variable(nn, name, "bias", &(tern_shape){.rank = 1, .dim = {out_channels}}, 0, 0, true);
    const int64_t strides[] = {stride, stride}, pads[] = {pad, pad, pad, pad};
    return tern_graph_op3(nn->g, "conv", x, w, b, TERN_ATTRS(TERN_INTS("strides", strides, 2), TERN_INTS("pads", pads, 4)));
}

/* old * 0.9 + fresh * 0.1, from run to run. */
static void track(tern_graph *g, tern_value running, tern_value fresh)
{
    const double momentum = 0.9;
    tern_graph_assign(g, running, tern__add(g, tern__mul_scalar(g, running, momentum), tern__mul_scalar(g, fresh, 1 - momentum)));
}

tern_value tern_nn_batch_norm(tern_nn *nn, const char *name, tern_value x, bool training)
{
    if (!usable(nn, "batch_norm", x, 2))
        return TERN_NONE;
    tern_graph *g = nn->g;
    const tern_shape s = {.rank = 1, .dim = {tern__shape_of(g, x)->dim[1]}};
    tern_value scale = variable(nn, name, "scale", &s, 0, 1, true), shift = variable(nn, name, "shift", &s, 0, 0, true);
    tern_value mean = variable(nn, name, "mean", &s, 0, 0, false), var = variable(nn, name, "var", &s, 0, 1, false);
    if (!training)
        return tern_graph_add(g, "batch_norm_infer", (tern_value[]){x, scale, shift, mean, var}, 5, NULL);
    tern_value out[3];
    tern_graph_add_n(g, "batch_norm", (tern_value[]){x, scale, shift}, 3, NULL, out, 3);
    track(g, mean, out[1]);
    track(g, var, out[2]);
    return out[0];
}

tern_value tern_nn_max_pool2d(tern_nn *nn, tern_value x, int64_t kernel, int64_t stride)
{
    if (!usable(nn, "max_pool2d", x, 4))
        return TERN_NONE;
    const int64_t kernels[] = {kernel, kernel}, strides[] = {stride, stride};
    return tern_graph_op1(nn->g, "max_pool", x, TERN_ATTRS(TERN_INTS("kernel", kernels, 2), TERN_INTS("strides", strides, 2)));
}

tern_value tern_nn_relu(tern_nn *nn, tern_value x)
{
    return usable(nn, "relu", x, 0) ? tern__unary(nn->g, "relu", x) : TERN_NONE;
}

tern_value tern_nn_flatten(tern_nn *nn, tern_value x)
{
    return usable(nn, "flatten", x, 1) ? tern_graph_op1(nn->g, "flatten", x, TERN_ATTRS(TERN_INT("axis", 1))) : TERN_NONE;
}

tern_value tern_nn_dropout(tern_nn *nn, const char *name, tern_value x, double p, bool training)
{
    if (!usable(nn, "dropout", x, 0))
        return TERN_NONE;
    if (!(p >= 0 && p < 1))
        return tern__graph_fail(nn->g, TERN_E_INVALID, "dropout: the probability is %g, it must be at least 0 and below 1", p);
    if (!training || p == 0)
        return x;
    /* The layer's own stream of random numbers, again by its name. */
    tern__digest d = tern__hash_more(tern__hash(&nn->seed, sizeof nn->seed), name ? name : "", name ? strlen(name) : 0);
    tern_value step = tern__train_number(nn->g, TERN__TRAIN_STEP, 0);
    return tern_graph_op2(nn->g, "dropout", x, step, TERN_ATTRS(TERN_FLOAT("p", p), TERN_INT("seed", (int64_t)(d.lo >> 1))));
}

tern_value tern_nn_attention(tern_nn *nn, tern_value q, tern_value k, tern_value v, tern_value mask, const tern_attention *options)
{
    static const tern_attention usual;
    if (!usable(nn, "attention", q, 4) || !usable(nn, "attention", k, 4) || !usable(nn, "attention", v, 4))
        return TERN_NONE;
    if (!options)
        options = &usual;
    const tern_value in[4] = {q, k, v, mask};
    return tern_graph_add(nn->g, "attention", in, 4,
                          TERN_ATTRS(TERN_FLOAT("scale", options->scale), TERN_FLOAT("softcap", options->softcap), TERN_INT("causal", options->causal),
                                     TERN_INT("offset", options->offset), TERN_INT("joined", options->joined)));
}

tern_value tern_nn_cross_entropy(tern_nn *nn, tern_value logits, tern_value labels)
{
    if (!usable(nn, "cross_entropy", logits, 2) || !usable(nn, "cross_entropy", labels, 1))
        return TERN_NONE;
    return tern_graph_op2(nn->g, "softmax_cross_entropy", logits, labels, NULL);
}
