/* roi_align: regions of an image sampled on a grid and pooled to one size (He et al. 2017). */
#include <math.h>

#include "ops/impls.h"
#include "ops/roi.h"

enum { SAMPLING = 2, SCALE, HALF_PIXEL, MAXIMUM };
static const tern__attr_decl attrs[] = {
    {.name = "height", .type = TERN_ATTR_INT, .required = true},
    {.name = "width", .type = TERN_ATTR_INT, .required = true},
    {.name = "sampling_ratio", .type = TERN_ATTR_INT},
    {.name = "scale", .type = TERN_ATTR_FLOAT, .def = 1},
    {.name = "half_pixel", .type = TERN_ATTR_INT},
    {.name = "max", .type = TERN_ATTR_INT},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    TERN_TRY(tern__need_kind(n, in, 2, TERN__T_INT));
    TERN_TRY(tern__roi_shape(n, in, 4, out));
    TERN_TRY(tern__need_vector(n, in, 2, in[1].shape.dim[0], "region"));
    if (tern__attr_int(n, SAMPLING) < 0 || tern__attr_int(n, SAMPLING) > TERN__ROI_SAMPLES)
        return tern__fail(TERN_E_INVALID, "roi_align: sampling_ratio %lld is not in 0 to %d", (long long)tern__attr_int(n, SAMPLING), TERN__ROI_SAMPLES);
    return TERN_OK;
}

/* One axis of a region: where it starts, how long a bin is, how many samples a bin has. */
typedef struct line {
    double start, bin;
    int64_t samples;
} line;

static line line_of(const tern__node *n, const tern__array *rois, int64_t r, int axis, int64_t bins)
{
    const tern_dtype t = rois->type.dtype;
    const double scale = tern__roi_round(t, tern__attr_float(n, SCALE)), shift = tern__attr_int(n, HALF_PIXEL) ? 0.5 : 0;
    const double start = tern__roi_round(t, tern__roi_round(t, tern__array_get(rois, r * 4 + axis) * scale) - shift);
    const double end = tern__roi_round(t, tern__roi_round(t, tern__array_get(rois, r * 4 + 2 + axis) * scale) - shift);
    const double given = tern__roi_round(t, end - start), extent = tern__attr_int(n, HALF_PIXEL) ? given : fmax(given, 1);
    const double bin = tern__roi_round(t, extent / (double)bins);
    const int64_t fixed = tern__attr_int(n, SAMPLING);
    const double adaptive = fmin(fmax(ceil(bin), 0), TERN__ROI_SAMPLES);
    return (line){.start = start, .bin = bin, .samples = fixed ? fixed : (int64_t)adaptive};
}

/* The two elements around a position and the share of the second; false outside of the image. */
static bool neighbours(double at, int64_t extent, int64_t *low, int64_t *high, double *share)
{
    if (!(at >= -1 && at <= (double)extent))
        return false;
    at = fmax(at, 0);
    *low = (int64_t)at;
    *high = *low + 1;
    if (*low >= extent - 1) {
        *low = *high = extent - 1;
        at = (double)*low;
    }
    *share = at - (double)*low;
    return true;
}

/* One sample: the interpolated value, or for max the largest of the four weighted neighbours, as ONNX has it. */
static double sample(const tern__array *x, int64_t plane, int64_t height, int64_t width, double y, double at, bool max)
{
    int64_t y0, y1, x0, x1;
    double v, u;
    if (!neighbours(y, height, &y0, &y1, &v) || !neighbours(at, width, &x0, &x1, &u))
        return 0;
    const double a = (1 - v) * (1 - u) * tern__array_get(x, plane + y0 * width + x0), b = (1 - v) * u * tern__array_get(x, plane + y0 * width + x1);
    const double c = v * (1 - u) * tern__array_get(x, plane + y1 * width + x0), d = v * u * tern__array_get(x, plane + y1 * width + x1);
    return max ? fmax(fmax(a, b), fmax(c, d)) : a + b + c + d;
}

static double pool_bin(const tern__node *n, const tern__array *x, int64_t plane, const line *h, const line *w, int64_t ph, int64_t pw)
{
    const bool max = tern__attr_int(n, MAXIMUM) != 0;
    double acc = 0;
    for (int64_t i = 0; i < h->samples; i++) {
        for (int64_t k = 0; k < w->samples; k++) {
            const double y = h->start + (double)ph * h->bin + ((double)i + 0.5) * h->bin / (double)h->samples;
            const double at = w->start + (double)pw * w->bin + ((double)k + 0.5) * w->bin / (double)w->samples;
            const double v = sample(x, plane, x->type.shape.dim[2], x->type.shape.dim[3], y, at, max);
            acc = !max ? acc + v : i == 0 && k == 0 ? v : fmax(acc, v);
        }
    }
    return max ? acc : acc / (double)TERN_MAX(h->samples * w->samples, 1);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &out[0].type.shape, *x = &in[0].type.shape;
    int64_t o = 0;
    for (int64_t r = 0; r < s->dim[0]; r++) {
        const int64_t batch = tern__array_get_int(&in[2], r);
        const bool there = batch >= 0 && batch < x->dim[0];
        const line h = line_of(n, &in[1], r, 1, s->dim[2]), w = line_of(n, &in[1], r, 0, s->dim[3]);
        for (int64_t c = 0; c < s->dim[1]; c++)
            for (int64_t ph = 0; ph < s->dim[2]; ph++)
                for (int64_t pw = 0; pw < s->dim[3]; pw++) {
                    const int64_t plane = there ? (batch * x->dim[1] + c) * x->dim[2] * x->dim[3] : 0;
                    tern__array_set(&out[0], o++, there ? pool_bin(n, &in[0], plane, &h, &w, ph, pw) : 0);
                }
    }
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_roi_items, NULL};

TERN_OP(roi_align) = {
    .name = "roi_align",
    .doc = "y[r, c] = image batch[r] of x in the region rois[r] = (x1, y1, x2, y2) * scale, in height x width bins, each the mean (max: the largest weighted "
           "neighbour) of sampling_ratio^2 bilinear samples, 0: as many as a bin is long, at most 1024 (He et al. 2017); half_pixel: coordinates are those "
           "of the elements' corners; a batch out of range gives 0",
    .trait = TERN__OPAQUE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .impls = impls,
};
