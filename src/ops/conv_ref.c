/* Scalar references of the convolution family: one walk over positions and taps, three ways to use it. */
#include "ops/conv_ref.h"

#include "base/alloc.h"

/* One channel pair of one image: a is read at a plane, b at another, and the products are added to a third. */
typedef struct planes {
    const tern__array *x, *w, *y; /* whichever are read; the other is acc */
    int64_t x0, w0, y0;           /* first elements of the planes */
    double *acc;                  /* the plane that is written */
    uint64_t *int_acc;            /* the same for integers, which wrap */
} planes;

static int64_t volume(const int64_t e[3])
{
    return e[0] * e[1] * e[2];
}

static void to_y(void *user, int64_t out, int64_t tap, int64_t in)
{
    const planes *p = user;
    p->acc[out] += tern__array_get(p->x, p->x0 + in) * tern__array_get(p->w, p->w0 + tap);
}

static void to_y_ints(void *user, int64_t out, int64_t tap, int64_t in)
{
    const planes *p = user;
    p->int_acc[out] += (uint64_t)tern__array_get_int(p->x, p->x0 + in) * (uint64_t)tern__array_get_int(p->w, p->w0 + tap);
}

static void to_x(void *user, int64_t out, int64_t tap, int64_t in)
{
    const planes *p = user;
    p->acc[in] += tern__array_get(p->y, p->y0 + out) * tern__array_get(p->w, p->w0 + tap);
}

static void to_w(void *user, int64_t out, int64_t tap, int64_t in)
{
    const planes *p = user;
    p->acc[tap] += tern__array_get(p->y, p->y0 + out) * tern__array_get(p->x, p->x0 + in);
}

/* An accumulator plane that starts from a channel's bias. */
static void start_plane(double *acc, int64_t n, const tern__array *bias, int64_t channel)
{
    const double b = bias && bias->data ? tern__array_get(bias, channel) : 0;
    for (int64_t i = 0; i < n; i++)
        acc[i] = b;
}

static void store_plane(const tern__array *a, int64_t first, const double *acc, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        tern__array_set(a, first + i, acc[i]);
}

static tern_status new_plane(int64_t n, double **acc)
{
    *acc = tern__alloc_array((size_t)n, sizeof **acc);
    return *acc ? TERN_OK : tern__fail(TERN_E_NOMEM, "convolution: %lld accumulators", (long long)n);
}

/* The planes of x and w that channel m of image n takes from channel c of its group. */
static planes planes_of(const tern__spatial *sp, const tern__array *x, const tern__array *w, int64_t n, int64_t m, int64_t c)
{
    const int64_t per_in = sp->c_in / sp->group, per_out = sp->c_out / sp->group;
    return (planes){.x = x,
                    .w = w,
                    .x0 = (n * sp->c_in + m / per_out * per_in + c) * volume(sp->in),
                    .w0 = (m * per_in + c) * volume(sp->kernel)};
}

static tern_status conv_ints(const tern__spatial *sp, const tern__array *x, const tern__array *w, const tern__array *bias, const tern__array *y)
{
    const int64_t vy = volume(sp->out);
    uint64_t *acc = tern__alloc_array((size_t)vy, sizeof *acc);
    if (!acc)
        return tern__fail(TERN_E_NOMEM, "convolution: %lld accumulators", (long long)vy);
    for (int64_t n = 0; n < sp->batch; n++) {
        for (int64_t m = 0; m < sp->c_out; m++) {
            for (int64_t i = 0; i < vy; i++)
                acc[i] = bias && bias->data ? (uint64_t)tern__array_get_int(bias, m) : 0;
            for (int64_t c = 0; c < sp->c_in / sp->group; c++) {
                planes p = planes_of(sp, x, w, n, m, c);
                p.int_acc = acc;
                tern__spatial_each(sp, to_y_ints, &p);
            }
            for (int64_t i = 0; i < vy; i++)
                tern__array_set_int(y, (n * sp->c_out + m) * vy + i, (int64_t)acc[i]);
        }
    }
    tern__free(acc);
    return TERN_OK;
}

tern_status tern__ref_conv(const tern__spatial *sp, const tern__array *x, const tern__array *w, const tern__array *bias, const tern__array *y)
{
    const int64_t vy = volume(sp->out);
    double *acc;
    if (!tern__dtype_is(x->type.dtype, TERN__T_FLOAT))
        return conv_ints(sp, x, w, bias, y);
    TERN_TRY(new_plane(vy, &acc));
    for (int64_t n = 0; n < sp->batch; n++) {
        for (int64_t m = 0; m < sp->c_out; m++) {
            start_plane(acc, vy, bias, m);
            for (int64_t c = 0; c < sp->c_in / sp->group; c++) {
                planes p = planes_of(sp, x, w, n, m, c);
                p.acc = acc;
                tern__spatial_each(sp, to_y, &p);
            }
            store_plane(y, (n * sp->c_out + m) * vy, acc, vy);
        }
    }
    tern__free(acc);
    return TERN_OK;
}

tern_status tern__ref_conv_input(const tern__spatial *sp, const tern__array *dy, const tern__array *w, const tern__array *bias, const tern__array *dx)
{
    const int64_t per_in = sp->c_in / sp->group, per_out = sp->c_out / sp->group;
    const int64_t vx = volume(sp->in), vw = volume(sp->kernel), vy = volume(sp->out);
    double *acc;
    TERN_TRY(new_plane(vx, &acc));
    for (int64_t n = 0; n < sp->batch; n++) {
        for (int64_t c = 0; c < sp->c_in; c++) {
            start_plane(acc, vx, bias, c);
            for (int64_t k = 0; k < per_out; k++) {
                const int64_t m = c / per_in * per_out + k;
                planes p = {.y = dy, .w = w, .acc = acc};
                p.y0 = (n * sp->c_out + m) * vy;
                p.w0 = (m * per_in + c % per_in) * vw;
                tern__spatial_each(sp, to_x, &p);
            }
            store_plane(dx, (n * sp->c_in + c) * vx, acc, vx);
        }
    }
    tern__free(acc);
    return TERN_OK;
}

tern_status tern__ref_conv_weight(const tern__spatial *sp, const tern__array *x, const tern__array *dy, const tern__array *dw)
{
    const int64_t per_in = sp->c_in / sp->group, per_out = sp->c_out / sp->group;
    const int64_t vx = volume(sp->in), vw = volume(sp->kernel), vy = volume(sp->out);
    double *acc;
    TERN_TRY(new_plane(vw, &acc));
    for (int64_t m = 0; m < sp->c_out; m++) {
        for (int64_t c = 0; c < per_in; c++) {
            start_plane(acc, vw, NULL, 0);
            for (int64_t n = 0; n < sp->batch; n++) {
                planes p = {.x = x, .y = dy, .acc = acc};
                p.x0 = (n * sp->c_in + m / per_out * per_in + c) * vx;
                p.y0 = (n * sp->c_out + m) * vy;
                tern__spatial_each(sp, to_w, &p);
            }
            store_plane(dw, (m * per_in + c) * vw, acc, vw);
        }
    }
    tern__free(acc);
    return TERN_OK;
}

int64_t tern__conv_flops(const tern__node *n, const tern__type *in, const tern__type *out)
{
    (void)out;
    tern__spatial sp;
    if (tern__conv_geometry(n, in, &sp) != TERN_OK)
        return 0;
    return 2 * sp.batch * sp.c_out * (sp.c_in / sp.group) * volume(sp.out) * volume(sp.kernel);
}

/* The spatial extents of a value. */
static int extents_of(const tern_graph *g, tern_value v, int64_t e[3])
{
    const tern_shape *s = tern__shape_of(g, v);
    for (int i = 2; i < s->rank; i++)
        e[i - 2] = s->dim[i];
    return s->rank - 2;
}

tern_value tern__conv_like(tern_graph *g, const tern__node *n, tern_value x, tern_value w)
{
    return tern_graph_op2(g, "conv", x, w,
                          TERN_ATTRS(TERN__SP_COPY(n, TERN__SP_STRIDES, "strides"), TERN__SP_COPY(n, TERN__SP_DILATIONS, "dilations"),
                                     TERN__SP_COPY(n, TERN__SP_PADS, "pads"), TERN_INT("group", tern__attr_int(n, TERN__CONV_GROUP))));
}

tern_value tern__conv_input_like(tern_graph *g, const tern__node *n, tern_value dy, tern_value w, tern_value x)
{
    int64_t e[3];
    const int n_dims = extents_of(g, x, e);
    return tern_graph_op2(g, "conv_grad_input", dy, w,
                          TERN_ATTRS(TERN__SP_COPY(n, TERN__SP_STRIDES, "strides"), TERN__SP_COPY(n, TERN__SP_DILATIONS, "dilations"),
                                     TERN__SP_COPY(n, TERN__SP_PADS, "pads"), TERN_INT("group", tern__attr_int(n, TERN__CONV_GROUP)),
                                     TERN_INTS("input_shape", e, n_dims)));
}

tern_value tern__conv_weight_like(tern_graph *g, const tern__node *n, tern_value x, tern_value dy, tern_value w)
{
    int64_t e[3];
    const int n_dims = extents_of(g, w, e);
    return tern_graph_op2(g, "conv_grad_weight", x, dy,
                          TERN_ATTRS(TERN__SP_COPY(n, TERN__SP_STRIDES, "strides"), TERN__SP_COPY(n, TERN__SP_DILATIONS, "dilations"),
                                     TERN__SP_COPY(n, TERN__SP_PADS, "pads"), TERN_INT("group", tern__attr_int(n, TERN__CONV_GROUP)),
                                     TERN_INTS("kernel", e, n_dims)));
}

tern_value tern__conv_bias_grad(tern_graph *g, tern_value dy)
{
    return tern__sum_axes(g, dy, tern__all_but(tern__shape_of(g, dy)->rank, 1), false);
}

tern_value tern__conv_add_bias(tern_graph *g, tern_value y, tern_value bias)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    return tern__add(g, y, tern__per_channel(g, bias, tern__shape_of(g, y)->rank));
}
