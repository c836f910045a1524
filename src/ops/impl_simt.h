/* What implementations for devices of many light items share: how operands of products are addressed, and the kernels that work on slots. */
#ifndef TERN_OPS_IMPL_SIMT_H
#define TERN_OPS_IMPL_SIMT_H

#include "compile/lower.h"

enum { TERN__SIMT_TEXT = 512 };

/* An operand or the result of a product: how a hook addresses it. */
typedef struct tern__simt_view {
    tern_value v;
    tern__hook_axis axes[6];
    int lane;                    /* axis along which neighbours lie in memory, if width is 4 */
    int width;                   /* 4 if quads along that axis stay inside, else 1 */
    char index[TERN__SIMT_TEXT]; /* the coordinates as expressions of batch, m, n, k */
} tern__simt_view;

/* The linear batch index of an operand whose extents broadcast to the result's, as an expression of batch. */
void tern__simt_batch_text(const tern_shape *s, const tern_shape *out, char *text, size_t size);
/* One matrix of a stack: [..., rows, columns] at the given row and column. */
void tern__simt_matrix_view(tern__simt_view *v, tern_value value, const tern_shape *s, const tern_shape *out, const char *row, const char *column);

/* Adds the kernel of c[batch][m][n] = sum over k of a[batch][k][m] b[batch][k][n], f32 in slots, in tiles of local memory (impl_gemm_simt.c). */
tern_status tern__simt_multiply(tern__lower *l, int64_t batch, int64_t m, int64_t n, int64_t k, int a, int b, int c);
/* Adds the kernel that sums the parts [splits][batch][m][n] of that type in a slot and finishes the result c. */
tern_status tern__simt_sum(tern__lower *l, const tern__simt_view *c, int64_t batch, int64_t m, int64_t n, int splits, const char *acc, int partial);

#endif
