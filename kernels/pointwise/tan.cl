/* y = tan x, x in radians. */
T FN(T x) { return tan(x); }
