/* What gather_nd and scatter_nd share: tuples of indices as places in a list of slices. */
#ifndef TERN_OPS_ND_H
#define TERN_OPS_ND_H

#include "ops/common.h"

/* data seen as [batch][places][inner], indices as [batch][count][depth]. */
typedef struct tern__nd_map {
    int batch_dims, depth;
    int64_t batch, places, inner, count;
    tern_shape slices; /* of indices without its last axis, then data's axes from batch_dims + depth on */
} tern__nd_map;
tern_status tern__nd_map_of(const tern__node *n, int batch_dims, const tern_shape *data, const tern_shape *indices, tern__nd_map *m);

/* i64 [batch * count]: where the slice of each tuple lies among the batch * places of data; a tuple that is out of range lies behind them all. */
tern_value tern__nd_places(tern_graph *g, const tern__nd_map *m, const tern_shape *data, tern_value indices);
/* v as [rows][inner]. */
tern_value tern__nd_rows(tern_graph *g, const tern__nd_map *m, tern_value v, int64_t rows);

#endif
