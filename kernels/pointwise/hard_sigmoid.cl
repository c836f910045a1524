/* y = min(max(alpha x + beta, 0), 1); NaN stays NaN. */
T FN(T x, E alpha, E beta)
{
    T y = alpha * x + beta;
    y = y < (T)0 ? (T)0 : y;
    return y > (T)1 ? (T)1 : y;
}
