/* XXH3, header only. */
#include <stdio.h>
#include <string.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.h"

tern__digest tern__hash(const void *data, size_t size)
{
    XXH128_hash_t h = XXH3_128bits(size ? data : "", size);
    return (tern__digest){.lo = h.low64, .hi = h.high64};
}

tern__digest tern__hash_more(tern__digest d, const void *data, size_t size)
{
    tern__digest more = tern__hash(data, size);
    uint64_t both[4] = {d.lo, d.hi, more.lo, more.hi};
    uint8_t bytes[sizeof both]; /* little-endian everywhere: digests are stored in files */
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(both[i / 8] >> (8 * (i % 8)));
    return tern__hash(bytes, sizeof bytes);
}

/* Random bytes that the kernel gives each process; elsewhere the library's address. */
static uint64_t seed(void)
{
    static const char here = 0;
    uint64_t x = (uint64_t)(uintptr_t)&here;
#ifdef __linux__
    const void *random = (const void *)getauxval(AT_RANDOM);
    if (random)
        memcpy(&x, random, sizeof x);
#endif
    return x;
}

uint32_t tern__hash_text(const char *s) { return (uint32_t)XXH3_64bits_withSeed(s, strlen(s), seed()); }

bool tern__digest_equal(tern__digest a, tern__digest b) { return a.lo == b.lo && a.hi == b.hi; }

void tern__digest_hex(tern__digest d, char out[33])
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
}
