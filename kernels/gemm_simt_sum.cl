/* Adds up what the splits of gemm_simt.cl left, in their order, and finishes the results.
 *     partial [SPLITS][BATCH][SIZE_M][SIZE_N]
 * Range: one item a result, n innermost; the result does not depend on the group. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL gemm_simt_sum
#define HOOK_PARAMS global float *h0
#define HOOK_ARGS h0
#define ACC float
#define BATCH 1
#define SIZE_M 256
#define SIZE_N 256
#define SPLITS 2
#define STORE_INDEX m, n
static inline void store(float x, uint m, uint n, HOOK_PARAMS) { h0[m * SIZE_N + n] = x; }
#endif

kernel void KERNEL(global const ACC *restrict partial, HOOK_PARAMS)
{
    const uint at = get_global_id(0), n = at % SIZE_N, m = at / SIZE_N % SIZE_M, batch = at / SIZE_N / SIZE_M;
    if (batch >= BATCH)
        return;
    ACC acc = 0;
    for (uint split = 0; split < SPLITS; split++)
        acc += partial[split * ((ulong)BATCH * SIZE_M * SIZE_N) + at];
    store(acc, STORE_INDEX, HOOK_ARGS);
}
