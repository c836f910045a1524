/* iota: the index along an axis. */
#include <inttypes.h>

#include "ops/common.h"

enum { SHAPE, AXIS, DTYPE };
static const tern__attr_decl attrs[] = {
    {.name = "shape", .type = TERN_ATTR_INTS, .required = true},
    {.name = "axis", .type = TERN_ATTR_INT},
    {.name = "dtype", .type = TERN_ATTR_STRING, .def_s = "i64"},
};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    (void)in;
    tern_shape s;
    tern_dtype t;
    int axis = 0;
    TERN_TRY(tern__attr_shape(n, SHAPE, &s));
    TERN_TRY(tern__attr_dtype(n, DTYPE, TERN__T_NUM, &t));
    if (s.rank > 0 || tern__attr_int(n, AXIS) != 0)
        TERN_TRY(tern__axis(n, tern__attr_int(n, AXIS), s.rank, &axis));
    out[0] = tern__plain(t, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    (void)in;
    const tern_shape *s = &out[0].type.shape;
    int axis = 0;
    if (s->rank > 0)
        TERN_TRY(tern__axis(n, tern__attr_int(n, AXIS), s->rank, &axis));
    if (tern__elems(s) == 0)
        return TERN_OK;
    int64_t at[TERN_MAX_RANK] = {0}, i = 0;
    do {
        const int64_t k = s->rank ? at[axis] : 0;
        if (tern__dtype_is(out[0].type.dtype, TERN__T_FLOAT))
            tern__array_set(&out[0], i++, (double)k);
        else
            tern__array_set_int(&out[0], i++, k);
    } while (tern__next_index(s, at));
    return TERN_OK;
}

TERN_OP(iota) = {
    .name = "iota",
    .doc = "y = the index of each element along axis of a tensor of this shape",
    .trait = TERN__SOURCE,
    .min_in = 0,
    .max_in = 0,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
};
