/* The line protocol of a measured program: "CASE SIZE REPEATS" in, seconds per repeat out; the driver takes turns between programs. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Small numbers of both signs, the same in every program. */
static inline void bench_fill(float *x, size_t n, uint32_t seed, float scale)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = scale * ((float)(seed >> 8) / 8388608.0f - 1.0f);
    }
}

static inline void *bench_alloc(size_t size)
{
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!p) {
        fprintf(stderr, "out of memory: %zu bytes\n", size);
        exit(1);
    }
    return p;
}

/* The convolution case is a chain of this many layers, 3x3, bias and ReLU, as many channels out as in; its size is 1000 channels + the image's extent. */
enum { BENCH_LAYERS = 8, BENCH_CHANNEL = 1000 };

/* What a program implements: prepares case and size once (false: not one of its cases), then runs it repeats times and waits. */
typedef struct bench_program {
    bool (*prepare)(const char *name, int size);
    void (*run)(int repeats);
} bench_program;

/* Answers the driver until it closes the pipe. A case is prepared and warmed up when it is first, or newly, asked for. */
static inline int bench_serve(const bench_program *p)
{
    char line[128], name[64], current[64] = "";
    int size, repeats, current_size = -1;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%63s %d %d", name, &size, &repeats) != 3)
            return 1;
        if (strcmp(name, current) || size != current_size) {
            if (!p->prepare(name, size)) {
                printf("none\n");
                fflush(stdout);
                continue;
            }
            snprintf(current, sizeof current, "%s", name);
            current_size = size;
            p->run(2);
        }
        p->run(1); /* wakes the threads up */
        double start = bench_now();
        p->run(repeats);
        printf("%.9f\n", (bench_now() - start) / repeats);
        fflush(stdout);
    }
    return 0;
}

#endif
