/* Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). */
#include <math.h>

#include "base/philox.h"

void tern__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t tern__philox_word(uint64_t seed, uint64_t stream, uint64_t i)
{
    uint64_t block = i / 4;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    tern__philox(counter, key, out);
    return out[i % 4];
}

float tern__philox_uniform(uint64_t seed, uint64_t stream, uint64_t i)
{
    return (float)(tern__philox_word(seed, stream, i) >> 8) * 0x1p-24f;
}

float tern__philox_normal(uint64_t seed, uint64_t stream, uint64_t i)
{
    /* The first number is taken from (0,1] so that its logarithm is finite. */
    float u = (float)((tern__philox_word(seed, stream, 2 * i) >> 8) + 1) * 0x1p-24f;
    float v = tern__philox_uniform(seed, stream, 2 * i + 1);
    return sqrtf(-2.0f * logf(u)) * cosf(6.28318530717958647692f * v);
}
