/* What searching and trying share: a problem as a session of its own. */
#ifndef TERN_TUNE_TUNE_H
#define TERN_TUNE_TUNE_H

#include <tern/session.h>
#include <tern/tune.h>

#include "compile/tuned.h"

/* Compiles a problem's graph with a choice ("": the cost model's), and finds the group that runs it. TERN_E_UNSUPPORTED if this device makes another
 * problem of it. */
tern_status tern__tune_session(tern_device *d, const tern_graph *g, const char *problem, const char *choice, tern_session **out, int *group);

#endif
