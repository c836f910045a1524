/* Fused groups that only move elements from an order in which one axis is the innermost to one in which another is: tiles of vectors on both sides,
 * transposed in registers (kernels/lib/transpose.clh). Otherwise one side would be vectors and the other single elements at a stride, which is a whole
 * number of pages often enough for a few of a cache's sets to hold all of them. */
#include <string.h>

#include "codegen/fused_impl.h"
#include "compile/lower.h"

/* Forwards along axes, and nothing that is computed from them? */
static bool only_axes(const tern__fz *z, const tern__aff *a)
{
    int n = 0;
    for (int i = 0; i < z->n_axes; i++)
        n += tern__aff_coef(a, z->axis[i]) > 0;
    return n == a->n && !a->overflow && a->c >= 0;
}

/* The axis along which elements at a lie side by side; -1 none. */
static int innermost(const tern__fz *z, const tern__aff *a)
{
    for (int i = 0; i < z->n_axes; i++)
        if (tern__aff_coef(a, z->axis[i]) == 1 && tern__fz_extent(z, z->axis[i]) > 1)
            return z->axis[i];
    return -1;
}

static int tile_width(const tern__fz *z, int64_t extent)
{
    for (int w = TERN_MIN(z->f->vector_width, 16); w >= 4; w /= 2)
        if (extent % w == 0)
            return w;
    return 0;
}

bool tern__fz_transposes(const tern__fz *z, tern__transposition *t)
{
    const tern__body *b = z->n_all == 1 ? z->all[0] : NULL;
    if (z->f->family != TERN__FAMILY_CPU || !b || z->n_reds > 0 || z->n_axes < 2 || z->n_rows == 0 || b->n_ins != 2)
        return false;
    const tern__ins *from = &b->ins[0], *to = &b->ins[1];
    if (from->op != TERN__INS_LOAD || to->op != TERN__INS_STORE || to->args[0] != 0 || from->dtype != to->dtype || strcmp(tern__reg_type(from->dtype), "float"))
        return false;
    *t = (tern__transposition){.from = from, .to = to, .read = innermost(z, &from->index), .written = innermost(z, &to->index)};
    if (t->read < 0 || t->written < 0 || t->read == t->written || !only_axes(z, &from->index) || !only_axes(z, &to->index))
        return false;
    /* Tiles divide the shorter axis, along the other one a rest may be left. */
    const int64_t read = tern__fz_extent(z, t->read), written = tern__fz_extent(z, t->written);
    const int a = tile_width(z, read), b_ = tile_width(z, written);
    const bool by_read = a > b_ || (a == b_ && read < written);
    t->width = by_read ? a : b_;
    t->tiled = by_read ? t->read : t->written;
    t->other = by_read ? t->written : t->read;
    return t->width > 0 && tern__fz_extent(z, t->other) >= t->width;
}

/* Opens the loop over a tile's vectors: along walks, across is where they begin. */
static void each(tern__str *s, int width, const char *along, const char *across, int indent)
{
    tern__str_addf(s, "%*s_Pragma(\"unroll\") for (uint j = 0; j < %d; j++) {\n", indent, "", width);
    tern__str_addf(s, "%*sconst uint %s = %s_0 + j, %s = %s_0;\n", indent + 4, "", along, along, across, across);
}

/* width elements of a row each way, then their transposes. */
static void tile(const tern__fz *z, const tern__transposition *t, tern__str *s, int indent)
{
    const tern__body *b = z->all[0];
    const char *dtype = tern_dtype_name(t->from->dtype), *read = tern__fz_name(z, t->read), *written = tern__fz_name(z, t->written);
    const int w = t->width;
    tern__str_addf(s, "%*sfloat%d t[%d];\n", indent, "", w, w);
    each(s, w, written, read, indent);
    tern__str_addf(s, "%*st[j] = LD_%s_%d(h%d, ", indent + 4, "", dtype, w, t->from->param);
    tern__print_address(b, s, &t->from->index);
    tern__str_addf(s, ");\n%*s}\n%*stranspose_%d(t);\n", indent, "", indent, "", w);
    each(s, w, read, written, indent);
    tern__str_addf(s, "%*sST_%s_%d(h%d, ", indent + 4, "", dtype, w, t->to->param);
    tern__print_address(b, s, &t->to->index);
    tern__str_addf(s, ", t[j]);\n%*s}\n", indent, "");
}

/* What is left of the other axis, element by element. */
static void rest(const tern__fz *z, const tern__transposition *t, tern__str *s, int indent)
{
    const tern__body *b = z->all[0];
    const char *dtype = tern_dtype_name(t->from->dtype), *other = tern__fz_name(z, t->other);
    tern__str_addf(s, "%*sfor (; %s_0 < hi; %s_0++)\n", indent, "", other, other);
    each(s, t->width, tern__fz_name(z, t->tiled), other, indent + 4);
    tern__str_addf(s, "%*sST_%s_1(h%d, ", indent + 8, "", dtype, t->to->param);
    tern__print_address(b, s, &t->to->index);
    tern__str_addf(s, ", LD_%s_1(h%d, ", dtype, t->from->param);
    tern__print_address(b, s, &t->from->index);
    tern__str_addf(s, "));\n%*s}\n", indent + 4, "");
}

/* The coordinates of a row of tiles: of the axes that no tile spans, and the tile's along the one that it divides. */
static void place(const tern__fz *z, const tern__transposition *t, tern__str *s, int indent)
{
    int outer[TERN_MAX_RANK + 1], n = 0;
    for (int i = 0; i < z->n_axes; i++)
        if (z->axis[i] != t->tiled && z->axis[i] != t->other)
            outer[n++] = z->axis[i];
    const long long tiles = tern__fz_extent(z, t->tiled) / t->width;
    tern__str_addf(s, "%*sconst uint outer = row / %lldu, %s_0 = (row - outer * %lldu) * %d;\n", indent, "", tiles, tern__fz_name(z, t->tiled), tiles, t->width);
    tern__fz_decompose(z, s, "outer", outer, n, indent);
}

void tern__fz_write_transpose(tern__fz *z, const tern__transposition *t, tern__fused_kernel *k)
{
    tern__str *s = &k->text;
    const int64_t length = tern__fz_extent(z, t->other), elements = length * t->width, rows = z->n_rows / elements;
    const char *other = tern__fz_name(z, t->other);
    /* Work-groups of a few rows of tiles, or of parts of one. */
    const int64_t parts = tern__div_up(elements, TERN__FZ_ELEMS_PER_GROUP), part = tern__div_up(tern__div_up(length, parts), t->width) * t->width;
    const int64_t per_group = tern__fz_rows_per_group(z, rows, elements);
    z->needs->transposes = true;
    tern__fz_uses(z, z->all, z->n_all, k->uses);
    tern__fz_open(z, s, k, TERN__FZ_CPU_ATTRIBUTES);
    tern__str_addf(s, "    const uint lo = (uint)get_group_id(1) * %lldu, hi = min(lo + %lldu, %lldu);\n", (long long)part, (long long)part,
                   (long long)length);
    tern__str_addf(s, "    const uint row1 = min((uint)get_group_id(0) * %lldu + %lldu, %lldu);\n", (long long)per_group, (long long)per_group,
                   (long long)rows);
    tern__str_addf(s, "    for (uint row = (uint)get_group_id(0) * %lldu; row < row1; row++) {\n", (long long)per_group);
    place(z, t, s, 8);
    tern__str_addf(s, "        uint %s_0 = lo;\n        for (; %s_0 + %d <= hi; %s_0 += %d) {\n", other, other, t->width, other, t->width);
    tile(z, t, s, 12);
    tern__str_add(s, "        }\n");
    rest(z, t, s, 8);
    tern__str_add(s, "    }\n}\n");
    k->dims = 2;
    k->global[0] = (size_t)tern__div_up(rows, per_group);
    k->global[1] = (size_t)tern__div_up(length, part);
    k->global[2] = k->local[0] = k->local[1] = k->local[2] = 1;
}
