/* Finding out what a device's instructions can do: by compiling, running and comparing. */
#include "program/probe.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "base/status.h"
#include "program/program.h"

/* A kernel kernels/NAME.cl called NAME of (a, b, y, steps), run by one group. */
struct probe {
    const char *name;
    const void *a, *b;
    void *y;          /* what it adds to, then what came of it */
    const void *want;
    size_t a_bytes, b_bytes, y_bytes;
    int32_t steps;
    size_t items;
};

static tern_status buffer_of(tern_device *d, const void *data, size_t size, tern__buffer **out)
{
    TERN_TRY(tern__buffer_create(d, size, out));
    return tern__buffer_write(*out, 0, data, size);
}

static tern_status run(tern_device *d, tern__program *p, const struct probe *x)
{
    tern__buffer *b[3] = {NULL, NULL, NULL};
    tern__kernel *k = NULL;
    tern__arg steps = {.kind = TERN__ARG_SCALAR, .size = sizeof x->steps};
    memcpy(steps.scalar, &x->steps, sizeof x->steps);
    tern_status st = tern__kernel_create(p, x->name, &k);
    if (st == TERN_OK)
        st = buffer_of(d, x->a, x->a_bytes, &b[0]);
    if (st == TERN_OK)
        st = buffer_of(d, x->b, x->b_bytes, &b[1]);
    if (st == TERN_OK)
        st = buffer_of(d, x->y, x->y_bytes, &b[2]);
    for (int i = 0; i < 3 && st == TERN_OK; i++)
        st = tern__kernel_set_arg(k, i, &(tern__arg){.kind = TERN__ARG_BUFFER, .buffer = b[i]});
    if (st == TERN_OK)
        st = tern__kernel_set_arg(k, 3, &steps);
    if (st == TERN_OK)
        st = tern__kernel_launch(k, 1, (const size_t[3]){x->items, 1, 1}, (const size_t[3]){x->items, 1, 1}, NULL);
    if (st == TERN_OK)
        st = tern__buffer_read(b[2], 0, x->y, x->y_bytes);
    for (int i = 0; i < 3; i++)
        tern__buffer_release(b[i]);
    tern__kernel_release(k);
    return st;
}

/* TERN_OK with *right, or why it could not be found out. */
static tern_status ask(tern_device *d, const struct probe *x, bool *right)
{
    char file[64];
    tern__str source = {0};
    tern__program *p = NULL;
    bool cached;
    *right = false;
    snprintf(file, sizeof file, "%s.cl", x->name);
    tern_status st = tern__source_append(&source, file);
    if (st == TERN_OK && source.failed)
        st = tern__fail(TERN_E_NOMEM, "%s: no memory for a kernel's text", x->name);
    if (st == TERN_OK)
        st = tern__program_build(d, tern__str_text(&source), source.len, "", &cached, &p);
    if (st == TERN_OK)
        st = run(d, p, x);
    tern__program_release(p);
    tern__str_finish(&source);
    *right = st == TERN_OK && memcmp(x->y, x->want, x->y_bytes) == 0;
    return st == TERN_E_BUILD ? TERN_OK : st;
}

/* What is kept of an answer: 0 not asked yet, 1 no, 2 yes. */
static bool answer(tern_device *d, int *known, tern_status (*find)(tern_device *d, bool *right))
{
    bool right = false;
    const int before = __atomic_load_n(known, __ATOMIC_ACQUIRE);
    if (before)
        return before == 2;
    if (find(d, &right) == TERN_OK)
        __atomic_store_n(known, right ? 2 : 1, __ATOMIC_RELEASE);
    return right;
}

/* --- Dot products of bytes --- */

enum { LANES = 16, STEPS = 4, BYTES = LANES * STEPS * 4 };

/* Bytes that tell a right answer from sums that saturate or take the wrong operand as signed: extremes first, then a bit of everything. */
static void fill_bytes(uint8_t *x, int8_t *w, int32_t *y)
{
    for (int i = 0; i < BYTES; i++) {
        x[i] = (uint8_t)(i < BYTES / 2 ? 255 - i % 3 : i * 37);
        w[i] = (int8_t)(i < BYTES / 4 ? 127 : i < BYTES / 2 ? -128 : (i * 91) % 256 - 128);
    }
    for (int i = 0; i < LANES; i++)
        y[i] = i * 1000 - 7;
}

static tern_status find_dot8(tern_device *d, bool *right)
{
    uint8_t x[BYTES];
    int8_t w[BYTES];
    int32_t y[LANES], want[LANES];
    fill_bytes(x, w, y);
    memcpy(want, y, sizeof y);
    for (int i = 0; i < BYTES; i++)
        want[i / 4 % LANES] += x[i] * w[i];
    const struct probe p = {"probe_dot8", x, w, y, want, sizeof x, sizeof w, sizeof y, STEPS, 1};
    return ask(d, &p, right);
}

/* The same bytes, taken as unsigned and as signed on either side. */
static tern_status find_dot8_simt(tern_device *d, bool *right)
{
    uint8_t x[BYTES];
    int8_t w[BYTES];
    int32_t y[4][LANES], want[4][LANES];
    fill_bytes(x, w, y[0]);
    for (int i = 1; i < 4; i++)
        memcpy(y[i], y[0], sizeof y[0]);
    memcpy(want, y, sizeof y);
    for (int i = 0; i < BYTES; i++)
        for (int signs = 0; signs < 4; signs++)
            want[signs][i / 4 % LANES] += (signs & 2 ? (int8_t)x[i] : x[i]) * (signs & 1 ? w[i] : (uint8_t)w[i]);
    const struct probe p = {"probe_dot8_simt", x, w, y, want, sizeof x, sizeof w, sizeof y, STEPS, LANES};
    return ask(d, &p, right);
}

bool tern__device_dot8(tern_device *d)
{
    const bool cpu = d->family == TERN__FAMILY_CPU;
    if (d->info.type == TERN_DEVICE_NULL || !d->info.compiler || (cpu ? d->info.native_vector_f32 < 16 : d->info.max_work_group < LANES))
        return false;
    return answer(d, &d->dot8, cpu ? find_dot8 : find_dot8_simt);
}

/* --- Products of tiles --- */

enum { SIDE = 16, TILE = SIDE * SIDE, SUBGROUPS = 2, LAYOUTS = 4, DEPTH = 3 };

struct tiles {
    uint16_t a[DEPTH][SUBGROUPS][TILE], b[DEPTH][SUBGROUPS][TILE]; /* bits of f16 */
    float y[SUBGROUPS][LAYOUTS][TILE], want[SUBGROUPS][LAYOUTS][TILE];
};

/* One row and column of what tiles taken in the i-th pair of layouts multiply to: bit 1 of i turns a round, bit 0 b. */
static float tile_element(const struct tiles *t, int subgroup, int layouts, int row, int column)
{
    float sum = t->y[subgroup][layouts][row * SIDE + column];
    for (int step = 0; step < DEPTH; step++)
        for (int k = 0; k < SIDE; k++) {
            const uint16_t a = t->a[step][subgroup][layouts & 2 ? k * SIDE + row : row * SIDE + k];
            const uint16_t b = t->b[step][subgroup][layouts & 1 ? column * SIDE + k : k * SIDE + column];
            sum += tern__f16_to_f32(a) * tern__f16_to_f32(b);
        }
    return sum;
}

/* Multiples of 1/8 whose sums f32 holds exactly in any order, and f16 would not. */
static void fill_tiles(struct tiles *t)
{
    uint32_t bits = 1;
    uint16_t *const operands[] = {&t->a[0][0][0], &t->b[0][0][0]};
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < DEPTH * SUBGROUPS * TILE; i++) {
            bits = bits * 1664525 + 1013904223;
            operands[side][i] = tern__f32_to_f16((float)((int)(bits >> 24) - 128) / 8);
        }
    for (int s = 0; s < SUBGROUPS; s++)
        for (int l = 0; l < LAYOUTS; l++)
            for (int i = 0; i < TILE; i++) {
                t->y[s][l][i] = (float)(i + l);
                t->want[s][l][i] = tile_element(t, s, l, i / SIDE, i % SIDE);
            }
}

static tern_status find_matrix(tern_device *d, bool *right)
{
    struct tiles *t = tern__alloc(sizeof *t);
    *right = false;
    if (!t)
        return tern__fail(TERN_E_NOMEM, "probe_matrix: %zu bytes", sizeof *t);
    fill_tiles(t);
    const struct probe p = {"probe_matrix", t->a, t->b, t->y, t->want, sizeof t->a, sizeof t->b, sizeof t->y, DEPTH, (size_t)SUBGROUPS * 32};
    tern_status st = ask(d, &p, right);
    tern__free(t);
    return st;
}

bool tern__device_matrix(tern_device *d)
{
    if (d->family != TERN__FAMILY_SIMT || d->info.type == TERN_DEVICE_NULL || d->info.max_work_group < SUBGROUPS * 32 || !d->info.compiler)
        return false;
    return answer(d, &d->matrix, find_matrix);
}

tern_status tern_device_get_features(tern_device *d, tern_device_features *out)
{
    if (!d || !out)
        return tern__fail(TERN_E_INVALID, "features: a device and a place for them are needed, neither of them NULL");
    *out = (tern_device_features){.dot8 = tern__device_dot8(d), .matrix = tern__device_matrix(d)};
    return TERN_OK;
}
