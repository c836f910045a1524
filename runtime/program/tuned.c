/* The store of measured choices in SQLite: distrusted when it is opened, waiting for others when it is busy, on disk after every trial. */
#include "program/tuned.h"

#include <stdio.h>
#include <string.h>

#include "tern_config.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/status.h"
#include "base/str.h"

void tern__tuned_fingerprint(const tern_device *d, char out[33])
{
    const tern_device_info *i = &d->info;
    const char *const words[] = {i->name, i->vendor, i->platform, i->version, i->driver};
    const uint64_t numbers[] = {(uint64_t)d->family, (uint64_t)i->type, i->compute_units, i->clock_mhz, i->max_work_group, i->local_mem_bytes, i->cache_bytes,
                                i->native_vector_f32, i->base_align_bytes, i->unified_memory, i->local_mem_dedicated, i->fp16, i->fp64};
    tern__digest key = tern__hash(numbers, sizeof numbers);
    for (int w = 0; w < TERN_COUNT(words); w++)
        key = tern__hash_more(key, words[w], strlen(words[w]) + 1);
    tern__digest_hex(key, out);
}

#if TERN_HAVE_SQLITE

#include <sqlite3.h>

enum {
    APPLICATION = 0x5465726e, /* "Tern" */
    VERSION = 1,
    BUSY_MS = 10000,          /* how long another process may hold the store */
    LONGEST_TEXT = 1 << 16,
};

struct tern__tuned_db {
    sqlite3 *db;
    char *path;
};

static bool store_path(tern__str *path, const char *dir)
{
    tern__str_addf(path, "%s/tuned.sqlite", dir);
    return !path->failed;
}

/* --- Calls --- */

/* Tests make the n-th fail, as they do with files. */
static int run_step(sqlite3_stmt *s)
{
    return tern__fault_hit(TERN__FAULT_FILE) ? SQLITE_IOERR : sqlite3_step(s);
}

static tern_status fail(const tern__tuned_db *t, const char *doing, int code)
{
    if ((code & 0xff) == SQLITE_NOMEM)
        return tern__fail(TERN_E_NOMEM, "tuning store: no host memory to %s %s", doing, t->path);
    const tern_status st = (code & 0xff) == SQLITE_NOTADB || (code & 0xff) == SQLITE_CORRUPT ? TERN_E_CORRUPT : TERN_E_IO;
    return tern__fail(st, "tuning store: cannot %s %s: %s", doing, t->path, sqlite3_errstr(code));
}

static tern_status execute(tern__tuned_db *t, const char *doing, const char *sql)
{
    const int code = tern__fault_hit(TERN__FAULT_FILE) ? SQLITE_IOERR : sqlite3_exec(t->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? TERN_OK : fail(t, doing, code);
}

static tern_status prepare(tern__tuned_db *t, const char *doing, const char *sql, sqlite3_stmt **out)
{
    const int code = tern__fault_hit(TERN__FAULT_FILE) ? SQLITE_IOERR : sqlite3_prepare_v2(t->db, sql, -1, out, NULL);
    return code == SQLITE_OK ? TERN_OK : fail(t, doing, code);
}

static bool bind_texts(sqlite3_stmt *s, int n, const char *const *text)
{
    for (int i = 0; i < n; i++)
        if (sqlite3_bind_text(s, i + 1, text[i] ? text[i] : "", -1, SQLITE_STATIC) != SQLITE_OK)
            return false;
    return true;
}

/* "" for a NULL and where memory ran out. */
static const char *column(sqlite3_stmt *s, int i)
{
    const char *text = (const char *)sqlite3_column_text(s, i);
    return text ? text : "";
}

static tern_status number(tern__tuned_db *t, const char *sql, int64_t *out)
{
    sqlite3_stmt *s = NULL;
    TERN_TRY(prepare(t, "read", sql, &s));
    const int code = run_step(s);
    if (code == SQLITE_ROW)
        *out = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return code == SQLITE_ROW ? TERN_OK : fail(t, "read", code);
}

/* --- Opening --- */

static const char schema[] =
    "CREATE TABLE best (device TEXT NOT NULL, name TEXT NOT NULL, problem TEXT NOT NULL, sources TEXT NOT NULL, choice TEXT NOT NULL,"
    " us REAL NOT NULL, usual_us REAL NOT NULL, date TEXT NOT NULL, PRIMARY KEY (device, problem));"
    "CREATE TABLE trial (id INTEGER PRIMARY KEY, device TEXT NOT NULL, problem TEXT NOT NULL, sources TEXT NOT NULL, choice TEXT NOT NULL,"
    " outcome TEXT NOT NULL, us REAL NOT NULL, usual_us REAL NOT NULL, why TEXT NOT NULL, UNIQUE (device, problem, sources, choice));"
    "PRAGMA application_id = 1415934574;" /* APPLICATION */
    "PRAGMA user_version = 1;";

static tern_status foreign(const tern__tuned_db *t, int64_t application, int64_t version)
{
    if (application == APPLICATION)
        return tern__fail(TERN_E_CORRUPT, "tuning store: %s has version %lld, this is for version %d", t->path, (long long)version, VERSION);
    return tern__fail(TERN_E_CORRUPT, "tuning store: %s is a database, but none of Tern's", t->path);
}

/* *empty: a database in which nobody has put anything. Within one transaction, or another process makes the tables between two of the reads. */
static tern_status look_inside(tern__tuned_db *t, bool *empty)
{
    int64_t application = 0, version = 0, tables = 0;
    TERN_TRY(number(t, "PRAGMA application_id", &application));
    TERN_TRY(number(t, "PRAGMA user_version", &version));
    TERN_TRY(number(t, "SELECT count(*) FROM sqlite_master", &tables));
    *empty = application == 0 && version == 0 && tables == 0;
    return *empty || (application == APPLICATION && version == VERSION) ? TERN_OK : foreign(t, application, version);
}

static tern_status end_transaction(tern__tuned_db *t, const char *doing, tern_status st)
{
    if (st == TERN_OK)
        st = execute(t, doing, "COMMIT");
    if (st != TERN_OK)
        (void)sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

static tern_status is_empty(tern__tuned_db *t, bool *empty)
{
    TERN_TRY(execute(t, "read", "BEGIN"));
    return end_transaction(t, "read", look_inside(t, empty));
}

/* Another process may have made the tables while we waited. */
static tern_status create_tables(tern__tuned_db *t)
{
    bool empty = false;
    TERN_TRY(execute(t, "write", "BEGIN IMMEDIATE"));
    tern_status st = look_inside(t, &empty);
    if (st == TERN_OK && empty)
        st = execute(t, "write", schema);
    return end_transaction(t, "write", st);
}

/* Nothing in the file's schema may run code of its own choosing. */
static void distrust(sqlite3 *db)
{
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LONGEST_TEXT);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    (void)sqlite3_exec(db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", NULL, NULL, NULL);
}

static tern_status open_file(tern__tuned_db *t, bool write, bool *there)
{
    const int flags = SQLITE_OPEN_READWRITE | (write ? SQLITE_OPEN_CREATE : 0); /* readers, too, finish what a killed writer left; SQLite settles for less */
    int code = tern__fault_hit(TERN__FAULT_FILE) ? SQLITE_IOERR : sqlite3_open_v2(t->path, &t->db, flags | SQLITE_OPEN_FULLMUTEX, NULL);
    bool empty = false;
    *there = true;
    if (code == SQLITE_CANTOPEN && !write) {
        size_t size = 0;
        uint8_t *data = NULL;
        *there = tern__file_read(t->path, 1, &data, &size) != TERN_E_NOT_FOUND;
        tern__free(data);
    }
    if (!*there)
        return TERN_OK;
    if (code != SQLITE_OK)
        return fail(t, "open", code);
    distrust(t->db);
    TERN_TRY(is_empty(t, &empty));
    if (empty && write)
        return create_tables(t);
    *there = !empty;
    return TERN_OK;
}

tern_status tern__tuned_open(const char *dir, bool write, tern__tuned_db **out)
{
    tern__str path = {0};
    bool there = false;
    *out = NULL;
    if (!dir[0])
        return write ? tern__fail(TERN_E_IO, "tuning store: no folder is set for it") : TERN_OK;
    if (write)
        TERN_TRY(tern__dir_create(dir, 0700));
    tern__tuned_db *t = tern__alloc(sizeof *t);
    if (!t || !store_path(&path, dir)) {
        tern__free(t);
        tern__str_finish(&path);
        return tern__fail(TERN_E_NOMEM, "tuning store: no host memory to open it in %s", dir);
    }
    t->path = path.s;
    tern_status st = open_file(t, write, &there);
    if (st == TERN_OK && there)
        *out = t;
    else
        tern__tuned_close(t);
    return st;
}

void tern__tuned_close(tern__tuned_db *t)
{
    if (!t)
        return;
    (void)sqlite3_close_v2(t->db);
    tern__free(t->path);
    tern__free(t);
}

/* --- Choices --- */

tern_status tern__tuned_each(tern__tuned_db *t, const char *device, tern_status (*fn)(void *user, const tern__tuned_row *row), void *user)
{
    sqlite3_stmt *s = NULL;
    TERN_TRY(prepare(t, "read", "SELECT device, name, problem, sources, choice, us, usual_us, date FROM best WHERE ?1 = '' OR device = ?1"
                                " ORDER BY name, device, problem", &s));
    int code = bind_texts(s, 1, &device) ? run_step(s) : SQLITE_NOMEM;
    tern_status st = TERN_OK;
    for (; code == SQLITE_ROW && st == TERN_OK; code = st == TERN_OK ? run_step(s) : code) {
        const tern__tuned_row row = {.device = column(s, 0), .name = column(s, 1), .problem = column(s, 2), .sources = column(s, 3), .choice = column(s, 4),
                                     .us = sqlite3_column_double(s, 5), .usual_us = sqlite3_column_double(s, 6), .date = column(s, 7)};
        st = fn(user, &row);
    }
    sqlite3_finalize(s);
    return st != TERN_OK ? st : code == SQLITE_DONE ? TERN_OK : fail(t, "read", code);
}

/* A statement that changes one row. Numbers follow the texts. */
static tern_status change(tern__tuned_db *t, const char *sql, int n_texts, const char *const *text, int n_reals, const double *real)
{
    sqlite3_stmt *s = NULL;
    TERN_TRY(prepare(t, "write", sql, &s));
    bool bound = bind_texts(s, n_texts, text);
    for (int i = 0; i < n_reals; i++)
        bound &= sqlite3_bind_double(s, n_texts + i + 1, real[i]) == SQLITE_OK;
    const int code = bound ? run_step(s) : SQLITE_NOMEM;
    sqlite3_finalize(s);
    return code == SQLITE_DONE ? TERN_OK : fail(t, "write", code);
}

tern_status tern__tuned_put(tern__tuned_db *t, const tern__tuned_row *r)
{
    const char *const text[] = {r->device, r->name, r->problem, r->sources, r->choice};
    const double real[] = {r->us, r->usual_us};
    return change(t, "INSERT OR REPLACE INTO best VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, datetime('now'))", 5, text, 2, real);
}

/* --- Trials --- */

tern_status tern__tuned_trials(tern__tuned_db *t, const tern__tuned_row *of, tern_status (*fn)(void *user, const tern__tuned_trial *t), void *user)
{
    sqlite3_stmt *s = NULL;
    const char *const text[] = {of->device, of->problem, of->sources};
    TERN_TRY(prepare(t, "read", "SELECT choice, outcome, us, usual_us, why FROM trial WHERE device = ?1 AND problem = ?2 AND sources = ?3 ORDER BY id", &s));
    int code = bind_texts(s, 3, text) ? run_step(s) : SQLITE_NOMEM;
    tern_status st = TERN_OK;
    for (; code == SQLITE_ROW && st == TERN_OK; code = st == TERN_OK ? run_step(s) : code) {
        const tern__tuned_trial trial = {.choice = column(s, 0), .outcome = column(s, 1), .us = sqlite3_column_double(s, 2),
                                         .usual_us = sqlite3_column_double(s, 3), .why = column(s, 4)};
        st = fn(user, &trial);
    }
    sqlite3_finalize(s);
    return st != TERN_OK ? st : code == SQLITE_DONE ? TERN_OK : fail(t, "read", code);
}

tern_status tern__tuned_note(tern__tuned_db *t, const tern__tuned_row *of, const tern__tuned_trial *trial)
{
    const char *const text[] = {of->device, of->problem, of->sources, trial->choice, trial->outcome, trial->why};
    const double real[] = {trial->us, trial->usual_us};
    return change(t, "INSERT INTO trial (device, problem, sources, choice, outcome, why, us, usual_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                     " ON CONFLICT (device, problem, sources, choice) DO UPDATE SET outcome = ?5, why = ?6, us = ?7, usual_us = ?8", 6, text, 2, real);
}

/* --- Emptying --- */

static tern_status count_and_empty(tern__tuned_db *t, int64_t *n)
{
    TERN_TRY(execute(t, "empty", "BEGIN IMMEDIATE"));
    tern_status st = number(t, "SELECT count(*) FROM best", n);
    if (st == TERN_OK)
        st = execute(t, "empty", "DELETE FROM best; DELETE FROM trial");
    return end_transaction(t, "empty", st);
}

/* A file that is no database cannot be another program's either: its name and folder are ours. */
static tern_status remove_damaged(const char *dir)
{
    tern__str path = {0};
    tern_status st = store_path(&path, dir) ? tern__file_remove(tern__str_text(&path)) : tern__fail(TERN_E_NOMEM, "tuning store: no host memory for its path");
    tern__str_finish(&path);
    return st;
}

/* Tells a damaged file from a database of someone else's, which a plain reader gets into. */
static bool is_foreign(const char *dir)
{
    tern__str path = {0};
    tern__tuned_db t = {.db = NULL};
    int64_t application = 0;
    bool readable = false;
    if (store_path(&path, dir) && sqlite3_open_v2(tern__str_text(&path), &t.db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
        t.path = path.s;
        readable = number(&t, "PRAGMA application_id", &application) == TERN_OK && number(&t, "SELECT count(*) FROM sqlite_master", &(int64_t){0}) == TERN_OK;
    }
    (void)sqlite3_close_v2(t.db);
    tern__str_finish(&path);
    return readable && application != APPLICATION;
}

tern_status tern__tuned_clear(const char *dir, int64_t *n)
{
    tern__tuned_db *t = NULL;
    *n = 0;
    tern_status st = tern__tuned_open(dir, false, &t);
    const bool there = t != NULL;
    tern__tuned_close(t);
    if (st == TERN_OK && !there)
        return TERN_OK;
    if (st == TERN_OK)
        st = tern__tuned_open(dir, true, &t);
    if (st == TERN_OK) {
        st = count_and_empty(t, n);
        tern__tuned_close(t);
    }
    if (st != TERN_E_CORRUPT || is_foreign(dir))
        return st;
    return remove_damaged(dir);
}

#else

static tern_status without(void)
{
    return tern__fail(TERN_E_UNSUPPORTED, "tuning store: this build of Tern has no SQLite, without which nothing that is measured can be kept");
}

/* Readers do without: there cannot be anything that was measured. */
tern_status tern__tuned_open(const char *dir, bool write, tern__tuned_db **out)
{
    (void)dir;
    *out = NULL;
    return write ? without() : TERN_OK;
}

void tern__tuned_close(tern__tuned_db *db)
{
    (void)db;
}

tern_status tern__tuned_each(tern__tuned_db *db, const char *device, tern_status (*fn)(void *user, const tern__tuned_row *row), void *user)
{
    (void)db, (void)device, (void)fn, (void)user;
    return without();
}

tern_status tern__tuned_put(tern__tuned_db *db, const tern__tuned_row *row)
{
    (void)db, (void)row;
    return without();
}

tern_status tern__tuned_trials(tern__tuned_db *db, const tern__tuned_row *of, tern_status (*fn)(void *user, const tern__tuned_trial *t), void *user)
{
    (void)db, (void)of, (void)fn, (void)user;
    return without();
}

tern_status tern__tuned_note(tern__tuned_db *db, const tern__tuned_row *of, const tern__tuned_trial *t)
{
    (void)db, (void)of, (void)t;
    return without();
}

tern_status tern__tuned_clear(const char *dir, int64_t *n)
{
    (void)dir;
    *n = 0;
    return without();
}

#endif
