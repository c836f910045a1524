/* Opening an OpenCL device: a context and an in-order queue of its own, and the table of what the back end does. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/opencl/cl.h"
#include "device/opencl/opencl.h"

static void destroy(tern_device *d)
{
    struct tern__cl *cl = tern__cl_of(d);
    if (!cl)
        return;
    if (cl->queue) {
        tern__clFinish(cl->queue);
        tern__clReleaseCommandQueue(cl->queue);
    }
    if (cl->context)
        tern__clReleaseContext(cl->context);
    tern__free(cl);
}

static tern_status flush(tern_device *d)
{
    cl_int err = tern__clFlush(tern__cl_of(d)->queue);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: handing the queued work to \"%s\" failed", d->info.name);
}

tern_status tern__cl_enqueue(tern_device *d)
{
    struct tern__cl *cl = tern__cl_of(d);
    cl_int err = CL_SUCCESS;
    cl->queued = true;
    for (int i = 0; i < cl->n_reads && err == CL_SUCCESS; i++) {
        const struct tern__cl_read *r = &cl->reads[i];
        err = tern__clEnqueueReadBuffer(cl->queue, r->from->mem, CL_FALSE, r->offset, r->size, r->to, 0, NULL, NULL);
    }
    cl->n_reads = 0;
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: reading from \"%s\" failed", d->info.name);
}

tern_status tern__cl_finish(tern_device *d)
{
    struct tern__cl *cl = tern__cl_of(d);
    const int n = cl->n_reads;
    cl_int err = tern__clFinish(cl->queue);
    cl->n_reads = 0;
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "device: waiting for \"%s\" failed", d->info.name);
    cl->queued = false;
    for (int i = 0; i < n; i++)
        memcpy(cl->reads[i].to, cl->reads[i].from->host + cl->reads[i].offset, cl->reads[i].size);
    return TERN_OK;
}

const tern__device_ops tern__cl_ops = {
    .destroy = destroy,
    .buffer_create = tern__cl_buffer_create,
    .buffer_wrap = tern__cl_buffer_wrap,
    .buffer_slice = tern__cl_buffer_slice,
    .buffer_destroy = tern__cl_buffer_destroy,
    .write = tern__cl_write,
    .read = tern__cl_read,
    .copy = tern__cl_copy,
    .fill_zero = tern__cl_fill_zero,
    .map = tern__cl_map,
    .unmap = tern__cl_unmap,
    .program_build = tern__cl_program_build,
    .program_binary = tern__cl_program_binary,
    .program_destroy = tern__cl_program_destroy,
    .kernel_create = tern__cl_kernel_create,
    .kernel_destroy = tern__cl_kernel_destroy,
    .kernel_set_arg = tern__cl_kernel_set_arg,
    .launch = tern__cl_launch,
    .mark = tern__cl_mark,
    .event_wait_times = tern__cl_event_wait_times,
    .event_release = tern__cl_event_release,
    .flush = flush,
    .finish = tern__cl_finish,
};

/* Memory of GPUs that the host shares at every byte may be memory that they do not cache. */
static bool shares_memory(const tern_device_info *info, cl_device_id device)
{
#if TERN_HAVE_SVM
    cl_device_svm_capabilities has = 0;
    if (info->type != TERN_DEVICE_CPU || !info->unified_memory)
        return false;
    return tern__clGetDeviceInfo(device, CL_DEVICE_SVM_CAPABILITIES, sizeof has, &has, NULL) == CL_SUCCESS && has & CL_DEVICE_SVM_FINE_GRAIN_BUFFER;
#else
    (void)info, (void)device;
    return false;
#endif
}

tern_status tern__cl_open(tern_device *d, void *device, bool profile)
{
    struct tern__cl *cl = tern__alloc(sizeof *cl);
    if (!cl)
        return tern__fail(TERN_E_NOMEM, "device: no host memory to open \"%s\"", d->info.name);
    d->ops = &tern__cl_ops;
    d->impl = cl;
    d->profile = profile;
    cl->device = device;
    cl->shared = shares_memory(&d->info, device);
    cl_int err = CL_SUCCESS;
    cl->context = tern__clCreateContext(NULL, 1, &cl->device, NULL, NULL, &err);
    if (err != CL_SUCCESS || !cl->context)
        return tern__cl_fail(err, "device: making a context on \"%s\" failed", d->info.name);
    cl->queue = tern__clCreateCommandQueue(cl->context, cl->device, profile ? CL_QUEUE_PROFILING_ENABLE : 0, &err);
    if (err != CL_SUCCESS || !cl->queue)
        return tern__cl_fail(err, "device: making a queue on \"%s\" failed", d->info.name);
    return TERN_OK;
}
