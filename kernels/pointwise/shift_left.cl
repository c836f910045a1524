/* y = a << b; 0 where b is negative or not below the type's bits. */
T FN(T a, T b)
{
    T bits = (T)(8 * sizeof(E));
#if IS_UNSIGNED
    return b >= bits ? (T)0 : a << b;
#else
    return b < (T)0 || b >= bits ? (T)0 : a << (b & (bits - (T)1));
#endif
}
