/* y = a^b; integers wrap, and a negative integer power is 1/a^|b| truncated (0 for a = 0). */
T FN(T a, T b)
{
#if IS_FLOAT
    return pow(a, b);
#else
    T y = (T)1, base = a, e = b;
    for (int bit = 0; bit < 8 * (int)sizeof(E); bit++) {
        y = (e & (T)1) != (T)0 ? y * base : y;
        base *= base;
        e >>= (T)1;
    }
#if !IS_UNSIGNED
    T odd = (b & (T)1) != (T)0 ? a : (T)1;
    T inverse = a == (T)1 || a == (T)-1 ? odd : (T)0;
    y = b < (T)0 ? inverse : y;
#endif
    return y;
#endif
}
