/* The child that tern tune tries choices in, and the parent's end of it: a line each way for each trial, over a pair of sockets. Kernels that
 * write where they should not, hang or crash do so there; a child whose candidate gave wrong numbers is not trusted with another. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tune.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK "tern-tune " /* lines without it are a driver's chatter */

/* --- The child --- */

static tern_status serve(tern_trial *t, char *line)
{
    char *against = strchr(line, ' '), *time = against ? strchr(against + 1, ' ') : NULL;
    tern_tune_outcome outcome;
    double us, against_us;
    const char *why;
    if (!time)
        return TERN_E_INVALID;
    *against++ = *time++ = '\0';
    tern_status st = tern_trial_run(t, line, strcmp(against, "-") ? against : "", strtod(time, NULL), &outcome, &us, &against_us, &why);
    if (st != TERN_OK)
        printf(MARK "error %s\n", tern_last_error());
    else if (outcome == TERN_TUNE_GOOD)
        printf(MARK "good %.6g %.6g\n", us, against_us);
    else
        printf(MARK "%s %s\n", outcome == TERN_TUNE_WRONG ? "wrong" : "refused", why);
    return fflush(stdout) == 0 ? st : TERN_E_IO;
}

int tune_worker_main(int argc, char **argv)
{
    char line[2 * TERN_TUNE_TEXT + 64];
    tern_device *d = NULL;
    tern_trial *t = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive the command, whatever ends that */
    if (argc != 2)
        return CLI_USAGE;
    const tern_device_params p = {.select = argv[0], .profile = true};
    tern_status st = tern_device_open(&p, &d);
    if (st == TERN_OK)
        st = tern_trial_create(d, argv[1], &t);
    if (st == TERN_OK)
        printf(MARK "ready\n");
    else
        printf(MARK "error %s\n", tern_last_error());
    (void)fflush(stdout);
    while (st == TERN_OK && fgets(line, sizeof line, stdin))
        st = serve(t, line);
    tern_trial_destroy(t);
    tern_device_close(d);
    return st == TERN_OK ? CLI_OK : CLI_FAILED;
}

/* --- The parent --- */

/* How the child ended, in words. */
static void reap(tune_worker *w, char *why, size_t size)
{
    int status = 0;
    pid_t got;
    do
        got = waitpid(w->pid, &status, 0);
    while (got < 0 && errno == EINTR);
    if (got == w->pid && WIFSIGNALED(status))
        snprintf(why, size, "its process was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(why, size, "its process ended with status %d", got == w->pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    close(w->fd);
    w->pid = 0;
    w->n = 0;
}

void tune_worker_stop(tune_worker *w)
{
    char why[128];
    if (!w->pid)
        return;
    (void)kill(w->pid, SIGKILL);
    reap(w, why, sizeof why);
}

static int spawn(tune_worker *w)
{
    int pair[2], code;
    char device[16];
    posix_spawn_file_actions_t files;
    snprintf(device, sizeof device, "%d", w->device);
    char *argv[] = {"tern", "tune", TUNE_WORKER, device, (char *)w->problem, NULL};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return cli_error(CLI_FAILED, "tune: no sockets for a child: %s", strerror(errno));
    code = posix_spawn_file_actions_init(&files);
    if (code == 0) {
        code = posix_spawn_file_actions_adddup2(&files, pair[1], 0);
        code = code ? code : posix_spawn_file_actions_adddup2(&files, pair[1], 1);
        code = code ? code : posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
        code = code ? code : posix_spawn(&w->pid, "/proc/self/exe", &files, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&files);
    }
    close(pair[1]);
    w->fd = pair[0];
    w->n = 0;
    if (code == 0)
        return CLI_OK;
    close(pair[0]);
    w->pid = 0;
    return cli_error(CLI_FAILED, "tune: the child that tries choices cannot be started: %s", strerror(code));
}

typedef enum reading { READ_LINE, READ_END, READ_LATE } reading;

/* The next line of the child's that is meant for us, its mark and end taken off. */
static reading read_line(tune_worker *w, double until, char *line, size_t size)
{
    for (;;) {
        char *end = memchr(w->text, '\n', w->n);
        if (end) {
            const size_t n = (size_t)(end - w->text), mark = strlen(MARK);
            const bool ours = n >= mark && !memcmp(w->text, MARK, mark);
            if (ours)
                snprintf(line, size, "%.*s", (int)(n - mark), w->text + mark);
            w->n -= n + 1;
            memmove(w->text, end + 1, w->n);
            if (ours)
                return READ_LINE;
            continue;
        }
        if (w->n == sizeof w->text)
            w->n = 0; /* no line of ours is so long */
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        const double left = until - cli_seconds();
        if (left <= 0)
            return READ_LATE;
        const int ready = poll(&p, 1, (int)fmin(ceil(left * 1e3), 1e9));
        if (ready <= 0) /* an interrupted call looks at the clock again */
            continue;
        const ssize_t got = read(w->fd, w->text + w->n, sizeof w->text - w->n);
        if (got <= 0)
            return READ_END;
        w->n += (size_t)got;
    }
}

/* A line within the limit; else the child is gone and out says why. */
static bool wait_for(tune_worker *w, char *line, size_t size, tune_answer *out)
{
    switch (read_line(w, cli_seconds() + w->limit_s, line, size)) {
    case READ_LINE:
        return true;
    case READ_LATE:
        tune_worker_stop(w);
        out->outcome = TERN_TUNE_LATE;
        snprintf(out->why, sizeof out->why, "it was still running after %g s", w->limit_s);
        return false;
    case READ_END:
        break;
    }
    (void)kill(w->pid, SIGKILL); /* what closes its end without ending is no use either */
    out->outcome = TERN_TUNE_DIED;
    reap(w, out->why, sizeof out->why);
    return false;
}

static int make_ready(tune_worker *w)
{
    char line[600];
    tune_answer died;
    if (w->pid)
        return CLI_OK;
    int code = spawn(w);
    if (code != CLI_OK)
        return code;
    if (!wait_for(w, line, sizeof line, &died))
        return cli_error(CLI_FAILED, "tune: %.300s: trying it with the cost model's choice failed: %s", w->problem, died.why);
    if (!strcmp(line, "ready"))
        return CLI_OK;
    tune_worker_stop(w);
    return cli_error(CLI_FAILED, "%s", strncmp(line, "error ", 6) ? line : line + 6);
}

static bool send_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        const ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        text += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* "good 12.5 13.1", "wrong sentence" */
static bool read_answer(const char *line, tune_answer *out)
{
    const char *rest = strchr(line, ' ');
    rest = rest ? rest + 1 : "";
    snprintf(out->why, sizeof out->why, "%s", rest);
    if (!strncmp(line, "good ", 5)) {
        out->outcome = TERN_TUNE_GOOD;
        return sscanf(rest, "%lf %lf", &out->us, &out->against_us) == 2 && out->us > 0 && out->against_us > 0;
    }
    out->outcome = strncmp(line, "wrong ", 6) ? TERN_TUNE_REFUSED : TERN_TUNE_WRONG;
    return out->outcome == TERN_TUNE_WRONG || !strncmp(line, "refused ", 8);
}

int tune_try(tune_worker *w, const char *choice, const char *against, double time_ms, tune_answer *out)
{
    char line[600];
    *out = (tune_answer){.us = 0};
    int code = make_ready(w);
    if (code != CLI_OK)
        return code;
    const int n = snprintf(line, sizeof line, "%s %s %.6g\n", choice, *against ? against : "-", time_ms);
    if (!send_all(w->fd, line, (size_t)n)) {
        (void)kill(w->pid, SIGKILL);
        out->outcome = TERN_TUNE_DIED;
        reap(w, out->why, sizeof out->why);
        return CLI_OK;
    }
    if (!wait_for(w, line, sizeof line, out))
        return CLI_OK;
    if (!read_answer(line, out)) {
        tune_worker_stop(w);
        return cli_error(CLI_FAILED, "%s", strncmp(line, "error ", 6) ? line : line + 6);
    }
    if (out->outcome == TERN_TUNE_WRONG)
        tune_worker_stop(w);
    return CLI_OK;
}
