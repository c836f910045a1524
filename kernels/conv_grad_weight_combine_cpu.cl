/* Adds the chunks of conv_grad_weight_cpu.cl in order, turns output channels from lanes into rows and finishes dw.
 *   partial [CHUNKS][O/NR rounded up][CT][NR] f32; CT = C*KH*KW: the hook's coordinates are (o, index into c, kh, kw)
 * ND-range: (O/W rounded up, CT/W rounded up), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL conv_grad_weight_combine
#define HOOK_PARAMS __global float *dw
#define HOOK_ARGS dw
#define W 16 /* native vector width of float */
#define NR 32
#define O 64
#define CT 288
#define CHUNKS 8
static inline void STORE(float acc, uint o, uint j, HOOK_PARAMS) { dw[o * CT + j] = acc; }
static inline void STORE16(float16 acc, uint o, uint j, HOOK_PARAMS) { vstore16(acc, 0, dw + o * CT + j); }
#endif

#include "lib/vector.clh"
#define PART ((size_t)((O + NR - 1) / NR) * CT * NR)

__kernel void KERNEL(const __global float *restrict partial, HOOK_PARAMS)
{
    const uint o0 = (uint)get_global_id(0) * W;
    const uint j0 = (uint)get_global_id(1) * W;
    const uint no = min((uint)W, (uint)O - o0), nj = min((uint)W, (uint)CT - j0);
    const __global float *p = partial + ((size_t)(o0 / NR) * CT + j0) * NR + o0 % NR;
    float block[W * W]; /* [o][j] */
    for (uint j = 0; j < nj; j++) {
        VEC sum = VLOAD(0, p + j * NR);
        for (uint s = 1; s < CHUNKS; s++)
            sum += VLOAD(0, p + s * PART + j * NR);
        float lanes[W];
        VSTORE(sum, 0, lanes);
        for (uint i = 0; i < W; i++)
            block[i * W + j] = lanes[i];
    }
    for (uint i = 0; i < no; i++) {
        if (nj == W) {
            CAT(STORE, W)(VLOAD(i, block), o0 + i, j0, HOOK_ARGS);
        }
#if CT % W != 0
        else
            for (uint j = 0; j < nj; j++)
                STORE(block[i * W + j], o0 + i, j0 + j, HOOK_ARGS);
#endif
    }
}

#undef PART
