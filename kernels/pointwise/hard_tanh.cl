/* y = min(max(x, min_val), max_val); NaN stays NaN. */
T FN(T x, E min_val, E max_val)
{
    T y = x < (T)min_val ? (T)min_val : x;
    return y > (T)max_val ? (T)max_val : y;
}
