/* Building programs through the cache, one or many at a time, and making kernels of them. */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/impl.h"
#include "program/cache.h"
#include "program/program.h"

/* What keeping a program may cost beside building it. */
#define KEEPING_S 0.3

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Tries the cache's entry. One that the driver turns down (another build of it under the same version) is as bad as a damaged one. */
static tern__cache_answer build_from_cache(tern_device *d, const char *options, tern__program *p)
{
    uint8_t *data = NULL;
    size_t size = 0;
    tern__cache_answer answer = tern__cache_load(d->cache_dir, p->key, &data, &size);
    if (answer == TERN__CACHE_HIT && size == 0)
        answer = TERN__CACHE_EMPTY;
    if (answer == TERN__CACHE_HIT && d->ops->program_build(d, NULL, 0, options, data, size, p) != TERN_OK)
        answer = TERN__CACHE_BAD;
    tern__free(data);
    return answer;
}

/* Sources up to this size are kept without asking what it costs. */
#define SMALL_SOURCE_BYTES 32768

/* Seconds that asking for the binary of a program of one small kernel takes. Some drivers compile for the machine when a kernel is
 * first launched, and all kernels once more when the binary is asked for (PoCL: 15 s for the 34 kernels of a training step, on a busy
 * machine). Such drivers have a cache of their own for what launches compile. */
static double query_seconds(tern_device *d)
{
    tern__program p = { .device = d };
    tern__str source = { 0 };
    uint8_t *data = NULL;
    size_t size = 0;
    double took = 0;
    /* Code that no cache has seen: a comment would not do, caches look at preprocessed source. */
    tern__str_addf(&source, "kernel void probe_%.0f(global float *p) { p[get_global_id(0)] += 1.0f; }\n", seconds() * 1e9);
    if (!source.failed && d->ops->program_build(d, source.s, source.len, "", NULL, 0, &p) == TERN_OK) {
        double start = seconds();
        (void)d->ops->program_binary(&p, &data, &size);
        took = seconds() - start;
        tern__free(data);
        d->ops->program_destroy(&p);
    }
    tern__str_finish(&source);
    return took;
}

/* Stores the program's binary, or, where getting it would take long, the fact that there is none. */
static void keep_binary(tern_device *d, tern__program *p, size_t source_bytes)
{
    uint8_t *data = NULL;
    size_t size = 0;
    bool dear = source_bytes > SMALL_SOURCE_BYTES && query_seconds(d) * ((double)source_bytes / 8192) > KEEPING_S;
    if (!dear && d->ops->program_binary(p, &data, &size) != TERN_OK)
        return;
    tern__cache_save(d->cache_dir, p->key, data ? data : (const uint8_t *)"", size);
    tern__free(data);
}

/* Builds from source what the cache did not have, unless another had just built it when the lock came free. */
static tern_status build_and_keep(tern_device *d, const char *source, size_t len, const char *options, tern__cache_answer *answer, tern__program *p)
{
    tern__file_lock lock;
    bool locked = *answer != TERN__CACHE_EMPTY && tern__cache_lock(d->cache_dir, p->key, &lock);
    if (locked && *answer == TERN__CACHE_NONE)
        *answer = build_from_cache(d, options, p);
    tern_status st = TERN_OK;
    if (*answer != TERN__CACHE_HIT)
        st = d->ops->program_build(d, source, len, options, NULL, 0, p);
    if (st == TERN_OK && *answer != TERN__CACHE_HIT && *answer != TERN__CACHE_EMPTY)
        keep_binary(d, p, len);
    if (locked)
        tern__file_lock_drop(&lock);
    return st;
}

static tern_status build_into(tern_device *d, const char *source, size_t len, const char *options, bool *cached, tern__program *p)
{
    if (!d->ops->program_binary || !d->cache_dir[0])
        return d->ops->program_build(d, source, len, options, NULL, 0, p);
    p->key = tern__cache_key(d, source, len, options);
    tern__cache_answer answer = build_from_cache(d, options, p);
    tern_status st = answer == TERN__CACHE_HIT ? TERN_OK : build_and_keep(d, source, len, options, &answer, p);
    *cached = answer == TERN__CACHE_HIT;
    return st;
}

tern_status tern__program_build(tern_device *d, const char *source, size_t len, const char *options, bool *cached, tern__program **out)
{
    if (!d->info.compiler)
        return tern__fail(TERN_E_UNSUPPORTED, "program: \"%s\" has no kernel compiler", d->info.name);
    tern__program *p = tern__alloc(sizeof *p);
    if (!p)
        return tern__fail(TERN_E_NOMEM, "program: no host memory for %zu bytes", sizeof *p);
    bool from_cache = false;
    p->device = d;
    tern_status st = build_into(d, source, len, options ? options : "", &from_cache, p);
    if (st != TERN_OK) {
        tern__free(p);
        return st;
    }
    p->refs = 1;
    tern__device_retain(d);
    if (cached)
        *cached = from_cache;
    *out = p;
    return TERN_OK;
}

tern__program *tern__program_retain(tern__program *p)
{
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

void tern__program_release(tern__program *p)
{
    if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    tern_device *d = p->device;
    d->ops->program_destroy(p);
    tern__free(p);
    tern__device_release(d);
}


/* Programs being built by several threads; each takes the next one that nobody has begun. */
typedef struct builders {
    tern_device *device;
    const tern__str *sources;
    const char *options;
    int n, next; /* next is atomic */
    tern__program **out;
    bool *cached;
    pthread_mutex_t lock;
    tern_status st;   /* first failure and its sentence, under the lock: a thread's last error dies with it */
    char sentence[1024];
} builders;

static void *build_some(void *user)
{
    builders *b = user;
    int i;
    while ((i = __atomic_fetch_add(&b->next, 1, __ATOMIC_RELAXED)) < b->n) {
        const tern__str *s = &b->sources[i];
        tern_status st = tern__program_build(b->device, tern__str_text(s), s->len, b->options, &b->cached[i], &b->out[i]);
        if (st == TERN_OK)
            continue;
        pthread_mutex_lock(&b->lock);
        if (b->st == TERN_OK) {
            b->st = st;
            strncpy(b->sentence, tern_last_error(), sizeof b->sentence - 1);
        }
        pthread_mutex_unlock(&b->lock);
        __atomic_store_n(&b->next, b->n, __ATOMIC_RELAXED); /* the others need not begin more */
    }
    return NULL;
}

#define MAX_THREADS 16

static void run_builders(builders *b)
{
    pthread_t threads[MAX_THREADS];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int want = (int)TERN_MIN(TERN_MAX(cores, 1), (long)TERN_MIN(b->n, MAX_THREADS)) - 1, started = 0;
    while (started < want && pthread_create(&threads[started], NULL, build_some, b) == 0)
        started++;
    build_some(b); /* this thread works too, alone if no other could be made */
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

tern_status tern__program_build_many(tern_device *d, int n, const tern__str *sources, const char *options, int *n_cached, tern__program **out)
{
    builders b = { .device = d, .sources = sources, .options = options, .n = n };
    b.out = tern__alloc_array((size_t)n, sizeof *b.out);
    b.cached = tern__alloc_array((size_t)n, sizeof *b.cached);
    if (!b.out || !b.cached || pthread_mutex_init(&b.lock, NULL) != 0) {
        tern__free(b.out);
        tern__free(b.cached);
        return tern__fail(TERN_E_NOMEM, "program: no host memory to build %d programs", n);
    }
    run_builders(&b);
    pthread_mutex_destroy(&b.lock);
    int hits = 0;
    for (int i = 0; i < n; i++) {
        hits += b.cached[i];
        if (b.st == TERN_OK)
            out[i] = b.out[i];
        else
            tern__program_release(b.out[i]);
    }
    tern__free(b.out);
    tern__free(b.cached);
    if (b.st != TERN_OK)
        return tern__fail(b.st, "%s", b.sentence);
    if (n_cached)
        *n_cached = hits;
    return TERN_OK;
}

tern_status tern__kernel_create(tern__program *p, const char *name, tern__kernel **out)
{
    tern__kernel *k = tern__alloc(sizeof *k);
    if (!k)
        return tern__fail(TERN_E_NOMEM, "kernel %s: no host memory for %zu bytes", name, sizeof *k);
    tern_status st = TERN_OK;
    k->program = tern__program_retain(p);
    k->device = p->device;
    k->name = tern__strdup(name);
    if (!k->name)
        st = tern__fail(TERN_E_NOMEM, "kernel %s: no host memory for its name", name);
    bool made = false;
    if (st == TERN_OK) {
        st = p->device->ops->kernel_create(p, name, k);
        made = st == TERN_OK;
    }
    if (made && k->n_args > 0 && !(k->args = tern__alloc_array((size_t)k->n_args, sizeof *k->args)))
        st = tern__fail(TERN_E_NOMEM, "kernel %s: no host memory for %d arguments", name, k->n_args);
    if (st != TERN_OK) {
        if (made)
            p->device->ops->kernel_destroy(k);
        tern__free(k->name);
        tern__free(k);
        tern__program_release(p);
        return st;
    }
    *out = k;
    return TERN_OK;
}

void tern__kernel_release(tern__kernel *k)
{
    if (!k)
        return;
    tern__program *p = k->program;
    k->device->ops->kernel_destroy(k);
    tern__free(k->args);
    tern__free(k->name);
    tern__free(k);
    tern__program_release(p);
}
