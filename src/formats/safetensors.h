/* safetensors: named tensors behind a JSON header, read from memory and written whole. */
#ifndef TERN_FORMATS_SAFETENSORS_H
#define TERN_FORMATS_SAFETENSORS_H

#include "formats/json.h"

typedef struct tern__st_tensor {
    const char *name;
    tern_dtype dtype;
    tern_shape shape;
    size_t size;
    const uint8_t *data; /* may be unaligned in a file that was read */
} tern__st_tensor;

typedef struct tern__safetensors {
    tern__st_tensor *tensors; /* in the order of their data */
    int n;
    tern__json_doc header; /* owns the names */
} tern__safetensors;

/* Reads the header in bytes (a whole file) and checks all of it: types, shapes, and that the tensors fill the data without
 * gap or overlap. The result points into bytes; tern__safetensors_finish it. TERN_E_CORRUPT; TERN_E_UNSUPPORTED for an element type or rank that
 * Tern does not have and for a header over 100 MB; TERN_E_NOMEM. */
tern_status tern__safetensors_parse(const uint8_t *bytes, size_t size, tern__safetensors *out);
void tern__safetensors_finish(tern__safetensors *st);

/* The tensor of that name, NULL if there is none. */
const tern__st_tensor *tern__safetensors_find(const tern__safetensors *st, const char *name);
/* The text of a __metadata__ entry, NULL if there is none. */
const char *tern__safetensors_meta(const tern__safetensors *st, const char *key);

typedef struct tern__st_meta { const char *key, *value; } tern__st_meta;

/* Writes the file whole or not at all. Tensors' data goes out by falling element size, so that each is aligned;
 * names must be UTF-8 and differ (TERN_E_INVALID if not UTF-8 or "__metadata__"). */
tern_status tern__safetensors_write(const char *path, const tern__st_tensor *tensors, int n, const tern__st_meta *meta, int n_meta);

#endif
