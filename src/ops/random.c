/* What the random sources share. */
#include "ops/random.h"

tern_status tern__need_step(const tern__node *n, const tern__type *in, int i)
{
    char text[TERN__SHAPE_TEXT];
    if (i >= n->n_in || in[i].dtype == TERN_DTYPE_COUNT)
        return TERN_OK;
    if (in[i].dtype != TERN_F32 && in[i].dtype != TERN_I64)
        return tern__fail_dtype(n, i, in[i].dtype);
    if (in[i].shape.rank != 0)
        return tern__fail(TERN_E_SHAPE, "%s: the step is %s but must be a scalar", n->op->name, tern__shape_text(&in[i].shape, text));
    return TERN_OK;
}

tern_status tern__infer_random(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern_shape s;
    tern_dtype t;
    TERN_TRY(tern__need_step(n, in, 0));
    TERN_TRY(tern__attr_shape(n, TERN__RANDOM_SHAPE, &s));
    TERN_TRY(tern__attr_dtype(n, TERN__RANDOM_DTYPE, TERN__T_FLOAT, &t));
    out[0] = tern__plain(t, &s);
    return TERN_OK;
}

tern_status tern__ref_random(const tern__node *n, const tern__array *in, const tern__array *out, float (*draw)(uint64_t, uint64_t, uint64_t),
                             float scale, float shift)
{
    const uint64_t seed = (uint64_t)tern__attr_int(n, TERN__RANDOM_SEED);
    const uint64_t stream = tern__has_input(n, 0) ? (uint64_t)tern__array_get_int(&in[0], 0) : 0;
    const int64_t elems = tern__elems(&out[0].type.shape);
    for (int64_t i = 0; i < elems; i++) {
        const float scaled = draw(seed, stream, (uint64_t)i) * scale;
        tern__array_set(&out[0], i, (double)(scaled + shift));
    }
    return TERN_OK;
}

tern_status tern__grad_random(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)g;
    (void)n;
    (void)dy;
    (void)dx;
    return TERN_OK;
}
