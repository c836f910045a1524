/* y = x for x > alpha, else 0. */
T FN(T x, E alpha) { return x > (T)alpha ? x : (T)0; }
