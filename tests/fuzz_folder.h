/* A folder for models that name files: some that may be read, and every kind that must not. */
#ifndef TERN_TESTS_FUZZ_FOLDER_H
#define TERN_TESTS_FUZZ_FOLDER_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What all files outside the folder hold, and none inside. */
enum { FUZZ_INSIDE = 1, FUZZ_OUTSIDE = 0x5c, FUZZ_FILE_BYTES = 8192 };

static char fuzz_top[32], fuzz_path[64];

static inline const char *fuzz_at(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", fuzz_top, name);
    return path;
}

static inline void fuzz_fill(const char *name, int byte, size_t size)
{
    char bytes[FUZZ_FILE_BYTES];
    memset(bytes, byte, sizeof bytes);
    int fd = open(fuzz_at(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd))
        abort();
}

static inline void fuzz_sweep(void)
{
    static const char *const files[] = {"m/a.bin", "m/none.bin", "m/sub/b.bin", "m/soft.bin", "m/hard.bin", "m/dir", "m/pipe", "m/model.onnx", "o/out.bin", "out.bin"};
    static const char *const folders[] = {"m/sub", "m", "o", ""};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        (void)!unlink(fuzz_at(files[i]));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        (void)!rmdir(fuzz_at(folders[i]));
}

/* The model's folder; made once, and removed when the program ends in order. */
static inline const char *fuzz_folder(void)
{
    if (*fuzz_path)
        return fuzz_path;
    /* In memory where that can be had: a model is written for every execution. */
    snprintf(fuzz_top, sizeof fuzz_top, "%s/tern-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(fuzz_top) || mkdir(fuzz_at("m"), 0700) || mkdir(fuzz_at("m/sub"), 0700) || mkdir(fuzz_at("o"), 0700))
        abort();
    snprintf(fuzz_path, sizeof fuzz_path, "%s/m", fuzz_top);
    fuzz_fill("m/a.bin", FUZZ_INSIDE, FUZZ_FILE_BYTES);
    fuzz_fill("m/none.bin", FUZZ_INSIDE, 0);
    fuzz_fill("m/sub/b.bin", FUZZ_INSIDE, 64);
    fuzz_fill("out.bin", FUZZ_OUTSIDE, FUZZ_FILE_BYTES);
    fuzz_fill("o/out.bin", FUZZ_OUTSIDE, FUZZ_FILE_BYTES);
    char target[64];
    snprintf(target, sizeof target, "%s/out.bin", fuzz_top);
    if (symlink("../out.bin", fuzz_at("m/soft.bin")) || symlink("../o", fuzz_at("m/dir")) || link(target, fuzz_at("m/hard.bin")) ||
        mkfifo(fuzz_at("m/pipe"), 0600))
        abort();
    atexit(fuzz_sweep);
    return fuzz_path;
}

#endif
