/* y = cos x, x in radians. */
T FN(T x) { return cos(x); }
