/* Tuning: for one problem on one device, which implementation with which numbers is fastest, found by trying, and kept for the sessions to come.
 * A search proposes choices and remembers what became of them; trials run them, in a process of their own, since a kernel may bring its process
 * down. `tern tune` puts the two together. */
#ifndef TERN_TUNE_H
#define TERN_TUNE_H

#include <tern/base.h>
#include <tern/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Texts of choices ("cpu_tile:tp=7:nv=2") fit this many bytes. */
#define TERN_TUNE_TEXT 160

typedef enum tern_tune_outcome {
    TERN_TUNE_GOOD,    /* right, and timed */
    TERN_TUNE_WRONG,   /* differs from the reference */
    TERN_TUNE_REFUSED, /* no session could be made with it */
    TERN_TUNE_DIED,    /* took its process with it */
    TERN_TUNE_LATE,    /* was still running when its time was over */
} tern_tune_outcome;

/* --- Searching ------------------------------------------------------------------------------------------------- */

typedef struct tern_tuner tern_tuner;

/* A search for a problem, named as tern_group_info does, in the store of the device's cache folder. What an earlier search tried counts as tried.
 * TERN_E_INVALID for a text that is no problem, TERN_E_UNSUPPORTED for one that this device makes another problem of, or without SQLite;
 * TERN_E_CORRUPT and TERN_E_IO for a store that cannot be used. */
TERN_API tern_status tern_tuner_create(tern_device *d, const char *problem, uint64_t seed, tern_tuner **out) TERN_MUST_CHECK;
TERN_API void tern_tuner_destroy(tern_tuner *t); /* NULL is fine */

/* The next choice worth trying: first what the cost model takes, whatever is known of it; "" when the search is over. The store holds it as being
 * tried from now on, so that one that ends everything is not tried again. */
TERN_API tern_status tern_tuner_next(tern_tuner *t, char choice[TERN_TUNE_TEXT]) TERN_MUST_CHECK;
/* What became of it: for a good one its time, and that of tern_tuner_info's best at that moment, measured in turns with it; else why, a sentence. */
TERN_API tern_status tern_tuner_tell(tern_tuner *t, const char *choice, tern_tune_outcome outcome, double us, double best_us, const char *why) TERN_MUST_CHECK;
/* A longer comparison of the best with the cost model's choice: of many that were timed the luckiest came first. If it is still the best with that, and
 * faster, it becomes what sessions take from now on, and *kept is set; otherwise tern_tuner_info may have another best to compare. */
TERN_API tern_status tern_tuner_confirm(tern_tuner *t, double us, double usual_us, bool *kept) TERN_MUST_CHECK;

typedef struct tern_tuner_info {
    const char *problem, *usual, *best; /* choices; live until the next call of another function */
    double usual_us;     /* the cost model's choice, as first measured; 0: not yet */
    double gain;         /* how many times faster the best is, as far as the trials say; 1 when it is the usual one */
    int n_tried, n_failed, n_before; /* in all; of these, those without a time, and those of earlier searches */
} tern_tuner_info;
TERN_API void tern_tuner_get_info(const tern_tuner *t, tern_tuner_info *out);

/* --- Trying ------------------------------------------------------------------------------------------------------ */

typedef struct tern_trial tern_trial;

/* Gets ready to try choices for a problem on a device opened with profile: the cost model's choice is run on random operands and held against the
 * scalar reference, the whole result or, of large ones, as many channels as take about a second. TERN_E_MISMATCH where they differ. */
TERN_API tern_status tern_trial_create(tern_device *d, const char *problem, tern_trial **out) TERN_MUST_CHECK;
TERN_API void tern_trial_destroy(tern_trial *t); /* NULL is fine */
/* Runs a choice, compares its result, then times it in turns with another one ("": the cost model's). *why is set for what is not good and lives until
 * the next call. Fails only where the other one fails. */
TERN_API tern_status tern_trial_run(tern_trial *t, const char *choice, const char *against, double time_ms, tern_tune_outcome *outcome, double *us,
                                    double *against_us, const char **why) TERN_MUST_CHECK;

/* --- The store ----------------------------------------------------------------------------------------------------- */

typedef struct tern_tuned {
    const char *device, *problem, *choice, *date; /* the device's name; live until the callback returns */
    const char *sources;   /* digest of the kernels it was measured with */
    double us, usual_us;
    bool current;          /* measured with the kernels that there are now */
} tern_tuned;
/* Every choice that is kept, by device and problem. cache_dir as in tern_device_params. TERN_E_CORRUPT for a file that is no store of Tern's. */
TERN_API tern_status tern_tuned_each(const char *cache_dir, void (*fn)(void *user, const tern_tuned *entry), void *user) TERN_MUST_CHECK;
/* Forgets choices and trials; *n: how many choices. A damaged store is removed, another program's database is left alone (TERN_E_CORRUPT). */
TERN_API tern_status tern_tuned_clear(const char *cache_dir, int64_t *n) TERN_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
