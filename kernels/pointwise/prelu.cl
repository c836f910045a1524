/* y = x for x >= 0, slope * x below; slope broadcasts. */
T FN(T x, T slope) { return x < (T)0 ? slope * x : x; }
