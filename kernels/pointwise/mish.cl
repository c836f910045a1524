/* y = x tanh(softplus(x)). */
/* tanh(ln(1 + e^x)) as a ratio of polynomials in z = e^-|x|, which cannot overflow or cancel. */
T FN(T x)
{
    T z = exp(-fabs(x));
    T below = z * (z + (T)2);
    T above = (T)1 + (T)2 * z;
    T n = x < (T)0 ? below : above;
    T d = x < (T)0 ? below + (T)2 : above + (T)2 * z * z;
    return x * (n / d);
}
