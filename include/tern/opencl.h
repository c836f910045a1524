/* Sharing with an application's own OpenCL: its context, queue and buffers in, Tern's out. */
#ifndef TERN_OPENCL_H
#define TERN_OPENCL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>
#include <tern/device.h>
#include <tern/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A device on the application's context and in-order queue. Both are retained. params may be NULL; its select is ignored.
 * TERN_E_INVALID if queue does not belong to context or is out-of-order. */
TERN_API tern_status tern_device_from_cl(cl_context context, cl_command_queue queue, const tern_device_params *params, tern_device **out) TERN_MUST_CHECK;
/* Tern's objects, borrowed; NULL for the null device. */
TERN_API cl_context tern_device_cl_context(const tern_device *d);
TERN_API cl_command_queue tern_device_cl_queue(const tern_device *d);

/* A device tensor over the application's buffer, used without a copy; the buffer is retained.
 * TERN_E_SHAPE if it is too small. */
TERN_API tern_status tern_tensor_from_cl(tern_device *d, cl_mem mem, tern_dtype dtype, const tern_shape *shape, tern_tensor **out) TERN_MUST_CHECK;
/* A device tensor's buffer, borrowed; NULL for a host tensor. */
TERN_API cl_mem tern_tensor_cl_mem(const tern_tensor *t);

#ifdef __cplusplus
}
#endif
#endif
