/* y = x / (1 + e^-x). */
T FN(T x) { return x / ((T)1 + exp(-x)); }
