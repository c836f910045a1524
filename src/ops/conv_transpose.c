/* conv_transpose: transposed convolution, which is the gradient of a convolution with respect to its input, used forwards. */
#include "ops/conv_ref.h"

static const tern__attr_decl attrs[] = {TERN__CONV_ATTRS, {.name = "output_padding", .type = TERN_ATTR_INTS}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    for (int i = 0; i < n->n_in; i++) {
        TERN_TRY(tern__need_kind(n, in, i, TERN__T_FLOAT));
        TERN_TRY(tern__need_same(n, in, 0, i));
    }
    TERN_TRY(tern__conv_geometry(n, in, &sp));
    TERN_TRY(tern__need_vector(n, in, 2, sp.c_in, "output channel"));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_in, sp.in);
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__conv_geometry(n, (const tern__type[]){in[0].type, in[1].type}, &sp));
    return tern__ref_conv_input(&sp, &in[0], &in[1], tern__has_input(n, 2) ? &in[2] : NULL, &out[0]);
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern__conv_like(g, n, dy[0], n->in[1]);
    dx[1] = tern__conv_weight_like(g, n, dy[0], n->in[0], n->in[1]);
    if (tern__has_input(n, 2))
        dx[2] = tern__conv_bias_grad(g, dy[0]);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern__spatial sp;
    TERN_TRY(tern__conv_geometry(n, (const tern__type[]){*tern__type_of(g, in[0]), *tern__type_of(g, in[1])}, &sp));
    tern_value y = tern_graph_op2(g, "conv_grad_input", in[0], in[1],
                                  TERN_ATTRS(TERN__SP_COPY(n, TERN__SP_STRIDES, "strides"), TERN__SP_COPY(n, TERN__SP_DILATIONS, "dilations"),
                                             TERN__SP_COPY(n, TERN__SP_PADS, "pads"), TERN_INT("group", sp.group),
                                             TERN_INTS("input_shape", sp.in + 3 - sp.n_dims, sp.n_dims)));
    out[0] = tern__has_input(n, 2) ? tern__conv_add_bias(g, y, in[2]) : y;
    return TERN_OK;
}

TERN_OP(conv_transpose) = {
    .name = "conv_transpose",
    .doc = "y[n, c, i] = b[c] + sum of x[n, m, o] * w[m, c, k] over all m, o, k with i = o * strides + k * dilations - pads; the extents are (x - 1) * "
           "strides - pads + (k - 1) * dilations + 1 + output_padding",
    .onnx = "ConvTranspose",
    .onnx_since = 1,
    .trait = TERN__COMPOSITE,
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
    .flops = tern__conv_flops,
};
