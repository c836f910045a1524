/* y = data with the updates that fall on an element put there, by the lists of scatter_lists.cl.
 *     data, y [OUTER][EXTENT][INNER]   updates [OUTER][INDICES][INNER]
 * ROWS 0: one item an element of y, 64 items a group. ROWS 1 (without LINES): one item the INNER elements that share a list; range OUTER * EXTENT. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL scatter_apply
#define HOOK_PARAMS global float *h0, global const float *h1
#define HOOK_ARGS h0, h1
#define T float /* register type of y */
#define IS_FLOAT 1
#define OUTER 1
#define EXTENT 100
#define INNER 16
#define INDICES 32 /* 0: y = data */
#define LINES 0    /* 1: each line along the axis has lists of its own; 0: one list of slices for all */
#define ROWS 0
#define REDUCE 1   /* 0 none: the last update stands, 1 add, 2 mul, 3 min, 4 max */
#define DATA_AT extent, inner  /* as expressions of outer, extent, inner */
#define UPDATE_AT index, inner /* as expressions of outer, index, inner */
static inline float LOAD_DATA(uint extent, uint inner, HOOK_PARAMS) { return h0[extent * INNER + inner]; }
static inline float LOAD_UPDATE(uint index, uint inner, HOOK_PARAMS) { return h1[index * INNER + inner]; }
static inline void STORE(float y, uint extent, uint inner, HOOK_PARAMS) { h0[extent * INNER + inner] = y; }
#endif

#if IS_FLOAT
#define IS_NAN(a) ((a) != (a))
#else
#define IS_NAN(a) 0
#endif
#if REDUCE == 1
#define COMBINE(a, x) ((a) + (x))
#elif REDUCE == 2
#define COMBINE(a, x) ((a) * (x))
#elif REDUCE == 3 /* a NaN beats every number */
#define COMBINE(a, x) ((a) < (x) || IS_NAN(a) ? (a) : (x))
#elif REDUCE == 4
#define COMBINE(a, x) ((a) > (x) || IS_NAN(a) ? (a) : (x))
#endif

#if LINES
#define NEXT(j) nexts[((size_t)outer * INDICES + (size_t)(j)) * INNER + inner]
#else
#define NEXT(j) nexts[j]
#endif

kernel void KERNEL(global const int *heads, global const int *nexts, HOOK_PARAMS)
{
#if ROWS
    const uint at = get_global_id(0), extent = at % EXTENT, outer = at / EXTENT;
#else
    const uint at = get_global_id(0), inner = at % INNER, extent = at / INNER % EXTENT, outer = at / INNER / EXTENT;
#endif
    if (outer >= OUTER)
        return;
#if INDICES > 0
    const int head = heads[LINES ? at : extent];
#else
    const int head = -1;
#endif
#if ROWS
    if (head < 0) { /* most rows, and a loop without a branch */
        for (uint inner = 0; inner < INNER; inner++)
            STORE(LOAD_DATA(DATA_AT, HOOK_ARGS), DATA_AT, HOOK_ARGS);
        return;
    }
    for (uint inner = 0; inner < INNER; inner++)
#endif
    {
        T acc;
#if INDICES == 0
        acc = LOAD_DATA(DATA_AT, HOOK_ARGS);
#elif REDUCE == 0
        int index = head;
        if (index >= 0)
            acc = LOAD_UPDATE(UPDATE_AT, HOOK_ARGS);
        else
            acc = LOAD_DATA(DATA_AT, HOOK_ARGS);
#else
        acc = LOAD_DATA(DATA_AT, HOOK_ARGS);
        for (int index = head; index >= 0; index = NEXT(index)) {
            const T x = LOAD_UPDATE(UPDATE_AT, HOOK_ARGS);
            acc = COMBINE(acc, x);
        }
#endif
        STORE(acc, DATA_AT, HOOK_ARGS);
    }
}
#undef NEXT
#undef COMBINE
#undef IS_NAN
