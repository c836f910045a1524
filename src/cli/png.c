/* Small grey pictures as PNG in a data: URI: stored (uncompressed) deflate needs no library. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    uint8_t *at;
    size_t n;
} bytes;

static void put(bytes *b, const void *data, size_t n)
{
    memcpy(b->at + b->n, data, n);
    b->n += n;
}

static void put_u32(bytes *b, uint32_t x)
{
    put(b, (uint8_t[]){(uint8_t)(x >> 24), (uint8_t)(x >> 16), (uint8_t)(x >> 8), (uint8_t)x}, 4);
}

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffffu;
    while (n--) {
        c ^= *p++;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    }
    return c ^ 0xffffffffu;
}

static uint32_t adler32_of(const uint8_t *p, size_t n)
{
    uint32_t a = 1, b = 0;
    while (n--) {
        a = (a + *p++) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* Length, type, data, checksum of type and data. */
static void put_chunk(bytes *b, const char type[4], const uint8_t *data, size_t n)
{
    put_u32(b, (uint32_t)n);
    size_t from = b->n;
    put(b, type, 4);
    put(b, data, n);
    put_u32(b, crc32_of(b->at + from, b->n - from));
}

static void write_base64(FILE *to, const uint8_t *p, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t x = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        fputc(digit[x >> 18], to);
        fputc(digit[x >> 12 & 63], to);
        fputc(i + 1 < n ? digit[x >> 6 & 63] : '=', to);
        fputc(i + 2 < n ? digit[x & 63] : '=', to);
    }
}

/* zlib header, one stored block, checksum. Each row starts with its filter, 0. */
static void put_pixels(bytes *z, const uint8_t *pixels, int width, int height, bool invert)
{
    size_t raw = (size_t)height * ((size_t)width + 1);
    put(z, (uint8_t[]){0x78, 0x01, 0x01, (uint8_t)raw, (uint8_t)(raw >> 8), (uint8_t)~raw, (uint8_t)(~raw >> 8)}, 7);
    size_t from = z->n;
    for (int y = 0; y < height; y++) {
        z->at[z->n++] = 0;
        for (int x = 0; x < width; x++) {
            uint8_t v = pixels[(size_t)y * (size_t)width + (size_t)x];
            z->at[z->n++] = invert ? (uint8_t)(255 - v) : v;
        }
    }
    put_u32(z, adler32_of(z->at + from, raw));
}

void png_write_uri(FILE *to, const uint8_t *pixels, int width, int height, bool invert)
{
    size_t raw = (size_t)height * ((size_t)width + 1);
    if (width < 1 || height < 1 || raw > 65535) /* one stored block holds no more */
        return;
    bytes z = {malloc(raw + 16), 0}, png = {malloc(raw + 128), 0};
    if (z.at && png.at) {
        uint8_t header[13] = {0};
        bytes h = {header, 0};
        put_u32(&h, (uint32_t)width);
        put_u32(&h, (uint32_t)height);
        header[8] = 8; /* bits; the rest: grey, deflate, standard filters, not interlaced */
        put(&png, "\x89PNG\r\n\x1a\n", 8);
        put_chunk(&png, "IHDR", header, sizeof header);
        put_pixels(&z, pixels, width, height, invert);
        put_chunk(&png, "IDAT", z.at, z.n);
        put_chunk(&png, "IEND", header, 0);
        fputs("data:image/png;base64,", to);
        write_base64(to, png.at, png.n);
    }
    free(z.at);
    free(png.at);
}
