/* A progress line on stderr: drawn over itself on a terminal, once every tenth of the way elsewhere. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void progress_begin(cli_progress *p, const char *what, int64_t total)
{
    const char *term = getenv("TERM");
    *p = (cli_progress){.what = what, .total = total > 0 ? total : 1, .start = cli_seconds()};
    p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

static void draw_bar(const cli_progress *p, int64_t done, const char *note, double elapsed)
{
    enum { WIDTH = 24 };
    int full = (int)(done * WIDTH / p->total);
    double left = done > 0 ? elapsed * (double)(p->total - done) / (double)done : 0;
    fprintf(stderr, "\r%s [", p->what);
    for (int i = 0; i < WIDTH; i++)
        fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %3d %%  %s  %.0f s left\033[K", (int)(done * 100 / p->total), note, left);
}

void progress_step(cli_progress *p, int64_t done, const char *fmt, ...)
{
    double now = cli_seconds();
    int tenth = (int)(done * 10 / p->total);
    bool due = p->terminal ? now - p->last >= 0.1 || done >= p->total : tenth > p->shown_tenth;
    if (!due)
        return;
    char note[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(note, sizeof note, fmt, ap);
    va_end(ap);
    if (p->terminal)
        draw_bar(p, done, note, now - p->start);
    else
        fprintf(stderr, "%s %3d %%  %s  (%.1f s)\n", p->what, (int)(done * 100 / p->total), note, now - p->start);
    fflush(stderr);
    p->shown_tenth = tenth;
    p->last = now;
}

void progress_end(cli_progress *p)
{
    if (p->terminal)
        fputs("\r\033[K", stderr);
    fflush(stderr);
}
