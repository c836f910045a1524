/* det for every device (kernels/det.cl): one item a matrix. */
#include "ops/common.h"
#include "ops/impl_cpu.h"

/* The expansion has brought x to [count, side, side], none of them 0. */
static tern_status lower(tern__lower *l, const tern__node *n)
{
    const tern__type *t = tern__lower_type(l, n->in[0]);
    const int64_t count = t->shape.dim[0], side = t->shape.dim[1];
    const tern__hook_axis in[4] = {{.dims = 1}, {.dims = 1}, {.dims = 1}, {0}}, out[2] = {{.dims = 1}, {0}};
    int work = tern__lower_temp(l, tern__cpu_bytes(count, side, side, tern_dtype_size(t->dtype) == 8 ? 2 : 1));
    tern__kern *k = work < 0 ? NULL : tern__lower_kernel(l, "det.cl");
    if (!k)
        return TERN_E_NOMEM;
    tern__kern_define(k, "T", "%s", tern__reg_type(t->dtype));
    tern__cpu_define(k, "COUNT", count);
    tern__cpu_define(k, "SIDE", side);
    tern__kern_slot(k, work, true);
    tern__kern_load(k, "LOAD_X", n->in[0], in, -1, 1);
    tern__kern_store(k, "STORE", n->out[0], out, -1, 1);
    tern__kern_range(k, 1, (size_t[3]){(size_t)count, 1, 1}, (size_t[3]){8, 1, 1});
    return TERN_OK;
}

const tern__impl tern__impl_det_items = {.name = "items", .accept = tern__any_accept, .lower = lower, .prologue = 1};
