/* roi_align and max_roi_pool for every device (kernels/roi_align.cl, max_roi_pool.cl): one item an element of the result. */
#include <string.h>

#include "ops/impl_cpu.h"
#include "ops/roi.h"

static tern_status lower(tern__lower *l, const tern__node *n)
{
    static const tern__hook_axis four[] = {{.dims = 1}, {.dims = 1}, {.dims = 1}, {.dims = 1}, {0}};
    static const tern__hook_axis two[] = {{.dims = 1}, {.dims = 1}, {0}}, one[] = {{.dims = 1}, {0}};
    const bool align = strcmp(n->op->name, "roi_align") == 0;
    const tern_shape *x = &tern__lower_type(l, n->in[0])->shape, *y = &tern__lower_type(l, n->out[0])->shape;
    tern__kern *k = tern__lower_kernel(l, align ? "roi_align.cl" : "max_roi_pool.cl");
    if (!k)
        return TERN_E_NOMEM;
    const int64_t total = tern__elems(y);
    /* An empty image or result still has a kernel, so that its memory is known to the plan; no item gets as far as storing. */
    tern__kern_define(k, "T", "%s", tern__reg_type(tern__lower_type(l, n->in[0])->dtype));
    tern__cpu_define(k, "REGIONS", total ? y->dim[0] : 0);
    tern__cpu_define(k, "BATCH", x->dim[0]);
    tern__cpu_define(k, "CHANNELS", TERN_MAX(x->dim[1], 1));
    tern__cpu_define(k, "HEIGHT", x->dim[2]);
    tern__cpu_define(k, "WIDTH", x->dim[3]);
    tern__cpu_define(k, "BINS_Y", y->dim[2]);
    tern__cpu_define(k, "BINS_X", y->dim[3]);
    const double scale = tern__attr_float(n, align ? 3 : 2);
    if (tern__lower_type(l, n->in[0])->dtype == TERN_F64)
        tern__kern_define(k, "SCALE", "%.17e", scale);
    else
        tern__kern_define(k, "SCALE", "%.9ef", scale);
    if (align) {
        tern__cpu_define(k, "SAMPLING", tern__attr_int(n, 2));
        tern__cpu_define(k, "MOST_SAMPLES", TERN__ROI_SAMPLES);
        tern__cpu_define(k, "HALF_PIXEL", tern__attr_int(n, 4) != 0);
        tern__cpu_define(k, "MAXIMUM", tern__attr_int(n, 5) != 0);
    }
    tern__kern_load(k, "LOAD_X", n->in[0], four, -1, 1);
    tern__kern_load(k, "LOAD_ROI", n->in[1], two, -1, 1);
    if (align)
        tern__kern_load(k, "LOAD_BATCH", n->in[2], one, -1, 1);
    tern__kern_store(k, "STORE", n->out[0], four, -1, 1);
    tern__kern_range(k, 1, (size_t[3]){(size_t)TERN_MAX(total, 1), 1, 1}, (size_t[3]){64, 1, 1});
    return TERN_OK;
}

/* x is read many times over: only the regions may be computed on the way. */
const tern__impl tern__impl_roi_items = {.name = "items", .accept = tern__any_accept, .lower = lower, .prologue = 2 | 4};
