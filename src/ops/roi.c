/* What the pools of regions of interest share. */
#include "ops/roi.h"

#include <inttypes.h>

tern_status tern__roi_shape(const tern__node *n, const tern__type *in, int64_t columns, tern__type *out)
{
    char text[TERN__SHAPE_TEXT];
    const int64_t height = tern__attr_int(n, TERN__ROI_HEIGHT), width = tern__attr_int(n, TERN__ROI_WIDTH);
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__need_same(n, in, 0, 1));
    TERN_TRY(tern__need_rank(n, in, 0, 4, 4));
    TERN_TRY(tern__need_rank(n, in, 1, 2, 2));
    if (in[1].shape.dim[1] != columns)
        return tern__fail(TERN_E_SHAPE, "%s: regions are %s but must have %" PRId64 " columns", n->op->name, tern__shape_text(&in[1].shape, text), columns);
    if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX)
        return tern__fail(TERN_E_INVALID, "%s: a result of %" PRId64 " x %" PRId64, n->op->name, height, width);
    if (in[0].shape.dim[2] < 1 || in[0].shape.dim[3] < 1)
        return tern__fail(TERN_E_SHAPE, "%s: %s has no elements to pool", n->op->name, tern__shape_text(&in[0].shape, text));
    const tern_shape s = {.rank = 4, .dim = {in[1].shape.dim[0], in[0].shape.dim[1], height, width}};
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}
