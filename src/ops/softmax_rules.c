/* What softmax, log_softmax and the cross-entropy share. */
#include <math.h>

#include "ops/softmax.h"

const tern__attr_decl tern__softmax_attrs[1] = {{.name = "axis", .type = TERN_ATTR_INT, .def = -1}};

tern_status tern__infer_softmax(const tern__node *n, const tern__type *in, tern__type *out)
{
    char text[TERN__SHAPE_TEXT];
    int axis;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), in[0].shape.rank, &axis));
    if (in[0].shape.dim[axis] == 0)
        return tern__fail(TERN_E_SHAPE, "%s: %s has nothing along axis %d", n->op->name, tern__shape_text(&in[0].shape, text), axis);
    return tern__infer_same(n, in, out);
}

unsigned tern__softmax_mask(const tern_graph *g, const tern__node *n, tern_value x)
{
    int axis = 0;
    (void)tern__axis(n, tern__attr_int(n, 0), tern__shape_of(g, x)->rank, &axis); /* the shape rule has accepted it */
    return 1u << axis;
}

double tern__ref_logsumexp(const tern__array *a, int64_t first, int64_t step, int64_t len)
{
    double top = -INFINITY, sum = 0;
    for (int64_t k = 0; k < len; k++) {
        const double x = tern__array_get(a, first + k * step);
        top = x > top || isnan(x) ? x : top;
    }
    if (isinf(top))
        return top; /* all -inf, or an inf that is larger than all else */
    for (int64_t k = 0; k < len; k++)
        sum += exp(tern__array_get(a, first + k * step) - top);
    return top + log(sum);
}

tern_status tern__ref_softmax(const tern__node *n, const tern__array *in, const tern__array *out, bool is_log)
{
    const tern_shape *s = &in[0].type.shape;
    int axis;
    TERN_TRY(tern__axis(n, tern__attr_int(n, 0), s->rank, &axis));
    const int64_t outer = tern__extent(s, 0, axis), len = s->dim[axis], inner = tern__extent(s, axis + 1, s->rank);
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < inner; i++) {
            const int64_t first = o * len * inner + i;
            const double lse = tern__ref_logsumexp(&in[0], first, inner, len);
            for (int64_t k = 0; k < len; k++) {
                const double y = tern__array_get(&in[0], first + k * inner) - lse;
                tern__array_set(&out[0], first + k * inner, isinf(lse) ? NAN : is_log ? y : exp(y));
            }
        }
    }
    return TERN_OK;
}
