/* Product: the folding functions of a reduction. T accumulates: float for f32, f16 and bf16, double for f64, long or ulong for integers. */
T FN_INIT(void)
{
    return (T)1;
}

T FN_STEP(T a, T b)
{
    return a * b;
}

T FN_FINISH(T a, E n)
{
    return a;
}
