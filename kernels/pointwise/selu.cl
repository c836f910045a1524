/* y = gamma x for x >= 0, gamma alpha (e^x - 1) below. */
T FN(T x, E alpha, E gamma) { return gamma * (x < (T)0 ? alpha * expm1(x) : x); }
