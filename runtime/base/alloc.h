/* Host memory: every allocation is zeroed, counted and can be made to fail. */
#ifndef TERN_BASE_ALLOC_H
#define TERN_BASE_ALLOC_H

#include <tern/base.h>

/* Zeroed memory, or NULL (no sentence is recorded). size 0 gives a valid pointer. */
void *tern__alloc(size_t size);
/* n * size bytes, NULL on overflow too. */
void *tern__alloc_array(size_t n, size_t size);
/* Grows or shrinks; new bytes are not zeroed. On failure the old block stays valid. */
void *tern__realloc_array(void *p, size_t n, size_t size);
void *tern__memdup(const void *p, size_t size);
char *tern__strdup(const char *s);
void tern__free(void *p); /* NULL is fine */
/* Gives the system the pages that lie free in the heap, which takes about a millisecond for each 100 MB of it: for the end of what frees much. */
void tern__alloc_trim(void);

/* Makes room for one more element in a growing array: *items has *cap slots, n used. Doubles. false: no memory. */
bool tern__grow(void **items, int n, int *cap, size_t item_size);
#define TERN_GROW(items, n, cap) tern__grow((void **)&(items), (n), &(cap), sizeof *(items))

/* Checked size arithmetic: false when the result would not fit. */
bool tern__mul_size(size_t a, size_t b, size_t *out);
bool tern__add_size(size_t a, size_t b, size_t *out);
/* Number of elements of a shape whose dimensions are all >= 0; false on overflow of int64, and where a shape without elements has other extents whose
 * product is beyond 2^28. */
bool tern__shape_elems(const tern_shape *s, int64_t *out);

#endif
