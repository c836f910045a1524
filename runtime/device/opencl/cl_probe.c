/* Finding OpenCL devices and asking each what it is and what it can do. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "device/opencl/cl.h"
#include "device/opencl/opencl.h"

#define PLATFORM_NOT_FOUND_KHR (-1001)

/* Queries of one device; after the first failure the rest do nothing. */
typedef struct probe {
    cl_device_id device;
    cl_int err;
} probe;

static void ask(probe *p, cl_device_info what, void *value, size_t size)
{
    if (p->err == CL_SUCCESS)
        p->err = tern__clGetDeviceInfo(p->device, what, size, value, NULL);
}

static cl_uint ask_uint(probe *p, cl_device_info what)
{
    cl_uint x = 0;
    ask(p, what, &x, sizeof x);
    return x;
}

static cl_ulong ask_ulong(probe *p, cl_device_info what)
{
    cl_ulong x = 0;
    ask(p, what, &x, sizeof x);
    return x;
}

static bool ask_bool(probe *p, cl_device_info what)
{
    cl_bool x = CL_FALSE;
    ask(p, what, &x, sizeof x);
    return x != CL_FALSE;
}

/* Drivers refuse a buffer that is too small, so ask for the length first and cut. */
static void cut_to_fit(char *out, size_t room, const char *text, size_t n)
{
    while (n > 0 && (text[n - 1] == '\0' || text[n - 1] == ' '))
        n--;
    while (n > 0 && *text == ' ') {
        text++;
        n--;
    }
    n = TERN_MIN(n, room - 1);
    memcpy(out, text, n);
    out[n] = '\0';
}

static void ask_text(probe *p, cl_device_info what, char *out, size_t room)
{
    size_t n = 0;
    out[0] = '\0';
    if (p->err == CL_SUCCESS)
        p->err = tern__clGetDeviceInfo(p->device, what, 0, NULL, &n);
    if (p->err != CL_SUCCESS || n == 0)
        return;
    char *text = tern__alloc(n + 1);
    if (!text) {
        p->err = CL_OUT_OF_HOST_MEMORY;
        return;
    }
    ask(p, what, text, n);
    if (p->err == CL_SUCCESS)
        cut_to_fit(out, room, text, n);
    tern__free(text);
}

static cl_int platform_name(cl_platform_id platform, char *out, size_t room)
{
    size_t n = 0;
    cl_int err = tern__clGetPlatformInfo(platform, CL_PLATFORM_NAME, 0, NULL, &n);
    char *text = err == CL_SUCCESS ? tern__alloc(n + 1) : NULL;
    if (err == CL_SUCCESS && !text)
        err = CL_OUT_OF_HOST_MEMORY;
    if (err == CL_SUCCESS)
        err = tern__clGetPlatformInfo(platform, CL_PLATFORM_NAME, n, text, NULL);
    if (err == CL_SUCCESS)
        cut_to_fit(out, room, text, n);
    tern__free(text);
    return err;
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

static void probe_identity(probe *p, tern_device_info *i)
{
    cl_device_type type = 0;
    ask(p, CL_DEVICE_TYPE, &type, sizeof type);
    i->type = type & CL_DEVICE_TYPE_CPU ? TERN_DEVICE_CPU : type & CL_DEVICE_TYPE_GPU ? TERN_DEVICE_GPU : TERN_DEVICE_ACCELERATOR;
    ask_text(p, CL_DEVICE_NAME, i->name, sizeof i->name);
    ask_text(p, CL_DEVICE_VENDOR, i->vendor, sizeof i->vendor);
    ask_text(p, CL_DEVICE_VERSION, i->version, sizeof i->version);
    ask_text(p, CL_DRIVER_VERSION, i->driver, sizeof i->driver);
    ask_text(p, CL_DEVICE_EXTENSIONS, i->extensions, sizeof i->extensions);
}

static void probe_memory(probe *p, tern_device_info *i)
{
    i->global_mem_bytes = ask_ulong(p, CL_DEVICE_GLOBAL_MEM_SIZE);
    i->max_alloc_bytes = ask_ulong(p, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    i->local_mem_bytes = ask_ulong(p, CL_DEVICE_LOCAL_MEM_SIZE);
    i->cache_bytes = ask_ulong(p, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE);
    i->base_align_bytes = ask_uint(p, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    i->unified_memory = ask_bool(p, CL_DEVICE_HOST_UNIFIED_MEMORY);
    cl_device_local_mem_type local = CL_GLOBAL;
    ask(p, CL_DEVICE_LOCAL_MEM_TYPE, &local, sizeof local);
    i->local_mem_dedicated = local == CL_LOCAL;
    if (i->base_align_bytes == 0)
        i->base_align_bytes = 1;
    if (i->max_alloc_bytes == 0)
        i->max_alloc_bytes = i->global_mem_bytes / 4; /* the standard's own minimum */
}

static void probe_compute(probe *p, tern_device_info *i)
{
    size_t group = 1;
    i->compute_units = ask_uint(p, CL_DEVICE_MAX_COMPUTE_UNITS);
    i->clock_mhz = ask_uint(p, CL_DEVICE_MAX_CLOCK_FREQUENCY);
    i->native_vector_f32 = ask_uint(p, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    ask(p, CL_DEVICE_MAX_WORK_GROUP_SIZE, &group, sizeof group);
    i->max_work_group = (uint32_t)TERN_MIN(group, (size_t)UINT32_MAX);
    i->compiler = ask_bool(p, CL_DEVICE_COMPILER_AVAILABLE);
    i->fp16 = has_word(i->extensions, "cl_khr_fp16");
    i->fp64 = has_word(i->extensions, "cl_khr_fp64");
    if (i->native_vector_f32 == 0)
        i->native_vector_f32 = 1;
}

tern_status tern__cl_probe(cl_platform_id platform, cl_device_id device, tern_device_info *out)
{
    tern_device_info i = { 0 };
    probe p = { .device = device };
    p.err = platform_name(platform, i.platform, sizeof i.platform);
    probe_identity(&p, &i);
    probe_memory(&p, &i);
    probe_compute(&p, &i);
    if (p.err != CL_SUCCESS)
        return tern__cl_fail(p.err, "device: asking \"%s\" of platform \"%s\" what it can do failed", i.name, i.platform);
    *out = i;
    return TERN_OK;
}

static tern_status list_add(tern__cl_list *l, cl_platform_id platform, cl_device_id device)
{
    tern_device_info info;
    TERN_TRY(tern__cl_probe(platform, device, &info));
    info.index = l->n;
    int cap = l->cap; /* the two arrays grow together */
    if (!TERN_GROW(l->infos, l->n, cap) || !TERN_GROW(l->devices, l->n, l->cap))
        return tern__fail(TERN_E_NOMEM, "device: no host memory to list %d devices", l->n + 1);
    l->infos[l->n] = info;
    l->devices[l->n++] = device;
    return TERN_OK;
}

static tern_status add_platform(tern__cl_list *l, cl_platform_id platform)
{
    cl_uint n = 0;
    cl_int err = tern__clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &n);
    if (err == CL_DEVICE_NOT_FOUND || (err == CL_SUCCESS && n == 0))
        return TERN_OK;
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "device: asking a platform for its devices failed");
    cl_device_id *ids = tern__alloc_array(n, sizeof *ids);
    if (!ids)
        return tern__fail(TERN_E_NOMEM, "device: no host memory to list %u devices", n);
    err = tern__clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, n, ids, NULL);
    tern_status st = err == CL_SUCCESS ? TERN_OK : tern__cl_fail(err, "device: asking a platform for its %u devices failed", n);
    bool listed = err == CL_SUCCESS;
    for (cl_uint i = 0; listed && i < n; i++) {
        tern_status one = list_add(l, platform, ids[i]); /* a device that does not answer hides no other */
        st = one != TERN_OK ? one : st;
    }
    tern__free(ids);
    return st;
}

static tern_status fail_no_platform(void)
{
    return tern__fail(TERN_E_NO_DEVICE, "device: no OpenCL platform is installed; the Debian package pocl-opencl-icd provides one for "
                                        "any CPU, a graphics card's driver one for the card");
}

static tern_status get_platforms(cl_platform_id **ids, cl_uint *n)
{
    cl_int err = tern__clGetPlatformIDs(0, NULL, n);
    if (err == PLATFORM_NOT_FOUND_KHR || (err == CL_SUCCESS && *n == 0))
        return fail_no_platform();
    if (err != CL_SUCCESS)
        return tern__cl_fail(err, "device: asking for OpenCL platforms failed");
    *ids = tern__alloc_array(*n, sizeof **ids);
    if (!*ids)
        return tern__fail(TERN_E_NOMEM, "device: no host memory to list %u platforms", *n);
    err = tern__clGetPlatformIDs(*n, *ids, NULL);
    if (err != CL_SUCCESS) {
        tern__free(*ids);
        return tern__cl_fail(err, "device: asking for %u OpenCL platforms failed", *n);
    }
    return TERN_OK;
}

tern_status tern__cl_enumerate(tern__cl_list *out)
{
    tern__cl_list l = { 0 };
    cl_platform_id *platforms = NULL;
    cl_uint n = 0;
    TERN_TRY(get_platforms(&platforms, &n));
    tern_status st = TERN_OK;
    for (cl_uint i = 0; i < n; i++) {
        tern_status one = add_platform(&l, platforms[i]); /* nor does a broken platform */
        st = one != TERN_OK ? one : st;
    }
    tern__free(platforms);
    if (l.n > 0) {
        *out = l;
        return TERN_OK;
    }
    tern__cl_list_finish(&l);
    if (st != TERN_OK)
        return st;
    return tern__fail(TERN_E_NO_DEVICE, "device: %u OpenCL platform%s installed but none has a device; the Debian package "
                                        "pocl-opencl-icd provides one for any CPU",
                      n, n == 1 ? " is" : "s are");
}

void tern__cl_list_finish(tern__cl_list *l)
{
    tern__free(l->infos);
    tern__free(l->devices);
}
