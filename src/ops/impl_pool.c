/* Pooling and its gradients (kernels/pool.cl, pool_grad.cl): rows of channel vectors on CPU devices with blocked channels, else one item an
 * element. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ops/impl_cpu.h"
#include "ops/pool.h"

enum { ITEM_ELEMENTS = 256 }; /* that are worth a work-item of their own */

/* --- What both kernels know --- */

static bool is_grad(const tern__node *n)
{
    return strstr(n->op->name, "_grad") != NULL;
}

static bool is_max(const tern__node *n)
{
    return strncmp(n->op->name, "max_pool", 8) == 0;
}

static tern_status geometry(const tern__lower *l, const tern__node *n, tern__spatial *sp)
{
    return tern__pool_geometry(n, (const tern__type[]){*tern__lower_type(l, n->in[0])}, sp);
}

static void define_axes(tern__kern *k, const char *name, const int64_t x[3])
{
    for (int i = 0; i < 3; i++) {
        char full[32];
        snprintf(full, sizeof full, "%s_%d", name, i);
        tern__cpu_define(k, full, x[i]);
    }
}

/* No tap of any window lies outside x. */
static bool inside(const tern__spatial *sp)
{
    for (int d = 0; d < 3; d++)
        if (sp->pad[d] > 0 || tern__spatial_at(sp, d, sp->out[d] - 1, sp->kernel[d] - 1) >= sp->in[d])
            return false;
    return true;
}

/* Every window has its own cell of x. */
static bool has_cells(const tern__spatial *sp)
{
    for (int d = 0; d < 3; d++)
        if (sp->stride[d] != sp->kernel[d] || sp->dilation[d] != 1 || sp->pad[d] != 0)
            return false;
    return true;
}

/* What every other value of the dtype replaces, as OpenCL C. */
static const char *lowest(tern_dtype t)
{
    switch (t) {
    case TERN_I8:
        return "CHAR_MIN";
    case TERN_I16:
        return "SHRT_MIN";
    case TERN_I32:
        return "INT_MIN";
    case TERN_I64:
        return "LONG_MIN";
    default:
        return tern__dtype_is(t, TERN__T_FLOAT) ? "(-INFINITY)" : "0";
    }
}

static void define_index(tern__kern *k, tern_dtype t, int width)
{
    tern__kern_define(k, "INDEX", width > 1 ? "%s%d" : "%s", tern__reg_type(t), width);
}

static void define_types(tern__kern *k, tern_dtype t, int width)
{
    static const char *const masks[] = {[1] = "char", [2] = "short", [4] = "int", [8] = "long"};
    const char *reg = tern__reg_type(t), *mask = width == 1 || (tern__dtype_is(t, TERN__T_FLOAT) && t != TERN_F64) ? "int" : masks[tern_dtype_size(t)];
    tern__kern_define(k, "E", "%s", reg);
    if (width > 1) {
        tern__kern_define(k, "T", "%s%d", reg, width);
        tern__kern_define(k, "M", "%s%d", mask, width);
    } else {
        tern__kern_define(k, "T", "%s", reg);
        tern__kern_define(k, "M", "%s", mask);
    }
    tern__cpu_define(k, "W", width);
}

static void define_windows(tern__kern *k, const tern__node *n, const tern__spatial *sp)
{
    tern__cpu_define(k, "MAXIMUM", is_max(n));
    tern__cpu_define(k, "DIMS", sp->n_dims);
    tern__cpu_define(k, "BATCH", sp->c_in ? sp->batch : 0);
    tern__cpu_define(k, "CHANNELS", TERN_MAX(sp->c_in, 1));
    tern__cpu_define(k, "INSIDE", inside(sp));
    tern__cpu_define(k, "DIVISOR", is_max(n) ? 0 : tern__attr_int(n, TERN__POOL_DIVISOR));
    tern__cpu_define(k, "INCLUDE_PAD", is_max(n) ? 0 : tern__attr_int(n, TERN__POOL_INCLUDE_PAD) != 0);
    define_axes(k, "IN", sp->in);
    define_axes(k, "OUT", sp->out);
    define_axes(k, "KERNEL", sp->kernel);
    define_axes(k, "STRIDE", sp->stride);
    define_axes(k, "DILATION", sp->dilation);
    define_axes(k, "PAD", sp->pad);
    define_axes(k, "PAD_END", sp->pad_end);
}

/* --- Hooks: batch, channel, and each spatial axis --- */

/* Elements that an item handles at a time: neighbouring channels, or neighbours along the last dimension. */
typedef struct vector {
    int width;
    bool pixels;
} vector;

static int hook_axes(const tern__spatial *sp, vector v, tern__hook_axis axes[6])
{
    memset(axes, 0, 6 * sizeof *axes);
    for (int i = 0; i < 2 + sp->n_dims; i++)
        axes[i].dims = 1;
    axes[1].multiple_of = v.pixels ? 1 : v.width;
    return v.width == 1 ? -1 : v.pixels ? 1 + sp->n_dims : 1;
}

static void load_hook(tern__kern *k, const char *name, tern_value x, const tern__spatial *sp, vector v)
{
    tern__hook_axis axes[6];
    const int lane = hook_axes(sp, v, axes);
    tern__kern_load(k, name, x, axes, lane, 1u | (unsigned)v.width);
}

static void store_hook(tern__kern *k, const char *name, tern_value y, const tern__spatial *sp, vector v)
{
    tern__hook_axis axes[6];
    const int lane = hook_axes(sp, v, axes);
    tern__kern_store(k, name, y, axes, lane, 1u | (unsigned)v.width);
}

/* rows: of the last dimension, that an item computes; 0: one element. */
static tern_status range(tern__kern *k, const tern__spatial *sp, const int64_t positions[3], vector v, int64_t rows)
{
    tern__cpu_define(k, "ROWS", rows);
    tern__cpu_define(k, "PIXELS", v.pixels);
    const int64_t total = sp->batch * sp->c_in * positions[0] * positions[1] * positions[2];
    if (rows)
        tern__cpu_range(k, tern__div_up(positions[0] * positions[1], rows), v.pixels ? sp->c_in : sp->c_in / v.width, sp->batch);
    else /* an empty result still has a kernel, so that its memory is known to the plan; no item gets as far as storing */
        tern__kern_range(k, 1, (size_t[3]){(size_t)TERN_MAX(total, 1), 1, 1}, (size_t[3]){64, 1, 1});
    return TERN_OK;
}

/* --- Kernels --- */

/* Where vectors of pixels fit into the rows of plain channels. */
typedef struct pixel_run {
    int width; /* 0: nowhere */
    int64_t from, to;
} pixel_run;

static int64_t floor_to(int64_t x, int64_t step)
{
    return x - ((x % step) + step) % step;
}

/* At stride 2 two vectors are loaded from an even column on. */
static pixel_run find_pixels(const tern__lower *l, const tern__node *n, const tern__spatial *sp)
{
    const int64_t stride = sp->stride[2], first = floor_to(-sp->pad[2], stride), last = floor_to((sp->kernel[2] - 1) * sp->dilation[2] - sp->pad[2], stride);
    const pixel_run run = {.from = -first / stride, .to = TERN_MIN(sp->out[2], (sp->in[2] - last) / stride)};
    const bool plain = tern__lower_type(l, n->in[0])->layout.kind != TERN__BLOCKED && tern__lower_type(l, n->out[0])->layout.kind != TERN__BLOCKED;
    if (tern__lower_family(l) != TERN__FAMILY_CPU || !plain || stride > 2)
        return (pixel_run){0};
    for (int w = TERN_MIN((int)tern__lower_device(l)->native_vector_f32, 16); w >= 4; w /= 2)
        if (run.to - run.from >= w)
            return (pixel_run){w, run.from, run.to};
    return (pixel_run){0};
}

/* width: of the vectors of channels. */
static tern_status lower_pool(tern__lower *l, const tern__node *n, const tern__spatial *sp, int width)
{
    const tern_dtype t = tern__lower_type(l, n->out[0])->dtype;
    const bool indexed = n->n_out > 1 && tern__lower_is_wanted(l, n->out[1]);
    const pixel_run run = width == 1 && !indexed ? find_pixels(l, n, sp) : (pixel_run){0};
    const vector v = {run.width ? run.width : width, run.width > 0};
    tern__kern *k = tern__lower_kernel(l, "pool.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_types(k, t, v.width);
    define_windows(k, n, sp);
    tern__cpu_define(k, "IS_FLOAT", tern__dtype_is(t, TERN__T_FLOAT));
    tern__kern_define(k, "LOWEST", "%s", lowest(t));
    load_hook(k, "LOAD_X", n->in[0], sp, v);
    store_hook(k, "STORE", n->out[0], sp, v);
    tern__cpu_define(k, "FROM", run.from);
    tern__cpu_define(k, "TO", run.to);
    tern__cpu_define(k, "INDEXED", indexed);
    if (indexed) {
        define_index(k, tern__lower_type(l, n->out[1])->dtype, v.width);
        store_hook(k, "STORE_INDEX", n->out[1], sp, v);
    }
    /* Rows of single elements too: what finds an item's place costs a CPU more than the element. */
    const int64_t total = sp->batch * sp->c_in * sp->out[0] * sp->out[1] * sp->out[2];
    if (width == 1 && tern__lower_family(l) == TERN__FAMILY_CPU && total > 0)
        return range(k, sp, sp->out, v, TERN_MIN(tern__div_up((int64_t)ITEM_ELEMENTS * v.width, sp->out[2]), sp->out[0] * sp->out[1]));
    return range(k, sp, sp->out, v, width > 1);
}

static tern_status lower_grad(tern__lower *l, const tern__node *n, const tern__spatial *sp, int width)
{
    tern__kern *k = tern__lower_kernel(l, "pool_grad.cl");
    if (!k)
        return TERN_E_NOMEM;
    const bool cells = is_max(n) && has_cells(sp);
    const vector v = {width, false};
    int64_t positions[3];
    for (int d = 0; d < 3; d++)
        positions[d] = cells ? tern__div_up(sp->in[d], sp->kernel[d]) : sp->in[d];
    define_types(k, tern__lower_type(l, n->out[0])->dtype, width);
    define_windows(k, n, sp);
    define_axes(k, "POSITIONS", positions);
    tern__cpu_define(k, "CELLS", cells);
    if (is_max(n))
        load_hook(k, "LOAD_INDEX", n->in[0], sp, v);
    load_hook(k, "LOAD_DY", n->in[is_max(n) ? 1 : 0], sp, v);
    store_hook(k, "STORE", n->out[0], sp, v);
    return range(k, sp, positions, v, width > 1);
}

static tern_status lower_width(tern__lower *l, const tern__node *n, int width)
{
    tern__spatial sp;
    TERN_TRY(geometry(l, n, &sp));
    return is_grad(n) ? lower_grad(l, n, &sp, width) : lower_pool(l, n, &sp, width);
}

/* --- One item an element --- */

static tern_status lower_items(tern__lower *l, const tern__node *n)
{
    return lower_width(l, n, 1);
}

/* --- Rows of channel vectors --- */

static bool fills_vectors(const tern_graph *g, const tern__node *n, const tern_device_info *d)
{
    const tern_shape *s = tern__shape_of(g, n->in[0]);
    return tern__elems(s) > 0 && tern__layout_block(d, s->dim[1]) != 0;
}

static bool accept_rows(const tern__lower *l, const tern__node *n, tern__str *why)
{
    if (tern__lower_family(l) != TERN__FAMILY_CPU) {
        tern__str_add(why, "made for CPU devices");
        return false;
    }
    if (!fills_vectors(tern__lower_graph(l), n, tern__lower_device(l))) {
        tern__str_addf(why, "%" PRId64 " channels do not fill vectors", tern__lower_type(l, n->in[0])->shape.dim[1]);
        return false;
    }
    return tern__any_accept(l, n, why);
}

/* In plain layout neighbouring channels lie far apart: single elements then walk memory in a better order. */
static tern_status lower_rows(tern__lower *l, const tern__node *n)
{
    const tern__layout *x = &tern__lower_type(l, n->in[0])->layout;
    return lower_width(l, n, x->kind == TERN__BLOCKED ? x->block : 1);
}

static bool comes_blocked(const tern__layout_query *q, tern_value v, int depth);

/* All of a concat's operands in whole blocks of the same size as the result's: the layout pass leaves those where they are. */
static bool concat_comes_blocked(const tern__layout_query *q, const tern__node *p, int depth)
{
    const int block = tern__layout_block(q->device, tern__shape_of(q->graph, p->out[0])->dim[1]);
    bool comes = true;
    for (int i = 0; i < p->n_in && comes; i++)
        comes = tern__layout_block(q->device, tern__shape_of(q->graph, p->in[i])->dim[1]) == block && comes_blocked(q, p->in[i], depth + 1);
    return comes;
}

/* What a value is computed from leads, through pointwise ops and concats, to those whose makers work on blocked channels. */
static bool comes_blocked(const tern__layout_query *q, tern_value v, int depth)
{
    const tern_graph *g = q->graph;
    const tern__node *p = tern__producer(g, v);
    if (!p || depth > 32)
        return false;
    if (p->op->trait == TERN__WINDOW || (is_grad(p) && p->op->trait != TERN__CONTRACTION))
        return comes_blocked(q, p->in[0], depth + 1);
    if (p->op->trait == TERN__CONTRACTION)
        return tern__shape_of(g, v)->rank >= 3 && p->op->impls != NULL && strcmp(p->op->name, "matmul") != 0;
    if (!strcmp(p->op->name, "concat") && tern__shape_of(g, v)->rank >= 3)
        return concat_comes_blocked(q, p, depth);
    if (p->op->trait != TERN__POINTWISE)
        return false;
    for (int i = 0; i < p->n_in; i++)
        if (tern__shape_equal(tern__shape_of(g, p->in[i]), tern__shape_of(g, v)) && comes_blocked(q, p->in[i], depth + 1))
            return true;
    return false;
}

/* Every operand, if the first one comes so already: turning it round costs more than the vectors save. */
static unsigned blocked(const tern__layout_query *q, const tern__node *n)
{
    if (!fills_vectors(q->graph, n, q->device) || !comes_blocked(q, n->in[0], 0))
        return 0;
    return (1u << (n->n_in + n->n_out)) - 1u;
}

const tern__impl tern__impl_pool_rows = {.name = "cpu_rows", .accept = accept_rows, .lower = lower_rows, .prologue = 1, .blocked = blocked};
const tern__impl tern__impl_pool_items = {.name = "items", .accept = tern__any_accept, .lower = lower_items, .prologue = 1};
/* The positions come from memory; dy may be computed on the way, being read once for every window, or nearly. */
const tern__impl tern__impl_max_pool_grad_rows = {.name = "cpu_rows", .accept = accept_rows, .lower = lower_rows, .prologue = 2, .blocked = blocked};
const tern__impl tern__impl_max_pool_grad_items = {.name = "items", .accept = tern__any_accept, .lower = lower_items, .prologue = 2};
