/* y = sqrt(x); NaN below 0. */
T FN(T x) { return sqrt(x); }
