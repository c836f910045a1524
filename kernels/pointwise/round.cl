/* y = the nearest integer to x, the even one of two. Of vectors by adding and taking away a number above which there are no fractions: PoCL's rint makes
 * several times as many instructions of them. */
T FN(T x)
{
    if (sizeof(T) == sizeof(E))
        return rint(x);
    const T whole = (T)(sizeof(E) == 4 ? K(8388608.0) : K(4503599627370496.0)), up = copysign(whole, x);
    return fabs(x) < whole ? copysign((x + up) - up, x) : x;
}
