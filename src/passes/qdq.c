/* qdq: computes with the integers of quantised models where they say float.
 *
 * Such models have a dequantise before each op and a quantise behind it. A convolution or product of two dequantised values becomes one of i32, scaled
 * behind; a largest of dequantised values is picked before dequantising; quantising again what was just dequantised alike is left out; and a division by
 * a scale becomes a factor, together with those before it. Sums of integers are exact where those of floats were rounded, so a result that lay close to
 * the middle of two quantised numbers may end as the other one. */
#include "passes/pass.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "ops/conv_ref.h"
#include "ops/op.h"

/* A dequantised value: factor * integer, the integer an 8-bit value less its zero point, or a bias. */
typedef struct dequantised {
    tern_value integer; /* i32 */
    tern_value scale;
} dequantised;

/* By old value. */
struct memory {
    tern_value *sum, *unit; /* it is the product of these new values: a sum of integers in f32, and its unit */
    bool *coarse;           /* it comes from dequantised values by ops on elements */
};

static bool is_op(const tern__node *n, const char *op)
{
    return n && strcmp(n->op->name, op) == 0;
}

static bool read_dequantised(const tern_graph *g, tern_value v, dequantised *d)
{
    const tern__node *n = tern__producer(g, v), *cast = is_op(n, "mul") ? tern__producer(g, n->in[0]) : NULL;
    if (!is_op(cast, "cast") || tern__dtype_of(g, v) != TERN_F32 || tern__dtype_of(g, cast->in[0]) != TERN_I32)
        return false;
    *d = (dequantised){cast->in[0], n->in[1]};
    return tern__shape_equal(tern__shape_of(g, d->integer), tern__shape_of(g, v));
}

/* The number that all of v's elements are, also behind casts. */
static bool number(const tern_graph *g, tern_value v, double *x)
{
    while (tern__made_by(g, v, "cast") || tern__made_by(g, v, "unsqueeze"))
        v = tern__producer(g, v)->in[0];
    return tern__number_of(g, v, x);
}

/* Scales: one number, or one for each position of x's axis. */
static bool lies_along(const tern_graph *g, tern_value scale, int rank, int axis)
{
    const tern_shape *s = tern__shape_of(g, scale);
    if (tern__elems(s) == 1)
        return true;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] != 1 && i + rank - s->rank != axis)
            return false;
    return true;
}

/* Element i of a constant f32 vector, or the number of all. */
static bool element(const tern_graph *g, tern_value v, int64_t i, double *x)
{
    if (number(g, v, x))
        return true;
    while (tern__made_by(g, v, "reshape") || tern__made_by(g, v, "unsqueeze"))
        v = tern__producer(g, v)->in[0];
    const uint8_t *data = tern__const_data(g, v);
    float f;
    if (!data || tern__dtype_of(g, v) != TERN_F32 || i >= tern__elems(tern__shape_of(g, v)))
        return false;
    memcpy(&f, data + (size_t)i * sizeof f, sizeof f);
    *x = (double)f;
    return true;
}

/* Is a bias in the unit of the sums that it is added to, as quantisers make it? */
static bool in_units(const tern_graph *g, const dequantised *bias, const dequantised d[2], int64_t channels)
{
    for (int64_t i = 0; i < channels; i++) {
        double b, x, w;
        if (!element(g, bias->scale, i, &b) || !number(g, d[0].scale, &x) || !element(g, d[1].scale, i, &w) || !(fabs(b - x * w) <= 1e-5 * fabs(b)))
            return false;
    }
    return true;
}

/* --- Products --- */

/* A scale as a scalar, or along the channels of a result of that rank. */
static tern_value along(tern_graph *g, tern_value scale, int rank, int axis)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const int64_t elems = tern__elems(tern__shape_of(g, scale));
    tern_shape s = {.rank = elems == 1 ? 0 : rank};
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = i == axis ? elems : 1;
    return tern__reshape(g, scale, &s);
}

/* n's result from the i32 sum of its products: bias, if any, and unit. axis is that of the channels. */
static tern_status finish(tern__rewrite *rw, const tern__node *n, tern_value sum, const dequantised d[2], int axis)
{
    struct memory *m = rw->user;
    tern_graph *g = rw->to;
    dequantised bias;
    const tern_value out = n->out[0], b = tern__has_input(n, 2) ? n->in[2] : TERN_NONE;
    const tern_shape s = *tern__shape_of(rw->from, out);
    const bool whole = b != TERN_NONE && read_dequantised(rw->from, b, &bias) && in_units(rw->from, &bias, d, s.dim[axis]);
    if (whole) {
        tern_value i = tern__rewrite_value(rw, bias.integer);
        sum = tern__add(g, sum, s.rank > 2 ? tern__per_channel(g, i, s.rank) : i);
    }
    tern_value unit = tern__mul(g, along(g, tern__rewrite_value(rw, d[0].scale), s.rank, axis), along(g, tern__rewrite_value(rw, d[1].scale), s.rank, axis));
    sum = tern__cast(g, sum, TERN_F32);
    rw->map[out] = tern__mul(g, sum, unit);
    if (b == TERN_NONE || whole) {
        m->sum[out] = sum;
        m->unit[out] = unit;
    } else {
        rw->map[out] = tern__add(g, rw->map[out], s.rank > 2 ? tern__per_channel(g, tern__rewrite_value(rw, b), s.rank) : tern__rewrite_value(rw, b));
    }
    m->coarse[out] = true;
    return tern_graph_check(g);
}

/* Both operands are dequantised 8-bit integers such as the integer pass takes. */
static bool read_operands(const tern_graph *g, const tern__node *n, int axis, dequantised d[2])
{
    tern__centred c[2];
    for (int i = 0; i < 2; i++)
        if (!read_dequantised(g, n->in[i], &d[i]) || !tern__read_centred(g, d[i].integer, &c[i]))
            return false;
    return tern__elems(tern__shape_of(g, d[0].scale)) == 1 && lies_along(g, d[1].scale, tern__shape_of(g, d[1].integer)->rank, axis) &&
           tern__centred_along(g, &c[0], -1) && tern__centred_along(g, &c[1], axis);
}

static bool visit_conv(tern__rewrite *rw, const tern__node *n, tern_status *st)
{
    dequantised d[2];
    if (!is_op(n, "conv") || !read_operands(rw->from, n, 0, d))
        return false;
    *st = finish(rw, n, tern__conv_like(rw->to, n, tern__rewrite_value(rw, d[0].integer), tern__rewrite_value(rw, d[1].integer)), d, 1);
    return true;
}

static int64_t flag(const tern__node *n, const char *name)
{
    for (int i = 0; i < n->op->n_attrs; i++)
        if (strcmp(n->op->attrs[i].name, name) == 0)
            return tern__attr_int(n, i);
    return 0;
}

static bool visit_product(tern__rewrite *rw, const tern__node *n, tern_status *st)
{
    const bool gemm = is_op(n, "gemm");
    dequantised d[2];
    if (!(gemm || is_op(n, "matmul")) || (gemm && (tern__attr_float(n, 0) != 1 || tern__attr_float(n, 1) != 1)))
        return false;
    const int64_t ta = flag(n, "trans_a"), tb = flag(n, "trans_b");
    const int ra = tern__shape_of(rw->from, n->in[0])->rank, rb = tern__shape_of(rw->from, n->in[1])->rank;
    if (rb != 2 || ra < 2 || (ra > 2 && ta) || !read_operands(rw->from, n, tb ? 0 : 1, d))
        return false;
    *st = finish(rw, n,
                 tern_graph_op2(rw->to, "matmul", tern__rewrite_value(rw, d[0].integer), tern__rewrite_value(rw, d[1].integer),
                                TERN_ATTRS(TERN_INT("trans_a", ta), TERN_INT("trans_b", tb))),
                 d, ra - 1);
    return true;
}

/* --- Scales --- */

/* x / scale: by a factor, in one with those before it. */
static bool visit_division(tern__rewrite *rw, const tern__node *n, tern_status *st)
{
    const struct memory *m = rw->user;
    double scale;
    if (!is_op(n, "div") || tern__dtype_of(rw->from, n->out[0]) != TERN_F32 || !m->coarse[n->in[0]] || !number(rw->from, n->in[1], &scale) ||
        !isnormal(1 / scale) || tern__elems(tern__shape_of(rw->from, n->in[1])) != 1)
        return false;
    tern_value by = tern__rewrite_value(rw, n->in[1]), x = n->in[0];
    if (m->sum[x] != TERN_NONE)
        rw->map[n->out[0]] = tern__mul(rw->to, m->sum[x], tern__div(rw->to, m->unit[x], by));
    else
        rw->map[n->out[0]] = tern__mul(rw->to, tern__rewrite_value(rw, x), tern__div(rw->to, tern__like(rw->to, by, 1), by));
    *st = tern_graph_check(rw->to);
    return true;
}

/* The largest of dequantised values is the largest integer's. */
static bool visit_max_pool(tern__rewrite *rw, const tern__node *n, tern_status *st)
{
    struct memory *m = rw->user;
    tern_graph *g = rw->to;
    dequantised d;
    tern__centred c;
    double scale;
    tern_value out[2];
    if (!is_op(n, "max_pool") || !read_dequantised(rw->from, n->in[0], &d) || !tern__read_centred(rw->from, d.integer, &c) ||
        !number(rw->from, d.scale, &scale) || !(scale > 0) || !tern__centred_along(rw->from, &c, -1))
        return false;
    const tern_value x = tern__rewrite_value(rw, c.x);
    tern__graph_add_like(g, n, &x, out);
    tern_value y = tern__cast(g, out[0], TERN_I32);
    if (c.zero != TERN_NONE)
        y = tern__sub(g, y, tern__cast(g, along(g, tern__rewrite_value(rw, c.zero), 0, 0), TERN_I32));
    rw->map[n->out[0]] = tern__mul(g, tern__cast(g, y, TERN_F32), along(g, tern__rewrite_value(rw, d.scale), 0, 0));
    rw->map[n->out[1]] = out[1];
    m->coarse[n->out[0]] = true;
    *st = tern_graph_check(g);
    return true;
}

/* cast(round(x / scale) + zero) of an x that is scale * (y - zero): y. */
static bool visit_quantise(tern__rewrite *rw, const tern__node *n, tern_status *st)
{
    const tern_graph *g = rw->from;
    const tern_dtype t = tern__dtype_of(g, n->out[0]);
    if (!is_op(n, "cast") || (t != TERN_U8 && t != TERN_I8))
        return false;
    double scale, zero = 0, was_scale, was_zero = 0;
    const tern__node *add = tern__producer(g, n->in[0]), *round = is_op(add, "add") ? tern__producer(g, add->in[0]) : add;
    const tern__node *div = is_op(round, "round") ? tern__producer(g, round->in[0]) : NULL;
    if (!is_op(div, "div") || !number(g, div->in[1], &scale) || (round != add && !number(g, add->in[1], &zero)))
        return false;
    dequantised d;
    tern__centred c;
    if (!read_dequantised(rw->to, tern__rewrite_value(rw, div->in[0]), &d) || !tern__read_centred(rw->to, d.integer, &c) ||
        tern__dtype_of(rw->to, c.x) != t || !number(rw->to, d.scale, &was_scale) || (c.zero != TERN_NONE && !number(rw->to, c.zero, &was_zero)))
        return false;
    if (scale != was_scale || zero != was_zero || !isnormal(scale * 65536))
        return false;
    rw->map[n->out[0]] = c.x;
    *st = tern_graph_check(rw->to);
    return true;
}

/* --- The pass --- */

static bool is_coarse(const tern__rewrite *rw, const tern__node *n)
{
    const struct memory *m = rw->user;
    dequantised d;
    if (read_dequantised(rw->from, n->out[0], &d))
        return true;
    for (int i = 0; i < n->n_in; i++)
        if (n->op->trait == TERN__POINTWISE && n->in[i] != TERN_NONE && m->coarse[n->in[i]])
            return tern__dtype_of(rw->from, n->out[0]) == TERN_F32;
    return false;
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    struct memory *m = rw->user;
    tern_status st = TERN_OK;
    if (n->n_out > 0 && is_coarse(rw, n))
        m->coarse[n->out[0]] = true;
    if (visit_conv(rw, n, &st) || visit_product(rw, n, &st) || visit_division(rw, n, &st) || visit_max_pool(rw, n, &st) || visit_quantise(rw, n, &st))
        return st;
    return tern__rewrite_copy(rw, n);
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    const size_t n = (size_t)in->n_values + 1;
    struct memory m = {tern__alloc_array(n, sizeof *m.sum), tern__alloc_array(n, sizeof *m.unit), tern__alloc_array(n, sizeof *m.coarse)};
    tern_status st = m.sum && m.unit && m.coarse ? TERN_OK : tern__fail(TERN_E_NOMEM, "qdq: %d values", in->n_values);
    for (size_t i = 0; i < n && st == TERN_OK; i++)
        m.sum[i] = m.unit[i] = TERN_NONE;
    if (st == TERN_OK)
        st = tern__graph_rewrite(in, &m, visit, out);
    tern__free(m.sum);
    tern__free(m.unit);
    tern__free(m.coarse);
    return st;
}

const tern__pass tern__pass_qdq = {.name = "qdq", .doc = "computes with the integers of quantised models where they say float", .run = run};
