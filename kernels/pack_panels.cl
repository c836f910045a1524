/* Cuts a matrix into panels for gemm_cpu.cl.
 *   src: element (b, r, k) lies at b*S_BATCH + r*S_ROW + k*S_STEP; r < ROWS, k < K; f32, f16 or bf16
 *   dst [batch][ROWS / P rounded up][K][P] f32, zero where r >= ROWS
 * A's panels hold P = MR rows, B's hold P = NR columns (r is then a column).
 * ND-range: (panels, K / KCHUNK rounded up, batch), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL pack_panels
#define P 12
#define ROWS 128
#define K 128
#define S_ROW 128
#define S_STEP 1
#define S_BATCH 0
#define KCHUNK 128 /* a multiple of 4 */
#define SRC 0 /* 0: f32, 1: f16, 2: bf16 */
#define ANY_ADDRESS 0 /* 1: src lies at any address */
#define ROW_STEPS 0 /* 1: S_ROW is 1 */
#define K_STEPS 1 /* 1: S_STEP is 1, and S_ROW is not */
#define SIZE_PARAMS /* ROWS, K, S_ROW, S_STEP and S_BATCH may be parameters */
#endif

#if ANY_ADDRESS
#define SRC_T uchar
#define UNIT (SRC == 0 ? 4 : 2) /* bytes of an element */
#if SRC == 0
#define LOAD(i, p) LB_f32_1(p, i)
#define LOAD4(p) LB_f32_4(p)
#elif SRC == 1
#define LOAD(i, p) LB_f16_1(p, i)
#define LOAD4(p) LB_f16_4(p)
#else
#define LOAD(i, p) LB_bf16_1(p, i)
#define LOAD4(p) LB_bf16_4(p)
#endif
#elif SRC == 0
#define SRC_T float
#define LOAD(i, p) ((p)[i])
#define LOAD4(p) vload4(0, p)
#elif SRC == 1
#define SRC_T half
#define LOAD(i, p) vload_half(i, p)
#define LOAD4(p) vload_half4(0, p)
#else
#define SRC_T ushort
#define LOAD(i, p) as_float((uint)(p)[i] << 16)
#define LOAD4(p) as_float4(convert_uint4(vload4(0, p)) << 16)
#endif
#ifndef UNIT
#define UNIT 1 /* of SRC_T to an element */
#endif

__kernel void KERNEL(const __global SRC_T *restrict src, __global float *restrict dst SIZE_PARAMS)
{
    const uint panel = (uint)get_global_id(0);
    const uint batch = (uint)get_global_id(2);
    const uint k0 = (uint)get_global_id(1) * KCHUNK;
    const uint k1 = min(k0 + (uint)KCHUNK, (uint)K);
    const uint r0 = panel * P;
    const uint rows = min((uint)P, (uint)ROWS - r0);
    const __global SRC_T *s = src + UNIT * ((size_t)batch * S_BATCH + (size_t)r0 * S_ROW);
    __global float *d = dst + ((size_t)batch * ((ROWS + P - 1) / P) + panel) * ((size_t)K * P);
    uint k = k0;

#if K_STEPS
    /* Transposed in squares of four, four rows at a time: rows a power of two apart share their place in the first cache. */
    const uint k4 = k0 + (k1 - k0) / 4 * 4;
    uint r = 0;
    for (; r + 4 <= rows; r += 4) {
        const __global SRC_T *q = s + UNIT * (size_t)r * S_ROW;
        __global float *o = d + (size_t)k0 * P + r;
#pragma unroll 1
        for (k = k0; k < k4; k += 4) {
            const float4 a = LOAD4(q + UNIT * (size_t)k), b = LOAD4(q + UNIT * ((size_t)S_ROW + k));
            const float4 c = LOAD4(q + UNIT * (2 * (size_t)S_ROW + k)), e = LOAD4(q + UNIT * (3 * (size_t)S_ROW + k));
            /* In pairs first: every shuffle takes four lanes from two vectors. A pair then moves as one lane: of vectors made of vectors,
             * Oclgrind 21.10 dies. */
            const ulong2 ab0 = as_ulong2((float4)(a.x, b.x, a.y, b.y)), ab1 = as_ulong2((float4)(a.z, b.z, a.w, b.w));
            const ulong2 ce0 = as_ulong2((float4)(c.x, e.x, c.y, e.y)), ce1 = as_ulong2((float4)(c.z, e.z, c.w, e.w));
            vstore4(as_float4((ulong2)(ab0.x, ce0.x)), 0, o);
            vstore4(as_float4((ulong2)(ab0.y, ce0.y)), 0, o + P);
            vstore4(as_float4((ulong2)(ab1.x, ce1.x)), 0, o + 2 * P);
            vstore4(as_float4((ulong2)(ab1.y, ce1.y)), 0, o + 3 * P);
            o += 4 * P;
        }
    }
#pragma unroll 1
    for (; r < P; r++)
#pragma unroll 1
        for (k = k0; k < k4; k++)
            d[(size_t)k * P + r] = r < rows ? LOAD((size_t)r * S_ROW + k, s) : 0.0f;
    k = k4;
#endif
#pragma unroll 1
    for (; k < k1; k++) {
        uint i = 0;
#if ROW_STEPS
#pragma unroll 1
        for (; i + 4 <= rows; i += 4)
            vstore4(LOAD4(s + UNIT * ((size_t)k * S_STEP + i)), 0, d + (size_t)k * P + i);
#endif
#pragma unroll 1
        for (; i < rows; i++)
            d[(size_t)k * P + i] = LOAD((size_t)i * S_ROW + (size_t)k * S_STEP, s);
#pragma unroll 1
        for (; i < P; i++)
            d[(size_t)k * P + i] = 0.0f;
    }
}

#undef SRC_T
#undef LOAD
#undef LOAD4
#undef UNIT
