/* y = a <= b; false with NaN. */
B FN(T a, T b) { return CVT_B(a <= b); }
