/* Forms of what moves elements, picks them or makes them from their place. */
#include <inttypes.h>
#include <string.h>

#include "onnx/export.h"
#include "ops/common.h"
#include "ops/random.h"
#include "ops/scatter.h"
#include "ops/top_k.h"

#define FD TERN__E_FD
#define ALL TERN__E_ALL
#define HALVES (TERN__BIT(TERN_F16) | TERN__BIT(TERN_BF16))
#define BF16 TERN__BIT(TERN_BF16)

static void emit_list(tern__export *e, const tern__node *n, const char *op, const int64_t *v, int count)
{
    tern__export_plain(e, n, op, 1, (const char *const[]){tern__export_list(e, v, count), NULL});
}

/* --- Shapes --- */

static void emit_reshape(tern__export *e, const tern__node *n)
{
    int count;
    const int64_t *shape = tern__attr_ints(n, 0, &count);
    const tern_shape *s = tern__shape_of(e->g, n->out[0]);
    if (tern__elems(s) > 0) {
        emit_list(e, n, "Reshape", shape, count);
        return;
    }
    emit_list(e, n, "Reshape", s->dim, s->rank);
    tern__export_int(e, "allowzero", 1);
}

static void emit_expand(tern__export *e, const tern__node *n)
{
    int count;
    const int64_t *shape = tern__attr_ints(n, 0, &count);
    emit_list(e, n, "Expand", shape, count);
}

static void emit_squeeze(tern__export *e, const tern__node *n)
{
    int count;
    const int64_t *axes = tern__attr_ints(n, 0, &count);
    if (count)
        emit_list(e, n, "Squeeze", axes, count);
    else
        tern__export_plain(e, n, "Squeeze", 1, NULL);
}

static void emit_unsqueeze(tern__export *e, const tern__node *n)
{
    int count;
    const int64_t *axes = tern__attr_ints(n, 0, &count);
    emit_list(e, n, "Unsqueeze", axes, count);
}

/* Extents that are known when the model is written become numbers; only those of free axes are asked for. */
static int needs_free(const tern_graph *g, const tern__node *n)
{
    (void)n;
    for (int i = 0; i < g->n_inputs; i++)
        if (g->values[g->inputs[i]].free_axes)
            return TERN__EXPORT_OPSET;
    return 0;
}

static void emit_size(tern__export *e, const tern__node *n)
{
    int count;
    const int64_t *axes = tern__attr_ints(n, 0, &count);
    const char *shape = tern__export_1(e, "Shape", tern__export_name(e, n->in[0]));
    if (count)
        shape = tern__export_2(e, "Gather", shape, tern__export_list(e, axes, count));
    const char *size = tern__export_1(e, "ReduceProd", shape), *out[1] = {tern__export_output(e, n, 0)};
    tern__export_int(e, "keepdims", 0);
    tern__export_node(e, "Cast", &size, 1, out, 1);
    tern__export_int(e, "to", tern__onnx_dtype_number(tern__dtype_of(e->g, n->out[0])));
}

static void emit_as(tern__export *e, const tern__node *n)
{
    const bool reshape = strcmp(n->op->name, "reshape_as") == 0;
    const char *shape = tern__export_1(e, "Shape", tern__export_name(e, n->in[1]));
    tern__export_plain(e, n, reshape ? "Reshape" : "Expand", 1, (const char *const[]){shape, NULL});
    if (reshape)
        tern__export_int(e, "allowzero", 1);
}

/* --- Parts --- */

static void emit_slice(tern__export *e, const tern__node *n)
{
    const char *in[5] = {tern__export_name(e, n->in[0])}, *out[1] = {tern__export_output(e, n, 0)};
    for (int i = 0; i < 4; i++) {
        int count;
        const int64_t *v = tern__attr_ints(n, i, &count);
        if (count || i < 2)
            in[1 + i] = tern__export_list(e, v, count);
    }
    tern__export_node(e, "Slice", in, 5, out, 1);
}

static void emit_split(tern__export *e, const tern__node *n)
{
    int count, axis;
    const int64_t *parts = tern__attr_ints(n, 1, &count);
    const tern_shape *s = tern__shape_of(e->g, n->out[0]);
    if (count)
        emit_list(e, n, "Split", parts, count);
    else
        tern__export_plain(e, n, "Split", 1, NULL);
    if (tern__axis(n, tern__attr_int(n, 0), s->rank, &axis) == TERN_OK)
        tern__export_int(e, "axis", axis);
    if (!count && e->opset >= 18)
        tern__export_int(e, "num_outputs", n->n_out);
}

/* Modes whose result ONNX leaves open, or knows only later, pick elements by lists instead. */
static int needs_pad(const tern_graph *g, const tern__node *n)
{
    int count;
    const int64_t *pads = tern__attr_ints(n, 0, &count);
    const char *mode = tern__attr_string(n, 1);
    const tern_shape *s = tern__shape_of(g, n->in[0]);
    if (strcmp(mode, "constant") == 0)
        return TERN__EXPORT_OPSET;
    for (int i = 0; i < count; i++)
        if (pads[i] < 0 || pads[i] >= s->dim[i % s->rank])
            return 0;
    return strcmp(mode, "wrap") == 0 ? 0 : TERN__EXPORT_OPSET;
}

static void emit_pad(tern__export *e, const tern__node *n)
{
    int count;
    const int64_t *pads = tern__attr_ints(n, 0, &count);
    const char *mode = tern__attr_string(n, 1), *list = tern__export_list(e, pads, count);
    const bool constant = strcmp(mode, "constant") == 0;
    const char *value = constant ? tern__export_number(e, tern__dtype_of(e->g, n->in[0]), tern__attr_float(n, 2)) : NULL;
    tern__export_plain(e, n, "Pad", 1, (const char *const[]){list, value, NULL});
    tern__export_string(e, "mode", mode);
}

/* --- Indices --- */

static const char *indices(tern__export *e, tern_value v, bool long_only)
{
    const tern_dtype t = tern__dtype_of(e->g, v);
    const char *name = tern__export_name(e, v);
    return t == TERN_I64 || (t == TERN_I32 && !long_only) ? name : tern__export_cast(e, name, TERN_I64);
}

/* Indices out of range give 0 in Tern and an error in ONNX: a model that has them has no numbers to agree with. */
static void emit_gather(tern__export *e, const tern__node *n)
{
    const char *op = tern__export_find(n->op->name)->onnx;
    const bool nd = strcmp(op, "GatherND") == 0;
    tern__export_plain(e, n, op, 1, (const char *const[]){indices(e, n->in[1], nd), NULL});
    tern__export_int(e, nd ? "batch_dims" : "axis", tern__attr_int(n, 0));
}

static int reduction_opset(const char *reduction)
{
    return strcmp(reduction, "min") == 0 || strcmp(reduction, "max") == 0 ? 18 : TERN__EXPORT_OPSET;
}

static int needs_scatter_elements(const tern_graph *g, const tern__node *n)
{
    (void)g;
    return reduction_opset(tern__attr_string(n, TERN__SCATTER_REDUCTION));
}

static int needs_scatter_nd(const tern_graph *g, const tern__node *n)
{
    (void)g;
    return reduction_opset(tern__attr_string(n, 0));
}

static void emit_scatter(tern__export *e, const tern__node *n)
{
    const bool nd = strcmp(n->op->name, "scatter_nd") == 0;
    const char *at = indices(e, n->in[1], nd), *updates = tern__export_name(e, n->in[2]);
    tern__export_plain(e, n, nd ? "ScatterND" : "ScatterElements", 1, (const char *const[]){at, updates, NULL});
    if (!nd)
        tern__export_int(e, "axis", tern__attr_int(n, TERN__SCATTER_AXIS));
    tern__export_string(e, "reduction", tern__attr_string(n, nd ? 0 : TERN__SCATTER_REDUCTION));
}

/* Values are f32 or i64, what ONNX Runtime knows, and cast to the rest. */
static void emit_one_hot(tern__export *e, const tern__node *n)
{
    const tern_dtype t = tern__dtype_of(e->g, n->out[0]), made = tern__dtype_is(t, TERN__T_FLOAT) ? TERN_F32 : TERN_I64;
    const char *at = tern__export_name(e, n->in[0]), *out[1] = {tern__export_output(e, n, 0)};
    if (tern__dtype_of(e->g, n->in[0]) != TERN_I64)
        at = tern__export_cast(e, at, TERN_I64);
    const int64_t depth = tern__attr_int(n, 0), off_on[2] = {0, 1};
    const char *count = tern__export_list(e, &depth, 1), *values = tern__export_list(e, off_on, 2);
    if (made != TERN_I64)
        values = tern__export_cast(e, values, made);
    const char *made_out[1] = {t == made ? out[0] : NULL};
    const char *y = tern__export_node(e, "OneHot", (const char *const[]){at, count, values}, 3, made_out, 1);
    tern__export_int(e, "axis", tern__attr_int(n, 1));
    if (t == made)
        return;
    tern__export_node(e, "Cast", &y, 1, out, 1);
    tern__export_int(e, "to", tern__onnx_dtype_number(t));
}

static void emit_top_k(tern__export *e, const tern__node *n)
{
    const int64_t k = tern__attr_int(n, TERN__TOP_K);
    emit_list(e, n, "TopK", &k, 1);
    tern__export_int(e, "axis", tern__attr_int(n, TERN__TOP_AXIS));
    tern__export_int(e, "largest", tern__attr_int(n, TERN__TOP_LARGEST) != 0);
    tern__export_int(e, "sorted", 1);
}

static void emit_cumsum(tern__export *e, const tern__node *n)
{
    tern__export_plain(e, n, "CumSum", 1, (const char *const[]){tern__export_number(e, TERN_I64, (double)tern__attr_int(n, 0)), NULL});
    tern__export_int(e, "exclusive", tern__attr_int(n, 1) != 0);
    tern__export_int(e, "reverse", tern__attr_int(n, 2) != 0);
}

/* --- Sources --- */

/* 0, 1, 2 ... along one axis, the same along all others. */
static void emit_iota(tern__export *e, const tern__node *n)
{
    const tern__type *t = tern__type_of(e->g, n->out[0]);
    int axis = 0;
    if (t->shape.rank && tern__axis(n, tern__attr_int(n, 1), t->shape.rank, &axis) != TERN_OK)
        return;
    int64_t line[TERN_MAX_RANK];
    bool same = true; /* nothing but the one axis */
    for (int i = 0; i < t->shape.rank; i++) {
        line[i] = i == axis ? t->shape.dim[i] : 1;
        same = same && line[i] == t->shape.dim[i];
    }
    const double extent = t->shape.rank ? (double)t->shape.dim[axis] : 1;
    const char *bounds[3] = {tern__export_number(e, TERN_I64, 0), tern__export_number(e, TERN_I64, extent), tern__export_number(e, TERN_I64, 1)};
    const char *range[1] = {NULL}, *out[1] = {tern__export_output(e, n, 0)};
    const char *v = tern__export_node(e, "Range", bounds, 3, range, 1);
    if (t->shape.rank != 1) {
        v = tern__export_2(e, "Reshape", v, tern__export_list(e, line, t->shape.rank));
        tern__export_int(e, "allowzero", 1);
    }
    if (!same)
        v = tern__export_2(e, "Expand", v, tern__export_list(e, t->shape.dim, t->shape.rank));
    tern__export_node(e, t->dtype == TERN_I64 ? "Identity" : "Cast", &v, 1, out, 1);
    if (t->dtype != TERN_I64)
        tern__export_int(e, "to", tern__onnx_dtype_number(t->dtype));
}

/* The same distribution; the numbers are those of whoever runs the model. */
static void emit_random(tern__export *e, const tern__node *n)
{
    const tern__type *t = tern__type_of(e->g, n->out[0]);
    const bool normal = strcmp(n->op->name, "random_normal") == 0, cast = t->dtype == TERN_BF16;
    const char *out[1] = {tern__export_output(e, n, 0)}, *drawn[1] = {cast ? NULL : out[0]};
    const char *v = tern__export_node(e, normal ? "RandomNormal" : "RandomUniform", NULL, 0, drawn, 1);
    tern__export_ints(e, "shape", t->shape.dim, t->shape.rank);
    tern__export_int(e, "dtype", tern__onnx_dtype_number(cast ? TERN_F32 : t->dtype));
    tern__export_float(e, "seed", (double)tern__attr_int(n, TERN__RANDOM_SEED));
    tern__export_float(e, normal ? "mean" : "low", tern__attr_float(n, TERN__RANDOM_FIRST));
    tern__export_float(e, normal ? "scale" : "high", tern__attr_float(n, TERN__RANDOM_SECOND));
    if (!cast)
        return;
    tern__export_node(e, "Cast", &v, 1, out, 1);
    tern__export_int(e, "to", tern__onnx_dtype_number(t->dtype));
}

/* In ONNX dropout does nothing unless a model is trained, which this one is not. */
static void emit_dropout(tern__export *e, const tern__node *n)
{
    tern__export_plain(e, n, "Dropout", 1, (const char *const[]){tern__export_number(e, TERN_F32, tern__attr_float(n, 0)), NULL});
}

const tern__export_form tern__export_shape_forms[] = {
    {TERN__FORM("identity", "Identity", ALL, 0)},
    {TERN__FORM("reorder", "Identity", ALL, 0)},
    {TERN__FORM("reshape", "Reshape", ALL, 0), .emit = emit_reshape},
    {TERN__FORM("expand", "Expand", ALL & ~BF16, 0), .emit = emit_expand},
    {TERN__FORM("squeeze", "Squeeze", ALL, 0), .emit = emit_squeeze},
    {TERN__FORM("unsqueeze", "Unsqueeze", ALL, 0), .emit = emit_unsqueeze},
    {TERN__FORM("flatten", "Flatten", ALL, 0), .attrs = {"axis"}},
    {TERN__FORM("transpose", "Transpose", ALL, 0), .attrs = {"perm"}},
    {TERN__FORM("size", "Size", ALL, 0), .needs = needs_free, .emit = emit_size},
    {TERN__FORM("expand_as", "Expand", ALL & ~BF16, 0), .needs = needs_free, .emit = emit_as},
    {TERN__FORM("reshape_as", "Reshape", ALL, 0), .needs = needs_free, .emit = emit_as},
    {TERN__FORM("concat", "Concat", ALL, 0), .attrs = {"axis"}},
    {TERN__FORM("slice", "Slice", ALL, 0), .emit = emit_slice},
    {TERN__FORM("split", "Split", ALL, 0), .emit = emit_split},
    {TERN__FORM("pad", "Pad", FD | TERN__E_BYTES | TERN__E_WORDS | TERN__BIT(TERN_U32) | TERN__BIT(TERN_U64) | TERN__E_BOOL, 0), .needs = needs_pad,
     .emit = emit_pad, .instead = tern__instead_pad},
    {TERN__FORM("gather", "Gather", ALL, 0), .emit = emit_gather},
    {TERN__FORM("gather_elements", "GatherElements", ALL, 0), .emit = emit_gather},
    {TERN__FORM("gather_nd", "GatherND", ALL, 0), .emit = emit_gather},
    {TERN__FORM("scatter_elements", "ScatterElements", ALL & ~HALVES, 0), .needs = needs_scatter_elements, .emit = emit_scatter},
    {TERN__FORM("scatter_nd", "ScatterND", ALL & ~HALVES, 0), .needs = needs_scatter_nd, .emit = emit_scatter},
    {.op = "scatter_add", .instead = tern__instead_scatter},
    {.op = "scatter_slices", .instead = tern__instead_scatter},
    {TERN__FORM("one_hot", "OneHot", ALL, 0), .emit = emit_one_hot},
    {TERN__FORM("top_k", "TopK", FD | TERN__E_BYTES | TERN__E_WORDS | TERN__BIT(TERN_I16), TERN__BIT(TERN_U64)), .emit = emit_top_k},
    {TERN__FORM("cumsum", "CumSum", FD | TERN__E_WORDS, TERN__BIT(TERN_U64)), .emit = emit_cumsum},
    {TERN__FORM("iota", "Range", ALL, 0), .emit = emit_iota},
    {TERN__FORM("random_normal", "RandomNormal", ALL, 0), .emit = emit_random},
    {TERN__FORM("random_uniform", "RandomUniform", ALL, 0), .emit = emit_random},
    {TERN__FORM("dropout", "Dropout", FD, 0), .emit = emit_dropout},
    {0},
};
