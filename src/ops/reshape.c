/* reshape: the same elements in the same row-major order under another shape. */
#include <inttypes.h>
#include <string.h>

#include "codegen/move.h"
#include "ops/common.h"

static const tern__attr_decl attrs[] = {{.name = "shape", .type = TERN_ATTR_INTS, .required = true}};

/* Extents as given, 0 copied from x, and which one is to be inferred (-1: none). */
static tern_status read_shape(const tern__node *n, const tern_shape *in, tern_shape *s, int *inferred)
{
    int count;
    char text[TERN__SHAPE_TEXT];
    const int64_t *want = tern__attr_ints(n, 0, &count);
    if (count > TERN_MAX_RANK)
        return tern__fail(TERN_E_SHAPE, "reshape: shape %s has %d axes, at most %d are possible", tern__ints_text(want, count, text), count,
                          TERN_MAX_RANK);
    *s = (tern_shape){.rank = count};
    *inferred = -1;
    for (int i = 0; i < count; i++) {
        s->dim[i] = want[i];
        if (want[i] == 0 && i >= in->rank)
            return tern__fail(TERN_E_SHAPE, "reshape: 0 at axis %d of %s copies an extent that rank %d does not have", i,
                              tern__ints_text(want, count, text), in->rank);
        if (want[i] == 0)
            s->dim[i] = in->dim[i];
        if (want[i] < -1 || (want[i] == -1 && *inferred >= 0))
            return tern__fail(TERN_E_SHAPE, "reshape: shape %s: at most one -1 and nothing below it", tern__ints_text(want, count, text));
        if (want[i] == -1) {
            *inferred = i;
            s->dim[i] = 1;
        }
    }
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern_shape s;
    int inferred = -1, count;
    const int64_t *want = tern__attr_ints(n, 0, &count);
    TERN_TRY(read_shape(n, &in[0].shape, &s, &inferred));
    const int64_t have = tern__elems(&in[0].shape);
    int64_t elems = 1;
    bool fits = true;
    for (int i = 0; i < s.rank; i++)
        fits = fits && !__builtin_mul_overflow(elems, s.dim[i], &elems);
    if (fits && inferred >= 0) {
        fits = elems > 0 && have % elems == 0;
        if (fits)
            s.dim[inferred] = have / elems;
    } else {
        fits = fits && elems == have;
    }
    if (!fits)
        return tern__fail(TERN_E_SHAPE, "reshape: the %" PRId64 " elements of %s do not make %s", have, tern__shape_text(&in[0].shape, a),
                          tern__ints_text(want, count, b));
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    (void)n;
    memcpy(out[0].data, in[0].data, tern__type_bytes(&out[0].type));
    return TERN_OK;
}

static tern_status move(tern__emit_move *m, const tern__node *n)
{
    tern__aff from[TERN_MAX_RANK];
    const tern_graph *g = m->body->g;
    tern__move_reshape(m->body, tern__shape_of(g, n->out[0]), m->coord, tern__shape_of(g, n->in[0]), from);
    m->reg = tern__body_value(m->body, n->in[0], from);
    return TERN_OK;
}

TERN_OP(reshape) = {
    .name = "reshape",
    .doc = "y = the elements of x in row-major order under shape; 0 copies x's extent, -1 is what is left",
    .onnx = "Reshape",
    .onnx_since = 1,
    .trait = TERN__MOVEMENT,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = tern__grad_reshape,
    .reshapes = true,
    .move = move,
};
