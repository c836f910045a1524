/* gelu: Gaussian error linear unit (Hendrycks & Gimpel 2016). */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    double v = x[0];
    if (a[0] != 0)
        return 0.5 * v * (1 + tanh(0.79788456080286535588 * (v + 0.044715 * v * v * v)));
    return 0.5 * v * erfc(-v * 0.70710678118654752440);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value x = n->in[0], x2 = tern__unary(g, "square", x);
    if (tern__attr_int(n, 0)) {
        /* y = x s(2u), u = c (x + 0.044715 x^3): y' = s + 2 x u' s (1 - s). */
        const double c = 0.79788456080286535588;
        tern_value u2 = tern__mul(g, x, tern__add_scalar(g, tern__mul_scalar(g, x2, 2 * c * 0.044715), 2 * c));
        tern_value du2 = tern__add_scalar(g, tern__mul_scalar(g, x2, 6 * c * 0.044715), 2 * c);
        tern_value s = tern__unary(g, "sigmoid", u2), rest = tern__add_scalar(g, tern__neg(g, s), 1);
        tern_value slope = tern__add(g, s, tern__mul(g, tern__mul(g, x, du2), tern__mul(g, s, rest)));
        dx[0] = tern__mul(g, dy[0], slope);
        return TERN_OK;
    }
    /* y' = Phi(x) + x phi(x) */
    tern_value erf = tern__unary(g, "erf", tern__mul_scalar(g, x, 0.70710678118654752440));
    tern_value cdf = tern__add_scalar(g, tern__mul_scalar(g, erf, 0.5), 0.5);
    tern_value pdf = tern__mul_scalar(g, tern__unary(g, "exp", tern__mul_scalar(g, x2, -0.5)), 0.39894228040143267794);
    dx[0] = tern__mul(g, dy[0], tern__add(g, cdf, tern__mul(g, x, pdf)));
    return TERN_OK;
}

static const tern__attr_decl attrs[] = {
    {.name = "approximate", .type = TERN_ATTR_INT, .def = 0},
};

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 40};

TERN_OP(gelu) = {
    .name = "gelu",
    .doc = "y = x Phi(x), Phi the normal distribution; approximate 1 uses x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))",
    .onnx = "Gelu",
    .onnx_since = 20,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
