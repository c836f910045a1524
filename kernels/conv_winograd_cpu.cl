/* Winograd convolution for CPU devices (Lavin and Gray 2015): 3x3 taps at stride 1, in tiles of M x M results made from A x A inputs,
 * A = M + 2, with A*A products a channel where the direct sum takes 9*M*M.
 *
 *   y = At [ sum over c of (G w Gt) * (Bt d B) ] A     per tile, * element by element
 *
 * Tiles are numbered along rows of an image, row by row, image by image: t = (n*TY + ty)*TX + tx. A launch works on the TS tiles from `first` on.
 *
 * STAGE 1, the inputs: v = Bt d B.
 *   x: [N, C/IB, H, IW, IB] f32: channels in blocks of IB, or plain with IB = 1.   v: [A*A][CB][TS][W], PS floats from point to point.
 *   ND-range: (TS/CHUNK rounded up, CB), work-groups of one item.
 * STAGE 2, products and results: per point a matrix product [tiles x C] * [C x NR] in register tiles of TP tiles times NV vectors of
 * output channels, RT register tiles to an item, then the way back and the epilogue. Results of tiles before `own` are another launch's.
 *   SLICE 0: u: [OB][A*A][CB*W][NR] f32 from pack_winograd_weight.cl, NR = NV*W.
 *   else:    u: [OB][C][9][NR] f32 from pack_conv_weight.cl. An item transforms the weights of SLICE vectors of channels at a time, which takes
 *            arithmetic, but a quarter of the memory's bytes (M = 4) or 9/16 of them (M = 2).
 *   ND-range: (OB, ROWS/RT rounded up), or the other way round with TILES_FIRST, work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL conv_winograd_cpu
#define HOOK_PARAMS __global float *y
#define HOOK_ARGS y
#define STAGE 2
#define M 4   /* 4 or 2 */
#define W 16  /* native vector width of float */
#define IB 16 /* channels in a block of x: W, less, or 1 */
#define C 64
#define CB 4  /* C/W rounded up */
#define H 56
#define IW 56
#define PT 1
#define PL 1
#define TY 14 /* tiles of an image */
#define TX 14
#define TS 196 /* tiles of a launch */
#define PS (CB * TS * W + W)
#define CHUNK 14 /* tiles of an item of stage 1 */
#define O 64
#define OH 56
#define OW 56
#define TP 14 /* tiles of a register tile, at most TS: TP*NV accumulators + NV + 1 vector registers */
#define NV 2
#define RT 2
#define TILES_FIRST 0
#define SLICE 0
#define SV 16  /* channels of a store: W or, where the result is blocked by less, that */
#define TAIL 0 /* 1: O is no multiple of SV */
#define SIZE_PARAMS /* C, CB, H, IW, TY, TX, TS, PS, O, OH, OW and TILES_FIRST may be parameters */
static inline void STORE(float acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS) { y[((n * O + o) * OH + oy) * OW + ox] = acc; }
static inline void STORE16(float16 acc, uint n, uint o, uint oy, uint ox, HOOK_PARAMS)
{
    vstore16(acc, 0, y + (((n * (O / 16) + o / 16) * OH + oy) * OW + ox) * 16);
}
#endif

#include "lib/vector.clh"
#define VALUE VEC
#include "lib/winograd.clh"
#include "lib/prefetch.clh"

#if STAGE == 1
__kernel void KERNEL(const __global float *restrict x, __global float *restrict v, const int first SIZE_PARAMS)
{
    const int cb = (int)get_global_id(1);
    const int t0 = (int)get_global_id(0) * CHUNK, t1 = min(t0 + CHUNK, TS);
    VEC mid[POINTS], d[A], e[A];
#pragma unroll 1
    for (int t = t0; t < t1; t++) {
        const int n = (first + t) / (TY * TX), at = (first + t) - n * (TY * TX), ty = at / TX;
        const int iy = ty * M - PT, ix = (at - ty * TX) * M - PL;
#if IB < W
        float patch[POINTS * W]; /* channels gathered into vectors, zero where there are none */
        const __global float *xs = x + (size_t)n * C * (size_t)(H * IW);
#pragma unroll 1
        for (int k = 0; k < A; k++)
#pragma unroll 1
            for (int j = 0; j < A; j++) {
                const bool inside = iy + k >= 0 && iy + k < H && ix + j >= 0 && ix + j < IW;
#pragma unroll 1
                for (int i = 0; i < W; i++) {
                    const int c = cb * W + i;
                    patch[(k * A + j) * W + i] = inside && c < C ? xs[((c / IB * H + iy + k) * IW + ix + j) * IB + c % IB] : 0.0f;
                }
            }
#pragma unroll 1
        for (int j = 0; j < A; j++) {
#pragma unroll
            for (int k = 0; k < A; k++)
                d[k] = VLOAD(k * A + j, patch);
            FORWARD(e, d)
#pragma unroll
            for (int k = 0; k < A; k++)
                mid[k * A + j] = e[k];
        }
#else
        const __global float *xs = x + (((size_t)n * CB + cb) * (H * IW) + (iy * IW + ix)) * W;
        const bool whole = iy >= 0 && iy + A <= H && ix >= 0 && ix + A <= IW;
#pragma unroll 1
        for (int j = 0; j < A; j++) {
            if (whole) {
#pragma unroll
                for (int k = 0; k < A; k++)
                    d[k] = VLOAD(k * IW + j, xs);
            } else {
                const bool column = ix + j >= 0 && ix + j < IW;
#pragma unroll
                for (int k = 0; k < A; k++) {
                    d[k] = (VEC)(0.0f);
                    if (column && iy + k >= 0 && iy + k < H)
                        d[k] = VLOAD(k * IW + j, xs);
                }
            }
            FORWARD(e, d)
#pragma unroll
            for (int k = 0; k < A; k++)
                mid[k * A + j] = e[k];
        }
#endif
        __global float *to = v + ((size_t)cb * TS + t) * W;
#pragma unroll 1
        for (int k = 0; k < A; k++) {
#pragma unroll
            for (int j = 0; j < A; j++)
                d[j] = mid[k * A + j];
            FORWARD(e, d)
#pragma unroll
            for (int j = 0; j < A; j++)
                VSTORE(e[j], 0, to + (size_t)(k * A + j) * PS);
        }
    }
}
#endif

#if STAGE == 2
#define NR (NV * W)
#define ROWS ((TS + TP - 1) / TP)
#define MS (RT * TP * NV + 1) /* vectors from point to point of the products: odd, so that points fall into different sets of the cache */
/* Weights of the row that is due some hundred cycles later; a slice's are in a cache. */
#if SLICE
#define FETCH(p) ;
#else
#define FETCH(p) PREFETCH((p) + 32 * NR);
#endif
/* Adds the products of a register tile with BLOCKS vectors of channels. */
#define ADD_CHANNELS(SPACE, WEIGHTS, BLOCKS)                                                              \
    {                                                                                                     \
        const SPACE float *ws = WEIGHTS;                                                                  \
        _Pragma("unroll 1") for (int cb = 0; cb < (BLOCKS); cb++)                                         \
        {                                                                                                 \
            _Pragma("unroll 1") for (int i = 0; i < W; i++)                                               \
            {                                                                                             \
                VEC wv[NV];                                                                               \
                _Pragma("unroll") for (int j = 0; j < NV; j++) wv[j] = VLOAD(j, ws);                      \
                _Pragma("unroll") for (int p = 0; p < TP; p++)                                            \
                {                                                                                         \
                    const VEC s = (VEC)(xs[p * W + i]);                                                   \
                    _Pragma("unroll") for (int j = 0; j < NV; j++) acc[p][j] += s * wv[j];                \
                }                                                                                         \
                _Pragma("unroll") for (int j = 0; j < NV; j++) FETCH(ws + j * W)                          \
                ws += NR;                                                                                 \
            }                                                                                             \
            xs += TS * W;                                                                                 \
        }                                                                                                 \
    }

__kernel void KERNEL(const __global float *restrict v, const __global float *restrict u, const int first, const int own, HOOK_PARAMS)
{
    const uint ob = (uint)get_global_id(TILES_FIRST);
    const int row0 = (int)get_global_id(1 - TILES_FIRST) * RT;
    const int rows = min(RT, ROWS - row0);
    VEC products[POINTS * MS];

#if SLICE
#define US (SLICE * W * NV + 1) /* vectors from point to point of a slice's weights, odd again */
    VEC slice[POINTS * US];
#pragma unroll 1
    for (int c0 = 0; c0 < CB; c0 += SLICE) {
        const int blocks = min(SLICE, CB - c0);
        const __global float *w = u + ((size_t)ob * CB + c0) * (W * 9 * NR);
        VEC *us = slice;
#pragma unroll 1
        for (int c = 0; c < blocks * W; c++) {
#pragma unroll 1
            for (int j = 0; j < NV; j++) {
                VEC part[A][3], g[3], x[A];
#pragma unroll
                for (int q = 0; q < 3; q++) {
#pragma unroll
                    for (int p = 0; p < 3; p++)
                        g[p] = VLOAD((p * 3 + q) * NV + j, w);
                    G(x, g)
#pragma unroll
                    for (int p = 0; p < A; p++)
                        part[p][q] = x[p];
                }
#pragma unroll
                for (int p = 0; p < A; p++) {
                    G(x, part[p])
#pragma unroll
                    for (int q = 0; q < A; q++)
                        us[(p * A + q) * US] = x[q];
                }
                us++;
            }
            w += 9 * NR;
        }
#pragma unroll 1
        for (int point = 0; point < POINTS; point++)
#pragma unroll 1
            for (int k = 0; k < rows; k++) {
                /* The last register tile moves back to stay inside; what its neighbour owns is computed again but not stored. */
                const __global float *xs = v + (size_t)point * PS + ((size_t)c0 * TS + min((row0 + k) * TP, TS - TP)) * W;
                VEC *to = products + point * MS + k * (TP * NV);
                VEC acc[TP][NV];
                /* The next slice's weights, a part of them before each product. */
#pragma unroll 1
                for (int i = point * rows + k; i < blocks * (W * 9 * NV); i += POINTS * rows)
                    PREFETCH(w + i * W);
#pragma unroll
                for (int p = 0; p < TP; p++)
#pragma unroll
                    for (int j = 0; j < NV; j++)
                        acc[p][j] = c0 ? to[p * NV + j] : (VEC)(0.0f);
                ADD_CHANNELS(__private, (const float *)(slice + point * US), blocks)
#pragma unroll
                for (int p = 0; p < TP; p++)
#pragma unroll
                    for (int j = 0; j < NV; j++)
                        to[p * NV + j] = acc[p][j];
            }
    }
#undef US
#else
    const __global float *w = u + (size_t)ob * ((size_t)POINTS * CB * W * NR);
#pragma unroll 1
    for (int point = 0; point < POINTS; point++) {
#pragma unroll 1
        for (int k = 0; k < rows; k++) {
            /* As above. */
            const __global float *xs = v + (size_t)point * PS + min((row0 + k) * TP, TS - TP) * W;
            VEC *to = products + point * MS + k * (TP * NV);
            VEC acc[TP][NV];
#pragma unroll
            for (int p = 0; p < TP; p++)
#pragma unroll
                for (int j = 0; j < NV; j++)
                    acc[p][j] = (VEC)(0.0f);
            ADD_CHANNELS(__global, w, CB)
#pragma unroll
            for (int p = 0; p < TP; p++)
#pragma unroll
                for (int j = 0; j < NV; j++)
                    to[p * NV + j] = acc[p][j];
        }
        w += CB * W * NR;
    }
#endif

#pragma unroll 1
    for (int i = 0; i < rows * TP; i++) {
        const int want = row0 * TP + i; /* the tile, but for the register tile that moved back */
        const int tile = min(want / TP * TP, TS - TP) + i % TP;
        if (tile < want / TP * TP || first + tile < own)
            continue;
        const int n = (first + tile) / (TY * TX), at = (first + tile) - n * (TY * TX), ty = at / TX;
        const int oy = ty * M, ox = (at - ty * TX) * M;
        const int oy1 = min(oy + M, OH), ox1 = min(ox + M, OW);
#pragma unroll 1
        for (int j = 0; j < NV; j++) {
            const uint o = ob * NR + j * W;
            const VEC *from = products + i * NV + j;
            VEC part[M][A], a[A], b[M], results[M * M];
            if (o >= O)
                break;
#pragma unroll
            for (int q = 0; q < A; q++) {
#pragma unroll
                for (int p = 0; p < A; p++)
                    a[p] = from[(p * A + q) * MS];
                BACK(b, a)
#pragma unroll
                for (int p = 0; p < M; p++)
                    part[p][q] = b[p];
            }
#pragma unroll
            for (int p = 0; p < M; p++) {
                BACK(b, part[p])
#pragma unroll
                for (int q = 0; q < M; q++)
                    results[p * M + q] = b[q];
            }
#pragma unroll 1
            for (int p = oy; p < oy1; p++)
#pragma unroll 1
                for (int q = ox; q < ox1; q++) {
                    const VEC r = results[(p - oy) * M + q - ox];
#if SV == W && !TAIL
                    CAT(STORE, W)(r, (uint)n, o, (uint)p, (uint)q, HOOK_ARGS);
#else
                    float lanes[W];
                    uint c = 0;
                    VSTORE(r, 0, lanes);
#pragma unroll 1
                    for (; c < W && o + c + SV <= O; c += SV)
                        CAT(STORE, SV)(CAT(vload, SV)(0, lanes + c), (uint)n, o + c, (uint)p, (uint)q, HOOK_ARGS);
#if TAIL
#pragma unroll 1
                    for (; c < W && o + c < O; c++)
                        STORE(lanes[c], (uint)n, o + c, (uint)p, (uint)q, HOOK_ARGS);
#endif
#endif
                }
        }
    }
}
#undef NR
#undef ROWS
#undef MS
#undef ADD_CHANNELS
#undef FETCH
#endif

#include "lib/winograd_end.clh"
