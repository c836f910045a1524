/* y = x / (1 + |x|). */
T FN(T x) { return x / ((T)1 + fabs(x)); }
