/* Gradients of pooling: every element of dx gathers from the windows it is in, so that nothing is added atomically.
 * Largest: dx gets a window's dy at the tap that the window's index names. Average: dy / divisor of each window.
 * ROWS 1 (CPU): one item computes a row for W neighbouring channels. Range (rows, CHANNELS / W, BATCH), groups of one item.
 * ROWS 0: one item a position (W = 1). Range: BATCH * CHANNELS * positions, 64 items a group.
 * Positions are those of dx; with CELLS, windows of the largest do not overlap, and a position is a window's cell of dx: each index is read once. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL pool_grad
#define HOOK_PARAMS global uchar *h0, global float *h1, global float *h2
#define HOOK_ARGS h0, h1, h2
#define T float  /* register type of W elements */
#define E float  /* one of them */
#define M int    /* what comparing two T gives */
#define W 1
#define ROWS 0
#define MAXIMUM 1
#define CELLS 0
#define DIMS 2
#define BATCH 1
#define CHANNELS 16
#define POSITIONS_0 1
#define POSITIONS_1 28
#define POSITIONS_2 28
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
static inline uchar LOAD_INDEX(uint n, uint c, uint o1, uint o2, HOOK_PARAMS) { return h0[((n * CHANNELS + c) * OUT_1 + o1) * OUT_2 + o2]; }
static inline float LOAD_DY(uint n, uint c, uint o1, uint o2, HOOK_PARAMS) { return h1[((n * CHANNELS + c) * OUT_1 + o1) * OUT_2 + o2]; }
static inline void STORE(float dx, uint n, uint c, uint i1, uint i2, HOOK_PARAMS) { h2[((n * CHANNELS + c) * IN_1 + i1) * IN_2 + i2] = dx; }
#endif

#include "lib/vector.clh"
#if W == 1
#define INDEX LOAD_INDEX
#define DY LOAD_DY
#define FINISH STORE
#else
#define INDEX CAT(LOAD_INDEX, W)
#define DY CAT(LOAD_DY, W)
#define FINISH CAT(STORE, W)
#endif
#if DIMS == 1
#define AT(a, b, c) (uint)(c)
#elif DIMS == 2
#define AT(a, b, c) (uint)(b), (uint)(c)
#else
#define AT(a, b, c) (uint)(a), (uint)(b), (uint)(c)
#endif
/* The window at o along axis d that reads i by tap k, if there is one: o in range and no remainder. */
#define WINDOW(d, i, k) (((i) + PAD_##d - (k) * DILATION_##d) / STRIDE_##d)
#define HAS_WINDOW(d, i, k) \
    ((i) + PAD_##d >= (k) * DILATION_##d && ((i) + PAD_##d - (k) * DILATION_##d) % STRIDE_##d == 0 && WINDOW(d, i, k) < OUT_##d)
#define TAP(d, o, k) ((o) * STRIDE_##d - PAD_##d + (k) * DILATION_##d)

kernel void KERNEL(HOOK_PARAMS)
{
#if ROWS
    const uint n = get_global_id(2), c = get_global_id(1) * W;
    const int p0 = (int)get_global_id(0) / POSITIONS_1, p1 = (int)get_global_id(0) % POSITIONS_1;
    for (int p2 = 0; p2 < POSITIONS_2; p2++)
#else
    const uint at = get_global_id(0);
    const int p2 = at % POSITIONS_2, p1 = at / POSITIONS_2 % POSITIONS_1, p0 = at / POSITIONS_2 / POSITIONS_1 % POSITIONS_0;
    const uint c = at / POSITIONS_2 / POSITIONS_1 / POSITIONS_0 % CHANNELS, n = at / POSITIONS_2 / POSITIONS_1 / POSITIONS_0 / CHANNELS;
    if (n < BATCH)
#endif
    {
#if CELLS
        const int whole = p0 < OUT_0 && p1 < OUT_1 && p2 < OUT_2; /* else a rest that no window reads */
        M best = (M)-1;
        T dy = (T)0;
        if (whole) {
            best = CAT(convert_, M)(INDEX(n, c, AT(p0, p1, p2), HOOK_ARGS));
            dy = DY(n, c, AT(p0, p1, p2), HOOK_ARGS);
        }
        for (int i0 = p0 * KERNEL_0; i0 < min((p0 + 1) * KERNEL_0, IN_0); i0++)
            for (int i1 = p1 * KERNEL_1; i1 < min((p1 + 1) * KERNEL_1, IN_1); i1++)
                for (int i2 = p2 * KERNEL_2; i2 < min((p2 + 1) * KERNEL_2, IN_2); i2++) {
                    const int tap = ((i0 - p0 * KERNEL_0) * KERNEL_1 + i1 - p1 * KERNEL_1) * KERNEL_2 + i2 - p2 * KERNEL_2;
                    const M hit = best == (M)tap;
                    FINISH(hit ? dy : (T)0, n, c, AT(i0, i1, i2), HOOK_ARGS);
                }
#else
        T acc = (T)0;
        for (int k0 = 0; k0 < KERNEL_0; k0++) {
            if (!HAS_WINDOW(0, p0, k0))
                continue;
            const int o0 = WINDOW(0, p0, k0);
            for (int k1 = 0; k1 < KERNEL_1; k1++) {
                if (!HAS_WINDOW(1, p1, k1))
                    continue;
                const int o1 = WINDOW(1, p1, k1);
                for (int k2 = 0; k2 < KERNEL_2; k2++) {
                    if (!HAS_WINDOW(2, p2, k2))
                        continue;
                    const int o2 = WINDOW(2, p2, k2);
                    (void)o0, (void)o1; /* fewer dimensions have no use for them */
#if MAXIMUM
                    const M hit = CAT(convert_, M)(INDEX(n, c, AT(o0, o1, o2), HOOK_ARGS)) == (M)((k0 * KERNEL_1 + k1) * KERNEL_2 + k2);
#if W > 1
                    if (!any(hit))
                        continue;
#else
                    if (!hit)
                        continue;
#endif
                    const T dy = DY(n, c, AT(o0, o1, o2), HOOK_ARGS);
                    acc += hit ? dy : (T)0;
#else
#if DIVISOR
                    const int taps = DIVISOR;
#elif INSIDE
                    const int taps = KERNEL_0 * KERNEL_1 * KERNEL_2;
#else
                    int taps = 0;
                    for (int k = 0; k < KERNEL_0 * KERNEL_1 * KERNEL_2; k++) {
                        const int i0 = TAP(0, o0, k / (KERNEL_1 * KERNEL_2)), i1 = TAP(1, o1, k / KERNEL_2 % KERNEL_1), i2 = TAP(2, o2, k % KERNEL_2);
#if INCLUDE_PAD
                        taps += i0 < IN_0 + PAD_END_0 && i1 < IN_1 + PAD_END_1 && i2 < IN_2 + PAD_END_2;
#else
                        taps += (uint)i0 < IN_0 && (uint)i1 < IN_1 && (uint)i2 < IN_2;
#endif
                    }
#endif
                    acc += DY(n, c, AT(o0, o1, o2), HOOK_ARGS) / (T)(E)taps;
#endif
                }
            }
        }
        FINISH(acc, n, c, AT(p0, p1, p2), HOOK_ARGS);
#endif
    }
}

#undef INDEX
#undef DY
#undef FINISH
#undef AT
#undef WINDOW
#undef HAS_WINDOW
#undef TAP
