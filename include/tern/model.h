/* Model files: a graph with its weights in one file, written whole or not at all. */
#ifndef TERN_MODEL_H
#define TERN_MODEL_H

#include <tern/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a .tern file. Everything in it is checked before use: TERN_E_NOT_FOUND, TERN_E_IO, TERN_E_CORRUPT
 * (with what is wrong and where), TERN_E_UNSUPPORTED for a newer version or an unknown op. */
TERN_API tern_status tern_model_load(const char *path, tern_graph **out) TERN_MUST_CHECK;

/* Writes a temporary file beside path, syncs it and renames it: path is either the old file or the whole new one. */
TERN_API tern_status tern_model_save(const tern_graph *g, const char *path) TERN_MUST_CHECK;

/* The graph's variables and constants as a .safetensors file, and back into variables of the same names. */
TERN_API tern_status tern_weights_save(const tern_graph *g, const char *path) TERN_MUST_CHECK;
TERN_API tern_status tern_weights_load(tern_graph *g, const char *path) TERN_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
