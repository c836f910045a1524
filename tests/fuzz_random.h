/* What the mutators of the fuzz targets share: numbers from a seed, and the values at which arithmetic breaks. */
#ifndef TERN_TESTS_FUZZ_RANDOM_H
#define TERN_TESTS_FUZZ_RANDOM_H

#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static uint64_t fuzz_state;

static inline void fuzz_seed(unsigned seed) { fuzz_state = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15); }

static inline size_t fuzz_draw(size_t below)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return below ? (size_t)((fuzz_state >> 11) % below) : 0;
}

/* Mostly small, where shapes are; now and then something whose product or sum wraps. */
static inline int64_t fuzz_number(void)
{
    static const int64_t edges[] = {-1, 0, 1, INT8_MIN, 17, 300, INT32_MAX, INT32_MIN, INT64_C(1) << 31, INT64_C(1) << 32,
                                    INT64_C(1) << 40, INT64_C(1) << 61, INT64_C(1) << 62, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1};
    return fuzz_draw(4) ? (int64_t)fuzz_draw(12) - 3 : edges[fuzz_draw(sizeof edges / sizeof edges[0])];
}

#endif
