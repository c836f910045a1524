/* Lowering for export: the graph rewritten into nodes that ONNX has an operator for. */
#include "onnx/export.h"

#include <string.h>

#include "base/alloc.h"
#include "ops/common.h"

/* A replacement may contain ops that are replaced in turn; deeper than this is one that goes in a circle. */
enum { DEEPEST = 24 };

const tern__export_form *tern__export_find(const char *op)
{
    static const tern__export_form *const tables[] = {tern__export_forms, tern__export_shape_forms, tern__export_nn_forms};
    for (size_t i = 0; i < TERN_COUNT(tables); i++)
        for (const tern__export_form *f = tables[i]; f->op; f++)
            if (strcmp(f->op, op) == 0)
                return f;
    return NULL;
}

/* The input whose element type decides: where's first is a condition. */
static int typed_input(const tern__node *n)
{
    return n->op->pointwise && n->op->pointwise->first_bool ? 1 : 0;
}

static bool takes(unsigned set, tern_dtype t)
{
    return set >> t & 1;
}

/* The type of set in which every number of type t is exact and integers wrap to the same bits, TERN_DTYPE_COUNT if there is none. */
static tern_dtype wider(unsigned set, tern_dtype t)
{
    static const tern_dtype chains[TERN_DTYPE_COUNT][7] = {
        [TERN_F32] = {TERN_F64, TERN_DTYPE_COUNT},
        [TERN_F16] = {TERN_F32, TERN_DTYPE_COUNT},
        [TERN_BF16] = {TERN_F32, TERN_DTYPE_COUNT},
        [TERN_F64] = {TERN_DTYPE_COUNT},
        [TERN_I8] = {TERN_I16, TERN_I32, TERN_I64, TERN_F32, TERN_DTYPE_COUNT},
        [TERN_I16] = {TERN_I32, TERN_I64, TERN_F32, TERN_DTYPE_COUNT},
        [TERN_I32] = {TERN_I64, TERN_F64, TERN_DTYPE_COUNT},
        [TERN_I64] = {TERN_DTYPE_COUNT},
        [TERN_U8] = {TERN_U16, TERN_I32, TERN_U32, TERN_I64, TERN_F32, TERN_DTYPE_COUNT},
        [TERN_U16] = {TERN_I32, TERN_U32, TERN_I64, TERN_F32, TERN_DTYPE_COUNT},
        [TERN_U32] = {TERN_I64, TERN_U64, TERN_F64, TERN_DTYPE_COUNT},
        [TERN_U64] = {TERN_DTYPE_COUNT},
        [TERN_BOOL] = {TERN_U8, TERN_I32, TERN_DTYPE_COUNT},
    };
    for (int i = 0; chains[t][i] != TERN_DTYPE_COUNT; i++)
        if (takes(set, chains[t][i]))
            return chains[t][i];
    return TERN_DTYPE_COUNT;
}

typedef struct lowering {
    bool changed;
    int opset;
} lowering;

/* Smallest opset that can say the node, types aside; 0: none. */
static int opset_of(const tern__export_form *f, const tern_graph *g, const tern__node *n)
{
    if (!f || !f->onnx)
        return 0;
    if (f->needs)
        return f->needs(g, n);
    return TERN_MAX(f->opset, TERN__EXPORT_OPSET);
}

/* The same node on operands of a wider type, its results narrowed again. */
static tern_status widen(tern__rewrite *rw, const tern__node *n, tern_dtype from, tern_dtype to, tern_value *in, tern_value *out)
{
    tern_graph *g = rw->to;
    for (int i = typed_input(n); i < n->n_in; i++)
        if (in[i] != TERN_NONE && tern__dtype_of(g, in[i]) == from && tern__dtype_of(rw->from, n->in[i]) == from)
            in[i] = tern__cast(g, in[i], to);
    tern__graph_add_like(g, n, in, out);
    TERN_TRY(tern_graph_check(g));
    for (int i = 0; i < n->n_out; i++)
        if (tern__dtype_of(g, out[i]) != tern__dtype_of(rw->from, n->out[i]))
            out[i] = tern__cast(g, out[i], tern__dtype_of(rw->from, n->out[i]));
    return tern_graph_check(g);
}

static tern_status replace(tern__rewrite *rw, const tern__node *n, const tern__export_form *f, const tern_value *in, tern_value *out)
{
    tern__export_instead *how = f && f->instead ? f->instead : n->op->expand;
    const int typed = typed_input(n);
    const char *type = typed < n->n_in && n->in[typed] != TERN_NONE ? tern_dtype_name(tern__dtype_of(rw->from, n->in[typed])) : "none";
    if (how)
        TERN_TRY(how(rw->to, n, in, out));
    TERN_TRY(tern_graph_check(rw->to));
    if (!how || out[0] == TERN_NONE)
        return tern__fail(TERN_E_UNSUPPORTED, "op \"%s\" (first operand: %s) with these attributes cannot be said in ONNX", n->op->name, type);
    return TERN_OK;
}

static tern_status lower_node(tern__rewrite *rw, const tern__node *n, tern_value *in, tern_value *out)
{
    lowering *l = rw->user;
    const tern__export_form *f = tern__export_find(n->op->name);
    const int opset = opset_of(f, rw->from, n), typed = typed_input(n);
    const bool typeless = typed >= n->n_in || n->in[typed] == TERN_NONE;
    for (int i = 0; i < n->n_in; i++)
        in[i] = tern__rewrite_value(rw, n->in[i]);
    for (int i = 0; i < n->n_out; i++)
        out[i] = TERN_NONE;
    TERN_TRY(tern_graph_check(rw->to));
    if (opset) {
        const tern_dtype t = typeless ? TERN_F32 : tern__dtype_of(rw->from, n->in[typed]);
        const tern_dtype w = typeless || takes(f->types, t) ? t : wider(f->types, t);
        if (w == t || (w == TERN_DTYPE_COUNT && takes(f->rare, t))) {
            l->opset = TERN_MAX(l->opset, opset);
            tern__graph_add_like(rw->to, n, in, out);
            return tern_graph_check(rw->to);
        }
        if (w != TERN_DTYPE_COUNT) {
            l->changed = true;
            return widen(rw, n, t, w, in, out);
        }
    }
    l->changed = true;
    return replace(rw, n, f, in, out);
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    tern_value *in = tern__alloc_array((size_t)n->n_in, sizeof *in), *out = tern__alloc_array((size_t)n->n_out, sizeof *out);
    tern_status st = in && out ? lower_node(rw, n, in, out) : tern__fail(TERN_E_NOMEM, "%s: no memory", n->op->name);
    for (int i = 0; st == TERN_OK && i < n->n_out; i++)
        rw->map[n->out[i]] = out[i];
    tern__free(in);
    tern__free(out);
    return st;
}

tern_status tern__export_lower(const tern_graph *g, tern_graph **out, int *opset)
{
    lowering l = {.opset = TERN__EXPORT_OPSET};
    tern_graph *now = NULL;
    TERN_TRY(tern__graph_rewrite(g, &l, visit, &now));
    for (int depth = 0; l.changed; depth++) {
        tern_graph *next = NULL;
        l = (lowering){.opset = TERN__EXPORT_OPSET};
        tern_status st = depth < DEEPEST ? tern__graph_rewrite(now, &l, visit, &next) : tern__fail(TERN_E_INVALID, "an op is replaced without end");
        tern_graph_destroy(now);
        if (st != TERN_OK)
            return st;
        now = next;
    }
    *out = now;
    *opset = l.opset;
    return TERN_OK;
}
