/* What losses of a prediction against a target of the same shape share. */
#include "ops/loss.h"

#include <string.h>

tern_status tern__infer_loss(const tern__node *n, const tern__type *in, tern__type *out)
{
    const char *how = tern__attr_string(n, TERN__LOSS_REDUCTION);
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    TERN_TRY(tern__need_same(n, in, 0, 1));
    TERN_TRY(tern__need_equal_shapes(n, in, 0, 1));
    if (strcmp(how, "none") == 0)
        return tern__infer_same(n, in, out);
    if (strcmp(how, "mean") != 0 && strcmp(how, "sum") != 0)
        return tern__fail(TERN_E_INVALID, "%s: reduction \"%s\" is none of mean, sum, none", n->op->name, how);
    out[0] = (tern__type){.dtype = in[0].dtype};
    return TERN_OK;
}

tern_status tern__ref_loss(const tern__node *n, const tern__array *in, const tern__array *out,
                           double (*each)(double prediction, double target, double param), double param)
{
    const char *how = tern__attr_string(n, TERN__LOSS_REDUCTION);
    const bool none = strcmp(how, "none") == 0;
    const int64_t elems = tern__elems(&in[0].type.shape);
    double sum = 0;
    for (int64_t i = 0; i < elems; i++) {
        const double loss = each(tern__array_get(&in[0], i), tern__array_get(&in[1], i), param);
        if (none)
            tern__array_set(&out[0], i, loss);
        sum += loss;
    }
    if (!none)
        tern__array_set(&out[0], 0, strcmp(how, "mean") == 0 ? sum / (double)elems : sum);
    return TERN_OK;
}

tern_value tern__reduce_loss(tern_graph *g, const tern__node *n, tern_value each, tern_dtype t)
{
    const char *how = tern__attr_string(n, TERN__LOSS_REDUCTION);
    if (tern_graph_check(g) != TERN_OK)
        return TERN_NONE;
    const unsigned all = (1u << tern__shape_of(g, each)->rank) - 1u;
    if (strcmp(how, "mean") == 0)
        each = tern__mean_axes(g, each, all, false);
    else if (strcmp(how, "sum") == 0)
        each = tern__sum_axes(g, each, all, false);
    return tern__cast(g, each, t);
}
