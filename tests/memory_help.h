/* What the process holds in memory, for tests that bound it. */
#ifndef TERN_TESTS_MEMORY_HELP_H
#define TERN_TESTS_MEMORY_HELP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The most memory held since this was last asked for, in KiB, mapped pages included; then counting starts anew. -1: the system does not say. */
static inline long peak_kib(void)
{
    long kib = -1;
    char line[200];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    f = fopen("/proc/self/clear_refs", "w");
    bool reset = f && fputs("5", f) >= 0;
    if (f && fclose(f) != 0)
        reset = false;
    return reset ? kib : -1;
}

#endif
