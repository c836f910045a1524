/* y = a * b; integers wrap. */
T FN(T a, T b) { return a * b; }
