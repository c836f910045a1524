/* y = max(x, 0) + min(0, alpha (e^(x/alpha) - 1)). */
T FN(T x, E alpha) { return x < (T)0 ? alpha * expm1(x / alpha) : x; }
