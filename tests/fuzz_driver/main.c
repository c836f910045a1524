/* Runs a fuzz target without libFuzzer: every file of the corpus as it is, cut short, and with bytes changed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
/* A target may have its own way to change what it reads. */
__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static uint64_t state = 0x9E3779B97F4A7C15u;
static uint64_t draw(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? state % below : 0;
}

/* An exact copy on the heap, so that a sanitizer sees a read one byte past the end. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        exit(1);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void mutate(uint8_t *data, size_t size)
{
    static const uint8_t edge[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '-', '9'};
    for (uint64_t n = 1 + draw(4); n > 0 && size > 0; n--) {
        /* Headers are at the front and decide the most: half of the changes go there. */
        size_t at = draw(draw(2) ? size : size < 256 ? size : 256);
        switch (draw(3)) {
        case 0: data[at] ^= (uint8_t)(1u << draw(8)); break;
        case 1: data[at] = edge[draw(sizeof edge)]; break;
        default: data[at] = (uint8_t)draw(256);
        }
    }
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
    if (size < max_size && draw(4) == 0)
        data[size++] = (uint8_t)draw(256);
    mutate(data, size);
    return size;
}

static int explore(const char *path, int rounds, size_t step)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return 1;
    enum { LIMIT = 1 << 20 };
    uint8_t *data = malloc(LIMIT), *work = malloc(LIMIT);
    size_t size = data && work ? fread(data, 1, LIMIT, f) : 0;
    fclose(f);
    if (data && work) {
        feed(data, size);
        for (int i = 0; i < rounds; i++) {
            memcpy(work, data, size);
            if (LLVMFuzzerCustomMutator && draw(2)) {
                feed(work, LLVMFuzzerCustomMutator(work, size, LIMIT, (unsigned)draw(UINT32_MAX)));
                continue;
            }
            mutate(work, size);
            feed(work, draw(4) ? size : draw(size + 1));
        }
        for (size_t cut = 0; cut < size && cut < 256; cut += step)
            feed(data, cut);
    }
    free(data);
    free(work);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    if (!dir) {
        fprintf(stderr, "usage: %s CORPUS_DIR [ROUNDS]\n", argv[0]);
        return 1;
    }
    /* A large corpus has more of what changes would find. */
    int n = 0, failed = 0, files = 0;
    while (readdir(dir))
        files++;
    rewinddir(dir);
    int rounds = argc > 2 ? atoi(argv[2]) : files > 30 ? 60000 / files : 2000;
    const size_t step = 1 + (size_t)files / 100;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        failed += explore(path, rounds, step);
        n++;
    }
    closedir(dir);
    printf("%d files, %d changes each\n", n, rounds);
    return n == 0 || failed;
}
