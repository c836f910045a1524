/* Adds the parts of dq that attention_grad_cpu.cl made, in their order.
 *   dq[b, h, i, d] = SCALE times the sum over parts of part[.][b * KV_HEADS + kv_head][row][d], row r being query r % SQ of head kv_head * GROUP + r / SQ
 * STORE and STOREW (W = 4, 8 or 16) take dq's elements by (b, h, i, d).
 * ND-range: (rows / CHUNK rounded up, KV_HEADS, batch), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_grad_combine_cpu
#define HOOK_PARAMS __global float *h0
#define HOOK_ARGS h0
#define W 16          /* native vector width of float */
#define SQ 128        /* queries */
#define GROUP 1       /* heads of q to a head of k and v */
#define PITCH 128     /* rows of a part */
#define D 64          /* elements of a head */
#define DP 64         /* the same in whole vectors */
#define PARTS 2
#define CHUNK 32      /* rows of one item */
#define SCALE 0.125f
static inline void STORE(float x, uint b, uint h, uint i, uint d, HOOK_PARAMS) { h0[((b + h) * SQ + i) * D + d] = x; }
static inline void STORE16(float16 x, uint b, uint h, uint i, uint d, HOOK_PARAMS) { vstore16(x, 0, h0 + ((b + h) * SQ + i) * D + d); }
#endif

#include "lib/vector.clh"

__kernel void KERNEL(const __global float *restrict part, HOOK_PARAMS)
{
    const uint b = (uint)get_global_id(2), pair = (uint)get_global_id(1), pairs = (uint)(get_global_size(1) * get_global_size(2));
    const uint r0 = (uint)get_global_id(0) * CHUNK, r1 = min(r0 + (uint)CHUNK, (uint)(GROUP * SQ));
    const size_t step = (size_t)pairs * PITCH * DP;
    const __global float *from = part + ((size_t)(b * (uint)get_global_size(1) + pair) * PITCH + r0) * DP;
#pragma unroll 1
    for (uint r = r0; r < r1; r++, from += DP) {
        const uint h = pair * GROUP + r / SQ, i = r % SQ;
        uint d = 0;
#pragma unroll 1
        for (; d + W <= D; d += W) {
            CAT(float, W) sum = CAT(vload, W)(0, from + d);
#pragma unroll 1
            for (uint p = 1; p < PARTS; p++)
                sum += CAT(vload, W)(0, from + p * step + d);
            CAT(STORE, W)(sum * SCALE, b, h, i, d, HOOK_ARGS);
        }
#pragma unroll 1
        for (; d < D; d++) {
            float sum = from[d];
#pragma unroll 1
            for (uint p = 1; p < PARTS; p++)
                sum += from[p * step + d];
            STORE(sum * SCALE, b, h, i, d, HOOK_ARGS);
        }
    }
}
