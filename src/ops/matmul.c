/* matmul: product of matrices, or of batches of them, either one transposed on the way. */
#include <inttypes.h>
#include <string.h>

#include "tern_config.h"

#include "ops/common.h"
#include "ops/impls.h"

enum { TRANS_A, TRANS_B };
static const tern__attr_decl attrs[] = {
    {.name = "trans_a", .type = TERN_ATTR_INT},
    {.name = "trans_b", .type = TERN_ATTR_INT},
};

/* Both operands as (batches of) matrices: a vector on the left is a row, one on the right a column. */
typedef struct product {
    bool trans_a, trans_b, row, column;
    tern_shape a, b;       /* with the row or column made a matrix */
    tern_shape batch;      /* the batch axes, broadcast */
    int64_t m, n, k;
} product;

static tern_status read_product(const tern__node *n, const tern_shape *a, const tern_shape *b, product *p)
{
    char ta[TERN__SHAPE_TEXT], tb[TERN__SHAPE_TEXT];
    *p = (product){.row = a->rank == 1, .column = b->rank == 1, .a = *a, .b = *b};
    p->trans_a = !p->row && tern__attr_int(n, TRANS_A) != 0;
    p->trans_b = !p->column && tern__attr_int(n, TRANS_B) != 0;
    if (a->rank == 0 || b->rank == 0)
        return tern__fail(TERN_E_SHAPE, "matmul: input %d is a scalar", a->rank == 0 ? 0 : 1);
    if (p->row)
        p->a = (tern_shape){.rank = 2, .dim = {1, a->dim[0]}};
    if (p->column)
        p->b = (tern_shape){.rank = 2, .dim = {b->dim[0], 1}};
    const int ra = p->a.rank, rb = p->b.rank;
    p->m = p->a.dim[ra - (p->trans_a ? 1 : 2)];
    p->k = p->a.dim[ra - (p->trans_a ? 2 : 1)];
    p->n = p->b.dim[rb - (p->trans_b ? 2 : 1)];
    const int64_t k = p->b.dim[rb - (p->trans_b ? 1 : 2)];
    if (k != p->k)
        return tern__fail(TERN_E_SHAPE, "matmul: %s%s times %s%s: %" PRId64 " columns meet %" PRId64 " rows", tern__shape_text(a, ta),
                          p->trans_a ? " transposed" : "", tern__shape_text(b, tb), p->trans_b ? " transposed" : "", p->k, k);
    tern_shape batch_a = p->a, batch_b = p->b;
    batch_a.rank -= 2;
    batch_b.rank -= 2;
    if (!tern__broadcast(&batch_a, &batch_b, &p->batch))
        return tern__fail(TERN_E_SHAPE, "matmul: the batches of %s and %s do not broadcast", tern__shape_text(a, ta), tern__shape_text(b, tb));
    return TERN_OK;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    product p;
    TERN_TRY(tern__need_kind(n, in, 0, TERN__T_NUM));
    TERN_TRY(tern__need_same(n, in, 0, 1));
    TERN_TRY(read_product(n, &in[0].shape, &in[1].shape, &p));
    tern_shape s = p.batch;
    if (!p.row)
        s.dim[s.rank++] = p.m;
    if (!p.column)
        s.dim[s.rank++] = p.n;
    out[0] = tern__plain(in[0].dtype, &s);
    return TERN_OK;
}

/* One element: a and b start at their matrices, step along k. Integers are exact and wrap. */
static void dot(const tern__array *a, int64_t i, int64_t step_a, const tern__array *b, int64_t j, int64_t step_b, int64_t k, const tern__array *out,
                int64_t o)
{
    if (tern__dtype_is(a->type.dtype, TERN__T_FLOAT)) {
        double acc = 0;
        for (int64_t x = 0; x < k; x++)
            acc += tern__array_get(a, i + x * step_a) * tern__array_get(b, j + x * step_b);
        tern__array_set(out, o, acc);
        return;
    }
    uint64_t acc = 0;
    for (int64_t x = 0; x < k; x++)
        acc += (uint64_t)tern__array_get_int(a, i + x * step_a) * (uint64_t)tern__array_get_int(b, j + x * step_b);
    tern__array_set_int(out, o, (int64_t)acc);
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    product p;
    TERN_TRY(read_product(n, &in[0].type.shape, &in[1].type.shape, &p));
    tern_shape batch_a = p.a, batch_b = p.b;
    batch_a.rank -= 2;
    batch_b.rank -= 2;
    if (tern__elems(&out[0].type.shape) == 0)
        return TERN_OK;
    const int64_t row_a = p.trans_a ? 1 : p.k, step_a = p.trans_a ? p.m : 1;
    const int64_t col_b = p.trans_b ? p.k : 1, step_b = p.trans_b ? 1 : p.n;
    int64_t at[TERN_MAX_RANK] = {0}, o = 0;
    do {
        const int64_t a0 = tern__broadcast_linear(&batch_a, &p.batch, at) * p.m * p.k;
        const int64_t b0 = tern__broadcast_linear(&batch_b, &p.batch, at) * p.k * p.n;
        for (int64_t i = 0; i < p.m; i++)
            for (int64_t j = 0; j < p.n; j++)
                dot(&in[0], a0 + i * row_a, step_a, &in[1], b0 + j * col_b, step_b, p.k, &out[0], o++);
    } while (tern__next_index(&p.batch, at));
    return TERN_OK;
}

static tern_value matmul(tern_graph *g, tern_value a, tern_value b, bool trans_a, bool trans_b)
{
    return tern_graph_op2(g, "matmul", a, b, TERN_ATTRS(TERN_INT("trans_a", trans_a), TERN_INT("trans_b", trans_b)));
}

/* All axes but the last as rows. */
static tern_value rows(tern_graph *g, tern_value v)
{
    const tern_shape *s = tern__shape_of(g, v);
    const tern_shape flat = {.rank = 2, .dim = {tern__extent(s, 0, s->rank - 1), s->dim[s->rank - 1]}};
    return tern__reshape(g, v, &flat);
}

/* A batch of matrices times one matrix is one long matrix times it. */
static bool is_one_weight(const product *p)
{
    return p->a.rank > 2 && p->b.rank == 2 && !p->trans_a && !p->column;
}

/* With A = op(a), B = op(b): dA = dy B^T and dB = A^T dy, each turned back as its operand was. */
static tern_status grad(tern_graph *g, const tern__node *n, const tern_value *dy, tern_value *dx)
{
    product p;
    TERN_TRY(read_product(n, tern__shape_of(g, n->in[0]), tern__shape_of(g, n->in[1]), &p));
    const int rank = p.batch.rank + 2;
    tern_value a = p.row ? tern__unsqueeze(g, n->in[0], 1u << 0) : n->in[0];
    tern_value b = p.column ? tern__unsqueeze(g, n->in[1], 1u << 1) : n->in[1];
    tern_value d = tern__unsqueeze(g, dy[0], (p.row ? 1u << (rank - 2) : 0) | (p.column ? 1u << (rank - 1) : 0));
    tern_value da = p.trans_a ? matmul(g, b, d, p.trans_b, true) : matmul(g, d, b, false, !p.trans_b);
    tern_value db;
    TERN_TRY(tern_graph_check(g));
    if (is_one_weight(&p)) {
        a = rows(g, a);
        d = rows(g, d);
    }
    db = p.trans_b ? matmul(g, d, a, true, p.trans_a) : matmul(g, a, d, !p.trans_a, false);
    /* A vector's gradient may still carry the other operand's batch, which is summed down to the matrix first. */
    dx[0] = p.row ? tern__reshape_as(g, tern__unbroadcast(g, da, &p.a), n->in[0]) : da;
    dx[1] = p.column ? tern__reshape_as(g, tern__unbroadcast(g, db, &p.b), n->in[1]) : db;
    return TERN_OK;
}

/* Vectors become matrices, and a batch times one matrix one product: implementations see only the plain cases. */
static tern_status expand(tern_graph *g, const tern__node *n, const tern_value *in, tern_value *out)
{
    product p;
    TERN_TRY(read_product(n, tern__shape_of(g, in[0]), tern__shape_of(g, in[1]), &p));
    const bool one = is_one_weight(&p);
    if (!p.row && !p.column && !one)
        return TERN_OK;
    tern_shape s = p.batch;
    if (!p.row)
        s.dim[s.rank++] = p.m;
    if (!p.column)
        s.dim[s.rank++] = p.n;
    tern_value a = one ? rows(g, in[0]) : tern__reshape(g, in[0], &p.a), b = tern__reshape(g, in[1], &p.b);
    out[0] = tern__reshape(g, matmul(g, a, b, p.trans_a, p.trans_b), &s);
    return TERN_OK;
}

static int64_t flops(const tern__node *n, const tern__type *in, const tern__type *out)
{
    product p;
    if (read_product(n, &in[0].shape, &in[1].shape, &p) != TERN_OK)
        return 0;
    return 2 * tern__elems(&out[0].shape) * p.k;
}

static const tern__impl *const impls[] = {
    &tern__impl_matmul_cpu,
#if TERN_HAVE_CLBLAST
    &tern__impl_matmul_clblast,
#endif
    &tern__impl_matmul_matrix_simt,
    &tern__impl_matmul_simt,
    NULL,
};

TERN_OP(matmul) = {
    .name = "matmul",
    .doc = "y = a b over the last two axes, the others broadcast as in NumPy's matmul; trans_a and trans_b exchange the last two axes of a and b first; "
           "integers wrap",
    .onnx = "MatMul",
    .onnx_since = 1,
    .trait = TERN__CONTRACTION,
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .grad = grad,
    .expand = expand,
    .impls = impls,
    .flops = flops,
};
