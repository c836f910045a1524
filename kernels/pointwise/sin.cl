/* y = sin x, x in radians. */
T FN(T x) { return sin(x); }
