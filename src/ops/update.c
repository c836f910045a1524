/* What the optimisers' update ops share. */
#include "ops/update.h"

#include "base/status.h"
#include "ops/common.h"

tern_status tern__infer_update(const tern__node *n, const tern__type *in, int n_same, tern__type *out)
{
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_FLOAT));
    for (int i = 1; i < n_same; i++) {
        TERN_TRY(tern__need_same(n, in, 0, i));
        TERN_TRY(tern__need_equal_shapes(n, in, 0, i));
    }
    for (int i = n_same; i < n->n_in; i++) {
        TERN_TRY(tern__need_rank(n, in, i, 0, 0));
        if (in[i].dtype != TERN_F32)
            return tern__fail_dtype(n, i, in[i].dtype);
    }
    for (int i = 0; i < n->n_out; i++)
        out[i] = tern__plain(in[0].dtype, &in[0].shape);
    return TERN_OK;
}

tern_value tern__number_for(tern_graph *g, tern_value p, tern_value number)
{
    return tern_graph_check(g) == TERN_OK ? tern__cast(g, number, tern__dtype_of(g, p)) : TERN_NONE;
}

tern_value tern__decayed(tern_graph *g, tern_value p, tern_value grad, double weight_decay)
{
    return weight_decay == 0 ? grad : tern__add(g, grad, tern__mul_scalar(g, p, weight_decay));
}
