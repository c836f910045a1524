/* conv: cross-correlation in one to three dimensions with stride, padding, dilation and groups. */
#include "ops/conv_ref.h"
#include "ops/impls.h"

static const tern__attr_decl attrs[] = {TERN__CONV_ATTRS};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    for (int i = 0; i < n->n_in; i++) {
        TERN_TRY(tern__need_kind(n, in, i, TERN__T_NUM));
        TERN_TRY(tern__need_same(n, in, 0, i));
    }
    TERN_TRY(tern__conv_geometry(n, in, &sp));
    TERN_TRY(tern__need_vector(n, in, 2, sp.c_out, "output channel"));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_out, sp.out);
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__conv_geometry(n, (const tern__type[]){in[0].type, in[1].type}, &sp));
    return tern__ref_conv(&sp, &in[0], &in[1], tern__has_input(n, 2) ? &in[2] : NULL, &out[0]);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    if (!tern__dtype_is(tern__dtype_of(g, n->in[0]), TERN__T_FLOAT))
        return TERN_OK;
    dx[0] = tern__conv_input_like(g, n, dy[0], n->in[1], n->in[0]);
    dx[1] = tern__conv_weight_like(g, n, n->in[0], dy[0], n->in[1]);
    if (tern__has_input(n, 2))
        dx[2] = tern__conv_bias_grad(g, dy[0]);
    return TERN_OK;
}

/* The bias becomes an addition, which fuses into the epilogue: no implementation needs to know one. */
static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    if (tern__has_input(n, 2))
        out[0] = tern__conv_add_bias(g, tern__conv_like(g, n, in[0], in[1]), in[2]);
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_conv_winograd4, &tern__impl_conv_winograd2, &tern__impl_conv_cpu,
                                         &tern__impl_conv_depthwise_cpu, &tern__impl_conv_winograd4_simt, &tern__impl_conv_winograd2_simt,
                                         &tern__impl_conv_simt, NULL};

TERN_OP(conv) = {
    .name = "conv",
    .doc = "y[n, m, o] = b[m] + sum over c, k of x[n, c, o * strides + k * dilations - pads] * w[m, c, k]; c runs over the channels of m's group; integers wrap",
    .onnx = "Conv",
    .onnx_since = 1,
    .trait = TERN__CONTRACTION,
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
    .impls = impls,
    .flops = tern__conv_flops,
};
