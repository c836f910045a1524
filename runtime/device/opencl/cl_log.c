/* The lines of a compiler's log that matter, with places in the kernels' files even where a compiler ignores #line. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/str.h"
#include "device/opencl/cl.h"

#define LOG_LINES 4
#define LOG_CHARS 700

/* A #line directive: the next physical line is line of name. */
typedef struct place {
    const char *name;
    size_t name_len;
    long line;
} place;

static bool parse_line_directive(const char *at, const char *end, place *p)
{
    static const char word[] = "#line ";
    if ((size_t)(end - at) <= sizeof word || memcmp(at, word, sizeof word - 1) != 0)
        return false;
    long line = strtol(at + sizeof word - 1, NULL, 10);
    const char *open = memchr(at, '"', (size_t)(end - at));
    const char *close = open ? memchr(open + 1, '"', (size_t)(end - open - 1)) : NULL;
    if (!close)
        return false;
    *p = (place){ open + 1, (size_t)(close - open - 1), line };
    return true;
}

/* Where the physical line of the source comes from. false: before the first directive. */
static bool locate(const char *source, size_t len, long physical, place *out)
{
    place p = { 0 };
    const char *at = source, *end = source + len;
    for (long line = 1; at < end && line < physical; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        if (!parse_line_directive(at, stop, &p) && p.name)
            p.line++;
        at = newline ? newline + 1 : end;
    }
    *out = p;
    return p.name != NULL;
}

/* "<anything>:LINE:" at the head of a message; *number is where LINE begins, *after where it ends. */
static bool find_line_number(const char *line, size_t n, const char **number, const char **after)
{
    for (const char *at = line; (at = memchr(at, ':', (size_t)(line + n - at))); at++) {
        const char *d = at + 1;
        while (d < line + n && *d >= '0' && *d <= '9')
            d++;
        if (d > at + 1 && d < line + n && *d == ':') {
            *number = at + 1;
            *after = d;
            return true;
        }
    }
    return false;
}

static bool contains(const char *line, size_t n, const char *word, size_t w)
{
    for (size_t i = 0; i + w <= n; i++)
        if (memcmp(line + i, word, w) == 0)
            return true;
    return false;
}

/* One line of the log. A compiler that knows of #line has named our file already. */
static void add_line(tern__str *out, const char *line, size_t n, const char *source, size_t len)
{
    const char *number, *after;
    place p;
    size_t room = (size_t)LOG_CHARS - TERN_MIN(out->len, (size_t)LOG_CHARS);
    if (source && !contains(line, n, "kernels/", 8) && find_line_number(line, n, &number, &after) &&
        locate(source, len, strtol(number, NULL, 10), &p)) {
        tern__str_addn(out, p.name, p.name_len);
        tern__str_addf(out, ":%ld", p.line);
        n -= (size_t)(after - line);
        line = after;
    }
    tern__str_addn(out, line, TERN_MIN(n, room));
}

static void pick_lines(tern__str *out, const char *log, const char *source, size_t len, bool errors_only)
{
    int taken = 0;
    for (const char *line = log; *line && taken < LOG_LINES && out->len < LOG_CHARS;) {
        size_t n = strcspn(line, "\n");
        if (n > 0 && (!errors_only || contains(line, n, "error", 5))) {
            tern__str_add(out, taken++ ? "; " : "");
            add_line(out, line, n, source, len);
        }
        line += n + (line[n] == '\n');
    }
}

void tern__cl_log_pick(tern__str *out, const char *log, const char *source, size_t len)
{
    pick_lines(out, log, source, len, true);
    if (out->len == 0)
        pick_lines(out, log, source, len, false);
}
