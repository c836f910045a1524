/* average_pool_grad: gradient of average_pool. */
#include <inttypes.h>

#include "base/alloc.h"
#include "ops/impls.h"
#include "ops/pool.h"

static const tern__attr_decl attrs[] = {TERN__AVERAGE_ATTRS, {.name = "input_shape", .type = TERN_ATTR_INTS, .required = true}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__pool_geometry(n, in, &sp));
    if (tern__attr_int(n, TERN__POOL_DIVISOR) < 0)
        return tern__fail(TERN_E_INVALID, "average_pool_grad: divisor %" PRId64 " is negative", tern__attr_int(n, TERN__POOL_DIVISOR));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_in, sp.in);
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

typedef struct plane {
    const tern__node *n;
    const tern__spatial *sp;
    const tern__array *dy;
    int64_t y0;
    double *acc;
} plane;

static void share(void *user, int64_t out, int64_t tap, int64_t in)
{
    (void)tap;
    const plane *p = user;
    const int64_t *e = p->sp->out;
    const int64_t o[3] = {out / e[2] / e[1], out / e[2] % e[1], out % e[2]};
    p->acc[in] += tern__array_get(p->dy, p->y0 + out) / (double)tern__average_count(p->n, p->sp, o);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__pool_geometry(n, (const tern__type[]){in[0].type}, &sp));
    const int64_t vx = sp.in[0] * sp.in[1] * sp.in[2], vy = sp.out[0] * sp.out[1] * sp.out[2];
    double *acc = tern__alloc_array((size_t)vx, sizeof *acc);
    if (!acc)
        return tern__fail(TERN_E_NOMEM, "average_pool_grad: %" PRId64 " accumulators", vx);
    for (int64_t c = 0; c < sp.batch * sp.c_in; c++) {
        plane p = {.n = n, .sp = &sp, .dy = &in[0], .y0 = c * vy, .acc = acc};
        for (int64_t i = 0; i < vx; i++)
            acc[i] = 0;
        tern__spatial_each(&sp, share, &p);
        for (int64_t i = 0; i < vx; i++)
            tern__array_set(&out[0], c * vx + i, acc[i]);
    }
    tern__free(acc);
    return TERN_OK;
}

/* Linear: its adjoint is the pooling itself. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    dx[0] = tern_graph_op1(g, "average_pool", dy[0], TERN_ATTRS(TERN__AVERAGE_COPY(n)));
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_pool_rows, &tern__impl_pool_items, NULL};

TERN_OP(average_pool_grad) = {
    .name = "average_pool_grad",
    .doc = "dx from dy of average_pool: each dy / its divisor goes to every element of its window; input_shape gives the spatial extents of dx",
    .trait = TERN__OPAQUE,
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
