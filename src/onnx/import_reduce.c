/* Importing reductions: sums, products, extremes, norms and positions of the best, with axes as attribute or as input. */
#include "onnx/import_math.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ops/common.h"

/* What a reduction works on. */
typedef struct reduction {
    tern_value x;
    tern_dtype t;
    tern_shape shape;
    unsigned mask; /* axes that go; 0: none, only what is done to each element */
    bool keep;
} reduction;

/* ReduceSum takes its axes as an input from opset 13 on, the others from 18. */
static bool axes_are_input(const tern__onnx_node *n)
{
    return n->opset >= (strcmp(n->proto->op_type, "ReduceSum") == 0 ? 13 : 18);
}

static tern_status read_axes(tern__onnx_node *n, const int64_t **axes, int *count)
{
    if (!axes_are_input(n)) {
        *axes = tern__onnx_attr_ints(n, "axes", count);
        return TERN_OK;
    }
    return tern__onnx_read_ints(n, 1, axes, count);
}

static tern_status begin(tern__onnx_node *n, reduction *r)
{
    const int64_t *axes = NULL;
    int count = 0, axis;
    TERN_TRY(tern__onnx_need(n, 1, axes_are_input(n) ? 2 : 1));
    TERN_TRY(read_axes(n, &axes, &count));
    const bool noop = axes_are_input(n) && tern__onnx_attr_int(n, "noop_with_empty_axes", 0) != 0;
    *r = (reduction){.t = tern__onnx_type(n, 0)->dtype, .shape = *tern__onnx_shape(n, 0), .keep = tern__onnx_attr_int(n, "keepdims", 1) != 0};
    for (int i = 0; i < count; i++) {
        TERN_TRY(tern__onnx_axis(n, axes[i], r->shape.rank, &axis));
        if (r->mask >> axis & 1)
            return tern__onnx_fail(n, TERN_E_INVALID, "axis %d is given twice", axis);
        r->mask |= 1u << axis;
    }
    if (count == 0 && !noop)
        r->mask = (1u << r->shape.rank) - 1u;
    r->x = tern__onnx_in(n, 0);
    return TERN_OK;
}

/* The result's shape. */
static tern_shape reduced_shape(const reduction *r)
{
    tern_shape s = {0};
    for (int i = 0; i < r->shape.rank; i++) {
        if (!(r->mask >> i & 1))
            s.dim[s.rank++] = r->shape.dim[i];
        else if (r->keep)
            s.dim[s.rank++] = 1;
    }
    return s;
}

/* Nothing to reduce: each result is the value that the sum, product or extreme of no elements has. */
static bool is_empty(const reduction *r)
{
    return tern__elems(&r->shape) == 0;
}

static tern_status fill(tern__onnx_node *n, const reduction *r, double x)
{
    const tern_shape s = reduced_shape(r);
    tern_value y = tern__elems(&s) == 0 ? tern__onnx_const(n, r->t, &s, NULL) : tern__expand_to(n->g, tern_graph_scalar(n->g, r->t, x), &s);
    tern__onnx_set(n, 0, y);
    return TERN_OK;
}

/* An op over the axes of r; without axes the operand itself. */
static tern_value fold(tern__onnx_node *n, const reduction *r, const char *op, tern_value x)
{
    int64_t axes[TERN_MAX_RANK];
    int count = 0;
    for (int i = 0; i < r->shape.rank; i++)
        if (r->mask >> i & 1)
            axes[count++] = i;
    return count ? tern_graph_op1(n->g, op, x, TERN_ATTRS(TERN_INTS("axes", axes, count), TERN_INT("keepdims", r->keep))) : x;
}

static tern_value wide(tern__onnx_node *n, const reduction *r)
{
    return tern__widen(n->g, tern__cast(n->g, r->x, tern__onnx_float_for(r->t)));
}

static tern_status finish(tern__onnx_node *n, const reduction *r, tern_value y)
{
    tern__onnx_set(n, 0, tern__cast(n->g, y, r->t));
    return TERN_OK;
}

static tern_status reduce_sum(tern__onnx_node *n)
{
    reduction r;
    TERN_TRY(begin(n, &r));
    return is_empty(&r) ? fill(n, &r, 0) : finish(n, &r, fold(n, &r, "sum", r.x));
}

static tern_status reduce_prod(tern__onnx_node *n)
{
    reduction r;
    TERN_TRY(begin(n, &r));
    return is_empty(&r) ? fill(n, &r, 1) : finish(n, &r, fold(n, &r, "prod", r.x));
}

/* Integers are averaged in floating point and truncated. */
static tern_status reduce_mean(tern__onnx_node *n)
{
    reduction r;
    TERN_TRY(begin(n, &r));
    const bool floats = tern__dtype_is(r.t, TERN__T_FLOAT);
    if (is_empty(&r))
        return fill(n, &r, floats ? NAN : 0);
    return finish(n, &r, fold(n, &r, "mean", floats ? r.x : wide(n, &r)));
}

/* The smallest or largest number of a type, for the extreme of no elements: an infinity where the type has one. */
static tern_value end_of(tern__onnx_node *n, tern_dtype t, bool largest)
{
    const int bits = (int)tern_dtype_size(t) * 8;
    if (tern__dtype_is(t, TERN__T_FLOAT))
        return tern_graph_scalar(n->g, t, largest ? INFINITY : -INFINITY);
    const bool no_sign = tern__is_unsigned(t);
    const uint64_t top = t == TERN_BOOL ? 1 : UINT64_MAX >> (64 - bits + (no_sign ? 0 : 1));
    const int64_t x = largest ? (int64_t)top : no_sign ? 0 : -(int64_t)top - 1;
    return tern__onnx_const_ints(n, t, &(tern_shape){0}, &x);
}

static tern_status reduce_extreme(tern__onnx_node *n)
{
    const bool largest = strcmp(n->proto->op_type, "ReduceMax") == 0;
    reduction r;
    TERN_TRY(begin(n, &r));
    const tern_shape s = reduced_shape(&r);
    if (is_empty(&r) && tern__elems(&s) > 0) {
        tern__onnx_set(n, 0, tern__expand_to(n->g, end_of(n, r.t, !largest), &s));
        return TERN_OK;
    }
    if (is_empty(&r))
        return fill(n, &r, 0);
    tern_value x = r.t == TERN_BOOL ? tern__cast(n->g, r.x, TERN_U8) : r.x;
    return finish(n, &r, fold(n, &r, largest ? "reduce_max" : "reduce_min", x));
}

static tern_status reduce_l1(tern__onnx_node *n)
{
    reduction r;
    TERN_TRY(begin(n, &r));
    if (is_empty(&r))
        return fill(n, &r, 0);
    tern_value x = tern__dtype_is(r.t, TERN__T_FLOAT) ? wide(n, &r) : r.x;
    return finish(n, &r, fold(n, &r, "sum", tern__unary(n->g, "abs", x)));
}

static tern_status reduce_sum_square(tern__onnx_node *n)
{
    reduction r;
    TERN_TRY(begin(n, &r));
    if (is_empty(&r))
        return fill(n, &r, 0);
    tern_value x = tern__dtype_is(r.t, TERN__T_FLOAT) ? wide(n, &r) : r.x;
    return finish(n, &r, fold(n, &r, "sum", tern__unary(n->g, "square", x)));
}

static tern_status reduce_l2(tern__onnx_node *n)
{
    reduction r;
    TERN_TRY(begin(n, &r));
    if (is_empty(&r))
        return fill(n, &r, 0);
    tern_value x = wide(n, &r);
    if (r.mask == 0)
        return finish(n, &r, tern__unary(n->g, "abs", x));
    return finish(n, &r, fold(n, &r, "reduce_l2", x));
}

static tern_status reduce_log_sum(tern__onnx_node *n)
{
    reduction r;
    TERN_TRY(begin(n, &r));
    if (is_empty(&r))
        return fill(n, &r, -INFINITY);
    return finish(n, &r, tern__unary(n->g, "log", fold(n, &r, "sum", wide(n, &r))));
}

static tern_status reduce_log_sum_exp(tern__onnx_node *n)
{
    reduction r;
    TERN_TRY(begin(n, &r));
    if (is_empty(&r))
        return fill(n, &r, -INFINITY);
    return finish(n, &r, fold(n, &r, "logsumexp", wide(n, &r)));
}

/* With select_last_index the first of the reversed axis, counted from its other end. */
static tern_status arg_best(tern__onnx_node *n)
{
    const char *op = strcmp(n->proto->op_type, "ArgMax") == 0 ? "argmax" : "argmin";
    tern_graph *g = n->g;
    int axis;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    const tern_shape s = *tern__onnx_shape(n, 0);
    TERN_TRY(tern__onnx_axis(n, tern__onnx_attr_int(n, "axis", 0), s.rank, &axis));
    const int64_t keep = tern__onnx_attr_int(n, "keepdims", 1) != 0;
    const bool last = n->opset >= 12 && tern__onnx_attr_int(n, "select_last_index", 0) != 0;
    const int64_t axes[1] = {axis}, from[1] = {-1}, to[1] = {INT64_MIN}, step[1] = {-1};
    if (s.dim[axis] == 0)
        return tern__onnx_fail(n, TERN_E_SHAPE, "nothing to choose from along axis %d", axis);
    tern_value x = tern__onnx_in(n, 0);
    if (last)
        x = tern_graph_op1(g, "slice", x, TERN_ATTRS(TERN_INTS("starts", from, 1), TERN_INTS("ends", to, 1), TERN_INTS("axes", axes, 1),
                                                     TERN_INTS("steps", step, 1)));
    tern_value best = tern_graph_op1(g, op, x, TERN_ATTRS(TERN_INTS("axes", axes, 1), TERN_INT("keepdims", keep)));
    if (last)
        best = tern__add_scalar(g, tern__neg(g, best), (double)(s.dim[axis] - 1));
    tern__onnx_set(n, 0, best);
    return TERN_OK;
}

const tern__onnx_map tern__onnx_map_reduce[] = {
    {"", "ReduceSum", 1, reduce_sum}, {"", "ReduceProd", 1, reduce_prod}, {"", "ReduceMean", 1, reduce_mean}, {"", "ReduceMax", 1, reduce_extreme},
    {"", "ReduceMin", 1, reduce_extreme}, {"", "ReduceL1", 1, reduce_l1}, {"", "ReduceL2", 1, reduce_l2},
    {"", "ReduceSumSquare", 1, reduce_sum_square}, {"", "ReduceLogSum", 1, reduce_log_sum}, {"", "ReduceLogSumExp", 1, reduce_log_sum_exp},
    {"", "ArgMax", 1, arg_best}, {"", "ArgMin", 1, arg_best},
    {0},
};
