/* Are there instructions for products of whole tiles, and are they right? (tern__device_matrix)
 *   a [n][2][16][16], b [n][2][16][16] half bits; y [2][4][16][16] floats: y += a b of each of the two subgroups, summed over n, with every pair of layouts
 *   that the operands may be taken to have; as it is where the compiler knows no such instructions.
 * ND-range: one group of two subgroups, each with tiles of its own in local memory. */
#define MATRIX_INSTRUCTIONS 1
#include "lib/matrix.clh"

#if MATRIX_PTX
#define COPY(to, from)                                                                                    \
    for (uint at = lane; at < 16 * 16; at += MATRIX_ITEMS)                                                \
        (to)[at / 16 * 24 + at % 16] = (from)[at];
#define PRODUCT(i, layout_a, layout_b)                                                                    \
    {                                                                                                     \
        matrix_a of_a;                                                                                    \
        matrix_b of_b;                                                                                    \
        MATRIX_LOAD_A(of_a, tiles, subgroup * (16 * 24), 24, layout_a);                                   \
        MATRIX_LOAD_B(of_b, tiles, (2 + subgroup) * (16 * 24), 24, layout_b);                             \
        MATRIX_MULADD(acc[i], of_a, of_b, layout_a, layout_b);                                            \
    }
#endif

__attribute__((reqd_work_group_size(64, 1, 1)))
__kernel void probe_matrix(const __global ushort *restrict a, const __global ushort *restrict b, __global float *restrict y, int n)
{
#if MATRIX_PTX
    __local ushort tile[2][2][16 * 24] __attribute__((aligned(32)));
    __local float result[2][16 * 20] __attribute__((aligned(32)));
    const uint lane = get_local_id(0) % MATRIX_ITEMS, subgroup = get_local_id(0) / MATRIX_ITEMS;
    const matrix_memory tiles = MATRIX_MEMORY(&tile[0][0][0]), results = MATRIX_MEMORY(&result[0][0]);
    matrix_c acc[4];
#pragma unroll
    for (uint i = 0; i < 4; i++)
        MATRIX_FILL(acc[i], 0.0f);
#pragma unroll 1
    for (int step = 0; step < n; step++) {
        COPY(tile[0][subgroup], a + (step * 2 + subgroup) * 256)
        COPY(tile[1][subgroup], b + (step * 2 + subgroup) * 256)
        barrier(CLK_LOCAL_MEM_FENCE);
        PRODUCT(0, row, row)
        PRODUCT(1, row, col)
        PRODUCT(2, col, row)
        PRODUCT(3, col, col)
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#pragma unroll
    for (uint i = 0; i < 4; i++) {
        MATRIX_STORE(acc[i], results, subgroup * (16 * 20), 20);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint at = lane; at < 16 * 16; at += MATRIX_ITEMS)
            y[(subgroup * 4 + i) * 256 + at] += result[subgroup][at / 16 * 20 + at % 16];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#endif
}
