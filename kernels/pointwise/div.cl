/* y = a / b; integers truncate towards zero, a / 0 is 0 and the smallest integer / -1 wraps to itself. */
T FN(T a, T b)
{
#if IS_FLOAT
    return a / b;
#else
    /* No device sees a divisor that could trap. */
#if IS_UNSIGNED
    return b == (T)0 ? (T)0 : a / max(b, (T)1);
#else
    T d = b == (T)0 || b == (T)-1 ? (T)1 : b;
    T q = b == (T)-1 ? (T)0 - a : a / d;
    return b == (T)0 ? (T)0 : q;
#endif
#endif
}
