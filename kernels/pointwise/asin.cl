/* y = arcsin x; NaN outside [-1, 1]. */
T FN(T x) { return asin(x); }
