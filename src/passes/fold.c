/* fold: what depends on constants alone is computed now, by the scalar references. */
#include "passes/pass.h"

#include "base/alloc.h"
#include "base/status.h"
#include "ops/op.h"

#include <string.h>

/* The references are slow, and a constant that grows (an expanded number, say) would cost memory traffic in every run. */
enum { MOST_WORK = 1 << 24, SMALL_BYTES = 1024 };

/* A computable op with constant inputs. Random numbers stay what they are: a few bytes of seed. */
static bool foldable(const tern_graph *g, const tern__node *n, const tern_value *in)
{
    bool any = false;
    for (int i = 0; i < n->n_in; i++) {
        if (in[i] == TERN_NONE)
            continue;
        if (g->values[in[i]].kind != TERN__VALUE_CONST)
            return false;
        any = true;
    }
    return any && n->op->trait != TERN__SOURCE && (n->op->ref || n->op->expand);
}

static bool worth_it(const tern__node *n, const tern__array *in, const tern__array *out)
{
    size_t in_bytes = 0, out_bytes = 0;
    int64_t work = 0;
    for (int i = 0; i < n->n_in; i++)
        in_bytes += n->in[i] == TERN_NONE ? 0 : tern__type_bytes(&in[i].type);
    for (int i = 0; i < n->n_out; i++) {
        out_bytes += tern__type_bytes(&out[i].type);
        work += tern__elems(&out[i].type.shape);
    }
    for (int i = 0; i < n->n_in; i++) /* a reduction's work is its input */
        work = n->in[i] == TERN_NONE ? work : TERN_MAX(work, tern__elems(&in[i].type.shape));
    if (n->op->trait == TERN__CONTRACTION && out_bytes > 0)
        work *= TERN_MAX((int64_t)(in_bytes / out_bytes), 1) * 64;
    return work <= MOST_WORK && (out_bytes <= SMALL_BYTES || out_bytes <= in_bytes);
}

static tern_status evaluate(tern__rewrite *rw, const tern__node *n, const tern__array *in, tern__array *out)
{
    tern_status st = TERN_OK;
    for (int i = 0; i < n->n_out && st == TERN_OK; i++) {
        tern__blob *b = tern__blob_create(NULL, tern__type_bytes(&out[i].type));
        if (!b)
            st = tern__fail(TERN_E_NOMEM, "fold: %zu bytes", tern__type_bytes(&out[i].type));
        else
            out[i].data = b->data;
        rw->map[n->out[i]] = st == TERN_OK ? tern__graph_blob(rw->to, &out[i].type, b) : TERN_NONE;
        tern__blob_release(b); /* the new constant holds it; on failure nobody does */
        if (st == TERN_OK)
            st = tern_graph_check(rw->to);
    }
    return st == TERN_OK ? tern__op_run_ref(n, in, out) : st;
}

/* The node's inputs in the new graph, so that a chain of constants folds in one walk; and their types. */
static tern_status map_inputs(tern__rewrite *rw, const tern__node *n, tern_value *mapped, tern__array *in)
{
    for (int i = 0; i < n->n_in; i++) {
        mapped[i] = tern__rewrite_value(rw, n->in[i]);
        TERN_TRY(tern_graph_check(rw->to));
        in[i].type.dtype = TERN_DTYPE_COUNT;
        if (mapped[i] == TERN_NONE)
            continue;
        const tern__value *v = tern__value_at(rw->to, mapped[i]);
        in[i] = (tern__array){.type = v->type};
    }
    return TERN_OK;
}

/* What references read. Bytes at an address that does not fit their elements are copied, for as long as that takes: mostly they are weights that only the
 * result of this needs. */
static tern_status take_elements(const tern__rewrite *rw, const tern__node *n, const tern_value *mapped, tern__array *in, void **copies)
{
    for (int i = 0; i < n->n_in; i++) {
        if (mapped[i] == TERN_NONE)
            continue;
        const tern__blob *b = tern__value_at(rw->to, mapped[i])->data;
        in[i].data = b->fits ? b->data : (copies[i] = tern__memdup(b->data, b->size));
        if (!in[i].data)
            return tern__fail(TERN_E_NOMEM, "fold: %zu bytes", b->size);
    }
    return TERN_OK;
}

static tern_status compute(tern__rewrite *rw, const tern__node *n, const tern_value *mapped, tern__array *in, tern__array *out)
{
    void **copies = tern__alloc_array((size_t)n->n_in, sizeof *copies);
    tern_status st = copies ? take_elements(rw, n, mapped, in, copies) : tern__fail(TERN_E_NOMEM, "fold: no memory for %s", n->op->name);
    if (st == TERN_OK)
        st = evaluate(rw, n, in, out);
    for (int i = 0; copies && i < n->n_in; i++) {
        if (mapped[i] != TERN_NONE)
            tern__blob_rest(tern__value_at(rw->to, mapped[i])->data);
        tern__free(copies[i]);
    }
    tern__free(copies);
    return st;
}

static tern_status fold_or_copy(tern__rewrite *rw, const tern__node *n, tern_value *mapped, tern__array *in, tern__array *out)
{
    TERN_TRY(map_inputs(rw, n, mapped, in));
    for (int i = 0; i < n->n_out; i++)
        out[i].type = (tern__type){.dtype = tern__dtype_of(rw->from, n->out[i]), .shape = *tern__shape_of(rw->from, n->out[i])};
    if (foldable(rw->to, n, mapped) && worth_it(n, in, out))
        return compute(rw, n, mapped, in, out);
    return tern__rewrite_copy(rw, n);
}

static tern_status visit(tern__rewrite *rw, const tern__node *n)
{
    tern_value *mapped = tern__alloc_array((size_t)n->n_in, sizeof *mapped);
    tern__array *arrays = tern__alloc_array((size_t)n->n_in + (size_t)n->n_out, sizeof *arrays);
    tern_status st = mapped && arrays ? fold_or_copy(rw, n, mapped, arrays, arrays + n->n_in)
                                      : tern__fail(TERN_E_NOMEM, "fold: no memory for %s", n->op->name);
    tern__free(mapped);
    tern__free(arrays);
    return st;
}

static tern_status run(const tern_graph *in, tern_graph **out)
{
    return tern__graph_rewrite(in, NULL, visit, out);
}

const tern__pass tern__pass_fold = {.name = "fold", .doc = "computes what depends on constants alone, unless the result is much larger", .run = run};
