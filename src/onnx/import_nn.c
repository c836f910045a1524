/* The table of layers, and those handlers that are short: Dropout, the GELUs of com.microsoft, activations inside fused operators. */
#include "onnx/import_nn.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "onnx/retrain.h"
#include "ops/common.h"
#include "train/train.h"

/* --- Activations inside FusedConv and FusedGemm --- */

/* Parameter i of the activation: of the list activation_params, or an attribute of its own. */
static double parameter(tern__onnx_node *n, int i, double def)
{
    static const char *const names[] = {"activation_alpha", "activation_beta", "activation_gamma"};
    int count;
    const float *list = tern__onnx_attr_floats(n, "activation_params", &count);
    return tern__onnx_attr_float(n, names[i], i < count ? (double)list[i] : def);
}

tern_status tern__onnx_fused_activation(tern__onnx_node *n, tern_value *v)
{
    static const struct {
        const char *onnx, *op, *first, *second; /* names of the op's attributes, in the order of the parameters */
        double def[2];
    } known[] = {
        {"Relu", "relu", NULL, NULL, {0}},
        {"Tanh", "tanh", NULL, NULL, {0}},
        {"Sigmoid", "sigmoid", NULL, NULL, {0}},
        {"Softplus", "softplus", NULL, NULL, {0}},
        {"LeakyRelu", "leaky_relu", "alpha", NULL, {0.01}},
        {"Elu", "elu", "alpha", NULL, {1}},
        {"HardSigmoid", "hard_sigmoid", "alpha", "beta", {0.2, 0.5}},
        {"Clip", "clip", "min", "max", {-3.4028234663852886e38, 3.4028234663852886e38}},
    };
    const char *name = tern__onnx_attr_string(n, "activation", "");
    const double p[2] = {parameter(n, 0, NAN), parameter(n, 1, NAN)};
    tern__onnx_attr_ignore(n, "activation_gamma");
    if (!*name)
        return TERN_OK;
    for (size_t i = 0; i < TERN_COUNT(known); i++) {
        if (strcmp(name, known[i].onnx) != 0)
            continue;
        const double a = isnan(p[0]) ? known[i].def[0] : p[0], b = isnan(p[1]) ? known[i].def[1] : p[1];
        const tern_attr attrs[] = {TERN_FLOAT(known[i].first, a), TERN_FLOAT(known[i].second, b), {0}};
        const tern_attr one[] = {TERN_FLOAT(known[i].first, a), {0}};
        *v = tern_graph_op1(n->g, known[i].op, *v, known[i].second ? attrs : known[i].first ? one : NULL);
        return tern_graph_check(n->g);
    }
    return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "activation \"%s\"", name);
}

/* --- com.microsoft's GELUs --- */

static tern_status ms_gelu(tern__onnx_node *n)
{
    const char *name = n->proto->op_type;
    TERN_TRY(tern__onnx_need_rank(n, 0, 0, TERN_MAX_RANK));
    tern_value x = tern__onnx_in(n, 0);
    if (tern__onnx_has(n, 1))
        x = tern__add(n->g, x, tern__onnx_in(n, 1));
    if (strcmp(name, "QuickGelu") == 0) {
        tern_value gate = tern__unary(n->g, "sigmoid", tern__mul_scalar(n->g, x, tern__onnx_attr_float(n, "alpha", 1.702)));
        return tern__onnx_done(n, 0, tern__mul(n->g, x, gate));
    }
    return tern__onnx_done(n, 0, tern_graph_op1(n->g, "gelu", x, TERN_ATTRS(TERN_INT("approximate", strcmp(name, "FastGelu") == 0))));
}

/* --- Dropout --- */

/* MT19937 (Matsumoto and Nishimura 1998), which a seed means in ONNX's reference: the same seed drops the same elements there and here. */
typedef struct twister {
    uint32_t state[624];
    int at;
} twister;

static void twister_init(twister *t, uint32_t seed)
{
    t->state[0] = seed;
    for (uint32_t i = 1; i < 624; i++)
        t->state[i] = 1812433253u * (t->state[i - 1] ^ (t->state[i - 1] >> 30)) + i;
    t->at = 624;
}

static void twister_refill(twister *t)
{
    for (int i = 0; i < 624; i++) {
        const uint32_t y = (t->state[i] & 0x80000000u) | (t->state[(i + 1) % 624] & 0x7fffffffu);
        t->state[i] = t->state[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->at = 0;
}

static uint32_t twister_next(twister *t)
{
    if (t->at == 624)
        twister_refill(t);
    uint32_t y = t->state[t->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* Uniform in [0, 1) with 53 bits. */
static double twister_double(twister *t)
{
    const uint32_t a = twister_next(t) >> 5, b = twister_next(t) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
}

/* Masks up to this size are drawn while importing if there is a seed; larger ones on the device. */
#define SEEDED_ELEMS (INT64_C(1) << 24)

/* Which elements stay, as a constant. */
static tern_value seeded_mask(tern_graph *g, const tern_shape *s, uint32_t seed, double ratio)
{
    const int64_t elems = tern__elems(s);
    tern__blob *b = tern__blob_create(NULL, (size_t)TERN_MAX(elems, 1));
    if (!b)
        return tern__graph_fail(g, TERN_E_NOMEM, "a mask of %" PRId64 " elements", elems);
    twister t;
    twister_init(&t, seed);
    for (int64_t i = 0; i < elems; i++)
        b->data[i] = twister_double(&t) >= ratio;
    b->size = (size_t)elems;
    const tern__type type = {.dtype = TERN_BOOL, .shape = *s};
    tern_value v = tern__graph_blob(g, &type, b);
    tern__blob_release(b);
    return v;
}

/* A seed of its own for each node without one: its output's name, hashed (FNV-1a). */
static int64_t own_seed(const tern__onnx_node *n)
{
    uint64_t h = UINT64_C(14695981039346656037);
    const char *name = n->proto->n_output ? n->proto->output[0] : "";
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * UINT64_C(1099511628211);
    return (int64_t)(h >> 1);
}

static tern_value drawn_mask(tern__onnx_node *n, const tern_shape *s, double ratio)
{
    const bool seeded = tern__onnx_attr_given(n, "seed");
    const int64_t seed = tern__onnx_attr_int(n, "seed", 0);
    if (seeded && seed >= 0 && seed <= UINT32_MAX && tern__elems(s) <= SEEDED_ELEMS)
        return seeded_mask(n->g, s, (uint32_t)seed, ratio);
    tern_value u = tern_graph_op1(n->g, "random_uniform", tern__onnx_run_number(n),
                                  TERN_ATTRS(TERN_INTS("shape", s->dim, s->rank), TERN_INT("seed", seeded ? seed : own_seed(n))));
    return tern__compare(n->g, "greater_equal", u, ratio);
}

static tern_status read_scalar(tern__onnx_node *n, int i, double def, double *out)
{
    const double *v;
    int count;
    *out = def;
    if (!tern__onnx_has(n, i))
        return TERN_OK;
    TERN_TRY(tern__onnx_read_floats(n, i, &v, &count));
    if (count != 1)
        return tern__onnx_fail(n, TERN_E_SHAPE, "input %d has %d elements, it must be a scalar", i, count);
    *out = v[0];
    return TERN_OK;
}

/* How much to drop: nothing outside of training. Versions up to 6 train unless is_test says not; 7 and 10 never do; from 12 on an input says. */
static tern_status read_ratio(tern__onnx_node *n, double *ratio)
{
    double training = 0;
    if (n->opset >= 12) {
        TERN_TRY(read_scalar(n, 2, 0, &training));
        tern__onnx_attr_ignore(n, "seed");
        if (training)
            TERN_TRY(read_scalar(n, 1, 0.5, ratio));
    } else {
        *ratio = tern__onnx_attr_float(n, "ratio", 0.5);
        training = n->opset < 7 && tern__onnx_attr_int(n, "is_test", 0) == 0;
        tern__onnx_attr_ignore(n, "is_test");
        tern__onnx_attr_ignore(n, "consumed_inputs");
    }
    if (!training)
        *ratio = 0;
    if (!(*ratio >= 0 && *ratio < 1))
        return tern__onnx_fail(n, TERN_E_INVALID, "ratio %g is not in [0, 1)", *ratio);
    return TERN_OK;
}

/* In a graph that trains the model: whatever an exporter wrote for inference, and another mask in every step. */
static tern_status drop_in_training(tern__onnx_node *n)
{
    double ratio = tern__onnx_attr_float(n, "ratio", 0.5);
    if (n->opset >= 12)
        TERN_TRY(read_scalar(n, 1, 0.5, &ratio));
    tern__onnx_attr_ignore(n, "seed");
    tern__onnx_attr_ignore(n, "is_test");
    tern__onnx_attr_ignore(n, "consumed_inputs");
    if (tern__onnx_wants(n, 1))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "training with a mask that the model uses elsewhere");
    if (!(ratio >= 0 && ratio < 1))
        return tern__onnx_fail(n, TERN_E_INVALID, "ratio %g is not in [0, 1)", ratio);
    const tern_value step = tern__train_number(n->g, TERN__TRAIN_STEP, 0);
    return tern__onnx_done(n, 0, tern_graph_op2(n->g, "dropout", tern__onnx_in(n, 0), step, TERN_ATTRS(TERN_FLOAT("p", ratio), TERN_INT("seed", own_seed(n)))));
}

static tern_status dropout(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    double ratio = 0;
    TERN_TRY(tern__onnx_need_rank(n, 0, 0, TERN_MAX_RANK));
    TERN_TRY(tern__onnx_need_float(n, 0));
    if (tern__onnx_trains(n->t))
        return drop_in_training(n);
    TERN_TRY(read_ratio(n, &ratio));
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    const tern_shape s = *tern__onnx_shape(n, 0);
    tern_value x = tern__onnx_in(n, 0), mask = TERN_NONE;
    if (ratio > 0)
        mask = drawn_mask(n, &s, ratio);
    else if (tern__onnx_wants(n, 1))
        mask = tern__expand_to(g, tern_graph_scalar(g, TERN_BOOL, 1), &s);
    if (mask != TERN_NONE)
        tern__onnx_set(n, 1, n->opset < 10 ? tern__cast(g, mask, t) : mask);
    if (ratio == 0)
        return tern__onnx_done(n, 0, tern__unary(g, "identity", x));
    return tern__onnx_done(n, 0, tern__where(g, mask, tern__mul_scalar(g, x, 1 / (1 - ratio)), tern__like(g, x, 0)));
}

#define MS "com.microsoft"
const tern__onnx_map tern__onnx_map_nn[] = {
    {"", "Conv", 1, tern__onnx_conv},
    {"", "ConvTranspose", 1, tern__onnx_conv_transpose},
    {"", "MaxPool", 1, tern__onnx_max_pool},
    {"", "AveragePool", 1, tern__onnx_average_pool},
    {"", "LpPool", 1, tern__onnx_lp_pool},
    {"", "GlobalAveragePool", 1, tern__onnx_global_pool},
    {"", "GlobalMaxPool", 1, tern__onnx_global_pool},
    {"", "GlobalLpPool", 1, tern__onnx_global_lp_pool},
    {"", "MaxUnpool", 9, tern__onnx_max_unpool},
    {"", "BatchNormalization", 1, tern__onnx_batch_norm},
    {"", "InstanceNormalization", 1, tern__onnx_instance_norm},
    {"", "LayerNormalization", 17, tern__onnx_layer_norm},
    {"", "GroupNormalization", 18, tern__onnx_group_norm},
    {"", "RMSNormalization", 23, tern__onnx_rms_norm},
    {"", "MeanVarianceNormalization", 1, tern__onnx_mean_variance_norm},
    {"", "LRN", 1, tern__onnx_lrn},
    {"", "LpNormalization", 1, tern__onnx_lp_norm},
    {"", "Dropout", 1, dropout},
    {"", "Gemm", 1, tern__onnx_gemm},
    {"", "Attention", 23, tern__onnx_attention},
    {"", "RotaryEmbedding", 23, tern__onnx_rotary_embedding},
    {MS, "FusedConv", 1, tern__onnx_fused_conv},
    {MS, "FusedGemm", 1, tern__onnx_fused_gemm},
    {MS, "FusedMatMul", 1, tern__onnx_fused_matmul},
    {MS, "TransposeMatMul", 1, tern__onnx_fused_matmul},
    {MS, "Gelu", 1, ms_gelu},
    {MS, "FastGelu", 1, ms_gelu},
    {MS, "BiasGelu", 1, ms_gelu},
    {MS, "QuickGelu", 1, ms_gelu},
    {MS, "LayerNormalization", 1, tern__onnx_layer_norm},
    {"", "SimplifiedLayerNormalization", 1, tern__onnx_rms_norm},
    {MS, "SimplifiedLayerNormalization", 1, tern__onnx_rms_norm},
    {MS, "SkipLayerNormalization", 1, tern__onnx_skip_layer_norm},
    {MS, "SkipSimplifiedLayerNormalization", 1, tern__onnx_skip_layer_norm},
    {MS, "Attention", 1, tern__onnx_ms_attention},
    {MS, "RotaryEmbedding", 1, tern__onnx_ms_rotary_embedding},
    {0},
};
