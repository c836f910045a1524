/* A 128-bit digest (XXH3) for cache keys and checksums, which finds damage, not malice; and places in tables of names. */
#ifndef TERN_BASE_HASH_H
#define TERN_BASE_HASH_H

#include <tern/base.h>

typedef struct tern__digest { uint64_t lo, hi; } tern__digest;

tern__digest tern__hash(const void *data, size_t size);
/* Digest of a digest and more data: order matters. */
tern__digest tern__hash_more(tern__digest d, const void *data, size_t size);
bool tern__digest_equal(tern__digest a, tern__digest b);
/* A number for a text's place in a table in memory: another one in each process, so that no file can hold names that all fall together. */
uint32_t tern__hash_text(const char *s);
/* 32 hex digits and a NUL. */
void tern__digest_hex(tern__digest d, char out[33]);

#endif
