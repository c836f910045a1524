/* What functions make of a graph, before it is walked. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "onnx/model.h"

enum {
    MAX_CALLS = 64,  /* of functions inside functions */
    IN_PROGRESS = -1,
};

/* Each function is looked at once. */
typedef struct calls {
    const tern_onnx *m;
    int64_t *sizes; /* nodes with all calls in place, by function; 0: not known yet */
} calls;

static tern_status count_nodes(calls *c, Onnx__NodeProto *const *nodes, size_t n, int depth, int64_t *sum);

static tern_status count_function(calls *c, int i, int depth, int64_t *sum)
{
    const Onnx__FunctionProto *f = c->m->proto->functions[i];
    if (c->sizes[i] == IN_PROGRESS)
        return tern__fail(TERN_E_CORRUPT, "onnx: the function %.100s calls itself", f->name);
    if (depth >= MAX_CALLS)
        return tern__fail(TERN_E_UNSUPPORTED, "onnx: more than %d functions call one another, the last of them %.100s", MAX_CALLS, f->name);
    if (c->sizes[i] == 0) {
        int64_t own = 1;
        c->sizes[i] = IN_PROGRESS;
        TERN_TRY(count_nodes(c, f->node, f->n_node, depth + 1, &own));
        c->sizes[i] = own;
    }
    *sum += c->sizes[i];
    return TERN_OK;
}

static tern_status count_graph(calls *c, const Onnx__GraphProto *g, int depth, int64_t *sum)
{
    return g ? count_nodes(c, g->node, g->n_node, depth, sum) : TERN_OK;
}

/* Bodies of nodes are counted once each, whichever of them a run takes. The depth of messages bounds that of bodies. */
static tern_status count_nodes(calls *c, Onnx__NodeProto *const *nodes, size_t n, int depth, int64_t *sum)
{
    for (size_t i = 0; i < n; i++) {
        const Onnx__NodeProto *p = nodes[i];
        const int f = tern__onnx_function_index(c->m, tern__onnx_domain(p->domain), p->op_type);
        ++*sum;
        if (f >= 0)
            TERN_TRY(count_function(c, f, depth, sum));
        for (size_t k = 0; k < p->n_attribute; k++) {
            TERN_TRY(count_graph(c, p->attribute[k]->g, depth, sum));
            for (size_t s = 0; s < p->attribute[k]->n_graphs; s++)
                TERN_TRY(count_graph(c, p->attribute[k]->graphs[s], depth, sum));
        }
        if (*sum > TERN__ONNX_MAX_WALKED)
            return tern__fail(TERN_E_UNSUPPORTED, "onnx: more than %d nodes with functions in place of their calls", TERN__ONNX_MAX_WALKED);
    }
    return TERN_OK;
}

tern_status tern__onnx_check_calls(const tern_onnx *m)
{
    calls c = {.m = m, .sizes = tern__alloc_array(m->proto->n_functions, sizeof *c.sizes)};
    int64_t sum = 0;
    if (!c.sizes)
        return tern__fail(TERN_E_NOMEM, "onnx: %zu functions", m->proto->n_functions);
    tern_status st = m->proto->n_functions > 0 ? count_graph(&c, m->proto->graph, 0, &sum) : TERN_OK;
    tern__free(c.sizes);
    return st;
}
