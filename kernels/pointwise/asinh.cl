/* y = ln(x + sqrt(x^2 + 1)). */
T FN(T x) { return asinh(x); }
