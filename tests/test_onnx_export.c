/* Graphs written as ONNX models and read again: every op, in every element type, gives the same numbers; names, free extents, weights beside the
 * model, what cannot be said, and memory and files that fail on the way.
 *
 * With TERN_TEST_KEEP=FOLDER the models of the ops stay there with their inputs and outputs, for `tools/onnx_check.py --as-is FOLDER`. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph_help.h"

#include <tern/onnx.h>

#include "base/fault.h"
#include "base/file.h"
#include "certify/case.h"
#include "onnx/export.h"
#include "onnx/proto.h"

static char folder[256];

static const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "/dev/shm/tern-export-XXXXXX"); /* every model is synced, which a disk takes its time for */
    if (mkdtemp(folder))
        return 0;
    snprintf(folder, sizeof folder, "%s/tern-export-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"m.onnx", "m.onnx.data"};
    for (size_t i = 0; i < TERN_COUNT(names); i++)
        unlink(in_folder(names[i]));
    return rmdir(folder);
}

static tern_graph *read_back(const char *path, const tern_onnx_graph_params *p)
{
    tern_onnx *m = NULL;
    tern_graph *g = NULL;
    assert_ok(tern_onnx_load(path, &m));
    tern_status st = tern_onnx_graph(m, p, &g);
    if (st != TERN_OK)
        fail_msg("%s", tern_last_error());
    assert_ok(tern__graph_verify(g));
    tern_onnx_destroy(m);
    return g;
}

static tern_graph *through_onnx(const tern_graph *g)
{
    assert_ok(tern_onnx_save(g, in_folder("m.onnx")));
    return read_back(in_folder("m.onnx"), &(tern_onnx_graph_params){.variables = true});
}

/* --- Every op --- */

/* Several roundings in one may fall on either side: what a result in this type may differ by, relative to 1 + |x|. */
static double tolerance(tern_dtype t)
{
    switch (t) {
    case TERN_F64:
        return 1e-6; /* attributes are f32 in ONNX */
    case TERN_F32:
        return 2e-5;
    case TERN_F16:
        return 4e-3;
    case TERN_BF16:
        return 3e-2;
    default:
        return 0;
    }
}

static bool is_random(const tern__op *op)
{
    return !strcmp(op->name, "dropout") || !strncmp(op->name, "random_", 7);
}

/* ONNX pools no 64-bit integers, and no type that it does pool holds them. */
static bool cannot_be_said(const tern__case *c)
{
    return !strcmp(c->op->name, "max_pool") && (c->dtype == TERN_I64 || c->dtype == TERN_U64);
}

static tern_graph *graph_of(const tern__case *c)
{
    tern_graph *g = new_graph();
    tern_value in[TERN__CASE_INPUTS], outs[TERN__CASE_OUTPUTS];
    char name[8];
    for (int i = 0; i < c->n_in; i++) {
        snprintf(name, sizeof name, "in%d", i);
        in[i] = c->in[i].dtype == TERN_DTYPE_COUNT ? TERN_NONE : tern_graph_input(g, name, c->in[i].dtype, &c->in[i].shape, 0);
    }
    tern__case_add(c, g, in, outs);
    for (int i = 0; i < c->n_out; i++) {
        snprintf(name, sizeof name, "out%d", i);
        tern_graph_output(g, name, outs[i]);
    }
    assert_ok(tern_graph_check(g));
    return g;
}

static void keep_tensor(const char *at, const char *what, int i, const tern__array *a)
{
    char path[512], name[16];
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", at, what, i);
    snprintf(name, sizeof name, "%s%d", what[0] == 'i' ? "in" : "out", i);
    tern_tensor *t = tensor_of(a);
    assert_ok(tern_onnx_tensor_save(t, name, path));
    tern_tensor_destroy(t);
}

static void keep(const tern__case *c, int serial, const tern_graph *g, const tern__array *in, const tern__interp *it)
{
    char at[256], path[512];
    const char *under = getenv("TERN_TEST_KEEP");
    if (!under || is_random(c->op))
        return;
    snprintf(at, sizeof at, "%s/%s_%s_%d", under, c->op->name, tern_dtype_name(c->dtype), serial);
    snprintf(path, sizeof path, "%s/test_data_set_0", at);
    assert_ok(tern__dir_create(path, 0777));
    snprintf(path, sizeof path, "%s/model.onnx", at);
    assert_ok(tern_onnx_save(g, path));
    for (int i = 0; i < g->n_inputs; i++)
        keep_tensor(at, "input", i, &in[i]);
    for (int i = 0; i < g->n_outputs; i++)
        keep_tensor(at, "output", i, tern__interp_output(it, i));
}

static void compare_case(const tern__case *c, const tern__interp *a, const tern__interp *b)
{
    for (int k = 0; k < a->g->n_outputs; k++) {
        const tern__array *x = tern__interp_output(a, k), *y = tern__interp_output(b, k);
        assert_int_equal(x->type.dtype, y->type.dtype);
        assert_true(tern__shape_equal(&x->type.shape, &y->type.shape));
        const double most = TERN_MAX(tolerance(x->type.dtype), tern__case_tolerance(c, x->type.dtype));
        for (int64_t i = 0; i < tern__elems(&x->type.shape); i++) {
            const double p = tern__array_get(x, i), q = tern__array_get(y, i);
            if (!(fabs(p - q) <= most * (1 + fabs(p))) && !(isnan(p) && isnan(q)) && p != q)
                fail_msg("%s %s: output %d, element %d: %.9g came back as %.9g", c->op->name, c->text, k, (int)i, p, q);
        }
    }
}

static void check_case(const tern__case *c, int serial)
{
    tern_graph *g = graph_of(c), *back = NULL;
    tern__interp a = {0}, b = {0};
    tern__array in[TERN__CASE_INPUTS];
    int n = 0;
    const tern_status st = tern_onnx_save(g, in_folder("m.onnx"));
    if (cannot_be_said(c)) {
        assert_int_equal(st, TERN_E_UNSUPPORTED);
        tern_graph_destroy(g);
        return;
    }
    if (st != TERN_OK)
        fail_msg("%s %s: %s", c->op->name, c->text, tern_last_error());
    back = read_back(in_folder("m.onnx"), NULL);
    for (int i = 0; i < c->n_in; i++) {
        if (c->in[i].dtype == TERN_DTYPE_COUNT)
            continue;
        in[n] = (tern__array){.type = c->in[i], .data = tern__alloc(tern__type_bytes(&c->in[i]))};
        assert_non_null(in[n].data);
        tern__case_fill(c, i, &in[n++]);
    }
    assert_int_equal(back->n_inputs, n);
    assert_ok(tern__interp_init(&a, g));
    assert_ok(tern__interp_init(&b, back));
    assert_ok(tern__interp_run(&a, in));
    assert_ok(tern__interp_run(&b, in));
    if (!is_random(c->op))
        compare_case(c, &a, &b);
    keep(c, serial, g, in, &a);
    tern__interp_finish(&a);
    tern__interp_finish(&b);
    for (int i = 0; i < n; i++)
        tern__free(in[i].data);
    tern_graph_destroy(back);
    tern_graph_destroy(g);
}

static void check_dtype(tern_dtype t)
{
    int n_ops, n;
    const tern__op *const *ops = tern__op_all(&n_ops);
    for (int i = 0; i < n_ops; i++) {
        tern__case *cases = NULL;
        assert_ok(tern__cases(ops[i], t, t != TERN_F32, &cases, &n));
        for (int k = 0; k < n; k++)
            check_case(&cases[k], k);
        tern__free(cases);
    }
}

#define DTYPE_TEST(name, t)                \
    static void test_ops_##name(void **state) \
    {                                      \
        (void)state;                       \
        check_dtype(t);                    \
    }
DTYPE_TEST(f32, TERN_F32)
DTYPE_TEST(f16, TERN_F16)
DTYPE_TEST(bf16, TERN_BF16)
DTYPE_TEST(f64, TERN_F64)
DTYPE_TEST(i8, TERN_I8)
DTYPE_TEST(i16, TERN_I16)
DTYPE_TEST(i32, TERN_I32)
DTYPE_TEST(i64, TERN_I64)
DTYPE_TEST(u8, TERN_U8)
DTYPE_TEST(u16, TERN_U16)
DTYPE_TEST(u32, TERN_U32)
DTYPE_TEST(u64, TERN_U64)
DTYPE_TEST(bool, TERN_BOOL)

/* --- Names and shapes --- */

/* x [N, 3] with N free -> two layers with their variables, an inner value that is a result too, and an input that passes through. */
static tern_graph *small_net(int64_t n)
{
    tern_graph *g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(n, 3), 1), w = random_variable(g, "net/0/weight", TERN_F32, SHAPE(4, 3), 1);
    tern_value b = random_variable(g, "net/0/bias", TERN_F32, SHAPE(4), 2), v = random_variable(g, "MatMul_1", TERN_F32, SHAPE(4, 2), 3);
    tern_value h = tern_graph_op2(g, "matmul", x, w, TERN_ATTRS(TERN_INT("trans_b", 1)));
    h = tern_graph_op1(g, "gelu", tern_graph_op2(g, "add", h, b, NULL), NULL);
    tern_value y = tern_graph_op1(g, "softmax", tern_graph_op2(g, "matmul", h, v, NULL), NULL);
    tern_graph_output(g, "hidden", h);
    tern_graph_output(g, "y", y);
    tern_graph_output(g, "again", y);
    tern_graph_output(g, "x", x);
    tern_graph_output(g, "weight out", w);
    (void)random_variable(g, "unused", TERN_F32, SHAPE(2), 4);
    assert_ok(tern_graph_check(g));
    return g;
}

static void test_names(void **state)
{
    (void)state;
    tern_graph *g = small_net(5), *back = NULL;
    tern_onnx *m = NULL;
    tern_onnx_info info;
    tern_value v;
    assert_ok(tern_onnx_save(g, in_folder("m.onnx")));
    assert_ok(tern_onnx_load(in_folder("m.onnx"), &m));
    tern_onnx_get_info(m, &info);
    assert_int_equal(info.opset, 17);
    assert_int_equal(info.ir_version, 8);
    assert_string_equal(info.producer, "tern");
    tern_onnx_destroy(m);
    const tern_onnx_graph_params p = {.variables = true, .input_shapes = SHAPE(5, 3)};
    back = read_back(in_folder("m.onnx"), &p);
    assert_ok(tern_graph_find(back, "net/0/weight", &v));
    assert_true(tern__value_at(back, v)->kind == TERN__VALUE_VARIABLE && tern__value_at(back, v)->trainable);
    assert_ok(tern_graph_find(back, "net/0/bias", &v));
    assert_ok(tern_graph_find(back, "MatMul_1", &v));
    assert_int_equal(tern_graph_find(back, "unused", &v), TERN_E_NOT_FOUND);
    assert_int_equal(tern_graph_n_outputs(back), 5);
    static const char *const outputs[] = {"hidden", "y", "again", "x", "weight out"};
    for (int i = 0; i < 5; i++)
        assert_string_equal(tern_graph_output_name(back, i), outputs[i]);
    tern_graph *other = small_net(5);
    other->n_variables = back->n_variables = 0; /* only the results are compared: the model has no "unused" */
    assert_same_results(other, back, 1e-5);
    tern_graph_destroy(other);
    tern_graph_destroy(back);
    tern_graph_destroy(g);
}

static void port_of(tern_onnx *m, int i, bool output, tern_onnx_port *port)
{
    assert_ok(output ? tern_onnx_output(m, i, port) : tern_onnx_input(m, i, port));
}

/* Open extents stay open, and the model works for others. */
static void test_free_extents(void **state)
{
    (void)state;
    tern_graph *g = small_net(5), *seven = small_net(7);
    tern_onnx *m = NULL;
    tern_onnx_port port;
    assert_ok(tern_onnx_save(g, in_folder("m.onnx")));
    assert_ok(tern_onnx_load(in_folder("m.onnx"), &m));
    port_of(m, 0, false, &port);
    assert_int_equal(port.dim[0], -1);
    assert_string_equal(port.dim_name[0], "batch");
    assert_int_equal(port.dim[1], 3);
    port_of(m, 1, true, &port);
    assert_int_equal(port.dim[0], -1);
    assert_string_equal(port.dim_name[0], "batch");
    assert_int_equal(port.dim[1], 2);
    port_of(m, 4, true, &port);
    assert_int_equal(port.dim[0], 4);
    tern_onnx_destroy(m);
    tern_graph *back = read_back(in_folder("m.onnx"), &(tern_onnx_graph_params){.input_shapes = SHAPE(7, 3)});
    seven->n_variables = back->n_variables = 0;
    assert_same_results(seven, back, 1e-5);
    tern_graph_destroy(back);
    tern_graph_destroy(seven);
    tern_graph_destroy(g);
}

/* What depends on an extent is asked of it where ONNX can, else the extent is fixed. */
static void test_extents_in_the_model(void **state)
{
    (void)state;
    for (int fixed = 0; fixed < 2; fixed++) {
        tern_graph *g = new_graph();
        tern_onnx *m = NULL;
        tern_onnx_port port;
        tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(4, 3), 1), y;
        if (fixed) {
            y = tern_graph_op2(g, "add", x, random_constant(g, TERN_F32, SHAPE(4, 1), 1), NULL);
        } else {
            y = tern_graph_op2(g, "expand_as", tern_graph_scalar(g, TERN_F32, 2), x, NULL);
            y = tern_graph_op2(g, "mul", y, tern_graph_op1(g, "size", x, TERN_ATTRS(TERN_INTS("axes", ((int64_t[]){0}), 1), TERN_STRING("dtype", "f32"))), NULL);
            y = tern_graph_op2(g, "reshape_as", tern_graph_op1(g, "flatten", y, TERN_ATTRS(TERN_INT("axis", 0))), x, NULL);
        }
        tern_graph_output(g, "y", y);
        assert_ok(tern_onnx_save(g, in_folder("m.onnx")));
        assert_ok(tern_onnx_load(in_folder("m.onnx"), &m));
        port_of(m, 0, false, &port);
        assert_int_equal(port.dim[0], fixed ? 4 : -1);
        tern_onnx_destroy(m);
        if (!fixed) {
            tern_graph *back = read_back(in_folder("m.onnx"), &(tern_onnx_graph_params){.input_shapes = SHAPE(9, 3)});
            tern__interp it = {0};
            tern__array *in = random_inputs(back, 1);
            assert_ok(tern__interp_init(&it, back));
            assert_ok(tern__interp_run(&it, in));
            assert_int_equal(tern__interp_output(&it, 0)->type.shape.dim[0], 9);
            assert_true(tern__array_get(tern__interp_output(&it, 0), 26) == 18);
            tern__interp_finish(&it);
            free_inputs(back, in);
            tern_graph_destroy(back);
        }
        tern_graph_destroy(g);
    }
}

/* Tern's exact numbers where ONNX leaves them open: dividing by 0, casts beyond a type, shifts by too much. */
static void test_open_semantics(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    tern_value a = tern_graph_input(g, "a", TERN_I32, SHAPE(4), 0), b = tern_graph_input(g, "b", TERN_I32, SHAPE(4), 0);
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(4), 0);
    tern_graph_output(g, "div", tern_graph_op2(g, "div", a, b, NULL));
    tern_graph_output(g, "mod", tern_graph_op2(g, "mod", a, b, NULL));
    tern_graph_output(g, "left", tern_graph_op2(g, "shift_left", a, b, NULL));
    tern_graph_output(g, "right", tern_graph_op2(g, "shift_right", a, b, NULL));
    tern_graph_output(g, "byte", tern_graph_op1(g, "cast", x, TERN_ATTRS(TERN_STRING("to", "u8"))));
    tern_graph_output(g, "word", tern_graph_op1(g, "cast", x, TERN_ATTRS(TERN_STRING("to", "i16"))));
    tern_graph *back = through_onnx(g);
    int32_t ia[] = {-7, 9, -1000, 5}, ib[] = {0, 40, -1, 3};
    float fx[] = {-3.5f, 300, 1e9f, -1e9f};
    const tern__array in[] = {{.type = *tern__type_of(g, a), .data = ia}, {.type = *tern__type_of(g, b), .data = ib}, {.type = *tern__type_of(g, x), .data = fx}};
    tern__interp one = {0}, two = {0};
    assert_ok(tern__interp_init(&one, g));
    assert_ok(tern__interp_init(&two, back));
    assert_ok(tern__interp_run(&one, in));
    assert_ok(tern__interp_run(&two, in));
    for (int k = 0; k < g->n_outputs; k++)
        for (int i = 0; i < 4; i++)
            assert_int_equal(tern__array_get_int(tern__interp_output(&one, k), i), tern__array_get_int(tern__interp_output(&two, k), i));
    tern__interp_finish(&one);
    tern__interp_finish(&two);
    tern_graph_destroy(back);
    tern_graph_destroy(g);
}

/* --- Weights beside the model --- */

static void test_beside(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    struct stat st;
    tern_value x = tern_graph_input(g, "x", TERN_F32, SHAPE(2, 40), 0);
    x = tern_graph_op2(g, "matmul", x, random_variable(g, "a", TERN_F32, SHAPE(40, 50), 1), NULL);
    x = tern_graph_op2(g, "add", x, random_variable(g, "small", TERN_F32, SHAPE(50), 2), NULL);
    x = tern_graph_op2(g, "matmul", x, random_variable(g, "b", TERN_F32, SHAPE(50, 30), 3), NULL);
    tern_graph_output(g, "y", x);
    assert_ok(tern__export_save(g, in_folder("m.onnx"), 10000));
    assert_int_equal(stat(in_folder("m.onnx.data"), &st), 0);
    assert_int_equal(st.st_size, 8192 + 6000); /* the second starts on a page of its own */
    assert_int_equal(stat(in_folder("m.onnx"), &st), 0);
    assert_true(st.st_size < 2000);
    tern_graph *back = read_back(in_folder("m.onnx"), &(tern_onnx_graph_params){.variables = true});
    assert_same_results(g, back, 1e-6);
    tern_graph_destroy(back);
    for (int one = 0; one < 2; one++) { /* what fails leaves nothing behind */
        unlink(in_folder("m.onnx"));
        unlink(in_folder("m.onnx.data"));
        for (long nth = 1;; nth++) {
            tern__fault_arm(TERN__FAULT_FILE, nth, !one);
            tern_status status = tern__export_save(g, in_folder("m.onnx"), 10000);
            const bool hit = tern__fault_count(TERN__FAULT_FILE) >= nth;
            tern__fault_arm(TERN__FAULT_FILE, 0, false);
            if (status == TERN_OK && !hit)
                break;
            if (status != TERN_OK)
                assert_int_equal(access(in_folder("m.onnx"), F_OK), -1);
            unlink(in_folder("m.onnx"));
            unlink(in_folder("m.onnx.data"));
        }
    }
    tern_graph_destroy(g);
}

/* --- Refusals and faults --- */

static void test_refusals(void **state)
{
    (void)state;
    tern_graph *g = new_graph();
    const char *path = in_folder("m.onnx");
    unlink(path);
    assert_fails(tern_onnx_save(NULL, path), TERN_E_INVALID, "graph");
    assert_fails(tern_onnx_save(g, NULL), TERN_E_INVALID, "path");
    assert_fails(tern_onnx_save(g, path), TERN_E_INVALID, "no outputs");
    tern_value v = random_variable(g, "w", TERN_F32, SHAPE(2), 1);
    tern_graph_output(g, "y", v);
    tern_graph_assign(g, v, tern_graph_op2(g, "mul", v, v, NULL));
    assert_fails(tern_onnx_save(g, path), TERN_E_INVALID, "save the inference graph");
    tern_graph_destroy(g);
    g = new_graph();
    tern_graph_output(g, "y", tern_graph_input(g, "caf\xe9", TERN_F32, SHAPE(2), 0));
    assert_fails(tern_onnx_save(g, path), TERN_E_INVALID, "UTF-8");
    tern_graph_destroy(g);
    g = new_graph();
    tern_value x = tern_graph_input(g, "x", TERN_I32, SHAPE(2), 0);
    tern_graph_output(g, "y", tern_graph_op1(g, "clip", x, TERN_ATTRS(TERN_FLOAT("min", 1e12))));
    assert_ok(tern_graph_check(g));
    assert_fails(tern_onnx_save(g, path), TERN_E_UNSUPPORTED, "op \"clip\" (first operand: i32)");
    tern_graph_destroy(g);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_no_memory(void **state)
{
    (void)state;
    tern_graph *g = small_net(2);
    for (long nth = 1;; nth++) {
        tern__fault_arm(TERN__FAULT_ALLOC, nth, nth & 1);
        tern_status st = tern_onnx_save(g, in_folder("m.onnx"));
        const bool hit = tern__fault_count(TERN__FAULT_ALLOC) >= nth;
        tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
        if (!hit) {
            assert_ok(st);
            break;
        }
        if (st != TERN_OK)
            assert_int_equal(st, TERN_E_NOMEM);
        unlink(in_folder("m.onnx"));
    }
    tern_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_f32),  cmocka_unit_test(test_ops_f16), cmocka_unit_test(test_ops_bf16), cmocka_unit_test(test_ops_f64),
        cmocka_unit_test(test_ops_i8),   cmocka_unit_test(test_ops_i16), cmocka_unit_test(test_ops_i32),  cmocka_unit_test(test_ops_i64),
        cmocka_unit_test(test_ops_u8),   cmocka_unit_test(test_ops_u16), cmocka_unit_test(test_ops_u32),  cmocka_unit_test(test_ops_u64),
        cmocka_unit_test(test_ops_bool), cmocka_unit_test(test_names),   cmocka_unit_test(test_free_extents),
        cmocka_unit_test(test_extents_in_the_model), cmocka_unit_test(test_open_semantics), cmocka_unit_test(test_beside),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
