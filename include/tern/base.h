/* Status codes, the reason behind the last failure, element types and version. */
#ifndef TERN_BASE_H
#define TERN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TERN_API __attribute__((visibility("default")))
#define TERN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TERN_MUST_CHECK __attribute__((warn_unused_result))
#else
#define TERN_API
#define TERN_PRINTF(fmt, args)
#define TERN_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What became of a call. Everything but TERN_OK leaves out-parameters untouched
 * and a sentence with the values in tern_last_error(). */
typedef enum tern_status {
    TERN_OK = 0,
    TERN_E_INVALID,       /* an argument that makes no sense */
    TERN_E_SHAPE,         /* shapes that do not fit each other or the op */
    TERN_E_DTYPE,         /* an element type the op does not take */
    TERN_E_UNSUPPORTED,   /* meaningful, but not something Tern can do */
    TERN_E_NOT_FOUND,     /* no such file, op, value, data set, variable */
    TERN_E_IO,            /* the operating system refused a file operation */
    TERN_E_CORRUPT,       /* a file that is not what it says it is */
    TERN_E_NOMEM,         /* host memory ran out */
    TERN_E_NO_DEVICE,     /* no OpenCL platform or no device that fits */
    TERN_E_DEVICE,        /* the driver refused or failed a call */
    TERN_E_DEVICE_MEMORY, /* the device's memory ran out or an allocation is over its limit */
    TERN_E_BUILD,         /* a kernel did not compile */
    TERN_E_MISMATCH,      /* a result differs from the reference (certify) */
    TERN_E_DYNAMIC,       /* a model that is no single graph: shapes or branches depend on what only a run knows */
} tern_status;

/* "TERN_E_SHAPE" and so on; never NULL. */
TERN_API const char *tern_status_name(tern_status st);

/* The sentence of this thread's last failed call; "" if none failed yet. Owned by
 * the library, valid until the thread's next failing call. */
TERN_API const char *tern_last_error(void);

/* "MAJOR.MINOR.PATCH" of the library in use. */
TERN_API const char *tern_version(void);

/* Element types. f16 and bf16 are storage types: arithmetic on them is done in f32. */
typedef enum tern_dtype {
    TERN_F32,
    TERN_F16,
    TERN_BF16,
    TERN_F64,
    TERN_I8,
    TERN_I16,
    TERN_I32,
    TERN_I64,
    TERN_U8,
    TERN_U16,
    TERN_U32,
    TERN_U64,
    TERN_BOOL, /* one byte, 0 or 1 */
    TERN_DTYPE_COUNT
} tern_dtype;

/* Bytes of one element; 0 for a value outside the enum. */
TERN_API size_t tern_dtype_size(tern_dtype t);
/* "f32", "i64", "bool"; "?" for a value outside the enum. */
TERN_API const char *tern_dtype_name(tern_dtype t);
/* The inverse of tern_dtype_name. TERN_E_NOT_FOUND for another word. */
TERN_API tern_status tern_dtype_parse(const char *name, tern_dtype *out) TERN_MUST_CHECK;

/* The largest number of dimensions a tensor has. */
#define TERN_MAX_RANK 8

/* Sizes a tensor's extent along each axis, outermost first; rank 0 is a scalar. */
typedef struct tern_shape {
    int rank;
    int64_t dim[TERN_MAX_RANK];
} tern_shape;

#ifdef __cplusplus
}
#endif
#endif
