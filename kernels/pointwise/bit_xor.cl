/* y = a ^ b, bit by bit. */
T FN(T a, T b) { return a ^ b; }
