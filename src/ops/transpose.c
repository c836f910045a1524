/* transpose: axes in another order. */
#include <inttypes.h>

#include "codegen/body.h"
#include "ops/movement.h"

static const tern__attr_decl attrs[] = {{.name = "perm", .type = TERN_ATTR_INTS}};

tern_status tern__transpose_perm(const tern__node *n, int rank, int perm[TERN_MAX_RANK])
{
    int count;
    char text[TERN__SHAPE_TEXT];
    const int64_t *given = tern__attr_ints(n, 0, &count);
    if (count == 0) {
        for (int i = 0; i < rank; i++)
            perm[i] = rank - 1 - i;
        return TERN_OK;
    }
    unsigned seen = 0;
    for (int i = 0; i < count && count == rank; i++) {
        int axis;
        TERN_TRY(tern__axis(n, given[i], rank, &axis));
        perm[i] = axis;
        seen |= 1u << axis;
    }
    if (count != rank || seen != (1u << rank) - 1u)
        return tern__fail(TERN_E_INVALID, "transpose: perm %s is no order of %d axes", tern__ints_text(given, count, text), rank);
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    int perm[TERN_MAX_RANK];
    TERN_TRY(tern__transpose_perm(n, in[0].shape.rank, perm));
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    for (int i = 0; i < in[0].shape.rank; i++)
        out[0].shape.dim[i] = in[0].shape.dim[perm[i]];
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &out[0].type.shape;
    int perm[TERN_MAX_RANK];
    TERN_TRY(tern__transpose_perm(n, s->rank, perm));
    if (tern__elems(s) == 0)
        return TERN_OK;
    int64_t at[TERN_MAX_RANK] = {0}, from[TERN_MAX_RANK], i = 0;
    do {
        for (int k = 0; k < s->rank; k++)
            from[perm[k]] = at[k];
        tern__array_copy(&out[0], i++, &in[0], tern__linear(&in[0].type.shape, from));
    } while (tern__next_index(s, at));
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const int rank = tern__shape_of(g, n->in[0])->rank;
    int perm[TERN_MAX_RANK], inverse[TERN_MAX_RANK];
    TERN_TRY(tern__transpose_perm(n, rank, perm));
    for (int i = 0; i < rank; i++)
        inverse[perm[i]] = i;
    dx[0] = tern__transpose(g, dy[0], inverse);
    return TERN_OK;
}

static tern_status move(tern__emit_move *m, const tern__node *n)
{
    int perm[TERN_MAX_RANK], rank = tern__shape_of(m->body->g, n->in[0])->rank;
    TERN_TRY(tern__transpose_perm(n, rank, perm));
    tern__aff from[TERN_MAX_RANK];
    for (int i = 0; i < rank; i++)
        from[perm[i]] = m->coord[i];
    m->reg = tern__body_value(m->body, n->in[0], from);
    return TERN_OK;
}

TERN_OP(transpose) = {
    .name = "transpose",
    .doc = "y = x with its axes in the order perm: axis i of y is axis perm[i] of x; none given: reversed",
    .onnx = "Transpose",
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
