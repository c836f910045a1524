/* Layers: short forms for the usual networks. Each adds its variables and ops to the graph. */
#ifndef TERN_NN_H
#define TERN_NN_H

#include <tern/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Weights are drawn from Philox(seed) by the variable's name, so a network's start does not depend on build order. */
typedef struct tern_nn {
    tern_graph *g;
    uint64_t seed;
} tern_nn;

/* y = x W + b. x [N, C] f32; variables NAME/weight [C, units] (He et al. 2015, uniform), NAME/bias [units] of zeros. */
TERN_API tern_value tern_nn_dense(tern_nn *nn, const char *name, tern_value x, int64_t units);

/* 2-D convolution with bias. x [N, C, H, W]; NAME/weight [out, C, k, k], NAME/bias [out]. */
TERN_API tern_value tern_nn_conv2d(tern_nn *nn, const char *name, tern_value x, int64_t out_channels, int64_t kernel, int64_t stride, int64_t pad);

/* Batch normalisation over all axes but 1. Training uses the batch's statistics and assigns the running ones
 * (NAME/mean, NAME/var, momentum 0.9); otherwise the running ones are used. NAME/scale, NAME/shift. */
TERN_API tern_value tern_nn_batch_norm(tern_nn *nn, const char *name, tern_value x, bool training);

TERN_API tern_value tern_nn_max_pool2d(tern_nn *nn, tern_value x, int64_t kernel, int64_t stride);
TERN_API tern_value tern_nn_relu(tern_nn *nn, tern_value x);
TERN_API tern_value tern_nn_flatten(tern_nn *nn, tern_value x); /* [N, ...] -> [N, C] */
/* Zeroes each element with probability p and scales the rest by 1/(1-p). Reads the variable "train/step" so that each run draws anew. */
TERN_API tern_value tern_nn_dropout(tern_nn *nn, const char *name, tern_value x, double p, bool training);
/* Attention of every head: softmax(scale q k^T + mask) v, without a matrix of scores in memory where a kernel takes the element type (f32, f16, bf16).
 *   q [B, H, Sq, D]   k [B, Hk, Sk, D]   v [B, Hk, Sk, Dv], Hk dividing H: heads of q share those of k and v in order
 *   mask: TERN_NONE, floats of q's type that are added to the scores, or bool (false: not seen); broadcasts to [B, H, Sq, Sk]
 * The result is [B, H, Sq, Dv], or [B, Sq, H * Dv] if joined. A query that sees no key gives 0. Gradients need no such matrix either.
 * options may be NULL; its zero fields: scale 1 / sqrt(D), scores unlimited, no causal mask. */
typedef struct tern_attention {
    double scale, softcap; /* softcap c > 0: scores s become c tanh(s / c) before the mask */
    bool causal, joined;   /* causal: query i sees keys up to i + offset */
    int64_t offset;        /* keys before the first query, as in a cache: Sk - Sq */
} tern_attention;
TERN_API tern_value tern_nn_attention(tern_nn *nn, tern_value q, tern_value k, tern_value v, tern_value mask, const tern_attention *options);
/* Mean cross-entropy of logits [N, C] against labels [N] of i64, i32 or u8. */
TERN_API tern_value tern_nn_cross_entropy(tern_nn *nn, tern_value logits, tern_value labels);

/* A named network ("mlp", "convnet"): x [N, 1, 28, 28] f32 in, logits [N, 10] out. TERN_NONE latches for another name. */
TERN_API tern_value tern_nn_model(tern_nn *nn, const char *model, tern_value x, bool training);
/* Names of the networks above, in alphabetical order. */
TERN_API const char *const *tern_nn_model_names(int *n);

#ifdef __cplusplus
}
#endif
#endif
