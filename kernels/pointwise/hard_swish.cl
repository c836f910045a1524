/* y = x min(max(x/6 + 1/2, 0), 1), with the sixth taken last so that -3 gives exactly 0. */
T FN(T x)
{
    T h = x + (T)3;
    h = h < (T)0 ? (T)0 : h;
    h = h > (T)6 ? (T)6 : h;
    return x * (h * K(0.16666666666666666667));
}
