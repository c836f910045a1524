/* y = 1 / sqrt(x). */
T FN(T x) { return rsqrt(x); }
