/* dce: nodes that no result needs go. */
#include "passes/pass.h"

/* The rewriting walk visits only what outputs and assignments need, so copying is all there is to do. */
static tern_status run(const tern_graph *in, tern_graph **out)
{
    return tern__graph_rewrite(in, NULL, tern__rewrite_copy, out);
}

const tern__pass tern__pass_dce = {.name = "dce", .doc = "drops nodes whose results nobody uses", .run = run};
