/* scatter_add of few indices (kernels/scatter_add.cl): one item an element, which looks at all of them. */
#include <stdio.h>

#include "ops/impl_cpu.h"
#include "ops/scatter.h"

enum { FEW = 64 }; /* indices that are looked at faster than sorted into lists */

static bool accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    if (tern__elems(&tern__lower_type(l, n->in[1])->shape) > FEW) {
        tern__str_addf(why, "more than %d indices", FEW);
        return false;
    }
    return tern__any_accept(l, n, why);
}

void tern__scatter_axes(const int dims[3], const char *const names[3], tern__hook_axis *axes, char *text, size_t size)
{
    int used = 0;
    size_t len = 0;
    for (int i = 0; i < 3; i++) {
        if (dims[i] == 0)
            continue;
        axes[used++] = (tern__hook_axis){.dims = dims[i]};
        len += (size_t)snprintf(text + len, size - len, "%s%s", len ? ", " : "", names[i]);
    }
    axes[used] = (tern__hook_axis){0};
}

static tern_status lower(tern__lower *l, const tern__node *n)
{
    const tern__type *data = tern__lower_type(l, n->in[0]), *indices = tern__lower_type(l, n->in[1]);
    tern__gather_map m;
    TERN_TRY(tern__gather_map_of(n, &data->shape, &indices->shape, &m));
    tern__kern *k = tern__lower_kernel(l, "scatter_add.cl");
    if (!k)
        return TERN_E_NOMEM;
    const int after = data->shape.rank - m.axis - 1;
    tern__hook_axis data_axes[4], update_axes[4], index_axes[2] = {{.dims = indices->shape.rank}, {0}};
    char data_at[64], update_at[64];
    tern__scatter_axes((const int[]){m.axis, 1, after}, (const char *const[]){"outer", "extent", "inner"}, data_axes, data_at, sizeof data_at);
    tern__scatter_axes((const int[]){m.axis, indices->shape.rank, after}, (const char *const[]){"outer", "index", "inner"}, update_axes, update_at, sizeof update_at);
    tern__kern_define(k, "T", "%s", tern__reg_type(data->dtype));
    const int64_t total = m.outer * m.extent * m.inner;
    /* An empty result still has a kernel, so that its memory is known to the plan; no item gets as far as storing. */
    tern__cpu_define(k, "OUTER", total ? m.outer : 0);
    tern__cpu_define(k, "EXTENT", TERN_MAX(m.extent, 1));
    tern__cpu_define(k, "INNER", TERN_MAX(m.inner, 1));
    tern__cpu_define(k, "INDICES", m.n_indices);
    tern__cpu_define(k, "SIGNED", !tern__is_unsigned(indices->dtype));
    tern__kern_define(k, "DATA_AT", "%s", data_at);
    tern__kern_define(k, "UPDATE_AT", "%s", update_at);
    tern__kern_load(k, "LOAD_DATA", n->in[0], data_axes, -1, 1);
    if (m.n_indices > 0) {
        tern__kern_load(k, "LOAD_INDEX", n->in[1], index_axes, -1, 1);
        tern__kern_load(k, "LOAD_UPDATE", n->in[2], update_axes, -1, 1);
    }
    tern__kern_store(k, "STORE", n->out[0], data_axes, -1, 1);
    tern__kern_range(k, 1, (size_t[3]){(size_t)TERN_MAX(total, 1), 1, 1}, (size_t[3]){64, 1, 1});
    return TERN_OK;
}

const tern__impl tern__impl_scatter_add_items = {.name = "items", .accept = accept, .lower = lower, .prologue = 1 | 4};
