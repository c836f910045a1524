/* IDX files: the byte arrays that MNIST and its relatives come in. */
#ifndef TERN_FORMATS_IDX_H
#define TERN_FORMATS_IDX_H

#include <tern/base.h>

typedef struct tern__idx {
    tern_shape shape;
    uint8_t *data; /* dense, row-major; for tern__free */
} tern__idx;

/* Reads a file of unsigned bytes, gzip or not, of at most limit bytes unpacked (0: no limit).
 * TERN_E_CORRUPT for a damaged one, TERN_E_UNSUPPORTED for other element types, and as tern__file_read_gz. */
tern_status tern__idx_load(const char *path, size_t limit, tern__idx *out);

/* The shape in the first bytes of a file of size bytes in memory, and where its data starts. */
tern_status tern__idx_parse(const uint8_t *bytes, size_t size, tern_shape *shape, size_t *data_at);

#endif
