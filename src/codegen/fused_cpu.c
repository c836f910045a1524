/* Fused kernels for CPUs: one item per work-group, loops over the axes, explicit vectors along the innermost one. */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "codegen/fused_impl.h"
#include "compile/lower.h"

static void set_range(tern__fused_kernel *k, int dims, size_t x, size_t y)
{
    k->dims = dims;
    k->global[0] = x;
    k->global[1] = y;
    k->global[2] = 1;
    k->local[0] = k->local[1] = k->local[2] = 1;
}

/* --- Pointwise --- */

/* for (a = lo; a + W <= hi; a += W) vectors; then scalars to hi. */
static void lane_loop(tern__fz *z, tern__str *s, const tern__body *b, int loop, const char *lo, const char *hi, unsigned outer,
                      const tern__printed *before, int indent)
{
    const char *a = tern__fz_name(z, z->lane);
    unsigned all = outer | 1u << z->lane;
    tern__str_addf(s, "%*s{\n%*suint %s = %s;\n", indent, "", indent + 4, "", a, lo);
    if (z->width > 1) {
        tern__printed done = *before;
        tern__str_addf(s, "%*sfor (; %s + %du <= %s; %s += %du) {\n", indent + 4, "", a, z->width, hi, a, z->width);
        tern__body_print(b, s, z->needs, z->width, all, &done, indent + 8);
        tern__fz_step(z, s, loop, z->width, "v", indent + 8);
        tern__str_addf(s, "%*s}\n", indent + 4, "");
    }
    tern__printed done = *before;
    tern__str_addf(s, "%*sfor (; %s < %s; %s++) {\n", indent + 4, "", a, hi, a);
    tern__body_print(b, s, z->needs, 1, all, &done, indent + 8);
    tern__fz_step(z, s, loop, 1, "s", indent + 8);
    tern__str_addf(s, "%*s}\n%*s}\n", indent + 4, "", indent, "");
}

int64_t tern__fz_rows_per_group(const tern__fz *z, int64_t rows, int64_t elements)
{
    int64_t n = TERN_MAX(1, TERN__FZ_ELEMS_PER_GROUP / elements);
    while (n > 1 && tern__div_up(rows, n) < 4 * z->f->compute_units && n * elements > 1024)
        n = (n + 1) / 2;
    return n;
}

static void write_pointwise(tern__fz *z, tern__fused_kernel *k)
{
    tern__str *s = &k->text;
    tern__transposition t;
    if (tern__fz_transposes(z, &t)) {
        tern__fz_write_transpose(z, &t, k);
        return;
    }
    const tern__body *b = z->loop[1];
    tern__printed done = {0};
    tern__fz_uses(z, z->all, z->n_all, k->uses);
    tern__fz_open(z, s, k, TERN__FZ_CPU_ATTRIBUTES);
    if (z->n_axes == 0 || z->n_rows == 0) { /* one element, or none */
        if (z->n_rows)
            tern__body_print(b, s, z->needs, 1, ~0u, &done, 4);
        tern__str_add(s, "}\n");
        set_range(k, 1, (size_t)z->n_rows, 1);
        return;
    }
    int64_t inner = tern__fz_extent(z, z->lane), rows = z->n_rows / inner;
    int64_t chunk = TERN_MIN(inner, TERN__FZ_ELEMS_PER_GROUP), chunks = tern__div_up(inner, chunk);
    const int64_t per_group = tern__fz_rows_per_group(z, rows, inner);
    tern__body_print(b, s, z->needs, 1, 0, &done, 4);
    unsigned outer = z->kept_mask & ~(1u << z->lane);
    int indent = 4;
    char lo[32] = "0", hi[64];
    snprintf(hi, sizeof hi, "%lldu", (long long)inner);
    if (chunks > 1) {
        tern__str_addf(s, "    const uint lo = get_group_id(0) * %lldu;\n    const uint hi = min(lo + %lldu, %lldu);\n", (long long)chunk, (long long)chunk,
                       (long long)inner);
        snprintf(lo, sizeof lo, "lo");
        snprintf(hi, sizeof hi, "hi");
    }
    if (rows > 1) {
        const char *group = chunks > 1 ? "get_group_id(1)" : "get_group_id(0)";
        tern__str_addf(s, "    const uint row1 = min((uint)%s * %lldu + %lldu, %lldu);\n", group, (long long)per_group, (long long)per_group,
                       (long long)rows);
        tern__str_addf(s, "    for (uint row = (uint)%s * %lldu; row < row1; row++) {\n", group, (long long)per_group);
        indent = 8;
        tern__fz_decompose(z, s, "row", z->axis, z->n_axes - 1, indent);
        tern__body_print(b, s, z->needs, 1, outer, &done, indent);
    }
    lane_loop(z, s, b, -1, lo, hi, outer, &done, indent);
    tern__str_add(s, rows > 1 ? "    }\n}\n" : "}\n");
    set_range(k, chunks > 1 ? 2 : 1, (size_t)(chunks > 1 ? chunks : tern__div_up(rows, per_group)), (size_t)(chunks > 1 ? rows : 1));
}

/* --- Reductions --- */

/* The loops over reduced axes from the i-th on. Where vectors run along a kept axis the width is that of the surrounding code. */
static void fold_loops(tern__fz *z, tern__str *s, int loop, int i, int width, unsigned known, tern__printed *done, bool split, int indent)
{
    const tern__body *b = z->loop[loop];
    bool last = i == z->n_reduced - 1;
    int axis = z->n_reduced ? z->reduced[i] : -1;
    char hi[32] = "hi";
    if (axis >= 0 && !(split && i == 0))
        snprintf(hi, sizeof hi, "%lldu", (long long)tern__fz_extent(z, axis));
    const char *lo = split && i == 0 ? "lo" : "0";
    if (axis < 0 || (last && z->lane_kept)) {
        if (axis >= 0)
            tern__str_addf(s, "%*sfor (uint %s = %s; %s < %s; %s++) {\n", indent, "", tern__fz_name(z, axis), lo, tern__fz_name(z, axis), hi,
                           tern__fz_name(z, axis));
        tern__printed inner = *done;
        tern__body_print(b, s, z->needs, width, ~0u, &inner, indent + 4);
        tern__fz_step(z, s, loop, width, width > 1 ? "v" : "s", indent + 4);
        if (axis >= 0)
            tern__str_addf(s, "%*s}\n", indent, "");
        return;
    }
    if (last) {
        lane_loop(z, s, b, loop, lo, hi, known, done, indent);
        return;
    }
    tern__str_addf(s, "%*sfor (uint %s = %s; %s < %s; %s++) {\n", indent, "", tern__fz_name(z, axis), lo, tern__fz_name(z, axis), hi,
                   tern__fz_name(z, axis));
    tern__printed inner = *done;
    known |= 1u << axis;
    tern__body_print(b, s, z->needs, width, known, &inner, indent + 4);
    fold_loops(z, s, loop, i + 1, width, known, &inner, split, indent + 4);
    tern__str_addf(s, "%*s}\n", indent, "");
}

/* Vector accumulators into the scalar one, lane by lane in order. */
static void fold_lanes(tern__fz *z, tern__str *s, int loop, int indent)
{
    for (int i = 0; i < z->n_reds; i++) {
        const tern__red *r = &z->red[i];
        if (r->loop != loop)
            continue;
        tern__str_addf(s, "%*s{\n%*s    %s lane[%d];\n%*s    vstore%d(v%d, 0, lane);\n", indent, "", indent, "", tern__reg_type(r->acc), z->width, indent,
                       "", z->width, i);
        tern__str_addf(s, "%*s    for (int j = 0; j < %d; j++)\n%*s        s%d = ", indent, "", z->width, indent, "", i);
        tern__fz_call(z, s, r, 1, "step");
        tern__str_addf(s, "(s%d, lane[j]);\n%*s}\n", i, indent, "");
    }
}

/* Where the i-th reduction's partial result of part p and row lies. */
static void partial_index(const tern__fz *z, tern__str *s, int i, const char *part, int64_t parts)
{
    tern__str_addf(s, "(%d * %lldu + %s) * %lldu + row", i, (long long)parts, part, (long long)z->n_rows);
}

/* Everything for one row, or for width rows side by side when vectors run along a kept axis. */
static void row_code(tern__fz *z, tern__str *s, int width, int64_t parts, int indent)
{
    bool across = !z->lane_kept && z->width > 1;
    const char *p = width > 1 ? "v" : "s";
    for (int loop = 1; loop <= z->n_loops; loop++) {
        tern__printed done = {0};
        tern__body_print(z->loop[loop], s, z->needs, width, z->kept_mask, &done, indent);
        tern__fz_declare(z, s, loop, width, p, indent);
        if (across)
            tern__fz_declare(z, s, loop, z->width, "v", indent);
        fold_loops(z, s, loop, 0, width, z->kept_mask, &done, parts > 1, indent);
        if (across)
            fold_lanes(z, s, loop, indent);
        for (int i = 0; i < z->n_reds; i++) {
            if (z->red[i].loop != loop)
                continue;
            if (parts == 1) {
                tern__fz_finish(z, s, &z->red[i], width, p, indent);
                continue;
            }
            tern__str_addf(s, "%*s", indent, "");
            if (width > 1)
                tern__str_addf(s, "vstore%d(v%d, 0, part + ", width, i);
            else
                tern__str_add(s, "part[");
            partial_index(z, s, i, "(uint)get_group_id(1)", parts);
            if (width > 1)
                tern__str_add(s, ");\n");
            else
                tern__str_addf(s, "] = s%d;\n", i);
        }
    }
    if (z->rows && parts == 1) {
        tern__printed done = {0};
        tern__body_print(z->rows, s, z->needs, width, ~0u, &done, indent);
    }
}

/* One row after the other where their elements lie side by side would walk memory in strides; so a work-group takes vectors of rows. */
static void rows_open(tern__fz *z, tern__str *s)
{
    if (!z->n_kept)
        return;
    if (!z->lane_kept || z->width == 1) {
        tern__str_add(s, "    const uint row0 = get_group_id(0);\n");
        return;
    }
    long long inner = tern__fz_extent(z, z->lane), per = tern__div_up(inner, z->width);
    tern__str_addf(s, "    const uint group = get_group_id(0);\n    const uint outer = group / %lldu;\n", per);
    tern__str_addf(s, "    const uint inner0 = (group - outer * %lldu) * %du;\n    const uint row0 = outer * %lldu + inner0;\n", per, z->width, inner);
}

static size_t row_groups(const tern__fz *z)
{
    if (!z->lane_kept || z->width == 1)
        return (size_t)z->n_rows;
    int64_t inner = tern__fz_extent(z, z->lane);
    return (size_t)(z->n_rows / inner * tern__div_up(inner, z->width));
}

static void each_row(tern__fz *z, tern__str *s, int64_t parts, void (*code)(tern__fz *, tern__str *, int, int64_t, int))
{
    rows_open(z, s);
    if (!z->n_kept) {
        tern__str_add(s, "    const uint row = 0;\n    (void)row;\n");
        code(z, s, 1, parts, 4);
        return;
    }
    if (!z->lane_kept || z->width == 1) {
        tern__str_add(s, "    const uint row = row0;\n");
        tern__fz_decompose(z, s, "row", z->kept, z->n_kept, 4);
        code(z, s, 1, parts, 4);
        return;
    }
    long long inner = tern__fz_extent(z, z->lane);
    tern__str_addf(s, "    if (inner0 + %du <= %lldu) {\n        const uint row = row0;\n", z->width, inner);
    tern__fz_decompose(z, s, "row", z->kept, z->n_kept, 8);
    code(z, s, z->width, parts, 8);
    if (inner % z->width == 0) {
        tern__str_add(s, "    }\n");
        return;
    }
    tern__str_addf(s, "    } else {\n        const uint end = row0 - inner0 + %lldu;\n        for (uint row = row0; row < end; row++) {\n", inner);
    tern__fz_decompose(z, s, "row", z->kept, z->n_kept, 12);
    code(z, s, 1, parts, 12);
    tern__str_add(s, "        }\n    }\n");
}

/* The partial results of a row, combined in order of the parts. */
static void combine_code(tern__fz *z, tern__str *s, int width, int64_t parts, int indent)
{
    const char *p = width > 1 ? "v" : "s";
    tern__fz_declare(z, s, 1, width, p, indent);
    tern__str_addf(s, "%*sfor (uint part_i = 0; part_i < %lldu; part_i++) {\n", indent, "", (long long)parts);
    for (int i = 0; i < z->n_reds; i++) {
        tern__str_addf(s, "%*s    %s%d = ", indent, "", p, i);
        tern__fz_call(z, s, &z->red[i], width, "step");
        tern__str_addf(s, "(%s%d, ", p, i);
        if (width > 1)
            tern__str_addf(s, "vload%d(0, part + ", width);
        else
            tern__str_add(s, "part[");
        partial_index(z, s, i, "part_i", parts);
        tern__str_add(s, width > 1 ? "));\n" : "]);\n");
    }
    tern__str_addf(s, "%*s}\n", indent, "");
    for (int i = 0; i < z->n_reds; i++)
        tern__fz_finish(z, s, &z->red[i], width, p, indent);
    tern__printed done = {0};
    tern__body_print(z->rows, s, z->needs, width, ~0u, &done, indent);
}

/* How many parts the outermost reduced axis is cut into so that every compute unit has work. */
static int64_t split_parts(const tern__fz *z, int64_t *part_extent)
{
    bool same_acc = true;
    for (int i = 1; i < z->n_reds; i++)
        same_acc &= z->red[i].acc == z->red[0].acc;
    *part_extent = z->n_reduced ? tern__fz_extent(z, z->reduced[0]) : 1;
    int64_t groups = (int64_t)row_groups(z), want = 8 * (int64_t)z->f->compute_units;
    if (z->n_loops != 1 || z->has_index || !same_acc || !z->rows || z->n_reduced == 0 || groups >= want / 2 || z->n_folded * z->n_rows < 32768)
        return 1;
    int64_t e = *part_extent, parts = TERN_MIN(tern__div_up(want, groups), e);
    int64_t each = tern__div_up(e, parts);
    if (z->n_reduced == 1 && !z->lane_kept)
        each = tern__div_up(each, 64) * 64;
    *part_extent = each;
    return tern__div_up(e, each);
}

static void write_reduction(tern__fz *z, tern__fused_code *code)
{
    tern__fused_kernel *k = &code->kernel[0];
    if (z->n_rows == 0) {
        write_pointwise(z, k);
        code->n_kernels = 1;
        return;
    }
    int64_t each, parts = split_parts(z, &each);
    code->n_kernels = parts > 1 ? 2 : 1;
    k->partial = parts > 1;
    tern__fz_uses(z, &z->loop[1], z->n_loops, k->uses);
    if (parts == 1 && z->rows)
        tern__fz_uses(z, &z->rows, 1, k->uses);
    tern__fz_open(z, &k->text, k, TERN__FZ_CPU_ATTRIBUTES);
    if (parts > 1)
        tern__str_addf(&k->text, "    const uint lo = get_group_id(1) * %lldu;\n    const uint hi = min(lo + %lldu, %lldu);\n", (long long)each,
                       (long long)each, (long long)tern__fz_extent(z, z->reduced[0]));
    each_row(z, &k->text, parts, row_code);
    tern__str_add(&k->text, "}\n");
    set_range(k, parts > 1 ? 2 : 1, row_groups(z), (size_t)parts);
    if (parts == 1)
        return;
    code->partial_bytes = (size_t)(parts * z->n_rows * z->n_reds) * tern_dtype_size(z->red[0].acc);
    k = &code->kernel[1];
    k->partial = true;
    tern__fz_uses(z, &z->rows, 1, k->uses);
    tern__fz_open(z, &k->text, k, TERN__FZ_CPU_ATTRIBUTES);
    each_row(z, &k->text, parts, combine_code);
    tern__str_add(&k->text, "}\n");
    set_range(k, 1, row_groups(z), 1);
}

tern_status tern__fused_write_cpu(tern__fz *z, tern__fused_code *code)
{
    if (z->n_reds) {
        write_reduction(z, code);
    } else {
        write_pointwise(z, &code->kernel[0]);
        code->n_kernels = 1;
    }
    return TERN_OK;
}
