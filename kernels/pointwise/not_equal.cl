/* y = a != b; always true with NaN. */
#if IS_BOOL
B FN(B a, B b) { return !a != !b; } /* whatever bits mean true */
#else
B FN(T a, T b) { return CVT_B(a != b); }
#endif
