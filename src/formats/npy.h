/* NumPy's .npy from bytes in memory. */
#ifndef TERN_FORMATS_NPY_H
#define TERN_FORMATS_NPY_H

#include <tern/tensor.h>

/* Parses a whole .npy file held in memory; the tensor owns a copy. TERN_E_CORRUPT, TERN_E_DTYPE, TERN_E_UNSUPPORTED, TERN_E_NOMEM. */
tern_status tern__npy_parse(const uint8_t *bytes, size_t size, tern_tensor **out);

#endif
