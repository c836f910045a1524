/* y = 2/sqrt(pi) * integral of e^(-t^2) from 0 to x. */
/* In single precision x P(x^2) / Q(x^2), fitted for the least relative error on [0, 3.95], 2e-8; rounding adds up to 6 units in the last place. Beyond, 1
 * is nearer than half a unit. Drivers' own functions branch, or leave vectors. */
T FN(T x)
{
    const T top = (T)K(3.95);
    T a = x > top ? top : x;
    a = a < -top ? -top : a; /* NaN stays */
    const T t = a * a;
    T p = K(2.0261657027731417e-06) * t + K(2.8464998467825353e-04);
    p = p * t + K(3.80658614449203e-03);
    p = p * t + K(5.2870586514472961e-02);
    p = p * t + K(1.9151410460472107e-01);
    p = p * t + K(1.1283791065216064);
    T q = K(3.7832465750398114e-05) * t + K(1.1703389463946223e-03);
    q = q * t + K(1.5051939524710178e-02);
    q = q * t + K(1.145445927977562e-01);
    q = q * t + K(5.030576586723328e-01);
    q = q * t + K(1.0);
    const T y = a * p / q;
    const T close = y > (T)1 ? (T)1 : y < (T)-1 ? (T)-1 : y;
    return sizeof(E) == 8 ? erf(x) : close;
}
