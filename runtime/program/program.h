/* Programs: kernel sources by name (embedded, or replaced from $TERN_KERNEL_PATH), built through the on-disk cache. */
#ifndef TERN_PROGRAM_PROGRAM_H
#define TERN_PROGRAM_PROGRAM_H

#include "base/str.h"
#include "device/device.h"

/* The text of kernels/NAME ("lib/io.clh", "gemm_cpu.cl"). From $TERN_KERNEL_PATH/NAME if that file exists, else embedded.
 * Borrowed, lives as long as the process. TERN_E_NOT_FOUND. */
tern_status tern__source_get(const char *name, const char **text, size_t *len);

/* Appends a source preceded by a #line directive, so that a build error names kernels/NAME and its line. Where one of its own lines reads #include "NAME", that
 * source stands in its place, whose lines are taken as they are. */
tern_status tern__source_append(tern__str *out, const char *name);

/* Builds source for d, from the cache when it can. *cached tells. TERN_E_BUILD carries the first lines of the compiler's log. */
tern_status tern__program_build(tern_device *d, const char *source, size_t len, const char *options, bool *cached, tern__program **out);
/* Builds n programs at once, on as many threads as the machine has cores. All or none. */
tern_status tern__program_build_many(tern_device *d, int n, const tern__str *sources, const char *options, int *n_cached, tern__program **out);
tern__program *tern__program_retain(tern__program *p);
void tern__program_release(tern__program *p);

tern_status tern__kernel_create(tern__program *p, const char *name, tern__kernel **out);
void tern__kernel_release(tern__kernel *k);

#endif
