/* The store of measured choices: a SQLite database beside the kernel cache, read by sessions and written by tern tune. */
#ifndef TERN_PROGRAM_TUNED_H
#define TERN_PROGRAM_TUNED_H

#include "base/hash.h"
#include "device/device.h"

/* What measuring found for a problem on a device. Texts that are read last as long as the call that hands them out. */
typedef struct tern__tuned_row {
    const char *device;  /* fingerprint, 32 digits */
    const char *name;    /* of the device, for people */
    const char *problem; /* "conv(f32[1,64,56,56],const f32[64,64,3,3]) pads=1,1,1,1" */
    const char *sources; /* digest of the kernels it was measured with, 16 digits */
    const char *choice;  /* "cpu_tile:tp=7:nv=2" */
    double us, usual_us; /* a run with it, and with what the cost model takes */
    const char *date;    /* "2026-11-21 19:33:35", UTC; ignored when writing */
} tern__tuned_row;

typedef struct tern__tuned_trial {
    const char *choice;
    const char *outcome; /* "running", "good", "wrong", "refused", "died", "late" */
    double us, usual_us;
    const char *why;     /* a sentence for all but good ones */
} tern__tuned_trial;

typedef struct tern__tuned_db tern__tuned_db;

/* What a device is to measurements: digest of its name, vendor, driver, versions, limits and family, as 32 digits. */
void tern__tuned_fingerprint(const tern_device *d, char out[33]);

/* Opens the store in a cache folder ("" has none). To read, *out is NULL where there is no store yet; to write, folder and store are made.
 * TERN_E_CORRUPT, naming the file, for one that is damaged or no store of ours, TERN_E_UNSUPPORTED in a build without SQLite, TERN_E_IO. */
tern_status tern__tuned_open(const char *dir, bool write, tern__tuned_db **out);
void tern__tuned_close(tern__tuned_db *db); /* NULL is fine */

/* Calls fn for each choice, those of one device only unless device is "", in the order of their names. fn may end it by returning another status. */
tern_status tern__tuned_each(tern__tuned_db *db, const char *device, tern_status (*fn)(void *user, const tern__tuned_row *row), void *user);
/* Adds or replaces the choice for a problem on a device. */
tern_status tern__tuned_put(tern__tuned_db *db, const tern__tuned_row *row);

/* What was tried for a problem with kernels of these sources, in the order in which it was; an older version's trials are as if they were not there. */
tern_status tern__tuned_trials(tern__tuned_db *db, const tern__tuned_row *of, tern_status (*fn)(void *user, const tern__tuned_trial *t), void *user);
/* Adds or replaces a trial. It is on disk when this returns. */
tern_status tern__tuned_note(tern__tuned_db *db, const tern__tuned_row *of, const tern__tuned_trial *t);

/* Empties the store, whatever state it is in; a database that others made stays, with TERN_E_CORRUPT. *n: choices that were in it, 0 where it could not be
 * read. */
tern_status tern__tuned_clear(const char *dir, int64_t *n);

#endif
