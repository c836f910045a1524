/* ONNX bytes: every encoding of a tensor, external data, test data, and files that are broken or mean harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "onnx_build.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/status.h"
#include "graph/interpret.h"
#include "memory_help.h"
#include "onnx/proto.h"
#include <tern/onnx.h>

static char folder[] = "/tmp/tern-onnx-XXXXXX";

/* A path in the test's folder; each stays valid for 15 further calls. */
static const char *sample_path(const char *name)
{
    static char path[16][100];
    static int turn;
    char *p = path[turn++ % 16];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static int setup(void **state)
{
    (void)state;
    return !mkdtemp(folder) || mkdir(sample_path("m"), 0777);
}

static int teardown(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* A model whose only content is this tensor, as a file; its path. */
static const char *save_tensor(onnx_message *tensor)
{
    onnx_message g = {0};
    onnx_initializer(&g, tensor);
    onnx_save(&g, 17, sample_path("m/t.onnx"));
    return sample_path("m/t.onnx");
}

static tern_status read_first(const char *path, tern__type *type, tern__blob **out)
{
    tern__onnx_file *f = NULL;
    tern_status st = tern__onnx_file_open(path, &f);
    if (st == TERN_OK)
        st = tern__onnx_tensor(f, tern__onnx_file_model(f)->graph->initializer[0], type, out);
    tern__onnx_file_close(f); /* what was borrowed stays */
    return st;
}

/* The tensor, read from a file, has this type, n elements along one axis, and these bytes. */
static void expect(onnx_message *tensor, tern_dtype dtype, int n, const void *bytes)
{
    tern__type type;
    tern__blob *b = NULL;
    if (read_first(save_tensor(tensor), &type, &b) != TERN_OK)
        fail_msg("%s", tern_last_error());
    assert_int_equal(type.dtype, dtype);
    assert_int_equal(type.shape.rank, 1);
    assert_int_equal(type.shape.dim[0], n);
    assert_int_equal(b->size, (size_t)n * tern_dtype_size(dtype));
    assert_memory_equal(b->data, bytes, b->size);
    tern__blob_release(b);
}

/* Reading it fails with st and a sentence that holds the word. */
static void refuse(onnx_message *tensor, tern_status st, const char *word)
{
    tern__type type;
    tern__blob *b = NULL;
    tern_status got = read_first(save_tensor(tensor), &type, &b);
    if (got != st || !strstr(tern_last_error(), word))
        fail_msg("%s, \"%s\" where %s with \"%s\" was due", tern_status_name(got), tern_last_error(), tern_status_name(st), word);
}

/* --- Encodings --------------------------------------------------------------------------------------------------- */

enum { PACKED, ONE_BY_ONE, IN_TWO };

/* Elements of a typed field: as varints, or of width bytes each. */
static onnx_message typed(int elem_type, unsigned field, int width, int n, const uint64_t *v, int way)
{
    onnx_message t = onnx_tensor_head("w", elem_type, 1, &(int64_t){n}), part = {0};
    for (int i = 0; i < n; i++) {
        if (way == ONE_BY_ONE)
            onnx_number(&t, field << 3 | (width == 4 ? 5 : width == 8 ? 1 : 0));
        if (width)
            onnx_raw(way == ONE_BY_ONE ? &t : &part, &v[i], (size_t)width);
        else
            onnx_number(way == ONE_BY_ONE ? &t : &part, v[i]);
        if (way != ONE_BY_ONE && (i == n - 1 || (way == IN_TWO && i == 0)))
            onnx_put_message(&t, field, &part);
    }
    return t;
}

static void test_typed_fields(void **state)
{
    (void)state;
    static const struct {
        int elem_type;
        tern_dtype dtype;
        unsigned field;
        int width;
        uint64_t v[3];
    } cases[] = {
        {ONNX_FLOAT, TERN_F32, 4, 4, {0x3f800000, 0x80000000, 0x7fc00000}},
        {ONNX_DOUBLE, TERN_F64, 10, 8, {0x3ff0000000000000, 1, 0xfff0000000000000}},
        {ONNX_UINT8, TERN_U8, 5, 0, {0, 128, 255}},
        {ONNX_INT8, TERN_I8, 5, 0, {(uint64_t)-128, 127, (uint64_t)-1}},
        {ONNX_UINT16, TERN_U16, 5, 0, {0, 32768, 65535}},
        {ONNX_INT16, TERN_I16, 5, 0, {(uint64_t)-32768, 32767, (uint64_t)-1}},
        {ONNX_INT32, TERN_I32, 5, 0, {(uint64_t)INT32_MIN, INT32_MAX, (uint64_t)-1}},
        {ONNX_INT64, TERN_I64, 7, 0, {(uint64_t)INT64_MIN, INT64_MAX, (uint64_t)-1}},
        {ONNX_BOOL, TERN_BOOL, 5, 0, {1, 0, 1}},
        {ONNX_FLOAT16, TERN_F16, 5, 0, {0x3c00, 0xbc00, 0x7e00}},
        {ONNX_BFLOAT16, TERN_BF16, 5, 0, {0x3f80, 0xbf80, 0x7fc0}},
        {ONNX_UINT32, TERN_U32, 11, 0, {0, 0x80000000, UINT32_MAX}},
        {ONNX_UINT64, TERN_U64, 11, 0, {0, UINT64_MAX, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[24];
        size_t size = tern_dtype_size(cases[i].dtype);
        for (size_t k = 0; k < 3; k++)
            memcpy(bytes + k * size, &cases[i].v[k], size);
        for (int way = PACKED; way <= IN_TWO; way++) {
            onnx_message t = typed(cases[i].elem_type, cases[i].field, cases[i].width, 3, cases[i].v, way);
            expect(&t, cases[i].dtype, 3, bytes);
        }
        onnx_message raw = onnx_tensor("w", cases[i].elem_type, 1, &(int64_t){3}, bytes);
        expect(&raw, cases[i].dtype, 3, bytes);
        onnx_message none = onnx_tensor_head("w", cases[i].elem_type, 1, &(int64_t){0});
        expect(&none, cases[i].dtype, 0, bytes);
        assert_int_equal(tern__onnx_dtype_number(cases[i].dtype), cases[i].elem_type);
    }
}

/* Large ones are left in the file. Who wants them as elements gets a copy of those that are not aligned. */
static void test_borrowed(void **state)
{
    (void)state;
    enum { N = 3000 };
    static float v[N];
    int fit = 0;
    for (int i = 0; i < N; i++)
        v[i] = (float)i * 0.5f;
    for (int shift = 0; shift < 4; shift++) {
        onnx_message t = {0};
        onnx_put_int(&t, 1, N);
        onnx_put_int(&t, 2, ONNX_FLOAT);
        onnx_put_bytes(&t, 8, "wwww", (size_t)shift);
        onnx_put_bytes(&t, 9, v, sizeof v);
        tern__type type;
        tern__blob *b = NULL;
        assert_int_equal(read_first(save_tensor(&t), &type, &b), TERN_OK);
        assert_non_null(b->lender);
        assert_memory_equal(b->data, v, sizeof v);
        fit += tern__blob_elems(b) == b->data;
        assert_int_equal((uintptr_t)tern__blob_elems(b) % 4, 0);
        assert_memory_equal(tern__blob_elems(b), v, sizeof v);
        tern__blob_rest(b);
        tern__blob *again = tern__blob_retain(b);
        tern__blob_release(b);
        assert_memory_equal(again->data, v, sizeof v);
        tern__blob_release(again);
    }
    assert_int_equal(fit, 1);
}

/* Any byte but 0 is true, and Tern's true is 1. */
static void test_bools(void **state)
{
    (void)state;
    static uint8_t v[5000];
    v[7] = 200;
    onnx_message t = onnx_tensor("w", ONNX_BOOL, 1, &(int64_t){5000}, v);
    v[7] = 1;
    expect(&t, TERN_BOOL, 5000, v);
}

static void test_without_a_file(void **state)
{
    (void)state;
    int64_t dims[] = {2, 1}, v[] = {-1, INT64_MAX};
    Onnx__TensorProto p = ONNX__TENSOR_PROTO__INIT;
    p.dims = dims;
    p.n_dims = 2;
    p.has_data_type = 1;
    p.data_type = ONNX_INT64;
    p.int64_data = v;
    p.n_int64_data = 2;
    tern__type type;
    tern__blob *b = NULL;
    assert_int_equal(tern__onnx_tensor(NULL, &p, &type, &b), TERN_OK);
    assert_memory_equal(b->data, v, sizeof v);
    tern__blob_release(b);
    p.n_int64_data = 1;
    assert_int_equal(tern__onnx_tensor(NULL, &p, &type, &b), TERN_E_CORRUPT);
}

static void test_wrong_tensors(void **state)
{
    (void)state;
    static const struct {
        int elem_type;
        unsigned field;
        int width, n;
        uint64_t v;
        tern_status st;
        const char *word;
    } cases[] = {
        {ONNX_UINT8, 5, 0, 1, 256, TERN_E_CORRUPT, "no uint8"},     {ONNX_UINT8, 5, 0, 1, (uint64_t)-1, TERN_E_CORRUPT, "-1"},
        {ONNX_INT8, 5, 0, 1, 128, TERN_E_CORRUPT, "128"},           {ONNX_FLOAT16, 5, 0, 1, 65536, TERN_E_CORRUPT, "65536"},
        {ONNX_UINT32, 11, 0, 1, 1ull << 32, TERN_E_CORRUPT, "no uint32"}, {ONNX_FLOAT, 5, 0, 1, 1, TERN_E_CORRUPT, "other types"},
        {ONNX_INT64, 5, 0, 1, 1, TERN_E_CORRUPT, "other types"},    {ONNX_FLOAT, 4, 8, 1, 1, TERN_E_CORRUPT, "wrong kind"},
        {ONNX_STRING, 6, 0, 1, 1, TERN_E_UNSUPPORTED, "string"},    {ONNX_COMPLEX64, 4, 4, 2, 1, TERN_E_UNSUPPORTED, "complex64"},
        {17, 5, 0, 1, 1, TERN_E_UNSUPPORTED, "float8e4m3fn"},       {22, 5, 0, 1, 1, TERN_E_UNSUPPORTED, "int4"},
        {0, 5, 0, 1, 1, TERN_E_CORRUPT, "not given"},               {99, 5, 0, 1, 1, TERN_E_UNSUPPORTED, "99"},
        {-3, 5, 0, 1, 1, TERN_E_UNSUPPORTED, "-3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t v[2] = {cases[i].v, cases[i].v};
        onnx_message t = typed(cases[i].elem_type, cases[i].field, cases[i].width, cases[i].n, v, ONE_BY_ONE);
        refuse(&t, cases[i].st, cases[i].word);
    }
    onnx_message t = onnx_tensor_head("w", ONNX_FLOAT, 1, &(int64_t){2});
    onnx_put_bytes(&t, 4, "1234567", 7);
    refuse(&t, TERN_E_CORRUPT, "multiple of 4");
    t = onnx_tensor_head("w", ONNX_INT32, 1, &(int64_t){1});
    onnx_put_bytes(&t, 5, "\x01\xff", 2);
    refuse(&t, TERN_E_CORRUPT, "cut off");
    t = onnx_tensor_head("w", ONNX_INT32, 1, &(int64_t){1});
    onnx_put_bytes(&t, 5, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    refuse(&t, TERN_E_CORRUPT, "ten bytes");
    t = onnx_tensor("w", ONNX_FLOAT, 1, &(int64_t){1}, "1234");
    onnx_put_bytes(&t, 4, "1234", 4);
    refuse(&t, TERN_E_CORRUPT, "besides");
    t = onnx_tensor("w", ONNX_FLOAT, 1, &(int64_t){1}, "1234");
    onnx_put_bytes(&t, 3, "\x08\x01", 2);
    refuse(&t, TERN_E_UNSUPPORTED, "segment");
}

static void test_shapes(void **state)
{
    (void)state;
    static const struct {
        int rank;
        int64_t dims[10];
        tern_status st;
        const char *word;
    } cases[] = {
        {1, {-1}, TERN_E_CORRUPT, "dimension 0 is -1"},
        {2, {2, INT64_MIN}, TERN_E_CORRUPT, "dimension 1"},
        {2, {INT64_MAX, INT64_MAX}, TERN_E_CORRUPT, "counted"},
        {2, {INT64_MAX, 2}, TERN_E_CORRUPT, "counted"},
        {1, {INT64_MAX}, TERN_E_CORRUPT, "counted"},
        {3, {INT64_MAX, 0, 4}, TERN_E_CORRUPT, "counted"},
        {1, {INT64_MAX / 8}, TERN_E_CORRUPT, "needs"},
        {1, {2}, TERN_E_CORRUPT, "needs"},
        {10, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, TERN_E_UNSUPPORTED, "10 dimensions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        onnx_message t = onnx_tensor_head("w", ONNX_FLOAT, cases[i].rank, cases[i].dims), u = onnx_tensor_head("w", ONNX_FLOAT, cases[i].rank, cases[i].dims);
        onnx_put_bytes(&t, 9, "1234", 4);
        refuse(&t, cases[i].st, cases[i].word);
        onnx_put_bytes(&u, 4, "1234", 4);
        refuse(&u, cases[i].st, cases[i].word);
    }
}

/* --- Sparse ------------------------------------------------------------------------------------------------------ */

static onnx_message sparse(int n, const float *values, int rank, const int64_t *index_dims, const int64_t *indices, int n_dims, const int64_t *dims)
{
    onnx_message s = {0}, v = onnx_tensor("w", ONNX_FLOAT, 1, &(int64_t){n}, values), i = onnx_tensor("", ONNX_INT64, rank, index_dims, indices);
    onnx_put_message(&s, 1, &v);
    onnx_put_message(&s, 2, &i);
    for (int k = 0; k < n_dims; k++)
        onnx_put_int(&s, 3, dims[k]);
    return s;
}

static tern_status read_sparse(onnx_message *s, tern__type *type, tern__blob **out)
{
    onnx_message g = {0};
    onnx_put_message(&g, 15, s);
    onnx_save(&g, 17, sample_path("s.onnx"));
    tern__onnx_file *f = NULL;
    tern_status st = tern__onnx_file_open(sample_path("s.onnx"), &f);
    if (st == TERN_OK)
        st = tern__onnx_sparse_tensor(f, tern__onnx_file_model(f)->graph->sparse_initializer[0], type, out);
    tern__onnx_file_close(f);
    return st;
}

static void test_sparse(void **state)
{
    (void)state;
    const float values[] = {5, 7}, dense[] = {0, 5, 0, 0, 0, 7};
    tern__type type;
    tern__blob *b = NULL;
    onnx_message s = sparse(2, values, 1, (int64_t[]){2}, (int64_t[]){1, 5}, 2, (int64_t[]){2, 3});
    assert_int_equal(read_sparse(&s, &type, &b), TERN_OK);
    assert_memory_equal(b->data, dense, sizeof dense);
    assert_int_equal(type.shape.rank, 2);
    tern__blob_release(b);
    s = sparse(2, values, 2, (int64_t[]){2, 2}, (int64_t[]){0, 1, 1, 2}, 2, (int64_t[]){2, 3});
    assert_int_equal(read_sparse(&s, &type, &b), TERN_OK);
    assert_memory_equal(b->data, dense, sizeof dense);
    tern__blob_release(b);
    s = sparse(2, values, 1, (int64_t[]){2}, (int64_t[]){1, 6}, 2, (int64_t[]){2, 3});
    assert_int_equal(read_sparse(&s, &type, &b), TERN_E_CORRUPT);
    s = sparse(2, values, 1, (int64_t[]){2}, (int64_t[]){1, -1}, 2, (int64_t[]){2, 3});
    assert_int_equal(read_sparse(&s, &type, &b), TERN_E_CORRUPT);
    s = sparse(2, values, 2, (int64_t[]){2, 2}, (int64_t[]){0, 3, 0, 0}, 2, (int64_t[]){2, 3});
    assert_int_equal(read_sparse(&s, &type, &b), TERN_E_CORRUPT);
    s = sparse(2, values, 2, (int64_t[]){1, 2}, (int64_t[]){0, 1}, 2, (int64_t[]){2, 3});
    assert_int_equal(read_sparse(&s, &type, &b), TERN_E_CORRUPT);
    s = sparse(1, values, 1, (int64_t[]){1}, (int64_t[]){0}, 2, (int64_t[]){1 << 20, 1 << 20});
    assert_int_equal(read_sparse(&s, &type, &b), TERN_E_UNSUPPORTED);
}

/* --- External data ----------------------------------------------------------------------------------------------- */

static onnx_message external(int64_t n, const char *location, const char *offset, const char *length)
{
    const char *const pairs[] = {"location", location, "offset", offset, "length", length};
    onnx_message t = onnx_tensor_head("w", ONNX_FLOAT, 1, &n);
    onnx_put_int(&t, 14, 1);
    for (int i = 0; i < 6; i += 2) {
        onnx_message e = {0};
        onnx_put_text(&e, 1, pairs[i]);
        onnx_put_text(&e, 2, pairs[i + 1] ? pairs[i + 1] : "");
        if (pairs[i + 1])
            onnx_put_message(&t, 13, &e);
        onnx_free(&e);
    }
    return t;
}

static void put_file(const char *path, const void *data, size_t size)
{
    onnx_message m = {0};
    onnx_raw(&m, data, size);
    onnx_write(&m, path);
}

static void test_external(void **state)
{
    (void)state;
    static float v[4096];
    for (int i = 0; i < 4096; i++)
        v[i] = (float)i;
    assert_int_equal(mkdir(sample_path("m/sub"), 0777), 0);
    put_file(sample_path("m/w.bin"), v, sizeof v);
    put_file(sample_path("m/sub/w.bin"), v, sizeof v);
    onnx_message t = external(4096, "w.bin", NULL, NULL);
    expect(&t, TERN_F32, 4096, v);
    t = external(2000, "w.bin", "4096", "8000");
    expect(&t, TERN_F32, 2000, v + 1024);
    t = external(2, "sub/w.bin", "16", NULL);
    expect(&t, TERN_F32, 2, v + 4);
    t = external(2, "./w.bin", "16376", "8");
    expect(&t, TERN_F32, 2, v + 4094);
    t = external(0, "w.bin", "16384", "0");
    expect(&t, TERN_F32, 0, v);
}

static void test_external_tricks(void **state)
{
    (void)state;
    put_file(sample_path("m/x.bin"), "0123456789abcdef", 16);
    put_file(sample_path("outside.bin"), "0123456789abcdef", 16);
    assert_int_equal(mkdir(sample_path("out"), 0777), 0);
    put_file(sample_path("out/o.bin"), "0123456789abcdef", 16);
    assert_int_equal(symlink("../outside.bin", sample_path("m/soft.bin")), 0);
    assert_int_equal(symlink("x.bin", sample_path("m/inner.bin")), 0);
    assert_int_equal(symlink("../out", sample_path("m/dir")), 0);
    assert_int_equal(link(sample_path("outside.bin"), sample_path("m/hard.bin")), 0);
    assert_int_equal(mkfifo(sample_path("m/pipe"), 0666), 0);
    static const struct {
        const char *location, *offset, *length;
        tern_status st;
        const char *word;
    } cases[] = {
        {"../outside.bin", "0", "16", TERN_E_IO, "not a path below"},
        {"sub/../../outside.bin", "0", "16", TERN_E_IO, "not a path below"},
        {"none/x.bin", "0", "16", TERN_E_NOT_FOUND, "none/x.bin"},
        {"/etc/hostname", "0", "16", TERN_E_IO, "not a path below"},
        {"x.bin/..", "0", "16", TERN_E_IO, "link or no folder"},
        {"", "0", "16", TERN_E_IO, "empty"},
        {".", "0", "16", TERN_E_IO, "regular"},
        {"soft.bin", "0", "16", TERN_E_IO, "link"},
        {"inner.bin", "0", "16", TERN_E_IO, "link"},
        {"dir/o.bin", "0", "16", TERN_E_IO, "link"},
        {"hard.bin", "0", "16", TERN_E_IO, "hard link"},
        {"pipe", "0", "16", TERN_E_IO, "regular"},
        {"gone.bin", "0", "16", TERN_E_NOT_FOUND, "gone.bin"},
        {NULL, "0", "16", TERN_E_CORRUPT, "not where"},
        {"x.bin", "4", "16", TERN_E_CORRUPT, "beyond the end"},
        {"x.bin", "18446744073709551615", "16", TERN_E_CORRUPT, "beyond the end"},
        {"x.bin", "18446744073709551616", "16", TERN_E_CORRUPT, "offset"},
        {"x.bin", "-1", "16", TERN_E_CORRUPT, "offset"},
        {"x.bin", "", "16", TERN_E_CORRUPT, "offset"},
        {"x.bin", "0x0", "16", TERN_E_CORRUPT, "offset"},
        {"x.bin", "0", "12", TERN_E_CORRUPT, "12 bytes"},
        {"x.bin", "0", "99999999999999999999", TERN_E_CORRUPT, "length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        onnx_message t = external(4, cases[i].location, cases[i].offset, cases[i].length);
        refuse(&t, cases[i].st, cases[i].word);
    }
    onnx_message t = external(1 << 30, "x.bin", "0", NULL);
    refuse(&t, TERN_E_CORRUPT, "beyond the end");
}

/* --- Models ------------------------------------------------------------------------------------------------------ */

/* Of everything that is read: subgraphs, functions with defaults, tensors in attributes. */
static onnx_message whole_model(void)
{
    onnx_message g = {0}, inner = {0}, n = onnx_node("Relu", "x", "y"), loop = onnx_node("If", "c", "y");
    float big[600];
    for (int i = 0; i < 600; i++)
        big[i] = (float)i;
    onnx_message t = onnx_tensor("t", ONNX_FLOAT, 1, &(int64_t){600}, big);
    onnx_message constant = onnx_node("Constant", "", "k");
    onnx_attr_tensor(&constant, "value", &t);
    onnx_add(&inner, &constant);
    onnx_add(&inner, &n);
    onnx_output(&inner, "y", ONNX_FLOAT);
    onnx_attr_graph(&loop, "then_branch", &inner);
    onnx_attr_string(&loop, "s", "text");
    onnx_attr_ints(&loop, "i", 2, (int64_t[]){-1, 5});
    onnx_add(&g, &loop);
    onnx_input(&g, "x", ONNX_FLOAT, 2, (int64_t[]){-1, 4});
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_weights(&g, "w", 1, (int64_t[]){600}, big);
    onnx_message m = onnx_model(&g, 17), fn = {0}, body = onnx_node("LeakyRelu", "a", "b"), of = {0};
    onnx_put_text(&fn, 1, "F");
    onnx_put_text(&fn, 10, "local");
    onnx_attr_ref(&body, "alpha", 1, "alpha");
    onnx_put_message(&fn, 7, &body);
    onnx_put_float(&of, 2, 0.25f);
    onnx_put_text(&of, 1, "alpha");
    onnx_put_int(&of, 20, 1);
    onnx_put_message(&fn, 11, &of);
    onnx_put_message(&m, 25, &fn);
    return m;
}

static void test_messages(void **state)
{
    (void)state;
    onnx_message m = whole_model();
    tern__onnx_file *f = NULL;
    assert_int_equal(tern__onnx_file_parse(m.data, m.len, NULL, &onnx__model_proto__descriptor, &f), TERN_OK);
    const Onnx__ModelProto *p = tern__onnx_file_model(f);
    const Onnx__NodeProto *n = p->graph->node[0];
    assert_string_equal(n->op_type, "If");
    assert_string_equal(n->name, ""); /* not in the file, and there all the same */
    assert_string_equal(n->domain, "");
    assert_string_equal((const char *)n->attribute[1]->s.data, "text");
    assert_int_equal(n->attribute[2]->n_ints, 2);
    assert_int_equal(n->attribute[2]->ints[0], -1);
    const Onnx__GraphProto *then = n->attribute[0]->g;
    tern__type type;
    tern__blob *b = NULL;
    assert_int_equal(tern__onnx_tensor(f, then->node[0]->attribute[0]->t, &type, &b), TERN_OK);
    assert_true(((const float *)(const void *)b->data)[599] == 599.0f);
    tern__blob_release(b);
    size_t n_defaults = 0;
    const Onnx__AttributeProto *const *defaults = tern__onnx_function_defaults(f, p->functions[0], &n_defaults);
    assert_int_equal(n_defaults, 1);
    assert_string_equal(defaults[0]->name, "alpha");
    assert_true(defaults[0]->f == 0.25f);
    assert_string_equal(p->functions[0]->node[0]->attribute[0]->ref_attr_name, "alpha");
    tern__onnx_file_close(f);
    onnx_free(&m);
}

static tern_status read_all(const uint8_t *data, size_t size, const ProtobufCMessageDescriptor *root)
{
    tern__onnx_file *f = NULL;
    tern_status st = tern__onnx_file_parse(data, size, NULL, root, &f);
    if (st == TERN_OK && root == &onnx__model_proto__descriptor) {
        const Onnx__GraphProto *g = tern__onnx_file_model(f)->graph;
        for (size_t i = 0; i < g->n_initializer; i++) {
            tern__type type;
            tern__blob *b = NULL;
            tern_status each = tern__onnx_tensor(f, g->initializer[i], &type, &b);
            if (each == TERN_OK)
                tern__blob_release(b);
            else
                st = each;
        }
    }
    tern__onnx_file_close(f);
    return st;
}

/* Every prefix: refused with a sentence, or a model that ends where a field does. */
static void test_cut_short(void **state)
{
    (void)state;
    onnx_message m = whole_model();
    for (size_t n = 0; n < m.len; n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, m.data, n);
        tern__fail(TERN_OK, "stale");
        if (read_all(copy, n, &onnx__model_proto__descriptor) != TERN_OK)
            assert_string_not_equal(tern_last_error(), "stale");
        free(copy);
    }
    assert_int_equal(read_all(m.data, m.len, &onnx__model_proto__descriptor), TERN_OK);
    onnx_free(&m);
}

/* Each byte changed to something that matters in lengths and tags. */
static void test_changed_bytes(void **state)
{
    (void)state;
    static const uint8_t edge[] = {0, 1, 0x0a, 0x7f, 0x80, 0xff};
    onnx_message m = whole_model();
    for (size_t n = 0; n < m.len; n++) {
        uint8_t was = m.data[n];
        for (size_t k = 0; k < sizeof edge; k++) {
            m.data[n] = edge[k];
            (void)read_all(m.data, m.len, &onnx__model_proto__descriptor);
        }
        m.data[n] = was;
    }
    onnx_free(&m);
}

static void expect_refused(onnx_message *m, tern_status st, const char *word)
{
    tern_status got = read_all(m->data, m->len, &onnx__model_proto__descriptor);
    if (got != st || !strstr(tern_last_error(), word))
        fail_msg("%s, \"%s\" where %s with \"%s\" was due", tern_status_name(got), tern_last_error(), tern_status_name(st), word);
    onnx_free(m);
}

static void test_wrong_messages(void **state)
{
    (void)state;
    onnx_message m = {0};
    expect_refused(&m, TERN_E_CORRUPT, "no graph");
    onnx_put_int(&m, 7, 5);
    expect_refused(&m, TERN_E_CORRUPT, "must be a message");
    onnx_put_bytes(&m, 7, "", 0);
    onnx_put_bytes(&m, 7, "", 0);
    expect_refused(&m, TERN_E_CORRUPT, "twice");
    onnx_put_int(&m, 2, 5); /* producer_name is text */
    onnx_put_bytes(&m, 7, "", 0);
    expect_refused(&m, TERN_E_CORRUPT, "wrong kind");
    onnx_raw(&m, "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    expect_refused(&m, TERN_E_CORRUPT, "longer than");
    onnx_raw(&m, "\x3b\x3c", 2);
    expect_refused(&m, TERN_E_CORRUPT, "kind that ONNX does not use");
    onnx_raw(&m, "\x02\x00", 2);
    expect_refused(&m, TERN_E_CORRUPT, "out of range");
    onnx_message g = {0}, fn = {0};
    m = onnx_model(&g, 17);
    onnx_put_text(&fn, 1, "F");
    onnx_put_text(&fn, 13, "other");
    onnx_put_message(&m, 25, &fn);
    expect_refused(&m, TERN_E_UNSUPPORTED, "overloaded");
}

/* Bodies inside bodies, types inside types. */
static void test_nesting(void **state)
{
    (void)state;
    onnx_message g = {0};
    for (int i = 0; i < 60; i++) {
        onnx_message outer = {0}, n = onnx_node("If", "c", "y");
        onnx_attr_graph(&n, "then_branch", &g);
        onnx_add(&outer, &n);
        g = outer;
    }
    onnx_message m = onnx_model(&g, 17);
    expect_refused(&m, TERN_E_UNSUPPORTED, "inside each other");
    onnx_message type = {0};
    for (int i = 0; i < 20000; i++) {
        onnx_message sequence = {0}, outer = {0};
        onnx_put_message(&sequence, 1, &type);
        onnx_put_message(&outer, 4, &sequence);
        type = outer;
    }
    onnx_value(&g, 11, "x", &type);
    m = onnx_model(&g, 17);
    expect_refused(&m, TERN_E_UNSUPPORTED, "inside each other");
}

/* A few bytes each in the file, a hundred and more in memory. */
static void test_many(void **state)
{
    (void)state;
    onnx_message g = {0};
    for (int i = 0; i < 1000000; i++)
        onnx_put_bytes(&g, 1, "\x22\x01Z", 3);
    onnx_message m = onnx_model(&g, 17);
    expect_refused(&m, TERN_E_UNSUPPORTED, "250000 nodes");
    onnx_put_bytes(&g, 1, "", 0);
    m = onnx_model(&g, 17);
    expect_refused(&m, TERN_E_CORRUPT, "without an operator");
    for (int i = 0; i < 5000; i++)
        onnx_put_bytes(&g, i % 2 ? 11 : 12, "", 0);
    m = onnx_model(&g, 17);
    assert_int_equal(read_all(m.data, m.len, &onnx__model_proto__descriptor), TERN_OK);
    onnx_free(&m);
    for (int i = 0; i < 5000; i++)
        onnx_put_bytes(&g, 11, "", 0);
    m = onnx_model(&g, 17);
    expect_refused(&m, TERN_E_UNSUPPORTED, "5000 inputs and 0 outputs");
    m = onnx_model(&g, 17);
    for (int i = 0; i < 101; i++)
        onnx_put_bytes(&m, 8, "", 0);
    expect_refused(&m, TERN_E_UNSUPPORTED, "operator sets");
    m = onnx_model(&g, 17);
    for (int i = 0; i < 100001; i++)
        onnx_put_bytes(&m, 25, "", 0);
    expect_refused(&m, TERN_E_UNSUPPORTED, "100001 functions");
    for (int i = 0; i < 4000000; i++)
        onnx_put_bytes(&g, 11, "", 0);
    m = onnx_model(&g, 17);
    expect_refused(&m, TERN_E_UNSUPPORTED, "in memory");
}

static void test_files(void **state)
{
    (void)state;
    tern__onnx_file *f = NULL;
    assert_int_equal(tern__onnx_file_open(sample_path("none.onnx"), &f), TERN_E_NOT_FOUND);
    assert_int_equal(tern__onnx_file_open(sample_path("m"), &f), TERN_E_IO);
    assert_int_equal(tern__onnx_file_open("/dev/null", &f), TERN_E_IO);
    put_file(sample_path("empty.onnx"), "", 0);
    assert_int_equal(tern__onnx_file_open(sample_path("empty.onnx"), &f), TERN_E_CORRUPT);
    put_file(sample_path("text.onnx"), "this is no model", 16);
    assert_int_equal(tern__onnx_file_open(sample_path("text.onnx"), &f), TERN_E_CORRUPT);
    assert_non_null(strstr(tern_last_error(), "text.onnx"));
}

/* --- In graphs --------------------------------------------------------------------------------------------------- */

/* The graph that the file becomes, evaluated for one input x; y gets n floats. */
static tern_status evaluate(onnx_message *m, const float *x, float *y, int n)
{
    onnx_write(m, sample_path("g.onnx"));
    tern_onnx *model = NULL;
    tern_graph *g = NULL;
    tern__interp it = {0};
    tern_status st = tern_onnx_load(sample_path("g.onnx"), &model);
    if (st == TERN_OK)
        st = tern_onnx_graph(model, NULL, &g);
    if (st == TERN_OK)
        st = tern__interp_init(&it, g);
    if (st == TERN_OK) {
        tern__array in = {.type = g->values[g->inputs[0]].type, .data = (void *)(uintptr_t)x};
        st = tern__interp_run(&it, &in);
        if (st == TERN_OK)
            memcpy(y, tern__interp_output(&it, 0)->data, (size_t)n * sizeof *y);
        tern__interp_finish(&it);
    }
    tern_graph_destroy(g);
    tern_onnx_destroy(model);
    return st;
}

static void test_sparse_initializer(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6};
    float y[6];
    onnx_message g = {0}, n = onnx_node("Add", "x w", "y");
    onnx_message s = sparse(2, (float[]){5, 7}, 1, (int64_t[]){2}, (int64_t[]){1, 5}, 2, (int64_t[]){2, 3});
    onnx_put_message(&g, 15, &s);
    onnx_input(&g, "x", ONNX_FLOAT, 2, (int64_t[]){2, 3});
    onnx_input(&g, "w", ONNX_FLOAT, 2, (int64_t[]){2, 3}); /* listed, as weights once had to be */
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_add(&g, &n);
    onnx_message m = onnx_model(&g, 17);
    if (evaluate(&m, x, y, 6) != TERN_OK)
        fail_msg("%s", tern_last_error());
    assert_memory_equal(y, ((float[]){1, 7, 3, 4, 5, 13}), sizeof y);
}

/* local:F is LeakyRelu, whose alpha is a quarter where the call does not say. */
static void test_function_defaults(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        const float x[] = {-8, 4};
        float y[2];
        onnx_message g = {0}, n = onnx_node("local:F", "x", "y"), fn = {0}, body = onnx_node("LeakyRelu", "a", "b"), alpha = {0};
        if (given)
            onnx_attr_float(&n, "alpha", 0.5f);
        onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
        onnx_output(&g, "y", ONNX_FLOAT);
        onnx_add(&g, &n);
        onnx_message m = onnx_model(&g, 17);
        onnx_opset(&m, "local", 1);
        onnx_put_text(&fn, 1, "F");
        onnx_put_text(&fn, 10, "local");
        onnx_put_text(&fn, 4, "a");
        onnx_put_text(&fn, 5, "b");
        onnx_attr_ref(&body, "alpha", 1, "alpha");
        onnx_put_message(&fn, 7, &body);
        onnx_opset(&fn, "", 17);
        onnx_put_text(&alpha, 1, "alpha");
        onnx_put_float(&alpha, 2, 0.25f);
        onnx_put_int(&alpha, 20, 1);
        onnx_put_message(&fn, 11, &alpha);
        onnx_put_message(&m, 25, &fn);
        if (evaluate(&m, x, y, 2) != TERN_OK)
            fail_msg("%s", tern_last_error());
        assert_true(y[0] == (given ? -4.0f : -2.0f) && y[1] == 4);
    }
}

static void expect_no_graph(onnx_message *g, tern_status st, const char *word)
{
    const float x[] = {0, 0};
    float y[2];
    onnx_message m = onnx_model(g, 17);
    tern_status got = evaluate(&m, x, y, 2);
    if (got != st || !strstr(tern_last_error(), word))
        fail_msg("%s, \"%s\" where %s with \"%s\" was due", tern_status_name(got), tern_last_error(), tern_status_name(st), word);
}

static void test_wrong_graphs(void **state)
{
    (void)state;
    static const char *const nodes[][2][3] = {
        {{"Add", "x b", "a"}, {"Relu", "a", "b"}},   /* a cycle */
        {{"Relu", "x", "b"}, {"Neg", "x", "b"}},     /* a name twice */
        {{"Relu", "x", "b"}, {"Relu", "b", "x"}},    /* an input's name */
        {{"Relu", "x", "c"}, {"Relu", "x", "a"}},    /* an output that nobody makes */
    };
    static const char *const words[] = {"made by no node", "another value", "another value", "made by no node"};
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++) {
        onnx_message g = {0};
        onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
        onnx_output(&g, "b", ONNX_FLOAT);
        for (int k = 0; k < 2; k++) {
            onnx_message n = onnx_node(nodes[i][k][0], nodes[i][k][1], nodes[i][k][2]);
            onnx_add(&g, &n);
        }
        expect_no_graph(&g, TERN_E_CORRUPT, words[i]);
    }
    onnx_message g = {0};
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    expect_no_graph(&g, TERN_E_CORRUPT, "two inputs are called \"x\"");
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_output(&g, "y", ONNX_FLOAT);
    expect_no_graph(&g, TERN_E_CORRUPT, "two outputs are called \"y\"");
    for (int i = 0; i < 2; i++)
        onnx_weights(&g, "w", 1, (int64_t[]){1}, (float[]){1});
    expect_no_graph(&g, TERN_E_CORRUPT, "two initialisers have the name \"w\"");
    for (int i = 0; i < 5000; i++) {
        char op[16];
        snprintf(op, sizeof op, "Op%d", i);
        onnx_message n = onnx_node(op, "x", "y");
        onnx_add(&g, &n);
    }
    expect_no_graph(&g, TERN_E_UNSUPPORTED, "different operators");
}

/* x of these extents: an input, an initialiser, or a sparse one. */
static void put_shaped(onnx_message *g, int kind, const int64_t dims[3])
{
    onnx_message type = {0}, tensor = {0}, shape = {0};
    if (kind == 1) {
        tensor = onnx_tensor_head("x", ONNX_FLOAT, 3, dims);
        onnx_initializer(g, &tensor);
    } else if (kind == 2) {
        tensor = sparse(1, (float[]){5}, 1, (int64_t[]){1}, (int64_t[]){0}, 3, dims);
        onnx_put_message(g, 15, &tensor);
    } else {
        for (int k = 0; k < 3; k++) {
            onnx_message d = {0};
            onnx_put_int(&d, 1, dims[k]);
            onnx_put_message(&shape, 1, &d);
        }
        onnx_put_int(&tensor, 1, ONNX_FLOAT);
        onnx_put_message(&tensor, 2, &shape);
        onnx_put_message(&type, 1, &tensor);
        onnx_value(g, 11, "x", &type);
    }
}

/* Loads the model and makes a graph of it, which is thrown away. */
static tern_status import_only(onnx_message *m)
{
    onnx_write(m, sample_path("g.onnx"));
    tern_onnx *model = NULL;
    tern_graph *graph = NULL;
    tern_status st = tern_onnx_load(sample_path("g.onnx"), &model);
    if (st == TERN_OK)
        st = tern_onnx_graph(model, NULL, &graph);
    tern_graph_destroy(graph);
    tern_onnx_destroy(model);
    return st;
}

/* Extents that are negative once read, or whose product wraps around: each reaches a sentence. NULL: what is due is a graph. */
static void test_wrong_extents(void **state)
{
    (void)state;
    static const struct {
        int64_t dims[3];
        const char *words[3]; /* as an input, an initialiser, a sparse one */
    } cases[] = {
        {{INT64_MIN, 1, 1}, {"extent -9223372036854775808 along axis 0", "dimension 0 is -9223372036854775808", "dimension 0 is"}},
        {{1, -2, 1}, {"extent -2 along axis 1", "dimension 1 is -2", "dimension 1 is"}},
        {{INT64_MAX, 1, 1}, {"out of range", "cannot be counted", "cannot be counted"}},
        {{INT64_C(1) << 61, 1, 1}, {"out of range", "cannot be counted", "when dense"}},
        {{INT64_C(1) << 32, INT64_C(1) << 32, 1}, {"out of range", "cannot be counted", "cannot be counted"}},
        {{INT64_C(1) << 31, INT64_C(1) << 31, 4}, {"out of range", "cannot be counted", "cannot be counted"}},
        {{INT64_C(1) << 40, INT64_C(1) << 40, 0}, {"out of range", "cannot be counted", "cannot be counted"}},
        {{INT64_C(1) << 40, 1, 0}, {"out of range", "cannot be counted", "cannot be counted"}},
        {{INT64_C(1) << 40, 1, 1}, {NULL, "0 elements, where its shape needs 1099511627776", "bytes when dense"}},
        {{INT64_C(1) << 28, 1, 1}, {NULL, "0 elements, where its shape needs 268435456", "bytes when dense"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int kind = 0; kind < 3; kind++) {
            const char *word = cases[i].words[kind];
            onnx_message g = {0}, n = onnx_node("Relu", kind == 2 ? "w" : "x", "y");
            put_shaped(&g, kind, cases[i].dims);
            onnx_add(&g, &n);
            onnx_output(&g, "y", ONNX_FLOAT);
            onnx_message m = onnx_model(&g, 17);
            tern_status st = import_only(&m);
            if (word ? st == TERN_OK || !strstr(tern_last_error(), word) : st != TERN_OK)
                fail_msg("case %zu, kind %d: %s, \"%s\" where \"%s\" was due", i, kind, tern_status_name(st), tern_last_error(), word ? word : "success");
        }
}

/* A function of `width` calls of the next one, `n` of them; the last one calls what leaf says. */
static onnx_message functions(int n, int width, const char *leaf)
{
    onnx_message g = {0}, call = onnx_node("local:F0", "x", "y");
    onnx_input(&g, "x", ONNX_FLOAT, 1, (int64_t[]){2});
    onnx_output(&g, "y", ONNX_FLOAT);
    onnx_add(&g, &call);
    onnx_message m = onnx_model(&g, 17);
    onnx_opset(&m, "local", 1);
    for (int i = 0; i < n; i++) {
        onnx_message f = {0};
        char name[24];
        snprintf(name, sizeof name, "F%d", i);
        onnx_put_text(&f, 1, name);
        onnx_put_text(&f, 10, "local");
        onnx_put_text(&f, 4, "a");
        onnx_put_text(&f, 5, "b");
        snprintf(name, sizeof name, "local:F%d", i + 1);
        for (int k = 0; k < width; k++) {
            onnx_message c = onnx_node(i + 1 < n ? name : leaf, "a", k ? "c" : "b");
            onnx_put_message(&f, 7, &c);
        }
        onnx_put_message(&m, 25, &f);
    }
    return m;
}

static void expect_no_import(onnx_message *m, tern_status st, const char *word)
{
    tern_status got = import_only(m);
    if (got != st || !strstr(tern_last_error(), word))
        fail_msg("%s, \"%s\" where %s with \"%s\" was due", tern_status_name(got), tern_last_error(), tern_status_name(st), word);
}

/* Functions that never end, and those that end too late. */
static void test_function_bombs(void **state)
{
    (void)state;
    onnx_message m = functions(1, 1, "local:F0");
    expect_no_import(&m, TERN_E_CORRUPT, "F0 calls itself");
    m = functions(3, 2, "local:F1");
    expect_no_import(&m, TERN_E_CORRUPT, "F1 calls itself");
    m = functions(40, 2, "Relu");
    expect_no_import(&m, TERN_E_UNSUPPORTED, "500000 nodes with functions");
    m = functions(80, 1, "Relu");
    expect_no_import(&m, TERN_E_UNSUPPORTED, "64 functions call one another");
}

/* --- Test data --------------------------------------------------------------------------------------------------- */

static void test_values(void **state)
{
    (void)state;
    const float v[] = {1, 2};
    onnx_message a = onnx_tensor("a", ONNX_FLOAT, 1, &(int64_t){2}, v), s = {0}, o = {0}, all = {0};
    onnx_message b = onnx_tensor("b", ONNX_INT64, 0, NULL, &(int64_t){7});
    onnx_put_int(&s, 2, 1);
    onnx_put_message(&s, 3, &a);
    onnx_put_message(&s, 3, &b);
    onnx_put_int(&o, 2, 3);
    onnx_put_message(&o, 5, &s);
    onnx_put_int(&all, 2, 5);
    onnx_put_message(&all, 7, &o);
    onnx_put_bytes(&all, 7, "", 0);
    onnx_write(&all, sample_path("v.pb"));
    tern_onnx_value x;
    if (tern_onnx_value_load(sample_path("v.pb"), TERN_ONNX_SEQUENCE, false, &x) != TERN_OK)
        fail_msg("%s", tern_last_error());
    assert_int_equal(x.kind, TERN_ONNX_SEQUENCE);
    assert_int_equal(x.n_items, 2);
    assert_int_equal(x.items[1].kind, TERN_ONNX_NOTHING);
    assert_int_equal(x.items[0].n_items, 2);
    assert_memory_equal(tern_tensor_data(x.items[0].items[0].tensor), v, sizeof v);
    assert_int_equal(*(int64_t *)tern_tensor_data(x.items[0].items[1].tensor), 7);
    tern_onnx_value_clear(&x);
    assert_int_equal(x.kind, TERN_ONNX_NOTHING);
    onnx_put_int(&s, 2, 4);
    onnx_write(&s, sample_path("v.pb"));
    assert_int_equal(tern_onnx_value_load(sample_path("v.pb"), TERN_ONNX_SEQUENCE, false, &x), TERN_E_UNSUPPORTED);
    onnx_put_int(&s, 2, 1);
    onnx_put_bytes(&s, 5, "", 0);
    onnx_write(&s, sample_path("v.pb"));
    assert_int_equal(tern_onnx_value_load(sample_path("v.pb"), TERN_ONNX_SEQUENCE, false, &x), TERN_E_CORRUPT);
    onnx_put_int(&o, 2, 1);
    onnx_write(&o, sample_path("v.pb"));
    assert_int_equal(tern_onnx_value_load(sample_path("v.pb"), TERN_ONNX_TENSOR, true, &x), TERN_OK);
    assert_int_equal(x.kind, TERN_ONNX_NOTHING);
}

static void test_save(void **state)
{
    (void)state;
    for (int d = 0; d < TERN_DTYPE_COUNT; d++) {
        tern_tensor *t = NULL;
        tern_onnx_value x;
        assert_int_equal(tern_tensor_create((tern_dtype)d, &(tern_shape){2, {3, 70}}, &t), TERN_OK);
        uint8_t *data = tern_tensor_data(t);
        for (size_t i = 0; i < tern_tensor_size_bytes(t); i++)
            data[i] = d == TERN_BOOL ? i % 3 == 0 : (uint8_t)(37 * i + 11);
        assert_int_equal(tern_onnx_tensor_save(t, "name", sample_path("s.pb")), TERN_OK);
        assert_int_equal(tern_onnx_value_load(sample_path("s.pb"), TERN_ONNX_TENSOR, false, &x), TERN_OK);
        assert_int_equal(tern_tensor_dtype(x.tensor), d);
        assert_int_equal(tern_tensor_shape(x.tensor)->dim[1], 70);
        assert_memory_equal(tern_tensor_data(x.tensor), tern_tensor_data(t), tern_tensor_size_bytes(t));
        tern_onnx_value_clear(&x);
        tern_tensor_destroy(t);
    }
}

/* --- Memory ------------------------------------------------------------------------------------------------------ */

/* A model of 48 MiB whose weights mostly lie askew, so that they must be copied for who reads their elements: 1.3 times the file at most, and a fourth as long
 * as nobody does. */
static void test_memory(void **state)
{
    (void)state;
    enum { N = 4, ELEMS = 3 << 20 };
    const char *sanitize = getenv("TERN_SANITIZE");
    onnx_message g = {0};
    float *v = calloc(ELEMS, sizeof *v);
    for (int64_t i = 0; i < N; i++) {
        onnx_message t = onnx_tensor("w", ONNX_FLOAT, 1, &(int64_t){ELEMS}, v);
        onnx_initializer(&g, &t);
    }
    free(v);
    onnx_save(&g, 17, sample_path("large.onnx"));
    tern__onnx_file *f = NULL;
    tern__blob *b[N];
    (void)peak_kib();
    long before = peak_kib();
    assert_int_equal(tern__onnx_file_open(sample_path("large.onnx"), &f), TERN_OK);
    for (int i = 0; i < N; i++) {
        tern__type type;
        assert_int_equal(tern__onnx_tensor(f, tern__onnx_file_model(f)->graph->initializer[i], &type, &b[i]), TERN_OK);
    }
    long idle = peak_kib();
    for (int i = 0; i < N; i++) {
        assert_non_null(tern__blob_elems(b[i]));
        tern__blob_rest(b[i]);
    }
    long after = peak_kib(), file = N * (long)sizeof(float) * ELEMS / 1024;
    for (int i = 0; i < N; i++)
        tern__blob_release(b[i]);
    tern__onnx_file_close(f);
    if (before < 0 || idle < 0 || after < 0 || (sanitize && strcmp(sanitize, "none") != 0)) {
        print_message("# not counted here\n");
        return;
    }
    if (idle - before > file / 4 || after - before > file + 3 * (file / 10))
        fail_msg("a file of %ld KiB took %ld KiB, with its elements read %ld", file, idle - before, after - before);
}

/* --- Faults ------------------------------------------------------------------------------------------------------ */

static tern_status load_model(void)
{
    tern__type type;
    tern__blob *b = NULL;
    tern_status st = read_first(sample_path("m/fault.onnx"), &type, &b);
    tern__blob_release(b);
    return st;
}

static tern_status load_external(void)
{
    tern__type type;
    tern__blob *b = NULL;
    tern_status st = read_first(sample_path("m/ext.onnx"), &type, &b);
    tern__blob_release(b);
    return st;
}

static tern_status load_value(void)
{
    tern_onnx_value x;
    tern_status st = tern_onnx_value_load(sample_path("m/fault.pb"), TERN_ONNX_SEQUENCE, false, &x);
    tern_onnx_value_clear(&x);
    return st;
}

/* Each call of the kind fails in turn: a sentence, nothing left behind, and the next try works. */
static void walk(tern_status (*call)(void), tern__fault_kind kind)
{
    assert_int_equal(call(), TERN_OK);
    for (long n = 1;; n++) {
        assert_true(n < 10000);
        tern__fail(TERN_OK, "stale");
        tern__fault_arm(kind, n, false);
        tern_status st = call();
        bool reached = tern__fault_count(kind) >= n;
        tern__fault_arm(kind, 0, false);
        if (!reached)
            break;
        if (st == TERN_OK || strcmp(tern_last_error(), "stale") == 0)
            fail_msg("fault %ld: %s, \"%s\"", n, tern_status_name(st), tern_last_error());
        assert_int_equal(call(), TERN_OK);
    }
}

static void test_faults(void **state)
{
    (void)state;
    onnx_message m = whole_model(), g = {0}, s = {0};
    onnx_write(&m, sample_path("m/fault.onnx"));
    float v[2000] = {0};
    put_file(sample_path("m/f.bin"), v, sizeof v);
    onnx_message t = external(2000, "f.bin", NULL, NULL);
    onnx_initializer(&g, &t);
    onnx_save(&g, 17, sample_path("m/ext.onnx"));
    for (int i = 0; i < 3; i++) {
        onnx_message a = onnx_tensor("a", ONNX_FLOAT, 1, &(int64_t){2}, v);
        onnx_put_message(&s, 3, &a);
    }
    onnx_put_int(&s, 2, 1);
    onnx_write(&s, sample_path("m/fault.pb"));
    tern_status (*const calls[])(void) = {load_model, load_external, load_value};
    for (int i = 0; i < 3; i++) {
        walk(calls[i], TERN__FAULT_ALLOC);
        walk(calls[i], TERN__FAULT_FILE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed_fields), cmocka_unit_test(test_borrowed),  cmocka_unit_test(test_bools),
        cmocka_unit_test(test_without_a_file), cmocka_unit_test(test_wrong_tensors), cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_sparse), cmocka_unit_test(test_external), cmocka_unit_test(test_external_tricks),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_cut_short), cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_wrong_messages), cmocka_unit_test(test_nesting), cmocka_unit_test(test_many),
        cmocka_unit_test(test_sparse_initializer), cmocka_unit_test(test_function_defaults), cmocka_unit_test(test_wrong_graphs),
        cmocka_unit_test(test_wrong_extents), cmocka_unit_test(test_function_bombs),
        cmocka_unit_test(test_files), cmocka_unit_test(test_values), cmocka_unit_test(test_save), cmocka_unit_test(test_memory), cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("onnx_proto", tests, setup, teardown);
}
