/* y = a >> b, filled with the sign of a; only the fill where b is negative or not below the type's bits. */
T FN(T a, T b)
{
    T last = (T)(8 * sizeof(E) - 1);
#if IS_UNSIGNED
    return b > last ? (T)0 : a >> b;
#else
    return a >> (b < (T)0 || b > last ? last : b);
#endif
}
