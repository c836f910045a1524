/* y = ln((1 + x) / (1 - x)) / 2; NaN outside [-1, 1]. */
T FN(T x) { return atanh(x); }
