/* Tests of single ONNX operators as rows of text: operator, opset, attributes, inputs and wanted outputs.
 *
 *     {"Add", 6, "broadcast=1 axis=0", "f32[2,3] 1 2 3 4 5 6 | f32[2] 10 20", "f32[2,3] 11 12 13 24 25 26"},
 *
 * Attributes: name=3 (integer), name=0.5 (float: has a point), name='text', name=1,2 or name=1, (integers), the same with points (floats),
 * name:a,b (strings). An input that begins with "=" is a weight of the model, one that is "-" is left off. Inputs are called a, b, c ...,
 * outputs y0, y1 ... A wanted output "-" is not asked for, and "!text" as the only one means that the model is refused in a sentence that has
 * this text. "nan" and "inf" are numbers. */
#ifndef TERN_TESTS_ONNX_ROWS_H
#define TERN_TESTS_ONNX_ROWS_H

#include "onnx_build.h"
#include "session_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <tern/onnx.h>

#include "onnx/proto.h"
#include "ops/common.h"

typedef struct onnx_row {
    const char *op; /* may be "domain:Name" */
    int opset;
    const char *attrs, *in, *out;
} onnx_row;

enum { ONNX_ROW_VALUES = 26, ONNX_ROW_TEXT = 4096 };

/* "f32[2,3] 1 2 3 ..."; a single number stands for all elements. */
static inline tern_tensor *onnx_row_tensor(const char *text)
{
    char name[8] = {0};
    tern_dtype t;
    tern_shape s = {0};
    tern_tensor *out = NULL;
    size_t len = strcspn(text, "[");
    assert_true(len < sizeof name);
    memcpy(name, text, len);
    MUST(tern_dtype_parse(name, &t));
    for (text += len + 1; *text != ']'; text += *text == ',')
        s.dim[s.rank++] = strtoll(text, (char **)&text, 10);
    MUST(tern_tensor_create(t, &s, &out));
    tern__array a = {.type = {.dtype = t, .shape = s}, .data = tern_tensor_data(out)};
    char *end = (char *)text + 1;
    for (int64_t i = 0, n = 0; i < tern__elems(&s); i++) {
        char *from = end;
        double x = strtod(from, &end);
        const long double exact = strtold(from, NULL);
        if (end == from) { /* no more numbers */
            assert_int_equal(n, 1);
            tern__array_copy(&a, i, &a, 0);
            continue;
        }
        n++;
        if (tern__dtype_is(t, TERN__T_FLOAT))
            tern__array_set(&a, i, x);
        else
            tern__array_set_int(&a, i, exact >= 0 ? (int64_t)(uint64_t)exact : (int64_t)exact);
    }
    return out;
}

static inline void onnx_row_attr(onnx_message *node, const char *item)
{
    char name[64] = {0};
    const size_t len = strcspn(item, "=:");
    const char *v = item + len + 1;
    assert_true(len < sizeof name);
    memcpy(name, item, len);
    if (item[len] == ':') {
        char list[256] = {0};
        snprintf(list, sizeof list, "%s", v);
        for (char *c = list; *c; c++)
            *c = *c == ',' ? ' ' : *c;
        onnx_attr_strings(node, name, list);
    } else if (*v == '\'') {
        char word[64] = {0};
        memcpy(word, v + 1, strlen(v) - 2);
        onnx_attr_string(node, name, word);
    } else if (strchr(v, ',') && strchr(v, '.')) {
        float list[32];
        int n = 0;
        for (; *v; v += *v == ',')
            list[n++] = strtof(v, (char **)&v);
        onnx_attr_floats(node, name, n, list);
    } else if (strchr(v, ',')) {
        int64_t list[32];
        int n = 0;
        for (; *v; v += *v == ',')
            list[n++] = strtoll(v, (char **)&v, 10);
        onnx_attr_ints(node, name, n, list);
    } else if (strchr(v, '.')) {
        onnx_attr_float(node, name, strtof(v, NULL));
    } else {
        onnx_attr_int(node, name, strtoll(v, NULL, 10));
    }
}

/* Cuts text at "|" and trims; returns how many pieces there are. */
static inline int onnx_row_split(char *text, char **piece)
{
    int n = 0;
    for (char *save = NULL, *p = strtok_r(text, "|", &save); p; p = strtok_r(NULL, "|", &save)) {
        p += strspn(p, " ");
        assert_true(n < ONNX_ROW_VALUES);
        piece[n++] = p;
    }
    return n;
}

typedef struct onnx_row_run {
    const onnx_row *row;
    char in_text[ONNX_ROW_TEXT], out_text[ONNX_ROW_TEXT];
    char *in[ONNX_ROW_VALUES], *out[ONNX_ROW_VALUES];
    int n_in, n_out;
    tern_onnx_value fed[ONNX_ROW_VALUES]; /* the inputs that are not weights */
    int n_fed;
    bool refused;
    bool known;      /* all inputs are weights, so that the importer itself evaluates what it can, by the references */
} onnx_row_run;

static inline void onnx_row_inputs(onnx_row_run *r, onnx_message *g, char names[64])
{
    for (int i = 0; i < r->n_in; i++) {
        const char name[2] = {(char)('a' + i), 0}, *text = r->in[i];
        const bool given = *text == '=', weight = given || r->known;
        strcat(strcat(names, i ? " " : ""), *text == '-' ? "-" : name);
        if (*text == '-')
            continue;
        tern_tensor *t = onnx_row_tensor(text + given);
        const tern_shape *s = tern_tensor_shape(t);
        const int type = (int)tern__onnx_dtype_number(tern_tensor_dtype(t));
        if (weight) {
            onnx_message m = onnx_tensor(name, type, s->rank, s->dim, tern_tensor_data(t));
            onnx_initializer(g, &m);
            tern_tensor_destroy(t);
        } else {
            onnx_input(g, name, type, s->rank, s->dim);
            r->fed[r->n_fed++] = (tern_onnx_value){.kind = TERN_ONNX_TENSOR, .tensor = t};
        }
    }
}

static inline void onnx_row_save(onnx_row_run *r, const char *path)
{
    char in[64] = "", out[128] = "", attrs[ONNX_ROW_TEXT];
    onnx_message g = {0}, m = {0};
    onnx_row_inputs(r, &g, in);
    for (int i = 0; i < r->n_out; i++) {
        char name[8];
        snprintf(name, sizeof name, *r->out[i] == '-' ? "-" : "y%d", i);
        strcat(strcat(out, i ? " " : ""), name);
        if (*r->out[i] == '-')
            continue;
        const char *bracket = strchr(r->out[i], '[');
        tern_dtype t = TERN_F32;
        char dtype[8] = {0};
        if (bracket && !r->refused) {
            memcpy(dtype, r->out[i], (size_t)(bracket - r->out[i]));
            MUST(tern_dtype_parse(dtype, &t));
        }
        onnx_output(&g, name, (int)tern__onnx_dtype_number(t));
    }
    onnx_message node = onnx_node(r->row->op, in, out);
    snprintf(attrs, sizeof attrs, "%s", r->row->attrs);
    for (char *save = NULL, *p = strtok_r(attrs, " ", &save); p; p = strtok_r(NULL, " ", &save))
        onnx_row_attr(&node, p);
    onnx_add(&g, &node);
    m = onnx_model(&g, r->row->opset);
    onnx_opset(&m, "ai.onnx.preview.training", 1);
    onnx_opset(&m, "ai.onnx.ml", 1);
    onnx_opset(&m, "com.microsoft", 1);
    onnx_write(&m, path);
}

/* Floating point within a few ulps of the type, integers exactly. */
static inline void onnx_row_compare(const onnx_row *row, int i, const tern_onnx_value *got, const char *want_text)
{
    tern_tensor *want = onnx_row_tensor(want_text);
    if (got->kind != TERN_ONNX_TENSOR || tern_tensor_dtype(got->tensor) != tern_tensor_dtype(want) ||
        !tern__shape_equal(tern_tensor_shape(got->tensor), tern_tensor_shape(want)))
        fail_msg("%s %d (%s) of %s: output %d is of another type than %s", row->op, row->opset, row->attrs, row->in, i, want_text);
    const tern_dtype t = tern_tensor_dtype(want);
    const double slack = t == TERN_F64 ? 1e-12 : t == TERN_F16 ? 2e-3 : t == TERN_BF16 ? 1e-2 : 4e-6;
    tern__array a = {.type = {.dtype = t, .shape = *tern_tensor_shape(want)}, .data = tern_tensor_data(got->tensor)}, b = a;
    b.data = tern_tensor_data(want);
    for (int64_t k = 0; k < (int64_t)tern_tensor_elems(want); k++) {
        const double x = tern__array_get(&a, k), y = tern__array_get(&b, k);
        const bool same = tern__dtype_is(t, TERN__T_FLOAT) ? x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= slack * fmax(1, fabs(y))
                                                            : tern__array_get_int(&a, k) == tern__array_get_int(&b, k);
        if (!same)
            fail_msg("%s %d (%s) of %s: element %d of output %d is %.17g, not %.17g", row->op, row->opset, row->attrs, row->in, (int)k, i, x, y);
    }
    tern_tensor_destroy(want);
}

static inline void onnx_row_check(tern_device *d, const onnx_row *row, bool known, const char *path)
{
    static onnx_row_run runs;
    onnx_row_run *r = &runs;
    tern_onnx *m = NULL;
    tern_onnx_session *s = NULL;
    tern_onnx_value got[ONNX_ROW_VALUES] = {{0}};
    *r = (onnx_row_run){.row = row, .refused = *row->out == '!', .known = known};
    snprintf(r->in_text, sizeof r->in_text, "%s", row->in);
    snprintf(r->out_text, sizeof r->out_text, "%s", row->out);
    r->n_in = onnx_row_split(r->in_text, r->in);
    r->n_out = onnx_row_split(r->out_text, r->out);
    onnx_row_save(r, path);
    MUST(tern_onnx_load(path, &m));
    tern_status st = tern_onnx_session_create(d, m, NULL, &s);
    if (st == TERN_OK)
        st = tern_onnx_session_run(s, r->fed, got);
    if (st != TERN_OK && !(r->refused && strstr(tern_last_error(), row->out + 1)))
        fail_msg("%s %d (%s) of %s: %s", row->op, row->opset, row->attrs, row->in, tern_last_error());
    if (st == TERN_OK && r->refused)
        fail_msg("%s %d (%s) of %s: not refused", row->op, row->opset, row->attrs, row->in);
    for (int i = 0, k = 0; i < r->n_out && st == TERN_OK; i++) {
        if (*r->out[i] == '-')
            continue;
        onnx_row_compare(row, i, &got[k], r->out[i]);
        tern_onnx_value_clear(&got[k++]);
    }
    tern_onnx_session_destroy(s);
    tern_onnx_destroy(m);
    for (int i = 0; i < r->n_fed; i++)
        tern_onnx_value_clear(&r->fed[i]);
}

/* All rows. Every third one's inputs come at run time, to kernels of this family; the others' are known, which spares the compiler and asks as much
 * of the importer: kernels have tests of their own. With TERN_FULL set all rows go both ways. */
static inline void onnx_rows_check(const char *family, const onnx_row *rows, size_t n)
{
    char folder[] = "/tmp/tern-onnx-rows-XXXXXX", path[64];
    tern_device *d = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.onnx", folder);
    MUST(tern_device_open(&(tern_device_params){.family = family}, &d));
    const bool full = getenv("TERN_FULL") != NULL;
    for (size_t i = 0; i < n; i++) {
        if (full || i % 3 == 0)
            onnx_row_check(d, &rows[i], false, path);
        if (full || i % 3 != 0)
            onnx_row_check(d, &rows[i], true, path);
    }
    tern_device_close(d);
    unlink(path);
    rmdir(folder);
}

/* A test of a table of rows: on the CPU family's kernels, or on both families'. */
#define ONNX_ROWS_TEST(name, rows)                          \
    static void name(void **state)                          \
    {                                                       \
        (void)state;                                        \
        onnx_rows_check("cpu", rows, TERN_COUNT(rows));     \
    }
#define ONNX_ROWS_TEST_BOTH(name, rows)                     \
    static void name(void **state)                          \
    {                                                       \
        (void)state;                                        \
        onnx_rows_check("cpu", rows, TERN_COUNT(rows));     \
        onnx_rows_check("simt", rows, TERN_COUNT(rows));    \
    }

#endif
