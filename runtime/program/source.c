/* Kernel sources by name: embedded in the library, or replaced one by one from $TERN_KERNEL_PATH. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "program/embedded.h"
#include "program/program.h"

#define MAX_SOURCE ((size_t)4 << 20)

/* Replaced texts live as long as the process, since callers borrow them. */
typedef struct replaced {
    struct replaced *next;
    char *text;
    size_t len;
} replaced;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static replaced *all_replaced;

static const struct tern__embedded *find_embedded(const char *name)
{
    for (int i = 0; i < tern__n_embedded; i++)
        if (strcmp(tern__embedded[i].name, name) == 0)
            return &tern__embedded[i];
    return NULL;
}

/* Takes text over. The same text read again shares the first copy, so that a loop of builds does not grow. */
static tern_status keep_text(char *text, size_t len, const char **out)
{
    tern_status st = TERN_OK;
    pthread_mutex_lock(&lock);
    replaced *r = all_replaced;
    while (r && (r->len != len || memcmp(r->text, text, len) != 0))
        r = r->next;
    if (r) {
        tern__free(text);
        *out = r->text;
    } else if ((r = tern__alloc(sizeof *r))) {
        *r = (replaced){ .next = all_replaced, .text = text, .len = len };
        all_replaced = r;
        *out = text;
    } else {
        tern__free(text);
        st = tern__fail(TERN_E_NOMEM, "kernel source: no host memory to keep %zu bytes", len);
    }
    pthread_mutex_unlock(&lock);
    return st;
}

/* Names come from inside the library, yet a name that climbs out of the folder would be a surprise. */
static bool stays_beneath(const char *name)
{
    return name[0] && name[0] != '/' && !strstr(name, "..");
}

static tern_status check_text(const char *path, const char *text, size_t len)
{
    if (len == 0)
        return tern__fail(TERN_E_CORRUPT, "kernel source: %s, which TERN_KERNEL_PATH puts in place of the built-in one, is empty", path);
    const char *nul = memchr(text, '\0', len);
    if (nul)
        return tern__fail(TERN_E_CORRUPT, "kernel source: %s has a zero byte at %zu, so it is no text", path, (size_t)(nul - text));
    return TERN_OK;
}

/* TERN_E_NOT_FOUND only when there is no such file. */
static tern_status read_replacement(const char *folder, const char *name, const char **text, size_t *len)
{
    tern__str path = { 0 };
    tern__str_addf(&path, "%s/%s", folder, name);
    if (path.failed) {
        tern__str_finish(&path);
        return tern__fail(TERN_E_NOMEM, "kernel source: no host memory for a path beneath %s", folder);
    }
    uint8_t *data = NULL;
    size_t n = 0;
    tern_status st = tern__file_read(tern__str_text(&path), MAX_SOURCE, &data, &n);
    if (st == TERN_OK)
        st = check_text(tern__str_text(&path), (char *)data, n);
    else if (st != TERN_E_NOT_FOUND)
        st = tern__fail_in(st, "kernel source, replaced through TERN_KERNEL_PATH");
    tern__str_finish(&path);
    if (st != TERN_OK) {
        tern__free(data);
        return st;
    }
    TERN_TRY(keep_text((char *)data, n, text));
    *len = n;
    return TERN_OK;
}

tern_status tern__source_get(const char *name, const char **text, size_t *len)
{
    const char *folder = getenv("TERN_KERNEL_PATH");
    if (folder && folder[0] && stays_beneath(name)) {
        tern_status st = read_replacement(folder, name, text, len);
        if (st != TERN_E_NOT_FOUND)
            return st;
    }
    const struct tern__embedded *e = find_embedded(name);
    if (!e)
        return tern__fail(TERN_E_NOT_FOUND, "kernel source: there is no kernels/%s", name);
    *text = e->text;
    *len = e->len;
    return TERN_OK;
}

/* The text of name from a line on. */
static void append_from(tern__str *out, const char *name, int line, const char *text, size_t len)
{
    tern__str_addf(out, "#line %d \"kernels/%s\"\n", line, name);
    tern__str_addn(out, text, len);
    if (len == 0 || text[len - 1] != '\n')
        tern__str_add(out, "\n");
}

/* The name in a line that reads #include "NAME"; false where it reads otherwise. */
static bool included(const char *line, size_t len, char name[64])
{
    static const char before[] = "#include \"";
    const size_t n = sizeof before - 1;
    const char *end = len > n && memcmp(line, before, n) == 0 ? memchr(line + n, '"', len - n) : NULL;
    if (!end || (size_t)(end - line) - n >= 64)
        return false;
    memcpy(name, line + n, (size_t)(end - line) - n);
    name[(size_t)(end - line) - n] = '\0';
    return true;
}

tern_status tern__source_append(tern__str *out, const char *name)
{
    const char *text, *more;
    size_t len, more_len, from = 0;
    char other[64];
    int line = 1, first = 1;
    TERN_TRY(tern__source_get(name, &text, &len));
    for (size_t at = 0; at < len; line++) {
        const char *end = memchr(text + at, '\n', len - at);
        const size_t next = end ? (size_t)(end - text) + 1 : len;
        if (included(text + at, next - at, other)) {
            append_from(out, name, first, text + from, at - from);
            TERN_TRY(tern__source_get(other, &more, &more_len));
            append_from(out, other, 1, more, more_len);
            from = next;
            first = line + 1;
        }
        at = next;
    }
    append_from(out, name, first, text + from, len - from);
    return out->failed ? tern__fail(TERN_E_NOMEM, "kernel source: no host memory to append %zu bytes of kernels/%s", len, name) : TERN_OK;
}
