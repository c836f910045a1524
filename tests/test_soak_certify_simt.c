/* Every op by every implementation of the SIMT family, all sizes and types. */
#include "soak_certify.h"

static void simt_family_agrees(void **state)
{
    (void)state;
    certify_family("simt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(simt_family_agrees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
