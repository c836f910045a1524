/* floor: rounding down. */
#include <math.h>
#include "ops/op.h"

static double ref(const double *x, const double *a)
{
    (void)a;
    return floor(x[0]);
}

/* Flat wherever it is continuous: nothing flows back. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)g, (void)n, (void)dy, (void)dx;
    return TERN_OK;
}

static const tern__pointwise pointwise = {.in_kinds = TERN__T_FLOAT, .ref = ref, .cost = 1};

TERN_OP(floor) = {
    .name = "floor",
    .doc = "y = the largest integer not above x",
    .onnx = "Floor",
    .onnx_since = 6,
    .trait = TERN__POINTWISE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .pointwise = &pointwise,
    .infer = tern__infer_pointwise,
    .ref = tern__ref_pointwise,
    .grad = grad,
};
