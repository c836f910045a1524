/* Kernels on an OpenCL device: arguments, launches and their times. */
#include "base/alloc.h"
#include "base/status.h"
#include "device/opencl/cl.h"

tern_status tern__cl_kernel_create(tern__program *p, const char *name, tern__kernel *k)
{
    cl_int err = CL_SUCCESS;
    cl_kernel kernel = tern__clCreateKernel(p->impl, name, &err);
    if (err != CL_SUCCESS || !kernel)
        return tern__cl_fail(err, "kernel %s: the program does not provide it", name);
    cl_uint n = 0;
    err = tern__clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof n, &n, NULL);
    if (err != CL_SUCCESS) {
        tern__clReleaseKernel(kernel);
        return tern__cl_fail(err, "kernel %s: counting its arguments failed", name);
    }
    k->impl = kernel;
    k->n_args = (int)n;
    return TERN_OK;
}

void tern__cl_kernel_destroy(tern__kernel *k)
{
    tern__clReleaseKernel(k->impl);
}

tern_status tern__cl_kernel_set_arg(tern__kernel *k, int index, const tern__arg *arg)
{
    size_t size = arg->size;
    const void *value = NULL; /* local memory has a size only */
    cl_mem mem;
    if (arg->kind == TERN__ARG_BUFFER) {
        mem = arg->buffer->mem;
        size = sizeof mem;
        value = &mem;
    } else if (arg->kind == TERN__ARG_SCALAR) {
        value = arg->scalar;
    }
    cl_int err = tern__clSetKernelArg(k->impl, (cl_uint)index, size, value);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "kernel %s: setting argument %d, %zu bytes, failed", k->name, index, size);
}

tern_status tern__cl_launch(tern__kernel *k, int dims, const size_t global[3], const size_t local[3], void **event)
{
    cl_event e = NULL;
    TERN_TRY(tern__cl_enqueue(k->device));
    cl_int err = tern__clEnqueueNDRangeKernel(tern__cl_of(k->device)->queue, k->impl, (cl_uint)dims, NULL, global,
                                              local[0] ? local : NULL, 0, NULL, event ? &e : NULL);
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "kernel %s: launching %zu x %zu x %zu items in groups of %zu x %zu x %zu failed", k->name, global[0],
                             dims > 1 ? global[1] : 1, dims > 2 ? global[2] : 1, local[0], dims > 1 ? local[1] : 1, dims > 2 ? local[2] : 1);
    if (event)
        *event = e;
    return TERN_OK;
}

tern_status tern__cl_mark(tern_device *d, void **event)
{
    cl_event e = NULL;
    cl_int err = tern__clEnqueueMarkerWithWaitList(tern__cl_of(d)->queue, 0, NULL, &e);
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "device: marking a moment in the queue of \"%s\" failed", d->info.name);
    *event = e;
    return TERN_OK;
}

tern_status tern__cl_event_wait_times(tern_device *d, void *event, tern__event_times *t)
{
    static const cl_profiling_info what[] = { CL_PROFILING_COMMAND_QUEUED, CL_PROFILING_COMMAND_START, CL_PROFILING_COMMAND_END };
    cl_event e = event;
    cl_ulong ns[3] = { 0 };
    cl_int err = tern__clWaitForEvents(1, &e);
    for (int i = 0; err == CL_SUCCESS && i < 3; i++)
        err = tern__clGetEventProfilingInfo(e, what[i], sizeof ns[i], &ns[i], NULL);
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "device: asking \"%s\" for a launch's times failed", d->info.name);
    *t = (tern__event_times){ .queued_ns = ns[0], .start_ns = ns[1], .end_ns = ns[2] };
    return TERN_OK;
}

void tern__cl_event_release(tern_device *d, void *event)
{
    (void)d;
    tern__clReleaseEvent(event);
}
