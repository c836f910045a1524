/* y = x for x >= 0, alpha x below. */
T FN(T x, E alpha) { return x < (T)0 ? alpha * x : x; }
