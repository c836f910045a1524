/* Tensors from inside: the device buffer behind one, and tensors over buffers. */
#ifndef TERN_DEVICE_TENSOR_H
#define TERN_DEVICE_TENSOR_H

#include <tern/tensor.h>

#include "device/device.h"

/* Checks dtype and shape; elems and bytes may be NULL. TERN_E_DTYPE, TERN_E_SHAPE with the values. */
tern_status tern__tensor_measure(tern_dtype dtype, const tern_shape *shape, size_t *elems, size_t *bytes);

/* A device tensor over b, which is retained. TERN_E_SHAPE if b is too small. */
tern_status tern__tensor_on_device(tern_dtype dtype, const tern_shape *shape, tern__buffer *b, tern_tensor **out);

/* The device memory, borrowed; NULL for a host tensor. */
tern__buffer *tern__tensor_buffer(const tern_tensor *t);

#endif
