/* Fused kernels for GPUs: one item per element, or one work-group per row with a tree over local memory. */
#include <stdio.h>

#include "base/status.h"
#include "codegen/fused_impl.h"
#include "compile/lower.h"

/* Rows of at most this many elements are folded by one item. */
enum { SHORT_ROW = 32 };

static size_t round_up(int64_t n, size_t to)
{
    return ((size_t)n + to - 1) / to * to;
}

static void set_range(tern__fused_kernel *k, size_t global, size_t local)
{
    k->dims = 1;
    k->global[0] = global;
    k->local[0] = local;
    k->global[1] = k->global[2] = k->local[1] = k->local[2] = 1;
}

static void write_pointwise(tern__fz *z, tern__fused_kernel *k)
{
    tern__str *s = &k->text;
    tern__printed done = {0};
    size_t local = (size_t)TERN_MIN(128, z->f->max_work_group);
    tern__fz_uses(z, z->all, z->n_all, k->uses);
    tern__fz_open(z, s, k, "");
    if (z->n_rows == 0) {
        tern__str_add(s, "}\n");
        set_range(k, 0, 1);
        return;
    }
    tern__str_addf(s, "    const uint i = get_global_id(0);\n    if (i >= %lldu)\n        return;\n", (long long)z->n_rows);
    tern__fz_decompose(z, s, "i", z->axis, z->n_axes, 4);
    tern__body_print(z->loop[1], s, z->needs, 1, ~0u, &done, 4);
    tern__str_add(s, "}\n");
    set_range(k, round_up(z->n_rows, local), local);
}

/* One pass over a row; step 1 and from 0 for a lone item, the work-group's size and the item's number for a team. */
static void pass(tern__fz *z, tern__str *s, int loop, size_t team, int indent)
{
    tern__printed done = {0};
    tern__body_print(z->loop[loop], s, z->needs, 1, z->kept_mask, &done, indent);
    tern__fz_declare(z, s, loop, 1, "s", indent);
    if (z->n_folded == 0)
        return;
    tern__str_addf(s, "%*sfor (uint k = %s; k < %lldu; k += %zuu) {\n", indent, "", team > 1 ? "lid" : "0", (long long)z->n_folded, team);
    tern__fz_decompose(z, s, "k", z->reduced, z->n_reduced, indent + 4);
    tern__body_print(z->loop[loop], s, z->needs, 1, ~0u, &done, indent + 4);
    tern__fz_step(z, s, loop, 1, "s", indent + 4);
    tern__str_addf(s, "%*s}\n", indent, "");
}

/* "mine = better of mine and other" for positions: better value, or the same one earlier. */
static void tree_index_step(tern__str *s, const tern__red *r, int i)
{
    char better = r->op->name[3] == 'm' && r->op->name[4] == 'i' ? '<' : '>';
    tern__str_addf(s,
                   "            const long ko = t%dk[lid + o];\n"
                   "            const bool other_nan = t%d[lid + o] != t%d[lid + o], mine_nan = t%d[lid] != t%d[lid];\n"
                   "            if (ko >= 0 && (t%dk[lid] < 0 || (other_nan && !mine_nan) || (!mine_nan && t%d[lid + o] %c t%d[lid]) ||\n"
                   "                ((t%d[lid + o] == t%d[lid] || (other_nan && mine_nan)) && ko < t%dk[lid]))) {\n"
                   "                t%d[lid] = t%d[lid + o];\n                t%dk[lid] = ko;\n            }\n",
                   i, i, i, i, i, i, i, better, i, i, i, i, i, i, i);
}

/* All accumulators of a loop folded over the team; every item then knows the result. */
static void tree(tern__fz *z, tern__str *s, int loop, size_t team)
{
    for (int i = 0; i < z->n_reds; i++) {
        const tern__red *r = &z->red[i];
        if (r->loop != loop)
            continue;
        bool index = r->op->reduction->index;
        tern__str_addf(s, "    t%d[lid] = s%d;\n", i, i);
        if (index)
            tern__str_addf(s, "    t%dk[lid] = s%dk;\n", i, i);
        tern__str_addf(s, "    barrier(CLK_LOCAL_MEM_FENCE);\n    for (uint o = %zuu; o > 0; o >>= 1) {\n        if (lid < o) {\n", team / 2);
        if (index) {
            tree_index_step(s, r, i);
        } else {
            tern__str_addf(s, "            t%d[lid] = ", i);
            tern__fz_call(z, s, r, 1, "step");
            tern__str_addf(s, "(t%d[lid], t%d[lid + o]);\n", i, i);
        }
        tern__str_add(s, "        }\n        barrier(CLK_LOCAL_MEM_FENCE);\n    }\n");
        tern__str_addf(s, "    s%d = t%d[0];\n", i, i);
        if (index)
            tern__str_addf(s, "    s%dk = t%dk[0];\n", i, i);
        tern__str_add(s, "    barrier(CLK_LOCAL_MEM_FENCE);\n");
    }
}

static void write_reduction(tern__fz *z, tern__fused_kernel *k)
{
    tern__str *s = &k->text;
    size_t team = 1;
    /* Rows whose elements lie next to each other's (column sums) read side by side with one item each. */
    if (z->n_folded > SHORT_ROW && !(z->lane_kept && z->n_rows >= 1024))
        for (team = 128; team > (size_t)z->f->max_work_group || (int64_t)team > z->n_folded; team /= 2)
            ;
    size_t local = team > 1 ? team : (size_t)TERN_MIN(64, z->f->max_work_group);
    for (int i = 0; i < z->n_loops; i++)
        tern__fz_uses(z, &z->loop[i + 1], 1, k->uses);
    if (z->rows)
        tern__fz_uses(z, &z->rows, 1, k->uses);
    tern__fz_open(z, s, k, "");
    if (team > 1) {
        for (int i = 0; i < z->n_reds; i++) {
            tern__str_addf(s, "    local %s t%d[%zu];\n", tern__reg_type(z->red[i].acc), i, team);
            if (z->red[i].op->reduction->index)
                tern__str_addf(s, "    local long t%dk[%zu];\n", i, team);
        }
        tern__str_add(s, "    const uint lid = get_local_id(0);\n    const uint row = get_group_id(0);\n");
    } else {
        tern__str_addf(s, "    const uint row = get_global_id(0);\n    if (row >= %lldu)\n        return;\n", (long long)z->n_rows);
    }
    tern__fz_decompose(z, s, "row", z->kept, z->n_kept, 4);
    for (int loop = 1; loop <= z->n_loops; loop++) {
        tern__str_add(s, "\n");
        pass(z, s, loop, team, 4);
        if (team > 1)
            tree(z, s, loop, team);
        for (int i = 0; i < z->n_reds; i++)
            if (z->red[i].loop == loop)
                tern__fz_finish(z, s, &z->red[i], 1, "s", 4);
    }
    if (z->rows) {
        tern__printed done = {0};
        tern__str_add(s, team > 1 ? "    if (lid == 0) {\n" : "    {\n");
        tern__body_print(z->rows, s, z->needs, 1, ~0u, &done, 8);
        tern__str_add(s, "    }\n");
    }
    tern__str_add(s, "}\n");
    set_range(k, team > 1 ? (size_t)z->n_rows * team : round_up(z->n_rows, local), local);
}

tern_status tern__fused_write_simt(tern__fz *z, tern__fused_code *code)
{
    code->n_kernels = 1;
    if (z->n_reds && z->n_rows)
        write_reduction(z, &code->kernel[0]);
    else
        write_pointwise(z, &code->kernel[0]);
    return TERN_OK;
}
