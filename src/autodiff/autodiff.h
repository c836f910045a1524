/* What training needs to know of a graph besides its gradients. */
#ifndef TERN_AUTODIFF_AUTODIFF_H
#define TERN_AUTODIFF_AUTODIFF_H

#include "graph/graph.h"

/* Marks v and every value it is computed from. marks[g->n_values], preset to false. */
void tern__mark_ancestors(const tern_graph *g, tern_value v, bool *marks);

#endif
