/* Golden text of generated kernels: what codegen writes for a handful of graphs on the null device, whose capabilities are fixed.
 * TERN_UPDATE_GOLDEN=1 rewrites tests/golden; a refactor changes none of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <tern/session.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

#define MUST(call)                                                             \
    do {                                                                       \
        tern_status must_st_ = (call);                                         \
        if (must_st_ != TERN_OK)                                               \
            fail_msg("%s: %s", tern_status_name(must_st_), tern_last_error()); \
    } while (0)

static tern_value input(tern_graph *g, const char *name, int rank, int64_t a, int64_t b, int64_t c)
{
    tern_shape s = {.rank = rank, .dim = {a, b, c}};
    return tern_graph_input(g, name, TERN_F32, &s, 0);
}

static void pointwise(tern_graph *g)
{
    tern_value a = input(g, "a", 1, 1000, 0, 0), b = input(g, "b", 1, 1000, 0, 0);
    tern_graph_output(g, "y", tern_graph_op2(g, "mul", tern_graph_op1(g, "relu", tern_graph_op2(g, "add", a, b, NULL), NULL), b, NULL));
}

static void broadcast(tern_graph *g)
{
    tern_value x = input(g, "x", 3, 5, 6, 70), c = input(g, "c", 3, 1, 6, 1), r = input(g, "r", 1, 70, 0, 0);
    tern_graph_output(g, "y", tern_graph_op2(g, "sub", tern_graph_op2(g, "mul", x, c, NULL), r, NULL));
}

static void softmax(tern_graph *g)
{
    tern_graph_output(g, "y", tern_graph_op1(g, "softmax", input(g, "x", 2, 40, 100, 0), NULL));
}

static void columns(tern_graph *g)
{
    int64_t axis = 0;
    tern_value x = input(g, "x", 2, 5000, 32, 0);
    tern_graph_output(g, "y", tern_graph_op1(g, "sqrt", tern_graph_op1(g, "mean", tern_graph_op1(g, "square", x, NULL), TERN_ATTRS(TERN_INTS("axes", &axis, 1))), NULL));
}

static void product(tern_graph *g)
{
    tern_value x = input(g, "x", 2, 64, 48, 0), w = input(g, "w", 2, 48, 32, 0), b = input(g, "b", 1, 32, 0, 0);
    tern_graph_output(g, "y", tern_graph_op1(g, "relu", tern_graph_op2(g, "add", tern_graph_op2(g, "matmul", x, w, NULL), b, NULL), NULL));
}

static void movement(tern_graph *g)
{
    int64_t perm[] = {1, 0}, pads[] = {1, 0, 0, 2};
    tern_value x = input(g, "x", 2, 20, 30, 0), y = input(g, "y", 2, 20, 30, 0);
    tern_value t = tern_graph_op1(g, "transpose", x, TERN_ATTRS(TERN_INTS("perm", perm, 2)));
    tern_value p = tern_graph_op1(g, "pad", t, TERN_ATTRS(TERN_INTS("pads", pads, 4), TERN_FLOAT("value", 0.5)));
    tern_value both[] = {x, y};
    tern_graph_output(g, "p", tern_graph_op1(g, "neg", p, NULL));
    tern_graph_output(g, "c", tern_graph_op1(g, "neg", tern_graph_add(g, "concat", both, 2, TERN_ATTRS(TERN_INT("axis", 1))), NULL));
}

static void update(tern_graph *g)
{
    tern_shape s = {.rank = 1, .dim = {300}};
    tern_tensor *zeros = NULL;
    MUST(tern_tensor_create(TERN_F32, &s, &zeros));
    tern_value p = tern_graph_variable(g, "p", zeros, true), m = tern_graph_variable(g, "m", zeros, false);
    tern_tensor_destroy(zeros);
    tern_value in[] = {p, input(g, "g", 1, 300, 0, 0), m, tern_graph_scalar(g, TERN_F32, 0.1)}, out[2] = {TERN_NONE, TERN_NONE};
    tern_graph_add_n(g, "momentum", in, 4, NULL, out, 2);
    tern_graph_assign(g, p, out[0]);
    tern_graph_assign(g, m, out[1]);
}

static void random_mask(tern_graph *g)
{
    int64_t dims[] = {40, 30};
    tern_value x = input(g, "x", 2, 40, 30, 0), step = input(g, "step", 0, 0, 0, 0);
    tern_value u = tern_graph_op1(g, "random_uniform", step, TERN_ATTRS(TERN_INTS("shape", dims, 2), TERN_INT("seed", 9)));
    tern_graph_output(g, "y", tern_graph_op2(g, "mul", x, u, NULL));
}

static const struct {
    const char *name;
    void (*build)(tern_graph *g);
} graphs[] = {
    {"pointwise", pointwise}, {"broadcast", broadcast}, {"softmax", softmax}, {"columns", columns},
    {"product", product},     {"movement", movement},   {"update", update},   {"random_mask", random_mask},
};

/* What codegen wrote: from each kernel's first line to the next file spliced in. */
static void generated_part(const char *source, tern__str *out)
{
    static const char mine[] = "#line 1 \"g", spliced[] = "#line 1 \"kernels/";
    for (const char *at = strstr(source, mine); at; at = strstr(at + 1, mine)) {
        const char *next = strstr(at + 1, mine), *end = strstr(at, spliced);
        if (!end || (next && next < end))
            end = next;
        tern__str_addn(out, at, end ? (size_t)(end - at) : strlen(at));
    }
}

static char *source_of(const char *device, void (*build)(tern_graph *g), tern__str *part)
{
    tern_device *d = NULL;
    tern_graph *g = NULL;
    tern_session *s = NULL;
    MUST(tern_device_open(&(tern_device_params){.select = device}, &d));
    MUST(tern_graph_create(&g));
    build(g);
    MUST(tern_graph_check(g));
    MUST(tern_session_create(d, g, NULL, &s));
    char *whole = tern__strdup(tern_session_source(s));
    assert_non_null(whole);
    generated_part(whole, part);
    tern_session_destroy(s);
    tern_graph_destroy(g);
    tern_device_close(d);
    return whole;
}

static void compare(const char *path, const tern__str *text)
{
    uint8_t *want = NULL;
    size_t size = 0;
    MUST(tern__file_read(path, 0, &want, &size));
    const char *a = (const char *)want, *b = tern__str_text(text);
    for (int line = 1; *a || *b; line++) {
        size_t na = strcspn(a, "\n"), nb = strcspn(b, "\n");
        if (na != nb || memcmp(a, b, na) != 0)
            fail_msg("%s:%d:\n  golden    %.*s\n  generated %.*s", path, line, (int)na, a, (int)nb, b);
        a += na + (a[na] != 0);
        b += nb + (b[nb] != 0);
    }
    tern__free(want);
}

static void golden(void **state)
{
    (void)state;
    static const char *const devices[] = {"null:cpu", "null:gpu"};
    const char *root = getenv("TERN_SOURCE_DIR");
    for (int d = 0; d < 2; d++)
        for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
            tern__str text = {0}, again = {0}, path = {0};
            char *first = source_of(devices[d], graphs[i].build, &text), *second = source_of(devices[d], graphs[i].build, &again);
            assert_string_equal(first, second); /* equal graphs, equal text */
            assert_true(text.len > 100);
            tern__str_addf(&path, "%s/tests/golden/%s_%s.txt", root ? root : ".", graphs[i].name, devices[d] + 5);
            if (getenv("TERN_UPDATE_GOLDEN")) {
                tern__file_writer w;
                MUST(tern__file_writer_open(&w, tern__str_text(&path), 0644));
                tern__file_writer_put(&w, text.s, text.len);
                MUST(tern__file_writer_close(&w));
            }
            compare(tern__str_text(&path), &text);
            tern__str_finish(&text);
            tern__str_finish(&again);
            tern__str_finish(&path);
            tern__free(first);
            tern__free(second);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
