/* What implementations share, the CPU family's above all: what they accept, vector width, register budget, packing of operands. */
#ifndef TERN_OPS_IMPL_CPU_H
#define TERN_OPS_IMPL_CPU_H

#include "ops/impls.h"
#include "ops/spatial.h"

/* Floats in a vector register of the device: 4, 8 or 16. */
int tern__cpu_width(const tern_device_info *d);
/* Vector registers that accumulators may take. */
static inline int tern__cpu_accumulators(int width)
{
    return width == 16 ? 28 : 12;
}
/* Tests that every CPU kernel needs: family, dtypes of operands and result, sizes that 32-bit indices reach, nothing empty.
 * half: f16 and bf16 are taken too. */
bool tern__cpu_accept(const tern__lower *l, const tern__node *n, bool half, tern__str *why);
/* Of conv_integer and matmul_integer: family and sizes. */
bool tern__cpu_accept_integers(const tern__lower *l, const tern__node *n, tern__str *why);
/* What kernels for every device need: sizes that 32-bit indices reach, and f64 only where the device has it. */
bool tern__any_accept(const tern__lower *l, const tern__node *n, tern__str *why);
/* SRC of the packing kernels. */
int tern__cpu_source(tern_dtype t);
void tern__cpu_define(tern__kern *k, const char *name, int64_t x);
/* One work-item per work-group. */
void tern__cpu_range(tern__kern *k, int64_t x, int64_t y, int64_t z);
/* product of counts in floats, as bytes; SIZE_MAX where it does not fit (no buffer is that large: the allocation then fails in words) */
size_t tern__cpu_bytes(int64_t a, int64_t b, int64_t c, int64_t d);

/* Some of a convolution's taps, backwards from the first: so many to a plane and to a row of what is taken, and how far apart planes, rows and taps of a row
 * are among all of them. */
typedef struct tern__taps {
    int64_t first, plane, row, plane_step, row_step, col_step;
} tern__taps;

/* A convolution's weights, groups of [oc, ic, all taps] f32, or flipped for the gradient by its input, as kernels read them:
 * [groups][o in blocks of nr][c in blocks][taps][block][nr], o and c being the channels out and in of a group of what the kernel computes. */
typedef struct tern__conv_weights {
    tern_value w;
    bool flip;
    int64_t groups, o, c, taps, nr, block; /* c a multiple of block */
    int64_t all_taps;                      /* of which `taps` are packed: flipped weights may leave some out */
    tern__taps some;                       /* those; read only where flipped */
} tern__conv_weights;
/* All of them, backwards. */
static inline tern__taps tern__all_taps(int64_t taps)
{
    return (tern__taps){.first = taps - 1, .plane = taps, .row = taps, .col_step = 1};
}
void tern__cpu_define_taps(tern__kern *k, int64_t all_taps, const tern__taps *some);
/* Sets *slot to where they are packed. */
tern_status tern__cpu_pack_conv(tern__lower *l, const tern__conv_weights *w, int *slot);

/* What the direct convolution of conv or, backward, conv_grad_input takes, in cycles of one core, if each gives a fused multiply-add of
 * vectors (impl_conv_cpu.c). */
double tern__conv_cpu_cycles(const tern__lower *l, const tern__node *n, bool backward);

/* Channels that a store hook for v takes at once: its block, or whole vectors, which codegen takes apart where v is plain. */
int tern__cpu_store_width(const tern__lower *l, tern_value v);
/* Blocked operands of convolutions: the input and the result where the channels of their groups come in blocks. */
unsigned tern__conv_cpu_blocked(const tern__layout_query *q, const tern__node *n);

/* Values that many parameters can have: every number up to 4 or 14, and some beyond. */
extern const int16_t tern__to_4[], tern__to_14[], tern__to_64[];

#endif
