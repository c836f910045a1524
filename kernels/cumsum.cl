/* y = sums along an axis, of the elements up to each one.
 *     x, y [OUTER][EXTENT][INNER]
 * One item a line. Range: OUTER * INNER, groups of any size. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL cumsum
#define HOOK_PARAMS global const float *h0, global float *h1
#define HOOK_ARGS h0, h1
#define T float /* register type */
#define OUTER 10
#define EXTENT 100
#define INNER 16
#define EXCLUSIVE 0 /* without the element itself */
#define REVERSE 0   /* from the other end */
#define AT outer, extent, inner /* as an expression of these, those without a dimension left out */
static inline float LOAD_X(uint outer, uint extent, uint inner, HOOK_PARAMS) { return h0[(outer * EXTENT + extent) * INNER + inner]; }
static inline void STORE(float y, uint outer, uint extent, uint inner, HOOK_PARAMS) { h1[(outer * EXTENT + extent) * INNER + inner] = y; }
#endif

kernel void KERNEL(HOOK_PARAMS)
{
    const uint at = get_global_id(0), inner = at % INNER, outer = at / INNER;
    if (outer >= OUTER)
        return;
    T sum = (T)0;
    for (uint k = 0; k < EXTENT; k++) {
        const uint extent = REVERSE ? EXTENT - 1 - k : k;
        const T before = sum;
        sum += LOAD_X(AT, HOOK_ARGS);
        STORE(EXCLUSIVE ? before : sum, AT, HOOK_ARGS);
    }
}
