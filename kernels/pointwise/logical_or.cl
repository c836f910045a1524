/* y = a or b. */
B FN(B a, B b) { return a || b; }
