/* Host memory through one door, and sizes that cannot wrap around. */
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/alloc.h"
#include "base/fault.h"

void *tern__alloc(size_t size)
{
    if (size > PTRDIFF_MAX || tern__fault_hit(TERN__FAULT_ALLOC))
        return NULL;
    return calloc(1, size ? size : 1);
}

void *tern__alloc_array(size_t n, size_t size)
{
    size_t bytes;
    return tern__mul_size(n, size, &bytes) ? tern__alloc(bytes) : NULL;
}

void *tern__realloc_array(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (!tern__mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX || tern__fault_hit(TERN__FAULT_ALLOC))
        return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void *tern__memdup(const void *p, size_t size)
{
    void *copy = tern__alloc(size);
    if (copy && size)
        memcpy(copy, p, size);
    return copy;
}

char *tern__strdup(const char *s) { return tern__memdup(s, strlen(s) + 1); }

void tern__free(void *p) { free(p); }

void tern__alloc_trim(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

bool tern__grow(void **items, int n, int *cap, size_t item_size)
{
    if (n < *cap)
        return true;
    if (*cap > INT32_MAX / 2)
        return false;
    int want = *cap ? 2 * *cap : 8;
    void *grown = tern__realloc_array(*items, (size_t)want, item_size);
    if (!grown)
        return false;
    *items = grown;
    *cap = want;
    return true;
}

bool tern__mul_size(size_t a, size_t b, size_t *out)
{
    if (b && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool tern__add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

bool tern__shape_elems(const tern_shape *s, int64_t *out)
{
    const int64_t most_empty = INT64_C(1) << 28; /* so that a loop over the other axes of nothing ends soon */
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < s->rank; i++) {
        int64_t d = s->dim[i];
        if (d == 0) {
            empty = true;
            continue;
        }
        if (d < 0 || n > INT64_MAX / d)
            return false;
        n *= d;
    }
    *out = empty ? 0 : n;
    return !empty || n <= most_empty;
}
