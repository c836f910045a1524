/* Importing signal processing and random numbers: windows, Fourier transforms as matrix products, mel weights, and draws from distributions. */
#include "onnx/import_math.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "onnx/trace.h"
#include "ops/common.h"

enum {
    TABLE_MAX = 1 << 22,     /* elements of a table of cosines and sines; longer transforms are taken apart */
    WINDOW_MAX = 1 << 24,    /* elements of a window or of mel weights */
    LENGTH_MAX = 1 << 22,    /* of a transform */
    SIGNAL_MAX = 1 << 30,    /* samples, which frames count in 32 bits */
};

/* --- Tables ------------------------------------------------------------------------------------------------------ */

/* cos and sin of 2 pi m / len, 0 <= m < len, exact where they are 0, 1 or -1 and with the circle's symmetries to the last bit: the angle is folded
 * into its first eighth as a fraction of integers. */
static void unit(int64_t m, int64_t len, double *c, double *s)
{
    const bool below = 2 * m > len;         /* mirror: sin < 0 */
    if (below)
        m = len - m;
    const bool left = 4 * m > len;          /* cos < 0 */
    int64_t num = left ? len - 2 * m : 2 * m; /* angle = pi num / len, 0 to pi / 2 */
    const bool steep = 4 * num > len;       /* beyond pi / 4 */
    if (steep)
        num = len - 2 * num;                /* pi / 2 - angle = pi num / (2 len) */
    const double angle = M_PI * (double)num / (double)(steep ? 2 * len : len);
    const double x = steep ? sin(angle) : cos(angle), y = steep ? cos(angle) : sin(angle);
    *c = left ? -x : x;
    *s = below ? -y : y;
}

/* A constant that is filled element by element. */
typedef struct table {
    tern__array a;
    tern__blob *blob;
} table;

static tern_status table_begin(tern__onnx_node *n, tern_dtype t, int64_t rows, int64_t columns, table *out)
{
    *out = (table){.a.type = {.dtype = t, .shape = {.rank = 2, .dim = {rows, columns}}}};
    const size_t bytes = (size_t)rows * (size_t)columns * tern_dtype_size(t);
    out->blob = tern__blob_create(NULL, bytes);
    if (!out->blob)
        return tern__onnx_fail(n, TERN_E_NOMEM, "a table of %zu bytes", bytes);
    out->a.data = out->blob->data;
    return TERN_OK;
}

static tern_value table_end(tern__onnx_node *n, table *t)
{
    tern_value v = tern__graph_blob(n->g, &t->a.type, t->blob);
    tern__blob_release(t->blob);
    return v;
}

/* --- Fourier transforms over axis 1 of [m, len, c], c 1 for real and 2 for complex elements -------------------- */

typedef struct transform {
    int64_t m, len;
    int c;
    int64_t bins;       /* results wanted of len */
    bool inverse;       /* e^+i, not scaled */
} transform;

static tern_value reshape3(tern_graph *g, tern_value x, int64_t a, int64_t b, int64_t c)
{
    return tern__reshape(g, x, &(tern_shape){.rank = 3, .dim = {a, b, c}});
}

static tern_value reshape4(tern_graph *g, tern_value x, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return tern__reshape(g, x, &(tern_shape){.rank = 4, .dim = {a, b, c, d}});
}

static tern_value slice_axis(tern_graph *g, tern_value x, int axis, int64_t from, int64_t to)
{
    const int64_t axes[1] = {axis}, starts[1] = {from}, ends[1] = {to};
    return tern_graph_op1(g, "slice", x, TERN_ATTRS(TERN_INTS("starts", starts, 1), TERN_INTS("ends", ends, 1), TERN_INTS("axes", axes, 1)));
}

/* One product with the transform's own matrix: [m, len c] x [len c, 2 bins], pairs of real and imaginary part side by side on both sides. */
static tern_status by_table(tern__onnx_node *n, const transform *f, tern_value x, tern_value *out)
{
    const double sign = f->inverse ? 1 : -1;
    table t;
    TERN_TRY(table_begin(n, tern__dtype_of(n->g, x), f->len * f->c, f->bins * 2, &t));
    for (int64_t i = 0; i < f->len; i++) {
        for (int64_t k = 0; k < f->bins; k++) {
            double c, s;
            unit(i * k % f->len, f->len, &c, &s);
            const int64_t at = i * f->c * f->bins * 2 + k * 2;
            tern__array_set(&t.a, at, c);
            tern__array_set(&t.a, at + 1, sign * s);
            if (f->c == 2) {
                tern__array_set(&t.a, at + f->bins * 2, -sign * s);
                tern__array_set(&t.a, at + f->bins * 2 + 1, c);
            }
        }
    }
    tern_value flat = tern__reshape(n->g, x, &(tern_shape){.rank = 2, .dim = {f->m, f->len * f->c}});
    *out = reshape3(n->g, tern_graph_op2(n->g, "matmul", flat, table_end(n, &t), NULL), f->m, f->bins, 2);
    return TERN_OK;
}

/* x w for complex x and w whose last axis is the pair; x real if it has one element there. */
static tern_value times(tern_graph *g, tern_value x, tern_value w)
{
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const int last = tern__shape_of(g, x)->rank - 1, w_last = tern__shape_of(g, w)->rank - 1;
    if (tern__shape_of(g, x)->dim[last] == 1)
        return tern__mul(g, x, w);
    tern_value xr = slice_axis(g, x, last, 0, 1), xi = slice_axis(g, x, last, 1, 2);
    tern_value wr = slice_axis(g, w, w_last, 0, 1), wi = slice_axis(g, w, w_last, 1, 2);
    const tern_value pair[2] = {tern__sub(g, tern__mul(g, xr, wr), tern__mul(g, xi, wi)), tern__add(g, tern__mul(g, xr, wi), tern__mul(g, xi, wr))};
    return tern_graph_add(g, "concat", pair, 2, TERN_ATTRS(TERN_INT("axis", last)));
}

static tern_status fourier(tern__onnx_node *n, const transform *f, tern_value x, tern_value *out);

/* len = a b, Cooley and Tukey's way: transforms of length a over every b-th element, a turn of each result, transforms of length b. */
static tern_status by_factors(tern__onnx_node *n, const transform *f, int64_t a, int64_t b, tern_value x, tern_value *out)
{
    static const int swap[4] = {0, 2, 1, 3};
    const double sign = f->inverse ? 1 : -1;
    tern_graph *g = n->g;
    tern_value y = tern__transpose(g, reshape4(g, x, f->m, a, b, f->c), swap);
    TERN_TRY(fourier(n, &(transform){f->m * b, a, f->c, a, f->inverse}, reshape3(g, y, f->m * b, a, f->c), &y));
    table t;
    TERN_TRY(table_begin(n, tern__dtype_of(g, x), b, a * 2, &t));
    for (int64_t i = 0; i < b; i++) {
        for (int64_t k = 0; k < a; k++) {
            double c, s;
            unit(i * k, f->len, &c, &s);
            tern__array_set(&t.a, (i * a + k) * 2, c);
            tern__array_set(&t.a, (i * a + k) * 2 + 1, sign * s);
        }
    }
    tern_value turned = times(g, reshape4(g, y, f->m, b, a, 2), reshape3(g, table_end(n, &t), b, a, 2));
    y = reshape3(g, tern__transpose(g, turned, swap), f->m * a, b, 2);
    TERN_TRY(fourier(n, &(transform){f->m * a, b, 2, b, f->inverse}, y, &y));
    y = reshape3(g, tern__transpose(g, reshape4(g, y, f->m, a, b, 2), swap), f->m, f->len, 2);
    *out = f->bins < f->len ? slice_axis(g, y, 1, 0, f->bins) : y;
    return TERN_OK;
}

/* exp(sign i pi k^2 / len) for k < count of a vector of `rows`, and mirrored at its end: the chirp of Bluestein's transform, as [rows, 2]. */
static tern_status chirp(tern__onnx_node *n, tern_dtype t, int64_t len, int64_t rows, double sign, bool mirror, tern_value *out)
{
    table w;
    TERN_TRY(table_begin(n, t, rows, 2, &w));
    int64_t square = 0; /* k^2 modulo 2 len */
    for (int64_t k = 0; k < len; k++) {
        double c, s;
        unit(square, 2 * len, &c, &s);
        square = (square + 2 * k + 1) % (2 * len);
        for (int64_t at = k, again = 0; again <= (mirror && k > 0); at = rows - k, again++) {
            tern__array_set(&w.a, at * 2, c);
            tern__array_set(&w.a, at * 2 + 1, sign * s);
        }
    }
    *out = table_end(n, &w);
    return TERN_OK;
}

/* A long prime: Bluestein's way, as a convolution with a chirp by transforms whose length is a power of two. */
static tern_status by_chirp(tern__onnx_node *n, const transform *f, tern_value x, tern_value *out)
{
    const double sign = f->inverse ? 1 : -1;
    const tern_dtype t = tern__dtype_of(n->g, x);
    tern_graph *g = n->g;
    int64_t size = 1;
    while (size < 2 * f->len - 1)
        size *= 2;
    tern_value w, v;
    TERN_TRY(chirp(n, t, f->len, f->len, sign, false, &w));
    TERN_TRY(chirp(n, t, f->len, size, -sign, true, &v));
    const int64_t pads[6] = {0, 0, 0, 0, size - f->len, 0};
    tern_value a = tern_graph_op1(g, "pad", times(g, x, w), TERN_ATTRS(TERN_INTS("pads", pads, 6)));
    TERN_TRY(fourier(n, &(transform){f->m, size, 2, size, false}, a, &a));
    TERN_TRY(fourier(n, &(transform){1, size, 2, size, false}, reshape3(g, v, 1, size, 2), &v));
    tern_value y;
    TERN_TRY(fourier(n, &(transform){f->m, size, 2, size, true}, times(g, a, v), &y));
    y = tern__mul_scalar(g, slice_axis(g, y, 1, 0, f->bins), 1.0 / (double)size);
    *out = times(g, y, f->bins < f->len ? slice_axis(g, w, 0, 0, f->bins) : w);
    return TERN_OK;
}

/* [m, len, c] to [m, bins, 2]. */
static tern_status fourier(tern__onnx_node *n, const transform *f, tern_value x, tern_value *out)
{
    TERN_TRY(tern_graph_check(n->g));
    if (f->len * f->c <= TABLE_MAX / (f->bins * 2))
        return by_table(n, f, x, out);
    int64_t a = (int64_t)sqrt((double)f->len) + 1;
    while (a > 1 && (f->len % a != 0 || a * a > f->len))
        a--;
    return a > 1 ? by_factors(n, f, a, f->len / a, x, out) : by_chirp(n, f, x, out);
}

/* Half a spectrum [m, half, 2] to the real signal [m, len, 1] that it belongs to, scaled. */
static tern_status real_inverse(tern__onnx_node *n, int64_t m, int64_t half, int64_t len, tern_value x, tern_value *out)
{
    tern_graph *g = n->g;
    if (half * 2 > TABLE_MAX / len) {
        const int64_t axes[1] = {1}, from[1] = {len - half}, to[1] = {0}, step[1] = {-1};
        const double flip[2] = {1, -1};
        tern_value rest = tern_graph_op1(g, "slice", x, TERN_ATTRS(TERN_INTS("starts", from, 1), TERN_INTS("ends", to, 1), TERN_INTS("axes", axes, 1),
                                                                   TERN_INTS("steps", step, 1)));
        rest = tern__mul(g, rest, tern__onnx_const(n, tern__dtype_of(g, x), &(tern_shape){.rank = 1, .dim = {2}}, flip));
        const tern_value parts[2] = {x, rest};
        tern_value all = tern_graph_add(g, "concat", parts, 2, TERN_ATTRS(TERN_INT("axis", 1))), y;
        TERN_TRY(fourier(n, &(transform){m, len, 2, len, true}, all, &y));
        *out = tern__mul_scalar(g, slice_axis(g, y, 2, 0, 1), 1.0 / (double)len);
        return TERN_OK;
    }
    table t;
    TERN_TRY(table_begin(n, tern__dtype_of(g, x), half * 2, len, &t));
    for (int64_t k = 0; k < half; k++) {
        const double weight = (k == 0 || 2 * k == len ? 1.0 : 2.0) / (double)len; /* the others stand for their mirror image too */
        for (int64_t i = 0; i < len; i++) {
            double c, s;
            unit(i * k % len, len, &c, &s);
            tern__array_set(&t.a, 2 * k * len + i, weight * c);
            tern__array_set(&t.a, (2 * k + 1) * len + i, -weight * s);
        }
    }
    tern_value flat = tern__reshape(g, x, &(tern_shape){.rank = 2, .dim = {m, half * 2}});
    *out = reshape3(g, tern_graph_op2(g, "matmul", flat, table_end(n, &t), NULL), m, len, 1);
    return TERN_OK;
}

/* Zeroes added to, or elements cut from, the end of an axis. */
static tern_value fit(tern_graph *g, tern_value x, int axis, int64_t want)
{
    const tern_shape s = *tern__shape_of(g, x);
    int64_t pads[2 * TERN_MAX_RANK] = {0};
    if (s.dim[axis] == want)
        return x;
    if (s.dim[axis] > want)
        return slice_axis(g, x, axis, 0, want);
    pads[s.rank + axis] = want - s.dim[axis];
    return tern_graph_op1(g, "pad", x, TERN_ATTRS(TERN_INTS("pads", pads, 2 * s.rank)));
}

/* Along the axis before the last of x [.., len, c]; bins or, for the inverse of half a spectrum, reals come out. */
static tern_status transform_inner(tern__onnx_node *n, tern_value x, int64_t len, bool inverse, bool onesided, tern_value *out)
{
    tern_graph *g = n->g;
    const bool to_real = inverse && onesided;
    TERN_TRY(tern_graph_check(g));
    const int rank = tern__shape_of(g, x)->rank;
    x = fit(g, x, rank - 2, to_real ? len / 2 + 1 : len);
    TERN_TRY(tern_graph_check(g));
    tern_shape s = *tern__shape_of(g, x);
    const int c = (int)s.dim[rank - 1];
    const int64_t m = tern__extent(&s, 0, rank - 2), bins = onesided && !inverse ? len / 2 + 1 : len;
    const int64_t extent = s.dim[rank - 2];
    s.dim[rank - 2] = bins;
    s.dim[rank - 1] = to_real ? 1 : 2;
    if (m == 0) {
        *out = tern__onnx_const(n, tern__dtype_of(g, x), &s, NULL);
        return TERN_OK;
    }
    tern_value y = reshape3(g, tern__widen(g, x), m, extent, c);
    if (to_real) {
        TERN_TRY(real_inverse(n, m, len / 2 + 1, len, y, &y));
    } else {
        TERN_TRY(fourier(n, &(transform){m, len, c, bins, inverse}, y, &y));
        if (inverse)
            y = tern__mul_scalar(g, y, 1.0 / (double)len);
    }
    *out = tern__cast(g, tern__reshape(g, y, &s), tern__dtype_of(g, x));
    return TERN_OK;
}

/* --- DFT, STFT --------------------------------------------------------------------------------------------------- */

/* An axis swapped with the one before the last. */
static tern_value bring(tern_graph *g, tern_value x, int axis)
{
    int perm[TERN_MAX_RANK];
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const int rank = tern__shape_of(g, x)->rank;
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[axis] = rank - 2;
    perm[rank - 2] = axis;
    return tern__transpose(g, x, perm);
}

static tern_status need_signal(const tern__onnx_node *n, const tern_shape *s, bool onesided, bool inverse)
{
    char text[TERN__SHAPE_TEXT];
    const int64_t c = s->rank ? s->dim[s->rank - 1] : 0;
    if (s->rank < 2 || (c != 1 && c != 2))
        return tern__onnx_fail(n, TERN_E_SHAPE, "its input is %s, but the last axis must be 1 (real) or 2 (complex)", tern__shape_text(s, text));
    if (onesided && c != (inverse ? 2 : 1))
        return tern__onnx_fail(n, TERN_E_SHAPE, "onesided %s takes a %s input", inverse ? "inverse" : "forward", inverse ? "complex" : "real");
    if (!tern__dtype_is(tern__onnx_type(n, 0)->dtype, TERN__T_FLOAT))
        return tern__onnx_fail(n, TERN_E_DTYPE, "its input is %s", tern_dtype_name(tern__onnx_type(n, 0)->dtype));
    return TERN_OK;
}

static tern_status need_length(const tern__onnx_node *n, const char *what, int64_t x, int64_t most)
{
    if (x >= 1 && x <= most)
        return TERN_OK;
    return tern__onnx_fail(n, TERN_E_INVALID, "%s %" PRId64 " must be 1 to %" PRId64, what, x, most);
}

static tern_status dft(tern__onnx_node *n)
{
    const bool axis_is_input = n->opset >= 20;
    const bool inverse = tern__onnx_attr_int(n, "inverse", 0) != 0, onesided = tern__onnx_attr_int(n, "onesided", 0) != 0;
    TERN_TRY(tern__onnx_need(n, 1, axis_is_input ? 3 : 2));
    const tern_shape s = *tern__onnx_shape(n, 0);
    TERN_TRY(need_signal(n, &s, onesided, inverse));
    int64_t axis_given, len;
    int axis;
    if (axis_is_input)
        TERN_TRY(tern__onnx_read_int(n, 2, -2, &axis_given));
    else
        axis_given = tern__onnx_attr_int(n, "axis", 1);
    TERN_TRY(tern__onnx_axis(n, axis_given, s.rank, &axis));
    if (axis == s.rank - 1)
        return tern__onnx_fail(n, TERN_E_INVALID, "axis %d holds the complex parts", axis);
    TERN_TRY(tern__onnx_read_int(n, 1, onesided && inverse ? 2 * (s.dim[axis] - 1) : s.dim[axis], &len));
    TERN_TRY(need_length(n, "dft_length", len, LENGTH_MAX));
    tern_value y;
    TERN_TRY(transform_inner(n, bring(n->g, tern__onnx_in(n, 0), axis), len, inverse, onesided, &y));
    tern__onnx_set(n, 0, bring(n->g, y, axis));
    return TERN_OK;
}

/* Frames of the signal: [batch, samples, c] to [batch, frames, len, c]. */
static tern_value frames_of(tern_graph *g, tern_value x, int64_t frames, int64_t step, int64_t len)
{
    const int64_t rows[2] = {frames, 1}, columns[2] = {1, len};
    tern_value first = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", rows, 2), TERN_INT("axis", 0), TERN_STRING("dtype", "i32")));
    tern_value k = tern_graph_add(g, "iota", NULL, 0, TERN_ATTRS(TERN_INTS("shape", columns, 2), TERN_INT("axis", 1), TERN_STRING("dtype", "i32")));
    tern_value at = tern__add(g, tern__mul_scalar(g, first, (double)step), k);
    return tern_graph_op2(g, "gather", x, at, TERN_ATTRS(TERN_INT("axis", 1)));
}

static tern_status stft(tern__onnx_node *n)
{
    char text[TERN__SHAPE_TEXT];
    TERN_TRY(tern__onnx_need(n, 2, 4));
    tern_shape s = *tern__onnx_shape(n, 0);
    if (s.rank == 2) /* real signals come without the axis for the parts too */
        s = (tern_shape){.rank = 3, .dim = {s.dim[0], s.dim[1], 1}};
    const bool complex = s.rank == 3 && s.dim[2] == 2, onesided = tern__onnx_attr_int(n, "onesided", 1) != 0;
    TERN_TRY(need_signal(n, &s, onesided, false));
    const tern_shape window = *tern__onnx_shape(n, 2);
    const bool windowed = tern__onnx_has(n, 2);
    if (s.rank != 3 || (windowed && window.rank != 1))
        return tern__onnx_fail(n, TERN_E_SHAPE, "signal of rank %d and window %s, where [batch, length, 1 or 2] and [length] are needed", s.rank,
                               tern__shape_text(&window, text));
    int64_t step, len;
    TERN_TRY(tern__onnx_read_int(n, 1, 0, &step));
    TERN_TRY(tern__onnx_read_int(n, 3, windowed ? window.dim[0] : s.dim[1], &len));
    TERN_TRY(need_length(n, "the signal's length", s.dim[1], SIGNAL_MAX));
    TERN_TRY(need_length(n, "frame_step", step, SIGNAL_MAX));
    TERN_TRY(need_length(n, "frame_length", len, TERN_MIN(s.dim[1], LENGTH_MAX)));
    if (windowed && window.dim[0] != len)
        return tern__onnx_fail(n, TERN_E_SHAPE, "a window of %" PRId64 " for frames of %" PRId64, window.dim[0], len);
    tern_graph *g = n->g;
    const int64_t frames = (s.dim[1] - len) / step + 1;
    tern_value x = frames_of(g, reshape3(g, tern__onnx_in(n, 0), s.dim[0], s.dim[1], complex ? 2 : 1), frames, step, len), y;
    if (windowed)
        x = tern__mul(g, x, tern__reshape(g, tern__onnx_in(n, 2), &(tern_shape){.rank = 2, .dim = {len, 1}}));
    TERN_TRY(transform_inner(n, x, len, false, onesided, &y));
    tern__onnx_set(n, 0, y);
    return TERN_OK;
}

/* --- Windows and weights ----------------------------------------------------------------------------------------- */

/* Stores a number in an array of any type; integers lose the fraction. */
static void set_number(const tern__array *a, int64_t i, double x)
{
    if (tern__dtype_is(a->type.dtype, TERN__T_FLOAT))
        tern__array_set(a, i, x);
    else
        tern__array_set_int(a, i, (int64_t)x);
}

/* a0 - a1 cos(2 pi i / period) + a2 cos(4 pi i / period). */
static tern_status window(tern__onnx_node *n, double a0, double a1, double a2)
{
    int64_t size;
    tern_dtype t;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    TERN_TRY(tern__onnx_read_int(n, 0, 0, &size));
    TERN_TRY(tern__onnx_attr_dtype(n, "output_datatype", TERN_F32, &t));
    const bool periodic = tern__onnx_attr_int(n, "periodic", 1) != 0;
    if (size < 0 || size > WINDOW_MAX)
        return tern__onnx_fail(n, TERN_E_INVALID, "size %" PRId64 " must be 0 to %d", size, WINDOW_MAX);
    const int64_t period = periodic ? size : size - 1;
    table w;
    TERN_TRY(table_begin(n, t, 1, size, &w));
    for (int64_t i = 0; i < size; i++) {
        double c = -1, c2 = 1, s;
        if (period > 0) { /* the one element of a symmetric window is its middle */
            unit(i % period, period, &c, &s);
            unit(2 * i % period, period, &c2, &s);
        }
        set_number(&w.a, i, a0 - a1 * c + a2 * c2);
    }
    w.a.type.shape = (tern_shape){.rank = 1, .dim = {size}};
    tern__onnx_set(n, 0, table_end(n, &w));
    return TERN_OK;
}

static tern_status hann(tern__onnx_node *n)
{
    return window(n, 0.5, 0.5, 0);
}

static tern_status hamming(tern__onnx_node *n)
{
    return window(n, 25.0 / 46, 21.0 / 46, 0);
}

static tern_status blackman(tern__onnx_node *n)
{
    return window(n, 0.42, 0.5, 0.08);
}

/* One triangle over the bins of the spectrum: up from low to middle, down to high. */
static void triangle(const tern__array *a, int64_t columns, int64_t column, const int64_t edge[3])
{
    if (edge[1] == edge[0])
        set_number(a, edge[1] * columns + column, 1);
    for (int64_t k = edge[0]; k <= edge[1] && edge[1] > edge[0]; k++)
        set_number(a, k * columns + column, (double)(k - edge[0]) / (double)(edge[1] - edge[0]));
    for (int64_t k = edge[1]; k < edge[2]; k++)
        set_number(a, k * columns + column, (double)(edge[2] - k) / (double)(edge[2] - edge[1]));
}

static tern_status mel_weights(tern__onnx_node *n)
{
    int64_t bands, len, rate;
    double low, high;
    tern_dtype t;
    TERN_TRY(tern__onnx_need(n, 5, 5));
    TERN_TRY(tern__onnx_read_int(n, 0, 0, &bands));
    TERN_TRY(tern__onnx_read_int(n, 1, 0, &len));
    TERN_TRY(tern__onnx_read_int(n, 2, 0, &rate));
    TERN_TRY(tern__onnx_read_float(n, 3, 0, &low));
    TERN_TRY(tern__onnx_read_float(n, 4, 0, &high));
    TERN_TRY(tern__onnx_attr_dtype(n, "output_datatype", TERN_F32, &t));
    TERN_TRY(need_length(n, "dft_length", len, WINDOW_MAX));
    const int64_t rows = len / 2 + 1;
    TERN_TRY(need_length(n, "num_mel_bins", bands, WINDOW_MAX / rows));
    TERN_TRY(need_length(n, "sample_rate", rate, INT32_MAX));
    if (!(low >= 0 && high >= low && high <= (double)rate))
        return tern__onnx_fail(n, TERN_E_INVALID, "the band from %g to %g Hz does not lie in a signal of %" PRId64 " samples a second", low, high, rate);
    const double from = 2595 * log10(1 + low / 700), step = (2595 * log10(1 + high / 700) - from) / (double)(bands + 2);
    table w;
    TERN_TRY(table_begin(n, t, rows, bands, &w));
    for (int64_t band = 0; band < bands; band++) {
        int64_t edge[3];
        for (int k = 0; k < 3; k++)
            edge[k] = (int64_t)floor((double)(len + 1) * 700 * (pow(10, (from + (double)(band + k) * step) / 2595) - 1) / (double)rate);
        if (edge[2] > rows || edge[1] >= rows) {
            tern__blob_release(w.blob);
            return tern__onnx_fail(n, TERN_E_INVALID, "band %" PRId64 " ends beyond the %" PRId64 " bins of the spectrum", band, rows);
        }
        triangle(&w.a, bands, band, edge);
    }
    tern__onnx_set(n, 0, table_end(n, &w));
    return TERN_OK;
}

/* --- Random numbers ---------------------------------------------------------------------------------------------- */

/* The node's seed, as bits. Without one, numbers that no other node draws: from the name of the result and how many nodes came before, so that a
 * loop's rounds differ. Runs differ by their number: another session draws the same again. */
static int64_t seed_of(tern__onnx_node *n)
{
    if (tern__onnx_attr_given(n, "seed")) {
        const float seed = (float)tern__onnx_attr_float(n, "seed", 0);
        uint32_t bits;
        memcpy(&bits, &seed, sizeof bits);
        return bits;
    }
    uint64_t h = UINT64_C(14695981039346656037) ^ (uint64_t)n->t->walked;
    for (const char *s = n->proto->n_output ? n->proto->output[0] : ""; *s; s++)
        h = (h ^ (uint8_t)*s) * UINT64_C(1099511628211);
    return (int64_t)(h >> 1);
}

/* Numbers of this shape; names of the distribution's two parameters and their defaults. */
static tern_status draw(tern__onnx_node *n, const tern_shape *s, tern_dtype t, const char *op)
{
    const bool normal = strcmp(op, "random_normal") == 0;
    const char *a = normal ? "mean" : "low", *b = normal ? "scale" : "high";
    if (!tern__dtype_is(t, TERN__T_FLOAT))
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "numbers of type %s", tern_dtype_name(t));
    tern__onnx_set(n, 0, tern_graph_op1(n->g, op, tern__onnx_run_number(n), TERN_ATTRS(TERN_INTS("shape", s->dim, s->rank), TERN_STRING("dtype", tern_dtype_name(t)),
                                                                      TERN_INT("seed", seed_of(n)), TERN_FLOAT(a, tern__onnx_attr_float(n, a, 0)),
                                                                      TERN_FLOAT(b, tern__onnx_attr_float(n, b, 1)))));
    return TERN_OK;
}

static const char *distribution(const tern__onnx_node *n)
{
    return strncmp(n->proto->op_type, "RandomNormal", 12) == 0 ? "random_normal" : "random_uniform";
}

static tern_status random_of_shape(tern__onnx_node *n)
{
    int count;
    tern_dtype t;
    const int64_t *dims = tern__onnx_attr_ints(n, "shape", &count);
    tern_shape s = {.rank = count};
    TERN_TRY(tern__onnx_need(n, 0, 0));
    TERN_TRY(tern__onnx_attr_dtype(n, "dtype", TERN_F32, &t));
    if (count > TERN_MAX_RANK)
        return tern__onnx_fail(n, TERN_E_UNSUPPORTED, "shape of %d axes, at most %d are possible", count, TERN_MAX_RANK);
    for (int i = 0; i < count; i++)
        s.dim[i] = dims[i];
    return draw(n, &s, t, distribution(n));
}

static tern_status random_like(tern__onnx_node *n)
{
    tern_dtype t;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    TERN_TRY(tern__onnx_attr_dtype(n, "dtype", tern__onnx_type(n, 0)->dtype, &t));
    return draw(n, tern__onnx_shape(n, 0), t, distribution(n));
}

static tern_value uniform(tern__onnx_node *n, const tern_shape *s)
{
    return tern_graph_op1(n->g, "random_uniform", tern__onnx_run_number(n), TERN_ATTRS(TERN_INTS("shape", s->dim, s->rank), TERN_INT("seed", seed_of(n))));
}

static tern_status bernoulli(tern__onnx_node *n)
{
    tern_dtype t;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    TERN_TRY(tern__onnx_attr_dtype(n, "dtype", tern__onnx_type(n, 0)->dtype, &t));
    tern_value p = tern__widen(n->g, tern__onnx_in(n, 0));
    tern_value u = tern__cast(n->g, uniform(n, tern__onnx_shape(n, 0)), tern__dtype_of(n->g, p));
    tern__onnx_set(n, 0, tern__cast(n->g, tern_graph_op2(n->g, "less", u, p, NULL), t));
    return TERN_OK;
}

/* The class whose log-probability plus a Gumbel number of its own is largest is drawn with its probability: no sums, no search. */
static tern_status multinomial(tern__onnx_node *n)
{
    tern_dtype t;
    TERN_TRY(tern__onnx_need(n, 1, 1));
    TERN_TRY(tern__onnx_attr_dtype(n, "dtype", TERN_I32, &t));
    const tern_shape s = *tern__onnx_shape(n, 0);
    const int64_t samples = tern__onnx_attr_int(n, "sample_size", 1), axes[1] = {2};
    if (s.rank != 2 || s.dim[1] < 1)
        return tern__onnx_fail(n, TERN_E_SHAPE, "its input has rank %d, where [batch, classes] is needed", s.rank);
    TERN_TRY(need_length(n, "sample_size", samples, SIGNAL_MAX));
    tern_graph *g = n->g;
    tern_value x = tern__unsqueeze(g, tern__widen(g, tern__onnx_in(n, 0)), 1u << 1);
    tern_value u = uniform(n, &(tern_shape){.rank = 3, .dim = {s.dim[0], samples, s.dim[1]}});
    tern_value gumbel = tern__neg(g, tern__unary(g, "log", tern__neg(g, tern__unary(g, "log", u))));
    tern_value sum = tern__add(g, x, tern__cast(g, gumbel, tern__dtype_of(g, x)));
    tern_value best = tern_graph_op1(g, "argmax", sum, TERN_ATTRS(TERN_INTS("axes", axes, 1), TERN_INT("keepdims", 0)));
    tern__onnx_set(n, 0, tern__cast(g, best, t));
    return TERN_OK;
}

const tern__onnx_map tern__onnx_map_signal[] = {
    {"", "HannWindow", 17, hann}, {"", "HammingWindow", 17, hamming}, {"", "BlackmanWindow", 17, blackman}, {"", "MelWeightMatrix", 17, mel_weights},
    {"", "DFT", 17, dft}, {"", "STFT", 17, stft},
    {"", "RandomNormal", 1, random_of_shape}, {"", "RandomUniform", 1, random_of_shape}, {"", "RandomNormalLike", 1, random_like},
    {"", "RandomUniformLike", 1, random_like}, {"", "Bernoulli", 15, bernoulli}, {"", "Multinomial", 7, multinomial},
    {0},
};
