/* Handlers of the pools: MaxPool with its indices, AveragePool, LpPool, their global forms, MaxUnpool. */
#include <inttypes.h>
#include <string.h>

#include "onnx/import_nn.h"
#include "ops/common.h"

#define POOL_ATTRS(w, ceil)                                                                                                                \
    TERN_INTS("strides", (w)->stride, (w)->dims), TERN_INTS("dilations", (w)->dilation, (w)->dims),                                        \
        TERN_INTS("pads", (w)->pads, 2 * (w)->dims), TERN_INTS("kernel", (w)->kernel, (w)->dims), TERN_INT("ceil_mode", (ceil))

static tern_status read_pool(tern__onnx_node *n, tern__onnx_window *w, bool *ceil)
{
    TERN_TRY(tern__onnx_need_rank(n, 0, 3, TERN_MAX_RANK));
    *ceil = tern__onnx_attr_int(n, "ceil_mode", 0) != 0;
    return tern__onnx_window_of(n, tern__onnx_shape(n, 0), NULL, w);
}

/* --- MaxPool --- */

/* 0, 1, 2 ... along one axis of a rank, as i64 that broadcasts. */
static tern_value counting(tern_graph *g, int rank, int axis, int64_t extent)
{
    int64_t shape[TERN_MAX_RANK];
    for (int i = 0; i < rank; i++)
        shape[i] = i == axis ? extent : 1;
    return tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", shape, rank), TERN_INT("axis", axis), TERN_STRING("dtype", "i64")));
}

/* Where along spatial axis d the element is that window position o takes: o * stride - pad + tap * dilation. */
static tern_value position(tern_graph *g, const tern__onnx_window *w, const tern_shape *y, int d, tern_value tap)
{
    tern_value o = tern__mul_scalar(g, counting(g, y->rank, 2 + d, y->dim[2 + d]), (double)w->stride[d]);
    return tern__add_scalar(g, tern__add(g, o, tern__mul_scalar(g, tap, (double)w->dilation[d])), -(double)w->pads[d]);
}

/* The position in its window becomes one in the whole of x; column_major: among the spatial axes the first runs fastest. */
static tern_value flat_index(tern_graph *g, const tern__onnx_window *w, const tern_shape *x, tern_value tap, bool column_major)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const tern_shape y = *tern__shape_of(g, tap);
    const int64_t plane = tern__extent(x, 2, x->rank);
    tern_value rest = tern__cast(g, tap, TERN_I64), flat = TERN_NONE;
    for (int d = w->dims - 1; d >= 0; d--) {
        tern_value at = d ? tern_graph_op2(g, "mod", rest, tern__like(g, rest, (double)w->kernel[d]), NULL) : rest;
        rest = d ? tern__div(g, rest, tern__like(g, rest, (double)w->kernel[d])) : rest;
        const int64_t pace = column_major ? tern__extent(x, 2, 2 + d) : tern__extent(x, 3 + d, x->rank);
        at = tern__mul_scalar(g, position(g, w, &y, d, at), (double)pace);
        flat = flat == TERN_NONE ? at : tern__add(g, flat, at);
    }
    flat = tern__add(g, flat, tern__mul_scalar(g, counting(g, x->rank, 1, x->dim[1]), (double)plane));
    return tern__add(g, flat, tern__mul_scalar(g, counting(g, x->rank, 0, x->dim[0]), (double)(plane * x->dim[1])));
}

tern_status tern__onnx_max_pool(tern__onnx_node *n)
{
    tern__onnx_window w;
    bool ceil;
    TERN_TRY(read_pool(n, &w, &ceil));
    const bool column_major = tern__onnx_attr_int(n, "storage_order", 0) != 0;
    const tern_shape x = *tern__onnx_shape(n, 0);
    const tern_value in = tern__onnx_in(n, 0);
    tern_value y[2];
    tern_graph_add_n(n->g, "max_pool", &in, 1, TERN_ATTRS(POOL_ATTRS(&w, ceil)), y, 2);
    if (tern__onnx_wants(n, 1))
        tern__onnx_set(n, 1, flat_index(n->g, &w, &x, y[1], column_major));
    return tern__onnx_done(n, 0, y[0]);
}

/* --- AveragePool, LpPool --- */

tern_status tern__onnx_average_pool(tern__onnx_node *n)
{
    tern__onnx_window w;
    bool ceil;
    TERN_TRY(read_pool(n, &w, &ceil));
    const int64_t include = tern__onnx_attr_int(n, "count_include_pad", 0) != 0;
    return tern__onnx_done(n, 0, tern_graph_op1(n->g, "average_pool", tern__onnx_in(n, 0),
                                                TERN_ATTRS(POOL_ATTRS(&w, ceil), TERN_INT("count_include_pad", include))));
}

/* p is a float in the first version. */
static tern_status read_p(tern__onnx_node *n, double *p)
{
    *p = n->opset < 2 ? tern__onnx_attr_float(n, "p", 2) : (double)tern__onnx_attr_int(n, "p", 2);
    return *p > 0 ? TERN_OK : tern__onnx_fail(n, TERN_E_INVALID, "p %g must be above 0", *p);
}

/* |x|^p, wide. */
static tern_value powered(tern_graph *g, tern_value x, double p)
{
    tern_value a = tern__widen(g, x);
    if (p == 2)
        return tern__mul(g, a, a);
    a = tern__unary(g, "abs", a);
    return p == 1 ? a : tern_graph_op2(g, "pow", a, tern__like(g, a, p), NULL);
}

/* The p-th root of a sum, in the dtype of the input. */
static tern_value root(tern_graph *g, tern_value sum, double p, tern_dtype t)
{
    if (p == 2)
        sum = tern__unary(g, "sqrt", sum);
    else if (p != 1)
        sum = tern_graph_op2(g, "pow", sum, tern__like(g, sum, 1 / p), NULL);
    return tern__cast(g, sum, t);
}

tern_status tern__onnx_lp_pool(tern__onnx_node *n)
{
    tern__onnx_window w;
    bool ceil;
    double p;
    TERN_TRY(tern__onnx_need_float(n, 0));
    TERN_TRY(read_pool(n, &w, &ceil));
    TERN_TRY(read_p(n, &p));
    tern_value x = tern__onnx_in(n, 0);
    if (p == 2)
        return tern__onnx_done(n, 0, tern_graph_op1(n->g, "l2_pool", x, TERN_ATTRS(POOL_ATTRS(&w, ceil))));
    tern_value sum = tern_graph_op1(n->g, "average_pool", powered(n->g, x, p), TERN_ATTRS(POOL_ATTRS(&w, ceil), TERN_INT("divisor", 1)));
    return tern__onnx_done(n, 0, root(n->g, sum, p, tern__onnx_type(n, 0)->dtype));
}

/* --- Over all spatial axes --- */

static unsigned spatial_axes(const tern__onnx_node *n)
{
    return ((1u << tern__onnx_rank(n, 0)) - 1u) & ~3u;
}

tern_status tern__onnx_global_pool(tern__onnx_node *n)
{
    TERN_TRY(tern__onnx_need_rank(n, 0, 2, TERN_MAX_RANK));
    TERN_TRY(tern__onnx_need_float(n, 0));
    tern_value x = tern__onnx_in(n, 0);
    const bool mean = strcmp(n->proto->op_type, "GlobalAveragePool") == 0;
    return tern__onnx_done(n, 0, mean ? tern__mean_axes(n->g, x, spatial_axes(n), true) : tern__max_axes(n->g, x, spatial_axes(n), true));
}

tern_status tern__onnx_global_lp_pool(tern__onnx_node *n)
{
    double p;
    TERN_TRY(tern__onnx_need_rank(n, 0, 2, TERN_MAX_RANK));
    TERN_TRY(tern__onnx_need_float(n, 0));
    TERN_TRY(read_p(n, &p));
    tern_value sum = tern__sum_axes(n->g, powered(n->g, tern__onnx_in(n, 0), p), spatial_axes(n), true);
    return tern__onnx_done(n, 0, root(n->g, sum, p, tern__onnx_type(n, 0)->dtype));
}

/* --- MaxUnpool --- */

/* The largest input of the pooling that made x. */
static tern_status unpooled_shape(tern__onnx_node *n, const tern__onnx_window *w, const tern_shape *x, tern_shape *y)
{
    char text[TERN__SHAPE_TEXT];
    *y = *x;
    for (int d = 0; d < w->dims; d++) {
        y->dim[2 + d] = (x->dim[2 + d] - 1) * w->stride[d] - w->pads[d] - w->pads[w->dims + d] + w->kernel[d];
        if (y->dim[2 + d] < 0)
            return tern__onnx_fail(n, TERN_E_SHAPE, "nothing is left of %s along spatial axis %d", tern__shape_text(x, text), d);
    }
    return TERN_OK;
}

/* The third input names all extents of the result, of which the elements take the first corner. */
static tern_status wanted_pads(tern__onnx_node *n, const tern_shape *y, int64_t pads[2 * TERN_MAX_RANK])
{
    const int64_t *want;
    int count;
    TERN_TRY(tern__onnx_read_ints(n, 2, &want, &count));
    if (count != y->rank)
        return tern__onnx_fail(n, TERN_E_SHAPE, "output_shape has %d numbers for rank %d", count, y->rank);
    for (int i = 0; i < y->rank; i++) {
        if (want[i] < 0 || want[i] > INT32_MAX)
            return tern__onnx_fail(n, TERN_E_INVALID, "extent %" PRId64 " in output_shape", want[i]);
        pads[i] = 0;
        pads[y->rank + i] = want[i] - y->dim[i];
    }
    return TERN_OK;
}

/* Every element goes back to where its index says, counted over the whole tensor, among zeroes. */
tern_status tern__onnx_max_unpool(tern__onnx_node *n)
{
    tern_graph *g = n->g;
    tern__onnx_window w;
    tern_shape y;
    int64_t pads[2 * TERN_MAX_RANK], total = 1;
    TERN_TRY(tern__onnx_need_rank(n, 0, 3, 5));
    const tern_shape x = *tern__onnx_shape(n, 0);
    TERN_TRY(tern__onnx_need_rank(n, 1, x.rank, x.rank));
    TERN_TRY(tern__onnx_window_of(n, &x, NULL, &w));
    TERN_TRY(unpooled_shape(n, &w, &x, &y));
    if (tern__onnx_has(n, 2))
        TERN_TRY(wanted_pads(n, &y, pads));
    for (int i = 0; i < y.rank; i++)
        if (__builtin_mul_overflow(total, y.dim[i], &total))
            return tern__onnx_fail(n, TERN_E_SHAPE, "the result has too many elements");
    const tern_shape all = {.rank = 1, .dim = {total}}, given = {.rank = 1, .dim = {tern__elems(&x)}};
    const tern_value in[3] = {tern__expand_to(g, tern__like(g, tern__onnx_in(n, 0), 0), &all), tern__reshape(g, tern__onnx_in(n, 1), &given),
                              tern__reshape(g, tern__onnx_in(n, 0), &given)};
    tern_value v = tern__reshape(g, tern_graph_add(g, "scatter_elements", in, 3, TERN_ATTRS(TERN_INT("axis", 0))), &y);
    if (tern__onnx_has(n, 2))
        v = tern_graph_op1(g, "pad", v, TERN_ATTRS(TERN_INTS("pads", pads, 2 * y.rank)));
    return tern__onnx_done(n, 0, v);
}
