/* y = min(max(x, 0), 6); NaN stays NaN. */
T FN(T x)
{
    T y = x < (T)0 ? (T)0 : x;
    return y > (T)6 ? (T)6 : y;
}
