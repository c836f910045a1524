/* y = x for x >= 0, alpha (e^x - 1) below. */
T FN(T x, E alpha) { return x < (T)0 ? alpha * expm1(x) : x; }
