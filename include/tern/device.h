/* Devices: listing, choosing, opening and measuring them. */
#ifndef TERN_DEVICE_H
#define TERN_DEVICE_H

#include <tern/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_device tern_device;

typedef enum tern_device_type {
    TERN_DEVICE_CPU,
    TERN_DEVICE_GPU,
    TERN_DEVICE_ACCELERATOR, /* FPGAs and others */
    TERN_DEVICE_NULL,        /* plans, never computes: for tests and for looking at plans */
} tern_device_type;

/* What was asked of the driver, and never assumed. Strings are NUL-terminated and cut to fit. */
typedef struct tern_device_info {
    int index;               /* position in tern_device_list(), what --device takes */
    tern_device_type type;
    char name[128], vendor[128], platform[128];
    char version[64], driver[64]; /* "OpenCL 1.2 ...", driver version */
    uint64_t global_mem_bytes, max_alloc_bytes, local_mem_bytes, cache_bytes;
    uint32_t compute_units, clock_mhz, max_work_group, base_align_bytes;
    uint32_t native_vector_f32; /* native width in floats: 16 on AVX-512, 8 on AVX2, 1 on most GPUs */
    bool unified_memory;     /* host and device share memory: mapping costs nothing */
    bool local_mem_dedicated;/* CL_LOCAL rather than CL_GLOBAL */
    bool fp16, fp64;         /* arithmetic in those types; f16 storage works everywhere */
    bool compiler;           /* builds kernels from source at run time */
    bool chosen;             /* the one that an empty selection opens */
    char extensions[2048];
    char why[192];           /* why it is, or is not, the chosen one */
} tern_device_info;

typedef struct tern_device_params {
    /* An index ("0"), a type ("cpu", "gpu", "accelerator", "null"), or part of a name, any case.
     * NULL or "" takes $TERN_DEVICE, and if that is unset the best device there is. "null:gpu"
     * and "null:cpu" choose the family that the null device pretends to belong to. */
    const char *select;
    /* Where built programs are kept: NULL for $TERN_CACHE_DIR, else $XDG_CACHE_HOME/tern, else ~/.cache/tern.
     * "" keeps none. */
    const char *cache_dir;
    /* Event profiling on the queue, which tern_session_trace() needs. */
    bool profile;
    /* Force a kernel family: NULL for what the device's capabilities say, else "cpu" or "simt". */
    const char *family;
} tern_device_params;

/* Every device of every platform. *infos is one block for tern_device_list_free().
 * TERN_E_NO_DEVICE when there is no platform; the sentence names a package that provides one. */
TERN_API tern_status tern_device_list(tern_device_info **infos, int *n) TERN_MUST_CHECK;
TERN_API void tern_device_list_free(tern_device_info *infos);

/* Opens a device with a context and a queue of its own. params may be NULL.
 * TERN_E_NO_DEVICE for a selection that fits nothing; the sentence lists what there is. */
TERN_API tern_status tern_device_open(const tern_device_params *params, tern_device **out) TERN_MUST_CHECK;

/* Gives up the caller's reference. Sessions and tensors made from the device keep their own,
 * so any closing order is safe. NULL is fine. */
TERN_API void tern_device_close(tern_device *d);

TERN_API void tern_device_get_info(const tern_device *d, tern_device_info *out);

/* Measured peaks of this device: f32 multiply-adds in 10^9 operations a second and copy bandwidth
 * in 10^9 bytes a second (bytes read plus bytes written). Takes about a second. */
typedef struct tern_device_speed {
    double gflops, gbytes_per_s;
} tern_device_speed;
TERN_API tern_status tern_device_measure(tern_device *d, tern_device_speed *out) TERN_MUST_CHECK;

/* Instructions beyond OpenCL's, which kernels use where a small kernel that was compiled and run gave the right results with them. The first call finds out. */
typedef struct tern_device_features {
    bool dot8;   /* dot products of bytes, summed in i32 */
    bool matrix; /* products of whole tiles of f16, summed in f32 */
} tern_device_features;
TERN_API tern_status tern_device_get_features(tern_device *d, tern_device_features *out) TERN_MUST_CHECK;

/* The on-disk program cache of this device's params: how much is there, and removing all of it. */
typedef struct tern_cache_info {
    char dir[1024];
    int64_t n_entries, size_bytes;
} tern_cache_info;
TERN_API tern_status tern_cache_get_info(const char *cache_dir, tern_cache_info *out) TERN_MUST_CHECK;
TERN_API tern_status tern_cache_clear(const char *cache_dir, int64_t *n_removed) TERN_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
