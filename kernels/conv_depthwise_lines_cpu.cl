/* Depthwise convolution of plain channels for CPU devices: vectors of neighbouring pixels. One work-item computes ROWS rows of one channel.
 *
 *   y[n, c, oy, ox] = sum over kh, kw of x[n, c, oy*SH - PT + kh*DH, ox*SW - PL + kw*DW] * w[c, kh, kw]
 *
 * First it copies what it reads into lines of its own, zeroes around them, columns SW apart next to each other: column i of phase q is
 * x[i*SW + q - PL]. So every tap of a vector of results is one load.
 *
 * x: [N, C, H, IW] f32.   wp: [C/W rounded up][KH][KW][W] f32 from pack_conv_weight.cl.
 * The gradient by the input (stride 1) is the same sum over dy with flipped weights and pads DH*(KH-1) - PT, DW*(KW-1) - PL.
 * ND-range: (OH/ROWS rounded up, C, N), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL conv_depthwise_lines_cpu
#define HOOK_PARAMS __global float *y
#define HOOK_ARGS y
#define W 16  /* native vector width of float */
#define C 28
#define H 64
#define IW 64
#define OH 32
#define OW 32
#define KH 3
#define KW 3
#define SH 2
#define SW 2
#define DH 1
#define DW 1
#define PT 0
#define PL 0
#define ROWS 8
#define FLAT 0 /* 1: the hook takes one coordinate for (oy, ox) */
static inline void STORE(float acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS) { y[((n * C + o) * OH + oy) * OW + ox] = acc; }
static inline void STORE16(float16 acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS) { vstore16(acc, 0, y + ((n * C + o) * OH + oy) * OW + ox); }
#endif

#include "lib/vector.clh"
#define VECTORS ((OW + W - 1) / W)
#define COLUMNS (VECTORS * W + (KW - 1) * DW / SW) /* of a phase: what any vector reads */
#define LINES ((ROWS - 1) * SH + (KH - 1) * DH + 1)
#if FLAT
#define YX(oy, ox) ox
#else
#define YX(oy, ox) oy, ox
#endif

__kernel void KERNEL(const __global float *restrict x, const __global float *restrict wp, HOOK_PARAMS)
{
    const int oy0 = (int)get_global_id(0) * ROWS, rows = min(ROWS, OH - oy0), iy0 = oy0 * SH - PT;
    const uint c = (uint)get_global_id(1);
    const uint n = (uint)get_global_id(2);
    const __global float *ws = wp + c / W * (KH * KW * W) + c % W;
    const __global float *xs = x + ((size_t)n * C + c) * (H * IW);
    float lines[LINES * SW * COLUMNS];

    const int n_lines = (rows - 1) * SH + (KH - 1) * DH + 1;
#pragma unroll 1
    for (int k = 0; k < n_lines; k++) {
        float *to = lines + k * (SW * COLUMNS);
        const bool row = iy0 + k >= 0 && iy0 + k < H;
        const __global float *from = xs + (iy0 + k) * IW - PL;
        int i = 0;
        /* Columns [lo, hi) have all their phases inside x. */
        const int lo = row ? clamp((PL + SW - 1) / SW, 0, COLUMNS) : COLUMNS, hi = row ? clamp((IW + PL) / SW, lo, COLUMNS) : COLUMNS;
#pragma unroll 1
        for (; i < lo; i++)
#pragma unroll
            for (int q = 0; q < SW; q++)
                to[q * COLUMNS + i] = row && i * SW + q >= PL && i * SW + q < IW + PL ? from[i * SW + q] : 0.0f;
#if SW <= 2
#pragma unroll 1
        for (; i + W <= hi; i += W) {
#if SW == 1
            VSTORE(VLOAD(0, from + i), 0, to + i);
#else
            const VEC a = VLOAD(0, from + i * 2), b = VLOAD(1, from + i * 2);
            VSTORE((VEC)(a.even, b.even), 0, to + i);
            VSTORE((VEC)(a.odd, b.odd), 0, to + COLUMNS + i);
#endif
        }
#endif
#pragma unroll 1
        for (; i < COLUMNS; i++)
#pragma unroll
            for (int q = 0; q < SW; q++)
                to[q * COLUMNS + i] = i * SW + q < IW + PL ? from[i * SW + q] : 0.0f;
    }

#pragma unroll 1
    for (int r = 0; r < rows; r++)
#pragma unroll 1
        for (int ox = 0; ox < OW; ox += W) {
            const float *from = lines + r * SH * (SW * COLUMNS) + ox;
            VEC acc = (VEC)(0.0f);
#pragma unroll
            for (int kh = 0; kh < KH; kh++)
#pragma unroll
                for (int kw = 0; kw < KW; kw++)
                    acc += VLOAD(0, from + (kh * DH * SW + kw * DW % SW) * COLUMNS + kw * DW / SW) * ws[(kh * KW + kw) * W];
            if (ox + W <= OW) {
                CAT(STORE, W)(acc, n, c, YX((uint)(oy0 + r), (uint)ox), HOOK_ARGS);
            } else {
                float lanes[W];
                VSTORE(acc, 0, lanes);
#pragma unroll 1
                for (int j = 0; ox + j < OW; j++)
                    STORE(lanes[j], n, c, YX((uint)(oy0 + r), (uint)(ox + j)), HOOK_ARGS);
            }
        }
}

#undef VECTORS
#undef COLUMNS
#undef LINES
#undef YX
