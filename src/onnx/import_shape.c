/* Importing what only rearranges: shapes, slices, constants, and conversions between element types. */
#include "onnx/import_shape.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "onnx/model.h"
#include "onnx/retrain.h"
#include "onnx/trace.h"

/* --- Shared with the importers of index operators ----------------------------------------------------------------- */

tern_status tern__onnx_put(tern__onnx_node *n, int i, tern_value v)
{
    TERN_TRY(tern_graph_check(n->g));
    const tern__type t = *tern__type_of(n->g, v);
    if (v >= 0 && tern__elems(&t.shape) == 0 && tern__value_at(n->g, v)->kind != TERN__VALUE_CONST)
        v = tern__onnx_const(n, t.dtype, &t.shape, NULL);
    tern__onnx_set(n, i, v);
    return tern_graph_check(n->g);
}

tern_value tern__onnx_reshaped(tern__onnx_node *n, tern_value v, const tern_shape *s)
{
    if (tern_graph_check(n->g) != TERN_OK)
        return TERN_NONE;
    if (tern__elems(tern__shape_of(n->g, v)) == 0)
        return tern__onnx_const(n, tern__dtype_of(n->g, v), s, NULL);
    return tern__reshape(n->g, v, s);
}

tern_status tern__onnx_axes_of(const tern__onnx_node *n, const int64_t *axes, int count, int rank, unsigned *mask)
{
    *mask = 0;
    for (int i = 0; i < count; i++) {
        int axis;
        TERN_TRY(tern__onnx_axis(n, axes[i], rank, &axis));
        if (*mask >> axis & 1)
            return tern__onnx_fail(n, TERN_E_INVALID, "axis %d is given twice", axis);
        *mask |= 1u << axis;
    }
    return TERN_OK;
}

tern_value tern__onnx_cut_axis(tern_graph *g, tern_value v, int axis, int64_t start, int64_t end, int64_t step)
{
    const int64_t on = axis;
    return tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", &start, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &on, 1),
                                                     TERN_INTS("steps", &step, 1)));
}

tern_value tern__onnx_iota(tern_graph *g, int rank, int axis, int64_t extent)
{
    int64_t shape[TERN_MAX_RANK];
    for (int d = 0; d < rank; d++)
        shape[d] = d == axis ? extent : 1;
    return tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", shape, rank), TERN_INT("axis", axis)));
}

tern_status tern__onnx_list(tern__onnx_node *n, const char *attr, int input, const int64_t **v, int *count)
{
    if (tern__onnx_has(n, input))
        return tern__onnx_read_ints(n, input, v, count);
    *v = tern__onnx_attr_ints(n, attr, count);
    if (!tern__onnx_attr_given(n, attr))
        *count = -1;
    return TERN_OK;
}

/* A list of extents as a shape. */
static tern_status shape_from(const tern__onnx_node *n, const int64_t *v, int count, tern_shape *s)
{
    char text[TERN__SHAPE_TEXT];
    int64_t elems;
    if (count > TERN_MAX_RANK)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "a shape of %d axes; %d are possible", count, TERN_MAX_RANK);
    *s = (tern_shape){.rank = count};
    for (int i = 0; i < count; i++) {
        if (v[i] < 0)
            return tern__onnx_fail(n, TERN_E_SHAPE, "shape %s has a negative extent", tern__ints_text(v, count, text));
        s->dim[i] = v[i];
    }
    return tern__shape_elems(s, &elems) ? TERN_OK : tern__onnx_fail(n, TERN_E_SHAPE, "shape %s is larger than can be counted", tern__ints_text(v, count, text));
}

static tern_value number(tern__onnx_node *n, tern_dtype t, double x)
{
    return tern_graph_scalar(n->g, t, x);
}

/* --- Shapes ------------------------------------------------------------------------------------------------------- */

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static tern_status shape(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    if (n->in[0]->kind != TERN__ONNX_TENSOR)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "the shape of something that is no tensor");
    const tern_shape *s = tern__onnx_shape(n, 0);
    int64_t start = tern__onnx_attr_int(n, "start", 0), end = tern__onnx_attr_int(n, "end", s->rank);
    start = clamp(start < 0 ? start + s->rank : start, 0, s->rank);
    end = clamp(end < 0 ? end + s->rank : end, start, s->rank);
    const tern_shape list = {.rank = 1, .dim = {end - start}};
    return tern__onnx_put(n, 0, tern__onnx_const_ints(n, TERN_I64, &list, s->dim + start));
}

static tern_status size(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    if (n->in[0]->kind != TERN__ONNX_TENSOR)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "the size of something that is no tensor");
    const int64_t elems = tern__elems(tern__onnx_shape(n, 0));
    return tern__onnx_put(n, 0, tern__onnx_const_ints(n, TERN_I64, &(tern_shape){0}, &elems));
}

/* ONNX's target for a shape: 0 copies (unless allow_zero), one -1 is what is left. */
static tern_status target_shape(tern__onnx_node *n, const int64_t *want, int count, bool allow_zero, tern_shape *s)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    const tern_shape *in = tern__onnx_shape(n, 0);
    int inferred = -1;
    int64_t list[TERN_MAX_RANK], elems = tern__elems(in), rest;
    if (count > TERN_MAX_RANK)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "a shape of %d axes; %d are possible", count, TERN_MAX_RANK);
    /* A model written for a batch of one, made for another. */
    const int64_t batch = tern__onnx_batch(n->t);
    const bool rebatch = batch > 1 && count > 0 && want[0] == 1 && in->rank > 0 && in->dim[0] == batch;
    for (int i = 0; i < count; i++) {
        list[i] = i == 0 && rebatch ? batch : want[i];
        if (want[i] == 0 && !allow_zero) {
            if (i >= in->rank)
                return tern__onnx_fail(n, TERN_E_SHAPE, "0 at axis %d of %s copies an extent that %s does not have", i, tern__ints_text(want, count, a),
                                       tern__shape_text(in, b));
            list[i] = in->dim[i];
        } else if (want[i] == -1 && inferred < 0) {
            inferred = i;
            list[i] = 1;
        }
    }
    TERN_TRY(shape_from(n, list, count, s));
    rest = tern__elems(s);
    if (inferred >= 0 && rest > 0 && elems % rest == 0)
        s->dim[inferred] = elems / rest;
    if ((inferred >= 0 && rest == 0) || tern__elems(s) != elems)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%s cannot become %s", tern__shape_text(in, a), tern__ints_text(want, count, b));
    return TERN_OK;
}

static tern_status reshape(tern__onnx_node *n)
{
    const int64_t *want;
    int count;
    tern_shape s;
    tern__onnx_attr_ignore(n, "consumed_inputs");
    TERN_TRY(tern__onnx_need(n, 1, 2));
    TERN_TRY(tern__onnx_list(n, "shape", 1, &want, &count));
    TERN_TRY(target_shape(n, want, TERN_MAX(count, 0), tern__onnx_attr_int(n, "allowzero", 0) != 0, &s));
    return tern__onnx_put(n, 0, tern__onnx_reshaped(n, tern__onnx_in(n, 0), &s));
}

static tern_status flatten(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    const tern_shape s = *tern__onnx_shape(n, 0);
    int64_t at = tern__onnx_attr_int(n, "axis", 1);
    if (at < -s.rank || at > s.rank)
        return tern__onnx_fail(n, TERN_E_INVALID, "axis %" PRId64 " out of range for rank %d", at, s.rank);
    const int axis = (int)(at < 0 ? at + s.rank : at);
    const tern_shape flat = {.rank = 2, .dim = {tern__extent(&s, 0, axis), tern__extent(&s, axis, s.rank)}};
    return tern__onnx_put(n, 0, tern__onnx_reshaped(n, tern__onnx_in(n, 0), &flat));
}

static tern_status squeeze(tern__onnx_node *n)
{
    const int64_t *axes;
    int count;
    unsigned mask;
    TERN_TRY(tern__onnx_need(n, 1, 2));
    TERN_TRY(tern__onnx_list(n, "axes", 1, &axes, &count));
    const tern_shape in = *tern__onnx_shape(n, 0);
    TERN_TRY(tern__onnx_axes_of(n, axes, TERN_MAX(count, 0), in.rank, &mask));
    tern_shape s = {0};
    for (int d = 0; d < in.rank; d++) {
        const bool drop = count >= 0 ? mask >> d & 1 : in.dim[d] == 1;
        if (drop && in.dim[d] != 1)
            return tern__onnx_fail(n, TERN_E_SHAPE, "axis %d has %" PRId64 " elements, not 1", d, in.dim[d]);
        if (!drop)
            s.dim[s.rank++] = in.dim[d];
    }
    return tern__onnx_put(n, 0, tern__onnx_reshaped(n, tern__onnx_in(n, 0), &s));
}

static tern_status unsqueeze(tern__onnx_node *n)
{
    const int64_t *axes;
    int count;
    unsigned mask;
    TERN_TRY(tern__onnx_need(n, 1, 2));
    TERN_TRY(tern__onnx_list(n, "axes", 1, &axes, &count));
    const tern_shape in = *tern__onnx_shape(n, 0);
    if (count < 0)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "axes is missing");
    if (count > TERN_MAX_RANK - in.rank)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "%d axes more than rank %d; %d are possible", count, in.rank, TERN_MAX_RANK);
    TERN_TRY(tern__onnx_axes_of(n, axes, count, in.rank + count, &mask));
    tern_shape s = {.rank = in.rank + count};
    for (int d = 0, k = 0; d < s.rank; d++)
        s.dim[d] = mask >> d & 1 ? 1 : in.dim[k++];
    return tern__onnx_put(n, 0, tern__onnx_reshaped(n, tern__onnx_in(n, 0), &s));
}

static tern_status transpose(tern__onnx_node *n)
{
    int count;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    const int64_t *perm = tern__onnx_attr_ints(n, "perm", &count);
    tern_value v = count ? tern_graph_op1(n->g, "transpose", tern__onnx_in(n, 0), TERN_ATTRS(TERN_INTS("perm", perm, count)))
                         : tern_graph_op1(n->g, "transpose", tern__onnx_in(n, 0), NULL);
    return tern__onnx_put(n, 0, v);
}

/* --- Pieces ------------------------------------------------------------------------------------------------------- */

static tern_status concat(tern__onnx_node *n)
{
    int axis, used = 0;
    TERN_TRY(tern__onnx_need(n, 1, -1));
    const int64_t def = n->opset < 4 ? 1 : INT64_MIN;
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", def), tern__onnx_rank(n, 0), &axis));
    tern_value *in = tern__onnx_scratch(n, (size_t)n->n_in, sizeof *in);
    if (!in)
        return TERN_E_NOMEM;
    const tern__type first = *tern__onnx_type(n, 0);
    tern_shape s = first.shape;
    s.dim[axis] = 0;
    for (int i = 0; i < n->n_in; i++) {
        char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
        const tern__type *t = tern__onnx_type(n, i);
        bool fits = tern__onnx_has(n, i) && t->dtype == first.dtype && t->shape.rank == s.rank;
        for (int d = 0; d < s.rank && fits; d++)
            fits = d == axis || t->shape.dim[d] == s.dim[d];
        if (!fits || __builtin_add_overflow(s.dim[axis], t->shape.dim[axis], &s.dim[axis]))
            return tern__onnx_fail(n, TERN_E_SHAPE, "input %d is %s%s, which does not go with %s%s along axis %d", i, tern_dtype_name(t->dtype),
                                   tern__shape_text(&t->shape, a), tern_dtype_name(first.dtype), tern__shape_text(&first.shape, b), axis);
        if (t->shape.dim[axis] > 0)
            in[used++] = tern__onnx_in(n, i);
    }
    return tern__onnx_put(n, 0, used ? tern_graph_add(n->g, "concat", in, used, TERN_ATTRS(TERN_INT("axis", axis))) : tern__onnx_in(n, 0));
}

/* The extent of piece i of `pieces`, where no list says: equal ones, the last one what is left. */
static tern_status even_part(tern__onnx_node *n, int64_t extent, int64_t pieces, int i, int64_t *out)
{
    if (pieces < 1 || pieces < n->n_out)
        return tern__onnx_fail(n, TERN_E_INVALID, "%" PRId64 " pieces for %d outputs", pieces, n->n_out);
    if (n->opset < 18 && extent % pieces != 0)
        return tern__onnx_fail(n, TERN_E_SHAPE, "%" PRId64 " elements do not make %" PRId64 " equal pieces", extent, pieces);
    const int64_t part = extent / pieces + (extent % pieces != 0), begin = part > 0 && i > extent / part ? extent : i * part;
    *out = TERN_MIN(part, extent - begin);
    return TERN_OK;
}

static tern_status split(tern__onnx_node *n)
{
    const int64_t *parts;
    int count, axis;
    TERN_TRY(tern__onnx_need(n, 1, 2));
    TERN_TRY(tern__onnx_list(n, "split", 1, &parts, &count));
    const int64_t pieces = tern__onnx_attr_int(n, "num_outputs", n->n_out);
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", 0), tern__onnx_rank(n, 0), &axis));
    const int64_t extent = tern__onnx_shape(n, 0)->dim[axis];
    if (count >= 0 && count < n->n_out)
        return tern__onnx_fail(n, TERN_E_INVALID, "%d pieces for %d outputs", count, n->n_out);
    int64_t at = 0;
    const tern_value x = tern__onnx_in(n, 0);
    for (int i = 0; i < n->n_out; i++) {
        int64_t part = count >= 0 ? parts[i] : 0;
        if (count < 0)
            TERN_TRY(even_part(n, extent, pieces, i, &part));
        if (part < 0 || part > extent - at)
            return tern__onnx_fail(n, TERN_E_SHAPE, "piece %d of %" PRId64 " elements after %" PRId64 " of %" PRId64, i, part, at, extent);
        if (tern__onnx_wants(n, i))
            TERN_TRY(tern__onnx_put(n, i, tern__onnx_cut_axis(n->g, x, axis, at, at + part, 1)));
        at += part;
    }
    for (int i = n->n_out; i < count; i++) /* pieces nobody named */
        at += parts[i] >= 0 && parts[i] <= extent - at ? parts[i] : INT64_MAX - at;
    if (at != extent)
        return tern__onnx_fail(n, TERN_E_SHAPE, "the pieces do not make the extent %" PRId64 " of axis %d", extent, axis);
    return TERN_OK;
}

static tern_status slice(tern__onnx_node *n)
{
    const int64_t *starts, *ends, *axes, *steps;
    int n_starts, n_ends, n_axes, n_steps;
    TERN_TRY(tern__onnx_need(n, 1, 5));
    TERN_TRY(tern__onnx_list(n, "starts", 1, &starts, &n_starts));
    TERN_TRY(tern__onnx_list(n, "ends", 2, &ends, &n_ends));
    TERN_TRY(tern__onnx_list(n, "axes", 3, &axes, &n_axes));
    TERN_TRY(tern__onnx_read_ints(n, 4, &steps, &n_steps));
    if (n_starts < 0 || n_starts != n_ends || (n_axes > 0 && n_axes != n_starts) || (n_steps > 0 && n_steps != n_starts))
        return tern__onnx_fail(n, TERN_E_SHAPE, "%d starts, %d ends, %d axes and %d steps do not go together", n_starts, n_ends, n_axes, n_steps);
    if (n_starts == 0)
        return tern__onnx_put(n, 0, tern__onnx_in(n, 0));
    tern_attr attrs[5] = {TERN_INTS("starts", starts, n_starts), TERN_INTS("ends", ends, n_ends)};
    int k = 2;
    if (n_axes > 0)
        attrs[k++] = (tern_attr)TERN_INTS("axes", axes, n_axes);
    if (n_steps > 0)
        attrs[k++] = (tern_attr)TERN_INTS("steps", steps, n_steps);
    return tern__onnx_put(n, 0, tern_graph_op1(n->g, "slice", tern__onnx_in(n, 0), attrs));
}

static tern_status expand(tern__onnx_node *n)
{
    const int64_t *want;
    int count;
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern_shape s, out;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    TERN_TRY(tern__onnx_read_ints(n, 1, &want, &count));
    TERN_TRY(shape_from(n, want, count, &s));
    if (!tern__broadcast(tern__onnx_shape(n, 0), &s, &out))
        return tern__onnx_fail(n, TERN_E_SHAPE, "%s does not broadcast with %s", tern__shape_text(tern__onnx_shape(n, 0), a), tern__shape_text(&s, b));
    return tern__onnx_put(n, 0, tern__expand_to(n->g, tern__onnx_in(n, 0), &out));
}

/* v, repeated along one axis: a new axis before it is broadcast and taken into it. */
static tern_value tile_axis(tern__onnx_node *n, tern_value v, int axis, int64_t times)
{
    tern_shape s = *tern__shape_of(n->g, v);
    const tern_shape flat = {.rank = 3, .dim = {tern__extent(&s, 0, axis), 1, tern__extent(&s, axis, s.rank)}};
    tern_shape wide = flat;
    wide.dim[1] = times;
    v = tern__expand_to(n->g, tern__reshape(n->g, v, &flat), &wide);
    s.dim[axis] *= times;
    return tern__reshape(n->g, v, &s);
}

static tern_status tile_by(tern__onnx_node *n, const int64_t *repeats)
{
    tern_shape s = *tern__onnx_shape(n, 0);
    int64_t elems;
    for (int d = 0; d < s.rank; d++)
        if (repeats[d] < 0 || __builtin_mul_overflow(s.dim[d], repeats[d], &s.dim[d]))
            return tern__onnx_fail(n, TERN_E_SHAPE, "axis %d cannot be repeated %" PRId64 " times", d, repeats[d]);
    if (!tern__shape_elems(&s, &elems))
        return tern__onnx_fail(n, TERN_E_SHAPE, "the result is larger than can be counted");
    tern_value v = tern__onnx_in(n, 0);
    if (elems == 0)
        return tern__onnx_put(n, 0, tern__onnx_const(n, tern__onnx_type(n, 0)->dtype, &s, NULL));
    for (int d = 0; d < s.rank && tern_graph_check(n->g) == TERN_OK; d++)
        if (repeats[d] != 1)
            v = tile_axis(n, v, d, repeats[d]);
    return tern__onnx_put(n, 0, v);
}

static tern_status tile(tern__onnx_node *n)
{
    const int64_t *repeats;
    int count;
    TERN_TRY(tern__onnx_need(n, 2, 2));
    TERN_TRY(tern__onnx_read_ints(n, 1, &repeats, &count));
    if (count != tern__onnx_rank(n, 0))
        return tern__onnx_fail(n, TERN_E_SHAPE, "%d repeats for rank %d", count, tern__onnx_rank(n, 0));
    return tile_by(n, repeats);
}

/* Version 1: how often, along one axis. */
static tern_status tile_1(tern__onnx_node *n)
{
    int64_t times, at, repeats[TERN_MAX_RANK];
    int axis;
    TERN_TRY(tern__onnx_need(n, 3, 3));
    TERN_TRY(tern__onnx_read_int(n, 1, 1, &times));
    TERN_TRY(tern__onnx_read_int(n, 2, 0, &at));
    TERN_TRY(tern__onnx_axis(n, at, tern__onnx_rank(n, 0), &axis));
    for (int d = 0; d < TERN_MAX_RANK; d++)
        repeats[d] = d == axis ? times : 1;
    return tile_by(n, repeats);
}

/* --- Constants ---------------------------------------------------------------------------------------------------- */

static tern_status sparse_constant(tern__onnx_node *n)
{
    const Onnx__AttributeProto *a = tern__onnx_attr(n, "sparse_value");
    tern__type t;
    tern__blob *data;
    if (!a || !a->sparse_tensor)
        return tern__onnx_fail(n, TERN_E_CORRUPT, "sparse_value holds no sparse tensor");
    TERN_TRY(tern__onnx_sparse_tensor(n->t->m->file, a->sparse_tensor, &t, &data));
    tern_value v = tern__graph_blob(n->g, &t, data);
    tern__blob_release(data);
    return tern__onnx_put(n, 0, v);
}

static tern_status constant(tern__onnx_node *n)
{
    int count;
    bool done;
    TERN_TRY(tern__onnx_need(n, 0, 0));
    if (tern__onnx_attr_given(n, "value")) {
        TERN_TRY(tern__onnx_constant_weight(n, &done));
        return done ? TERN_OK : tern__onnx_put(n, 0, tern__onnx_attr_tensor(n, "value"));
    }
    if (tern__onnx_attr_given(n, "value_float")) {
        const double x = tern__onnx_attr_float(n, "value_float", 0);
        return tern__onnx_put(n, 0, tern__onnx_const(n, TERN_F32, &(tern_shape){0}, &x));
    }
    if (tern__onnx_attr_given(n, "value_int")) {
        const int64_t x = tern__onnx_attr_int(n, "value_int", 0);
        return tern__onnx_put(n, 0, tern__onnx_const_ints(n, TERN_I64, &(tern_shape){0}, &x));
    }
    if (tern__onnx_attr_given(n, "value_ints")) {
        const int64_t *v = tern__onnx_attr_ints(n, "value_ints", &count);
        return tern__onnx_put(n, 0, tern__onnx_const_ints(n, TERN_I64, &(tern_shape){.rank = 1, .dim = {count}}, v));
    }
    if (tern__onnx_attr_given(n, "value_floats")) {
        const float *v = tern__onnx_attr_floats(n, "value_floats", &count);
        double *wide = tern__onnx_scratch(n, (size_t)count, sizeof *wide);
        for (int i = 0; wide && i < count; i++)
            wide[i] = (double)v[i];
        return wide ? tern__onnx_put(n, 0, tern__onnx_const(n, TERN_F32, &(tern_shape){.rank = 1, .dim = {count}}, wide)) : TERN_E_NOMEM;
    }
    if (tern__onnx_attr_given(n, "sparse_value"))
        return sparse_constant(n);
    return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "a constant of strings, or of nothing");
}

static tern_status constant_of_shape(tern__onnx_node *n)
{
    const int64_t *want;
    int count;
    tern_shape s;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    TERN_TRY(tern__onnx_read_ints(n, 0, &want, &count));
    TERN_TRY(shape_from(n, want, count, &s));
    tern_value v = tern__onnx_attr_given(n, "value") ? tern__onnx_attr_tensor(n, "value") : number(n, TERN_F32, 0);
    TERN_TRY(tern_graph_check(n->g));
    if (tern__elems(tern__shape_of(n->g, v)) != 1)
        return tern__onnx_fail(n, TERN_E_SHAPE, "value has %" PRId64 " elements, one is needed", tern__elems(tern__shape_of(n->g, v)));
    return tern__onnx_put(n, 0, tern__expand_to(n->g, tern__reshape(n->g, v, &(tern_shape){0}), &s));
}

static tern_status eye_like(tern__onnx_node *n)
{
    tern_dtype t;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    TERN_TRY(tern__onnx_attr_dtype(n, "dtype", tern__onnx_type(n, 0)->dtype, &t));
    const tern_shape *s = tern__onnx_shape(n, 0);
    if (s->rank != 2)
        return tern__onnx_fail(n, TERN_E_SHAPE, "rank %d, a matrix is needed", s->rank);
    const int64_t k = clamp(tern__onnx_attr_int(n, "k", 0), -s->dim[0], s->dim[1]);
    if (tern__elems(s) == 0)
        return tern__onnx_put(n, 0, tern__onnx_const(n, t, s, NULL));
    tern_value row = tern__add_scalar(n->g, tern__onnx_iota(n->g, 2, 0, s->dim[0]), (double)k), column = tern__onnx_iota(n->g, 2, 1, s->dim[1]);
    return tern__onnx_put(n, 0, tern__cast(n->g, tern_graph_op2(n->g, "equal", row, column, NULL), t));
}

enum { SMALL_RANGE = 4096 }; /* elements of a range that are made while importing, where shapes may depend on them */

static tern_value range_of(tern__onnx_node *n, tern_dtype t, int64_t count, double start, double delta, int64_t first, int64_t step)
{
    const tern_shape s = {.rank = 1, .dim = {count}};
    const bool is_float = tern__dtype_is(t, TERN__T_FLOAT);
    if (count > SMALL_RANGE) {
        tern_value i = tern_graph_add(n->g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", s.dim, 1), TERN_STRING("dtype", is_float ? "f64" : "i64")));
        i = is_float ? tern__mul_scalar(n->g, i, delta) : tern__mul(n->g, i, tern__onnx_const_ints(n, TERN_I64, &(tern_shape){0}, &step));
        i = is_float ? tern__add_scalar(n->g, i, start) : tern__add(n->g, i, tern__onnx_const_ints(n, TERN_I64, &(tern_shape){0}, &first));
        return tern__cast(n->g, i, t);
    }
    double *f = tern__onnx_scratch(n, (size_t)count, sizeof *f);
    int64_t *v = tern__onnx_scratch(n, (size_t)count, sizeof *v);
    if (!f || !v)
        return TERN_NONE;
    for (int64_t i = 0; i < count; i++) {
        f[i] = start + (double)i * delta;
        v[i] = (int64_t)((uint64_t)first + (uint64_t)i * (uint64_t)step);
    }
    return is_float ? tern__onnx_const(n, t, &s, f) : tern__onnx_const_ints(n, t, &s, v);
}

static tern_status range(tern__onnx_node *n)
{
    double start, limit, delta;
    int64_t first, last, step, count;
    TERN_TRY(tern__onnx_need(n, 3, 3));
    tern__onnx_attr_ignore(n, "stash_type");
    TERN_TRY(tern__onnx_read_float(n, 0, 0, &start));
    TERN_TRY(tern__onnx_read_float(n, 1, 0, &limit));
    TERN_TRY(tern__onnx_read_float(n, 2, 1, &delta));
    TERN_TRY(tern__onnx_read_int(n, 0, 0, &first));
    TERN_TRY(tern__onnx_read_int(n, 1, 0, &last));
    TERN_TRY(tern__onnx_read_int(n, 2, 1, &step));
    const tern_dtype t = tern__onnx_type(n, 0)->dtype;
    if (t != tern__onnx_type(n, 1)->dtype || t != tern__onnx_type(n, 2)->dtype || t == TERN_BOOL)
        return tern__onnx_fail(n, TERN_E_DTYPE, "start, limit and delta must be numbers of one type");
    const double steps = ceil((limit - start) / delta);
    if (delta == 0 || !isfinite(start) || !isfinite(delta) || !(steps < 0x1p40))
        return tern__onnx_fail(n, TERN_E_INVALID, "from %g to %g by %g", start, limit, delta);
    count = steps > 0 ? (int64_t)steps : 0;
    if (!tern__dtype_is(t, TERN__T_FLOAT) && (start > 0x1p53 || start < -0x1p53 || limit > 0x1p53 || limit < -0x1p53))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "from %g to %g by %g", start, limit, delta);
    return tern__onnx_put(n, 0, range_of(n, t, count, start, delta, first, step));
}

/* --- One to one --------------------------------------------------------------------------------------------------- */

/* Whatever it is: a tensor, a sequence, nothing. */
static tern_status identity(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 1, 1));
    if (tern__onnx_wants(n, 0))
        tern__onnx_share(n->out[0], n->in[0]);
    return TERN_OK;
}

static tern_status cast(tern__onnx_node *n)
{
    tern_dtype to;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    if (n->opset < 6) { /* version 1 names the type */
        const char *name = tern__onnx_attr_string(n, "to", NULL);
        static const char *const names[] = {"FLOAT", "FLOAT16", "DOUBLE", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL"};
        static const tern_dtype types[] = {TERN_F32, TERN_F16, TERN_F64, TERN_I8, TERN_I16, TERN_I32, TERN_I64, TERN_U8, TERN_U16, TERN_U32, TERN_U64, TERN_BOOL};
        for (int i = 0; name && i < TERN_COUNT(names); i++)
            if (strcmp(name, names[i]) == 0)
                return tern__onnx_put(n, 0, tern__cast(n->g, tern__onnx_in(n, 0), types[i]));
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "to the type \"%.40s\"", name ? name : "");
    }
    tern__onnx_attr_ignore(n, "saturate"); /* these two are about types of 8 bits, which Tern lacks */
    tern__onnx_attr_ignore(n, "round_mode");
    if (!tern__onnx_attr_given(n, "to"))
        return tern__onnx_fail(n, TERN_E_CORRUPT, "the attribute \"to\" is missing");
    TERN_TRY(tern__onnx_attr_dtype(n, "to", TERN_F32, &to));
    return tern__onnx_put(n, 0, tern__cast(n->g, tern__onnx_in(n, 0), to));
}

static tern_status cast_like(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 2, 2));
    tern__onnx_attr_ignore(n, "saturate");
    tern__onnx_attr_ignore(n, "round_mode");
    if (n->in[1]->kind != TERN__ONNX_TENSOR)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "input 1 is no tensor");
    return tern__onnx_put(n, 0, tern__cast(n->g, tern__onnx_in(n, 0), tern__onnx_type(n, 1)->dtype));
}

static tern_status where(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need(n, 3, 3));
    return tern__onnx_put(n, 0, tern__where(n->g, tern__onnx_in(n, 0), tern__onnx_in(n, 1), tern__onnx_in(n, 2)));
}

/* The upper or lower triangle of matrices, the rest 0. */
static tern_status trilu(tern__onnx_node *n)
{
    int64_t k;
    TERN_TRY(tern__onnx_need(n, 1, 2));
    TERN_TRY(tern__onnx_read_int(n, 1, 0, &k));
    const bool upper = tern__onnx_attr_int(n, "upper", 1) != 0;
    const tern_shape s = *tern__onnx_shape(n, 0);
    if (s.rank < 2)
        return tern__onnx_fail(n, TERN_E_SHAPE, "rank %d, matrices are needed", s.rank);
    tern_value x = tern__onnx_in(n, 0);
    if (tern__elems(&s) == 0)
        return tern__onnx_put(n, 0, x);
    const int64_t rows = s.dim[s.rank - 2], columns = s.dim[s.rank - 1];
    tern_value row = tern__add_scalar(n->g, tern__onnx_iota(n->g, 2, 0, rows), (double)clamp(k, -rows - 1, columns + 1));
    tern_value kept = tern_graph_op2(n->g, upper ? "greater_equal" : "less_equal", tern__onnx_iota(n->g, 2, 1, columns), row, NULL);
    return tern__onnx_put(n, 0, tern__where(n->g, kept, x, number(n, tern__onnx_type(n, 0)->dtype, 0)));
}

static tern_status one_hot(tern__onnx_node *n)
{
    int64_t depth;
    int axis;
    TERN_TRY(tern__onnx_need(n, 3, 3));
    TERN_TRY(tern__onnx_read_int(n, 1, 0, &depth));
    tern_shape s = *tern__onnx_shape(n, 0);
    const tern_shape *values = tern__onnx_shape(n, 2);
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", -1), s.rank + 1, &axis));
    if (depth < 0 || values->rank != 1 || values->dim[0] != 2)
        return tern__onnx_fail(n, TERN_E_SHAPE, "depth %" PRId64 ", and %" PRId64 " values where off and on are needed", depth, tern__elems(values));
    const tern_dtype t = tern__onnx_type(n, 2)->dtype;
    if (s.rank == TERN_MAX_RANK)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "%d axes and one more", s.rank);
    if (depth == 0 || tern__elems(&s) == 0) {
        memmove(&s.dim[axis + 1], &s.dim[axis], sizeof *s.dim * (size_t)(s.rank++ - axis));
        s.dim[axis] = depth;
        return tern__onnx_put(n, 0, tern__onnx_const(n, t, &s, NULL));
    }
    tern_value index = tern__onnx_in(n, 0), both = tern__onnx_in(n, 2);
    if (!tern__dtype_is(tern__onnx_type(n, 0)->dtype, TERN__T_INT))
        index = tern__cast(n->g, index, TERN_I64);
    tern_value off = tern__reshape(n->g, tern__onnx_cut_axis(n->g, both, 0, 0, 1, 1), &(tern_shape){0});
    tern_value on = tern__reshape(n->g, tern__onnx_cut_axis(n->g, both, 0, 1, 2, 1), &(tern_shape){0});
    tern_value hot = tern_graph_op1(n->g, "one_hot", index, TERN_ATTRS(TERN_INT("depth", depth), TERN_INT("axis", axis), TERN_STRING("dtype", "bool")));
    return tern__onnx_put(n, 0, tern__where(n->g, hot, on, off));
}

/* --- The table ---------------------------------------------------------------------------------------------------- */

const tern__onnx_map tern__onnx_map_shape[] = {
    {"", "Cast", 1, cast},
    {"", "CastLike", 15, cast_like},
    {"", "CenterCropPad", 18, tern__onnx_center_crop_pad},
    {"", "Col2Im", 18, tern__onnx_col2im},
    {"", "Concat", 1, concat},
    {"", "Constant", 1, constant},
    {"", "ConstantOfShape", 9, constant_of_shape},
    {"", "DepthToSpace", 1, tern__onnx_depth_to_space},
    {"", "Expand", 8, expand},
    {"", "EyeLike", 9, eye_like},
    {"", "Flatten", 1, flatten},
    {"", "Identity", 1, identity},
    {"", "OneHot", 9, one_hot},
    {"", "Pad", 1, tern__onnx_pad},
    {"", "Range", 11, range},
    {"", "Reshape", 1, reshape},
    {"", "Shape", 1, shape},
    {"", "Size", 1, size},
    {"", "Slice", 1, slice},
    {"", "SpaceToDepth", 1, tern__onnx_space_to_depth},
    {"", "Split", 1, split},
    {"", "Squeeze", 1, squeeze},
    {"", "Tile", 1, tile_1},
    {"", "Tile", 6, tile},
    {"", "Transpose", 1, transpose},
    {"", "Trilu", 14, trilu},
    {"", "Unsqueeze", 1, unsqueeze},
    {"", "Where", 9, where},
    {0},
};
