/* concat: tensors one after the other along an axis. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "codegen/body.h"
#include "ops/common.h"

/* Inputs that one concat reads: an element tries them all. */
enum { MOST_INPUTS = 12 };

static const tern__attr_decl attrs[] = {{.name = "axis", .type = TERN_ATTR_INT, .required = true}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), in[0].shape.rank, &axis));
    tern_shape s = in[0].shape;
    for (int i = 1; i < n->n_in; i++) {
        TERN_TRY(tern__need_same(n, in, 0, i));
        bool fits = in[i].shape.rank == s.rank;
        for (int k = 0; k < s.rank && fits; k++)
            fits = k == axis || in[i].shape.dim[k] == s.dim[k];
        if (!fits)
            return tern__fail(TERN_E_SHAPE, "concat: input %d is %s, which does not go with %s along axis %d", i,
                              tern__shape_text(&in[i].shape, a), tern__shape_text(&in[0].shape, b), axis);
        if (__builtin_add_overflow(s.dim[axis], in[i].shape.dim[axis], &s.dim[axis]))
            return tern__fail(TERN_E_SHAPE, "concat: the extents along axis %d overflow", axis);
    }
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &out[0].type.shape;
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), s->rank, &axis));
    const int64_t outer = tern__extent(s, 0, axis), inner = tern__extent(s, axis + 1, s->rank);
    int64_t before = 0;
    for (int i = 0; i < n->n_in; i++) {
        const int64_t run = in[i].type.shape.dim[axis] * inner;
        for (int64_t o = 0; o < outer; o++)
            for (int64_t k = 0; k < run; k++)
                tern__array_copy(&out[0], (o * s->dim[axis] + before) * inner + k, &in[i], o * run + k);
        before += in[i].type.shape.dim[axis];
    }
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), tern__shape_of(g, n->out[0])->rank, &axis));
    int64_t start = 0, on = axis;
    for (int i = 0; i < n->n_in; i++) {
        int64_t end = start + tern__shape_of(g, n->in[i])->dim[axis];
        dx[i] = tern_graph_op1(g, "slice", dy[0], TERN_ATTRS(TERN_INTS("starts", &start, 1), TERN_INTS("ends", &end, 1), TERN_INTS("axes", &on, 1)));
        start = end;
    }
    return TERN_OK;
}

/* Many inputs are joined in groups of neighbours, which are joined in turn. */
static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    if (n->n_in <= MOST_INPUTS)
        return TERN_OK;
    tern_value *v = tern__alloc_array((size_t)n->n_in, sizeof *v);
    if (!v)
        return tern__fail(TERN_E_NOMEM, "concat: %d inputs", n->n_in);
    memcpy(v, in, (size_t)n->n_in * sizeof *v);
    for (int left = n->n_in; left > 1;) {
        int groups = 0;
        for (int i = 0; i < left; i += MOST_INPUTS) {
            const int count = TERN_MIN(left - i, MOST_INPUTS);
            v[groups++] = count > 1 ? tern_graph_add(g, "concat", v + i, count, TERN_ATTRS(TERN_INT("axis", tern__attr_int(n, 0)))) : v[i];
        }
        left = groups;
    }
    out[0] = v[0];
    tern__free(v);
    return TERN_OK;
}

/* Every input is read, at a coordinate kept inside it, and the one that covers the element is taken. */
static tern_status move(tern__emit_move *m, const tern__node *n)
{
    const tern_graph *g = m->body->g;
    const tern_shape *to = tern__shape_of(g, n->out[0]);
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), to->rank, &axis));
    int64_t start = 0;
    m->reg = -1;
    for (int i = 0; i < n->n_in; i++) {
        int64_t extent = tern__shape_of(g, n->in[i])->dim[axis];
        if (extent == 0)
            continue;
        tern__aff from[TERN_MAX_RANK];
        for (int d = 0; d < to->rank; d++)
            from[d] = m->coord[d];
        from[axis] = tern__body_clamp(m->body, tern__aff_add(m->coord[axis], tern__aff_const(-start)), extent);
        int r = tern__body_value(m->body, n->in[i], from);
        m->reg = m->reg < 0 ? r : tern__body_range(m->body, m->coord[axis], start, start + extent, r, m->reg);
        start += extent;
    }
    return TERN_OK;
}

TERN_OP(concat) = {
    .name = "concat",
    .doc = "y = the inputs one after the other along axis",
    .onnx = "Concat",
    .onnx_since = 4,
    .trait = TERN__MOVEMENT,
    .min_in = 1,
    .max_in = -1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
    .move = move,
};
