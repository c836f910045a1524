/* On the host: what has as many results as the elements say. NonZero, Compress, Unique, NonMaxSuppression. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "onnx/import_index.h"
#include "ops/common.h"

static tern_status need(const tern__onnx_host *h, int n)
{
    for (int i = 0; i < n; i++)
        if (i >= h->n_in || !h->in[i].data)
            return tern__fail(TERN_E_CORRUPT, "input %d is missing, %d are needed", i, n);
    return TERN_OK;
}

static bool attr_int(const tern__onnx_host *h, const char *name, int64_t *out)
{
    const Onnx__AttributeProto *a = tern__onnx_find_attr(h->proto, name);
    if (a && a->has_i)
        *out = a->i;
    return a != NULL;
}

static bool is_set(const tern__array *a, int64_t i)
{
    return tern__dtype_is(a->type.dtype, TERN__T_FLOAT) ? tern__array_get(a, i) != 0 : tern__array_get_int(a, i) != 0;
}

/* The axis attribute made positive; -1 where the node does not give it. */
static tern_status axis_of(const tern__onnx_host *h, int rank, int *out)
{
    int64_t axis = 0;
    *out = -1;
    if (!attr_int(h, "axis", &axis))
        return TERN_OK;
    if (axis < -rank || axis >= rank)
        return tern__fail(TERN_E_INVALID, "axis %" PRId64 " out of range for rank %d", axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return TERN_OK;
}

/* --- NonZero ------------------------------------------------------------------------------------------------------ */

tern_status tern__onnx_host_nonzero(tern__onnx_host *h)
{
    TERN_TRY(need(h, 1));
    const tern__array *x = &h->in[0];
    const tern_shape *s = &x->type.shape;
    const int64_t elems = tern__elems(s);
    int64_t count = 0, k = 0, at[TERN_MAX_RANK] = {0};
    for (int64_t i = 0; i < elems; i++)
        count += is_set(x, i);
    TERN_TRY(tern__onnx_make(h, 0, TERN_I64, &(tern_shape){.rank = 2, .dim = {s->rank, count}}));
    int64_t *out = h->out[0].data;
    for (int64_t i = 0; i < elems; i++, tern__next_index(s, at)) {
        if (!is_set(x, i))
            continue;
        for (int d = 0; d < s->rank; d++)
            out[d * count + k] = at[d];
        k++;
    }
    return TERN_OK;
}

/* --- Compress ----------------------------------------------------------------------------------------------------- */

tern_status tern__onnx_host_compress(tern__onnx_host *h)
{
    int axis;
    TERN_TRY(need(h, 2));
    const tern__array *x = &h->in[0], *condition = &h->in[1];
    TERN_TRY(axis_of(h, x->type.shape.rank, &axis));
    tern_shape s = x->type.shape;
    if (axis < 0) {
        s = (tern_shape){.rank = 1, .dim = {tern__elems(&x->type.shape)}};
        axis = 0;
    }
    const int64_t extent = s.dim[axis], outer = tern__extent(&s, 0, axis), inner = tern__extent(&s, axis + 1, s.rank);
    const int64_t given = TERN_MIN(tern__elems(&condition->type.shape), extent);
    int64_t count = 0;
    for (int64_t k = 0; k < given; k++)
        count += is_set(condition, k);
    s.dim[axis] = count;
    TERN_TRY(tern__onnx_make(h, 0, x->type.dtype, &s));
    const size_t run = (size_t)inner * tern_dtype_size(x->type.dtype);
    char *to = h->out[0].data;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t k = 0; k < given; k++) {
            if (!is_set(condition, k) || run == 0)
                continue;
            memcpy(to, (const char *)x->data + (size_t)(o * extent + k) * run, run);
            to += run;
        }
    return TERN_OK;
}

/* --- Sorting ------------------------------------------------------------------------------------------------------ */

typedef struct order {
    const void *user;
    int (*compare)(const void *user, int64_t a, int64_t b);
} order;

/* Sorts positions, equal ones as they are; spare has room for as many. */
static void sort(const order *o, int64_t *at, int64_t *spare, int64_t n)
{
    if (n < 2)
        return;
    const int64_t half = n / 2;
    sort(o, at, spare, half);
    sort(o, at + half, spare, n - half);
    for (int64_t i = 0, a = 0, b = half; i < n; i++) {
        const bool second = a == half || (b < n && o->compare(o->user, at[b], at[a]) < 0);
        spare[i] = second ? at[b++] : at[a++];
    }
    memcpy(at, spare, (size_t)n * sizeof *at);
}

/* The positions 0..n-1 in order, with room for n more behind them. NULL: no memory. */
static int64_t *sorted(const order *o, int64_t n, int extra)
{
    int64_t *at = tern__alloc_array((size_t)n * (size_t)(2 + extra) + 1, sizeof *at);
    for (int64_t i = 0; at && i < n; i++)
        at[i] = i;
    if (at)
        sort(o, at, at + n, n);
    else
        tern__fail(TERN_E_NOMEM, "onnx: sorting %" PRId64 " positions", n);
    return at;
}

/* --- Unique ------------------------------------------------------------------------------------------------------- */

/* Slices along an axis of [outer][n][inner]. */
typedef struct slices {
    const tern__array *x;
    int64_t outer, n, inner;
} slices;

/* A NaN equals itself and comes last. */
static int compare_elements(const tern__array *x, int64_t i, int64_t j)
{
    if (tern__dtype_is(x->type.dtype, TERN__T_FLOAT)) {
        const double a = tern__array_get(x, i), b = tern__array_get(x, j);
        return isnan(a) || isnan(b) ? (isnan(a) != 0) - (isnan(b) != 0) : (a > b) - (a < b);
    }
    const int64_t a = tern__array_get_int(x, i), b = tern__array_get_int(x, j);
    if (tern__is_unsigned(x->type.dtype))
        return ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b);
    return (a > b) - (a < b);
}

static int compare_slices(const void *user, int64_t a, int64_t b)
{
    const slices *s = user;
    for (int64_t o = 0; o < s->outer; o++)
        for (int64_t i = 0; i < s->inner; i++) {
            const int c = compare_elements(s->x, (o * s->n + a) * s->inner + i, (o * s->n + b) * s->inner + i);
            if (c != 0)
                return c;
        }
    return 0;
}

/* Numbers the kinds of slices: kind[i] of slice i, first[k] of kind k, in ascending order or in that of their first slices. */
static int64_t number_kinds(const slices *s, bool ascending, const int64_t *at, int64_t *kind, int64_t *first)
{
    int64_t count = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (i == 0 || compare_slices(s, at[i - 1], at[i]) != 0)
            first[count++] = at[i]; /* sorting keeps equal slices in order, so this is the first of them */
        kind[at[i]] = ascending ? count - 1 : first[count - 1];
    }
    if (ascending)
        return count;
    /* kind holds the first slice of a kind; those come before all others of it. */
    count = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (kind[i] == i) {
            first[count] = i;
            kind[i] = count++;
        } else {
            kind[i] = kind[kind[i]];
        }
    }
    return count;
}

static tern_status make_list(tern__onnx_host *h, int i, int64_t n, int64_t **out)
{
    *out = NULL;
    if (i >= h->n_out)
        return TERN_OK;
    TERN_TRY(tern__onnx_make(h, i, TERN_I64, &(tern_shape){.rank = 1, .dim = {n}}));
    *out = h->out[i].data;
    return TERN_OK;
}

static tern_status make_unique(tern__onnx_host *h, const slices *s, int axis, const int64_t *kind, const int64_t *first, int64_t count)
{
    int64_t *indices, *inverse, *counts;
    tern_shape shape = s->x->type.shape;
    if (axis < 0)
        shape = (tern_shape){.rank = 1};
    shape.dim[TERN_MAX(axis, 0)] = count;
    TERN_TRY(tern__onnx_make(h, 0, s->x->type.dtype, &shape));
    TERN_TRY(make_list(h, 1, count, &indices));
    TERN_TRY(make_list(h, 2, s->n, &inverse));
    TERN_TRY(make_list(h, 3, count, &counts));
    for (int64_t k = 0; k < count; k++) {
        for (int64_t o = 0; o < s->outer; o++)
            for (int64_t i = 0; i < s->inner; i++)
                tern__array_copy(&h->out[0], (o * count + k) * s->inner + i, s->x, (o * s->n + first[k]) * s->inner + i);
        if (indices)
            indices[k] = first[k];
    }
    for (int64_t i = 0; i < s->n; i++) {
        if (inverse)
            inverse[i] = kind[i];
        if (counts)
            counts[kind[i]]++;
    }
    return TERN_OK;
}

tern_status tern__onnx_host_unique(tern__onnx_host *h)
{
    int axis;
    int64_t ascending = 1;
    TERN_TRY(need(h, 1));
    const tern_shape *s = &h->in[0].type.shape;
    TERN_TRY(axis_of(h, s->rank, &axis));
    attr_int(h, "sorted", &ascending);
    slices v = {&h->in[0], 1, tern__elems(s), 1};
    if (axis >= 0)
        v = (slices){&h->in[0], tern__extent(s, 0, axis), s->dim[axis], tern__extent(s, axis + 1, s->rank)};
    if (v.inner == 0)
        v.outer = 0; /* slices without elements are all alike */
    int64_t *at = sorted(&(order){&v, compare_slices}, v.n, 1);
    if (!at)
        return TERN_E_NOMEM;
    int64_t *kind = at + v.n, *first = at + 2 * v.n;
    const int64_t count = number_kinds(&v, ascending != 0, at, kind, first);
    tern_status st = make_unique(h, &v, axis, kind, first, count);
    tern__free(at);
    return st;
}

/* --- NonMaxSuppression -------------------------------------------------------------------------------------------- */

typedef struct box {
    float y0, x0, y1, x1;
} box;

static box read_box(const tern__array *boxes, int64_t at, bool centered)
{
    const float a = (float)tern__array_get(boxes, at), b = (float)tern__array_get(boxes, at + 1), c = (float)tern__array_get(boxes, at + 2),
                d = (float)tern__array_get(boxes, at + 3);
    if (centered) /* x, y, width, height */
        return (box){b - d / 2, a - c / 2, b + d / 2, a + c / 2};
    return (box){fminf(a, c), fminf(b, d), fmaxf(a, c), fmaxf(b, d)};
}

/* Intersection over union; 0 if either box has no area. */
static float overlap(const box *a, const box *b)
{
    const float area_a = (a->y1 - a->y0) * (a->x1 - a->x0), area_b = (b->y1 - b->y0) * (b->x1 - b->x0);
    const float h = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0), w = fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0);
    if (area_a <= 0 || area_b <= 0 || h <= 0 || w <= 0)
        return 0;
    return h * w / (area_a + area_b - h * w);
}

/* One class of one picture: best scores first. */
typedef struct contest {
    const tern__array *scores;
    int64_t first;
} contest;

static int compare_scores(const void *user, int64_t a, int64_t b)
{
    const contest *c = user;
    const double x = tern__array_get(c->scores, c->first + a), y = tern__array_get(c->scores, c->first + b);
    return (x < y) - (x > y);
}

static tern_status number(const tern__onnx_host *h, int i, double def, double *out)
{
    *out = def;
    if (i >= h->n_in || !h->in[i].data)
        return TERN_OK;
    if (tern__elems(&h->in[i].type.shape) != 1)
        return tern__fail(TERN_E_SHAPE, "input %d has %" PRId64 " elements, one is needed", i, tern__elems(&h->in[i].type.shape));
    *out = tern__array_get(&h->in[i], 0);
    return TERN_OK;
}

typedef struct suppression {
    const tern__array *boxes, *scores;
    int64_t pictures, classes, n;
    bool centered;
    double most, overlap, least;
    int64_t *found;  /* three numbers each */
    int64_t n_found, cap_found;
} suppression;

static tern_status keep(suppression *s, int64_t picture, int64_t class, int64_t at)
{
    if (s->n_found == s->cap_found) {
        const int64_t cap = TERN_MAX(2 * s->cap_found, 64);
        int64_t *more = tern__alloc_array((size_t)cap, 3 * sizeof *more);
        if (!more)
            return tern__fail(TERN_E_NOMEM, "onnx: %" PRId64 " boxes", cap);
        if (s->n_found)
            memcpy(more, s->found, (size_t)s->n_found * 3 * sizeof *more);
        tern__free(s->found);
        s->found = more;
        s->cap_found = cap;
    }
    int64_t *to = s->found + 3 * s->n_found++;
    to[0] = picture, to[1] = class, to[2] = at;
    return TERN_OK;
}

static tern_status suppress(suppression *s, int64_t picture, int64_t class, box *kept)
{
    const contest c = {s->scores, (picture * s->classes + class) * s->n};
    int64_t n_kept = 0;
    int64_t *at = sorted(&(order){&c, compare_scores}, s->n, 0);
    tern_status st = at ? TERN_OK : TERN_E_NOMEM;
    for (int64_t i = 0; i < s->n && (double)n_kept < s->most && st == TERN_OK; i++) {
        if (!(tern__array_get(s->scores, c.first + at[i]) > s->least))
            continue;
        const box b = read_box(s->boxes, (picture * s->n + at[i]) * 4, s->centered);
        bool free_standing = true;
        for (int64_t k = 0; k < n_kept && free_standing; k++)
            free_standing = !((double)overlap(&b, &kept[k]) > s->overlap);
        if (!free_standing)
            continue;
        kept[n_kept++] = b;
        st = keep(s, picture, class, at[i]);
    }
    tern__free(at);
    return st;
}

tern_status tern__onnx_host_suppression(tern__onnx_host *h)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    int64_t centered = 0;
    TERN_TRY(need(h, 2));
    const tern_shape *boxes = &h->in[0].type.shape, *scores = &h->in[1].type.shape;
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dim[2] != 4 || boxes->dim[0] != scores->dim[0] || boxes->dim[1] != scores->dim[2])
        return tern__fail(TERN_E_SHAPE, "boxes %s and scores %s do not go together", tern__shape_text(boxes, a), tern__shape_text(scores, b));
    attr_int(h, "center_point_box", &centered);
    suppression s = {.boxes = &h->in[0], .scores = &h->in[1], .pictures = scores->dim[0], .classes = scores->dim[1], .n = scores->dim[2],
                     .centered = centered != 0};
    TERN_TRY(number(h, 2, 0, &s.most));
    TERN_TRY(number(h, 3, 0, &s.overlap));
    TERN_TRY(number(h, 4, -INFINITY, &s.least));
    box *kept = tern__alloc_array((size_t)s.n + 1, sizeof *kept);
    tern_status st = kept ? TERN_OK : tern__fail(TERN_E_NOMEM, "onnx: %" PRId64 " boxes", s.n);
    for (int64_t p = 0; p < s.pictures && st == TERN_OK && s.n > 0; p++)
        for (int64_t k = 0; k < s.classes && st == TERN_OK; k++)
            st = suppress(&s, p, k, kept);
    if (st == TERN_OK)
        st = tern__onnx_make(h, 0, TERN_I64, &(tern_shape){.rank = 2, .dim = {s.n_found, 3}});
    if (st == TERN_OK && s.n_found)
        memcpy(h->out[0].data, s.found, (size_t)s.n_found * 3 * sizeof *s.found);
    tern__free(s.found);
    tern__free(kept);
    return st;
}
