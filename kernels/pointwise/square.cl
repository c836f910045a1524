/* y = x * x; integers wrap. */
T FN(T x) { return x * x; }
