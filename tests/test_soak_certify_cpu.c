/* Every op by every implementation of the CPU family, all sizes and types. */
#include "soak_certify.h"

static void cpu_family_agrees(void **state)
{
    (void)state;
    certify_family("cpu");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cpu_family_agrees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
