/* max_pool: largest element of each window. */
#include <math.h>

#include "ops/impls.h"
#include "ops/pool.h"

static const tern__attr_decl attrs[] = {TERN__POOL_ATTRS};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_NUM));
    TERN_TRY(tern__pool_geometry(n, in, &sp));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_in, sp.out);
    tern_dtype index;
    TERN_TRY(tern__window_index(n, &sp, &index));
    out[0] = tern__plain(in[0].dtype, &s);
    out[1] = tern__plain(index, &s);
    return TERN_OK;
}

typedef struct plane {
    const tern__array *x, *y, *index;
    int64_t x0, y0;
    int64_t last; /* output position that has an element; walks visit positions in order */
} plane;

/* Does element in of x replace what y has at out? NaN is larger than all else. */
static bool is_larger(const plane *p, int64_t out, int64_t in)
{
    if (!tern__dtype_is(p->x->type.dtype, TERN__T_FLOAT)) {
        const int64_t a = tern__array_get_int(p->y, out), b = tern__array_get_int(p->x, in);
        return tern__is_unsigned(p->x->type.dtype) ? (uint64_t)b > (uint64_t)a : b > a;
    }
    const double a = tern__array_get(p->y, out), b = tern__array_get(p->x, in);
    return b > a || (isnan(b) && !isnan(a));
}

static void take_larger(void *user, int64_t out, int64_t tap, int64_t in)
{
    plane *p = user;
    if (out == p->last && !is_larger(p, p->y0 + out, p->x0 + in))
        return;
    tern__array_copy(p->y, p->y0 + out, p->x, p->x0 + in);
    tern__array_set_int(p->index, p->y0 + out, tap);
    p->last = out;
}

/* The value below all others; what a window over padding alone gives. */
static void fill_lowest(const tern__array *y)
{
    const tern_dtype t = y->type.dtype;
    const int64_t n = tern__elems(&y->type.shape);
    const int bits = (int)tern_dtype_size(t) * 8;
    for (int64_t i = 0; i < n; i++) {
        if (tern__dtype_is(t, TERN__T_FLOAT))
            tern__array_set(y, i, -INFINITY);
        else
            tern__array_set_int(y, i, tern__is_unsigned(t) ? 0 : -(int64_t)(UINT64_MAX >> (65 - bits)) - 1);
    }
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__pool_geometry(n, (const tern__type[]){in[0].type}, &sp));
    const int64_t vx = sp.in[0] * sp.in[1] * sp.in[2], vy = sp.out[0] * sp.out[1] * sp.out[2];
    fill_lowest(&out[0]);
    for (int64_t i = 0; i < tern__elems(&out[1].type.shape); i++)
        tern__array_set_int(&out[1], i, 0);
    for (int64_t c = 0; c < sp.batch * sp.c_in; c++) {
        plane p = {.x = &in[0], .y = &out[0], .index = &out[1], .x0 = c * vx, .y0 = c * vy, .last = -1};
        tern__spatial_each(&sp, take_larger, &p);
    }
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const tern_shape s = *tern__shape_of(g, n->in[0]);
    dx[0] = tern_graph_op2(g, "max_pool_grad", n->out[1], dy[0], TERN_ATTRS(TERN__POOL_COPY(n), TERN_INTS("input_shape", s.dim + 2, s.rank - 2)));
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_pool_rows, &tern__impl_pool_items, NULL};

TERN_OP(max_pool) = {
    .name = "max_pool",
    .doc = "y = largest element of x in each window of kernel elements, dilations apart, at every strides-th position; NaN wins; windows "
           "hang over the end with ceil_mode; padding never wins; the second output is the position of y in its window, row-major, the first of equal ones",
    .onnx = "MaxPool",
    .onnx_since = 1,
    .trait = TERN__WINDOW,
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .impls = impls,
    .flops = tern__pool_flops,
};
