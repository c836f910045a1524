/* Attention for devices of many light items: a group makes BQ queries' results of one head of k and v, some keys at a time, with a softmax that is
 * corrected as larger scores turn up (Milakov and Gimelshein 2018; Dao et al. 2022). Scores stay in local memory.
 *
 *   y[b, h, i, :] = sum over j of p[j] v[j, :] / sum of p,   p[j] = exp(s[j] - max s),   s[j] = SCALE q[b, h, i, :] k[j, :] + masks
 *
 * Rows: the queries of the GROUP heads that share a head of k and v, behind one another: row r is query r % SQ of head kv_head * GROUP + r / SQ.
 * An item holds RQ x RK scores and RQ x RV results; ITEMS_Q x ITEMS_K items to a group, which walk through d and through the keys in slices of SLICE.
 * Hooks: LOAD_Q, LOAD_K, LOAD_V (1 and LOAD_WIDTH wide along d) by (b, head, row of the operand, d); LOAD_MASK with MASK_INDEX, made of b, h, i, j;
 *    STORE with STORE_INDEX, made of b, h, i, d; STORE_LSE by (b, h, i): log of the sum of e^s.
 * SPLITS > 1: a group walks along KPART keys only and leaves its sums in partial, for attention_combine.cl: [split][batch * KV_HEADS * ROWS][DV + 2], a row's
 *    results as they are, its largest score and its sum; there is no STORE then.
 * Range: one dimension, ITEMS_Q * ITEMS_K items a group; groups count (split, batch, kv_head, columns of v, rows), innermost last.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_simt
#define HOOK_PARAMS const global float *h0, const global float *h1, const global float *h2, global float *h3
#define HOOK_ARGS h0, h1, h2, h3
#define ITEMS_Q 16     /* items of a group along queries and along keys or columns of v */
#define ITEMS_K 16
#define RQ 4           /* rows, keys and columns of one item */
#define RK 4
#define RV 4
#define SLICE 16       /* of d or of keys, in local memory: a multiple of 4 */
#define SQ 128         /* queries */
#define SK 128         /* keys */
#define D 64           /* elements of a head of q and k */
#define DV 64          /* elements of a head of v */
#define KV_HEADS 8
#define GROUP 1        /* heads of q to a head of k and v */
#define SCALE 0.125f
#define SOFTCAP 0.0f   /* > 0: scores s become SOFTCAP tanh(s / SOFTCAP) */
#define HAS_SOFTCAP 0
#define MASK 0         /* 1: LOAD_MASK is added; 2: where it is 0 a score is BELOW */
#define MASK_INDEX b, h, i, j
#define BELOW (-INFINITY)
#define CAUSAL 0       /* 1: query i sees key j <= i + OFFSET */
#define OFFSET 0
#define EMPTY 0.0f     /* what a row gives whose scores are all -inf */
#define HAS_LSE 0      /* STORE_LSE is wanted */
#define STORE_INDEX b, h, i, d
#define DEPTH_WIDTH 4  /* neighbours along d that a load of q or k takes: 4 if that divides D, else 1 */
#define VALUE_WIDTH 4  /* the same of v */
#define SPLITS 1
#define KPART SK       /* keys of a split: a multiple of ITEMS_K * RK */
static inline float4 LOAD_Q4(uint b, uint h, uint i, uint d, HOOK_PARAMS) { return vload4(0, h0 + ((b + h) * SQ + i) * D + d); }
static inline float4 LOAD_K4(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload4(0, h1 + ((b + h) * SK + j) * D + d); }
static inline float4 LOAD_V4(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload4(0, h2 + ((b + h) * SK + j) * DV + d); }
static inline void STORE(float x, uint b, uint h, uint i, uint d, HOOK_PARAMS) { h3[((b + h) * SQ + i) * DV + d] = x; }
#endif

#define ITEMS (ITEMS_Q * ITEMS_K)
#define BQ (ITEMS_Q * RQ)
#define BK (ITEMS_K * RK)
#define BV (ITEMS_K * RV)
#define ROWS (GROUP * SQ)
#define ROW_TILES ((ROWS + BQ - 1) / BQ)
#define COLUMN_TILES ((DV + BV - 1) / BV)
#define PITCH_Q (BQ + 4)
#define PITCH_K (BK + 4)
#define PITCH_V (BV + 4)
#define POOL_QK (SLICE * (PITCH_Q + PITCH_K))
#define POOL_V (SLICE * PITCH_V)

__attribute__((reqd_work_group_size(ITEMS_Q * ITEMS_K, 1, 1)))
#if SPLITS > 1
kernel void KERNEL(global float *restrict partial, HOOK_PARAMS)
#else
kernel void KERNEL(HOOK_PARAMS)
#endif
{
    local float pool[POOL_QK > POOL_V ? POOL_QK : POOL_V] __attribute__((aligned(16))); /* slices of q and k, d outermost; later of v, keys outermost */
    local float weights[BK * PITCH_Q] __attribute__((aligned(16)));                     /* key outermost */
    local float parts[BQ * (ITEMS_K + 1)], top[BQ], sum[BQ], fix[BQ];
    local float *const slice_q = pool, *const slice_k = pool + SLICE * PITCH_Q;
    const uint lid = get_local_id(0), item_q = lid / ITEMS_K, item_k = lid % ITEMS_K, first_q = item_q * RQ, first_k = item_k * RK, first_v = item_k * RV;
    const uint tile = get_group_id(0), pair = tile / ROW_TILES / COLUMN_TILES;
    const uint row0 = tile % ROW_TILES * BQ, column0 = tile / ROW_TILES % COLUMN_TILES * BV;
#if SPLITS > 1
    const uint pairs = get_num_groups(0) / (ROW_TILES * COLUMN_TILES * SPLITS), split = pair / pairs, kv_head = pair % KV_HEADS, b = pair % pairs / KV_HEADS;
#else
    const uint split = 0, kv_head = pair % KV_HEADS, b = pair / KV_HEADS;
#endif
    float acc[RQ][RV];
#pragma unroll
    for (uint y = 0; y < RQ; y++)
#pragma unroll
        for (uint x = 0; x < RV; x++)
            acc[y][x] = 0.0f;
    for (uint r = lid; r < BQ; r += ITEMS) {
        top[r] = -INFINITY;
        sum[r] = 0.0f;
    }

#if CAUSAL
    /* Keys past the last that any of these rows sees are left out. Rows of several heads are several runs of queries. */
    const uint row1 = min(row0 + BQ, (uint)ROWS) - 1;
    const int last = row0 / SQ == row1 / SQ ? (int)(row1 % SQ) : (int)SQ - 1;
    const uint seen = (uint)clamp(last + 1 + OFFSET, 0, (int)SK);
#else
    const uint seen = SK;
#endif
    const uint end = min(seen, (split + 1) * KPART);
    for (uint j0 = split * KPART; j0 < end; j0 += BK) {
        float s[RQ][RK];
#pragma unroll
        for (uint y = 0; y < RQ; y++)
#pragma unroll
            for (uint x = 0; x < RK; x++)
                s[y][x] = 0.0f;

        /* Scores. */
        for (uint d0 = 0; d0 < D; d0 += SLICE) {
            for (uint at = lid; at < (BQ + BK) * (SLICE / DEPTH_WIDTH); at += ITEMS) {
                const uint line = at / (SLICE / DEPTH_WIDTH), step = at % (SLICE / DEPTH_WIDTH) * DEPTH_WIDTH, d = d0 + step;
                const bool is_q = line < BQ;
                const uint row = row0 + line, j = j0 + line - BQ, pitch = is_q ? PITCH_Q : PITCH_K;
                local float *to = is_q ? slice_q + step * PITCH_Q + line : slice_k + step * PITCH_K + line - BQ;
#if DEPTH_WIDTH == 4
                float4 x = 0.0f;
                if (is_q && row < ROWS && d < D)
                    x = LOAD_Q4(b, kv_head * GROUP + row / SQ, row % SQ, d, HOOK_ARGS);
                if (!is_q && j < SK && d < D)
                    x = LOAD_K4(b, kv_head, j, d, HOOK_ARGS);
                to[0] = x.s0;
                to[pitch] = x.s1;
                to[2 * pitch] = x.s2;
                to[3 * pitch] = x.s3;
#else
                float x = 0.0f;
                (void)pitch;
                if (is_q && row < ROWS && d < D)
                    x = LOAD_Q(b, kv_head * GROUP + row / SQ, row % SQ, d, HOOK_ARGS);
                if (!is_q && j < SK && d < D)
                    x = LOAD_K(b, kv_head, j, d, HOOK_ARGS);
                to[0] = x;
#endif
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            for (uint d = 0; d < SLICE; d++) {
                float qs[RQ], ks[RK];
#pragma unroll
                for (uint y = 0; y < RQ; y++)
                    qs[y] = slice_q[d * PITCH_Q + first_q + y];
#pragma unroll
                for (uint x = 0; x < RK; x++)
                    ks[x] = slice_k[d * PITCH_K + first_k + x];
#pragma unroll
                for (uint y = 0; y < RQ; y++)
#pragma unroll
                    for (uint x = 0; x < RK; x++)
                        s[y][x] += qs[y] * ks[x];
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }

        /* Masks, and the largest so far. */
#pragma unroll
        for (uint y = 0; y < RQ; y++) {
            const uint row = row0 + first_q + y, h = kv_head * GROUP + row / SQ, i = row % SQ;
            float most = -INFINITY;
            (void)h;
            (void)i;
#pragma unroll
            for (uint x = 0; x < RK; x++) {
                const uint j = j0 + first_k + x;
                float score = s[y][x] * SCALE;
#if HAS_SOFTCAP
                score = tanh(score * (1.0f / SOFTCAP)) * SOFTCAP;
#endif
#if MASK == 1
                if (row < ROWS && j < SK)
                    score += LOAD_MASK(MASK_INDEX, HOOK_ARGS);
#elif MASK == 2
                if (row < ROWS && j < SK)
                    score = LOAD_MASK(MASK_INDEX, HOOK_ARGS) ? score : BELOW;
#endif
#if CAUSAL
                score = (int)j <= (int)i + OFFSET ? score : -INFINITY;
#endif
                score = j < SK ? score : -INFINITY;
                s[y][x] = score;
                most = fmax(most, score);
            }
            parts[(first_q + y) * (ITEMS_K + 1) + item_k] = most;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint r = lid; r < BQ; r += ITEMS) {
            float largest = top[r];
            for (uint x = 0; x < ITEMS_K; x++)
                largest = fmax(largest, parts[r * (ITEMS_K + 1) + x]);
            /* While all are -inf any finite number will do for the largest: what is subtracted from -inf stays that. */
            fix[r] = exp(top[r] - (largest == -INFINITY ? 0.0f : largest));
            top[r] = largest;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
        for (uint y = 0; y < RQ; y++) {
            const uint r = first_q + y;
            const float base = top[r] == -INFINITY ? 0.0f : top[r];
            float part = 0.0f;
#pragma unroll
            for (uint x = 0; x < RK; x++) {
                const float p = exp(s[y][x] - base);
                part += p;
                weights[(first_k + x) * PITCH_Q + r] = p;
            }
            parts[r * (ITEMS_K + 1) + item_k] = part;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint r = lid; r < BQ; r += ITEMS) {
            float total = sum[r] * fix[r];
            for (uint x = 0; x < ITEMS_K; x++)
                total += parts[r * (ITEMS_K + 1) + x];
            sum[r] = total;
        }

        /* What they weigh. */
#pragma unroll
        for (uint y = 0; y < RQ; y++)
#pragma unroll
            for (uint x = 0; x < RV; x++)
                acc[y][x] *= fix[first_q + y];
        for (uint s0 = 0; s0 < BK && j0 + s0 < SK; s0 += SLICE) {
            for (uint at = lid; at < SLICE * (BV / VALUE_WIDTH); at += ITEMS) {
                const uint line = at / (BV / VALUE_WIDTH), column = at % (BV / VALUE_WIDTH) * VALUE_WIDTH, j = j0 + s0 + line, d = column0 + column;
#if VALUE_WIDTH == 4
                float4 x = 0.0f;
                if (s0 + line < BK && j < SK && d < DV)
                    x = LOAD_V4(b, kv_head, j, d, HOOK_ARGS);
                vstore4(x, 0, pool + line * PITCH_V + column);
#else
                float x = 0.0f;
                if (s0 + line < BK && j < SK && d < DV)
                    x = LOAD_V(b, kv_head, j, d, HOOK_ARGS);
                pool[line * PITCH_V + column] = x;
#endif
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            for (uint j = 0; j < SLICE && s0 + j < BK; j++) {
                float ps[RQ], vs[RV];
#pragma unroll
                for (uint y = 0; y < RQ; y++)
                    ps[y] = weights[(s0 + j) * PITCH_Q + first_q + y];
#pragma unroll
                for (uint x = 0; x < RV; x++)
                    vs[x] = pool[j * PITCH_V + first_v + x];
#pragma unroll
                for (uint y = 0; y < RQ; y++)
#pragma unroll
                    for (uint x = 0; x < RV; x++)
                        acc[y][x] += ps[y] * vs[x];
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }

    barrier(CLK_LOCAL_MEM_FENCE); /* where no key was in sight, sum and top have only just been set */
#pragma unroll
    for (uint y = 0; y < RQ; y++) {
        const uint r = first_q + y, row = row0 + r, h = kv_head * GROUP + row / SQ, i = row % SQ;
        if (row >= ROWS)
            continue;
#if SPLITS > 1
        global float *to = partial + (size_t)(pair * ROWS + row) * (DV + 2);
        (void)h;
        (void)i;
        if (item_k == 0 && column0 == 0) {
            to[DV] = top[r];
            to[DV + 1] = sum[r];
        }
#pragma unroll
        for (uint x = 0; x < RV; x++)
            if (column0 + first_v + x < DV)
                to[column0 + first_v + x] = acc[y][x];
#else
        const bool empty = top[r] == -INFINITY && sum[r] == 0.0f;
#if HAS_LSE
        if (item_k == 0 && column0 == 0)
            STORE_LSE(empty ? -INFINITY : top[r] + log(sum[r]), b, h, i, HOOK_ARGS);
#endif
#pragma unroll
        for (uint x = 0; x < RV; x++) {
            const uint d = column0 + first_v + x;
            if (d < DV)
                STORE(empty ? EMPTY : acc[y][x] / sum[r], STORE_INDEX, HOOK_ARGS);
        }
#endif
    }
}

#undef ITEMS
#undef BQ
#undef BK
#undef BV
#undef ROWS
#undef ROW_TILES
#undef COLUMN_TILES
#undef PITCH_Q
#undef PITCH_K
#undef PITCH_V
#undef POOL_QK
#undef POOL_V
