/* y = a where the condition holds, else b. */
T FN(B c, T a, T b) { return CVT_M(c) ? a : b; }
