/* Device memory: checks ranges, counts references, and keeps idle buffers for the next request. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/impl.h"

/* Idle memory beyond this share of the device goes back to the driver at once. */
#define POOL_SHARE 4

struct tern__pool {
    pthread_mutex_t lock;
    tern__buffer *idle; /* newest first */
    size_t idle_bytes;
    bool once; /* TERN_POOL=0: no memory is used twice, not even a driver's handle for it, for tools that remember what was written where */
};

tern__pool *tern__pool_create(void)
{
    tern__pool *p = tern__alloc(sizeof *p);
    const char *wish = getenv("TERN_POOL");
    if (p)
        p->once = wish && strcmp(wish, "0") == 0;
    if (p && pthread_mutex_init(&p->lock, NULL) != 0) {
        tern__free(p);
        p = NULL;
    }
    return p;
}

static uint64_t next_id(void)
{
    static uint64_t id;
    return __atomic_add_fetch(&id, 1, __ATOMIC_RELAXED);
}

static void destroy_memory(tern_device *d, tern__buffer *b)
{
    if (b->mem)
        d->ops->buffer_destroy(d, b);
    tern__free(b);
}

size_t tern__pool_drain(tern_device *d)
{
    tern__pool *p = d->pool;
    pthread_mutex_lock(&p->lock);
    tern__buffer *b = p->idle;
    size_t freed = p->idle_bytes;
    p->idle = NULL;
    p->idle_bytes = 0;
    pthread_mutex_unlock(&p->lock);
    while (b) {
        tern__buffer *next = b->next;
        destroy_memory(d, b);
        b = next;
    }
    return freed;
}

void tern__pool_destroy(tern_device *d)
{
    if (!d->pool)
        return;
    tern__pool_drain(d);
    pthread_mutex_destroy(&d->pool->lock);
    tern__free(d->pool);
    d->pool = NULL;
}

/* The smallest idle buffer that holds size without wasting more than a quarter. */
static tern__buffer *pool_take(tern_device *d, size_t size)
{
    tern__pool *p = d->pool;
    pthread_mutex_lock(&p->lock);
    tern__buffer **best = NULL;
    for (tern__buffer **at = &p->idle; *at && !p->once; at = &(*at)->next) {
        size_t c = (*at)->capacity;
        if (c >= size && c - size <= size / 4 && (!best || c < (*best)->capacity))
            best = at;
    }
    tern__buffer *b = best ? *best : NULL;
    if (b) {
        *best = b->next;
        b->next = NULL;
        p->idle_bytes -= b->capacity;
    }
    pthread_mutex_unlock(&p->lock);
    return b;
}

/* false: the pool is full. */
static bool pool_give(tern_device *d, tern__buffer *b)
{
    tern__pool *p = d->pool;
    pthread_mutex_lock(&p->lock);
    const uint64_t most = p->once ? UINT64_MAX : d->info.global_mem_bytes / POOL_SHARE;
    bool room = b->capacity <= most && p->idle_bytes <= most - b->capacity;
    if (room) {
        b->next = p->idle;
        p->idle = b;
        p->idle_bytes += b->capacity;
    }
    pthread_mutex_unlock(&p->lock);
    return room;
}

static bool round_up(size_t x, size_t to, size_t *out)
{
    size_t sum;
    if (!tern__add_size(x, to - 1, &sum))
        return false;
    *out = sum / to * to;
    return true;
}

/* Base alignment, and at least 256 bytes; both are powers of two. */
static size_t grain(const tern_device *d)
{
    return TERN_MAX((size_t)d->info.base_align_bytes, 256);
}

static tern_status fail_too_large(const tern_device *d, size_t size)
{
    return tern__fail(TERN_E_DEVICE_MEMORY, "device: %s asked for, this device allows %s in one allocation", tern__size_words(size).s,
                      tern__size_words(d->info.max_alloc_bytes).s);
}

static tern_status new_buffer(tern_device *d, size_t size, size_t capacity, tern__buffer **out)
{
    tern__buffer *b = tern__alloc(sizeof *b);
    if (!b)
        return tern__fail(TERN_E_NOMEM, "device: no host memory for a buffer's %zu bytes of bookkeeping", sizeof *b);
    b->size = size;
    b->capacity = capacity;
    b->id = next_id();
    b->refs = 1;
    b->device = tern__device_retain(d);
    *out = b;
    return TERN_OK;
}

static tern_status create(tern_device *d, size_t size, bool exact, tern__buffer **out)
{
    size_t capacity = size ? size : 1;
    if (!exact && !round_up(capacity, grain(d), &capacity))
        return fail_too_large(d, size);
    if (size > d->info.max_alloc_bytes)
        return fail_too_large(d, size);
    capacity = (size_t)TERN_MIN((uint64_t)capacity, d->info.max_alloc_bytes);
    tern__buffer *b = exact ? NULL : pool_take(d, capacity);
    if (b) {
        b->size = size;
        b->refs = 1;
        b->device = tern__device_retain(d);
        *out = b;
        return TERN_OK;
    }
    TERN_TRY(new_buffer(d, size, capacity, &b));
    tern_status st = d->ops->buffer_create(d, capacity, b);
    if (st == TERN_E_DEVICE_MEMORY && tern__pool_drain(d) > 0)
        st = d->ops->buffer_create(d, capacity, b);
    b->pooled = !exact || d->pool->once;
    if (st != TERN_OK) {
        b->pooled = false;
        tern__buffer_release(b);
        return st;
    }
    *out = b;
    return TERN_OK;
}

tern_status tern__buffer_create(tern_device *d, size_t size, tern__buffer **out)
{
    return create(d, size, false, out);
}

tern_status tern__buffer_create_exact(tern_device *d, size_t size, tern__buffer **out)
{
    return create(d, size, true, out);
}

tern_status tern__buffer_wrap(tern_device *d, const void *data, size_t size, tern__buffer **out)
{
    if (size > d->info.max_alloc_bytes)
        return fail_too_large(d, size);
    if (size > 0 && d->ops->buffer_wrap) {
        TERN_TRY(new_buffer(d, size, size, out));
        if (d->ops->buffer_wrap(d, data, size, *out) == TERN_OK) {
            (*out)->pooled = d->pool->once; /* the driver forgets the host's memory when the device closes, and never looks at it before */
            return TERN_OK;
        }
        tern__buffer_release(*out);
    }
    TERN_TRY(tern__buffer_create_exact(d, size, out));
    tern_status st = size ? tern__buffer_write(*out, 0, data, size) : TERN_OK;
    if (st != TERN_OK)
        tern__buffer_release(*out);
    return st;
}

tern_status tern__buffer_adopt(tern_device *d, void *mem, size_t size, tern__buffer **out)
{
    TERN_TRY(new_buffer(d, size, size, out));
    (*out)->mem = mem;
    return TERN_OK;
}

tern_status tern__buffer_slice(tern__buffer *parent, size_t offset, size_t size, tern__buffer **out)
{
    if (offset > parent->size || size > parent->size - offset)
        return tern__fail(TERN_E_INVALID, "device: a slice of %zu bytes at %zu of a buffer of %zu", size, offset, parent->size);
    tern_device *d = parent->device;
    if (d->info.base_align_bytes && offset % d->info.base_align_bytes)
        return tern__fail(TERN_E_INVALID, "device: a slice at byte %zu, which is no multiple of this device's alignment of %u", offset,
                          d->info.base_align_bytes);
    tern__buffer *root = tern__buffer_root(parent);
    offset += parent->offset;
    size_t capacity, room = root->capacity - offset;
    if (!round_up(size ? size : 1, grain(d), &capacity) || capacity > room)
        capacity = room;
    if (capacity == 0)
        return tern__fail(TERN_E_INVALID, "device: a slice of %zu bytes at the very end of a buffer of %zu", size, root->capacity);
    tern__buffer *b = NULL;
    TERN_TRY(new_buffer(d, size, capacity, &b));
    b->parent = tern__buffer_retain(root);
    b->offset = offset;
    tern_status st = d->ops->buffer_slice(root, offset, capacity, b);
    if (st != TERN_OK) {
        tern__buffer_release(b);
        return st;
    }
    *out = b;
    return TERN_OK;
}

tern__buffer *tern__buffer_retain(tern__buffer *b)
{
    __atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
    return b;
}

void tern__buffer_release(tern__buffer *b)
{
    if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    tern_device *d = b->device;
    tern__buffer *parent = b->parent;
    b->device = NULL;
    if (!b->pooled || !pool_give(d, b))
        destroy_memory(d, b);
    tern__buffer_release(parent);
    tern__device_release(d);
}

size_t tern__buffer_size(const tern__buffer *b)
{
    return b->size;
}

tern_device *tern__buffer_device(const tern__buffer *b)
{
    return b->device;
}

static tern_status check_range(const tern__buffer *b, size_t offset, size_t size, const char *verb)
{
    if (offset > b->size || size > b->size - offset)
        return tern__fail(TERN_E_INVALID, "device: %s %zu bytes at %zu of a buffer of %zu", verb, size, offset, b->size);
    return TERN_OK;
}

tern_status tern__buffer_write(tern__buffer *b, size_t offset, const void *data, size_t size)
{
    TERN_TRY(check_range(b, offset, size, "writing"));
    return size ? b->device->ops->write(b, offset, data, size, false) : TERN_OK;
}

tern_status tern__buffer_write_later(tern__buffer *b, size_t offset, const void *data, size_t size)
{
    TERN_TRY(check_range(b, offset, size, "writing"));
    return size ? b->device->ops->write(b, offset, data, size, true) : TERN_OK;
}

tern_status tern__buffer_read(tern__buffer *b, size_t offset, void *data, size_t size)
{
    TERN_TRY(check_range(b, offset, size, "reading"));
    return size ? b->device->ops->read(b, offset, data, size, false) : TERN_OK;
}

tern_status tern__buffer_read_later(tern__buffer *b, size_t offset, void *data, size_t size)
{
    TERN_TRY(check_range(b, offset, size, "reading"));
    return size ? b->device->ops->read(b, offset, data, size, true) : TERN_OK;
}

tern_status tern__buffer_copy(tern__buffer *src, size_t src_off, tern__buffer *dst, size_t dst_off, size_t size)
{
    TERN_TRY(check_range(src, src_off, size, "copying"));
    TERN_TRY(check_range(dst, dst_off, size, "copying to"));
    if (src->device != dst->device)
        return tern__fail(TERN_E_INVALID, "device: copying %zu bytes from a buffer of \"%s\" to one of another device, \"%s\"", size,
                          src->device->info.name, dst->device->info.name);
    size_t s = src->offset + src_off, t = dst->offset + dst_off;
    if (tern__buffer_root(src) == tern__buffer_root(dst) && s < t + size && t < s + size)
        return tern__fail(TERN_E_INVALID, "device: copying %zu bytes from %zu to %zu of the same buffer, which overlap", size, s, t);
    return size ? src->device->ops->copy(src, src_off, dst, dst_off, size) : TERN_OK;
}

tern_status tern__buffer_zero(tern__buffer *b)
{
    return b->device->ops->fill_zero(b);
}

tern_status tern__buffer_map(tern__buffer *b, bool write, void **out)
{
    if (!b->device->ops->map || !b->device->info.unified_memory)
        return tern__fail(TERN_E_UNSUPPORTED, "device: \"%s\" has memory of its own, which cannot be mapped without a copy",
                          b->device->info.name);
    return b->device->ops->map(b, write, out);
}

tern_status tern__buffer_unmap(tern__buffer *b, void *p)
{
    return b->device->ops->unmap(b, p);
}
