/* Depthwise convolution for CPU devices: each channel by its own taps. One work-item computes ROWS rows of a vector of channels, TP
 * neighbouring pixels at a time, and what a row of taps reads is loaded once for all of them.
 *
 *   y[n, c, oy, ox] = sum over kh, kw of x[n, c, oy*SH - PT + kh*DH, ox*SW - PL + kw*DW] * w[c, kh, kw]
 *
 * x: [N, C/W, H, IW, W] f32, or plain [N, C, H, IW] with IB = 1.
 * wp: [CB][KH][KW][W] f32 from pack_conv_weight.cl, zero past the last channel.
 * With BYTES x is of 8-bit integers, less the one at zero, and the result i32: sums of up to 256 products of them are exact in f32.
 * The gradient by the input (stride 1) is the same sum over dy with flipped weights and pads DH*(KH-1) - PT, DW*(KW-1) - PL.
 * C, CB, H, IW, OH, OW and ROWS may be parameters.
 * ND-range: (OH/ROWS rounded up, CB, N), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL conv_depthwise_cpu
#define HOOK_PARAMS __global float *y
#define HOOK_ARGS y
#define W 16  /* native vector width of float */
#define IB 16 /* channels in a block of x: W or 1 */
#define C 96
#define CB 6 /* C/W rounded up */
#define H 112
#define IW 112
#define OH 56
#define OW 56
#define KH 3
#define KW 3
#define SH 2
#define SW 2
#define DH 1
#define DW 1
#define PT 1
#define PL 1
#define TP 8 /* pixels of a tile, at most OW: TP accumulators + what a row of taps reads */
#define ROWS 4
#define WHOLE 1 /* 1: no pixel or channel of a tile is left out */
#define TAIL 0 /* 1: C is no multiple of W */
#define FLAT 0 /* 1: the hook takes one coordinate for (oy, ox) */
#define BYTES 0 /* undefined: 0; 1: u8, 2: i8 */
#define W_ZERO 0 /* with BYTES: the weights' zero point, which is not taken off yet */
static inline void STORE(float acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS) { y[((n * C + o) * OH + oy) * OW + ox] = acc; }
static inline void STORE16(float16 acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS)
{
    vstore16(acc, 0, y + (((n * CB + o / 16) * OH + oy) * OW + ox) * 16);
}
#endif

#include "lib/vector.clh"
#define SPAN ((TP - 1) * SW + (KW - 1) * DW + 1) /* input pixels of a row that a tile reads */
#if FLAT
#define YX(oy, ox) ox
#else
#define YX(oy, ox) oy, ox
#endif
#if BYTES
#if BYTES == 1
#define SRC_T uchar
#define LOAD(j, row) CAT(LD_u8_, W)(row, (j) * W)
#else
#define SRC_T char
#define LOAD(j, row) CAT(LD_i8_, W)(row, (j) * W)
#endif
#define LOADED(j, row) (CAT(convert_float, W)(LOAD(j, row)) - moved)
#define ONE(x) ((float)(x) - moved)
#define WEIGHT(v) ((v) - (VEC)((float)(W_ZERO)))
#define SUM(v) CAT(convert_int, W)(v)
#define ONE_SUM(x) (int)(x)
#else
#define SRC_T float
#define LOADED(j, row) VLOAD(j, row)
#define ONE(x) (x)
#define WEIGHT(v) (v)
#define SUM(v) (v)
#define ONE_SUM(x) (x)
#endif
#if IB == 1
/* Channels gathered into a vector, zero where there are none. */
#define PIXEL(to, row, j)                                                                                 \
    {                                                                                                     \
        float lanes[W];                                                                                   \
        _Pragma("unroll 1") for (int c = 0; c < W; c++)                                                   \
            lanes[c] = o + c < C ? ONE((row)[(size_t)c * (H * IW) + (j)]) : 0.0f;                             \
        to = VLOAD(0, lanes);                                                                             \
    }
#else
#define PIXEL(to, row, j) to = LOADED(j, row);
#endif

#if BYTES
__kernel void KERNEL(const __global SRC_T *restrict x, const __global float *restrict wp, const __global SRC_T *restrict zero, HOOK_PARAMS)
#else
__kernel void KERNEL(const __global float *restrict x, const __global float *restrict wp, HOOK_PARAMS)
#endif
{
#if BYTES
    const float moved = (float)zero[0];
#endif
    const int oy0 = (int)get_global_id(0) * ROWS, oy1 = min(oy0 + ROWS, OH);
    const uint cb = (uint)get_global_id(1);
    const uint n = (uint)get_global_id(2);
    const uint o = cb * W;
    const __global float *ws = wp + cb * (KH * KW * W);
#if IB == 1
    const __global SRC_T *xs = x + ((size_t)n * C + o) * (H * IW);
#else
    const __global SRC_T *xs = x + ((size_t)n * CB + cb) * (H * IW * W);
#endif
#pragma unroll 1
    for (int oy = oy0; oy < oy1; oy++) {
        const int iy0 = oy * SH - PT;
        /* Taps whose row exists. */
        const int kh0 = iy0 < 0 ? min((-iy0 + DH - 1) / DH, KH) : 0;
        const int kh1 = iy0 + (KH - 1) * DH < H ? KH : max((H - iy0 + DH - 1) / DH, kh0);
#pragma unroll 1
        for (int first = 0; first < OW; first += TP) {
            /* The last tile moves back to stay inside; pixels that its neighbour owns are computed again but not stored. */
            const int ox0 = min(first, OW - TP), ix0 = ox0 * SW - PL;
            const bool inside = ix0 >= 0 && ix0 + SPAN <= IW;
            VEC acc[TP];
#pragma unroll
            for (int p = 0; p < TP; p++)
                acc[p] = (VEC)(0.0f);
#pragma unroll 1
            for (int kh = kh0; kh < kh1; kh++) {
                const __global SRC_T *row = xs + ((iy0 + kh * DH) * IW + ix0) * IB;
                VEC xv[SPAN];
                if (inside) {
#pragma unroll
                    for (int j = 0; j < SPAN; j++)
                        PIXEL(xv[j], row, j)
                } else {
#pragma unroll
                    for (int j = 0; j < SPAN; j++) {
                        xv[j] = (VEC)(0.0f);
                        if (ix0 + j >= 0 && ix0 + j < IW)
                            PIXEL(xv[j], row, j)
                    }
                }
#pragma unroll
                for (int kw = 0; kw < KW; kw++) {
                    const VEC wv = WEIGHT(VLOAD(kh * KW + kw, ws));
#pragma unroll
                    for (int p = 0; p < TP; p++)
                        acc[p] += xv[p * SW + kw * DW] * wv;
                }
            }
#if WHOLE
#pragma unroll
            for (int p = 0; p < TP; p++)
                CAT(STORE, W)(SUM(acc[p]), n, o, YX((uint)oy, (uint)(ox0 + p)), HOOK_ARGS);
#else
            float tile[TP * W];
#pragma unroll
            for (int p = 0; p < TP; p++)
                VSTORE(acc[p], p, tile);
#pragma unroll 1
            for (int p = first - ox0; p < TP; p++) {
                if (o + W <= C) {
                    CAT(STORE, W)(SUM(VLOAD(p, tile)), n, o, YX((uint)oy, (uint)(ox0 + p)), HOOK_ARGS);
                }
#if TAIL
                else
#pragma unroll 1
                    for (uint j = 0; o + j < C; j++)
                        STORE(ONE_SUM(tile[p * W + j]), n, o + j, YX((uint)oy, (uint)(ox0 + p)), HOOK_ARGS);
#endif
            }
#endif
        }
    }
}

#undef SPAN
#undef YX
#undef PIXEL
#undef SRC_T
#undef LOAD
#undef LOADED
#undef ONE
#undef WEIGHT
#undef SUM
#undef ONE_SUM
