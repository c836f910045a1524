/* Smallest element, NaN wins: the folding functions of a reduction. T accumulates: float for f32, f16 and bf16, double for f64, long or ulong
 * for integers. */
T FN_INIT(void)
{
#if IS_FLOAT
    return (T)INFINITY;
#elif IS_UNSIGNED
    return (T)ULONG_MAX;
#else
    return (T)LONG_MAX;
#endif
}

T FN_STEP(T a, T b)
{
#if IS_FLOAT
    return a < b || isnan(a) ? a : b;
#else
    return a < b ? a : b;
#endif
}

T FN_FINISH(T a, E n)
{
    return a;
}
