/* conv_integer: convolution of 8-bit integers less their zero points, summed in i32. */
#include "base/alloc.h"
#include "ops/conv_ref.h"
#include "ops/impls.h"
#include "ops/integer.h"

static const tern__attr_decl attrs[] = {TERN__CONV_ATTRS};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    TERN_TRY(tern__need_integers(n, in));
    TERN_TRY(tern__conv_geometry(n, in, &sp));
    TERN_TRY(tern__need_zero_points(n, in, sp.c_out));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_out, sp.out);
    out[0] = tern__plain(TERN_I32, &s);
    return TERN_OK;
}

/* The elements of a less their zero points, of which each holds for `run` neighbours, as i32. */
static tern_status centred(const tern__array *a, const tern__array *zero, int64_t run, tern__array *out)
{
    const int64_t n = tern__elems(&a->type.shape), n_zero = tern__elems(&zero->type.shape);
    *out = (tern__array){.type = tern__plain(TERN_I32, &a->type.shape), .data = tern__alloc_array((size_t)n + 1, sizeof(int32_t))};
    if (!out->data)
        return tern__fail(TERN_E_NOMEM, "conv_integer: %lld integers", (long long)n);
    for (int64_t i = 0; i < n; i++)
        tern__array_set_int(out, i, tern__array_get_int(a, i) - tern__array_get_int(zero, n_zero == 1 ? 0 : i / run));
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__conv_geometry(n, (const tern__type[]){in[0].type, in[1].type}, &sp));
    tern__array x = {0}, w = {0};
    tern_status st = centred(&in[0], &in[2], 1, &x);
    if (st == TERN_OK)
        st = centred(&in[1], &in[3], TERN_MAX(tern__elems(&in[1].type.shape) / TERN_MAX(sp.c_out, 1), 1), &w);
    if (st == TERN_OK)
        st = tern__ref_conv(&sp, &x, &w, NULL, &out[0]);
    tern__free(x.data);
    tern__free(w.data);
    return st;
}

static const tern__impl *const impls[] = {&tern__impl_conv_dot8_cpu, &tern__impl_conv_int8_cpu, &tern__impl_conv_integer_depthwise_cpu,
                                         &tern__impl_conv_dot8_simt, &tern__impl_conv_integer_simt, NULL};

TERN_OP(conv_integer) = {
    .name = "conv_integer",
    .doc = "y[n, m, o] = sum over c, k of (x[n, c, o * strides + k * dilations - pads] - x_zero) * (w[m, c, k] - w_zero[m]) in i32, of 8-bit x and w; "
           "padding adds nothing; w_zero is [1] or has one for each m",
    .onnx = NULL,
    .trait = TERN__CONTRACTION,
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .impls = impls,
    .flops = tern__conv_flops,
};
