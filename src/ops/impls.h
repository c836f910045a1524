/* The implementations that ops list: defined in impl_*.c, one file per family of kernels. */
#ifndef TERN_OPS_IMPLS_H
#define TERN_OPS_IMPLS_H

#include "compile/lower.h"
#include "ops/op.h"

/* SIMT (impl_gemm_simt.c): work-group tiles in local memory, any dtype; they also take what CPU implementations leave. */
extern const tern__impl tern__impl_matmul_simt;
extern const tern__impl tern__impl_conv_simt;
extern const tern__impl tern__impl_conv_grad_input_simt;
extern const tern__impl tern__impl_conv_grad_weight_simt;
extern const tern__impl tern__impl_matmul_integer_simt, tern__impl_conv_integer_simt;
/* 8-bit integers by dot products of bytes, where there are instructions for those. */
extern const tern__impl tern__impl_matmul_dot8_simt, tern__impl_conv_dot8_simt;

/* f16 matrices on devices with instructions for whole tiles (impl_gemm_matrix_simt.c). */
extern const tern__impl tern__impl_matmul_matrix_simt;

/* CLBlast (impl_gemm_clblast.c), where the build found it: big f32 and f64 products on GPUs. A session's first run waits for CLBlast to build
 * its kernels (6.6 s on PoCL), once in a process. Nothing is fused with it. */
extern const tern__impl tern__impl_matmul_clblast;

/* CPU (impl_gemm_cpu.c, impl_conv_cpu.c, impl_conv_grad_cpu.c): register tiles of explicit vectors, one work-item per work-group. */
extern const tern__impl tern__impl_matmul_cpu;
extern const tern__impl tern__impl_conv_cpu;
extern const tern__impl tern__impl_conv_grad_input_cpu;
extern const tern__impl tern__impl_conv_grad_weight_cpu;

/* A group for each channel (impl_conv_depthwise.c). */
extern const tern__impl tern__impl_conv_depthwise_cpu, tern__impl_conv_grad_input_depthwise_cpu, tern__impl_conv_integer_depthwise_cpu;

/* The same for 3x3 at stride 1 by Winograd's algorithm (impl_conv_winograd.c), in tiles of 4x4 or 2x2 results: where it is faster, and the
 * session is not to be exact. */
extern const tern__impl tern__impl_conv_winograd4, tern__impl_conv_winograd2;
extern const tern__impl tern__impl_conv_grad_input_winograd4, tern__impl_conv_grad_input_winograd2;

/* And on devices of many light items (impl_conv_winograd_simt.c): transforms around SIMT products. */
extern const tern__impl tern__impl_conv_winograd4_simt, tern__impl_conv_winograd2_simt;
extern const tern__impl tern__impl_conv_grad_input_winograd4_simt, tern__impl_conv_grad_input_winograd2_simt;

/* Convolutions and products of 8-bit integers on CPU devices (impl_int8_cpu.c): with the processor's dot product of bytes, or without. */
extern const tern__impl tern__impl_conv_dot8_cpu, tern__impl_matmul_dot8_cpu;
extern const tern__impl tern__impl_conv_int8_cpu, tern__impl_matmul_int8_cpu;

/* Attention whose scores stay in registers and cache (impl_attention_cpu.c) or in local memory (impl_attention_simt.c, any device), and its gradient
 * (impl_attention_grad_cpu.c, impl_attention_grad_simt.c). */
extern const tern__impl tern__impl_attention_cpu, tern__impl_attention_grad_cpu;
/* The same for few queries, the keys shared out (impl_attention_few_cpu.c). */
extern const tern__impl tern__impl_attention_few_cpu;
extern const tern__impl tern__impl_attention_simt, tern__impl_attention_grad_simt;

/* Pooling (impl_pool.c): rows of channel vectors for CPU devices, and one item an element for all; gradients of the average as the pooling. */
extern const tern__impl tern__impl_pool_rows;
extern const tern__impl tern__impl_pool_items;
extern const tern__impl tern__impl_max_pool_grad_rows;
extern const tern__impl tern__impl_max_pool_grad_items;

/* scatter_add (impl_scatter.c): one item an element, without atomics. */
extern const tern__impl tern__impl_scatter_add_items;

/* scatter_slices, scatter_elements, and scatter_add of many indices (impl_scatter_lists.c): lists of the updates that fall on a place. */
extern const tern__impl tern__impl_scatter_lists;

/* cumsum (impl_scan.c), top_k (impl_top_k.c), det (impl_det.c). */
extern const tern__impl tern__impl_scan_lines;
extern const tern__impl tern__impl_top_k_heaps;
extern const tern__impl tern__impl_det_items;

/* roi_align, max_roi_pool (impl_roi.c): one item an element. */
extern const tern__impl tern__impl_roi_items;

#endif
