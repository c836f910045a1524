/* Shape rules and references that whole families of ops share: pointwise with broadcasting, reductions, axes. */
#include "ops/op.h"

#include "base/status.h"

#include <inttypes.h>
#include <string.h>

bool tern__dtype_is(tern_dtype t, unsigned kinds)
{
    switch (t) {
    case TERN_F32:
    case TERN_F16:
    case TERN_BF16:
    case TERN_F64:
        return kinds & TERN__T_FLOAT;
    case TERN_BOOL:
        return kinds & TERN__T_BOOL;
    case TERN_DTYPE_COUNT:
        return false;
    default:
        return kinds & TERN__T_INT;
    }
}

tern_status tern__fail_dtype(const tern__node *n, int input, tern_dtype t)
{
    return tern__fail(TERN_E_DTYPE, "%s: input %d is %s, which it does not take", n->op->name, input, tern_dtype_name(t));
}

bool tern__broadcast(const tern_shape *a, const tern_shape *b, tern_shape *out)
{
    tern_shape s = {.rank = TERN_MAX(a->rank, b->rank)};
    for (int i = 1; i <= s.rank; i++) {
        int64_t x = i <= a->rank ? a->dim[a->rank - i] : 1, y = i <= b->rank ? b->dim[b->rank - i] : 1;
        if (x != y && x != 1 && y != 1)
            return false;
        s.dim[s.rank - i] = x == 1 ? y : x;
    }
    *out = s;
    return true;
}

tern_status tern__infer_same(const tern__node *n, const tern__type *in, tern__type *out)
{
    (void)n;
    out[0] = in[0];
    return TERN_OK;
}

/* The operand takes part in "all of one dtype": every one but the condition of where. */
static bool is_operand(const tern__node *n, int i)
{
    return i > 0 || !n->op->pointwise->first_bool;
}

static tern_status check_pointwise_dtype(const tern__node *n, const tern__type *in, int i, int first)
{
    const tern__pointwise *p = n->op->pointwise;
    tern_dtype t = in[i].dtype;
    if (!is_operand(n, i))
        return t == TERN_BOOL ? TERN_OK : tern__fail(TERN_E_DTYPE, "%s: the condition is %s, it must be bool", n->op->name, tern_dtype_name(t));
    /* An op without an integer reference has no meaning on integers, whatever its kinds say. */
    bool computable = tern__dtype_is(t, TERN__T_FLOAT) || p->int_ref || n->op->ref != tern__ref_pointwise;
    if (!tern__dtype_is(t, p->in_kinds) || !computable)
        return tern__fail_dtype(n, i, t);
    if (t != in[first].dtype)
        return tern__fail(TERN_E_DTYPE, "%s: input %d is %s, input %d is %s; cast one of them", n->op->name, first,
                          tern_dtype_name(in[first].dtype), i, tern_dtype_name(t));
    return TERN_OK;
}

tern_status tern__infer_pointwise(const tern__node *n, const tern__type *in, tern__type *out)
{
    const int first = n->op->pointwise->first_bool ? 1 : 0;
    tern_shape shape = {0};
    for (int i = 0; i < n->n_in; i++) {
        if (in[i].dtype == TERN_DTYPE_COUNT)
            continue;
        TERN_TRY(check_pointwise_dtype(n, in, i, first));
        if (!tern__broadcast(&shape, &in[i].shape, &shape)) {
            tern__str a = {0}, b = {0};
            tern__shape_print(&a, &shape);
            tern__shape_print(&b, &in[i].shape);
            tern__fail(TERN_E_SHAPE, "%s: shapes %s and %s do not broadcast", n->op->name, tern__str_text(&a), tern__str_text(&b));
            tern__str_finish(&a);
            tern__str_finish(&b);
            return TERN_E_SHAPE;
        }
    }
    out[0] = (tern__type){.dtype = n->op->pointwise->result_bool ? TERN_BOOL : in[first].dtype, .shape = shape};
    return TERN_OK;
}

enum { MOST_OPERANDS = 8, MOST_NUMBERS = 16 };

/* The op's INT and FLOAT attributes, in order, as its reference takes them. */
static void gather_numbers(const tern__node *n, double a[MOST_NUMBERS])
{
    for (int i = 0, k = 0; i < n->op->n_attrs && k < MOST_NUMBERS; i++) {
        if (n->op->attrs[i].type == TERN_ATTR_INT)
            a[k++] = (double)n->attrs[i].i;
        else if (n->op->attrs[i].type == TERN_ATTR_FLOAT)
            a[k++] = n->attrs[i].f;
    }
}

static void pointwise_element(const tern__node *n, const tern__array *in, const int64_t *at, const double *a, bool floats,
                              const tern__array *out, int64_t i)
{
    const tern__pointwise *p = n->op->pointwise;
    double x[MOST_OPERANDS] = {0};
    int64_t xi[MOST_OPERANDS] = {0};
    for (int k = 0; k < n->n_in; k++) {
        if (!in[k].data)
            continue;
        if (floats)
            x[k] = tern__array_get(&in[k], at[k]);
        else
            xi[k] = tern__array_get_int(&in[k], at[k]);
    }
    if (floats)
        tern__array_set(out, i, p->ref(x, a));
    else
        tern__array_set_int(out, i, p->int_ref(xi, a, tern__dtype_is(in[p->first_bool].type.dtype, TERN__T_BOOL) ||
                                                          (in[p->first_bool].type.dtype >= TERN_U8 && in[p->first_bool].type.dtype <= TERN_U64)));
}

/* Does an operand move through the result's last r axes element by element (*step 1) or not at all (0)? */
static bool is_run(const tern_shape *in, const tern_shape *out, int r, int64_t *step)
{
    bool whole = true, none = true;
    for (int i = 1; i <= r; i++) {
        const int64_t extent = i <= in->rank ? in->dim[in->rank - i] : 1;
        whole &= extent == out->dim[out->rank - i];
        none &= extent == 1;
    }
    *step = whole;
    return whole || none;
}

/* The most of the last axes that every operand moves through so. */
static int run_axes(const tern__node *n, const tern__array *in, const tern_shape *out, int64_t *step)
{
    for (int r = out->rank; r > 0; r--) {
        bool all = true;
        for (int k = 0; k < n->n_in && all; k++)
            all = !in[k].data || is_run(&in[k].type.shape, out, r, &step[k]);
        if (all)
            return r;
    }
    return 0;
}

/* Folding multiplies all of a model's weights by normalisations' factors. The product in double, which is exact, and rounded once is the product in f32. */
static void scaled_run(const float *x, const float *factor, int64_t step, float *out, int64_t count)
{
    if (step == 0)
        for (int64_t i = 0; i < count; i++)
            out[i] = x[i] * *factor;
    else
        for (int64_t i = 0; i < count; i++)
            out[i] = x[i] * factor[i * step];
}

/* A run of f32, which constants and weights mostly are. */
static void float_run(const tern__node *n, const tern__array *in, const int64_t *at, const int64_t *step, const double *a, float *out, int64_t count)
{
    double x[MOST_OPERANDS] = {0};
    if (!strcmp(n->op->name, "mul") && step[0] == 1) {
        scaled_run((const float *)in[0].data + at[0], (const float *)in[1].data + at[1], step[1], out, count);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        for (int k = 0; k < n->n_in; k++)
            if (in[k].data)
                x[k] = (double)((const float *)in[k].data)[at[k] + i * step[k]];
        out[i] = (float)n->op->pointwise->ref(x, a);
    }
}

static bool all_f32(const tern__node *n, const tern__array *in, const tern__array *out)
{
    bool all = out->type.dtype == TERN_F32;
    for (int k = 0; k < n->n_in; k++)
        all &= !in[k].data || in[k].type.dtype == TERN_F32;
    return all;
}

tern_status tern__ref_pointwise(const tern__node *n, const tern__array *in, const tern__array *out)
{
    if (n->n_in > MOST_OPERANDS)
        return tern__fail(TERN_E_UNSUPPORTED, "%s: %d operands, the reference takes %d", n->op->name, n->n_in, MOST_OPERANDS);
    const tern__pointwise *p = n->op->pointwise;
    const tern_shape *shape = &out[0].type.shape;
    const bool floats = p->ref && (tern__dtype_is(in[p->first_bool].type.dtype, TERN__T_FLOAT) || !p->int_ref), f32 = floats && all_f32(n, in, out);
    double a[MOST_NUMBERS] = {0};
    gather_numbers(n, a);
    int64_t coord[TERN_MAX_RANK] = {0}, at[MOST_OPERANDS] = {0}, step[MOST_OPERANDS] = {0}, i = 0, count = 1;
    if (tern__elems(shape) == 0)
        return TERN_OK;
    tern_shape outer = *shape; /* the last axes are gone through in one go */
    for (int r = run_axes(n, in, shape, step); r > 0; r--) {
        count *= shape->dim[shape->rank - r];
        outer.dim[shape->rank - r] = 1;
    }
    do {
        for (int k = 0; k < n->n_in; k++)
            if (in[k].data)
                at[k] = tern__broadcast_linear(&in[k].type.shape, shape, coord);
        if (f32)
            float_run(n, in, at, step, a, (float *)out[0].data + i, count);
        for (int64_t j = 0; j < count && !f32; j++) {
            pointwise_element(n, in, at, a, floats, &out[0], i + j);
            for (int k = 0; k < n->n_in; k++)
                at[k] += step[k];
        }
        i += count;
    } while (tern__next_index(&outer, coord));
    return TERN_OK;
}

tern_status tern__axis(const tern__node *n, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return tern__fail(TERN_E_INVALID, "%s: axis %" PRId64 " out of range for rank %d", n->op->name, axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return TERN_OK;
}

tern_status tern__reduce_mask(const tern__node *n, int rank, unsigned *mask)
{
    int count;
    const int64_t *axes = tern__attr_ints(n, 0, &count);
    unsigned m = count ? 0 : (1u << rank) - 1;
    for (int i = 0; i < count; i++) {
        int axis = 0;
        TERN_TRY(tern__axis(n, axes[i], rank, &axis));
        if (m >> axis & 1)
            return tern__fail(TERN_E_INVALID, "%s: axis %d is named twice", n->op->name, axis);
        m |= 1u << axis;
    }
    *mask = m;
    return TERN_OK;
}

tern_status tern__infer_reduction(const tern__node *n, const tern__type *in, tern__type *out)
{
    if (!tern__dtype_is(in[0].dtype, TERN__T_NUM))
        return tern__fail_dtype(n, 0, in[0].dtype);
    unsigned mask;
    TERN_TRY(tern__reduce_mask(n, in[0].shape.rank, &mask));
    tern_shape s = {0};
    for (int i = 0; i < in[0].shape.rank; i++) {
        if (!(mask >> i & 1))
            s.dim[s.rank++] = in[0].shape.dim[i];
        else if (tern__attr_int(n, 1))
            s.dim[s.rank++] = 1;
    }
    bool index = n->op->reduction && n->op->reduction->index;
    out[0] = (tern__type){.dtype = index ? TERN_I64 : in[0].dtype, .shape = s};
    return TERN_OK;
}
