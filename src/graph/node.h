/* What the files of src/graph share among themselves: making and freeing nodes, adding raw values, near names. */
#ifndef TERN_GRAPH_NODE_H
#define TERN_GRAPH_NODE_H

#include "graph/graph.h"
#include "ops/op.h"

/* A node with room for its inputs, outputs and attributes; attributes hold the op's defaults. NULL: no memory. */
tern__node *tern__node_create(const tern__op *op, int n_in, int n_out);
/* Frees the node and what its attributes own; accepts half-built nodes and NULL. */
void tern__node_destroy(tern__node *n);
/* Gives dst (fresh from tern__node_create for the same op) the attributes of src. false: no memory. */
bool tern__node_copy_attrs(tern__node *dst, const tern__node *src);

/* Appends a value of this type, after checking that its bytes can be counted. TERN_NONE latches. */
tern_value tern__graph_push(tern_graph *g, tern__value_kind kind, const tern__type *t);

/* Infers the types of n's outputs from its inputs. types[n->n_out]; layouts come out plain. */
tern_status tern__node_infer(const tern_graph *g, const tern__node *n, tern__type *types);
/* Infers, appends the outputs' values and takes the node over (or frees it, on failure). outs may be NULL. */
void tern__graph_push_node(tern_graph *g, tern__node *n, tern_value *outs);

/* Appends "; did you mean A, B?" for names that resemble word; nothing where none does. */
void tern__near_names(tern__str *s, const char *word, const char *(*name)(const void *user, int i), const void *user, int n);

#endif
