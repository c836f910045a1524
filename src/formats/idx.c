/* IDX files (LeCun's format for MNIST): two zeroes, element type, rank, big-endian extents, bytes. */
#include "formats/idx.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"

#include <string.h>

tern_status tern__idx_parse(const uint8_t *bytes, size_t size, tern_shape *shape, size_t *data_at)
{
    enum { UNSIGNED_BYTE = 8 };
    if (size < 4 || bytes[0] || bytes[1])
        return tern__fail(TERN_E_CORRUPT, "idx: %s", size < 4 ? "too short for a header" : "the file does not start like one");
    if (bytes[2] != UNSIGNED_BYTE)
        return tern__fail(TERN_E_UNSUPPORTED, "idx: element type 0x%02x; only unsigned bytes (0x08) are read", bytes[2]);
    int rank = bytes[3];
    if (rank > TERN_MAX_RANK)
        return tern__fail(TERN_E_UNSUPPORTED, "idx: rank %d is above %d", rank, TERN_MAX_RANK);
    size_t at = 4 + 4 * (size_t)rank;
    if (size < at)
        return tern__fail(TERN_E_CORRUPT, "idx: %zu bytes are too few for the extents of rank %d", size, rank);
    tern_shape s = {.rank = rank};
    for (int i = 0; i < rank; i++) {
        const uint8_t *p = bytes + 4 + 4 * i;
        s.dim[i] = (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | p[3];
    }
    int64_t elems;
    if (!tern__shape_elems(&s, &elems) || (uint64_t)elems != size - at)
        return tern__fail(TERN_E_CORRUPT, "idx: %zu bytes of data do not fill the extents in the header", size - at);
    *shape = s;
    *data_at = at;
    return TERN_OK;
}

tern_status tern__idx_load(const char *path, size_t limit, tern__idx *out)
{
    uint8_t *bytes = NULL;
    size_t size = 0, at = 0;
    tern_shape shape;
    TERN_TRY(tern__file_read_gz(path, limit, &bytes, &size));
    tern_status st = tern__idx_parse(bytes, size, &shape, &at);
    if (st != TERN_OK) {
        tern__free(bytes);
        return tern__fail_in(st, "%s", path);
    }
    memmove(bytes, bytes + at, size - at);
    out->shape = shape;
    out->data = bytes;
    return TERN_OK;
}
