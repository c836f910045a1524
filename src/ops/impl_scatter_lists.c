/* scatter_slices, scatter_elements and scatter_add for every device: kernels/scatter_lists.cl sorts the updates by where they fall, and
 * kernels/scatter_apply.cl makes each element of the result. The work grows with the elements plus the updates, not with their product. */
#include <string.h>

#include "ops/impl_cpu.h"
#include "ops/scatter.h"

enum { ROW = 16 }; /* elements that make a row worth an item */

/* What both kernels are told. */
typedef struct view {
    tern__scatter_kind kind;
    tern__gather_map m; /* n_indices: of one line */
    bool lines;         /* scatter_elements: every line along the axis has its own indices */
    int index_dims;     /* dimensions of the updates that stand for the axis */
    int64_t lines_outer, lines_inner;
} view;

static tern_status view_of(const tern__lower *l, const tern__node *n, view *v)
{
    const tern_shape *data = &tern__lower_type(l, n->in[0])->shape, *indices = &tern__lower_type(l, n->in[1])->shape;
    v->kind = TERN__SCATTER_ADD;
    v->lines = strcmp(n->op->name, "scatter_elements") == 0;
    if (n->op->n_attrs > TERN__SCATTER_REDUCTION)
        TERN_TRY(tern__scatter_kind_of(n, TERN__SCATTER_REDUCTION, &v->kind));
    if (v->lines) {
        TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCATTER_AXIS), data->rank, &v->m.axis));
        v->m.outer = tern__extent(data, 0, v->m.axis);
        v->m.extent = data->dim[v->m.axis];
        v->m.inner = tern__extent(data, v->m.axis + 1, data->rank);
        v->m.n_indices = indices->dim[v->m.axis];
    } else {
        TERN_TRY(tern__gather_map_of(n, data, indices, &v->m));
    }
    v->index_dims = v->lines ? 1 : indices->rank;
    v->lines_outer = v->lines ? v->m.outer : 1;
    v->lines_inner = v->lines ? v->m.inner : 1;
    return TERN_OK;
}

/* Items of the first kernel: a few for each compute unit of a CPU, thousands elsewhere, where a line is all read at the same time anyway. */
static int64_t wanted_items(const tern__lower *l)
{
    return tern__lower_family(l) == TERN__FAMILY_CPU ? 4 * (int64_t)TERN_MAX(tern__lower_device(l)->compute_units, 1u) : 4096;
}

static tern_status lower_lists(tern__lower *l, const tern__node *n, const view *v, int heads, int nexts)
{
    tern__kern *k = tern__lower_kernel(l, "scatter_lists.cl");
    if (!k)
        return TERN_E_NOMEM;
    const tern_dtype t = tern__lower_type(l, n->in[1])->dtype;
    const int64_t lines = v->lines_outer * v->lines_inner, parts = TERN_MIN(TERN_MAX(wanted_items(l) / lines, 1), v->m.extent);
    const int64_t block = tern__div_up(v->m.extent, parts), blocks = tern__div_up(v->m.extent, block);
    tern__kern_define(k, "INDEX", "%s", tern__mem_type(t));
    tern__cpu_define(k, "SIGNED", !tern__is_unsigned(t));
    tern__cpu_define(k, "LAST", v->kind == TERN__SCATTER_NONE);
    tern__cpu_define(k, "LINES_OUTER", v->lines_outer);
    tern__cpu_define(k, "LINES_INNER", v->lines_inner);
    tern__cpu_define(k, "EXTENT", v->m.extent);
    tern__cpu_define(k, "INDICES", v->m.n_indices);
    tern__cpu_define(k, "BLOCK", block);
    tern__cpu_define(k, "BLOCKS", blocks);
    tern__kern_slot(k, heads, true);
    tern__kern_slot(k, nexts, true);
    tern__kern_value(k, n->in[1]);
    const size_t group = tern__lower_family(l) == TERN__FAMILY_CPU ? 1 : 64;
    tern__kern_range(k, 1, (size_t[3]){(size_t)(lines * blocks), 1, 1}, (size_t[3]){group, 1, 1});
    return TERN_OK;
}

static tern_status lower_apply(tern__lower *l, const tern__node *n, const view *v, bool updates, int heads, int nexts)
{
    tern__kern *k = tern__lower_kernel(l, "scatter_apply.cl");
    if (!k)
        return TERN_E_NOMEM;
    const tern__type *data = tern__lower_type(l, n->in[0]);
    const int before = v->m.axis, after = data->shape.rank - before - 1;
    const int64_t total = v->m.outer * v->m.extent * v->m.inner;
    /* A CPU's item goes along the memory of a row. */
    const bool rows = tern__lower_family(l) == TERN__FAMILY_CPU && !v->lines && v->m.inner >= ROW;
    tern__hook_axis data_axes[4], update_axes[4];
    char data_at[64], update_at[64];
    tern__scatter_axes((const int[]){before, 1, after}, (const char *const[]){"outer", "extent", "inner"}, data_axes, data_at, sizeof data_at);
    tern__scatter_axes((const int[]){before, v->index_dims, after}, (const char *const[]){"outer", "(uint)index", "inner"}, update_axes, update_at,
                       sizeof update_at);
    tern__kern_define(k, "T", "%s", tern__reg_type(data->dtype));
    tern__cpu_define(k, "IS_FLOAT", tern__dtype_is(data->dtype, TERN__T_FLOAT));
    /* An empty result still has a kernel, so that its memory is known to the plan; no item gets as far as storing. */
    tern__cpu_define(k, "OUTER", total ? v->m.outer : 0);
    tern__cpu_define(k, "EXTENT", TERN_MAX(v->m.extent, 1));
    tern__cpu_define(k, "INNER", TERN_MAX(v->m.inner, 1));
    tern__cpu_define(k, "INDICES", updates ? v->m.n_indices : 0);
    tern__cpu_define(k, "LINES", v->lines);
    tern__cpu_define(k, "ROWS", rows);
    tern__cpu_define(k, "REDUCE", v->kind);
    tern__kern_define(k, "DATA_AT", "%s", data_at);
    tern__kern_define(k, "UPDATE_AT", "%s", update_at);
    tern__kern_slot(k, heads, false);
    tern__kern_slot(k, nexts, false);
    tern__kern_load(k, "LOAD_DATA", n->in[0], data_axes, -1, 1);
    if (updates)
        tern__kern_load(k, "LOAD_UPDATE", n->in[2], update_axes, -1, 1);
    tern__kern_store(k, "STORE", n->out[0], data_axes, -1, 1);
    const int64_t items = rows ? v->m.outer * v->m.extent : total;
    tern__kern_range(k, 1, (size_t[3]){(size_t)TERN_MAX(items, 1), 1, 1}, (size_t[3]){rows ? 4 : 64, 1, 1});
    return TERN_OK;
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    view v;
    TERN_TRY(view_of(l, n, &v));
    const int64_t lines = v.lines_outer * v.lines_inner;
    const bool updates = v.m.outer * v.m.extent * v.m.inner > 0 && v.m.n_indices > 0;
    const size_t nexts_bytes = updates && v.kind != TERN__SCATTER_NONE ? tern__cpu_bytes(lines, v.m.n_indices, 1, 1) : 0;
    int heads = tern__lower_temp(l, updates ? tern__cpu_bytes(lines, v.m.extent, 1, 1) : 0);
    int nexts = heads < 0 ? -1 : tern__lower_temp(l, nexts_bytes);
    if (nexts < 0)
        return TERN_E_NOMEM;
    if (updates)
        TERN_TRY(lower_lists(l, n, &v, heads, nexts));
    return lower_apply(l, n, &v, updates, heads, nexts);
}

const tern__impl tern__impl_scatter_lists = {.name = "lists", .accept = tern__any_accept, .lower = lower, .prologue = 1 | 4};
