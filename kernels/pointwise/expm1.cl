/* y = e^x - 1, accurate near 0. */
T FN(T x) { return expm1(x); }
