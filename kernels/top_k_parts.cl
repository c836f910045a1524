/* The best elements of each part of a line, in order.
 *     x [OUTER][EXTENT][INNER]   keys, places [OUTER][INNER][PARTS][KEEP]
 * An item holds the KEEP best of its PART elements in a heap with the worst on top, and takes the heap apart at the end.
 * Range: OUTER * PARTS * INNER, groups of any size. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL top_k_parts
#define HOOK_PARAMS global const float *h0
#define HOOK_ARGS h0
#define T float /* register type of x */
#define IS_FLOAT 1
#define OUTER 10
#define EXTENT 100
#define INNER 16
#define PART 50
#define PARTS 2
#define KEEP 5
#define LARGEST 1
#define AT outer, extent, inner /* as an expression of these, those without a dimension left out */
static inline float LOAD_X(uint outer, uint extent, uint inner, HOOK_PARAMS) { return h0[(outer * EXTENT + extent) * INNER + inner]; }
#endif

/* A NaN is greater than every number; of equal elements the first one is better. */
#if IS_FLOAT
#define GREATER(a, b) ((a) > (b) || ((a) != (a) && (b) == (b)))
#else
#define GREATER(a, b) ((a) > (b))
#endif
#if LARGEST
#define BETTER(a, i, b, j) (GREATER(a, b) || (!GREATER(b, a) && (i) < (j)))
#else
#define BETTER(a, i, b, j) (GREATER(b, a) || (!GREATER(a, b) && (i) < (j)))
#endif
#include "lib/vector.clh"
#define SINK CAT(KERNEL, _sink)

/* Puts an element into the heap of n at its top, or as far below as there are worse ones. */
static inline void SINK(global T *keys, global int *places, uint n, T key, int place)
{
    uint at = 0;
    for (uint child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && BETTER(keys[child], places[child], keys[child + 1], places[child + 1]))
            child++;
        if (BETTER(keys[child], places[child], key, place))
            break;
        keys[at] = keys[child];
        places[at] = places[child];
        at = child;
    }
    keys[at] = key;
    places[at] = place;
}

kernel void KERNEL(global T *keys, global int *places, HOOK_PARAMS)
{
    const uint item = get_global_id(0), inner = item % INNER, part = item / INNER % PARTS, outer = item / INNER / PARTS;
    if (outer >= OUTER)
        return;
    const size_t base = (((size_t)outer * INNER + inner) * PARTS + part) * KEEP;
    const uint first = part * PART, end = min(first + PART, (uint)EXTENT);
    uint n = 0;
    keys += base;
    places += base;
    for (uint extent = first; extent < end; extent++) {
        const T key = LOAD_X(AT, HOOK_ARGS);
        const int place = (int)extent;
        if (n == KEEP) {
            if (BETTER(key, place, keys[0], places[0]))
                SINK(keys, places, n, key, place);
            continue;
        }
        uint at = n++;
        while (at > 0 && BETTER(keys[(at - 1) / 2], places[(at - 1) / 2], key, place)) {
            keys[at] = keys[(at - 1) / 2];
            places[at] = places[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        keys[at] = key;
        places[at] = place;
    }
    while (n > 1) {
        const T key = keys[--n];
        const int place = places[n];
        keys[n] = keys[0];
        places[n] = places[0];
        SINK(keys, places, n, key, place);
    }
}
#undef GREATER
#undef BETTER
#undef SINK
