/* Pooling over windows in up to three spatial dimensions; missing ones come first and have extent 1.
 *     y[n, c, o] = largest x, or sum of x / divisor, over the taps k with i = o * STRIDE - PAD + k * DILATION inside x
 *     at[n, c, o] = the tap of the largest, row-major, the first of equal ones (INDEXED)
 * ROWS n (CPU): one item computes n rows of y for W neighbouring channels, or, with PIXELS, W neighbours of a row at a time for one channel. Range
 * (OUT_0 * OUT_1 / ROWS rounded up, CHANNELS / W or CHANNELS, BATCH), groups of one item.
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
#define PIXELS 0 /* 1: STRIDE_2 is 1 or 2, no window reaches outside x, and OUT_2 is at least W */
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
#if W == 1
#define LOAD LOAD_X
#define FINISH STORE
#define FINISH_INDEX STORE_INDEX
#define I int
#else
#define LOAD CAT(LOAD_X, W)
#define FINISH CAT(STORE, W)
#define FINISH_INDEX CAT(STORE_INDEX, W)
#define I CAT(int, W)
#endif
#if DIMS == 1
#define AT(a, b, c) (uint)(c)
#elif DIMS == 2
#define AT(a, b, c) (uint)(b), (uint)(c)
#else
#define AT(a, b, c) (uint)(a), (uint)(b), (uint)(c)
#endif
#if PIXELS /* the last vector of a row moves back to stay inside */
#define FOR_ROW for (int o = 0, o2 = 0; o < OUT_2; o += W, o2 = min(o, OUT_2 - W))
#else
#define FOR_ROW for (int o2 = 0; o2 < OUT_2; o2++)
#endif
#define COUNTS (!MAXIMUM && !DIVISOR && !INSIDE)

kernel void KERNEL(HOOK_PARAMS)
{
#if ROWS
    const uint n = get_global_id(2), c = get_global_id(1) * (PIXELS ? 1 : W);
    const int first_row = (int)get_global_id(0) * ROWS, last_row = min(first_row + ROWS, OUT_0 * OUT_1);
    for (int row = first_row, o0 = row / OUT_1, o1 = row % OUT_1; row < last_row; row++, o0 = row / OUT_1, o1 = row % OUT_1)
        FOR_ROW
#else
    const uint at = get_global_id(0);
    const int o2 = at % OUT_2, o1 = at / OUT_2 % OUT_1, o0 = at / OUT_2 / OUT_1 % OUT_0;
    const uint c = at / OUT_2 / OUT_1 / OUT_0 % CHANNELS, n = at / OUT_2 / OUT_1 / OUT_0 / CHANNELS;
    if (n < BATCH)
#endif
    {
#if MAXIMUM
        T acc = (T)(LOWEST);
#if INDEXED
        I best = (I)0;
        int first = 1;
#endif
#else
        T acc = (T)0;
#endif
#if COUNTS
        int taps = 0;
#endif
        for (int k0 = 0; k0 < KERNEL_0; k0++) {
            const int i0 = o0 * STRIDE_0 - PAD_0 + k0 * DILATION_0;
            for (int k1 = 0; k1 < KERNEL_1; k1++) {
                const int i1 = o1 * STRIDE_1 - PAD_1 + k1 * DILATION_1;
                for (int k2 = 0; k2 < KERNEL_2; k2++) {
                    const int i2 = o2 * STRIDE_2 - PAD_2 + k2 * DILATION_2;
#if COUNTS && INCLUDE_PAD
                    taps += i0 < IN_0 + PAD_END_0 && i1 < IN_1 + PAD_END_1 && i2 < IN_2 + PAD_END_2;
#endif
                    (void)i0, (void)i1; /* fewer dimensions have no use for them */
#if !INSIDE
                    if ((uint)i0 >= IN_0 || (uint)i1 >= IN_1 || (uint)i2 >= IN_2)
                        continue;
#endif
#if COUNTS && !INCLUDE_PAD
                    taps++;
#endif
#if PIXELS && STRIDE_2 == 2
                    /* From an even column on, so that nothing behind the row is loaded. */
                    const int odd = k2 * DILATION_2 & 1;
                    const T a = LOAD(n, c, AT(i0, i1, i2 - odd), HOOK_ARGS), b = LOAD(n, c, AT(i0, i1, i2 - odd + W), HOOK_ARGS);
                    const T x = odd ? (T)(a.odd, b.odd) : (T)(a.even, b.even);
#else
                    const T x = LOAD(n, c, AT(i0, i1, i2), HOOK_ARGS);
#endif
#if !MAXIMUM
                    acc += x;
#elif INDEXED
                    const int tap = (k0 * KERNEL_1 + k1) * KERNEL_2 + k2;
#if IS_FLOAT
                    const M larger = (x > acc) | (isnan(x) & !isnan(acc));
#else
                    const M larger = x > acc;
#endif
                    acc = larger ? x : acc;
                    best = CAT(convert_, I)(larger) || (I)first ? (I)tap : best; /* the first tap counts even if it is the lowest there is */
                    first = 0;
#elif IS_FLOAT
                    acc = (x > acc) | isnan(x) ? x : acc; /* no branch: which is larger cannot be foretold */
#else
                    acc = x > acc ? x : acc;
#endif
                }
            }
        }
#if COUNTS
        acc /= (T)(E)max(taps, 1);
#elif !MAXIMUM && DIVISOR
        acc /= (T)(E)DIVISOR;
#elif !MAXIMUM
        acc /= (T)(E)(KERNEL_0 * KERNEL_1 * KERNEL_2);
#endif
        FINISH(acc, n, c, AT(o0, o1, o2), HOOK_ARGS);
#if INDEXED
        FINISH_INDEX(CAT(convert_, INDEX)(best), n, c, AT(o0, o1, o2), HOOK_ARGS);
#endif
    }
}

#undef LOAD
#undef FINISH
#undef FINISH_INDEX
#undef I
#undef AT
#undef FOR_ROW
#undef COUNTS
