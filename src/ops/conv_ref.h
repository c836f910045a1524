/* Scalar references of the convolution family: one walk over positions and taps, three ways to use it. */
#ifndef TERN_OPS_CONV_REF_H
#define TERN_OPS_CONV_REF_H

#include "ops/spatial.h"

/* y [N, M, out] from x [N, C, in], w [M, C/group, kernel] and a bias [M] or one without data. */
tern_status tern__ref_conv(const tern__spatial *sp, const tern__array *x, const tern__array *w, const tern__array *bias, const tern__array *y);
/* dx from dy and w, plus a bias [C] or one without data. */
tern_status tern__ref_conv_input(const tern__spatial *sp, const tern__array *dy, const tern__array *w, const tern__array *bias, const tern__array *dx);
/* dw from x and dy. */
tern_status tern__ref_conv_weight(const tern__spatial *sp, const tern__array *x, const tern__array *dy, const tern__array *dw);

/* 2 * multiply-adds. */
int64_t tern__conv_flops(const tern__node *n, const tern__type *in, const tern__type *out);

/* The attributes of the whole family; EXTRA is the fifth. */
#define TERN__CONV_ATTRS                              \
    {.name = "strides", .type = TERN_ATTR_INTS},      \
    {.name = "dilations", .type = TERN_ATTR_INTS},    \
    {.name = "pads", .type = TERN_ATTR_INTS},         \
    {.name = "group", .type = TERN_ATTR_INT, .def = 1}
/* Nodes of the family with the attributes of n, which is one of them too. */
tern_value tern__conv_like(tern_graph *g, const tern__node *n, tern_value x, tern_value w);
tern_value tern__conv_input_like(tern_graph *g, const tern__node *n, tern_value dy, tern_value w, tern_value x);       /* dx, of x's extents */
tern_value tern__conv_weight_like(tern_graph *g, const tern__node *n, tern_value x, tern_value dy, tern_value w);      /* dw, of w's extents */
/* Sum of dy [N, M, S...] for a bias [M]. */
tern_value tern__conv_bias_grad(tern_graph *g, tern_value dy);
/* y + bias as [1, M, 1...]. */
tern_value tern__conv_add_bias(tern_graph *g, tern_value y, tern_value bias);

#endif
