/* Index of the smallest element, NaN counts as smallest: the folding functions of a reduction that keeps an index beside each value.
 * T: float for f32, f16 and bf16, double for f64, long or ulong for integers. FN_BETTER(a, b): b replaces a, which has the lower index;
 * a candidate of a higher index wins only so, which makes the first best the result in any order of merging. */
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

M FN_BETTER(T a, T b)
{
#if IS_FLOAT
    return b < a || (isnan(b) && !isnan(a));
#else
    return b < a;
#endif
}
