/* Cuts one operand of an attention into panels for attention_cpu.cl, in f32.
 *   KEYS: dst[batch * heads][key / P rounded up][d < D][P] of k[batch, heads, SK, D], zero where there is no key
 *   else: dst[batch * heads][d / P rounded up][key < SK][P] of v[batch, heads, SK, D], zero where there is no d
 * LOAD and LOAD4 or LOADW (16, 8 or 4 wide) fetch neighbours along d, computing whatever comes before.
 * ND-range: (KEYS: panels; else SK / CHUNK rounded up, batch, heads), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_pack_cpu
#define HOOK_PARAMS const __global float *h0
#define HOOK_ARGS h0
#define KEYS 1
#define W 16      /* native vector width of float */
#define P 32      /* keys, or elements of d, in a panel: a multiple of 4, and of W unless KEYS */
#define SK 128    /* keys */
#define D 64      /* elements of a head */
#define CHUNK 32  /* keys of one item unless KEYS */
static inline float LOAD(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return h0[((b + h) * SK + j) * D + d]; }
static inline float4 LOAD4(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload4(0, h0 + ((b + h) * SK + j) * D + d); }
static inline float16 LOAD16(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload16(0, h0 + ((b + h) * SK + j) * D + d); }
#endif

#include "lib/vector.clh"

__kernel void KERNEL(__global float *restrict dst, HOOK_PARAMS)
{
    const uint b = (uint)get_global_id(1), h = (uint)get_global_id(2), pair = b * (uint)get_global_size(2) + h;
#if KEYS
    const uint panel = (uint)get_global_id(0), j0 = panel * P, keys = min((uint)P, (uint)SK - j0);
    __global float *to = dst + ((size_t)pair * get_global_size(0) + panel) * (D * P);
    uint j = 0;
    /* Transposed in squares of four; in pairs first, a pair then moves as one lane (as in pack_panels.cl). */
#pragma unroll 1
    for (; j + 4 <= keys; j += 4) {
        uint d = 0;
#pragma unroll 1
        for (; d + 4 <= D; d += 4) {
            const float4 a0 = LOAD4(b, h, j0 + j, d, HOOK_ARGS), a1 = LOAD4(b, h, j0 + j + 1, d, HOOK_ARGS);
            const float4 a2 = LOAD4(b, h, j0 + j + 2, d, HOOK_ARGS), a3 = LOAD4(b, h, j0 + j + 3, d, HOOK_ARGS);
            const ulong2 lo01 = as_ulong2((float4)(a0.x, a1.x, a0.y, a1.y)), hi01 = as_ulong2((float4)(a0.z, a1.z, a0.w, a1.w));
            const ulong2 lo23 = as_ulong2((float4)(a2.x, a3.x, a2.y, a3.y)), hi23 = as_ulong2((float4)(a2.z, a3.z, a2.w, a3.w));
            vstore4(as_float4((ulong2)(lo01.x, lo23.x)), 0, to + d * P + j);
            vstore4(as_float4((ulong2)(lo01.y, lo23.y)), 0, to + (d + 1) * P + j);
            vstore4(as_float4((ulong2)(hi01.x, hi23.x)), 0, to + (d + 2) * P + j);
            vstore4(as_float4((ulong2)(hi01.y, hi23.y)), 0, to + (d + 3) * P + j);
        }
#pragma unroll 1
        for (; d < D; d++)
#pragma unroll 1
            for (uint i = 0; i < 4; i++)
                to[d * P + j + i] = LOAD(b, h, j0 + j + i, d, HOOK_ARGS);
    }
#pragma unroll 1
    for (; j < P; j++)
#pragma unroll 1
        for (uint d = 0; d < D; d++)
            to[d * P + j] = j < keys ? LOAD(b, h, j0 + j, d, HOOK_ARGS) : 0.0f;
#else
    const uint j0 = (uint)get_global_id(0) * CHUNK, j1 = min(j0 + (uint)CHUNK, (uint)SK);
    __global float *to = dst + (size_t)pair * ((D + P - 1) / P) * SK * P;
#pragma unroll 1
    for (uint j = j0; j < j1; j++) {
        uint d = 0;
#pragma unroll 1
        for (; d + W <= D; d += W)
            CAT(vstore, W)(CAT(LOAD, W)(b, h, j, d, HOOK_ARGS), 0, to + ((size_t)(d / P) * SK + j) * P + d % P);
#pragma unroll 1
        for (; d < (D + P - 1) / P * P; d++)
            to[((size_t)(d / P) * SK + j) * P + d % P] = d < D ? LOAD(b, h, j, d, HOOK_ARGS) : 0.0f;
    }
#endif
}
