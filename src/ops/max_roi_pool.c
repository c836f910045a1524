/* max_roi_pool: the largest element in each bin of regions of an image (Girshick 2015). */
#include <math.h>

#include "ops/impls.h"
#include "ops/roi.h"

enum { SCALE = 2 };
static const tern__attr_decl attrs[] = {
    {.name = "height", .type = TERN_ATTR_INT, .required = true},
    {.name = "width", .type = TERN_ATTR_INT, .required = true},
    {.name = "scale", .type = TERN_ATTR_FLOAT, .def = 1},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    return tern__roi_shape(n, in, 5, out);
}

/* Elements [from, to) of bin p along an axis of the given extent. */
static void bin_of(tern_dtype t, double start, double end, int64_t bins, int64_t p, int64_t extent, int64_t *from, int64_t *to)
{
    const double bin = tern__roi_round(t, fmax(end - start + 1, 1) / (double)bins);
    *from = (int64_t)fmin(fmax(floor(tern__roi_round(t, (double)p * bin)) + start, 0), (double)extent);
    *to = (int64_t)fmin(fmax(ceil(tern__roi_round(t, (double)(p + 1) * bin)) + start, 0), (double)extent);
}

/* A corner of a region, rounded to an element. */
static double corner(const tern__node *n, const tern__array *rois, int64_t r, int k)
{
    const tern_dtype t = rois->type.dtype;
    const double v = tern__roi_round(t, tern__array_get(rois, r * 5 + k) * tern__roi_round(t, tern__attr_float(n, SCALE)));
    return fmin(fmax(round(v), -1e9), 1e9);
}

static double pool_bin(const tern__node *n, const tern__array *in, int64_t r, int64_t c, int64_t ph, int64_t pw, const tern_shape *s)
{
    const tern_shape *x = &in[0].type.shape;
    const tern_dtype t = in[0].type.dtype;
    const double batch = tern__array_get(&in[1], r * 5);
    int64_t y0, y1, x0, x1;
    if (!(batch >= 0 && batch < (double)x->dim[0]))
        return 0;
    bin_of(t, corner(n, &in[1], r, 2), corner(n, &in[1], r, 4), s->dim[2], ph, x->dim[2], &y0, &y1);
    bin_of(t, corner(n, &in[1], r, 1), corner(n, &in[1], r, 3), s->dim[3], pw, x->dim[3], &x0, &x1);
    double best = -INFINITY;
    for (int64_t y = y0; y < y1; y++)
        for (int64_t i = x0; i < x1; i++)
            best = fmax(best, tern__array_get(&in[0], (((int64_t)batch * x->dim[1] + c) * x->dim[2] + y) * x->dim[3] + i));
    return y0 < y1 && x0 < x1 ? best : 0;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &out[0].type.shape;
    int64_t o = 0;
    for (int64_t r = 0; r < s->dim[0]; r++)
        for (int64_t c = 0; c < s->dim[1]; c++)
            for (int64_t ph = 0; ph < s->dim[2]; ph++)
                for (int64_t pw = 0; pw < s->dim[3]; pw++)
                    tern__array_set(&out[0], o++, pool_bin(n, in, r, c, ph, pw, s));
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_roi_items, NULL};

TERN_OP(max_roi_pool) = {
    .name = "max_roi_pool",
    .doc = "y[r, c] = the largest element of x in each of height x width bins of the region rois[r] = (batch, x1, y1, x2, y2), its corners times scale and "
           "rounded; an empty bin and a batch out of range give 0 (Girshick 2015)",
    .trait = TERN__OPAQUE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .impls = impls,
};
