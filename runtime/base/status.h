/* Failing with a sentence: the thread's last error, and the helpers that set it. */
#ifndef TERN_BASE_STATUS_H
#define TERN_BASE_STATUS_H

#include <stdint.h>
#include <tern/base.h>

/* Records the sentence and returns st. Nested failures replace the sentence: say the most useful one last. */
tern_status tern__fail(tern_status st, const char *fmt, ...) TERN_PRINTF(2, 3);

/* Puts "prefix: " before the sentence already recorded, and returns st. */
tern_status tern__fail_in(tern_status st, const char *fmt, ...) TERN_PRINTF(2, 3);

/* Leaves the function with the status of a call that failed. */
#define TERN_TRY(call)                      \
    do {                                    \
        tern_status try_st_ = (call);       \
        if (try_st_ != TERN_OK)             \
            return try_st_;                 \
    } while (0)

#define TERN_COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define TERN_MIN(a, b) ((a) < (b) ? (a) : (b))
#define TERN_MAX(a, b) ((a) > (b) ? (a) : (b))

/* a / b rounded up; neither negative. */
static inline int64_t tern__div_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

#endif
