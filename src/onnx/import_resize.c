/* Handlers of Resize and Upsample: each axis on its own, as picked elements or as weighted sums of a few, all worked out while importing. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "onnx/import_image.h"
#include "ops/common.h"

/* The longest result along an axis, whose positions are worked out one by one. */
#define EXTENT_MAX (INT64_C(1) << 23)
/* Up to so many neighbours are added up one by one; sums of more are a matrix product. */
#define FEW_TAPS 4
/* The largest such matrix. */
#define MATRIX_MAX (INT64_C(1) << 24)

typedef enum mode { NEAREST, LINEAR, CUBIC } mode;
typedef enum transform { HALF_PIXEL, SYMMETRIC, PYTORCH, ALIGN_CORNERS, ASYMMETRIC, TF_NEAREST, TF_CROP } transform;
typedef enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL, OLD } rounding;

typedef struct resize {
    mode mode;
    transform transform;
    rounding rounding;
    bool antialias, exclude_outside;
    double cubic_a, extrapolation;
} resize;

/* One axis: how long it is and becomes. width is in * scale, before rounding. Numbers are f32 as in other runtimes, for they decide which
 * neighbour is nearest. */
typedef struct line {
    int axis;
    int64_t in, out;
    float scale, width, roi[2];
} line;

/* --- Where elements come from --- */

static float original(const resize *r, const line *l, int64_t at)
{
    const float x = (float)at, last = (float)(l->in - 1);
    switch (r->transform) {
    case ALIGN_CORNERS:
        return l->width == 1 ? 0 : x * last / (l->width - 1);
    case ASYMMETRIC:
        return x / l->scale;
    case TF_CROP:
        return l->width > 1 ? l->roi[0] * last + x * (l->roi[1] - l->roi[0]) * last / (l->width - 1) : (l->roi[0] + l->roi[1]) * last / 2;
    case TF_NEAREST:
        return (x + 0.5f) / l->scale;
    case PYTORCH:
        return l->out > 1 ? (x + 0.5f) / l->scale - 0.5f : 0;
    case SYMMETRIC:
        return (float)l->in / 2 * (1 - (float)l->out / l->width) + (x + 0.5f) / l->scale - 0.5f;
    default:
        return (x + 0.5f) / l->scale - 0.5f;
    }
}

static int64_t clamped(double x, int64_t extent)
{
    return x < 0 ? 0 : x > (double)(extent - 1) ? extent - 1 : (int64_t)x;
}

static int64_t nearest(const resize *r, const line *l, int64_t at)
{
    const double x = (double)original(r, l, at), low = floor(x);
    double k = x;
    switch (r->rounding) {
    case PREFER_FLOOR:
        k = ceil(x - 0.5);
        break;
    case PREFER_CEIL:
        k = floor(x + 0.5);
        break;
    case FLOOR:
        k = low;
        break;
    case CEIL:
        k = ceil(x);
        break;
    case OLD: /* before it was an attribute: up when made smaller, else down */
        k = l->scale < 1 ? ceil(x) : low;
        break;
    }
    return clamped(k, l->in);
}

/* Keys's cubic convolution kernel (1981) at distance x. */
static double cubic(double x, double a)
{
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Neighbours that one result is made of. first: the position before it (made wider by antialias when an axis gets shorter) that counts first. */
static int tap_count(const resize *r, const line *l, int *first)
{
    const int reach = r->mode == CUBIC ? 2 : 1;
    *first = 1 - reach;
    if (r->antialias && l->scale < 1)
        *first = (int)floor(-reach / (double)l->scale) + 1;
    return 2 - 2 * *first;
}

/* Weights of the taps for one result, and the position of the first. */
static int64_t weigh(const resize *r, const line *l, int64_t at, int taps, int first, double *w)
{
    const double x = (double)original(r, l, at), base = r->antialias ? ceil(x) - 1 : floor(x);
    const double squeeze = r->antialias && l->scale < 1 ? (double)l->scale : 1;
    double sum = 0;
    for (int i = 0; i < taps; i++) {
        const double distance = (base + first + i - x) * squeeze;
        w[i] = r->mode == CUBIC ? cubic(distance, r->cubic_a) : fmax(1 - fabs(distance), 0);
        if (r->exclude_outside && (base + first + i < 0 || base + first + i >= (double)l->in))
            w[i] = 0;
        sum += w[i];
    }
    if ((r->antialias || r->exclude_outside) && sum != 0)
        for (int i = 0; i < taps; i++)
            w[i] /= sum;
    return (int64_t)fmin(fmax(base + first, -INT32_MAX), INT32_MAX);
}

/* --- Nearest --- */

static tern_value take(tern__onnx_node *n, tern_value x, const line *l, const int64_t *from)
{
    const tern_shape s = {.rank = 1, .dim = {l->out}};
    return tern_graph_op2(n->g, "gather", x, tern__onnx_const_ints(n, TERN_I32, &s, from), TERN_ATTRS(TERN_INT("axis", l->axis)));
}

/* Each element so many times in a row: broadcasting, which costs nothing. */
static tern_value repeat(tern_graph *g, tern_value x, const line *l)
{
    tern_shape cells = *tern__shape_of(g, x), whole = cells;
    for (int i = cells.rank++; i > l->axis + 1; i--)
        cells.dim[i] = cells.dim[i - 1];
    cells.dim[l->axis + 1] = l->out / l->in;
    whole.dim[l->axis] = l->out;
    return tern__reshape(g, tern__expand_to(g, tern__unsqueeze(g, x, 1u << (l->axis + 1)), &cells), &whole);
}

/* Every step-th element from the first on. */
static tern_value stride(tern_graph *g, tern_value x, const line *l, int64_t first, int64_t step)
{
    const int64_t end = first + (l->out - 1) * step + 1, axis = l->axis;
    return tern_graph_op1(g, "slice", x, TERN_ATTRS(TERN_INTS("starts", &first, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &axis, 1),
                                                    TERN_INTS("steps", &step, 1)));
}

static tern_value pick(tern__onnx_node *n, const resize *r, tern_value x, const line *l)
{
    int64_t *from = tern__onnx_scratch(n, (size_t)l->out, sizeof *from);
    if (!from)
        return TERN_NONE;
    for (int64_t i = 0; i < l->out; i++)
        from[i] = nearest(r, l, i);
    const int64_t times = l->out / l->in, step = l->out > 1 ? from[1] - from[0] : 1;
    bool repeats = l->out % l->in == 0 && tern__shape_of(n->g, x)->rank < TERN_MAX_RANK, steps = step > 0;
    for (int64_t i = 0; i < l->out && (repeats || steps); i++) {
        repeats = repeats && from[i] == i / times;
        steps = steps && from[i] == from[0] + i * step;
    }
    return repeats ? repeat(n->g, x, l) : steps ? stride(n->g, x, l, from[0], step) : take(n, x, l, from);
}

/* --- Weighted sums --- */

/* A constant of one number for each result along the axis, broadcast over the others. */
static tern_value along(tern__onnx_node *n, const line *l, int rank, tern_dtype t, const double *v)
{
    tern_shape s = {.rank = rank};
    for (int i = 0; i < rank; i++)
        s.dim[i] = i == l->axis ? l->out : 1;
    return tern__onnx_const(n, t, &s, v);
}

/* y = sum of weight * picked, tap by tap. */
static tern_value add_taps(tern__onnx_node *n, const resize *r, tern_value x, const line *l, int taps, int first)
{
    tern_graph *g = n->g;
    const int rank = tern__shape_of(g, x)->rank;
    const tern_dtype t = tern__dtype_of(g, x);
    const size_t out = (size_t)l->out;
    int64_t *from = tern__onnx_scratch(n, out * FEW_TAPS, sizeof *from);
    double *weight = tern__onnx_scratch(n, out * FEW_TAPS, sizeof *weight), w[FEW_TAPS];
    bool counts[FEW_TAPS] = {false};
    if (!from || !weight)
        return TERN_NONE;
    for (int64_t i = 0; i < l->out; i++) {
        const int64_t base = weigh(r, l, i, taps, first, w);
        for (int k = 0; k < taps; k++) {
            from[k * l->out + i] = clamped((double)(base + k), l->in);
            weight[k * l->out + i] = w[k];
            counts[k] |= w[k] != 0;
        }
    }
    tern_value y = TERN_NONE;
    for (int k = 0; k < taps; k++) {
        if (!counts[k] && !(k == taps - 1 && y == TERN_NONE)) /* one is needed, if only for its zeroes */
            continue;
        tern_value part = tern__mul(g, take(n, x, l, from + k * l->out), along(n, l, rank, t, weight + k * l->out));
        y = y == TERN_NONE ? part : tern__add(g, y, part);
    }
    return y;
}

/* The same as a product with a matrix of all weights, for sums over many elements. */
static tern_value multiply(tern__onnx_node *n, const resize *r, tern_value x, const line *l, int taps, int first)
{
    tern_graph *g = n->g;
    const tern_shape s = *tern__shape_of(g, x), m = {.rank = 2, .dim = {l->out, l->in}};
    double *matrix = tern__onnx_scratch(n, (size_t)l->out, (size_t)l->in * sizeof *matrix), *w = tern__onnx_scratch(n, (size_t)taps, sizeof *w);
    if (!matrix || !w)
        return TERN_NONE;
    for (int64_t i = 0; i < l->out; i++) {
        const int64_t from = weigh(r, l, i, taps, first, w);
        for (int k = 0; k < taps; k++)
            matrix[i * l->in + clamped((double)(from + k), l->in)] += w[k];
    }
    const tern_shape seen = {.rank = 3, .dim = {tern__extent(&s, 0, l->axis), l->in, tern__extent(&s, l->axis + 1, s.rank)}};
    tern_shape y = s;
    y.dim[l->axis] = l->out;
    tern_value weights = tern__onnx_const(n, tern__dtype_of(g, x), &m, matrix);
    if (seen.dim[2] == 1) {
        const tern_shape rows = {.rank = 2, .dim = {seen.dim[0], l->in}};
        return tern__reshape(g, tern_graph_op2(g, "matmul", tern__reshape(g, x, &rows), weights, TERN_ATTRS(TERN_INT("trans_b", 1))), &y);
    }
    return tern__reshape(g, tern_graph_op2(g, "matmul", weights, tern__reshape(g, x, &seen), NULL), &y);
}

static tern_value blend(tern__onnx_node *n, const resize *r, tern_value x, const line *l)
{
    int first;
    const int taps = tap_count(r, l, &first);
    if (taps <= FEW_TAPS)
        return add_taps(n, r, x, l, taps, first);
    return multiply(n, r, x, l, taps, first);
}

/* tf_crop_and_resize: results whose place lies outside x have a value of their own. */
static tern_value extrapolate(tern__onnx_node *n, const resize *r, tern_value y, const line *l)
{
    bool any = false;
    double *outside = tern__onnx_scratch(n, (size_t)l->out, sizeof *outside);
    for (int64_t i = 0; outside && i < l->out; i++) {
        const float x = original(r, l, i);
        outside[i] = x < 0 || x > (float)(l->in - 1);
        any |= outside[i] != 0;
    }
    if (!any || tern_graph_check(n->g) != TERN_OK)
        return y;
    return tern__where(n->g, along(n, l, tern__shape_of(n->g, y)->rank, TERN_BOOL, outside), tern__like(n->g, y, r->extrapolation), y);
}

/* --- All axes --- */

static bool changes(const resize *r, const line *l)
{
    return l->out != l->in || l->scale != 1 || (r->transform == TF_CROP && (l->roi[0] != 0 || l->roi[1] != 1));
}

static tern_status check_line(tern__onnx_node *n, const resize *r, const line *l)
{
    int first;
    if (l->out < 0 || l->out > EXTENT_MAX || l->in > EXTENT_MAX || (l->in == 0 && l->out > 0) || !(l->scale > 0))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "from extent %" PRId64 " to %" PRId64 " (scale %g) along axis %d", l->in, l->out, (double)l->scale,
                               l->axis);
    if (r->mode == NEAREST || l->out == 0)
        return TERN_OK;
    if (1 / (double)l->scale > (double)EXTENT_MAX || (tap_count(r, l, &first) > FEW_TAPS && l->out * l->in > MATRIX_MAX))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "antialias from extent %" PRId64 " to %" PRId64, l->in, l->out);
    return TERN_OK;
}

/* Integers are interpolated as numbers, rounded and kept in range. */
static tern_value back_to(tern_graph *g, tern_value v, tern_dtype t)
{
    if (tern__dtype_is(t, TERN__T_FLOAT) || tern_graph_check(g) != TERN_OK)
        return tern__cast(g, v, t);
    const int bits = (int)tern_dtype_size(t) * 8;
    const bool is_unsigned = tern__is_unsigned(t);
    const double low = is_unsigned ? 0 : -ldexp(1, bits - 1), high = ldexp(1, is_unsigned ? bits : bits - 1) - 1;
    v = tern_graph_op1(g, "clip", tern__unary(g, "round", v), TERN_ATTRS(TERN_FLOAT("min", low), TERN_FLOAT("max", high)));
    return tern__cast(g, v, t);
}

static tern_status resize_axes(tern__onnx_node *n, const resize *r, const line *lines, int n_lines)
{
    tern_graph *g = n->g;
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    const tern_shape *s = tern__onnx_shape(n, 0);
    for (int i = 0; i < n_lines; i++)
        TERN_TRY(check_line(n, r, &lines[i]));
    tern_value y = tern__onnx_in(n, 0);
    if (r->mode != NEAREST)
        y = tern__dtype_is(t, TERN__T_FLOAT) ? tern__widen(g, y) : tern__cast(g, y, tern_dtype_size(t) > 2 ? TERN_F64 : TERN_F32);
    for (int i = 0; i < n_lines; i++) {
        const line *l = &lines[i];
        if (!changes(r, l))
            continue;
        TERN_TRY(tern_graph_check(g));
        if (l->out == 0 || tern__elems(s) == 0) {
            tern_shape empty = *tern__shape_of(g, y);
            empty.dim[l->axis] = l->out;
            y = tern__expand_to(g, tern__like(g, y, 0), &empty);
            continue;
        }
        y = r->mode == NEAREST ? pick(n, r, y, l) : blend(n, r, y, l);
        if (r->transform == TF_CROP)
            y = extrapolate(n, r, y, l);
    }
    return tern__onnx_done(n, 0, r->mode == NEAREST ? tern__unary(g, "identity", y) : back_to(g, y, t));
}

/* --- Attributes --- */

static tern_status one_of(tern__onnx_node *n, const char *name, const char *value, const char *const *known, int count, int *out)
{
    for (int i = 0; i < count; i++)
        if (strcmp(value, known[i]) == 0) {
            *out = i;
            return TERN_OK;
        }
    return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "%s \"%s\"", name, value);
}

static tern_status read_modes(tern__onnx_node *n, resize *r)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const transforms[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                                             "asymmetric",    "tf_half_pixel_for_nn", "tf_crop_and_resize"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    int m, t = ASYMMETRIC, k = OLD;
    TERN_TRY(one_of(n, "mode", tern__onnx_attr_string(n, "mode", "nearest"), modes, TERN_COUNT(modes), &m));
    if (n->opset >= 11) {
        TERN_TRY(one_of(n, "coordinate_transformation_mode", tern__onnx_attr_string(n, "coordinate_transformation_mode", "half_pixel"), transforms,
                        TERN_COUNT(transforms), &t));
        TERN_TRY(one_of(n, "nearest_mode", tern__onnx_attr_string(n, "nearest_mode", "round_prefer_floor"), roundings, TERN_COUNT(roundings), &k));
    }
    *r = (resize){.mode = (mode)m, .transform = (transform)t, .rounding = (rounding)k};
    r->cubic_a = tern__onnx_attr_float(n, "cubic_coeff_a", -0.75);
    r->exclude_outside = tern__onnx_attr_int(n, "exclude_outside", 0) != 0;
    r->extrapolation = tern__onnx_attr_float(n, "extrapolation_value", 0);
    r->antialias = tern__onnx_attr_int(n, "antialias", 0) != 0;
    if (r->antialias && r->mode == NEAREST)
        return tern__onnx_fail(n, TERN_E_INVALID, "antialias with mode nearest");
    return TERN_OK;
}

/* The axes that change: those of the attribute, or all. */
static tern_status read_axes(tern__onnx_node *n, line *lines, int *n_lines)
{
    int count;
    const int64_t *axes = tern__onnx_attr_ints(n, "axes", &count);
    const tern_shape *s = tern__onnx_shape(n, 0);
    unsigned seen = 0;
    *n_lines = axes ? count : s->rank;
    if (*n_lines > s->rank)
        return tern__onnx_fail(n, TERN_E_INVALID, "%d axes for rank %d", count, s->rank);
    for (int i = 0; i < *n_lines; i++) {
        int axis = i;
        if (axes)
            TERN_TRY(tern__onnx_axis(n, axes[i], s->rank, &axis));
        if (seen >> axis & 1)
            return tern__onnx_fail(n, TERN_E_INVALID, "axis %d is named twice", axis);
        seen |= 1u << axis;
        lines[i] = (line){.axis = axis, .in = s->dim[axis], .out = s->dim[axis], .scale = 1, .roi = {0, 1}};
    }
    return TERN_OK;
}

static tern_status apply_scales(tern__onnx_node *n, line *lines, int n_lines, const double *scales, int count)
{
    if (count != n_lines)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%d scales for %d axes", count, n_lines);
    for (int i = 0; i < n_lines; i++) {
        line *l = &lines[i];
        l->scale = (float)scales[i];
        l->width = (float)l->in * l->scale;
        if (!(l->scale > 0 && l->width <= (float)EXTENT_MAX))
            return tern__onnx_fail(n, TERN_E_INVALID, "scale %g of extent %" PRId64 " along axis %d", scales[i], l->in, l->axis);
        l->out = (int64_t)floorf(l->width);
    }
    return TERN_OK;
}

/* One scale for all axes, the smallest or the largest that is asked for. */
static void keep_ratio(line *lines, int n_lines, bool smallest)
{
    double scale = (double)lines[0].scale;
    for (int i = 1; i < n_lines; i++)
        scale = smallest ? fmin(scale, (double)lines[i].scale) : fmax(scale, (double)lines[i].scale);
    for (int i = 0; i < n_lines; i++) {
        lines[i].scale = (float)scale;
        lines[i].width = (float)lines[i].in * lines[i].scale;
        lines[i].out = lines[i].width > (float)EXTENT_MAX ? EXTENT_MAX + 1 : (int64_t)floor((double)lines[i].width + 0.5);
    }
}

static tern_status apply_sizes(tern__onnx_node *n, line *lines, int n_lines, const int64_t *sizes, int count)
{
    const char *policy = tern__onnx_attr_string(n, "keep_aspect_ratio_policy", "stretch");
    if (count != n_lines)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%d sizes for %d axes", count, n_lines);
    for (int i = 0; i < n_lines; i++) {
        line *l = &lines[i];
        if (sizes[i] < 0 || sizes[i] > EXTENT_MAX || l->in < 1)
            return tern__onnx_fail(n, TERN_E_INVALID, "from extent %" PRId64 " to %" PRId64 " along axis %d", l->in, sizes[i], l->axis);
        l->out = sizes[i];
        l->width = (float)sizes[i];
        l->scale = sizes[i] == 0 ? 1 : (float)sizes[i] / (float)l->in;
    }
    if (strcmp(policy, "stretch") == 0 || n_lines == 0)
        return TERN_OK;
    const bool smallest = strcmp(policy, "not_larger") == 0;
    if (!smallest && strcmp(policy, "not_smaller") != 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "keep_aspect_ratio_policy \"%s\"", policy);
    keep_ratio(lines, n_lines, smallest);
    return TERN_OK;
}

static tern_status read_roi(tern__onnx_node *n, const resize *r, line *lines, int n_lines)
{
    const double *roi;
    int count;
    if (r->transform != TF_CROP)
        return TERN_OK;
    TERN_TRY(tern__onnx_read_floats(n, 1, &roi, &count));
    if (count != 2 * n_lines)
        return tern__onnx_fail(n, TERN_E_SHAPE, "the region has %d numbers for %d axes, all starts, then all ends", count, n_lines);
    for (int i = 0; i < n_lines; i++) {
        lines[i].roi[0] = (float)roi[i];
        lines[i].roi[1] = (float)roi[n_lines + i];
        if (!isfinite(lines[i].roi[0]) || !isfinite(lines[i].roi[1]))
            return tern__onnx_fail(n, TERN_E_INVALID, "the region is not finite along axis %d", lines[i].axis);
    }
    return TERN_OK;
}

tern_status tern__onnx_resize(tern__onnx_node *n)
{
    const double *scales;
    const int64_t *sizes;
    resize r;
    line lines[TERN_MAX_RANK];
    int n_lines, n_scales, n_sizes = 0;
    TERN_TRY(tern__onnx_need_rank(n, 0, 1, TERN_MAX_RANK));
    TERN_TRY(tern__onnx_read_floats(n, n->opset < 11 ? 1 : 2, &scales, &n_scales));
    if (n->opset >= 11 && n_scales == 0)
        TERN_TRY(tern__onnx_read_ints(n, 3, &sizes, &n_sizes));
    TERN_TRY(read_modes(n, &r));
    TERN_TRY(read_axes(n, lines, &n_lines));
    tern__onnx_attr_ignore(n, "keep_aspect_ratio_policy");
    if (n_scales > 0)
        TERN_TRY(apply_scales(n, lines, n_lines, scales, n_scales));
    else if (n_sizes > 0)
        TERN_TRY(apply_sizes(n, lines, n_lines, sizes, n_sizes));
    else if (n_lines > 0)
        return tern__onnx_fail(n, TERN_E_INVALID, "neither scales nor sizes are given");
    TERN_TRY(read_roi(n, &r, lines, n_lines));
    return resize_axes(n, &r, lines, n_lines);
}

/* Scales: two attributes of their own for height and width, then a list, then an input. */
static tern_status upsample_scales(tern__onnx_node *n, const double **out, int *count)
{
    if (n->opset >= 9)
        return tern__onnx_read_floats(n, 1, out, count);
    double *v = tern__onnx_scratch(n, TERN_MAX_RANK, sizeof *v);
    if (!v)
        return TERN_E_NOMEM;
    *out = v;
    if (n->opset >= 7) {
        const float *given = tern__onnx_attr_floats(n, "scales", count);
        for (int i = 0; i < *count && i < TERN_MAX_RANK; i++)
            v[i] = (double)given[i];
        return TERN_OK;
    }
    TERN_TRY(tern__onnx_need_rank(n, 0, 4, 4));
    *count = 4;
    v[0] = v[1] = 1;
    v[2] = tern__onnx_attr_float(n, "height_scale", 1);
    v[3] = tern__onnx_attr_float(n, "width_scale", 1);
    return TERN_OK;
}

tern_status tern__onnx_upsample(tern__onnx_node *n)
{
    static const char *const modes[] = {"nearest", "linear", "bilinear"};
    const double *scales;
    line lines[TERN_MAX_RANK];
    int n_lines, count, m;
    TERN_TRY(tern__onnx_need_rank(n, 0, 1, TERN_MAX_RANK));
    TERN_TRY(upsample_scales(n, &scales, &count));
    TERN_TRY(one_of(n, "mode", tern__onnx_attr_string(n, "mode", "nearest"), modes, TERN_COUNT(modes), &m));
    const resize r = {.mode = m ? LINEAR : NEAREST, .transform = ASYMMETRIC, .rounding = OLD};
    TERN_TRY(read_axes(n, lines, &n_lines));
    TERN_TRY(apply_scales(n, lines, n_lines, scales, count));
    return resize_axes(n, &r, lines, n_lines);
}
