/* Reading images between their elements: GridSample, AffineGrid, and the sampling that DeformConv shares with them. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "onnx/import_image.h"
#include "ops/common.h"

/* --- Sampling --- */

/* A position along one axis: an element, and what it counts for. weight TERN_NONE: 1. */
typedef struct tap {
    tern_value at, weight;
} tap;

static tern_value clip(tern_graph *g, tern_value v, double lo, double hi)
{
    return tern_graph_op1(g, "clip", v, TERN_ATTRS(TERN_FLOAT("min", lo), TERN_FLOAT("max", hi)));
}

/* Thrown back at both borders as often as it takes: a triangle wave. */
static tern_value reflect(tern_graph *g, tern_value v, int64_t extent, bool corners)
{
    const double lo = corners ? 0 : -0.5, hi = (double)extent - (corners ? 1 : 0.5), span = hi - lo;
    if (span <= 0)
        return tern__mul_scalar(g, v, 0);
    tern_value u = tern__unary(g, "abs", tern__add_scalar(g, v, -lo));
    tern_value turns = tern__unary(g, "floor", tern__mul_scalar(g, u, 1 / span)), rest = tern__sub(g, u, tern__mul_scalar(g, turns, span));
    tern_value half = tern__mul_scalar(g, turns, 0.5), even = tern_graph_op2(g, "equal", tern__unary(g, "floor", half), half, NULL);
    return tern__where(g, even, tern__add_scalar(g, rest, lo), tern__add_scalar(g, tern__neg(g, rest), hi));
}

/* A coordinate beyond the border, where it comes to lie. */
static tern_value brought_back(tern_graph *g, const tern__onnx_sampler *s, tern_value v, int64_t extent)
{
    if (s->outside == TERN__OUTSIDE_REFLECT)
        return reflect(g, v, extent, s->corners);
    if (s->outside == TERN__OUTSIDE_ZEROS || s->mode == TERN__SAMPLE_CUBIC) /* a cubic's neighbours come back one by one */
        return v;
    /* The border proper is the outer edge of the last element: up to there its neighbours still count. */
    const double lo = s->corners ? 0 : -0.5, hi = (double)extent - (s->corners ? 1 : 0.5);
    tern_value beyond = tern_graph_op2(g, "logical_or", tern__compare(g, "less", v, lo), tern__compare(g, "greater", v, hi), NULL);
    return tern__where(g, beyond, clip(g, v, 0, (double)(extent - 1)), v);
}

/* An element that exists, with the weight it is worth. */
static tap settle(tern_graph *g, const tern__onnx_sampler *s, tern_value at, tern_value weight, int64_t extent)
{
    if (s->outside == TERN__OUTSIDE_ZEROS) {
        tern_value inside = tern_graph_op2(g, "logical_and", tern__compare(g, "greater_equal", at, 0), tern__compare(g, "less", at, (double)extent), NULL);
        tern_value full = weight == TERN_NONE ? tern__like(g, at, 1) : weight;
        weight = tern__where(g, inside, full, tern__like(g, at, 0));
    } else if (s->outside == TERN__OUTSIDE_REFLECT) {
        at = tern__unary(g, "round", reflect(g, at, extent, s->corners));
    }
    return (tap){.at = clip(g, at, 0, (double)(extent - 1)), .weight = weight};
}

/* The cubic kernel with a = -0.75 for neighbours -1 to 2 of a position r behind neighbour 0. */
static tern_value cubic_weight(tern_graph *g, tern_value r, int k)
{
    static const double a = -0.75;
    /* Distances: 1 + r, r, 1 - r, 2 - r. */
    tern_value d = k < 2 ? tern__add_scalar(g, r, k == 0 ? 1 : 0) : tern__add_scalar(g, tern__neg(g, r), k == 2 ? 1 : 2);
    tern_value w;
    if (k == 1 || k == 2) {
        w = tern__add_scalar(g, tern__mul_scalar(g, d, a + 2), -(a + 3));
        return tern__add_scalar(g, tern__mul(g, tern__mul(g, w, d), d), 1);
    }
    w = tern__add_scalar(g, tern__mul_scalar(g, d, a), -5 * a);
    w = tern__add_scalar(g, tern__mul(g, w, d), 8 * a);
    return tern__add_scalar(g, tern__mul(g, w, d), -4 * a);
}

/* The elements along one axis that a coordinate is read from; returns how many. */
static int find_taps(tern_graph *g, const tern__onnx_sampler *s, tern_value v, int64_t extent, tap taps[4])
{
    if (s->mode == TERN__SAMPLE_NEAREST)
        v = tern__unary(g, "round", v);
    v = brought_back(g, s, v, extent);
    if (s->mode == TERN__SAMPLE_NEAREST) {
        taps[0] = settle(g, s, v, TERN_NONE, extent);
        return 1;
    }
    tern_value base = tern__unary(g, "floor", v), r = tern__sub(g, v, base);
    const bool cubic = s->mode == TERN__SAMPLE_CUBIC;
    const int count = cubic ? 4 : 2;
    for (int k = 0; k < count; k++) {
        tern_value weight = cubic ? cubic_weight(g, r, k) : k ? r : tern__add_scalar(g, tern__neg(g, r), 1);
        taps[k] = settle(g, s, tern__add_scalar(g, base, k - (cubic ? 1 : 0)), weight, extent);
    }
    return count;
}

/* What all reads share: x as [N * spatial, C] and how to get from [N, points, C] to [N, C, points]. */
typedef struct source {
    tern_graph *g;
    tern_value rows, sample; /* rows of x; number of each sample's first row */
    int dims;
    int64_t stride[3];
    int perm[TERN_MAX_RANK];
    tern_dtype index;
} source;

static source open_source(tern_graph *g, tern_value x, int point_rank)
{
    const tern_shape s = *tern__shape_of(g, x);
    source src = {.g = g, .dims = s.rank - 2};
    int to_last[TERN_MAX_RANK];
    for (int i = 0; i < s.rank; i++)
        to_last[i] = i == 0 ? 0 : i == s.rank - 1 ? 1 : i + 1;
    const int64_t plane = tern__extent(&s, 2, s.rank);
    const tern_shape rows = {.rank = 2, .dim = {s.dim[0] * plane, s.dim[1]}};
    src.rows = tern__reshape(g, tern__transpose(g, x, to_last), &rows);
    src.index = rows.dim[0] < INT32_MAX ? TERN_I32 : TERN_I64;
    int64_t each[TERN_MAX_RANK] = {s.dim[0]};
    for (int i = 1; i < point_rank; i++)
        each[i] = 1;
    src.sample = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", each, point_rank), TERN_STRING("dtype", tern_dtype_name(src.index))));
    src.sample = tern__mul_scalar(g, src.sample, (double)plane);
    for (int d = 0; d < src.dims; d++)
        src.stride[d] = tern__extent(&s, 3 + d, s.rank);
    for (int i = 0; i <= point_rank; i++)
        src.perm[i] = i == 0 ? 0 : i == 1 ? point_rank : i - 1;
    return src;
}

/* The elements that one choice of taps names, times their weights. */
static tern_value read_taps(const source *src, const tap *const *axes, const int *choice)
{
    tern_graph *g = src->g;
    tern_value index = src->sample, weight = TERN_NONE;
    for (int d = 0; d < src->dims; d++) {
        const tap *t = &axes[d][choice[d]];
        index = tern__add(g, index, tern__mul_scalar(g, tern__cast(g, t->at, src->index), (double)src->stride[d]));
        if (t->weight != TERN_NONE)
            weight = weight == TERN_NONE ? t->weight : tern__mul(g, weight, t->weight);
    }
    tern_value v = tern__transpose(g, tern_graph_op2(g, "gather", src->rows, index, NULL), src->perm);
    return weight == TERN_NONE ? v : tern__mul(g, v, tern__unsqueeze(g, weight, 1u << 1));
}

tern_value tern__onnx_sample(tern_graph *g, const tern__onnx_sampler *s, tern_value x, const tern_value *coord)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const tern_shape shape = *tern__shape_of(g, x);
    source src = open_source(g, x, tern__shape_of(g, coord[0])->rank);
    tap taps[3][4];
    const tap *axes[3] = {taps[0], taps[1], taps[2]};
    int count[3] = {1, 1, 1}, at[3];
    for (int d = 0; d < src.dims; d++)
        count[d] = find_taps(g, s, coord[d], shape.dim[2 + d], taps[d]);
    tern_value sum = TERN_NONE;
    for (at[0] = 0; at[0] < count[0]; at[0]++)
        for (at[1] = 0; at[1] < count[1]; at[1]++)
            for (at[2] = 0; at[2] < count[2]; at[2]++) {
                tern_value v = read_taps(&src, axes, at);
                sum = sum == TERN_NONE ? v : tern__add(g, sum, v);
            }
    return sum;
}

/* --- GridSample --- */

static tern_status read_sampler(tern__onnx_node *n, tern__onnx_sampler *s)
{
    static const struct {
        const char *name;
        int mode;
    } modes[] = {{"nearest", TERN__SAMPLE_NEAREST}, {"bilinear", TERN__SAMPLE_LINEAR}, {"linear", TERN__SAMPLE_LINEAR},
                 {"bicubic", TERN__SAMPLE_CUBIC},   {"cubic", TERN__SAMPLE_CUBIC}};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const char *mode = tern__onnx_attr_string(n, "mode", "linear"), *padding = tern__onnx_attr_string(n, "padding_mode", "zeros");
    s->mode = s->outside = -1;
    s->corners = tern__onnx_attr_int(n, "align_corners", 0) != 0;
    for (size_t i = 0; i < TERN_COUNT(modes); i++)
        if (strcmp(mode, modes[i].name) == 0)
            s->mode = modes[i].mode;
    for (int i = 0; i < 3; i++)
        if (strcmp(padding, paddings[i]) == 0)
            s->outside = i;
    if (s->mode < 0 || s->outside < 0)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "mode \"%s\", padding_mode \"%s\"", mode, padding);
    return TERN_OK;
}

/* Coordinates run from -1 to 1 between the middles of the outermost elements, or between their outer edges. */
static tern_value from_unit(tern_graph *g, tern_value v, int64_t extent, bool corners)
{
    v = tern__add_scalar(g, v, 1);
    if (corners)
        return tern__mul_scalar(g, tern__mul_scalar(g, v, 0.5), (double)(extent - 1));
    return tern__mul_scalar(g, tern__add_scalar(g, tern__mul_scalar(g, v, (double)extent), -1), 0.5);
}

/* Component c of the last axis, which is dropped. */
static tern_value component(tern_graph *g, tern_value v, int64_t c)
{
    const int rank = tern__shape_of(g, v)->rank;
    const int64_t end = c + 1, axis = rank - 1;
    v = tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", &c, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &axis, 1)));
    return tern__squeeze(g, v, 1u << axis);
}

tern_status tern__onnx_grid_sample(tern__onnx_node *n)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern__onnx_sampler s;
    TERN_TRY(read_sampler(n, &s));
    TERN_TRY(tern__onnx_need_rank(n, 0, 3, 5));
    const tern_shape x = *tern__onnx_shape(n, 0), grid = *tern__onnx_shape(n, 1);
    const int dims = x.rank - 2;
    TERN_TRY(tern__onnx_need_rank(n, 1, x.rank, x.rank));
    TERN_TRY(tern__onnx_need_float(n, 1));
    if (grid.dim[0] != x.dim[0] || grid.dim[x.rank - 1] != dims || tern__extent(&x, 2, x.rank) == 0)
        return tern__onnx_fail(n, TERN_E_SHAPE, "a grid of %s does not belong to %s", tern__shape_text(&grid, a), tern__shape_text(&x, b));
    const tern_dtype t = tern__onnx_type(n, 0)->dtype, wide = t == TERN_F64 ? TERN_F64 : TERN_F32;
    tern_value at = tern__cast(n->g, tern__onnx_in(n, 1), wide), coord[3];
    for (int d = 0; d < dims; d++) /* the last axis of x is the first component */
        coord[d] = from_unit(n->g, component(n->g, at, dims - 1 - d), x.dim[2 + d], s.corners);
    tern_value y = tern__onnx_sample(n->g, &s, tern__cast(n->g, tern__onnx_in(n, 0), wide), coord);
    return tern__onnx_done(n, 0, tern__cast(n->g, y, t));
}

/* --- AffineGrid --- */

/* Coordinates of `extent` elements between -1 and 1, along axis 1 + at of a grid with dims spatial axes. */
static tern_value unit_line(tern__onnx_node *n, tern_dtype t, int64_t extent, int at, int dims, bool corners)
{
    tern_shape s = {.rank = dims + 2};
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = i == 1 + at ? extent : 1;
    double *v = tern__onnx_scratch(n, (size_t)extent, sizeof *v);
    if (!v)
        return TERN_NONE;
    for (int64_t i = 0; i < extent; i++)
        v[i] = corners ? -1 + 2.0 * (double)i / (double)TERN_MAX(extent - 1, 1) : -1 + (2.0 * (double)i + 1) / (double)extent;
    return tern__onnx_const(n, t, &s, v);
}

/* grid[n, p, i] = sum over j of theta[n, i, j] * coordinate j of p + theta[n, i, dims]; coordinate 0 is the last spatial axis. */
tern_status tern__onnx_affine_grid(tern__onnx_node *n)
{
    char text[TERN__SHAPE_TEXT];
    const int64_t *size;
    int count;
    tern_graph *g = n->g;
    TERN_TRY(tern__onnx_read_ints(n, 1, &size, &count));
    TERN_TRY(tern__onnx_need_rank(n, 0, 3, 3));
    TERN_TRY(tern__onnx_need_float(n, 0));
    const tern_shape theta = *tern__onnx_shape(n, 0);
    const int dims = count - 2;
    const bool corners = tern__onnx_attr_int(n, "align_corners", 0) != 0;
    if ((count != 4 && count != 5) || theta.dim[0] != size[0] || theta.dim[1] != dims || theta.dim[2] != dims + 1)
        return tern__onnx_fail(n, TERN_E_SHAPE, "a transform of %s does not belong to a size of %d numbers", tern__shape_text(&theta, text), count);
    for (int d = 0; d < dims; d++)
        if (size[2 + d] < 1 || size[2 + d] > (1 << 24))
            return tern__onnx_fail(n, TERN_E_INVALID, "extent %" PRId64 " along spatial axis %d", size[2 + d], d);
    const tern_dtype t = tern__onnx_type(n, 0)->dtype, wide = t == TERN_F64 ? TERN_F64 : TERN_F32;
    tern_shape each = {.rank = dims + 2};
    for (int i = 0; i < each.rank; i++)
        each.dim[i] = i == 0 ? theta.dim[0] : i == dims + 1 ? dims : 1;
    tern_value in = tern__cast(g, tern__onnx_in(n, 0), wide), y = tern__reshape(g, component(g, in, dims), &each);
    for (int j = 0; j < dims; j++) {
        tern_value factor = tern__reshape(g, component(g, in, j), &each);
        y = tern__add(g, y, tern__mul(g, factor, unit_line(n, wide, size[2 + dims - 1 - j], dims - 1 - j, dims, corners)));
    }
    return tern__onnx_done(n, 0, tern__cast(g, y, t));
}
