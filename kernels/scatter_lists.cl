/* For every place that updates can fall on, the list of those that do, in order:
 *     heads [LINES_OUTER][EXTENT][LINES_INNER] the first update of a place, -1: none
 *     nexts [LINES_OUTER][INDICES][LINES_INNER] the one after an update; not written where LAST
 *     indices [LINES_OUTER][INDICES][LINES_INNER]
 * LAST: only the last update counts, so heads is all there is. One item goes through the indices of a line and keeps those that fall into its
 * BLOCK of places: nobody else writes there, hence no atomics and the same lists in every run.
 * Range: LINES_OUTER * BLOCKS * LINES_INNER, groups of any size. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL scatter_lists
#define INDEX long /* memory type of an index */
#define SIGNED 1   /* indices may be negative: they count from the end */
#define LAST 0
#define LINES_OUTER 1
#define LINES_INNER 1
#define EXTENT 100
#define INDICES 32
#define BLOCK 50   /* places of an item, BLOCKS of them in a line */
#define BLOCKS 2
#endif

kernel void KERNEL(global int *heads, global int *nexts, global const INDEX *indices)
{
    const uint at = get_global_id(0), inner = at % LINES_INNER, block = at / LINES_INNER % BLOCKS, outer = at / LINES_INNER / BLOCKS;
    if (outer >= LINES_OUTER)
        return;
    const long first = (long)block * BLOCK, end = min(first + BLOCK, (long)EXTENT);
    heads += (size_t)outer * EXTENT * LINES_INNER + inner;
    nexts += LAST ? 0 : (size_t)outer * INDICES * LINES_INNER + inner;
    indices += (size_t)outer * INDICES * LINES_INNER + inner;
    for (long k = first; k < end; k++)
        heads[k * LINES_INNER] = -1;
    for (int j = INDICES - 1; j >= 0; j--) {
        long k = (long)indices[(size_t)j * LINES_INNER];
#if SIGNED
        k += k < 0 ? EXTENT : 0;
#endif
        if (k < first || k >= end)
            continue;
#if LAST
        if (heads[k * LINES_INNER] < 0)
#else
        nexts[(size_t)j * LINES_INNER] = heads[k * LINES_INNER];
#endif
        heads[k * LINES_INNER] = j;
    }
}
