/* Rearranges 8-bit activations into blocks of IB channels for conv_int8_cpu.cl; zero past the last channel, where weights are zero too.
 *   x:  element of image n, channel c, pixel p at n*S_N + c*S_C + p*S_P
 *   xp: [N][CP/IB][PIXELS][IB]
 * ND-range: (parts of CHUNK pixels, CP/IB, N), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL pack_int8_image
#define IB 4
#define C 3
#define PIXELS 50176
#define S_N (C * PIXELS)
#define S_C PIXELS
#define S_P 1
#define CHUNK 1024
#define SIZE_PARAMS /* all may be parameters */
#endif

__kernel void KERNEL(const __global uchar *restrict x, __global uchar *restrict xp SIZE_PARAMS)
{
    const uint c0 = (uint)get_global_id(1) * IB;
    const uint channels = min((uint)IB, (uint)C - c0);
    const uint first = (uint)get_global_id(0) * CHUNK, end = min(first + (uint)CHUNK, (uint)PIXELS);
    const __global uchar *s = x + (size_t)get_global_id(2) * S_N + (size_t)c0 * S_C;
    __global uchar *d = xp + (((size_t)get_global_id(2) * get_global_size(1) + get_global_id(1)) * PIXELS + first) * IB;
#pragma unroll 1
    for (uint p = first; p < end; p++) {
        uint c = 0;
        for (; c < channels; c++)
            *d++ = s[(size_t)c * S_C + (size_t)p * S_P];
        for (; c < IB; c++)
            *d++ = 0;
    }
}
