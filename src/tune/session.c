/* A problem as a session of its own, and what the store holds for everybody to see. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "compile/session_impl.h"
#include "device/impl.h"
#include "ops/op.h"
#include "program/tuned.h"
#include "tune/tune.h"

static bool is_exact(const char *problem)
{
    const size_t n = strlen(problem);
    return n > 6 && !strcmp(problem + n - 6, " exact");
}

static tern_status find_group(const tern_session *s, const char *problem, int *group)
{
    const char *other = NULL;
    for (int i = 0; i < s->c.n_groups; i++) {
        const tern__group *gr = s->c.groups[i];
        if (!gr->problem.len)
            continue;
        other = tern__str_text(&gr->problem);
        if (!strcmp(other, problem)) {
            *group = i;
            return TERN_OK;
        }
    }
    return tern__fail(TERN_E_UNSUPPORTED, "tune: %s becomes %s on this device", problem, other ? other : "something in which nothing can be chosen");
}

tern_status tern__tune_session(tern_device *d, const tern_graph *g, const char *problem, const char *choice, tern_session **out, int *group)
{
    tern__str force = {0};
    tern_session *s = NULL;
    const tern__op *op = tern__problem_op(problem);
    if (*choice)
        tern__str_addf(&force, "%s=%s", op->name, choice);
    tern_status st = force.failed ? tern__fail(TERN_E_NOMEM, "tune: the name of a choice") : TERN_OK;
    const tern_session_params p = {.freeze = true, .exact = is_exact(problem), .no_tuned = true, .force_impl = *choice ? tern__str_text(&force) : NULL};
    if (st == TERN_OK)
        st = tern_session_create(d, g, &p, &s);
    tern__str_finish(&force);
    if (st == TERN_OK)
        st = find_group(s, problem, group);
    if (st != TERN_OK) {
        tern_session_destroy(s);
        return st;
    }
    s->c.force_impl = NULL; /* its text is gone */
    *out = s;
    return TERN_OK;
}

/* --- The store --- */

struct each {
    void (*fn)(void *user, const tern_tuned *entry);
    void *user;
};

static tern_status hand_out(void *user, const tern__tuned_row *row)
{
    const struct each *e = user;
    const tern__op *op = tern__problem_op(row->problem);
    char sources[17] = "";
    if (op)
        TERN_TRY(tern__problem_sources(op, sources));
    e->fn(e->user, &(tern_tuned){.device = row->name, .problem = row->problem, .choice = row->choice, .date = row->date, .sources = row->sources, .us = row->us,
                                 .usual_us = row->usual_us, .current = op && !strcmp(sources, row->sources)});
    return TERN_OK;
}

tern_status tern_tuned_each(const char *cache_dir, void (*fn)(void *user, const tern_tuned *entry), void *user)
{
    struct each e = {fn, user};
    tern__tuned_db *db = NULL;
    char *dir = tern__cache_dir(cache_dir);
    if (!dir || !fn) {
        tern__free(dir);
        return fn ? tern__fail(TERN_E_NOMEM, "tuning store: no host memory for its path") : tern__fail(TERN_E_INVALID, "tuning store: nobody to tell of it");
    }
    tern_status st = tern__tuned_open(dir, false, &db);
    if (st == TERN_OK && db)
        st = tern__tuned_each(db, "", hand_out, &e);
    tern__tuned_close(db);
    tern__free(dir);
    return st;
}

tern_status tern_tuned_clear(const char *cache_dir, int64_t *n)
{
    int64_t removed = 0;
    char *dir = tern__cache_dir(cache_dir);
    if (!dir)
        return tern__fail(TERN_E_NOMEM, "tuning store: no host memory for its path");
    tern_status st = tern__tuned_clear(dir, &removed);
    tern__free(dir);
    if (st == TERN_OK && n)
        *n = removed;
    return st;
}
