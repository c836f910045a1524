/* y = min(max(x, min), max), bounds of an integer x truncated to its type; NaN stays NaN. */
T FN(T x, E lo, E hi)
{
    T y = x < (T)lo ? (T)lo : x;
    return y > (T)hi ? (T)hi : y;
}
