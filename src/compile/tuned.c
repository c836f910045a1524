/* What is known of a device: the user's store, then the table that comes with Tern, read once and never trusted further than a node's own checks. */
#include "compile/tuned.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "ops/op.h"
#include "program/program.h"
#include "program/tuned.h"

enum { MOST_ENTRIES = 100000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* --- Entries --- */

static tern_status add_entry(tern__tuned *t, const char *problem, size_t problem_len, const char *choice, size_t choice_len, tern__origin origin)
{
    if (t->n == MOST_ENTRIES)
        return TERN_OK;
    char *text = TERN_GROW(t->entry, t->n, t->cap) ? tern__alloc(problem_len + choice_len + 2) : NULL;
    if (!text)
        return tern__fail(TERN_E_NOMEM, "tuning: no host memory for %d choices", t->n + 1);
    memcpy(text, problem, problem_len);
    memcpy(text + problem_len + 1, choice, choice_len);
    t->entry[t->n++] = (tern__tuned_entry){text, text + problem_len + 1, origin};
    return TERN_OK;
}

/* Is this the digest of the op's kernels as they are? One op's is asked for many times in a row. */
struct filter {
    tern__tuned *t;
    const tern__op *op;
    char sources[17];
};

static tern_status is_current(struct filter *f, const char *problem, const char *sources, size_t len, bool *current)
{
    const tern__op *op = tern__problem_op(problem);
    *current = false;
    if (!op)
        return TERN_OK;
    if (op != f->op) {
        TERN_TRY(tern__problem_sources(op, f->sources));
        f->op = op;
    }
    *current = len == strlen(f->sources) && !memcmp(sources, f->sources, len);
    return TERN_OK;
}

static tern_status add_row(void *user, const tern__tuned_row *row)
{
    struct filter *f = user;
    bool current;
    TERN_TRY(is_current(f, row->problem, row->sources, strlen(row->sources), &current));
    return current ? add_entry(f->t, row->problem, strlen(row->problem), row->choice, strlen(row->choice), TERN__BY_STORE) : TERN_OK;
}

static tern_status read_store(const tern_device *d, tern__tuned *t)
{
    struct filter f = {.t = t};
    tern__tuned_db *db = NULL;
    TERN_TRY(tern__tuned_open(d->cache_dir, false, &db));
    tern_status st = db ? tern__tuned_each(db, t->device, add_row, &f) : TERN_OK;
    tern__tuned_close(db);
    return st;
}

/* --- The table that comes with Tern: kernels/tuned.clt --- */

/* "device FAMILY WIDTH UNITS PART-OF-NAME": do the lines that follow tell of this device? */
static bool tells_of(const tern_device *d, const char *line, size_t len)
{
    char text[256], family[8] = "", name[128] = "";
    unsigned width = 0, units = 0;
    if (len >= sizeof text)
        return false;
    memcpy(text, line, len);
    text[len] = '\0';
    if (sscanf(text, "device %7s %u %u %127[^\n]", family, &width, &units, name) != 4)
        return false;
    return !strcmp(family, d->family == TERN__FAMILY_CPU ? "cpu" : "simt") && width == d->info.native_vector_f32 && units == d->info.compute_units &&
           strstr(d->info.name, name);
}

/* "SOURCES PROBLEM | CHOICE" */
static tern_status add_line(struct filter *f, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len), *bar = memmem(line, len, " | ", 3);
    bool current;
    if (!space || !bar || bar < space)
        return TERN_OK;
    TERN_TRY(is_current(f, space + 1, line, (size_t)(space - line), &current));
    return current ? add_entry(f->t, space + 1, (size_t)(bar - space - 1), bar + 3, len - (size_t)(bar + 3 - line), TERN__BY_TABLE) : TERN_OK;
}

static tern_status read_table(const tern_device *d, tern__tuned *t)
{
    struct filter f = {.t = t};
    const char *text, *end;
    size_t size;
    bool ours = false;
    TERN_TRY(tern__source_get("tuned.clt", &text, &size));
    end = text + size;
    for (const char *line = text; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const size_t len = (size_t)((stop ? stop : end) - line);
        if (len >= 7 && !memcmp(line, "device ", 7))
            ours = tells_of(d, line, len);
        else if (ours && len && *line != '#')
            TERN_TRY(add_line(&f, line, len));
        line += len + 1;
    }
    return TERN_OK;
}

/* --- Reading once --- */

static void free_all(void *tuned)
{
    for (tern__tuned *t = tuned, *next; t; t = next) {
        next = t->next;
        for (int i = 0; i < t->n; i++)
            tern__free(t->entry[i].problem);
        tern__free(t->entry);
        tern__free(t);
    }
}

/* The store goes before the table where both know a problem. */
static int by_problem(const void *a, const void *b)
{
    const tern__tuned_entry *x = a, *y = b;
    const int order = strcmp(x->problem, y->problem);
    return order ? order : (int)x->origin - (int)y->origin;
}

static tern_status read_all(const tern_device *d, const char *device, tern__tuned **out)
{
    tern__tuned *t = tern__alloc(sizeof *t);
    if (!t)
        return tern__fail(TERN_E_NOMEM, "tuning: no host memory for what is known of %s", d->info.name);
    memcpy(t->device, device, sizeof t->device);
    tern_status st = read_store(d, t);
    if (st != TERN_OK && st != TERN_E_NOMEM) {
        snprintf(t->note, sizeof t->note, "%s; what it holds is not used", tern_last_error());
        st = TERN_OK;
    }
    if (st == TERN_OK)
        st = read_table(d, t);
    if (st != TERN_OK) {
        free_all(t);
        return st;
    }
    if (t->n)
        qsort(t->entry, (size_t)t->n, sizeof *t->entry, by_problem);
    *out = t;
    return TERN_OK;
}

/* Sessions on other threads may still read what an older state of the device knew: it stays until the device goes. */
tern_status tern__tuned_of(tern_device *d, const tern__tuned **out)
{
    char device[33];
    tern_status st = TERN_OK;
    tern__tuned_fingerprint(d, device);
    pthread_mutex_lock(&lock);
    tern__tuned *t = d->tuned;
    while (t && strcmp(t->device, device) != 0)
        t = t->next;
    if (!t) {
        st = read_all(d, device, &t);
        if (st == TERN_OK) {
            t->next = d->tuned;
            d->tuned = t;
            d->tuned_free = free_all;
        }
    }
    pthread_mutex_unlock(&lock);
    *out = t;
    return st;
}

/* --- Looking up --- */

static const tern__tuned_entry *search(const tern__tuned *t, const char *problem)
{
    int lo = 0, hi = t->n;
    while (lo < hi) {
        const int mid = lo + (hi - lo) / 2;
        if (strcmp(t->entry[mid].problem, problem) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->n && !strcmp(t->entry[lo].problem, problem) ? &t->entry[lo] : NULL;
}

/* Names and values that there are no longer, and numbers that do not fit, are as if there were no entry. */
static bool still_fits(const tern__compile *c, const tern__node *n, const tern__tuned_entry *e, tern__choice *out)
{
    tern__choice choice;
    tern__str why = {0};
    if (tern__choice_parse(n->op, e->choice, strlen(e->choice), &choice) != TERN_OK)
        return false;
    choice.origin = e->origin;
    const bool fits = tern__choice_fits(c, n, &choice, &why);
    tern__str_finish(&why);
    if (fits)
        *out = choice;
    return fits;
}

tern_status tern__tuned_find(const tern__compile *c, const tern__node *n, tern__choice *out)
{
    tern__str problem = {0};
    out->impl = NULL;
    if (!c->tuned || !c->tuned->n || !c->only_user || !tern__is_tunable(n->op))
        return TERN_OK;
    tern__problem_print(&problem, c->g, n, c->only_user, c->exact);
    if (problem.failed) {
        tern__str_finish(&problem);
        return tern__fail(TERN_E_NOMEM, "tuning: no host memory for the name of a problem");
    }
    const tern__tuned_entry *e = search(c->tuned, tern__str_text(&problem));
    for (; e && e < c->tuned->entry + c->tuned->n && !strcmp(e->problem, tern__str_text(&problem)); e++)
        if (still_fits(c, n, e, out))
            break;
    tern__str_finish(&problem);
    return TERN_OK;
}
