/* The on-disk cache: one file per program, written under a temporary name, distrusted when read.
 *
 *   offset  bytes
 *        0      8  "TERNPROG"
 *        8      4  format version, little-endian like all numbers here
 *       12      4  zero
 *       16     16  key: digest of source, options, device, driver and version
 *       32      8  payload size
 *       40     16  digest of the payload
 *       56         payload: the driver's binary
 */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "base/str.h"
#include "device/impl.h"
#include "program/cache.h"

#define MAGIC "TERNPROG"
#define VERSION 1
#define HEADER_BYTES 56
#define MAX_ENTRY_BYTES ((size_t)256 << 20)
#define SUFFIX ".tpc"
#define LOCK_WAIT_S 30

static void put_le(uint8_t *at, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(x >> (8 * i));
}

static void make_header(uint8_t h[HEADER_BYTES], tern__digest key, const uint8_t *data, size_t size)
{
    tern__digest sum = tern__hash(data, size);
    memset(h, 0, HEADER_BYTES);
    memcpy(h, MAGIC, 8);
    put_le(h + 8, VERSION, 4);
    put_le(h + 16, key.lo, 8);
    put_le(h + 24, key.hi, 8);
    put_le(h + 32, size, 8);
    put_le(h + 40, sum.lo, 8);
    put_le(h + 48, sum.hi, 8);
}

tern__digest tern__cache_key(const tern_device *d, const char *source, size_t len, const char *options)
{
    const tern_device_info *i = &d->info;
    const char *const words[] = { options ? options : "", i->name, i->vendor, i->platform, i->version, i->driver };
    tern__digest key = tern__hash(source, len);
    uint8_t version[4];
    put_le(version, VERSION, 4);
    key = tern__hash_more(key, version, sizeof version);
    for (int w = 0; w < TERN_COUNT(words); w++)
        key = tern__hash_more(key, words[w], strlen(words[w]) + 1); /* the NUL keeps neighbours apart */
    return key;
}

static bool entry_path(tern__str *path, const char *dir, tern__digest key, const char *after)
{
    char hex[33];
    tern__digest_hex(key, hex);
    tern__str_addf(path, "%s/%s" SUFFIX "%s", dir, hex, after);
    return !path->failed;
}

/* What was read is an entry exactly if it begins with the header that its own payload and our key give. */
static bool is_sound(const uint8_t *file, size_t size, tern__digest key)
{
    uint8_t want[HEADER_BYTES];
    if (size < HEADER_BYTES)
        return false;
    make_header(want, key, file + HEADER_BYTES, size - HEADER_BYTES);
    return memcmp(file, want, HEADER_BYTES) == 0;
}

tern__cache_answer tern__cache_load(const char *dir, tern__digest key, uint8_t **data, size_t *size)
{
    tern__str path = { 0 };
    uint8_t *file = NULL;
    size_t n = 0;
    tern_status st = TERN_E_NOT_FOUND;
    if (dir[0] && entry_path(&path, dir, key, ""))
        st = tern__file_read(tern__str_text(&path), MAX_ENTRY_BYTES, &file, &n);
    tern__str_finish(&path);
    if (st != TERN_OK)
        return st == TERN_E_NOT_FOUND || st == TERN_E_NOMEM ? TERN__CACHE_NONE : TERN__CACHE_BAD;
    if (!is_sound(file, n, key)) {
        tern__free(file);
        return TERN__CACHE_BAD;
    }
    memmove(file, file + HEADER_BYTES, n - HEADER_BYTES);
    *data = file;
    *size = n - HEADER_BYTES;
    return TERN__CACHE_HIT;
}

bool tern__cache_lock(const char *dir, tern__digest key, tern__file_lock *lock)
{
    tern__str path = { 0 };
    bool held = tern__dir_create(dir, 0700) == TERN_OK && entry_path(&path, dir, key, ".lock") &&
                tern__file_lock_take(lock, tern__str_text(&path), LOCK_WAIT_S);
    tern__str_finish(&path);
    return held;
}

void tern__cache_save(const char *dir, tern__digest key, const uint8_t *data, size_t size)
{
    tern__str path = { 0 };
    tern__file_writer w;
    uint8_t header[HEADER_BYTES];
    if (dir[0] && size <= MAX_ENTRY_BYTES - HEADER_BYTES && tern__dir_create(dir, 0700) == TERN_OK &&
        entry_path(&path, dir, key, "") && tern__file_writer_open(&w, tern__str_text(&path), 0600) == TERN_OK) {
        make_header(header, key, data, size);
        tern__file_writer_put(&w, header, sizeof header);
        tern__file_writer_put(&w, data, size);
        (void)!tern__file_writer_close(&w); /* on failure the temporary file is gone and the old entry, if any, stays */
    }
    tern__str_finish(&path);
}

/* Files that are entries, or locks or entries being written that a process left when it died: nothing else in the folder is ours. */
static bool is_entry_name(const char *name)
{
    size_t hex = strspn(name, "0123456789abcdef");
    return hex == 32 && strncmp(name + hex, SUFFIX, strlen(SUFFIX)) == 0;
}

static void count_entry(void *user, const char *name, int64_t size_bytes)
{
    tern_cache_info *info = user;
    if (is_entry_name(name)) {
        info->n_entries++;
        info->size_bytes += size_bytes;
    }
}

tern_status tern_cache_get_info(const char *cache_dir, tern_cache_info *out)
{
    if (!out)
        return tern__fail(TERN_E_INVALID, "cache: nowhere to put what is known of it");
    tern_cache_info info = { 0 };
    char *dir = tern__cache_dir(cache_dir);
    if (!dir)
        return tern__fail(TERN_E_NOMEM, "cache: no host memory for its path");
    tern_status st = TERN_OK;
    if (strlen(dir) >= sizeof info.dir)
        st = tern__fail(TERN_E_INVALID, "cache: its path has %zu characters, at most %zu fit", strlen(dir), sizeof info.dir - 1);
    else
        memcpy(info.dir, dir, strlen(dir) + 1);
    if (st == TERN_OK && dir[0])
        st = tern__dir_each(dir, count_entry, &info);
    tern__free(dir);
    if (st == TERN_OK)
        *out = info;
    return st;
}

typedef struct clearing {
    const char *dir;
    int64_t n;
    tern_status st;
} clearing;

static void remove_entry(void *user, const char *name, int64_t size_bytes)
{
    clearing *c = user;
    (void)size_bytes;
    if (!is_entry_name(name) || c->st != TERN_OK)
        return;
    tern__str path = { 0 };
    tern__str_addf(&path, "%s/%s", c->dir, name);
    c->st = path.failed ? tern__fail(TERN_E_NOMEM, "cache: no host memory for a path beneath %s", c->dir) : tern__file_remove(tern__str_text(&path));
    c->n += c->st == TERN_OK;
    tern__str_finish(&path);
}

tern_status tern_cache_clear(const char *cache_dir, int64_t *n_removed)
{
    char *dir = tern__cache_dir(cache_dir);
    if (!dir)
        return tern__fail(TERN_E_NOMEM, "cache: no host memory for its path");
    clearing c = { .dir = dir };
    tern_status st = dir[0] ? tern__dir_each(dir, remove_entry, &c) : TERN_OK;
    if (st == TERN_OK)
        st = c.st;
    tern__free(dir);
    if (st == TERN_OK && n_removed)
        *n_removed = c.n;
    return st;
}
