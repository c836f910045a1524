/* The thread's last error, and the names of status codes and element types. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "tern_config.h"

enum { SENTENCE_MAX = 1024 };
static _Thread_local char last_error[SENTENCE_MAX];

tern_status tern__fail(tern_status st, const char *fmt, ...)
{
    char text[SENTENCE_MAX]; /* the arguments may point into last_error */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(last_error, text, sizeof text);
    return st;
}

tern_status tern__fail_in(tern_status st, const char *fmt, ...)
{
    char prefix[SENTENCE_MAX], text[2 * SENTENCE_MAX + 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    snprintf(text, sizeof text, "%s%s%s", prefix, last_error[0] ? ": " : "", last_error);
    text[SENTENCE_MAX - 1] = 0;
    memcpy(last_error, text, SENTENCE_MAX);
    return st;
}

const char *tern_last_error(void) { return last_error; }

const char *tern_version(void) { return TERN_VERSION; }

const char *tern_status_name(tern_status st)
{
    static const char *const names[] = {
        [TERN_OK] = "TERN_OK",
        [TERN_E_INVALID] = "TERN_E_INVALID",
        [TERN_E_SHAPE] = "TERN_E_SHAPE",
        [TERN_E_DTYPE] = "TERN_E_DTYPE",
        [TERN_E_UNSUPPORTED] = "TERN_E_UNSUPPORTED",
        [TERN_E_NOT_FOUND] = "TERN_E_NOT_FOUND",
        [TERN_E_IO] = "TERN_E_IO",
        [TERN_E_CORRUPT] = "TERN_E_CORRUPT",
        [TERN_E_NOMEM] = "TERN_E_NOMEM",
        [TERN_E_NO_DEVICE] = "TERN_E_NO_DEVICE",
        [TERN_E_DEVICE] = "TERN_E_DEVICE",
        [TERN_E_DEVICE_MEMORY] = "TERN_E_DEVICE_MEMORY",
        [TERN_E_BUILD] = "TERN_E_BUILD",
        [TERN_E_MISMATCH] = "TERN_E_MISMATCH",
        [TERN_E_DYNAMIC] = "TERN_E_DYNAMIC",
    };
    unsigned i = (unsigned)st;
    return i < (unsigned)TERN_COUNT(names) ? names[i] : "TERN_E_?";
}

static const struct {
    const char *name;
    size_t size;
} dtypes[TERN_DTYPE_COUNT] = {
    [TERN_F32] = {"f32", 4}, [TERN_F16] = {"f16", 2}, [TERN_BF16] = {"bf16", 2}, [TERN_F64] = {"f64", 8},
    [TERN_I8] = {"i8", 1},   [TERN_I16] = {"i16", 2}, [TERN_I32] = {"i32", 4},   [TERN_I64] = {"i64", 8},
    [TERN_U8] = {"u8", 1},   [TERN_U16] = {"u16", 2}, [TERN_U32] = {"u32", 4},   [TERN_U64] = {"u64", 8},
    [TERN_BOOL] = {"bool", 1},
};

size_t tern_dtype_size(tern_dtype t)
{
    return (unsigned)t < TERN_DTYPE_COUNT ? dtypes[t].size : 0;
}

const char *tern_dtype_name(tern_dtype t)
{
    return (unsigned)t < TERN_DTYPE_COUNT ? dtypes[t].name : "?";
}

tern_status tern_dtype_parse(const char *name, tern_dtype *out)
{
    if (!name || !out)
        return tern__fail(TERN_E_INVALID, "dtype: a name and a place for the result are needed");
    for (int t = 0; t < TERN_DTYPE_COUNT; t++) {
        if (!strcmp(name, dtypes[t].name)) {
            *out = (tern_dtype)t;
            return TERN_OK;
        }
    }
    return tern__fail(TERN_E_NOT_FOUND, "no element type is called '%.40s'", name);
}
