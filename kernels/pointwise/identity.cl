/* y = x. */
T FN(T x) { return x; }
