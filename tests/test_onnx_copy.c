/* Models that keep their own nodes: copies are the same bytes but for weights of other files, which come inside wherever they were. And models
 * that become a graph because inputs are known. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph_help.h"
#include "onnx_build.h"

#include <tern/onnx.h>

#include "base/fault.h"
#include "base/file.h"
#include "onnx/proto.h"

static char folder[256];

static const char *in_folder(const char *name)
{
    static char path[4][512];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static int make_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tern-copy-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(folder) && mkdir(in_folder("there"), 0777) == 0 ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"m.onnx", "w.bin", "copy.onnx", "there/copy.onnx"};
    for (size_t i = 0; i < TERN_COUNT(names); i++)
        unlink(in_folder(names[i]));
    return rmdir(in_folder("there")) == 0 ? rmdir(folder) : -1;
}

/* --- Models --- */

enum { N = 1500 }; /* elements of a weight: more than fit in one byte of length */

static onnx_message outside(const char *name, int64_t n, const char *offset)
{
    const char *const pairs[] = {"location", "w.bin", "offset", offset};
    onnx_message t = onnx_tensor_head(name, ONNX_FLOAT, 1, &n);
    onnx_put_int(&t, 14, 1);
    for (int i = 0; i < 4; i += 2) {
        onnx_message e = {0};
        onnx_put_text(&e, 1, pairs[i]);
        onnx_put_text(&e, 2, pairs[i + 1]);
        onnx_put_message(&t, 13, &e);
    }
    return t;
}

static void add_node(onnx_message *g, const char *op, const char *in, const char *out)
{
    onnx_message n = onnx_node(op, in, out);
    onnx_add(g, &n);
}

/* y = c ? x + w1 + k : x * w2, with weights of the graph, of a branch and of an attribute in another file or inside. */
static void save_branches(bool weights_outside)
{
    static float w[3 * N];
    for (int i = 0; i < 3 * N; i++)
        w[i] = (float)i;
    onnx_message bytes = {0}, g = {0}, then = {0}, other = {0};
    unlink(in_folder("m.onnx")); /* graphs of the one before may still read it */
    unlink(in_folder("w.bin"));
    onnx_raw(&bytes, w, sizeof w);
    onnx_write(&bytes, in_folder("w.bin"));
    const int64_t n = N;
    onnx_message t[3] = {weights_outside ? outside("w1", N, "0") : onnx_tensor("w1", ONNX_FLOAT, 1, &n, w),
                         weights_outside ? outside("w2", N, "6000") : onnx_tensor("w2", ONNX_FLOAT, 1, &n, w + N),
                         weights_outside ? outside("", 1, "12000") : onnx_tensor("", ONNX_FLOAT, 1, &(int64_t){1}, w + 2 * N)};
    onnx_input(&g, "x", ONNX_FLOAT, 1, &n);
    onnx_input(&g, "c", ONNX_BOOL, 0, NULL);
    onnx_initializer(&g, &t[0]);
    onnx_message constant = onnx_node("Constant", "", "k");
    onnx_attr_tensor(&constant, "value", &t[2]);
    onnx_add(&then, &constant);
    add_node(&then, "Add", "x w1", "s");
    add_node(&then, "Add", "s k", "t");
    onnx_output(&then, "t", ONNX_FLOAT);
    onnx_initializer(&other, &t[1]);
    add_node(&other, "Mul", "x w2", "o");
    onnx_output(&other, "o", ONNX_FLOAT);
    onnx_message node = onnx_node("If", "c", "y");
    onnx_put_text(&node, 6, "a node's documentation");
    onnx_attr_graph(&node, "then_branch", &then);
    onnx_attr_graph(&node, "else_branch", &other);
    onnx_add(&g, &node);
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_save(&g, 17, in_folder("m.onnx"));
}

static tern_tensor *truth(bool x)
{
    tern_tensor *t = NULL;
    assert_ok(tern_tensor_create(TERN_BOOL, &(tern_shape){0}, &t));
    *(uint8_t *)tern_tensor_data(t) = x;
    return t;
}

/* The model as a graph, where c is known. */
static tern_graph *with_condition(const char *path, bool c)
{
    tern_onnx *m = NULL;
    tern_graph *g = NULL;
    tern_onnx_value known[2] = {{0}, {.kind = TERN_ONNX_TENSOR, .tensor = truth(c)}};
    assert_ok(tern_onnx_load(path, &m));
    assert_ok(tern_onnx_graph(m, &(tern_onnx_graph_params){.known = known}, &g));
    tern_onnx_destroy(m);
    tern_tensor_destroy(known[1].tensor);
    assert_int_equal(tern_graph_n_inputs(g), 1);
    assert_string_equal(tern_graph_input_name(g, 0), "x");
    return g;
}

static void copy_to(const char *path)
{
    tern_onnx *m = NULL;
    assert_ok(tern_onnx_load(in_folder("m.onnx"), &m));
    assert_ok(tern_onnx_copy(m, path));
    tern_onnx_destroy(m);
}

/* --- Tests --- */

static void without_other_files_it_is_the_same_bytes(void **state)
{
    (void)state;
    uint8_t *a = NULL, *b = NULL;
    size_t n_a, n_b;
    save_branches(false);
    copy_to(in_folder("copy.onnx"));
    assert_ok(tern__file_read(in_folder("m.onnx"), 0, &a, &n_a));
    assert_ok(tern__file_read(in_folder("copy.onnx"), 0, &b, &n_b));
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    tern__free(a);
    tern__free(b);
    copy_to(in_folder("m.onnx")); /* over itself */
    assert_ok(tern__file_read(in_folder("m.onnx"), 0, &a, &n_a));
    assert_int_equal(n_a, n_b);
    tern__free(a);
}

static void weights_come_inside(void **state)
{
    (void)state;
    save_branches(false);
    tern_graph *want[2] = {with_condition(in_folder("m.onnx"), false), with_condition(in_folder("m.onnx"), true)};
    save_branches(true);
    copy_to(in_folder("there/copy.onnx")); /* where no w.bin is */
    for (int c = 0; c < 2; c++) {
        tern_graph *g = with_condition(in_folder("there/copy.onnx"), c);
        assert_same_results(want[c], g, 0);
        tern_graph_destroy(g);
        tern_graph_destroy(want[c]);
    }
    struct stat st;
    assert_int_equal(stat(in_folder("there/copy.onnx"), &st), 0);
    assert_true(st.st_size > (2 * N + 1) * 4 && st.st_size < (2 * N + 1) * 4 + 600);
}

static void unknown_conditions_are_dynamic(void **state)
{
    (void)state;
    tern_onnx *m = NULL;
    tern_graph *g = NULL;
    save_branches(false);
    assert_ok(tern_onnx_load(in_folder("m.onnx"), &m));
    assert_fails(tern_onnx_graph(m, NULL, &g), TERN_E_DYNAMIC, "only a run knows");
    tern_onnx_value known[2] = {{0}, {0}};
    assert_fails(tern_onnx_graph(m, &(tern_onnx_graph_params){.known = known}, &g), TERN_E_DYNAMIC, "only a run knows");
    known[0] = (tern_onnx_value){.kind = TERN_ONNX_TENSOR, .tensor = truth(true)};
    assert_fails(tern_onnx_graph(m, &(tern_onnx_graph_params){.known = known}, &g), TERN_E_DTYPE, "input \"x\" is bool, the model wants f32");
    tern_tensor_destroy(known[0].tensor);
    assert_ok(tern_tensor_create(TERN_F32, &(tern_shape){1, {N + 1}}, &known[0].tensor));
    assert_fails(tern_onnx_graph(m, &(tern_onnx_graph_params){.known = known}, &g), TERN_E_SHAPE, "extent 1501 along axis 0");
    tern_tensor_destroy(known[0].tensor);
    known[0].kind = TERN_ONNX_SEQUENCE;
    assert_fails(tern_onnx_graph(m, &(tern_onnx_graph_params){.known = known}, &g), TERN_E_INVALID, "wants a tensor");
    assert_null(g);
    tern_onnx_destroy(m);
}

static void missing_weights_are_no_copy(void **state)
{
    (void)state;
    tern_onnx *m = NULL;
    save_branches(true);
    unlink(in_folder("copy.onnx"));
    assert_ok(tern_onnx_load(in_folder("m.onnx"), &m));
    unlink(in_folder("w.bin"));
    assert_fails(tern_onnx_copy(m, in_folder("copy.onnx")), TERN_E_NOT_FOUND, "w.bin");
    assert_fails(tern_onnx_copy(m, NULL), TERN_E_INVALID, "no path");
    assert_fails(tern_onnx_copy(NULL, in_folder("copy.onnx")), TERN_E_INVALID, "no model");
    assert_int_equal(access(in_folder("copy.onnx"), F_OK), -1);
    tern_onnx_destroy(m);
}

static void faults_leave_nothing(void **state)
{
    (void)state;
    static const tern__fault_kind kinds[] = {TERN__FAULT_ALLOC, TERN__FAULT_FILE};
    tern_onnx *m = NULL;
    save_branches(true);
    assert_ok(tern_onnx_load(in_folder("m.onnx"), &m));
    for (int turn = 0; turn < 4; turn++) {
        const tern__fault_kind kind = kinds[turn / 2];
        for (long nth = 1;; nth++) {
            unlink(in_folder("copy.onnx"));
            tern__fault_arm(kind, nth, turn % 2);
            tern_status st = tern_onnx_copy(m, in_folder("copy.onnx"));
            const bool hit = tern__fault_count(kind) >= nth;
            tern__fault_arm(kind, 0, false);
            if (!hit) {
                assert_ok(st);
                break;
            }
            if (st != TERN_OK)
                assert_int_equal(access(in_folder("copy.onnx"), F_OK), -1);
        }
    }
    tern_onnx_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_other_files_it_is_the_same_bytes), cmocka_unit_test(weights_come_inside),
        cmocka_unit_test(unknown_conditions_are_dynamic), cmocka_unit_test(missing_weights_are_no_copy), cmocka_unit_test(faults_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
