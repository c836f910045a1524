/* Finding out whether the device has a dot product of bytes: by compiling, running and comparing. */
#include "program/dot8.h"

#include <stdint.h>
#include <string.h>

#include "base/status.h"
#include "program/program.h"

enum { LANES = 16, STEPS = 4, BYTES = LANES * STEPS * 4 };

/* Bytes that tell a right answer from sums that saturate or take the wrong operand as signed: extremes first, then a bit of everything. */
static void fill(uint8_t *x, int8_t *w, int32_t *y)
{
    for (int i = 0; i < BYTES; i++) {
        x[i] = (uint8_t)(i < BYTES / 2 ? 255 - i % 3 : i * 37);
        w[i] = (int8_t)(i < BYTES / 4 ? 127 : i < BYTES / 2 ? -128 : (i * 91) % 256 - 128);
    }
    for (int i = 0; i < LANES; i++)
        y[i] = i * 1000 - 7;
}

static void expect(const uint8_t *x, const int8_t *w, int32_t *y)
{
    for (int i = 0; i < BYTES; i++)
        y[i / 4 % LANES] += x[i] * w[i];
}

static tern_status buffer_of(tern_device *d, const void *data, size_t size, tern__buffer **out)
{
    TERN_TRY(tern__buffer_create(d, size, out));
    return tern__buffer_write(*out, 0, data, size);
}

static tern_status run(tern_device *d, tern__program *p, const uint8_t *x, const int8_t *w, int32_t *y)
{
    tern__buffer *b[3] = {NULL, NULL, NULL};
    tern__kernel *k = NULL;
    tern__arg steps = {.kind = TERN__ARG_SCALAR, .scalar = {STEPS}, .size = sizeof(int32_t)};
    tern_status st = tern__kernel_create(p, "probe_dot8", &k);
    if (st == TERN_OK)
        st = buffer_of(d, x, BYTES, &b[0]);
    if (st == TERN_OK)
        st = buffer_of(d, w, BYTES, &b[1]);
    if (st == TERN_OK)
        st = buffer_of(d, y, LANES * sizeof *y, &b[2]);
    for (int i = 0; i < 3 && st == TERN_OK; i++)
        st = tern__kernel_set_arg(k, i, &(tern__arg){.kind = TERN__ARG_BUFFER, .buffer = b[i]});
    if (st == TERN_OK)
        st = tern__kernel_set_arg(k, 3, &steps);
    if (st == TERN_OK)
        st = tern__kernel_launch(k, 3, (const size_t[3]){1, 1, 1}, (const size_t[3]){1, 1, 1}, NULL);
    if (st == TERN_OK)
        st = tern__buffer_read(b[2], 0, y, LANES * sizeof *y);
    for (int i = 0; i < 3; i++)
        tern__buffer_release(b[i]);
    tern__kernel_release(k);
    return st;
}

/* TERN_OK with *right, or why it could not be found out. */
static tern_status ask(tern_device *d, bool *right)
{
    uint8_t x[BYTES];
    int8_t w[BYTES];
    int32_t y[LANES], want[LANES];
    tern__str source = {0};
    tern__program *p = NULL;
    bool cached;
    *right = false;
    fill(x, w, y);
    fill(x, w, want);
    expect(x, w, want);
    tern_status st = tern__source_append(&source, "probe_dot8.cl");
    if (st == TERN_OK && source.failed)
        st = tern__fail(TERN_E_NOMEM, "dot8: no memory for a kernel's text");
    if (st == TERN_OK)
        st = tern__program_build(d, tern__str_text(&source), source.len, "", &cached, &p);
    if (st == TERN_OK)
        st = run(d, p, x, w, y);
    tern__program_release(p);
    tern__str_finish(&source);
    *right = st == TERN_OK && memcmp(y, want, sizeof y) == 0;
    return st == TERN_E_BUILD ? TERN_OK : st;
}

bool tern__device_dot8(tern_device *d)
{
    const int known = __atomic_load_n(&d->dot8, __ATOMIC_ACQUIRE);
    if (known)
        return known == 2;
    if (d->family != TERN__FAMILY_CPU || d->info.type == TERN_DEVICE_NULL || d->info.native_vector_f32 < 16 || !d->info.compiler)
        return false;
    bool right;
    if (ask(d, &right) == TERN_OK)
        __atomic_store_n(&d->dot8, right ? 2 : 1, __ATOMIC_RELEASE);
    return right;
}
