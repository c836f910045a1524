/* The model file: a safetensors file whose metadata holds the graph.
 *   tensors               a variable under its name; constants as const/0, const/1 ...
 *   __metadata__
 *     "tern.version"      the format's version in decimal
 *     "tern.graph"        JSON (below)
 *     "tern.checksum"     XXH3-128 in hex over the graph's text and then each variable's and constant's bytes, in the graph's order
 * {"inputs":    [{"name", "dtype", "shape", "free_axes"}],
 *  "variables": [{"name", "dtype", "shape", "trainable"}],
 *  "constants": [{"tensor", "dtype", "shape"}],
 *  "nodes":     [{"op", "in": [ids, -1 for none], "attrs": {given ones}, "out": [{"dtype", "shape"}]}],
 *  "outputs":   [{"name", "value"}],
 *  "assigns":   [{"variable", "value"}]}
 * Ids count inputs, then variables, constants and the nodes' outputs, from 0. */
#ifndef TERN_FORMATS_MODEL_H
#define TERN_FORMATS_MODEL_H

#include "formats/safetensors.h"
#include "graph/graph.h"

#define TERN__MODEL_VERSION 1

/* A whole model file in memory, as tern_model_load reads it from disk. */
tern_status tern__model_parse(const uint8_t *bytes, size_t size, tern_graph **out);

/* A graph's variables and constants, in that order and each by rising value: what the file holds as tensors. */
typedef struct tern__model_tensors {
    tern__st_tensor *list;
    int n, n_variables;
    char *names;        /* of the constants */
    tern_value *values; /* n of them */
} tern__model_tensors;
tern_status tern__model_tensors_init(tern__model_tensors *t, const tern_graph *g);
void tern__model_tensors_finish(tern__model_tensors *t);

#endif
