/* Transforms a 3x3 convolution's weights for conv_winograd_cpu.cl: u = G w Gt, a number for each of A*A points, A = M + 2.
 *   w: [OC, IC, 3, 3] f32 as the graph has them
 *   u: [OB][A*A][CP][NR] f32, zero past the last channel of either side
 * FLIP 0: O = OC, C = IC. FLIP 1 (gradient by the input): O = IC, C = OC, and the taps run backwards.
 * ND-range: (OB, CP), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL pack_winograd_weight
#define M 4
#define W 16
#define NR 32
#define O 64
#define C 64
#define CP 64 /* C rounded up to whole vectors */
#define FLIP 0
#define ANY_ADDRESS 0 /* 1: w lies at any address */
#define SIZE_PARAMS /* NR, O, C and CP may be parameters */
#endif

#if ANY_ADDRESS
#define SRC_T uchar
#define LOAD(i, p) LB_f32_1(p, i)
#else
#define SRC_T float
#define LOAD(i, p) ((p)[i])
#endif
#include "lib/vector.clh"
#if FLIP
#define AT(o, c, t) (((size_t)(c) * O + (o)) * 9 + (8 - (t)))
#else
#define AT(o, c, t) (((size_t)(o) * C + (c)) * 9 + (t))
#endif
#define VALUE VEC
#include "lib/winograd.clh"

__kernel void KERNEL(const __global SRC_T *restrict w, __global float *restrict u SIZE_PARAMS)
{
    const uint ob = (uint)get_global_id(0);
    const uint c = (uint)get_global_id(1);
#pragma unroll 1
    for (uint v = 0; v < NR; v += W) {
        float taps[9 * W];
#pragma unroll 1
        for (uint j = 0; j < W; j++)
#pragma unroll 1
            for (uint t = 0; t < 9; t++)
                taps[t * W + j] = c < C && ob * NR + v + j < O ? LOAD(AT(ob * NR + v + j, c, t), w) : 0.0f;
        VEC part[A][3], g[3], x[A];
        /* Runs once: short code, which compiles sooner, before fast code. */
#pragma unroll 1
        for (uint q = 0; q < 3; q++) {
#pragma unroll
            for (uint p = 0; p < 3; p++)
                g[p] = VLOAD(p * 3 + q, taps);
            G(x, g)
#pragma unroll
            for (uint p = 0; p < A; p++)
                part[p][q] = x[p];
        }
#pragma unroll 1
        for (uint p = 0; p < A; p++) {
            G(x, part[p])
#pragma unroll
            for (uint q = 0; q < A; q++)
                VSTORE(x[q], 0, u + (((size_t)ob * (A * A) + p * A + q) * CP + c) * NR + v);
        }
    }
}

#undef SRC_T
#undef LOAD
#undef AT
#include "lib/winograd_end.clh"
