/* reorder: the same tensor in another memory layout. Made by the layout pass; users have no need of it. */
#include <string.h>

#include "codegen/body.h"
#include "ops/common.h"

static const tern__attr_decl attrs[] = {{.name = "block", .type = TERN_ATTR_INT, .def = 0}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    int64_t block = tern__attr_int(n, 0);
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    if (block == 0)
        return TERN_OK;
    if (block < 0 || block > 64 || in[0].shape.rank < 2 || in[0].shape.dim[1] % block != 0)
        return tern__fail(TERN_E_INVALID, "reorder: axis 1 of a rank-%d tensor does not come in blocks of %lld", in[0].shape.rank, (long long)block);
    return TERN_OK;
}

/* References see row-major data whatever the layout. */
static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    (void)n;
    memcpy(out[0].data, in[0].data, tern__type_bytes(&out[0].type));
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)g;
    (void)n;
    dx[0] = dy[0];
    return TERN_OK;
}

static tern_status move(tern__emit_move *m, const tern__node *n)
{
    m->reg = tern__body_value(m->body, n->in[0], m->coord);
    return TERN_OK;
}

TERN_OP(reorder) = {
    .name = "reorder",
    .doc = "y = x, stored with axis 1 in blocks (0: row-major)",
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
