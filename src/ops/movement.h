/* What movement ops' attributes come to for given shapes: read by shape rules, references and index maps alike. */
#ifndef TERN_OPS_MOVEMENT_H
#define TERN_OPS_MOVEMENT_H

#include "ops/common.h"

/* slice: element c along an axis comes from begin + c * step. */
typedef struct tern__slice_map {
    int64_t begin[TERN_MAX_RANK], step[TERN_MAX_RANK], count[TERN_MAX_RANK];
} tern__slice_map;
tern_status tern__slice_map_of(const tern__node *n, const tern_shape *in, tern__slice_map *m);

/* pad: elements before and after each axis; negative ones crop. */
typedef enum tern__pad_mode { TERN__PAD_CONSTANT, TERN__PAD_EDGE, TERN__PAD_REFLECT, TERN__PAD_WRAP } tern__pad_mode;
typedef struct tern__pad_map {
    tern__pad_mode mode;
    double value; /* CONSTANT */
    int64_t before[TERN_MAX_RANK], after[TERN_MAX_RANK];
} tern__pad_map;
tern_status tern__pad_map_of(const tern__node *n, const tern_shape *in, tern__pad_map *m);
/* Where coordinate c of the result comes from along an axis of the given extent; -1: the constant. */
int64_t tern__pad_source(const tern__pad_map *m, int axis, int64_t extent, int64_t c);

/* transpose: axis i of the result is axis perm[i] of x. */
tern_status tern__transpose_perm(const tern__node *n, int rank, int perm[TERN_MAX_RANK]);

#endif
