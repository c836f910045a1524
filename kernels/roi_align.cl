/* y[r, c, ph, pw] = mean (or largest weighted neighbour) of bilinear samples of a bin of region r.
 *     x [BATCH][CHANNELS][HEIGHT][WIDTH]   roi [REGIONS][4] as x1, y1, x2, y2   batch [REGIONS]   y [REGIONS][CHANNELS][BINS_Y][BINS_X]
 * One item an element of y. Range: REGIONS * CHANNELS * BINS_Y * BINS_X, 64 items a group. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL roi_align
#define HOOK_PARAMS global float *h0, global const float *h1, global const float *h2, global const long *h3
#define HOOK_ARGS h0, h1, h2, h3
#define T float /* register type of x and y */
#define REGIONS 8
#define BATCH 2
#define CHANNELS 16
#define HEIGHT 32
#define WIDTH 32
#define BINS_Y 7
#define BINS_X 7
#define SCALE 1.0f
#define SAMPLING 0       /* samples of a bin along each axis; 0: as many as it is long */
#define MOST_SAMPLES 1024
#define HALF_PIXEL 1     /* coordinates are those of the elements' corners, not of their middles */
#define MAXIMUM 0
static inline float LOAD_X(uint n, uint c, uint y, uint x, HOOK_PARAMS) { return h1[((n * CHANNELS + c) * HEIGHT + y) * WIDTH + x]; }
static inline float LOAD_ROI(uint r, uint k, HOOK_PARAMS) { return h2[r * 4 + k]; }
static inline long LOAD_BATCH(uint r, HOOK_PARAMS) { return h3[r]; }
static inline void STORE(float y, uint r, uint c, uint ph, uint pw, HOOK_PARAMS) { h0[((r * CHANNELS + c) * BINS_Y + ph) * BINS_X + pw] = y; }
#endif

/* Where a region starts along an axis (in .x) and how long a bin is (in .y). */
#define LINE(first, last, bins, start, bin)                                           \
    const T start = (first) * SCALE - (HALF_PIXEL ? (T)0.5f : (T)0);                  \
    const T start##_end = (last) * SCALE - (HALF_PIXEL ? (T)0.5f : (T)0);             \
    const T bin = (HALF_PIXEL ? start##_end - start : fmax(start##_end - start, (T)1)) / (T)(bins)

#if SAMPLING
#define SAMPLES(bin) SAMPLING
#else
#define SAMPLES(bin) ((int)fmin(fmax(ceil(bin), (T)0), (T)MOST_SAMPLES))
#endif

kernel void KERNEL(HOOK_PARAMS)
{
    const uint at = get_global_id(0), pw = at % BINS_X, ph = at / BINS_X % BINS_Y, c = at / BINS_X / BINS_Y % CHANNELS;
    const uint r = at / BINS_X / BINS_Y / CHANNELS;
    if (r >= REGIONS)
        return;
    const long n = (long)LOAD_BATCH(r, HOOK_ARGS);
    if (n < 0 || n >= BATCH) {
        STORE((T)0, r, c, ph, pw, HOOK_ARGS);
        return;
    }
    LINE(LOAD_ROI(r, 0, HOOK_ARGS), LOAD_ROI(r, 2, HOOK_ARGS), BINS_X, left, across);
    LINE(LOAD_ROI(r, 1, HOOK_ARGS), LOAD_ROI(r, 3, HOOK_ARGS), BINS_Y, top, down);
    const int rows = SAMPLES(down), columns = SAMPLES(across);
    T acc = 0;
    for (int i = 0; i < rows; i++) {
        T y = top + (T)ph * down + ((T)i + (T)0.5f) * down / (T)rows;
        const int y_in = y >= (T)-1 && y <= (T)HEIGHT;
        y = y_in ? fmax(y, (T)0) : (T)0;
        const int y0 = min((int)y, HEIGHT - 1), y1 = min(y0 + 1, HEIGHT - 1);
        const T v = y0 == y1 ? (T)0 : y - (T)y0;
        for (int k = 0; k < columns; k++) {
            T x = left + (T)pw * across + ((T)k + (T)0.5f) * across / (T)columns;
            const int x_in = x >= (T)-1 && x <= (T)WIDTH;
            x = x_in ? fmax(x, (T)0) : (T)0;
            const int x0 = min((int)x, WIDTH - 1), x1 = min(x0 + 1, WIDTH - 1);
            const T u = x0 == x1 ? (T)0 : x - (T)x0;
            T sample = 0;
            if (y_in && x_in) {
                const T p = (1 - v) * (1 - u) * LOAD_X(n, c, y0, x0, HOOK_ARGS), q = (1 - v) * u * LOAD_X(n, c, y0, x1, HOOK_ARGS);
                const T s = v * (1 - u) * LOAD_X(n, c, y1, x0, HOOK_ARGS), t = v * u * LOAD_X(n, c, y1, x1, HOOK_ARGS);
#if MAXIMUM
                sample = fmax(fmax(p, q), fmax(s, t));
#else
                sample = p + q + s + t;
#endif
            }
#if MAXIMUM
            acc = i == 0 && k == 0 ? sample : fmax(acc, sample);
#else
            acc += sample;
#endif
        }
    }
#if !MAXIMUM
    acc /= (T)max(rows * columns, 1);
#endif
    STORE(acc, r, c, ph, pw, HOOK_ARGS);
}

#undef LINE
#undef SAMPLES
