/* y = x + bias for x < -lambd, x - bias for x > lambd, 0 between. */
T FN(T x, E lambd, E bias)
{
    T below = x < -(T)lambd ? x + bias : (T)0;
    return x > (T)lambd ? x - bias : x == x ? below : x;
}
