/* The on-disk cache of built programs: entries by key, each with a digest that is checked before a driver sees it. */
#ifndef TERN_PROGRAM_CACHE_H
#define TERN_PROGRAM_CACHE_H

#include "base/file.h"
#include "base/hash.h"
#include "device/device.h"

/* The name under which a program of this source and these options is kept for this device and driver. */
tern__digest tern__cache_key(const tern_device *d, const char *source, size_t len, const char *options);

/* EMPTY: a sound entry without a binary: building from source is the best there is. BAD: there is an entry, damaged, cut short or another's, which ought to be replaced. */
typedef enum tern__cache_answer { TERN__CACHE_NONE, TERN__CACHE_HIT, TERN__CACHE_EMPTY, TERN__CACHE_BAD } tern__cache_answer;

/* The bytes kept under key (tern__free), verified. */
tern__cache_answer tern__cache_load(const char *dir, tern__digest key, uint8_t **data, size_t *size);

/* Keeps other threads and processes from building the same program at the same time, which would be as much work each and which not
 * every driver survives (PoCL 3.1 crashes when another process replaces in its own cache what it is about to read). False after half a
 * minute, and where there are no locks: then several build. */
bool tern__cache_lock(const char *dir, tern__digest key, tern__file_lock *lock);

/* Keeps bytes under key, replacing what was there. Silent when it cannot: the cache only ever saves time. */
void tern__cache_save(const char *dir, tern__digest key, const uint8_t *data, size_t size);

#endif
