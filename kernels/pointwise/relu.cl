/* y = max(x, 0); NaN stays NaN. */
#if IS_UNSIGNED
T FN(T x) { return x; }
#else
T FN(T x) { return x < (T)0 ? (T)0 : x; }
#endif
