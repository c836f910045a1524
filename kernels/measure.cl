/* Peaks of a device: chains of multiply-adds that never touch memory, and a plain copy.
 *
 *   fma_chains, mad_chains
 *                y [items] f32, one value per item so that no chain is dead code
 *                range: items x 1 x 1; CPU family one item per group, otherwise groups of 64
 *   copy         x, y [n] vectors of W floats; range: n items, groups of 64
 *
 * Twelve chains cover the latency of the units seen so far (4 to 5 cycles, 2 units) and still fit 16 vector registers. */
#ifndef W
#define W 16 /* floats per vector: the device's native width, or 4 on SIMT devices to ask for wide loads */
#endif
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)
#if W == 1
#define V float
#define SUM(v) (v)
#else
#define V CAT(float, W)
#define SUM(v) ((v).s0 + (v).s1)
#endif

/* exact is a constant wherever this is called. */
static inline V multiply_add(V c, V a, V b, const int exact)
{
    return exact ? fma(c, a, b) : mad(c, a, b);
}

static inline void chains(global float *y, float a, float b, int rounds, const int exact)
{
    const V va = (V)(a), vb = (V)(b);
    const float at = (float)get_global_id(0);
    V c0 = (V)(at), c1 = c0 + 1, c2 = c0 + 2, c3 = c0 + 3, c4 = c0 + 4, c5 = c0 + 5;
    V c6 = c0 + 6, c7 = c0 + 7, c8 = c0 + 8, c9 = c0 + 9, c10 = c0 + 10, c11 = c0 + 11;
    for (int r = 0; r < rounds; r++) {
        c0 = multiply_add(c0, va, vb, exact);
        c1 = multiply_add(c1, va, vb, exact);
        c2 = multiply_add(c2, va, vb, exact);
        c3 = multiply_add(c3, va, vb, exact);
        c4 = multiply_add(c4, va, vb, exact);
        c5 = multiply_add(c5, va, vb, exact);
        c6 = multiply_add(c6, va, vb, exact);
        c7 = multiply_add(c7, va, vb, exact);
        c8 = multiply_add(c8, va, vb, exact);
        c9 = multiply_add(c9, va, vb, exact);
        c10 = multiply_add(c10, va, vb, exact);
        c11 = multiply_add(c11, va, vb, exact);
    }
    c0 += c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11;
    y[get_global_id(0)] = SUM(c0);
}

/* Some compilers make two instructions of mad(), and some devices take long over fma(): both are timed. */
kernel void fma_chains(global float *y, float a, float b, int rounds)
{
    chains(y, a, b, rounds, 1);
}

kernel void mad_chains(global float *y, float a, float b, int rounds)
{
    chains(y, a, b, rounds, 0);
}

kernel void copy(global const V *restrict x, global V *restrict y)
{
    y[get_global_id(0)] = x[get_global_id(0)];
}
