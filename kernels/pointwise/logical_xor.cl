/* y = a or b but not both. */
B FN(B a, B b) { return !a != !b; }
