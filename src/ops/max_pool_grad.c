/* max_pool_grad: gradient of max_pool. */
#include <math.h>

#include "base/alloc.h"
#include "ops/impls.h"
#include "ops/pool.h"

static const tern__attr_decl attrs[] = {TERN__POOL_ATTRS};

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char a[TERN__SHAPE_TEXT], b[TERN__SHAPE_TEXT];
    tern__spatial sp;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__pool_geometry(n, in, &sp));
    const tern_shape s = tern__spatial_shape(&sp, sp.c_in, sp.out);
    for (int i = 1; i < 3; i++) {
        TERN_TRY(tern__need_same(n, in, 0, i));
        if (!tern__shape_equal(&in[i].shape, &s))
            return tern__fail(TERN_E_SHAPE, "max_pool_grad: input %d is %s where the pooling makes %s", i, tern__shape_text(&in[i].shape, a),
                              tern__shape_text(&s, b));
    }
    out[0] = tern__plain(in[0].dtype, &in[0].shape);
    return TERN_OK;
}

typedef struct plane {
    const tern__array *x, *y, *dy;
    int64_t x0, y0;
    double *acc;      /* dx of this plane */
    int64_t last;     /* output position whose first best was found; walks visit positions in order */
} plane;

/* The first tap, in row-major order, that equals the window's largest element. */
static void give_to_first(void *user, int64_t out, int64_t tap, int64_t in)
{
    (void)tap;
    plane *p = user;
    const double best = tern__array_get(p->y, p->y0 + out), x = tern__array_get(p->x, p->x0 + in);
    if (out == p->last || !(x == best || (isnan(x) && isnan(best))))
        return;
    p->acc[in] += tern__array_get(p->dy, p->y0 + out);
    p->last = out;
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
        plane p = {.x = &in[0], .y = &in[1], .dy = &in[2], .x0 = c * vx, .y0 = c * vy, .acc = acc, .last = -1};
        for (int64_t i = 0; i < vx; i++)
            acc[i] = 0;
        tern__spatial_each(&sp, give_to_first, &p);
        for (int64_t i = 0; i < vx; i++)
            tern__array_set(&out[0], c * vx + i, acc[i]);
    }
    tern__free(acc);
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_max_pool_grad_rows, &tern__impl_max_pool_grad_items, NULL};

TERN_OP(max_pool_grad) = {
    .name = "max_pool_grad",
    .doc = "dx from x, y and dy of max_pool: each dy goes to the first element of its window, in row-major order, that equals y",
    .trait = TERN__OPAQUE,
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .impls = impls,
    .flops = tern__pool_flops,
};
