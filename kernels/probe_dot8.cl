/* Is the dot product of bytes there, and right? (tern__device_dot8)
 *   x, w [n] int16, y int16: y += dot products of all x and w, if the processor says of itself that it has them; else y stays as it is.
 * ND-range: one item. */
__kernel void probe_dot8(const __global int *restrict x, const __global int *restrict w, __global int *restrict y, int n)
{
#ifdef __AVX512F__ /* else there are no vectors of 16 to name in assembly */
    int a = 7, b, c = 0, d; /* leaf 7: bit 11 of ecx is AVX512_VNNI */
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c >> 11 & 1))
        return;
    int16 acc = vload16(0, y);
#pragma unroll 1
    for (int i = 0; i < n; i++)
        __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(vload16(i, x)), "v"(vload16(i, w)));
    vstore16(acc, 0, y);
#endif
}
