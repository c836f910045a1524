/* y = 1 / x. */
T FN(T x) { return (T)1 / x; }
