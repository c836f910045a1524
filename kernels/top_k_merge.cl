/* The best elements of a line from those of its parts, which top_k_parts.cl has put in order.
 *     keys, places [OUTER][INNER][PARTS][KEEP]   values, indices [OUTER][TAKE][INNER]
 * One item a line. Range: OUTER * INNER, groups of any size. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL top_k_merge
#define HOOK_PARAMS global float *h0, global long *h1
#define HOOK_ARGS h0, h1
#define T float /* register type of values */
#define IS_FLOAT 1
#define OUTER 10
#define EXTENT 100
#define INNER 16
#define PART 50
#define PARTS 2
#define KEEP 5
#define TAKE 5
#define LARGEST 1
#define AT outer, extent, inner /* as an expression of these, those without a dimension left out */
static inline void STORE(float y, uint outer, uint extent, uint inner, HOOK_PARAMS) { h0[(outer * TAKE + extent) * INNER + inner] = y; }
static inline void STORE_INDEX(long y, uint outer, uint extent, uint inner, HOOK_PARAMS) { h1[(outer * TAKE + extent) * INNER + inner] = y; }
#endif

/* Equal elements of different parts stand in the order of the parts, so the first part wins without looking at places. */
#if IS_FLOAT
#define GREATER(a, b) ((a) > (b) || ((a) != (a) && (b) == (b)))
#else
#define GREATER(a, b) ((a) > (b))
#endif
#if LARGEST
#define BETTER(a, b) GREATER(a, b)
#else
#define BETTER(a, b) GREATER(b, a)
#endif

kernel void KERNEL(global const T *keys, global const int *places, HOOK_PARAMS)
{
    const uint item = get_global_id(0), inner = item % INNER, outer = item / INNER;
    if (outer >= OUTER)
        return;
    keys += (size_t)item * PARTS * KEEP;
    places += (size_t)item * PARTS * KEEP;
    uint next[PARTS];
    for (uint p = 0; p < PARTS; p++)
        next[p] = 0;
    for (uint extent = 0; extent < TAKE; extent++) {
        uint best = PARTS;
        for (uint p = 0; p < PARTS; p++) {
            const uint have = min((uint)KEEP, (uint)EXTENT - p * PART);
            if (next[p] < have && (best == PARTS || BETTER(keys[p * KEEP + next[p]], keys[best * KEEP + next[best]])))
                best = p;
        }
        const uint from = best * KEEP + next[best]++;
        STORE(keys[from], AT, HOOK_ARGS);
        STORE_INDEX((long)places[from], AT, HOOK_ARGS);
    }
}
#undef GREATER
#undef BETTER
