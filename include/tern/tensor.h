/* Tensors: dense arrays on the host or on a device, row-major, that go into and come out of a session. */
#ifndef TERN_TENSOR_H
#define TERN_TENSOR_H

#include <tern/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tern_tensor tern_tensor;

/* A host tensor of zeros that owns its memory. Every dimension >= 0; TERN_E_SHAPE for a
 * rank outside 0..TERN_MAX_RANK, a negative dimension or a size that overflows. */
TERN_API tern_status tern_tensor_create(tern_dtype dtype, const tern_shape *shape, tern_tensor **out) TERN_MUST_CHECK;

/* A host tensor over memory the caller keeps alive and unmoved until destroy. */
TERN_API tern_status tern_tensor_wrap(tern_dtype dtype, const tern_shape *shape, void *data, tern_tensor **out) TERN_MUST_CHECK;

/* Frees the tensor (and its memory when owned). NULL is fine. */
TERN_API void tern_tensor_destroy(tern_tensor *t);

TERN_API tern_dtype tern_tensor_dtype(const tern_tensor *t);
TERN_API const tern_shape *tern_tensor_shape(const tern_tensor *t);
/* Number of elements and of bytes. */
TERN_API size_t tern_tensor_elems(const tern_tensor *t);
TERN_API size_t tern_tensor_size_bytes(const tern_tensor *t);
/* The host memory; NULL for a tensor that lives on a device. */
TERN_API void *tern_tensor_data(const tern_tensor *t);

/* NumPy's .npy, version 1.0 to 3.0, C order (a Fortran-ordered file is transposed while read).
 * f16 f32 f64, i8..i64, u8..u64 and bool; bf16 is written as f32. Big-endian files are read.
 * TERN_E_NOT_FOUND, TERN_E_IO, TERN_E_CORRUPT, TERN_E_DTYPE. Saving writes a temporary file and renames it. */
TERN_API tern_status tern_tensor_load_npy(const char *path, tern_tensor **out) TERN_MUST_CHECK;
TERN_API tern_status tern_tensor_save_npy(const tern_tensor *t, const char *path) TERN_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
