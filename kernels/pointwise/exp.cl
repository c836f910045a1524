/* y = e^x. */
T FN(T x) { return exp(x); }
