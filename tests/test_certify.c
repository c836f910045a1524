/* Every op by every implementation of both kernel families against the scalar references: smallest sizes, a floating-point and an
 * integer type. test_soak_certify_* have all sizes and types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <tern/certify.h>

#include "base/alloc.h"
#include "certify/case.h"
#include "certify/certify.h"

/* An op that somebody adds without a case fails here, not in silence. */
static void every_op_has_cases(void **state)
{
    (void)state;
    int n;
    const tern__op *const *ops = tern__op_all(&n);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        int found = 0;
        for (int t = 0; t < TERN_DTYPE_COUNT; t++) {
            tern__case *c = NULL;
            int m = 0;
            if (tern__cases(ops[i], (tern_dtype)t, false, &c, &m) != TERN_OK)
                fail_msg("%s", tern_last_error());
            found += m;
            tern__free(c);
        }
        if (!found)
            fail_msg("no element type was taken by the cases of %s", ops[i]->name);
    }
}

static void print_failure(void *user, const tern_certify_case *c)
{
    (void)user;
    if (!c->passed)
        print_message("%s %s by %s, %s: %s\n", c->op, c->dtype, c->impl, c->shape, c->reason);
}

static void certify_family(const char *family)
{
    tern_device *d = NULL;
    if (tern_device_open(&(tern_device_params){.family = family}, &d) != TERN_OK)
        fail_msg("%s", tern_last_error());
    tern_certify_result r = {0};
    tern_status st = tern__certify(d, &(tern_certify_params){.on_case = print_failure, .quick = true}, 1u << TERN_F32 | 1u << TERN_I32, &r);
    tern_device_close(d);
    if (st != TERN_OK)
        fail_msg("%s", tern_last_error());
    print_message("%s family: %d cases passed, %d failed\n", family, r.n_passed, r.n_failed);
    assert_int_equal(r.n_failed, 0);
    assert_true(r.n_passed > 150);
}

static void cpu_family_agrees(void **state)
{
    (void)state;
    certify_family("cpu");
}

static void simt_family_agrees(void **state)
{
    (void)state;
    certify_family("simt");
}

static void wrong_use_is_refused(void **state)
{
    (void)state;
    tern_certify_result r;
    assert_int_equal(tern_certify(NULL, NULL, &r), TERN_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_has_cases),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(cpu_family_agrees),
        cmocka_unit_test(simt_family_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
