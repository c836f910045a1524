/* Errors, exit codes, the clock and the few words that every subcommand uses. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/resource.h>
#endif
#include <time.h>
#include <unistd.h>

int cli_error(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fflush(stdout);
    fputs("tern: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

int cli_misuse(const char *command, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fflush(stdout);
    fprintf(stderr, "tern: %s: ", command);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "; see tern %s --help\n", command);
    va_end(ap);
    return CLI_USAGE;
}

void cli_note(const char *sentence)
{
    if (sentence)
        fprintf(stderr, "tern: note: %s\n", sentence);
}

int cli_fail(tern_status st, const char *prefix)
{
    const char *sentence = tern_last_error();
    if (!*sentence)
        sentence = tern_status_name(st);
    return cli_error(st == TERN_E_NO_DEVICE ? CLI_NO_DEVICE : CLI_FAILED, "%s%s%s", prefix ? prefix : "", prefix ? ": " : "", sentence);
}

double cli_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *cli_bytes(double n, char buf[24])
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    int u = 0;
    while (n >= 999.5 && u < 6) {
        n /= 1000;
        u++;
    }
    snprintf(buf, 24, u && n < 99.95 ? "%.1f %s" : "%.0f %s", n, unit[u]);
    return buf;
}

const char *cli_shape(const tern_shape *s, char buf[160])
{
    size_t n = 0;
    buf[n++] = '[';
    for (int i = 0; i < s->rank && n < 136; i++)
        n += (size_t)snprintf(buf + n, 160 - n, s->dim[i] < 0 ? "%s?" : "%s%lld", i ? "," : "", (long long)s->dim[i]);
    buf[n++] = ']';
    buf[n] = 0;
    return buf;
}

const char *cli_type(tern_dtype t, const tern_shape *s, char buf[176])
{
    char shape[160];
    snprintf(buf, 176, "%s%s", tern_dtype_name(t), cli_shape(s, shape));
    return buf;
}

int cli_compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void *cli_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        cli_error(CLI_FAILED, "out of memory: %zu times %zu bytes", n, size);
    return p;
}

bool cli_can_write(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    if (errno == ENOENT && (fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) >= 0) {
        close(fd);
        unlink(path);
        return true;
    }
    cli_error(CLI_FAILED, "cannot write %s: %s", path, strerror(errno));
    return false;
}

#ifdef __linux__
/* The number after a name in one of the kernel's lists of them; -1: not there. */
static double listed_kib(const char *path, const char *name)
{
    char line[256];
    double kib = -1;
    FILE *f = fopen(path, "r");
    while (f && kib < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtod(line + strlen(name), NULL);
    if (f)
        fclose(f);
    return kib;
}

/* A CPU's buffers are the process's own memory, which the kernel promises beyond what there is: whoever then uses it is killed. With this limit it
 * is refused when it is asked for, and the refusal ends in a sentence. A process that has more already (sanitizers do) is left alone. */
static void limit_memory(void)
{
    const double free_kib = listed_kib("/proc/meminfo", "MemAvailable:"), swap_kib = listed_kib("/proc/meminfo", "SwapFree:");
    const double used_kib = listed_kib("/proc/self/status", "VmData:"), most = free_kib + (swap_kib > 0 ? swap_kib : 0);
    struct rlimit r;
    if (free_kib <= 0 || used_kib < 0 || used_kib > most || getrlimit(RLIMIT_DATA, &r) != 0)
        return;
    const rlim_t bytes = (rlim_t)((used_kib + most) * 1024);
    if (r.rlim_cur != RLIM_INFINITY && r.rlim_cur <= bytes)
        return;
    r.rlim_cur = bytes;
    (void)setrlimit(RLIMIT_DATA, &r); /* what it does not take stays as it was */
}
#else
static void limit_memory(void) {}
#endif

int cli_open_device(const cli *c, const char *device, unsigned needs, tern_device **out)
{
    tern_device_params p = {.select = device ? device : c->device, .profile = needs & CLI_PROFILE};
    tern_device *d = NULL;
    tern_status st = tern_device_open(&p, &d);
    if (st != TERN_OK)
        return cli_fail(st, NULL);
    tern_device_info info;
    tern_device_get_info(d, &info);
    if ((needs & CLI_COMPUTES) && info.type == TERN_DEVICE_NULL) {
        tern_device_close(d);
        return cli_error(CLI_NO_DEVICE, "the null device plans but computes nothing; choose another (see tern devices)");
    }
    if (info.type == TERN_DEVICE_CPU)
        limit_memory();
    *out = d;
    return CLI_OK;
}
