/* y = not x. */
B FN(B x) { return !x; }
