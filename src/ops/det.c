/* det: determinants of square matrices. */
#include <math.h>

#include "base/alloc.h"
#include "ops/common.h"
#include "ops/impls.h"

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    char text[TERN__SHAPE_TEXT];
    const tern_shape *s = &in[0].shape;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__need_rank(n, in, 0, 2, TERN_MAX_RANK));
    if (s->dim[s->rank - 1] != s->dim[s->rank - 2])
        return tern__fail(TERN_E_SHAPE, "det: %s holds no square matrices", tern__shape_text(s, text));
    out[0] = tern__plain(in[0].dtype, s);
    out[0].shape.rank -= 2;
    return TERN_OK;
}

/* Elimination with the largest pivot of each column; a is used up. */
static double determinant(double *a, int64_t n)
{
    double det = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < n; r++)
            if (fabs(a[r * n + c]) > fabs(a[pivot * n + c]))
                pivot = r;
        for (int64_t k = c; k < n && pivot != c; k++) {
            const double x = a[c * n + k];
            a[c * n + k] = a[pivot * n + k];
            a[pivot * n + k] = x;
        }
        det *= pivot != c ? -a[c * n + c] : a[c * n + c];
        if (a[c * n + c] == 0)
            return det;
        for (int64_t r = c + 1; r < n; r++) {
            const double f = a[r * n + c] / a[c * n + c];
            for (int64_t k = c + 1; k < n; k++)
                a[r * n + k] -= f * a[c * n + k];
        }
    }
    return det;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    (void)n;
    const tern_shape *s = &in[0].type.shape;
    const int64_t side = s->dim[s->rank - 1], count = tern__elems(&out[0].type.shape);
    double *a = tern__alloc_array((size_t)(side * side), sizeof *a);
    if (!a)
        return tern__fail(TERN_E_NOMEM, "det: a matrix of %zu elements", (size_t)(side * side));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < side * side; k++)
            a[k] = tern__array_get(&in[0], i * side * side + k);
        tern__array_set(&out[0], i, determinant(a, side));
    }
    tern__free(a);
    return TERN_OK;
}

/* The kernel counts its matrices along one axis. */
static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    const tern_shape s = *tern__shape_of(g, in[0]);
    tern_shape result = s;
    result.rank -= 2;
    if (tern__elems(&s) == 0) {
        out[0] = tern__expand_to(g, tern__like(g, in[0], 1), &result);
    } else if (s.rank != 3) {
        const tern_shape flat = {.rank = 3, .dim = {tern__elems(&result), s.dim[s.rank - 1], s.dim[s.rank - 1]}};
        const tern_value x = tern__reshape(g, in[0], &flat);
        tern_value y = TERN_NONE;
        TERN_TRY(tern_graph_check(g));
        tern__graph_add_like(g, n, &x, &y);
        out[0] = tern__reshape(g, y, &result);
    }
    return TERN_OK;
}

static const tern__impl *const impls[] = {&tern__impl_det_items, NULL};

TERN_OP(det) = {
    .name = "det",
    .doc = "y = the determinants of the square matrices in the last two axes of x",
    .onnx = "Det",
    .onnx_since = 11,
    .trait = TERN__OPAQUE,
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .infer = infer,
    .ref = ref,
    .expand = expand,
    .impls = impls,
};
