/* What gathering and scattering ops share: data seen as [outer, extent, inner] around an axis, and an index's meaning. */
#ifndef TERN_OPS_GATHER_H
#define TERN_OPS_GATHER_H

#include "ops/common.h"

typedef struct tern__gather_map {
    int axis;
    int64_t outer, extent, inner; /* of data */
    int64_t n_indices;
    tern_shape slices;            /* data's shape with the axis replaced by the indices' axes */
} tern__gather_map;
/* From the shapes of data and indices, and attribute 0 (axis). */
tern_status tern__gather_map_of(const tern__node *n, const tern_shape *data, const tern_shape *indices, tern__gather_map *m);

/* gather_elements and scatter_elements: data and indices have one rank, and indices stay inside data along the other axes. */
bool tern__elements_fit(const tern_shape *data, const tern_shape *indices, int axis);

/* The position an index means, negative ones counting from the end; -1 if there is none. */
static inline int64_t tern__gather_at(const tern__array *indices, int64_t i, int64_t extent)
{
    int64_t k = tern__array_get_int(indices, i);
    if (k < 0 && !tern__is_unsigned(indices->type.dtype))
        k += extent;
    return k >= 0 && k < extent ? k : -1;
}

/* Codegen: the element of data at the coordinates `from`, whose one along axis is what the register index says; 0 out of range. An index that is
 * known is an index like any other: nothing is asked at run time. */
struct tern__body;
struct tern__aff;
int tern__gather_value(struct tern__body *b, tern_value data, struct tern__aff *from, int axis, int index);

#endif
