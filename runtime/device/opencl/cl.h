/* Every OpenCL call Tern makes, each behind a wrapper that tests can make fail, and the back end's shared insides. */
#ifndef TERN_DEVICE_OPENCL_CL_H
#define TERN_DEVICE_OPENCL_CL_H

#include <CL/cl.h>

#include "tern_config.h"

#include "base/fault.h"
#include "base/str.h"
#include "device/impl.h"

/* Calls that return a status. X(name, parameters, arguments, what an injected failure returns) */
#define TERN_CL_STATUS_CALLS(X)                                                                                                    \
    X(clGetPlatformIDs, (cl_uint n, cl_platform_id *p, cl_uint *got), (n, p, got), CL_OUT_OF_HOST_MEMORY)                          \
    X(clGetPlatformInfo, (cl_platform_id p, cl_platform_info w, size_t n, void *v, size_t *got), (p, w, n, v, got),                \
      CL_OUT_OF_HOST_MEMORY)                                                                                                       \
    X(clGetDeviceIDs, (cl_platform_id p, cl_device_type t, cl_uint n, cl_device_id *d, cl_uint *got), (p, t, n, d, got),           \
      CL_OUT_OF_RESOURCES)                                                                                                         \
    X(clGetDeviceInfo, (cl_device_id d, cl_device_info w, size_t n, void *v, size_t *got), (d, w, n, v, got), CL_OUT_OF_RESOURCES) \
    X(clGetCommandQueueInfo, (cl_command_queue q, cl_command_queue_info w, size_t n, void *v, size_t *got), (q, w, n, v, got),     \
      CL_OUT_OF_RESOURCES)                                                                                                         \
    X(clGetMemObjectInfo, (cl_mem m, cl_mem_info w, size_t n, void *v, size_t *got), (m, w, n, v, got), CL_OUT_OF_RESOURCES)       \
    X(clRetainContext, (cl_context c), (c), CL_OUT_OF_RESOURCES)                                                                   \
    X(clRetainCommandQueue, (cl_command_queue q), (q), CL_OUT_OF_RESOURCES)                                                        \
    X(clRetainMemObject, (cl_mem m), (m), CL_OUT_OF_RESOURCES)                                                                     \
    X(clEnqueueReadBuffer,                                                                                                         \
      (cl_command_queue q, cl_mem m, cl_bool wait, size_t at, size_t n, void *p, cl_uint n_w, const cl_event *w, cl_event *e),     \
      (q, m, wait, at, n, p, n_w, w, e), CL_OUT_OF_RESOURCES)                                                                      \
    X(clEnqueueWriteBuffer,                                                                                                        \
      (cl_command_queue q, cl_mem m, cl_bool wait, size_t at, size_t n, const void *p, cl_uint n_w, const cl_event *w,             \
       cl_event *e),                                                                                                               \
      (q, m, wait, at, n, p, n_w, w, e), CL_OUT_OF_RESOURCES)                                                                      \
    X(clEnqueueCopyBuffer,                                                                                                         \
      (cl_command_queue q, cl_mem a, cl_mem b, size_t at, size_t to, size_t n, cl_uint n_w, const cl_event *w, cl_event *e),       \
      (q, a, b, at, to, n, n_w, w, e), CL_OUT_OF_RESOURCES)                                                                        \
    X(clEnqueueFillBuffer,                                                                                                         \
      (cl_command_queue q, cl_mem m, const void *p, size_t p_n, size_t at, size_t n, cl_uint n_w, const cl_event *w, cl_event *e), \
      (q, m, p, p_n, at, n, n_w, w, e), CL_OUT_OF_RESOURCES)                                                                       \
    X(clBuildProgram,                                                                                                              \
      (cl_program p, cl_uint n, const cl_device_id *d, const char *o, void(CL_CALLBACK * f)(cl_program, void *), void *u),         \
      (p, n, d, o, f, u), CL_OUT_OF_HOST_MEMORY)                                                                                   \
    X(clGetProgramInfo, (cl_program p, cl_program_info w, size_t n, void *v, size_t *got), (p, w, n, v, got), CL_OUT_OF_RESOURCES) \
    X(clGetProgramBuildInfo, (cl_program p, cl_device_id d, cl_program_build_info w, size_t n, void *v, size_t *got),              \
      (p, d, w, n, v, got), CL_OUT_OF_RESOURCES)                                                                                   \
    X(clGetKernelInfo, (cl_kernel k, cl_kernel_info w, size_t n, void *v, size_t *got), (k, w, n, v, got), CL_OUT_OF_RESOURCES)    \
    X(clSetKernelArg, (cl_kernel k, cl_uint i, size_t n, const void *v), (k, i, n, v), CL_OUT_OF_RESOURCES)                        \
    X(clEnqueueNDRangeKernel,                                                                                                      \
      (cl_command_queue q, cl_kernel k, cl_uint dims, const size_t *off, const size_t *g, const size_t *l, cl_uint n_w,            \
       const cl_event *w, cl_event *e),                                                                                            \
      (q, k, dims, off, g, l, n_w, w, e), CL_MEM_OBJECT_ALLOCATION_FAILURE)                                                        \
    X(clEnqueueMarkerWithWaitList, (cl_command_queue q, cl_uint n, const cl_event *w, cl_event *e), (q, n, w, e), CL_OUT_OF_RESOURCES) \
    X(clWaitForEvents, (cl_uint n, const cl_event *e), (n, e), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)                       \
    X(clGetEventProfilingInfo, (cl_event e, cl_profiling_info w, size_t n, void *v, size_t *got), (e, w, n, v, got),               \
      CL_PROFILING_INFO_NOT_AVAILABLE)                                                                                             \
    X(clFlush, (cl_command_queue q), (q), CL_OUT_OF_RESOURCES)

/* Calls whose work must happen even when a test makes them report failure, or what they hold would stay behind. */
#define TERN_CL_ENDING_CALLS(X)                                                                                                    \
    X(clEnqueueUnmapMemObject, (cl_command_queue q, cl_mem m, void *p, cl_uint n_w, const cl_event *w, cl_event *e),               \
      (q, m, p, n_w, w, e), CL_OUT_OF_RESOURCES)                                                                                   \
    X(clFinish, (cl_command_queue q), (q), CL_OUT_OF_RESOURCES)                                                                    \
    X(clReleaseContext, (cl_context c), (c), CL_OUT_OF_RESOURCES)                                                                  \
    X(clReleaseCommandQueue, (cl_command_queue q), (q), CL_OUT_OF_RESOURCES)                                                       \
    X(clReleaseMemObject, (cl_mem m), (m), CL_OUT_OF_RESOURCES)                                                                    \
    X(clReleaseProgram, (cl_program p), (p), CL_OUT_OF_RESOURCES)                                                                  \
    X(clReleaseKernel, (cl_kernel k), (k), CL_OUT_OF_RESOURCES)                                                                    \
    X(clReleaseEvent, (cl_event e), (e), CL_OUT_OF_RESOURCES)

/* Calls that return an object and put their status in *err. X(type, name, parameters, arguments, injected failure) */
#define TERN_CL_OBJECT_CALLS(X)                                                                                                    \
    X(cl_context, clCreateContext,                                                                                                 \
      (const cl_context_properties *p, cl_uint n, const cl_device_id *d,                                                           \
       void(CL_CALLBACK * f)(const char *, const void *, size_t, void *), void *u, cl_int *err),                                   \
      (p, n, d, f, u, err), CL_DEVICE_NOT_AVAILABLE)                                                                               \
    X(cl_command_queue, clCreateCommandQueue, (cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *err),          \
      (c, d, p, err), CL_OUT_OF_RESOURCES)                                                                                         \
    X(cl_mem, clCreateBuffer, (cl_context c, cl_mem_flags f, size_t n, void *p, cl_int *err), (c, f, n, p, err),                   \
      CL_MEM_OBJECT_ALLOCATION_FAILURE)                                                                                            \
    X(cl_mem, clCreateSubBuffer, (cl_mem m, cl_mem_flags f, cl_buffer_create_type t, const void *i, cl_int *err),                  \
      (m, f, t, i, err), CL_OUT_OF_RESOURCES)                                                                                      \
    X(void *, clEnqueueMapBuffer,                                                                                                  \
      (cl_command_queue q, cl_mem m, cl_bool wait, cl_map_flags f, size_t at, size_t n, cl_uint n_w, const cl_event *w,            \
       cl_event *e, cl_int *err),                                                                                                  \
      (q, m, wait, f, at, n, n_w, w, e, err), CL_MAP_FAILURE)                                                                      \
    X(cl_program, clCreateProgramWithSource, (cl_context c, cl_uint n, const char **s, const size_t *l, cl_int *err),              \
      (c, n, s, l, err), CL_OUT_OF_HOST_MEMORY)                                                                                    \
    X(cl_program, clCreateProgramWithBinary,                                                                                       \
      (cl_context c, cl_uint n, const cl_device_id *d, const size_t *l, const unsigned char **b, cl_int *st, cl_int *err),         \
      (c, n, d, l, b, st, err), CL_INVALID_BINARY)                                                                                 \
    X(cl_kernel, clCreateKernel, (cl_program p, const char *name, cl_int *err), (p, name, err), CL_OUT_OF_RESOURCES)

#define TERN_CL_DEFINE_STATUS(name, params, args, code)                                                                            \
    static inline cl_int tern__##name params                                                                                       \
    {                                                                                                                              \
        return tern__fault_hit(TERN__FAULT_CL) ? (code) : name args;                                                               \
    }
#define TERN_CL_DEFINE_ENDING(name, params, args, code)                                                                            \
    static inline cl_int tern__##name params                                                                                       \
    {                                                                                                                              \
        cl_int status = name args;                                                                                                 \
        return tern__fault_hit(TERN__FAULT_CL) ? (code) : status;                                                                  \
    }
#define TERN_CL_DEFINE_OBJECT(type, name, params, args, code)                                                                      \
    static inline type tern__##name params                                                                                         \
    {                                                                                                                              \
        if (tern__fault_hit(TERN__FAULT_CL)) {                                                                                     \
            *err = (code);                                                                                                         \
            return NULL;                                                                                                           \
        }                                                                                                                          \
        return name args;                                                                                                          \
    }
TERN_CL_STATUS_CALLS(TERN_CL_DEFINE_STATUS)
TERN_CL_ENDING_CALLS(TERN_CL_DEFINE_ENDING)
TERN_CL_OBJECT_CALLS(TERN_CL_DEFINE_OBJECT)

/* Memory that host and device share. */
static inline void *tern__clSVMAlloc(cl_context c, size_t n)
{
#if TERN_HAVE_SVM
    return tern__fault_hit(TERN__FAULT_CL) ? NULL : clSVMAlloc(c, CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER, n, 0);
#else
    (void)c, (void)n;
    return NULL;
#endif
}

static inline void tern__clSVMFree(cl_context c, void *p)
{
#if TERN_HAVE_SVM
    clSVMFree(c, p);
#else
    (void)c, (void)p;
#endif
}

/* "CL_OUT_OF_RESOURCES"; "an unknown OpenCL error" for a code no header names. */
const char *tern__cl_error_name(cl_int err);
/* Records "<sentence>: CL_OUT_OF_RESOURCES (-5)" and returns the status that fits the code. */
tern_status tern__cl_fail(cl_int err, const char *fmt, ...) TERN_PRINTF(2, 3);

/* Appends the log's first errors (its first lines if none says "error"), each with its place in the kernels' files as source's
 * #line directives give it. source may be NULL. */
void tern__cl_log_pick(tern__str *out, const char *log, const char *source, size_t len);

/* A read that waits for tern__cl_ops.finish, which copies, or for the next command, before which it is enqueued. */
struct tern__cl_read {
    tern__buffer *from; /* whole */
    size_t offset, size;
    void *to;
};

/* An open OpenCL device. */
struct tern__cl {
    cl_context context;
    cl_command_queue queue;
    cl_device_id device;
    bool shared; /* its buffers are fine-grained shared memory: the host may use them while nothing is queued */
    bool lent;   /* others may have put commands into the queue */
    bool queued; /* commands that may not be done */
    int n_reads;
    struct tern__cl_read reads[16];
};
static inline struct tern__cl *tern__cl_of(const tern_device *d)
{
    return d->impl;
}

extern const tern__device_ops tern__cl_ops;

/* Fills infos and devices of one device. */
tern_status tern__cl_probe(cl_platform_id platform, cl_device_id device, tern_device_info *out);

/* The slots of tern__cl_ops, one file per subject. */
tern_status tern__cl_buffer_create(tern_device *d, size_t size, tern__buffer *b);
tern_status tern__cl_buffer_wrap(tern_device *d, const void *data, size_t size, tern__buffer *b);
tern_status tern__cl_buffer_slice(tern__buffer *parent, size_t offset, size_t size, tern__buffer *b);
void tern__cl_buffer_destroy(tern_device *d, tern__buffer *b);
tern_status tern__cl_write(tern__buffer *b, size_t offset, const void *data, size_t size, bool later);
tern_status tern__cl_read(tern__buffer *b, size_t offset, void *data, size_t size, bool later);
/* Before a command is enqueued. */
tern_status tern__cl_enqueue(tern_device *d);
tern_status tern__cl_finish(tern_device *d);
tern_status tern__cl_copy(tern__buffer *src, size_t src_off, tern__buffer *dst, size_t dst_off, size_t size);
tern_status tern__cl_fill_zero(tern__buffer *b);
tern_status tern__cl_map(tern__buffer *b, bool write, void **out);
tern_status tern__cl_unmap(tern__buffer *b, void *p);
tern_status tern__cl_program_build(tern_device *d, const char *source, size_t len, const char *options, const uint8_t *binary,
                                   size_t binary_size, tern__program *p);
tern_status tern__cl_program_binary(tern__program *p, uint8_t **data, size_t *size);
void tern__cl_program_destroy(tern__program *p);
tern_status tern__cl_kernel_create(tern__program *p, const char *name, tern__kernel *k);
void tern__cl_kernel_destroy(tern__kernel *k);
tern_status tern__cl_kernel_set_arg(tern__kernel *k, int index, const tern__arg *arg);
tern_status tern__cl_launch(tern__kernel *k, int dims, const size_t global[3], const size_t local[3], void **event);
tern_status tern__cl_mark(tern_device *d, void **event);
tern_status tern__cl_event_wait_times(tern_device *d, void *event, tern__event_times *t);
void tern__cl_event_release(tern_device *d, void *event);

#endif
