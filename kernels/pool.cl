/* Pooling over windows in up to three spatial dimensions; missing ones come first and have extent 1.
 *     y[n, c, o] = largest x, or sum of x / divisor, over the taps k with i = o * STRIDE - PAD + k * DILATION inside x
 *     at[n, c, o] = the tap of the largest, row-major, the first of equal ones (INDEXED)
 * ROWS n (CPU): one item computes n rows of y for W neighbouring channels, or, with PIXELS, for one channel W neighbours of a row at a time, and those whose
 * windows reach outside one by one. Range (OUT_0 * OUT_1 / ROWS rounded up, CHANNELS / W or CHANNELS, BATCH), groups of one item.
 * ROWS 0 (else): one item an element of y (W = 1). Range: BATCH * CHANNELS * OUT_0 * OUT_1 * OUT_2, 64 items a group. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL pool
#define HOOK_PARAMS global float *h0, global float *h1, global uchar *h2
#define HOOK_ARGS h0, h1, h2
#define T float  /* register type of W elements */
#define E float  /* one of them */
#define M int    /* what comparing two T gives */
#define W 1
#define ROWS 0
#define PIXELS 0 /* 1: STRIDE_2 is 1 or 2, and what vectors at [FROM, TO) of a row load lies inside x's; TO - FROM is at least W */
#define FROM 0
#define TO 0
#define MAXIMUM 1
#define INDEXED 1
#define INDEX uchar /* register type of W positions */
#define IS_FLOAT 1
#define LOWEST (-INFINITY) /* what every other value replaces */
#define DIMS 2
#define BATCH 1
#define CHANNELS 16
#define IN_0 1
#define IN_1 28
#define IN_2 28
#define OUT_0 1
#define OUT_1 14
#define OUT_2 14
#define KERNEL_0 1
#define KERNEL_1 2
#define KERNEL_2 2
#define STRIDE_0 1
#define STRIDE_1 2
#define STRIDE_2 2
#define DILATION_0 1
#define DILATION_1 1
#define DILATION_2 1
#define PAD_0 0
#define PAD_1 0
#define PAD_2 0
#define PAD_END_0 0
#define PAD_END_1 0
#define PAD_END_2 0
#define INSIDE 1      /* no window reaches outside x */
#define DIVISOR 0     /* 0: count the taps */
#define INCLUDE_PAD 0 /* count those of the padding too */
static inline float LOAD_X(uint n, uint c, uint i1, uint i2, HOOK_PARAMS) { return h0[((n * CHANNELS + c) * IN_1 + i1) * IN_2 + i2]; }
static inline void STORE(float y, uint n, uint c, uint o1, uint o2, HOOK_PARAMS) { h1[((n * CHANNELS + c) * OUT_1 + o1) * OUT_2 + o2] = y; }
static inline void STORE_INDEX(uchar at, uint n, uint c, uint o1, uint o2, HOOK_PARAMS) { h2[((n * CHANNELS + c) * OUT_1 + o1) * OUT_2 + o2] = at; }
#endif

#include "lib/vector.clh"
#if DIMS == 1
#define AT(a, b, c) (uint)(c)
#elif DIMS == 2
#define AT(a, b, c) (uint)(b), (uint)(c)
#else
#define AT(a, b, c) (uint)(a), (uint)(b), (uint)(c)
#endif
#define COUNTS (!MAXIMUM && !DIVISOR && !INSIDE)

kernel void KERNEL(HOOK_PARAMS)
{
#if ROWS
    const uint n = get_global_id(2), c = get_global_id(1) * (PIXELS ? 1 : W);
    const int first_row = (int)get_global_id(0) * ROWS, last_row = min(first_row + ROWS, OUT_0 * OUT_1);
    for (int row = first_row, o0 = row / OUT_1, o1 = row % OUT_1; row < last_row; row++, o0 = row / OUT_1, o1 = row % OUT_1) {
#if PIXELS
        /* The last vector moves back to stay inside. */
        for (int o = FROM, o2 = FROM; o < TO; o += W, o2 = min(o, TO - W)) {
#define N W
#include "lib/pool_window.clh"
        }
#if FROM > 0 || TO < OUT_2
        for (int o2 = FROM > 0 ? 0 : TO; o2 < OUT_2; o2 = o2 + 1 == FROM ? TO : o2 + 1) {
#define N 1
#include "lib/pool_window.clh"
        }
#endif
#else
        for (int o2 = 0; o2 < OUT_2; o2++) {
#define N W
#include "lib/pool_window.clh"
        }
#endif
    }
#else
    const uint at = get_global_id(0);
    const int o2 = at % OUT_2, o1 = at / OUT_2 % OUT_1, o0 = at / OUT_2 / OUT_1 % OUT_0;
    const uint c = at / OUT_2 / OUT_1 / OUT_0 % CHANNELS, n = at / OUT_2 / OUT_1 / OUT_0 / CHANNELS;
    if (n < BATCH) {
#define N W
#include "lib/pool_window.clh"
    }
#endif
}

#undef AT
#undef COUNTS
