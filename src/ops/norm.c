/* What the normalisations share: y = (x - mean) / sqrt(var + eps), scaled and shifted, over some axes. */
#include "ops/norm.h"

#include <math.h>

#include "base/alloc.h"

void tern__norm_stats(tern_graph *g, tern__norm *b)
{
    b->mean = b->centred ? tern__mean_axes(g, b->x, b->mask, true) : TERN_NONE;
    b->xc = b->centred ? tern__sub(g, b->x, b->mean) : b->x;
    b->var = tern__mean_axes(g, tern__mul(g, b->xc, b->xc), b->mask, true);
    b->inv = tern__unary(g, "rsqrt", tern__add_scalar(g, b->var, b->eps));
    b->xhat = tern__mul(g, b->xc, b->inv);
}

tern_value tern__norm_apply(tern_graph *g, const tern__norm *b, tern_value beta)
{
    tern_value y = b->gamma == TERN_NONE ? b->xhat : tern__mul(g, b->xhat, b->gamma);
    return beta == TERN_NONE ? y : tern__add(g, y, beta);
}

tern_value tern__norm_grad(tern_graph *g, const tern__norm *b, tern_value dy)
{
    tern_value h = b->gamma == TERN_NONE ? dy : tern__mul(g, dy, b->gamma);
    tern_value along = tern__mul(g, b->xhat, tern__mean_axes(g, tern__mul(g, h, b->xhat), b->mask, true));
    tern_value d = b->centred ? tern__sub(g, h, tern__mean_axes(g, h, b->mask, true)) : h;
    return tern__mul(g, b->inv, tern__sub(g, d, along));
}

tern_status tern__need_eps(const tern__node *n, int slot)
{
    const double eps = tern__attr_float(n, slot);
    return eps > 0 ? TERN_OK : tern__fail(TERN_E_INVALID, "%s: eps %g must be above 0", n->op->name, eps);
}

tern_status tern__need_floats(const tern__node *n, const tern__type *in)
{
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    for (int i = 1; i < n->n_in; i++)
        TERN_TRY(tern__need_same(n, in, 0, i));
    return TERN_OK;
}

tern_value tern__norm_input(tern_graph *g, const tern__node *n, const tern_value *in, int i)
{
    return tern__has_input(n, i) ? tern__widen(g, in[i]) : TERN_NONE;
}

tern_value tern__norm_param_grad(tern_graph *g, tern_value v, unsigned axes, tern_dtype t)
{
    return tern__cast(g, tern__sum_axes(g, v, axes, false), t);
}

/* Strides that walk only the axes in mask. */
static void masked_strides(const tern_shape *s, unsigned mask, int64_t stride[TERN_MAX_RANK])
{
    int64_t step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = mask >> i & 1 ? step : 0;
        if (mask >> i & 1)
            step *= s->dim[i];
    }
}

static int64_t dot(const int64_t *a, const int64_t *b, int n)
{
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* sums[group] += x, or (x - mean[group])^2. */
static void add_up(const tern__array *x, const tern_shape *s, const int64_t *stride, const double *mean, double *sums)
{
    int64_t at[TERN_MAX_RANK] = {0}, i = 0;
    if (tern__elems(s) == 0)
        return;
    do {
        const int64_t k = dot(at, stride, s->rank);
        const double v = tern__array_get(x, i++);
        sums[k] += mean ? (v - mean[k]) * (v - mean[k]) : v;
    } while (tern__next_index(s, at));
}

static void apply(const tern__norm_ref *r, const tern__array *x, const tern_shape *s, const double *mean, const double *var, const tern__array *y)
{
    int64_t at[TERN_MAX_RANK] = {0}, group[TERN_MAX_RANK], affine[TERN_MAX_RANK], i = 0;
    masked_strides(s, ~r->mask, group);
    masked_strides(s, r->affine, affine);
    if (tern__elems(s) == 0)
        return;
    do {
        const int64_t k = dot(at, group, s->rank), c = dot(at, affine, s->rank);
        double v = (tern__array_get(x, i) - mean[k]) / sqrt(var[k] + r->eps);
        if (r->gamma)
            v *= tern__array_get(r->gamma, c);
        if (r->beta)
            v += tern__array_get(r->beta, c);
        tern__array_set(y, i++, v);
    } while (tern__next_index(s, at));
}

tern_status tern__ref_norm(const tern__norm_ref *r, const tern__array *x, const tern_shape *as, const tern__array *y)
{
    const unsigned kept = ((1u << as->rank) - 1u) & ~r->mask;
    const int64_t groups = tern__extent_of(as, kept);
    const double n = (double)tern__extent_of(as, r->mask);
    double *mean = tern__alloc_array((size_t)groups, sizeof *mean), *var = tern__alloc_array((size_t)groups, sizeof *var);
    tern_status st = mean && var ? TERN_OK : tern__fail(TERN_E_NOMEM, "normalisation: %lld statistics", (long long)groups);
    if (st == TERN_OK) {
        int64_t stride[TERN_MAX_RANK];
        masked_strides(as, kept, stride);
        if (r->centred)
            add_up(x, as, stride, NULL, mean);
        for (int64_t k = 0; k < groups; k++)
            mean[k] /= n;
        if (!r->centred)
            for (int64_t k = 0; k < groups; k++)
                mean[k] = 0;
        add_up(x, as, stride, mean, var);
        for (int64_t k = 0; k < groups; k++) {
            var[k] /= n;
            if (r->mean)
                tern__array_set(r->mean, k, mean[k]);
            if (r->var)
                tern__array_set(r->var, k, var[k]);
        }
        apply(r, x, as, mean, var, y);
    }
    tern__free(mean);
    tern__free(var);
    return st;
}

/* --- Over the last axes --- */

enum { LAST_AXIS, LAST_EPS };

/* gamma and beta have the extents of x from axis on. */
static tern_status check_param(const tern__node *n, const tern__type *in, int i, int axis)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern_shape want = {.rank = in[0].shape.rank - axis};
    for (int k = 0; k < want.rank; k++)
        want.dim[k] = in[0].shape.dim[axis + k];
    if (i >= n->n_in || in[i].dtype == TERN_DTYPE_COUNT || tern__shape_equal(&in[i].shape, &want))
        return TERN_OK;
    return tern__fail(TERN_E_SHAPE, "%s: input %d is %s but must be %s", n->op->name, i, tern__shape_text(&in[i].shape, a), tern__shape_text(&want, b));
}

tern_status tern__infer_last_norm(const tern__node *n, const tern__type *in, tern__type *out)
{
    int axis;
    TERN_TRY(tern__need_floats(n, in));
    TERN_TRY(tern__need_eps(n, LAST_EPS));
    TERN_TRY(tern__axis(n, tern__attr_int(n, LAST_AXIS), in[0].shape.rank, &axis));
    for (int i = 1; i < n->n_in; i++)
        TERN_TRY(check_param(n, in, i, axis));
    return tern__infer_same(n, in, out);
}

/* The axes from `axis` on. */
static unsigned last_axes(const tern__node *n, int rank)
{
    int axis = 0;
    (void)tern__axis(n, tern__attr_int(n, LAST_AXIS), rank, &axis); /* the shape rule has accepted it */
    return ((1u << rank) - 1u) & ~((1u << axis) - 1u);
}

tern_status tern__ref_last_norm(const tern__node *n, const tern__array *in, const tern__array *out, bool centred)
{
    const tern_shape *s = &in[0].type.shape;
    const unsigned mask = last_axes(n, s->rank);
    const tern__norm_ref r = {.mask = mask, .affine = mask, .eps = tern__attr_float(n, LAST_EPS), .centred = centred,
                              .gamma = tern__has_input(n, 1) ? &in[1] : NULL, .beta = tern__has_input(n, 2) ? &in[2] : NULL};
    return tern__ref_norm(&r, &in[0], s, &out[0]);
}

static tern__norm last_norm(tern_graph *g, const tern__node *n, const tern_value *in, bool centred)
{
    tern__norm b = {.eps = tern__attr_float(n, LAST_EPS), .centred = centred, .x = tern__widen(g, in[0]), .gamma = tern__norm_input(g, n, in, 1)};
    b.mask = last_axes(n, tern__shape_of(g, in[0])->rank);
    tern__norm_stats(g, &b);
    return b;
}

tern_status tern__grad_last_norm(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx, bool centred)
{
    const tern__norm b = last_norm(g, n, n->in, centred);
    const tern_dtype t = tern__dtype_of(g, n->in[0]);
    const unsigned others = ((1u << tern__shape_of(g, n->in[0])->rank) - 1u) & ~b.mask;
    tern_value d = tern__widen(g, dy[0]);
    dx[0] = tern__cast(g, tern__norm_grad(g, &b, d), t);
    if (tern__has_input(n, 1))
        dx[1] = tern__norm_param_grad(g, tern__mul(g, d, b.xhat), others, t);
    if (tern__has_input(n, 2))
        dx[2] = tern__norm_param_grad(g, d, others, t);
    return TERN_OK;
}

tern_status tern__expand_last_norm(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out, bool centred)
{
    const tern__norm b = last_norm(g, n, in, centred);
    out[0] = tern__cast(g, tern__norm_apply(g, &b, tern__norm_input(g, n, in, 2)), tern__dtype_of(g, in[0]));
    return TERN_OK;
}
