/* y = arccos x; NaN outside [-1, 1]. */
T FN(T x) { return acos(x); }
