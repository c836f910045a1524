/* What attention's op, its implementations and the pass that finds it share. */
#ifndef TERN_OPS_ATTENTION_H
#define TERN_OPS_ATTENTION_H

#include "ops/common.h"

enum { TERN__ATT_SCALE, TERN__ATT_SOFTCAP, TERN__ATT_BELOW, TERN__ATT_CAUSAL, TERN__ATT_OFFSET, TERN__ATT_STRICT, TERN__ATT_JOINED };

/* q [batch, heads, sq, d], k [batch, kv_heads, sk, d], v [batch, kv_heads, sk, dv]; `group` heads of q share one of k and v. */
typedef struct tern__attention {
    int64_t batch, heads, kv_heads, group, sq, sk, d, dv, offset;
    double scale, softcap, below;
    bool causal, strict, joined;
} tern__attention;

void tern__attention_read(const tern__node *n, const tern_shape *q, const tern_shape *k, const tern_shape *v, tern__attention *a);
/* In simpler ops, whatever kernels there are; as op->expand. */
tern_status tern__attention_expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out);

#endif
