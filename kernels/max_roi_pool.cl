/* y[r, c, ph, pw] = largest element of x in a bin of region r.
 *     x [BATCH][CHANNELS][HEIGHT][WIDTH]   roi [REGIONS][5] as batch, x1, y1, x2, y2   y [REGIONS][CHANNELS][BINS_Y][BINS_X]
 * One item an element of y. Range: REGIONS * CHANNELS * BINS_Y * BINS_X, 64 items a group. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL max_roi_pool
#define HOOK_PARAMS global float *h0, global const float *h1, global const float *h2
#define HOOK_ARGS h0, h1, h2
#define T float /* register type of x and y */
#define REGIONS 8
#define BATCH 2
#define CHANNELS 16
#define HEIGHT 32
#define WIDTH 32
#define BINS_Y 7
#define BINS_X 7
#define SCALE 1.0f
static inline float LOAD_X(uint n, uint c, uint y, uint x, HOOK_PARAMS) { return h1[((n * CHANNELS + c) * HEIGHT + y) * WIDTH + x]; }
static inline float LOAD_ROI(uint r, uint k, HOOK_PARAMS) { return h2[r * 5 + k]; }
static inline void STORE(float y, uint r, uint c, uint ph, uint pw, HOOK_PARAMS) { h0[((r * CHANNELS + c) * BINS_Y + ph) * BINS_X + pw] = y; }
#endif

/* A corner in whole elements, far enough from the ends of int for what is added to it. */
#define CORNER(k) fmin(fmax(round(LOAD_ROI(r, k, HOOK_ARGS) * SCALE), (T)-1e9f), (T)1e9f)
/* A position kept inside [0, extent]. */
#define INSIDE(v, extent) ((int)fmin(fmax((v), (T)0), (T)(extent)))

kernel void KERNEL(HOOK_PARAMS)
{
    const uint at = get_global_id(0), pw = at % BINS_X, ph = at / BINS_X % BINS_Y, c = at / BINS_X / BINS_Y % CHANNELS;
    const uint r = at / BINS_X / BINS_Y / CHANNELS;
    if (r >= REGIONS)
        return;
    const T n = LOAD_ROI(r, 0, HOOK_ARGS);
    T acc = 0;
    if (n >= 0 && n < (T)BATCH) {
        const T left = CORNER(1), top = CORNER(2), across = fmax(CORNER(3) - left + 1, (T)1) / (T)BINS_X, down = fmax(CORNER(4) - top + 1, (T)1) / (T)BINS_Y;
        const int y0 = INSIDE(floor((T)ph * down) + top, HEIGHT), y1 = INSIDE(ceil((T)(ph + 1) * down) + top, HEIGHT);
        const int x0 = INSIDE(floor((T)pw * across) + left, WIDTH), x1 = INSIDE(ceil((T)(pw + 1) * across) + left, WIDTH);
        if (y0 < y1 && x0 < x1)
            acc = -INFINITY;
        for (int y = y0; y < y1; y++)
            for (int x = x0; x < x1; x++)
                acc = fmax(acc, LOAD_X((uint)n, c, (uint)y, (uint)x, HOOK_ARGS));
    }
    STORE(acc, r, c, ph, pw, HOOK_ARGS);
}

#undef CORNER
#undef INSIDE
