/* Every op, element type, size and implementation of both kernel families against the scalar references: minutes of kernel compiling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <tern/certify.h>

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
    tern_status st = tern_certify(d, &(tern_certify_params){.on_case = print_failure}, &r);
    tern_device_close(d);
    if (st != TERN_OK)
        fail_msg("%s", tern_last_error());
    print_message("%s family: %d cases passed, %d failed\n", family, r.n_passed, r.n_failed);
    assert_int_equal(r.n_failed, 0);
    assert_true(r.n_passed > 3000);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_family_agrees),
        cmocka_unit_test(simt_family_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
