/* Checks that ops on 8-bit integers share. */
#include "ops/integer.h"

#include <inttypes.h>

tern_status tern__need_integers(const tern__node *n, const tern__type *in)
{
    for (int i = 0; i < 2; i++) {
        if (in[i].dtype != TERN_U8 && in[i].dtype != TERN_I8)
            return tern__fail_dtype(n, i, in[i].dtype);
        TERN_TRY(tern__need_same(n, in, i, i + 2));
    }
    return TERN_OK;
}

static bool is_vector(const tern_shape *s, int64_t extent)
{
    return s->rank == 1 && s->dim[0] == extent;
}

tern_status tern__need_zero_points(const tern__node *n, const tern__type *in, int64_t columns)
{
    char text[TERN__SHAPE_TEXT];
    if (!is_vector(&in[2].shape, 1))
        return tern__fail(TERN_E_SHAPE, "%s: the zero point of input 0 is %s, it must be [1]", n->op->name, tern__shape_text(&in[2].shape, text));
    if (!is_vector(&in[3].shape, 1) && !is_vector(&in[3].shape, columns))
        return tern__fail(TERN_E_SHAPE, "%s: the zero point of input 1 is %s, it must be [1] or [%" PRId64 "]", n->op->name,
                          tern__shape_text(&in[3].shape, text), columns);
    return TERN_OK;
}
