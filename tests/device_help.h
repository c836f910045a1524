/* Devices for tests: the null device in both families, and OpenCL's. */
#ifndef TERN_TESTS_DEVICE_HELP_H
#define TERN_TESTS_DEVICE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/opencl.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "base/status.h"
#include "device/impl.h"
#include "device/opencl/cl.h"
#include "program/program.h"

#define OK(call)                                          \
    do {                                                  \
        if ((call) != TERN_OK)                            \
            fail_msg("%s: %s", #call, tern_last_error()); \
    } while (0)
#define SAYS(words)                                                        \
    do {                                                                   \
        if (!strstr(tern_last_error(), words))                             \
            fail_msg("\"%s\" is not in: %s", words, tern_last_error());    \
    } while (0)

static const char *const devices[] = { "null:cpu", "null:gpu", "" };

static inline tern_device *open_device(const char *select)
{
    const tern_device_params params = { .select = select, .cache_dir = "" };
    tern_device *d = NULL;
    OK(tern_device_open(&params, &d));
    return d;
}

#endif
