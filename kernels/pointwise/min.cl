/* y = the smaller of a and b; NaN wins. */
T FN(T a, T b)
{
#if IS_FLOAT
    return a < b || isnan(a) ? a : b;
#else
    return min(a, b);
#endif
}
