/* A folder for each test of a group: cmocka_unit_test_setup_teardown(test, fresh_dir, remove_dir). */
#ifndef TERN_TESTS_FRESH_DIR_H
#define TERN_TESTS_FRESH_DIR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];

/* A path in it, until the next call. */
static inline const char *in_dir(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static inline int fresh_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/tern-test-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static inline int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

#endif
