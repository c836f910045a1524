/* Adds the parts of a matrix product whose range of k was cut (gemm_cpu.cl, SPLITS > 1), in order, and finishes the result.
 *   partial [SPLITS][batch][M][LDP] f32, LDP a multiple of W
 * ND-range: (M, batch), work-groups of one item: a row each.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL gemm_combine
#define HOOK_PARAMS __global float *c
#define HOOK_ARGS c
#define W 16 /* native vector width of float */
#define BATCHED 0 /* 1: the hook takes the batch as its first coordinate */
#define M 128
#define N 128
#define LDP 128
#define SPLITS 2
static inline void STORE(float acc, uint m, uint n, HOOK_PARAMS) { c[m * N + n] = acc; }
static inline void STORE16(float16 acc, uint m, uint n, HOOK_PARAMS) { vstore16(acc, 0, c + m * N + n); }
#endif

#include "lib/vector.clh"
#if BATCHED
#define AT(b, m, n) b, m, n
#else
#define AT(b, m, n) m, n
#endif

__kernel void KERNEL(const __global float *restrict partial, HOOK_PARAMS)
{
    const uint m = (uint)get_global_id(0);
    const uint batch = (uint)get_global_id(1);
    const size_t part = (size_t)get_global_size(1) * M * LDP;
    const __global float *p = partial + ((size_t)batch * M + m) * LDP;
    for (uint n = 0; n < N; n += W) {
        VEC sum = VLOAD(0, p + n);
        for (uint s = 1; s < SPLITS; s++)
            sum += VLOAD(0, p + s * part + n);
        if (n + W <= N) {
            CAT(STORE, W)(sum, AT(batch, m, n), HOOK_ARGS);
        }
#if N % W != 0
        else {
            float rest[W];
            VSTORE(sum, 0, rest);
            for (uint j = 0; n + j < N; j++)
                STORE(rest[j], AT(batch, m, n + j), HOOK_ARGS);
        }
#endif
    }
}

#undef AT
