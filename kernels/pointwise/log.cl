/* y = ln x; -inf at 0, NaN below. */
T FN(T x) { return log(x); }
