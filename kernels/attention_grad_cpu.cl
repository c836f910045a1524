/* The gradient of attention for CPU devices: one work-item goes through a part of the keys of one head of k and v, BK at a time, and through all rows
 * of queries, BQ at a time. Probabilities are made again from each row's logarithm of its sum (Dao et al. 2022) and never leave the item.
 *
 *   p = exp(s - lse),  ds = p (dy v^T - delta) slope;   dv += p^T dy,  dk += ds^T (SCALE q),  part of dq += ds k
 *
 * Nothing is added by two items: dk and dv belong to one, and each part of the keys has sums of its own for dq, which attention_grad_combine_cpu.cl adds.
 * Rows: the queries of the GROUP heads that share a head of k and v, behind one another: row r is query r % SQ of head kv_head * GROUP + r / SQ.
 * kt, vt: panels of NR keys [batch * KV_HEADS][SK / NR rounded up][D or DV][NR] (attention_pack_cpu.cl)
 * rk, rq, rdy: rows of k [batch * KV_HEADS][SK][DP], of SCALE q [..][PITCH][DP] and of dy [..][PITCH][DVP] (attention_rows_cpu.cl), zero past the last row
 * dq: [parts][batch * KV_HEADS][PITCH][DP]
 * Hooks: LOAD_LSE and LOAD_DELTA by (b, h, i); LOAD_MASK (1 and W wide along j) with MASK_INDEX, made of b, h, i, j; STORE_K and STORE_V (1 and W wide) by
 *    (b, kv_head, j, d), d a multiple of W for a vector.
 * ND-range: (parts, KV_HEADS, batch), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_grad_cpu
#define HOOK_PARAMS const __global float *h0, const __global float *h1, __global float *h2, __global float *h3
#define HOOK_ARGS h0, h1, h2, h3
#define W 16           /* native vector width of float */
#define MR 12          /* rows of a register tile: MR*NV accumulators + NV + 1 vector registers */
#define MK 8           /* keys of a register tile: divides BK */
#define NV 2           /* vectors per row of a tile */
#define RT 4           /* register tiles of a block of rows */
#define KB 2           /* panels of keys in a block */
#define PART 64        /* keys of a part: a multiple of BK */
#define SQ 128         /* queries */
#define SK 128         /* keys */
#define PITCH 144      /* rows there is room for: blocks of rows times BQ */
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
#define EMPTY 0.0f     /* NAN: rows whose scores are all -inf have no gradient; else they have none to give */
#define WANT_Q 1       /* dq, dk, dv are wanted */
#define WANT_K 1
#define WANT_V 1
static inline float LOAD_LSE(uint b, uint h, uint i, HOOK_PARAMS) { return h0[(b + h) * SQ + i]; }
static inline float LOAD_DELTA(uint b, uint h, uint i, HOOK_PARAMS) { return h1[(b + h) * SQ + i]; }
static inline void STORE_K(float x, uint b, uint h, uint j, uint d, HOOK_PARAMS) { h2[((b + h) * SK + j) * D + d] = x; }
static inline void STORE_K16(float16 x, uint b, uint h, uint j, uint d, HOOK_PARAMS) { vstore16(x, 0, h2 + ((b + h) * SK + j) * D + d); }
static inline void STORE_V(float x, uint b, uint h, uint j, uint d, HOOK_PARAMS) { h3[((b + h) * SK + j) * DV + d] = x; }
static inline void STORE_V16(float16 x, uint b, uint h, uint j, uint d, HOOK_PARAMS) { vstore16(x, 0, h3 + ((b + h) * SK + j) * DV + d); }
#endif

#include "lib/vector.clh"
#define VINT CAT(int, W)
#define NR (NV * W)
#define BQ (MR * RT)
#define BK (KB * NR)
#define DP ((D + NR - 1) / NR * NR)
#define DVP ((DV + NR - 1) / NR * NR)
#define PANELS ((SK + NR - 1) / NR)
#define ROWS (GROUP * SQ)
#define SUB(name) CAT(KERNEL, name)
#define OPERAND const __global float *restrict

#if W == 16
#define LANES ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#elif W == 8
#define LANES ((int8)(0, 1, 2, 3, 4, 5, 6, 7))
#else
#define LANES ((int4)(0, 1, 2, 3))
#endif

/* e^x to within two units in the last place; 0 below the smallest normal number. A NaN stays one. As in attention_cpu.cl, where no x is above 0; here one
 * may be by the rounding of lse. */
static inline VEC SUB(_expw)(const VEC y)
{
    const VEC x = y > (VEC)(88.7f) ? (VEC)(88.7f) : y;
    const VEC n = rint(x * (VEC)(1.44269504f));
    const VEC f = x - n * (VEC)(0.693145752f) - n * (VEC)(1.42860677e-6f);
    VEC p = f * (VEC)(1.38888889e-3f) + (VEC)(8.33333333e-3f);
    p = p * f + (VEC)(4.16666667e-2f);
    p = p * f + (VEC)(1.66666667e-1f);
    p = p * f + (VEC)(0.5f);
    p = p * f * f + f + (VEC)(1.0f);
    return x < (VEC)(-87.0f) ? (VEC)(0.0f) : p * CAT(as_float, W)((CAT(convert_int, W)(n) + (VINT)(127)) << (VINT)(23));
}

/* c[MR][NR of BK] = MR rows of a, pitch apart, times a panel b[depth][NR]. */
static inline void SUB(_scores)(const __global float *restrict a, const uint pitch, const __global float *restrict b, const uint depth, float *c)
{
    VEC acc[MR][NV];
#pragma unroll
    for (int i = 0; i < MR; i++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            acc[i][v] = (VEC)(0.0f);
#pragma unroll 1
    for (uint d = 0; d < depth; d++) {
        VEC bv[NV];
#pragma unroll
        for (int v = 0; v < NV; v++)
            bv[v] = VLOAD(v, b);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const VEC x = (VEC)(a[i * pitch]);
#pragma unroll
            for (int v = 0; v < NV; v++)
                acc[i][v] += x * bv[v];
        }
        a++;
        b += NR;
    }
#pragma unroll
    for (int i = 0; i < MR; i++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            VSTORE(acc[i][v], v, c + i * BK);
}

#if WANT_Q
/* c[MR][NR of DP] += MR rows of w, BK apart, times n rows of b. */
static inline void SUB(_to_rows)(const float *restrict w, const __global float *restrict b, const uint n, __global float *c)
{
    VEC acc[MR][NV];
#pragma unroll
    for (int i = 0; i < MR; i++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            acc[i][v] = VLOAD(v, c + i * DP);
#pragma unroll 1
    for (uint j = 0; j < n; j++) {
        VEC bv[NV];
#pragma unroll
        for (int v = 0; v < NV; v++)
            bv[v] = VLOAD(v, b);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const VEC x = (VEC)(w[i * BK]);
#pragma unroll
            for (int v = 0; v < NV; v++)
                acc[i][v] += x * bv[v];
        }
        w++;
        b += DP;
    }
#pragma unroll
    for (int i = 0; i < MR; i++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            VSTORE(acc[i][v], v, c + i * DP);
}
#endif

#if WANT_K || WANT_V
/* c[MK][NR of pitch] += MK columns of w, whose rows are BK apart, times n rows of b. */
static inline void SUB(_to_keys)(const float *restrict w, const __global float *restrict b, const uint pitch, const uint n, float *c)
{
    VEC acc[MK][NV];
#pragma unroll
    for (int j = 0; j < MK; j++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            acc[j][v] = VLOAD(v, c + j * pitch);
#pragma unroll 1
    for (uint i = 0; i < n; i++) {
        VEC bv[NV];
#pragma unroll
        for (int v = 0; v < NV; v++)
            bv[v] = VLOAD(v, b);
#pragma unroll
        for (int j = 0; j < MK; j++) {
            const VEC x = (VEC)(w[j]);
#pragma unroll
            for (int v = 0; v < NV; v++)
                acc[j][v] += x * bv[v];
        }
        w += BK;
        b += pitch;
    }
#pragma unroll
    for (int j = 0; j < MK; j++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            VSTORE(acc[j][v], v, c + j * pitch);
}
#endif

/* W scores s of query (b, h, i) from key j on, and dy v^T in dp, become probabilities and what the products behind the scores get. */
static inline void SUB(_softmax)(float *s, float *dp, const float base, const float delta, const uint b, const uint h, const uint i, const uint j, HOOK_PARAMS)
{
    VEC x = VLOAD(0, s);
    VINT passes = (VINT)(-1); /* where the score counts */
#if HAS_SOFTCAP
    const VEC t = tanh(x * (VEC)(1.0f / SOFTCAP));
    x = t * (VEC)(SOFTCAP);
#endif
#if MASK && MASK_WIDE
    if (j + W <= SK) {
#if MASK == 1
        x += CAT(LOAD_MASK, W)(MASK_INDEX, HOOK_ARGS);
#else
        passes = CAT(LOAD_MASK, W)(MASK_INDEX, HOOK_ARGS) != (VINT)(0);
#endif
    } else {
        const uint first = j;
        float lanes[W];
        VSTORE((VEC)(0.0f), 0, lanes);
#pragma unroll 1
        for (uint j = first; j < SK; j++)
            lanes[j - first] = LOAD_MASK(MASK_INDEX, HOOK_ARGS);
#if MASK == 1
        x += VLOAD(0, lanes);
#else
        passes = VLOAD(0, lanes) != (VEC)(0.0f);
#endif
    }
#elif MASK == 1
    x += (VEC)(LOAD_MASK(MASK_INDEX, HOOK_ARGS));
#elif MASK == 2
    passes = LOAD_MASK(MASK_INDEX, HOOK_ARGS) ? (VINT)(-1) : (VINT)(0);
#endif
#if MASK == 2
    x = passes ? x : (VEC)(BELOW);
#endif
#if CAUSAL
    x = (VINT)((int)j) + LANES <= (VINT)((int)i + OFFSET) ? x : (VEC)(-INFINITY);
#endif
    VEC p = SUB(_expw)(x - (VEC)(base));
    VEC ds = p * (VLOAD(0, dp) - (VEC)(delta));
#if HAS_SOFTCAP
    ds *= (VEC)(1.0f) - t * t;
#endif
    if (j + W > SK) {
        const VINT is_key = (VINT)((int)j) + LANES < (VINT)((int)SK);
        p = is_key ? p : (VEC)(0.0f);
        passes &= is_key;
    }
    VSTORE(p, 0, s);
    VSTORE(passes ? ds : (VEC)(0.0f), 0, dp);
}

__kernel void KERNEL(OPERAND kt, OPERAND vt, OPERAND rk, OPERAND rq, OPERAND rdy, __global float *restrict dq, HOOK_PARAMS)
{
    const uint part = (uint)get_global_id(0), kv_head = (uint)get_global_id(1), b = (uint)get_global_id(2), kv_heads = (uint)get_global_size(1);
    const uint pair = b * kv_heads + kv_head, pairs = kv_heads * (uint)get_global_size(2), end = min((uint)SK, (part + 1) * PART);
    float s[BQ * BK], dp[BQ * BK], dk[BK * DP], dv[BK * DVP];
    rq += (size_t)pair * PITCH * DP;
    rdy += (size_t)pair * PITCH * DVP;
    rk += (size_t)pair * SK * DP;
#if WANT_Q
    dq += ((size_t)part * pairs + pair) * PITCH * DP;
#pragma unroll 1
    for (uint at = 0; at < PITCH * DP; at += W)
        VSTORE((VEC)(0.0f), 0, dq + at);
#else
    (void)pairs;
#endif

#pragma unroll 1
    for (uint j0 = part * PART; j0 < end; j0 += BK) {
        const uint keys = min((uint)BK, (uint)SK - j0), vectors = (keys + W - 1) / W;
#pragma unroll 1
        for (uint at = 0; at < BK * DP; at += W)
            VSTORE((VEC)(0.0f), 0, dk + at);
#pragma unroll 1
        for (uint at = 0; at < BK * DVP; at += W)
            VSTORE((VEC)(0.0f), 0, dv + at);

#pragma unroll 1
        for (uint row0 = 0; row0 < ROWS; row0 += BQ) {
            const uint rows = min((uint)BQ, (uint)ROWS - row0), tiles = (rows + MR - 1) / MR;
#if CAUSAL
            /* None of these rows sees a key. Rows of several heads are several runs of queries. */
            const int last = row0 / SQ == (row0 + rows - 1) / SQ ? (int)((row0 + rows - 1) % SQ) : (int)SQ - 1;
            if (last + OFFSET < (int)j0)
                continue;
#endif
#pragma unroll 1
            for (uint n = 0; n < keys; n += NR) {
                const size_t panel = (size_t)pair * PANELS + (j0 + n) / NR;
#pragma unroll 1
                for (uint t = 0; t < tiles; t++) {
                    SUB(_scores)(rq + (size_t)(row0 + t * MR) * DP, DP, kt + panel * (D * NR), D, s + t * MR * BK + n);
                    SUB(_scores)(rdy + (size_t)(row0 + t * MR) * DVP, DVP, vt + panel * (DV * NR), DV, dp + t * MR * BK + n);
                }
            }
#pragma unroll 1
            for (uint r = 0; r < tiles * MR; r++) {
                const uint h = kv_head * GROUP + (row0 + r) / SQ, i = (row0 + r) % SQ;
                uint c = 0;
                if (r < rows) {
                    const float lse = LOAD_LSE(b, h, i, HOOK_ARGS), delta = LOAD_DELTA(b, h, i, HOOK_ARGS);
                    const float base = lse == -INFINITY ? INFINITY + EMPTY : lse;
#pragma unroll 1
                    for (; c < vectors; c++)
                        SUB(_softmax)(s + r * BK + c * W, dp + r * BK + c * W, base, delta, b, h, i, j0 + c * W, HOOK_ARGS);
                }
#pragma unroll 1
                for (; c < BK / W; c++) {
                    VSTORE((VEC)(0.0f), c, s + r * BK);
                    VSTORE((VEC)(0.0f), c, dp + r * BK);
                }
            }
#if WANT_V
#pragma unroll 1
            for (uint n = 0; n < DVP; n += NR)
#pragma unroll 1
                for (uint m = 0; m < keys; m += MK)
                    SUB(_to_keys)(s + m, rdy + (size_t)row0 * DVP + n, DVP, rows, dv + m * DVP + n);
#endif
#if WANT_K
#pragma unroll 1
            for (uint n = 0; n < DP; n += NR)
#pragma unroll 1
                for (uint m = 0; m < keys; m += MK)
                    SUB(_to_keys)(dp + m, rq + (size_t)row0 * DP + n, DP, rows, dk + m * DP + n);
#endif
#if WANT_Q
#pragma unroll 1
            for (uint n = 0; n < DP; n += NR)
#pragma unroll 1
                for (uint t = 0; t < tiles; t++)
                    SUB(_to_rows)(dp + t * MR * BK, rk + (size_t)j0 * DP + n, keys, dq + (size_t)(row0 + t * MR) * DP + n);
#endif
        }

#if WANT_K || WANT_V
#pragma unroll 1
        for (uint m = 0; m < keys; m++) {
            const uint j = j0 + m;
            uint d = 0;
#if WANT_K
#pragma unroll 1
            for (; d + W <= D; d += W)
                CAT(STORE_K, W)(VLOAD(0, dk + m * DP + d), b, kv_head, j, d, HOOK_ARGS);
#pragma unroll 1
            for (; d < D; d++)
                STORE_K(dk[m * DP + d], b, kv_head, j, d, HOOK_ARGS);
#endif
            d = 0;
#if WANT_V
#pragma unroll 1
            for (; d + W <= DV; d += W)
                CAT(STORE_V, W)(VLOAD(0, dv + m * DVP + d), b, kv_head, j, d, HOOK_ARGS);
#pragma unroll 1
            for (; d < DV; d++)
                STORE_V(dv[m * DVP + d], b, kv_head, j, d, HOOK_ARGS);
#endif
            (void)d;
        }
#endif
    }
}

#undef VINT
#undef NR
#undef BQ
#undef BK
#undef DP
#undef DVP
#undef PANELS
#undef ROWS
#undef SUB
#undef OPERAND
#undef LANES
