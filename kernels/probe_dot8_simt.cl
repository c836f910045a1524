/* Are there instructions for dot products of bytes, and are they right? (tern__device_dot8)
 *   x, w [n][16] words; y [4][16]: y += dot products of the words of x and w, their bytes both unsigned, of w signed, of x signed, both signed; as it is
 *   where the compiler knows no such instructions.
 * ND-range: one group, an item to a column. */
#define DOT8_INSTRUCTIONS 1
#include "lib/dot8.clh"

__kernel void probe_dot8_simt(const __global uint *restrict x, const __global uint *restrict w, __global int *restrict y, int n)
{
#if DOT8_FORM
    const uint i = get_global_id(0);
#pragma unroll 1
    for (int step = 0; step < n; step++) {
        const uint a = x[step * 16 + i], b = w[step * 16 + i];
        y[i] = DOT8_uu(y[i], a, b);
        y[16 + i] = DOT8_us(y[16 + i], a, b);
        y[32 + i] = DOT8_su(y[32 + i], a, b);
        y[48 + i] = DOT8_ss(y[48 + i], a, b);
    }
#endif
}
