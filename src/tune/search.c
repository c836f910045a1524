/* The search of a tuner: what the cost model takes, every other implementation as it comes, then neighbours of the best in turns with random choices.
 * It is a function of the problem, the seed and what was tried, all of which the store keeps, so that a search that was killed goes on where it was. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/philox.h"
#include "base/status.h"
#include "compile/session_impl.h"
#include "ops/op.h"
#include "program/tuned.h"
#include "tune/tune.h"

enum {
    PATIENCE = 24,   /* trials without a gain after which the search is over, once all neighbours were tried */
    ATTEMPTS = 64,   /* at a random choice that is new */
    EVERY = 4,       /* each so many trials one is random */
    MOST_TRIALS = 100000,
};
#define GAIN 0.99    /* of the best's time: what does not get below is noise */
#define HOPELESS 2.0 /* times the best: an implementation that as it comes takes so long is not searched */

struct record {
    char choice[TERN_TUNE_TEXT];
    bool good, before;
    double ratio; /* to the cost model's time */
};

struct tern_tuner {
    tern_device *device;
    tern_graph *graph;
    tern_session *session; /* as the cost model has it: what choices are checked against */
    const tern__node *node;
    tern__tuned_db *db;
    char *problem;
    char fingerprint[33], sources[17];
    tern__tuned_row row;
    uint64_t seed;
    char usual[TERN_TUNE_TEXT];
    double usual_us;
    bool started;
    struct record *record;
    int n, cap, best;      /* best: -1 before there is one */
};

/* --- Choices --- */

/* As text, all numbers that a choice may name written out. False: it does not fit. */
static bool spell(const tern_tuner *t, tern__choice choice, char text[TERN_TUNE_TEXT])
{
    const tern__compile *c = &t->session->c;
    const tern__lower l = {(tern__compile *)c, NULL, &choice};
    const tern__space *space = choice.impl->space;
    int32_t value[TERN__MAX_PARAMS] = {0};
    tern__str s = {0}, why = {0};
    bool fits = (!choice.impl->approximate || !c->exact) && choice.impl->accept(&l, t->node, &why);
    if (fits && space)
        space->read(&l, t->node, value);
    for (int i = 0; fits && space && i < space->n; i++) {
        choice.value[i] = 0; /* what no list has is left to the cost model */
        for (const int16_t *v = space->param[i].values; *v; v++)
            if (*v == value[i])
                choice.value[i] = value[i];
    }
    fits = fits && tern__choice_fits(c, t->node, &choice, &why);
    if (fits)
        tern__choice_print(&s, &choice);
    fits = fits && !s.failed && s.len < TERN_TUNE_TEXT;
    if (fits)
        memcpy(text, tern__str_text(&s), s.len + 1);
    tern__str_finish(&s);
    tern__str_finish(&why);
    return fits;
}

static struct record *find(const tern_tuner *t, const char *choice)
{
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->record[i].choice, choice))
            return &t->record[i];
    return NULL;
}

/* A choice that fits and was not tried. */
static bool is_new(const tern_tuner *t, const tern__choice *choice, char text[TERN_TUNE_TEXT])
{
    return spell(t, *choice, text) && !find(t, text);
}

/* The best one's numbers, those left out as they come out. */
static bool read_best(const tern_tuner *t, tern__choice *out, int32_t value[TERN__MAX_PARAMS])
{
    const char *text = t->record[t->best].choice;
    if (tern__choice_parse(t->node->op, text, strlen(text), out) != TERN_OK || !out->impl->space)
        return false;
    const tern__lower l = {&t->session->c, NULL, out};
    out->impl->space->read(&l, t->node, value);
    return true;
}

/* --- Proposals --- */

static bool propose_impl(const tern_tuner *t, char text[TERN_TUNE_TEXT])
{
    for (int i = 0; t->node->op->impls[i]; i++)
        if (is_new(t, &(tern__choice){.impl = t->node->op->impls[i]}, text))
            return true;
    return false;
}

/* One number a step or two up or down its list, beginning with another number each time. */
static bool propose_neighbour(const tern_tuner *t, char text[TERN_TUNE_TEXT])
{
    static const int steps[] = {1, -1, 2, -2};
    tern__choice best;
    int32_t value[TERN__MAX_PARAMS] = {0};
    if (!read_best(t, &best, value))
        return false;
    const tern__space *space = best.impl->space;
    for (int s = 0; s < TERN_COUNT(steps); s++)
        for (int k = 0; k < space->n; k++) {
            const int i = (k + t->n) % space->n;
            const int16_t *list = space->param[i].values;
            int at = 0, n = 0;
            for (; list[n]; n++)
                at = list[n] <= value[i] ? n : at;
            if (at + steps[s] < 0 || at + steps[s] >= n)
                continue;
            tern__choice next = best;
            next.value[i] = list[at + steps[s]];
            if (is_new(t, &next, text))
                return true;
        }
    return false;
}

static uint32_t draw(const tern_tuner *t, int attempt, int what, uint32_t below)
{
    const uint64_t at = ((uint64_t)t->n * ATTEMPTS + (uint64_t)attempt) * 16 + (uint64_t)what;
    return (uint32_t)(tern__philox_uniform(t->seed, 5, at) * (float)below) % below;
}

/* Half of the time the best one's; otherwise one of those that are not hopeless. */
static const tern__impl *draw_impl(const tern_tuner *t, const tern__impl *best, int attempt)
{
    const tern__impl *some[16];
    uint32_t n = 0;
    if (draw(t, attempt, 14, 2) == 0)
        return best;
    for (int i = 0; t->node->op->impls[i] && n < TERN_COUNT(some); i++) {
        char text[TERN_TUNE_TEXT];
        const tern__choice plain = {.impl = t->node->op->impls[i]};
        const struct record *r = spell(t, plain, text) ? find(t, text) : NULL;
        if (plain.impl->space && r && r->good && r->ratio < HOPELESS * t->record[t->best].ratio)
            some[n++] = plain.impl;
    }
    return n ? some[draw(t, attempt, 15, n)] : best;
}

static bool propose_random(const tern_tuner *t, char text[TERN_TUNE_TEXT])
{
    tern__choice best;
    int32_t value[TERN__MAX_PARAMS] = {0};
    if (!read_best(t, &best, value))
        return false;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        tern__choice next = {.impl = draw_impl(t, best.impl, attempt)};
        const tern__space *space = next.impl->space;
        for (int i = 0; i < space->n; i++) {
            int n = 0;
            while (space->param[i].values[n])
                n++;
            const bool keep = next.impl == best.impl && draw(t, attempt, 7 + i, 3) == 0;
            next.value[i] = keep ? best.value[i] : space->param[i].values[draw(t, attempt, i, (uint32_t)n)];
        }
        if (is_new(t, &next, text))
            return true;
    }
    return false;
}

/* Trials since the last gain. */
static int in_vain(const tern_tuner *t)
{
    double best = 0;
    int n = 0;
    for (int i = 0; i < t->n; i++, n++)
        if (t->record[i].good && (best == 0 || t->record[i].ratio < GAIN * best)) {
            best = t->record[i].ratio;
            n = 0;
        }
    return n;
}

static void propose(const tern_tuner *t, char text[TERN_TUNE_TEXT])
{
    const bool random_first = t->n % EVERY == EVERY - 1;
    if (t->n >= MOST_TRIALS || t->best < 0)
        return;
    if (propose_impl(t, text) || (random_first && propose_random(t, text)) || propose_neighbour(t, text))
        return;
    if (in_vain(t) < PATIENCE && propose_random(t, text))
        return;
    text[0] = '\0';
}

/* --- Records --- */

static tern_status add_record(tern_tuner *t, const char *choice, struct record **out)
{
    if (strlen(choice) >= TERN_TUNE_TEXT)
        return tern__fail(TERN_E_INVALID, "tune: a choice of %zu characters", strlen(choice));
    *out = find(t, choice);
    if (*out)
        return TERN_OK;
    if (!TERN_GROW(t->record, t->n, t->cap))
        return tern__fail(TERN_E_NOMEM, "tune: %d trials", t->n + 1);
    *out = &t->record[t->n++];
    **out = (struct record){.good = false};
    memcpy((*out)->choice, choice, strlen(choice) + 1);
    return TERN_OK;
}

static void find_best(tern_tuner *t)
{
    for (int i = 0; i < t->n; i++)
        if (t->record[i].good && (t->best < 0 || t->record[i].ratio < t->record[t->best].ratio))
            t->best = i;
}

/* One that was being tried when an earlier search ended may have ended it. */
static tern_status remember(void *user, const tern__tuned_trial *trial)
{
    tern_tuner *t = user;
    struct record *r;
    if (strlen(trial->choice) >= TERN_TUNE_TEXT || t->n >= MOST_TRIALS)
        return TERN_OK;
    TERN_TRY(add_record(t, trial->choice, &r));
    r->before = true;
    r->good = !strcmp(trial->outcome, "good") && trial->us > 0 && trial->usual_us > 0;
    r->ratio = r->good ? trial->us / trial->usual_us : 0;
    return TERN_OK;
}

/* --- Life --- */

static tern_status create(tern_tuner *t, const char *problem)
{
    int group = 0;
    TERN_TRY(tern__problem_graph(problem, &t->graph));
    TERN_TRY(tern__tune_session(t->device, t->graph, problem, "", &t->session, &group));
    const int anchor = t->session->c.groups[group]->anchor;
    t->node = t->session->c.g->nodes[anchor];
    tern__tuned_fingerprint(t->device, t->fingerprint);
    TERN_TRY(tern__problem_sources(t->node->op, t->sources));
    t->row = (tern__tuned_row){.device = t->fingerprint, .name = t->device->info.name, .problem = t->problem, .sources = t->sources};
    if (!spell(t, t->session->c.choice_of[anchor], t->usual))
        return tern__fail(TERN_E_UNSUPPORTED, "tune: the cost model's choice for %s cannot be written down", problem);
    TERN_TRY(tern__tuned_open(t->device->cache_dir, true, &t->db));
    TERN_TRY(tern__tuned_trials(t->db, &t->row, remember, t));
    find_best(t);
    return TERN_OK;
}

tern_status tern_tuner_create(tern_device *d, const char *problem, uint64_t seed, tern_tuner **out)
{
    if (!d || !problem || !out)
        return tern__fail(TERN_E_INVALID, "tune: a device, a problem and a place for the search are needed");
    tern_tuner *t = tern__alloc(sizeof *t);
    char *text = t ? tern__strdup(problem) : NULL;
    if (!text) {
        tern__free(t);
        return tern__fail(TERN_E_NOMEM, "tune: no host memory for a search");
    }
    t->device = tern__device_retain(d);
    t->problem = text;
    t->seed = seed;
    t->best = -1;
    tern_status st = create(t, problem);
    if (st != TERN_OK) {
        tern_tuner_destroy(t);
        return st;
    }
    *out = t;
    return TERN_OK;
}

void tern_tuner_destroy(tern_tuner *t)
{
    if (!t)
        return;
    tern__tuned_close(t->db);
    tern_session_destroy(t->session);
    tern_graph_destroy(t->graph);
    tern__device_release(t->device);
    tern__free(t->problem);
    tern__free(t->record);
    tern__free(t);
}

/* --- Going on --- */

tern_status tern_tuner_next(tern_tuner *t, char choice[TERN_TUNE_TEXT])
{
    struct record *r;
    choice[0] = '\0';
    if (!t->started)
        memcpy(choice, t->usual, sizeof t->usual);
    else
        propose(t, choice);
    t->started = true;
    if (!choice[0])
        return TERN_OK;
    TERN_TRY(add_record(t, choice, &r));
    if (r->good) /* measured before, and asked for again because all is compared with it */
        return TERN_OK;
    return tern__tuned_note(t->db, &t->row, &(tern__tuned_trial){.choice = choice, .outcome = "running", .why = "the search ended while it was tried"});
}

tern_status tern_tuner_tell(tern_tuner *t, const char *choice, tern_tune_outcome outcome, double us, double best_us, const char *why)
{
    static const char *const word[] = {[TERN_TUNE_GOOD] = "good", [TERN_TUNE_WRONG] = "wrong", [TERN_TUNE_REFUSED] = "refused", [TERN_TUNE_DIED] = "died",
                                       [TERN_TUNE_LATE] = "late"};
    struct record *r;
    const bool good = outcome == TERN_TUNE_GOOD && us > 0 && best_us > 0;
    TERN_TRY(add_record(t, choice, &r));
    r->good = good;
    r->before = false;
    r->ratio = !good ? 0 : !strcmp(choice, t->usual) ? 1 : us / best_us * (t->best < 0 ? 1 : t->record[t->best].ratio);
    if (good && !strcmp(choice, t->usual))
        t->usual_us = us;
    if (good && (t->best < 0 || r->ratio < GAIN * t->record[t->best].ratio))
        t->best = (int)(r - t->record);
    const tern_tune_outcome noted = !good && outcome == TERN_TUNE_GOOD ? TERN_TUNE_REFUSED : outcome;
    return tern__tuned_note(t->db, &t->row, &(tern__tuned_trial){.choice = choice, .outcome = word[noted], .us = good ? us : 0,
                                                                 .usual_us = good ? us / r->ratio : 0, .why = good ? "" : why});
}

tern_status tern_tuner_confirm(tern_tuner *t, double us, double usual_us, bool *kept)
{
    *kept = false;
    if (t->best < 0 || !(us > 0) || !(usual_us > 0))
        return tern__fail(TERN_E_INVALID, "tune: nothing was measured that could be kept");
    const int was = t->best;
    struct record *r = &t->record[was];
    r->ratio = us / usual_us;
    t->best = -1;
    find_best(t);
    if (t->best < 0 || t->record[t->best].ratio > GAIN * r->ratio)
        t->best = was; /* what is better by so little is not */
    TERN_TRY(tern__tuned_note(t->db, &t->row, &(tern__tuned_trial){.choice = r->choice, .outcome = "good", .us = us, .usual_us = usual_us, .why = ""}));
    if (t->best != was || r->ratio > GAIN)
        return TERN_OK;
    t->row.choice = r->choice;
    t->row.us = us;
    t->row.usual_us = usual_us;
    *kept = true;
    return tern__tuned_put(t->db, &t->row);
}

void tern_tuner_get_info(const tern_tuner *t, tern_tuner_info *out)
{
    *out = (tern_tuner_info){.problem = t->problem, .usual = t->usual, .best = t->best < 0 ? t->usual : t->record[t->best].choice, .usual_us = t->usual_us,
                             .gain = t->best < 0 || t->record[t->best].ratio <= 0 ? 1 : 1 / t->record[t->best].ratio, .n_tried = t->n};
    for (int i = 0; i < t->n; i++) {
        out->n_failed += !t->record[i].good;
        out->n_before += t->record[i].before;
    }
}
