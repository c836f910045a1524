/* Forms of layers: products, convolutions, pools, normalisations, regions. */
#include <string.h>

#include "onnx/export.h"
#include "ops/attention.h"
#include "ops/pool.h"

#define F TERN__E_F
#define FD TERN__E_FD
#define D TERN__BIT(TERN_F64)

/* --- Products --- */

static int needs_plain(const tern_graph *g, const tern__node *n)
{
    for (int i = 0; i < 2; i++)
        if (tern__attr_int(n, i) && tern__shape_of(g, n->in[i])->rank > 1)
            return 0;
    return TERN__EXPORT_OPSET;
}

static void emit_matmul(tern__export *e, const tern__node *n)
{
    tern__export_plain(e, n, "MatMul", 2, NULL);
}

/* --- Windows --- */

static void emit_window(tern__export *e, const tern__node *n, const int64_t *kernel, int dims)
{
    static const char *const names[] = {"strides", "dilations", "pads"};
    tern__export_ints(e, "kernel_shape", kernel, dims);
    for (int i = TERN__SP_STRIDES; i <= TERN__SP_PADS; i++) {
        int count;
        const int64_t *v = tern__attr_ints(n, i, &count);
        if (count)
            tern__export_ints(e, names[i], v, count);
    }
}

static int needs_float(const tern_graph *g, const tern__node *n)
{
    return tern__dtype_is(tern__dtype_of(g, n->in[0]), TERN__T_FLOAT) ? TERN__EXPORT_OPSET : 0;
}

static void emit_conv(tern__export *e, const tern__node *n)
{
    const tern_shape *w = tern__shape_of(e->g, n->in[1]);
    int count;
    tern__export_plain(e, n, tern__export_find(n->op->name)->onnx, n->n_in, NULL);
    emit_window(e, n, w->dim + 2, w->rank - 2);
    tern__export_int(e, "group", tern__attr_int(n, TERN__CONV_GROUP));
    if (strcmp(n->op->name, "conv") == 0)
        return;
    const int64_t *extra = tern__attr_ints(n, TERN__CONV_EXTRA, &count);
    if (count)
        tern__export_ints(e, "output_padding", extra, count);
}

/* --- Pools --- Windows that hang over the end are said by more padding there: what ceil_mode means has changed between versions. */

static bool geometry(const tern_graph *g, const tern__node *n, tern__spatial *sp)
{
    const tern__type in[1] = {*tern__type_of(g, n->in[0])};
    return tern__pool_geometry(n, in, sp) == TERN_OK;
}

/* How far the last window reaches beyond x and its padding. */
static int64_t overhang(const tern__spatial *sp, int d)
{
    const int64_t end = (sp->out[d] - 1) * sp->stride[d] + (sp->kernel[d] - 1) * sp->dilation[d] + 1;
    return TERN_MAX(end - sp->pad[d] - sp->in[d] - sp->pad_end[d], (int64_t)0);
}

static bool dilated(const tern__spatial *sp)
{
    return sp->dilation[0] != 1 || sp->dilation[1] != 1 || sp->dilation[2] != 1;
}

static void emit_pool_attrs(tern__export *e, const tern__spatial *sp)
{
    const int first = 3 - sp->n_dims;
    int64_t pads[6];
    for (int i = 0; i < sp->n_dims; i++) {
        pads[i] = sp->pad[first + i];
        pads[sp->n_dims + i] = sp->pad_end[first + i] + overhang(sp, first + i);
    }
    tern__export_ints(e, "kernel_shape", sp->kernel + first, sp->n_dims);
    tern__export_ints(e, "strides", sp->stride + first, sp->n_dims);
    tern__export_ints(e, "pads", pads, 2 * sp->n_dims);
    if (dilated(sp))
        tern__export_ints(e, "dilations", sp->dilation + first, sp->n_dims);
}

/* A fixed divisor, or one that counts padding but not what windows reach beyond it, is not ONNX's. */
static int needs_average(const tern_graph *g, const tern__node *n)
{
    tern__spatial sp;
    if (!geometry(g, n, &sp) || tern__attr_int(n, TERN__POOL_DIVISOR))
        return 0;
    if (tern__attr_int(n, TERN__POOL_INCLUDE_PAD) && (overhang(&sp, 0) || overhang(&sp, 1) || overhang(&sp, 2)))
        return 0;
    return dilated(&sp) ? 19 : TERN__EXPORT_OPSET;
}

static void emit_average(tern__export *e, const tern__node *n)
{
    tern__spatial sp;
    if (!geometry(e->g, n, &sp))
        return;
    tern__export_plain(e, n, "AveragePool", 1, NULL);
    emit_pool_attrs(e, &sp);
    tern__export_int(e, "count_include_pad", tern__attr_int(n, TERN__POOL_INCLUDE_PAD) != 0);
}

static int needs_l2(const tern_graph *g, const tern__node *n)
{
    tern__spatial sp;
    return !geometry(g, n, &sp) ? 0 : dilated(&sp) ? 18 : TERN__EXPORT_OPSET;
}

static void emit_l2(tern__export *e, const tern__node *n)
{
    tern__spatial sp;
    if (!geometry(e->g, n, &sp))
        return;
    tern__export_plain(e, n, "LpPool", 1, NULL);
    emit_pool_attrs(e, &sp);
    tern__export_int(e, "p", 2);
}

/* Numbers along one spatial axis that broadcast over [N, C, spatial...]: where windows begin. */
static const char *beginnings(tern__export *e, const tern__spatial *sp, int d)
{
    if (sp->out[d] > INT32_MAX)
        tern__export_fail(e, TERN_E_UNSUPPORTED, "max_pool: a list of %lld windows is too long for a model", (long long)sp->out[d]);
    int64_t shape[5] = {1, 1, 1, 1, 1}, *at = tern__export_keep(e, (size_t)sp->out[d], sizeof *at);
    if (!at)
        return NULL;
    for (int64_t o = 0; o < sp->out[d]; o++)
        at[o] = tern__spatial_at(sp, d, o, 0);
    shape[2 + d - (3 - sp->n_dims)] = sp->out[d];
    return tern__export_2(e, "Reshape", tern__export_list(e, at, (int)sp->out[d]), tern__export_list(e, shape, 2 + sp->n_dims));
}

static const char *with_number(tern__export *e, const char *op, const char *a, int64_t x)
{
    return tern__export_2(e, op, a, tern__export_number(e, TERN_I64, (double)x));
}

/* Tern's positions are those in the window, ONNX's those in the whole of x. */
static void emit_positions(tern__export *e, const tern__node *n, const tern__spatial *sp, const char *flat)
{
    const char *rest = with_number(e, "Mod", flat, sp->in[0] * sp->in[1] * sp->in[2]), *sum = NULL;
    int64_t pace = 1;
    for (int d = 2; d >= 3 - sp->n_dims; d--) {
        const char *at = with_number(e, "Mod", rest, sp->in[d]);
        rest = with_number(e, "Div", rest, sp->in[d]);
        at = with_number(e, "Div", tern__export_2(e, "Sub", at, beginnings(e, sp, d)), sp->dilation[d]);
        at = with_number(e, "Mul", at, pace);
        sum = sum ? tern__export_2(e, "Add", sum, at) : at;
        pace *= sp->kernel[d];
    }
    const char *out[1] = {tern__export_output(e, n, 1)};
    tern__export_node(e, "Cast", &sum, 1, out, 1);
    tern__export_int(e, "to", tern__onnx_dtype_number(tern__dtype_of(e->g, n->out[1])));
}

static bool is_read(const tern__export *e, tern_value v)
{
    for (int i = 0; i < e->g->n_outputs; i++)
        if (e->g->outputs[i].value == v)
            return true;
    for (int i = 0; i < e->g->n_nodes; i++)
        for (int k = 0; k < e->g->nodes[i]->n_in; k++)
            if (e->g->nodes[i]->in[k] == v)
                return true;
    return false;
}

static void emit_max_pool(tern__export *e, const tern__node *n)
{
    tern__spatial sp;
    if (!geometry(e->g, n, &sp))
        return;
    const bool positions = is_read(e, n->out[1]);
    const char *x = tern__export_name(e, n->in[0]), *out[2] = {tern__export_output(e, n, 0)};
    tern__export_node(e, "MaxPool", &x, 1, out, positions ? 2 : 1);
    emit_pool_attrs(e, &sp);
    if (positions)
        emit_positions(e, n, &sp, out[1]);
}

/* --- Normalisations --- ONNX wants the parameters that Tern leaves optional, of one type. */

static bool parameters(const tern_graph *g, const tern__node *n, int count)
{
    for (int i = 1; i < count; i++)
        if (!tern__has_input(n, i) || tern__dtype_of(g, n->in[i]) != tern__dtype_of(g, n->in[0]))
            return false;
    return true;
}

static int needs_layer_norm(const tern_graph *g, const tern__node *n)
{
    const bool shift = tern__has_input(n, 2);
    return parameters(g, n, shift ? 3 : 2) && tern__dtype_of(g, n->in[0]) != TERN_F64 ? TERN__EXPORT_OPSET : 0;
}

static int needs_instance_norm(const tern_graph *g, const tern__node *n)
{
    return parameters(g, n, 3) ? TERN__EXPORT_OPSET : 0;
}

static int needs_batch_norm(const tern_graph *g, const tern__node *n)
{
    return parameters(g, n, 5) ? TERN__EXPORT_OPSET : 0;
}

/* --- Regions --- */

static void emit_roi_align(tern__export *e, const tern__node *n)
{
    const char *x = tern__export_name(e, n->in[0]), *rois = tern__export_name(e, n->in[1]), *batch = tern__export_name(e, n->in[2]);
    const char *out[1] = {tern__export_output(e, n, 0)};
    if (tern__dtype_of(e->g, n->in[2]) != TERN_I64)
        batch = tern__export_cast(e, batch, TERN_I64);
    tern__export_node(e, "RoiAlign", (const char *const[]){x, rois, batch}, 3, out, 1);
    tern__export_int(e, "output_height", tern__attr_int(n, 0));
    tern__export_int(e, "output_width", tern__attr_int(n, 1));
    tern__export_int(e, "sampling_ratio", tern__attr_int(n, 2));
    tern__export_float(e, "spatial_scale", tern__attr_float(n, 3));
    tern__export_string(e, "coordinate_transformation_mode", tern__attr_int(n, 4) ? "half_pixel" : "output_half_pixel");
    tern__export_string(e, "mode", tern__attr_int(n, 5) ? "max" : "avg");
}

static void emit_max_roi_pool(tern__export *e, const tern__node *n)
{
    tern__export_plain(e, n, "MaxRoiPool", 2, NULL);
    tern__export_ints(e, "pooled_shape", (const int64_t[]){tern__attr_int(n, 0), tern__attr_int(n, 1)}, 2);
    tern__export_float(e, "spatial_scale", tern__attr_float(n, 2));
}

const tern__export_form tern__export_nn_forms[] = {
    {TERN__FORM("matmul", "MatMul", FD | TERN__E_WORDS | TERN__BIT(TERN_U32) | TERN__BIT(TERN_U64), 0), .needs = needs_plain, .emit = emit_matmul,
     .instead = tern__instead_matmul},
    {TERN__FORM("gemm", "Gemm", FD, 0), .attrs = {"alpha", "beta", "transA", "transB"}},
    {TERN__FORM("conv", "Conv", F, D), .needs = needs_float, .emit = emit_conv, .instead = tern__instead_conv},
    {TERN__FORM("conv_transpose", "ConvTranspose", F, D), .emit = emit_conv},
    {.op = "conv_integer", .instead = tern__instead_conv_integer},
    {.op = "matmul_integer", .instead = tern__instead_matmul_integer},
    {.op = "conv_grad_input", .instead = tern__instead_conv_grad_input},
    {.op = "conv_grad_weight", .instead = tern__instead_conv_grad_weight},
    {TERN__FORM("max_pool", "MaxPool", FD | TERN__E_BYTES, 0), .emit = emit_max_pool},
    {TERN__FORM("average_pool", "AveragePool", F, D), .needs = needs_average, .emit = emit_average, .instead = tern__instead_average_pool},
    {TERN__FORM("l2_pool", "LpPool", F, D), .needs = needs_l2, .emit = emit_l2},
    {.op = "average_pool_grad", .instead = tern__instead_average_pool_grad},
    {.op = "max_pool_grad", .instead = tern__instead_max_pool_grad},
    {TERN__FORM("global_average_pool", "GlobalAveragePool", F, D)},
    {TERN__FORM("global_max_pool", "GlobalMaxPool", F, D)},
    {TERN__FORM("batch_norm_infer", "BatchNormalization", FD, 0), .needs = needs_batch_norm, .attrs = {"epsilon"}},
    {TERN__FORM("instance_norm", "InstanceNormalization", F, D), .needs = needs_instance_norm, .attrs = {"epsilon"}},
    {TERN__FORM("layer_norm", "LayerNormalization", F, 0), .needs = needs_layer_norm, .attrs = {"axis", "epsilon"}},
    {.op = "attention", .instead = tern__attention_expand},
    {.op = "attention_grad", .instead = tern__attention_grad_expand},
    {TERN__FORM("det", "Det", F, D)},
    {TERN__FORM("roi_align", "RoiAlign", FD, 0), .emit = emit_roi_align},
    {TERN__FORM("max_roi_pool", "MaxRoiPool", F, D), .emit = emit_max_roi_pool},
    {0},
};
