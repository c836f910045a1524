/* State that all parts of a training graph share. */
#ifndef TERN_TRAIN_TRAIN_H
#define TERN_TRAIN_TRAIN_H

#include "graph/graph.h"

/* The rank-0 f32 variable of this name; made with this first value if the graph has none. */
tern_value tern__train_number(tern_graph *g, const char *name, double first);

#define TERN__TRAIN_STEP "train/step" /* runs done so far */
#define TERN__TRAIN_LR "train/lr"

#endif
