/* Winograd convolution for devices of many light items (Lavin and Gray 2015): the transforms around the product that gemm_simt.cl makes for each point.
 * 3x3 taps at stride 1, in tiles of M x M results made from A x A inputs, A = M + 2.
 * Tiles are numbered along rows of an image, row by row, image by image: t = (n*TY + ty)*TX + tx.
 *
 * STAGE 1: v[A*A][CP][TP] = Bt d B of each tile and channel, zero past the last of either. LOAD fetches x by (n, c, y, x). One item a tile and channel.
 * STAGE 2: STORE takes At m A of the products m[A*A][OP][TP] by (n, o, y, x). One item a tile and output channel.
 * Range: one dimension, items with the tile innermost.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL conv_winograd_simt
#define HOOK_PARAMS const global float *x
#define HOOK_ARGS x
#define STAGE 1
#define M 4    /* 4 or 2 */
#define N 1
#define C 64
#define CP 64  /* channels, and below output channels and tiles, as the product has them: rounded up to quads */
#define OP 64
#define O 64
#define TP 196
#define H 56   /* of the input */
#define IW 56
#define PT 1   /* zeros before the first row and column */
#define PL 1
#define OH 56
#define OW 56
#define TY 14  /* tiles of an image */
#define TX 14
static inline float LOAD(uint n, uint c, uint y, uint i, HOOK_PARAMS) { return x[((n * C + c) * H + y) * IW + i]; }
#endif

#define VALUE float
#define T (N * TY * TX)
#include "lib/winograd.clh"

#if STAGE == 1
kernel void KERNEL(global float *restrict v, HOOK_PARAMS)
{
    const uint item = get_global_id(0), t = item % TP, c = item / TP;
    const int n = t / (TY * TX), iy = (int)(t / TX % TY) * M - PT, ix = (int)(t % TX) * M - PL;
    float mid[A][A], d[A], e[A];
    if (c >= CP)
        return;
#pragma unroll
    for (int j = 0; j < A; j++) {
#pragma unroll
        for (int k = 0; k < A; k++) {
            const bool inside = t < T && c < C && iy + k >= 0 && iy + k < H && ix + j >= 0 && ix + j < IW;
            d[k] = 0.0f;
            if (inside)
                d[k] = LOAD((uint)n, c, (uint)(iy + k), (uint)(ix + j), HOOK_ARGS);
        }
        FORWARD(e, d)
#pragma unroll
        for (int k = 0; k < A; k++)
            mid[k][j] = e[k];
    }
#pragma unroll
    for (int k = 0; k < A; k++) {
        FORWARD(e, mid[k])
#pragma unroll
        for (int j = 0; j < A; j++)
            v[((uint)(k * A + j) * CP + c) * TP + t] = e[j];
    }
}
#else
kernel void KERNEL(const global float *restrict m, HOOK_PARAMS)
{
    const uint item = get_global_id(0), t = item % TP, o = item / TP;
    float part[M][A], from[A], y[M];
    if (o >= O || t >= T)
        return;
#pragma unroll
    for (int j = 0; j < A; j++) {
#pragma unroll
        for (int k = 0; k < A; k++)
            from[k] = m[((uint)(k * A + j) * OP + o) * TP + t];
        BACK(y, from)
#pragma unroll
        for (int k = 0; k < M; k++)
            part[k][j] = y[k];
    }
    const uint n = t / (TY * TX), oy = t / TX % TY * M, ox = t % TX * M;
#pragma unroll
    for (int k = 0; k < M; k++) {
        BACK(y, part[k])
#pragma unroll
        for (int j = 0; j < M; j++)
            if (oy + k < OH && ox + j < OW)
                STORE(y[j], n, o, oy + k, ox + j, HOOK_ARGS);
    }
}
#endif

#undef T
#include "lib/winograd_end.clh"
