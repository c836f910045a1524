/* conv and, at stride 1, conv_grad_input on devices of many light items by Winograd's algorithm: transforms (kernels/conv_winograd_simt.cl) around a product
 * for each point. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/impl_cpu.h"
#include "ops/impl_simt.h"

enum { GROUP = 64, QUAD = 4 };

/* Facts of the cost model, in multiply-adds of the product's kernel; such devices are alike in this: they compute a few dozen times as many as they move floats. */
static const double macs_per_float = 20, macs_per_launch = 1e7;

/* One convolution in tiles of m x m: x [n, c, h, w] to y [n, o, oh, ow]. */
struct winograd {
    tern_value x, w, y;
    bool flip;                /* gradient by the input: weights transposed, taps backwards */
    int m;
    int64_t n, c, o, h, iw, oh, ow, pt, pl, ty, tx;
    int64_t cp, op, tp;       /* channels and tiles rounded up to quads */
};

static int64_t points(const struct winograd *d)
{
    return (int64_t)(d->m + 2) * (d->m + 2);
}

static int64_t to_quads(int64_t x)
{
    return tern__div_up(x, QUAD) * QUAD;
}

static bool read_geometry(const tern__lower *l, const tern__node *n, tern__spatial *s)
{
    return tern__conv_geometry(n, (const tern__type[]){*tern__lower_type(l, n->in[0]), *tern__lower_type(l, n->in[1])}, s) == TERN_OK;
}

static void read_node(const tern__node *n, bool backward, int m, const tern__spatial *s, struct winograd *d)
{
    const int64_t *in = backward ? s->out : s->in, *out = backward ? s->in : s->out;
    *d = (struct winograd){.x = n->in[0], .w = n->in[1], .y = n->out[0], .flip = backward, .m = m, .n = s->batch};
    d->c = backward ? s->c_out : s->c_in;
    d->o = backward ? s->c_in : s->c_out;
    d->h = in[1], d->iw = in[2], d->oh = out[1], d->ow = out[2];
    d->pt = backward ? 2 - s->pad[1] : s->pad[1];
    d->pl = backward ? 2 - s->pad[2] : s->pad[2];
    d->ty = tern__div_up(d->oh, m);
    d->tx = tern__div_up(d->ow, m);
    d->cp = to_quads(d->c);
    d->op = to_quads(d->o);
    d->tp = to_quads(d->n * d->ty * d->tx);
}

/* Is this a convolution that the algorithm is for? Says why not. */
static bool is_winograds(const tern__lower *l, const tern__node *n, const tern__spatial *s, tern__str *why)
{
    for (int i = 0; i < 3; i++) {
        const tern_dtype t = tern__lower_type(l, i < 2 ? n->in[i] : n->out[0])->dtype;
        if (t != TERN_F32) {
            tern__str_addf(why, "%s is not for this kernel", tern_dtype_name(t));
            return false;
        }
    }
    if (s->n_dims != 2 || s->kernel[1] != 3 || s->kernel[2] != 3 || s->group != 1) {
        tern__str_add(why, "other than 3x3 taps over all channels");
        return false;
    }
    for (int i = 1; i < 3; i++)
        if (s->stride[i] != 1 || s->dilation[i] != 1) {
            tern__str_addf(why, "stride %" PRId64 ", dilation %" PRId64, s->stride[i], s->dilation[i]);
            return false;
        }
    return true;
}

static bool accept(const tern__lower *l, const tern__node *n, bool backward, int m, tern__str *why)
{
    tern__spatial s;
    struct winograd d;
    if (!tern__any_accept(l, n, why))
        return false;
    if (!read_geometry(l, n, &s)) {
        tern__str_add(why, "the operands' shapes do not fit");
        return false;
    }
    if (!is_winograds(l, n, &s, why))
        return false;
    read_node(n, backward, m, &s, &d);
    const double most = (double)points(&d) * TERN_MAX((double)TERN_MAX(d.cp, d.op) * (double)d.tp, (double)d.cp * (double)d.op);
    if (d.n * d.c * d.o * d.h * d.iw * d.oh * d.ow == 0 || most > INT32_MAX / 2) {
        tern__str_addf(why, "%.3g transformed numbers", most);
        return false;
    }
    return true;
}

/* Multiply-adds, and what moving floats and launching cost in those. */
static double cost(const struct winograd *d)
{
    const double p = (double)points(d), c = (double)d->cp, o = (double)d->op, t = (double)d->tp;
    const double floats = (double)(d->n * d->c * d->h * d->iw + d->n * d->o * d->oh * d->ow) + p * (2 * c * t + 2 * o * t + c * o);
    return p * c * o * t + macs_per_float * floats + 3 * macs_per_launch;
}

static double direct_cost(const struct winograd *d)
{
    const double c = (double)d->c, o = (double)d->o, results = (double)(d->n * d->oh * d->ow);
    const double floats = c * (double)(d->n * d->h * d->iw) + o * results + 9 * c * o;
    return 9 * c * o * results + macs_per_float * floats + macs_per_launch;
}

static bool pays(const tern__lower *l, const tern__node *n, bool backward, int m, tern__str *why)
{
    tern__spatial s;
    struct winograd d, other;
    if (tern__lower_family(l) != TERN__FAMILY_SIMT) {
        tern__str_add(why, "made for devices of many light items");
        return false;
    }
    if (!tern__lower_is_constant(l, n->in[1])) {
        tern__str_add(why, "weights that are no constants");
        return false;
    }
    if (!read_geometry(l, n, &s))
        return false;
    read_node(n, backward, m, &s, &d);
    read_node(n, backward, 6 - m, &s, &other);
    const double mine = cost(&d), least = TERN_MIN(direct_cost(&d), cost(&other));
    if (mine > least)
        tern__str_addf(why, "a cost of %.3g where there is a way of %.3g", mine, least);
    return mine <= least;
}

/* As conv_winograd_cpu.cl's, in one block of all output channels: u[point][channel][output channel]. */
static tern_status pack(tern__lower *l, const struct winograd *d, int *slot)
{
    char key[48];
    snprintf(key, sizeof key, "winograd %d simt%s", d->m, d->flip ? " flipped" : "");
    tern__kern *k = tern__lower_pack(l, d->w, key, tern__cpu_bytes(points(d), d->cp, d->op, 1), "pack_winograd_weight.cl", slot);
    if (*slot < 0)
        return TERN_E_NOMEM;
    if (!k)
        return TERN_OK;
    tern__cpu_define(k, "M", d->m);
    tern__cpu_define(k, "W", QUAD);
    tern__kern_size(k, "NR", d->op);
    tern__kern_size(k, "O", d->o);
    tern__kern_size(k, "C", d->c);
    tern__kern_size(k, "CP", d->cp);
    tern__cpu_define(k, "FLIP", d->flip);
    tern__kern_value(k, d->w);
    tern__kern_slot(k, *slot, true);
    tern__cpu_range(k, 1, d->cp, 1);
    return TERN_OK;
}

static tern__kern *stage(tern__lower *l, const struct winograd *d, int number)
{
    tern__kern *k = tern__lower_kernel(l, "conv_winograd_simt.cl");
    const struct { const char *name; int64_t x; } sizes[] = {{"STAGE", number}, {"M", d->m}, {"N", d->n}, {"C", d->c}, {"CP", d->cp}, {"O", d->o}, {"OP", d->op},
        {"TP", d->tp}, {"H", d->h}, {"IW", d->iw}, {"PT", d->pt}, {"PL", d->pl}, {"OH", d->oh}, {"OW", d->ow}, {"TY", d->ty}, {"TX", d->tx}};
    for (size_t i = 0; i < TERN_COUNT(sizes) && k; i++)
        tern__cpu_define(k, sizes[i].name, sizes[i].x);
    return k;
}

static tern_status lower(tern__lower *l, const tern__node *n, bool backward, int m)
{
    static const tern__hook_axis axes[5] = {{.dims = 1}, {.dims = 1}, {.dims = 1}, {.dims = 1}, {0}};
    tern__spatial s;
    struct winograd d;
    int weights = -1;
    if (!read_geometry(l, n, &s))
        return TERN_E_SHAPE;
    read_node(n, backward, m, &s, &d);
    TERN_TRY(pack(l, &d, &weights));
    const int v = tern__lower_temp(l, tern__cpu_bytes(points(&d), d.cp, d.tp, 1)), products = tern__lower_temp(l, tern__cpu_bytes(points(&d), d.op, d.tp, 1));
    tern__kern *to = stage(l, &d, 1);
    if (v < 0 || products < 0 || !to)
        return TERN_E_NOMEM;
    tern__kern_slot(to, v, true);
    tern__kern_load(to, "LOAD", d.x, axes, -1, 1u);
    tern__kern_range(to, 1, (size_t[3]){(size_t)(d.cp * d.tp), 1, 1}, (size_t[3]){GROUP, 1, 1});
    TERN_TRY(tern__simt_multiply(l, points(&d), d.op, d.tp, d.cp, weights, v, products));
    tern__kern *back = stage(l, &d, 2);
    if (!back)
        return TERN_E_NOMEM;
    tern__kern_slot(back, products, false);
    tern__kern_store(back, "STORE", d.y, axes, -1, 1u);
    tern__kern_range(back, 1, (size_t[3]){(size_t)(d.o * d.tp), 1, 1}, (size_t[3]){GROUP, 1, 1});
    return TERN_OK;
}

/* Descriptors of both directions for tiles of M x M. */
#define WINOGRAD(M)                                                                                                                              \
    static bool accept_forward##M(const tern__lower *l, const tern__node *n, tern__str *why) { return accept(l, n, false, M, why); }             \
    static bool accept_backward##M(const tern__lower *l, const tern__node *n, tern__str *why) { return accept(l, n, true, M, why); }             \
    static bool pays_forward##M(const tern__lower *l, const tern__node *n, tern__str *why) { return pays(l, n, false, M, why); }                 \
    static bool pays_backward##M(const tern__lower *l, const tern__node *n, tern__str *why) { return pays(l, n, true, M, why); }                 \
    static tern_status lower_forward##M(tern__lower *l, const tern__node *n) { return lower(l, n, false, M); }                                   \
    static tern_status lower_backward##M(tern__lower *l, const tern__node *n) { return lower(l, n, true, M); }                                   \
    const tern__impl tern__impl_conv_winograd##M##_simt = {                                                                                      \
        .name = "simt_winograd" #M, .accept = accept_forward##M, .lower = lower_forward##M, .pays = pays_forward##M, .approximate = true};       \
    const tern__impl tern__impl_conv_grad_input_winograd##M##_simt = {                                                                           \
        .name = "simt_winograd" #M, .accept = accept_backward##M, .lower = lower_backward##M, .pays = pays_backward##M, .approximate = true};
WINOGRAD(4)
WINOGRAD(2)
