/* slice: every step-th element between a start and an end along chosen axes. */
#include <inttypes.h>

#include "codegen/body.h"
#include "ops/movement.h"

enum { STARTS, ENDS, AXES, STEPS };
static const tern__attr_decl attrs[] = {
    {.name = "starts", .type = TERN_ATTR_INTS, .required = true},
    {.name = "ends", .type = TERN_ATTR_INTS, .required = true},
    {.name = "axes", .type = TERN_ATTR_INTS},
    {.name = "steps", .type = TERN_ATTR_INTS},
};

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* One axis by ONNX's rules: negative positions count from the end, and all are clamped into the axis. */
static void map_axis(tern__slice_map *m, int axis, int64_t extent, int64_t start, int64_t end, int64_t step)
{
    if (start < 0)
        start = start < -extent ? -1 : start + extent;
    if (end < 0)
        end = end < -extent ? -1 : end + extent;
    int64_t span;
    if (step > 0) {
        start = clamp(start, 0, extent);
        end = clamp(end, 0, extent);
        span = end - start;
    } else {
        start = clamp(start, extent ? 0 : -1, extent - 1);
        end = clamp(end, -1, extent - 1);
        span = start - end;
    }
    /* -INT64_MIN does not exist; a step that long takes one element like any other beyond the extent. */
    int64_t pace = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
    m->begin[axis] = start;
    m->count[axis] = span <= 0 ? 0 : (span - 1) / pace + 1;
    m->step[axis] = m->count[axis] > 1 ? step : 1;
}

tern_status tern__slice_map_of(const tern__node *n, const tern_shape *in, tern__slice_map *m)
{
    int n_starts, n_ends, n_axes, n_steps;
    const int64_t *starts = tern__attr_ints(n, STARTS, &n_starts), *ends = tern__attr_ints(n, ENDS, &n_ends);
    const int64_t *axes = tern__attr_ints(n, AXES, &n_axes), *steps = tern__attr_ints(n, STEPS, &n_steps);
    if (n_starts != n_ends || (n_axes && n_axes != n_starts) || (n_steps && n_steps != n_starts))
        return tern__fail(TERN_E_INVALID, "slice: %d starts, %d ends, %d axes and %d steps do not go together", n_starts, n_ends, n_axes, n_steps);
    if (!n_axes && n_starts > in->rank)
        return tern__fail(TERN_E_INVALID, "slice: %d starts for rank %d", n_starts, in->rank);
    for (int i = 0; i < in->rank; i++) {
        m->begin[i] = 0;
        m->step[i] = 1;
        m->count[i] = in->dim[i];
    }
    unsigned seen = 0;
    for (int i = 0; i < n_starts; i++) {
        int axis = i;
        if (n_axes)
            TERN_TRY(tern__axis(n, axes[i], in->rank, &axis));
        if (seen >> axis & 1)
            return tern__fail(TERN_E_INVALID, "slice: axis %d is given twice", axis);
        seen |= 1u << axis;
        if (n_steps && steps[i] == 0)
            return tern__fail(TERN_E_INVALID, "slice: step 0 along axis %d", axis);
        map_axis(m, axis, in->dim[axis], starts[i], ends[i], n_steps ? steps[i] : 1);
    }
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__slice_map m;
    TERN_TRY(tern__slice_map_of(n, &in[0].shape, &m));
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    for (int i = 0; i < in[0].shape.rank; i++)
        out[0].shape.dim[i] = m.count[i];
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &out[0].type.shape;
    tern__slice_map m;
    TERN_TRY(tern__slice_map_of(n, &in[0].type.shape, &m));
    if (tern__elems(s) == 0)
        return TERN_OK;
    int64_t at[TERN_MAX_RANK] = {0}, from[TERN_MAX_RANK], i = 0;
    do {
        for (int k = 0; k < s->rank; k++)
            from[k] = m.begin[k] + at[k] * m.step[k];
        tern__array_copy(&out[0], i++, &in[0], tern__linear(&in[0].type.shape, from));
    } while (tern__next_index(s, at));
    return TERN_OK;
}

/* dy with its elements step apart along an axis: zeroes are padded in, cell by cell, and the last cell is cut after its element. */
static tern_value spread(tern_graph *g, tern_value dy, int axis, int64_t step)
{
    const tern_shape s = *tern__shape_of(g, dy);
    const int64_t count = s.dim[axis], outer = tern__extent(&s, 0, axis), inner = tern__extent(&s, axis + 1, s.rank);
    const int64_t cell[4] = {outer, count, 1, inner}, pads[8] = {0, 0, 0, 0, 0, 0, step - 1, 0};
    tern_shape wide = s;
    wide.dim[axis] = count * step;
    tern_value v = tern_graph_op1(g, "reshape", dy, TERN_ATTRS(TERN_INTS("shape", cell, 4)));
    v = tern_graph_op1(g, "pad", v, TERN_ATTRS(TERN_INTS("pads", pads, 8)));
    v = tern__reshape(g, v, &wide);
    const int64_t start = 0, end = (count - 1) * step + 1, on = axis;
    return tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", &start, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &on, 1)));
}

static tern_value reverse(tern_graph *g, tern_value v, int axis)
{
    const int64_t start = -1, end = INT64_MIN, step = -1, on = axis;
    return tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", &start, 1), TERN_INTS("ends", &end, 1),
                                                     TERN_INTS("axes", &on, 1), TERN_INTS("steps", &step, 1)));
}

/* The elements go back to where they came from, among zeroes. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const tern_shape s = *tern__shape_of(g, n->in[0]);
    tern__slice_map m;
    TERN_TRY(tern__slice_map_of(n, &s, &m));
    int64_t pads[2 * TERN_MAX_RANK];
    tern_value v = dy[0];
    for (int i = 0; i < s.rank; i++) {
        int64_t begin = m.begin[i], step = m.step[i];
        if (m.count[i] == 0) {
            dx[0] = tern__zeros_like(g, n->in[0]);
            return TERN_OK;
        }
        if (step < 0) {
            v = reverse(g, v, i);
            begin += (m.count[i] - 1) * step;
            step = -step;
        }
        if (step > 1)
            v = spread(g, v, i, step);
        if (tern_graph_check(g) != TERN_OK)
            return tern_graph_check(g);
        pads[i] = begin;
        pads[s.rank + i] = s.dim[i] - begin - ((m.count[i] - 1) * step + 1);
    }
    dx[0] = tern_graph_op1(g, "pad", v, TERN_ATTRS(TERN_INTS("pads", pads, 2 * s.rank)));
    return TERN_OK;
}

static tern_status move(tern__emit_move *m, const tern__node *n)
{
    const tern_shape *s = tern__shape_of(m->body->g, n->in[0]);
    tern__slice_map map;
    TERN_TRY(tern__slice_map_of(n, s, &map));
    tern__aff from[TERN_MAX_RANK];
    for (int i = 0; i < s->rank; i++)
        from[i] = tern__aff_axpy(tern__aff_const(map.begin[i]), map.step[i], m->coord[i]);
    m->reg = tern__body_value(m->body, n->in[0], from);
    return TERN_OK;
}

TERN_OP(slice) = {
    .name = "slice",
    .doc = "y = the elements of x from starts up to but not including ends, every steps-th, along axes (none given: the first ones); "
           "negative positions count from the end, positions beyond the axis stop at it, a negative step walks backwards",
    .onnx = "Slice",
    .onnx_since = 1,
    .trait = TERN__MOVEMENT,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .move = move,
};
