/* The search of tern tune with times from a formula, so that it can be followed: what comes first, that nothing comes twice, that it finds the least, goes
 * on where it ended, and what it keeps. Trials on a device: good and wrong choices. Allocations and file calls made to fail. */
#include <stdio.h>
#include <unistd.h>

#include "tern_config.h"

#include <tern/device.h>
#include <tern/session.h>
#include <tern/tune.h>

#include "base/fault.h"
#include "compile/tuned.h"
#include "fresh_dir.h"
#include "graph_help.h"

#if TERN_HAVE_SQLITE

static const char problem[] = "matmul(f32[64,128],const f32[128,160])";

static tern_device *null_device(void)
{
    tern_device *d = NULL;
    assert_ok(tern_device_open(&(tern_device_params){.select = "null:cpu", .cache_dir = dir}, &d));
    return d;
}

static int number(const char *choice, const char *name, int otherwise)
{
    const char *at = strstr(choice, name);
    return at ? atoi(at + strlen(name)) : otherwise;
}

/* Least at mr=6, nv=1, splits=2; the other kernels take long. */
static double formula(const char *choice)
{
    if (strncmp(choice, "cpu_tile", 8) != 0)
        return 5000;
    return 50 + 5 * abs(number(choice, ":mr=", 12) - 6) + 9 * (number(choice, ":nv=", 2) - 1) + 4 * abs(number(choice, ":splits=", 1) - 2);
}

/* Up to most steps by the formula; how many there were. seen: all choices so far, each in brackets. */
static int search(tern_tuner *t, int most, tern__str *seen)
{
    for (int i = 0; i < most; i++) {
        char choice[TERN_TUNE_TEXT], wrapped[TERN_TUNE_TEXT + 2];
        tern_tuner_info info;
        assert_ok(tern_tuner_next(t, choice));
        if (!*choice)
            return i;
        tern_tuner_get_info(t, &info);
        snprintf(wrapped, sizeof wrapped, "[%s]", choice);
        if (strcmp(choice, info.usual) != 0 && strstr(tern__str_text(seen), wrapped))
            fail_msg("%s comes twice", choice);
        tern__str_add(seen, wrapped);
        const bool usual = !strcmp(choice, info.usual);
        if (!usual && number(choice, ":mr=", 0) == 9) /* these are wrong */
            assert_ok(tern_tuner_tell(t, choice, TERN_TUNE_WRONG, 0, 0, "wrong by order"));
        else
            assert_ok(tern_tuner_tell(t, choice, TERN_TUNE_GOOD, formula(choice), formula(usual ? choice : info.best), ""));
    }
    return most;
}

static void the_least_is_found(void **state)
{
    (void)state;
    tern_device *d = null_device();
    tern_tuner *t = NULL;
    tern_tuner_info info;
    tern__str seen = {0};
    bool kept = false;
    char first[TERN_TUNE_TEXT];
    assert_ok(tern_tuner_create(d, problem, 1, &t));
    tern_tuner_get_info(t, &info);
    snprintf(first, sizeof first, "[%s]", info.usual);
    const int n = search(t, 1000, &seen);
    assert_in_range(n, 20, 400);
    assert_memory_equal(tern__str_text(&seen), first, strlen(first));
    assert_non_null(strstr(tern__str_text(&seen), "[simt_tile"));
    tern_tuner_get_info(t, &info);
    if (strncmp(info.best, "cpu_tile:mr=6:nv=1:splits=2", 27))
        fail_msg("%s is what %d trials found", info.best, n);
    assert_int_equal(info.n_tried, n);
    assert_true(info.n_failed > 0 && info.n_before == 0);
    assert_true(fabs(info.gain - formula(info.usual) / 50) < 0.05);
    assert_ok(tern_tuner_confirm(t, 50, formula(info.usual), &kept));
    assert_true(kept);
    tern_tuner_destroy(t);
    tern__str_finish(&seen);
    tern_device_close(d);
}

/* In pieces, by another object each time, with one trial cut off: no choice twice, and the same end. */
static void it_goes_on_where_it_ended(void **state)
{
    (void)state;
    tern__str seen = {0};
    tern_tuner_info info;
    char cut[TERN_TUNE_TEXT + 2] = "", choice[TERN_TUNE_TEXT];
    int steps = 5;
    for (int piece = 0; piece < 100 && steps == 5; piece++) {
        tern_device *d = null_device();
        tern_tuner *t = NULL;
        assert_ok(tern_tuner_create(d, problem, 1, &t));
        tern_tuner_get_info(t, &info);
        assert_int_equal(info.n_before, info.n_tried);
        steps = search(t, 5, &seen);
        if (piece == 2) {
            assert_ok(tern_tuner_next(t, choice));
            snprintf(cut, sizeof cut, "[%s]", choice);
        }
        tern_tuner_get_info(t, &info);
        if (steps < 5 && strncmp(info.best, "cpu_tile:mr=6:nv=1:splits=2", 27))
            fail_msg("%s is what was found in pieces", info.best);
        tern_tuner_destroy(t);
        tern_device_close(d);
    }
    assert_true(steps < 5);
    assert_null(strstr(tern__str_text(&seen), cut)); /* it may be what ended the search */
    tern__str_finish(&seen);
}

/* What was luck is not kept, and the next best is looked at. */
static void luck_is_not_kept(void **state)
{
    (void)state;
    tern_device *d = null_device();
    tern_tuner *t = NULL;
    tern_tuner_info info;
    tern__str seen = {0};
    bool kept = true;
    char best[TERN_TUNE_TEXT];
    assert_ok(tern_tuner_create(d, problem, 1, &t));
    search(t, 1000, &seen);
    tern_tuner_get_info(t, &info);
    snprintf(best, sizeof best, "%s", info.best);
    assert_ok(tern_tuner_confirm(t, 101, 100, &kept));
    assert_false(kept);
    tern_tuner_get_info(t, &info);
    assert_string_not_equal(info.best, best);
    tern_session *s = NULL;
    tern_plan_info plan;
    tern_graph *g = NULL;
    assert_ok(tern__problem_graph(problem, &g));
    assert_ok(tern_session_create(d, g, &(tern_session_params){.freeze = true}, &s));
    tern_session_get_info(s, &plan);
    assert_int_equal(plan.n_tuned, 0);
    tern_session_destroy(s);
    assert_ok(tern_tuner_confirm(t, 10, 100, &kept));
    assert_true(kept);
    tern_device_close(d);
    d = null_device(); /* a device remembers what it has read */
    assert_ok(tern_session_create(d, g, &(tern_session_params){.freeze = true}, &s));
    tern_session_get_info(s, &plan);
    assert_int_equal(plan.n_tuned, 1);
    tern_session_destroy(s);
    tern_graph_destroy(g);
    tern_tuner_destroy(t);
    tern__str_finish(&seen);
    tern_device_close(d);
}

static void wrong_use_is_refused(void **state)
{
    (void)state;
    tern_device *d = null_device();
    tern_tuner *t = NULL;
    tern_trial *trial = NULL;
    assert_fails(tern_tuner_create(NULL, problem, 0, &t), TERN_E_INVALID, "device");
    assert_fails(tern_tuner_create(d, "relu(f32[3])", 0, &t), TERN_E_INVALID, "relu");
    assert_fails(tern_tuner_create(d, "matmul(f32[3],f32[3])", 0, &t), TERN_E_UNSUPPORTED, "becomes");
    assert_fails(tern_trial_create(d, problem, &trial), TERN_E_INVALID, "profiling");
    assert_null(t);
    assert_null(trial);
    tern_tuner_destroy(NULL);
    tern_trial_destroy(NULL);
    tern_device_close(d);
    assert_ok(tern_device_open(&(tern_device_params){.select = "null:cpu", .cache_dir = ""}, &d));
    assert_fails(tern_tuner_create(d, problem, 0, &t), TERN_E_IO, "no folder");
    tern_device_close(d);
}

static tern_status short_search(tern_device *d)
{
    tern_tuner *t = NULL;
    TERN_TRY(tern_tuner_create(d, problem, 1, &t));
    tern_status st = TERN_OK;
    for (int i = 0; i < 3 && st == TERN_OK; i++) {
        char choice[TERN_TUNE_TEXT];
        st = tern_tuner_next(t, choice);
        if (st == TERN_OK && *choice)
            st = tern_tuner_tell(t, choice, TERN_TUNE_GOOD, 10 - i, 10, "");
    }
    tern_tuner_destroy(t);
    return st;
}

/* A search may end early when memory is short, but not otherwise than in words. */
static void faults_end_in_words(void **state)
{
    (void)state;
    static const tern__fault_kind kinds[] = {TERN__FAULT_ALLOC, TERN__FAULT_FILE};
    tern_device *d = null_device();
    assert_ok(short_search(d));
    for (int k = 0; k < 2; k++) {
        tern__fault_arm(kinds[k], 0, false);
        assert_ok(short_search(d));
        const long calls = tern__fault_count(kinds[k]);
        assert_true(calls > 5);
        for (long n = 1; n <= calls; n += calls > 300 && !getenv("TERN_FULL") ? calls / 150 | 1 : 1) {
            tern__fail(TERN_OK, "stale");
            tern__fault_arm(kinds[k], n, false);
            const tern_status st = short_search(d);
            tern__fault_arm(kinds[k], 0, false);
            if (st != TERN_OK && strlen(tern_last_error()) < 12)
                fail_msg("call %ld: \"%s\" says little", n, tern_last_error());
        }
    }
    assert_ok(short_search(d));
    tern_device_close(d);
}

/* --- On a device --- */

static const char kernel_line[] = "    const uint end = min((uint)MR, (uint)M - m0);";

/* kernels/gemm_cpu.cl in dir, wrong for tiles of five rows. */
static void break_kernel(void)
{
    char command[400];
    snprintf(command, sizeof command, "sed 's/^%.20s.*$/&\\n#if MR == 5\\n    tile[0] += 1;\\n#endif/' kernels/gemm_cpu.cl >'%s/gemm_cpu.cl' && grep -q 'MR == 5' '%s/gemm_cpu.cl'", kernel_line,
             dir, dir);
    assert_int_equal(system(command), 0);
    setenv("TERN_KERNEL_PATH", dir, 1);
}

static void trials_tell_good_from_wrong(void **state)
{
    (void)state;
    static const struct { const char *problem, *choice, *against; tern_tune_outcome outcome; const char *why; } cases[] = {
        {problem, "cpu_tile:mr=4:nv=1", "", TERN_TUNE_GOOD, ""},
        {problem, "cpu_tile", "cpu_tile:mr=4:nv=1", TERN_TUNE_GOOD, ""},
        {problem, "cpu_tile:mr=5", "", TERN_TUNE_WRONG, "element"},
        {problem, "cpu_tile:mr=14:nv=4", "", TERN_TUNE_REFUSED, "comes out as"},
        {problem, "cpu_tile:rows=3", "", TERN_TUNE_REFUSED, "rows"},
        {"matmul(f16[24,32],f16[32,40]) +residual", "cpu_tile:mr=4", "", TERN_TUNE_GOOD, ""},
        {"matmul(f32[300,400],const f32[400,700]) +pointwise", "cpu_tile:mr=4:splits=3", "", TERN_TUNE_GOOD, ""}, /* the reference sees a part */
    };
    tern_device *d = NULL;
    if (getenv("TERN_TEST_SLOW_DEVICE")) /* nothing to time on a simulator */
        skip();
    break_kernel();
    assert_ok(tern_device_open(&(tern_device_params){.family = "cpu", .cache_dir = dir, .profile = true}, &d));
    tern_trial *t = NULL;
    for (int i = 0; i < TERN_COUNT(cases); i++) {
        tern_tune_outcome outcome;
        double us, against_us;
        const char *why;
        if (i == 0 || strcmp(cases[i].problem, cases[i - 1].problem) != 0) {
            tern_trial_destroy(t);
            assert_ok(tern_trial_create(d, cases[i].problem, &t));
        }
        assert_ok(tern_trial_run(t, cases[i].choice, cases[i].against, 1, &outcome, &us, &against_us, &why));
        if (outcome != cases[i].outcome || !strstr(why, cases[i].why))
            fail_msg("%s: %d, \"%s\"", cases[i].choice, (int)outcome, why);
        if (outcome == TERN_TUNE_GOOD)
            assert_true(us > 0 && against_us > 0);
    }
    tern_trial_destroy(t);
    tern_device_close(d);
    unsetenv("TERN_KERNEL_PATH");
}

/* A cost model's choice that is wrong is not taken for the measure of others, however large the problem. */
static void the_usual_choice_is_checked_too(void **state)
{
    (void)state;
    static const char *const problems[] = {"matmul(f32[5,64],const f32[64,64])", "matmul(f32[5,4000],const f32[4000,2000])"};
    tern_device *d = NULL;
    if (getenv("TERN_TEST_SLOW_DEVICE"))
        skip();
    break_kernel();
    assert_ok(tern_device_open(&(tern_device_params){.family = "cpu", .cache_dir = dir, .profile = true}, &d));
    for (int i = 0; i < 2; i++) {
        tern_trial *t = NULL;
        assert_fails(tern_trial_create(d, problems[i], &t), TERN_E_MISMATCH, "element");
        assert_null(t);
    }
    tern_device_close(d);
    unsetenv("TERN_KERNEL_PATH");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_least_is_found, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(it_goes_on_where_it_ended, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(luck_is_not_kept, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(wrong_use_is_refused, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(faults_end_in_words, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(trials_tell_good_from_wrong, fresh_dir, remove_dir),
        cmocka_unit_test_setup_teardown(the_usual_choice_is_checked_too, fresh_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    printf("1..0 # SKIP built without SQLite\n");
    return 77;
}

#endif
