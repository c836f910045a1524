/* Small checks and builders that the shape rules, references and gradients of many ops share. */
#include "ops/common.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

tern_status tern__need_kind(const tern__node *n, const tern__type *in, int i, unsigned kinds)
{
    if (i >= n->n_in || in[i].dtype == TERN_DTYPE_COUNT || tern__dtype_is(in[i].dtype, kinds))
        return TERN_OK;
    return tern__fail_dtype(n, i, in[i].dtype);
}

tern_status tern__need_same(const tern__node *n, const tern__type *in, int i, int j)
{
    if (i >= n->n_in || j >= n->n_in || in[i].dtype == TERN_DTYPE_COUNT || in[j].dtype == TERN_DTYPE_COUNT ||
        in[i].dtype == in[j].dtype)
        return TERN_OK;
    return tern__fail(TERN_E_DTYPE, "%s: input %d is %s but input %d is %s", n->op->name, i, tern_dtype_name(in[i].dtype), j,
                      tern_dtype_name(in[j].dtype));
}

tern_status tern__need_rank(const tern__node *n, const tern__type *in, int i, int lo, int hi)
{
    char text[TERN__SHAPE_TEXT];
    const tern_shape *s = &in[i].shape;
    if (s->rank >= lo && s->rank <= hi)
        return TERN_OK;
    if (lo == hi)
        return tern__fail(TERN_E_SHAPE, "%s: input %d is %s but must have rank %d", n->op->name, i, tern__shape_text(s, text), lo);
    return tern__fail(TERN_E_SHAPE, "%s: input %d is %s but must have rank %d to %d", n->op->name, i, tern__shape_text(s, text), lo, hi);
}

tern_status tern__need_vector(const tern__node *n, const tern__type *in, int i, int64_t extent, const char *what)
{
    char text[TERN__SHAPE_TEXT];
    if (i >= n->n_in || in[i].dtype == TERN_DTYPE_COUNT)
        return TERN_OK;
    if (in[i].shape.rank == 1 && in[i].shape.dim[0] == extent)
        return TERN_OK;
    return tern__fail(TERN_E_SHAPE, "%s: input %d is %s but must be [%" PRId64 "], one for each %s", n->op->name, i,
                      tern__shape_text(&in[i].shape, text), extent, what);
}

tern_status tern__need_equal_shapes(const tern__node *n, const tern__type *in, int i, int j)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    if (tern__shape_equal(&in[i].shape, &in[j].shape))
        return TERN_OK;
    return tern__fail(TERN_E_SHAPE, "%s: input %d is %s but input %d is %s", n->op->name, i, tern__shape_text(&in[i].shape, a), j,
                      tern__shape_text(&in[j].shape, b));
}

const char *tern__ints_text(const int64_t *v, int n, char buf[TERN__SHAPE_TEXT])
{
    const size_t room = TERN__SHAPE_TEXT - 8; /* keeps space for the ellipsis and the bracket */
    size_t len = 0;
    buf[len++] = '[';
    for (int i = 0; i < n; i++) {
        char item[24];
        int w = snprintf(item, sizeof item, "%s%" PRId64, i ? "," : "", v[i]);
        if (len + (size_t)w > room) {
            memcpy(buf + len, ",...", 4);
            len += 4;
            break;
        }
        memcpy(buf + len, item, (size_t)w);
        len += (size_t)w;
    }
    buf[len++] = ']';
    buf[len] = 0;
    return buf;
}

const char *tern__shape_text(const tern_shape *s, char buf[TERN__SHAPE_TEXT])
{
    return tern__ints_text(s->dim, s->rank, buf);
}

tern_status tern__attr_dtype(const tern__node *n, int slot, unsigned kinds, tern_dtype *out)
{
    const char *name = tern__attr_string(n, slot);
    tern_dtype t;
    if (!name || tern_dtype_parse(name, &t) != TERN_OK)
        return tern__fail(TERN_E_INVALID, "%s: %s \"%s\" is no element type", n->op->name, n->op->attrs[slot].name, name ? name : "");
    if (!tern__dtype_is(t, kinds))
        return tern__fail(TERN_E_DTYPE, "%s: cannot make elements of type %s", n->op->name, tern_dtype_name(t));
    *out = t;
    return TERN_OK;
}

tern_status tern__attr_shape(const tern__node *n, int slot, tern_shape *out)
{
    int count;
    const int64_t *v = tern__attr_ints(n, slot, &count);
    char text[TERN__SHAPE_TEXT];
    if (count > TERN_MAX_RANK)
        return tern__fail(TERN_E_SHAPE, "%s: %s %s has %d axes, at most %d are possible", n->op->name, n->op->attrs[slot].name,
                          tern__ints_text(v, count, text), count, TERN_MAX_RANK);
    tern_shape s = {.rank = count};
    for (int i = 0; i < count; i++) {
        if (v[i] < 0)
            return tern__fail(TERN_E_SHAPE, "%s: %s %s has a negative extent", n->op->name, n->op->attrs[slot].name,
                              tern__ints_text(v, count, text));
        s.dim[i] = v[i];
    }
    *out = s;
    return TERN_OK;
}

tern_status tern__attr_axes(const tern__node *n, int slot, int rank, unsigned *mask)
{
    int count;
    const int64_t *v = tern__attr_ints(n, slot, &count);
    unsigned m = 0;
    for (int i = 0; i < count; i++) {
        int axis;
        TERN_TRY(tern__axis(n, v[i], rank, &axis));
        if (m >> axis & 1)
            return tern__fail(TERN_E_INVALID, "%s: axis %" PRId64 " is given twice", n->op->name, v[i]);
        m |= 1u << axis;
    }
    *mask = m;
    return TERN_OK;
}

int64_t tern__extent(const tern_shape *s, int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= s->dim[i];
    return n;
}

int64_t tern__extent_of(const tern_shape *s, unsigned mask)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        if (mask >> i & 1)
            n *= s->dim[i];
    return n;
}

/* Strides into the folded result: 0 along the axes in mask. */
static void fold_strides(const tern_shape *s, unsigned mask, int64_t stride[TERN_MAX_RANK])
{
    int64_t step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = mask >> i & 1 ? 0 : step;
        if (!(mask >> i & 1))
            step *= s->dim[i];
    }
}

static void fold_one(const tern__array *a, int64_t i, const tern__fold *f, double *acc, int64_t *int_acc, bool ints)
{
    if (ints)
        *int_acc = f->int_step(*int_acc, tern__array_get_int(a, i), tern__is_unsigned(a->type.dtype));
    else
        *acc = f->step(*acc, tern__array_get(a, i));
}

tern_status tern__ref_fold(const tern__array *a, unsigned mask, const tern__fold *f, const tern__array *out)
{
    const tern_shape *s = &a->type.shape;
    const bool ints = f->int_step && !tern__dtype_is(a->type.dtype, TERN__T_FLOAT);
    const int64_t n_out = tern__elems(&out->type.shape);
    union { double f; int64_t i; } *acc = tern__alloc_array((size_t)n_out, sizeof *acc);
    if (!acc)
        return tern__fail(TERN_E_NOMEM, "reduction: %" PRId64 " accumulators", n_out);
    for (int64_t i = 0; i < n_out; i++) {
        if (ints)
            acc[i].i = f->int_init ? f->int_init(a->type.dtype) : (int64_t)f->init;
        else
            acc[i].f = f->init;
    }
    int64_t stride[TERN_MAX_RANK], at[TERN_MAX_RANK] = {0}, i = 0;
    fold_strides(s, mask, stride);
    if (tern__elems(s) > 0) {
        do {
            int64_t o = 0;
            for (int k = 0; k < s->rank; k++)
                o += at[k] * stride[k];
            fold_one(a, i++, f, &acc[o].f, &acc[o].i, ints);
        } while (tern__next_index(s, at));
    }
    const double n = (double)tern__extent_of(s, mask);
    for (int64_t o = 0; o < n_out; o++) {
        if (ints)
            tern__array_set_int(out, o, acc[o].i);
        else
            tern__array_set(out, o, f->finish ? f->finish(acc[o].f, n) : acc[o].f);
    }
    tern__free(acc);
    return TERN_OK;
}

void tern__array_copy(const tern__array *to, int64_t i, const tern__array *from, int64_t j)
{
    const size_t size = tern_dtype_size(to->type.dtype);
    memcpy((char *)to->data + (size_t)i * size, (const char *)from->data + (size_t)j * size, size);
}

tern_value tern__expand_as(tern_graph *g, tern_value a, tern_value like)
{
    return tern_graph_op2(g, "expand_as", a, like, NULL);
}

tern_value tern__reshape_as(tern_graph *g, tern_value a, tern_value like)
{
    return tern_graph_op2(g, "reshape_as", a, like, NULL);
}

tern_status tern__grad_reshape(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern__reshape_as(g, dy[0], n->in[0]);
    return TERN_OK;
}

tern_status tern__grad_nothing(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    (void)g;
    (void)n;
    (void)dy;
    (void)dx;
    return TERN_OK;
}

/* The axes in mask as a list; returns how many. */
static int mask_list(unsigned mask, int64_t axes[TERN_MAX_RANK])
{
    int n = 0;
    for (int i = 0; i < TERN_MAX_RANK; i++)
        if (mask >> i & 1)
            axes[n++] = i;
    return n;
}

tern_value tern__count(tern_graph *g, tern_value like, unsigned mask, tern_dtype t)
{
    int64_t axes[TERN_MAX_RANK];
    int n = mask_list(mask, axes);
    if (!n)
        return tern_graph_scalar(g, t, 1);
    return tern_graph_op1(g, "size", like, TERN_ATTRS(TERN_INTS("axes", axes, n), TERN_STRING("dtype", tern_dtype_name(t))));
}

tern_value tern__zeros_like(tern_graph *g, tern_value like)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    return tern__expand_as(g, tern__like(g, like, 0), like);
}

tern_value tern__unsqueeze(tern_graph *g, tern_value a, unsigned mask)
{
    int64_t axes[TERN_MAX_RANK];
    int n = mask_list(mask, axes);
    return n ? tern_graph_op1(g, "unsqueeze", a, TERN_ATTRS(TERN_INTS("axes", axes, n))) : a;
}

tern_value tern__squeeze(tern_graph *g, tern_value a, unsigned mask)
{
    int64_t axes[TERN_MAX_RANK];
    int n = mask_list(mask, axes);
    return n ? tern_graph_op1(g, "squeeze", a, TERN_ATTRS(TERN_INTS("axes", axes, n))) : a;
}

tern_value tern__keep_axes(tern_graph *g, tern_value reduced, unsigned mask, bool has_them)
{
    return has_them ? reduced : tern__unsqueeze(g, reduced, mask);
}

tern_value tern__per_channel(tern_graph *g, tern_value v, int rank)
{
    return tern__unsqueeze(g, v, tern__all_but(rank, 1));
}

tern_value tern__widen(tern_graph *g, tern_value a)
{
    if (a == TERN_NONE || tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const tern_dtype t = tern__dtype_of(g, a);
    return t == TERN_F16 || t == TERN_BF16 ? tern__cast(g, a, TERN_F32) : a;
}
