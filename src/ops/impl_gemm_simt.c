/* Contractions for devices of many light items: matmul, and convolutions and their gradients as products gathered on the fly. */
#include <stdio.h>
#include <string.h>

#include "ops/impl_cpu.h"
#include "ops/impl_simt.h"
#include "ops/spatial.h"
#include "program/probe.h"

enum {
    USUAL_TILE_K = 16, /* depth of a slice in local memory */
    DOT8_TILE_K = 32,  /* the same of bytes, for dot products */
    MIN_SPLIT_K = 128, /* the least worth a group of its own */
};

/* What gemm_simt.cl computes: C[batch][m][n] = sum over k of A[batch][m][k] B[batch][k][n]. */
struct product {
    int64_t batch, m, n, k;
    tern__simt_view a, b, c;
    tern__simt_view a_zero, b_zero; /* what is taken off each element of an operand of 8-bit integers */
    bool integer;                   /* there are such, and the result is i32 */
    bool dot8;                      /* by gemm_dot8_simt.cl */
    bool a_k_fast, b_n_fast;
    /* B is an image under a moving window. */
    const tern__spatial *gather;
    bool transposed; /* B is the window's output side */
    bool pixel_is_k; /* else n counts the pixels and k the taps */
    const int64_t *pixels, *extent;
    int64_t channels; /* of B in one group */
};

/* How the result is cut up. */
struct tiling {
    int items_m, items_n, per_m, per_n, tile_k;
    int stages;    /* slices of each operand in local memory */
    int64_t tiles; /* of all batches */
    int splits;
    int64_t split_k;
};

enum { ITEMS_M, ITEMS_N, PER_M, PER_N, TILE_K, SPLITS, STAGES };

static int64_t volume(const int64_t e[3])
{
    return e[0] * e[1] * e[2];
}

/* --- Tiling --- */

static int results_per_item(int64_t extent, int items)
{
    return extent > 2 * items ? 4 : extent > items ? 2 : 1;
}

static size_t local_bytes(const struct tiling *t, size_t elem)
{
    return (size_t)(t->stages * t->tile_k) * (size_t)(t->items_m * t->per_m + t->items_n * t->per_n + 8) * elem;
}

static void count_tiles(const struct product *p, struct tiling *t)
{
    t->tiles = p->batch * tern__div_up(p->m, t->items_m * t->per_m) * tern__div_up(p->n, t->items_n * t->per_n);
}

/* A square of items, as large as a group may be but no more than 16 a side; long where the result is narrow. */
static void choose_items(const struct product *p, const tern_device_info *d, struct tiling *t)
{
    int side = 1;
    while (side < 16 && 4 * side * side <= (int)TERN_MIN(d->max_work_group, 256u))
        side *= 2;
    const int narrow = TERN_MAX(side / 4, 1);
    t->items_m = t->items_n = side;
    if (p->m <= narrow) {
        t->items_m = narrow;
        t->items_n = side * side / narrow;
    } else if (p->n <= narrow) {
        t->items_m = side * side / narrow;
        t->items_n = narrow;
    }
}

/* What was chosen by measurement, as far as a group and its local memory go; per_m and per_n are cut after this where memory ends. No GPU has groups of more
 * than 1024, and drivers for CPUs that allow some keep all their items' registers on a thread's stack, which ends. */
static void take_params(const tern__lower *l, const tern_device_info *d, struct tiling *t)
{
    const int most = (int)TERN_MIN(TERN_MAX(d->max_work_group, 1u), 1024u);
    t->items_m = (int)tern__lower_param(l, ITEMS_M, t->items_m, 1, most);
    t->items_n = (int)tern__lower_param(l, ITEMS_N, t->items_n, 1, TERN_MAX(most / t->items_m, 1));
    t->per_m = (int)tern__lower_param(l, PER_M, t->per_m, 1, 8);
    t->per_n = (int)tern__lower_param(l, PER_N, t->per_n, 1, 8);
    t->tile_k = (int)tern__lower_param(l, TILE_K, t->tile_k, 4, 32);
}

/* A second slice of each operand where there is room for it: the next is on its way while one is multiplied. */
static void choose_stages(const tern__lower *l, size_t elem, struct tiling *t)
{
    t->stages = 2;
    const int most = local_bytes(t, elem) <= tern__lower_device(l)->local_mem_bytes ? 2 : 1;
    t->stages = (int)tern__lower_param(l, STAGES, most, 1, most);
}

/* Big tiles read least; smaller ones where too few would leave compute units idle. What is still too few is split along k, a
 * fixed number of ways, so that results do not change from run to run. */
static void choose_tiling(const tern__lower *l, const struct product *p, size_t elem, struct tiling *t)
{
    const tern_device_info *d = tern__lower_device(l);
    const int64_t wanted = 2 * (int64_t)TERN_MAX(d->compute_units, 1u);
    t->tile_k = p->dot8 ? DOT8_TILE_K : USUAL_TILE_K;
    t->stages = 1;
    choose_items(p, d, t);
    t->per_m = t->per_n = 8;
    count_tiles(p, t);
    if (elem > 4 || t->tiles < wanted || p->m <= 4 * t->items_m || p->n <= 4 * t->items_n || local_bytes(t, elem) > d->local_mem_bytes) {
        t->per_m = results_per_item(p->m, t->items_m);
        t->per_n = results_per_item(p->n, t->items_n);
    }
    take_params(l, d, t);
    while (local_bytes(t, elem) > d->local_mem_bytes && t->per_m * t->per_n > 1) {
        t->per_m = TERN_MAX(t->per_m / 2, 1);
        t->per_n = TERN_MAX(t->per_n / 2, 1);
    }
    choose_stages(l, elem, t);
    count_tiles(p, t);
    t->splits = (int)TERN_MAX(TERN_MIN(wanted / t->tiles, p->k / MIN_SPLIT_K), 1);
    t->splits = (int)tern__lower_param(l, SPLITS, t->splits, 1, TERN_MAX(p->k / t->tile_k, 1));
    t->split_k = TERN_MAX(tern__div_up(tern__div_up(p->k, t->splits), t->tile_k) * t->tile_k, t->tile_k);
    t->splits = (int)TERN_MAX(tern__div_up(p->k, t->split_k), 1);
}

/* --- Kernels --- */

static void define_number(tern__kern *k, const char *name, int64_t x)
{
    tern__kern_define(k, name, "%lld", (long long)x);
}

static void define_axes(tern__kern *k, const char *name, const int64_t x[3])
{
    for (int i = 0; i < 3; i++) {
        char full[32];
        snprintf(full, sizeof full, "%s_%d", name, i);
        define_number(k, full, x[i]);
    }
}

static void define_gather(tern__kern *k, const struct product *p)
{
    const tern__spatial *s = p->gather;
    define_number(k, "GATHER", s != NULL);
    if (!s)
        return;
    define_number(k, "TRANSPOSED", p->transposed);
    tern__kern_define(k, "PIXEL", "%s", p->pixel_is_k ? "k" : "n");
    tern__kern_define(k, "TAP", "%s", p->pixel_is_k ? "n" : "k");
    define_number(k, "CHANNELS", p->channels);
    define_axes(k, "PIXELS", p->pixels);
    define_axes(k, "EXTENT", p->extent);
    define_axes(k, "TAPS", s->kernel);
    define_axes(k, "STRIDE", s->stride);
    define_axes(k, "DILATION", s->dilation);
    define_axes(k, "PAD", s->pad);
}

/* What both kernels know. */
static void define_sizes(tern__kern *k, const struct product *p, int splits, const char *acc)
{
    tern__kern_define(k, "ACC", "%s", acc);
    define_number(k, "BATCH", p->batch);
    define_number(k, "SIZE_M", p->m);
    define_number(k, "SIZE_N", p->n);
    define_number(k, "SPLITS", splits);
    tern__kern_define(k, "STORE_INDEX", "%s", p->c.index);
}

static void define_tiling(tern__kern *k, const struct product *p, const struct tiling *t, const char *acc, int store_width)
{
    tern__kern_define(k, "ACC4", "%s4", acc);
    define_number(k, "SIZE_K", p->k);
    define_number(k, "ITEMS_M", t->items_m);
    define_number(k, "ITEMS_N", t->items_n);
    define_number(k, "PER_M", t->per_m);
    define_number(k, "PER_N", t->per_n);
    define_number(k, "TILE_K", t->tile_k);
    define_number(k, "STAGES", t->stages);
    define_number(k, "SPLIT_K", t->split_k);
    define_number(k, "A_K_FAST", p->a_k_fast);
    define_number(k, "B_N_FAST", p->b_n_fast);
    define_number(k, "A_WIDTH", p->a.width);
    define_number(k, "B_WIDTH", p->b.width);
    tern__kern_define(k, "A_INDEX", "%s", p->a.index);
    tern__kern_define(k, "B_INDEX", "%s", p->b.index);
    define_number(k, "STORE_WIDTH", store_width);
}

/* Which dot products: by the signs of the operands' bytes, and against a word of 1s. */
static void define_dot8(tern__lower *l, tern__kern *k, const struct product *p)
{
    const char a = tern__lower_type(l, p->a.v)->dtype == TERN_I8 ? 's' : 'u', b = tern__lower_type(l, p->b.v)->dtype == TERN_I8 ? 's' : 'u';
    define_number(k, "DOT8_INSTRUCTIONS", tern__device_dot8(tern__lower_open_device(l)));
    tern__kern_define(k, "DOT8", "DOT8_%c%c", a, b);
    tern__kern_define(k, "SUM_A", "DOT8_%cu", a);
    tern__kern_define(k, "SUM_B", "DOT8_%cu", b);
}

static void load_hook(tern__kern *k, const char *name, const tern__simt_view *v)
{
    tern__kern_load(k, name, v->v, v->axes, v->width == 4 ? v->lane : -1, v->width == 4 ? 1 | 4 : 1);
}

static void store_hook(tern__kern *k, const tern__simt_view *c, int width)
{
    tern__kern_store(k, "store", c->v, c->axes, width == 4 ? c->lane : -1, width == 4 ? 1 | 4 : 1);
}

tern_status tern__simt_sum(tern__lower *l, const tern__simt_view *c, int64_t batch, int64_t m, int64_t n, int splits, const char *acc, int partial)
{
    tern__kern *k = tern__lower_kernel(l, "gemm_simt_sum.cl");
    if (!k)
        return TERN_E_NOMEM;
    define_sizes(k, &(struct product){.batch = batch, .m = m, .n = n, .c = *c}, splits, acc);
    tern__kern_slot(k, partial, false);
    store_hook(k, c, 1);
    const size_t group = TERN_MIN(TERN_MAX(tern__lower_device(l)->max_work_group, 1u), 64u);
    tern__kern_range(k, 1, (size_t[3]){(size_t)TERN_MAX(batch * m * n, 1), 1, 1}, (size_t[3]){group, 1, 1});
    return TERN_OK;
}

/* An empty result still has a kernel, so that its memory is known to the plan; no item gets as far as storing. */
static tern_status lower_nothing(tern__lower *l, const struct product *p)
{
    const int partial = tern__lower_temp(l, 1);
    return partial < 0 ? TERN_E_NOMEM : tern__simt_sum(l, &p->c, 0, 1, 1, 0, tern__reg_type(tern__lower_type(l, p->c.v)->dtype), partial);
}

/* Of a number in local memory. */
static size_t elem_bytes(tern_dtype dtype)
{
    return TERN_MAX(tern_dtype_size(dtype), tern__dtype_is(dtype, TERN__T_FLOAT) ? (size_t)4 : (size_t)1);
}

static void read_tiling(const tern__lower *l, const struct product *p, int32_t *value)
{
    struct tiling t;
    if (p->batch == 0 || p->m == 0 || p->n == 0)
        return;
    choose_tiling(l, p, elem_bytes(tern__lower_type(l, p->c.v)->dtype), &t);
    const int in_force[] = {[ITEMS_M] = t.items_m, [ITEMS_N] = t.items_n, [PER_M] = t.per_m,  [PER_N] = t.per_n,
                            [TILE_K] = t.tile_k,   [SPLITS] = t.splits,   [STAGES] = t.stages};
    for (int i = 0; i < TERN_COUNT(in_force); i++)
        value[i] = in_force[i];
}

static tern_status lower_product(tern__lower *l, const struct product *p)
{
    if (p->batch == 0 || p->m == 0 || p->n == 0)
        return lower_nothing(l, p);
    tern_dtype dtype = tern__lower_type(l, p->c.v)->dtype;
    const char *acc = tern__reg_type(dtype);
    size_t elem = elem_bytes(dtype);
    struct tiling t;
    choose_tiling(l, p, p->dot8 ? 2 : elem, &t); /* bytes, and the sums of rows and columns */
    int partial = -1;
    if (t.splits > 1) {
        partial = tern__lower_temp(l, (size_t)(t.splits * p->batch * p->m * p->n) * elem);
        if (partial < 0)
            return TERN_E_NOMEM;
    }
    tern__kern *k = tern__lower_kernel(l, p->dot8 ? "gemm_dot8_simt.cl" : "gemm_simt.cl");
    if (!k)
        return TERN_E_NOMEM;
    int store_width = partial < 0 && t.per_n >= 4 ? p->c.width : 1;
    define_sizes(k, p, t.splits, acc);
    define_tiling(k, p, &t, acc, store_width);
    define_gather(k, p);
    if (p->dot8)
        define_dot8(l, k, p);
    else if (p->integer)
        define_number(k, "INTEGER", 1);
    if (p->k > 0) {
        load_hook(k, "load_a", &p->a);
        load_hook(k, "load_b", &p->b);
    }
    if (p->k > 0 && p->integer) {
        load_hook(k, "load_a_zero", &p->a_zero);
        load_hook(k, "load_b_zero", &p->b_zero);
        tern__kern_define(k, "A_ZERO_INDEX", "%s", p->a_zero.index);
        tern__kern_define(k, "B_ZERO_INDEX", "%s", p->b_zero.index);
    }
    if (partial >= 0)
        tern__kern_slot(k, partial, true);
    else
        store_hook(k, &p->c, store_width);
    size_t items = (size_t)(t.items_m * t.items_n);
    tern__kern_range(k, 1, (size_t[3]){(size_t)(t.tiles * t.splits) * items, 1, 1}, (size_t[3]){items, 1, 1});
    return partial >= 0 ? tern__simt_sum(l, &p->c, p->batch, p->m, p->n, t.splits, acc, partial) : TERN_OK;
}

tern_status tern__simt_multiply(tern__lower *l, int64_t batch, int64_t m, int64_t n, int64_t k, int a, int b, int c)
{
    struct product p = {.batch = batch, .m = m, .n = n, .k = k, .b_n_fast = true, .a.width = m % 4 ? 1 : 4, .b.width = n % 4 ? 1 : 4};
    struct tiling t;
    choose_tiling(l, &p, sizeof(float), &t);
    t.splits = 1;
    t.split_k = tern__div_up(k, t.tile_k) * t.tile_k;
    tern__kern *kern = tern__lower_kernel(l, "gemm_simt.cl");
    if (!kern)
        return TERN_E_NOMEM;
    define_sizes(kern, &p, t.splits, "float");
    define_tiling(kern, &p, &t, "float", t.per_n >= 4 ? p.b.width : 1);
    define_number(kern, "GATHER", 0);
    define_number(kern, "BUFFERS", 1);
    tern__kern_slot(kern, a, false);
    tern__kern_slot(kern, b, false);
    tern__kern_slot(kern, c, true);
    const size_t items = (size_t)(t.items_m * t.items_n);
    tern__kern_range(kern, 1, (size_t[3]){(size_t)t.tiles * items, 1, 1}, (size_t[3]){items, 1, 1});
    return TERN_OK;
}

/* --- matmul --- */

void tern__simt_batch_text(const tern_shape *s, const tern_shape *out, char *text, size_t size)
{
    int64_t stride = 1, out_stride = 1;
    int lead = out->rank - s->rank;
    size_t len = 0;
    text[0] = '\0';
    for (int d = out->rank - 3; d >= 0; d--) {
        int64_t extent = d >= lead ? s->dim[d - lead] : 1;
        if (extent > 1)
            len += (size_t)snprintf(text + len, size - len, "%sbatch / %lldu %% %lldu * %lldu", len ? " + " : "", (long long)out_stride,
                                    (long long)extent, (long long)stride);
        stride *= extent;
        out_stride *= out->dim[d];
    }
    if (!len)
        snprintf(text, size, "0u");
}

void tern__simt_matrix_view(tern__simt_view *v, tern_value value, const tern_shape *s, const tern_shape *out, const char *row, const char *column)
{
    char batch[TERN__SIMT_TEXT - 64];
    v->v = value;
    if (s->rank == 2) {
        v->axes[0].dims = v->axes[1].dims = 1;
        snprintf(v->index, sizeof v->index, "%s, %s", row, column);
    } else {
        v->axes[0].dims = s->rank - 2;
        v->axes[1].dims = v->axes[2].dims = 1;
        tern__simt_batch_text(s, out, batch, sizeof batch);
        snprintf(v->index, sizeof v->index, "%s, %s, %s", batch, row, column);
    }
    v->lane = s->rank == 2 ? 1 : 2;
    v->width = s->dim[s->rank - 1] % 4 == 0 ? 4 : 1;
    v->axes[v->lane].multiple_of = v->width;
}

static bool flag(const tern__node *n, const char *name)
{
    for (int i = 0; i < n->op->n_attrs; i++)
        if (!strcmp(n->op->attrs[i].name, name))
            return tern__attr_int(n, i) != 0;
    return false;
}

static bool accept_matmul(const tern__lower *l, const tern__node *n, tern__str *why)
{
    for (int i = 0; i < 2; i++)
        if (tern__lower_type(l, n->in[i])->shape.rank < 2) {
            tern__str_addf(why, "operand %d is a vector", i);
            return false;
        }
    return tern__any_accept(l, n, why);
}

static void product_of_matmul(const tern__lower *l, const tern__node *n, struct product *p)
{
    const tern_shape *a = &tern__lower_type(l, n->in[0])->shape, *b = &tern__lower_type(l, n->in[1])->shape;
    const tern_shape *c = &tern__lower_type(l, n->out[0])->shape;
    bool trans_a = flag(n, "trans_a"), trans_b = flag(n, "trans_b");
    *p = (struct product){.a_k_fast = !trans_a, .b_n_fast = !trans_b};
    p->batch = tern__extent(c, 0, c->rank - 2);
    p->m = c->dim[c->rank - 2];
    p->n = c->dim[c->rank - 1];
    p->k = a->dim[a->rank - (trans_a ? 2 : 1)];
    tern__simt_matrix_view(&p->a, n->in[0], a, c, trans_a ? "k" : "m", trans_a ? "m" : "k");
    tern__simt_matrix_view(&p->b, n->in[1], b, c, trans_b ? "n" : "k", trans_b ? "k" : "n");
    tern__simt_matrix_view(&p->c, n->out[0], c, c, "m", "n");
}

static tern_status lower_matmul(tern__lower *l, const tern__node *n)
{
    struct product p;
    product_of_matmul(l, n, &p);
    return lower_product(l, &p);
}

/* A zero point for all, or one for each row or column. */
static void zero_view(const tern__lower *l, tern__simt_view *v, tern_value zero, const char *index)
{
    *v = (tern__simt_view){.v = zero, .width = 1, .axes = {{.dims = 1}}};
    snprintf(v->index, sizeof v->index, "%s", tern__elems(&tern__lower_type(l, zero)->shape) == 1 ? "0u" : index);
}

static void product_of_matmul_integer(const tern__lower *l, const tern__node *n, struct product *p)
{
    const tern_shape *a = &tern__lower_type(l, n->in[0])->shape, *b = &tern__lower_type(l, n->in[1])->shape;
    const tern_shape *c = &tern__lower_type(l, n->out[0])->shape;
    const bool trans_a = flag(n, "trans_a"), trans_b = flag(n, "trans_b");
    *p = (struct product){.integer = true, .a_k_fast = !trans_a, .b_n_fast = !trans_b, .batch = 1, .m = c->dim[0], .n = c->dim[1], .k = a->dim[!trans_a]};
    tern__simt_matrix_view(&p->a, n->in[0], a, c, trans_a ? "k" : "m", trans_a ? "m" : "k");
    tern__simt_matrix_view(&p->b, n->in[1], b, c, trans_b ? "n" : "k", trans_b ? "k" : "n");
    tern__simt_matrix_view(&p->c, n->out[0], c, c, "m", "n");
    zero_view(l, &p->a_zero, n->in[2], "m");
    zero_view(l, &p->b_zero, n->in[3], "n");
    if (tern__elems(&tern__lower_type(l, n->in[3])->shape) > 1 && !trans_b)
        p->b.width = 1; /* neighbours have their own zero points */
}

static tern_status lower_matmul_integer(tern__lower *l, const tern__node *n)
{
    struct product p;
    product_of_matmul_integer(l, n, &p);
    return lower_product(l, &p);
}

static tern_status lower_matmul_dot8(tern__lower *l, const tern__node *n)
{
    struct product p;
    product_of_matmul_integer(l, n, &p);
    p.dot8 = true;
    return lower_product(l, &p);
}

static bool has_products(const struct product *p, tern__str *why)
{
    if (p->batch * p->m * p->n * p->k > 0)
        return true;
    tern__str_add(why, "there is nothing to multiply");
    return false;
}

static bool accept_matmul_dot8(const tern__lower *l, const tern__node *n, tern__str *why)
{
    struct product p;
    product_of_matmul_integer(l, n, &p);
    return has_products(&p, why) && tern__any_accept(l, n, why);
}

static bool pays_dot8(const tern__lower *l, const tern__node *n, tern__str *why)
{
    (void)n;
    if (tern__lower_family(l) == TERN__FAMILY_SIMT && tern__device_dot8(tern__lower_open_device(l)))
        return true;
    tern__str_add(why, "the device has no dot product of bytes");
    return false;
}

static void read_matmul(const tern__lower *l, const tern__node *n, int32_t *value)
{
    struct product p;
    product_of_matmul(l, n, &p);
    read_tiling(l, &p, value);
}

/* --- What can be tuned --- */

static const int16_t sides[] = {4, 8, 16, 32, 64, 0}, results[] = {1, 2, 4, 8, 0}, depths[] = {8, 16, 32, 0}, splits[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 0},
                     stages[] = {1, 2, 0};
#define PARAMS                                                                                                                                   \
    .n = 7, .param = {[ITEMS_M] = {"items_m", "items of a group along the rows", sides},                                                         \
                      [ITEMS_N] = {"items_n", "items of a group along the columns", sides},                                                      \
                      [PER_M] = {"per_m", "rows of an item", results},                                                                           \
                      [PER_N] = {"per_n", "columns of an item", results},                                                                        \
                      [TILE_K] = {"tile_k", "depth of a slice in local memory", depths},                                                         \
                      [SPLITS] = {"splits", "parts that k is cut into", splits},                                                                 \
                      [STAGES] = {"stages", "slices of each operand in local memory", stages}}
static const tern__space matmul_space = {PARAMS, .read = read_matmul};
static const char *const sources[] = {"gemm_simt.cl", "gemm_simt_sum.cl", NULL};

const tern__impl tern__impl_matmul_simt = {.name = "simt_tile", .accept = accept_matmul, .lower = lower_matmul, .space = &matmul_space, .sources = sources};
const tern__impl tern__impl_matmul_dot8_simt = {.name = "simt_dot", .accept = accept_matmul_dot8, .lower = lower_matmul_dot8, .pays = pays_dot8};
const tern__impl tern__impl_matmul_integer_simt = {.name = "simt_tile", .accept = tern__any_accept, .lower = lower_matmul_integer};

/* --- Convolutions ---
 * x [batch, c_in, in...], w [c_out, c_in / group, kernel...], y [batch, c_out, out...]; a product for each group. */

/* The image that B gathers from. */
static void gather_view(struct product *p, tern_value v, const tern__spatial *s)
{
    static const char *const index[] = {"image, channel, i2", "image, channel, i1, i2", "image, channel, i0, i1, i2"};
    p->gather = s;
    p->b.v = v;
    p->b.width = 1;
    for (int i = 0; i < 2 + s->n_dims; i++)
        p->b.axes[i].dims = 1;
    snprintf(p->b.index, sizeof p->b.index, "%s", index[s->n_dims - 1]);
}

/* An image [batch, channels, position...] by pixel (images and positions counted together) and channel of the group. */
static void image_view(tern__simt_view *v, tern_value value, const tern__spatial *s, const int64_t extent[3], int64_t channels,
                       const char *pixel)
{
    const long long positions = TERN_MAX(volume(extent), 1);
    v->v = value;
    v->width = positions % 4 == 0 ? 4 : 1;
    v->lane = 2;
    v->axes[0].dims = v->axes[1].dims = 1;
    v->axes[2] = (tern__hook_axis){.dims = s->n_dims, .multiple_of = v->width};
    snprintf(v->index, sizeof v->index, "%s / %lldu, batch * %lldu + m, %s %% %lldu", pixel, positions, (long long)channels, pixel,
             positions);
}

/* A weight [c_out, c_in / group, kernel...] by output channel of the group (m) and column (input channels and taps counted together). */
static void weight_view(tern__simt_view *v, tern_value value, const tern__spatial *s, const char *column)
{
    v->v = value;
    v->width = s->c_in / s->group * volume(s->kernel) % 4 == 0 ? 4 : 1;
    v->lane = 1;
    v->axes[0].dims = 1;
    v->axes[1] = (tern__hook_axis){.dims = 1 + s->n_dims, .multiple_of = v->width};
    snprintf(v->index, sizeof v->index, "batch * %lldu + m, %s", (long long)(s->c_out / s->group), column);
}

static tern_status geometry(const tern__lower *l, const tern__node *n, tern__spatial *s)
{
    return tern__conv_geometry(n, (const tern__type[]){*tern__lower_type(l, n->in[0]), *tern__lower_type(l, n->in[1])}, s);
}

/* y: rows are output channels, columns are output pixels, k runs over the taps of all input channels. */
static tern_status product_of_conv(const tern__lower *l, const tern__node *n, tern__spatial *s, struct product *p)
{
    TERN_TRY(geometry(l, n, s));
    *p = (struct product){.batch = s->group,
                        .m = s->c_out / s->group,
                        .n = s->batch * volume(s->out),
                        .k = s->c_in / s->group * volume(s->kernel),
                        .a_k_fast = true,
                        .b_n_fast = true,
                        .pixels = s->out,
                        .extent = s->in,
                        .channels = s->c_in / s->group};
    weight_view(&p->a, n->in[1], s, "k");
    gather_view(p, n->in[0], s);
    image_view(&p->c, n->out[0], s, s->out, p->m, "n");
    return TERN_OK;
}

/* The same of 8-bit values less zero points. */
static tern_status product_of_conv_integer(const tern__lower *l, const tern__node *n, tern__spatial *s, struct product *p)
{
    char channel[64];
    TERN_TRY(product_of_conv(l, n, s, p));
    p->integer = true;
    snprintf(channel, sizeof channel, "batch * %lldu + m", (long long)p->m);
    zero_view(l, &p->a_zero, n->in[3], channel);
    zero_view(l, &p->b_zero, n->in[2], "0u");
    return TERN_OK;
}

static tern_status lower_conv_integer(tern__lower *l, const tern__node *n)
{
    tern__spatial s;
    struct product p;
    TERN_TRY(product_of_conv_integer(l, n, &s, &p));
    return lower_product(l, &p);
}

static tern_status lower_conv_dot8(tern__lower *l, const tern__node *n)
{
    tern__spatial s;
    struct product p;
    TERN_TRY(product_of_conv_integer(l, n, &s, &p));
    p.dot8 = true;
    return lower_product(l, &p);
}

static bool accept_conv_dot8(const tern__lower *l, const tern__node *n, tern__str *why)
{
    tern__spatial s;
    struct product p;
    if (product_of_conv_integer(l, n, &s, &p) != TERN_OK) {
        tern__str_add(why, "the operands' shapes do not fit");
        return false;
    }
    return has_products(&p, why) && tern__any_accept(l, n, why);
}

/* dx: rows are input channels, columns are input pixels, k runs over the taps of all output channels. */
static tern_status product_of_conv_grad_input(const tern__lower *l, const tern__node *n, tern__spatial *s, struct product *p)
{
    TERN_TRY(geometry(l, n, s));
    const long long taps = TERN_MAX(volume(s->kernel), 1), c_out = s->c_out / s->group;
    *p = (struct product){.batch = s->group,
                        .m = s->c_in / s->group,
                        .n = s->batch * volume(s->in),
                        .k = c_out * taps,
                        .a_k_fast = taps > 1,
                        .b_n_fast = true,
                        .transposed = true,
                        .pixels = s->in,
                        .extent = s->out,
                        .channels = c_out};
    p->a.v = n->in[1];
    p->a.width = 1;
    p->a.axes[0].dims = p->a.axes[1].dims = 1;
    p->a.axes[2].dims = s->n_dims;
    snprintf(p->a.index, sizeof p->a.index, "batch * %lldu + k / %lldu, m, k %% %lldu", c_out, taps, taps);
    gather_view(p, n->in[0], s);
    image_view(&p->c, n->out[0], s, s->in, p->m, "n");
    return TERN_OK;
}

/* dw: rows are output channels, columns are taps of input channels, k runs over the output pixels of the whole batch. */
static tern_status product_of_conv_grad_weight(const tern__lower *l, const tern__node *n, tern__spatial *s, struct product *p)
{
    TERN_TRY(geometry(l, n, s));
    *p = (struct product){.batch = s->group,
                        .m = s->c_out / s->group,
                        .n = s->c_in / s->group * volume(s->kernel),
                        .k = s->batch * volume(s->out),
                        .a_k_fast = true,
                        .b_n_fast = false,
                        .pixel_is_k = true,
                        .pixels = s->out,
                        .extent = s->in,
                        .channels = s->c_in / s->group};
    image_view(&p->a, n->in[1], s, s->out, p->m, "k");
    gather_view(p, n->in[0], s);
    weight_view(&p->c, n->out[0], s, "n");
    return TERN_OK;
}

/* How each of them is lowered and its numbers read. */
#define CONVOLUTION(NAME)                                                                                                                        \
    static tern_status lower_##NAME(tern__lower *l, const tern__node *n)                                                                         \
    {                                                                                                                                            \
        tern__spatial s;                                                                                                                         \
        struct product p;                                                                                                                        \
        TERN_TRY(product_of_##NAME(l, n, &s, &p));                                                                                               \
        return lower_product(l, &p);                                                                                                             \
    }                                                                                                                                            \
    static void read_##NAME(const tern__lower *l, const tern__node *n, int32_t *value)                                                           \
    {                                                                                                                                            \
        tern__spatial s;                                                                                                                         \
        struct product p;                                                                                                                        \
        if (product_of_##NAME(l, n, &s, &p) == TERN_OK)                                                                                          \
            read_tiling(l, &p, value);                                                                                                           \
    }                                                                                                                                            \
    static const tern__space NAME##_space = {PARAMS, .read = read_##NAME};                                                                       \
    const tern__impl tern__impl_##NAME##_simt = {.name = "simt_tile", .accept = tern__any_accept, .lower = lower_##NAME, .space = &NAME##_space, \
                                                 .sources = sources};
CONVOLUTION(conv)
CONVOLUTION(conv_grad_input)
CONVOLUTION(conv_grad_weight)

const tern__impl tern__impl_conv_dot8_simt = {.name = "simt_dot", .accept = accept_conv_dot8, .lower = lower_conv_dot8, .pays = pays_dot8};
const tern__impl tern__impl_conv_integer_simt = {.name = "simt_tile", .accept = tern__any_accept, .lower = lower_conv_integer};
