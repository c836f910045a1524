/* average_pool: mean of each window. */
#include <inttypes.h>

#include "base/alloc.h"
#include "ops/impls.h"
#include "ops/pool.h"

static const tern__attr_decl attrs[] = {TERN__AVERAGE_ATTRS};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__pool_geometry(n, in, &sp));
    if (tern__attr_int(n, TERN__POOL_DIVISOR) < 0)
        return tern__fail(TERN_E_INVALID, "average_pool: divisor %" PRId64 " is negative", tern__attr_int(n, TERN__POOL_DIVISOR));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_in, sp.out);
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

typedef struct plane {
    const tern__array *x;
    int64_t x0;
    double *acc;
} plane;

static void add_tap(void *user, int64_t out, int64_t tap, int64_t in)
{
    (void)tap;
    const plane *p = user;
    p->acc[out] += tern__array_get(p->x, p->x0 + in);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__pool_geometry(n, (const tern__type[]){in[0].type}, &sp));
    const int64_t vx = sp.in[0] * sp.in[1] * sp.in[2], vy = sp.out[0] * sp.out[1] * sp.out[2];
    double *acc = tern__alloc_array((size_t)vy, sizeof *acc);
    if (!acc)
        return tern__fail(TERN_E_NOMEM, "average_pool: %" PRId64 " accumulators", vy);
    for (int64_t c = 0; c < sp.batch * sp.c_in; c++) {
        plane p = {.x = &in[0], .x0 = c * vx, .acc = acc};
        for (int64_t i = 0; i < vy; i++)
            acc[i] = 0;
        tern__spatial_each(&sp, add_tap, &p);
        for (int64_t i = 0; i < vy; i++) {
            const int64_t o[3] = {i / sp.out[2] / sp.out[1], i / sp.out[2] % sp.out[1], i % sp.out[2]};
            tern__array_set(&out[0], c * vy + i, acc[i] / (double)tern__average_count(n, &sp, o));
        }
    }
    tern__free(acc);
    return TERN_OK;
}

static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    const tern_shape s = *tern__shape_of(g, n->in[0]);
    dx[0] = tern_graph_op1(g, "average_pool_grad", dy[0], TERN_ATTRS(TERN__AVERAGE_COPY(n), TERN_INTS("input_shape", s.dim + 2, s.rank - 2)));
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_pool_rows, &tern__impl_pool_items, NULL};

TERN_OP(average_pool) = {
    .name = "average_pool",
    .doc = "y = sum of x in each window / divisor; none given: / the number of elements of x in it, with count_include_pad also those of "
           "the padding; a window over padding alone gives 0",
    .onnx = "AveragePool",
    .onnx_since = 1,
    .trait = TERN__WINDOW,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .impls = impls,
    .flops = tern__pool_flops,
};
