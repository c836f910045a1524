/* y = 1 / (1 + e^-x). */
/* Through e^-|x|, which cannot overflow. */
T FN(T x)
{
    T z = exp(-fabs(x));
    T y = (T)1 / ((T)1 + z);
    return x < (T)0 ? z * y : y;
}
