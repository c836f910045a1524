/* integer: convolutions and products of 8-bit integers that were widened to i32 and centred become conv_integer and matmul_integer.
 *
 * That is how quantised models are imported: conv(cast(x) - cast(x_zero), cast(w) - cast(w_zero)) in i32. The new ops read a quarter of the bytes and
 * have kernels made for them; their results are the same to the bit. */
#include "passes/pass.h"

#include <string.h>

#include "ops/conv_ref.h"
#include "ops/op.h"

/* v is an 8-bit value cast to i32: that value, else TERN_NONE. */
static tern_value widened(const tern_graph *g, tern_value v)
{
    const tern__node *n = tern__producer(g, v);
    if (!n || strcmp(n->op->name, "cast") || tern__dtype_of(g, v) != TERN_I32)
        return TERN_NONE;
    const tern_dtype t = tern__dtype_of(g, n->in[0]);
    return t == TERN_U8 || t == TERN_I8 ? n->in[0] : TERN_NONE;
}

bool tern__read_centred(const tern_graph *g, tern_value v, tern__centred *c)
{
    const tern__node *n = tern__producer(g, v);
    *c = (tern__centred){.x = widened(g, v), .zero = TERN_NONE};
    if (c->x != TERN_NONE)
        return true;
    if (!n || strcmp(n->op->name, "sub"))
        return false;
    c->x = widened(g, n->in[0]);
    c->zero = widened(g, n->in[1]);
    return c->x != TERN_NONE && c->zero != TERN_NONE && tern__dtype_of(g, c->x) == tern__dtype_of(g, c->zero) &&
           tern__shape_equal(tern__shape_of(g, c->x), tern__shape_of(g, v));
}

bool tern__centred_along(const tern_graph *g, const tern__centred *c, int axis)
{
    const tern_shape *s = tern__shape_of(g, c->zero), *x = tern__shape_of(g, c->x);
    if (c->zero == TERN_NONE || tern__elems(s) == 1)
        return true;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] != 1 && i + x->rank - s->rank != axis)
            return false;
    return axis >= 0;
}

/* The zero point as [1] or [extent]. */
static tern_value zero_vector(tern__rewrite *rw, const tern__centred *c)
{
    const tern_value zero = c->zero != TERN_NONE ? tern__rewrite_value(rw, c->zero) : tern__like(rw->to, tern__rewrite_value(rw, c->x), 0);
    if (tern_graph_check(rw->to) != TERN_OK)
        return TERN_NONE;
    return tern__reshape(rw->to, zero, &(tern_shape){.rank = 1, .dim = {tern__elems(tern__shape_of(rw->to, zero))}});
}

static tern_value add(tern__rewrite *rw, const char *op, tern_value x, tern_value w, const tern__centred c[2], const tern_attr *attrs)
{
    const tern_value in[4] = {x, w, zero_vector(rw, &c[0]), zero_vector(rw, &c[1])};
    return tern_graph_add(rw->to, op, in, 4, attrs);
}

static tern_value conv(tern__rewrite *rw, const tern__node *n, const tern__centred c[2])
{
    tern_value y = add(rw, "conv_integer", tern__rewrite_value(rw, c[0].x), tern__rewrite_value(rw, c[1].x), c,
                       TERN_ATTRS(TERN__SP_COPY(n, TERN__SP_STRIDES, "strides"), TERN__SP_COPY(n, TERN__SP_DILATIONS, "dilations"),
                                  TERN__SP_COPY(n, TERN__SP_PADS, "pads"), TERN_INT("group", tern__attr_int(n, TERN__CONV_GROUP))));
    return tern__has_input(n, 2) ? tern__conv_add_bias(rw->to, y, tern__rewrite_value(rw, n->in[2])) : y;
}

/* A batch of matrices times one is one long matrix times it. */
static tern_value matmul(tern__rewrite *rw, const tern__node *n, const tern__centred c[2])
{
    tern_graph *g = rw->to;
    tern_value a = tern__rewrite_value(rw, c[0].x);
    const tern_shape s = *tern__shape_of(rw->from, c[0].x), out = *tern__shape_of(rw->from, n->out[0]);
    const tern_shape rows = {.rank = 2, .dim = {tern__extent(&s, 0, s.rank - 1), s.dim[s.rank - 1]}};
    if (s.rank > 2)
        a = tern__reshape(g, a, &rows);
    tern_value y = add(rw, "matmul_integer", a, tern__rewrite_value(rw, c[1].x), c,
                       TERN_ATTRS(TERN_INT("trans_a", tern__attr_int(n, 0)), TERN_INT("trans_b", tern__attr_int(n, 1))));
    return s.rank > 2 ? tern__reshape(g, y, &out) : y;
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    const tern_graph *g = rw->from;
    const bool is_conv = !strcmp(n->op->name, "conv"), is_product = !strcmp(n->op->name, "matmul");
    tern__centred c[2];
    if (!(is_conv || is_product) || !tern__read_centred(g, n->in[0], &c[0]) || !tern__read_centred(g, n->in[1], &c[1]) || !tern__centred_along(g, &c[0], -1))
        return tern__rewrite_copy(rw, n);
    const int ra = tern__shape_of(g, c[0].x)->rank, rb = tern__shape_of(g, c[1].x)->rank;
    const int columns = is_conv ? 0 : tern__attr_int(n, 1) ? 0 : 1;
    if (!tern__centred_along(g, &c[1], columns) || (is_product && (rb != 2 || ra < 2 || (ra > 2 && tern__attr_int(n, 0)))))
        return tern__rewrite_copy(rw, n);
    rw->map[n->out[0]] = is_conv ? conv(rw, n, c) : matmul(rw, n, c);
    return tern_graph_check(rw->to);
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    return tern__graph_rewrite(in, NULL, visit, out);
}

const tern__pass tern__pass_integer = {
    .name = "integer", .doc = "makes integer products of convolutions and products of widened 8-bit integers", .run = run};
