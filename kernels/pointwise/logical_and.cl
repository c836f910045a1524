/* y = a and b. */
B FN(B a, B b) { return a && b; }
