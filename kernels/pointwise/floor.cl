/* y = the largest integer not above x. */
T FN(T x) { return floor(x); }
