/* top_k for every device: kernels/top_k_parts.cl orders the best of each part of a line, kernels/top_k_merge.cl those of all parts. */
#include "ops/impl_cpu.h"
#include "ops/scatter.h"
#include "ops/top_k.h"

enum { MOST_PARTS = 32, SMALLEST_PART = 256 };

/* A line, and the parts it is cut into. */
typedef struct lines {
    int axis;
    int64_t outer, extent, inner, take, part, parts, keep;
    bool empty;
} lines;

static tern_status lines_of(const tern__lower *l, const tern__node *n, lines *v)
{
    const tern_shape *s = &tern__lower_type(l, n->in[0])->shape;
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__TOP_AXIS), s->rank, &v->axis));
    v->outer = tern__extent(s, 0, v->axis);
    v->extent = TERN_MAX(s->dim[v->axis], 1);
    v->inner = TERN_MAX(tern__extent(s, v->axis + 1, s->rank), 1);
    v->take = tern__attr_int(n, TERN__TOP_K);
    v->empty = tern__elems(s) == 0 || v->take == 0;
    const int64_t items = tern__lower_family(l) == TERN__FAMILY_CPU ? 2 * (int64_t)TERN_MAX(tern__lower_device(l)->compute_units, 1u) : 4096;
    int64_t parts = TERN_MIN(items / TERN_MAX(v->outer * v->inner, 1), v->extent / SMALLEST_PART);
    parts = TERN_MAX(TERN_MIN(parts, MOST_PARTS), 1);
    v->part = tern__div_up(v->extent, parts);
    v->parts = tern__div_up(v->extent, v->part);
    v->keep = TERN_MAX(TERN_MIN(v->take, v->part), 1);
    return TERN_OK;
}

/* What both kernels are told, with their two buffers. */
static tern__kern *describe(tern__lower *l, const tern__node *n, const lines *v, const char *template_name, int keys, int places, bool writes)
{
    tern__kern *k = tern__lower_kernel(l, template_name);
    tern__kern_define(k, "T", "%s", tern__reg_type(tern__lower_type(l, n->in[0])->dtype));
    tern__cpu_define(k, "IS_FLOAT", tern__dtype_is(tern__lower_type(l, n->in[0])->dtype, TERN__T_FLOAT));
    tern__cpu_define(k, "OUTER", v->empty ? 0 : v->outer);
    tern__cpu_define(k, "EXTENT", v->extent);
    tern__cpu_define(k, "INNER", v->inner);
    tern__cpu_define(k, "PART", v->part);
    tern__cpu_define(k, "PARTS", v->parts);
    tern__cpu_define(k, "KEEP", v->keep);
    tern__cpu_define(k, "LARGEST", tern__attr_int(n, TERN__TOP_LARGEST) != 0);
    tern__kern_slot(k, keys, writes);
    tern__kern_slot(k, places, writes);
    return k;
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    lines v;
    char at[64];
    tern__hook_axis axes[4];
    TERN_TRY(lines_of(l, n, &v));
    const tern__type *t = tern__lower_type(l, n->in[0]);
    const int64_t n_lines = v.outer * v.inner, wide = tern_dtype_size(t->dtype) == 8 ? 2 : 1;
    int keys = tern__lower_temp(l, tern__cpu_bytes(n_lines, v.parts, v.keep, wide));
    int places = keys < 0 ? -1 : tern__lower_temp(l, tern__cpu_bytes(n_lines, v.parts, v.keep, 1));
    if (places < 0)
        return TERN_E_NOMEM;
    tern__scatter_axes((const int[]){v.axis, 1, t->shape.rank - v.axis - 1}, (const char *const[]){"outer", "extent", "inner"}, axes, at, sizeof at);
    const size_t group = tern__lower_family(l) == TERN__FAMILY_CPU ? 1 : 64;
    if (!v.empty) {
        tern__kern *k = describe(l, n, &v, "top_k_parts.cl", keys, places, true);
        tern__kern_define(k, "AT", "%s", at);
        tern__kern_load(k, "LOAD_X", n->in[0], axes, -1, 1);
        tern__kern_range(k, 1, (size_t[3]){(size_t)(n_lines * v.parts), 1, 1}, (size_t[3]){group, 1, 1});
    }
    tern__kern *k = describe(l, n, &v, "top_k_merge.cl", keys, places, false);
    tern__cpu_define(k, "TAKE", v.take);
    tern__kern_define(k, "AT", "%s", at);
    tern__kern_store(k, "STORE", n->out[0], axes, -1, 1);
    tern__kern_store(k, "STORE_INDEX", n->out[1], axes, -1, 1);
    tern__kern_range(k, 1, (size_t[3]){(size_t)TERN_MAX(n_lines, 1), 1, 1}, (size_t[3]){group, 1, 1});
    return k ? TERN_OK : TERN_E_NOMEM;
}

const tern__impl tern__impl_top_k_heaps = {.name = "heaps", .accept = tern__any_accept, .lower = lower};
