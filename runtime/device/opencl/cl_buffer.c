/* Memory on an OpenCL device: used in place where the host shares it at every byte, mapped where it shares it, copied where not. A command costs a CPU's
 * driver several microseconds, as much as a small layer. */
#include <string.h>
#include <sys/mman.h>

#include "base/status.h"
#include "device/opencl/cl.h"

static cl_command_queue queue_of(const tern__buffer *b)
{
    return tern__cl_of(b->device)->queue;
}

/* Mapping and copying go through the whole buffer: sub-buffers are then only ever seen by kernels,
 * which is the part of them that drivers get right. */
static cl_mem whole(tern__buffer *b)
{
    return tern__buffer_root(b)->mem;
}

/* Where the host sees byte `offset` of b; NULL: it does not. */
static char *host_of(tern__buffer *b, size_t offset)
{
    char *host = tern__buffer_root(b)->host;
    return host ? host + b->offset + offset : NULL;
}

static bool is_idle(const tern_device *d)
{
    return !tern__cl_of(d)->queued && !tern__cl_of(d)->lent;
}

/* Nothing is queued any more. */
static tern_status wait_idle(tern_device *d)
{
    return is_idle(d) ? TERN_OK : tern__cl_finish(d);
}

/* Large pages for large buffers in the host's memory, where systems give them only on request: kernels that walk
 * matrices otherwise spend their time on address translation. Advice only: whatever fails, the buffer works. */
#ifdef MADV_HUGEPAGE
#define LARGE_PAGE ((uintptr_t)2 << 20)
static void advise(void *p, size_t size)
{
    uintptr_t from = ((uintptr_t)p + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1), to = ((uintptr_t)p + size) & ~(LARGE_PAGE - 1);
    if (from < to)
        madvise((void *)from, to - from, MADV_HUGEPAGE);
}

static void advise_large_pages(tern_device *d, const tern__buffer *b, size_t size)
{
    cl_command_queue queue = tern__cl_of(d)->queue;
    cl_int err = CL_SUCCESS;
    if (!d->info.unified_memory || size < 2 * LARGE_PAGE)
        return;
    if (b->host) {
        advise(b->host, size);
        return;
    }
    void *p = tern__clEnqueueMapBuffer(queue, b->mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, size, 0, NULL, NULL, &err);
    if (err != CL_SUCCESS || !p)
        return;
    advise(p, size);
    tern__clEnqueueUnmapMemObject(queue, b->mem, p, 0, NULL, NULL);
}
#else
static void advise_large_pages(tern_device *d, const tern__buffer *b, size_t size)
{
    (void)d, (void)b, (void)size;
}
#endif

static cl_mem create_memory(tern_device *d, size_t size, char **host, cl_int *err)
{
    const struct tern__cl *cl = tern__cl_of(d);
    if (!cl->shared)
        return tern__clCreateBuffer(cl->context, CL_MEM_READ_WRITE | (d->info.unified_memory ? CL_MEM_ALLOC_HOST_PTR : 0), size, NULL, err);
    *err = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    *host = tern__clSVMAlloc(cl->context, size);
    cl_mem mem = *host ? tern__clCreateBuffer(cl->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, size, *host, err) : NULL;
    if (*host && !mem) {
        tern__clSVMFree(cl->context, *host);
        *host = NULL;
    }
    return mem;
}

tern_status tern__cl_buffer_create(tern_device *d, size_t size, tern__buffer *b)
{
    cl_int err = CL_SUCCESS;
    char *host = NULL;
    cl_mem mem = create_memory(d, size, &host, &err);
    if (err == CL_SUCCESS && mem) {
        b->mem = mem;
        b->host = host;
        advise_large_pages(d, b, size);
        return TERN_OK;
    }
    tern_status st = tern__cl_fail(err, "device: \"%s\" could not give %s of its %s", d->info.name, tern__size_words(size).s,
                                   tern__size_words(d->info.global_mem_bytes).s);
    /* Drivers differ in what they call a full device. */
    return err == CL_OUT_OF_RESOURCES || err == CL_OUT_OF_HOST_MEMORY || err == CL_INVALID_BUFFER_SIZE ? TERN_E_DEVICE_MEMORY : st;
}

tern_status tern__cl_buffer_wrap(tern_device *d, const void *data, size_t size, tern__buffer *b)
{
    cl_int err = CL_SUCCESS;
    if (!d->info.unified_memory)
        return TERN_E_UNSUPPORTED;
    cl_mem mem = tern__clCreateBuffer(tern__cl_of(d)->context, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, size, (void *)(uintptr_t)data, &err);
    if (err != CL_SUCCESS || !mem)
        return tern__cl_fail(err, "device: \"%s\" does not take %zu bytes of the host's", d->info.name, size);
    b->mem = mem;
    return TERN_OK;
}

tern_status tern__cl_buffer_slice(tern__buffer *parent, size_t offset, size_t size, tern__buffer *b)
{
    cl_buffer_region region = { .origin = offset, .size = size };
    cl_int err = CL_SUCCESS;
    cl_mem mem = tern__clCreateSubBuffer(parent->mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    if (err != CL_SUCCESS || !mem)
        return tern__cl_fail(err, "device: a slice of %zu bytes at %zu of a buffer of %zu failed", size, offset, parent->capacity);
    b->mem = mem;
    return TERN_OK;
}

void tern__cl_buffer_destroy(tern_device *d, tern__buffer *b)
{
    if (b->host)
        (void)wait_idle(d); /* the driver knows what still needs b->mem, but not what needs the memory under it */
    tern__clReleaseMemObject(b->mem);
    if (b->host)
        tern__clSVMFree(tern__cl_of(d)->context, b->host);
}

static tern_status map_range(tern__buffer *b, size_t offset, size_t size, cl_map_flags flags, void **out)
{
    cl_int err = CL_SUCCESS;
    *out = host_of(b, offset);
    if (*out)
        return wait_idle(b->device);
    TERN_TRY(tern__cl_enqueue(b->device));
    void *p = tern__clEnqueueMapBuffer(queue_of(b), whole(b), CL_TRUE, flags, b->offset + offset, size, 0, NULL, NULL, &err);
    if (err != CL_SUCCESS || !p)
        return tern__cl_fail(err, "device: mapping %zu bytes at %zu failed", size, b->offset + offset);
    *out = p;
    return TERN_OK;
}

tern_status tern__cl_unmap(tern__buffer *b, void *p)
{
    if (host_of(b, 0))
        return TERN_OK;
    TERN_TRY(tern__cl_enqueue(b->device));
    cl_int err = tern__clEnqueueUnmapMemObject(queue_of(b), whole(b), p, 0, NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: unmapping a buffer of %zu bytes failed", b->size);
}

tern_status tern__cl_map(tern__buffer *b, bool write, void **out)
{
    return map_range(b, 0, b->size, write ? CL_MAP_READ | CL_MAP_WRITE : CL_MAP_READ, out);
}

tern_status tern__cl_write(tern__buffer *b, size_t offset, const void *data, size_t size, bool later)
{
    if ((b->device->info.unified_memory && !later) || (host_of(b, 0) && is_idle(b->device))) {
        void *p;
        TERN_TRY(map_range(b, offset, size, CL_MAP_WRITE_INVALIDATE_REGION, &p));
        memcpy(p, data, size);
        return tern__cl_unmap(b, p);
    }
    TERN_TRY(tern__cl_enqueue(b->device));
    cl_int err = tern__clEnqueueWriteBuffer(queue_of(b), whole(b), later ? CL_FALSE : CL_TRUE, b->offset + offset, size, data, 0, NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: writing %zu bytes at %zu failed", size, b->offset + offset);
}

tern_status tern__cl_read(tern__buffer *b, size_t offset, void *data, size_t size, bool later)
{
    if ((b->device->info.unified_memory && !later) || (host_of(b, 0) && is_idle(b->device))) {
        void *p;
        TERN_TRY(map_range(b, offset, size, CL_MAP_READ, &p));
        memcpy(data, p, size);
        return tern__cl_unmap(b, p);
    }
    struct tern__cl *cl = tern__cl_of(b->device);
    if (host_of(b, 0) && later && !cl->lent && cl->n_reads < TERN_COUNT(cl->reads)) {
        cl->reads[cl->n_reads++] = (struct tern__cl_read){ tern__buffer_root(b), b->offset + offset, size, data };
        return TERN_OK;
    }
    TERN_TRY(tern__cl_enqueue(b->device));
    cl_int err = tern__clEnqueueReadBuffer(queue_of(b), whole(b), later ? CL_FALSE : CL_TRUE, b->offset + offset, size, data, 0, NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: reading %zu bytes at %zu failed", size, b->offset + offset);
}

tern_status tern__cl_copy(tern__buffer *src, size_t src_off, tern__buffer *dst, size_t dst_off, size_t size)
{
    TERN_TRY(tern__cl_enqueue(src->device));
    cl_int err = tern__clEnqueueCopyBuffer(queue_of(src), whole(src), whole(dst), src->offset + src_off, dst->offset + dst_off, size, 0,
                                           NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: copying %zu bytes failed", size);
}

tern_status tern__cl_fill_zero(tern__buffer *b)
{
    static const uint8_t zeros[16];
    /* A slice's padding belongs to nobody else, so whole patterns may run into it. */
    size_t pattern = b->capacity % sizeof zeros == 0 && b->offset % sizeof zeros == 0 ? sizeof zeros : 1;
    TERN_TRY(tern__cl_enqueue(b->device));
    cl_int err = tern__clEnqueueFillBuffer(queue_of(b), whole(b), zeros, pattern, b->offset, b->capacity, 0, NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: clearing %zu bytes failed", b->capacity);
}
