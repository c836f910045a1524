/* What attention's op, its implementations and the pass that finds it share. */
#ifndef TERN_OPS_ATTENTION_H
#define TERN_OPS_ATTENTION_H

#include <math.h>

#include "ops/common.h"

enum { TERN__ATT_SCALE, TERN__ATT_SOFTCAP, TERN__ATT_BELOW, TERN__ATT_CAUSAL, TERN__ATT_OFFSET, TERN__ATT_STRICT, TERN__ATT_JOINED };

/* Of attention; attention_grad has all but the last. */
#define TERN__ATTENTION_ATTRS                                                                   \
    [TERN__ATT_SCALE] = {.name = "scale", .type = TERN_ATTR_FLOAT},                             \
    [TERN__ATT_SOFTCAP] = {.name = "softcap", .type = TERN_ATTR_FLOAT},                         \
    [TERN__ATT_BELOW] = {.name = "below", .type = TERN_ATTR_FLOAT, .def = -INFINITY},           \
    [TERN__ATT_CAUSAL] = {.name = "causal", .type = TERN_ATTR_INT},                             \
    [TERN__ATT_OFFSET] = {.name = "offset", .type = TERN_ATTR_INT},                             \
    [TERN__ATT_STRICT] = {.name = "strict", .type = TERN_ATTR_INT}

/* q [batch, heads, sq, d], k [batch, kv_heads, sk, d], v [batch, kv_heads, sk, dv]; `group` heads of q share one of k and v. */
typedef struct tern__attention {
    int64_t batch, heads, kv_heads, group, sq, sk, d, dv, offset;
    double scale, softcap, below;
    bool causal, strict, joined;
} tern__attention;

/* Operands of attention_grad behind q, k, v. */
enum { TERN__ATT_GRAD_DY = 3, TERN__ATT_GRAD_LSE, TERN__ATT_GRAD_DELTA, TERN__ATT_GRAD_MASK };

void tern__attention_read(const tern__node *n, const tern_shape *q, const tern_shape *k, const tern_shape *v, tern__attention *a);
/* Checks operands 0 to 2 and the mask, if given, and fills *a; for both ops. */
tern_status tern__attention_check(const tern__node *n, const tern__type *in, int mask, tern__attention *a);
/* The score of query (b, h, i) and key j after softcap and masks; *slope: how it changes with what softcap and mask were applied to. mask->data may be NULL. */
double tern__attention_score(const tern__attention *a, const tern__array *q, const tern__array *k, const tern__array *mask, const int64_t at[4], double *slope);
/* Kernels take f32, f16 and bf16; nothing at all is left to other ops too. */
bool tern__attention_has_kernels(const tern_graph *g, const tern_value *in);
/* The node with its mask, operand `mask`, as a tensor of one dimension, if it is a number: kernels address it by an axis at least. */
void tern__attention_wide_mask(tern_graph *g, const tern__node *n, const tern_value *in, int mask, tern_value *out);

/* --- In simpler ops, whatever kernels there are; as op->expand (attention_rules.c) --- */
tern_status tern__attention_expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);
tern_status tern__attention_grad_expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);
/* The gradient of attention_grad's scores [B,H,Sq,Sk]: what a mask that is added gets. */
tern_status tern__attention_score_grad(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);
/* attention's result, or what has its shape, by heads: [B,H,Sq,Dv]. */
tern_value tern__attention_part(tern_graph *g, const tern__attention *a, tern_value y);

#endif
