/* What the two halves of tern tune share: the command, and the process that tries choices for it. */
#ifndef TERN_CLI_TUNE_H
#define TERN_CLI_TUNE_H

#include <sys/types.h>
#include <tern/tune.h>

#include "cli.h"

/* A child of the command: this program again, with a device of its own and one problem. */
typedef struct tune_worker {
    const char *problem;
    int device;           /* index */
    double limit_s;       /* how long it may take to get ready, or to try something */
    pid_t pid;            /* 0: none runs */
    int fd;
    char text[1024];      /* read, and not yet a line */
    size_t n;
} tune_worker;

/* What came of a trial. */
typedef struct tune_answer {
    tern_tune_outcome outcome;
    double us, against_us;
    char why[512];
} tune_answer;

/* Tries a choice in turns with another, in a child that is started if none runs, and ended where it can no longer be trusted. CLI_OK or the exit code,
 * message printed: the child cannot be started, or cannot even run what the cost model takes. */
int tune_try(tune_worker *w, const char *choice, const char *against, double time_ms, tune_answer *out);
void tune_worker_stop(tune_worker *w);
/* The child's main: its arguments are the device's index and the problem. */
int tune_worker_main(int argc, char **argv);
#define TUNE_WORKER "--try-choices" /* as the first argument of tern tune */

#endif
