/* Programs: sources and their replacement, building one and many, and the on-disk cache under damage and crowding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/status.h"
#include "device/impl.h"
#include "program/cache.h"
#include "program/embedded.h"
#include "program/program.h"

#define OK(call)                                          \
    do {                                                  \
        if ((call) != TERN_OK)                            \
            fail_msg("%s: %s", #call, tern_last_error()); \
    } while (0)

static char dir[64]; /* of this test alone */

static const char *in_dir(const char *name)
{
    static char path[8][256];
    static int turn;
    char *p = path[turn++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/tern-program-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    unsetenv("TERN_KERNEL_PATH");
    return system(command);
}

static void put_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static tern_device *open_device(const char *select, const char *cache_dir)
{
    const tern_device_params params = { .select = select, .cache_dir = cache_dir };
    tern_device *d = NULL;
    OK(tern_device_open(&params, &d));
    return d;
}

static const char source[] = "kernel void triple(global int *x) { x[get_global_id(0)] *= 3; }\n";

/* The program computes what it should. */
static tern_status check_program(tern_device *d, tern__program *p)
{
    int32_t x[64];
    const size_t global[3] = { 64 }, local[3] = { 16 };
    tern__kernel *k = NULL;
    tern__buffer *b = NULL;
    for (int i = 0; i < 64; i++)
        x[i] = i;
    tern_status st = tern__kernel_create(p, "triple", &k);
    if (st == TERN_OK)
        st = tern__buffer_create(d, sizeof x, &b);
    if (st == TERN_OK)
        st = tern__buffer_write(b, 0, x, sizeof x);
    const tern__arg arg = { .kind = TERN__ARG_BUFFER, .buffer = b };
    if (st == TERN_OK)
        st = tern__kernel_set_arg(k, 0, &arg);
    if (st == TERN_OK)
        st = tern__kernel_launch(k, 1, global, local, NULL);
    if (st == TERN_OK)
        st = tern__buffer_read(b, 0, x, sizeof x);
    for (int i = 0; st == TERN_OK && i < 64; i++)
        if (x[i] != 3 * i)
            st = tern__fail(TERN_E_MISMATCH, "item %d is %d", i, (int)x[i]);
    tern__kernel_release(k);
    tern__buffer_release(b);
    return st;
}

/* Builds on a device of its own, through the cache, and runs. */
static tern_status build_and_check(const char *cache_dir, bool *cached)
{
    const tern_device_params params = { .cache_dir = cache_dir };
    tern_device *d = NULL;
    tern__program *p = NULL;
    TERN_TRY(tern_device_open(&params, &d));
    tern_status st = tern__program_build(d, source, sizeof source - 1, "", cached, &p);
    if (st == TERN_OK)
        st = check_program(d, p);
    tern__program_release(p);
    tern_device_close(d);
    return st;
}

static bool is_cached(const char *cache_dir)
{
    bool cached = false;
    OK(build_and_check(cache_dir, &cached));
    return cached;
}

static int64_t n_entries(const char *cache_dir)
{
    tern_cache_info info;
    OK(tern_cache_get_info(cache_dir, &info));
    return info.n_entries;
}

static const char *entry_path(void)
{
    tern_device *d = open_device("", dir);
    char hex[33], name[64];
    tern__digest_hex(tern__cache_key(d, source, sizeof source - 1, ""), hex);
    tern_device_close(d);
    snprintf(name, sizeof name, "%s.tpc", hex);
    return in_dir(name);
}

/* --- The cache --- */

/* Before this process touches OpenCL: drivers do not survive a fork. */
static void test_sixteen_processes(void **state)
{
    (void)state;
    enum { BUILT = 4 };
    pid_t child[16];
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    for (int i = 0; i < TERN_COUNT(child); i++) {
        child[i] = fork();
        assert_true(child[i] >= 0);
        if (child[i] > 0)
            continue;
        char c;
        bool cached = false;
        close(gate[1]);
        if (read(gate[0], &c, 1) != 0) /* ends for all of them at once */
            _exit(3);
        bool first_cached = false;
        tern_status st = build_and_check(dir, &first_cached);
        if (st == TERN_OK)
            st = build_and_check(dir, &cached);
        if (st != TERN_OK)
            fprintf(stderr, "# %s\n", tern_last_error());
        _exit(st != TERN_OK ? 1 : !cached ? 2 : first_cached ? 0 : BUILT);
    }
    close(gate[0]);
    close(gate[1]);
    int n_built = 0;
    for (int i = 0; i < TERN_COUNT(child); i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status));
        n_built += WEXITSTATUS(status) == BUILT;
        assert_true(WEXITSTATUS(status) == BUILT || WEXITSTATUS(status) == 0);
    }
    assert_int_equal(n_built, 1); /* the others waited for it */
    assert_int_equal(n_entries(dir), 1);
    char command[100];
    snprintf(command, sizeof command, "test $(ls -A '%s' | wc -l) = 1", dir); /* no temporary file stayed */
    assert_int_equal(system(command), 0);
}

static void test_second_build_is_cached(void **state)
{
    (void)state;
    struct stat s;
    assert_false(is_cached(in_dir("new/cache")));
    assert_true(is_cached(in_dir("new/cache")));
    assert_int_equal(stat(in_dir("new/cache"), &s), 0);
    assert_int_equal(s.st_mode & 0777, 0700);
    assert_false(is_cached("")); /* none kept */
    assert_int_equal(n_entries(in_dir("new/cache")), 1);
}

static void test_key_holds_all_that_matters(void **state)
{
    (void)state;
    tern_device *d = open_device("null", "");
    tern__digest k = tern__cache_key(d, "abc", 3, "-DX");
    assert_true(tern__digest_equal(k, tern__cache_key(d, "abc", 3, "-DX")));
    assert_false(tern__digest_equal(k, tern__cache_key(d, "abd", 3, "-DX")));
    assert_false(tern__digest_equal(k, tern__cache_key(d, "abc", 3, "-DY")));
    assert_false(tern__digest_equal(k, tern__cache_key(d, "ab", 2, "-DX")));
    char *const words[] = { d->info.name, d->info.vendor, d->info.platform, d->info.version, d->info.driver };
    for (int i = 0; i < TERN_COUNT(words); i++) {
        words[i][0] ^= 1;
        assert_false(tern__digest_equal(k, tern__cache_key(d, "abc", 3, "-DX")));
        words[i][0] ^= 1;
    }
    tern_device_close(d);
}

/* Damages the entry, sees that nobody trusts it, and that it is whole again afterwards. */
static void check_rebuilt(const uint8_t *damaged, size_t size, const char *what)
{
    const char *path = entry_path();
    uint8_t *now = NULL;
    size_t n = 0;
    put_file(path, damaged, size);
    if (is_cached(dir))
        fail_msg("an entry with %s was trusted", what);
    OK(tern__file_read(path, 0, &now, &n));
    assert_true(n != size || memcmp(now, damaged, n) != 0);
    tern__free(now);
    assert_true(is_cached(dir));
}

static void test_damaged_entries(void **state)
{
    (void)state;
    static const size_t flips[] = { 0, 8, 12, 16, 31, 32, 40, 55, 56, 900 };
    uint8_t *good = NULL;
    size_t size = 0;
    assert_false(is_cached(dir));
    OK(tern__file_read(entry_path(), 0, &good, &size));
    assert_true(size > 1000);
    for (int i = 0; i <= TERN_COUNT(flips); i++) {
        size_t at = i < TERN_COUNT(flips) ? flips[i] : size - 1;
        char what[64];
        snprintf(what, sizeof what, "byte %zu of %zu changed", at, size);
        good[at] ^= 0x10;
        check_rebuilt(good, size, what);
        good[at] ^= 0x10;
    }
    static const size_t cuts[] = { 0, 1, 55, 56, 57, 999 };
    for (int i = 0; i < TERN_COUNT(cuts); i++)
        check_rebuilt(good, cuts[i], "its end cut off");
    tern__free(good);
}

static void test_foreign_entries(void **state)
{
    (void)state;
    static const uint8_t elf[200] = "\177ELF";
    assert_false(is_cached(dir));
    check_rebuilt(elf, sizeof elf, "another program's bytes");

    /* A sound entry of other source, under this one's name. */
    tern_device *d = open_device("", dir);
    tern__digest other = tern__cache_key(d, "other", 5, "");
    uint8_t *bytes = NULL;
    size_t size = 0;
    char hex[33], name[64];
    tern__cache_save(dir, other, elf, sizeof elf);
    tern__digest_hex(other, hex);
    snprintf(name, sizeof name, "%s.tpc", hex);
    OK(tern__file_read(in_dir(name), 0, &bytes, &size));
    check_rebuilt(bytes, size, "another key");
    tern__free(bytes);

    /* While under its own name it is taken. */
    assert_int_equal(tern__cache_load(dir, other, &bytes, &size), TERN__CACHE_HIT);
    assert_int_equal(size, sizeof elf);
    assert_memory_equal(bytes, elf, sizeof elf);
    tern__free(bytes);
    tern_device_close(d);
}

static void test_a_folder_in_an_entry_s_place(void **state)
{
    (void)state;
    assert_int_equal(mkdir(entry_path(), 0700), 0);
    assert_false(is_cached(dir));
    assert_false(is_cached(dir)); /* it cannot be replaced; everything works without */
}

static void test_unwritable_cache(void **state)
{
    (void)state;
    put_file(in_dir("file"), "x", 1);
    assert_false(is_cached(in_dir("file/cache")));
    assert_false(is_cached(in_dir("file"))); /* not a folder */
    assert_false(is_cached("/proc/tern/cache"));
    tern_cache_info info;
    OK(tern_cache_get_info("/proc/tern/cache", &info));
    assert_int_equal(info.n_entries, 0);
}

/* Every file call fails in turn, once and for good, as on a full disk or a broken one: builds go on as if nothing were. */
static void test_file_faults(void **state)
{
    (void)state;
    bool cached;
    tern__fault_arm(TERN__FAULT_FILE, 0, false);
    OK(build_and_check(dir, &cached));
    long calls = tern__fault_count(TERN__FAULT_FILE);
    assert_true(calls > 3);
    for (long n = 1; n <= calls; n++)
        for (int for_good = 0; for_good < 2; for_good++) {
            OK(tern_cache_clear(dir, NULL));
            tern__fault_arm(TERN__FAULT_FILE, n, for_good);
            tern_status st = build_and_check(dir, &cached);
            tern__fault_arm(TERN__FAULT_FILE, 0, false);
            OK(st);
            assert_true(n_entries(dir) <= 1);
            OK(build_and_check(dir, &cached)); /* and what is there, if anything, is sound */
        }
}

static void test_info_and_clear(void **state)
{
    (void)state;
    int64_t n = -1;
    tern_cache_info info;
    static const uint8_t data[100] = { 1 };
    tern_device *d = open_device("null", "");
    for (int i = 0; i < 5; i++)
        tern__cache_save(dir, tern__cache_key(d, "abcde", (size_t)i, ""), data, sizeof data);
    tern_device_close(d);
    put_file(in_dir("README"), "not ours", 8);
    OK(tern_cache_get_info(dir, &info));
    assert_int_equal(info.n_entries, 5);
    assert_int_equal(info.size_bytes, 5 * (100 + 56));
    assert_string_equal(info.dir, dir);
    OK(tern_cache_clear(dir, &n));
    assert_int_equal(n, 5);
    assert_int_equal(n_entries(dir), 0);
    assert_int_equal(access(in_dir("README"), F_OK), 0); /* other people's files stay */

    setenv("XDG_CACHE_HOME", dir, 1);
    char *before = getenv("TERN_CACHE_DIR") ? strdup(getenv("TERN_CACHE_DIR")) : NULL;
    unsetenv("TERN_CACHE_DIR");
    OK(tern_cache_get_info(NULL, &info));
    assert_string_equal(info.dir, in_dir("tern"));
    setenv("TERN_CACHE_DIR", "/tmp/elsewhere", 1);
    OK(tern_cache_get_info(NULL, &info));
    assert_string_equal(info.dir, "/tmp/elsewhere");
    unsetenv("XDG_CACHE_HOME");
    if (before)
        setenv("TERN_CACHE_DIR", before, 1);
    else
        unsetenv("TERN_CACHE_DIR");
    free(before);
}

/* --- Building --- */

static void test_build_error_names_file_and_line(void **state)
{
    (void)state;
    static const char bad[] = "#line 1 \"kernels/broken.cl\"\nkernel void f(global float *x)\n{\n    x[0] = undeclared_thing;\n}\n";
    tern_device *d = open_device("", "");
    tern__program *p = NULL;
    assert_int_equal(tern__program_build(d, bad, sizeof bad - 1, "", NULL, &p), TERN_E_BUILD);
    assert_null(p);
    assert_non_null(strstr(tern_last_error(), "kernels/broken.cl:3"));
    assert_non_null(strstr(tern_last_error(), "undeclared_thing"));
    assert_non_null(strstr(tern_last_error(), "CL_BUILD_PROGRAM_FAILURE"));
    tern_device_close(d);
}

static void test_build_many(void **state)
{
    (void)state;
    enum { COUNT = 6 };
    static const char *const selects[] = { "null", "" };
    for (int s = 0; s < TERN_COUNT(selects); s++) {
        tern_device *d = open_device(selects[s], dir);
        tern__str sources[COUNT] = { 0 };
        tern__program *programs[COUNT] = { 0 };
        int n_cached = -1;
        for (int i = 0; i < COUNT; i++)
            tern__str_addf(&sources[i], "/* %d */ %s", i, source);
        for (int i = 1; i < COUNT; i += 2) { /* half of them are known */
            OK(tern__program_build(d, tern__str_text(&sources[i]), sources[i].len, "", NULL, &programs[i]));
            tern__program_release(programs[i]);
        }
        OK(tern__program_build_many(d, COUNT, sources, "", &n_cached, programs));
        assert_int_equal(n_cached, selects[s][0] ? 0 : COUNT / 2);
        for (int i = 0; i < COUNT; i++) {
            assert_non_null(programs[i]);
            if (selects[s][0] == '\0')
                OK(check_program(d, programs[i]));
            tern__program_release(programs[i]);
            programs[i] = NULL;
        }
        OK(tern__program_build_many(d, COUNT, sources, "", &n_cached, programs));
        assert_int_equal(n_cached, selects[s][0] ? 0 : COUNT);
        for (int i = 0; i < COUNT; i++) {
            tern__program_release(programs[i]);
            programs[i] = NULL;
        }
        if (!selects[s][0]) {
            tern__str_add(&sources[3], "#line 7 \"kernels/third.cl\"\n oops\n");
            assert_int_equal(tern__program_build_many(d, COUNT, sources, "", NULL, programs), TERN_E_BUILD);
            assert_non_null(strstr(tern_last_error(), "kernels/third.cl:7"));
            assert_null(programs[0]); /* all or none */
        }
        for (int i = 0; i < COUNT; i++)
            tern__str_finish(&sources[i]);
        tern_device_close(d);
    }
}

/* --- Sources --- */

static void test_embedded_sources(void **state)
{
    (void)state;
    const char *text;
    size_t len;
    assert_true(tern__n_embedded > 0);
    for (int i = 0; i < tern__n_embedded; i++) {
        OK(tern__source_get(tern__embedded[i].name, &text, &len));
        assert_ptr_equal(text, tern__embedded[i].text);
        assert_int_equal(len, strlen(text));
    }
    assert_int_equal(tern__source_get("no/such.cl", &text, &len), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), "kernels/no/such.cl"));
    tern__str s = { 0 };
    OK(tern__source_append(&s, "measure.cl"));
    assert_int_equal(strncmp(s.s, "#line 1 \"kernels/measure.cl\"\n", 29), 0);
    assert_int_equal(s.s[s.len - 1], '\n');
    tern__str_finish(&s);
}

/* A source that names another has it in its place, each with its own lines. */
static void test_included_sources(void **state)
{
    (void)state;
    static const char outer[] = "int a;\n#include \"in.clh\"\nint b;\n", inner[] = "int c;\n#include \"in.clh\"";
    static const char want[] = "#line 1 \"kernels/out.cl\"\nint a;\n#line 1 \"kernels/in.clh\"\nint c;\n#include \"in.clh\"\n"
                               "#line 3 \"kernels/out.cl\"\nint b;\n";
    tern__str s = { 0 };
    setenv("TERN_KERNEL_PATH", dir, 1);
    put_file(in_dir("out.cl"), outer, sizeof outer - 1);
    assert_int_equal(tern__source_append(&s, "out.cl"), TERN_E_NOT_FOUND);
    assert_non_null(strstr(tern_last_error(), "kernels/in.clh"));
    tern__str_finish(&s);
    put_file(in_dir("in.clh"), inner, sizeof inner - 1); /* no deeper: what names itself ends */
    OK(tern__source_append(&s, "out.cl"));
    assert_string_equal(s.s, want);
    tern__str_finish(&s);
    unsetenv("TERN_KERNEL_PATH");
}

static void check_override_fails(const char *name, tern_status want, const char *words)
{
    const char *text;
    size_t len;
    tern_status st = tern__source_get(name, &text, &len);
    if (st != want || !strstr(tern_last_error(), words) || !strstr(tern_last_error(), name))
        fail_msg("%s gave %s: %s", name, tern_status_name(st), tern_last_error());
}

static void test_replaced_sources(void **state)
{
    (void)state;
    static const char one[] = "int one;\n";
    const char *text, *again;
    size_t len;
    setenv("TERN_KERNEL_PATH", dir, 1);
    OK(tern__source_get("measure.cl", &text, &len)); /* no such file there: the embedded one */
    assert_true(len > 100);
    put_file(in_dir("measure.cl"), one, sizeof one - 1);
    OK(tern__source_get("measure.cl", &text, &len));
    assert_string_equal(text, one);
    assert_int_equal(len, sizeof one - 1);
    OK(tern__source_get("measure.cl", &again, &len));
    assert_ptr_equal(again, text); /* kept once */
    put_file(in_dir("new.cl"), one, sizeof one - 1);
    OK(tern__source_get("new.cl", &text, &len)); /* files that are not built in may be added */

    put_file(in_dir("measure.cl"), "", 0);
    check_override_fails("measure.cl", TERN_E_CORRUPT, "is empty");
    put_file(in_dir("measure.cl"), "a\0b", 3);
    check_override_fails("measure.cl", TERN_E_CORRUPT, "zero byte at 1");
    assert_int_equal(mkdir(in_dir("folder.cl"), 0700), 0);
    check_override_fails("folder.cl", TERN_E_IO, "TERN_KERNEL_PATH");
    assert_int_equal(truncate(in_dir("measure.cl"), 5 << 20), 0);
    check_override_fails("measure.cl", TERN_E_UNSUPPORTED, "TERN_KERNEL_PATH");
}

static void test_replaced_source_that_does_not_build(void **state)
{
    (void)state;
    static const char broken[] = "/* a comment */\nkernel void fma_chains(global float *y)\n{\n    y[0] = nonsense;\n}\n";
    tern_device_speed speed;
    setenv("TERN_KERNEL_PATH", dir, 1);
    put_file(in_dir("measure.cl"), broken, sizeof broken - 1);
    tern_device *d = open_device("", "");
    assert_int_equal(tern_device_measure(d, &speed), TERN_E_BUILD);
    assert_non_null(strstr(tern_last_error(), "kernels/measure.cl:4"));
    tern_device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sixteen_processes, make_dir, remove_dir), /* first: see there */
        cmocka_unit_test_setup_teardown(test_second_build_is_cached, make_dir, remove_dir),
        cmocka_unit_test(test_key_holds_all_that_matters),
        cmocka_unit_test_setup_teardown(test_damaged_entries, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_foreign_entries, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_a_folder_in_an_entry_s_place, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_unwritable_cache, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_file_faults, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_info_and_clear, make_dir, remove_dir),
        cmocka_unit_test(test_build_error_names_file_and_line),
        cmocka_unit_test_setup_teardown(test_build_many, make_dir, remove_dir),
        cmocka_unit_test(test_embedded_sources),
        cmocka_unit_test_setup_teardown(test_included_sources, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_replaced_sources, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_replaced_source_that_does_not_build, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
