/* y = ln(1 + x), accurate near 0. */
T FN(T x) { return log1p(x); }
