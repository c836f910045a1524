/* Files: whole reads with a limit, whole writes through a temporary name, directories, gzip. */
#ifndef TERN_BASE_FILE_H
#define TERN_BASE_FILE_H

#include <tern/base.h>

/* Reads a regular file of at most limit bytes (0: no limit) into *data (tern__free) and *size; a NUL follows the data.
 * TERN_E_NOT_FOUND, TERN_E_IO (directories, devices, refusals), TERN_E_UNSUPPORTED if larger, TERN_E_NOMEM. */
tern_status tern__file_read(const char *path, size_t limit, uint8_t **data, size_t *size);

/* The same, unpacking gzip by its magic bytes; limit bounds the unpacked size. TERN_E_CORRUPT for damaged gzip.
 * Without zlib a gzip file is TERN_E_UNSUPPORTED. */
tern_status tern__file_read_gz(const char *path, size_t limit, uint8_t **data, size_t *size);

/* A regular file's bytes in memory, read when they are touched. Who cuts the file short meanwhile takes the bytes away. */
typedef struct tern__file_map {
    const uint8_t *data; /* never NULL */
    size_t size;
    bool mapped;         /* false for an empty file, of which there is nothing to map */
} tern__file_map;
/* TERN_E_NOT_FOUND, TERN_E_IO, TERN_E_NOMEM as tern__file_read. */
tern_status tern__file_map_open(const char *path, tern__file_map *out);
/* The same for a path that an untrusted file names: relative, below folder, without "..", through no symbolic link, and no hard link
 * to a file that has other names. TERN_E_IO says which of these it breaks. */
tern_status tern__file_map_beneath(const char *folder, const char *path, tern__file_map *out);
/* The pages that lie wholly within these bytes leave memory until they are touched again. */
void tern__file_map_forget(const tern__file_map *m, const void *data, size_t size);
void tern__file_map_close(tern__file_map *m); /* zeroed is fine */

/* A file being written under a temporary name in the target's directory. */
typedef struct tern__file_writer {
    int fd;
    char *path, *temp;
    tern_status st; /* first failure; later writes do nothing */
} tern__file_writer;
tern_status tern__file_writer_open(tern__file_writer *w, const char *path, unsigned mode);
void tern__file_writer_put(tern__file_writer *w, const void *data, size_t size);
/* Syncs and renames, or removes the temporary file if anything failed. */
tern_status tern__file_writer_close(tern__file_writer *w);
/* Removes the temporary file. */
void tern__file_writer_abandon(tern__file_writer *w);

/* A lock that one holder has at a time among threads and processes. It is a file while it is held; one left by a process that died
 * is free. Advice between those who ask, and no more. */
typedef struct tern__file_lock {
    int fd;
    char *path;
} tern__file_lock;
/* Waits about wait_s seconds at most. False, with nothing to drop: others held it all that time, or the file system has no locks. */
bool tern__file_lock_take(tern__file_lock *l, const char *path, double wait_s);
void tern__file_lock_drop(tern__file_lock *l);

/* Removes a file; one that is not there is fine. */
tern_status tern__file_remove(const char *path);
/* Creates a directory and its parents. */
tern_status tern__dir_create(const char *path, unsigned mode);
/* Calls fn for each regular file directly in dir; missing directory: no calls, TERN_OK. */
tern_status tern__dir_each(const char *dir, void (*fn)(void *user, const char *name, int64_t size_bytes), void *user);
/* The same for folders; "." and ".." are among them, size_bytes means nothing. */
tern_status tern__dir_each_folder(const char *dir, void (*fn)(void *user, const char *name, int64_t size_bytes), void *user);

#endif
