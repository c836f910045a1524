/* matmul_integer: product of matrices of 8-bit integers less their zero points, summed in i32. */
#include <inttypes.h>

#include "ops/impls.h"
#include "ops/integer.h"

enum { TRANS_A, TRANS_B };
static const tern__attr_decl attrs[] = {
    {.name = "trans_a", .type = TERN_ATTR_INT},
    {.name = "trans_b", .type = TERN_ATTR_INT},
};

/* Extents and steps through both operands. */
typedef struct product {
    int64_t m, n, k;
    int64_t row_a, step_a, col_b, step_b;
} product;

static product read_product(const tern__node *n, const tern_shape *a, const tern_shape *b)
{
    const bool ta = tern__attr_int(n, TRANS_A) != 0, tb = tern__attr_int(n, TRANS_B) != 0;
    product p = {.m = a->dim[ta], .k = a->dim[!ta], .n = b->dim[!tb]};
    p.row_a = ta ? 1 : p.k;
    p.step_a = ta ? p.m : 1;
    p.col_b = tb ? p.k : 1;
    p.step_b = tb ? 1 : p.n;
    return p;
}

static tern_status infer(const tern__node *n, const tern__type *in, tern__type *out)
{
    TERN_TRY(tern__need_integers(n, in));
    TERN_TRY(tern__need_rank(n, in, 0, 2, 2));
    TERN_TRY(tern__need_rank(n, in, 1, 2, 2));
    const product p = read_product(n, &in[0].shape, &in[1].shape);
    const int64_t k = in[1].shape.dim[tern__attr_int(n, TRANS_B) != 0];
    if (k != p.k)
        return tern__fail(TERN_E_SHAPE, "matmul_integer: %" PRId64 " columns meet %" PRId64 " rows", p.k, k);
    TERN_TRY(tern__need_zero_points(n, in, p.n));
    out[0] = tern__plain(TERN_I32, &(tern_shape){.rank = 2, .dim = {p.m, p.n}});
    return TERN_OK;
}

static tern_status ref(const tern__node *n, const tern__array *in, const tern__array *out)
{
    const product p = read_product(n, &in[0].type.shape, &in[1].type.shape);
    const bool by_column = tern__elems(&in[3].type.shape) > 1;
    const int64_t a_zero = tern__array_get_int(&in[2], 0);
    for (int64_t i = 0; i < p.m; i++)
        for (int64_t j = 0; j < p.n; j++) {
            const int64_t b_zero = tern__array_get_int(&in[3], by_column ? j : 0);
            int64_t acc = 0;
            for (int64_t k = 0; k < p.k; k++)
                acc += (tern__array_get_int(&in[0], i * p.row_a + k * p.step_a) - a_zero) * (tern__array_get_int(&in[1], j * p.col_b + k * p.step_b) - b_zero);
            tern__array_set_int(&out[0], i * p.n + j, acc);
        }
    return TERN_OK;
}

static int64_t flops(const tern__node *n, const tern__type *in, const tern__type *out)
{
    (void)out;
    const product p = read_product(n, &in[0].shape, &in[1].shape);
    return 2 * p.m * p.n * p.k;
}

static const tern__impl *const impls[] = {&tern__impl_matmul_dot8_cpu, &tern__impl_matmul_int8_cpu, &tern__impl_matmul_dot8_simt,
                                         &tern__impl_matmul_integer_simt, NULL};

TERN_OP(matmul_integer) = {
    .name = "matmul_integer",
    .doc = "y = (a - a_zero) (b - b_zero) in i32, of matrices of 8-bit integers; trans_a and trans_b exchange the axes of a and b first; b_zero is [1] or "
           "has one for each column",
    .onnx = NULL,
    .trait = TERN__CONTRACTION,
    .min_in = 4,
    .max_in = 4,
    .n_out = 1,
    .attrs = attrs,
    .n_attrs = TERN_COUNT(attrs),
    .infer = infer,
    .ref = ref,
    .impls = impls,
    .flops = flops,
};
