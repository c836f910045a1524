/* y = the smallest integer not below x. */
T FN(T x) { return ceil(x); }
