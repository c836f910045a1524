/* split: a tensor cut into pieces along an axis. */
#include <inttypes.h>

#include "base/alloc.h"
#include "ops/common.h"

enum { AXIS, PARTS };
static const tern__attr_decl attrs[] = {
    {.name = "axis", .type = TERN_ATTR_INT, .def = 0},
    {.name = "parts", .type = TERN_ATTR_INTS},
};

/* Extent of piece k: as given, or equal shares. */
static int64_t part(const tern__node *n, int64_t extent, int k)
{
    int count;
    const int64_t *parts = tern__attr_ints(n, PARTS, &count);
    return count ? parts[k] : extent / n->n_out;
}

static tern_status check_parts(const tern__node *n, int64_t extent)
{
    char text[TERN__SHAPE_TEXT];
    int count;
    const int64_t *parts = tern__attr_ints(n, PARTS, &count);
    if (count == 0 && (n->n_out < 1 || extent % n->n_out != 0))
        return tern__fail(TERN_E_SHAPE, "split: %" PRId64 " elements do not make %d equal parts", extent, n->n_out);
    if (count && count != n->n_out)
        return tern__fail(TERN_E_INVALID, "split: %d parts for %d outputs", count, n->n_out);
    int64_t left = extent;
    for (int i = 0; i < count; i++) {
        if (parts[i] < 0 || parts[i] > left)
            return tern__fail(TERN_E_SHAPE, "split: parts %s do not make the extent %" PRId64, tern__ints_text(parts, count, text), extent);
        left -= parts[i];
    }
    if (count && left)
        return tern__fail(TERN_E_SHAPE, "split: parts %s leave %" PRId64 " of the extent %" PRId64, tern__ints_text(parts, count, text), left, extent);
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, AXIS), in[0].shape.rank, &axis));
    const int64_t extent = in[0].shape.dim[axis];
    TERN_TRY(check_parts(n, extent));
    for (int i = 0; i < n->n_out; i++) {
        out[i] = tern__plain(in[0].dtype, &in[0].shape);
        out[i].shape.dim[axis] = part(n, extent, i);
    }
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_shape s = *tern__shape_of(g, in[0]);
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, AXIS), s.rank, &axis));
    int64_t start = 0, on = axis;
    for (int i = 0; i < n->n_out; i++) {
        int64_t end = start + part(n, s.dim[axis], i);
        out[i] = tern_graph_op1(g, "slice", in[0], TERN_ATTRS(TERN_INTS("starts", &start, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &on, 1)));
        start = end;
    }
    return TERN_OK;
}

/* The pieces' gradients one after the other, zeroes for those that have none. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    tern_value *pieces = tern__alloc_array((size_t)n->n_out, sizeof *pieces);
    if (!pieces)
        return tern__fail(TERN_E_NOMEM, "split: %d gradients", n->n_out);
    for (int i = 0; i < n->n_out; i++)
        pieces[i] = dy[i] != TERN_NONE ? dy[i] : tern__zeros_like(g, n->out[i]);
    dx[0] = tern_graph_add(g, "concat", pieces, n->n_out, TERN_ATTRS(TERN_INT("axis", tern__attr_int(n, AXIS))));
    tern__free(pieces);
    return TERN_OK;
}

TERN_OP(split) = {
    .name = "split",
    .doc = "y0, y1, ... = x cut along axis into pieces of the extents in parts (none given: equal ones)",
    .onnx = "Split",
    .onnx_since = 2,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = -1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .grad = grad,
    .expand = expand,
};
