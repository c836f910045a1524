/* y = x is infinite; detect_negative and detect_positive 0 leave one side out. */
B FN(T x, E detect_negative, E detect_positive)
{
    M negative = x == (T)(-INFINITY), positive = x == (T)INFINITY;
    if (detect_negative == 0)
        negative = (M)0;
    if (detect_positive == 0)
        positive = (M)0;
    return CVT_B(negative | positive);
}
