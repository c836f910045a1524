/* y = arctan x. */
T FN(T x) { return atan(x); }
