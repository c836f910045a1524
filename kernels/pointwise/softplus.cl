/* y = ln(1 + e^x). */
/* ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|): nothing overflows, and small values keep their digits. */
T FN(T x)
{
    T tail = log1p(exp(-fabs(x)));
    return x > (T)0 ? x + tail : tail;
}
