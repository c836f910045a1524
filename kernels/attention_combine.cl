/* Puts together what attention_simt.cl or attention_few_cpu.cl found for parts of the keys: each part's results and sum weigh e to its largest score.
 *   partial[part][row][DV + 2]: results before the division, largest score, sum; rows of (batch, kv_head, head of the group, query)
 * STORE with STORE_INDEX, made of b, h, i, d, takes the results; STORE_LSE by (b, h, i) the logarithms of the sums.
 * Range: one dimension, an item for each COLUMNS results of a row, neighbours along d next to each other.
 */
#ifndef KERNEL /* Defaults: they show every name and let this file parse on its own. */
#define KERNEL attention_combine
#define HOOK_PARAMS __global float *h0
#define HOOK_ARGS h0
#define PARTS 4
#define ROWS 128       /* of a head of k and v */
#define TOTAL 1024     /* of all */
#define COLUMNS 64     /* results of an item: divides DV */
#define KV_HEADS 8
#define SQ 128         /* queries */
#define DV 64          /* elements of a head of v */
#define GROUP 1        /* heads of q to a head of k and v */
#define EMPTY 0.0f     /* what a row gives whose scores are all -inf */
#define HAS_LSE 0      /* STORE_LSE is wanted */
#define STORE_INDEX b, h, i, d
static inline void STORE(float x, uint b, uint h, uint i, uint d, HOOK_PARAMS) { h0[((b + h) * SQ + i) * DV + d] = x; }
#endif

__kernel void KERNEL(const __global float *restrict partial, HOOK_PARAMS)
{
    const uint row = (uint)get_global_id(0) / (DV / COLUMNS), first = (uint)get_global_id(0) % (DV / COLUMNS) * COLUMNS;
    if (row >= TOTAL)
        return;
    const uint r = row % ROWS, pair = row / ROWS, b = pair / KV_HEADS, h = pair % KV_HEADS * GROUP + r / SQ, i = r % SQ;
    const __global float *from = partial + (size_t)row * (DV + 2);
    const size_t step = (size_t)TOTAL * (DV + 2);
    float weight[PARTS], top = -INFINITY, sum = 0.0f;
    for (uint p = 0; p < PARTS; p++)
        top = fmax(top, from[p * step + DV]);
    for (uint p = 0; p < PARTS; p++) {
        weight[p] = exp(from[p * step + DV] - (top == -INFINITY ? 0.0f : top));
        sum += weight[p] * from[p * step + DV + 1];
    }
    const bool empty = top == -INFINITY && sum == 0.0f;
    const float by = 1.0f / sum;
#if HAS_LSE
    if (first == 0)
        STORE_LSE(empty ? -INFINITY : top + log(sum), b, h, i, HOOK_ARGS);
#endif
    for (uint d = first; d < first + COLUMNS; d++) {
        float y = 0.0f;
        for (uint p = 0; p < PARTS; p++)
            y += weight[p] * from[p * step + d];
        STORE(empty ? EMPTY : y * by, STORE_INDEX, HOOK_ARGS);
    }
}
