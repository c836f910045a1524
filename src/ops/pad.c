/* pad: elements added before and after each axis: a constant, the edge, a reflection, or the other end. */
#include <inttypes.h>
#include <string.h>

#include "codegen/body.h"
#include "base/alloc.h"
#include "ops/movement.h"

enum { PADS, MODE, VALUE };
static const tern__attr_decl attrs[] = {
    {.name = "pads", .type = TERN_ATTR_INTS, .required = true},
    {.name = "mode", .type = TERN_ATTR_STRING, .def_s = "constant"},
    {.name = "value", .type = TERN_ATTR_FLOAT},
};

/* The largest padding along one side: far beyond any memory, and sums of three do not overflow. */
#define PAD_MAX (INT64_MAX / 8)

static tern_status pad_mode(const tern__node *n, tern__pad_mode *out)
{
    const char *mode = tern__attr_string(n, MODE);
    if (strcmp(mode, "constant") == 0)
        *out = TERN__PAD_CONSTANT;
    else if (strcmp(mode, "edge") == 0)
        *out = TERN__PAD_EDGE;
    else if (strcmp(mode, "reflect") == 0)
        *out = TERN__PAD_REFLECT;
    else if (strcmp(mode, "wrap") == 0)
        *out = TERN__PAD_WRAP;
    else
        return tern__fail(TERN_E_INVALID, "pad: mode \"%s\" is none of constant, edge, reflect, wrap", mode);
    return TERN_OK;
}

static tern_status check_axis(const tern__pad_map *m, int axis, int64_t extent)
{
    const int64_t before = m->before[axis], after = m->after[axis];
    if (before < -PAD_MAX || before > PAD_MAX || after < -PAD_MAX || after > PAD_MAX || extent > PAD_MAX || extent + before + after < 0)
        return tern__fail(TERN_E_SHAPE, "pad: %" PRId64 " before and %" PRId64 " after do not fit the extent %" PRId64 " of axis %d", before,
                          after, extent, axis);
    if (m->mode != TERN__PAD_CONSTANT && extent == 0 && before + after > 0)
        return tern__fail(TERN_E_SHAPE, "pad: axis %d has no element to repeat", axis);
    return TERN_OK;
}

tern_status tern__pad_map_of(const tern__node *n, const tern_shape *in, tern__pad_map *m)
{
    int count;
    const int64_t *pads = tern__attr_ints(n, PADS, &count);
    TERN_TRY(pad_mode(n, &m->mode));
    m->value = tern__attr_float(n, VALUE);
    if (count != 2 * in->rank)
        return tern__fail(TERN_E_INVALID, "pad: %d pads for rank %d; %d are needed, all beginnings, then all ends", count, in->rank, 2 * in->rank);
    for (int i = 0; i < in->rank; i++) {
        m->before[i] = pads[i];
        m->after[i] = pads[in->rank + i];
        TERN_TRY(check_axis(m, i, in->dim[i]));
    }
    return TERN_OK;
}

static int64_t modulo(int64_t a, int64_t k)
{
    return (a % k + k) % k;
}

int64_t tern__pad_source(const tern__pad_map *m, int axis, int64_t extent, int64_t c)
{
    c -= m->before[axis];
    if (c >= 0 && c < extent)
        return c;
    switch (m->mode) {
    case TERN__PAD_EDGE:
        return c < 0 ? 0 : extent - 1;
    case TERN__PAD_REFLECT:
        if (extent == 1)
            return 0;
        c = modulo(c, 2 * (extent - 1));
        return c < extent ? c : 2 * (extent - 1) - c;
    case TERN__PAD_WRAP:
        return modulo(c, extent);
    default:
        return -1;
    }
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__pad_map m;
    TERN_TRY(tern__pad_map_of(n, &in[0].shape, &m));
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    for (int i = 0; i < in[0].shape.rank; i++)
        out[0].shape.dim[i] += m.before[i] + m.after[i];
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const tern_shape *s = &out[0].type.shape, *from = &in[0].type.shape;
    tern__pad_map m;
    TERN_TRY(tern__pad_map_of(n, from, &m));
    if (tern__elems(s) == 0)
        return TERN_OK;
    int64_t at[TERN_MAX_RANK] = {0}, source[TERN_MAX_RANK], i = 0;
    do {
        bool inside = true;
        for (int k = 0; k < s->rank; k++) {
            source[k] = tern__pad_source(&m, k, from->dim[k], at[k]);
            inside &= source[k] >= 0;
        }
        if (inside)
            tern__array_copy(&out[0], i, &in[0], tern__linear(from, source));
        else
            tern__array_set(&out[0], i, m.value);
        i++;
    } while (tern__next_index(s, at));
    return TERN_OK;
}

/* Along one axis: each element of dy is added to the one it was copied from. */
static tern_value fold_axis(tern_graph *g, tern_value dy, const tern__pad_map *m, int axis, int64_t extent)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    tern_shape s = *tern__shape_of(g, dy);
    const int64_t len = s.dim[axis];
    int64_t *source = tern__alloc_array((size_t)len, sizeof *source);
    if (!source)
        return tern__graph_fail(g, TERN_E_NOMEM, "pad: %" PRId64 " indices", len);
    for (int64_t c = 0; c < len; c++)
        source[c] = tern__pad_source(m, axis, extent, c);
    tern_value indices = tern__graph_ints(g, source, (int)len);
    tern__free(source);
    s.dim[axis] = extent;
    tern_value zeros = tern__expand_to(g, tern__like(g, dy, 0), &s);
    return tern_graph_op3(g, "scatter_add", zeros, indices, dy, TERN_ATTRS(TERN_INT("axis", axis)));
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const tern_shape s = *tern__shape_of(g, n->in[0]);
    tern__pad_map m;
    TERN_TRY(tern__pad_map_of(n, &s, &m));
    tern_value v = dy[0];
    if (m.mode == TERN__PAD_CONSTANT) {
        int64_t back[2 * TERN_MAX_RANK], starts[TERN_MAX_RANK], ends[TERN_MAX_RANK];
        bool crops = false;
        for (int i = 0; i < s.rank; i++) {
            back[i] = -m.before[i];
            back[s.rank + i] = -m.after[i];
            starts[i] = m.before[i];
            ends[i] = m.before[i] + s.dim[i];
            crops |= m.before[i] < 0 || m.after[i] < 0;
        }
        dx[0] = crops ? tern_graph_op1(g, "pad", v, TERN_ATTRS(TERN_INTS("pads", back, 2 * s.rank)))
                      : tern_graph_op1(g, "slice", v, TERN_ATTRS(TERN_INTS("starts", starts, s.rank), TERN_INTS("ends", ends, s.rank)));
        return TERN_OK;
    }
    for (int i = 0; i < s.rank; i++)
        if (m.before[i] || m.after[i])
            v = fold_axis(g, v, &m, i, s.dim[i]);
    dx[0] = v;
    return TERN_OK;
}

/* Where an element comes from that may lie beyond the axis. */
static tern__aff source(tern__body *b, const tern__pad_map *m, int axis, int64_t extent, tern__aff coord)
{
    tern__aff whole, rest, c = tern__aff_add(coord, tern__aff_const(-m->before[axis]));
    switch (m->mode) {
    case TERN__PAD_REFLECT:
        return tern__body_reflect(b, c, extent);
    case TERN__PAD_WRAP: /* quotients are of what is never negative */
        if (extent == 0 || (m->before[axis] <= 0 && m->after[axis] <= 0))
            return c;
        tern__body_divmod(b, tern__aff_add(coord, tern__aff_const(modulo(-m->before[axis], extent))), extent, &whole, &rest);
        return rest;
    default:
        return tern__body_clamp(b, c, extent);
    }
}

static tern_status move(tern__emit_move *m, const tern__node *n)
{
    const tern_shape *s = tern__shape_of(m->body->g, n->in[0]);
    const tern_shape *to = tern__shape_of(m->body->g, n->out[0]);
    tern__pad_map map;
    TERN_TRY(tern__pad_map_of(n, s, &map));
    tern__aff from[TERN_MAX_RANK];
    for (int i = 0; i < s->rank; i++)
        from[i] = source(m->body, &map, i, s->dim[i], m->coord[i]);
    m->reg = tern__body_value(m->body, n->in[0], from);
    for (int i = 0; i < s->rank && map.mode == TERN__PAD_CONSTANT; i++) {
        if (map.before[i] <= 0 && to->dim[i] + -map.before[i] <= s->dim[i])
            continue; /* the whole axis lies inside */
        int no = tern__body_const(m->body, tern__dtype_of(m->body->g, n->in[0]), map.value);
        m->reg = tern__body_range(m->body, m->coord[i], map.before[i], map.before[i] + s->dim[i], m->reg, no);
    }
    return TERN_OK;
}

TERN_OP(pad) = {
    .name = "pad",
    .doc = "y = x with pads elements before (all axes) and after (all axes): value, the nearest edge element, a reflection without "
           "the edge (mode reflect), or the elements of the other end (wrap), as often as it takes; negative pads crop",
    .onnx = "Pad",
    .onnx_since = 2,
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
