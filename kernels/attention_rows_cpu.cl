/* Copies one operand of attention_grad to rows of whole vectors in f32, for attention_grad_cpu.cl, the rows of GROUP heads behind one another:
 *   dst[batch * pairs][rows of PITCH][DP] = SCALE times element (b, head, i, d); zero beyond the last row and d
 * LOAD and LOADW (16, 8 or 4 wide) fetch neighbours along d, computing whatever comes before.
 * ND-range: (PITCH / CHUNK rounded up, heads / GROUP, batch), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_rows_cpu
#define HOOK_PARAMS const __global float *h0
#define HOOK_ARGS h0
#define W 16          /* native vector width of float */
#define S 128         /* rows of a head */
#define GROUP 1       /* heads behind one another */
#define PITCH 128     /* rows there is room for: at least GROUP * S */
#define D 64          /* elements of a row */
#define DP 64         /* the same in whole vectors */
#define CHUNK 32      /* rows of one item */
#define SCALE 1.0f
static inline float LOAD(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return h0[((b + h) * S + j) * D + d]; }
static inline float16 LOAD16(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload16(0, h0 + ((b + h) * S + j) * D + d); }
#endif

#include "lib/vector.clh"

__kernel void KERNEL(__global float *restrict dst, HOOK_PARAMS)
{
    const uint b = (uint)get_global_id(2), pair = (uint)get_global_id(1), r0 = (uint)get_global_id(0) * CHUNK, r1 = min(r0 + (uint)CHUNK, (uint)PITCH);
    __global float *to = dst + ((size_t)(b * (uint)get_global_size(1) + pair) * PITCH + r0) * DP;
#pragma unroll 1
    for (uint r = r0; r < r1; r++, to += DP) {
        const uint h = pair * GROUP + r / S, i = r % S;
        const bool inside = r < GROUP * S;
        uint d = 0;
#pragma unroll 1
        for (; inside && d + W <= D; d += W)
            CAT(vstore, W)(CAT(LOAD, W)(b, h, i, d, HOOK_ARGS) * SCALE, 0, to + d);
#pragma unroll 1
        for (; d < DP; d++)
            to[d] = inside && d < D ? LOAD(b, h, i, d, HOOK_ARGS) * SCALE : 0.0f;
    }
}
