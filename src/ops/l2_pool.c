/* l2_pool: Euclidean norm of each window. */
#include <math.h>

#include "base/alloc.h"
#include "ops/pool.h"

static const tern__attr_decl attrs[] = {TERN__POOL_ATTRS};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__pool_geometry(n, in, &sp));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_in, sp.out);
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

typedef struct plane {
    const tern__array *x;
    int64_t x0;
    double *acc;
} plane;

static void add_square(void *user, int64_t out, int64_t tap, int64_t in)
{
    (void)tap;
    const plane *p = user;
    const double x = tern__array_get(p->x, p->x0 + in);
    p->acc[out] += x * x;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__pool_geometry(n, (const tern__type[]){in[0].type}, &sp));
    const int64_t vx = sp.in[0] * sp.in[1] * sp.in[2], vy = sp.out[0] * sp.out[1] * sp.out[2];
    double *acc = tern__alloc_array((size_t)vy, sizeof *acc);
    if (!acc)
        return tern__fail(TERN_E_NOMEM, "l2_pool: %lld accumulators", (long long)vy);
    for (int64_t c = 0; c < sp.batch * sp.c_in; c++) {
        plane p = {.x = &in[0], .x0 = c * vx, .acc = acc};
        for (int64_t i = 0; i < vy; i++)
            acc[i] = 0;
        tern__spatial_each(&sp, add_square, &p);
        for (int64_t i = 0; i < vy; i++)
            tern__array_set(&out[0], c * vy + i, sqrt(acc[i]));
    }
    tern__free(acc);
    return TERN_OK;
}

/* dx = x times the sum of dy / y over the windows that x is in, and 0 for windows of norm 0. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const tern_shape s = *tern__shape_of(g, n->in[0]);
    tern_value y = n->out[0];
    tern_value each = tern__where(g, tern__compare(g, "greater", y, 0), tern__div(g, dy[0], y), tern__like(g, y, 0));
    tern_value sum = tern_graph_op1(g, "average_pool_grad", each,
                                    TERN_ATTRS(TERN__POOL_COPY(n), TERN_INT("divisor", 1), TERN_INTS("input_shape", s.dim + 2, s.rank - 2)));
    dx[0] = tern__mul(g, n->in[0], sum);
    return TERN_OK;
}

static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    tern_value x = tern__widen(g, in[0]);
    tern_value sum = tern_graph_op1(g, "average_pool", tern__mul(g, x, x), TERN_ATTRS(TERN__POOL_COPY(n), TERN_INT("divisor", 1)));
    out[0] = tern__cast(g, tern__unary(g, "sqrt", sum), tern__dtype_of(g, in[0]));
    return TERN_OK;
}

TERN_OP(l2_pool) = {
    .name = "l2_pool",
    .doc = "y = sqrt(sum of x^2) over each window of kernel elements, dilations apart, at every strides-th position",
    .onnx = "LpPool",
    .onnx_since = 2,
    .trait = TERN__COMPOSITE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
    .flops = tern__pool_flops,
};
