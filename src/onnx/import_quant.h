/* What the handlers of quantised operators share: integers that stand for scale * (integer - zero point). */
#ifndef TERN_ONNX_IMPORT_QUANT_H
#define TERN_ONNX_IMPORT_QUANT_H

#include "onnx/import_nn.h"

/* Where a quantised tensor and its parameters are among a node's inputs; zero may be missing. */
typedef struct tern__onnx_quantized {
    int x, scale, zero;
} tern__onnx_quantized;

/* Input i as one number: rank 0 or one element. Other shapes latch what is wrong. */
tern_status tern__onnx_one_number(tern__onnx_node *n, int i, tern_value *out);
/* TERN_E_DTYPE unless input i is u8 or i8; of x and zero point: both the same. */
tern_status tern__onnx_need_8bit(const tern__onnx_node *n, int i);
tern_status tern__onnx_need_zero_point(const tern__onnx_node *n, int x, int zero);

/* x - zero as i32, which is exact; zero may be TERN_NONE. */
tern_value tern__onnx_centred(tern_graph *g, tern_value x, tern_value zero);
/* (x - zero) * scale in f32. */
tern_value tern__onnx_dequantize(tern_graph *g, tern_value x, tern_value scale, tern_value zero);
/* x (f32, already divided by the scale) rounded half to even, moved by zero (TERN_NONE: 0), stopped at the limits of t. */
tern_value tern__onnx_saturated(tern_graph *g, tern_value x, tern_value zero, tern_dtype t);
tern_value tern__onnx_quantize(tern_graph *g, tern_value x, tern_value scale, tern_value zero, tern_dtype t);

/* A tensor of which scale and zero point are one number each, dequantised. */
tern_status tern__onnx_dequantized(tern__onnx_node *n, tern__onnx_quantized q, tern_value *out);
/* Sets output 0 to v (f32), quantised by the single numbers at inputs scale and zero; t where the zero point is missing. */
tern_status tern__onnx_set_quantized(tern__onnx_node *n, tern_value v, int scale, int zero, tern_dtype t);

/* The exact i32 product of inputs a and b less their zero points (by row of a, by column of b, or one for all). */
tern_status tern__onnx_product_i32(tern__onnx_node *n, int a, int a_zero, int b, int b_zero, tern_value *out);
/* Scale of a (by row) or b (by column) shaped to multiply the product. */
tern_status tern__onnx_row_scale(tern__onnx_node *n, int a, int scale, bool by_column, tern_value *out);
/* f32 scales, zero point, min..max of u8 from x's elements: DynamicQuantizeLinear. */
void tern__onnx_quantize_dynamically(tern_graph *g, tern_value x, tern_value *y, tern_value *scale, tern_value *zero);

/* import_quant_ms.c: com.microsoft. */
tern_status tern__onnx_qlinear_binary(tern__onnx_node *n);
tern_status tern__onnx_qlinear_unary(tern__onnx_node *n);
tern_status tern__onnx_qlinear_softmax(tern__onnx_node *n);
tern_status tern__onnx_qlinear_concat(tern__onnx_node *n);
tern_status tern__onnx_qlinear_average_pool(tern__onnx_node *n);
tern_status tern__onnx_qlinear_global_average_pool(tern__onnx_node *n);
tern_status tern__onnx_qlinear_reduce_mean(tern__onnx_node *n);
tern_status tern__onnx_qlinear_where(tern__onnx_node *n);
tern_status tern__onnx_qgemm(tern__onnx_node *n);
tern_status tern__onnx_dynamic_quantize_matmul(tern__onnx_node *n);
tern_status tern__onnx_matmul_integer_to_float(tern__onnx_node *n);
tern_status tern__onnx_mul_integer(tern__onnx_node *n);

#endif
