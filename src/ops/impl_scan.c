/* cumsum for every device (kernels/cumsum.cl): one item a line. */
#include "ops/impl_cpu.h"
#include "ops/scan.h"
#include "ops/scatter.h"

static tern_status lower(tern__lower *l, const tern__node *n)
{
    const tern__type *t = tern__lower_type(l, n->in[0]);
    const tern_shape *s = &t->shape;
    int axis;
    char text[64];
    tern__hook_axis axes[4];
    TERN_TRY(tern__axis(n, tern__attr_int(n, TERN__SCAN_AXIS), s->rank, &axis));
    tern__kern *k = tern__lower_kernel(l, "cumsum.cl");
    if (!k)
        return TERN_E_NOMEM;
    tern__scatter_axes((const int[]){axis, 1, s->rank - axis - 1}, (const char *const[]){"outer", "extent", "inner"}, axes, text, sizeof text);
    const int64_t outer = tern__extent(s, 0, axis), inner = TERN_MAX(tern__extent(s, axis + 1, s->rank), 1);
    const bool empty = tern__elems(s) == 0;
    tern__kern_define(k, "T", "%s", tern__reg_type(t->dtype));
    tern__cpu_define(k, "OUTER", empty ? 0 : outer);
    tern__cpu_define(k, "EXTENT", TERN_MAX(s->dim[axis], 1));
    tern__cpu_define(k, "INNER", inner);
    tern__cpu_define(k, "EXCLUSIVE", tern__attr_int(n, TERN__SCAN_EXCLUSIVE) != 0);
    tern__cpu_define(k, "REVERSE", tern__attr_int(n, TERN__SCAN_REVERSE) != 0);
    tern__kern_define(k, "AT", "%s", text);
    tern__kern_load(k, "LOAD_X", n->in[0], axes, -1, 1);
    tern__kern_store(k, "STORE", n->out[0], axes, -1, 1);
    tern__kern_range(k, 1, (size_t[3]){(size_t)TERN_MAX(outer * inner, 1), 1, 1}, (size_t[3]){16, 1, 1});
    return TERN_OK;
}

const tern__impl tern__impl_scan_lines = {.name = "lines", .accept = tern__any_accept, .lower = lower, .prologue = 1};
