/* Sharing with an application's own OpenCL objects: its context, queue and buffers in, Tern's out. */
#include <tern/opencl.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/opencl/cl.h"
#include "device/tensor.h"

static bool is_cl(const tern_device *d)
{
    return d->ops == &tern__cl_ops;
}

static cl_int check_queue(cl_command_queue queue, cl_context *context, cl_device_id *device, cl_command_queue_properties *props)
{
    cl_int err = tern__clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof *context, context, NULL);
    if (err == CL_SUCCESS)
        err = tern__clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof *device, device, NULL);
    if (err == CL_SUCCESS)
        err = tern__clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof *props, props, NULL);
    return err;
}

/* References on the application's objects; d->impl owns what was retained, so destroy undoes a half-done job. */
static tern_status retain_both(tern_device *d, cl_context context, cl_command_queue queue)
{
    struct tern__cl *cl = d->impl;
    cl_int err = tern__clRetainContext(context);
    if (err == CL_SUCCESS) {
        cl->context = context;
        err = tern__clRetainCommandQueue(queue);
    }
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "device: keeping the application's context and queue failed");
    cl->queue = queue;
    return TERN_OK;
}

static tern_status adopt_queue(tern_device *d, cl_context context, cl_command_queue queue, const tern_device_params *params)
{
    cl_context of_queue = NULL;
    cl_device_id device = NULL;
    cl_platform_id platform = NULL;
    cl_command_queue_properties props = 0;
    cl_int err = check_queue(queue, &of_queue, &device, &props);
    if (err == CL_SUCCESS && of_queue != context)
        return tern__fail(TERN_E_INVALID, "device: the queue belongs to another context than the one given");
    if (err == CL_SUCCESS && props & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE)
        return tern__fail(TERN_E_INVALID, "device: the queue is out of order; Tern's launches rely on the order of an in-order queue");
    if (err == CL_SUCCESS)
        err = tern__clGetDeviceInfo(device, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL);
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "device: asking the application's queue for its context and device failed");
    TERN_TRY(tern__cl_probe(platform, device, &d->info));
    struct tern__cl *cl = tern__alloc(sizeof *cl);
    if (!cl)
        return tern__fail(TERN_E_NOMEM, "device: no host memory to open \"%s\"", d->info.name);
    d->ops = &tern__cl_ops;
    d->impl = cl;
    d->profile = props & CL_QUEUE_PROFILING_ENABLE && (!params || params->profile);
    cl->device = device;
    TERN_TRY(retain_both(d, context, queue));
    return tern__device_adopt(d, params);
}

tern_status tern_device_from_cl(cl_context context, cl_command_queue queue, const tern_device_params *params, tern_device **out)
{
    if (!context || !queue || !out)
        return tern__fail(TERN_E_INVALID, "device: a context, a queue and a place for the device are needed, none of them NULL");
    tern_device *d = tern__device_new();
    if (!d)
        return tern__fail(TERN_E_NOMEM, "device: no host memory for %zu bytes", sizeof *d);
    tern_status st = adopt_queue(d, context, queue, params);
    if (st != TERN_OK) {
        tern__device_release(d);
        return st;
    }
    *out = d;
    return TERN_OK;
}

cl_context tern_device_cl_context(const tern_device *d)
{
    return is_cl(d) ? tern__cl_of(d)->context : NULL;
}

cl_command_queue tern_device_cl_queue(const tern_device *d)
{
    if (!is_cl(d))
        return NULL;
    tern__cl_of(d)->lent = true;
    return tern__cl_of(d)->queue;
}

static tern_status check_mem(const tern_device *d, cl_mem mem, size_t need, size_t *size)
{
    cl_context context = NULL;
    cl_int err = tern__clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof *size, size, NULL);
    if (err == CL_SUCCESS)
        err = tern__clGetMemObjectInfo(mem, CL_MEM_CONTEXT, sizeof context, &context, NULL);
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "tensor: asking the application's buffer for its size failed");
    if (context != tern__cl_of(d)->context)
        return tern__fail(TERN_E_INVALID, "tensor: the buffer belongs to another context than the device");
    if (*size < need)
        return tern__fail(TERN_E_SHAPE, "tensor: the buffer has %zu bytes, the shape needs %zu", *size, need);
    return TERN_OK;
}

tern_status tern__buffer_from_cl(tern_device *d, void *mem, size_t size, tern__buffer **out)
{
    if (!is_cl(d))
        return tern__fail(TERN_E_UNSUPPORTED, "device: \"%s\" is no OpenCL device, so it takes no OpenCL buffer", d->info.name);
    cl_int err = tern__clRetainMemObject(mem);
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "device: keeping the application's buffer failed");
    tern_status st = tern__buffer_adopt(d, mem, size, out);
    if (st != TERN_OK)
        tern__clReleaseMemObject(mem);
    return st;
}

void *tern__buffer_cl_mem(const tern__buffer *b)
{
    return is_cl(b->device) ? b->mem : NULL;
}

tern_status tern_tensor_from_cl(tern_device *d, cl_mem mem, tern_dtype dtype, const tern_shape *shape, tern_tensor **out)
{
    if (!d || !mem || !out)
        return tern__fail(TERN_E_INVALID, "tensor: a device, a buffer and a place for the tensor are needed, none of them NULL");
    if (!is_cl(d))
        return tern__fail(TERN_E_UNSUPPORTED, "tensor: \"%s\" is no OpenCL device, so it takes no OpenCL buffer", d->info.name);
    size_t need = 0, size = 0;
    TERN_TRY(tern__tensor_measure(dtype, shape, NULL, &need));
    TERN_TRY(check_mem(d, mem, need, &size));
    tern__buffer *b = NULL;
    TERN_TRY(tern__buffer_from_cl(d, mem, size, &b));
    tern_status st = tern__tensor_on_device(dtype, shape, b, out);
    tern__buffer_release(b);
    return st;
}

cl_mem tern_tensor_cl_mem(const tern_tensor *t)
{
    tern__buffer *b = tern__tensor_buffer(t);
    return b ? tern__buffer_cl_mem(b) : NULL;
}
