/* Kernels that follow each other as one launch, for CPU devices: a wait at the end of a launch puts the driver's threads to sleep, and waking them takes longer
 * than many a kernel.
 *
 * Each work-group is one worker. It takes items of a step, first those of its own part of the range, then what others left of theirs, until none is left,
 * and then waits, spinning, until those that others took are done; only then the next step begins. Nobody waits for an item that no running worker has
 * taken, so it does not matter how many of the groups run at the same time. Memory is as coherent among groups as it is among a CPU's threads.
 *
 * progress: for each step and unit a line of words, whose first counts the items taken of that unit's part, and for each step one more that counts the items
 *   done; at the end one that counts the workers that have left. Zero before the launch and after it.
 * steps: per step STRIDE words: kind of kernel, extents of its range, 1 if workers share out the first extent and not the whole, arguments of two words
 *   each: the number of a buffer and where in it, in units of ARENA_UNIT bytes; or a whole number and 0.
 * ND-range: (units), work-groups of one item.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL chain_cpu
#define STEPS 2
#define STRIDE 8
#define ARENA_UNIT 256
#define BUFFER_PARAMS __global char *b0, __global char *b1 /* every buffer that some step uses */
#define BUFFERS b0, b1
static inline void DOUBLE_ITEM(const __global float *x, __global float *y, const uint4 tern_at, const uint4 tern_of) { y[tern_at.x] = 2.0f * x[tern_at.x]; }
#define CASES case 0: EACH(DOUBLE_ITEM(MEM(0), MEM(1), PLACE)) /* a case for each kind */
#endif

#define LINE 16 /* words between counters, so that each has a cache line of its own */
#define HEAD 5  /* words of a step before its arguments */
#define MEM(n) ((__global void *)(b[a[2 * (n)]] + (size_t)a[2 * (n) + 1] * ARENA_UNIT))
#define NUMBER(n) a[2 * (n)]
#define PLACE (uint4)(x0 + i % width, i / width % of.y, i / width / of.y, 0), of
#define EACH(CALL)                                                                                        \
    for (; i < end; i++)                                                                                  \
        CALL;                                                                                             \
    break;

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void KERNEL(volatile __global uint *progress, const __global uint *steps, BUFFER_PARAMS)
{
    __global char *const b[] = {BUFFERS};
    const uint unit = (uint)get_group_id(0), units = (uint)get_num_groups(0);
    volatile __global uint *const left = progress + STEPS * (units + 1) * LINE;
#pragma unroll 1
    for (uint s = 0; s < STEPS; s++) {
        const __global uint *a = steps + s * STRIDE;
        const uint kind = a[0];
        const uint4 of = (uint4)(a[1], a[2], a[3], 0);
        const uint items = of.x * of.y * of.z, along_x = a[4];
        volatile __global uint *const taken = progress + s * (units + 1) * LINE, *const done = taken + units * LINE;
        uint mine = 0;
        a += HEAD;
#pragma unroll 1
        for (uint v = 0; v < units; v++) {
            const uint part = unit + v < units ? unit + v : unit + v - units;
            const uint whole = along_x ? of.x : items;
            const uint begin = (uint)((ulong)whole * part / units), size = (uint)((ulong)whole * (part + 1) / units) - begin;
            const uint x0 = along_x ? begin : 0, width = along_x ? size : of.x, first = begin - x0, n = along_x ? size * of.y * of.z : size;
            const uint chunk = v ? 1 : max(n / 8, 1u); /* what is left at the end is small enough to be shared */
            while (taken[part * LINE] < n) {
                const uint from = atomic_add(taken + part * LINE, chunk);
                if (from >= n)
                    break;
                uint i = first + from;
                const uint end = first + min(from + chunk, n);
                mine += end - i;
                switch (kind) {
                    CASES
                }
            }
        }
        mem_fence(CLK_GLOBAL_MEM_FENCE);
        if (mine)
            atomic_add(done, mine);
        while (*done < items)
            ;
        atomic_add(done, 0u); /* nothing is read before */
        mem_fence(CLK_GLOBAL_MEM_FENCE);
    }
    if (atomic_inc(left) == units - 1)
#pragma unroll 1
        for (uint i = 0; i <= STEPS * (units + 1); i++)
            progress[i * LINE] = 0;
}

#undef LINE
#undef HEAD
#undef MEM
#undef NUMBER
#undef PLACE
#undef EACH
