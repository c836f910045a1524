/* The gradient of attention for devices of many light items. A group owns BO keys (KEYS) or BO queries of one head of k and v and walks along the others, BW
 * at a time; probabilities are made again from each row's logarithm of its sum (Dao et al. 2022) and stay in registers and local memory.
 *
 *   p = exp(s - lse),  ds = p (dy v^T - delta) slope;   KEYS: dk = SCALE ds^T q,  dv = p^T dy;  else: dq = SCALE ds k
 *
 * Each result belongs to one item, so that nothing is added by two. Rows: the queries of the GROUP heads that share a head of k and v, behind one another:
 * row r is query r % SQ of head kv_head * GROUP + r / SQ.
 * An item holds RO x RW scores and RO x RV elements of each result; ITEMS_O x ITEMS_W items to a group, which go through heads' elements and through what they
 * walk along in slices of SLICE.
 * Hooks: LOAD_Q, LOAD_DY by (b, h, i, d), LOAD_K, LOAD_V by (b, kv_head, j, d), 1 and WIDTH wide along d; LOAD_LSE and LOAD_DELTA by (b, h, i); LOAD_MASK with
 *    MASK_INDEX, made of b, h, i, j; STORE_K and STORE_V, or STORE_Q, like the loads.
 * Range: one dimension, ITEMS_O * ITEMS_W items a group; groups count (batch, kv_head, columns of the results, what is owned), innermost last.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_grad_simt
#define HOOK_PARAMS const global float *h0, const global float *h1, const global float *h2, const global float *h3, const global float *h4, \
    const global float *h5, global float *h6, global float *h7
#define HOOK_ARGS h0, h1, h2, h3, h4, h5, h6, h7
#define KEYS 1         /* keys are owned, else queries */
#define ITEMS_O 16     /* items of a group along what it owns, and along what it walks along or columns of results */
#define ITEMS_W 16
#define RO 4           /* owned, walked along, and columns of one item */
#define RW 4
#define RV 4
#define SLICE 16       /* in local memory: a multiple of 4 */
#define WIDTH 4        /* neighbours along d that a load takes: 4 if that divides D, DV and ITEMS_W * RV, else 1 */
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
#define EMPTY 0.0f     /* NAN: rows whose scores are all -inf have no gradient; else they have none to give */
#define WANT_K 1       /* which results are wanted, if keys are owned */
#define WANT_V 1
static inline float4 LOAD_Q4(uint b, uint h, uint i, uint d, HOOK_PARAMS) { return vload4(0, h0 + ((b + h) * SQ + i) * D + d); }
static inline float4 LOAD_K4(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload4(0, h1 + ((b + h) * SK + j) * D + d); }
static inline float4 LOAD_V4(uint b, uint h, uint j, uint d, HOOK_PARAMS) { return vload4(0, h2 + ((b + h) * SK + j) * DV + d); }
static inline float4 LOAD_DY4(uint b, uint h, uint i, uint d, HOOK_PARAMS) { return vload4(0, h3 + ((b + h) * SQ + i) * DV + d); }
static inline float LOAD_LSE(uint b, uint h, uint i, HOOK_PARAMS) { return h4[(b + h) * SQ + i]; }
static inline float LOAD_DELTA(uint b, uint h, uint i, HOOK_PARAMS) { return h5[(b + h) * SQ + i]; }
static inline void STORE_K(float x, uint b, uint h, uint j, uint d, HOOK_PARAMS) { h6[((b + h) * SK + j) * D + d] = x; }
static inline void STORE_V(float x, uint b, uint h, uint j, uint d, HOOK_PARAMS) { h7[((b + h) * SK + j) * DV + d] = x; }
#endif

#define ITEMS (ITEMS_O * ITEMS_W)
#define BO (ITEMS_O * RO)
#define BW (ITEMS_W * RW)
#define BV (ITEMS_W * RV)
#define ROWS (GROUP * SQ)
#define OWN (KEYS ? SK : ROWS)
#define WALK (KEYS ? ROWS : SK)
#define COLUMNS (KEYS && DV > D ? DV : D)
#define OWN_TILES ((OWN + BO - 1) / BO)
#define COLUMN_TILES ((COLUMNS + BV - 1) / BV)
#define PITCH_O (BO + 4)
#define PITCH_W (BW + 4)
#define PITCH_V (BV + 4)
#define POOL_OW (SLICE * (PITCH_O + PITCH_W))
#define POOL_V (SLICE * PITCH_V)
#define RR (KEYS ? RW : RO)
#if WIDTH == 4
#define TYPE float4
#define OF_QUERY(name, r, d) name##4(b, kv_head * GROUP + (r) / SQ, (r) % SQ, d, HOOK_ARGS)
#define OF_KEY(name, j, d) name##4(b, kv_head, j, d, HOOK_ARGS)
#else
#define TYPE float
#define OF_QUERY(name, r, d) name(b, kv_head * GROUP + (r) / SQ, (r) % SQ, d, HOOK_ARGS)
#define OF_KEY(name, j, d) name(b, kv_head, j, d, HOOK_ARGS)
#endif

__attribute__((reqd_work_group_size(ITEMS_O * ITEMS_W, 1, 1)))
kernel void KERNEL(HOOK_PARAMS)
{
    local float pool[POOL_OW > POOL_V ? POOL_OW : POOL_V] __attribute__((aligned(16))); /* slices of both, heads' elements outermost; later of one, by rows */
    local float weights[BW * PITCH_O] __attribute__((aligned(16)));                     /* what is walked along outermost */
    local float *const slice_o = pool, *const slice_w = pool + SLICE * PITCH_O;
    const uint lid = get_local_id(0), item_o = lid / ITEMS_W, item_w = lid % ITEMS_W, first_o = item_o * RO, first_w = item_w * RW, first_v = item_w * RV;
    const uint tile = get_group_id(0), pair = tile / OWN_TILES / COLUMN_TILES;
    const uint own0 = tile % OWN_TILES * BO, column0 = tile / OWN_TILES % COLUMN_TILES * BV;
    const uint kv_head = pair % KV_HEADS, b = pair / KV_HEADS;
    float acc[1 + KEYS][RO][RV]; /* of ds, and of p */
#pragma unroll
    for (uint w = 0; w < 1 + KEYS; w++)
#pragma unroll
        for (uint y = 0; y < RO; y++)
#pragma unroll
            for (uint x = 0; x < RV; x++)
                acc[w][y][x] = 0.0f;

    for (uint walk0 = 0; walk0 < WALK; walk0 += BW) {
#if CAUSAL
        /* None of these rows sees a key. Rows of several heads are several runs of queries. */
        const uint row0 = KEYS ? walk0 : own0, row1 = min(row0 + (KEYS ? BW : BO), (uint)ROWS) - 1, key0 = KEYS ? own0 : walk0;
        const int last = row0 / SQ == row1 / SQ ? (int)(row1 % SQ) : (int)SQ - 1;
        if (last + OFFSET < (int)key0)
            continue;
#endif
        float s[2][RO][RW]; /* the scores, and dy v^T */
#pragma unroll
        for (uint pass = 0; pass < 2; pass++) {
            const uint depth = pass ? DV : D;
#pragma unroll
            for (uint y = 0; y < RO; y++)
#pragma unroll
                for (uint x = 0; x < RW; x++)
                    s[pass][y][x] = 0.0f;
            for (uint d0 = 0; d0 < depth; d0 += SLICE) {
                for (uint at = lid; at < (BO + BW) * (SLICE / WIDTH); at += ITEMS) {
                    const uint line = at / (SLICE / WIDTH), step = at % (SLICE / WIDTH) * WIDTH, d = d0 + step;
                    const bool owned = line < BO;
                    const uint index = owned ? own0 + line : walk0 + line - BO, pitch = owned ? PITCH_O : PITCH_W;
                    local float *to = owned ? slice_o + step * PITCH_O + line : slice_w + step * PITCH_W + line - BO;
                    TYPE x = 0.0f;
                    (void)pitch;
                    if (d < depth && owned != KEYS && index < ROWS)
                        x = pass ? OF_QUERY(LOAD_DY, index, d) : OF_QUERY(LOAD_Q, index, d);
                    if (d < depth && owned == KEYS && index < SK)
                        x = pass ? OF_KEY(LOAD_V, index, d) : OF_KEY(LOAD_K, index, d);
#if WIDTH == 4
                    to[0] = x.s0;
                    to[pitch] = x.s1;
                    to[2 * pitch] = x.s2;
                    to[3 * pitch] = x.s3;
#else
                    to[0] = x;
#endif
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                for (uint d = 0; d < SLICE; d++) {
                    float os[RO], ws[RW];
#pragma unroll
                    for (uint y = 0; y < RO; y++)
                        os[y] = slice_o[d * PITCH_O + first_o + y];
#pragma unroll
                    for (uint x = 0; x < RW; x++)
                        ws[x] = slice_w[d * PITCH_W + first_w + x];
#pragma unroll
                    for (uint y = 0; y < RO; y++)
#pragma unroll
                        for (uint x = 0; x < RW; x++)
                            s[pass][y][x] += os[y] * ws[x];
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
        }

        /* Probabilities, and what the products behind the scores get. */
        float base[RR], delta[RR];
#pragma unroll
        for (uint z = 0; z < RR; z++) {
            const uint row = KEYS ? walk0 + first_w + z : own0 + first_o + z;
            base[z] = delta[z] = 0.0f;
            if (row < ROWS) {
                const float lse = LOAD_LSE(b, kv_head * GROUP + row / SQ, row % SQ, HOOK_ARGS);
                base[z] = lse == -INFINITY ? INFINITY + EMPTY : lse;
                delta[z] = LOAD_DELTA(b, kv_head * GROUP + row / SQ, row % SQ, HOOK_ARGS);
            }
        }
#pragma unroll
        for (uint y = 0; y < RO; y++)
#pragma unroll
            for (uint x = 0; x < RW; x++) {
                const uint row = KEYS ? walk0 + first_w + x : own0 + first_o + y, j = KEYS ? own0 + first_o + y : walk0 + first_w + x;
                const uint h = kv_head * GROUP + row / SQ, i = row % SQ;
                const bool inside = row < ROWS && j < SK;
                float score = s[0][y][x] * SCALE;
                bool passes = inside;
                (void)h;
                (void)i;
#if HAS_SOFTCAP
                const float t = tanh(score * (1.0f / SOFTCAP));
                score = t * SOFTCAP;
#endif
#if MASK == 1
                if (inside)
                    score += LOAD_MASK(MASK_INDEX, HOOK_ARGS);
#elif MASK == 2
                if (inside && !LOAD_MASK(MASK_INDEX, HOOK_ARGS)) {
                    score = BELOW;
                    passes = false;
                }
#endif
#if CAUSAL
                score = (int)j <= (int)i + OFFSET ? score : -INFINITY;
#endif
                const float p = inside ? exp(score - base[KEYS ? x : y]) : 0.0f;
                float ds = p * (s[1][y][x] - delta[KEYS ? x : y]);
#if HAS_SOFTCAP
                ds *= 1.0f - t * t;
#endif
                s[0][y][x] = passes ? ds : 0.0f;
                s[1][y][x] = p;
            }

        /* Their products with q and dy, or with k. */
#pragma unroll
        for (uint of_p = 0; of_p < 1 + KEYS; of_p++) {
            const uint columns = of_p ? DV : D;
#if KEYS
            if (!(of_p ? WANT_V : WANT_K))
                continue;
#endif
#pragma unroll
            for (uint y = 0; y < RO; y++)
#pragma unroll
                for (uint x = 0; x < RW; x++)
                    weights[(first_w + x) * PITCH_O + first_o + y] = s[of_p][y][x];
            for (uint s0 = 0; s0 < BW && walk0 + s0 < WALK; s0 += SLICE) {
                for (uint at = lid; at < SLICE * (BV / WIDTH); at += ITEMS) {
                    const uint line = at / (BV / WIDTH), column = at % (BV / WIDTH) * WIDTH, index = walk0 + s0 + line, d = column0 + column;
                    TYPE x = 0.0f;
                    if (s0 + line < BW && index < WALK && d < columns) {
#if KEYS
                        x = of_p ? OF_QUERY(LOAD_DY, index, d) : OF_QUERY(LOAD_Q, index, d);
#else
                        x = OF_KEY(LOAD_K, index, d);
#endif
                    }
#if WIDTH == 4
                    vstore4(x, 0, pool + line * PITCH_V + column);
#else
                    pool[line * PITCH_V + column] = x;
#endif
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                for (uint w = 0; w < SLICE && s0 + w < BW; w++) {
                    float ps[RO], vs[RV];
#pragma unroll
                    for (uint y = 0; y < RO; y++)
                        ps[y] = weights[(s0 + w) * PITCH_O + first_o + y];
#pragma unroll
                    for (uint x = 0; x < RV; x++)
                        vs[x] = pool[w * PITCH_V + first_v + x];
#pragma unroll
                    for (uint y = 0; y < RO; y++)
#pragma unroll
                        for (uint x = 0; x < RV; x++)
                            acc[of_p][y][x] += ps[y] * vs[x];
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
        }
    }

#pragma unroll
    for (uint y = 0; y < RO; y++) {
        const uint index = own0 + first_o + y;
        if (index >= OWN)
            continue;
#pragma unroll
        for (uint x = 0; x < RV; x++) {
            const uint d = column0 + first_v + x;
#if !KEYS
            if (d < D)
                STORE_Q(acc[0][y][x] * SCALE, b, kv_head * GROUP + index / SQ, index % SQ, d, HOOK_ARGS);
#else
#if WANT_K
            if (d < D)
                STORE_K(acc[0][y][x] * SCALE, b, kv_head, index, d, HOOK_ARGS);
#endif
#if WANT_V
            if (d < DV)
                STORE_V(acc[1][y][x], b, kv_head, index, d, HOOK_ARGS);
#endif
#endif
        }
    }
}

#undef ITEMS
#undef BO
#undef BW
#undef BV
#undef ROWS
#undef OWN
#undef WALK
#undef COLUMNS
#undef OWN_TILES
#undef COLUMN_TILES
#undef PITCH_O
#undef PITCH_W
#undef PITCH_V
#undef POOL_OW
#undef POOL_V
#undef RR
#undef TYPE
#undef OF_QUERY
#undef OF_KEY
