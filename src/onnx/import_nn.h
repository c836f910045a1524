/* What the handlers of layers (convolutions, pools, normalisations, products, attention) share among their files. */
#ifndef TERN_ONNX_IMPORT_NN_H
#define TERN_ONNX_IMPORT_NN_H

#include "onnx/import.h"

/* Windows over the spatial axes of [N, C, spatial...], from a node's attributes and its input's shape. */
typedef struct tern__onnx_window {
    int dims;                                   /* spatial axes, 1 to 3 */
    int64_t kernel[3], stride[3], dilation[3];
    int64_t pads[6];                            /* all beginnings, then all ends */
    int64_t extra[3];                           /* output_padding of ConvTranspose */
} tern__onnx_window;
/* Strides, dilations, pads (auto_pad worked out) for input x of this shape; kernel: the spatial extents of a weight to take and to hold
 * kernel_shape against, NULL: kernel_shape must be given. */
tern_status tern__onnx_window_of(tern__onnx_node *n, const tern_shape *x, const int64_t *kernel, tern__onnx_window *w);
/* The list of that attribute, one number in [lo, 2^31) for each spatial axis, or def for all. */
tern_status tern__onnx_per_axis(tern__onnx_node *n, const char *name, int dims, int64_t lo, int64_t def, int64_t *out);
/* TERN_E_SHAPE unless input i is there and lo <= rank <= hi. */
tern_status tern__onnx_need_rank(const tern__onnx_node *n, int i, int lo, int hi);
/* TERN_E_DTYPE unless input i is floating point. */
tern_status tern__onnx_need_float(const tern__onnx_node *n, int i);
/* Sets output i and tells whether the graph took all ops. */
tern_status tern__onnx_done(tern__onnx_node *n, int i, tern_value v);
/* The activation that fused forms name in attributes (activation, activation_params or activation_alpha...): applied to v. */
tern_status tern__onnx_fused_activation(tern__onnx_node *n, tern_value *v);

/* import_conv.c */
tern_status tern__onnx_conv(tern__onnx_node *n);
tern_status tern__onnx_fused_conv(tern__onnx_node *n);
tern_status tern__onnx_conv_transpose(tern__onnx_node *n);
/* import_pool.c */
tern_status tern__onnx_max_pool(tern__onnx_node *n);
tern_status tern__onnx_average_pool(tern__onnx_node *n);
tern_status tern__onnx_lp_pool(tern__onnx_node *n);
tern_status tern__onnx_global_pool(tern__onnx_node *n);
tern_status tern__onnx_global_lp_pool(tern__onnx_node *n);
tern_status tern__onnx_max_unpool(tern__onnx_node *n);
/* import_norm.c */
tern_status tern__onnx_batch_norm(tern__onnx_node *n);
tern_status tern__onnx_instance_norm(tern__onnx_node *n);
tern_status tern__onnx_layer_norm(tern__onnx_node *n);
tern_status tern__onnx_skip_layer_norm(tern__onnx_node *n);
tern_status tern__onnx_group_norm(tern__onnx_node *n);
tern_status tern__onnx_rms_norm(tern__onnx_node *n);
tern_status tern__onnx_mean_variance_norm(tern__onnx_node *n);
tern_status tern__onnx_lrn(tern__onnx_node *n);
tern_status tern__onnx_lp_norm(tern__onnx_node *n);
/* import_product.c */
tern_status tern__onnx_gemm(tern__onnx_node *n);
tern_status tern__onnx_fused_gemm(tern__onnx_node *n);
tern_status tern__onnx_fused_matmul(tern__onnx_node *n);
/* import_attention.c */
tern_status tern__onnx_attention(tern__onnx_node *n);
tern_status tern__onnx_ms_attention(tern__onnx_node *n);
tern_status tern__onnx_rotary_embedding(tern__onnx_node *n);
tern_status tern__onnx_ms_rotary_embedding(tern__onnx_node *n);

#endif
