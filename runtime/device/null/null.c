/* The null back end: memory is the host's, every program builds, a launch does nothing. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/impl.h"
#include "device/null/null.h"

static void destroy(tern_device *d)
{
    (void)d;
}

static tern_status buffer_create(tern_device *d, size_t size, tern__buffer *b)
{
    b->mem = tern__alloc(size);
    if (!b->mem)
        return tern__fail(TERN_E_DEVICE_MEMORY, "device: \"%s\" could not give %s", d->info.name, tern__size_words(size).s);
    return TERN_OK;
}

static tern_status buffer_slice(tern__buffer *parent, size_t offset, size_t size, tern__buffer *b)
{
    (void)size;
    b->mem = (uint8_t *)parent->mem + offset;
    return TERN_OK;
}

static void buffer_destroy(tern_device *d, tern__buffer *b)
{
    (void)d;
    if (!b->parent)
        tern__free(b->mem);
}

static tern_status write(tern__buffer *b, size_t offset, const void *data, size_t size, bool later)
{
    (void)later;
    memcpy((uint8_t *)b->mem + offset, data, size);
    return TERN_OK;
}

static tern_status read(tern__buffer *b, size_t offset, void *data, size_t size, bool later)
{
    (void)later;
    memcpy(data, (uint8_t *)b->mem + offset, size);
    return TERN_OK;
}

static tern_status copy(tern__buffer *src, size_t src_off, tern__buffer *dst, size_t dst_off, size_t size)
{
    memcpy((uint8_t *)dst->mem + dst_off, (uint8_t *)src->mem + src_off, size);
    return TERN_OK;
}

static tern_status fill_zero(tern__buffer *b)
{
    memset(b->mem, 0, b->capacity);
    return TERN_OK;
}

static tern_status map(tern__buffer *b, bool for_write, void **out)
{
    (void)for_write;
    *out = b->mem;
    return TERN_OK;
}

static tern_status unmap(tern__buffer *b, void *p)
{
    (void)b;
    (void)p;
    return TERN_OK;
}

static tern_status program_build(tern_device *d, const char *source, size_t len, const char *options, const uint8_t *binary,
                                 size_t binary_size, tern__program *p)
{
    (void)d, (void)source, (void)len, (void)options, (void)binary, (void)binary_size, (void)p;
    return TERN_OK;
}

static void program_destroy(tern__program *p)
{
    (void)p;
}

static tern_status kernel_create(tern__program *p, const char *name, tern__kernel *k)
{
    (void)p, (void)name;
    k->n_args = -1;
    return TERN_OK;
}

static void kernel_destroy(tern__kernel *k)
{
    (void)k;
}

static tern_status kernel_set_arg(tern__kernel *k, int index, const tern__arg *arg)
{
    (void)k, (void)index, (void)arg;
    return TERN_OK;
}

static tern_status launch(tern__kernel *k, int dims, const size_t global[3], const size_t local[3], void **event)
{
    (void)k, (void)dims, (void)global, (void)local;
    if (event)
        *event = NULL;
    return TERN_OK;
}

static tern_status mark(tern_device *d, void **event)
{
    (void)d;
    *event = NULL;
    return TERN_OK;
}

static tern_status event_wait_times(tern_device *d, void *event, tern__event_times *t)
{
    (void)d, (void)event;
    *t = (tern__event_times){ 0 };
    return TERN_OK;
}

static void event_release(tern_device *d, void *event)
{
    (void)d, (void)event;
}

static tern_status nothing_to_wait_for(tern_device *d)
{
    (void)d;
    return TERN_OK;
}

static const tern__device_ops ops = {
    .destroy = destroy,
    .buffer_create = buffer_create,
    .buffer_slice = buffer_slice,
    .buffer_destroy = buffer_destroy,
    .write = write,
    .read = read,
    .copy = copy,
    .fill_zero = fill_zero,
    .map = map,
    .unmap = unmap,
    .program_build = program_build,
    .program_destroy = program_destroy,
    .kernel_create = kernel_create,
    .kernel_destroy = kernel_destroy,
    .kernel_set_arg = kernel_set_arg,
    .launch = launch,
    .mark = mark,
    .event_wait_times = event_wait_times,
    .event_release = event_release,
    .flush = nothing_to_wait_for,
    .finish = nothing_to_wait_for,
};

/* Round figures of a small CPU or a middling graphics card, so that plans come out as they would there. */
static void pretend(tern_device_info *i, bool gpu)
{
    *i = (tern_device_info){
        .type = TERN_DEVICE_NULL,
        .index = -1,
        .global_mem_bytes = (uint64_t)16 << 30,
        .max_alloc_bytes = (uint64_t)4 << 30,
        .local_mem_bytes = gpu ? 48 << 10 : 512 << 10,
        .cache_bytes = gpu ? 4 << 20 : 32 << 20,
        .compute_units = gpu ? 64 : 2,
        .clock_mhz = gpu ? 1500 : 2500,
        .max_work_group = gpu ? 1024 : 4096,
        .base_align_bytes = 128,
        .native_vector_f32 = gpu ? 1 : 16,
        .unified_memory = true, /* its memory is the host's, whatever it pretends */
        .local_mem_dedicated = gpu,
        .fp64 = true,
        .compiler = true,
    };
    snprintf(i->name, sizeof i->name, "null:%s", gpu ? "gpu" : "cpu");
    snprintf(i->vendor, sizeof i->vendor, "Tern");
    snprintf(i->platform, sizeof i->platform, "null");
    snprintf(i->version, sizeof i->version, "OpenCL 1.2 null");
    snprintf(i->driver, sizeof i->driver, "%s", tern_version());
    snprintf(i->why, sizeof i->why, "chosen: asked for by name; it plans and never computes");
}

tern_status tern__null_open(tern_device *d, const char *select, bool profile)
{
    bool gpu = strcasecmp(select, "null:gpu") == 0;
    if (!gpu && strcasecmp(select, "null:cpu") != 0 && strcasecmp(select, "null") != 0)
        return tern__fail(TERN_E_NO_DEVICE, "device: nothing fits \"%s\"; the null device is \"null\", \"null:cpu\" or \"null:gpu\"", select);
    pretend(&d->info, gpu);
    d->ops = &ops;
    d->profile = profile;
    d->family = gpu ? TERN__FAMILY_SIMT : TERN__FAMILY_CPU;
    return TERN_OK;
}
