/* Puts a plain tensor's channels in blocks: src [N, C, S] (f32, f16 or bf16) to dst [N, C/B rounded up, S, B] f32, zero past the last channel.
 * ND-range: (S / SCHUNK rounded up, C/B rounded up, N), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL pack_blocked
#define B 16
#define C 64
#define S 196
#define SCHUNK 256 /* positions of one item */
#define SRC 0 /* 0: f32, 1: f16, 2: bf16 */
#define ANY_ADDRESS 0 /* 1: src lies at any address */
#define SIZE_PARAMS
#endif

#if ANY_ADDRESS
#define SRC_T uchar
#define UNIT (SRC == 0 ? 4 : 2) /* bytes of an element */
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
#else
#define SRC_T ushort
#define LOAD(i, p) as_float((uint)(p)[i] << 16)
#endif
#ifndef UNIT
#define UNIT 1 /* of SRC_T to an element */
#endif

__kernel void KERNEL(const __global SRC_T *restrict src, __global float *restrict dst SIZE_PARAMS)
{
    const uint s0 = (uint)get_global_id(0) * SCHUNK, s1 = min(s0 + (uint)SCHUNK, (uint)S);
    const uint cb = (uint)get_global_id(1);
    const uint n = (uint)get_global_id(2);
    const uint channels = min((uint)B, (uint)C - cb * B);
    const __global SRC_T *p = src + UNIT * ((size_t)n * C + (size_t)cb * B) * S;
    __global float *d = dst + ((size_t)n * ((C + B - 1) / B) + cb) * ((size_t)S * B);
    for (uint s = s0; s < s1; s++) {
        uint c = 0;
        for (; c < channels; c++)
            d[(size_t)s * B + c] = LOAD((size_t)c * S + s, p);
        for (; c < B; c++)
            d[(size_t)s * B + c] = 0.0f;
    }
}

#undef SRC_T
#undef LOAD
#undef UNIT
