/* y = a modulo b: integers take the sign of b as in Python and a mod 0 is 0; floating point takes the sign of a as C's fmod. */
T FN(T a, T b)
{
#if IS_FLOAT
    return fmod(a, b);
#elif IS_UNSIGNED
    return b == (T)0 ? (T)0 : a % max(b, (T)1);
#else
    /* Modulo 1 and -1 everything is 0, and so is modulo 0 by definition here: 1 stands in for those two, which could trap.
     * They are what an arithmetic shift by all bits but one leaves alone. */
    T last = (T)(8 * sizeof(E) - 1);
    T d = b == b >> last ? (T)1 : b;
    T r = a % d;
    T signs_differ = (r ^ d) >> last; /* all ones or zero */
    return r == (T)0 ? r : r + (d & signs_differ);
#endif
}
