/* y = -1, 0 or 1 as x is negative, zero or positive; NaN stays NaN. */
T FN(T x)
{
#if IS_UNSIGNED
    return min(x, (T)1);
#elif !IS_FLOAT
    return clamp(x, (T)-1, (T)1);
#else
    T negative = x < (T)0 ? (T)-1 : x;
    return x > (T)0 ? (T)1 : negative;
#endif
}
