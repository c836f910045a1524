/* random_uniform: uniform random numbers from Philox, by counter: the same everywhere, and never stored to be had again. */
#include "base/philox.h"
#include "ops/random.h"

static const tern__attr_decl attrs[] = {
    TERN__RANDOM_ATTRS,
    {.name = "low", .type = TERN_ATTR_FLOAT, .def = 0},
    {.name = "high", .type = TERN_ATTR_FLOAT, .def = 1},
};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const double low = tern__attr_float(n, TERN__RANDOM_FIRST), high = tern__attr_float(n, TERN__RANDOM_SECOND);
    return tern__ref_random(n, in, out, tern__philox_uniform, (float)(high - low), (float)low);
}

TERN_OP(random_uniform) = {
    .name = "random_uniform",
    .doc = "y[i] = low + (high - low) * u, u uniform in [0, 1) from Philox4x32-10 (Salmon et al. 2011) with key seed, stream step (a scalar input, 0 if "
           "left off) and counter i",
    .onnx = "RandomUniform",
    .onnx_since = 1,
    .trait = TERN__SOURCE,
    .min_in = 0,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = tern__infer_random,
    .ref = ref,
    .grad = tern__grad_random,
};
