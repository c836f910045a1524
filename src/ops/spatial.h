/* The geometry that convolutions and pooling share: extents, strides, dilations and pads in up to three spatial dimensions. */
#ifndef TERN_OPS_SPATIAL_H
#define TERN_OPS_SPATIAL_H

#include "ops/common.h"

/* Slots of the attributes. The first three are everyone's. */
enum {
    TERN__SP_STRIDES,
    TERN__SP_DILATIONS,
    TERN__SP_PADS,             /* all beginnings, then all ends */
    TERN__CONV_GROUP = 3,
    TERN__CONV_EXTRA = 4,      /* conv_transpose: output_padding; conv_grad_input: input_shape; conv_grad_weight: kernel (spatial extents) */
    TERN__POOL_KERNEL = 3,
    TERN__POOL_CEIL = 4,
    TERN__POOL_INCLUDE_PAD = 5, /* average_pool, average_pool_grad */
    TERN__POOL_DIVISOR = 6,
    TERN__POOL_INPUT_SHAPE = 7, /* average_pool_grad: spatial extents of x */
    TERN__MAX_INPUT_SHAPE = 5,  /* max_pool_grad: the same */
};

/* Missing dimensions come first and have extent 1: x is [batch, c_in, in[0], in[1], in[2]] for every rank, and y likewise. */
typedef struct tern__spatial {
    int n_dims;                     /* 1 to 3 spatial dimensions in the tensors */
    int64_t batch, c_in, c_out;     /* pooling: c_in == c_out */
    int64_t group;                  /* 1 for pooling */
    int64_t in[3], out[3], kernel[3];
    int64_t stride[3], dilation[3];
    int64_t pad[3], pad_end[3];
} tern__spatial;

/* From the types of the node's inputs; works for conv, conv_transpose, conv_grad_input, conv_grad_weight, in which x is always the
 * side that conv reads (conv_transpose: its result). Says what is wrong. */
tern_status tern__conv_geometry(const tern__node *n, const tern__type *in, tern__spatial *sp);
/* For max_pool, average_pool and their gradients (x is what the pooling reads). */
tern_status tern__pool_geometry(const tern__node *n, const tern__type *in, tern__spatial *sp);

/* [batch, channels, extents...] */
tern_shape tern__spatial_shape(const tern__spatial *sp, int64_t channels, const int64_t extent[3]);
/* Position in x along axis d that tap k of output o reads; may lie outside [0, in[d]). */
static inline int64_t tern__spatial_at(const tern__spatial *sp, int d, int64_t o, int64_t k)
{
    return o * sp->stride[d] - sp->pad[d] + k * sp->dilation[d];
}

/* Calls fn for each output position and tap whose position in x exists: out and in are linear spatial indices, tap likewise. */
typedef void tern__spatial_fn(void *user, int64_t out, int64_t tap, int64_t in);
void tern__spatial_each(const tern__spatial *sp, tern__spatial_fn *fn, void *user);

/* Attributes with the node's own values, for the gradients' nodes: strides, dilations, pads (empty where not given). */
#define TERN__SP_COPY(n, slot, nm) {.name = (nm), .type = TERN_ATTR_INTS, .ints = (n)->attrs[slot].ints, .n_ints = (n)->attrs[slot].n_ints}

#endif
