/* Matrix product for CPU devices: one work-item computes one MR x (NV*W) tile that stays in vector registers.
 *
 *   C[b, m, n] = sum over k of A[b, m, k] * B[b, k, n]
 *
 * a: element (b, m, k) lies at b*A_BATCH + m*A_ROW + k*A_STEP; with A_PACKED in panels [b][M/MR][K][MR], rows past M zero.
 * b: columns in panels of NR = NV*W; column j of panel p, row k lies at b*B_BATCH + p*B_PANEL + k*B_STEP + j
 *    (packed: [b][N/NR][K][NR] with zeroes past N; unpacked row-major works where N is a multiple of NR).
 * SPLITS > 1: the range of k is cut into SPLITS parts of KPART; part s goes to partial[s][b][M][panels*NR] and
 *    gemm_combine_cpu.cl adds the parts up in order.
 * ND-range: (tiles of rows * PGROUP, panels / PGROUP, batch * SPLITS), work-groups of one item. Neighbouring groups share
 * a few panels of B, which stay in cache while A streams past.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL gemm_cpu
#define HOOK_PARAMS __global float *c
#define HOOK_ARGS c
#define W 16    /* native vector width of float */
#define MR 12   /* rows of a tile: MR*NV accumulators + NV + 1 vector registers */
#define NV 2    /* vectors per row of a tile */
#define BATCHED 0 /* 1: the hook takes the batch as its first coordinate */
#define M 128
#define N 128
#define K 128
#define A_PACKED 0
#define A_ROW K   /* floats from one row of A to the next, */
#define A_STEP 1  /* from one k to the next, */
#define A_BATCH 0 /* from one matrix to the next; 0: the same A for all */
#define B_PANEL (K * NV * W)
#define B_STEP (NV * W)
#define B_BATCH 0
#define PGROUP 1  /* panels of B worked on in turn for each tile of rows: PGROUP*K*NR floats should stay in the second cache */
#define SPLITS 1
#define KPART K
#define SIZE_PARAMS /* what stands here ends the parameters where SPLITS > 1 */
static inline void STORE(float acc, uint m, uint n, HOOK_PARAMS) { c[m * N + n] = acc; }
static inline void STORE16(float16 acc, uint m, uint n, HOOK_PARAMS) { vstore16(acc, 0, c + m * N + n); }
#endif

#include "lib/vector.clh"
#define NR (NV * W)
#define PANELS ((N + NR - 1) / NR)
#if BATCHED
#define AT(b, m, n) b, m, n
#else
#define AT(b, m, n) m, n
#endif
#if A_PACKED
#define AROW 1
#define ASTEP MR
#else
#define AROW A_ROW
#define ASTEP A_STEP
#endif

#if SPLITS > 1
__kernel void KERNEL(const __global float *restrict a, const __global float *restrict b, __global float *restrict partial SIZE_PARAMS)
#else
__kernel void KERNEL(const __global float *restrict a, const __global float *restrict b, HOOK_PARAMS)
#endif
{
    const uint row_tile = (uint)get_global_id(0) / PGROUP;
    const uint first = row_tile * MR; /* rows this tile owns start here */
    const uint panel = (uint)get_global_id(1) * PGROUP + ((uint)get_global_id(0) - row_tile * PGROUP);
    const uint batch = (uint)get_global_id(2) / SPLITS;
    const uint split = (uint)get_global_id(2) - batch * SPLITS;
    const uint k0 = split * KPART;
#if SPLITS > 1
    const uint kn = min((uint)KPART, (uint)K - k0);
#else
    const uint kn = K;
#endif
#if PANELS % PGROUP != 0
    if (panel >= PANELS)
        return;
#endif
#if A_PACKED
    const uint m0 = first;
    const __global float *ap = a + (size_t)batch * A_BATCH + (size_t)first * K + (size_t)k0 * MR;
#else
    /* The last tile moves back to stay inside; rows that its neighbour owns are computed again but not stored. */
    const uint m0 = min(first, (uint)(M - MR));
    const __global float *ap = a + (size_t)batch * A_BATCH + (size_t)m0 * A_ROW + (size_t)k0 * A_STEP;
#endif
    const __global float *bp = b + (size_t)batch * B_BATCH + (size_t)panel * B_PANEL + (size_t)k0 * B_STEP;

    VEC acc[MR][NV];
#pragma unroll
    for (int i = 0; i < MR; i++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            acc[i][v] = (VEC)(0.0f);

#pragma unroll 1
    for (uint k = 0; k < kn; k++) {
        VEC bv[NV];
#pragma unroll
        for (int v = 0; v < NV; v++)
            bv[v] = VLOAD(v, bp);
#pragma unroll
        for (int i = 0; i < MR; i++) {
            const VEC s = (VEC)(ap[(size_t)i * AROW]);
#pragma unroll
            for (int v = 0; v < NV; v++)
                acc[i][v] += s * bv[v];
        }
        ap += ASTEP;
        bp += B_STEP;
    }

    /* Through memory, so that the epilogue is in the code once and not MR*NV times. */
    float tile[MR * NR];
#pragma unroll
    for (int i = 0; i < MR; i++)
#pragma unroll
        for (int v = 0; v < NV; v++)
            VSTORE(acc[i][v], i * NV + v, tile);

    const uint n0 = panel * NR;
    const uint end = min((uint)MR, (uint)M - m0);
#pragma unroll 1
    for (uint i = first - m0; i < end; i++) {
#if SPLITS > 1
        __global float *row = partial + (((size_t)split * (get_global_size(2) / SPLITS) + batch) * M + m0 + i) * (PANELS * NR) + n0;
#pragma unroll
        for (int v = 0; v < NV; v++)
            VSTORE(VLOAD(i * NV + v, tile), v, row);
#else
#pragma unroll 1
        for (uint v = 0; v < NV; v++) {
            const uint n = n0 + v * W;
            if (n + W <= N) {
                CAT(STORE, W)(VLOAD(i * NV + v, tile), AT(batch, m0 + i, n), HOOK_ARGS);
            }
#if N % W != 0
            else
#pragma unroll 1
                for (uint j = 0; n + j < N && j < W; j++)
                    STORE(tile[i * NR + v * W + j], AT(batch, m0 + i, n + j), HOOK_ARGS);
#endif
        }
#endif
    }
}

#undef NR
#undef PANELS
#undef AT
#undef AROW
#undef ASTEP
