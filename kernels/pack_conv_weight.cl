/* Rearranges a convolution's weights for conv_cpu.cl.
 *   w:  [OC, IC, KH, KW] as the graph has them; f32, f16, bf16, i8 or u8
 *   wp: [O/NR rounded up][C/IB][KH][KW][IB][NR] f32, zero past the last channel
 * FLIP 0: O = OC, C = IC. FLIP 1 (gradient by the input): O = IC, C = OC, and the taps run backwards.
 * ND-range: (O/NR rounded up, C), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL pack_conv_weight
#define NR 32
#define IB 16
#define O 64
#define C 64
#define TAPS 9 /* KH*KW */
#define FLIP 0
#define SRC 0 /* 0: f32, 1: f16, 2: bf16, 3: i8, 4: u8 */
#define ANY_ADDRESS 0 /* 1: w lies at any address */
#define SIZE_PARAMS /* NR, IB, O, C and TAPS may be parameters */
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
#define AT(o, c, t) (((size_t)(c) * O + (o)) * TAPS + (TAPS - 1 - (t)))
#else
#define AT(o, c, t) (((size_t)(o) * C + (c)) * TAPS + (t))
#endif

__kernel void KERNEL(const __global SRC_T *restrict w, __global float *restrict wp SIZE_PARAMS)
{
    const uint ob = (uint)get_global_id(0);
    const uint c = (uint)get_global_id(1);
    __global float *d = wp + (((size_t)ob * (C / IB) + c / IB) * TAPS * IB + c % IB) * NR;
    const uint channels = min((uint)NR, (uint)O - ob * NR);
    for (uint t = 0; t < TAPS; t++) {
        uint j = 0;
#pragma unroll 1
        for (; j + 4 <= channels; j += 4)
#pragma unroll
            for (uint i = j; i < j + 4; i++)
                d[i] = LOAD(AT(ob * NR + i, c, t), w);
        for (; j < channels; j++)
            d[j] = LOAD(AT(ob * NR + j, c, t), w);
        for (; j < NR; j++)
            d[j] = 0.0f;
        d += IB * NR;
    }
}

#undef SRC_T
#undef LOAD
#undef AT
