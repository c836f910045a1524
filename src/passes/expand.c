/* expand: ops that are only shorthand become the simpler ops they stand for. */
#include "passes/pass.h"

#include "base/alloc.h"
#include "base/status.h"
#include "ops/op.h"

/* An expansion may contain ops that expand in turn; deeper than this is an op that expands into itself. */
enum { DEEPEST = 16 };

/* Sets *done if the op did expand. */
static tern_status try_expand(tern__rewrite *rw, const tern__node *n, tern_value *in, tern_value *out, bool *done)
{
    for (int i = 0; i < n->n_in; i++)
        in[i] = tern__rewrite_value(rw, n->in[i]);
    for (int i = 0; i < n->n_out; i++)
        out[i] = TERN_NONE;
    TERN_TRY(tern_graph_check(rw->to));
    TERN_TRY(n->op->expand(rw->to, n, in, out));
    TERN_TRY(tern_graph_check(rw->to));
    *done = out[0] != TERN_NONE;
    if (!*done && n->op->trait == TERN__COMPOSITE)
        return tern__fail(TERN_E_UNSUPPORTED, "%s: it has no expansion for these inputs", n->op->name);
    for (int i = 0; *done && i < n->n_out; i++)
        rw->map[n->out[i]] = out[i];
    return TERN_OK;
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    if (!n->op->expand)
        return tern__rewrite_copy(rw, n);
    bool done = false;
    tern_value *in = tern__alloc_array((size_t)n->n_in, sizeof *in), *out = tern__alloc_array((size_t)n->n_out, sizeof *out);
    tern_status st = in && out ? try_expand(rw, n, in, out, &done) : tern__fail(TERN_E_NOMEM, "%s: no memory", n->op->name);
    tern__free(in);
    tern__free(out);
    *(bool *)rw->user |= done;
    return st == TERN_OK && !done ? tern__rewrite_copy(rw, n) : st;
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    bool changed = false;
    tern_graph *now = NULL;
    TERN_TRY(tern__graph_rewrite(in, &changed, visit, &now));
    for (int depth = 0; changed; depth++) {
        tern_graph *next = NULL;
        changed = false;
        tern_status st = depth < DEEPEST ? tern__graph_rewrite(now, &changed, visit, &next)
                                         : tern__fail(TERN_E_INVALID, "an op expands without end");
        tern_graph_destroy(now);
        if (st != TERN_OK)
            return st;
        now = next;
    }
    *out = now;
    return TERN_OK;
}

const tern__pass tern__pass_expand = {.name = "expand", .doc = "replaces composite ops by the ops they consist of", .run = run};
