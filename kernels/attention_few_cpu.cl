/* Attention of few queries for CPU devices: one work-item goes through a part of the keys of one head of k and v, which it reads once and as they lie, for all
 * rows of queries, and leaves its sums for attention_combine.cl.
 *
 *   partial[part][batch * KV_HEADS * ROWS][DV + 2]: the sum over j of p[j] v[j, :], the largest score, the sum of p;   p[j] = exp(s[j] - largest)
 *
 * Rows: the queries of the GROUP heads that share a head of k and v, behind one another: row r is query r % SQ of head kv_head * GROUP + r / SQ.
 * Hooks: LOAD_Q by (b, h, i, d), LOAD_K, LOAD_V by (b, kv_head, j, d), 1 and W wide along d; LOAD_MASK (1 and W wide along j) with MASK_INDEX, made of
 *    b, h, i, j.
 * ND-range: (parts, KV_HEADS, batch), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_few_cpu
#define HOOK_PARAMS const __global float *h0, const __global float *h1, const __global float *h2
#define HOOK_ARGS h0, h1, h2
#define W 16           /* native vector width of float */
#define RT 4           /* rows of a register tile */
#define KT 4           /* keys of a tile: RT*KT accumulators while there are scores to make */
#define NV 4           /* vectors of a tile's row: RT*NV accumulators behind */
#define BK 64          /* keys of a step: a multiple of W and of KT */
#define KPART 1024     /* keys of an item: a multiple of BK */
#define SQ 1           /* queries */
#define SK 2048        /* keys */
#define D 64           /* elements of a head of q and k */
#define DV 64          /* elements of a head of v */
#define GROUP 4        /* heads of q to a head of k and v */
#define ROWS 4         /* GROUP * SQ */
#define SCALE 0.125f
#define SOFTCAP 0.0f   /* > 0: scores s become SOFTCAP tanh(s / SOFTCAP) */
#define HAS_SOFTCAP 0
#define MASK 0         /* 1: LOAD_MASK is added; 2: where it is 0 a score is BELOW */
#define MASK_INDEX b, h, i, j
#define MASK_WIDE 1    /* the mask changes along the keys */
#define BELOW (-INFINITY)
#define CAUSAL 0       /* 1: query i sees key j <= i + OFFSET */
#define OFFSET 0
static inline float LOAD_Q(uint b, uint h, uint i, uint d, HOOK_PARAMS) { return h0[((b + h) * SQ + i) * D + d]; }
static inline float LOAD_K(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return h1[((b + h) * SK + j) * D + d]; }
static inline float16 LOAD_K16(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload16(0, h1 + ((b + h) * SK + j) * D + d); }
static inline float LOAD_V(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return h2[((b + h) * SK + j) * DV + d]; }
static inline float16 LOAD_V16(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload16(0, h2 + ((b + h) * SK + j) * DV + d); }
#endif

#include "lib/vector.clh"
#define VINT CAT(int, W)
#define RP ((ROWS + RT - 1) / RT * RT)
#define DP ((D + W - 1) / W * W)
#define DVP ((DV + W * NV - 1) / (W * NV) * (W * NV))
#define SUB(name) CAT(KERNEL, name)

#if W == 16
#define LANES ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#elif W == 8
#define LANES ((int8)(0, 1, 2, 3, 4, 5, 6, 7))
#else
#define LANES ((int4)(0, 1, 2, 3))
#endif

/* e^x for x <= 0, as in attention_cpu.cl. */
#define EXP_BODY(T, I, CVT, AS)                                                               \
    {                                                                                         \
        const T n = rint(x * (T)(1.44269504f));                                               \
        const T f = x - n * (T)(0.693145752f) - n * (T)(1.42860677e-6f);                      \
        T p = f * (T)(1.38888889e-3f) + (T)(8.33333333e-3f);                                  \
        p = p * f + (T)(4.16666667e-2f);                                                      \
        p = p * f + (T)(1.66666667e-1f);                                                      \
        p = p * f + (T)(0.5f);                                                                \
        p = p * f * f + f + (T)(1.0f);                                                        \
        return x < (T)(-87.0f) ? (T)(0.0f) : p * AS((CVT(n) + (I)(127)) << (I)(23));          \
    }
static inline VEC SUB(_expw)(const VEC x) EXP_BODY(VEC, VINT, CAT(convert_int, W), CAT(as_float, W))
static inline float SUB(_exp1)(const float x) EXP_BODY(float, int, convert_int, as_float)

static inline float SUB(_sum)(const VEC x)
{
#if W == 16
    const float8 y = x.lo + x.hi;
    const float4 z = y.lo + y.hi;
#elif W == 8
    const float4 z = x.lo + x.hi;
#else
    const float4 z = x;
#endif
    return (z.x + z.z) + (z.y + z.w);
}

/* W neighbours of a key or a value; zero past its end. */
static inline VEC SUB(_key)(const uint b, const uint h, const uint j, const uint d0, HOOK_PARAMS)
{
    if (d0 + W <= D)
        return CAT(LOAD_K, W)(b, h, j, d0, HOOK_ARGS);
    float lanes[W];
#pragma unroll 1
    for (uint d = d0; d < d0 + W; d++)
        lanes[d - d0] = d < D ? LOAD_K(b, h, j, d, HOOK_ARGS) : 0.0f;
    return VLOAD(0, lanes);
}

static inline VEC SUB(_value)(const uint b, const uint h, const uint j, const uint d0, HOOK_PARAMS)
{
    if (d0 + W <= DV)
        return CAT(LOAD_V, W)(b, h, j, d0, HOOK_ARGS);
    float lanes[W];
#pragma unroll 1
    for (uint d = d0; d < d0 + W; d++)
        lanes[d - d0] = d < DV ? LOAD_V(b, h, j, d, HOOK_ARGS) : 0.0f;
    return VLOAD(0, lanes);
}

/* Scores of RT rows and KT keys from j on; past the last key, those of the last. */
static inline void SUB(_scores)(const float *q, float *s, const uint b, const uint h, const uint j, const uint end, HOOK_PARAMS)
{
    VEC acc[RT][KT];
#pragma unroll
    for (int r = 0; r < RT; r++)
#pragma unroll
        for (int k = 0; k < KT; k++)
            acc[r][k] = (VEC)(0.0f);
#pragma unroll 1
    for (uint d = 0; d < DP; d += W) {
        VEC kv[KT];
#pragma unroll
        for (int k = 0; k < KT; k++)
            kv[k] = SUB(_key)(b, h, min(j + k, end - 1), d, HOOK_ARGS);
#pragma unroll
        for (int r = 0; r < RT; r++) {
            const VEC x = VLOAD(0, q + r * DP + d);
#pragma unroll
            for (int k = 0; k < KT; k++)
                acc[r][k] += x * kv[k];
        }
    }
#pragma unroll
    for (int r = 0; r < RT; r++)
#pragma unroll
        for (int k = 0; k < KT; k++)
            s[r * BK + k] = SUB(_sum)(acc[r][k]);
}

/* RT rows of o, NV vectors each, by fix, and what n keys from j on weigh. */
static inline void SUB(_weigh)(const float *s, const float *fix, float *o, const uint b, const uint h, const uint j, const uint n, const uint d, HOOK_PARAMS)
{
    VEC acc[RT][NV];
#pragma unroll
    for (int r = 0; r < RT; r++)
#pragma unroll
        for (int c = 0; c < NV; c++)
            acc[r][c] = VLOAD(c, o + r * DVP) * (VEC)(fix[r]);
#pragma unroll 1
    for (uint k = 0; k < n; k++) {
        VEC vv[NV];
#pragma unroll
        for (int c = 0; c < NV; c++)
            vv[c] = d + c * W < DV ? SUB(_value)(b, h, j + k, d + c * W, HOOK_ARGS) : (VEC)(0.0f);
#pragma unroll
        for (int r = 0; r < RT; r++) {
            const VEC x = (VEC)(s[r * BK + k]);
#pragma unroll
            for (int c = 0; c < NV; c++)
                acc[r][c] += x * vv[c];
        }
    }
#pragma unroll
    for (int r = 0; r < RT; r++)
#pragma unroll
        for (int c = 0; c < NV; c++)
            VSTORE(acc[r][c], c, o + r * DVP);
}

/* A row's scores of keys [j0, end) under softcap and masks, in place; the largest of each lane. */
static inline VEC SUB(_mask)(float *row, const uint b, const uint h, const uint i, const uint j0, const uint end, HOOK_PARAMS)
{
    VEC most = (VEC)(-INFINITY);
#pragma unroll 1
    for (uint j = j0; j < end; j += W) {
        VEC x = VLOAD(0, row + (j - j0));
#if HAS_SOFTCAP
        x = tanh(x * (VEC)(1.0f / SOFTCAP)) * (VEC)(SOFTCAP);
#endif
#if MASK
        float lanes[W];
#if MASK_WIDE
        if (j + W <= SK) {
#if MASK == 1
            x += CAT(LOAD_MASK, W)(MASK_INDEX, HOOK_ARGS);
#else
            x = CAT(LOAD_MASK, W)(MASK_INDEX, HOOK_ARGS) != (VINT)(0) ? x : (VEC)(BELOW);
#endif
        } else {
            const uint first = j;
            VSTORE(x, 0, lanes);
#pragma unroll 1
            for (uint j = first; j < SK; j++)
#if MASK == 1
                lanes[j - first] += LOAD_MASK(MASK_INDEX, HOOK_ARGS);
#else
                lanes[j - first] = LOAD_MASK(MASK_INDEX, HOOK_ARGS) ? lanes[j - first] : BELOW;
#endif
            x = VLOAD(0, lanes);
        }
#else
        (void)lanes;
#if MASK == 1
        x += (VEC)(LOAD_MASK(MASK_INDEX, HOOK_ARGS));
#else
        x = LOAD_MASK(MASK_INDEX, HOOK_ARGS) ? x : (VEC)(BELOW);
#endif
#endif
#endif
#if CAUSAL
        x = (VINT)((int)j) + LANES <= (VINT)((int)i + OFFSET) ? x : (VEC)(-INFINITY);
#endif
        x = (VINT)((int)j) + LANES < (VINT)((int)end) ? x : (VEC)(-INFINITY);
        most = x > most ? x : most;
        VSTORE(x, 0, row + (j - j0));
    }
    return most;
}

__kernel void KERNEL(__global float *restrict partial, HOOK_PARAMS)
{
    const uint part = (uint)get_global_id(0), kv_head = (uint)get_global_id(1), b = (uint)get_global_id(2);
    const uint pair = b * (uint)get_global_size(1) + kv_head, pairs = (uint)(get_global_size(1) * get_global_size(2));
    float q[RP * DP], s[RP * BK], o[RP * DVP], top[RP], sum[RP], fix[RP];
    uint end = min((uint)SK, (part + 1) * KPART);
#if CAUSAL
    end = min(end, (uint)clamp((int)SQ + OFFSET, 0, (int)SK));
#endif

#pragma unroll 1
    for (uint r = 0; r < RP; r++) {
        top[r] = -INFINITY;
        sum[r] = 0.0f;
        fix[r] = 1.0f;
#pragma unroll 1
        for (uint d = 0; d < DP; d++)
            q[r * DP + d] = r < ROWS && d < D ? LOAD_Q(b, kv_head * GROUP + r / SQ, r % SQ, d, HOOK_ARGS) * SCALE : 0.0f;
#pragma unroll 1
        for (uint d = 0; d < DVP; d += W)
            VSTORE((VEC)(0.0f), 0, o + r * DVP + d);
    }
#pragma unroll 1
    for (uint j0 = part * KPART; j0 < end; j0 += BK) {
        const uint last = min(end, j0 + BK), keys = last - j0;
#pragma unroll 1
        for (uint k = 0; k < keys; k += KT)
#pragma unroll 1
            for (uint r = 0; r < RP; r += RT)
                SUB(_scores)(q + r * DP, s + r * BK + k, b, kv_head, j0 + k, last, HOOK_ARGS);
#pragma unroll 1
        for (uint r = 0; r < ROWS; r++) {
            float *row = s + r * BK, lanes[W], largest = top[r];
#pragma unroll 1
            for (uint k = (keys + KT - 1) / KT * KT; k < (keys + W - 1) / W * W; k++)
                row[k] = 0.0f; /* the vectors' last lanes, which are no keys */
            VSTORE(SUB(_mask)(row, b, kv_head * GROUP + r / SQ, r % SQ, j0, last, HOOK_ARGS), 0, lanes);
#pragma unroll
            for (int c = 0; c < W; c++)
                largest = fmax(largest, lanes[c]);
            /* While all are -inf any finite number will do for the largest: what is subtracted from -inf stays that. */
            const float base = largest == -INFINITY ? 0.0f : largest;
            VEC total = (VEC)(0.0f);
#pragma unroll 1
            for (uint k = 0; k < keys; k += W) {
                const VEC p = SUB(_expw)(VLOAD(0, row + k) - (VEC)(base));
                total += p;
                VSTORE(p, 0, row + k);
            }
            fix[r] = SUB(_exp1)(top[r] - base);
            sum[r] = sum[r] * fix[r] + SUB(_sum)(total);
            top[r] = largest;
        }
#pragma unroll 1
        for (uint d = 0; d < DVP; d += W * NV)
#pragma unroll 1
            for (uint r = 0; r < RP; r += RT)
                SUB(_weigh)(s + r * BK, fix + r, o + r * DVP + d, b, kv_head, j0, keys, d, HOOK_ARGS);
    }

#pragma unroll 1
    for (uint r = 0; r < ROWS; r++) {
        __global float *to = partial + ((size_t)(part * pairs + pair) * ROWS + r) * (DV + 2);
#pragma unroll 1
        for (uint d = 0; d < DV; d++)
            to[d] = o[r * DVP + d];
        to[DV] = top[r];
        to[DV + 1] = sum[r];
    }
}

#undef VINT
#undef RP
#undef DP
#undef DVP
#undef SUB
#undef LANES
#undef EXP_BODY
