/* y = (e^x + e^-x) / 2. */
T FN(T x) { return cosh(x); }
