/* y = 2/sqrt(pi) * integral of e^(-t^2) from 0 to x. */
T FN(T x) { return erf(x); }
