/* Rearranges a convolution's weights for conv_cpu.cl.
 *   w:  G groups of [OC, IC, KH, KW] as the graph has them; f32, f16, bf16, i8 or u8
 *   wp: [G][O/NR rounded up][C/IB][TAPS][IB][NR] f32, zero past the last channel
 * FLIP 0: O = OC, C = IC. FLIP 1 (gradient by the input): O = IC, C = OC, and the taps run backwards, from FIRST on: ROW of them that are COL_STEP
 * apart, ROW_STEP further back the next ROW, and PLANE_STEP further back than the first of a PLANE of them the next.
 * ND-range: (G * (O/NR rounded up), C), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL pack_conv_weight
#define NR 32
#define IB 16
#define O 64
#define C 64
#define TAPS 9 /* that are packed */
#define FLIP 0
#define ALL_TAPS 9 /* KH*KW */
#define FIRST 8
#define PLANE 9
#define ROW 9
#define PLANE_STEP 0
#define ROW_STEP 0
#define COL_STEP 1
#define SRC 0 /* 0: f32, 1: f16, 2: bf16, 3: i8, 4: u8 */
#define ANY_ADDRESS 0 /* 1: w lies at any address */
#define SIZE_PARAMS /* numbers other than FLIP, SRC and ANY_ADDRESS may be parameters */
#endif

#if ANY_ADDRESS && SRC < 3
#define SRC_T uchar
#if SRC == 0
#define LOAD(i, p) LB_f32_1(p, i)
#elif SRC == 1
#define LOAD(i, p) LB_f16_1(p, i)
#else
#define LOAD(i, p) LB_bf16_1(p, i)
#endif
#elif SRC == 0
#define SRC_T float
#define LOAD(i, p) ((p)[i])
#elif SRC == 1
#define SRC_T half
#define LOAD(i, p) vload_half(i, p)
#elif SRC == 2
#define SRC_T ushort
#define LOAD(i, p) as_float((uint)(p)[i] << 16)
#else
#if SRC == 3
#define SRC_T char
#else
#define SRC_T uchar
#endif
#define LOAD(i, p) ((float)(p)[i])
#endif
#if FLIP
#define AT(o, c, t) (((size_t)(c) * O + (o)) * ALL_TAPS + (FIRST - (t) / PLANE * PLANE_STEP - (t) % PLANE / ROW * ROW_STEP - (t) % ROW * COL_STEP))
#else
#define AT(o, c, t) (((size_t)(o) * C + (c)) * TAPS + (t))
#endif

__kernel void KERNEL(const __global SRC_T *restrict w, __global float *restrict wp SIZE_PARAMS)
{
    const uint c = (uint)get_global_id(1);
    __global float *d = wp + (((size_t)get_global_id(0) * (C / IB) + c / IB) * TAPS * IB + c % IB) * NR;
    const uint blocks = ((uint)O + NR - 1) / NR, ob = (uint)get_global_id(0) % blocks;
    const size_t group = (uint)get_global_id(0) / blocks * ((size_t)O * C * ALL_TAPS);
    const uint channels = min((uint)NR, (uint)O - ob * NR);
    for (uint t = 0; t < TAPS; t++) {
        uint j = 0;
#pragma unroll 1
        for (; j + 4 <= channels; j += 4)
#pragma unroll
            for (uint i = j; i < j + 4; i++)
                d[i] = LOAD(group + AT(ob * NR + i, c, t), w);
        for (; j < channels; j++)
            d[j] = LOAD(group + AT(ob * NR + j, c, t), w);
        for (; j < NR; j++)
            d[j] = 0.0f;
        d += IB * NR;
    }
}

#undef SRC_T
#undef LOAD
#undef AT
