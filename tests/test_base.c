/* The bottom layer: errors, memory, text, files, digests, halves and random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/half.h"
#include "base/hash.h"
#include "base/philox.h"
#include "base/status.h"
#include "base/str.h"
#include "tern_config.h"
#if TERN_HAVE_ZLIB
#include <zlib.h>
#endif

static char dir[64];

static const char *in_dir(const char *name)
{
    static char path[64][200]; /* each stays valid for 63 further calls */
    static int turn;
    char *p = path[turn++ % 64];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/tern-base-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void count_files(void *user, const char *name, int64_t size_bytes)
{
    (void)name;
    assert_true(size_bytes >= 0);
    ++*(int *)user;
}

static int files_in(const char *path)
{
    int n = 0;
    assert_int_equal(tern__dir_each(path, count_files, &n), TERN_OK);
    return n;
}

static void status_sentences(void **state)
{
    (void)state;
    assert_int_equal(tern__fail(TERN_E_SHAPE, "axis %d", 4), TERN_E_SHAPE);
    assert_string_equal(tern_last_error(), "axis 4");
    assert_int_equal(tern__fail_in(TERN_E_SHAPE, "op %s", "relu"), TERN_E_SHAPE);
    assert_string_equal(tern_last_error(), "op relu: axis 4");
    tern__fail(TERN_E_IO, "again (%s)", tern_last_error());
    assert_string_equal(tern_last_error(), "again (op relu: axis 4)");
    for (int i = 0; i < 300; i++)
        tern__fail_in(TERN_E_IO, "%s", "a prefix");
    assert_true(strlen(tern_last_error()) < 1024);
    assert_string_equal(tern_status_name(TERN_E_MISMATCH), "TERN_E_MISMATCH");
    assert_string_equal(tern_status_name((tern_status)99), "TERN_E_?");
    assert_string_equal(tern_version(), "0.1.0");
}

static void dtypes(void **state)
{
    (void)state;
    for (int t = 0; t < TERN_DTYPE_COUNT; t++) {
        tern_dtype back;
        assert_int_equal(tern_dtype_parse(tern_dtype_name((tern_dtype)t), &back), TERN_OK);
        assert_int_equal(back, t);
        assert_true(tern_dtype_size((tern_dtype)t) > 0);
    }
    tern_dtype untouched = TERN_I64;
    assert_int_equal(tern_dtype_parse("float", &untouched), TERN_E_NOT_FOUND);
    assert_int_equal(untouched, TERN_I64);
    assert_string_equal(tern_dtype_name(TERN_DTYPE_COUNT), "?");
    assert_int_equal(tern_dtype_size((tern_dtype)-1), 0);
}

static void checked_sizes(void **state)
{
    (void)state;
    size_t n;
    int64_t e;
    assert_false(tern__mul_size(SIZE_MAX / 2, 3, &n));
    assert_true(tern__mul_size(SIZE_MAX, 0, &n) && n == 0);
    assert_true(tern__mul_size(SIZE_MAX, 1, &n) && n == SIZE_MAX);
    assert_false(tern__add_size(SIZE_MAX, 1, &n));
    assert_true(tern__add_size(SIZE_MAX, 0, &n) && n == SIZE_MAX);
    assert_true(tern__shape_elems(&(tern_shape){0}, &e) && e == 1);
    assert_true(tern__shape_elems(&(tern_shape){3, {2, 3, 4}}, &e) && e == 24);
    assert_true(tern__shape_elems(&(tern_shape){2, {0, 4}}, &e) && e == 0);
    assert_false(tern__shape_elems(&(tern_shape){2, {INT64_MAX, 2}}, &e));
    assert_false(tern__shape_elems(&(tern_shape){3, {0, INT64_MAX, 2}}, &e));
    assert_true(tern__shape_elems(&(tern_shape){3, {1 << 14, 0, 1 << 14}}, &e) && e == 0);
    assert_false(tern__shape_elems(&(tern_shape){3, {1 << 14, 0, (1 << 14) + 1}}, &e));
    assert_false(tern__shape_elems(&(tern_shape){1, {-1}}, &e));
}

static void memory(void **state)
{
    (void)state;
    uint8_t *p = tern__alloc(100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    tern__free(p);
    tern__free(NULL);
    p = tern__alloc(0);
    assert_non_null(p);
    tern__free(p);
    assert_null(tern__alloc(SIZE_MAX));
    assert_null(tern__alloc_array(SIZE_MAX / 2, 4));
    int *items = NULL, cap = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(TERN_GROW(items, i, cap));
        items[i] = i;
    }
    assert_int_equal(items[999], 999);
    assert_true(cap >= 1000);
    tern__free(items);
}

static void faults(void **state)
{
    (void)state;
    tern__fault_arm(TERN__FAULT_ALLOC, 2, false);
    void *a = tern__alloc(1), *b = tern__alloc(1), *c = tern__alloc(1);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    assert_int_equal(tern__fault_count(TERN__FAULT_ALLOC), 3);
    tern__free(a);
    tern__free(c);
    tern__fault_arm(TERN__FAULT_ALLOC, 1, true);
    assert_null(tern__alloc(1));
    assert_null(tern__strdup("x"));
    tern__str s = {0};
    tern__str_add(&s, "text");
    assert_true(s.failed);
    assert_string_equal(tern__str_text(&s), "");
    tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
    tern__str_add(&s, "ignored after the failure");
    assert_string_equal(tern__str_text(&s), "");
    tern__str_finish(&s);
}

static void text(void **state)
{
    (void)state;
    tern__str s = {0};
    assert_string_equal(tern__str_text(&s), "");
    for (int i = 0; i < 500; i++)
        tern__str_addf(&s, "%d,", i);
    assert_int_equal(s.len, 10 * 2 + 90 * 3 + 400 * 4);
    assert_memory_equal(s.s + s.len - 4, "499,", 5);
    tern__str_clear(&s);
    char big[5000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    tern__str_addf(&s, "%s!", big);
    assert_int_equal(s.len, 5000);
    tern__str_finish(&s);
}

static void float_literals(void **state)
{
    (void)state;
    static const struct { double x; const char *text; } cases[] = {
        {0, "0.0f"}, {-0.0, "-0.0f"}, {1, "1.0f"}, {0.1, "0.1f"}, {-2.5, "-2.5f"}, {1e30, "1e+30f"},
        {(double)INFINITY, "INFINITY"}, {-(double)INFINITY, "-INFINITY"}, {16777216, "16777216.0f"}, {1e300, "INFINITY"},
    };
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern__str s = {0};
        tern__str_add_f32(&s, cases[i].x);
        if (cases[i].x == 16777216)
            assert_true(strtof(s.s, NULL) == 16777216.0f); /* shortest spelling: 16777216 or 1.6777216e+07 */
        else
            assert_string_equal(tern__str_text(&s), cases[i].text);
        tern__str_finish(&s);
    }
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t bits = tern__philox_word(1, 2, i);
        float f;
        memcpy(&f, &bits, sizeof f);
        if (!isfinite(f))
            continue;
        tern__str s = {0};
        tern__str_add_f32(&s, (double)f);
        float back = strtof(tern__str_text(&s), NULL);
        assert_memory_equal(&back, &f, sizeof f);
        assert_int_equal(s.s[s.len - 1], 'f');
        assert_non_null(strpbrk(s.s, ".e"));
        tern__str_finish(&s);
    }
}

static void digests(void **state)
{
    (void)state;
    char hex[33];
    /* The published XXH3-128 digest of nothing. */
    tern__digest_hex(tern__hash("", 0), hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    tern__digest a = tern__hash_more(tern__hash("a", 1), "b", 1), b = tern__hash_more(tern__hash("b", 1), "a", 1);
    assert_false(tern__digest_equal(a, b));
    assert_true(tern__digest_equal(a, tern__hash_more(tern__hash("a", 1), "b", 1)));
    assert_int_equal(tern__hash_text("some name"), tern__hash_text("some name"));
    int differ = 0;
    for (int i = 0; i < 64; i++)
        differ += tern__hash_text((char[]){(char)('0' + i), 0}) != tern__hash_text("some name");
    assert_true(differ > 60);
}

/* Every f16 survives, every tie between neighbours goes to the even one, and a step beyond a tie goes the right way. */
static void f16_rounding(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = tern__f16_to_f32((uint16_t)h);
        if (isnan(f)) {
            assert_true(isnan(tern__f16_to_f32(tern__f32_to_f16(f))));
            continue;
        }
        assert_int_equal(tern__f32_to_f16(f), h);
        if ((h & 0x7fff) >= 0x7bff)
            continue;
        float next = tern__f16_to_f32((uint16_t)(h + 1)), middle = 0.5f * (f + next);
        assert_int_equal(tern__f32_to_f16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(tern__f32_to_f16(nextafterf(middle, f)), h);
        assert_int_equal(tern__f32_to_f16(nextafterf(middle, next)), h + 1);
    }
    assert_int_equal(tern__f32_to_f16(1.0f), 0x3c00);
    assert_int_equal(tern__f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(tern__f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(tern__f32_to_f16(-1e30f), 0xfc00);
    assert_int_equal(tern__f32_to_f16(0x1p-25f), 0);
    assert_int_equal(tern__f32_to_f16(0x1.8p-25f), 1);
    assert_int_equal(tern__f32_to_f16(-0.0f), 0x8000);
}

static void bf16_rounding(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = tern__bf16_to_f32((uint16_t)h);
        if (!isnan(f))
            assert_int_equal(tern__f32_to_bf16(f), h);
    }
    assert_int_equal(tern__f32_to_bf16(1.00390625f), 0x3f80); /* 1 + 2^-8 is a tie: down to even */
    assert_int_equal(tern__f32_to_bf16(1.01171875f), 0x3f82); /* 1 + 3*2^-8 is a tie: up to even */
    assert_int_equal(tern__f32_to_bf16(3.4e38f), 0x7f80);
    assert_true(isnan(tern__bf16_to_f32(tern__f32_to_bf16(NAN))));
}

/* The known answers that come with Random123. */
static void philox_known(void **state)
{
    (void)state;
    static const struct { uint32_t ctr[4], key[2], out[4]; } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < TERN_COUNT(known); i++) {
        uint32_t out[4];
        tern__philox(known[i].ctr, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
    assert_int_equal(tern__philox_word(0, 0, 2), 0xbc57ac4c);
    assert_int_equal(tern__philox_word(0x299f31d0a4093822, 0x0370734413198a2e, 4 * (uint64_t)0x85a308d3243f6a88 + 1),
                     tern__philox_word(0x299f31d0a4093822, 0x0370734413198a2e, 4 * (0x85a308d3243f6a88 & (UINT64_MAX >> 2)) + 1));
}

static void philox_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    double sum = 0, square = 0, mean = 0;
    for (uint64_t i = 0; i < N; i++) {
        float u = tern__philox_uniform(7, 3, i);
        assert_true(u >= 0 && u < 1);
        mean += (double)u / N;
        double z = (double)tern__philox_normal(7, 4, i);
        assert_true(isfinite(z));
        sum += z / N;
        square += z * z / N;
    }
    assert_true(fabs(mean - 0.5) < 0.004 && fabs(sum) < 0.01 && fabs(square - 1) < 0.02);
}

static void write_file(const char *path, const void *data, size_t size)
{
    tern__file_writer w;
    assert_int_equal(tern__file_writer_open(&w, path, 0644), TERN_OK);
    tern__file_writer_put(&w, data, size);
    assert_int_equal(tern__file_writer_close(&w), TERN_OK);
}

static void read_and_write(void **state)
{
    (void)state;
    uint8_t *data = NULL;
    size_t size = 0;
    write_file(in_dir("a"), "hello", 5);
    assert_int_equal(tern__file_read(in_dir("a"), 0, &data, &size), TERN_OK);
    assert_int_equal(size, 5);
    assert_string_equal((char *)data, "hello");
    tern__free(data);
    data = NULL;
    assert_int_equal(tern__file_read(in_dir("a"), 4, &data, &size), TERN_E_UNSUPPORTED);
    assert_int_equal(tern__file_read(in_dir("missing"), 0, &data, &size), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), "missing"));
    assert_int_equal(tern__file_read(dir, 0, &data, &size), TERN_E_IO);
    assert_int_equal(tern__file_read("/dev/zero", 0, &data, &size), TERN_E_IO);
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    assert_int_equal(tern__file_read(in_dir("pipe"), 0, &data, &size), TERN_E_IO);
    assert_null(data);
    tern__file_writer w;
    assert_int_equal(tern__file_writer_open(&w, "/dev/null", 0644), TERN_E_IO);
    assert_int_equal(tern__file_writer_open(&w, in_dir("no/such/dir"), 0644), TERN_E_NOT_FOUND);
    assert_int_equal(tern__file_writer_open(&w, dir, 0644), TERN_E_IO);
    assert_int_equal(tern__file_remove(in_dir("a")), TERN_OK);
    assert_int_equal(tern__file_remove(in_dir("a")), TERN_OK);
    assert_int_equal(access(in_dir("a"), F_OK), -1);
}

/* Whatever fails on the way, the old file stays whole and no temporary name is left. */
static void write_is_whole_or_not(void **state)
{
    (void)state;
    const char *home = in_dir("whole");
    assert_int_equal(tern__dir_create(home, 0755), TERN_OK);
    const char *path = in_dir("whole/f");
    write_file(path, "old", 3);
    for (int for_good = 0; for_good < 2; for_good++) {
        long n = 1;
        for (;; n++) {
            assert_true(n < 100);
            tern__fault_arm(TERN__FAULT_FILE, n, for_good);
            tern__file_writer w;
            tern_status st = tern__file_writer_open(&w, path, 0644);
            if (st == TERN_OK) {
                tern__file_writer_put(&w, "ne", 2);
                tern__file_writer_put(&w, "w", 1);
                st = tern__file_writer_close(&w);
            }
            bool reached = tern__fault_count(TERN__FAULT_FILE) >= n;
            tern__fault_arm(TERN__FAULT_FILE, 0, false);
            assert_int_equal(files_in(home), 1);
            uint8_t *data;
            size_t size;
            assert_int_equal(tern__file_read(path, 0, &data, &size), TERN_OK);
            assert_string_equal((char *)data, st == TERN_OK ? "new" : "old");
            tern__free(data);
            assert_int_equal(st == TERN_OK, !reached);
            if (!reached)
                break;
        }
        assert_true(n > 6);
        write_file(path, "old", 3);
    }
}

static void abandoned_write(void **state)
{
    (void)state;
    int before = files_in(dir);
    tern__file_writer w;
    assert_int_equal(tern__file_writer_open(&w, in_dir("never"), 0644), TERN_OK);
    tern__file_writer_put(&w, "x", 1);
    tern__file_writer_abandon(&w);
    assert_int_equal(files_in(dir), before);
}

static void directories(void **state)
{
    (void)state;
    assert_int_equal(tern__dir_create(in_dir("x//y/z/"), 0700), TERN_OK);
    assert_int_equal(tern__dir_create(in_dir("x/y/z"), 0700), TERN_OK);
    struct stat sb;
    assert_int_equal(stat(in_dir("x/y/z"), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    write_file(in_dir("x/file"), "", 0);
    assert_int_equal(tern__dir_create(in_dir("x/file"), 0700), TERN_E_IO);
    assert_int_equal(tern__dir_create(in_dir("x/file/below"), 0700), TERN_E_IO);
    assert_int_equal(files_in(in_dir("x")), 1);
    assert_int_equal(files_in(in_dir("nowhere")), 0);
}

#if TERN_HAVE_ZLIB
static void locks(void **state)
{
    (void)state;
    const char *path = in_dir("a.lock");
    tern__file_lock mine, other;
    assert_true(tern__file_lock_take(&mine, path, 0));
    assert_false(tern__file_lock_take(&other, path, 0.01));
    tern__file_lock_drop(&mine);
    assert_int_equal(access(path, F_OK), -1);
    write_file(path, "", 0); /* one that a process left */
    assert_true(tern__file_lock_take(&mine, path, 0));
    assert_int_equal(unlink(path), 0); /* by somebody's cleaning */
    assert_true(tern__file_lock_take(&other, path, 0));
    tern__file_lock_drop(&other);
    tern__file_lock_drop(&mine);

    const char *link = in_dir("link.lock");
    assert_int_equal(symlink(in_dir("elsewhere"), link), 0);
    assert_false(tern__file_lock_take(&mine, link, 1));
    assert_int_equal(access(in_dir("elsewhere"), F_OK), -1);
    assert_false(tern__file_lock_take(&mine, in_dir("no/such/dir"), 1));

    bool reached = true;
    for (long n = 1; reached; n++) {
        tern__fault_arm(TERN__FAULT_FILE, n, false);
        bool held = tern__file_lock_take(&mine, path, 1);
        reached = tern__fault_count(TERN__FAULT_FILE) >= n;
        tern__fault_arm(TERN__FAULT_FILE, 0, false);
        assert_true(held == !reached);
        if (held)
            tern__file_lock_drop(&mine);
        assert_true(tern__file_lock_take(&mine, path, 0)); /* nothing is held by what failed */
        tern__file_lock_drop(&mine);
    }
    tern__fault_arm(TERN__FAULT_ALLOC, 1, false);
    assert_false(tern__file_lock_take(&mine, path, 1));
    tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
}

static void gzip_files(void **state)
{
    (void)state;
    enum { N = 300000 };
    uint8_t *plain = tern__alloc(N), *data = NULL;
    size_t size;
    char path[200];
    snprintf(path, sizeof path, "%s", in_dir("g.gz"));
    for (int i = 0; i < N; i++)
        plain[i] = (uint8_t)(i % 251 ^ i / 1000);
    gzFile z = gzopen(path, "wb");
    gzwrite(z, plain, N / 2);
    gzclose(z);
    z = gzopen(path, "ab"); /* a second member */
    gzwrite(z, plain + N / 2, N - N / 2);
    gzclose(z);
    assert_int_equal(tern__file_read_gz(path, N, &data, &size), TERN_OK);
    assert_int_equal(size, N);
    assert_memory_equal(data, plain, N);
    tern__free(data);
    assert_int_equal(tern__file_read_gz(path, N - 1, &data, &size), TERN_E_UNSUPPORTED);

    uint8_t *packed;
    size_t n;
    assert_int_equal(tern__file_read(path, 0, &packed, &n), TERN_OK);
    for (size_t cut = 2; cut < n; cut += 97) {
        write_file(in_dir("cut.gz"), packed, cut);
        tern_status st = tern__file_read_gz(in_dir("cut.gz"), 0, &data, &size);
        if (st == TERN_OK) { /* exactly between the members */
            assert_int_equal(size, N / 2);
            tern__free(data);
        } else {
            assert_int_equal(st, TERN_E_CORRUPT);
        }
    }
    packed[n / 3] ^= 0x10;
    write_file(in_dir("bad.gz"), packed, n);
    assert_int_equal(tern__file_read_gz(in_dir("bad.gz"), 0, &data, &size), TERN_E_CORRUPT);
    packed[n / 3] ^= 0x10;

    for (long nth = 1;; nth++) {
        tern__fault_arm(TERN__FAULT_ALLOC, nth, false);
        tern_status st = tern__file_read_gz(path, 0, &data, &size);
        bool reached = tern__fault_count(TERN__FAULT_ALLOC) >= nth;
        tern__fault_arm(TERN__FAULT_ALLOC, 0, false);
        assert_int_equal(st, reached ? TERN_E_NOMEM : TERN_OK);
        if (!reached)
            break;
    }
    tern__free(data);
    tern__free(packed);
    write_file(in_dir("plain"), plain, N);
    assert_int_equal(tern__file_read_gz(in_dir("plain"), N, &data, &size), TERN_OK);
    assert_memory_equal(data, plain, N);
    tern__free(data);
    assert_int_equal(tern__file_read_gz(in_dir("plain"), 10, &data, &size), TERN_E_UNSUPPORTED);
    tern__free(plain);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_sentences), cmocka_unit_test(dtypes),         cmocka_unit_test(checked_sizes),
        cmocka_unit_test(memory),           cmocka_unit_test(faults),         cmocka_unit_test(text),
        cmocka_unit_test(float_literals),   cmocka_unit_test(digests),        cmocka_unit_test(f16_rounding),
        cmocka_unit_test(bf16_rounding),    cmocka_unit_test(philox_known),   cmocka_unit_test(philox_moments),
        cmocka_unit_test(read_and_write),   cmocka_unit_test(write_is_whole_or_not),
        cmocka_unit_test(abandoned_write),  cmocka_unit_test(directories),    cmocka_unit_test(locks),
#if TERN_HAVE_ZLIB
        cmocka_unit_test(gzip_files),
#endif
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
