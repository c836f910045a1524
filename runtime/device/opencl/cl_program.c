/* Building OpenCL programs from source or from verified bytes, and taking their binaries out again. */
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"
#include "device/opencl/cl.h"

static char *build_log(cl_program p, cl_device_id device)
{
    size_t n = 0;
    if (tern__clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_LOG, 0, NULL, &n) != CL_SUCCESS || n == 0)
        return NULL;
    char *log = tern__alloc(n + 1);
    if (log && tern__clGetProgramBuildInfo(p, device, CL_PROGRAM_BUILD_LOG, n, log, NULL) != CL_SUCCESS) {
        tern__free(log);
        log = NULL;
    }
    return log;
}

static tern_status fail_build(cl_int err, cl_program p, cl_device_id device, const char *source, size_t len)
{
    tern__str text = { 0 };
    char *log = build_log(p, device);
    if (log)
        tern__cl_log_pick(&text, log, source, len);
    tern_status st = tern__fail(TERN_E_BUILD, "program: %s (%d): %s", tern__cl_error_name(err), (int)err,
                                text.len ? tern__str_text(&text) : "the compiler left no log");
    tern__str_finish(&text);
    tern__free(log);
    return st;
}

static cl_program create(const struct tern__cl *cl, const char *source, size_t len, const uint8_t *binary, size_t binary_size, cl_int *err)
{
    if (!binary)
        return tern__clCreateProgramWithSource(cl->context, 1, &source, &len, err);
    cl_int status = CL_SUCCESS;
    cl_program p = tern__clCreateProgramWithBinary(cl->context, 1, &cl->device, &binary_size, &binary, &status, err);
    if (*err == CL_SUCCESS)
        *err = status;
    return p;
}

/* A driver that fails without a word about the source has failed for another reason: PoCL does when many processes fill its cache at once. */
static bool blames_source(cl_program p, cl_device_id device)
{
    char *log = build_log(p, device);
    bool blames = log && (strstr(log, "error") || strstr(log, "Error") || strstr(log, "ERROR"));
    tern__free(log);
    return blames;
}

/* Builds, and once more from the start, twice at most, after a failure that is not the source's fault. */
static cl_int build(const struct tern__cl *cl, const char *source, size_t len, const char *options, cl_program *program)
{
    cl_int err = tern__clBuildProgram(*program, 1, &cl->device, options, NULL, NULL);
    for (int again = 0; again < 2 && err == CL_BUILD_PROGRAM_FAILURE && !blames_source(*program, cl->device); again++) {
        cl_int made = CL_SUCCESS;
        cl_program other = create(cl, source, len, NULL, 0, &made);
        if (made != CL_SUCCESS || !other)
            break;
        tern__clReleaseProgram(*program);
        *program = other;
        err = tern__clBuildProgram(other, 1, &cl->device, options, NULL, NULL);
    }
    return err;
}

tern_status tern__cl_program_build(tern_device *d, const char *source, size_t len, const char *options, const uint8_t *binary,
                                   size_t binary_size, tern__program *p)
{
    struct tern__cl *cl = tern__cl_of(d);
    cl_int err = CL_SUCCESS;
    cl_program program = create(cl, source, len, binary, binary_size, &err);
    tern_status st = TERN_OK;
    if (err != CL_SUCCESS || !program) {
        st = tern__cl_fail(err, "program: \"%s\" does not take %zu bytes of %s", d->info.name, binary ? binary_size : len,
                           binary ? "binary" : "source");
    } else {
        err = binary ? tern__clBuildProgram(program, 1, &cl->device, options, NULL, NULL) : build(cl, source, len, options, &program);
        if (err != CL_SUCCESS)
            st = fail_build(err, program, cl->device, source, len);
    }
    if (st == TERN_OK)
        p->impl = program;
    else if (program)
        tern__clReleaseProgram(program);
    return st;
}

/* Which of the program's devices is ours: an application's context may hold several. */
static cl_int find_device(cl_program p, cl_device_id device, cl_uint *n, cl_uint *ours)
{
    cl_int err = tern__clGetProgramInfo(p, CL_PROGRAM_NUM_DEVICES, sizeof *n, n, NULL);
    cl_device_id *ids = err == CL_SUCCESS ? tern__alloc_array(*n, sizeof *ids) : NULL;
    if (err == CL_SUCCESS && !ids)
        err = CL_OUT_OF_HOST_MEMORY;
    if (err == CL_SUCCESS)
        err = tern__clGetProgramInfo(p, CL_PROGRAM_DEVICES, *n * sizeof *ids, ids, NULL);
    if (err == CL_SUCCESS) {
        *ours = 0;
        while (*ours < *n && ids[*ours] != device)
            ++*ours;
        err = *ours < *n ? CL_SUCCESS : CL_INVALID_DEVICE;
    }
    tern__free(ids);
    return err;
}

static cl_int get_binary(cl_program p, cl_uint n, cl_uint ours, size_t *sizes, unsigned char **binaries, uint8_t **data)
{
    cl_int err = tern__clGetProgramInfo(p, CL_PROGRAM_BINARY_SIZES, n * sizeof *sizes, sizes, NULL);
    if (err != CL_SUCCESS)
        return err;
    if (sizes[ours] == 0)
        return CL_INVALID_PROGRAM_EXECUTABLE;
    for (cl_uint i = 0; i < n && err == CL_SUCCESS; i++) {
        /* Some drivers write every device's binary whether its pointer is NULL or not. */
        binaries[i] = sizes[i] ? tern__alloc(sizes[i]) : NULL;
        if (sizes[i] && !binaries[i])
            err = CL_OUT_OF_HOST_MEMORY;
    }
    if (err == CL_SUCCESS)
        err = tern__clGetProgramInfo(p, CL_PROGRAM_BINARIES, n * sizeof *binaries, binaries, NULL);
    for (cl_uint i = 0; i < n; i++)
        if (i != ours || err != CL_SUCCESS) {
            tern__free(binaries[i]);
            binaries[i] = NULL;
        }
    *data = binaries[ours];
    return err;
}

tern_status tern__cl_program_binary(tern__program *p, uint8_t **data, size_t *size)
{
    cl_uint n = 0, ours = 0;
    cl_int err = find_device(p->impl, tern__cl_of(p->device)->device, &n, &ours);
    size_t *sizes = NULL;
    unsigned char **binaries = NULL;
    if (err == CL_SUCCESS) {
        sizes = tern__alloc_array(n, sizeof *sizes);
        binaries = tern__alloc_array(n, sizeof *binaries);
        err = sizes && binaries ? get_binary(p->impl, n, ours, sizes, binaries, data) : CL_OUT_OF_HOST_MEMORY;
    }
    if (err == CL_SUCCESS)
        *size = sizes[ours];
    tern__free(sizes);
    tern__free(binaries);
    return err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "program: \"%s\" did not give the program's binary", p->device->info.name);
}

void tern__cl_program_destroy(tern__program *p)
{
    tern__clReleaseProgram(p->impl);
}
