/* random_normal: normal random numbers from Philox, by counter: the same everywhere, and never stored to be had again. */
#include "base/philox.h"
#include "ops/random.h"

static const tern__attr_decl attrs[] = {
    TERN__RANDOM_ATTRS,
    {.name = "mean", .type = TERN_ATTR_FLOAT, .def = 0},
    {.name = "scale", .type = TERN_ATTR_FLOAT, .def = 1},
};

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const double mean = tern__attr_float(n, TERN__RANDOM_FIRST), scale = tern__attr_float(n, TERN__RANDOM_SECOND);
    return tern__ref_random(n, in, out, tern__philox_normal, (float)scale, (float)mean);
}

TERN_OP(random_normal) = {
    .name = "random_normal",
    .doc = "y[i] = mean + scale * z, z standard normal (Box-Muller) from Philox4x32-10 (Salmon et al. 2011) with key seed, stream step (a scalar input, 0 if "
           "left off) and counter i",
    .onnx = "RandomNormal",
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
