/* y = x Phi(x), Phi the normal distribution; approximate 1 uses x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
/* x/2 erfc(-x/sqrt 2) keeps its digits for negative x, where 1 + erf would cancel; likewise x / (1 + e^-2u) for 1 + tanh u. */
T FN(T x, E approximate)
{
    if (approximate != 0) {
        T u2 = x * (K(1.59576912160573071176) + K(0.07135481627260024878) * x * x);
        return x / ((T)1 + exp(-u2));
    }
    return K(0.5) * x * erfc(x * K(-0.70710678118654752440));
}
