/* Tiled contraction of 8-bit integers less their zero points by dot products of bytes (lib/dot8.clh), summed in int:
 *     C[batch][m][n] = sum over k of (A[batch][m][k] - zero of m) * (B[batch][k][n] - zero of n)
 *                    = sum of A B - zero of m * sum of B - zero of n * sum of A + SIZE_K * zero of m * zero of n
 * Range, hooks, GATHER and SPLITS are gemm_simt.cl's. Slices hold words of four neighbours along k; what pads an image is B's zero point, what is past the
 * end of k is 0. Items share out the rows and columns whose bytes they sum. */
#ifndef KERNEL /* Defaults, a plain product: they show every name and let this file parse on its own. */
#define KERNEL gemm_dot8_simt
#define HOOK_PARAMS global const uchar *h0, global const char *h1, global int *h2
#define HOOK_ARGS h0, h1, h2
#define DOT8_INSTRUCTIONS 0
#define DOT8 DOT8_us   /* by which of A's and B's bytes are signed */
#define SUM_A DOT8_uu  /* sums bytes of A and of B: with a word of 1s, which is both */
#define SUM_B DOT8_su
#define ACC int
#define ACC4 int4
#define BATCH 1
#define SIZE_M 256
#define SIZE_N 256
#define SIZE_K 256
#define ITEMS_M 16
#define ITEMS_N 16
#define PER_M 4
#define PER_N 4
#define TILE_K 32
#define A_K_FAST 1
#define A_WIDTH 4
#define B_N_FAST 0
#define B_WIDTH 4
#define A_INDEX m, k
#define B_INDEX n, k
#define A_ZERO_INDEX 0u
#define B_ZERO_INDEX n
#define STORE_INDEX m, n
#define STORE_WIDTH 4
#define SPLITS 1
#define SPLIT_K 256
#define GATHER 0
static inline uchar load_a(uint m, uint k, HOOK_PARAMS) { return h0[m * SIZE_K + k]; }
static inline uchar4 load_a4(uint m, uint k, HOOK_PARAMS) { return vload4(0, h0 + m * SIZE_K + k); }
static inline char load_b(uint n, uint k, HOOK_PARAMS) { return h1[n * SIZE_K + k]; }
static inline char4 load_b4(uint n, uint k, HOOK_PARAMS) { return vload4(0, h1 + n * SIZE_K + k); }
static inline uchar load_a_zero(uint i, HOOK_PARAMS) { return 128; }
static inline char load_b_zero(uint i, HOOK_PARAMS) { return (char)(i % 5); }
static inline void store(int x, uint m, uint n, HOOK_PARAMS) { h2[m * SIZE_N + n] = x; }
static inline void store4(int4 x, uint m, uint n, HOOK_PARAMS) { vstore4(x, 0, h2 + m * SIZE_N + n); }
#endif
#include "lib/dot8.clh"

#define ITEMS (ITEMS_M * ITEMS_N)
#define TILE_M (ITEMS_M * PER_M)
#define TILE_N (ITEMS_N * PER_N)
#define TILES_M ((SIZE_M + TILE_M - 1) / TILE_M)
#define TILES_N ((SIZE_N + TILE_N - 1) / TILE_N)
#define QUAD_M (PER_M < 4 ? PER_M : 4)
#define QUAD_N (PER_N < 4 ? PER_N : 4)
/* The i-th row and the j-th column of an item within the tile. */
#define ROW(i) ((i) / QUAD_M * (ITEMS_M * QUAD_M) + item_m * QUAD_M + (i) % QUAD_M)
#define COLUMN(j) ((j) / QUAD_N * (ITEMS_N * QUAD_N) + item_n * QUAD_N + (j) % QUAD_N)
#define WORDS (TILE_K / 4)
#define SUMS ((TILE_M + TILE_N + ITEMS - 1) / ITEMS) /* rows and columns that an item sums */

__attribute__((reqd_work_group_size(ITEMS_M * ITEMS_N, 1, 1)))
kernel void KERNEL(
#if SPLITS > 1
    global int *restrict partial,
#endif
    HOOK_PARAMS)
{
    local uint slice_a[WORDS][TILE_M + 4] __attribute__((aligned(32)));
    local uint slice_b[WORDS][TILE_N + 4] __attribute__((aligned(32)));
    local int sum[TILE_M + TILE_N];
    const uint lid = get_local_id(0), item_m = lid / ITEMS_N, item_n = lid % ITEMS_N;
    const uint tile = get_group_id(0), rest = tile / TILES_N / TILES_M;
    const uint first_n = tile % TILES_N * TILE_N, first_m = tile / TILES_N % TILES_M * TILE_M;
    const uint batch = rest / SPLITS, split = rest % SPLITS;
    (void)batch; /* a single product has no use for it */
    int acc[PER_M][PER_N], part[SUMS];
    for (uint i = 0; i < PER_M; i++)
        for (uint j = 0; j < PER_N; j++)
            acc[i][j] = 0;
    for (uint i = 0; i < SUMS; i++)
        part[i] = 0;
    const uint begin_k = split * SPLIT_K, end_k = min(begin_k + SPLIT_K, (uint)SIZE_K);
    for (uint first_k = begin_k; first_k < end_k; first_k += TILE_K) {
        for (uint at = lid; at < TILE_M * WORDS; at += ITEMS) {
#if A_K_FAST
            const uint slice_m = at / WORDS, word = at % WORDS;
#else
            const uint slice_m = at % TILE_M, word = at / TILE_M;
#endif
            const uint m = first_m + slice_m;
            uint v = 0;
#if A_K_FAST && A_WIDTH == 4
            const uint k = first_k + 4 * word;
            if (m < SIZE_M && k < SIZE_K)
                v = as_uint(load_a4(A_INDEX, HOOK_ARGS));
#else
#pragma unroll
            for (uint i = 0; i < 4; i++) {
                const uint k = first_k + 4 * word + i;
                if (m < SIZE_M && k < SIZE_K)
                    v |= (uint)(uchar)load_a(A_INDEX, HOOK_ARGS) << 8 * i;
            }
#endif
            slice_a[word][slice_m] = v;
        }
        for (uint at = lid; at < TILE_N * WORDS; at += ITEMS) {
#if B_N_FAST
            const uint slice_n = at % TILE_N, word = at / TILE_N;
#else
            const uint slice_n = at / WORDS, word = at % WORDS;
#endif
            const uint n = first_n + slice_n;
            uint v = 0;
#if !B_N_FAST && B_WIDTH == 4
            const uint k = first_k + 4 * word;
            if (n < SIZE_N && k < SIZE_K)
                v = as_uint(load_b4(B_INDEX, HOOK_ARGS));
#else
#pragma unroll
            for (uint i = 0; i < 4; i++) {
                const uint k = first_k + 4 * word + i;
                if (n < SIZE_N && k < SIZE_K) {
#if GATHER
#include "lib/gather.clh"
                    uchar x = (uchar)load_b_zero(B_ZERO_INDEX, HOOK_ARGS);
                    if (inside)
                        x = (uchar)load_b(B_INDEX, HOOK_ARGS);
                    v |= (uint)x << 8 * i;
#else
                    v |= (uint)(uchar)load_b(B_INDEX, HOOK_ARGS) << 8 * i;
#endif
                }
            }
#endif
            slice_b[word][slice_n] = v;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
        for (uint i = 0; i < SUMS; i++) {
            const uint at = lid + i * ITEMS;
            for (uint word = 0; word < WORDS && at < TILE_M + TILE_N; word++)
                part[i] = at < TILE_M ? SUM_A(part[i], slice_a[word][at], 0x01010101u) : SUM_B(part[i], slice_b[word][at - TILE_M], 0x01010101u);
        }
        for (uint word = 0; word < WORDS; word++) {
            uint a[PER_M], b[PER_N];
#pragma unroll
            for (uint i = 0; i < PER_M; i++)
                a[i] = slice_a[word][ROW(i)];
#pragma unroll
            for (uint j = 0; j < PER_N; j++)
                b[j] = slice_b[word][COLUMN(j)];
#pragma unroll
            for (uint i = 0; i < PER_M; i++)
#pragma unroll
                for (uint j = 0; j < PER_N; j++)
                    acc[i][j] = DOT8(acc[i][j], a[i], b[j]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#pragma unroll
    for (uint i = 0; i < SUMS; i++)
        if (lid + i * ITEMS < TILE_M + TILE_N)
            sum[lid + i * ITEMS] = part[i];
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (uint i = 0; i < PER_M; i++) {
        const uint m = first_m + ROW(i);
        if (m >= SIZE_M)
            continue;
        const int a_zero = load_a_zero(A_ZERO_INDEX, HOOK_ARGS);
#pragma unroll
        for (uint j = 0; j < PER_N; j++) {
            const uint n = first_n + COLUMN(j);
            if (n < SIZE_N) {
                const int b_zero = load_b_zero(B_ZERO_INDEX, HOOK_ARGS);
                acc[i][j] += as_int((end_k - begin_k) * as_uint(a_zero * b_zero) - as_uint(a_zero) * as_uint(sum[TILE_M + COLUMN(j)])
                                    - as_uint(b_zero) * as_uint(sum[ROW(i)]));
            }
        }
#pragma unroll
        for (uint j = 0; j < PER_N; j += STORE_WIDTH) {
            const uint n = first_n + COLUMN(j);
            if (n >= SIZE_N)
                continue;
#if SPLITS > 1
            partial[((split * BATCH + batch) * (ulong)SIZE_M + m) * SIZE_N + n] = acc[i][j];
#elif STORE_WIDTH == 4
            store4((int4)(acc[i][j], acc[i][j + 1], acc[i][j + 2], acc[i][j + 3]), STORE_INDEX, HOOK_ARGS);
#else
            store(acc[i][j], STORE_INDEX, HOOK_ARGS);
#endif
        }
    }
}

#undef ITEMS
#undef TILE_M
#undef TILE_N
#undef TILES_M
#undef TILES_N
#undef QUAD_M
#undef QUAD_N
#undef ROW
#undef COLUMN
#undef WORDS
#undef SUMS
