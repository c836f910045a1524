/* What launches took: the events of the last runs, medians by group, and Chrome's trace format. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "base/str.h"
#include "device/impl.h"
#include "exec/plan_impl.h"

tern_status tern__plan_profile_init(tern__plan *p)
{
    if (!p->device->profile || p->n_launches == 0)
        return TERN_OK;
    size_t n;
    if (!tern__mul_size((size_t)p->n_launches, 2 * TERN__PLAN_KEPT_RUNS, &n) || !(p->events = tern__alloc_array(n, sizeof *p->events)))
        return tern__fail(TERN_E_NOMEM, "plan: no host memory for the events of %d runs", TERN__PLAN_KEPT_RUNS);
    return TERN_OK;
}

static void **events_of(const tern__plan *p, long run)
{
    return &p->events[(size_t)(run % TERN__PLAN_KEPT_RUNS) * (size_t)p->n_launches * 2];
}

static void release_run(tern__plan *p, void **events)
{
    for (int i = 0; i < 2 * p->n_launches; i++)
        if (events[i]) {
            p->device->ops->event_release(p->device, events[i]);
            events[i] = NULL;
        }
}

void **tern__plan_next_events(tern__plan *p)
{
    if (!p->events)
        return NULL;
    void **events = events_of(p, p->n_runs++);
    release_run(p, events);
    return events;
}

void tern__plan_profile_finish(tern__plan *p)
{
    for (int r = 0; p->events && r < TERN__PLAN_KEPT_RUNS; r++)
        release_run(p, events_of(p, r));
    tern__free(p->events);
}

/* Runs that are kept: [first_kept, n_runs). */
static long first_kept(const tern__plan *p)
{
    return p->n_runs > TERN__PLAN_KEPT_RUNS ? p->n_runs - TERN__PLAN_KEPT_RUNS : 0;
}

/* When a launch, or what a call enqueued, was on the device. false: there are no times. */
static bool times_of(tern__plan *p, void **events, int launch, tern__event_times *t, tern_status *st)
{
    const bool call = p->launches[launch].fn != NULL;
    void **own = &events[2 * launch];
    tern__event_times end;
    if (!own[0] || (call && !own[1]))
        return false;
    *st = p->device->ops->event_wait_times(p->device, own[0], t);
    if (*st != TERN_OK || !call)
        return *st == TERN_OK;
    *st = p->device->ops->event_wait_times(p->device, own[1], &end);
    t->start_ns = t->end_ns; /* all before the first mark is done */
    t->end_ns = TERN_MAX(end.end_ns, t->start_ns);
    return *st == TERN_OK;
}

/* The time of one group's launches in one run, in us. false: this run was cut short there or has no times. */
static bool run_us(tern__plan *p, long run, int group, double *us)
{
    void **events = events_of(p, run);
    bool any = false;
    *us = 0;
    for (int i = 0; i < p->n_launches; i++) {
        tern__event_times t;
        tern_status st = TERN_OK;
        if (p->launches[i].group != group)
            continue;
        if (!times_of(p, events, i, &t, &st))
            return false;
        *us += (double)(t.end_ns - t.start_ns) * 1e-3;
        any = true;
    }
    return any;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double tern__plan_group_us(tern__plan *p, int group)
{
    double us[TERN__PLAN_KEPT_RUNS];
    int n = 0;
    if (!p->events)
        return 0;
    for (long r = first_kept(p); r < p->n_runs; r++)
        n += run_us(p, r, group, &us[n]);
    if (n == 0)
        return 0;
    qsort(us, (size_t)n, sizeof *us, compare_doubles);
    return n % 2 ? us[n / 2] : (us[n / 2 - 1] + us[n / 2]) / 2;
}

/* Launches of a group follow one another. false: as in run_us. */
static bool run_span_us(tern__plan *p, long run, int group, double *us)
{
    void **events = events_of(p, run);
    tern__event_times all = {0}, t;
    bool any = false;
    for (int i = 0; i < p->n_launches; i++) {
        tern_status st = TERN_OK;
        if (p->launches[i].group != group)
            continue;
        if (!times_of(p, events, i, &t, &st))
            return false;
        all.start_ns = any ? TERN_MIN(all.start_ns, t.start_ns) : t.start_ns;
        all.end_ns = TERN_MAX(all.end_ns, t.end_ns);
        any = true;
    }
    *us = any ? (double)(all.end_ns - all.start_ns) * 1e-3 : 0;
    return any;
}

double tern__plan_group_span_us(tern__plan *p, int group)
{
    double least = 0, us;
    for (long r = p->events ? first_kept(p) : p->n_runs; r < p->n_runs; r++)
        if (run_span_us(p, r, group, &us) && (least == 0 || us < least))
            least = us;
    return least;
}

static void add_json_text(tern__str *b, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            tern__str_addf(b, "\\%c", c);
        else if (c < 0x20)
            tern__str_addf(b, "\\u%04x", c);
        else
            tern__str_addn(b, s, 1);
    }
}

/* Complete events ("ph":"X") with microseconds since the first launch that is kept. */
static tern_status add_run(tern__plan *p, long run, const char *const *names, int n_groups, uint64_t *origin, bool *any, tern__str *b)
{
    void **events = events_of(p, run);
    for (int i = 0; i < p->n_launches; i++) {
        tern__event_times t;
        tern_status st = TERN_OK;
        const plan_launch *l = &p->launches[i];
        const char *kernel = l->fn ? "library call" : l->kernel_name;
        if (!times_of(p, events, i, &t, &st)) {
            TERN_TRY(st);
            continue;
        }
        if (!*any)
            *origin = t.start_ns;
        tern__str_addf(b, "%s\n{\"name\":\"", *any ? "," : "");
        add_json_text(b, l->group >= 0 && l->group < n_groups && names[l->group] ? names[l->group] : kernel);
        tern__str_add(b, "\",\"cat\":\"");
        add_json_text(b, kernel);
        tern__str_addf(b, "\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"run\":%ld,\"launch\":%d,\"waited_us\":%.3f}}",
                       ((double)t.start_ns - (double)*origin) * 1e-3, (double)(t.end_ns - t.start_ns) * 1e-3, run, i,
                       ((double)t.start_ns - (double)t.queued_ns) * 1e-3);
        *any = true;
    }
    return TERN_OK;
}

static tern_status add_trace(tern__plan *p, const char *const *names, int n_groups, tern__str *b)
{
    uint64_t origin = 0;
    bool any = false;
    tern__str_add(b, "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"device\":\"");
    add_json_text(b, p->device->info.name);
    tern__str_add(b, "\"},\"traceEvents\":[");
    for (long r = first_kept(p); r < p->n_runs; r++)
        TERN_TRY(add_run(p, r, names, n_groups, &origin, &any, b));
    tern__str_add(b, "\n]}\n");
    return b->failed ? tern__fail(TERN_E_NOMEM, "trace: no host memory for %d launches", p->n_launches) : TERN_OK;
}

tern_status tern__plan_trace(tern__plan *p, const char *const *names, int n_groups, const char *path)
{
    if (!p->device->profile)
        return tern__fail(TERN_E_INVALID, "trace: \"%s\" was opened without profiling", p->device->info.name);
    tern__str text = { 0 };
    tern__file_writer w;
    tern_status st = p->events ? add_trace(p, names, n_groups, &text) : TERN_OK;
    if (st == TERN_OK && !p->events)
        tern__str_add(&text, "{\"traceEvents\":[]}\n");
    if (st == TERN_OK)
        st = tern__file_writer_open(&w, path, 0644);
    if (st == TERN_OK) {
        tern__file_writer_put(&w, tern__str_text(&text), text.len);
        st = tern__file_writer_close(&w);
    }
    tern__str_finish(&text);
    return st;
}
