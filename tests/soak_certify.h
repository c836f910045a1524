/* Every op, element type, size and implementation of one kernel family against the scalar references: minutes of kernel compiling, so
 * that each family is a program of its own and the two run side by side. */
#ifndef TERN_TESTS_SOAK_CERTIFY_H
#define TERN_TESTS_SOAK_CERTIFY_H
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

static inline void certify_family(const char *family)
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

#endif
