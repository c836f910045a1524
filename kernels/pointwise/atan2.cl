/* y = the angle of the point (x = b, y = a), in (-pi, pi]. */
T FN(T a, T b) { return atan2(a, b); }
