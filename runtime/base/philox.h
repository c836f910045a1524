/* Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011). The kernels compute the same bits (kernels/lib/philox.clh). */
#ifndef TERN_BASE_PHILOX_H
#define TERN_BASE_PHILOX_H

#include <stdint.h>

/* Four words from a 128-bit counter and a 64-bit key. */
void tern__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* The i-th word of the stream (seed, stream): word i%4 of counter {i/4 lo, i/4 hi, stream lo, stream hi}, key = seed. */
uint32_t tern__philox_word(uint64_t seed, uint64_t stream, uint64_t i);
/* The i-th uniform number in [0,1): the word's upper 24 bits * 2^-24. */
float tern__philox_uniform(uint64_t seed, uint64_t stream, uint64_t i);
/* The i-th standard normal number: Box-Muller on words 2i and 2i+1, cosine branch: sqrt(-2 ln u) cos(2 pi v) with
 * u = ((word 2i >> 8) + 1) * 2^-24 in (0,1], v = (word 2i+1 >> 8) * 2^-24. */
float tern__philox_normal(uint64_t seed, uint64_t stream, uint64_t i);

#endif
