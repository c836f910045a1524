/* max_pool_grad: gradient of max_pool. */
#include "base/alloc.h"
#include "ops/impls.h"
#include "ops/pool.h"

static const tern__attr_decl attrs[] = {TERN__POOL_ATTRS, {.name = "input_shape", .type = TERN_ATTR_INTS, .required = true}};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    tern__spatial sp;
    tern_dtype index;
    TERN_TRY(tern__need_kind(n, in, 1, TERN__T_FLOAT));
    TERN_TRY(tern__pool_geometry(n, in, &sp));
    TERN_TRY(tern__window_index(n, &sp, &index));
    if (in[0].dtype != index)
        return tern__fail(TERN_E_DTYPE, "max_pool_grad: positions are %s where the pooling makes %s", tern_dtype_name(in[0].dtype), tern_dtype_name(index));
    TERN_TRY(tern__need_equal_shapes(n, in, 0, 1));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_in, sp.in);
    out[0] = tern__plain(in[1].dtype, &s);
    return TERN_OK;
}

typedef struct plane {
    const tern__array *index, *dy;
    int64_t y0;
    double *acc; /* dx of this plane */
} plane;

static void give(void *user, int64_t out, int64_t tap, int64_t in)
{
    const plane *p = user;
    if (tern__array_get_int(p->index, p->y0 + out) == tap)
        p->acc[in] += tern__array_get(p->dy, p->y0 + out);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    tern__spatial sp;
    TERN_TRY(tern__pool_geometry(n, (const tern__type[]){in[0].type}, &sp));
    const int64_t vx = sp.in[0] * sp.in[1] * sp.in[2], vy = sp.out[0] * sp.out[1] * sp.out[2];
    double *acc = tern__alloc_array((size_t)vx, sizeof *acc);
    if (!acc)
        return tern__fail(TERN_E_NOMEM, "max_pool_grad: %lld accumulators", (long long)vx);
    for (int64_t c = 0; c < sp.batch * sp.c_in; c++) {
        plane p = {.index = &in[0], .dy = &in[1], .y0 = c * vy, .acc = acc};
        for (int64_t i = 0; i < vx; i++)
            acc[i] = 0;
        tern__spatial_each(&sp, give, &p);
        for (int64_t i = 0; i < vx; i++)
            tern__array_set(&out[0], c * vx + i, acc[i]);
    }
    tern__free(acc);
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_max_pool_grad_rows, &tern__impl_max_pool_grad_items, NULL};

TERN_OP(max_pool_grad) = {
    .name = "max_pool_grad",
    .doc = "dx from the positions that max_pool gives and dy: each dy goes to that element of its window; input_shape gives the spatial extents of dx",
    .trait = TERN__OPAQUE,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .impls = impls,
    .flops = tern__pool_flops,
};
