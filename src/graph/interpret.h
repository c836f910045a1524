/* A graph evaluated on the host by the ops' scalar references: slow, and what every plan is judged by. */
#ifndef TERN_GRAPH_INTERPRET_H
#define TERN_GRAPH_INTERPRET_H

#include "graph/graph.h"
#include "ops/op.h"

/* The state of one evaluation: an array per value; those of variables live on from run to run. Borrows the graph. */
typedef struct tern__interp {
    const tern_graph *g;
    tern__array *values; /* g->n_values; data NULL until made */
} tern__interp;

/* Variables take their first values. The interpreter is ready for tern__interp_finish even when this fails. */
tern_status tern__interp_init(tern__interp *it, const tern_graph *g);
/* Evaluates every node, then does the assignments, all from the values of this run. inputs[i] is the graph's i-th input,
 * of exactly its type; the bytes are copied. */
tern_status tern__interp_run(tern__interp *it, const tern__array *inputs);
/* The last run's i-th output, and any value; a variable that was assigned shows its new value. Valid until the next run. */
const tern__array *tern__interp_output(const tern__interp *it, int i);
const tern__array *tern__interp_value(const tern__interp *it, tern_value v);
void tern__interp_finish(tern__interp *it);

#endif
