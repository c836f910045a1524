/* Determinants by elimination with the largest pivot of each column.
 *     x [COUNT][SIDE][SIDE]   y [COUNT]   work [COUNT][SIDE][SIDE]
 * One item a matrix. Range: COUNT, groups of any size. */
#ifndef KERNEL /* Defaults, so that this file parses on its own. */
#define KERNEL det
#define HOOK_PARAMS global const float *h0, global float *h1
#define HOOK_ARGS h0, h1
#define T float /* register type */
#define COUNT 10
#define SIDE 4
static inline float LOAD_X(uint at, uint row, uint column, HOOK_PARAMS) { return h0[(at * SIDE + row) * SIDE + column]; }
static inline void STORE(float y, uint at, HOOK_PARAMS) { h1[at] = y; }
#endif

kernel void KERNEL(global T *work, HOOK_PARAMS)
{
    const uint at = get_global_id(0);
    if (at >= COUNT)
        return;
    global T *a = work + (size_t)at * SIDE * SIDE;
    for (uint r = 0; r < SIDE; r++)
        for (uint c = 0; c < SIDE; c++)
            a[r * SIDE + c] = LOAD_X(at, r, c, HOOK_ARGS);
    T y = (T)1;
    for (uint c = 0; c < SIDE; c++) {
        uint pivot = c;
        for (uint r = c + 1; r < SIDE; r++)
            if (fabs(a[r * SIDE + c]) > fabs(a[pivot * SIDE + c]))
                pivot = r;
        for (uint k = c; k < SIDE && pivot != c; k++) {
            const T x = a[c * SIDE + k];
            a[c * SIDE + k] = a[pivot * SIDE + k];
            a[pivot * SIDE + k] = x;
        }
        const T top = a[c * SIDE + c];
        y *= pivot != c ? -top : top;
        if (top == (T)0)
            break;
        for (uint r = c + 1; r < SIDE; r++) {
            const T f = a[r * SIDE + c] / top;
            for (uint k = c + 1; k < SIDE; k++)
                a[r * SIDE + k] -= f * a[c * SIDE + k];
        }
    }
    STORE(y, at, HOOK_ARGS);
}
