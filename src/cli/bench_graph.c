/* Problems of tern bench as graphs: one op, its weights as constants where a network would have them, everything else as inputs. */
#include "bench.h"

#include <string.h>

typedef struct builder {
    tern_graph *g;
    tern_dtype dtype;
    bool draw;          /* weights are constants */
    int n_operands;     /* so far: names and seeds */
    tern_status status;
} builder;

static tern_value input(builder *b, const tern_shape *s)
{
    char name[16];
    snprintf(name, sizeof name, "x%d", b->n_operands++);
    return tern_graph_input(b->g, name, b->dtype, s, 0);
}

/* What a network knows before it runs. */
static tern_value weight(builder *b, const tern_shape *s)
{
    tern_tensor *t = NULL;
    if (!b->draw)
        return input(b, s);
    if (b->status == TERN_OK)
        b->status = tern_tensor_create(b->dtype, s, &t);
    if (b->status != TERN_OK)
        return TERN_NONE;
    cli_fill_random(t, (uint64_t)b->n_operands++);
    tern_value v = tern_graph_constant(b->g, t);
    tern_tensor_destroy(t);
    return v;
}

/* [first, second, the axes that the problem uses]. */
static tern_shape spatial(const bench_problem *p, int64_t first, int64_t second, const int64_t extent[3])
{
    tern_shape s = {.rank = 2 + p->n_dims, .dim = {first, second}};
    for (int i = 0; i < p->n_dims; i++)
        s.dim[2 + i] = extent[3 - p->n_dims + i];
    return s;
}

typedef struct window_attrs {
    int64_t strides[3], dilations[3], kernel[3], in[3], pads[6];
    int n;
} window_attrs;

static window_attrs window(const bench_problem *p)
{
    window_attrs a = {.n = p->n_dims};
    for (int i = 0; i < a.n; i++) {
        int from = 3 - a.n + i;
        a.strides[i] = p->stride[from];
        a.dilations[i] = p->dilation[from];
        a.kernel[i] = p->kernel[from];
        a.in[i] = p->in[from];
        a.pads[i] = p->pad[from];
        a.pads[a.n + i] = p->pad_end[from];
    }
    return a;
}

#define WINDOW(a) TERN_INTS("strides", (a).strides, (a).n), TERN_INTS("dilations", (a).dilations, (a).n), TERN_INTS("pads", (a).pads, 2 * (a).n)

/* The gradients' operands all change from step to step, so none of them is a constant. */
static tern_value conv(builder *b, const bench_problem *p)
{
    window_attrs a = window(p);
    tern_shape xs = spatial(p, p->batch, p->c_in, p->in), ys = spatial(p, p->batch, p->c_out, p->out);
    tern_shape ws = spatial(p, p->c_out, p->c_in / p->group, p->kernel), bs = {1, {p->c_out}};
    if (!strcmp(p->op, "bwd_d")) {
        tern_value dy = input(b, &ys), w = input(b, &ws);
        return tern_graph_op2(b->g, "conv_grad_input", dy, w, TERN_ATTRS(WINDOW(a), TERN_INT("group", p->group), TERN_INTS("input_shape", a.in, a.n)));
    }
    tern_value x = input(b, &xs);
    if (!strcmp(p->op, "bwd_w")) {
        tern_value dy = input(b, &ys);
        return tern_graph_op2(b->g, "conv_grad_weight", x, dy, TERN_ATTRS(WINDOW(a), TERN_INT("group", p->group), TERN_INTS("kernel", a.kernel, a.n)));
    }
    bool relu = !strcmp(p->op, "relu");
    tern_value w = weight(b, &ws), bias = relu ? weight(b, &bs) : TERN_NONE;
    tern_value in[] = {x, w, bias};
    tern_value y = tern_graph_add(b->g, "conv", in, relu ? 3 : 2, TERN_ATTRS(WINDOW(a), TERN_INT("group", p->group)));
    return relu ? tern_graph_op1(b->g, "relu", y, NULL) : y;
}

static tern_value pool(builder *b, const bench_problem *p)
{
    window_attrs a = window(p);
    tern_shape xs = spatial(p, p->batch, p->c_in, p->in);
    tern_value x = input(b, &xs);
    if (!strncmp(p->op, "avg", 3))
        return tern_graph_op1(b->g, "average_pool", x, TERN_ATTRS(WINDOW(a), TERN_INTS("kernel", a.kernel, a.n),
                                                                  TERN_INT("count_include_pad", !strcmp(p->op, "avg_p"))));
    return tern_graph_op1(b->g, "max_pool", x, TERN_ATTRS(WINDOW(a), TERN_INTS("kernel", a.kernel, a.n)));
}

static tern_shape matrix(const bench_problem *p, int64_t rows, int64_t columns)
{
    return p->batch == 1 ? (tern_shape){2, {rows, columns}} : (tern_shape){3, {p->batch, rows, columns}};
}

static tern_value product(builder *b, const bench_problem *p)
{
    tern_shape xs = p->trans_a ? matrix(p, p->k, p->m) : matrix(p, p->m, p->k);
    tern_shape ws = p->trans_b ? matrix(p, p->n, p->k) : matrix(p, p->k, p->n);
    tern_value x = input(b, &xs), w = p->kind == BENCH_GEMM ? weight(b, &ws) : input(b, &ws);
    return tern_graph_op2(b->g, "matmul", x, w, TERN_ATTRS(TERN_INT("trans_a", p->trans_a), TERN_INT("trans_b", p->trans_b)));
}

static tern_value eltwise(builder *b, const bench_problem *p)
{
    tern_value in[3];
    for (int i = 0; i < p->n_shapes; i++)
        in[i] = input(b, &p->shape[i]);
    return tern_graph_add(b->g, p->op, in, p->n_shapes, NULL);
}

static tern_value reduce(builder *b, const bench_problem *p)
{
    static const char *const full[][2] = {{"max", "reduce_max"}, {"min", "reduce_min"}, {"l1", "reduce_l1"}, {"l2", "reduce_l2"}};
    const char *op = p->op;
    int64_t axes[TERN_MAX_RANK];
    int n = 0;
    for (size_t i = 0; i < sizeof full / sizeof *full; i++)
        if (!strcmp(p->op, full[i][0]))
            op = full[i][1];
    for (int i = 0; i < p->shape[0].rank; i++)
        if (p->shape[0].dim[i] != p->shape[1].dim[i])
            axes[n++] = i;
    return tern_graph_op1(b->g, op, input(b, &p->shape[0]), TERN_ATTRS(TERN_INTS("axes", axes, n), TERN_INT("keepdims", 1)));
}

static tern_value norm(builder *b, const bench_problem *p)
{
    const tern_shape *xs = &p->shape[0];
    tern_shape last = {1, {xs->dim[xs->rank - 1]}}, channels = {1, {xs->dim[xs->rank > 1]}};
    tern_value x = input(b, xs);
    if (!strcmp(p->op, "layer"))
        return tern_graph_op3(b->g, "layer_norm", x, weight(b, &last), weight(b, &last), NULL);
    if (!strcmp(p->op, "rms"))
        return tern_graph_op2(b->g, "rms_norm", x, weight(b, &last), NULL);
    tern_value in[] = {x, weight(b, &channels), weight(b, &channels), TERN_NONE, TERN_NONE};
    if (!strcmp(p->op, "instance"))
        return tern_graph_add(b->g, "instance_norm", in, 3, NULL);
    if (!strncmp(p->op, "group", 5))
        return tern_graph_add(b->g, "group_norm", in, 3, TERN_ATTRS(TERN_INT("groups", p->number)));
    in[3] = weight(b, &channels);
    in[4] = weight(b, &channels);
    return tern_graph_add(b->g, "batch_norm_infer", in, 5, NULL);
}

static tern_value attention(builder *b, const bench_problem *p)
{
    tern_value in[3];
    for (int i = 0; i < 3; i++)
        in[i] = input(b, &p->shape[i]);
    return tern_graph_op3(b->g, "attention", in[0], in[1], in[2], TERN_ATTRS(TERN_INT("causal", !strcmp(p->op, "causal"))));
}

static tern_value build(builder *b, const bench_problem *p)
{
    switch (p->kind) {
    case BENCH_CONV: return conv(b, p);
    case BENCH_POOL: return pool(b, p);
    case BENCH_GEMM: case BENCH_MATMUL: return product(b, p);
    case BENCH_ELTWISE: return eltwise(b, p);
    case BENCH_REDUCE: return reduce(b, p);
    case BENCH_NORM: return norm(b, p);
    case BENCH_SOFTMAX: return tern_graph_op1(b->g, "softmax", input(b, &p->shape[0]), TERN_ATTRS(TERN_INT("axis", p->number)));
    case BENCH_ATTENTION: return attention(b, p);
    case BENCH_MODEL: case BENCH_N_KINDS: break;
    }
    return TERN_NONE;
}

/* draw false: every operand is an input. */
static tern_status make(const bench_problem *p, tern_dtype dtype, bool draw, tern_graph **out)
{
    builder b = {.dtype = dtype, .draw = draw};
    tern_status st = tern_graph_create(&b.g);
    if (st != TERN_OK)
        return st;
    tern_value y = build(&b, p);
    tern_graph_output(b.g, "y", y);
    st = b.status == TERN_OK ? tern_graph_check(b.g) : b.status;
    if (st != TERN_OK) {
        tern_graph_destroy(b.g);
        return st;
    }
    *out = b.g;
    return TERN_OK;
}

tern_status bench_graph(const bench_problem *p, tern_dtype dtype, tern_graph **out)
{
    return make(p, dtype, true, out);
}

static tern_status add_bytes(const tern_graph *g, tern_value v, double *bytes)
{
    tern_dtype dtype;
    tern_shape s;
    tern_status st = tern_graph_value_info(g, v, &dtype, &s);
    if (st != TERN_OK)
        return st;
    double x = (double)tern_dtype_size(dtype);
    for (int i = 0; i < s.rank; i++)
        x *= (double)s.dim[i];
    *bytes += x;
    return TERN_OK;
}

tern_status bench_check(bench_problem *p, tern_dtype dtype)
{
    tern_graph *g = NULL;
    tern_status st = make(p, dtype, false, &g);
    p->bytes = 0;
    for (int i = 0; st == TERN_OK && i < tern_graph_n_inputs(g); i++)
        st = add_bytes(g, tern_graph_input_value(g, i), &p->bytes);
    if (st == TERN_OK)
        st = add_bytes(g, tern_graph_output_value(g, 0), &p->bytes);
    tern_graph_destroy(g);
    return st;
}
