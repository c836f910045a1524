/* Rearranges 8-bit weights, less their zero points, for conv_int8_cpu.cl.
 *   w:  element of output channel o, input channel c, tap t at o*S_O + c*S_C + t; u8, or i8 with SIGNED
 *   zero: zero points, of channel o at o*ZERO_STEP; the differences must fit in i8
 *   wp: for each NR output channels: NR i32 sums over c and t, then [CP/IB][TAPS][IB/4][NR][4] i8; zero past the last channel of either side
 * ND-range: (O/NR rounded up), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL pack_int8_weight
#define SIGNED 1
#define NR 32
#define IB 16
#define O 64
#define C 64
#define CP 64 /* C rounded up to whole blocks */
#define TAPS 9
#define S_O (C * TAPS)
#define S_C TAPS
#define ZERO_STEP 0
#define SIZE_PARAMS /* all but SIGNED may be parameters */
#endif

#if SIGNED
#define BYTE char
#else
#define BYTE uchar
#endif

__kernel void KERNEL(const __global BYTE *restrict w, const __global BYTE *restrict zero, __global char *restrict wp SIZE_PARAMS)
{
    const uint o0 = (uint)get_global_id(0) * NR;
    __global int *sums = (__global int *)(wp + (size_t)get_global_id(0) * (NR * sizeof(int) + (size_t)CP * TAPS * NR));
    __global char *d = (__global char *)(sums + NR);
#pragma unroll 1
    for (uint j = 0; j < NR; j++)
        sums[j] = 0;
#pragma unroll 1
    for (uint c0 = 0; c0 < CP; c0 += IB)
#pragma unroll 1
        for (uint t = 0; t < TAPS; t++)
#pragma unroll 1
            for (uint q = c0; q < c0 + IB; q += 4)
#pragma unroll 1
                for (uint j = 0; j < NR; j++) {
                    const uint o = o0 + j;
                    const int z = o < O ? (int)zero[o * ZERO_STEP] : 0;
                    int sum = 0;
                    for (uint c = q; c < q + 4; c++) {
                        const int x = o < O && c < C ? (int)w[(size_t)o * S_O + (size_t)c * S_C + t] - z : 0;
                        *d++ = (char)x;
                        sum += x;
                    }
                    sums[j] += sum;
                }
}

#undef BYTE
