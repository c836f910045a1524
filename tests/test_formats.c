/* Files: what goes out comes back the same, and a damaged file is a clear error and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "formats_sample.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/half.h"
#include "base/hash.h"
#include "base/status.h"
#include "formats/idx.h"
#include "formats/json.h"
#include "formats/model.h"
#include "formats/npy.h"
#include "formats/safetensors.h"
#include "ops/op.h"
#include <tern/data.h>
#include <tern/model.h>

#define assert_ok(call)                                     \
    do {                                                    \
        tern_status st_ = (call);                           \
        if (st_ != TERN_OK)                                 \
            print_error("%s\n", tern_last_error());         \
        assert_int_equal(st_, TERN_OK);                     \
    } while (0)

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

static void assert_same_tensor(const tern_tensor *a, const tern_tensor *b)
{
    assert_int_equal(tern_tensor_dtype(a), tern_tensor_dtype(b));
    assert_true(tern__shape_equal(tern_tensor_shape(a), tern_tensor_shape(b)));
    assert_memory_equal(tern_tensor_data(a), tern_tensor_data(b), tern_tensor_size_bytes(a));
}

/* --- npy --- */

static void npy_round_trip(void **state)
{
    (void)state;
    const char *path = sample_path("t.npy");
    for (int dtype = 0; dtype < TERN_DTYPE_COUNT; dtype++) {
        if (dtype == TERN_BF16)
            continue;
        for (int rank = 0; rank <= TERN_MAX_RANK; rank++) {
            tern_tensor *t = sample_tensor((tern_dtype)dtype, rank, (const int64_t[]){2, 3, 1, 2, 1, 3, 1, 2}), *back = NULL;
            assert_non_null(t);
            assert_ok(tern_tensor_save_npy(t, path));
            assert_ok(tern_tensor_load_npy(path, &back));
            assert_same_tensor(t, back);
            tern_tensor_destroy(t);
            tern_tensor_destroy(back);
        }
    }
    tern_tensor *t = sample_tensor(TERN_I16, DIMS(4, 0, 2)), *back = NULL;
    assert_ok(tern_tensor_save_npy(t, path));
    assert_ok(tern_tensor_load_npy(path, &back));
    assert_same_tensor(t, back);
    tern_tensor_destroy(t);
    tern_tensor_destroy(back);
}

static void npy_bf16_goes_out_as_f32(void **state)
{
    (void)state;
    tern_tensor *t = sample_tensor(TERN_BF16, DIMS(3, 1000)), *back = NULL;
    uint16_t *in = tern_tensor_data(t);
    for (int i = 0; i < 3000; i++)
        in[i] = tern__f32_to_bf16((float)i * 0.37f);
    assert_ok(tern_tensor_save_npy(t, sample_path("b.npy")));
    assert_ok(tern_tensor_load_npy(sample_path("b.npy"), &back));
    assert_int_equal(tern_tensor_dtype(back), TERN_F32);
    const float *f = tern_tensor_data(back);
    for (int i = 0; i < 3000; i++)
        assert_true(f[i] == tern__bf16_to_f32(in[i]));
    tern_tensor_destroy(t);
    tern_tensor_destroy(back);
}

/* A file of the given version from its header's text and its data. */
static size_t npy_file(uint8_t *out, int major, const char *header, const void *data, size_t size)
{
    size_t n = strlen(header), at = major == 1 ? 10 : 12;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)major;
    out[7] = 0;
    for (size_t i = 8; i < at; i++)
        out[i] = (uint8_t)(n >> (8 * (i - 8)));
    memcpy(out + at, header, n);
    memcpy(out + at + n, data, size);
    return at + n + size;
}

static tern_status npy_try(int major, const char *header, size_t data_size, tern_tensor **out)
{
    uint8_t file[600], data[64];
    for (int i = 0; i < 64; i++)
        data[i] = (uint8_t)(i + 1);
    return tern__npy_parse(file, npy_file(file, major, header, data, data_size), out);
}

static void npy_dialects(void **state)
{
    (void)state;
    tern_tensor *t = NULL;
    for (int major = 1; major <= 3; major++) {
        assert_ok(npy_try(major, "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }      \n", 12, &t));
        assert_int_equal(tern_tensor_dtype(t), TERN_I16);
        static const int16_t want[] = {0x0102, 0x0506, 0x090a, 0x0304, 0x0708, 0x0b0c};
        assert_memory_equal(tern_tensor_data(t), want, sizeof want);
        tern_tensor_destroy(t);
    }
    assert_ok(npy_try(1, "{\"shape\":(4L,),\"fortran_order\":False,\"descr\":\"|b1\"}", 4, &t));
    assert_memory_equal(tern_tensor_data(t), "\1\1\1\1", 4); /* any byte but 0 is true */
    tern_tensor_destroy(t);
    assert_ok(npy_try(1, "{'descr': '<u8', 'fortran_order': False, 'shape': ()}", 8, &t));
    assert_int_equal(tern_tensor_shape(t)->rank, 0);
    tern_tensor_destroy(t);
    assert_ok(npy_try(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2,2,3)}", 12, &t));
    assert_memory_equal(tern_tensor_data(t), "\1\5\11\3\7\13\2\6\12\4\10\14", 12);
    tern_tensor_destroy(t);
}

static void npy_refusals(void **state)
{
    (void)state;
    static const struct { const char *header; size_t size; tern_status st; const char *says; } cases[] = {
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 8, TERN_E_DTYPE, "<c8"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 8, TERN_E_DTYPE, "fields"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8, TERN_E_DTYPE, "|O"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 8, TERN_E_CORRUPT, "8 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 8, TERN_E_CORRUPT, "need 4"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 8, TERN_E_CORRUPT, "extent 0"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 8, TERN_E_CORRUPT, "extent 0"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", 0, TERN_E_CORRUPT, "overflows"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4, 0)}", 0, TERN_E_CORRUPT, "overflows"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, TERN_E_UNSUPPORTED, "dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 3}", 8, TERN_E_CORRUPT, "tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2", 8, TERN_E_CORRUPT, "end"},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}", 8, TERN_E_CORRUPT, "fortran_order"},
        {"{'descr': '<f4', 'shape': (2,)}", 8, TERN_E_CORRUPT, "lacks"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8, TERN_E_CORRUPT, "twice"},
        {"{'descr': '<f4', 'order': 1, 'fortran_order': False, 'shape': (2,)}", 8, TERN_E_CORRUPT, "order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} 7", 8, TERN_E_CORRUPT, "follows"},
        {"['descr']", 8, TERN_E_CORRUPT, "dictionary"},
        {"", 0, TERN_E_CORRUPT, "dictionary"},
    };
    tern_tensor *t = NULL;
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern_status st = npy_try(1, cases[i].header, cases[i].size, &t);
        if (st != cases[i].st || !strstr(tern_last_error(), cases[i].says))
            fail_msg("%s: %s: %s", cases[i].header, tern_status_name(st), tern_last_error());
        assert_null(t);
    }
    assert_int_equal(npy_try(4, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8, &t), TERN_E_UNSUPPORTED);
    assert_int_equal(tern_tensor_load_npy(sample_path("none.npy"), &t), TERN_E_NOT_FOUND);
    assert_int_equal(tern_tensor_load_npy(sample_dir, &t), TERN_E_IO);
    assert_null(t);
}

static void npy_damage(void **state)
{
    (void)state;
    static const uint8_t data[12] = {0};
    uint8_t file[200];
    size_t n = npy_file(file, 2, "{'descr': '<u2', 'fortran_order': True, 'shape': (2, 3)}\n", data, 12);
    for (size_t cut = 0; cut < n; cut++) {
        tern_tensor *t = NULL;
        uint8_t *part = tern__memdup(file, cut);
        assert_int_not_equal(tern__npy_parse(part, cut, &t), TERN_OK);
        assert_null(t);
        tern__free(part);
    }
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            tern_tensor *t = NULL;
            file[i] ^= (uint8_t)(1 << bit);
            uint8_t *part = tern__memdup(file, n);
            if (tern__npy_parse(part, n, &t) == TERN_OK)
                assert_int_equal(tern_tensor_size_bytes(t), 12);
            tern_tensor_destroy(t);
            tern__free(part);
            file[i] ^= (uint8_t)(1 << bit);
        }
}

/* --- idx and data sets --- */

static void idx_files(void **state)
{
    (void)state;
    static const uint8_t good[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};
    const char *path = sample_path("a.idx");
    tern__idx x = {0};
    write_file(path, good, sizeof good);
    assert_ok(tern__idx_load(path, 0, &x));
    assert_int_equal(x.shape.rank, 2);
    assert_int_equal(x.shape.dim[1], 3);
    assert_memory_equal(x.data, good + 12, 6);
    tern__free(x.data);
    assert_int_equal(tern__idx_load(path, 10, &x), TERN_E_UNSUPPORTED);

    tern_shape s;
    size_t at;
    for (size_t cut = 0; cut < sizeof good; cut++) {
        uint8_t *part = tern__memdup(good, cut);
        assert_int_equal(tern__idx_parse(part, cut, &s, &at), TERN_E_CORRUPT);
        tern__free(part);
    }
    uint8_t bad[sizeof good + 1];
    static const struct { int at, value; tern_status st; } cases[] = {
        {0, 1, TERN_E_CORRUPT}, {2, 13, TERN_E_UNSUPPORTED}, {3, 200, TERN_E_UNSUPPORTED}, {3, 3, TERN_E_CORRUPT}, {4, 255, TERN_E_CORRUPT}, {7, 3, TERN_E_CORRUPT},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        memcpy(bad, good, sizeof good);
        bad[cases[i].at] = (uint8_t)cases[i].value;
        assert_int_equal(tern__idx_parse(bad, sizeof good, &s, &at), cases[i].st);
    }
    memcpy(bad, good, sizeof good);
    assert_int_equal(tern__idx_parse(bad, sizeof bad, &s, &at), TERN_E_CORRUPT);
}

/* n images of 2 x 3 and their labels, in dir. */
static void make_set(const char *dir, int n, int n_labels, int label)
{
    char path[300];
    uint8_t images[200] = {0, 0, 8, 3, 0, 0, 0, (uint8_t)n, 0, 0, 0, 2, 0, 0, 0, 3}, labels[100] = {0, 0, 8, 1, 0, 0, 0, (uint8_t)n_labels};
    for (int i = 0; i < 6 * n; i++)
        images[16 + i] = (uint8_t)(i * 5);
    for (int i = 0; i < n_labels; i++)
        labels[8 + i] = (uint8_t)label;
    assert_ok(tern__dir_create(dir, 0755));
    snprintf(path, sizeof path, "%s/t10k-images-idx3-ubyte", dir);
    write_file(path, images, (size_t)(16 + 6 * n));
    snprintf(path, sizeof path, "%s/t10k-labels-idx1-ubyte", dir);
    write_file(path, labels, (size_t)(8 + n_labels));
}

static void dataset_files(void **state)
{
    (void)state;
    char spec[300];
    tern_dataset *d = NULL;
    make_set(sample_path("set"), 4, 4, 9);
    snprintf(spec, sizeof spec, "mnist:%s", sample_path("set"));
    assert_ok(tern_dataset_open(spec, TERN_TEST, &d));
    assert_int_equal(d->n, 4);
    assert_int_equal(d->channels, 1);
    assert_int_equal(d->height, 2);
    assert_int_equal(d->width, 3);
    assert_int_equal(d->n_classes, 10);
    assert_string_equal(d->class_names[9], "9");
    float x[12];
    int32_t y[2];
    tern_dataset_batch(d, (const int64_t[]){3, 1}, 2, x, y);
    assert_true(x[0] == 90 / 255.0f && x[11] == 55 / 255.0f && y[0] == 9 && y[1] == 9);
    tern_dataset_close(d);
    tern_dataset_close(NULL);
    d = NULL;

    assert_int_equal(tern_dataset_open(spec, TERN_TRAIN, &d), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), sample_path("set")));
    make_set(sample_path("uneven"), 4, 3, 1);
    snprintf(spec, sizeof spec, "mnist:%s", sample_path("uneven"));
    assert_int_equal(tern_dataset_open(spec, TERN_TEST, &d), TERN_E_CORRUPT);
    make_set(sample_path("label"), 4, 4, 10);
    snprintf(spec, sizeof spec, "fashion-mnist:%s", sample_path("label"));
    assert_int_equal(tern_dataset_open(spec, TERN_TEST, &d), TERN_E_CORRUPT);
    assert_non_null(strstr(tern_last_error(), "label 10"));
    make_set(sample_path("none"), 0, 0, 0);
    snprintf(spec, sizeof spec, "mnist:%s", sample_path("none"));
    assert_int_equal(tern_dataset_open(spec, TERN_TEST, &d), TERN_E_CORRUPT);
    assert_int_equal(tern_dataset_open("cifar", TERN_TEST, &d), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), "fashion-mnist"));
    assert_int_equal(tern_dataset_open("mnist:", TERN_TEST, &d), TERN_E_INVALID);
    snprintf(spec, sizeof spec, "fashion-mnist:%s", sample_path("absent"));
    assert_int_equal(tern_dataset_open(spec, TERN_TEST, &d), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), "dataset-fashion-mnist"));
    assert_null(d);
}

/* TERN_DATA_DIR comes first. */
static void dataset_places(void **state)
{
    (void)state;
    tern_dataset *d = NULL;
    make_set(sample_path("home/fashion-mnist"), 3, 3, 2);
    setenv("TERN_DATA_DIR", sample_path("home"), 1);
    assert_ok(tern_dataset_open("fashion-mnist", TERN_TEST, &d));
    assert_int_equal(d->n, 3);
    assert_string_equal(d->class_names[2], "Pullover");
    tern_dataset_close(d);
    unsetenv("TERN_DATA_DIR");
}

static void shuffles(void **state)
{
    (void)state;
    enum { N = 1000 };
    static int64_t a[N], b[N];
    static int seen[N];
    tern_shuffle(1, 0, N, a);
    tern_shuffle(1, 0, N, b);
    assert_memory_equal(a, b, sizeof a);
    int moved = 0;
    for (int i = 0; i < N; i++) {
        assert_true(a[i] >= 0 && a[i] < N);
        seen[a[i]]++;
        moved += a[i] != i;
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 950);
    tern_shuffle(1, 1, N, b);
    assert_memory_not_equal(a, b, sizeof a);
    tern_shuffle(2, 0, N, b);
    assert_memory_not_equal(a, b, sizeof a);
    tern_shuffle(1, 0, 0, NULL);
}

/* --- JSON --- */

static void json_numbers(void **state)
{
    (void)state;
    static const double xs[] = {0.0, -0.0, 1, -1, 0.1, 1e22, 123456789012345680.0, 5e-324, 1.7976931348623157e308, INFINITY, -INFINITY};
    for (int i = 0; i <= TERN_COUNT(xs); i++) {
        double x = i < TERN_COUNT(xs) ? xs[i] : NAN, back;
        tern__str s = {0};
        tern__str_add(&s, "{\"x\":");
        tern__json_add_double(&s, x);
        tern__str_add(&s, "}");
        tern__json_doc doc;
        assert_ok(tern__json_parse(s.s, s.len, &doc));
        assert_true(tern__json_double(tern__json_get(doc.values, "x"), &back));
        if (isnan(x))
            assert_true(isnan(back));
        else
            assert_memory_equal(&back, &x, sizeof x);
        tern__json_finish(&doc);
        tern__str_finish(&s);
    }
}

static void json_strings(void **state)
{
    (void)state;
    static const char *const good[] = {"", "plain", "\"\\/\b\f\n\r\t\x01\x1f", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6", "a\"", "\\"};
    for (int i = 0; i < TERN_COUNT(good); i++) {
        tern__str s = {0};
        tern__str_add(&s, "{\"x\":");
        assert_true(tern__json_add_string(&s, good[i]));
        tern__str_add(&s, "}");
        tern__json_doc doc;
        assert_ok(tern__json_parse(s.s, s.len, &doc));
        assert_string_equal(tern__json_string(tern__json_get(doc.values, "x")), good[i]);
        tern__json_finish(&doc);
        tern__str_finish(&s);
    }
    static const char *const bad[] = {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\xe2\x82"};
    for (int i = 0; i < TERN_COUNT(bad); i++) {
        tern__str s = {0};
        assert_false(tern__json_add_string(&s, bad[i]));
        assert_int_equal(s.len, 0);
        tern__str_finish(&s);
    }
}

static void json_grammar(void **state)
{
    (void)state;
    static const struct { const char *text; const char *says; } cases[] = {
        {"{\"a\":[1,-0,2.5e-3,true,false,null,{\"b\":[]},\"\\u00e4\\ud83d\\udc26\\n\\/\"]} \n", NULL},
        {"{\"a\":9223372036854775807,\"b\":-9223372036854775808}", NULL},
        {"{\"a\":9223372036854775808}", "too large"}, {"{\"a\":1e999}", "too large"}, {"{\"a\":01}", "number"},
        {"{\"a\":-}", "number"}, {"{\"a\":1.}", "decimal point"}, {"{\"a\":1e}", "exponent"}, {"{\"a\":.5}", "value"}, {"{\"a\":+1}", "value"},
        {"{\"a\":nan}", "value"}, {"{\"a\":tru}", "value"}, {"{\"a\":}", "value"}, {"{\"a\"}", "colon"}, {"{a:1}", "key"},
        {"{\"a\":1,}", "key"}, {"{\"a\":[1,]}", "value"}, {"{\"a\":[1 2]}", "']'"}, {"{\"a\":1 \"b\":2}", "'}'"}, {"{\"a\":\"x}", "no end"},
        {"{\"a\":\"\n\"}", "control"}, {"{\"a\":\"\xff\"}", "UTF-8"}, {"{\"a\":\"\\x\"}", "escape"}, {"{\"a\":\"\\u12\"}", "escape"},
        {"{\"a\":\"\\u0000\"}", "U+0000"}, {"{\"a\":\"\\ud83d\"}", "surrogate"}, {"{\"a\":\"\\udc26\"}", "surrogate"}, {"{\"a\":\"\\", "escape"},
        {"{\"a\":\"\\ud83d\\u0041\"}", "surrogate"}, {"{\"a\":1,\"b\":2,\"a\":3}", "duplicate"}, {"{} {}", "follows"}, {"[]", "object"}, {"", "too early"}, {"{", "key"},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern__json_doc doc = {0};
        char *exact = tern__memdup(cases[i].text, strlen(cases[i].text)); /* without its NUL */
        tern_status st = tern__json_parse(exact, strlen(cases[i].text), &doc);
        if (cases[i].says ? st != TERN_E_CORRUPT || !strstr(tern_last_error(), cases[i].says) : st != TERN_OK)
            fail_msg("%s: %s: %s", cases[i].text, tern_status_name(st), tern_last_error());
        if (i == 0) {
            const tern__json *list = tern__json_get(doc.values, "a"), *last = NULL;
            assert_int_equal(list->n, 8);
            for (const tern__json *v = tern__json_first(list); v; v = tern__json_next(list, v))
                last = v;
            assert_string_equal(tern__json_string(last), "\xc3\xa4\xf0\x9f\x90\xa6\n/");
        }
        tern__free(exact);
        tern__json_finish(&doc);
    }
    char deep[200] = "{\"a\":";
    memset(deep + 5, '[', 100);
    tern__json_doc doc;
    assert_int_equal(tern__json_parse(deep, 105, &doc), TERN_E_CORRUPT);
    assert_non_null(strstr(tern_last_error(), "deep"));
}

/* --- safetensors --- */

static tern_status safetensors_try(const char *header, const void *data, size_t size, tern__safetensors *out)
{
    size_t n = strlen(header);
    uint8_t *file = tern__alloc(8 + n + size);
    file[0] = (uint8_t)n;
    file[1] = (uint8_t)(n >> 8);
    memcpy(file + 8, header, n);
    if (size)
        memcpy(file + 8 + n, data, size);
    tern_status st = tern__safetensors_parse(file, 8 + n + size, out);
    if (st == TERN_OK) { /* its pointers into the file are not used any more */
        for (int i = 0; i < out->n; i++)
            out->tensors[i].data = NULL;
    }
    tern__free(file);
    return st;
}

static void safetensors_good(void **state)
{
    (void)state;
    tern__safetensors st = {0};
    assert_ok(safetensors_try("{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]},\"__metadata__\":{\"k\":\"v\"},"
                              "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                              "\"e\":{\"shape\":[0,3],\"dtype\":\"F64\",\"data_offsets\":[4,4]}}   ",
                              "123456", 6, &st));
    assert_int_equal(st.n, 3);
    assert_string_equal(tern__safetensors_meta(&st, "k"), "v");
    assert_null(tern__safetensors_meta(&st, "none"));
    assert_int_equal(tern__safetensors_find(&st, "b")->size, 2);
    assert_int_equal(tern__safetensors_find(&st, "a")->shape.rank, 0);
    assert_null(tern__safetensors_find(&st, "__metadata__"));
    tern__safetensors_finish(&st);
    assert_ok(safetensors_try("{}", "", 0, &st));
    assert_int_equal(st.n, 0);
    tern__safetensors_finish(&st);
}

static void safetensors_refusals(void **state)
{
    (void)state;
#define ONE(d, s, o) "{\"a\":{\"dtype\":" d ",\"shape\":" s ",\"data_offsets\":" o "}}"
    static const struct { const char *header; size_t size; tern_status st; const char *says; } cases[] = {
        {"", 0, TERN_E_CORRUPT, "JSON"},
        {"[]", 0, TERN_E_CORRUPT, "object"},
        {"{\"a\":1}", 0, TERN_E_CORRUPT, "\"a\""},
        {"{} x", 0, TERN_E_CORRUPT, "JSON"},
        {"{\"__metadata__\":{\"k\":1}}", 0, TERN_E_CORRUPT, "\"k\""},
        {"{\"__metadata__\":[]}", 0, TERN_E_CORRUPT, "__metadata__"},
        {"{}", 1, TERN_E_CORRUPT, "1 bytes belong"},
        {ONE("\"F32\"", "[1]", "[0,4]"), 3, TERN_E_CORRUPT, "3 bytes"},
        {ONE("\"F32\"", "[1]", "[0,4]"), 5, TERN_E_CORRUPT, "1 bytes belong"},
        {ONE("\"F32\"", "[2]", "[0,4]"), 4, TERN_E_CORRUPT, "need 8"},
        {ONE("\"F32\"", "[1]", "[4,0]"), 4, TERN_E_CORRUPT, "data_offsets"},
        {ONE("\"F32\"", "[1]", "[-4,0]"), 4, TERN_E_CORRUPT, "data_offsets"},
        {ONE("\"F32\"", "[1]", "[0.0,4.0]"), 4, TERN_E_CORRUPT, "data_offsets"},
        {ONE("\"F32\"", "[1]", "[0,4,4]"), 4, TERN_E_CORRUPT, "data_offsets"},
        {ONE("\"F32\"", "[1]", "[0,99999999999999999999]"), 4, TERN_E_CORRUPT, "JSON"},
        {ONE("\"F32\"", "[-1]", "[0,4]"), 4, TERN_E_CORRUPT, "extent 0"},
        {ONE("\"F32\"", "[4611686018427387904,4]", "[0,0]"), 0, TERN_E_CORRUPT, "overflows"},
        {ONE("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, TERN_E_CORRUPT, "overflows"},
        {ONE("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, TERN_E_UNSUPPORTED, "rank 9"},
        {ONE("\"F8_E5M2\"", "[1]", "[0,1]"), 1, TERN_E_UNSUPPORTED, "F8_E5M2"},
        {ONE("7", "[1]", "[0,1]"), 1, TERN_E_CORRUPT, "dtype"},
        {ONE("\"BOOL\"", "[1]", "[0,1]"), 1, TERN_E_CORRUPT, "bool is 49"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3,
         TERN_E_CORRUPT, "overlaps"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}", 3,
         TERN_E_CORRUPT, "gap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         TERN_E_CORRUPT, "JSON"},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern__safetensors st = {0};
        tern_status s = safetensors_try(cases[i].header, "123456", cases[i].size, &st);
        if (s != cases[i].st || !strstr(tern_last_error(), cases[i].says))
            fail_msg("%s: %s: %s", cases[i].header, tern_status_name(s), tern_last_error());
        assert_null(st.tensors);
    }
    tern__safetensors st;
    assert_int_equal(tern__safetensors_parse((const uint8_t *)"\377\377\377\377\377\377\377\377{}", 10, &st), TERN_E_CORRUPT);
    assert_int_equal(tern__safetensors_parse((const uint8_t *)"{}", 2, &st), TERN_E_CORRUPT);
}

/* --- Models --- */

/* Node for node and byte for byte, whatever the order in which values were made. */
static void assert_same_graph(const tern_graph *a, const tern_graph *b)
{
    uint8_t *x, *y;
    size_t n, m;
    assert_ok(tern_model_save(a, sample_path("same-a")));
    assert_ok(tern_model_save(b, sample_path("same-b")));
    assert_ok(tern__file_read(sample_path("same-a"), 0, &x, &n));
    assert_ok(tern__file_read(sample_path("same-b"), 0, &y, &m));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    tern__free(x);
    tern__free(y);
}

static void sample_file(uint8_t **bytes, size_t *size, tern_graph **g)
{
    *g = sample_graph();
    assert_non_null(*g);
    assert_ok(tern_model_save(*g, sample_path("m.tern")));
    assert_ok(tern__file_read(sample_path("m.tern"), 0, bytes, size));
}

static void model_round_trip(void **state)
{
    (void)state;
    tern_graph *g = sample_graph(), *back = NULL;
    assert_non_null(g);
    assert_ok(tern_model_save(g, sample_path("r.tern")));
    assert_ok(tern_model_load(sample_path("r.tern"), &back));
    assert_same_graph(g, back);
    assert_int_equal(back->n_inputs, 1);
    assert_string_equal(tern_graph_input_name(back, 0), "x \"quoted\" \\ \n \xc3\xa4");
    assert_int_equal(back->values[back->inputs[0]].free_axes, 5);
    assert_int_equal(back->n_nodes, g->n_nodes);
    assert_int_equal(back->n_assigns, 1);
    for (int i = 0; i < g->n_nodes; i++) {
        const tern__node *p = g->nodes[i], *q = back->nodes[i];
        assert_ptr_equal(p->op, q->op);
        assert_int_equal(p->n_in, q->n_in);
        for (int k = 0; k < p->op->n_attrs; k++) {
            if (p->op->attrs[k].type != TERN_ATTR_FLOAT)
                assert_true(p->attrs[k].i == q->attrs[k].i);
            if (isnan(p->attrs[k].f))
                assert_true(isnan(q->attrs[k].f));
            else
                assert_memory_equal(&p->attrs[k].f, &q->attrs[k].f, sizeof p->attrs[k].f);
            assert_int_equal(p->attrs[k].n_ints, q->attrs[k].n_ints);
        }
    }
    for (int i = 0; i < g->n_variables; i++) {
        const tern__value *p = &g->values[g->variables[i]], *q = &back->values[back->variables[i]];
        assert_string_equal(p->name, q->name);
        assert_int_equal(p->trainable, q->trainable);
        assert_memory_equal(p->data->data, q->data->data, p->data->size);
    }
    tern_graph_destroy(g);
    tern_graph_destroy(back);
}

static void empty_model(void **state)
{
    (void)state;
    tern_graph *g = NULL, *back = NULL;
    assert_ok(tern_graph_create(&g));
    assert_ok(tern_model_save(g, sample_path("e.tern")));
    assert_ok(tern_model_load(sample_path("e.tern"), &back));
    assert_same_graph(g, back);
    tern_graph_destroy(g);
    tern_graph_destroy(back);
}

/* Parsed from memory of the exact size, so that a sanitizer sees a read past the end. */
static tern_status parse_copy(const uint8_t *bytes, size_t size, tern_graph **out)
{
    uint8_t *copy = tern__memdup(bytes, size);
    tern_status st = tern__model_parse(copy, size, out);
    tern__free(copy);
    return st;
}

static void model_truncated(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t size;
    tern_graph *g, *back = NULL;
    sample_file(&bytes, &size, &g);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(parse_copy(bytes, cut, &back), TERN_E_CORRUPT);
        assert_null(back);
    }
    tern__free(bytes);
    tern_graph_destroy(g);
}

static void model_flipped(void **state)
{
    (void)state;
    static const uint8_t masks[] = {0x01, 0x20};
    uint8_t *bytes;
    size_t size;
    tern_graph *g;
    int survived = 0;
    sample_file(&bytes, &size, &g);
    for (size_t i = 0; i < size; i++)
        for (int m = 0; m < TERN_COUNT(masks); m++) {
            tern_graph *back = NULL;
            bytes[i] ^= masks[m];
            tern_status st = parse_copy(bytes, size, &back);
            bytes[i] ^= masks[m];
            if (st == TERN_OK) {
                assert_same_graph(g, back);
                survived++;
            } else {
                assert_true(st == TERN_E_CORRUPT || st == TERN_E_UNSUPPORTED);
                assert_null(back);
                assert_int_not_equal(tern_last_error()[0], 0);
            }
            tern_graph_destroy(back);
        }
    assert_true(survived < 100);
    tern__free(bytes);
    tern_graph_destroy(g);
}

/* The file with its graph's text changed and the checksum made right again: what a careful forger would write. */
static tern_status forged(const char *from, const char *to)
{
    tern_graph *g = sample_graph(), *back = NULL;
    tern__model_tensors t;
    tern__safetensors file;
    uint8_t *bytes;
    size_t size;
    assert_non_null(g);
    assert_ok(tern_model_save(g, sample_path("forge.tern")));
    assert_ok(tern__file_read(sample_path("forge.tern"), 0, &bytes, &size));
    assert_ok(tern__safetensors_parse(bytes, size, &file));
    assert_ok(tern__model_tensors_init(&t, g));
    const char *text = tern__safetensors_meta(&file, "tern.graph"), *at = strstr(text, from);
    if (!at)
        fail_msg("\"%s\" is not in %s", from, text);
    tern__str s = {0};
    tern__str_addn(&s, text, (size_t)(at - text));
    tern__str_add(&s, to);
    tern__str_add(&s, at + strlen(from));
    tern__digest d = tern__hash(s.s, s.len);
    for (int i = 0; i < t.n; i++)
        d = tern__hash_more(d, t.list[i].data, t.list[i].size);
    char sum[33];
    tern__digest_hex(d, sum);
    const tern__st_meta meta[] = {{"tern.version", "1"}, {"tern.checksum", sum}, {"tern.graph", s.s}};
    assert_ok(tern__safetensors_write(sample_path("forge.tern"), t.list, t.n, meta, 3));
    tern_status st = tern_model_load(sample_path("forge.tern"), &back);
    tern_graph_destroy(back);
    tern__str_finish(&s);
    tern__model_tensors_finish(&t);
    tern__safetensors_finish(&file);
    tern__free(bytes);
    tern_graph_destroy(g);
    return st;
}

static void model_forged(void **state)
{
    (void)state;
    assert_int_equal(forged("\"conv\"", "\"conv\""), TERN_OK);
    static const struct { const char *from, *to; tern_status st; const char *says; } cases[] = {
        {"\"conv\"", "\"warp\"", TERN_E_UNSUPPORTED, "\"warp\""},
        {"\"pads\"", "\"pods\"", TERN_E_UNSUPPORTED, "\"pods\""},
        {"\"pads\":[1,1,0,1]", "\"pads\":[1,1,0]", TERN_E_CORRUPT, "nodes[0]"},
        {"\"pads\":[1,1,0,1]", "\"pads\":[-1,1,0,1]", TERN_E_CORRUPT, "nodes[0]"},
        {"\"pads\":[1,1,0,1]", "\"pads\":[0,0,0,0]", TERN_E_CORRUPT, "the shape rule says"},
        {"\"pads\":[1,1,0,1]", "\"pads\":[1.5,1,0,1]", TERN_E_CORRUPT, "pads"},
        {"\"pads\":[1,1,0,1]", "\"pads\":7", TERN_E_CORRUPT, "pads"},
        {"\"to\":\"f16\"", "\"to\":\"f17\"", TERN_E_CORRUPT, "f17"},
        {"\"free_axes\":5", "\"free_axes\":255", TERN_E_CORRUPT, "inputs[0]"},
        {"\"free_axes\":5", "\"free_axes\":-1", TERN_E_CORRUPT, "free_axes"},
        {"\"free_axes\":5", "\"free_axes\":\"5\"", TERN_E_CORRUPT, "free_axes"},
        {"[2,3,5,5]", "[2,3,-5,5]", TERN_E_CORRUPT, "extent 2"},
        {"[2,3,5,5]", "[2,3,4611686018427387904,4611686018427387904]", TERN_E_CORRUPT, "inputs[0]"},
        {"\"trainable\":true", "\"trainable\":1", TERN_E_CORRUPT, "trainable"},
        {"\"name\":\"state/i8\"", "\"name\":\"state/u8\"", TERN_E_CORRUPT, "state/u8"},
        {"\"name\":\"state/i8\"", "\"name\":\"\"", TERN_E_CORRUPT, "variables"},
        {"\"assigns\":[\n{\"variable\":2", "\"assigns\":[\n{\"variable\":1", TERN_E_CORRUPT, "assigns[0]"},
        {"\"assigns\":[\n{\"variable\":2", "\"assigns\":[\n{\"variable\":0", TERN_E_CORRUPT, "assigns[0]"},
        {"\"assigns\":[\n{\"variable\":2", "\"assigns\":[\n{\"variable\":100000", TERN_E_CORRUPT, "assigns[0]"},
        {"\"outputs\":[\n{\"name\":\"sum\",\"value\":", "\"outputs\":[\n{\"name\":\"sum\",\"value\":-", TERN_E_CORRUPT, "outputs[0]"},
        {"\"outputs\":[\n{\"name\":\"sum\"", "\"outputs\":[\n{\"name\":\"half\"", TERN_E_CORRUPT, "outputs[1]"},
        {"\"in\":[0,1]", "\"in\":[0,-1]", TERN_E_CORRUPT, "nodes[0]"},
        {"\"in\":[0,1]", "\"in\":[0,1000]", TERN_E_CORRUPT, "nodes[0]"},
        {"\"in\":[0,1]", "\"in\":[0,1,-1,-1,-1]", TERN_E_CORRUPT, "nodes[0]"},
        {"\"in\":[0,1]", "\"in\":[0,\"1\"]", TERN_E_CORRUPT, "nodes[0]"},
        {"\"nodes\"", "\"notes\"", TERN_E_CORRUPT, "\"nodes\""},
        {"{\"inputs\"", "{\"inputs\":[],\"inputs\"", TERN_E_CORRUPT, "duplicate"},
        {"{\"inputs\"", "[\"inputs\"", TERN_E_CORRUPT, "JSON"},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern_status st = forged(cases[i].from, cases[i].to);
        if (st != cases[i].st || !strstr(tern_last_error(), cases[i].says))
            fail_msg("%s -> %s: %s: %s", cases[i].from, cases[i].to, tern_status_name(st), tern_last_error());
    }
}

/* Metadata as given instead of what saving writes. */
static tern_status with_meta(const tern__st_meta *meta, int n)
{
    tern_graph *back = NULL;
    assert_ok(tern__safetensors_write(sample_path("meta.tern"), NULL, 0, meta, n));
    tern_status st = tern_model_load(sample_path("meta.tern"), &back);
    tern_graph_destroy(back);
    return st;
}

static void model_versions(void **state)
{
    (void)state;
    static const char text[] = "{\"inputs\":[],\"variables\":[],\"constants\":[],\"nodes\":[],\"outputs\":[],\"assigns\":[]}";
    char sum[33];
    tern__digest_hex(tern__hash(text, strlen(text)), sum);
    static const struct { const char *version; tern_status st; } cases[] = {
        {"1", TERN_OK}, {"2", TERN_E_UNSUPPORTED}, {"999999999", TERN_E_UNSUPPORTED}, {"", TERN_E_CORRUPT}, {"-1", TERN_E_CORRUPT}, {"0", TERN_E_CORRUPT}, {"1x", TERN_E_CORRUPT}, {"99999999999999", TERN_E_CORRUPT},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        const tern__st_meta meta[] = {{"tern.version", cases[i].version}, {"tern.checksum", sum}, {"tern.graph", text}};
        assert_int_equal(with_meta(meta, 3), cases[i].st);
    }
    const tern__st_meta wrong[] = {{"tern.version", "1"}, {"tern.checksum", "00000000000000000000000000000000"}, {"tern.graph", text}};
    assert_int_equal(with_meta(wrong, 3), TERN_E_CORRUPT);
    assert_non_null(strstr(tern_last_error(), "checksum"));
    const tern__st_meta missing[] = {{"tern.version", "1"}, {"tern.graph", text}};
    assert_int_equal(with_meta(missing, 2), TERN_E_CORRUPT);
    assert_int_equal(with_meta(missing, 1), TERN_E_CORRUPT);
    assert_int_equal(with_meta(missing, 0), TERN_E_CORRUPT);
}

/* Files from before max_pool gave the places of what it picked have one output of it. */
static void model_with_fewer_outputs(void **state)
{
    (void)state;
    static const struct { const char *outs; tern_status st; } cases[] = {
        {"{\"dtype\":\"f32\",\"shape\":[1,1,2,2]}", TERN_OK},
        {"{\"dtype\":\"f32\",\"shape\":[1,1,2,2]},{\"dtype\":\"u8\",\"shape\":[1,1,2,2]}", TERN_OK},
        {"", TERN_E_CORRUPT},
        {"{\"dtype\":\"f32\",\"shape\":[1,1,2,2]},{\"dtype\":\"u8\",\"shape\":[1,1,2,2]},{\"dtype\":\"u8\",\"shape\":[1,1,2,2]}", TERN_E_CORRUPT},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        char text[1024], sum[33];
        snprintf(text, sizeof text, "{\"inputs\":[{\"name\":\"x\",\"dtype\":\"f32\",\"shape\":[1,1,4,4],\"free_axes\":0}],\"variables\":[],\"constants\":[],"
                 "\"nodes\":[{\"op\":\"max_pool\",\"in\":[0],\"attrs\":{\"kernel\":[2,2],\"strides\":[2,2]},\"out\":[%s]}],"
                 "\"outputs\":[{\"name\":\"y\",\"value\":1}],\"assigns\":[]}", cases[i].outs);
        tern__digest_hex(tern__hash(text, strlen(text)), sum);
        const tern__st_meta meta[] = {{"tern.version", "1"}, {"tern.checksum", sum}, {"tern.graph", text}};
        tern_status st = with_meta(meta, 3);
        if (st != cases[i].st)
            fail_msg("case %d: %s: %s", i, tern_status_name(st), tern_last_error());
    }
}

static void model_refusals(void **state)
{
    (void)state;
    tern_graph *g = sample_graph(), *back = NULL;
    assert_int_equal(tern_model_load(sample_path("absent.tern"), &back), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), "absent.tern"));
    assert_int_equal(tern_model_load(sample_dir, &back), TERN_E_IO);
    assert_int_not_equal(tern_model_save(g, sample_path("no/such/folder.tern")), TERN_OK);
    assert_int_not_equal(tern_model_save(g, sample_dir), TERN_OK);
    assert_int_equal(tern_model_save(NULL, sample_path("x")), TERN_E_INVALID);
    sample_variable(g, "not \xff utf-8", TERN_F32, false, DIMS(1));
    assert_int_equal(tern_model_save(g, sample_path("x")), TERN_E_INVALID);
    tern_graph_output(g, "latched", 100000);
    assert_int_equal(tern_model_save(g, sample_path("x")), TERN_E_INVALID);
    assert_null(back);
    tern_graph_destroy(g);
}

static void weights(void **state)
{
    (void)state;
    tern_graph *g = sample_graph(), *other = sample_graph(), *small = NULL;
    const char *path = sample_path("w.safetensors");
    assert_non_null(g);
    assert_non_null(other);
    assert_ok(tern_weights_save(g, path));
    for (int i = 0; i < other->n_variables; i++) {
        tern__blob *b = other->values[other->variables[i]].data;
        memset(b->data, 0, b->size);
    }
    assert_ok(tern_weights_load(other, path));
    assert_same_graph(g, other);

    /* A variable too many, and one of another type, leave the graph as it was. */
    sample_variable(other, "zz/extra", TERN_F32, false, DIMS(2));
    memset(other->values[other->variables[0]].data->data, 7, 4);
    assert_int_equal(tern_weights_load(other, path), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), "zz/extra"));
    assert_memory_equal(other->values[other->variables[0]].data->data, "\7\7\7\7", 4);
    assert_ok(tern_graph_create(&small));
    sample_variable(small, "conv/weight", TERN_F32, true, DIMS(3, 4, 2, 2));
    assert_int_equal(tern_weights_load(small, path), TERN_E_SHAPE);
    tern_graph_destroy(small);
    assert_ok(tern_graph_create(&small));
    sample_variable(small, "conv/weight", TERN_I32, false, DIMS(4, 3, 2, 2));
    assert_int_equal(tern_weights_load(small, path), TERN_E_DTYPE);
    /* A model file serves as weights too; a weights file is no model. */
    assert_ok(tern_model_save(g, sample_path("w.tern")));
    tern_graph *again = sample_graph(), *back = NULL;
    memset(again->values[again->variables[0]].data->data, 0, 16);
    assert_ok(tern_weights_load(again, sample_path("w.tern")));
    assert_same_graph(g, again);
    assert_int_equal(tern_model_load(path, &back), TERN_E_CORRUPT);
    tern_graph_destroy(again);
    tern_graph_destroy(small);
    tern_graph_destroy(g);
    tern_graph_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_round_trip),   cmocka_unit_test(npy_bf16_goes_out_as_f32),
        cmocka_unit_test(npy_dialects),     cmocka_unit_test(npy_refusals),
        cmocka_unit_test(npy_damage),       cmocka_unit_test(idx_files),
        cmocka_unit_test(dataset_files),    cmocka_unit_test(dataset_places),
        cmocka_unit_test(shuffles),         cmocka_unit_test(json_numbers),
        cmocka_unit_test(json_strings),     cmocka_unit_test(json_grammar),
        cmocka_unit_test(safetensors_good),
        cmocka_unit_test(safetensors_refusals), cmocka_unit_test(model_round_trip),
        cmocka_unit_test(empty_model),      cmocka_unit_test(model_truncated),
        cmocka_unit_test(model_flipped),    cmocka_unit_test(model_forged),
        cmocka_unit_test(model_versions),   cmocka_unit_test(model_with_fewer_outputs), cmocka_unit_test(model_refusals),
        cmocka_unit_test(weights),
    };
    return cmocka_run_group_tests(tests, sample_setup, sample_teardown);
}
