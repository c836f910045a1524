/* Tiled contraction for devices of many light items: matrix products and, gathered on the fly, convolutions and their gradients.
 *     C[batch][m][n] = sum over k of A[batch][m][k] * B[batch][k][n]
 * Range: one dimension, ITEMS_M * ITEMS_N items a group; groups count (batch, split of k, tile of m, tile of n), innermost last.
 * A group keeps TILE_K-deep slices of its operands in local memory, k outermost, rows padded by one quad against bank conflicts. With STAGES 2 there are two of
 * each: while items multiply one, what they have fetched of the next is on its way to registers; with 1 they wait before they overwrite the only one.
 * An item sums PER_M x PER_N results in registers; their rows and columns come in quads, so that local reads are vectors.
 * Hooks: load_a and load_b (also of width 4) fetch an element by its operand's own coordinates, spelt in A_INDEX and B_INDEX as
 * expressions of batch, m, n, k; store takes STORE_INDEX.
 * With GATHER, B is an image and B_INDEX is made of image, channel, i0, i1, i2: PIXEL (n or k) counts images and positions of the
 * window, TAP (k or n) channels of the group and taps. TRANSPOSED turns the geometry round, as gradients and transposed convolutions want.
 * With BUFFERS, operands and result are not hooks' but memory: a[batch][k][m], b[batch][k][n], c[batch][m][n], f32, no SPLITS.
 * With INTEGER, operands are 8-bit integers less zero points, which load_a_zero and load_b_zero fetch for A_ZERO_INDEX and B_ZERO_INDEX; ACC is int.
 * With SPLITS > 1 each group sums a part of k and leaves it in `partial` [split][batch][m][n] for gemm_simt_sum.cl. */
#ifndef KERNEL /* Defaults, a plain f32 product: they show every name and let this file parse on its own. */
#define KERNEL gemm_simt
#define HOOK_PARAMS global const float *h0, global const float *h1, global float *h2
#define HOOK_ARGS h0, h1, h2
#define ACC float     /* register type of operands and result */
#define ACC4 float4
#define BATCH 1       /* products of this size, counted by batch */
#define SIZE_M 256
#define SIZE_N 256
#define SIZE_K 256
#define ITEMS_M 16    /* items of a group along m and n */
#define ITEMS_N 16
#define PER_M 4       /* results of one item along m and n: 1, 2 or a multiple of 4 */
#define PER_N 4
#define TILE_K 16     /* depth of a slice, a multiple of 4 */
#define STAGES 2      /* slices of each operand in local memory: 1 or 2 */
#define A_K_FAST 1    /* which coordinate neighbours in memory: k, else m */
#define A_WIDTH 4     /* elements a load takes along it: 4 if the extent is a multiple of 4, else 1 */
#define B_N_FAST 1    /* n, else k */
#define B_WIDTH 4
#define A_INDEX m, k
#define B_INDEX k, n
#define STORE_INDEX m, n
#define STORE_WIDTH 4 /* neighbours along n that one store takes: 4 needs PER_N a multiple of 4 */
#define SPLITS 1
#define SPLIT_K 256   /* k of one split, a multiple of TILE_K */
#define GATHER 0
#define INTEGER 0      /* undefined: 0 */
#define BUFFERS 0      /* undefined: 0 */
static inline float load_a(uint m, uint k, HOOK_PARAMS) { return h0[m * SIZE_K + k]; }
static inline float4 load_a4(uint m, uint k, HOOK_PARAMS) { return vload4(0, h0 + m * SIZE_K + k); }
static inline float load_b(uint k, uint n, HOOK_PARAMS) { return h1[k * SIZE_N + n]; }
static inline float4 load_b4(uint k, uint n, HOOK_PARAMS) { return vload4(0, h1 + k * SIZE_N + n); }
static inline void store(float x, uint m, uint n, HOOK_PARAMS) { h2[m * SIZE_N + n] = x; }
static inline void store4(float4 x, uint m, uint n, HOOK_PARAMS) { vstore4(x, 0, h2 + m * SIZE_N + n); }
#endif

#if INTEGER
#define OF_A(x) ((ACC)(x) - (ACC)load_a_zero(A_ZERO_INDEX, HOOK_ARGS))
#define OF_B(x) ((ACC)(x) - (ACC)load_b_zero(B_ZERO_INDEX, HOOK_ARGS))
#define OF_A4(x) (convert_int4(x) - (ACC)load_a_zero(A_ZERO_INDEX, HOOK_ARGS))
#define OF_B4(x) (convert_int4(x) - (ACC)load_b_zero(B_ZERO_INDEX, HOOK_ARGS))
#else
#define OF_A(x) (x)
#define OF_B(x) (x)
#define OF_A4(x) (x)
#define OF_B4(x) (x)
#endif
#if BUFFERS
#define FETCH_A from_a[(batch * SIZE_K + k) * SIZE_M + m]
#define FETCH_B from_b[(batch * SIZE_K + k) * SIZE_N + n]
#define FETCH_A4 vload4(0, from_a + (batch * SIZE_K + k) * SIZE_M + m)
#define FETCH_B4 vload4(0, from_b + (batch * SIZE_K + k) * SIZE_N + n)
#define PUT(x) to_c[(batch * SIZE_M + m) * SIZE_N + n] = (x)
#define PUT4(x) vstore4(x, 0, to_c + (batch * SIZE_M + m) * SIZE_N + n)
#else
#define FETCH_A OF_A(load_a(A_INDEX, HOOK_ARGS))
#define FETCH_B OF_B(load_b(B_INDEX, HOOK_ARGS))
#define FETCH_A4 OF_A4(load_a4(A_INDEX, HOOK_ARGS))
#define FETCH_B4 OF_B4(load_b4(B_INDEX, HOOK_ARGS))
#define PUT(x) store(x, STORE_INDEX, HOOK_ARGS)
#define PUT4(x) store4(x, STORE_INDEX, HOOK_ARGS)
#endif
#if A_WIDTH == 4
#define A_UNIT ACC4 /* what is fetched at once */
#else
#define A_UNIT ACC
#endif
#if B_WIDTH == 4
#define B_UNIT ACC4
#else
#define B_UNIT ACC
#endif
#define ITEMS (ITEMS_M * ITEMS_N)
#define TILE_M (ITEMS_M * PER_M)
#define TILE_N (ITEMS_N * PER_N)
#define TILES_M ((SIZE_M + TILE_M - 1) / TILE_M)
#define TILES_N ((SIZE_N + TILE_N - 1) / TILE_N)
#define QUAD_M (PER_M < 4 ? PER_M : 4)
#define QUAD_N (PER_N < 4 ? PER_N : 4)
#define A_UNITS (TILE_M * TILE_K / A_WIDTH) /* of a slice */
#define B_UNITS (TILE_N * TILE_K / B_WIDTH)
#define A_PER_ITEM ((A_UNITS + ITEMS - 1) / ITEMS)
#define B_PER_ITEM ((B_UNITS + ITEMS - 1) / ITEMS)
/* Where unit `at` of a slice lies in it. */
#if A_K_FAST
#define A_SLICE_M (at / (TILE_K / A_WIDTH))
#define A_SLICE_K (at % (TILE_K / A_WIDTH) * A_WIDTH)
#else
#define A_SLICE_M (at % (TILE_M / A_WIDTH) * A_WIDTH)
#define A_SLICE_K (at / (TILE_M / A_WIDTH))
#endif
#if B_N_FAST
#define B_SLICE_N (at % (TILE_N / B_WIDTH) * B_WIDTH)
#define B_SLICE_K (at / (TILE_N / B_WIDTH))
#else
#define B_SLICE_N (at / (TILE_K / B_WIDTH))
#define B_SLICE_K (at % (TILE_K / B_WIDTH) * B_WIDTH)
#endif
/* The i-th row and the j-th column of an item within the tile. */
#define ROW(i) ((i) / QUAD_M * (ITEMS_M * QUAD_M) + item_m * QUAD_M + (i) % QUAD_M)
#define COLUMN(j) ((j) / QUAD_N * (ITEMS_N * QUAD_N) + item_n * QUAD_N + (j) % QUAD_N)

__attribute__((reqd_work_group_size(ITEMS_M * ITEMS_N, 1, 1)))
kernel void KERNEL(
#if SPLITS > 1
    global ACC *restrict partial,
#endif
#if BUFFERS
    const global ACC *restrict from_a, const global ACC *restrict from_b, global ACC *restrict to_c)
#else
    HOOK_PARAMS)
#endif
{
    local ACC slices_a[STAGES][TILE_K][TILE_M + 4] __attribute__((aligned(32)));
    local ACC slices_b[STAGES][TILE_K][TILE_N + 4] __attribute__((aligned(32)));
    const uint lid = get_local_id(0), item_m = lid / ITEMS_N, item_n = lid % ITEMS_N;
    const uint tile = get_group_id(0), rest = tile / TILES_N / TILES_M;
    const uint first_n = tile % TILES_N * TILE_N, first_m = tile / TILES_N % TILES_M * TILE_M;
    const uint batch = rest / SPLITS, split = rest % SPLITS;
    (void)batch; /* a single product has no use for it */
    ACC acc[PER_M][PER_N];
    for (uint i = 0; i < PER_M; i++)
        for (uint j = 0; j < PER_N; j++)
            acc[i][j] = 0;
#if SIZE_K > 0
    const uint begin_k = split * SPLIT_K, end_k = min(begin_k + SPLIT_K, (uint)SIZE_K), n_slices = (end_k - begin_k + TILE_K - 1) / TILE_K;
    /* Each time one slice is fetched, the one before it multiplied, and then what was fetched put into local memory. */
    for (uint slice = 0; slice <= n_slices; slice++) {
        A_UNIT next_a[A_PER_ITEM];
        B_UNIT next_b[B_PER_ITEM];
        const uint first_k = begin_k + slice * TILE_K;
        if (slice < n_slices) {
#pragma unroll
            for (uint i = 0; i < A_PER_ITEM; i++) {
                const uint at = lid + i * ITEMS, m = first_m + A_SLICE_M, k = first_k + A_SLICE_K;
                A_UNIT v = 0;
                if (at < A_UNITS && m < SIZE_M && k < SIZE_K)
#if A_WIDTH == 4
                    v = FETCH_A4;
#else
                    v = FETCH_A;
#endif
                next_a[i] = v;
            }
#pragma unroll
            for (uint i = 0; i < B_PER_ITEM; i++) {
                const uint at = lid + i * ITEMS, n = first_n + B_SLICE_N, k = first_k + B_SLICE_K;
#if GATHER
#include "lib/gather.clh"
#else
                const bool inside = true;
#endif
                B_UNIT v = 0;
                if (at < B_UNITS && n < SIZE_N && k < SIZE_K && inside)
#if B_WIDTH == 4
                    v = FETCH_B4;
#else
                    v = FETCH_B;
#endif
                next_b[i] = v;
            }
        }
        if (slice > 0) {
            local ACC(*slice_a)[TILE_M + 4] = slices_a[(slice - 1) % STAGES], (*slice_b)[TILE_N + 4] = slices_b[(slice - 1) % STAGES];
            for (uint k = 0; k < TILE_K; k++) {
                ACC a[PER_M], b[PER_N];
#pragma unroll
                for (uint i = 0; i < PER_M; i++)
                    a[i] = slice_a[k][ROW(i)];
#pragma unroll
                for (uint j = 0; j < PER_N; j++)
                    b[j] = slice_b[k][COLUMN(j)];
#pragma unroll
                for (uint i = 0; i < PER_M; i++)
#pragma unroll
                    for (uint j = 0; j < PER_N; j++)
                        acc[i][j] += a[i] * b[j];
            }
        }
#if STAGES == 1
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
        if (slice < n_slices) {
            local ACC(*slice_a)[TILE_M + 4] = slices_a[slice % STAGES], (*slice_b)[TILE_N + 4] = slices_b[slice % STAGES];
#pragma unroll
            for (uint i = 0; i < A_PER_ITEM; i++) {
                const uint at = lid + i * ITEMS;
                if (at >= A_UNITS)
                    break;
#if A_WIDTH == 4 && A_K_FAST
                slice_a[A_SLICE_K][A_SLICE_M] = next_a[i].s0;
                slice_a[A_SLICE_K + 1][A_SLICE_M] = next_a[i].s1;
                slice_a[A_SLICE_K + 2][A_SLICE_M] = next_a[i].s2;
                slice_a[A_SLICE_K + 3][A_SLICE_M] = next_a[i].s3;
#elif A_WIDTH == 4
                vstore4(next_a[i], 0, &slice_a[A_SLICE_K][A_SLICE_M]);
#else
                slice_a[A_SLICE_K][A_SLICE_M] = next_a[i];
#endif
            }
#pragma unroll
            for (uint i = 0; i < B_PER_ITEM; i++) {
                const uint at = lid + i * ITEMS;
                if (at >= B_UNITS)
                    break;
#if B_WIDTH == 4 && !B_N_FAST
                slice_b[B_SLICE_K][B_SLICE_N] = next_b[i].s0;
                slice_b[B_SLICE_K + 1][B_SLICE_N] = next_b[i].s1;
                slice_b[B_SLICE_K + 2][B_SLICE_N] = next_b[i].s2;
                slice_b[B_SLICE_K + 3][B_SLICE_N] = next_b[i].s3;
#elif B_WIDTH == 4
                vstore4(next_b[i], 0, &slice_b[B_SLICE_K][B_SLICE_N]);
#else
                slice_b[B_SLICE_K][B_SLICE_N] = next_b[i];
#endif
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#endif
#pragma unroll
    for (uint i = 0; i < PER_M; i++) {
        const uint m = first_m + ROW(i);
        if (m >= SIZE_M)
            continue;
#pragma unroll
        for (uint j = 0; j < PER_N; j += STORE_WIDTH) {
            const uint n = first_n + COLUMN(j);
            if (n >= SIZE_N)
                continue;
#if SPLITS > 1
            partial[((split * BATCH + batch) * (ulong)SIZE_M + m) * SIZE_N + n] = acc[i][j];
#elif STORE_WIDTH == 4
            PUT4((ACC4)(acc[i][j], acc[i][j + 1], acc[i][j + 2], acc[i][j + 3]));
#else
            PUT(acc[i][j]);
#endif
        }
    }
}

#undef OF_A
#undef OF_B
#undef OF_A4
#undef OF_B4
#undef FETCH_A
#undef FETCH_B
#undef FETCH_A4
#undef FETCH_B4
#undef PUT
#undef PUT4
#undef ITEMS
#undef TILE_M
#undef TILE_N
#undef TILES_M
#undef A_UNIT
#undef B_UNIT
#undef A_UNITS
#undef B_UNITS
#undef A_PER_ITEM
#undef B_PER_ITEM
#undef A_SLICE_M
#undef A_SLICE_K
#undef B_SLICE_N
#undef B_SLICE_K
#undef TILES_N
#undef QUAD_M
#undef QUAD_N
#undef ROW
#undef COLUMN
