/* Every system call on files that the library makes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tern_config.h"
#if TERN_HAVE_ZLIB
#include <zlib.h>
#endif

#include "base/alloc.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/status.h"

/* True with errno set where a test wants this call to fail. Clean-up (close after an error, unlink of a
 * temporary name) does not ask: nothing could be done about its failure. */
static bool injected(int error)
{
    if (!tern__fault_hit(TERN__FAULT_FILE))
        return false;
    errno = error;
    return true;
}

/* errno as a sentence about path. */
static tern_status fail_errno(const char *doing, const char *path)
{
    int e = errno;
    tern_status st = e == ENOENT || e == ENOTDIR ? TERN_E_NOT_FOUND : e == ENOMEM ? TERN_E_NOMEM : TERN_E_IO;
    return tern__fail(st, "%s %s: %s", doing, path, strerror(e));
}

/* O_NONBLOCK so that a pipe without a writer cannot hang us before we see what it is. */
enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* Closes f unless it is a regular file. only_name: one that has no other names. */
static tern_status check_regular(int f, const char *path, bool only_name, size_t *size)
{
    struct stat sb;
    tern_status st = TERN_OK;
    if (injected(EIO) || fstat(f, &sb) != 0)
        st = fail_errno("cannot look at", path);
    else if (!S_ISREG(sb.st_mode))
        st = tern__fail(TERN_E_IO, "%s is not a regular file", path);
    else if (only_name && sb.st_nlink > 1)
        st = tern__fail(TERN_E_IO, "%s has %llu names (hard links) and may belong elsewhere", path, (unsigned long long)sb.st_nlink);
    else if ((uint64_t)sb.st_size > SIZE_MAX - 1)
        st = tern__fail(TERN_E_UNSUPPORTED, "%s has %lld bytes, too many for this machine", path, (long long)sb.st_size);
    if (st != TERN_OK)
        close(f);
    else
        *size = (size_t)sb.st_size;
    return st;
}

static tern_status open_regular(const char *path, int *fd, size_t *size)
{
    *fd = injected(EIO) ? -1 : open(path, OPEN_FLAGS);
    return *fd < 0 ? fail_errno("cannot open", path) : check_regular(*fd, path, false, size);
}

/* Reads up to size bytes; a file that shrank gives fewer. */
static tern_status read_all(int fd, const char *path, uint8_t *data, size_t size, size_t *got)
{
    size_t n = 0;
    while (n < size) {
        ssize_t r = injected(EIO) ? -1 : read(fd, data + n, TERN_MIN(size - n, (size_t)1 << 30));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return fail_errno("cannot read", path);
        if (r == 0)
            break;
        n += (size_t)r;
    }
    *got = n;
    return TERN_OK;
}

tern_status tern__file_read(const char *path, size_t limit, uint8_t **data, size_t *size)
{
    int fd = -1;
    size_t n = 0;
    TERN_TRY(open_regular(path, &fd, &n));
    if (limit && n > limit) {
        close(fd);
        return tern__fail(TERN_E_UNSUPPORTED, "%s has %zu bytes; at most %zu are read", path, n, limit);
    }
    uint8_t *bytes = tern__alloc(n + 1);
    tern_status st = bytes ? read_all(fd, path, bytes, n, &n) : tern__fail(TERN_E_NOMEM, "%s: no memory for its %zu bytes", path, n);
    close(fd);
    if (st != TERN_OK) {
        tern__free(bytes);
        return st;
    }
    bytes[n] = 0;
    *data = bytes;
    *size = n;
    return TERN_OK;
}

/* Closes fd. */
static tern_status map_open_file(int fd, const char *path, size_t size, tern__file_map *out)
{
    static const uint8_t none[1];
    *out = (tern__file_map){.data = none};
    if (size > 0) {
        void *p = injected(ENOMEM) ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            tern_status st = fail_errno("cannot map", path);
            close(fd);
            return st;
        }
        *out = (tern__file_map){.data = p, .size = size, .mapped = true};
    }
    close(fd);
    return TERN_OK;
}

tern_status tern__file_map_open(const char *path, tern__file_map *out)
{
    int fd = -1;
    size_t size = 0;
    TERN_TRY(open_regular(path, &fd, &size));
    return map_open_file(fd, path, size, out);
}

/* The next part of a path, copied to part; its length, 0 at the end, -1 where the path may not be followed. */
static int next_part(const char **path, char *part, size_t room)
{
    const char *p = *path;
    size_t n = strcspn(p, "/");
    *path = p + n + (p[n] == '/');
    if (n >= room || (n == 2 && p[0] == '.' && p[1] == '.') || (n == 0 && p[0] == '/'))
        return -1;
    memcpy(part, p, n);
    part[n] = 0;
    return (int)n;
}

/* Opens part after part, each without following a link, so that nothing can be exchanged between a check and its use. */
static tern_status open_beneath(const char *folder, const char *path, int *fd)
{
    int at = injected(EIO) ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return fail_errno("cannot open", folder);
    const char *rest = path;
    char part[256];
    tern_status st = *path ? TERN_OK : tern__fail(TERN_E_IO, "an empty path");
    while (st == TERN_OK && *rest) {
        int n = next_part(&rest, part, sizeof part);
        if (n < 0)
            st = tern__fail(TERN_E_IO, "\"%.200s\" is not a path below the file that names it", path);
        if (st != TERN_OK || n == 0)
            continue;
        int next = injected(EIO) ? -1 : openat(at, part, OPEN_FLAGS | O_NOFOLLOW | (*rest ? O_DIRECTORY : 0));
        if (next < 0)
            st = errno == ELOOP || (errno == ENOTDIR && *rest) ? tern__fail(TERN_E_IO, "\"%.200s\": %s is a link or no folder", path, part)
                                                               : fail_errno("cannot open", path);
        close(at);
        at = next;
        if (st != TERN_OK)
            return st;
    }
    if (st != TERN_OK)
        close(at);
    *fd = at;
    return st;
}

tern_status tern__file_map_beneath(const char *folder, const char *path, tern__file_map *out)
{
    int fd = -1;
    size_t size = 0;
    TERN_TRY(open_beneath(folder, path, &fd));
    TERN_TRY(check_regular(fd, path, true, &size));
    return map_open_file(fd, path, size, out);
}

void tern__file_map_forget(const tern__file_map *m, const void *data, size_t size)
{
    long page = m->mapped ? sysconf(_SC_PAGESIZE) : 0;
    if (page <= 0)
        return;
    uintptr_t from = ((uintptr_t)data + (uintptr_t)page - 1) / (uintptr_t)page * (uintptr_t)page;
    uintptr_t to = ((uintptr_t)data + size) / (uintptr_t)page * (uintptr_t)page;
    if (from < to) /* only advice: what it cannot do costs memory, nothing else */
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

void tern__file_map_close(tern__file_map *m)
{
    if (m->mapped)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (tern__file_map){0};
}

#if TERN_HAVE_ZLIB
static voidpf zlib_alloc(voidpf user, uInt n, uInt size)
{
    (void)user;
    return tern__alloc_array(n, size);
}

static void zlib_free(voidpf user, voidpf p)
{
    (void)user;
    tern__free(p);
}

typedef struct unpacked {
    uint8_t *data;
    size_t len, cap, limit;
} unpacked;

/* One byte more than the limit is allowed, so that going over it shows. */
static bool unpacked_grow(unpacked *u)
{
    size_t most = u->limit && u->limit < SIZE_MAX / 2 ? u->limit + 1 : SIZE_MAX / 2;
    size_t cap = u->cap > most / 2 ? most : TERN_MAX(2 * u->cap, (size_t)4096);
    uint8_t *grown = cap > u->cap ? tern__realloc_array(u->data, cap + 1, 1) : NULL;
    if (!grown)
        return false;
    u->data = grown;
    u->cap = cap;
    return true;
}

/* The size that the last member states, taken as a hint and held below what deflate can reach (1032:1). */
static size_t unpacked_hint(const uint8_t *in, size_t size, size_t limit)
{
    const uint8_t *t = in + size - 4;
    size_t hint = (size_t)t[0] | (size_t)t[1] << 8 | (size_t)t[2] << 16 | (size_t)t[3] << 24;
    hint = TERN_MIN(hint, size * 1032);
    return limit ? TERN_MIN(hint, limit) : hint;
}

static tern_status inflate_all(z_stream *z, const char *path, const uint8_t *in, size_t size, unpacked *u)
{
    const uint8_t *end = in + size;
    z->next_in = (Bytef *)(uintptr_t)in;
    for (;;) {
        if (u->len == u->cap && !unpacked_grow(u))
            return tern__fail(TERN_E_NOMEM, "%s: no memory for more than %zu unpacked bytes", path, u->len);
        z->avail_in = (uInt)TERN_MIN((size_t)(end - z->next_in), (size_t)1 << 30);
        z->next_out = u->data + u->len;
        z->avail_out = (uInt)TERN_MIN(u->cap - u->len, (size_t)1 << 30);
        int r = inflate(z, Z_NO_FLUSH);
        u->len = (size_t)(z->next_out - u->data);
        if (u->limit && u->len > u->limit)
            return tern__fail(TERN_E_UNSUPPORTED, "%s unpacks to more than the %zu bytes that are read", path, u->limit);
        if (r == Z_STREAM_END) {
            if (z->next_in == end)
                return TERN_OK;
            r = inflateReset(z); /* another member follows */
        }
        if (r == Z_MEM_ERROR)
            return tern__fail(TERN_E_NOMEM, "%s: no memory to unpack it", path);
        if (r == Z_BUF_ERROR && z->avail_out == 0)
            continue;
        if (r != Z_OK)
            return tern__fail(TERN_E_CORRUPT, "%s: damaged gzip data near byte %zu of %zu (%s)", path, (size_t)(z->next_in - in), size,
                              z->next_in == end ? "it ends too early" : z->msg ? z->msg : "not a gzip stream");
    }
}

static tern_status gunzip(const char *path, size_t limit, const uint8_t *in, size_t size, uint8_t **data, size_t *out_size)
{
    z_stream z = {.zalloc = zlib_alloc, .zfree = zlib_free};
    unpacked u = {.limit = limit};
    if (size < 18)
        return tern__fail(TERN_E_CORRUPT, "%s: %zu bytes are too few for gzip", path, size);
    u.cap = unpacked_hint(in, size, limit) + 1;
    u.data = tern__alloc(u.cap + 1);
    if (!u.data)
        return tern__fail(TERN_E_NOMEM, "%s: no memory for %zu unpacked bytes", path, u.cap);
    tern_status st = TERN_OK;
    if (inflateInit2(&z, 15 + 16) != Z_OK) {
        st = tern__fail(TERN_E_NOMEM, "%s: no memory to unpack it", path);
    } else {
        st = inflate_all(&z, path, in, size, &u);
        inflateEnd(&z);
    }
    if (st != TERN_OK) {
        tern__free(u.data);
        return st;
    }
    u.data[u.len] = 0;
    *data = u.data;
    *out_size = u.len;
    return TERN_OK;
}
#endif

tern_status tern__file_read_gz(const char *path, size_t limit, uint8_t **data, size_t *size)
{
    uint8_t *in = NULL;
    size_t n = 0;
    /* Incompressible data grows a little when packed: 5 bytes in 16 KiB, and the header. */
    size_t packed_limit = limit && limit < SIZE_MAX / 2 ? limit + limit / 1024 + 65536 : 0;
    TERN_TRY(tern__file_read(path, packed_limit, &in, &n));
    if (n < 2 || in[0] != 0x1f || in[1] != 0x8b) {
        if (limit && n > limit) {
            tern__free(in);
            return tern__fail(TERN_E_UNSUPPORTED, "%s has %zu bytes; at most %zu are read", path, n, limit);
        }
        *data = in;
        *size = n;
        return TERN_OK;
    }
#if TERN_HAVE_ZLIB
    tern_status st = gunzip(path, limit, in, n, data, size);
#else
    tern_status st = tern__fail(TERN_E_UNSUPPORTED, "%s is packed with gzip, and this build of Tern has no zlib", path);
#endif
    tern__free(in);
    return st;
}

/* Renaming over a device, a pipe or a directory is never meant. */
static tern_status check_target(const char *path)
{
    struct stat sb;
    if (injected(EIO))
        return fail_errno("cannot look at", path);
    if (stat(path, &sb) != 0)
        return errno == ENOENT ? TERN_OK : fail_errno("cannot write", path);
    return S_ISREG(sb.st_mode) ? TERN_OK : tern__fail(TERN_E_IO, "cannot write %s: it is not a regular file", path);
}

static tern_status open_temp(tern__file_writer *w, unsigned mode)
{
    static atomic_uint serial;
    size_t room = strlen(w->path) + 48;
    w->temp = tern__alloc(room);
    if (!w->temp)
        return tern__fail(TERN_E_NOMEM, "cannot write %s: no memory", w->path);
    for (int tries = 0; tries < 100; tries++) {
        snprintf(w->temp, room, "%s.%ld-%u.tmp", w->path, (long)getpid(), atomic_fetch_add(&serial, 1));
        w->fd = injected(EACCES) ? -1 : open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
        if (w->fd >= 0)
            return TERN_OK;
        if (errno != EEXIST) /* a name left by a process that died: take the next */
            break;
    }
    tern_status st = fail_errno("cannot write", w->path);
    tern__free(w->temp);
    w->temp = NULL;
    return st;
}

tern_status tern__file_writer_open(tern__file_writer *w, const char *path, unsigned mode)
{
    *w = (tern__file_writer){.fd = -1};
    w->st = check_target(path);
    if (w->st == TERN_OK) {
        w->path = tern__strdup(path);
        w->st = w->path ? open_temp(w, mode) : tern__fail(TERN_E_NOMEM, "cannot write %s: no memory", path);
    }
    if (w->st != TERN_OK)
        tern__file_writer_abandon(w);
    return w->st;
}

void tern__file_writer_put(tern__file_writer *w, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (w->st == TERN_OK && size) {
        ssize_t n = injected(ENOSPC) ? -1 : write(w->fd, p, TERN_MIN(size, (size_t)1 << 30));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            w->st = fail_errno("cannot write", w->path);
            return;
        }
        p += n;
        size -= (size_t)n;
    }
}

/* So that the new name survives a power cut too; not every file system allows it, and the file itself is safe. */
static void sync_parent(char *path)
{
    char *slash = strrchr(path, '/');
    char *dir = slash == path ? "/" : slash ? path : ".";
    if (slash && slash != path)
        *slash = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!fsync(fd);
        close(fd);
    }
}

tern_status tern__file_writer_close(tern__file_writer *w)
{
    if (w->st == TERN_OK && (injected(EIO) || fsync(w->fd) != 0))
        w->st = fail_errno("cannot write", w->path);
    if (w->st == TERN_OK) {
        bool refused = injected(EIO);
        int r = close(w->fd);
        w->fd = -1;
        if (refused || r != 0)
            w->st = fail_errno("cannot write", w->path);
    }
    if (w->st == TERN_OK && (injected(EIO) || rename(w->temp, w->path) != 0))
        w->st = fail_errno("cannot replace", w->path);
    if (w->st == TERN_OK) {
        tern__free(w->temp);
        w->temp = NULL;
        sync_parent(w->path);
    }
    tern_status st = w->st;
    tern__file_writer_abandon(w);
    return st;
}

void tern__file_writer_abandon(tern__file_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    if (w->temp)
        unlink(w->temp);
    tern__free(w->temp);
    tern__free(w->path);
    w->temp = w->path = NULL;
    w->fd = -1;
    if (w->st == TERN_OK)
        w->st = TERN_E_INVALID; /* closed: nothing more goes in */
}

enum lock_answer { LOCK_MINE, LOCK_ANOTHERS, LOCK_NONE };

/* Of a lock that has been taken: mine if its file still has the name, which the last holder may have removed meanwhile. */
static enum lock_answer whose(int fd, const char *path)
{
    struct stat held, named = { 0 };
    if (injected(EIO) || fstat(fd, &held) != 0 || (stat(path, &named) != 0 && errno != ENOENT))
        return LOCK_NONE;
    return held.st_ino == named.st_ino && held.st_dev == named.st_dev ? LOCK_MINE : LOCK_ANOTHERS;
}

static enum lock_answer try_lock(const char *path, int *fd)
{
    *fd = injected(EACCES) ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return LOCK_NONE;
    enum lock_answer answer = LOCK_NONE;
    if (!injected(ENOLCK) && flock(*fd, LOCK_EX | LOCK_NB) == 0)
        answer = whose(*fd, path);
    else if (errno == EWOULDBLOCK || errno == EINTR)
        answer = LOCK_ANOTHERS;
    if (answer == LOCK_NONE)
        unlink(path); /* nobody's, where there are no locks */
    if (answer != LOCK_MINE)
        close(*fd);
    return answer;
}

bool tern__file_lock_take(tern__file_lock *l, const char *path, double wait_s)
{
    static const struct timespec pause = { .tv_nsec = 2000000 };
    *l = (tern__file_lock){ .fd = -1, .path = tern__strdup(path) };
    enum lock_answer answer = l->path ? try_lock(path, &l->fd) : LOCK_NONE;
    for (double waited = 0; answer == LOCK_ANOTHERS && waited < wait_s; waited += (double)pause.tv_nsec * 1e-9) {
        nanosleep(&pause, NULL);
        answer = try_lock(path, &l->fd);
    }
    if (answer != LOCK_MINE) {
        tern__free(l->path);
        *l = (tern__file_lock){ .fd = -1 };
    }
    return answer == LOCK_MINE;
}

void tern__file_lock_drop(tern__file_lock *l)
{
    unlink(l->path); /* first: who waits sees that what they lock has no name any more */
    close(l->fd);
    tern__free(l->path);
    *l = (tern__file_lock){ .fd = -1 };
}

tern_status tern__file_remove(const char *path)
{
    if (injected(EIO) || (unlink(path) != 0 && errno != ENOENT))
        return fail_errno("cannot remove", path);
    return TERN_OK;
}

static tern_status create_one(const char *path, unsigned mode)
{
    struct stat sb;
    if (!injected(EACCES)) {
        if (mkdir(path, (mode_t)mode) == 0)
            return TERN_OK;
        int e = errno;
        if (stat(path, &sb) == 0 && S_ISDIR(sb.st_mode)) /* also where a parent is read-only or not ours */
            return TERN_OK;
        errno = e;
    }
    int e = errno;
    tern_status st = fail_errno("cannot create directory", path);
    return e == ENOENT || e == ENOTDIR ? TERN_E_IO : st;
}

tern_status tern__dir_create(const char *path, unsigned mode)
{
    char *work = tern__strdup(path);
    if (!work)
        return tern__fail(TERN_E_NOMEM, "cannot create directory %s: no memory", path);
    tern_status st = TERN_OK;
    for (char *c = work + (*work == '/'); *c && st == TERN_OK; c++) {
        if (*c != '/' || c[-1] == '/')
            continue;
        *c = 0;
        st = create_one(work, mode);
        *c = '/';
    }
    if (st == TERN_OK)
        st = create_one(work, mode);
    tern__free(work);
    return st;
}

/* Entries of one kind (a file type of stat); links are none. */
static tern_status each_entry(const char *dir, mode_t kind, void (*fn)(void *user, const char *name, int64_t size_bytes), void *user)
{
    DIR *d = injected(EIO) ? NULL : opendir(dir);
    if (!d)
        return errno == ENOENT ? TERN_OK : fail_errno("cannot list", dir);
    tern_status st = TERN_OK;
    for (;;) {
        errno = 0;
        struct dirent *e = injected(EIO) ? NULL : readdir(d);
        if (!e) {
            st = errno ? fail_errno("cannot list", dir) : TERN_OK;
            break;
        }
        struct stat sb;
        /* An entry may vanish between the two calls when another process cleans up. */
        if (fstatat(dirfd(d), e->d_name, &sb, AT_SYMLINK_NOFOLLOW) == 0 && (sb.st_mode & S_IFMT) == kind)
            fn(user, e->d_name, (int64_t)sb.st_size);
    }
    closedir(d);
    return st;
}

tern_status tern__dir_each(const char *dir, void (*fn)(void *user, const char *name, int64_t size_bytes), void *user)
{
    return each_entry(dir, S_IFREG, fn, user);
}

tern_status tern__dir_each_folder(const char *dir, void (*fn)(void *user, const char *name, int64_t size_bytes), void *user)
{
    return each_entry(dir, S_IFDIR, fn, user);
}
