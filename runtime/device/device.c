/* Opening, sharing and closing devices: picks the back end, fills in what parameters leave open. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "device/impl.h"
#include "device/null/null.h"
#include "device/opencl/opencl.h"

/* 50 us: a thread's waking takes 10 to 30 us, and several times that where other work has the cores. */
#define WORKER_CYCLES 200e3

tern__size_text tern__size_words(uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    tern__size_text t;
    if (bytes < 10240) {
        snprintf(t.s, sizeof t.s, "%llu bytes", (unsigned long long)bytes);
        return t;
    }
    double x = (double)bytes / 1024;
    int u = 0;
    for (; x >= 1024 && u + 1 < TERN_COUNT(units); u++)
        x /= 1024;
    snprintf(t.s, sizeof t.s, "%.1f %s", x, units[u]);
    return t;
}

char *tern__cache_dir(const char *asked)
{
    const char *base = NULL, *tail = "";
    if (asked) {
        base = asked;
    } else if ((base = getenv("TERN_CACHE_DIR"))) {
    } else if ((base = getenv("XDG_CACHE_HOME")) && base[0] == '/') {
        tail = "/tern";
    } else if ((base = getenv("HOME")) && base[0] == '/') {
        tail = "/.cache/tern";
    } else {
        base = "";
    }
    size_t n = strlen(base), m = strlen(tail);
    char *s = tern__alloc(n + m + 1);
    if (s) {
        memcpy(s, base, n);
        memcpy(s + n, tail, m);
    }
    return s;
}

tern_device *tern__device_new(void)
{
    tern_device *d = tern__alloc(sizeof *d);
    if (d) {
        d->refs = 1;
        d->worker_cycles = WORKER_CYCLES;
    }
    return d;
}

/* One item per work-group with explicit vectors pays where a work-group runs on one core: CPUs, and other
 * processors with vector registers in the host's memory that do not call themselves GPUs. */
static tern__family natural_family(const tern_device_info *i)
{
    bool vectors = i->native_vector_f32 > 1 && i->unified_memory;
    return i->type == TERN_DEVICE_CPU || (i->type != TERN_DEVICE_GPU && vectors) ? TERN__FAMILY_CPU : TERN__FAMILY_SIMT;
}

tern_status tern__device_adopt(tern_device *d, const tern_device_params *params)
{
    const char *family = params ? params->family : NULL;
    if (!family || !family[0])
        d->family = natural_family(&d->info);
    else if (strcmp(family, "cpu") == 0)
        d->family = TERN__FAMILY_CPU;
    else if (strcmp(family, "simt") == 0)
        d->family = TERN__FAMILY_SIMT;
    else
        return tern__fail(TERN_E_INVALID, "device: kernel family \"%s\" is neither \"cpu\" nor \"simt\"", family);
    d->cache_dir = tern__cache_dir(params ? params->cache_dir : NULL);
    d->pool = tern__pool_create();
    if (!d->cache_dir || !d->pool)
        return tern__fail(TERN_E_NOMEM, "device: no host memory to open \"%s\"", d->info.name);
    return TERN_OK;
}

static bool is_null_select(const char *s)
{
    return tolower((unsigned char)s[0]) == 'n' && tolower((unsigned char)s[1]) == 'u' && tolower((unsigned char)s[2]) == 'l' &&
           tolower((unsigned char)s[3]) == 'l' && (s[4] == '\0' || s[4] == ':');
}

static tern_status open_opencl(const char *select, bool profile, tern_device *d)
{
    tern__cl_list list;
    TERN_TRY(tern__cl_enumerate(&list));
    int i = 0;
    tern__device_explain(list.infos, list.n);
    tern_status st = tern__device_choose(select, list.infos, list.n, &i);
    if (st == TERN_OK) {
        d->info = list.infos[i];
        st = tern__cl_open(d, list.devices[i], profile);
    }
    tern__cl_list_finish(&list);
    return st;
}

tern_status tern_device_open(const tern_device_params *params, tern_device **out)
{
    if (!out)
        return tern__fail(TERN_E_INVALID, "device: nowhere to put the opened device");
    const char *select = params && params->select && params->select[0] ? params->select : getenv("TERN_DEVICE");
    if (!select)
        select = "";
    bool profile = params && params->profile;
    tern_device *d = tern__device_new();
    if (!d)
        return tern__fail(TERN_E_NOMEM, "device: no host memory for %zu bytes", sizeof *d);
    tern_status st = is_null_select(select) ? tern__null_open(d, select, profile) : open_opencl(select, profile, d);
    if (st == TERN_OK)
        st = tern__device_adopt(d, params);
    if (st != TERN_OK) {
        tern__device_release(d);
        return st;
    }
    *out = d;
    return TERN_OK;
}

tern_device *tern__device_retain(tern_device *d)
{
    __atomic_add_fetch(&d->refs, 1, __ATOMIC_RELAXED);
    return d;
}

void tern__device_release(tern_device *d)
{
    if (!d || __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    tern__pool_destroy(d);
    if (d->ops)
        d->ops->destroy(d);
    if (d->tuned_free)
        d->tuned_free(d->tuned);
    tern__free(d->cache_dir);
    tern__free(d);
}

void tern_device_close(tern_device *d)
{
    tern__device_release(d);
}

void tern_device_get_info(const tern_device *d, tern_device_info *out)
{
    *out = d->info;
}

tern_status tern__device_finish(tern_device *d)
{
    return d->ops->finish(d);
}
