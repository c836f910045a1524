/* y = ln(x + sqrt(x^2 - 1)); NaN below 1. */
T FN(T x) { return acosh(x); }
