/* expand: broadcasting to a shape. */
#include "codegen/body.h"
#include "ops/common.h"

static const tern__attr_decl attrs[] = {{.name = "shape", .type = TERN_ATTR_INTS, .required = true}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern_shape want, s;
    TERN_TRY(tern__attr_shape(n, 0, &want));
    if (!tern__broadcast(&in[0].shape, &want, &s))
        return tern__fail(TERN_E_SHAPE, "expand: %s does not broadcast with %s", tern__shape_text(&in[0].shape, a), tern__shape_text(&want, b));
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    (void)n;
    const tern_shape *s = &out[0].type.shape;
    int64_t at[TERN_MAX_RANK] = {0}, i = 0;
    if (tern__elems(s) == 0)
        return TERN_OK;
    do
        tern__array_copy(&out[0], i++, &in[0], tern__broadcast_linear(&in[0].type.shape, s, at));
    while (tern__next_index(s, at));
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)g;
    (void)n;
    dx[0] = dy[0]; /* summed down where it is used */
    return TERN_OK;
}

static tern_status move(tern__emit_move *m, const tern__node *n)
{
    const tern_shape *s = tern__shape_of(m->body->g, n->in[0]), *to = tern__shape_of(m->body->g, n->out[0]);
    tern__aff from[TERN_MAX_RANK];
    for (int i = 0; i < s->rank; i++)
        from[i] = s->dim[i] == 1 ? tern__aff_const(0) : m->coord[to->rank - s->rank + i];
    m->reg = tern__body_value(m->body, n->in[0], from);
    return TERN_OK;
}

TERN_OP(expand) = {
    .name = "expand",
    .doc = "y = x broadcast with shape, by NumPy's rules in both directions",
    .onnx = "Expand",
    .onnx_since = 8,
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
