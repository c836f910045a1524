/* y = 2^x. */
T FN(T x) { return exp2(x); }
