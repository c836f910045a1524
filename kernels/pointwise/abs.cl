/* y = |x|; the smallest integer stays itself. */
T FN(T x)
{
#if IS_FLOAT
    return fabs(x);
#elif IS_UNSIGNED
    return x;
#else
    return max(x, (T)((T)0 - x));
#endif
}
