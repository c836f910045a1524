/* conv_grad_input: gradient of a convolution with respect to its input; also what a transposed convolution computes. */
#include "ops/conv_ref.h"
#include "ops/impls.h"

static const tern__attr_decl attrs[] = {TERN__CONV_ATTRS, {.name = "input_shape", .type = TERN_ATTR_INTS, .required = true}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__need_same(n, in, 0, 1));
    TERN_TRY(tern__conv_geometry(n, in, &sp));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_in, sp.in);
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__conv_geometry(n, (const tern__type[]){in[0].type, in[1].type}, &sp));
    return tern__ref_conv_input(&sp, &in[0], &in[1], NULL, &out[0]);
}

/* Linear in both operands: the other two members of the family. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern__conv_like(g, n, dy[0], n->in[1]);
    dx[1] = tern__conv_weight_like(g, n, dy[0], n->in[0], n->in[1]);
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_conv_grad_input_winograd4, &tern__impl_conv_grad_input_winograd2, &tern__impl_conv_grad_input_cpu,
                                         &tern__impl_conv_grad_input_depthwise_cpu, &tern__impl_conv_grad_input_winograd4_simt,
                                         &tern__impl_conv_grad_input_winograd2_simt, &tern__impl_conv_grad_input_simt, NULL};

TERN_OP(conv_grad_input) = {
    .name = "conv_grad_input",
    .doc = "dx[n, c, i] = sum of dy[n, m, o] * w[m, c, k] over all m, o, k with i = o * strides + k * dilations - pads; input_shape gives the spatial "
           "extents of dx",
    .trait = TERN__CONTRACTION,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .impls = impls,
    .flops = tern__conv_flops,
};
