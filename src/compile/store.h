/* Variables on a device, by name, shared by the sessions that use them. */
#ifndef TERN_COMPILE_STORE_H
#define TERN_COMPILE_STORE_H

#include <tern/session.h>

#include "device/device.h"
#include "graph/graph.h"

tern_store *tern__store_retain(tern_store *s);

/* The memory of a variable, borrowed; made with the graph's first value when the store has none of this name.
 * TERN_E_SHAPE, TERN_E_DTYPE if the store's differs. */
tern_status tern__store_variable(tern_store *s, const tern_graph *g, tern_value v, tern__buffer **out);

#endif
