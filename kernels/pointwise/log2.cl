/* y = log2 x; -inf at 0, NaN below. */
T FN(T x) { return log2(x); }
