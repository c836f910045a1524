/* y = data with updates added to the slices that indices name along an axis.
 *     data, y [OUTER][EXTENT][INNER]   indices [INDICES]   updates [OUTER][INDICES][INNER]
 * One item an element of y, which goes through all indices in order: no atomics, the same bits in every run.
 * Range: OUTER * EXTENT * INNER, 64 items a group. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL scatter_add
#define HOOK_PARAMS global float *h0, global const long *h1, global const float *h2
#define HOOK_ARGS h0, h1, h2
#define T float /* register type of y */
#define OUTER 1
#define EXTENT 100
#define INNER 16
#define INDICES 32
#define SIGNED 1 /* indices may be negative: they count from the end */
#define DATA_AT extent, inner           /* as expressions of outer, extent, inner */
#define UPDATE_AT index, inner          /* as expressions of outer, index, inner */
static inline float LOAD_DATA(uint extent, uint inner, HOOK_PARAMS) { return h0[extent * INNER + inner]; }
static inline long LOAD_INDEX(uint index, HOOK_PARAMS) { return h1[index]; }
static inline float LOAD_UPDATE(uint index, uint inner, HOOK_PARAMS) { return h2[index * INNER + inner]; }
static inline void STORE(float y, uint extent, uint inner, HOOK_PARAMS) { h0[extent * INNER + inner] = y; }
#endif

kernel void KERNEL(HOOK_PARAMS)
{
    const uint at = get_global_id(0), inner = at % INNER, extent = at / INNER % EXTENT, outer = at / INNER / EXTENT;
    if (outer >= OUTER)
        return;
    T acc = LOAD_DATA(DATA_AT, HOOK_ARGS);
#if INDICES > 0
    for (uint index = 0; index < INDICES; index++) {
        const long k = (long)LOAD_INDEX(index, HOOK_ARGS);
#if SIGNED
        if (k == (long)extent || k == (long)extent - EXTENT)
#else
        if (k == (long)extent)
#endif
            acc += LOAD_UPDATE(UPDATE_AT, HOOK_ARGS);
    }
#endif
    STORE(acc, DATA_AT, HOOK_ARGS);
}
