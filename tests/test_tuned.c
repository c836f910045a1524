/* The store of measured choices: round trips, several processes, damaged and foreign files, faults; problems as text and back; and what sessions make
 * of an entry: another choice, the same numbers, and nothing where it no longer fits. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tern_config.h"
#if TERN_HAVE_SQLITE
#include <sqlite3.h>
#endif

#include <tern/device.h>
#include <tern/session.h>

#include "base/fault.h"
#include "base/file.h"
#include "compile/tuned.h"
#include "device/device.h"
#include "fresh_dir.h"
#include "graph_help.h"
#include "program/tuned.h"

/* --- Problems as text --- */

/* What the first contraction of a session's plan is called. */
static void problem_of(tern_device *d, const tern_graph *g, char *text, size_t size)
{
    tern_session *s = NULL;
    tern_group_info info = {.problem = NULL};
    assert_ok(tern_session_create(d, g, &(tern_session_params){.freeze = true, .no_tuned = true}, &s));
    for (int i = 0; i < tern_session_n_groups(s) && !info.problem; i++)
        assert_ok(tern_session_group(s, i, &info));
    assert_non_null(info.problem);
    assert_non_null(info.choice);
    snprintf(text, size, "%s", info.problem);
    tern_session_destroy(s);
}

static void problems_mean_themselves(void **state)
{
    (void)state;
    static const char *const problems[] = {
        "conv(f32[1,64,14,14],const f32[32,64,3,3]) pads=1,1,1,1",
        "conv(f32[1,64,14,14],const f32[32,64,3,3]) pads=1,1,1,1 +pointwise",
        "conv(f32[1,64,14,14],const f32[32,64,1,1]) strides=2,2 +residual",
        "conv(f32[2,16,9,7],const f32[16,1,3,3]) dilations=2,1 pads=0,1,2,3 group=16",
        "conv(f32[1,8,20],f32[4,8,3]) pads=1,1",
        "conv_grad_input(f32[1,4,8,8],f32[4,8,3,3]) pads=1,1,1,1 input_shape=8,8",
        "conv_grad_weight(f32[2,4,8,8],f32[2,8,8,8]) pads=1,1,1,1 kernel=3,3",
        "matmul(f32[10,20],const f32[20,30]) +pointwise",
        "matmul(f32[20,10],f32[30,20]) trans_a=1 trans_b=1",
        "matmul(f32[4,10,20],f32[4,20,30])",
        "matmul(f16[10,20],f16[20,30])",
    };
    static const char *const families[] = {"null:cpu", "null:gpu"};
    for (int f = 0; f < 2; f++) {
        tern_device *d = NULL;
        assert_ok(tern_device_open(&(tern_device_params){.select = families[f], .cache_dir = ""}, &d));
        for (int i = 0; i < TERN_COUNT(problems); i++) {
            char text[300];
            tern_graph *g = NULL;
            assert_ok(tern__problem_graph(problems[i], &g));
            problem_of(d, g, text, sizeof text);
            assert_string_equal(text, problems[i]);
            tern_graph_destroy(g);
        }
        tern_device_close(d);
    }
}

static void texts_that_are_no_problem(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "conv", "relu(f32[3])", "softmax(f32[3,3])", "nothing(f32[3])", "conv(", "conv()", "conv(f32)", "conv(f32[)", "conv(f32[1,2", "conv(f32[1,-2,3,3],f32[2,2,3,3])",
        "conv(q7[1,2,3,3],f32[2,2,3,3])", "conv(f32[1,2,3,3],f32[2,2,3,3]", "conv(f32[1,2,3,3],f32[2,2,3,3]))", "conv(f32[1,2,3,3],f32[2,2,3,3]) size=3",
        "conv(f32[1,2,3,3],f32[2,2,3,3]) pads=", "conv(f32[1,2,3,3],f32[2,2,3,3]) pads=1,2,3,4,5,6,7,8,9", "conv(f32[1,2,3,3],f32[2,2,3,3]) pads=1",
        "conv(f32[1,2,3,3],f32[2,2,3,3]) +", "conv(f32[1,2,3,3],f32[2,2,3,3]) exact more", "matmul(f32[99999999999999,2],f32[2,3])",
        "matmul(const f32[1099511627775,1099511627775],f32[2,3])", "matmul(f32[1,2,3,4,5,6,7,8,9,10],f32[2])", "matmul(f32[1],f32[1],f32[1],f32[1],f32[1])",
    };
    for (int i = 0; i < TERN_COUNT(bad); i++) {
        tern_graph *g = NULL;
        if (tern__problem_graph(bad[i], &g) == TERN_OK)
            fail_msg("\"%s\" was read", bad[i]);
        assert_true(strlen(tern_last_error()) > 10);
        assert_null(g);
    }
}

#if TERN_HAVE_SQLITE

static void write_file(const char *path, const void *data, size_t n)
{
    tern__file_writer w;
    assert_ok(tern__file_writer_open(&w, path, 0600));
    tern__file_writer_put(&w, data, n);
    assert_ok(tern__file_writer_close(&w));
}

/* --- The store --- */

static const tern__tuned_row one = {.device = "00112233445566778899aabbccddeeff", .name = "a device", .problem = "matmul(f32[3,4],f32[4,5])",
                                    .sources = "0123456789abcdef", .choice = "cpu_tile:mr=3", .us = 1.5, .usual_us = 3};

struct seen {
    int n;
    tern__tuned_row row;
    char choice[64], problem[64], outcome[4][16], tried[4][64];
};

static tern_status see_row(void *user, const tern__tuned_row *row)
{
    struct seen *s = user;
    snprintf(s->choice, sizeof s->choice, "%s", row->choice);
    snprintf(s->problem, sizeof s->problem, "%s", row->problem);
    s->row = *row;
    s->n++;
    return TERN_OK;
}

static tern_status see_trial(void *user, const tern__tuned_trial *t)
{
    struct seen *s = user;
    if (s->n < 4) {
        snprintf(s->outcome[s->n], sizeof s->outcome[0], "%s", t->outcome);
        snprintf(s->tried[s->n], sizeof s->tried[0], "%s", t->choice);
    }
    s->n++;
    return TERN_OK;
}

static void rows_come_back(void **state)
{
    (void)state;
    tern__tuned_db *db = NULL;
    struct seen s = {.n = 0};
    assert_ok(tern__tuned_open(dir, false, &db));
    assert_null(db); /* nothing was made by looking */
    assert_int_equal(access(in_dir("tuned.sqlite"), F_OK), -1);
    assert_ok(tern__tuned_open(dir, true, &db));
    assert_ok(tern__tuned_put(db, &one));
    tern__tuned_row better = one;
    better.choice = "cpu_tile:mr=4";
    better.us = 1.25;
    assert_ok(tern__tuned_put(db, &better));
    tern__tuned_row other = one;
    other.device = "ffeeddccbbaa99887766554433221100";
    assert_ok(tern__tuned_put(db, &other));
    assert_ok(tern__tuned_each(db, one.device, see_row, &s));
    assert_int_equal(s.n, 1);
    assert_string_equal(s.choice, "cpu_tile:mr=4");
    assert_true(s.row.us == 1.25 && s.row.usual_us == 3);
    assert_ok(tern__tuned_each(db, "", see_row, &s));
    assert_int_equal(s.n, 3);
    tern__tuned_close(db);
    int64_t n = 0;
    assert_ok(tern__tuned_clear(dir, &n));
    assert_int_equal(n, 2);
    assert_ok(tern__tuned_clear(dir, &n));
    assert_int_equal(n, 0);
}

static void trials_come_back_in_order(void **state)
{
    (void)state;
    tern__tuned_db *db = NULL;
    struct seen s = {.n = 0};
    assert_ok(tern__tuned_open(dir, true, &db));
    assert_ok(tern__tuned_note(db, &one, &(tern__tuned_trial){"b", "running", 0, 0, "not yet"}));
    assert_ok(tern__tuned_note(db, &one, &(tern__tuned_trial){"a", "died", 0, 0, "signal"}));
    assert_ok(tern__tuned_note(db, &one, &(tern__tuned_trial){"b", "good", 2, 3, ""}));
    tern__tuned_row newer = one;
    newer.sources = "fedcba9876543210";
    assert_ok(tern__tuned_note(db, &newer, &(tern__tuned_trial){"c", "good", 2, 3, ""}));
    tern__tuned_close(db);
    assert_ok(tern__tuned_open(dir, false, &db));
    assert_ok(tern__tuned_trials(db, &one, see_trial, &s));
    assert_int_equal(s.n, 2);
    assert_string_equal(s.tried[0], "b");
    assert_string_equal(s.outcome[0], "good");
    assert_string_equal(s.outcome[1], "died");
    tern__tuned_close(db);
}

static void in_processes(int n, bool (*work)(int process))
{
    pid_t pid[8];
    assert_true(n <= TERN_COUNT(pid));
    for (int p = 0; p < n; p++) {
        pid[p] = fork();
        assert_true(pid[p] >= 0);
        if (pid[p] == 0)
            _exit(work(p) ? 0 : 1);
    }
    for (int p = 0; p < n; p++) {
        int status = -1;
        assert_int_equal(waitpid(pid[p], &status, 0), pid[p]);
        assert_int_equal(status, 0);
    }
}

enum { PROCESSES = 4, ROWS = 25 };

static bool write_rows(int process)
{
    tern__tuned_db *db = NULL;
    bool good = tern__tuned_open(dir, true, &db) == TERN_OK;
    for (int i = 0; i < ROWS && good; i++) {
        char choice[32];
        snprintf(choice, sizeof choice, "%d of %d", i, process);
        good = tern__tuned_note(db, &one, &(tern__tuned_trial){choice, "good", 1, 2, ""}) == TERN_OK && tern__tuned_put(db, &one) == TERN_OK;
    }
    tern__tuned_close(db);
    return good;
}

/* Several processes write at once, and nobody's rows are lost. */
static void processes_wait_for_each_other(void **state)
{
    (void)state;
    in_processes(PROCESSES, write_rows);
    struct seen s = {.n = 0};
    tern__tuned_db *db = NULL;
    assert_ok(tern__tuned_open(dir, false, &db));
    assert_ok(tern__tuned_trials(db, &one, see_trial, &s));
    assert_int_equal(s.n, PROCESSES * ROWS);
    tern__tuned_close(db);
}

static bool make_store(int process)
{
    (void)process;
    tern__tuned_db *db = NULL;
    const bool good = tern__tuned_open(dir, true, &db) == TERN_OK;
    tern__tuned_close(db);
    return good;
}

/* Nobody takes a store that another is just making for someone else's database. */
static void processes_make_it_at_once(void **state)
{
    (void)state;
    for (int turn = 0; turn < 40; turn++) {
        in_processes(8, make_store);
        assert_int_equal(remove(in_dir("tuned.sqlite")), 0);
    }
}

static void make_database(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(in_dir("tuned.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void assert_not_trusted(const char *words, bool cleared)
{
    tern__tuned_db *db = NULL;
    int64_t n = 0;
    for (int write = 0; write < 2; write++) {
        assert_fails(tern__tuned_open(dir, write, &db), TERN_E_CORRUPT, words);
        assert_null(db);
    }
    const tern_status st = tern__tuned_clear(dir, &n);
    assert_int_equal(st, cleared ? TERN_OK : TERN_E_CORRUPT);
    assert_int_equal(access(in_dir("tuned.sqlite"), F_OK), cleared ? -1 : 0);
    (void)unlink(in_dir("tuned.sqlite"));
}

static void files_that_are_no_store(void **state)
{
    (void)state;
    char noise[5000];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)(i * 37 + 11);
    write_file(in_dir("tuned.sqlite"), noise, sizeof noise);
    assert_not_trusted("tuned.sqlite", true);
    make_database("CREATE TABLE best (x); INSERT INTO best VALUES (1)");
    assert_not_trusted("none of Tern's", false);
    make_database("PRAGMA application_id = 77; CREATE TABLE t (x)");
    assert_not_trusted("none of Tern's", false);
    make_database("PRAGMA application_id = 1415934574; PRAGMA user_version = 9; CREATE TABLE t (x)");
    assert_not_trusted("version 9", true);
}

/* A store of ours with its pages overwritten: an error, or rows that are what they are, but no crash. */
static void damaged_pages(void **state)
{
    (void)state;
    tern__tuned_db *db = NULL;
    assert_ok(tern__tuned_open(dir, true, &db));
    for (int i = 0; i < 100; i++) {
        char problem[80];
        tern__tuned_row row = one;
        snprintf(problem, sizeof problem, "matmul(f32[%d,4],f32[4,5])", i);
        row.problem = problem;
        assert_ok(tern__tuned_put(db, &row));
    }
    tern__tuned_close(db);
    uint8_t *whole;
    size_t size;
    assert_ok(tern__file_read(in_dir("tuned.sqlite"), 0, &whole, &size));
    for (size_t at = 100; at < size; at += size / 40) {
        uint8_t *copy = tern__memdup(whole, size);
        struct seen s = {.n = 0};
        assert_non_null(copy);
        memset(copy + at, 0xa5, TERN_MIN((size_t)64, size - at));
        write_file(in_dir("tuned.sqlite"), copy, size);
        tern__free(copy);
        if (tern__tuned_open(dir, false, &db) == TERN_OK && db && tern__tuned_each(db, one.device, see_row, &s) == TERN_OK)
            assert_in_range(s.n, 0, 100);
        tern__tuned_close(db);
        db = NULL;
    }
    tern__free(whole);
}

static tern_status all_calls(void)
{
    tern__tuned_db *db = NULL;
    struct seen s = {.n = 0};
    TERN_TRY(tern__tuned_open(dir, true, &db));
    tern_status st = tern__tuned_note(db, &one, &(tern__tuned_trial){"a", "running", 0, 0, "why"});
    st = st == TERN_OK ? tern__tuned_note(db, &one, &(tern__tuned_trial){"a", "good", 1, 2, ""}) : st;
    st = st == TERN_OK ? tern__tuned_put(db, &one) : st;
    st = st == TERN_OK ? tern__tuned_trials(db, &one, see_trial, &s) : st;
    st = st == TERN_OK ? tern__tuned_each(db, one.device, see_row, &s) : st;
    tern__tuned_close(db);
    assert_true(st != TERN_OK || s.n == 2);
    return st;
}

static void every_call_may_fail(void **state)
{
    (void)state;
    static const tern__fault_kind kinds[] = {TERN__FAULT_FILE, TERN__FAULT_ALLOC};
    for (int k = 0; k < 2; k++)
        for (int for_good = 0; for_good < 2; for_good++) {
            (void)unlink(in_dir("tuned.sqlite"));
            long n = 0;
            bool reached = true;
            while (reached) {
                tern__fail(TERN_OK, "stale");
                tern__fault_arm(kinds[k], ++n, for_good);
                const tern_status st = all_calls();
                reached = tern__fault_count(kinds[k]) >= n;
                tern__fault_arm(kinds[k], 0, false);
                if (reached && st == TERN_OK)
                    fail_msg("call %ld failed and nobody noticed", n);
                if (reached && strlen(tern_last_error()) < 20)
                    fail_msg("call %ld: \"%s\" says little", n, tern_last_error());
                assert_true(reached || st == TERN_OK);
            }
            assert_true(n > 2);
            assert_ok(all_calls()); /* what failed left a sound store behind */
        }
}

/* --- Sessions --- */

static tern_device *open_device(void)
{
    tern_device *d = NULL;
    assert_ok(tern_device_open(&(tern_device_params){.family = "cpu", .cache_dir = dir}, &d));
    return d;
}

static const char problem[] = "matmul(f32[23,40],const f32[40,50]) +pointwise";

/* Puts a choice for the problem and this device into the store. */
static void store_choice(const char *choice, const char *device, const char *sources)
{
    tern__tuned_db *db = NULL;
    char own_device[33], own_sources[17];
    tern_device *d = open_device();
    tern__tuned_fingerprint(d, own_device);
    assert_ok(tern__problem_sources(tern__op_find("matmul"), own_sources));
    assert_ok(tern__tuned_open(dir, true, &db));
    assert_ok(tern__tuned_put(db, &(tern__tuned_row){.device = device ? device : own_device, .name = "x", .problem = problem, .sources = sources ? sources : own_sources,
                                                     .choice = choice, .us = 1, .usual_us = 2}));
    tern__tuned_close(db);
    tern_device_close(d);
}

/* The choice and its origin that a session for the problem makes, whose result is that of the reference. */
static void assert_session(const tern_session_params *p, const char *choice, const char *tuned, const char *note)
{
    tern_device *d = open_device();
    tern_graph *g = NULL;
    tern_session *s = NULL;
    tern_plan_info plan;
    tern__interp it = {0};
    tern_tensor *in, *out;
    bool found = false;
    assert_ok(tern__problem_graph(problem, &g));
    tern__array *arrays = random_inputs(g, 5);
    assert_ok(tern__interp_init(&it, g));
    assert_ok(tern__interp_run(&it, arrays));
    assert_ok(tern_session_create(d, g, p, &s));
    tern_session_get_info(s, &plan);
    assert_int_equal(plan.n_tuned, *tuned ? 1 : 0);
    if (!note)
        assert_null(plan.tuned_note);
    else if (!plan.tuned_note || !strstr(plan.tuned_note, note))
        fail_msg("\"%s\" does not say \"%s\"", plan.tuned_note ? plan.tuned_note : "", note);
    for (int i = 0; i < tern_session_n_groups(s); i++) {
        tern_group_info info;
        assert_ok(tern_session_group(s, i, &info));
        if (!info.choice)
            continue;
        assert_string_equal(info.choice, choice);
        assert_string_equal(info.tuned, tuned);
        found = true;
    }
    assert_true(found);
    const tern__array *want = tern__interp_output(&it, 0);
    in = tensor_of(&arrays[0]);
    assert_ok(tern_tensor_create(TERN_F32, &want->type.shape, &out));
    assert_ok(tern_session_run(s, &in, &out));
    for (int64_t i = 0; i < tern__elems(&want->type.shape); i++)
        assert_true(fabs(tern__array_get(want, i) - (double)((float *)tern_tensor_data(out))[i]) <= 1e-4);
    tern_tensor_destroy(in);
    tern_tensor_destroy(out);
    tern_session_destroy(s);
    tern__interp_finish(&it);
    free_inputs(g, arrays);
    tern_graph_destroy(g);
    tern_device_close(d);
}

static void entries_change_plans(void **state)
{
    (void)state;
    const tern_session_params plain = {.freeze = true};
    assert_session(&plain, "cpu_tile", "", NULL);
    store_choice("cpu_tile:mr=5:nv=1:splits=2", NULL, NULL);
    assert_session(&plain, "cpu_tile:mr=5:nv=1:splits=2", "store", NULL);
    store_choice("simt_tile:per_m=2", NULL, NULL);
    assert_session(&plain, "simt_tile:per_m=2", "store", NULL);
    assert_session(&(tern_session_params){.freeze = true, .no_tuned = true}, "cpu_tile", "", NULL);
    assert_session(&(tern_session_params){.freeze = true, .exact = true}, "cpu_tile", "", NULL); /* another problem */
    assert_session(&(tern_session_params){.freeze = true, .disable = "layout"}, "cpu_tile", "", NULL);
    assert_session(&(tern_session_params){.freeze = true, .force_impl = "matmul=cpu_tile:mr=2"}, "cpu_tile:mr=2", "", NULL);
    setenv("TERN_TUNED", "0", 1);
    assert_session(&plain, "cpu_tile", "", NULL);
    unsetenv("TERN_TUNED");
}

static void entries_are_not_trusted(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "cpu_tile:mr=15", "cpu_tile:mr=-3", "cpu_tile:mr", "magic", "cpu_tile:mr=14:nv=4", "cpu_tile:rows=3", "clblast", ":::"};
    for (int i = 0; i < TERN_COUNT(bad); i++) {
        store_choice(bad[i], NULL, NULL);
        assert_session(&(tern_session_params){.freeze = true}, "cpu_tile", "", NULL);
    }
    store_choice("cpu_tile:mr=5", NULL, "0123456789abcdef"); /* other kernels */
    assert_session(&(tern_session_params){.freeze = true}, "cpu_tile", "", NULL);
    (void)unlink(in_dir("tuned.sqlite"));
    store_choice("cpu_tile:mr=5", "00112233445566778899aabbccddeeff", NULL); /* another device */
    assert_session(&(tern_session_params){.freeze = true}, "cpu_tile", "", NULL);
    write_file(in_dir("tuned.sqlite"), "no database, and long enough to see so", 38);
    assert_session(&(tern_session_params){.freeze = true}, "cpu_tile", "", "tuned.sqlite");
}

/* The table that comes with Tern, replaced by one that knows the problem. */
static void tables_are_read(void **state)
{
    (void)state;
    char text[1200], sources[17];
    tern_device_info info;
    tern_device *d = open_device();
    tern_device_get_info(d, &info);
    tern_device_close(d);
    assert_ok(tern__problem_sources(tern__op_find("matmul"), sources));
    const struct { const char *family; unsigned width; const char *choice, *tuned; } cases[] = {
        {"cpu", info.native_vector_f32, "cpu_tile:mr=4:nv=1", "table"}, {"simt", info.native_vector_f32, "cpu_tile", ""}, {"cpu", info.native_vector_f32 + 1, "cpu_tile", ""}};
    setenv("TERN_KERNEL_PATH", dir, 1);
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        snprintf(text, sizeof text, "# a comment\n\nno line of ours\ndevice\ndevice %s %u %u %s\n0000 %s | cpu_tile:mr=2\n%s %s | cpu_tile:mr=4:nv=1\n", cases[i].family,
                 cases[i].width, info.compute_units, info.name, problem, sources, problem);
        write_file(in_dir("tuned.clt"), text, strlen(text));
        assert_session(&(tern_session_params){.freeze = true}, cases[i].choice, cases[i].tuned, NULL);
    }
    store_choice("cpu_tile:mr=5", NULL, NULL); /* the user's own goes first */
    snprintf(text, sizeof text, "device cpu %u %u %s\n%s %s | cpu_tile:mr=4:nv=1", info.native_vector_f32, info.compute_units, info.name, sources, problem);
    write_file(in_dir("tuned.clt"), text, strlen(text));
    assert_session(&(tern_session_params){.freeze = true}, "cpu_tile:mr=5", "store", NULL);
    unsetenv("TERN_KERNEL_PATH");
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_mean_themselves),
        cmocka_unit_test(texts_that_are_no_problem),
#if TERN_HAVE_SQLITE
        cmocka_unit_test_setup_teardown(rows_come_back, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(trials_come_back_in_order, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(processes_wait_for_each_other, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(processes_make_it_at_once, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(files_that_are_no_store, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damaged_pages, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(every_call_may_fail, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(entries_change_plans, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(entries_are_not_trusted, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(tables_are_read, fresh_dir, remove_dir),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
