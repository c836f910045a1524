/* Memory on an OpenCL device: mapped where the host shares it, copied where not. */
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

/* Large pages for large buffers in the host's memory, where systems give them only on request: kernels that walk
 * matrices otherwise spend their time on address translation. Advice only: whatever fails, the buffer works. */
#ifdef MADV_HUGEPAGE
#define LARGE_PAGE ((uintptr_t)2 << 20)
static void advise_large_pages(tern_device *d, cl_mem mem, size_t size)
{
    cl_command_queue queue = tern__cl_of(d)->queue;
    cl_int err = CL_SUCCESS;
    if (!d->info.unified_memory || size < 2 * LARGE_PAGE)
        return;
    void *p = tern__clEnqueueMapBuffer(queue, mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, size, 0, NULL, NULL, &err);
    if (err != CL_SUCCESS || !p)
        return;
    uintptr_t from = ((uintptr_t)p + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1), to = ((uintptr_t)p + size) & ~(LARGE_PAGE - 1);
    if (from < to)
        madvise((void *)from, to - from, MADV_HUGEPAGE);
    tern__clEnqueueUnmapMemObject(queue, mem, p, 0, NULL, NULL);
}
#else
static void advise_large_pages(tern_device *d, cl_mem mem, size_t size)
{
    (void)d, (void)mem, (void)size;
}
#endif

tern_status tern__cl_buffer_create(tern_device *d, size_t size, tern__buffer *b)
{
    cl_mem_flags flags = CL_MEM_READ_WRITE | (d->info.unified_memory ? CL_MEM_ALLOC_HOST_PTR : 0);
    cl_int err = CL_SUCCESS;
    cl_mem mem = tern__clCreateBuffer(tern__cl_of(d)->context, flags, size, NULL, &err);
    if (err == CL_SUCCESS && mem) {
        b->mem = mem;
        advise_large_pages(d, mem, size);
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

void tern__cl_buffer_destroy(tern__buffer *b)
{
    tern__clReleaseMemObject(b->mem);
}

static tern_status map_range(tern__buffer *b, size_t offset, size_t size, cl_map_flags flags, void **out)
{
    cl_int err = CL_SUCCESS;
    void *p = tern__clEnqueueMapBuffer(queue_of(b), whole(b), CL_TRUE, flags, b->offset + offset, size, 0, NULL, NULL, &err);
    if (err != CL_SUCCESS || !p)
        return tern__cl_fail(err, "device: mapping %zu bytes at %zu failed", size, b->offset + offset);
    *out = p;
    return TERN_OK;
}

tern_status tern__cl_unmap(tern__buffer *b, void *p)
{
    cl_int err = tern__clEnqueueUnmapMemObject(queue_of(b), whole(b), p, 0, NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: unmapping a buffer of %zu bytes failed", b->size);
}

tern_status tern__cl_map(tern__buffer *b, bool write, void **out)
{
    return map_range(b, 0, b->size, write ? CL_MAP_READ | CL_MAP_WRITE : CL_MAP_READ, out);
}

tern_status tern__cl_write(tern__buffer *b, size_t offset, const void *data, size_t size, bool later)
{
    if (b->device->info.unified_memory && !later) {
        void *p;
        TERN_TRY(map_range(b, offset, size, CL_MAP_WRITE_INVALIDATE_REGION, &p));
        memcpy(p, data, size);
        return tern__cl_unmap(b, p);
    }
    cl_int err = tern__clEnqueueWriteBuffer(queue_of(b), whole(b), later ? CL_FALSE : CL_TRUE, b->offset + offset, size, data, 0, NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: writing %zu bytes at %zu failed", size, b->offset + offset);
}

tern_status tern__cl_read(tern__buffer *b, size_t offset, void *data, size_t size, bool later)
{
    if (b->device->info.unified_memory && !later) {
        void *p;
        TERN_TRY(map_range(b, offset, size, CL_MAP_READ, &p));
        memcpy(data, p, size);
        return tern__cl_unmap(b, p);
    }
    cl_int err = tern__clEnqueueReadBuffer(queue_of(b), whole(b), later ? CL_FALSE : CL_TRUE, b->offset + offset, size, data, 0, NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: reading %zu bytes at %zu failed", size, b->offset + offset);
}

tern_status tern__cl_copy(tern__buffer *src, size_t src_off, tern__buffer *dst, size_t dst_off, size_t size)
{
    cl_int err = tern__clEnqueueCopyBuffer(queue_of(src), whole(src), whole(dst), src->offset + src_off, dst->offset + dst_off, size, 0,
                                           NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: copying %zu bytes failed", size);
}

tern_status tern__cl_fill_zero(tern__buffer *b)
{
    static const uint8_t zeros[16];
    /* A slice's padding belongs to nobody else, so whole patterns may run into it. */
    size_t pattern = b->capacity % sizeof zeros == 0 && b->offset % sizeof zeros == 0 ? sizeof zeros : 1;
    cl_int err = tern__clEnqueueFillBuffer(queue_of(b), whole(b), zeros, pattern, b->offset, b->capacity, 0, NULL, NULL);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: clearing %zu bytes failed", b->capacity);
}
