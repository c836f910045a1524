/* Attention for CPU devices: one work-item computes the results of BQ queries of one head of k and v, some keys at a time, with a softmax that
 * is corrected as larger scores turn up (Milakov and Gimelshein 2018). Scores never leave the item.
 *
 *   y[b, h, i, :] = sum over j of p[j] v[j, :] / sum of p,   p[j] = exp(s[j] - max s),   s[j] = SCALE q[b, h, i, :] k[j, :] + masks
 *
 * Rows: the queries of the GROUP heads that share a head of k and v, behind one another: row r is query r % SQ of head kv_head * GROUP + r / SQ.
 * k: panels of NR keys [batch * KV_HEADS][SK / NR rounded up][D][NR]; v: panels of NR columns [batch * KV_HEADS][DV / NR rounded up][SK][NR]
 *    (attention_pack_cpu.cl).
 * Hooks: LOAD_Q (1 and W wide along d) by (b, h, i, d); LOAD_MASK (1 and W wide along j) with MASK_INDEX, made of b, h, i, j; STORE with STORE_INDEX, made
 *    of b, h, i, d, where d is a multiple of W for a vector; STORE_LSE by (b, h, i): log of the sum of e^s.
 * ND-range: (rows / BQ rounded up, KV_HEADS, batch), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_cpu
#define HOOK_PARAMS const __global float *h0, __global float *h1
#define HOOK_ARGS h0, h1
#define W 16           /* native vector width of float */
#define MR 12          /* rows of a register tile: MR*NV accumulators + NV + 1 vector registers */
#define NV 2           /* vectors per row of a tile */
#define RT 4           /* register tiles that share what they read of k and v */
#define KB 2           /* panels of keys in a step */
#define SQ 128         /* queries */
#define SK 128         /* keys */
#define D 64           /* elements of a head of q and k */
#define DV 64          /* elements of a head of v */
#define GROUP 1        /* heads of q to a head of k and v */
#define SCALE 0.125f
#define SOFTCAP 0.0f   /* > 0: scores s become SOFTCAP tanh(s / SOFTCAP) */
#define HAS_SOFTCAP 0
#define MASK 0         /* 1: LOAD_MASK is added; 2: where it is 0 a score is BELOW */
#define MASK_INDEX b, h, i, j
#define MASK_WIDE 1    /* the mask changes along the keys */
#define BELOW (-INFINITY)
#define CAUSAL 0       /* 1: query i sees key j <= i + OFFSET */
#define OFFSET 0
#define EMPTY 0.0f     /* what a row gives whose scores are all -inf */
#define HAS_LSE 0      /* STORE_LSE is wanted */
#define STORE_INDEX b, h, i, d
static inline float LOAD_Q(uint b, uint h, uint i, uint d, HOOK_PARAMS) { return h0[((b + h) * SQ + i) * D + d]; }
static inline float16 LOAD_Q16(uint b, uint h, uint i, uint d, HOOK_PARAMS) { return vload16(0, h0 + ((b + h) * SQ + i) * D + d); }
static inline void STORE(float x, uint b, uint h, uint i, uint d, HOOK_PARAMS) { h1[((b + h) * SQ + i) * DV + d] = x; }
static inline void STORE16(float16 x, uint b, uint h, uint i, uint d, HOOK_PARAMS) { vstore16(x, 0, h1 + ((b + h) * SQ + i) * DV + d); }
#endif

#include "lib/vector.clh"
#define VINT CAT(int, W)
#define NR (NV * W)
#define BQ (MR * RT)
#define BK (KB * NR)
#define DVP ((DV + NR - 1) / NR * NR)
#define PANELS ((SK + NR - 1) / NR)
#define ROWS (GROUP * SQ)

#if W == 16
#define LANES ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#elif W == 8
#define LANES ((int8)(0, 1, 2, 3, 4, 5, 6, 7))
#else
#define LANES ((int4)(0, 1, 2, 3))
#endif

/* e^x for x <= 0 to within two units in the last place; 0 below the smallest normal number. A NaN stays one. */
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
#define EXPW CAT(KERNEL, _expw)
#define EXP1 CAT(KERNEL, _exp1)
static inline VEC EXPW(const VEC x) EXP_BODY(VEC, VINT, CAT(convert_int, W), CAT(as_float, W))
static inline float EXP1(const float x) EXP_BODY(float, int, convert_int, as_float)

__kernel void KERNEL(const __global float *restrict k, const __global float *restrict v, HOOK_PARAMS)
{
    const uint row0 = (uint)get_global_id(0) * BQ, kv_head = (uint)get_global_id(1), b = (uint)get_global_id(2);
    const uint rows = min((uint)BQ, (uint)ROWS - row0), pair = b * (uint)get_global_size(1) + kv_head;
    const uint tiles = (rows + MR - 1) / MR;
    float q[BQ * D], s[BQ * BK], o[BQ * DVP], top[BQ], sum[BQ], fix[BQ];

#pragma unroll 1
    for (uint r = 0; r < tiles * MR; r++) {
        const uint h = kv_head * GROUP + (row0 + r) / SQ, i = (row0 + r) % SQ;
        uint d = 0;
        top[r] = -INFINITY;
        sum[r] = 0.0f;
#pragma unroll 1
        for (; r < rows && d + W <= D; d += W)
            VSTORE(CAT(LOAD_Q, W)(b, h, i, d, HOOK_ARGS) * (VEC)(SCALE), 0, q + r * D + d);
#pragma unroll 1
        for (; d < D; d++)
            q[r * D + d] = r < rows ? LOAD_Q(b, h, i, d, HOOK_ARGS) * SCALE : 0.0f;
    }
#pragma unroll 1
    for (uint at = 0; at < tiles * MR * DVP; at += W)
        VSTORE((VEC)(0.0f), 0, o + at);

#if CAUSAL
    /* Keys past the last that any of these rows sees are left out. Rows of several heads are several runs of queries. */
    const int last = row0 / SQ == (row0 + rows - 1) / SQ ? (int)((row0 + rows - 1) % SQ) : (int)SQ - 1;
    const uint end = (uint)clamp(last + 1 + OFFSET, 0, (int)SK);
#else
    const uint end = SK;
#endif
#pragma unroll 1
    for (uint j0 = 0; j0 < end; j0 += BK) {
        const uint keys = min((uint)BK, (uint)SK - j0);

        /* Scores. */
#pragma unroll 1
        for (uint n = 0; n < keys; n += NR) {
            const __global float *panel = k + ((size_t)pair * PANELS + (j0 + n) / NR) * (D * NR);
#pragma unroll 1
            for (uint t = 0; t < tiles; t++) {
                const float *qt = q + t * (MR * D);
                const __global float *kp = panel;
                VEC acc[MR][NV];
#pragma unroll
                for (int i = 0; i < MR; i++)
#pragma unroll
                    for (int c = 0; c < NV; c++)
                        acc[i][c] = (VEC)(0.0f);
#pragma unroll 1
                for (uint d = 0; d < D; d++) {
                    VEC kv[NV];
#pragma unroll
                    for (int c = 0; c < NV; c++)
                        kv[c] = VLOAD(c, kp);
#pragma unroll
                    for (int i = 0; i < MR; i++) {
                        const VEC x = (VEC)(qt[i * D]);
#pragma unroll
                        for (int c = 0; c < NV; c++)
                            acc[i][c] += x * kv[c];
                    }
                    qt++;
                    kp += NR;
                }
#pragma unroll
                for (int i = 0; i < MR; i++)
#pragma unroll
                    for (int c = 0; c < NV; c++)
                        VSTORE(acc[i][c], 0, s + (t * MR + i) * BK + n + c * W);
            }
        }

        /* Masks, and the softmax so far. */
        const uint vectors = (keys + W - 1) / W;
#pragma unroll 1
        for (uint r = 0; r < rows; r++) {
            const uint h = kv_head * GROUP + (row0 + r) / SQ, i = (row0 + r) % SQ;
            float *row = s + r * BK;
            VEC most = (VEC)(-INFINITY);
            (void)h;
            (void)i;
#pragma unroll 1
            for (uint c = 0; c < vectors; c++) {
                const uint j = j0 + c * W;
                VEC x = VLOAD(c, row);
#if HAS_SOFTCAP
                x = tanh(x * (VEC)(1.0f / SOFTCAP)) * (VEC)(SOFTCAP);
#endif
#if MASK
#if MASK_WIDE
                if (j + W <= SK) {
#if MASK == 1
                    x += CAT(LOAD_MASK, W)(MASK_INDEX, HOOK_ARGS);
#else
                    x = CAT(LOAD_MASK, W)(MASK_INDEX, HOOK_ARGS) != (VINT)(0) ? x : (VEC)(BELOW);
#endif
                } else {
                    const uint first = j;
                    float lanes[W];
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
#elif MASK == 1
                x += (VEC)(LOAD_MASK(MASK_INDEX, HOOK_ARGS));
#else
                x = LOAD_MASK(MASK_INDEX, HOOK_ARGS) ? x : (VEC)(BELOW);
#endif
#endif
#if CAUSAL
                x = (VINT)((int)j) + LANES <= (VINT)((int)i + OFFSET) ? x : (VEC)(-INFINITY);
#endif
                if (j + W > SK)
                    x = (VINT)((int)j) + LANES < (VINT)((int)SK) ? x : (VEC)(-INFINITY);
                most = x > most ? x : most;
                VSTORE(x, c, row);
            }
            float lanes[W], largest = top[r];
            VSTORE(most, 0, lanes);
#pragma unroll
            for (int c = 0; c < W; c++)
                largest = fmax(largest, lanes[c]);
            /* While all are -inf any finite number will do for the largest: what is subtracted from -inf stays that. */
            const float base = largest == -INFINITY ? 0.0f : largest;
            VEC part = (VEC)(0.0f);
#pragma unroll 1
            for (uint c = 0; c < vectors; c++) {
                const VEC p = EXPW(VLOAD(c, row) - (VEC)(base));
                part += p;
                VSTORE(p, c, row);
            }
            VSTORE(part, 0, lanes);
            fix[r] = EXP1(top[r] - base);
            float total = sum[r] * fix[r];
#pragma unroll
            for (int c = 0; c < W; c++)
                total += lanes[c];
            sum[r] = total;
            top[r] = largest;
        }
#pragma unroll 1
        for (uint r = rows; r < tiles * MR; r++)
            fix[r] = 1.0f;

        /* What they weigh. */
#pragma unroll 1
        for (uint n = 0; n < DVP; n += NR) {
            const __global float *panel = v + ((size_t)pair * (DVP / NR) + n / NR) * ((size_t)SK * NR) + (size_t)j0 * NR;
#pragma unroll 1
            for (uint t = 0; t < tiles; t++) {
                const float *st = s + t * (MR * BK);
                const __global float *vp = panel;
                float *ot = o + t * (MR * DVP) + n;
                VEC acc[MR][NV];
#pragma unroll
                for (int i = 0; i < MR; i++)
#pragma unroll
                    for (int c = 0; c < NV; c++)
                        acc[i][c] = VLOAD(c, ot + i * DVP) * (VEC)(fix[t * MR + i]);
#pragma unroll 1
                for (uint j = 0; j < keys; j++) {
                    VEC vv[NV];
#pragma unroll
                    for (int c = 0; c < NV; c++)
                        vv[c] = VLOAD(c, vp);
#pragma unroll
                    for (int i = 0; i < MR; i++) {
                        const VEC x = (VEC)(st[i * BK]);
#pragma unroll
                        for (int c = 0; c < NV; c++)
                            acc[i][c] += x * vv[c];
                    }
                    st++;
                    vp += NR;
                }
#pragma unroll
                for (int i = 0; i < MR; i++)
#pragma unroll
                    for (int c = 0; c < NV; c++)
                        VSTORE(acc[i][c], c, ot + i * DVP);
            }
        }
    }

#pragma unroll 1
    for (uint r = 0; r < rows; r++) {
        const uint h = kv_head * GROUP + (row0 + r) / SQ, i = (row0 + r) % SQ;
        const bool empty = top[r] == -INFINITY && sum[r] == 0.0f;
        const float by = empty ? 0.0f : 1.0f / sum[r];
        uint d = 0;
#if HAS_LSE
        STORE_LSE(empty ? -INFINITY : top[r] + log(sum[r]), b, h, i, HOOK_ARGS);
#endif
#pragma unroll 1
        for (; d + W <= DV; d += W) {
            const VEC y = empty ? (VEC)(EMPTY) : VLOAD(0, o + r * DVP + d) * (VEC)(by);
            CAT(STORE, W)(y, STORE_INDEX, HOOK_ARGS);
        }
#pragma unroll 1
        for (; d < DV; d++)
            STORE(empty ? EMPTY : o[r * DVP + d] * by, STORE_INDEX, HOOK_ARGS);
    }
}

#undef VINT
#undef NR
#undef BQ
#undef BK
#undef DVP
#undef PANELS
#undef ROWS
#undef LANES
#undef EXP_BODY
#undef EXPW
#undef EXP1
