/* y = the nearest integer to x, the even one of two. */
T FN(T x) { return rint(x); }
