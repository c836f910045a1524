/* Tiled matrix products of f16 operands by instructions for whole tiles (lib/matrix.clh), summed in f32:
 *     C[batch][m][n] = sum over k of A[batch][m][k] * B[batch][k][n]
 * Range: one dimension, MATRIX_ITEMS * SUBGROUPS_M * SUBGROUPS_N items a group; groups count (batch, split of k, tile of m, tile of n), innermost last.
 * A group keeps slices of its operands, TILE_K deep, in local memory as they lie in global memory; rows are padded by eight elements against bank
 * conflicts. There are two of each: while items multiply one, what they have fetched of the next is on its way to registers. Items of a subgroup hold
 * PER_M x PER_N tiles of sums.
 * a and b are whole values; A_BATCH and B_BATCH are the numbers of their matrices as expressions of batch. store takes STORE_INDEX, of batch, m and n.
 * With SPLITS > 1 each group sums a part of k and leaves it in `partial` [split][batch][m][n] for gemm_simt_sum.cl. */
#ifndef KERNEL /* Defaults, a plain product: they show every name and let this file parse on its own. */
#define KERNEL gemm_matrix_simt
#define HOOK_PARAMS global ushort *h0
#define HOOK_ARGS h0
#define MATRIX_INSTRUCTIONS 0
#define BATCH 1       /* products of this size, counted by batch */
#define SIZE_M 256
#define SIZE_N 256
#define SIZE_K 256
#define SUBGROUPS_M 4 /* of a group along m and n */
#define SUBGROUPS_N 2
#define PER_M 2       /* tiles of 16 x 16 of a subgroup along m and n */
#define PER_N 4
#define TILE_K 32     /* depth of a slice, a multiple of 16 */
#define A_K_FAST 1    /* which coordinate neighbours in memory: k, else m */
#define B_N_FAST 1    /* n, else k */
#define A_BATCH 0u
#define B_BATCH 0u
#define A_WIDTH 8     /* 8 if the extent of the coordinate that neighbours is a multiple of 8, else 1 */
#define B_WIDTH 8
#define STORE_INDEX m, n
#define STORE_WIDTH 4 /* neighbours along n that one store takes: 4 if SIZE_N is a multiple of 4, else 1 */
#define SPLITS 1
#define SPLIT_K 256   /* k of one split, a multiple of TILE_K */
static inline void store(float x, uint m, uint n, HOOK_PARAMS) { vstore_half_rte(x, m * SIZE_N + n, (global half *)h0); }
static inline void store4(float4 x, uint m, uint n, HOOK_PARAMS) { vstore_half4_rte(x, 0, (global half *)(h0 + m * SIZE_N + n)); }
#endif
#include "lib/matrix.clh"

#define ITEMS (MATRIX_ITEMS * SUBGROUPS_M * SUBGROUPS_N)
#define TILE_M (16 * PER_M * SUBGROUPS_M)
#define TILE_N (16 * PER_N * SUBGROUPS_N)
#define TILES_M ((SIZE_M + TILE_M - 1) / TILE_M)
#define TILES_N ((SIZE_N + TILE_N - 1) / TILE_N)
/* A slice has ROWS of COLUMNS neighbours, cut from FAST neighbours of SLOW rows; AT is where an element lies in it. */
#if A_K_FAST
#define A_LAYOUT row
#define A_ROWS TILE_M
#define A_COLUMNS TILE_K
#define A_SLOW SIZE_M
#define A_FAST SIZE_K
#define A_FIRST(row, column, k) first_m + (row), (k) + (column)
#define A_AT(m, k) ((m) * A_STRIDE + (k))
#else
#define A_LAYOUT col
#define A_ROWS TILE_K
#define A_COLUMNS TILE_M
#define A_SLOW SIZE_K
#define A_FAST SIZE_M
#define A_FIRST(row, column, k) (k) + (row), first_m + (column)
#define A_AT(m, k) ((k) * A_STRIDE + (m))
#endif
#if B_N_FAST
#define B_LAYOUT row
#define B_ROWS TILE_K
#define B_COLUMNS TILE_N
#define B_SLOW SIZE_K
#define B_FAST SIZE_N
#define B_FIRST(row, column, k) (k) + (row), first_n + (column)
#define B_AT(k, n) ((k) * B_STRIDE + (n))
#else
#define B_LAYOUT col
#define B_ROWS TILE_N
#define B_COLUMNS TILE_K
#define B_SLOW SIZE_N
#define B_FAST SIZE_K
#define B_FIRST(row, column, k) first_n + (row), (k) + (column)
#define B_AT(k, n) ((n) * B_STRIDE + (k))
#endif
#define A_STRIDE (A_COLUMNS + 8)
#define B_STRIDE (B_COLUMNS + 8)
#define A_EIGHTS (A_ROWS * A_COLUMNS / 8)
#define B_EIGHTS (B_ROWS * B_COLUMNS / 8)
#define A_PER_ITEM ((A_EIGHTS + ITEMS - 1) / ITEMS)
#define B_PER_ITEM ((B_EIGHTS + ITEMS - 1) / ITEMS)
#define SLICE_A (A_ROWS * A_STRIDE)
#define SLICE_B (B_ROWS * B_STRIDE)
#define RESULT_STRIDE 20 /* floats from row to row of a tile of results */
#define RESULTS (SUBGROUPS_M * SUBGROUPS_N * 16 * RESULT_STRIDE * 2)
#define POOL (2 * (SLICE_A + SLICE_B) > RESULTS ? 2 * (SLICE_A + SLICE_B) : RESULTS)
/* Eights of a slice on their way into an item's registers, and from there to local memory. */
#define FETCH(NAME, x, k)                                                                                                                            \
    for (uint i = 0; i < NAME##_PER_ITEM; i++) {                                                                                                     \
        const uint at = lid + i * ITEMS, row = at / (NAME##_COLUMNS / 8), column = at % (NAME##_COLUMNS / 8) * 8;                                    \
        next_##x[i] = matrix_fetch(x, NAME##_FIRST(row, column, k), NAME##_SLOW, NAME##_FAST, NAME##_WIDTH == 8);                                         \
    }
#define PUT(NAME, x, slice)                                                                                                                          \
    for (uint i = 0; i < NAME##_PER_ITEM; i++) {                                                                                                     \
        const uint at = lid + i * ITEMS, row = at / (NAME##_COLUMNS / 8), column = at % (NAME##_COLUMNS / 8) * 8;                                    \
        if (at < NAME##_EIGHTS)                                                                                                                      \
            vstore8(next_##x[i], 0, slice + row * NAME##_STRIDE + column);                                                                         \
    }

__attribute__((reqd_work_group_size(ITEMS, 1, 1)))
kernel void KERNEL(
#if SPLITS > 1
    global float *restrict partial,
#endif
    const global ushort *restrict a,
#if SPLITS > 1
    const global ushort *restrict b SIZE_PARAMS)
#else
    const global ushort *restrict b, HOOK_PARAMS)
#endif
{
    local ushort pool[POOL] __attribute__((aligned(32)));
    const matrix_memory memory = MATRIX_MEMORY(pool);
    const uint lid = get_local_id(0), subgroup = lid / MATRIX_ITEMS, tile = get_group_id(0), rest = tile / TILES_N / TILES_M;
    const uint first_n = tile % TILES_N * TILE_N, first_m = tile / TILES_N % TILES_M * TILE_M, batch = rest / SPLITS, split = rest % SPLITS;
    const uint from_m = subgroup / SUBGROUPS_N * (16 * PER_M), from_n = subgroup % SUBGROUPS_N * (16 * PER_N);
    const uint end_k = min((split + 1) * SPLIT_K, (uint)SIZE_K);
    (void)batch; /* a single product has no use for it */
    a += (A_BATCH) * ((ulong)SIZE_M * SIZE_K);
    b += (B_BATCH) * ((ulong)SIZE_K * SIZE_N);
    matrix_c acc[PER_M][PER_N];
#pragma unroll
    for (uint i = 0; i < PER_M; i++)
#pragma unroll
        for (uint j = 0; j < PER_N; j++)
            MATRIX_FILL(acc[i][j], 0.0f);

    ushort8 next_a[A_PER_ITEM], next_b[B_PER_ITEM];
    uint turn = 0;
#pragma unroll
    FETCH(A, a, split * SPLIT_K)
#pragma unroll
    FETCH(B, b, split * SPLIT_K)
    for (uint first_k = split * SPLIT_K; first_k < end_k; first_k += TILE_K, turn ^= 1) {
        const uint slice_a = turn * (SLICE_A + SLICE_B), slice_b = slice_a + SLICE_A;
#pragma unroll
        PUT(A, a, pool + slice_a)
#pragma unroll
        PUT(B, b, pool + slice_b)
        barrier(CLK_LOCAL_MEM_FENCE);
        if (first_k + TILE_K < end_k) {
#pragma unroll
            FETCH(A, a, first_k + TILE_K)
#pragma unroll
            FETCH(B, b, first_k + TILE_K)
        }
#pragma unroll
        for (uint k = 0; k < TILE_K; k += 16) {
            matrix_b of_b[PER_N];
#pragma unroll
            for (uint j = 0; j < PER_N; j++)
                MATRIX_LOAD_B(of_b[j], memory, slice_b + B_AT(k, from_n + 16 * j), B_STRIDE, B_LAYOUT);
#pragma unroll
            for (uint i = 0; i < PER_M; i++) {
                matrix_a of_a;
                MATRIX_LOAD_A(of_a, memory, slice_a + A_AT(from_m + 16 * i, k), A_STRIDE, A_LAYOUT);
#pragma unroll
                for (uint j = 0; j < PER_N; j++)
                    MATRIX_MULADD(acc[i][j], of_a, of_b[j], A_LAYOUT, B_LAYOUT);
            }
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    /* Which sums an item has only the device knows: each tile goes through local memory. */
    const uint result = subgroup * (16 * RESULT_STRIDE);
#pragma unroll
    for (uint i = 0; i < PER_M; i++)
#pragma unroll
        for (uint j = 0; j < PER_N; j++) {
            MATRIX_STORE(acc[i][j], memory, result, RESULT_STRIDE);
            barrier(CLK_LOCAL_MEM_FENCE);
            for (uint at = lid % MATRIX_ITEMS * STORE_WIDTH; at < 256; at += MATRIX_ITEMS * STORE_WIDTH) {
                const uint m = first_m + from_m + 16 * i + at / 16, n = first_n + from_n + 16 * j + at % 16;
                const local float *x = (const local float *)pool + result + at / 16 * RESULT_STRIDE + at % 16;
                if (m < SIZE_M && n < SIZE_N) {
#if SPLITS > 1
                    partial[((split * BATCH + batch) * (ulong)SIZE_M + m) * SIZE_N + n] = *x;
#elif STORE_WIDTH == 4
                    store4(vload4(0, x), STORE_INDEX, HOOK_ARGS);
#else
                    store(*x, STORE_INDEX, HOOK_ARGS);
#endif
                }
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
}

#undef ITEMS
#undef TILE_M
#undef TILE_N
#undef TILES_M
#undef TILES_N
#undef A_LAYOUT
#undef A_ROWS
#undef A_COLUMNS
#undef A_SLOW
#undef A_FAST
#undef A_FIRST
#undef A_AT
#undef B_LAYOUT
#undef B_ROWS
#undef B_COLUMNS
#undef B_SLOW
#undef B_FAST
#undef B_FIRST
#undef B_AT
#undef A_STRIDE
#undef B_STRIDE
#undef A_EIGHTS
#undef B_EIGHTS
#undef A_PER_ITEM
#undef B_PER_ITEM
#undef SLICE_A
#undef SLICE_B
#undef RESULT_STRIDE
#undef RESULTS
#undef POOL
#undef FETCH
#undef PUT
