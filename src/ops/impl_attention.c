/* What all kernels of attention and its gradient are told: the mask's coordinates, sizes, numbers. */
#include "ops/impl_attention.h"

#include <math.h>
#include <stdio.h>

void tern__attention_of(const tern__lower *l, const tern__node *n, tern__attention *a)
{
    tern__attention_read(n, &tern__lower_type(l, n->in[0])->shape, &tern__lower_type(l, n->in[1])->shape, &tern__lower_type(l, n->in[2])->shape, a);
}

void tern__attention_load(tern__kern *k, const char *name, tern_value v, int multiple, unsigned widths)
{
    const tern__hook_axis axes[5] = {{.dims = 1}, {.dims = 1}, {.dims = 1}, {.dims = 1, .multiple_of = multiple}, {0}};
    tern__kern_load(k, name, v, axes, 3, widths);
}

void tern__attention_load_row(tern__kern *k, const char *name, tern_value v)
{
    const tern__hook_axis axes[4] = {{.dims = 1}, {.dims = 1}, {.dims = 1}, {0}};
    tern__kern_load(k, name, v, axes, -1, 1u);
}

void tern__attention_number(tern__kern *k, const char *name, double x)
{
    const double in_range = isnan(x) || isinf(x) ? x : fmin(fmax(x, -(double)__FLT_MAX__), (double)__FLT_MAX__);
    if (isnan(x))
        tern__kern_define(k, name, "NAN");
    else if (isinf(x))
        tern__kern_define(k, name, x < 0 ? "(-INFINITY)" : "INFINITY");
    else
        tern__kern_define(k, name, "(%.9ef)", in_range);
}

void tern__attention_mask(tern__kern *k, const tern__lower *l, const tern__node *n, int mask, int multiple, unsigned widths)
{
    static const char *const names[] = {"b", "h", "i", "j"};
    tern__hook_axis axes[5] = {{0}};
    char index[TERN__ATT_INDEX_TEXT] = "";
    size_t len = 0;
    if (!tern__has_input(n, mask)) {
        tern__cpu_define(k, "MASK", 0);
        return;
    }
    const tern__type *t = tern__lower_type(l, n->in[mask]);
    const int rank = t->shape.rank;
    const bool wide = rank > 0 && t->shape.dim[rank - 1] > 1;
    for (int i = 0; i < rank; i++) {
        axes[i].dims = 1;
        len += (size_t)snprintf(index + len, sizeof index - len, "%s%s", i ? ", " : "", t->shape.dim[i] > 1 ? names[4 - rank + i] : "0u");
    }
    if (wide)
        axes[rank - 1].multiple_of = multiple;
    tern__cpu_define(k, "MASK", t->dtype == TERN_BOOL ? 2 : 1);
    tern__cpu_define(k, "MASK_WIDE", wide);
    tern__attention_number(k, "BELOW", tern__attr_float(n, TERN__ATT_BELOW));
    tern__kern_define(k, "MASK_INDEX", "%s", index);
    tern__kern_load(k, "LOAD_MASK", n->in[mask], axes, wide ? rank - 1 : -1, wide ? widths : 1u);
}

void tern__attention_define(tern__kern *k, const tern__attention *a)
{
    tern__kern_size(k, "SQ", a->sq);
    tern__kern_size(k, "SK", a->sk);
    tern__cpu_define(k, "D", a->d);
    tern__cpu_define(k, "DV", a->dv);
    tern__cpu_define(k, "GROUP", a->group);
    tern__cpu_define(k, "CAUSAL", a->causal);
    if (a->causal)
        tern__cpu_define(k, "OFFSET", a->offset);
    tern__cpu_define(k, "HAS_SOFTCAP", a->softcap > 0);
    tern__attention_number(k, "SCALE", a->scale);
    tern__attention_number(k, "SOFTCAP", a->softcap);
    tern__attention_number(k, "EMPTY", a->strict ? NAN : 0);
}

void tern__attention_store_heads(tern__kern *k, const char *name, tern_value v, int multiple, unsigned widths)
{
    const tern__hook_axis axes[5] = {{.dims = 1}, {.dims = 1}, {.dims = 1}, {.dims = 1, .multiple_of = multiple}, {0}};
    tern__kern_store(k, name, v, axes, 3, widths);
}

void tern__attention_store(tern__kern *k, tern__lower *l, const tern__attention *a, const tern__node *n, int multiple, unsigned widths)
{
    const tern__hook_axis joined[4] = {{.dims = 1}, {.dims = 1}, {.dims = 1, .multiple_of = a->dv % TERN_MAX(multiple, 1) ? 1 : multiple}, {0}};
    const tern__hook_axis rows[4] = {{.dims = 1}, {.dims = 1}, {.dims = 1}, {0}};
    const bool has_lse = n->n_out > 1 && tern__lower_is_wanted(l, n->out[1]);
    tern__kern_define(k, "STORE_INDEX", a->joined ? "b, i, h * DV + d" : "b, h, i, d");
    if (a->joined)
        tern__kern_store(k, "STORE", n->out[0], joined, 2, widths);
    else
        tern__attention_store_heads(k, "STORE", n->out[0], multiple, widths);
    tern__cpu_define(k, "HAS_LSE", has_lse);
    if (has_lse)
        tern__kern_store(k, "STORE_LSE", n->out[1], rows, -1, 1u);
}

enum { PACK_CHUNK = 32 }; /* keys whose values one item packs */

tern_status tern__attention_pack(tern__lower *l, const tern__attention *a, tern_value v, int64_t d, bool keys, int width, int nr, int *slot)
{
    const int64_t panels = tern__div_up(keys ? a->sk : d, nr);
    *slot = tern__lower_temp(l, tern__cpu_bytes(a->batch * a->kv_heads, panels, keys ? d : a->sk, nr));
    tern__kern *k = tern__lower_kernel(l, "attention_pack_cpu.cl");
    if (*slot < 0 || !k)
        return TERN_E_NOMEM;
    tern__cpu_define(k, "KEYS", keys);
    tern__cpu_define(k, "W", width);
    tern__cpu_define(k, "P", nr);
    tern__cpu_define(k, "D", d);
    tern__cpu_define(k, "CHUNK", PACK_CHUNK);
    tern__kern_size(k, "SK", a->sk);
    tern__kern_slot(k, *slot, true);
    tern__attention_load(k, "LOAD", v, keys ? 4 : width, 1u | (keys ? 4u : (unsigned)width));
    tern__cpu_range(k, keys ? panels : tern__div_up(a->sk, PACK_CHUNK), a->batch, a->kv_heads);
    return TERN_OK;
}

size_t tern__attention_partial_bytes(const tern__attention *a, int64_t parts)
{
    return tern__cpu_bytes(parts, a->batch * a->kv_heads, a->group * a->sq, a->dv + 2);
}

/* An item a row on CPUs, an item a result elsewhere. */
tern_status tern__attention_combine(tern__lower *l, const tern__attention *a, const tern__node *n, int64_t parts, int partial)
{
    const int64_t rows = a->group * a->sq, total = a->batch * a->kv_heads * rows, columns = tern__lower_family(l) == TERN__FAMILY_CPU ? a->dv : 1;
    const size_t local = tern__lower_family(l) == TERN__FAMILY_CPU ? 1 : 64;
    tern__kern *k = tern__lower_kernel(l, "attention_combine.cl");
    if (!k)
        return TERN_E_NOMEM;
    tern__cpu_define(k, "PARTS", parts);
    tern__kern_size(k, "ROWS", rows);
    tern__kern_size(k, "TOTAL", total);
    tern__cpu_define(k, "COLUMNS", columns);
    tern__kern_size(k, "KV_HEADS", a->kv_heads);
    tern__kern_size(k, "SQ", a->sq);
    tern__cpu_define(k, "DV", a->dv);
    tern__cpu_define(k, "GROUP", a->group);
    tern__attention_number(k, "EMPTY", a->strict ? NAN : 0);
    tern__kern_slot(k, partial, false);
    tern__attention_store(k, l, a, n, 1, 1u);
    tern__kern_range(k, 1, (size_t[3]){(size_t)(total * (a->dv / columns)), 1, 1}, (size_t[3]){local, 1, 1});
    return TERN_OK;
}
