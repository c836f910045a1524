/* What the normalisations share: y = (x - mean) / sqrt(var + eps), scaled and shifted, over some axes. */
#ifndef TERN_OPS_NORM_H
#define TERN_OPS_NORM_H

#include "ops/common.h"

/* gamma and beta, broadcast to x's rank, or TERN_NONE. mask: the axes of the statistics. centred: subtract the mean (RMS does not).
 * All values are wide (tern__widen). */
typedef struct tern__norm {
    unsigned mask;
    double eps;
    bool centred;
    tern_value x, gamma;
    tern_value mean;    /* TERN_NONE if not centred */
    tern_value xc;      /* x - mean */
    tern_value var;     /* mean of xc^2 */
    tern_value inv;     /* 1 / sqrt(var + eps) */
    tern_value xhat;    /* xc * inv */
} tern__norm;
/* Fills in the rest from mask, eps, centred, x, gamma. */
void tern__norm_stats(tern_graph *g, tern__norm *b);
/* xhat * gamma + beta. */
tern_value tern__norm_apply(tern_graph *g, const tern__norm *b, tern_value beta);
/* dx = inv (h - mean(h) - xhat mean(h xhat)), h = dy gamma (Ioffe and Szegedy 2015). */
tern_value tern__norm_grad(tern_graph *g, const tern__norm *b, tern_value dy);

/* Reference: statistics in double over the axes in mask. gamma and beta have one element for each index along the axes in
 * affine, or are NULL. mean and var, if not NULL, get the statistics in the order of the kept axes. */
typedef struct tern__norm_ref {
    unsigned mask, affine;
    double eps;
    bool centred;
    const tern__array *gamma, *beta;
    const tern__array *mean, *var;
} tern__norm_ref;
tern_status tern__ref_norm(const tern__norm_ref *r, const tern__array *x, const tern_shape *as, const tern__array *y);

/* eps > 0. */
tern_status tern__need_eps(const tern__node *n, int slot);
/* Floating point, all inputs alike. */
tern_status tern__need_floats(const tern__node *n, const tern__type *in);
/* The i-th input, widened, or TERN_NONE. */
tern_value tern__norm_input(tern_graph *g, const tern__node *n, const tern_value *in, int i);
/* Gradients of gamma and beta in the input's dtype; axes: those they do not have (summed over). v is dy or dy * xhat. */
tern_value tern__norm_param_grad(tern_graph *g, tern_value v, unsigned axes, tern_dtype t);

/* layer_norm and rms_norm: over the axes from attribute slot 0 on, with eps in slot 1; gamma and beta (if the op has one) have the extents of those
 * axes. */
tern_status tern__infer_last_norm(const tern__node *n, const tern__type *in, tern__type *out);
tern_status tern__ref_last_norm(const tern__node *n, const tern__array *in, const tern__array *out, bool centred);
tern_status tern__grad_last_norm(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx, bool centred);
tern_status tern__expand_last_norm(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out, bool centred);

#endif
