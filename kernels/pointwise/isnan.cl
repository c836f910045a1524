/* y = x is not a number. */
B FN(T x) { return CVT_B(isnan(x)); }
