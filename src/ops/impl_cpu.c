/* What the CPU family's implementations share: vector width, acceptance tests, small builders. */
#include "ops/impl_cpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const int16_t tern__to_4[] = {1, 2, 3, 4, 0};
const int16_t tern__to_14[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0};
const int16_t tern__to_64[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 64, 0};

int tern__cpu_width(const tern_device_info *d)
{
    return d->native_vector_f32 >= 16 ? 16 : d->native_vector_f32 >= 8 ? 8 : 4;
}

int tern__cpu_store_width(const tern__lower *l, tern_value v)
{
    const tern__layout *layout = &tern__lower_type(l, v)->layout;
    return layout->kind == TERN__BLOCKED ? layout->block : tern__cpu_width(tern__lower_device(l));
}

static bool accept_dtype(tern_dtype t, bool half, tern__str *why)
{
    if (t == TERN_F32 || (half && (t == TERN_F16 || t == TERN_BF16)))
        return true;
    tern__str_addf(why, "%s is not for this kernel", tern_dtype_name(t));
    return false;
}

bool tern__cpu_accept(const tern__lower *l, const tern__node *n, bool half, tern__str *why)
{
    if (tern__lower_family(l) != TERN__FAMILY_CPU) {
        tern__str_add(why, "made for CPU devices");
        return false;
    }
    for (int i = 0; i <= n->n_in; i++) {
        const tern__type *t = tern__lower_type(l, i < n->n_in ? n->in[i] : n->out[0]);
        int64_t elems = tern__elems(&t->shape);
        if (!accept_dtype(t->dtype, half, why))
            return false;
        if (elems <= 0 || elems > INT32_MAX / 2) {
            tern__str_addf(why, "an operand of %" PRId64 " elements", elems);
            return false;
        }
    }
    return true;
}

bool tern__cpu_accept_integers(const tern__lower *l, const tern__node *n, tern__str *why)
{
    if (tern__lower_family(l) != TERN__FAMILY_CPU) {
        tern__str_add(why, "made for CPU devices");
        return false;
    }
    for (int i = 0; i <= 2; i++) {
        const int64_t elems = tern__elems(&tern__lower_type(l, i < 2 ? n->in[i] : n->out[0])->shape);
        if (elems <= 0 || elems > INT32_MAX / 8) {
            tern__str_addf(why, "an operand of %" PRId64 " elements", elems);
            return false;
        }
    }
    return true;
}

bool tern__any_accept(const tern__lower *l, const tern__node *n, tern__str *why)
{
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        const tern_value v = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
        const tern__type *t = v == TERN_NONE ? NULL : tern__lower_type(l, v);
        if (t && tern__elems(&t->shape) > INT32_MAX) {
            tern__str_addf(why, "%" PRId64 " elements need more than 32-bit indices", tern__elems(&t->shape));
            return false;
        }
        if (t && t->dtype == TERN_F64 && !tern__lower_device(l)->fp64) {
            tern__str_add(why, "the device has no f64");
            return false;
        }
    }
    return true;
}

int tern__cpu_source(tern_dtype t)
{
    return t == TERN_F16 ? 1 : t == TERN_BF16 ? 2 : 0;
}

void tern__cpu_define(tern__kern *k, const char *name, int64_t x)
{
    tern__kern_define(k, name, x < 0 ? "(%" PRId64 ")" : "%" PRId64, x);
}

void tern__cpu_range(tern__kern *k, int64_t x, int64_t y, int64_t z)
{
    tern__kern_range(k, 3, (size_t[3]){(size_t)x, (size_t)y, (size_t)z}, (size_t[3]){1, 1, 1});
}

size_t tern__cpu_bytes(int64_t a, int64_t b, int64_t c, int64_t d)
{
    const uint64_t f[4] = {(uint64_t)b, (uint64_t)c, (uint64_t)d, sizeof(float)};
    uint64_t x = (uint64_t)a;
    for (int i = 0; i < 4; i++)
        if (__builtin_mul_overflow(x, f[i], &x) || x > SIZE_MAX)
            return SIZE_MAX;
    return (size_t)x;
}

void tern__cpu_define_taps(tern__kern *k, int64_t all_taps, const tern__taps *some)
{
    tern__kern_size(k, "ALL_TAPS", all_taps);
    tern__kern_size(k, "FIRST", some->first);
    tern__kern_size(k, "PLANE", some->plane);
    tern__kern_size(k, "ROW", some->row);
    tern__kern_size(k, "PLANE_STEP", some->plane_step);
    tern__kern_size(k, "ROW_STEP", some->row_step);
    tern__kern_size(k, "COL_STEP", some->col_step);
}

tern_status tern__cpu_pack_conv(tern__lower *l, const tern__conv_weights *w, int *slot)
{
    char key[96];
    const int64_t blocks = w->groups * tern__div_up(w->o, w->nr);
    snprintf(key, sizeof key, "conv %d %d", (int)w->nr, (int)w->block);
    if (w->flip)
        snprintf(key + strlen(key), sizeof key - strlen(key), " %d taps from %d by %d %d %d", (int)w->taps, (int)w->some.first,
                 (int)w->some.plane_step, (int)w->some.row_step, (int)w->some.col_step);
    tern__kern *k = tern__lower_pack(l, w->w, key, tern__cpu_bytes(blocks, w->nr, w->c, w->taps), "pack_conv_weight.cl", slot);
    if (*slot < 0)
        return TERN_E_NOMEM;
    if (!k)
        return TERN_OK;
    tern__kern_size(k, "NR", w->nr);
    tern__kern_size(k, "IB", w->block);
    tern__kern_size(k, "O", w->o);
    tern__kern_size(k, "C", w->c);
    tern__kern_size(k, "TAPS", w->taps);
    tern__cpu_define_taps(k, w->all_taps, &w->some);
    tern__cpu_define(k, "FLIP", w->flip);
    tern__cpu_define(k, "SRC", 0);
    tern__kern_value(k, w->w);
    tern__kern_slot(k, *slot, true);
    tern__cpu_range(k, blocks, w->c, 1);
    return TERN_OK;
}
