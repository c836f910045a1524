/* y = ~x, bit by bit. */
T FN(T x) { return ~x; }
